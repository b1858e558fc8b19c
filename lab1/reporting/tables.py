"""Tables of a page: their columns, said once, and the table of a page's settings."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import pandas as pd

from ..core import differences
from ..core.escape import for_html
from ..core.fields import Field
from ..core.spec import ModelSpec
from ..core.training_config import DistillationConfig, TrainingConfig
from ..errors import not_allowed
from . import words
from .frames import DESIGN, on_one_device
from .statistics import MINUS, Estimate, in_words, mean_of


@dataclass(frozen=True)
class Table:
    """Plain values in `frame`, and `markup` that a page shows."""

    frame: pd.DataFrame
    markup: str

    def _repr_html_(self) -> str:
        return self.markup

    def to_csv(self) -> str:
        """The frame as CSV."""
        return str(self.frame.to_csv(index=False, lineterminator="\n"))


#: The fields of a spec.
_FIELDS = {"dataset", "seed", "role", "teacher"} | {
    field.name for part in (ModelSpec, TrainingConfig, DistillationConfig) for field in fields(part)
}

#: Where a page in `report/` finds the page of all runs.
RUNS_PAGE = "../runs.html"
_NUMBER = '<td class="number">'


@dataclass(frozen=True)
class Column:
    """A column of a table with a row for each group of runs, said once.

    `heading` is what the page calls it, `""` keeps it out of the page.  `value` is computed from a
    group's runs, or names a column of theirs that they share.  `show` formats it for the page.
    `name` is what the CSV calls it, by default the heading; `""` keeps it out of the CSV, where an
    `Estimate` is two columns, `name` and `spread`.  Numbers there are rounded to `digits`.  `tells`
    are the fields of a spec that one reads off it, `None` for all that tell rows apart.
    """

    heading: str
    value: Callable[[pd.DataFrame], Any] | str
    show: Callable[[Any], str] | str = "{}"
    name: str | None = None
    spread: str = "95% half-width"
    digits: int | None = None
    is_text: bool = False
    tells: tuple[str, ...] | None = ()

    def __post_init__(self) -> None:
        for name in self.tells or ():
            if name.removeprefix("teacher ") not in _FIELDS:
                allowed = f"{', '.join(sorted(_FIELDS))}, each also after 'teacher '"
                raise not_allowed("tells", name, allowed, f"column {self.heading!r}")

    def value_of(self, part: pd.DataFrame) -> Any:
        """The value of the column in the row of these runs."""
        return part[self.value].iloc[0] if isinstance(self.value, str) else self.value(part)

    def in_csv(self, value: Any) -> dict[str, Any]:
        """The value under its name, or names, in the CSV."""
        name = self.heading if self.name is None else self.name
        if not name:
            return {}
        if isinstance(value, Estimate):
            return {name: self._rounded(value.mean), self.spread: self._rounded(value.half_width)}
        return {name: self._rounded(value)}

    def _rounded(self, value: Any) -> Any:
        return value if self.digits is None else round(value, self.digits)

    def content(self, value: Any) -> str:
        """The value as HTML."""
        written = self.show(value) if callable(self.show) else self.show.format(value)
        return for_html(written) if self.is_text else written

    def cell(self, content: str) -> str:
        """A cell of a page's table, of such HTML."""
        return f"<td>{content}</td>" if self.is_text else number(content)


def csv_only(column: Column) -> Column:
    """The column, without a place on the page."""
    name = column.heading if column.name is None else column.name
    return replace(column, heading="", name=name)


def page_only(column: Column) -> Column:
    """The column, without a place in the CSV."""
    return replace(column, name="")


def table_of(runs: pd.DataFrame, by: Sequence[str], columns: Sequence[Column]) -> Table:
    """A table with one row for each group of runs (`frames.group_of`), in the order of `by`.

    What is missing in one of these comes before what is not.  Where the columns do not tell all
    rows apart a column `Setting` does, before the first that tells nothing.  What is the same in
    every row of several is said once, above the table; the frame has all of it.
    """
    gaps = {name: 0 for name in by if runs[name].isna().any()}
    groups = runs.fillna(gaps).groupby([*by, "group"], sort=True).groups.values()
    told = [column.tells for column in columns]
    if None not in told:
        named = {name for tells in told for name in tells or ()}
        settings = labels(runs, named, named)
        if any(settings.values()):
            setting = Column("Setting", lambda part: settings[part["group"].iloc[0]], is_text=True)
            columns = [*columns]
            columns.insert(told.index(()) if () in told else len(told), setting)
    values = [
        [(column, column.value_of(part)) for column in columns]
        for part in (runs.loc[index] for index in groups)
    ]
    rows = [
        {name: entry for column, value in row for name, entry in column.in_csv(value).items()}
        for row in values
    ]
    filled = [
        (column, [column.content(row[index][1]) for row in values])
        for index, column in enumerate(columns)
        if column.heading
    ]
    same = [entry for entry in filled if len(values) > 1 and len(set(entry[1])) == 1]
    common = "; ".join(f"{for_html(column.heading)}: {contents[0]}" for column, contents in same)
    above = f'<p class="lab1-common">The same in every row: {common}.</p>\n' if same else ""
    left = [entry for entry in filled if entry not in same]
    cells = [[column.cell(content) for content in contents] for column, contents in left]
    body = markup(
        [column.heading for column, _ in left], [[*row] for row in zip(*cells, strict=True)]
    )
    return Table(pd.DataFrame(rows), above + body)


def labels(runs: pd.DataFrame, within: Collection[str], told: Collection[str]) -> dict[str, str]:
    """The label of each group of runs, see `core.differences.labels`."""
    first = runs.drop_duplicates("group")
    said = differences.labels([*first["spec"]], within, told)
    return dict(zip(first["group"], said, strict=True))


def words_for(form: str = ".2f", spread: str = "", empty: str = "") -> Callable[[Estimate], str]:
    """Shows an `Estimate` as `in_words` does, and `empty` where no run has a value."""
    return lambda value: in_words(value, form, spread).replace("-", MINUS) if value.n else empty


def runs_address(runs: pd.DataFrame, runs_page: str = "") -> str:
    """Where these runs of one configuration stand: on the page of all runs these alone.

    On the same page it is that of their configuration, which may have more.
    """
    if runs_page:
        return f"{runs_page}#runs={','.join(runs['key'])}"
    return f"#runs-{runs['group'].iloc[0]}"


def count_of_runs(runs_page: str = "", of: Callable[[pd.DataFrame], int] = len) -> Column:
    """`n`, which leads to the runs behind the row (`runs_address`), and names their seeds."""

    def show(part: pd.DataFrame) -> str:
        seeds = ", ".join(map(str, part["seed"]))
        return f'<a href="{runs_address(part, runs_page)}" title="seeds {seeds}">{of(part)}</a>'

    return Column("n", lambda part: part, show, name="")


def with_a_score(part: pd.DataFrame) -> int:
    """The runs that have a test accuracy: those that did not diverge."""
    return int(part["test_accuracy"].notna().sum())


def column_n(of: Callable[[pd.DataFrame], int] = len) -> Column:
    """`n` in the CSV."""
    return Column("", of, name="n")


MODEL = Column(
    "Model",
    lambda part: ", ".join(filter(None, part[["family", "change"]].iloc[0])),
    is_text=True,
    tells=("family", *DESIGN),
)

DATASET = Column("Dataset", "dataset_title", is_text=True, tells=("dataset",))

DEPTH = Column("Depth", "depth", tells=("depth",))

LEARNING_RATE = Column("Learning rate", "learning_rate", "{:g}", tells=("learning_rate",))

EPOCHS = Column("Epochs", "epochs_allowed", tells=("epochs",))

PRECISION = Column("Precision", "precision", is_text=True, tells=("precision",))

PARAMETERS = Column("Parameters", "parameters", "{:,}", "Params")

TEST_ACCURACY = Column(
    "Test accuracy (%)",
    lambda part: mean_of(part.assign(percent=100 * part["test_accuracy"]), "percent"),
    words_for(empty="diverged"),
    "Test accuracy",
    digits=3,
)

#: In nats.
TEST_LOSS = Column(
    "Test loss",
    lambda part: mean_of(part, "test_loss"),
    words_for(".3f"),
    spread="Test loss half-width",
    digits=4,
)

DEVICE = Column("Device", lambda part: " / ".join(sorted(set(part["hardware"]))), is_text=True)


def _timed_on(part: pd.DataFrame) -> str:
    """The device of the runs whose time a row shows, and those of its other runs."""
    timed = on_one_device(part)["hardware"].iloc[0]
    others = sorted({*part["hardware"]} - {timed})
    return f"{timed} (not in the time: {' / '.join(others)})" if others else timed


#: Of a whole training, over the runs on one kind of device, whose load a median leaves out.
TRAIN_TIME = Column(
    "Train time (s)",
    lambda part: on_one_device(part)["train_seconds"].median(),
    "{:.0f}",
    "Train time",
    digits=1,
)


def performance(runs: pd.DataFrame, *, runs_page: str = "") -> Table:
    """The performance summary: accuracies in percent, times in seconds; `n` leads to the runs.

    They stand on the same page or on the `runs_page`.  A time is the median of the runs on one kind
    of device, that of most of them.  The CSV also has the test loss, augmentation and optimiser.
    Diverged runs have no test accuracy and do not count in `n`.
    """
    depth = words.depth_axis(list(runs["family"].unique())).capitalize()
    columns = [
        MODEL,
        csv_only(DATASET),
        replace(DEPTH, heading=depth, name="Depth"),
        LEARNING_RATE,
        csv_only(PARAMETERS),
        TEST_ACCURACY,
        column_n(with_a_score),
        count_of_runs(runs_page, with_a_score),
        page_only(DATASET),  # after the result
        EPOCHS,
        PRECISION,
        page_only(PARAMETERS),
        TRAIN_TIME,
        Column("Device", _timed_on, is_text=True),
        csv_only(TEST_LOSS),
        Column("", "augmentation", name="Augmentation"),
        Column("", "optimizer", name="Optimiser"),
    ]
    settings = ["learning_rate", "change", "parameters", "epochs_allowed", "precision"]
    return table_of(runs, ["family", "dataset", "depth", *settings], columns)


def markup(header: list[str], rows: list[list[str]], row_ids: list[str] | None = None) -> str:
    """An HTML table from one or more rows of finished cells, inside a box that scrolls."""
    # A heading stands as its column does, numbers to the right; a row may be one heading.
    kinds = [' class="number"' if cell.startswith(_NUMBER) else "" for cell in max(rows, key=len)]
    head = "".join(
        f'<th scope="col"{kind}>{for_html(name)}</th>'
        for name, kind in zip(header, kinds, strict=True)
    )
    ids = [f' id="{row_id}"' for row_id in row_ids] if row_ids else [""] * len(rows)
    body = "\n".join(f"<tr{i}>{''.join(row)}</tr>" for i, row in zip(ids, rows, strict=True))
    return (
        '<div class="lab1-table" role="group" tabindex="0" aria-label="table, may scroll">'
        f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def text(value: Any) -> str:
    """A cell that reads as text."""
    return f"<td>{for_html(value)}</td>"


def number(value: Any) -> str:
    """A cell whose content stands to the right; HTML in it is kept, words in brackets may wrap."""
    content = re.sub(r" (\([^<>]*\))$", r" <span>\1</span>", str(value))
    return f"{_NUMBER}{content}</td>"


def settings_table(
    asked: Mapping[str, Any], published: Mapping[str, Any], declared: Mapping[str, Field]
) -> Table:
    """A folded table of each parameter: what it means, its value, and the published one.

    The last column is left out where it would repeat the values.
    """
    rows = [
        (declared[name].meaning, name, _value_in_words(value), _value_in_words(published.get(name)))
        for name, value in asked.items()
        if (value, published.get(name)) != (None, None)
    ]
    columns = ["Setting", "Parameter", "Value", "Published"]
    if all(value == usual for *_, value, usual in rows):
        columns.pop()
    kept = [row[: len(columns)] for row in rows]
    cells = [[text(value) for value in row] for row in kept]
    return Table(
        pd.DataFrame(kept, columns=columns),
        "<details><summary>Every setting and its value</summary>\n"
        f"{markup(columns, cells)}\n</details>",
    )


def _value_in_words(value: Any) -> str:
    if isinstance(value, tuple):
        return words.listed([str(part) for part in value])
    return "none" if value is None else str(value)
