"""A teacher's answers, softened by a temperature: a chart whose temperature turns, and a table."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import altair as alt
import pandas as pd

from ..core.datasets import DATASETS
from ..core.escape import for_html
from ..core.record import Record
from . import words
from .axes import Axis
from .charts import draw_chart
from .figure import Figure
from .tables import Table, markup
from .theme import COLOURS

#: Between which temperatures the reader may turn.
_LOWEST, _HIGHEST = 1, 20

#: Pixels of the test image beside its answers.
_PICTURE = 96


def turned(record: Record, probe: Mapping[str, Any], temperature: float) -> Figure:
    """The probabilities of all classes for one test image, at first at that `temperature`.

    `probe` is what `softened` found on the teacher's `record`.  The reader chooses the image, which
    stands where the likeliest first leave room, and turns the temperature T; the probability of
    class i is p_i^(1/T) over the sum of these, with p the answer at T = 1, which is the softmax of
    the logits over T.
    """
    declared = DATASETS[record.spec.dataset]
    names = declared.class_names
    at_one = probe["temperatures"].index(1)
    pictures = {f"{names[image['label']]}, hesitant": image for image in probe["images"]}
    pictures |= {f"{names[image['label']]}, sure": image for image in probe.get("confident", ())}
    table = pd.DataFrame(
        {"image": title, "answer": names[index], "probability": probability}
        for title, image in pictures.items()
        for index, probability in enumerate(image["probabilities"][at_one])
    )
    images = list(dict.fromkeys(table["image"]))
    turned = alt.binding_range(min=_LOWEST, max=_HIGHEST, step=0.5, name="temperature T ")
    selected = alt.binding_radio(options=images, name="image of ")
    addresses = [f"data:image/png;base64,{image['png']}" for image in pictures.values()]
    seen = (
        alt.Chart(pd.DataFrame({"image": images, "address": addresses}))
        .mark_image(width=_PICTURE, height=_PICTURE, align="right", baseline="bottom")
        .encode(url="address:N", x=alt.value("width"), y=alt.value("height"))
        .transform_filter("datum.image == picture")
    )
    drawn = draw_chart(
        table.rename(columns={"probability": "at T = 1"}),
        Axis(
            "share",
            "probability that the teacher gives",
            domain=(0, 1),
            ticks=(0, 0.25, 0.5, 0.75, 1),
            format="%",
            digits=".2%",
        ),
        Axis("answer", order=names),
        marks="bars",
        colour=COLOURS[record.spec.model.family],
        number=".1%",
        also={"at T = 1": ".2%"},
        title=declared.title,
        text=_text(table, images[0], temperature),
        data=table,
    )
    likeliest_first = alt.EncodingSortField("at T = 1", op="max", order="descending")
    for layer in drawn.chart.layer:
        layer.encoding.y.sort = likeliest_first
    chart = (
        (drawn.chart + seen)
        .transform_filter("datum.image == picture")
        .transform_calculate(weight="pow(datum['at T = 1'], 1 / T)")
        .transform_joinaggregate(total="sum(weight)")
        .transform_calculate(share="datum.weight / datum.total")
        .add_params(
            alt.param(name="T", value=temperature, bind=turned),
            alt.param(name="picture", value=images[0], bind=selected),
        )
    )
    return replace(drawn, chart=chart)


def _text(table: pd.DataFrame, image: str, temperature: float) -> str:
    """The likeliest answers to one image, at T = 1 and at that temperature."""
    weights = table[table["image"] == image].assign(
        softened=lambda rows: rows["probability"] ** (1 / temperature)
    )
    weights["softened"] /= weights["softened"].sum()
    likeliest = weights.nlargest(3, "probability")
    return (
        f"The teacher's answers to a test image ({image}) at T = 1 and at T = "
        f"{temperature:g}, the likeliest first: "
        f"{words.rows(likeliest, '{answer} {probability:.1%} and {softened:.1%}', ', ')}."
    )


#: How many classes a softened answer lists.
_LISTED = 4


def table(record: Record, probe: Mapping[str, Any]) -> Table:
    """A network's answers to some test images at several temperatures, the images beside them."""
    names = DATASETS[record.spec.dataset].class_names
    temperatures = probe["temperatures"]
    rows, cells = [], []
    for image in probe["images"]:
        of_image = [
            {"image": image["index"], "class": names[image["label"]], "temperature": t}
            | {name: round(p, 5) for name, p in zip(names, probabilities, strict=True)}
            for t, probabilities in zip(temperatures, image["probabilities"], strict=True)
        ]
        rows += of_image
        label = for_html(names[image["label"]])
        cells.append(
            [
                f'<td><img src="data:image/png;base64,{for_html(image["png"])}" '
                f'alt="test image {image["index"]}, {label}" class="lab1-thumbnail"> {label}</td>',
                *[_answer(names, probabilities) for probabilities in image["probabilities"]],
            ]
        )
    header = ["Image", *[f"T = {t:g}" for t in temperatures]]
    return Table(pd.DataFrame(rows), markup(header, cells))


def _answer(names: Sequence[str], probabilities: Sequence[float]) -> str:
    """A cell with the likeliest classes, each with a bar as long as it is likely."""
    ranked = sorted(zip(probabilities, names, strict=True), reverse=True)[:_LISTED]
    bars = "".join(
        f'<span class="lab1-bar" style="--share: {100 * p:.1f}%">{for_html(name)} {p:.1%}</span>'
        for p, name in ranked
    )
    return f"<td>{bars}</td>"
