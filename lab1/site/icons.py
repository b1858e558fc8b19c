"""Leaves of Quarto's icon font the icons that the site shows: ten of two thousand.

`python -m lab1.site.icons` is the site's `post-render` step; without it every reader is sent all of
them before the first page stands.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

#: Where Quarto puts the font and the rules that give each icon its character.
_FONT, _RULES = (f"site_libs/bootstrap/bootstrap-icons.{ending}" for ending in ("woff", "css"))

_RULE = re.compile(r'\.bi-([\w-]+)::before\s*\{\s*content:\s*"\\([0-9a-f]+)";?\s*\}')


def leave_what_is_shown(site: Path) -> int:
    """Makes the font that of the icons in the pages and scripts; how many are left.

    Their rules are left to `lab1.site.stylesheets`, which comes after it.  Nothing is done where
    there is no such font.
    """
    font, rules = site / _FONT, site / _RULES
    if not (font.exists() and rules.exists()):
        return 0
    texts = [
        path.read_text(encoding="utf-8", errors="replace")
        for path in site.rglob("*")
        if path.suffix in (".html", ".js", ".css") and path != rules
    ]
    shown = {name for text in texts for name in re.findall(r"\bbi-([\w-]+)", text)}
    style = rules.read_text(encoding="utf-8")
    left = {name: int(code, 16) for name, code in _RULE.findall(style) if name in shown}
    # Themes write the characters of some icons themselves.
    written = {int(code, 16) for text in texts for code in re.findall(r"\\(f[0-9a-f]{3})\b", text)}
    options = subset.Options(flavor="woff", ignore_missing_unicodes=True)
    smaller = TTFont(font)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes={*left.values(), *written})
    subsetter.subset(smaller)
    subset.save_font(smaller, str(font), options)
    return len(left)


if __name__ == "__main__":
    leave_what_is_shown(Path(os.environ["QUARTO_PROJECT_OUTPUT_DIR"]))
