"""Frames the pages: their menu, the head and foot of each, and the addresses of the site."""

import copy
import html
import json
import re
import subprocess
import textwrap
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

import nbformat
import yaml
from nbformat import NotebookNode

from ..core import weights_file
from ..core.files import write_if_changed
from ..core.record import Record
from ..core.store import Store
from ..errors import PublishError
from ..planning.cost import duration
from ..planning.profiles import Page

#: The site's settings; as in Quarto, the second, which git ignores, overrides the first.
_SETTINGS = ("_quarto.yml", "_quarto.yml.local")

#: Where publishing writes the menu, for Quarto and the preview to read.
MENU = "menu.yml"

#: Where publishing writes the feed of claims that changed, in `report/`.
FEED = "assets/changes.xml"

#: Where a page finds the notebooks that are offered with their results, below `report/`.
WITH_RESULTS = "assets/notebooks"

#: What the head of each page asks for first, so that it stands in its faces at once, and where its
#: readers find the feed.  Addresses begin at the site's root, as Quarto takes them.
_HEAD = "".join(
    f'<link rel="preload" as="font" type="font/woff2" crossorigin'
    f' href="/lab1/site/fonts/{name}.woff2">\n'
    for name in ("serif", "display", "sans", "code")
)
_HEAD += f'<link rel="alternate" type="application/atom+xml" href="/report/{FEED}">\n'

#: Where an entry of the feed leads.
_LIST = '<link href="../../changes.html"/>'

#: Of a text with formulas, charts and tables.
_WORDS_A_MINUTE = 180


@dataclass(frozen=True)
class PublishedPage:
    """A page of the site: its title, the records that it shows, its description and place.

    `part` is the part of the menu that it stands in, `order` its place among all pages; `claims`
    are what each of its claims says of itself, `figures` the files of its figures. `executed` says
    whether its chapter had to be executed for it.
    """

    page: Page
    title: str
    records: Sequence[Record]
    description: str = ""
    order: float = 0
    part: str = ""
    claims: Sequence[dict[str, Any]] = ()
    figures: frozenset[Path] = frozenset()
    executed: bool = False


@dataclass(frozen=True)
class Addresses:
    """`website: site-url` and `website: repo-url`: no slash at the end, empty where unset."""

    site: str
    repository: str


def read_addresses(root: Path) -> Addresses:
    """Where the project at `root` is published, and its repository.

    Raises `PublishError` where a file cannot be read or an address is none.
    """
    addresses = {"site-url": "", "repo-url": ""}
    for name in _SETTINGS:
        try:
            content = yaml.safe_load((root / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise PublishError(f"{name}: not readable: {error}") from error
        website = content.get("website") if isinstance(content, dict) else None
        for key in addresses:
            if isinstance(website, dict) and key in website:
                addresses[key] = _checked_address(website[key], f"{name}: website: {key}")
    return Addresses(addresses["site-url"], addresses["repo-url"])


def _checked_address(value: object, where: str) -> str:
    text = "" if value is None else str(value).rstrip("/")
    parts = urlsplit(text)
    if text and not (parts.scheme in ("http", "https") and parts.netloc):
        raise PublishError(f"{where}: {value!r} is not allowed; needs https://… or nothing")
    return text


def expect_part(root: Path, page: Page, part: str) -> None:
    """Raises `PublishError` for a page whose part the menu lacks: no reader would find it."""
    settings = _settings(root)
    parts = [entry["part"] for entry in settings.get("site-menu", []) if "part" in entry]
    if settings and part not in parts:
        raise PublishError(
            f"chapters/{page.chapter}.ipynb: part = {part!r} is not allowed; "
            f"allowed: a part of site-menu in _quarto.yml: {', '.join(parts) or 'none there'}"
        )


def write_menu(root: Path, report: Path, pages: Sequence[PublishedPage]) -> None:
    """Writes the sidebar's contents from `_quarto.yml`'s `site-menu`, the foot and the citation.

    `pages` are in their order, each of a part that the menu has.
    """
    settings = _settings(root)
    if not settings:
        return
    entries = [entry for stated in settings.get("site-menu", []) for entry in _entry(stated, pages)]
    website: dict[str, Any] = {"sidebar": {"contents": entries}}
    written: dict[str, Any] = {"website": website}
    written["include-in-header"] = {"text": f"{_HEAD}{citation_head(root)}"}
    if footer := settings.get("website", {}).get("page-footer"):
        website["page-footer"] = {**footer, "left": site_foot(root, footer["left"])}
    text = yaml.safe_dump(written, sort_keys=False, allow_unicode=True)
    write_if_changed(report / MENU, text.encode())


def citation_head(root: Path) -> str:
    """What the head of each page tells programs that cite, from `CITATION.cff`; "" without one."""
    path = root / "CITATION.cff"
    if not path.exists():
        return ""
    cited = yaml.safe_load(path.read_text(encoding="utf-8"))
    authors = [author["name"] for author in cited["authors"]]
    tags = [("citation_title", cited["title"]), *(("citation_author", name) for name in authors)]
    linked = {
        "@context": "https://schema.org",
        "@type": "SoftwareSourceCode",
        "name": cited["title"],
        "description": cited["abstract"],
        "version": cited["version"],
        "license": f"https://spdx.org/licenses/{cited['license']}",
        "keywords": cited["keywords"],
        "author": [{"@type": "Organization", "name": name} for name in authors],
    }
    if address := read_addresses(root).site:
        tags.append(("citation_public_url", address))
        linked["url"] = address
    lines = [f'<meta name="{name}" content="{html.escape(text)}">' for name, text in tags]
    # As JSON has it, a "<" may be written so, and then ends no script.
    data = json.dumps(linked).replace("<", "\\u003c")
    return "\n".join([*lines, f'<script type="application/ld+json">{data}</script>'])


def _settings(root: Path) -> dict[str, Any]:
    """The settings; none where there is no site, since chapters may be read as notebooks alone."""
    path = root / "_quarto.yml"
    settings: dict[str, Any] = (
        yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    )
    return settings


def _entry(stated: dict[str, Any], pages: Sequence[PublishedPage]) -> list[dict[str, Any]]:
    """An entry of the menu as Quarto takes it; none for a part without a page."""
    if "part" not in stated:
        return [stated]
    links = [
        {"href": f"report/{page.page.name}.ipynb", "text": page.title}
        for page in pages
        if page.part == stated["part"]
    ]
    contents = [*links, *stated.get("contents", [])]
    return [{"section": stated["part"], "contents": contents}] if contents else []


def site_foot(root: Path, stated: str) -> str:
    """What stands at the foot of the site, and of which commit it is where git knows.

    Git is believed only where it tracks the site's settings: the project may lie in a folder that
    the repository around it does not know.
    """

    try:
        _git(root, "ls-files", "--error-unmatch", "_quarto.yml")
        return f"{stated}, {_git(root, 'log', '-1', '--format=commit %h of %cs')}"
    except (OSError, subprocess.CalledProcessError):
        return stated


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def write_feed(root: Path, report: Path) -> None:
    """Writes the claims that changed, which `CHANGELOG.md` lists, as an Atom feed, newest first.

    A claim's date is that of its last commit; where git knows none, that of the file. One whose
    text changes is a new entry.
    """
    path = root / "CHANGELOG.md"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    before, heading, after = text.partition("### Published claims that changed\n")
    if not heading:
        return
    times = [path.stat().st_mtime] * (text.count("\n") + 1)
    with suppress(OSError, subprocess.CalledProcessError):
        blame = _git(root, "blame", "--line-porcelain", path.name)
        times = [*map(float, re.findall(r"^committer-time (\d+)$", blame, re.MULTILINE))]
    claims, line = [], before.count("\n") + 1
    for item in re.split(r"^(?=- |#)", after, flags=re.MULTILINE):
        if item.startswith("#"):
            break
        first, line = line, line + item.count("\n")
        if item.startswith("- "):
            words = " ".join(item[2:].replace("**", "").split())
            claims.append((max(times[first:line], default=times[-1]), words))
    claims.sort(key=lambda claim: -claim[0])
    newest = claims[0][0] if claims else times[-1]
    entries = [
        f"<entry><id>{uuid5(NAMESPACE_URL, words).urn}</id><updated>{_time(at)}</updated>"
        f"<title>{html.escape(textwrap.shorten(words, 90, placeholder=' …'))}</title>{_LIST}"
        f"<content>{html.escape(words)}</content></entry>\n"
        for at, words in claims
    ]
    feed = (
        f'<feed xmlns="http://www.w3.org/2005/Atom"><id>{uuid5(NAMESPACE_URL, heading).urn}</id>\n'
        f"<title>Claims that changed</title><updated>{_time(newest)}</updated>\n"
        f"<author><name>lab1</name></author>{_LIST}\n{''.join(entries)}</feed>\n"
    )
    write_if_changed(report / FEED, feed.encode())


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def add_frame(
    notebook: NotebookNode, page: Page, records: Sequence[Record], store: Store, root: Path
) -> NotebookNode:
    """The notebook as a page, in a changed copy: its head in order, its source at its end.

    In the head, which ends at the first heading, what shows something comes first; then the code
    that shows nothing; then a line that says how long the page takes, to read and to train, and
    offers it as a notebook, and the weights of its runs that are published.  The line before the
    references leads to the page's source, in the repository too where that has an address.
    """
    notebook = copy.deepcopy(notebook)
    repository = read_addresses(root).repository
    offers = f"{_head(notebook, page, records, repository)}{_weights(records, store)}"
    line = nbformat.v4.new_markdown_cell(f"::: {{.lab1-head}}\n{offers}\n:::", id="head")
    notebook.cells.insert(put_results_first(notebook), line)
    name = f"chapters/{page.chapter}.ipynb"
    source = _download(name, f"../{name}")
    if repository:
        source += f", also [in the repository]({repository}/blob/HEAD/{name})"
    foot = f"::: {{.lab1-source}}\nSource of this page: {source}.\n:::"
    place = len(notebook.cells) - 1  # the references are the last
    notebook.cells.insert(place, nbformat.v4.new_markdown_cell(foot, id="source"))
    return notebook


def put_results_first(notebook: NotebookNode) -> int:
    """Puts what shows nothing last in a page's head; returns the place at which the head ends.

    The results are computed by what stands before them, and are what a reader comes for.
    """
    cells = notebook.cells
    end = next((i for i, cell in enumerate(cells) if cell.source.startswith("## ")), 1)
    cells[1:end] = sorted(cells[1:end], key=_shows_nothing)
    return end


def _shows_nothing(cell: NotebookNode) -> bool:
    return cell.cell_type == "code" and not any("data" in output for output in cell.outputs)


def _head(notebook: NotebookNode, page: Page, records: Sequence[Record], repository: str) -> str:
    texts = [cell.source for cell in notebook.cells[1:] if cell.cell_type == "markdown"]
    minutes = max(1, round(sum(len(text.split()) for text in texts) / _WORDS_A_MINUTE))
    cost = f"Some {minutes} minute{'s' if minutes > 1 else ''} to read."
    if page.plan():
        trained = duration(sum(record.seconds for record in records))
        cost += f" The runs behind it took {trained}, one after the other."
    offers = [
        _download("notebook", f"../chapters/{page.chapter}.ipynb"),
        _download("the same with results", f"{WITH_RESULTS}/{page.name}.ipynb"),
    ]
    address = urlsplit(repository)
    if address.netloc == "github.com":
        in_colab = f"/github{address.path}/blob/notebooks/notebooks/{page.chapter}.ipynb"
        offers.append(f"[in Colab](https://colab.research.google.com{in_colab})")
        offers.append(f"[in Codespaces](https://codespaces.new{address.path})")
    return f"{cost} To take away or to open: {', '.join(offers)}."


def _weights(records: Sequence[Record], store: Store) -> str:
    """Links to the published weights of the runs, by the keys that `lab1.load_run` takes."""
    files = {record.key: weights_file.published(record.spec, store) for record in records}
    links = [
        _download(key[:8], f"../results/{path.name}")
        for key, path in files.items()
        if path.is_file()
    ]
    if not links:
        return ""
    plural = "s" if len(links) > 1 else ""
    return f" Weights of the run{plural} {', '.join(links)}, for `lab1.load_run`."


def _download(text: str, path: str) -> str:
    """A link to a file; that to a notebook would lead to the page that it becomes without."""
    return f'[{text}]({path}){{download="{PurePosixPath(path).name}"}}'
