"""What depth costs in time: the plain and residual nets, trained for a moment in turn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...core.spec import ModelSpec
from .. import device as devices
from . import cases
from .contenders import streamlined
from .measure import SCHEMA, circumstances, say, timed

FAMILIES = ("PlainNet", "ResNet")
#: Those of He et al. (2016).
DEPTHS = (20, 32, 44, 56, 110)
PRECISION = "bf16"
#: Of a round: twenty batches.
_IMAGES = 2560


def measure(
    *,
    rounds: int,
    device: str = "auto",
    data_dir: str | None = None,
    smoke: bool = False,
) -> dict[str, Any]:
    """The benchmark as plain JSON: hardware, versions, and the seconds of every round.

    In each round every network is trained for one epoch of some images, the twins beside each
    other, by turns from the shallowest to the deepest and back, so that a machine that grows slower
    hits all alike; before, each takes a step to warm up.  `smoke` takes a few built-in images: to
    see it work, not to measure.
    """
    where = devices.resolve(device)
    made = [_case(family, depth) for depth in DEPTHS for family in FAMILIES]
    if smoke:
        made = [cases.smoke(case) for case in made]
    data = cases.load(made[0], data_dir)
    batch = made[0].config.batch_size
    one_batch = replace(data, train=data.train.evenly_spaced(batch))
    for case in made:
        say(f"{case.title}: warm-up")
        timed(streamlined(case, one_batch, 0, where, PRECISION)[1], where)
    seconds: list[list[float]] = [[] for _ in made]
    for index in range(rounds):
        order = range(len(made))
        for place in reversed(order) if index % 2 else order:
            say(f"{made[place].title}: round {index + 1} of {rounds}")
            _, train = streamlined(made[place], data, index, where, PRECISION)
            seconds[place].append(timed(train, where))
    return {
        "schema": SCHEMA,
        **circumstances(where),
        "dataset": data.declared.name,
        "images": len(data.train),
        "batch_size": batch,
        "precision": PRECISION,
        "networks": [
            {"family": case.model.family, "depth": case.model.depth, "seconds": own}
            for case, own in zip(made, seconds, strict=True)
        ],
    }


def _case(family: str, depth: int) -> cases.Case:
    like = cases.CASES["resnet-20"]
    return replace(
        like,
        title=f"{family}, {depth} layers",
        model=ModelSpec(family, depth),
        images=_IMAGES,
        # A constant rate: the warm-up takes one step, over which no schedule has a course.
        config=replace(like.config, epochs=1, schedule="constant"),
    )
