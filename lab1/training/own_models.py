"""Networks of a reader's own: loaded from the file that declares them, and tried beforehand."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from functools import cache
from importlib import util
from types import ModuleType
from typing import Any

import torch
from torch import nn

from ..core.dataset import Dataset
from ..core.datasets import DATASETS
from ..core.families import FAMILIES
from ..core.family import Family
from ..core.spec import ModelSpec, RunSpec
from ..errors import ParameterError


def check(specs: Sequence[RunSpec]) -> None:
    """Builds each own network of some runs once, and shows it two images, before any is trained.

    Raises `ParameterError`, naming the file, for one that cannot be trained.
    """
    own = [spec for spec in specs if FAMILIES[spec.model.family].own]
    for model, dataset in dict.fromkeys((spec.model, spec.dataset) for spec in own):
        _try(model, DATASETS[dataset])


def build(spec: ModelSpec, dataset: Dataset) -> nn.Module:
    """The network of an own family, called with the image's shape, the classes and its fields."""
    family = FAMILIES[spec.family]
    made = _told(
        family,
        lambda: _module(family).__dict__[family.name](
            image_shape=dataset.image_shape,
            num_classes=dataset.num_classes,
            **{name: getattr(spec, name) for name in family.fields},
        ),
    )
    if not isinstance(made, nn.Module):
        raise ParameterError(f"{family.file}: {family.name} is no torch.nn.Module")
    return made


def _try(spec: ModelSpec, dataset: Dataset) -> None:
    family = FAMILIES[spec.family]
    state = torch.get_rng_state()  # to build draws numbers, and a try must change nothing
    try:
        model = build(spec, dataset)
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise ParameterError(f"{family.file}: {family.name} has nothing to train")
        logits = _told(family, lambda: model(torch.rand(2, *dataset.image_shape)))
    finally:
        torch.set_rng_state(state)
    wanted = (2, dataset.num_classes)
    if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != wanted:
        got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ParameterError(
            f"{family.file}: {family.name} gives {got} for two images of "
            f"{dataset.title}; allowed: logits of shape {wanted}"
        )


def _told(family: Family, call: Any) -> Any:
    """What a call of the reader's code gives; its error is told with the file."""
    try:
        return call()
    except ParameterError:
        raise
    except Exception as error:
        raise ParameterError(
            f"{family.file}: {family.name}: {type(error).__name__}: {error}"
        ) from error


@cache
def _module(family: Family) -> ModuleType:
    """The reader's file as a module; raises `ParameterError` where it changed or does not run."""
    file = family.file
    assert file is not None
    content = _told(family, file.read_bytes)
    if hashlib.sha256(content).hexdigest() != family.sha256:
        raise ParameterError(f"{file} has changed since it was read; start the command again")
    name = f"lab1_own_{family.name}"
    spec = util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look there
    _told(family, lambda: spec.loader.exec_module(module))
    return module
