"""The half that reads records: pandas and Altair, never torch.

Common to all topics: `frames` (records as tables), `statistics`, `words`, `tables`, `charts` with
their `axes`, `curves` and `figure`; `selections`, `paired`, `findings` and `claims` lead from runs
to sentences that hold.  The other modules are a topic, or a page, each.
"""
