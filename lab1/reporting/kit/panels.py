"""Curves in panels, the form of most charts: lines with bands, a panel per depth or measure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import altair as alt
import pandas as pd

from . import theme
from .drawing import interval_tooltip, picked, rounded


@dataclass(frozen=True)
class Axis:
    """A quantitative axis: the column it shows, its title and its scale.

    `zero` begins the scale at zero; `log` makes it logarithmic.  `values` are the ticks,
    `padding` the pixels between the ends of the axis and its curves, at least the radius of a
    dot, half of which would else be cut off.  `format` is d3's, for the tooltip.
    """

    column: str
    title: str
    log: bool = False
    zero: bool = False
    values: list[int] = field(default_factory=list)
    padding: int = 3
    format: str = ".2f"

    def scale(self) -> alt.Scale:
        """Its scale."""
        if self.log:
            return alt.Scale(type="log", nice=False, padding=self.padding)
        # An axis that begins at zero has nothing to show below it.
        return alt.Scale(zero=self.zero, padding=0 if self.zero else self.padding)

    def axis(self) -> alt.Axis:
        """Its ticks and their labels."""
        if self.log:
            return alt.Axis(tickCount=4, format="~g")
        return alt.Axis(values=self.values, format="d") if self.values else alt.Axis()

    def tooltip(self) -> alt.Tooltip:
        """What its values are called where the pointer is."""
        return alt.Tooltip(f"{self.column}:Q", title=self.title)


def panels(
    table: pd.DataFrame,
    *,
    x: Axis,
    y: Axis,
    facet: alt.Facet,
    title: str,
    dash: tuple[str, list[str]] | None = None,
    thickness: str | None = None,
    pick: str = "family",
    size: int = 210,
    height: int = 170,
    independent_x: bool = False,
    independent_y: bool = False,
) -> alt.FacetChart:
    """The `mean` of a `summarize` with its band, by family.

    `dash` names a column whose values differ in the dashes of their lines, and these values,
    the solid one first; `thickness` a column of numbers that make a line the thicker.  `pick`
    is the column that the legend picks out, `size` the width of a panel in pixels.  With
    `independent_x` or `independent_y` every panel has its own scale there.
    """
    families = list(table["family"].unique())
    selection, opacity = picked(pick)
    detail: dict[str, Any] = {}
    if dash or thickness:
        detail["detail"] = [f"{name}:N" for name in (dash and dash[0], thickness) if name]
    base = alt.Chart().encode(
        x=alt.X(f"{x.column}:Q", title=x.title, scale=x.scale(), axis=x.axis()),
        color=theme.family_colour(families),
        **detail,
    )
    band = base.mark_area(clip=True).encode(
        y=alt.Y("low:Q", title=y.title, scale=y.scale(), axis=y.axis()),
        y2="high:Q",
        opacity=alt.when(selection).then(alt.value(0.2)).otherwise(alt.value(0.03)),
    )
    styles: dict[str, Any] = {}
    if dash:
        scale = alt.Scale(domain=dash[1], range=[[1, 0], [5, 4]][: len(dash[1])])
        styles["strokeDash"] = alt.StrokeDash(f"{dash[0]}:N", scale=scale)
    if thickness:
        values = sorted(table[thickness].unique().tolist())
        thick = [1.2 + 2.6 * rank / max(1, len(values) - 1) for rank in range(len(values))]
        scale = alt.Scale(domain=values, range=thick)
        # The size of a line is its thickness: to a width of strokes the theme's is preferred.  A
        # legend would show it as the size of dots.
        styles["size"] = alt.Size(f"{thickness}:O", scale=scale, legend=None)
    shown: dict[str, Any] = {
        "y": alt.Y("mean:Q", title=y.title, scale=y.scale(), axis=y.axis()),
        "opacity": opacity,
        "tooltip": [
            alt.Tooltip("family:N", title="model"),
            alt.Tooltip("depth:O", title="depth"),
            *([alt.Tooltip(f"{dash[0]}:N", title=dash[0])] if dash else []),
            x.tooltip(),
            *interval_tooltip(y.title, y.format),
        ],
    }
    line = base.mark_line(clip=True).encode(**shown, **styles)
    # A legend answers to a selection of the first marks that it explains, and to no other.
    if dash and pick == dash[0]:
        line = line.add_params(selection)
    else:
        band = band.add_params(selection)
    # Of their own, for points that belong to the line would take the line's thickness from it.
    points = base.mark_circle(size=16, clip=True).encode(**shown)
    if not (independent_x or independent_y):
        points = points.add_params(_zoom())
    chart = (
        alt.layer(band, line, points, data=rounded(_above_zero(table, facet) if y.log else table))
        .properties(width=size, height=height)
        .facet(facet=facet, columns=3)
        .properties(title=title)
    )
    own = {"x": independent_x, "y": independent_y}
    scales: dict[str, Any] = {axis: "independent" for axis, wanted in own.items() if wanted}
    return chart.resolve_scale(**scales) if scales else chart


def _zoom() -> alt.Parameter:
    """All panels zoom together; with a key held, since the wheel alone scrolls the page."""
    held = "event.ctrlKey || event.metaKey"
    return alt.selection_interval(
        bind="scales",
        zoom=f"wheel![{held}]",
        translate=f"[pointerdown[{held}], window:pointerup] > window:pointermove!",
        clear="dblclick",
    )


def _above_zero(table: pd.DataFrame, facet: alt.Facet) -> pd.DataFrame:
    """The table as a logarithmic axis, which has no zero, can show it.

    Its intervals are cut off just below the lowest mean of their panel: an interval that reaches
    zero would else take most of the axis, and leave the curves little of it.
    """
    panel = facet.shorthand.split(":")[0]
    lowest = table[table["mean"] > 0].groupby(panel)["mean"].min() / 2
    cut = table.copy()
    # Where nothing has an interval the column is not even one of numbers.
    cut["low"] = cut["low"].astype(float).clip(lower=cut[panel].map(lowest))
    return cut


def complete(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """The rows of each curve as far as all its seeds were trained: a mean is over the same runs."""
    kept: pd.DataFrame = table[table["n"] == table.groupby(by)["n"].transform("max")]
    return kept
