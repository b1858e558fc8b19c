"""Convolutional networks: speed of convergence, the mistakes of a trained one, and single blocks.

`counts` is the probe `confusion`, `images` the probe `hardest`; both come from
`lab1.training.probes`, through `OpenChapter.probe`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from ..core.datasets import DATASETS
from ..core.escape import for_html
from ..core.record import Record
from . import words
from .axes import Axis, Panels
from .charts import draw_chart
from .claims import Prose
from .curves import by_epoch
from .figure import Figure
from .statistics import at_the_end, in_percent, summarize
from .tables import Table
from .theme import COLOURS
from .words import dataset_titles

#: The accuracies, in percent, whose reaching is timed; those that no run reached are left out.
LEVELS = (30, 40, 50, 60, 70, 75, 80, 85, 90, 95, 98)


def validation_curves(history: pd.DataFrame) -> Figure:
    """Validation accuracy against epochs, one panel per depth."""
    return by_epoch(
        history,
        ["validation_accuracy"],
        Axis("mean", "validation accuracy (%)"),
        panels=Panels("depth"),
        percent=True,
        text="Validation accuracy on {data} by epoch, a panel per depth. At the end: {ends}.",
        ending="{family} {depth}: {mean:.2f} %",
    )


def epochs_to_accuracy(history: pd.DataFrame) -> Figure | Prose:
    """The epochs until the validation accuracy first reaches each level."""
    reached = first_reached(history)
    if reached.empty:
        return Prose(f"*No run reached a validation accuracy of {LEVELS[0]} %.*")
    table = summarize(reached, ["family", "depth", "level"], "epoch")
    # Where only some seeds reached a level, their mean would favour the lucky ones.
    runs = history.groupby(["family", "depth"])["key"].nunique().rename("runs").reset_index()
    table = table.merge(runs)
    table = table[table["n"] == table["runs"]].drop(columns="runs")
    if table.empty:
        return Prose(f"*No level was reached by all seeds of a network ({LEVELS[0]} % or more).*")
    top = at_the_end(table, ["family", "depth"], "level")
    return draw_chart(
        table,
        Axis("level", "validation accuracy (%)"),
        Axis("mean", "epochs"),
        panels=Panels("depth"),
        marks="curves",
        title=dataset_titles(history),
        text=f"Epochs until the validation accuracy on {dataset_titles(history)} first reaches a "
        "level, a panel per depth. For the highest level: "
        f"{words.rows(top, '{family} {depth}: {mean:.3g} to {level} %')}.",
    )


def first_reached(history: pd.DataFrame) -> pd.DataFrame:
    """One row per run and level that it reached: `level` in percent, `epoch`."""
    ordered = history.sort_values(["key", "epoch"])
    reached = {level: ordered[ordered["validation_accuracy"] >= level / 100] for level in LEVELS}
    return pd.concat(of.drop_duplicates("key").assign(level=level) for level, of in reached.items())


def accuracy_without_blocks(lesions: pd.DataFrame) -> Figure | Prose:
    """Test accuracy without each block in turn, a panel for each kind of network.

    Takes the frame of `lesions`; where it is empty, a clause that says so.
    """
    if lesions.empty:
        return Prose("*No weights of these networks are at hand.*")
    whole = lesions[lesions["block"] == 1].assign(block="none", kind="whole network")
    whole["test_accuracy"] = whole["whole"]
    without = lesions.assign(block=lesions["block"].map(str), kind="image " + lesions["image"])
    both = pd.concat([whole, without])
    settings = zip(both["depth"], both["family"], both["further"], strict=True)
    both["network"] = [
        ", ".join(filter(None, [words.depth(depth, family), further]))
        for depth, family, further in settings
    ]
    by = ["network", "family", "block", "kind"]
    table = in_percent(summarize(both, by, "test_accuracy"))
    titles, chance = dataset_titles(lesions), DATASETS[lesions["dataset"].iloc[0]].num_classes
    listed = words.rows(table, "{family}, {network}, without {block}: {mean:.1f} %")
    return draw_chart(
        table,
        Axis("block", "block left out", order=[*dict.fromkeys(both["block"])]),
        Axis("mean", "test accuracy (%)", zero=True),
        marks="points",
        panels=Panels("network", title="", columns=2, apart="x"),
        shape="kind",
        level=100 / chance,
        title=titles,
        text=f"Test accuracy on {titles} without each block in turn: {listed}.",
    )


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
    return draw_chart(
        table,
        Axis("accuracy", "test accuracy (%)", domain=(0, 100), digits=".1f"),
        Axis("class", order=[*table["class"]]),
        marks="bars",
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
            "index": image["index"],
            "class": names[image["label"]],
            "taken for": names[image["predicted"]],
            "probability of its class": image["p_label"],
            "probability of the answer": image["p_predicted"],
        }
        for image in probe["images"]
    ]
    cells = [_card(image["png"], row) for image, row in zip(probe["images"], rows, strict=True)]
    markup = f'<div class="lab1-images">\n{"".join(cells)}</div>'
    return Table(pd.DataFrame(rows), markup)


def _card(png: str, row: Mapping[str, Any]) -> str:
    said = f"{row['class']}, taken for {row['taken for']}"
    return (
        f'<figure><img src="data:image/png;base64,{for_html(png)}" '
        f'alt="test image {row["index"]}: {for_html(said)}">'
        f"<figcaption>{for_html(row['class'])} → {for_html(row['taken for'])}"
        f"<br>{row['probability of the answer']:.0%}</figcaption></figure>\n"
    )


def class_names(record: Record) -> Sequence[str]:
    """The names of the classes, in the order of their numbers."""
    return DATASETS[record.spec.dataset].class_names


def _title(record: Record) -> str:
    return f"{DATASETS[record.spec.dataset].title}, {record.spec.model.family}"
