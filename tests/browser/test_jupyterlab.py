"""A chapter in JupyterLab's own page: it runs, is saved, and shows its charts, trusted or not."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("jupyterlab", reason="JupyterLab is not installed: make lab")
pytest.importorskip("torch")

from lab1.site import jupyter

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow

#: Scrolls through the notebook, since JupyterLab draws only the cells in sight; the pictures and
#: errors among its outputs, and the pictures that do not show.
LOOK = """async () => {
  const pane = document.querySelector('.jp-WindowedPanel-outer');
  const seen = new Set(), all = new Set(), errors = new Set();
  for (let y = 0; y <= pane.scrollHeight; y += 300) {
    pane.scrollTop = y;
    await new Promise(done => setTimeout(done, 100));
    for (const image of document.querySelectorAll('.jp-OutputArea img')) {
      all.add(image.src);
      if (image.complete && image.naturalWidth > 0 && image.clientWidth > 0) seen.add(image.src);
    }
    for (const error of document.querySelectorAll('[data-mime-type$="jupyter.error"]'))
      errors.add(error.innerText);
  }
  return {pictures: all.size, hidden: all.size - seen.size, errors: [...errors]};
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Chapter 1.1 as `make lab` opens it, with small runs."""
    root = tmp_path_factory.mktemp("laboratory")
    shutil.copytree(ROOT / "chapters", root / "chapters")
    jupyter.write(root)
    chapter = root / jupyter.FOLDER / "1_1.ipynb"
    text = chapter.read_text(encoding="utf-8")
    assert 'profile = \\"report\\"' in text
    text = text.replace('\\"report\\"', '\\"smoke\\"').replace("seeds = None", "seeds = [0]")
    chapter.write_text(text, encoding="utf-8")
    return chapter.parent


@pytest.fixture(scope="module")
def server(folder, tmp_path_factory):
    """Where JupyterLab serves the folder; it knows nothing of this user's settings."""
    home = tmp_path_factory.mktemp("home")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", str(folder), "--no-browser", "--allow-root",
         f"--port={port}", "--port-retries=0", "--IdentityProvider.token=",
         "--expose-app-in-browser"],
        env=os.environ | {
            "HOME": str(home), "JUPYTER_CONFIG_DIR": str(home), "JUPYTER_DATA_DIR": str(home),
            "LAB1_HOME": str(ROOT), "LAB1_RUNS": str(home / "runs"),
        },
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}/lab"
    try:
        for _ in range(240):
            with contextlib.suppress(urllib.error.URLError), urllib.request.urlopen(address):
                break
            time.sleep(0.25)
        yield address
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def opened(chromium, address, name):
    page = chromium.new_page(viewport={"width": 1400, "height": 1000})
    try:
        page.goto(f"{address}/tree/{name}?reset")
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=60_000)
        yield page
    finally:
        page.close()


def command(page, name):
    """Does what the menu entry of that command does, within five minutes."""
    page.evaluate(
        """name => Promise.race([
          jupyterapp.commands.execute(name),
          new Promise((_, fail) => setTimeout(() => fail(Error(`${name} hangs`)), 300000)),
        ])""",
        name,
    )


@pytest.mark.long
def test_a_chapter_runs_is_saved_and_shows_its_charts_before_and_after_trust(long, request, folder):
    if not long:
        pytest.skip("trains in a notebook, which a busy machine may take minutes for: --long")
    chromium, server = map(request.getfixturevalue, ("chromium", "server"))
    with opened(chromium, server, "1_1.ipynb") as page:
        assert page.evaluate(LOOK)["pictures"] == 0
        command(page, "notebook:run-all-cells")
        ran = page.evaluate(LOOK)
        command(page, "docmanager:save")
    assert ran["errors"] == []
    assert ran["pictures"] >= 3
    assert ran["hidden"] == 0
    # Under another name nobody has run it here, so JupyterLab does not trust it.
    notebook = nbformat.read(folder / "1_1.ipynb", 4)
    notebook.metadata["copied"] = "from another machine"
    for cell in notebook.cells:
        cell.metadata.pop("trusted", None)
    nbformat.write(notebook, folder / "received.ipynb")
    with opened(chromium, server, "received.ipynb") as page:
        page.wait_for_selector("[title^='Notebook not trusted']")
        untrusted = page.evaluate(LOOK)
        page.evaluate("() => void jupyterapp.commands.execute('notebook:trust')")
        page.click(".jp-Dialog button.jp-mod-accept")
        page.wait_for_selector("[title^='Notebook trusted']")
        trusted = page.evaluate(LOOK)
    assert untrusted == trusted == ran
