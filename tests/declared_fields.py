"""Every declared field by name, as a chapter takes it or, where none does, as a class has it."""

from lab1.core.fields import Field, declarations
from lab1.core.spec import ModelSpec, RunSpec
from lab1.core.training_config import DistillationConfig, TrainingConfig
from lab1.errors import unknown
from lab1.planning.chapters import CHAPTERS

PARAMETERS = {
    name: each
    for owner in (RunSpec, ModelSpec, TrainingConfig, DistillationConfig)
    for name, each in declarations(owner).items()
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
