"""The distillation settings of a run: teacher, temperature, weight (standard library only)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from ..errors import ParameterError
from .fields import Checked, Field
from .keys import hash_key

if TYPE_CHECKING:
    from .spec import RunSpec
else:
    RunSpec = Any

Temperature = Annotated[
    float,
    Field("number that divides the logits of teacher and student", gt=0, le=1000),
]
Alpha = Annotated[
    float,
    Field("weight of the soft loss; that of the hard loss is 1 - alpha", ge=0, le=1),
]
WrongClasses = Annotated[
    str,
    Field(
        "what the teacher says of the classes other than the label: as it is, or permuted",
        choices=("kept", "permuted"),
    ),
]


@dataclass(frozen=True)
class DistillationConfig(Checked):
    """The teacher of a run and the weights of its loss (Hinton et al. 2015, section 2).

    `teacher` is the run whose best weights are the teacher; it may be distilled itself.
    `temperature` divides the logits of both; the loss is (1 - `alpha`) times the cross-entropy
    with the labels plus `alpha` times the divergence from the teacher.  With `wrong_classes`
    `permuted` the probabilities that the teacher gives to the classes other than the label change
    places, at random and anew at each step, image by image: how sure the teacher is stays, which
    classes it holds to be alike is lost (the "permuted predictions" of Furlanello et al. 2018,
    section 3.2, who keep the teacher's first choice in its place instead of the label).
    """

    teacher: RunSpec
    temperature: Temperature = 4.0
    alpha: Alpha = 0.9
    wrong_classes: WrongClasses = "kept"

    def canonical(self, recipes: Sequence[int], *, old_selection: bool = False) -> dict[str, Any]:
        """The hashed form; `recipes` are those of the teacher and of its teachers."""
        teacher = hash_key(self.teacher.canonical(recipes, old_selection=old_selection))
        canonical: dict[str, Any] = {
            "teacher": teacher,
            "temperature": self.temperature,
            "alpha": self.alpha,
        }
        if self.wrong_classes != "kept":  # younger than the first records
            canonical["wrong_classes"] = self.wrong_classes
        return canonical

    def to_dict(self, recipes: Sequence[int]) -> dict[str, Any]:
        """All fields spelled out, the teacher's too, with the key that it has under `recipes`."""
        written = self.canonical(recipes)
        return {
            **written,
            "wrong_classes": self.wrong_classes,
            "teacher": self.teacher.to_dict(recipes),
            "teacher_key": written["teacher"],
        }

    @classmethod
    def from_dict(
        cls, values: Mapping[str, Any], spec_of: Callable[[Mapping[str, Any]], RunSpec]
    ) -> DistillationConfig:
        """Reads what `to_dict` wrote; `spec_of` reads the teacher.

        Raises `ParameterError` where the teacher's key is not that of its spec under the
        recipe that was written, which may be an older one.
        """
        values = dict(values)
        key = values.pop("teacher_key")
        teacher = values.pop("teacher")
        config = cls(teacher=spec_of(teacher), **values)
        computed = config.canonical(written_recipes(teacher))["teacher"]
        if computed != key:
            raise ParameterError(f"its teacher's key {key} is not the key {computed} of its spec")
        return config


def written_recipes(spec: Mapping[str, Any]) -> tuple[int, ...]:
    """The recipes in a spec as written: its own, its teacher's, its teacher's teacher's, ..."""
    distillation = spec.get("distillation")
    further = written_recipes(distillation["teacher"]) if distillation else ()
    return (spec["recipe"], *further)
