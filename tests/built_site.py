"""The project as a reader would clone it, with fabricated runs, and the sites built from it.

`tests/conftest.py` makes fixtures of this; all tests of a session share one project and one site of
each kind.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import fabricated_runs
import pytest

from lab1.core.record_rules import seal, unseal

ROOT = Path(__file__).resolve().parents[1]

#: Where the copy says it is published; made up, and asked by nothing.
SITE_URL, REPO_URL = "https://example.org/laboratory", "https://example.org/sources"


def run(*command, cwd, **environment):
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result


def git(folder, *arguments):
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    return run("git", *identity, *arguments, cwd=folder).stdout


def copy_project(target):
    """What a reader would clone, without the published runs; a repository of its own.

    The benchmarks' free text is hostile, like that of the fabricated runs.
    """
    try:
        listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    except AssertionError:
        pytest.skip("not a git checkout, so there is no list of the project's files")
    for name in filter(None, listed.split("\0")):
        is_run = name.startswith("results/") and not name.startswith("results/benchmarks/")
        if not is_run and not name.startswith("tests/") and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)
    for path in (target / "results" / "benchmarks").glob("*.json"):
        benchmark = unseal(json.loads(path.read_text()))
        benchmark["note"] = benchmark["hardware"]["name"] = fabricated_runs.HOSTILE
        path.write_text(json.dumps(seal(benchmark)))
    git(target, "init", "--quiet")
    git(target, "add", "--all")
    git(target, "commit", "--quiet", "--message", "The project")


class Project:
    """A project, and the environment in which its commands run."""

    def __init__(self, home, environment):
        self.home, self.environment = home, environment

    def command(self, *arguments):
        return run(*arguments, cwd=self.home, **self.environment)

    @property
    def runs(self):
        """Where its own records lie."""
        return Path(self.environment["LAB1_RUNS"])

    @property
    def profile(self):
        return self.environment["LAB1_PROFILE"]

    def copy(self, target):
        """A copy whose runs are the same, and in which nothing need be executed again."""
        left = {".git", ".venv", ".quarto", "_site", "runs", "data"}

        def ignore(folder, names):  # lab1/training/data is another folder of that name
            return left & {*names} if Path(folder) == self.home else set()

        shutil.copytree(self.home, target, ignore=ignore)
        paths = {name: str(target) for name in ("LAB1_HOME", "PYTHONPATH")}
        return Project(target, {**self.environment, **paths})


def environment_of(home, runs, data, profile):
    python = Path(sys.executable).parent
    return {
        "LAB1_HOME": str(home),
        "LAB1_PROFILE": profile,
        "LAB1_RUNS": str(runs),
        "LAB1_DATA": str(data),
        # Networks this small gain nothing from more, and lose much on a busy machine.
        "OMP_NUM_THREADS": "1",
        # The copy's sources, in the kernels too.
        "PYTHONPATH": str(home),
        "PATH": os.pathsep.join([str(python), os.environ["PATH"]]),
    }


def copy_with_runs(folder):
    """A copy of the project in ``folder``, with a record of every run of its profile `smoke`."""
    home = folder / "project"
    home.mkdir()
    copy_project(home)
    addresses = f"website: {{site-url: '{SITE_URL}', repo-url: '{REPO_URL}'}}\n"
    (home / "_quarto.yml.local").write_text(addresses)
    project = Project(home, environment_of(home, folder / "runs", folder / "data", "smoke"))
    commit = git(home, "rev-parse", "HEAD").strip()
    # By the copy's own sources, and so in a process of its own.
    project.command("python", ROOT / "tests" / "fabricated_runs.py", project.profile, commit)
    return project


class Site:
    """A site that was built from a project, and its pages."""

    def __init__(self, project, kind):
        self.project, self.kind = project, kind
        self.rendered = None

    def render(self):
        self.rendered = self.project.command("quarto", "render", self.home)
        return self

    @property
    def home(self):
        return self.project.home

    @property
    def root(self):
        return self.home / "_site"

    def pages(self):
        """All but the one that moved, and that for a wrong address, with links from the root."""
        left = ("404.html", "compare.html")
        return sorted(path for path in self.root.glob("**/*.html") if path.name not in left)

    def names(self):
        """The addresses of its pages, relative to its root."""
        return [path.relative_to(self.root).as_posix() for path in self.pages()]

    def text(self, name):
        return (self.root / name).read_text()
