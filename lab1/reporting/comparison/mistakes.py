"""The mistakes of a trained model: charts and a table from its probes.

`counts` is the probe `confusion`, `images` the probe `hardest`; both come from
`lab1.training.probes`, through `OpenChapter.probe`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from ...core.datasets import DATASETS
from ...core.escape import for_html
from ...core.record import Record
from ..kit import words
from ..kit.axes import Axis
from ..kit.charts import bars
from ..kit.figure import COLOURS, Figure
from ..kit.tables import Table


def confusion(record: Record, probe: Mapping[str, Any]) -> Figure:
    """The classes that the test images of each class were taken for."""
    names = class_names(record)
    rows = [
        {"true": names[i], "predicted": names[j], "images": count, "share": count / sum(row)}
        for i, row in enumerate(probe["counts"])
        for j, count in enumerate(row)
    ]
    table = pd.DataFrame(rows)
    wrong = table[table["true"] != table["predicted"]].sort_values(
        "images", ascending=False, kind="stable"
    )
    x = alt.X("predicted:N", sort=names, title="taken for", axis=alt.Axis(labelAngle=-45))
    base = alt.Chart(table).encode(
        x=x,
        y=alt.Y("true:N", sort=names, title="class"),
        # Of cells and counts alike: a pointer in the middle of a cell is on its count.
        tooltip=[
            alt.Tooltip("true:N", title="class"),
            alt.Tooltip("predicted:N", title="taken for"),
            alt.Tooltip("images:Q", title="test images"),
            alt.Tooltip("share:Q", title="of its class", format=".1%"),
        ],
    )
    # On a square root the many small counts stay visible beside the diagonal.
    colour = COLOURS[record.spec.model.family]
    scale = alt.Scale(type="sqrt", range=[f"{colour}11", f"{colour}99"])
    cells = base.mark_rect().encode(color=alt.Color("share:Q", scale=scale, legend=None))
    counts = base.mark_text(fontSize=10).encode(text="images:Q")
    chart = alt.layer(cells, counts).properties(width=400, height=400, title=_title(record))
    worst = words.rows(wrong.head(3), "{true} taken for {predicted}: {images}")
    return Figure(chart, table, f"Confusion matrix of {record.spec.title}. Most often {worst}.")


def class_accuracy(record: Record, probe: Mapping[str, Any]) -> Figure:
    """The share of each class's test images that the model gets right."""
    names = class_names(record)
    rows = [
        {"class": names[i], "accuracy": 100 * row[i] / sum(row), "images": sum(row)}
        for i, row in enumerate(probe["counts"])
    ]
    table = pd.DataFrame(rows).sort_values("accuracy", kind="stable")
    return bars(
        table,
        Axis("accuracy", "test accuracy (%)", domain=(0, 100), digits=".1f"),
        Axis("class", order=[*table["class"]]),
        colour=COLOURS[record.spec.model.family],
        also={"images": ""},
        title=_title(record),
        text=f"Test accuracy by class of {record.spec.title}: "
        f"{words.rows(table, '{class} {accuracy:.1f} %')}.",
    )


def hardest(record: Record, probe: Mapping[str, Any]) -> Table:
    """The test images with the highest loss, each with what it is and what it was taken for."""
    names = class_names(record)
    rows = [
        {
            "index": each["index"],
            "class": names[each["label"]],
            "taken for": names[each["predicted"]],
            "probability of its class": each["p_label"],
            "probability of the answer": each["p_predicted"],
        }
        for each in probe["images"]
    ]
    cells = [_card(each["png"], row) for each, row in zip(probe["images"], rows, strict=True)]
    markup = f'<div class="lab1-images" role="list">\n{"".join(cells)}</div>'
    return Table(pd.DataFrame(rows), markup)


def _card(png: str, row: Mapping[str, Any]) -> str:
    said = f"{row['class']}, taken for {row['taken for']}"
    return (
        f'<figure role="listitem"><img src="data:image/png;base64,{for_html(png)}" '
        f'alt="test image {row["index"]}: {for_html(said)}">'
        f"<figcaption>{for_html(row['class'])} → {for_html(row['taken for'])}"
        f"<br>{row['probability of the answer']:.0%}</figcaption></figure>\n"
    )


def class_names(record: Record) -> Sequence[str]:
    """The names of the classes, in the order of their numbers."""
    return DATASETS[record.spec.dataset].class_names


def _title(record: Record) -> str:
    return f"{DATASETS[record.spec.dataset].title}, {record.spec.model.family}"
