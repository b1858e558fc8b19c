"""`python -m lab1 run` on a whole chapter, with real trainings: teachers first, probes and all."""

import pytest

from lab1.cli import main as cli
from lab1.core.store import Store
from lab1.planning import chapters, profiles

#: A small form of the chapter that asks most: two teachers, and probes of six kinds.
SMALL = {
    "seeds": "0",
    "further": "digits,digits without a class",
}


@pytest.mark.slow
def test_a_chapter_is_trained_and_everything_that_it_shows_is_measured(capsys):
    changes = [part for pair in SMALL.items() for part in ("-p", "=".join(pair))]
    command = ["run", "2_2", "--profile", "smoke", "--device", "cpu", *changes]
    assert cli.main(command) == 0
    store = Store()
    plan = profiles.page("2_2", "smoke", SMALL).plan()
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
