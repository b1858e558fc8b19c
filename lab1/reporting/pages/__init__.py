"""Pages of their own: the front page, all runs, the results, and provenance."""
