"""Builds the site: with Quarto where it is installed, as a preview with pandoc where it is not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ..core import files
from . import publish
from .execution import draft_mode


def build(profile: str, preview: bool = False, draft: bool = False) -> int:
    """Builds `_site/` and returns the exit status.

    In a `draft`, claims that are not carried by their records are marked, and do not end the build.
    """
    with draft_mode(draft):
        return _build(profile, preview)


def _build(profile: str, preview: bool) -> int:
    root = files.project_root()
    quarto = None if preview else shutil.which("quarto", path=_search_path())
    if quarto is not None:
        command = [quarto, "render", str(root)]
        environment = {**os.environ, "PATH": _search_path(), "LAB1_PROFILE": profile}
        return subprocess.run(command, env=environment, check=False).returncode
    from . import preview as previewer

    if not preview:
        print(
            "\nThere is no Quarto on the PATH, so this is a preview of the site: the same "
            "chapters, charts and tables, typeset by pandoc, without search. For the full site "
            "install Quarto: https://quarto.org, or `pip install quarto-cli`, which fetches it.\n",
            file=sys.stderr,
        )
    publish.publish(profile)
    pages = previewer.build(root)
    print(f"{len(pages)} pages in {root / '_site'}; open {root / '_site' / 'index.html'}")
    return 0


def _search_path() -> str:
    """The PATH with this environment first, so that `pre-render` finds its Python."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
