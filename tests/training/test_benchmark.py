import json
from dataclasses import replace

import pytest
import torch
from benchmark_records import depths_record
from torch import nn

from lab1.cli import main as cli
from lab1.core import benchmarks
from lab1.core.datasets import DATASETS
from lab1.core.families import FAMILIES
from lab1.core.fields import without_defaults
from lab1.errors import DataError
from lab1.planning import profiles
from lab1.training.benchmark import cases, contenders, measure
from lab1.training.benchmark.cases import CASES, load, smoke
from lab1.training.data.augmentation import Normalize

CPU = torch.device("cpu")
EVERYONE = contenders.contenders(CPU)


@pytest.fixture(autouse=True)
def _no_need_to_be_exact(monkeypatch):
    """The processor's rate is taken from the small product, and the tests' memory left alone."""
    monkeypatch.setattr(measure, "_LONG_PRODUCT", 0.0)
    monkeypatch.setattr(measure.gc, "collect", lambda: None)


@pytest.fixture
def tiny():
    """The MLP's case on a few of the built-in images."""
    case = smoke(CASES["mlp"])
    return replace(case, images=128, config=replace(case.config, epochs=1))


def test_the_cases_on_the_command_line_are_those_there_are():
    parsed = cli.parser().parse_args(["bench", *(f"--case={name}" for name in CASES)])
    assert parsed.case == list(CASES)
    with pytest.raises(SystemExit):
        cli.parser().parse_args(["bench", "--rounds", "0"])


def test_a_case_takes_the_first_of_its_data_sets_that_is_there(tmp_path):
    assert cases._present(("cifar10", "cifar10-jpeg"), str(tmp_path)) == "cifar10"  # downloaded
    (tmp_path / "cifar10").mkdir()
    assert cases._present(("cifar10", "cifar10-jpeg"), str(tmp_path)) == "cifar10-jpeg"


def test_images_one_at_a_time_are_those_of_a_batch():
    """Without augmentation both roads lead to the same inputs; so the task is the same."""
    case = replace(smoke(CASES["simple-cnn"]), images=20)
    case = replace(case, config=replace(case.config, augmentation="none"))
    loaded = load(case, None)
    one_by_one = contenders.per_image_dataset(case, loaded)
    inputs = torch.stack([one_by_one[index][0] for index in range(20)])
    labels = torch.tensor([one_by_one[index][1] for index in range(20)])
    normalize = Normalize(loaded.declared.mean, loaded.declared.std, CPU)
    torch.testing.assert_close(inputs, normalize(loaded.train.images))
    assert torch.equal(labels, loaded.train.labels)


@pytest.mark.parametrize("name", ["simple-cnn", "resnet-20"])
def test_images_one_at_a_time_are_augmented(name):
    case = smoke(CASES[name])
    one_by_one = contenders.per_image_dataset(case, load(case, None))
    torch.manual_seed(0)
    views = [one_by_one[3][0] for _ in range(8)]
    assert len({tuple(view.flatten().tolist()) for view in views}) > 6


def test_thinned_out_images_are_of_every_class():
    loaded = load(replace(smoke(CASES["mlp"]), images=200), None)
    counts = torch.bincount(loaded.train.labels, minlength=10)
    assert len(loaded.train) == 200
    assert counts.min() > 5
    assert len(loaded.test) == DATASETS["smoke-grey"].test_size
    with pytest.raises(DataError, match="needs 5000 training images, there are 4000"):
        load(replace(smoke(CASES["mlp"]), images=5000), None)


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERYONE)
def test_every_contender_starts_alike_and_trains(name, tiny):
    if not EVERYONE[name].is_installed:
        pytest.skip(f"{EVERYONE[name].title} is not installed (extra 'bench')")
    loaded = load(tiny, None)
    model, train = EVERYONE[name].prepare(tiny, loaded, 3, CPU)
    before = tiny.build("smoke-grey", 3).state_dict()
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    inputs = Normalize(loaded.declared.mean, loaded.declared.std, CPU)(loaded.train.images)

    def loss():
        with torch.no_grad():
            return float(nn.functional.cross_entropy(model(inputs), loaded.train.labels))

    at_first = loss()
    train()
    assert loss() < at_first


@pytest.mark.slow
def test_the_command_prints_a_record_that_can_be_read(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(contenders, "_OTHERS", {"reference": EVERYONE["reference"]})
    code = cli.main(["bench", "--smoke", "--json", "--case", "mlp", "--rounds", "2"])
    assert code == 0
    path = tmp_path / "here.json"
    path.write_text(capsys.readouterr().out)
    (case,) = benchmarks.read(path)["cases"]
    assert {len(rounds) for rounds in case["rounds"].values()} == {2}
    assert json.loads(path.read_text())["hardware"]["cores"] >= 1


@pytest.mark.slow
def test_contenders_take_turns_in_going_first(tiny, monkeypatch):
    """So that a machine that grows slower does not always hit the same one."""
    order = []

    def contender(name):
        def prepare(case, loaded, seed, device):
            return case.build("smoke-grey", seed), lambda: order.append((seed, name))

        return contenders.Contender(name, prepare)

    made = {name: contender(name) for name in ("lab1", "reference", "third")}
    made["absent"] = contenders.Contender("absent", None, package="no_such_package")
    monkeypatch.setattr(measure, "contenders", lambda device: made)
    result = measure.measure([tiny], compared=benchmarks.CONTENDERS, rounds=3, device="cpu")
    assert [name for _, name in order[:3]] == ["lab1", "reference", "third"]  # to warm up
    order = order[3:]
    first = [name for seed, name in order[::3]]
    assert sorted(first) == ["lab1", "reference", "third"]
    assert [seed for seed, _ in order] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert result["skipped"] == ["absent"]
    assert benchmarks.summary(result)


def test_the_networks_are_those_that_the_chapters_train():
    """At their width, with their optimiser, batch and augmentation; none is left out."""
    made = {(case.model, case.config.optimizer, case.config.batch_size, case.config.augmentation)
            for case in cases.by_depth()}  # fmt: skip
    pages = [
        page for page in profiles.pages("report") if page.name in ("1_1", "1_2", "1_3", "depth")
    ]
    (exercise,) = (page for page in profiles.pages("report") if page.name == "1_3")
    width = exercise.parameters["channels"]
    timed = {model for model, *_ in made}
    assert {s.model for s in exercise.plan() if s.model.channels == width} <= timed
    sizes = {"family", "depth", "width", "channels"}
    wanted = {
        (spec.model, spec.training.optimizer, spec.training.batch_size, spec.training.augmentation)
        for page in pages
        for spec in page.plan()
        if without_defaults(spec.model).keys() <= sizes
        # The networks of 1.3 are timed as its longer trainings have them.
        and spec.training.augmentation != "rotate-affine"
    }
    assert len(wanted) > 15 and wanted <= made


def test_the_families_on_the_command_line_are_timed_alone(monkeypatch, capsys):
    asked = {}
    empty = {**depths_record({}), "skipped": []}
    monkeypatch.setattr(
        measure, "measure", lambda made, **how: asked.update(how, made=made) or empty
    )
    assert cli.main(["bench", "--family", "MLP", "--family", "PlainCNN"]) == 0
    assert {case.model.family for case in asked["made"]} == {"MLP", "PlainCNN"}
    assert asked["compared"] == benchmarks.DEPTHS
    assert {case.model.family for case in cases.by_depth()} == set(FAMILIES)


@pytest.mark.slow
def test_networks_of_every_depth_are_timed_in_turn(capsys, tmp_path, monkeypatch):
    networks = [(("MLP", "ResidualMLP"), (2, 4), "mlp", "none", 64)]
    monkeypatch.setattr(cases, "NETWORKS", networks)
    code = cli.main(
        ["bench", "--depths", "--smoke", "--json", "--rounds", "2", "--note", "Beside a test."]
    )
    assert code == 0
    captured = capsys.readouterr()
    path = tmp_path / "here.json"
    path.write_text(captured.out)
    record = benchmarks.read(path)
    rows = benchmarks.rounds(record)
    precisions = len(record["contenders"])
    assert len(rows) == 2 * 2 * 2 * precisions and all(row["milliseconds"] > 0 for row in rows)
    assert record["note"] == "Beside a test." and {row["accuracy"] for row in rows} == {None}
    first, second = (
        [line.split(":")[0] for line in captured.err.splitlines() if f"round {index} of" in line]
        for index in (1, 2)
    )
    # The other half goes first.
    assert (
        second == first[2 * precisions :] + first[: 2 * precisions] and len(first) == 4 * precisions
    )
