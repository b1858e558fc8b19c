"""A browser, the built sites as a web server shows them, and which pages a test looks at."""

import contextlib
import shutil

import pytest
import serving
from reader import KINDS, NARROW, PAGES, WIDE, Reader

SITES = ("quarto", "preview")


@pytest.fixture(scope="session")
def chromium():
    """A running Chromium without a window."""
    api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'"
    )
    with contextlib.ExitStack() as stack:
        playwright = stack.enter_context(api.sync_playwright())
        try:
            browser = stack.enter_context(serving.chromium(playwright))
        except FileNotFoundError as error:
            pytest.skip(str(error))
        yield browser


@pytest.fixture(scope="session")
def site(request, chromium):
    """Each of the sites that the builder builds."""
    return request.getfixturevalue(f"{request.param}_site")


@pytest.fixture(scope="session")
def address(site):
    """Where the site is served."""
    with serving.served(site.home) as found:
        yield found


@pytest.fixture
def read(chromium, address):
    """Opens a page as a reader does: ``read(name, dark=…, width=…)`` gives a :class:`Reader`."""
    with contextlib.ExitStack() as stack:

        def open_page(name, **view):
            reader = stack.enter_context(Reader(chromium, address, **view))
            reader.open(name)
            return reader

        yield open_page


@pytest.fixture(scope="session")
def seen(chromium, address, name, width):
    """A page whose charts are all live, for tests that leave it as it is: loading takes longest."""
    with Reader(chromium, address, width=width) as reader:
        reader.open(name)
        reader.first_view = reader.transferred()
        reader.see_all()
        yield reader


def pytest_generate_tests(metafunc):
    """A test runs on both sites, every page and both widths, unless its marks name some.

    Where Quarto is installed, what a page holds is looked at on Quarto's site, and of the preview,
    which holds the same, only the pages that the mark ``preview`` names, and the narrow ones of
    each kind.  Without Quarto the preview is looked at like Quarto's site.
    """
    names = [name for name in ("site", "name", "width") if name in metafunc.fixturenames]
    if "site" not in names:
        return

    def named(mark, every):
        found = metafunc.definition.get_closest_marker(mark)
        return found.args if found else every

    beside_quarto = shutil.which("quarto") is not None
    previewed = named("preview", PAGES)

    def is_looked_at(site, name, width):
        if site == "quarto" or not beside_quarto:
            return True
        if "name" not in names:
            return bool(previewed)
        return name in previewed and (width == WIDE or name in KINDS)

    cases = [
        {"site": site, "name": name, "width": width}
        for site in named("sites", SITES)
        for name in named("pages", PAGES)
        for width in named("width", (WIDE, NARROW))
        if is_looked_at(site, name, width)
    ]
    values = list(dict.fromkeys(tuple(case[name] for name in names) for case in cases))
    metafunc.parametrize(names, values, indirect=["site"], scope="session")
