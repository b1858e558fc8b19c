"""Specifications, records and their store, which both halves import; standard library only."""
