"""The foot of the site: which commit it is of, where git knows."""

from built_site import git

from lab1.site.page_frame import site_foot

STATED = "lab1 0.1.0"


def test_the_foot_names_the_commit_of_the_project_and_no_other(tmp_path):
    assert site_foot(tmp_path, STATED) == STATED  # no repository
    git(tmp_path, "init", "--quiet")
    (tmp_path / "_quarto.yml").write_text("website: {}\n")
    git(tmp_path, "add", "--all")
    assert site_foot(tmp_path, STATED) == STATED  # no commit yet
    git(tmp_path, "commit", "--quiet", "--message", "The project")
    short = git(tmp_path, "log", "-1", "--format=%h").strip()
    assert site_foot(tmp_path, STATED).startswith(f"{STATED}, commit {short} of 20")
    # A copy that the repository around it does not know is of none of its commits.
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "_quarto.yml").write_text("website: {}\n")
    assert site_foot(tmp_path / "copy", STATED) == STATED
