"""A browser, and the built sites as a web server shows them."""

import contextlib
import functools
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from reader import NARROW, PAGES, WIDE, Reader

from lab1 import addresses

#: What the system's package of Chromium is called, by distribution.
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

HOW = "install the system's package chromium, or run: python -m playwright install chromium"


@pytest.fixture(scope="session")
def chromium():
    """A running Chromium without a window."""
    api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'"
    )
    with api.sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        found = next(filter(None, map(shutil.which, PROGRAMS)), own if Path(own).exists() else None)
        if found is None:
            pytest.skip(f"no Chromium here; {HOW}")
        # As root, and in a container, Chromium has no sandbox to offer.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


class _Handler(SimpleHTTPRequestHandler):
    """A folder as a usual host of static sites serves it: 404.html where there is no such file."""

    def __init__(self, *arguments, below, **keywords):
        self._below = below
        super().__init__(*arguments, **keywords)

    def translate_path(self, path):
        inside = path.startswith(f"{self._below}/")
        return super().translate_path(path.removeprefix(self._below) if inside else "/outside")

    def send_error(self, code, message=None, explain=None):
        page = Path(self.directory) / "404.html"
        if code != 404 or not page.exists():
            super().send_error(code, message, explain)
            return
        content = page.read_bytes()
        self.send_response(404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format, *arguments):
        pass


@contextlib.contextmanager
def served(folder, below):
    """The address at which a folder is served, ``below`` a path of its host."""
    handler = functools.partial(_Handler, directory=str(folder), below=below)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}{below}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session", params=["quarto", "preview"])
def site(request, chromium):
    """Each of the sites that the builder builds."""
    return request.getfixturevalue(f"{request.param}_site")


@pytest.fixture(scope="session")
def address(site):
    """Where the site is served: below the path that it will be published at."""
    below = urlsplit(addresses.read(site.home).site).path
    with served(site.root, below) as found:
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
    """A test that looks at a page runs on every page and at both widths, unless it names some."""
    for argument, mark, every in (("name", "pages", PAGES), ("width", "width", (WIDE, NARROW))):
        if argument in metafunc.fixturenames:
            only = metafunc.definition.get_closest_marker(mark)
            metafunc.parametrize(argument, only.args if only else every, scope="session")
