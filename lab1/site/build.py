"""Builds the site: with Quarto where it can be had, as a preview with pandoc where it cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from ..core import files
from . import publish
from .execution import draft_mode

#: What is asked of the package index where no Quarto is on the PATH.
_REQUIREMENT = "quarto-cli>=1.6,<2"

#: That package fetches Quarto itself from its maker's site, which a closed network refuses.
_PATIENCE_SECONDS = 60


def build(profile: str, preview: bool = False, draft: bool = False) -> int:
    """Builds `_site/` and returns the exit status.

    In a `draft`, claims that are not carried by their records are marked, and do not end the build.
    """
    with draft_mode(draft):
        return _build(profile, preview)


def _build(profile: str, preview: bool) -> int:
    root = files.project_root()
    quarto = None if preview else find_quarto()
    if quarto is not None:
        command = [quarto, "render", str(root)]
        environment = {**os.environ, "PATH": _search_path(), "LAB1_PROFILE": profile}
        return subprocess.run(command, env=environment, check=False).returncode
    from . import preview as previewer

    if not preview:
        print(
            "\nQuarto is neither on the PATH nor to be had from the package index here, so this is "
            "a preview of the site: the same chapters, charts and tables, typeset by pandoc, "
            "without search. For the full site install Quarto (https://quarto.org) and run "
            "`quarto render`; to have the package index asked again, delete "
            f"{_refusal()}.\n",
            file=sys.stderr,
        )
    publish.publish(profile)
    pages = previewer.build(root)
    print(f"{len(pages)} pages in {root / '_site'}; open {root / '_site' / 'index.html'}")
    return 0


def find_quarto() -> str | None:
    """The Quarto on the PATH or in this environment, installed into it where that works.

    A failed installation is remembered in the environment and not tried again.
    """
    found = shutil.which("quarto", path=_search_path())
    if found or _refusal().exists():
        return found
    print("no Quarto found; asking the package index for it (a minute at most)", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "install", "--quiet", _REQUIREMENT]
    try:
        subprocess.run(command, check=True, timeout=_PATIENCE_SECONDS, capture_output=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
        with suppress(OSError):  # an environment that is not ours to write to is asked again
            said = f"{_REQUIREMENT} could not be installed: {error}\n"
            _refusal().write_text(said, encoding="utf-8")
        return None
    return shutil.which("quarto", path=_search_path())


def _refusal() -> Path:
    return Path(sys.prefix) / "quarto-not-available.txt"


def _search_path() -> str:
    """The PATH with this environment first, so that `pre-render` finds its Python."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
