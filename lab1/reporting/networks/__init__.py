"""The networks of a chapter, drawn from the specs of its records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ...core.families import FAMILIES
from ...core.record import Record
from ...core.spec import ModelSpec
from ..claims import Prose
from ..kit.frames import changes_of
from .blocks import blocks
from .columns import columns
from .drawing import Drawing

__all__ = ["Drawing", "one_block", "teacher_and_student", "whole"]


#: In place of a drawing.
NOT_DRAWN = Prose("These networks have no layout, so they are not drawn.")


def one_block(records: Sequence[Record], depth: int) -> Drawing | Prose:
    """A block of each family's network of that depth, one above the other."""
    models = _one_per_family(records, depth)
    return blocks(models, records[0].spec.dataset) if models else NOT_DRAWN


def whole(records: Sequence[Record], depth: int) -> Drawing | Prose:
    """Each family's network of that depth, beside each other."""
    models = _one_per_family(records, depth)
    return columns(models, records[0].spec.dataset) if models else NOT_DRAWN


def teacher_and_student(records: Sequence[Record], depth: int, channels: int) -> Drawing:
    """The student of that size and its teacher, on one scale."""
    pairs = Counter(
        (record.spec.teacher.model, record.spec.model, record.spec.dataset)
        for record in records
        if record.spec.teacher is not None
        and (record.spec.model.depth, record.spec.model.channels) == (depth, channels)
    )
    (teacher, student, dataset), _ = pairs.most_common(1)[0]
    return columns((teacher, student), dataset)


def _one_per_family(records: Sequence[Record], depth: int) -> list[ModelSpec]:
    """The design that most runs of that depth have, without a change to it."""
    changed = changes_of(records)
    same = [record for record in records if record.spec.model.depth == depth]
    usual = Counter(record.spec.model for record in same if not changed[record.key])
    models = {model.family: model for model, _ in reversed(usual.most_common())}
    return [models[name] for name in FAMILIES if name in models and FAMILIES[name].layout]
