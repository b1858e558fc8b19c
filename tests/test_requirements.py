"""What is installed is pinned with its hash, and so is what the workflows run."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text()


def normal(name):
    return re.sub("[-_.]+", "-", name).lower()


def locked(name):
    """The versions and hashes of each package in a lock."""
    text = (ROOT / "locks" / f"{name}.txt").read_text()
    entries = re.findall(r"^([\w.-]+)==(\S+)(.*(?:\n +.*)*)", text, re.M)
    packages = {}
    for package, version, rest in entries:
        hashes = re.findall(r"--hash=sha256:[0-9a-f]{64}", rest)
        packages.setdefault(package, {})[version] = sorted(hashes)
    return packages


@pytest.mark.parametrize("name", ["all", "site", "lab"])
def test_every_locked_package_has_a_hash(name):
    packages = locked(name)
    assert len(packages) > 50
    assert [p for p, versions in packages.items() if not all(versions.values())] == []


def test_the_lock_has_what_requirements_pin():
    pins = re.findall(
        r"^([\w.-]+)(?:\[.*\])?==(\S+)$", (ROOT / "requirements.txt").read_text(), re.M
    )
    packages = locked("all")
    assert len(pins) > 30
    assert [p for p, version in pins if version not in packages.get(normal(p), {})] == []


@pytest.mark.parametrize("extra", ["site", "lab"])
def test_the_smaller_locks_have_what_their_extra_needs_in_the_same_versions(extra):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"][extra]]
    packages, everything = locked(extra), locked("all")
    assert {normal(re.match(r"[\w.-]+", name)[0]) for name in needed} <= packages.keys()
    both = packages.keys() & everything.keys()
    assert {p for p in both if not packages[p].items() <= everything[p].items()} == set()


def test_make_installs_nothing_but_what_the_locks_hold():
    installs = re.findall(r"\$\(PIP\) install (.*)", MAKEFILE)
    assert installs
    held = ("--require-hashes", "--no-deps --no-build-isolation")
    assert [line for line in installs if not any(options in line for options in held)] == []


def test_the_workflows_name_actions_by_commit():
    text = (ROOT / ".github" / "workflows" / "site.yml").read_text()
    uses = re.findall(r"uses: (\S+)", text)
    assert uses
    assert [action for action in uses if not re.search("@[0-9a-f]{40}$", action)] == []
