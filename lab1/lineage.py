"""Which runs must be trained before which: teachers before their students."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from . import weights_file
from .config import RunSpec
from .errors import MissingRunsError
from .store import Store


def teachers_first(specs: Sequence[RunSpec]) -> list[RunSpec]:
    """The same runs, each once, in their order, but for teachers before their students."""
    listed = set(specs)
    lines = ((*reversed(spec.teachers), spec) for spec in specs)
    return list(dict.fromkeys(each for line in lines for each in line if each in listed))


def with_teachers(wanted: Iterable[RunSpec], store: Store) -> list[RunSpec]:
    """Runs to be trained, teachers first, with the teachers that have to be trained for them.

    Raises :class:`~lab1.errors.MissingRunsError` for a teacher that has a record, and so is not
    trained again, but no weights to learn from.
    """
    complete: dict[RunSpec, None] = {}

    def add(spec: RunSpec) -> None:
        teacher = spec.teacher
        if teacher is not None and weights_file.find(teacher, store) is None:
            if store.find(teacher) is not None:
                purpose = f"{spec.title} learns from them"
                raise MissingRunsError(weights_file.absence(teacher, store, purpose))
            add(teacher)
        complete[spec] = None

    for spec in wanted:
        add(spec)
    return list(complete)
