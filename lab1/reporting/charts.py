"""The form of all charts: lines over x, points, and bars.

The function of a chart has its data and its words, and the form draws them: in the colours and
shapes of the families, with the interval of each mean, a tooltip, legends that pick, a link from a
point to its runs where the table has a column `runs` (see `linked`), and names at lines' ends.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from . import tables, theme, words
from .axes import Axis, Panels
from .figure import Figure
from .theme import COLOURS

#: Heights in pixels: of a chart, of a panel, of a panel with dense curves, and of a row of names.
_HEIGHT, _PANEL, _CURVES, _ROW = 300, 230, 170, 26

#: The width in pixels of a panel, by how many stand beside each other; and of a single chart.
_WIDTHS = {1: 480, 2: 260, 3: 210}

_WIDTH = 560

#: In pixels: the width and height of a letter of a name, and how far apart two intervals stand.
_LETTER, _LINE_OF_TEXT, _BESIDE = 6, 17, 5

#: What a tooltip calls a column, where that is not its name.
_TITLES = {"family": "model", "source": "from", "dataset_title": "data"}


def draw_chart(
    table: pd.DataFrame,
    x: Axis,
    y: Axis,
    *,
    text: str,
    title: str = "",
    marks: str = "lines",
    panels: Panels | None = None,
    colour: str | tuple[str, Sequence[str]] = "family",
    dash: str | tuple[str, Sequence[str]] = "",
    shape: str = "",
    thickness: str = "",
    detail: str = "",
    label: str = "",
    level: float | None = None,
    number: str = "",
    beside: str = "",
    also: Mapping[str, str] | None = None,
    data: pd.DataFrame | None = None,
) -> Figure:
    """A chart of a table's rows; `marks` are `lines`, `curves`, `points` or `bars`.

    There is a line for each value of the columns `colour`, `dash`, `thickness`, `detail`.  Its
    points have the shapes of a column `shape`, by default those of the colour; intervals stand side
    by side, and each line has its name at its end, that of a column `label` where there is one.
    Curves are lines of many points: they have dots, bands for intervals, a common zoom, and no
    other names than those of a `label`.  Points stand over `x`, or with names on `y` along `x`;
    bars lie along `x`, one for each name of `y`, and have parts by colour.

    `colour` is one for all, or it and `dash` are columns, which may come with the names of their
    legends, the solid line's first.  A rule marks a `level`.  With `number`, a format of d3's, the
    value stands behind each bar; a diamond has the value of the column `beside`, the same for all
    parts of a bar.  `title` stands above the chart, and `text` says what it shows.  A tooltip has
    the columns of `also` too, each with its format.  `data` is what a reader takes away, by default
    the `table` without links.
    """
    form = _Form(table, x, y, panels, colour, dash, shape, marks)
    parts = [*filter(None, (form.colour, form.dash, thickness, detail))]
    if marks == "lines" or label:
        form.name_lines(parts, label)
    if marks == "lines":
        form.part_intervals(parts)
    else:
        form.cut_at_zero()
    tooltip = form.tooltip([form.dash, detail, y.column if y.order else x.column], also)
    form.add_level(level)
    if marks == "bars":
        form.add_bars(tooltip, number, beside)
        return form.finished(title, text, data)
    base = form.base(detail=[f"{name}:N" for name in parts[1:]]) if parts[1:] else form.base()
    styled = base.encode(strokeDash=theme.dash(form.dash, form.dashes)) if dash else base
    if form.dense:  # a band lies below its line, and a rule on it
        form.add_interval(base)
    if marks != "points":
        line = styled.mark_line(clip=form.dense)
        if thickness:
            # The size of a line is its thickness: to a width of strokes the theme's is preferred.
            # A legend would show it as the size of dots.
            size = alt.Size(f"{thickness}:O", scale=alt.Scale(range=[1.2, 3.8]), legend=None)
            line = line.encode(size=size)
        form.add(line, form.colour, form.dash)
    if not form.dense:
        form.add_interval(styled)
    form.add_points(base, tooltip)
    form.add_names()
    return form.finished(title, text, data)


class _Form:
    """A chart in the making: its table, the selections of its legends, and its layers."""

    def __init__(
        self,
        table: pd.DataFrame,
        x: Axis,
        y: Axis,
        panels: Panels | None,
        colour: str | tuple[str, Sequence[str]],
        dash: str | tuple[str, Sequence[str]],
        shape: str,
        marks: str,
    ) -> None:
        self.given = self.table = table
        self.x, self.y, self.panels, self.dense = x, y, panels, marks == "curves"
        self.value = x if y.order else y
        self.place = x.column
        self.panel = table[panels.column] if panels else pd.Series("", table.index)
        self.height: Any = (_CURVES if self.dense else _PANEL) if panels else _HEIGHT
        if y.order:
            self.height = _ROW * len(y.order)
            if panels and "y" in panels.apart:  # each has names of its own
                self.height = alt.Step(_ROW)
        self.tint = colour if isinstance(colour, str) and colour.startswith("#") else ""
        self.colour, self.colours = _legend(table, "" if self.tint else colour)
        self.dash, self.dashes = _legend(table, dash)
        self.shape, self.shapes = _legend(table, shape or self.colour)
        legends = dict.fromkeys(filter(None, [self.colour, self.dash, self.shape]))
        self.picks = {
            name: alt.selection_point(name=f"pick_{name}", fields=[name], bind="legend")
            for name in legends
        }
        self.unexplained = {**self.picks}
        self.layers: list[alt.Chart] = []

    def base(self, **encodings: Any) -> alt.Chart:
        """The encodings that all marks of the data share."""
        tint = theme.colour(self.colour, self.colours) if self.colour else alt.value(self.tint)
        chart: alt.Chart = alt.Chart().encode(
            x=self.along_x(), y=self.along_y(), color=tint, opacity=self.opacity(), **encodings
        )
        return chart

    def along_x(self, column: str = "") -> Any:
        """The encoding of a column on the axis `x`, by default of its place there."""
        return self.x.channel(alt.X, 3 if self.dense else 20, column or self.place)

    def along_y(self, column: str = "") -> Any:
        """The encoding of a column on the axis `y`, by default of its own."""
        return self.y.channel(alt.Y, 3 if self.dense else 8, column)

    def opacity(self, full: float = 1, faint: float = 0.12) -> Any:
        """The opacity of what a reader picked in all legends; the rest is faint."""
        picks = [*self.picks.values()]
        if not picks:
            return alt.value(full)
        return alt.when(*picks).then(alt.value(full)).otherwise(alt.value(faint))

    def tooltip(self, columns: Sequence[str], also: Mapping[str, str] | None) -> list[alt.Tooltip]:
        """A row for the legends, the panel, these columns, the value, and `also` some others."""
        titles = {**_TITLES, self.x.column: self.x.title}
        panel = self.panels.column if self.panels else ""
        names = dict.fromkeys(filter(None, [self.shape, self.colour, panel, *columns]))

        def row(name: str, format: str) -> alt.Tooltip:
            kind = "Q" if pd.api.types.is_numeric_dtype(self.table[name]) else "N"
            title = titles.get(name) or name.replace("_", " ")
            return alt.Tooltip(f"{name}:{kind}", title=title, format=format or alt.Undefined)

        return [
            *(row(name, self.x.digits if name == self.x.column else "") for name in names),
            *self.value.tooltip(self.table),
            *(row(name, format) for name, format in (also or {}).items()),
        ]

    def add(self, layer: alt.Chart, *explained: str) -> None:
        """Adds a layer whose marks the legends of these columns explain.

        A legend answers to a selection of the first marks that it explains, and to no other.
        """
        for name in explained:
            if name in self.unexplained:
                layer = layer.add_params(self.unexplained.pop(name))
        self.layers.append(layer)

    def add_level(self, level: float | None) -> None:
        """Adds a rule at that value, which has no part in the legends."""
        if level is not None:
            rule = alt.Chart().transform_aggregate(rows="count()").mark_rule(color=theme.NEUTRAL)
            x, y = alt.XDatum(level), alt.YDatum(level)
            self.add(rule.encode(x=x) if self.y.order else rule.encode(y=y))

    def add_interval(self, base: alt.Chart) -> None:
        """Adds the interval of each value, as a band or a rule, where the table has one."""
        low, high = self.value.interval
        if low not in self.table:
            return
        if self.dense:
            base = base.encode(opacity=self.opacity(0.2, 0.03)).mark_area(clip=True)
        else:
            base = base.mark_rule(clip=self.value.domain is not None)
        if self.y.order:
            base = base.encode(x=self.along_x(low), x2=f"{high}:Q")
        else:
            base = base.encode(y=self.along_y(low), y2=f"{high}:Q")
        self.add(base, self.colour)

    def add_points(self, base: alt.Chart, tooltip: list[alt.Tooltip]) -> None:
        """Adds the points: dots of curves, with their zoom, or shapes that lead to their runs."""
        base = base.encode(tooltip=tooltip)
        if self.dense:
            # Of their own, for points that belong to the line would take its thickness from it.
            base = base.mark_circle(size=16, clip=True)
            if self.panels and not self.panels.apart:
                base = base.add_params(_zoom())
        else:
            leads = "runs" in self.table
            base = base.mark_point(cursor="pointer" if leads else alt.Undefined)
            if self.shape:
                base = base.encode(shape=theme.shape(self.shape, self.shapes))
            if leads:
                base = base.encode(href="runs:N")
        self.add(base, self.colour, self.shape)

    def add_bars(self, tooltip: list[alt.Tooltip], number: str, beside: str) -> None:
        """Adds bars, their parts in the order of the legend, and what stands on and behind each."""
        base = self.base(tooltip=tooltip)
        if self.colour:
            self.table = self.table.assign(place=self.table[self.colour].map(self.colours.index))
            base = base.encode(order=alt.Order("place:Q"))
        self.add(base.mark_bar(), self.colour)
        if beside:
            text = theme.TEXT
            mark = alt.Chart().mark_point(shape="diamond", size=80, color=text, fill=text)
            measured = alt.Tooltip(f"max({beside}):Q", title=beside, format=self.x.digits)
            x = alt.X(f"max({beside}):Q")
            self.add(mark.encode(x=x, y=self.along_y(), tooltip=[measured]))
        if number:
            value, tint = alt.Text(f"{self.x.column}:Q", format=number), alt.value(theme.TEXT)
            self.add(base.mark_text(align="left", dx=4).encode(text=value, color=tint))

    def add_names(self) -> None:
        """Adds the names at the ends of the lines, where the table has them."""
        if "name" in self.table:
            names = alt.Chart().transform_filter("isValid(datum.end)")
            ends = alt.Y("end:Q", title=self.y.title)
            names = names.encode(x=self.along_x(), y=ends, text="name:N", opacity=self.opacity())
            self.add(names.mark_text(align="left", dx=10))

    def finished(self, title: str, text: str, data: pd.DataFrame | None) -> Figure:
        """The finished figure."""
        chart = alt.layer(*self.layers, data=_rounded(self.table)).properties(height=self.height)
        if self.panels:
            panels, values = self.panels, self.panel.unique().tolist()
            if pd.api.types.is_numeric_dtype(self.panel):
                values = sorted(values)
            heading = panels.title
            if heading is None and panels.column == "depth":
                heading = words.depth_axis(self.colours)
            order = [*panels.order] or values
            facet = alt.Facet(f"{panels.column}:N", title=heading, sort=order)
            scales: dict[str, Any] = dict.fromkeys(panels.apart, "independent")
            chart = (
                chart.properties(width=_WIDTHS[panels.columns])
                .facet(facet=facet, columns=panels.columns)
                .resolve_scale(**scales)
            )
            if "name" in self.table:
                longest = max(map(len, self.table["name"].dropna()), default=1)
                chart = chart.properties(spacing={"row": 20, "column": 30 + _LETTER * longest})
        # A reader's letters may be wider than those of a picture.
        names_at_ends, names_on_y = "name" in self.table, bool(self.y.order)
        if names_at_ends or names_on_y:
            sides = {"left": 25 if names_on_y else 5, "right": 20 if names_at_ends else 5}
            chart = chart.properties(padding={"top": 5, "bottom": 5, **sides})
        data = self.given.drop(columns="runs", errors="ignore") if data is None else data
        return Figure(chart.properties(title=title) if title else chart, data, text)

    def name_lines(self, parts: Sequence[str], label: str = "") -> None:
        """Gives the last point of each line its name, where there are several in a panel.

        The name stands in a column `name`, and in `end` the value at which it stands, clear of the
        others.  It is that of the `label`; else that of the colour, or of the dash, where the dash
        alone tells lines apart or the line is not solid.  Lines of one name have it once, in their
        middle.
        """
        table, value, panel = self.table, self.y.column, self.panel
        name = table[label or self.colour]
        if self.dash and not label:
            several = name.groupby(panel).nunique().max() > 1
            name = name.where(several & (table[self.dash] == self.dashes[0]), table[self.dash])
        if name.groupby(panel).nunique().max() < 2:
            return
        ordered = table if self.x.order else table.sort_values(self.x.column, kind="stable")
        lines = [panel, *(table[part] for part in parts)]
        last = ordered.dropna(subset=[value]).groupby(lines, sort=False).tail(1)
        drawn = table[[c for c in (value, *self.y.interval) if c in table]].astype(float)
        apart = self.panels is not None and "y" in self.panels.apart
        end = pd.Series(math.nan, table.index)
        for of_panel, rows in last.groupby(panel, sort=False):
            reached = drawn[panel == of_panel] if apart else drawn
            means = rows[value].astype(float).groupby(name).mean().sort_values(kind="stable")
            if self.y.log:
                reached, means = reached.where(reached > 0).map(math.log), means.map(math.log)
            low = 0.0 if self.y.zero else reached.min().min()
            clear = _clear(means, _LINE_OF_TEXT * (reached.max().max() - low) / self.height)
            clear = clear.map(math.exp) if self.y.log else clear
            first = rows.groupby(name).head(1).index
            end[first] = name[first].map(clear)
        self.table = table.assign(name=name.where(end.notna(), None), end=end)

    def part_intervals(self, parts: Sequence[str]) -> None:
        """Puts the lines of a panel side by side, for intervals on top of one another look alike.

        A column `place` has where a point stands on `x`.
        """
        line = self.table.groupby([*parts], sort=False).ngroup().groupby(self.panel).rank("dense")
        if self.x.order or line.max() < 2:
            return
        width = _WIDTHS[self.panels.columns] if self.panels else _WIDTH
        middle = (line.groupby(self.panel).transform("max") + 1) / 2
        shift = _BESIDE * (line - middle) / width
        values = self.table[self.x.column].astype(float)
        low, high = values.min(), values.max()
        place = values * (high / low) ** shift if self.x.log else values + (high - low) * shift
        self.place, self.table = "place", self.table.assign(place=place)

    def cut_at_zero(self) -> None:
        """Cuts intervals off that a logarithmic axis, which has no zero, cannot show.

        They end just below the lowest mean of their panel: one that reaches zero would else take
        most of the axis, and leave the curves little of it.
        """
        low, value = self.value.interval[0], self.value.column
        if self.value.log and low in self.table:
            means = self.table[value]
            lowest = means.where(means > 0).groupby(self.panel).transform("min") / 2
            # Where nothing has an interval the column is not even one of numbers.
            cut = self.table[low].astype(float).clip(lower=lowest)
            self.table = self.table.assign(**{low: cut})


def _clear(values: pd.Series[float], apart: float) -> pd.Series[float]:
    """The ascending `values`, moved so that they are at least `apart`, around the same mean."""
    moved: list[float] = []
    for value in values:
        moved.append(max(value, moved[-1] + apart) if moved else value)
    clear = pd.Series(moved, values.index)
    return clear - clear.mean() + values.mean()


def _legend(table: pd.DataFrame, given: str | tuple[str, Sequence[str]]) -> tuple[str, list[str]]:
    """A column and the names in its legend: as given, in the order of families, or the table's."""
    if isinstance(given, tuple):
        return given[0], [*given[1]]
    present = table[given].unique().tolist() if given else []
    return given, [name for name in (COLOURS if given == "family" else present) if name in present]


def _zoom() -> alt.Parameter:
    """All panels zoom together; with a key held, since the wheel alone scrolls the page."""
    held = "event.ctrlKey || event.metaKey"
    return alt.selection_interval(
        bind="scales",
        zoom=f"wheel![{held}]",
        translate=f"[pointerdown[{held}], window:pointerup] > window:pointermove!",
        clear="dblclick",
    )


def _rounded(table: pd.DataFrame) -> pd.DataFrame:
    """Six significant digits: more than a pixel shows, and half the bytes on the page."""
    result = table.copy()
    for column in result.select_dtypes("float"):
        result[column] = [float(f"{value:.6g}") for value in result[column]]
    return result


def linked(
    table: pd.DataFrame, runs: pd.DataFrame, by: Sequence[str], runs_page: str = ""
) -> pd.DataFrame:
    """The table with a column `runs`: the address of the runs of a point that is one configuration.

    `by` are the columns that tie a row to its runs, which stand on the same page or on the
    `runs_page`; a row of none has an empty address.
    """
    addresses = {
        labels: tables.runs_address(part, runs_page) for labels, part in runs.groupby([*by])
    }
    # Vega follows null as if it were an address, and an empty one not.
    rows = table[[*by]].itertuples(index=False, name=None)
    return table.assign(runs=[addresses.get(row, "") for row in rows])
