"""Finding Quarto, and what happens where there is none. Nothing here installs or renders."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab1.errors import PublishError
from lab1.site import build as site_builder
from lab1.site import preview, publish
from lab1.site.build import build, find_quarto


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
    """The commands that would be run, as (command, further arguments).

    ``commands.answer(command)`` is called in place of running one; by default it succeeds.
    """

    class Commands(list):
        @staticmethod
        def answer(command):
            return subprocess.CompletedProcess(command, 0)

    noted = Commands()

    def run(command, **keywords):
        noted.append((command, keywords))
        return noted.answer(command)

    monkeypatch.setattr(subprocess, "run", run)
    return noted


def install(folder):
    """Puts something that is called Quarto into a folder."""
    program = Path(folder) / "quarto"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return str(program)


def failing(error):
    def answer(command):
        raise error.with_traceback(None)

    return answer


FAILURES = {
    "refused": subprocess.CalledProcessError(1, "pip"),
    "too slow": subprocess.TimeoutExpired("pip", 60),
    "no pip": FileNotFoundError("python"),
}
every_failure = pytest.mark.parametrize("error", FAILURES.values(), ids=FAILURES)


# Finding it


def test_quarto_on_the_path_is_taken(environment, commands):
    program = install(os.environ["PATH"])
    assert find_quarto() == program
    assert commands == []


def test_quarto_in_this_environment_comes_first(environment, commands):
    """The environment need not be activated for it."""
    install(os.environ["PATH"])
    program = install(environment / "bin")
    assert find_quarto() == program
    assert commands == []


def test_the_package_index_is_asked_once_and_for_a_limited_time(environment, commands, capsys):
    commands.answer = failing(FAILURES["refused"])
    assert find_quarto() is None
    ((command, keywords),) = commands
    assert command[:4] == [sys.executable, "-m", "pip", "install"]
    assert command[-1].startswith("quarto-cli")
    assert 0 < keywords["timeout"] <= 120
    assert keywords["check"] is True  # else a refusal would pass for an installation
    assert "asking the package index" in capsys.readouterr().err


def test_quarto_that_could_be_installed_is_used(environment, commands):
    def answer(command):
        install(environment / "bin")
        return subprocess.CompletedProcess(command, 0)

    commands.answer = answer
    assert find_quarto() == str(environment / "bin" / "quarto")
    assert find_quarto() == str(environment / "bin" / "quarto")
    assert len(commands) == 1
    assert not (environment / "quarto-not-available.txt").exists()


@every_failure
def test_a_failure_is_remembered_in_the_environment(environment, commands, capsys, error):
    commands.answer = failing(error)
    assert find_quarto() is None
    assert "quarto-cli" in (environment / "quarto-not-available.txt").read_text()
    capsys.readouterr()
    assert find_quarto() is None
    assert len(commands) == 1
    assert capsys.readouterr().err == ""


def test_the_index_is_asked_again_once_the_note_is_gone(environment, commands):
    commands.answer = failing(FAILURES["refused"])
    find_quarto()
    (environment / "quarto-not-available.txt").unlink()
    find_quarto()
    assert len(commands) == 2


def test_quarto_that_was_installed_since_is_found(environment, commands):
    """The note only keeps the index from being asked."""
    commands.answer = failing(FAILURES["refused"])
    find_quarto()
    program = install(os.environ["PATH"])
    assert find_quarto() == program


def test_an_environment_that_cannot_be_written_to_gets_no_note_and_no_error(
    environment, commands, monkeypatch, tmp_path
):
    commands.answer = failing(FAILURES["refused"])
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "not" / "there"))
    assert find_quarto() is None


# Building with it


def test_quarto_renders_the_project_with_this_python_and_profile(environment, commands, laboratory):
    program = install(os.environ["PATH"])
    path = os.environ["PATH"]
    assert build("smoke") == 0
    ((command, keywords),) = commands
    assert command == [program, "render", str(laboratory)]
    # The pre-render step calls `python -m lab1 publish`, which is to be this one.
    assert keywords["env"]["PATH"].split(os.pathsep) == [str(environment / "bin"), path]
    assert keywords["env"]["LAB1_PROFILE"] == "smoke"
    assert keywords["env"]["LAB1_HOME"] == os.environ["LAB1_HOME"]
    assert "LAB1_PROFILE" not in os.environ


@pytest.mark.parametrize("status", [0, 1, 7])
def test_quartos_exit_status_is_ours(environment, commands, laboratory, previewed, status):
    install(os.environ["PATH"])
    commands.answer = lambda command: subprocess.CompletedProcess(command, status)
    assert build("report") == status
    # A failure in Quarto is one to be mended, and no reason for a plainer site.
    assert previewed == []


# Building without it


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


def test_without_quarto_there_is_a_preview(environment, commands, laboratory, previewed, capsys):
    commands.answer = failing(FAILURES["refused"])
    assert build("smoke") == 0
    assert previewed == [("publish", "smoke"), ("build", laboratory)]
    said = capsys.readouterr()
    assert f"2 pages in {laboratory / '_site'}" in said.out
    assert str(laboratory / "_site" / "index.html") in said.out


def test_one_paragraph_says_that_it_is_a_preview_and_what_to_do(
    environment, commands, laboratory, previewed, capsys
):
    (environment / "quarto-not-available.txt").write_text("")
    build("smoke")
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    assert "Quarto" in said and "preview" in said and "https://quarto.org" in said
    assert str(environment / "quarto-not-available.txt") in said


def test_a_preview_that_was_asked_for_looks_for_no_quarto_and_explains_nothing(
    environment, commands, laboratory, previewed, capsys, monkeypatch
):
    install(os.environ["PATH"])
    monkeypatch.setattr(site_builder, "find_quarto", None)
    assert build("smoke", preview=True) == 0
    assert [call[0] for call in previewed] == ["publish", "build"]
    assert commands == []
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
