"""Figures that papers report, to stand beside those measured here, always marked as theirs."""

from __future__ import annotations

import pandas as pd

#: Error in percent on the test images of CIFAR-10 of the residual nets by their layers.
#: He et al. (2016), Table 6; of 110 layers the best of five runs, whose mean is 6.61.
RESNET_ERROR = {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.43}

#: The same of the plain nets, after 300 epochs with weight decay 0.0005: Li et al. (2018).
PLAIN_ERROR = {20: 8.18, 56: 13.31, 110: 16.44}


def errors() -> pd.DataFrame:
    """Both as a frame: `family`, `depth`, `error` in percent, and the paper as `source`."""
    papers = {"ResNet": (RESNET_ERROR, "He et al. (2016)"),
              "PlainNet": (PLAIN_ERROR, "Li et al. (2018)")}  # fmt: skip
    rows = [
        {"family": family, "depth": depth, "error": error, "source": source}
        for family, (reported, source) in papers.items()
        for depth, error in reported.items()
    ]
    return pd.DataFrame(rows)


#: Errors on the 10,000 test images of MNIST.  Hinton et al. (2015), section 3: a large regularised
#: net, a small one, and the small one taught by the large.
DIGITS_ERRORS = {"teacher": 67, "student alone": 146, "student taught": 74}

#: The same section: errors of a small net that was taught without ever seeing a 3, in all and on
#: the 1,010 threes, before and after the bias of that class was raised.
UNSEEN_ERRORS = {"before": (206, 133), "after": (109, 14)}
UNSEEN_IMAGES = 1010

#: The same section: of students with so few units in each of two hidden layers, those at
#: temperatures in this range did best.
SMALL_UNITS, SMALL_TEMPERATURES = 30, (2.5, 4)
