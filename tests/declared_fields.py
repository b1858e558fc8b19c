"""Every declared field by name, as a chapter takes it or, where none does, as a class has it."""

import copy

from hypothesis import HealthCheck, settings

from lab1.core.fields import Field, declarations
from lab1.core.spec import ModelSpec, RunSpec
from lab1.core.training_config import DistillationConfig, TrainingConfig
from lab1.errors import unknown
from lab1.planning.chapters import CHAPTERS

#: Generated values are the same each time, and few.
BOUNDED = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

#: The parts of a spec that declare fields; the spec's own have no part.
PARTS = {
    "": RunSpec,
    "model": ModelSpec,
    "training": TrainingConfig,
    "distillation": DistillationConfig,
}
FIELDS = [(part, name) for part, owner in PARTS.items() for name in declarations(owner)]

PARAMETERS = {
    name: field for owner in PARTS.values() for name, field in declarations(owner).items()
}
for _chapter in CHAPTERS.values():
    PARAMETERS |= _chapter.parameters
PARAMETERS["data_dir"] = Field("a folder", name="data_dir", optional=True)
PARAMETERS["profile"] = Field("a file in params/", name="profile")
PARAMETERS["device"] = Field("a device", name="device")


def check(name, value, where=""):
    """The checked value of the field `name`."""
    if name not in PARAMETERS:
        raise unknown(name, PARAMETERS, where)
    return PARAMETERS[name].check(value, where)


def _another(field, value):
    """A value of a declared field that is not this one."""
    if field.choices:
        return next(choice for choice in field.choices if choice != value)
    if field.many:
        return (1, 2)
    if field.kind is str:
        return "0123456789abcdef"
    least = field.ge if field.ge is not None else field.gt
    return field.kind(next(number for number in (least + 1, least + 2) if number != value))


def changed(spec, part, name):
    """The spec with another value of a field, whether or not its family takes the field."""
    holder = copy.copy(getattr(spec, part) if part else spec)
    field = declarations(type(holder))[name]
    object.__setattr__(holder, name, _another(field, getattr(holder, name)))
    if not part:
        return holder
    spec = copy.copy(spec)
    object.__setattr__(spec, part, holder)
    return spec
