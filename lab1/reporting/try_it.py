"""The page "Try it": a recorded training of small networks, beside the setting of a chapter's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ..core.datasets import DATASETS
from ..core.record import Record
from . import frames, tables, words
from .axes import Axis
from .charts import lines
from .figure import Figure

#: How the networks of the page train (`lab1/site/watch.js`), on images of `SIDE` x `SIDE` pixels.
SIDE = 14
SETTING = {
    "training": 2000,
    "test": 500,
    "inputs": SIDE**2,
    "classes": 10,
    "width": 32,
    "epochs": 12,
    "batch": 40,
    "rate": 0.001,
}

#: The kinds of networks, in the order of the colours of plain, residual and control families.
_KINDS = {"plain": "plain", "residual": "residual", "identity": "identity start"}


def picture(runs: Sequence[Mapping[str, Any]]) -> Figure:
    """The training loss of recorded runs by epoch, for readers without scripts."""
    table = pd.DataFrame(
        {
            "network": f"{_KINDS[run['choice']['kind']]} {run['choice']['depth']}",
            "kind": _KINDS[run["choice"]["kind"]],
            "layers": run["choice"]["depth"],
            "epoch": line["epoch"],
            "loss": line["loss"],
        }
        for run in runs
        for line in run["lines"]
    )
    ends = words.rows(table.groupby("network", sort=False).last().reset_index(), "{network} {loss}")
    return lines(
        table,
        Axis("epoch", "epoch", format="d"),
        Axis("loss", "training loss", log=True),
        colour=("kind", [*_KINDS.values()]),
        thickness="layers",
        label="network",
        dense=True,
        text=f"Training loss by epoch of networks that a browser trained. At the end: {ends}.",
    )


def toy(records: Sequence[Record], title: str) -> str:
    """How the page's networks train, and those of the first question of a page of this title."""
    runs = frames.of_one_question(records)
    spec = runs[0].spec
    dataset, training = DATASETS[spec.dataset], spec.training
    whole = dataset.train_size - training.validation_size
    _, height, width = dataset.image_shape
    rows = {
        "training images": (SETTING["training"], training.train_size or whole),
        "pixels of an image": (f"{SIDE} × {SIDE}, four greys", f"{height} × {width}"),
        "units in a layer": (SETTING["width"], spec.model.width),
        "epochs": (SETTING["epochs"], training.epochs),
        "images in a batch": (SETTING["batch"], training.batch_size),
        "learning rate": (SETTING["rate"], training.learning_rate),
        "seeds": (1, len({run.spec.seed for run in runs})),
    }
    cells = [
        [tables.text(name), *(tables.number(f"{v:,}" if isinstance(v, int) else v) for v in pair)]
        for name, pair in rows.items()
    ]
    return tables.markup(["", "here", title], cells)
