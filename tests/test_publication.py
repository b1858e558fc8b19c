"""What publishes the project names what exists; what is installed is pinned with its hash."""

import json
import re
import tomllib

import pytest
import yaml
from built_site import ROOT

import lab1
from lab1.errors import PublishError
from lab1.site.frame import Addresses, read_addresses

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MAKEFILE = (ROOT / "Makefile").read_text()
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "site.yml").read_text())
#: What the workflow takes from a build; `make clean` removes both.
BUILT = {"_site", "test-artifacts"}


def steps():
    return [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]


def test_what_the_workflow_runs_and_names_exists():
    commands = [line for step in steps() for line in step.get("run", "").splitlines()]
    made = {name for line in commands for name in re.findall(r"^make ([\w-]+)", line)}
    assert {"site", "test", "test-long", "pictures"} <= made
    assert made <= set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    for options in (step.get("with", {}) for step in steps()):
        for name in (options.get("path"), options.get("cache-dependency-path")):
            assert name is None or name in BUILT or (ROOT / name).exists(), name


def test_what_is_built_is_ignored_by_git_and_removed_by_clean():
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    (clean,) = re.findall(r"^clean:.*\n\trm -rf (.*)$", MAKEFILE, re.M)
    for name in BUILT:
        assert f"/{name}/" in ignored
        assert name in clean.split()


def test_only_what_is_on_the_main_branch_is_published():
    jobs = WORKFLOW["jobs"]
    for name in ("publish", "notebooks"):
        assert set(jobs[name]["needs"]) == {"test", "render"}
        assert "refs/heads/main" in jobs[name]["if"] and "pull_request" in jobs[name]["if"]
    # All other jobs may read alone.
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert {name for name, job in jobs.items() if "permissions" in job} == {"publish", "notebooks"}


def test_the_python_of_workflow_and_container_is_one_that_the_package_takes():
    oldest = tuple(map(int, PROJECT["requires-python"].removeprefix(">=").split(".")))
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    versions = [step["with"]["python-version"] for step in steps()
                if "python-version" in step.get("with", {})]  # fmt: skip
    versions.append(container["image"].rpartition(":")[2])
    assert len(versions) > 2
    assert all(tuple(map(int, version.split("."))) >= oldest for version in versions)


def test_the_container_opens_a_chapter_and_installs_what_it_needs():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    opened = container["customizations"]["codespaces"]["openFiles"]
    assert any(name.startswith("chapters/") for name in opened)
    needed = re.findall(r"--requirement (\S+)", container["postCreateCommand"])
    assert needed
    for name in [*opened, *needed]:
        assert (ROOT / name).is_file(), name


def test_version_and_licence_are_said_alike():
    for name in ("_quarto.yml", "about.qmd"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert re.findall(r"(?:lab1 |version = {)(\d+\.\d+\.\d+)", text) == [lab1.__version__]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(citation["version"]) == lab1.__version__
    assert citation["license"] == PROJECT["license"]


FONTS = ROOT / "lab1" / "site" / "fonts"


@pytest.mark.parametrize("font", sorted(FONTS.glob("*.woff*")), ids=lambda font: font.name)
def test_each_font_has_its_licence_beside_it(font):
    licence = font.with_suffix(".license.txt")
    text = licence.read_text() if licence.exists() else (FONTS / "OFL.txt").read_text()
    assert "SIL OPEN FONT LICENSE" in text
    assert licence.exists() or font.name in text


def test_the_licences_on_the_page_are_shipped():
    linked = set(re.findall(r"\]\((lab1/[^)]+)\)", (ROOT / "about.qmd").read_text()))
    resources = yaml.safe_load((ROOT / "_quarto.yml").read_text())["project"]["resources"]
    shipped = {path for pattern in resources for path in ROOT.glob(pattern)}
    shipped |= {file for folder in shipped if folder.is_dir() for file in folder.iterdir()}
    texts = [*FONTS.glob("*.txt"), *(ROOT / "lab1" / "site" / "licenses").iterdir()]
    assert {str(path.relative_to(ROOT)) for path in texts} == linked
    assert {*texts} <= shipped


def configured(root, text, name="_quarto.yml"):
    (root / name).write_text(text)
    return root


def test_no_address_is_made_up():
    """An address of nobody's would be published in every card and link."""
    assert "example" not in (ROOT / "_quarto.yml").read_text()


@pytest.mark.parametrize("text", ["{}", "website: {site-url: ''}", "website: {repo-url: }", ""])
def test_an_address_may_be_missing(tmp_path, text):
    assert read_addresses(configured(tmp_path, text)) == Addresses("", "")


def test_the_local_file_overrides(tmp_path):
    configured(tmp_path, "website: {site-url: 'https://a.org/x/', repo-url: 'https://b.org'}")
    configured(tmp_path, "website: {site-url: 'https://c.org'}", "_quarto.yml.local")
    assert read_addresses(tmp_path) == Addresses("https://c.org", "https://b.org")


@pytest.mark.parametrize("value", ["a.org", "ftp://a.org", "https://", "3"])
def test_what_is_no_address_is_refused_by_value_and_place(tmp_path, value):
    configured(tmp_path, f"website: {{repo-url: {json.dumps(value)}}}")
    with pytest.raises(PublishError, match=r"_quarto.yml: website: repo-url: .*https://"):
        read_addresses(tmp_path)


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
    needed = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"][extra]]
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
