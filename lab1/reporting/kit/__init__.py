"""Frames, statistics, charts, tables and their look, which all topics share."""
