"""Gradients by layer and their exactness: tables, and sentences about them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from ...core.families import residual_of
from ...core.record import Record
from ..comparison.selection import of_family
from ..kit import words
from ..kit.sentences import Judgement, Verdict
from ..kit.statistics import MINUS, Estimate, estimate, in_words, mean_of, paired_difference
from ..kit.tables import (
    DEPTH,
    DEVICE,
    MODEL,
    PRECISION,
    Column,
    Table,
    column_n,
    count_of_runs,
    table_of,
    words_for,
)
from ..kit.words import NAMES

#: A network may be trained in bf16 where the cosine between its first gradient in bf16 and the one
#: in float32 is at least this.
LEAST_AGREEMENT = 0.9

#: What a measured probe is: a run and what the probe found.
Measured = Sequence[tuple[Record, Mapping[str, Any]]]


def growth(layers: pd.DataFrame) -> pd.DataFrame:
    """One row per run: by which factor the gradient's norm grows from a layer to the one before it.

    Takes the frame of `layers`; `growth` is the geometric mean over the convolutions of a fresh
    network, from the last to the first.
    """
    fresh = layers[(layers["state"] == "at the start") & (layers["module"] != "output")]
    rows = []
    for key, own in fresh.groupby("key", sort=False):
        ordered = own.sort_values("layer", kind="stable")["gradient_norm"]
        first, last, steps = ordered.iloc[0], ordered.iloc[-1], len(ordered) - 1
        if first > 0 and last > 0 and steps:
            identity = own[["family", "depth", "seed"]].iloc[0].to_dict()
            rows.append({"key": key, **identity, "growth": (first / last) ** (1 / steps)})
    return pd.DataFrame(rows, columns=["key", "family", "depth", "seed", "growth"])


def growth_effect(layers: pd.DataFrame, plain: str = "PlainNet") -> Verdict:
    """How the gradient grows on its way back through the deepest fresh networks."""
    residual = residual_of(plain)
    rows = growth(layers)
    common = set(of_family(rows, plain)["depth"]) & set(of_family(rows, residual)["depth"])
    if not common:
        return Verdict(
            f"The {NAMES[plain]} and the {NAMES[residual]} have no depth in common here whose "
            "gradients were measured."
        )
    depth = int(max(common))
    first, second = (of_family(rows[rows["depth"] == depth], each) for each in (plain, residual))
    factors = [estimate(own["growth"]) for own in (first, second)]
    overall = 10 ** estimate((depth - 2) * first["growth"].map(math.log10)).mean
    excess = estimate(first["growth"] - 1)
    difference = paired_difference(first, second, "growth")
    return Verdict(
        f"In the fresh {NAMES[plain]} with {words.depth(depth, plain)} the gradient's norm changes "
        f"from one layer to the one before it by a factor of {_factor(factors[0])} (n = "
        f"{factors[0].n}), geometric mean over the layers, which makes about "
        f"{float(f'{overall:.1g}'):,.15g} over all of them: ",
        Judgement(
            excess,
            above="it **grows** on its way back",
            below="it **shrinks** on its way back",
            neither="it shows no measurable growth",
            size=_in_factors,
        ),
        f" In the {NAMES[residual]} of the same depth the factor is {_factor(factors[1])}. The "
        f"second factor minus the first is {_signed(difference)}: ",
        Judgement(
            difference,
            above="with skip connections the gradient grows **more**",
            below="with skip connections the gradient grows **less**",
            neither="skip connections make no measurable difference to it",
            size=_in_factors,
        ),
    )


def _factor(value: Estimate) -> str:
    return in_words(value, ".3f")


def _signed(value: Estimate) -> str:
    return f"{in_words(value, '+.3f', '.3f')} (n = {value.n})".replace("-", MINUS)


def _in_factors(half_width: float) -> str:
    return f"{half_width:.3f}"


def agreements(measured: Measured) -> pd.DataFrame:
    """One row per run and its probe `gradient-agreement`: `bf16` and `jittered`, cosines."""
    return pd.DataFrame(
        [
            {
                "key": record.key,
                "family": record.spec.model.family,
                "depth": record.spec.model.depth,
                "bf16": probe["bf16"],
                "jittered": probe["jittered"],
            }
            for record, probe in measured
        ],
        columns=["key", "family", "depth", "bf16", "jittered"],
    )


def inexact(runs: pd.DataFrame, agreement: pd.DataFrame) -> pd.DataFrame:
    """Of the networks in `runs`, those whose first gradient does not survive bf16.

    `runs` is the frame of `runs`, `agreement` that of `agreements`; a row per family and depth with
    the least `bf16`.
    """
    cells = runs[["family", "depth"]].drop_duplicates()
    least = agreement.groupby(["family", "depth"], sort=False)["bf16"].min().reset_index()
    found = cells.merge(least, on=["family", "depth"])
    return found[found["bf16"] < LEAST_AGREEMENT]


def exactness(runs: pd.DataFrame, agreement: pd.DataFrame) -> Verdict:
    """Which networks may be trained in bf16 by the rule of this laboratory."""
    known = runs.merge(agreement[["family", "depth"]].drop_duplicates(), on=["family", "depth"])
    if known.empty:
        return Verdict("How exact the first gradient is was not measured here.")
    failing = inexact(runs, agreement)
    rule = (
        "The rule of this laboratory allows bf16 where the first gradient in bf16 and the one in "
        f"float32 have a cosine of at least {LEAST_AGREEMENT:g}, in every network of a comparison. "
    )
    if failing.empty:
        return Verdict(rule + "Every network here meets it.")
    listed = "; ".join(
        f"the {NAMES[row['family']]} with {words.depth(int(row['depth']), row['family'])} has "
        f"{row['bf16']:.2f}".replace("-", MINUS)
        for row in failing.to_dict("records")
    )
    return Verdict(f"{rule}These do not meet it: {listed}.")


def precisions(runs: pd.DataFrame, agreement: Measured) -> Table:
    """Every network's training error in each precision, and how exact its first gradient is."""
    least = agreements(agreement).groupby(["family", "depth"])[["bf16", "jittered"]].min()

    def cosine(name: str) -> Column:
        def value(part: pd.DataFrame) -> float:
            cell = (part["family"].iloc[0], part["depth"].iloc[0])
            return float(str(least.at[cell, name])) if cell in least.index else math.nan

        def show(number: float) -> str:
            return "" if math.isnan(number) else f"{number:.2f}".replace("-", MINUS)

        title = {"bf16": "Cosine in bf16", "jittered": "Cosine with jitter"}[name]
        return Column(title, value, show, digits=3)

    columns = [
        MODEL,
        replace(DEPTH, heading="Layers"),
        PRECISION,
        Column(
            "Training error (%)",
            lambda part: mean_of(
                part.assign(error=100 * (1 - part["train_evaluation_accuracy"])), "error"
            ),
            words_for(empty="unknown"),
            "Training error",
            digits=3,
        ),
        column_n(),
        count_of_runs(),
        cosine("bf16"),
        cosine("jittered"),
        DEVICE,
    ]
    return table_of(runs, ["family", "depth", "precision"], columns)
