"""How strongly the layers of trained networks answer, and a sentence about it."""

from __future__ import annotations

import pandas as pd

from ...core.families import residual_of
from ..comparison.selection import of_family
from ..kit import words
from ..kit.sentences import Verdict
from ..kit.statistics import estimate, in_words
from ..kit.words import NAMES


def responses(layers: pd.DataFrame) -> pd.DataFrame:
    """One row per run: the mean `response` of its convolutions after training.

    Takes the frame of `layers`; a response is the standard deviation of a layer's output behind
    batch normalisation, before the sum and the nonlinearity.
    """
    trained = layers[(layers["state"] == "after training") & (layers["module"] != "output")]
    run = ["key", "family", "depth", "seed"]
    return trained.groupby(run, sort=False)["response"].mean().reset_index()


def described(layers: pd.DataFrame, plain: str = "PlainNet") -> Verdict:
    """How strongly the layers answer, beside what He et al. (2016), section 4.2, report.

    They describe the runs and are not judged: a comparison more would weaken the page's others.
    """
    residual = residual_of(plain)
    rows = responses(layers)
    first, second = of_family(rows, plain), of_family(rows, residual)
    common = set(first["depth"]) & set(second["depth"])
    if not common:
        return Verdict(
            f"The {NAMES[plain]} and the {NAMES[residual]} have no depth in common here whose "
            "answers were measured."
        )
    depth, shallow = int(max(common)), int(second["depth"].min())
    of_plain = estimate(first[first["depth"] == depth]["response"])
    deep, least = (
        estimate(second[second["depth"] == each]["response"]) for each in (depth, shallow)
    )
    text = (
        f"After training, the output of a convolution in the {NAMES[plain]} with "
        f"{words.depth(depth, plain)} has a standard deviation of {in_words(of_plain, '.3f')} (n = "
        f"{of_plain.n}), mean over the layers; in the {NAMES[residual]} it is "
        f"{in_words(deep, '.3f')} with {words.depth(depth, residual)}"
    )
    weaker = deep.mean < of_plain.mean
    if shallow < depth:
        text += f" and {in_words(least, '.3f')} with {words.depth(shallow, residual)}"
        weaker = weaker and deep.mean < least.mean
    order = "lie in that order" if weaker else "do not lie in that order"
    return Verdict(
        f"{text}. The paper reports that layers answer more weakly with skip connections, and the "
        f"more so the deeper the network. These means {order}; the page does not judge them."
    )
