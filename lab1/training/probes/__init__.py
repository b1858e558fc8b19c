"""Probes: measurements on a trained model, each kind a small record of its own.

A probe needs the weights of the run, published or one's own, never a new training; which further
networks it asks, or that it is of the initial weights, `lab1.core.probe_schema.networks` says.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ...core import probe_schema, weights_file
from ...core.datasets import DATASETS
from ...core.spec import RunSpec
from ...core.store import Store
from ...core.training_config import RuntimeOptions
from ...errors import not_allowed
from .. import data
from .. import device as devices
from ..trained_run import initial_model, load_model
from . import answers, internals

#: (model, spec, data) to plain JSON; further networks by name.
Probe = Callable[..., Mapping[str, Any]]

PROBES: Mapping[str, Probe] = {
    probe.__name__.replace("_", "-"): probe
    for probe in (
        answers.confusion,
        answers.hardest,
        answers.softened,
        answers.bias_correction,
        internals.layers,
        internals.gradient_agreement,
        internals.recomputed_statistics,
        internals.int8_weights,
        internals.lesion,
        answers.teacher_agreement,
        answers.temperature_scaling,
    )
}


def measure(spec: RunSpec, probe: str, options: RuntimeOptions, store: Store) -> None:
    """Measures `probe` on the weights of a run and writes it into the run's folder in `runs/`.

    Raises `MissingRunsError` where weights that it needs are not here, and `ParameterError` for a
    probe that does not exist or that such a run cannot have.
    """
    if probe not in PROBES:
        raise not_allowed("probe", probe, ", ".join(PROBES))
    loaded = data.load_once(spec.dataset, options.data_dir)
    loaded = replace(loaded, declared=weights_file.images_of(spec, store))
    device = devices.resolve(options.device)
    devices.exact_float32(device)
    purpose = f"the probe {probe!r} is measured on them"
    networks = {
        name: load_model(each, DATASETS[each.dataset], store, purpose)[0]
        for name, each in probe_schema.networks(probe, spec).items()
    }
    if "model" not in networks:
        networks["model"], _ = initial_model(spec, loaded.declared, store)
    for network in networks.values():
        network.to(device).eval()
    store.write_probe(spec, probe, PROBES[probe](spec=spec, loaded=loaded, **networks))
