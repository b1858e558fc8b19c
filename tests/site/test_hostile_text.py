"""No text of a record becomes an element, a link or a script of a page."""

import pytest
from elements import Elements

from lab1.core import escape
from lab1.planning import profiles
from lab1.reporting import frames, provenance
from lab1.reporting.claims import claim
from lab1.reporting.findings import Findings
from lab1.reporting.runs_page import RunsPage
from lab1.reporting.selections import Selection
from lab1.site import fragments
from lab1.site.frame import PublishedPage

pypandoc = pytest.importorskip("pypandoc")

HOSTILE = (
    "x<img src=x onerror=alert(1)> [a](javascript:alert(1)) <javascript:b> **c** $d$ @e `f` :::\n"
    "```\n<script>alert(1)</script>\n\n# A heading\n\n- a list\n\n```{=html}\n<b onclick=g()>\"'"
)


def page_of(make_record, text):
    """All that the site says of a record whose every free text is this, as HTML."""
    spec = next(s for s in profiles.page("1_2", "smoke", {}).plan() if s.model.depth == 8)
    origin = {
        "commit": text,
        "versions": {"torch": text, "python": text},
        "device": {"kind": "cpu", "name": text, "threads": 1},
        "data_source": text,
        "data_fingerprint": text,
        "started": "2026-01-01T12:00:00+00:00",  # a record is read only where these are times
        "ended": "2026-01-01T12:01:00+00:00",
    }
    made = [
        make_record(family, 8, seed, 0.9, width=spec.model.width, origin=origin)
        for family in ("MLP", "ResidualMLP")
        for seed in range(3)
    ]
    page = profiles.page("1_2", "smoke", {})
    both = Selection(frames.runs(made))
    difference = both.at(family="ResidualMLP") - both.at(family="MLP")
    comparisons = {"cost": difference.beside("epoch_seconds"), "gap": difference.in_("test_loss")}
    findings = Findings.of(comparisons)
    cost, gap = findings["cost"], findings["gap"]
    parts = [
        claim("It took longer on {cost.one.hardware}.", [cost.stated()], published=True),
        claim("It has the higher loss ({gap}).", [gap.above()], published=False),
        fragments.run_it([PublishedPage(page, "A title", made)], {}),
        RunsPage(made, set(), {}).fragment(
            dict.fromkeys(("wide", "narrow", "wide-dark", "narrow-dark"), "a.svg"), "assets"
        ),
        f"```{{=html}}\n{provenance.runs_table(made, set()).markup}\n```\n",
        f"```{{=html}}\n{findings.table().markup}\n```\n",
    ]
    return pypandoc.convert_text("\n\n".join(parts), "html", format="markdown")


@pytest.mark.slow
def test_a_hostile_text_makes_nothing_that_a_plain_one_does_not(make_record):
    plain, hostile = (Elements(page_of(make_record, text)) for text in ("x", HOSTILE))
    assert [(tag, sorted(own)) for tag, own in hostile.all] == [
        (tag, sorted(own)) for tag, own in plain.all
    ]
    links = hostile.values((), "href", "src")
    assert not any("javascript" in link or "onerror" in link for link in links)


def test_what_is_escaped_reads_as_it_was_on_one_line():
    said = pypandoc.convert_text(escape.for_markdown(HOSTILE), "plain", format="markdown")
    assert " ".join(said.split()) == " ".join(HOSTILE.split())
    assert "\n" not in escape.for_html(HOSTILE) and "<" not in escape.for_html(HOSTILE)
