"""What a teacher answers at a temperature that the reader turns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from ...core.datasets import DATASETS
from ...core.record import Record
from ..kit import theme
from ..kit.figure import Figure

#: Between which temperatures the reader may turn.
_LOWEST, _HIGHEST = 1, 20


def turned(record: Record, probe: Mapping[str, Any], temperature: float) -> Figure:
    """The probabilities of all classes for one test image, at first at that `temperature`.

    `probe` is what `softened` found on the teacher's `record`.  The reader chooses the image and
    turns the temperature T; the probability of class i is p_i^(1/T) over the sum of these, with p
    the answer at T = 1, which is the softmax of the logits over T.
    """
    declared = DATASETS[record.spec.dataset]
    names = declared.class_names
    at_one = probe["temperatures"].index(1)
    shown = {f"{names[each['label']]}, hesitant": each for each in probe["images"]}
    shown |= {f"{names[each['label']]}, sure": each for each in probe.get("confident", ())}
    table = pd.DataFrame(
        {"image": title, "answer": names[index], "probability": probability}
        for title, image in shown.items()
        for index, probability in enumerate(image["probabilities"][at_one])
    )
    images = list(dict.fromkeys(table["image"]))
    t = alt.param(
        name="T",
        value=temperature,
        bind=alt.binding_range(min=_LOWEST, max=_HIGHEST, step=0.5, name="temperature T "),
    )
    picture = alt.param(
        name="picture",
        value=images[0],
        bind=alt.binding_select(options=images, name="image of "),
    )
    base = (
        alt.Chart(table)
        .transform_filter("datum.image == picture")
        .transform_calculate(weight="pow(datum.probability, 1 / T)")
        .transform_joinaggregate(total="sum(weight)")
        .transform_calculate(share="datum.weight / datum.total")
        .encode(
            x=alt.X(
                "share:Q",
                title="probability that the teacher gives",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format="%", tickCount=5),
            ),
            y=alt.Y("answer:N", title=None, sort=list(names)),
            tooltip=[
                alt.Tooltip("answer:N"),
                alt.Tooltip("share:Q", title="at this temperature", format=".2%"),
                alt.Tooltip("probability:Q", title="at T = 1", format=".2%"),
            ],
        )
    )
    bars = base.mark_bar(color=theme.COLOURS[record.spec.model.family])
    numbers = base.mark_text(align="left", dx=4).encode(text=alt.Text("share:Q", format=".1%"))
    chart = (
        alt.layer(bars, numbers)
        .add_params(t, picture)
        .properties(width=430, height=230, title=declared.title)
    )
    return Figure(chart, table, _alternative(table, images[0], temperature))


def _alternative(table: pd.DataFrame, image: str, temperature: float) -> str:
    """The likeliest answers to one image, at T = 1 and at that temperature."""
    own = table[table["image"] == image].copy()
    own["softened"] = own["probability"] ** (1 / temperature)
    own["softened"] /= own["softened"].sum()
    said = ", ".join(
        f"{row['answer']} {row['probability']:.1%} and {row['softened']:.1%}"
        for row in own.nlargest(3, "probability").to_dict("records")
    )
    return (
        f"The teacher's answers to a test image ({image}) at T = 1 and at T = "
        f"{temperature:g}, the likeliest first: {said}."
    )
