"""Comparisons of a page, corrected together, and sentences that are held to them."""

from dataclasses import replace

import pytest
from distilled import study
from scipy import stats

from lab1.core.families import FAMILIES
from lab1.errors import ClaimError
from lab1.reporting import frames, selections
from lab1.reporting.claims import MIME, claim, describe
from lab1.reporting.findings import Findings, of_further_networks, of_several_answers
from lab1.reporting.paired import Finding
from lab1.reporting.selections import Selection

SEEDS = [0.90, 0.92, 0.93, 0.95, 0.96]
JITTER = [0.0010, -0.0010, 0.0005, -0.0005, 0.0]


def around(shift):
    return [seed + shift + jitter for seed, jitter in zip(SEEDS, JITTER, strict=True)]


WORSE = {("MLP", 2): SEEDS, ("MLP", 32): around(-0.02)}
EQUAL = {("MLP", 2): SEEDS, ("MLP", 32): [0.93, 0.90, 0.94, 0.93, 0.97]}


def page_of(records, **further):
    """The findings of the deepest network minus the shallowest, of records."""
    base = Selection(frames.runs(records)).at(family="MLP").at_base_rate()
    difference = base.deepest - base.shallowest
    return Findings.of(
        {
            "depth": difference.in_("test_accuracy").beside("test_loss"),
            "cost": difference.beside("parameters", "epoch_seconds"),
            **further,
        }
    )


@pytest.fixture
def page(experiment):
    """Fabricates an experiment and compares its depths."""
    return lambda *arguments, **keywords: page_of(experiment(*arguments, **keywords))


def say(text, *conditions, published=True, **keywords):
    return claim(text, conditions, published=published, **keywords)


def test_a_comparison_is_that_of_a_paired_t_test_corrected_with_the_others(experiment):
    records = experiment({**WORSE, ("MLP", 8): around(-0.001)})
    base = Selection(frames.runs(records)).at(family="MLP")
    shallow, middle, deep = (base.at(depth=depth) for depth in (2, 8, 32))
    findings = Findings.of(
        {
            "deep": (deep - shallow).in_("test_accuracy"),
            "middle": (middle - shallow).in_("test_accuracy"),
            "again": (shallow - deep).in_("test_accuracy"),
            "loss": (deep - shallow).in_("test_loss"),
        }
    )
    tests = [stats.ttest_rel(around(shift), SEEDS) for shift in (-0.02, -0.001)]
    for comparison, test in zip(findings, tests, strict=False):
        low, high = test.confidence_interval(0.95)
        assert (comparison.value.low, comparison.value.high) == pytest.approx((low, high))
        assert comparison.value.p_value == pytest.approx(test.pvalue)
    # The same two arms the other way round are one comparison; equal losses are another.
    assert findings["deep"].adjusted == pytest.approx(3 * tests[0].pvalue)
    assert findings["again"].adjusted == findings["deep"].adjusted
    assert findings["middle"].adjusted == pytest.approx(2 * tests[1].pvalue)
    marks = [comparison.finding for comparison in findings]
    assert marks == [Finding.BELOW, Finding.OPEN, Finding.ABOVE, Finding.NOT_SHOWN]
    assert findings["middle"].open_below().holds and not findings["middle"].open_above().holds


def test_a_difference_of_differences_is_paired_by_seed(experiment):
    cells = {**WORSE, ("ResidualMLP", 2): SEEDS, ("ResidualMLP", 32): around(0.01)}
    base = Selection(frames.runs(experiment(cells)))
    plain, residual = (base.at(family=family) for family in ("MLP", "ResidualMLP"))
    depths = [network.deepest - network.shallowest for network in (residual, plain)]
    comparison = (depths[0] - depths[1]).in_("test_accuracy")
    assert comparison.value.mean == pytest.approx(0.03) and comparison.n == 5
    assert comparison.arms({}) == (
        "(32 layers − 2 layers, residual MLP) − (32 layers − 2 layers, plain MLP)"
    )
    assert comparison.finding is Finding.OPEN  # nothing has corrected it yet


def diverged(record, depth=32):
    lost = record.spec.model.depth == depth and record.spec.seed == 0
    return replace(record, test={}, stopped="diverged", best_epoch=None) if lost else record


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda made: made(WORSE), ""),
        (lambda made: made({("MLP", 2): SEEDS}), "both are the same runs"),
        (lambda made: made({c: v[:2] for c, v in WORSE.items()}), "fewer than 3 seeds"),
        (lambda made: [*map(diverged, made(WORSE))], "in 1 of 5 pairs a run diverged"),
        (
            lambda made: made({("MLP", 2): SEEDS, ("MLP", 32): [0.1, 0.1, 0.1, 0.9, 0.95]}),
            "3 of 5 runs of 32 layers ended at chance",
        ),
        # Where none of an arm's runs learned, that is a result.
        (lambda made: made({("MLP", 2): SEEDS, ("MLP", 32): [0.1, 0.11, 0.1, 0.1, 0.1]}), ""),
        (
            lambda made: made({("MLP", 2): SEEDS}) + made({("MLP", 32): SEEDS}, origin={
                "device": {"kind": "cuda"}, "versions": {"torch": "2.11.0"}}),
            "no two runs share seed, device and versions",
        ),
        (lambda made: made(WORSE) + made({("MLP", 32): SEEDS}, schedule="cosine"),
         "plain MLP, 32 layers, learning rate 0.001 has several runs of one seed"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_says_why(experiment, change, reason):
    comparison = page_of(change(experiment))["depth"]
    assert comparison.reason == reason
    assert comparison.unjudged().holds == (bool(reason) and comparison.is_pair)
    assert (comparison.value.sign == 0) == bool(reason)


def test_a_sentence_stands_where_its_conditions_hold(page):
    depth = page(WORSE)["depth"]
    text = "{depth.one} **hurt**: {depth}, {depth.size}, n = {depth.n}, beside {depth.test_loss}."
    said = say(text, depth.below())
    assert said == (
        "32 layers **hurt**: −2.00\u00a0±\u00a00.10\u00a0points, 2.00\u00a0points, n = 5, "
        "beside +0.0."
    )
    assert said._repr_mimebundle_()[MIME] == {
        "text": said, "name": "", "box": False, "card": None, "failed": [],
    }  # fmt: skip
    cost = page(WORSE)["cost"]
    assert "times" in say("{cost.parameters.ratio} times, on {cost.one.hardware}.", cost.stated())


UP = [0.91, 0.93, 0.94, 0.96, 0.97]


@pytest.mark.parametrize(
    ("cells", "condition", "within", "holds"),
    [
        (WORSE, "below", None, True),
        (WORSE, "above", None, False),
        (WORSE, "not_shown", None, False),
        (WORSE, "stated", None, False),
        (EQUAL, "below", None, False),
        (EQUAL, "not_shown", None, True),
        (EQUAL, "not_shown", 10, True),
        (EQUAL, "not_shown", 0.1, False),
        ({("MLP", 2): SEEDS, ("MLP", 32): UP}, "above", None, True),
    ],
)
def test_a_condition_holds_or_not(page, cells, condition, within, holds):
    depth = page(cells)["depth"]
    made = getattr(depth, condition)(*([within] if within else []))
    assert made.holds is holds
    if not holds:
        with pytest.raises(
            ClaimError, match=rf"“So it is\.” is not carried .*depth needs {made.kind}"
        ):
            say("So it is.", made)


def test_an_error_names_sentence_comparison_and_value(page):
    with pytest.raises(ClaimError) as error:
        say("More layers **help** ({depth}).", page(WORSE)["depth"].above())
    assert str(error.value) == (
        "“More layers **help** ({depth}).” is not carried by its records: depth needs above: "
        "32 layers − 2 layers, plain MLP, learning rate 0.001, test accuracy: "
        "−2.00\u00a0±\u00a00.10\u00a0points (n\u00a0=\u00a05), lower"
    )


def test_a_draft_shows_the_sentence_and_what_it_lacks(page):
    said = say("They **help** ({depth}).", page(WORSE)["depth"].above(), draft=True)
    assert said.startswith("<mark>Not carried by the records: depth needs above") and said.failed
    assert "They **help** (−2.00" in said


@pytest.mark.parametrize(
    ("text", "condition", "why"),
    [
        ("They hurt.", None, "needs a condition"),
        ("By {other}.", "below", "no condition names other"),
        ("By {depth.train_loss}.", "below", "'train_loss' is nothing of a comparison"),
        ("By {depth.one.dpth}.", "below", "unknown parameter 'dpth'"),
        ("By {depth:.2f.", "below", "a brace is written twice"),
        ("With 32 layers.", "below", "32 is typed"),
        ("As @hesse say.", "below", "@h belongs into a Markdown cell"),
        ("# So it is", "below", "# belongs into a Markdown cell"),
        ("By {depth.size}.", "not_shown", "depth is not shown, so give it with its interval"),
        ("See [exercise 1.2](1_2.ipynb), $W_1$ and `[2] * 3`.", "below", ""),
    ],
)
def test_a_sentence_that_is_written_wrongly_is_an_error_on_every_page(page, text, condition, why):
    depth = page(WORSE)["depth"]
    conditions = [getattr(depth, condition)()] if condition else []
    if why:
        with pytest.raises(ClaimError, match=why):
            say(text, *conditions)
    else:
        assert say(text, *conditions) == text


def test_what_was_not_measured_carries_no_sentence(page):
    depth = page(WORSE)["depth"].beside("calibration_error")
    with pytest.raises(ClaimError, match=r"calibration error: unknown .*: not measured"):
        say("Beside {depth.calibration_error}.", depth.below())


def test_a_change_with_depth_needs_two_depths(experiment):
    """What depth does to one network, minus what it does to another."""
    runs = Selection(frames.runs(experiment({("MLP", 2): SEEDS, ("ResidualMLP", 2): SEEDS})))
    changes = [
        part.deepest - part.shallowest for part in map(runs.of_family, FAMILIES) if part.depths
    ]
    comparison = (changes[1] - changes[0]).in_("test_accuracy").beside("test_loss")
    assert not comparison.is_pair and comparison.reason == "both are the same runs"
    assert (changes[1] - changes[0]).beside("test_loss").reason == "both are the same runs"


def test_readers_comparisons_take_the_place_of_a_sentence_that_fails(page):
    depth = page(EQUAL)["depth"]
    said = say("They **hurt** ({depth}).", depth.below(), published=False)
    assert said.startswith("- 32 layers − 2 layers, ") and "no difference shown" in said
    alone = page({("MLP", 2): SEEDS})
    text, condition = "They **hurt** ({depth}).", alone["depth"].below()
    assert say(text, condition, published=False, page=alone) == ""  # the box says so, once
    others = Findings({**alone.comparisons, **page(WORSE).comparisons})
    reason = "*Not compared here: both are the same runs.*"
    assert say(text, condition, published=False, page=others) == reason


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (WORSE, '<p class="lab1-number lab1-plain">'
                "−2.00 <small>±\u00a00.10\u00a0points</small></p>\n\n"
                "**What was found.** They hurt.\n\n</div>"),
        (EQUAL, "**Of these runs.**\n\n- 32 layers − 2 layers, plain MLP, learning rate 0.001, "),
        ({("MLP", 2): SEEDS}, "**Of these runs.**\n\n- plain MLP, 2 layers, learning rate 0.001: "),
    ],
)  # fmt: skip
def test_a_box_opens_the_page_whatever_its_runs_are(page, cells, expected):
    findings = page(cells)
    depth = findings["depth"]
    said = say("They hurt.", depth.below(), published=False, number=depth, page=findings, box=True)
    assert said.startswith(f'<div class="lab1-answer">\n\n{expected}')
    assert said.box and bool(said.failed) == (cells is not WORSE)


def test_a_box_hands_on_a_card_with_its_number_and_every_pair(page):
    depth = page(WORSE)["depth"]
    made = say("They hurt.", depth.below(), number=depth, box=True,
               card="{depth.one} are worse.", doubt="{depth.n} seeds.")  # fmt: skip
    card = made._repr_mimebundle_()[MIME]["card"]
    assert card.pop("pairs") == pytest.approx([100 * jitter - 2 for jitter in JITTER])
    assert card.pop("half_width") == pytest.approx(0.1, abs=0.005)
    assert card.pop("mean") == pytest.approx(-2)
    assert '"lower">✓</span>' in card.pop("mark")
    assert card == {
        "text": "32 layers are worse.",
        "doubt": "5 seeds.",
        "number": "−2.00",
        "unit": "points",
        "style": "plain",
    }
    with pytest.raises(ClaimError, match="5 is typed"):
        say("They hurt.", depth.below(), number=depth, box=True, card="A card.", doubt="5 seeds.")
    alike = page(EQUAL)["depth"]
    assert (
        say("They hurt.", alike.below(), published=False, number=alike, card="Worse.").card is None
    )


@pytest.mark.parametrize("text", [46 * "word ", "{depth}, {depth.one}, {depth.other}."])
def test_a_box_is_short(page, text):
    findings = page(WORSE)
    with pytest.raises(ClaimError, match="a box has at most 45 words and 3 numbers"):
        say(text, findings["depth"].below(), page=findings, box=True)


def test_a_description_claims_nothing(page):
    assert describe("On {data}: {size:,}.", {"data": "MNIST", "size": 5000}) == "On MNIST: 5,000."
    assert describe("{paper[20]} %", {"paper": {20: 8.75}}) == "8.75 %"
    for text, values, why in (
        ("{depth}", {"depth": page(WORSE)["depth"]}, "depth is a comparison: say it in a claim"),
        ("{dat}", {"data": "MNIST"}, "nothing is called 'dat'; did you mean data"),
        ("{data:.2f}", {"data": "MNIST"}, "Unknown format code"),
    ):
        with pytest.raises(ClaimError, match=why):
            describe(text, values)


def test_names_that_are_wrong_are_told(page):
    findings = page(WORSE)
    difference = findings["depth"].difference
    with pytest.raises(ClaimError, match=r"nothing called 'dept'; .*did you mean depth"):
        findings["dept"]
    with pytest.raises(ClaimError, match=r"no metric 'test_acuracy'; .*did you mean test_accuracy"):
        difference.in_("test_acuracy")
    with pytest.raises(ClaimError, match="depth is no comparison; write"):
        Findings.of({"depth": difference})


def test_the_table_has_all_comparisons_by_their_arms(page):
    table = page(WORSE).table()
    assert [*table.frame["Metric"]] == [
        "test accuracy", "test loss", "parameters", "time of an epoch",
    ]  # fmt: skip
    assert [*table.frame["Shows"]] == ["lower", "", "", ""]
    assert set(table.frame["Comparison"]) == {"32 layers − 2 layers"}
    assert "after correction for 1 comparison;" in table.markup
    assert "Everywhere: plain MLP, learning rate 0.001." in table.markup
    assert table.markup.count("lab1-group") == 1
    assert "nothing here to compare" in page({("MLP", 2): SEEDS}).table().markup


def test_further_networks_are_compared_on_every_page(runs, monkeypatch):
    compared = {"ResidualMLP": ("the skip connections",), "ResNet": ("everything",)}
    mixer = replace(FAMILIES["MLP"], title="mixer", style="further", compared_with=compared)
    monkeypatch.setitem(FAMILIES, "MLP", mixer)
    # Other tests' words for the same networks, and these for other tests, are not remembered.
    monkeypatch.setattr(selections, "_cached", selections._cached.__wrapped__)
    added = of_further_networks(Selection(runs({**WORSE, ("ResidualMLP", 32): SEEDS})))
    assert [*added] == ["MLP, depth", "MLP, ResidualMLP", "MLP, ResNet"]
    findings = Findings.of(added)
    assert all(comparison.further for comparison in findings)
    assert findings["MLP, ResidualMLP"].value.mean == pytest.approx(-0.02)
    assert findings["MLP, ResNet"].reason.startswith("no run of ResNet")
    condition = findings["MLP, depth"].below()
    boxed = say("So.", condition, published=False, page=findings, box=True)
    assert "- mixer − residual MLP, 32 layers" in boxed
    itself = findings["MLP, depth"].difference.one
    alone = Findings.of({**added, "gap": (itself - itself).in_("test_loss")})
    boxed = say("So.", alone["gap"].below(), published=False, page=alone, box=True)
    assert "residual MLP, 32 layers" in boxed and "nothing here to compare" not in boxed
    assert of_further_networks(Selection(runs({("ResidualMLP", 32): SEEDS}))) == {}


def test_several_answers_are_compared_with_the_first(experiment):
    whole = {
        f"activation {name}": Selection(frames.runs(experiment(WORSE, activation=name)))
        for name in ("relu", "tanh")
    }
    (comparison,) = Findings.of(of_several_answers(whole))
    assert comparison.arms({}) == "activation tanh − activation relu, plain MLP, 32 layers"
    assert comparison.n == 5 and comparison.further
    assert of_several_answers({"": whole["activation relu"]}) == {}


def test_several_answers_of_students_are_compared_where_they_change_something(make_record):
    """Neither the teacher nor the students alone have a temperature."""
    whole = {
        f"T = {hot:g}": Selection(frames.runs(study(make_record, [(0.7, a)] * 3, temperature=hot)))
        for hot, a in ((2.0, 0.8), (4.0, 0.9))
    }
    (comparison,) = Findings.of(of_several_answers(whole))
    assert comparison.arms({}).startswith("T = 4 − T = 2, simple CNN")
    assert comparison.value.mean == pytest.approx(0.1)


def test_of_companions_alone_those_that_there_are_take_the_sentences_place(runs):
    network = Selection(runs(WORSE)).of_family("MLP")
    whole = Findings.of(
        {
            "there": (network.deepest - network.shallowest).beside("test_accuracy"),
            "missing": (network.at(depth=8) - network.shallowest).beside("test_accuracy"),
        }
    )
    two = [whole["there"].stated(), whole["missing"].stated()]
    said = say("So it is ({there.test_accuracy}).", *two, published=False, page=whole)
    assert said.startswith("- 32 layers − 2 layers, plain MLP, test accuracy: ")
    said = say("So it is.", two[1], published=False, page=whole)
    assert "no run of plain MLP" in said and "shown beside" not in said
