"""What is measured on a trained model afterwards, each kind a small record of its own.

A probe needs the weights of the run, published or one's own, never a new training; those of
`OF_THE_START` need not even these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from ...core.errors import ParameterError
from ...core.runtime import RuntimeOptions
from ...core.spec import RunSpec
from ...core.store import Store
from .. import data, models, trained_models
from .. import device as devices
from ..data.images import LoadedData
from .answers import bias_correction, confusion, hardest, softened
from .arithmetic import gradient_agreement, int8_weights, recomputed_statistics
from .layers import layers

#: (trained model, spec, data) to plain JSON.
Probe = Callable[[nn.Module, RunSpec, LoadedData], Mapping[str, Any]]

PROBES: Mapping[str, Probe] = {
    "confusion": confusion,
    "hardest": hardest,
    "softened": softened,
    "bias-correction": bias_correction,
    "layers": layers,
    "gradient-agreement": gradient_agreement,
    "recomputed-statistics": recomputed_statistics,
    "int8-weights": int8_weights,
}

#: Those that are measured on the initial weights, and so on runs whose trained ones are not here.
OF_THE_START = frozenset({"gradient-agreement"})


def measure(spec: RunSpec, probe: str, options: RuntimeOptions, store: Store) -> None:
    """Measures `probe` on the weights of a run and writes it into the run's folder in `runs/`.

    Raises `MissingRunsError` where the weights are not here, and
    `ParameterError` for a probe that does not exist.
    """
    if probe not in PROBES:
        raise ParameterError(f"probe {probe!r} is not allowed; allowed: {', '.join(PROBES)}")
    loaded = data.load_once(spec.dataset, options.data_dir)
    device = devices.resolve(options.device)
    devices.exact_float32(device)
    if probe in OF_THE_START:
        model = models.build(spec.model, loaded.declared, spec.seed)
    else:
        purpose = f"the probe {probe!r} is measured on them"
        model = trained_models.load(spec, loaded.declared, store, purpose).model
    model = model.to(device).eval()
    store.write_probe(spec, probe, PROBES[probe](model, spec, loaded))
