"""What all topics share: frames, statistics, charts, tables and their look."""
