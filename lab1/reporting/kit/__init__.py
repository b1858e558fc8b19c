"""What all topics share: frames, statistics, charts, tables, sentences and their look."""
