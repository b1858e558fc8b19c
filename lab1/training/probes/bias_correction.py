"""The bias of a class that was never seen in training, raised until it is answered at all."""

from __future__ import annotations

import torch
from torch import Tensor


def best_offset(logits: Tensor, labels: Tensor, omitted_class: int) -> float:
    """What to add to the logit of `omitted_class` for the fewest errors.

    `logits` are of shape (images, classes), `labels` int64 of shape (images,).  The number of
    errors changes only where the class overtakes the largest other logit of an image; tried are 0,
    the middle between any two such places, and one beyond either end.  Of equally good offsets the
    one of smallest magnitude is taken, of two such the positive one.
    """
    logits = logits.double()
    others = logits.clone()
    others[:, omitted_class] = -torch.inf
    largest, answer = others.max(1)
    needed = largest - logits[:, omitted_class]
    places = needed.unique()  # ascending
    zero = places.new_zeros(1)
    middles = (places[:-1] + places[1:]) / 2
    tried = torch.cat([zero, places[:1] - 1, middles, places[-1:] + 1])
    of_class = labels == omitted_class
    # An image of the class is an error until it is overtaken, one that was right is one from then.
    missed = (needed[of_class][:, None] >= tried).sum(0)
    spoilt = (needed[(answer == labels) & ~of_class][:, None] < tried).sum(0)
    errors = missed + spoilt
    best = tried[errors == errors.min()]
    return float(best[(best.abs() - best.sign() * 1e-12).argmin()])


def corrected(logits: Tensor, omitted_class: int, offset: float) -> Tensor:
    """The logits, in double precision, with `offset` added to those of `omitted_class`."""
    raised = logits.double().clone()
    raised[:, omitted_class] += offset
    return raised
