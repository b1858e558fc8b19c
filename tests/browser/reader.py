"""A reader with a browser: opens a page, and notes what it asks for and complains of."""

import gzip
from pathlib import Path
from urllib.parse import urlsplit

WIDE, NARROW = 1280, 360

#: The pages that the chapters become.
REPORT = [
    f"report/{path.stem}.html"
    for path in sorted((Path(__file__).resolve().parents[2] / "chapters").glob("*.ipynb"))
]

#: Those with charts.
CHARTED = ["index.html", *REPORT]

#: The pages that are looked at; the one for a wrong address is on its own, and the further pages of
#: the reference are made as these two are.
PAGES = [
    *CHARTED,
    "try-it.html",
    "glossary.html",
    "changes.html",
    "about.html",
    "guide/commands.html",
    "guide/own-images.html",
    "guide/own-network.html",
    "guide/publishing.html",
    "guide/scaling.html",
    "guide/training-step.html",
    "guide/wandb.html",
    "runs.html",
    "reference/index.html",
    "reference/training.html",
]

#: One page of each kind: the front, a chapter, what can be tried, all runs, the reference.
KINDS = [
    "index.html",
    "try-it.html",
    "report/1_3.html",
    "runs.html",
    "reference/training.html",
]

#: What a usual host compresses on the way.
_COMPRESSED = {".html", ".css", ".js", ".json", ".svg", ".xml", ".txt", ".csv"}


class Reader:
    """A page in a browser of its own.

    ``complaints`` are the errors of its console and scripts and its failed requests, ``foreign``
    the addresses on other hosts that it asked for (none is let through), ``received`` the bytes of
    each file that it was sent.
    """

    def __init__(
        self, browser, address, *, dark=False, width=WIDE, scripts=True, height=900, touch=False
    ):
        self.address = address
        self._browser = browser
        self._view = {
            "viewport": {"width": width, "height": height},
            "color_scheme": "dark" if dark else "light",
            "java_script_enabled": scripts,
            "has_touch": touch,
            "reduced_motion": "reduce",
        }
        self.complaints, self.foreign, self.received = [], [], {}
        self._asked = 0

    def __enter__(self):
        self._context = self._browser.new_context(**self._view)
        self.page = self._context.new_page()
        self.page.set_default_timeout(30_000)
        self.page.route(lambda url: not url.startswith((self.address, "data:", "blob:")),
                        self._refuse)  # fmt: skip
        self.page.on("console", lambda m: m.type == "error" and self.complaints.append(m.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda r: self.complaints.append(f"{r.url}: {r.failure}"))
        self.page.on("response", self._note)
        self.page.on("request", lambda _: self._count(+1))
        self.page.on("requestfinished", lambda _: self._count(-1))
        self.page.on("requestfailed", lambda _: self._count(-1))
        return self

    def __exit__(self, *_):
        self._context.close()

    def _refuse(self, route):
        self.foreign.append(route.request.url)
        route.abort()

    def _note(self, response):
        if response.url.startswith(self.address):
            self.received[response.url] = response

    def _count(self, change):
        self._asked += change

    def open(self, name):
        """Opens a page; waits until its scripts are idle and what they asked for is there."""
        self.page.goto(f"{self.address}/{name}")
        while self._view["java_script_enabled"]:
            # Playwright's `networkidle` is half a second without requests, for each page.
            self.page.evaluate("new Promise(done => requestIdleCallback(() => setTimeout(done)))")
            if self._asked == 0:
                break

    def see_all(self):
        """Points at every chart until all are live."""
        charts = self.page.locator(".lab1-chart")
        for index in range(charts.count()):
            self.wake(charts.nth(index))
        self.page.mouse.move(0, 0)
        self.page.evaluate("window.scrollTo(0, 0)")

    def wake(self, chart):
        """Points at a chart until it is live."""
        chart.scroll_into_view_if_needed()
        chart.hover()
        self.wait_until_live(chart)

    def wait_until_live(self, chart):
        """Waits until what a script draws has taken the place of a chart's picture."""
        chart.locator(".lab1-view:not(.lab1-live)").wait_for(state="detached")

    def wear(self, *, dark):
        """Changes the system's theme, and waits for the page's."""
        self.page.emulate_media(color_scheme="dark" if dark else "light")
        self.page.wait_for_function(
            """dark => {
                const [red] = getComputedStyle(document.body).backgroundColor.match(/\\d+/g);
                return red < 128 === dark;
            }""",
            arg=dark,
        )

    def transferred(self):
        """The bytes that a usual host, which compresses text, would have sent so far."""
        total = 0
        # Reading a body lets further responses arrive.
        for url, response in list(self.received.items()):
            content = response.body()
            suffix = Path(urlsplit(url).path).suffix
            total += len(gzip.compress(content) if suffix in _COMPRESSED else content)
        return total
