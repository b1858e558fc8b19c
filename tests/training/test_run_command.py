"""`python -m lab1 run` on a whole chapter, with real trainings: teachers first, probes and all."""

import pytest

from lab1.cli import main as cli
from lab1.core.store import Store
from lab1.planning import chapters, profiles

#: The chapter that asks most, in small: two teachers, and probes of six kinds.
PROFILE = """
chapters:
  "2_2":
    dataset: smoke-colour
    seeds: 0
    student_channels: 2
    student_depth: 1
    teacher_channels: 2
    teacher_depth: 1
    teacher_epochs: 1
    teacher_seed: 0
    temperature: 4
    alpha: 0.9
    epochs: 1
    validation_size: 3500
    further:
      - &digits
        name: digits
        dataset: smoke-grey
        teacher_family: MLP
        teacher_width: 8
        teacher_channels: none
        student_family: MLP
        student_width: 8
        student_channels: none
      - {<<: *digits, name: without a class, omitted_class: 3}
"""


@pytest.mark.slow
def test_a_chapter_is_trained_and_everything_that_it_shows_is_measured(laboratory, capsys):
    (laboratory / "params" / "tiny.yml").write_text(PROFILE)
    command = ["run", "2_2", "--profile", "tiny", "--device", "cpu", "--workers", "1"]
    assert cli.main(command) == 0
    store = Store()
    plan = profiles.page("2_2", "tiny", {}).plan()
    wanted = chapters.chapter("2_2").probes
    assert len({name for spec in plan for name in wanted(spec)}) == 6
    for spec in plan:
        record = store.find(spec)
        assert record.epochs == spec.training.epochs
        assert set(store.probes_of(spec)) == set(wanted(spec))
        if spec.teacher:
            assert record.origin["teacher_sha256"] == store.find(spec.teacher).weights_sha256
    assert f"training {len(plan)} missing" in capsys.readouterr().err
    # Asked again, it trains nothing.
    assert cli.main(command) == 0
    assert "training" not in capsys.readouterr().err
