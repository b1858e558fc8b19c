import copy
import json
import re

import pytest

from lab1.core import benchmarks
from lab1.core.errors import RecordError
from lab1.planning import profiles


@pytest.fixture
def benchmark():
    """One case, three rounds: ours in bf16 three, two and four times as fast as the reference."""

    def rounds(*rates, accuracy=0.5):
        return [
            {"seconds": 1.0, "images_per_second": rate, "accuracy": accuracy + 0.01 * index}
            for index, rate in enumerate(rates)
        ]

    return {
        "schema": 1,
        "commit": "0" * 40,
        "date": "2026-01-01",
        "hardware": {
            "kind": "cpu",
            "name": "a processor",
            "threads": 2,
            "cores": 2,
            "matrix_product_flops": 1e6,
        },
        "versions": {"torch": "2.14.1", "python": "3.11.0"},
        "reference": "reference",
        "skipped": ["PyTorch Lightning"],
        "titles": {
            "lab1": "lab1, float32",
            "lab1-bf16": "lab1, bf16",
            "reference": "reference loop",
        },
        "cases": [
            {
                "name": "resnet-20",
                "title": "ResNet-20",
                "dataset": "cifar10-jpeg",
                "images": 100,
                "epochs": 2,
                "batch_size": 10,
                "augmentation": "crop-flip",
                "target": 2.2,
                "flops": 100,
                "rounds": {
                    "lab1": rounds(50, 60, 100),
                    "lab1-bf16": rounds(300, 100, 400, accuracy=0.4),
                    "reference": rounds(100, 50, 100),
                },
            }
        ],
    }


def rows(benchmark):
    return {row["contender"]: row for row in benchmarks.summary(benchmark)}


def test_ratios_are_taken_within_a_round(benchmark):
    found = rows(benchmark)["reference loop"]
    assert (found["minimum"], found["ratio"], found["maximum"]) == (2, 3, 4)
    assert found["images_per_second"] == 100
    assert found["target"] == 2.2


def test_ours_is_the_faster_of_its_precisions(benchmark):
    assert rows(benchmark)["lab1, bf16"]["ratio"] == 1
    case = benchmark["cases"][0]["rounds"]
    case["lab1"], case["lab1-bf16"] = case["lab1-bf16"], case["lab1"]
    assert rows(benchmark)["lab1, float32"]["ratio"] == 1
    assert rows(benchmark)["reference loop"]["ratio"] == 3


def test_accuracies_and_the_share_of_the_peak(benchmark):
    found = rows(benchmark)["lab1, bf16"]
    assert found["accuracy"] == pytest.approx(0.41)
    assert (found["lowest_accuracy"], found["highest_accuracy"]) == pytest.approx((0.4, 0.42))
    assert found["share_of_peak"] == pytest.approx(3 * 100 * 300 / 1e6)
    assert found["dataset"] == "CIFAR-10 (JPEG copy)"


def test_the_text_has_every_figure_and_what_was_skipped(benchmark):
    text = benchmarks.text(benchmark)
    assert "3.00 (2.00 to 4.00), aim 2.2" in text
    assert "CIFAR-10 (JPEG copy)" in text
    assert "skipped, not installed: PyTorch Lightning" in text


def damaged(change):
    def apply(benchmark):
        changed = copy.deepcopy(benchmark)
        change(changed)
        return json.dumps(changed)

    return apply


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (damaged(lambda b: b.update(schema=2)), "schema 2; this version reads 1"),
        (damaged(lambda b: b.pop("hardware")), "not readable as a benchmark"),
        (damaged(lambda b: b["cases"][0]["rounds"]["lab1"].pop()), "not readable"),
        (lambda _: "[]", "not readable"),
        (lambda _: "{", "not readable"),
    ],
)
def test_what_is_no_benchmark_is_refused_by_name(benchmark, tmp_path, make, complaint):
    path = tmp_path / "cpu.json"
    path.write_text(json.dumps(benchmark))
    assert benchmarks.read(path) == benchmark
    path.write_text(make(benchmark))
    with pytest.raises(RecordError, match=complaint) as caught:
        benchmarks.read(path)
    assert str(path) in str(caught.value)


def test_the_published_benchmarks_reach_their_aims():
    """By the median of their rounds; and ours is slower than none of the others."""
    published = benchmarks.published()
    assert published
    for name, each in published.items():
        assert re.fullmatch(r"[0-9a-f]{40}", each["commit"]), name
        for row in benchmarks.summary(each):
            if not row["contender"].startswith("lab1"):
                assert row["ratio"] >= (row["target"] or 1), (name, row)


@pytest.fixture
def depths():
    """A record of ``bench --depths`` of three rounds, the second of them slow."""
    return {
        "schema": 1,
        "hardware": {"kind": "cpu", "name": "AMD EPYC", "cores": 2},
        "versions": {"torch": "2.14.1"},
        "dataset": "cifar10-jpeg",
        "images": 2000,
        "batch_size": 128,
        "precision": "bf16",
        "networks": [
            {"family": "PlainNet", "depth": 20, "seconds": [2.0, 4.0, 2.0]},
            {"family": "ResNet", "depth": 110, "seconds": [12.0, 20.0, 14.0]},
        ],
    }


def test_depths_are_set_against_the_first_within_a_round(depths):
    rows = benchmarks.depth_rounds(depths)
    assert [row["milliseconds"] for row in rows] == [1, 2, 1, 6, 10, 7]
    assert [row["ratio"] for row in rows] == [1, 1, 1, 6, 5, 7]
    text = benchmarks.depths_text(depths)
    assert re.search(r"ResNet, 110 layers +7\.00 +6\.00 \(5\.00 to 7\.00\)", text)


def test_a_network_without_all_rounds_is_no_benchmark(depths, tmp_path):
    path = tmp_path / "cpu.json"
    path.write_text(json.dumps(depths))
    assert benchmarks.read(path, benchmarks.depth_rounds) == depths
    depths["networks"][1]["seconds"].pop()
    path.write_text(json.dumps(depths))
    with pytest.raises(RecordError, match="not readable as a benchmark"):
        benchmarks.read(path, benchmarks.depth_rounds)
    with pytest.raises(RecordError, match="not readable as a benchmark"):
        benchmarks.read(path)


def test_the_published_depths_have_every_network_of_the_report():
    published = benchmarks.published_depths()
    assert published
    specs = next(page for page in profiles.pages("report") if page.chapter == "depth").plan()
    wanted = {(spec.model.family, spec.model.depth) for spec in specs}
    for name, each in published.items():
        assert re.fullmatch(r"[0-9a-f]{40}", each["commit"]), name
        assert wanted <= {(row["family"], row["depth"]) for row in benchmarks.depth_rounds(each)}
