"""What stands on pages of its own: the front page, all runs, a summary, provenance."""
