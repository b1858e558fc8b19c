"""Finds the claims of the published pages that their records do not carry."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..chapter import DRAFT
from ..core import files
from ..core.store import Store
from ..errors import Lab1Error
from ..planning import profiles
from ..planning.ensure import find_todo
from ..planning.profiles import REPORT
from . import publish
from .fragments import claims_of


@contextmanager
def marked(draft: bool = True) -> Iterator[None]:
    """In a `draft`, chapters show claims that are not carried within it, and mark them."""
    before = os.environ.get(DRAFT)
    if draft:
        os.environ[DRAFT] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(DRAFT, None)


def check() -> tuple[int, list[str]]:
    """Executes the published pages; the number of their claims, and all that are not carried.

    Nothing is trained: a page some of whose runs have no record is named instead.
    """
    root, store = files.project_root(), Store()
    count, problems = 0, []
    with marked():
        for page in profiles.pages(REPORT):
            try:
                if missing := find_todo(page.plan(), store).missing:
                    problems.append(f"{page.name}: {len(missing)} of its runs have no record")
                    continue
                notebook = publish.executed(page, page.records(store), store, root)[0]
            except Lab1Error as error:
                problems.append(f"{page.name}: {str(error).splitlines()[0]}")
                continue
            claims = claims_of(notebook)
            count += len(claims)
            problems += [
                f"{page.name}: “{claim['text']}”: {failed}"
                for claim in claims
                for failed in claim["failed"]
            ]
    return count, problems
