import math

import declared_fields
import pytest
from declared_fields import BOUNDED, PARAMETERS
from hypothesis import given, settings
from hypothesis import strategies as st

from lab1.core.fields import Field
from lab1.errors import ParameterError, short_repr
from lab1.planning import chapters


@pytest.mark.parametrize(
    ("name", "value", "refusal"),
    [
        *(("depth", value, f"depth = {bad!r} is not allowed; allowed: one or more, each an integer")
          for value, bad in (([4, -1], -1), ([2, 10**9], 10**9), ([True], True), ("2, b", "b"))),
        *(("seeds", value, "seeds = [] is not allowed") for value in ([], (), "", "[]")),
        *(("seeds", value, "seeds names 1 more than once; allowed: one or more, each an integer "
           "from 0 to 2147483647, without repeats") for value in ([1, 0, 1], "1, 1", ["1", 1])),
    ],
)  # fmt: skip
def test_a_list_is_refused_by_the_value_that_is_not_allowed(name, value, refusal):
    with pytest.raises(ParameterError) as caught:
        declared_fields.check(name, value, "report.yml")
    assert str(caught.value).startswith(f"report.yml: {refusal}")


#: What no parameter of that name takes.
REFUSED = {
    "depth": (0, -1, "four", 10**9, 2.0, True, "2.0", None, 10**400, "none"),
    "learning_rate": (
        0, 0.0, -0.001, math.nan, math.inf, -math.inf, "nan", "inf", "1e400", "fast", 101, True,
        None,
    ),
    "epochs": (0, None), "batch_size": (0,), "width": (0,), "dropout_rate": (1, -0.1),
    "momentum": (1.0,), "weight_decay": (-1,), "validation_size": (-1, 5000.0),
    "patience": (0, "never"), "minimum_improvement": (-0.1,), "seed": (-1, 2**31, [0]),
    "optimizer": ("lion", "Adam", 1), "schedule": ("",), "precision": ("float16",),
    "augmentation": ("flip", None), "activation": ("relu ",), "dataset": ("cifar",),
    "family": ("mlp",), "monitor": ("test_accuracy",), "device": ("",), "data_dir": (3,),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in REFUSED.items() for value in values]
)
def test_a_value_out_of_range_is_refused_with_what_is_allowed(name, value):
    refusal = f"{name} = {short_repr(value)} is not allowed; allowed: {PARAMETERS[name].allowed}"
    for where, start in (("here", "here: "), ("", "")):
        with pytest.raises(ParameterError) as caught:
            declared_fields.check(name, value, where)
        # What it may have meant may follow.
        assert str(caught.value).partition("; did you")[0] == start + refusal


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("depth", 4, (4,)), ("depth", 1, (1,)), ("depth", 1024, (1024,)),
        ("depth", "[2, 4]", (2, 4)), ("depth", "16, 32", (16, 32)),
        ("seeds", "0,1,2", (0, 1, 2)), ("seeds", [2, "0", 1], (2, 0, 1)),
        ("seeds", range(3), (0, 1, 2)), ("seed", "7", 7), ("learning_rate", 100, 100.0),
        ("dropout_rate", 0, 0.0), ("patience", None, None), ("patience", "5", 5),
        ("augmentation", "none", "none"), ("temperature", "0.1,1e-2", (0.1, 0.01)),
        ("schedule", "one-cycle", "one-cycle"), ("data_dir", None, None),
        ("data_dir", "/data", "/data"), ("data_dir", "~", "~"),
        # A text is read by the core schema of YAML.
        *(("depth", text, (4,)) for text in
          ("4", " 4 ", "+4", "[4]", "(4,)", "4,", '"4"', "['4']")),
        *(("depth", text, (value,)) for text, value in
          {"007": 7, "010": 10, "0x10": 16, "0o17": 15}.items()),
        *(("learning_rate", text, value) for text, value in
          {"1e-3": 0.001, ".5": 0.5, "5.": 5.0, "+1.5e1": 15.0, "0x10": 16.0}.items()),
        *((name, word, None) for name in ("patience", "students")
          for word in ("none", "None", "NONE", "null", "off", "~", "", " none ")),
    ],
)  # fmt: skip
def test_what_is_allowed_comes_back_in_its_declared_type(name, given, expected):
    found = declared_fields.check(name, given)
    assert found == expected
    assert type(found) is type(expected)
    if isinstance(found, tuple):
        assert [type(each) for each in found] == [type(each) for each in expected]


def test_an_unknown_parameter_is_told_the_known_ones():
    with pytest.raises(ParameterError) as caught:
        declared_fields.check("lerning_rate", 0.1, "chapter 1_1")
    message = str(caught.value)
    assert message.startswith("chapter 1_1: unknown parameter 'lerning_rate'; allowed: ")
    allowed, meant = message.split("allowed: ")[1].split("; ")
    assert allowed.split(", ") == sorted(PARAMETERS) and meant == "did you mean learning_rate?"


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_declaration_says_what_it_means_and_what_is_allowed(name):
    declared = PARAMETERS[name]
    assert declared.name == name
    assert declared.meaning.strip()
    assert any(word in declared.allowed for word in ("an integer", "a number", "a text", "one of"))
    for choice in declared.choices:
        assert choice in declared.allowed
    assert declared.allowed.endswith(", or none") == declared.optional
    assert declared.allowed.startswith("one or more, each ") == declared.many


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("depth", "one or more, each an integer from 1 to 1024"),
        ("validation_size", "an integer from 0 to 1000000"),
        ("dropout_rate", "a number from 0 below 1"),
        ("learning_rate", "a number above 0 to 100"),
        ("precision", "one of float32, bf16"),
        ("patience", "an integer from 1 to 10000, or none"),
        ("device", "a text"),
    ],
)
def test_what_is_allowed_reads_well(name, words):
    assert PARAMETERS[name].allowed == words


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_declared_bounds_are_kept(name):
    """The bounds in words and the bounds that are checked are the same."""
    declared = PARAMETERS[name]
    step = 1 if declared.kind is int else 1e-6
    for bound, outside in ((declared.ge, -step), (declared.le, step)):
        if bound is None:
            continue
        inside = declared.kind(bound)
        assert declared.check_one(inside) == inside
        with pytest.raises(ParameterError):
            declared.check_one(inside + outside)
    for bound in (declared.gt, declared.lt):
        if bound is not None:
            with pytest.raises(ParameterError):
                declared.check_one(declared.kind(bound))


def test_a_choice_that_is_the_word_none_is_not_taken_for_no_value():
    parameter = Field(name="mixing", choices=("none", "some"), optional=True)
    assert parameter.check("none") == "none"
    assert parameter.check("off") is None


@pytest.mark.parametrize("value", [math.inf, "inf", math.nan])
def test_what_is_not_finite_is_refused_where_nothing_bounds_it(value):
    with pytest.raises(ParameterError, match=r"x = .* is not allowed; allowed: a number$"):
        Field(name="x", kind=float).check(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [("depth", text) for text in (
        "1_6", "0_1", "0b11", "1:30", "4.0", "4e0", "４", "٤", "²", "4 # four", "4;8", "4 8", "{4}",
        "[[4]]", "[4", "4]", "(4]", "4,,8", ",4", ",", "[,]", "- 4", "!!int 4", "0x", "0o8", "-0x4",
        "9" * 5000, "0" * 5000 + "4", "True", "yes", "\x00", "4\x00",
    )] + [("learning_rate", text) for text in (
        "0_1", "1_0.5", "1e", "e1", ".", ".inf", "inf", "nan", ".nan", "1,x", "1:30.5", "１.５",
    )],
)  # fmt: skip
def test_a_text_that_is_no_number_is_refused(name, text):
    with pytest.raises(ParameterError, match=rf"{name} = .* is not allowed") as refusal:
        declared_fields.check(name, text)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("zero", [-0.0, "-0.0", "-0", -0])
def test_a_negative_zero_is_zero(zero):
    """As another number it would give its run another key."""
    assert math.copysign(1, declared_fields.check("dropout_rate", zero)) == 1


#: What Python, JSON or YAML may hand over.
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
    | st.complex_numbers() | st.dates() | st.fractions() | st.just(object)
    | st.text(max_size=4).map(lambda name: f"{name}@32"),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner) | st.sets(st.integers())
    | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=6,
)  # fmt: skip


@pytest.mark.slow
@settings(BOUNDED, max_examples=300)
@given(name=st.sampled_from(sorted(PARAMETERS)), value=VALUES)
def test_any_value_comes_back_as_declared_or_is_refused_in_a_line(name, value):
    try:
        found = declared_fields.check(name, value, "here")
    except ParameterError as error:
        assert str(error).startswith(f"here: {name} ")
        assert str(error).isprintable() and len(str(error)) < 2000
        return
    assert declared_fields.check(name, found) == found
    kind = PARAMETERS[name].kind
    parts = found if isinstance(found, tuple) else [found]
    assert all(part is None or type(part) is kind for part in parts)


def test_a_large_value_is_named_in_few_words():
    nested = [[[0] * 100] * 100] * 100
    for value in ("x" * 10**6, nested, {"a": nested}, ["x" * 10**6] * 1000):
        with pytest.raises(ParameterError) as refusal:
            declared_fields.check("seed", value)
        assert len(str(refusal.value)) < 2000
    for name in ("depth", "seed", "learning_rate"):  # which Python does not write out
        with pytest.raises(ParameterError, match=f"{name} = a number of thousands of digits is"):
            declared_fields.check(name, 10**5000)


@pytest.mark.parametrize("seeds", [range(10**6), ",".join(["1"] * 100_001)])
def test_more_seeds_than_anybody_means_are_refused(seeds):
    words = r"seeds has (1000000|100001) values; allowed: one or more.*, at most 100000"
    with pytest.raises(ParameterError, match=words):
        declared_fields.check("seeds", seeds)


def test_doubled_seeds_are_looked_for_in_linear_time(monkeypatch):
    """Twenty thousand took 38 seconds: each was compared with all others."""
    compared = 0

    class Seed(int):
        __hash__ = int.__hash__

        def __eq__(self, other):
            nonlocal compared
            compared += 1
            return int(self) == int(other)

    seeds = [Seed(each) for each in range(20_000)]
    assert declared_fields.check("seeds", seeds) == tuple(range(20_000))
    assert compared < 100_000


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (lambda: declared_fields.check("optimizer", "adm"), "adam"),
        (lambda: declared_fields.check("families", "ResidualMlp,MLP"), "ResidualMLP"),
        (lambda: chapters.check_parameters("1_2", {"dept": 4}), "depth"),
        (lambda: chapters.check_parameters("1_2", {"Width": 4}), "width"),
        (lambda: chapters.check_parameters("1_2", {"lr": 4}), "learning_rate"),
        (lambda: chapters.chapter("1-3"), "1_3"),
    ],
)
def test_a_slip_of_the_pen_is_told_what_it_may_have_meant(call, meant):
    with pytest.raises(ParameterError, match=rf"allowed: .*; did you mean {meant}\?$"):
        call()


@pytest.mark.parametrize("value", ["cake", 3, None, "", "a" * 10**6])
def test_what_resembles_nothing_is_told_what_is_allowed_alone(value):
    with pytest.raises(ParameterError) as caught:
        declared_fields.check("optimizer", value)
    assert "did you mean" not in str(caught.value)
