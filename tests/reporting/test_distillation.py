import math
from dataclasses import replace

import pytest
from distilled import SETTING, bias_probe, digits, lengthened, measured, several, study

from lab1.reporting import distillation, frames, softened
from lab1.reporting.claims import Prose
from lab1.reporting.selections import Selection

PAIRS = [(0.70, 0.72), (0.73, 0.74), (0.76, 0.79)]


@pytest.fixture
def records(make_record):
    """A teacher, students of two widths, and the first at two temperatures and two weights."""
    return several(
        make_record,
        [
            (PAIRS, {}),
            ([(a, b + 0.01) for a, b in PAIRS], {"temperature": 8.0}),
            ([(a, b - 0.01) for a, b in PAIRS], {"alpha": 0.5}),
            ([(a + 0.1, b + 0.1) for a, b in PAIRS], {"channels": 16}),
        ],
    )


@pytest.fixture
def runs(records):
    return frames.runs(records)


@pytest.fixture
def unseen(make_record):
    of_digits = digits(make_record, [(70, 150, 80)] * 3, [(1, 1)] * 3)
    alone = [bias_probe(1000, 1200, 990, 1190)] * 3
    return measured(of_digits, alone, [bias_probe(150 + n, 230, 20, 110) for n in (-5, 0, 5)])


def means(table, *columns):
    return table.set_index([*columns])["mean"].to_dict()


def test_the_students_of_a_seed_are_joined_by_a_line(make_record):
    runs = frames.runs(study(make_record, PAIRS, longer=[0.81, 0.82]))
    figure = distillation.paired(runs, SETTING)
    table = figure.data.set_index(["student", "seed"])["accuracy"]
    assert table["alone", 1] == pytest.approx(73) and table["with teacher", 1] == pytest.approx(74)
    assert table["alone, 30 epochs"].to_dict() == {0: pytest.approx(81), 1: pytest.approx(82)}
    assert len(table) == 3 + 3 + 2
    spec = figure.chart.to_dict()
    assert [part["field"] for part in spec["layer"][0]["encoding"]["detail"]] == ["seed"]
    assert "alone, 30 epochs 81.50 %" in figure.alt and "seed 2: +3.00" in figure.alt


@pytest.fixture
def gains(runs):
    """The students with the teacher minus those alone, of each width, and a comparison of none."""
    students = Selection(runs).at(family="SimpleCNN", alpha=0.9, temperature=4)
    alone = Selection(runs).at(family="SimpleCNN", teacher_seed=None)
    sizes = (11, 16, 23)
    pairs = [students.at(channels=each) - alone.at(channels=each) for each in sizes]
    return [pair.in_("test_accuracy").beside("test_loss") for pair in pairs]


def test_one_network_stands_against_others(gains):
    figure = distillation.against(*gains)
    assert [*figure.data["other"]] == ["no teacher"] * 2 and [*figure.data["n"]] == [3, 3]
    assert figure.data["mean"].tolist() == pytest.approx([2, 2])
    assert figure.data["half_width"].iloc[0] == pytest.approx(2.484, abs=1e-3)
    assert isinstance(distillation.against(gains[2]), Prose)


def test_the_same_question_is_a_row_for_each_selection_of_runs(gains):
    table = distillation.same_question(*gains, gains[0])
    assert [*table.frame["Student"]] == ["11 channels", "16 channels"]
    assert [*table.frame["Difference"]] == ["+2.00\u00a0±\u00a02.48\u00a0points"] * 2
    assert isinstance(distillation.same_question(gains[2]), Prose)


@pytest.mark.parametrize(
    ("name", "columns", "expected"),
    [
        ("by_temperature", ("value",), {(4,): 2, (8,): 3}),
        ("by_alpha", ("value",), {(0.5,): 1, (0.9,): 2}),
        ("by_size", ("student", "parameters"), {
            ("alone", 48_400): 73, ("alone", 102_400): 83,
            ("with teacher", 48_400): 75, ("with teacher", 102_400): 85}),
    ],
)  # fmt: skip
def test_a_sweep_has_the_means_of_what_differs_in_one_thing_from_the_setting(
    runs, name, columns, expected
):
    table = getattr(distillation, name)(runs, SETTING).data
    parts = [*table.groupby("split")] if "split" in table else [("", table)]
    assert [split for split, _ in parts] in (["test", "validation"], [""])
    for _, part in parts:
        found = {tuple(row): mean for *row, mean in part[[*columns, "mean"]].to_numpy().tolist()}
        assert found == pytest.approx(expected)


def test_the_losses_are_those_of_the_setting(records, runs):
    history = frames.history([lengthened(record, 5) for record in records])
    table = distillation.losses(history, runs, SETTING).data
    assert set(table["n"]) == {3} and table["epoch"].max() == 5
    found = means(table, "part", "epoch")
    assert found["hard: cross-entropy with the labels", 5] == pytest.approx(0.5)
    assert found["soft: divergence from the teacher", 1] == pytest.approx(1.4)
    assert found["combined", 2] == pytest.approx(0.8)


def test_the_class_unseen_stands_beside_the_papers_values(unseen):
    table = distillation.unseen(unseen).data
    found = means(table, "source", "student")
    assert found["this laboratory", "alone"] == 0
    assert found["this laboratory", "with teacher"] == pytest.approx(85)
    assert found["this laboratory", "with teacher, corrected"] == pytest.approx(98)
    papers = "Hinton et al. (2015)"
    assert found[papers, "with teacher"] == pytest.approx(100 * (1 - 133 / 1010))
    assert found[papers, "with teacher, corrected"] == pytest.approx(100 * (1 - 14 / 1010))


def test_the_papers_values_do_not_stand_beside_other_digits(unseen):
    others = [
        (replace(record, spec=replace(record.spec, dataset="smoke-grey", distillation=None)), probe)
        for record, probe in unseen
    ]
    # Without their teachers all would be students alone; half keep theirs.
    mixed = [pair if pair[0].spec.distillation else other for pair, other in zip(unseen, others,
             strict=True)]  # fmt: skip
    mixed.sort(key=lambda pair: pair[0].spec.dataset != "smoke-grey")
    assert set(distillation.unseen(mixed).data["source"]) == {"this laboratory"}


CHARTS = ("paired", "by_temperature", "by_alpha", "by_size", "losses", "unseen")


@pytest.mark.parametrize("name", CHARTS)
def test_charts_are_valid_and_name_their_data_and_without_a_pair_there_is_none(
    name, records, unseen
):
    def draw(records, measured):
        runs, history = frames.runs(records), frames.history(records)
        given = {"losses": (history, runs, SETTING), "unseen": (measured,)}
        return getattr(distillation, name)(*given.get(name, (runs, SETTING)))

    figure = draw(records, unseen)
    data = "MNIST" if name == "unseen" else "CIFAR-10 (JPEG copy)"
    assert figure.chart.to_dict(validate=True)["title"] == data
    assert data in figure.alt
    assert isinstance(draw(records[:1], []), Prose)


def test_the_summary_has_every_configuration(runs):
    table = distillation.summary(runs)
    frame = table.frame
    assert frame["Role"].value_counts().to_dict() == {
        "teacher": 1, "student alone": 2, "student with teacher": 4,
    }  # fmt: skip
    row = frame[(frame["Temperature"] == 8) & (frame["Alpha"] == 0.9)].iloc[0]
    assert row["Test accuracy"] == pytest.approx(76)
    assert (row["Improvement"], row["Pairs"], row["n"]) == (pytest.approx(3), 3, 3)
    assert row["Improvement half-width"] == pytest.approx(2.484, abs=1e-3)
    assert "+3.00 ± 2.48" in table.markup
    alone = frame.query("Role == 'student alone'")
    assert alone[["Improvement", "Temperature"]].isna().all(axis=None)
    assert set(alone["Pairs"]) == {0}
    assert isinstance(distillation.digits(runs, []), Prose)  # none of which is of digits
    assert all(f'href="#runs-{group}"' in table.markup for group in set(runs["group"]))


def test_a_class_left_out_is_named(make_record):
    runs = frames.runs(digits(make_record, [(70, 150, 80)], [(1200, 230)]))
    roles = set(distillation.summary(runs).frame["Role"])
    assert "student with teacher, without class 3" in roles


def test_the_errors_on_digits_stand_beside_the_papers(make_record, unseen):
    runs = frames.runs(digits(make_record, [(70, 150, 80), (72, 152, 83), (68, 148, 77)]))
    table = distillation.digits(runs, unseen)
    frame = table.frame.set_index("Network")
    assert frame["Errors"].to_dict() == {
        "teacher": 70,
        "student alone": 150,
        "student with teacher": 80,
        "student alone, class 3 never seen": 1200,
        "student with teacher, class 3 never seen": 230,
        "… of these on that class": 150,
        "… corrected": 110,
        "… corrected, of these on that class": 20,
    }
    assert set(frame["n"]) == {3}
    papers = frame["Hinton et al."].dropna().tolist()
    assert papers == [67, 146, 74, 206, 133, 109, 14]
    assert [*distillation.DIGITS_ERRORS.values()] == papers[:3]
    assert "80.0 ± 7.5" in table.markup


def test_softened_answers_stand_beside_their_image(make_record):
    record = make_record("ResidualCNN", 4, 0, 0.86, "cifar10-jpeg", channels=16)
    sharp, soft = [0.9, 0.06, 0.03, 0.01] + [0.0] * 6, [0.4, 0.3, 0.2, 0.1] + [0.0] * 6
    probe = {
        "temperatures": [1, 4],
        "images": [{"index": 5, "label": 0, "png": "AAAA", "probabilities": [sharp, soft]}],
    }
    table = softened.table(record, probe)
    assert table.frame["temperature"].tolist() == [1, 4]
    assert table.frame["airplane"].tolist() == [0.9, 0.4]
    assert 'alt="test image 5, airplane"' in table.markup
    assert "airplane 90.0%" in table.markup and "--share: 40.0%" in table.markup
    # The likeliest first, and no more than can be read.
    answer = table.markup.split("<td>")[-1]
    assert answer.index("airplane") < answer.index("automobile") and answer.count("lab1-bar") == 4


LOGITS = [[4.0, 2.0, 1.0, *[0.0] * 7], [0.5, 3.0, *[0.25] * 8]]


def softmax(logits, temperature):
    weights = [math.exp(each / temperature) for each in logits]
    return [weight / sum(weights) for weight in weights]


@pytest.fixture
def turned(make_record):
    record = make_record("ResidualCNN", 2, dataset="smoke-colour")
    temperatures, picture = [1, 4, 16], {"index": 7, "png": "AAAA"}
    images = [
        {**picture, "label": label, "probabilities": [softmax(logits, t) for t in temperatures]}
        for label, logits in enumerate(LOGITS)
    ]
    probe = {"temperatures": temperatures, "images": images, "confident": images[:1]}
    return softened.turned(record, probe, 4)


def test_the_chart_to_turn_has_the_answers_at_one_and_one_image_per_row(turned):
    assert len(turned.data) == 30
    own = turned.data[turned.data["image"] == turned.data["image"].iloc[0]]
    assert own["probability"].tolist() == pytest.approx(softmax(LOGITS[0], 1))


def test_its_temperature_and_image_are_the_readers(turned):
    spec = turned.parts()["spec"]
    bound = {each["name"]: each for each in spec["params"] if "bind" in each}
    assert bound["T"]["value"] == 4
    assert bound["T"]["bind"]["input"] == "range"
    assert (bound["T"]["bind"]["min"], bound["T"]["bind"]["max"]) == (1, 20)
    assert bound["picture"]["bind"]["options"] == ["0, hesitant", "1, hesitant", "0, sure"]


def test_without_scripts_it_says_the_softmax_over_the_temperature(turned):
    """p^(1/T), normalised, is the softmax of the logits over T: so is the drawn picture."""
    at_one, at_four = softmax(LOGITS[0], 1), softmax(LOGITS[0], 4)
    assert f"0 {at_one[0]:.1%} and {at_four[0]:.1%}" in turned.alt
    assert f"{at_four[0]:.1%}" in turned.parts()["svg"]
    assert f"{at_four[1]:.1%}" in turned.parts()["svg"]
