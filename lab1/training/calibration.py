"""How far a network's confidence is from its accuracy."""

from __future__ import annotations

import torch
from torch import Tensor

#: Bins of equal width between 0 and 1, as in Guo et al. (2017).
BINS = 15


def expected_calibration_error(logits: Tensor, labels: Tensor, bins: int = BINS) -> float:
    """The expected calibration error, a fraction (Guo et al. 2017, "On Calibration of Modern Neural
    Networks", section 2, equation 3).

    An image's confidence is the largest of its softmax probabilities.  The images are put into
    `bins` intervals of confidence of equal width, ((m - 1) / bins, m / bins]; the error is the
    mean over the images of the distance, in their bin, between accuracy and mean confidence.
    `logits` are of shape (count, classes), `labels` int64 of shape (count,).  NaN where a logit
    is no finite number.
    """
    confidence, predicted = logits.double().softmax(1).max(1)
    if not bool(confidence.isfinite().all()):
        return float("nan")
    index = (confidence * bins).ceil().long().clamp(1, bins) - 1
    surplus = confidence - (predicted == labels).double()
    sums = torch.zeros(bins, dtype=torch.float64, device=logits.device).index_add_(
        0, index, surplus
    )
    return float(sums.abs().sum()) / len(labels)
