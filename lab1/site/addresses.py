"""Where the site is published, and its repository: one setting each in `_quarto.yml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from ..errors import PublishError

#: As in Quarto, the second, which git ignores, overrides the first.
_FILES = ("_quarto.yml", "_quarto.yml.local")


@dataclass(frozen=True)
class Addresses:
    """`website: site-url` and `website: repo-url`: no slash at the end, empty where unset."""

    site: str
    repository: str


def read(root: Path) -> Addresses:
    """The addresses of the project at `root`.

    Raises `PublishError` where a file cannot be read or an address is none.
    """
    found = {"site-url": "", "repo-url": ""}
    for name in _FILES:
        try:
            content = yaml.safe_load((root / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise PublishError(f"{name}: not readable: {error}") from error
        website = content.get("website") if isinstance(content, dict) else None
        for key in found:
            if isinstance(website, dict) and key in website:
                found[key] = _checked(website[key], f"{name}: website: {key}")
    return Addresses(found["site-url"], found["repo-url"])


def _checked(value: object, where: str) -> str:
    text = "" if value is None else str(value).rstrip("/")
    parts = urlsplit(text)
    if text and not (parts.scheme in ("http", "https") and parts.netloc):
        raise PublishError(f"{where}: {value!r} is not allowed; needs https://… or nothing")
    return text
