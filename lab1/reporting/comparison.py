"""Charts of families compared by depth (exercises 1.1 to 1.3), also for several values at once.

Each function takes a frame and gives a `Figure`.  Means are over seeds and carry their 95 %
interval where there are three or more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from ..core.escape import for_html
from ..core.record import Record
from . import frames, predictions, words
from .axes import Axis, Panels, depths
from .charts import draw_chart, linked
from .claims import NO_RUNS, Prose
from .curves import by_epoch
from .figure import Figure, alone, in_notebook
from .networks import MIME
from .selections import Selection
from .statistics import METRICS, at_the_end, in_percent, summarize
from .tables import DEPTH, PARAMETERS, TEST_ACCURACY, Column, Table, count_of_runs, labels, table_of
from .words import dataset_titles

#: By what a panel of losses shows: the looks of the chart.
_LOSSES: Mapping[str, dict[str, Any]] = {
    "depth": {"panels": Panels("depth"), "dash": "split"},
    "split": {"panels": Panels("split", "", 2), "thickness": "depth", "label": "{depth}"},
}

#: What the runs of the published page are called beside a reader's.
PUBLISHED = "published"


def loss_curves(history: pd.DataFrame, panels: str = "depth") -> Figure:
    """Training and validation loss against epochs: one panel per depth, or, by `split`, per loss.

    In the panel of a loss each line has its depth at its end.
    """
    named = history.rename(columns={"train_loss": "training", "validation_loss": "validation"})
    return by_epoch(
        frames.base_rate(named),
        ["training", "validation"],
        Axis("mean", "cross-entropy", log=True, digits=".4f"),
        **_LOSSES[panels],
        text="Training and validation loss on {data} by epoch. At the end: {ends}.",
        ending="{family} {depth}, {split}: {mean:.3g}",
    )


def accuracy_by_depth(runs: pd.DataFrame, runs_page: str = "") -> Figure | Prose:
    """Test accuracy against depth, with intervals.

    Points lead to their runs, on the same page or on the `runs_page`.  Without runs, a clause.
    """
    if runs.empty:
        return Prose("*No such run is here.*")
    base = frames.base_rate(runs)
    return _means(base, ["family", "depth"], "test_accuracy", depths(base), runs_page)


def _means(
    runs: pd.DataFrame, by: Sequence[str], metric: str, x: Axis, runs_page: str = "", **looks: Any
) -> Figure:
    """The means of a fraction in percent against `x`, for each value of the columns `by`."""
    table = in_percent(summarize(runs, by, metric))
    name, titles = METRICS[metric].title, dataset_titles(runs)
    told = ["family", looks["panels"].column] if "panels" in looks else ["family"]
    return draw_chart(
        linked(table, runs, by, runs_page),
        x,
        Axis("mean", f"{name} (%)"),
        title=titles,
        text=_text(f"{name.capitalize()} on {titles}", table, x, told=told),
        **looks,
    )


def outcomes_by_depth(runs: pd.DataFrame) -> Figure:
    """Test accuracy and training loss against depth, side by side, with intervals."""
    base, by = frames.base_rate(runs), ["family", "depth"]
    accuracy = in_percent(summarize(base, by, "test_accuracy"))
    loss = summarize(base, by, "train_loss")
    panels = {"test accuracy (%)": accuracy, "training loss, last epoch": loss}
    numbers = dict.fromkeys(("mean", "half_width", "low", "high"), float)
    both = pd.concat((part.assign(outcome=n) for n, part in panels.items()), ignore_index=True)
    table = both[[*by, "outcome", *numbers, "n"]].astype(numbers)
    x, titles = depths(table), dataset_titles(runs)
    drawn = draw_chart(
        linked(table, base, by),
        x,
        Axis("mean", "", digits=".3~g"),
        panels=Panels("outcome", title="", columns=2, apart="y", order=[*panels]),
        title=titles,
        text=f"{_text(f'Test accuracy on {titles}', accuracy, x)} "
        f"{_text('Training loss', loss, x, '{mean:.2g}')}",
    )
    rows = base.assign(accuracy=100 * base["test_accuracy"]).sort_values("depth")
    return replace(drawn, predicted=predictions.of(rows, "depth", "accuracy", str(x.title)))


def fit_by_network(runs: pd.DataFrame) -> Figure:
    """Training loss of the deepest networks, changed ones too, in the order of that loss.

    They are those that are trained as all depths are, without those of which some runs ended at
    chance and others did not: a mean over both says nothing.
    """
    base = frames.base_rate(runs)
    deep = base[base["depth"] == base["depth"].max()]
    deep = deep[deep["optimizer"] == deep["optimizer"].iloc[0]]
    deep = deep[deep.groupby("group")["at_chance"].transform("nunique") == 1]
    named = deep["group"].map(labels(deep, ["family"], ["family", "depth"]))
    deep = deep.assign(network=named.where(named != "", deep["family"]))
    by = ["family", "depth", "network"]
    table = summarize(deep, by, "train_loss").dropna(subset=["mean"]).sort_values("mean")
    return draw_chart(
        linked(table, deep, by),
        Axis("mean", "training loss, last epoch", log=True, digits=".2g"),
        Axis("network", "", order=[*table["network"]]),
        marks="points",
        title=dataset_titles(runs),
        text=f"Training loss in the last epoch on {dataset_titles(runs)} by network: "
        f"{words.rows(table, '{network} {mean:.2g}')}; {_seeds(table)}.",
    )


def accuracy_by_parameters(runs: pd.DataFrame, runs_page: str = "") -> Figure | Prose:
    """Test accuracy against the number of parameters, with intervals; points lead to their runs."""
    if runs.empty:
        return NO_RUNS
    base, by = frames.base_rate(runs), ["family", "depth", "parameters"]
    round_numbers = [digit * 10**power for power in range(12) for digit in (1, 2, 5)]
    least, most = base["parameters"].min(), base["parameters"].max()
    ticks = [number for number in round_numbers if least <= number <= most]
    x = Axis("parameters", "parameters", log=True, ticks=ticks, format="~s", digits=",")
    return _means(base, by, "test_accuracy", x, runs_page, also={"depth": ""})


def learning_rate_sweep(runs: pd.DataFrame) -> Figure | Prose:
    """Validation accuracy, on which a rate is chosen, against the rate, a panel per swept depth.

    Where no depth was swept, a sentence that says so.
    """
    swept = runs[runs["depth"].isin(frames.swept_depths(runs))]
    if swept.empty:
        return Prose("*No depth was trained with several learning rates.*")
    rates = sorted(swept["learning_rate"].unique().tolist())
    x = Axis("learning_rate", "learning rate", log=True, ticks=rates)
    by, panels = ["family", "depth", "learning_rate"], Panels("depth", columns=2)
    return _means(swept, by, "validation_accuracy", x, panels=panels)


def _text(
    what: str,
    table: pd.DataFrame,
    x: Axis,
    form: str = "{mean:.2f} %",
    told: Sequence[str] = ("family",),
) -> str:
    """A text alternative with the first and the last mean along `x` of each line, as `told`."""
    parts = []
    for line, rows in table.groupby([*told], sort=False):
        family = " ".join(map(str, line))
        ordered = rows.dropna(subset=["mean"]).sort_values(x.column, kind="stable")
        if ordered.empty:
            parts.append(f"{family} diverged")
            continue
        ends = words.rows(ordered.iloc[[0, -1]], f"{form} at {{{x.column}:g}}", " to ")
        parts.append(f"{family} from {ends}")
    return f"{what} by {x.title}: {'; '.join(parts)}; {_seeds(table)}."


def _seeds(table: pd.DataFrame) -> str:
    """The number of seeds behind the means of a table: `mean over 3 seeds`."""
    seeds = table[table["n"] > 0]["n"]
    counts = f"{seeds.min()} to {seeds.max()}" if seeds.nunique() > 1 else f"{seeds.max()}"
    return f"mean over {counts} seeds"


def at_base_rate(runs: pd.DataFrame) -> pd.DataFrame:
    """The networks as they are designed, at the learning rate that all depths share."""
    return frames.base_rate(frames.as_designed(runs))


def compare_values(
    answers: Mapping[str, Sequence[Record]],
    main: Callable[[pd.DataFrame], pd.DataFrame] = at_base_rate,
) -> Table | Prose:
    """A chart and a table of test accuracies, where a page was asked for several values.

    `answers` are the records of each value, under its name; the page is about the first that is not
    `PUBLISHED`.  `main` chooses what is compared from the frame of `runs` of an answer.  With a
    single answer, or without runs, nothing is shown.  The table has the difference from the first
    value too, in points and paired by seed.
    """
    if len(answers) < 2 or not all(answers.values()):
        return Prose("")
    parts = [main(frames.runs(records)) for records in answers.values()]
    if len({frozenset(part["key"]) for part in parts}) == 1:
        return Prose(f"The runs of {words.listed([*answers])} are the same.")
    runs = pd.concat(
        part.assign(
            answer=answer,
            place=place,
            network=part["group"].map(labels(part, within=["family"], told=["depth"])),
        )
        for place, (answer, part) in enumerate(zip(answers, parts, strict=True))
    ).reset_index(drop=True)

    def gained(part: pd.DataFrame) -> str:
        network, depth = part[["network", "depth"]].iloc[0]
        first = runs[(runs["place"] == 0) & (runs["network"] == network)]
        first = first[first["depth"] == depth]
        if first.empty or {*first["key"]} == {*part["key"]}:
            return ""
        asked, one = (Selection(rows, {"answer": rows["answer"].iloc[0]}) for rows in (part, first))
        gain = (asked - one).in_("test_accuracy")
        return ", ".join(filter(None, (f"{gain} (n = {gain.n})", gain.reason)))

    depth, first = words.depth_axis(runs["family"]), next(iter(answers))
    columns = [
        Column("Model", "network", is_text=True),
        replace(DEPTH, heading=depth.capitalize(), name="Depth"),
        Column("Asked for", "answer", is_text=True, tells=None),
        TEST_ACCURACY,
        Column(f"Gain on {first}", gained, name="Gain on the first", is_text=True),
        PARAMETERS,
        count_of_runs(),
    ]
    table = table_of(runs, ["network", "depth", "place"], columns)
    about = for_html(next(answer for answer in answers if answer != PUBLISHED))
    sentence = (
        f'<p id="compared">The page\'s other charts, tables and sentences are about: {about}. Here '
        "stand all, with what follows from each, as the number of parameters may. "
        f"The gain on {for_html(first)} is in points, paired by seed, its interval not corrected "
        "for the number of rows.</p>\n"
    )
    histories = [frames.history(records) for records in answers.values()]
    charts = [_chart(runs, [*answers]).parts(), _losses(runs, histories, [*answers]).parts()]
    written, alive = ("\n".join(map(form, charts)) for form in (in_notebook, alone))
    return _Compared(
        table.frame,
        f"{sentence}{written}{table.markup}",
        f"{sentence}{alive}{table.markup}",
    )


@dataclass(frozen=True)
class _Compared(Table):
    """A table below charts, which are alive `on_page`."""

    on_page: str

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {"text/html": self.markup, MIME: self.on_page}


def _losses(
    runs: pd.DataFrame, histories: Sequence[pd.DataFrame], answers: Sequence[str]
) -> Figure:
    """Losses by epoch, a colour for each answer and a panel for each network and depth."""
    named = pd.concat(
        part.assign(answer=answer) for answer, part in zip(answers, histories, strict=True)
    ).rename(columns={"train_loss": "training", "validation_loss": "validation"})
    named = named.merge(runs[["key", "answer", "network"]], on=["key", "answer"])
    named["panel"] = named["network"] + ", " + named["depth"].astype(str)
    by = ["panel", "answer", "split"]
    splits = ["training", "validation"]
    long = named.melt(["panel", "answer", "epoch"], splits, "split", "loss")
    table = summarize(long.dropna(subset=["loss"]), [*by, "epoch"], "loss")
    table = table[table["n"] == table.groupby(by)["n"].transform("max")]
    ends = words.rows(at_the_end(table, by), "{panel}, {answer}, {split}: {mean:.3g}")
    return draw_chart(
        table,
        Axis("epoch", "epoch", format="d"),
        Axis("mean", "cross-entropy", log=True, digits=".4f"),
        panels=Panels("panel", "", 2),
        colour=("answer", answers),
        dash=("split", splits),
        marks="curves",
        title=dataset_titles(runs),
        text=f"Training and validation loss by epoch. At the end: {ends}.",
    )


def _chart(runs: pd.DataFrame, answers: Sequence[str]) -> Figure:
    """Test accuracy against depth, a line for each answer and a panel for each network."""
    by = ["network", "answer", "depth"]
    table = in_percent(summarize(runs, [*by, "family"], "test_accuracy"))
    x, last = depths(table), at_the_end(table, by[:2], "depth")
    return draw_chart(
        table,
        x,
        Axis("mean", "test accuracy (%)"),
        panels=Panels("network", columns=2),
        colour=("answer", answers),
        title=dataset_titles(runs),
        text=f"Test accuracy by {x.title}. At the most: "
        f"{words.rows(last, '{network}, {answer}: {mean:.2f} %')}.",
    )
