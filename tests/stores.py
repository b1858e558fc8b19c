"""Questions that several tests ask of a store."""


def without_record(specs, store):
    """Those of the runs that no record holds, in their order."""
    return [spec for spec in specs if store.find(spec) is None]
