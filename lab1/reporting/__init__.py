"""The half that reads records: pandas and Altair, never torch."""
