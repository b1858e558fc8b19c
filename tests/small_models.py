"""A small model of each family, made from its declaration, so that a new family needs none."""

from itertools import count

from lab1.core.families import FAMILIES

#: A value, not the default, for each field of a model.
_VALUES = {
    "width": 16, "channels": 4, "activation": "tanh", "dropout_rate": 0.5, "normalization": "layer",
    "initialisation": "orthogonal", "residual_factor": "one", "skip_carries": "activated",
    "layers_per_skip": 2, "blocks_per_stage": (1, 2),
}  # fmt: skip


def smallest(family):
    """The fields without a default, at the smallest depth above one."""
    declared = FAMILIES[family]
    depth = next(depth for depth in count(2) if declared.depths.holds(depth))
    sizes = {name: _VALUES[name] for name in ("width", "channels") if name in declared.fields}
    return {"depth": depth, **sizes}


def with_every_field(family):
    """The same with a value for every field that the family takes."""
    fields = FAMILIES[family].fields
    further = {name: _VALUES[name] for name in fields if name in _VALUES}
    unequal = {"width": None, "hidden_sizes": (16, 8)} if "hidden_sizes" in fields else {}
    return {**smallest(family), **further, **unequal}


def data_set_for(family):
    """A built-in data set of images that suit the family."""
    return "smoke-grey" if "width" in FAMILIES[family].fields else "smoke-colour"
