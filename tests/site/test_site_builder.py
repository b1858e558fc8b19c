"""The site is built with Quarto where there is one, else with pandoc. Nothing here renders."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab1.errors import PublishError
from lab1.site import preview, publish
from lab1.site.build import build


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """A Python environment without Quarto, on a PATH without Quarto."""
    prefix = tmp_path / "environment"
    (prefix / "bin").mkdir(parents=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr(sys, "prefix", str(prefix))
    monkeypatch.setattr(sys, "executable", str(prefix / "bin" / "python"))
    monkeypatch.setenv("PATH", str(elsewhere))
    return prefix


@pytest.fixture
def commands(monkeypatch):
    """The commands that would be run, with further arguments, and the `status` that they give."""
    noted = SimpleNamespace(run=[], status=0)

    def run(command, **keywords):
        noted.run.append((command, keywords))
        return subprocess.CompletedProcess(command, noted.status)

    monkeypatch.setattr(subprocess, "run", run)
    return noted


def install(folder):
    """Puts something that is called Quarto into a folder."""
    program = Path(folder) / "quarto"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return str(program)


def test_quarto_renders_the_project_with_this_python_and_profile(environment, commands, laboratory):
    program = install(os.environ["PATH"])
    path = os.environ["PATH"]
    assert build("smoke") == 0
    ((command, keywords),) = commands.run
    assert command == [program, "render", str(laboratory)]
    # The pre-render step calls `python -m lab1 publish`, which is to be this one.
    assert keywords["env"]["PATH"].split(os.pathsep) == [str(environment / "bin"), path]
    assert keywords["env"]["LAB1_PROFILE"] == "smoke"
    assert keywords["env"]["LAB1_HOME"] == os.environ["LAB1_HOME"]
    assert "LAB1_PROFILE" not in os.environ
    # One in this environment, which need not be activated, comes first.
    nearer = install(environment / "bin")
    build("smoke")
    assert commands.run[1][0][0] == nearer


@pytest.mark.parametrize("status", [0, 1, 7])
def test_quartos_exit_status_is_ours(environment, commands, laboratory, previewed, status):
    install(os.environ["PATH"])
    commands.status = status
    assert build("report") == status
    # A failure in Quarto is one to be mended, and no reason for a plainer site.
    assert previewed == []


@pytest.fixture
def previewed(monkeypatch):
    """What is published and what is built, in order; neither happens."""
    calls = []

    def build_preview(root):
        calls.append(("build", root))
        return [root / "_site" / "index.html", root / "_site" / "report" / "1_1.html"]

    monkeypatch.setattr(publish, "publish", lambda profile: calls.append(("publish", profile)))
    monkeypatch.setattr(preview, "build", build_preview)
    return calls


def test_without_quarto_there_is_a_preview_and_nothing_is_installed(
    environment, commands, laboratory, previewed, capsys
):
    assert build("smoke") == 0
    assert previewed == [("publish", "smoke"), ("build", laboratory)]
    assert commands.run == []
    said = capsys.readouterr()
    assert f"2 pages in {laboratory / '_site'}" in said.out
    assert str(laboratory / "_site" / "index.html") in said.out
    (paragraph,) = said.err.strip().splitlines()
    assert "preview" in paragraph and "https://quarto.org" in paragraph


def test_a_preview_that_was_asked_for_looks_for_no_quarto_and_explains_nothing(
    environment, commands, laboratory, previewed, capsys
):
    install(os.environ["PATH"])
    assert build("smoke", preview=True) == 0
    assert [call[0] for call in previewed] == ["publish", "build"]
    assert commands.run == []
    assert capsys.readouterr().err == ""


def test_a_chapter_that_failed_builds_no_preview(
    environment, commands, laboratory, previewed, monkeypatch
):
    def fail(profile):
        raise PublishError("1 of 2 pages failed")

    monkeypatch.setattr(publish, "publish", fail)
    with pytest.raises(PublishError, match="1 of 2 pages failed"):
        build("smoke", preview=True)
    assert previewed == []
