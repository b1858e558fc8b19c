"""Shows a built site to a browser: a small web server, and a Chromium without a window."""

import contextlib
import functools
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from lab1.site.frame import read_addresses

#: What the system's package of Chromium is called, by distribution.
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

HOW = "install the system's package chromium, or run: python -m playwright install chromium"


@contextlib.contextmanager
def chromium(playwright):
    """A running Chromium without a window; raises FileNotFoundError where there is none."""
    own = playwright.chromium.executable_path
    found = next(filter(None, map(shutil.which, PROGRAMS)), own if Path(own).exists() else None)
    if found is None:
        raise FileNotFoundError(f"no Chromium here; {HOW}")
    # As root, and in a container, Chromium has no sandbox to offer.
    browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
    yield browser
    browser.close()


class _Handler(SimpleHTTPRequestHandler):
    """A folder as a usual host of static sites serves it: 404.html where there is no such file."""

    def __init__(self, *arguments, below, policy=None, **keywords):
        self._below, self._policy = below, policy
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

    def end_headers(self):
        if self._policy:
            self.send_header("Content-Security-Policy", self._policy)
        super().end_headers()

    def log_message(self, format, *arguments):
        pass


@contextlib.contextmanager
def served(project, policy=None):
    """The address at which a project's ``_site`` is served: below the path it is published at.

    ``policy`` is the Content-Security-Policy that goes with every page.
    """
    below = urlsplit(read_addresses(project).site).path
    handler = functools.partial(
        _Handler, directory=str(project / "_site"), below=below, policy=policy
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}{below}"
    server.shutdown()
    server.server_close()
