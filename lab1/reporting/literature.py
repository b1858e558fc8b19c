"""What the papers report, to stand beside what was measured here, always marked as theirs."""

from __future__ import annotations

import pandas as pd

#: Error in percent on the test images of CIFAR-10 of the residual nets by their layers.
#: He et al. (2016), Table 6; of 110 layers the best of five runs, whose mean is 6.61.
RESNET_ERROR = {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.43}


def resnet_errors() -> pd.DataFrame:
    """:data:`RESNET_ERROR` as a frame: ``family``, ``depth`` and ``error`` in percent."""
    rows = [{"family": "ResNet", "depth": d, "error": e} for d, e in RESNET_ERROR.items()]
    return pd.DataFrame(rows)
