"""The axes and the panels of charts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from . import words


@dataclass(frozen=True)
class Axis:
    """An axis: the column that it shows, its title, and its scale.

    `log` makes it logarithmic, `zero` begins it at zero, and `domain` are its ends.  Its ticks
    stand at `ticks`, in d3's `format`.  With an `order` it is an axis of these names.  `digits` is
    d3's format of a value in a tooltip, and `interval` the columns of its interval's ends, which a
    table may lack.
    """

    column: str
    title: str | None = None
    log: bool = False
    zero: bool = False
    domain: tuple[float, float] | None = None
    ticks: Sequence[float] = ()
    format: str = ""
    order: Sequence[str] = ()
    digits: str = ""
    interval: tuple[str, str] = ("low", "high")

    def channel(self, kind: Any, padding: int, column: str = "") -> Any:
        """The encoding of its column, or of another on its scale.

        `padding` are the pixels between the ends of the axis and its marks, at least the radius of
        a point, half of which would else be cut off.
        """
        name = column or self.column
        if self.order:
            names = alt.Axis(labelAngle=0, labelLimit=0)  # none is cut
            return kind(f"{name}:N", title=self.title, sort=[*self.order], axis=names)
        if self.log:
            scale = alt.Scale(type="log", nice=False, padding=padding)
        elif self.domain:
            scale = alt.Scale(domain=[*self.domain])
        else:
            # An axis that begins at zero has nothing to show below it.
            scale = alt.Scale(zero=self.zero, padding=0 if self.zero else padding)
        ticks: dict[str, Any] = {"values": [*self.ticks]} if self.ticks else {}
        if self.log and not self.ticks:
            ticks["tickCount"] = 4
        if self.format or self.log or self.ticks:
            ticks["format"] = self.format or "~g"
        return kind(f"{name}:Q", title=self.title, scale=scale, axis=alt.Axis(**ticks))

    def tooltip(self, table: pd.DataFrame) -> list[alt.Tooltip]:
        """The rows of a tooltip: the value and, where the table has one, its interval.

        The interval stands with its seeds, or as both ends; where not all values have one, a column
        `interval` has it in words.
        """
        digits = self.digits or ".2f"
        rows = [alt.Tooltip(f"{self.column}:Q", title=self.title, format=digits)]
        if "half_width" in table:
            rows.append(alt.Tooltip("half_width:Q", title="± 95 %", format=digits))
            rows.append(alt.Tooltip("n:Q", title="seeds"))
        elif "interval" in table:
            rows.append(alt.Tooltip("interval:N", title="95 % interval"))
        elif self.interval[0] in table:
            rows += [alt.Tooltip(f"{end}:Q", title=end, format=digits) for end in self.interval]
        return rows


@dataclass(frozen=True)
class Panels:
    """Panels, one for each value of a column: numbers in their order, names in that of the table.

    At most `columns` stand beside each other.  Every panel has its own scale of the axes in
    `apart`: `x`, `y` or `xy`.  The `title` above all of them is by default what depth is called.
    """

    column: str
    title: str | None = None
    columns: int = 3
    apart: str = ""
    order: Sequence[str] = ()


def depths(table: pd.DataFrame) -> Axis:
    """The axis of a table's depths, as its families call them."""
    title = words.depth_axis(table["family"])
    return Axis("depth", title, log=True, ticks=sorted(table["depth"].unique().tolist()))
