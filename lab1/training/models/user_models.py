"""User-defined networks: loaded from the file that declares them, and tried before a training."""

import os
import site
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ...core import families
from ...core.datasets import DATASETS, Dataset
from ...core.families import FAMILIES, Family
from ...core.files import PACKAGE
from ...core.spec import ModelSpec, RunSpec
from ...errors import ParameterError
from ..checkpoint import KINDS

_T = TypeVar("_T")


def check(specs: Sequence[RunSpec]) -> None:
    """Tries each user-defined network of some runs, before any is trained.

    It is built twice and shown as many images as a batch may have.  Raises `ParameterError`, naming
    the file, for one that cannot be trained, or that depends on what its key does not cover.
    """
    tried: dict[tuple[ModelSpec, str, int], None] = {}
    for spec in specs:
        if FAMILIES[spec.model.family].user_defined:
            last = spec.training_images % spec.training.batch_size
            tried[spec.model, spec.dataset, 1 if last == 1 else 2] = None
    for model, dataset, images in tried:
        _smoke_test(model, DATASETS[dataset], images)


def build(spec: ModelSpec, dataset: Dataset, module: ModuleType | None = None) -> nn.Module:
    """The network of a user-defined family, called with an image's shape, classes and fields.

    It is of the `module` that its file was read as, by default once in this process.
    """
    family = FAMILIES[spec.family]
    source = module or _module(family)
    made = _call_user_code(
        family,
        lambda: source.__dict__[family.name](
            image_shape=dataset.image_shape,
            num_classes=dataset.num_classes,
            **{name: getattr(spec, name) for name in family.fields},
        ),
    )
    if not isinstance(made, nn.Module):
        raise ParameterError(f"{family.file}: {family.name} is no torch.nn.Module")
    return made


def _smoke_test(spec: ModelSpec, dataset: Dataset, images: int) -> None:
    family = FAMILIES[spec.family]
    network = f"{family.file}: {family.name}"
    state = torch.get_rng_state()  # to build draws numbers, and a try must change nothing

    def seeded(call: Callable[[], _T]) -> _T:
        torch.manual_seed(0)
        return _call_user_code(family, call)

    try:
        with _only_covered_files(family):
            model = seeded(lambda: build(spec, dataset))
            with patch.dict(os.environ, clear=True):  # which no key covers
                module = _read_again(family)
                again = seeded(lambda: build(spec, dataset, module))
        weights, others = model.state_dict(), again.state_dict()
        for name, tensor in weights.items():
            if is_lazy(tensor) or tensor.dtype not in KINDS:
                kind = "lazy" if is_lazy(tensor) else str(tensor.dtype)
                raise ParameterError(
                    f"{network} has {kind} {name}; allowed: tensors of known shape, of "
                    f"{', '.join(str(kind).removeprefix('torch.') for kind in KINDS)}"
                )
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise ParameterError(f"{network} has nothing to train")
        inputs = torch.rand(images, *dataset.image_shape)
        with _only_covered_files(family):
            logits = seeded(partial(model.train(), inputs))
            with patch.dict(os.environ, clear=True):
                repeated = seeded(partial(again.train(), inputs))
        wanted = (images, dataset.num_classes)
        if not isinstance(logits, Tensor) or tuple(logits.shape) != wanted:
            got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ParameterError(
                f"{network} gives {got} for {images} images of {dataset.title}; allowed: logits of "
                f"shape {wanted}"
            )
        alike = all(torch.equal(tensor, others[name]) for name, tensor in weights.items())
        if not alike or not torch.equal(logits.nan_to_num(), repeated.nan_to_num()):
            raise ParameterError(
                f"{network} differs from one call to the next with the same seed; allowed: random "
                "numbers of torch's own generator, which a run seeds, and no environment variables"
            )
    finally:
        torch.set_rng_state(state)


def _call_user_code(family: Family, call: Callable[[], _T]) -> _T:
    """Calls the user's code; an error or exit of it is raised with the name of the file."""
    try:
        return call()
    except ParameterError:
        raise
    except (Exception, SystemExit) as error:
        raise ParameterError(
            f"{family.file}: {family.name}: {type(error).__name__}: {error}"
        ) from error


@cache
def _module(family: Family) -> ModuleType:
    """The user's file as a module; raises `ParameterError` where it changed or does not run."""
    file = family.file
    assert file is not None
    if _call_user_code(family, lambda: families.digest(families.sources(file))) != family.sha256:
        raise ParameterError(f"{file} has changed since it was read; start the command again")
    name = f"lab1_own_{family.name}"
    spec = util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    loader = spec.loader
    module = util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look there
    covered = {file.parent / module for module in families.sources(file)}
    before = set(sys.modules)
    sys.path.insert(0, str(file.parent))
    try:
        _call_user_code(family, lambda: loader.exec_module(module))
    finally:
        sys.path.remove(str(file.parent))
    for new in sys.modules.keys() - before:
        origin = getattr(sys.modules[new], "__file__", None)
        if origin and not _is_installed(Path(origin)) and Path(origin) not in covered:
            raise ParameterError(
                f"{file}: it imports {origin}, which its runs' key does not cover; allowed: what "
                "is installed, and modules in its folder that an import statement names"
            )
    return module


def _read_again(family: Family) -> ModuleType:
    """The user's file, and its helpers, read anew; other modules go on seeing the first."""
    assert family.file is not None
    folder = family.file.parent
    helpers = {str(folder / module) for module in families.sources(family.file)}
    with patch.dict(sys.modules):
        for name, module in [*sys.modules.items()]:
            if getattr(module, "__file__", None) in helpers:
                del sys.modules[name]
        return _module.__wrapped__(family)


#: What was opened or connected to since `_only_covered_files` began; `None` outside it.
_opened: list[str] | None = None


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _opened is not None and event in ("open", "socket.connect"):
        target, _, flags = arguments if event == "open" else (arguments[1], "", 0)
        # What is written is not read: the bytecode of a module, say.
        if not isinstance(target, int) and not flags & (os.O_WRONLY | os.O_TRUNC | os.O_EXCL):
            _opened.append(str(target))


@cache
def _listen() -> None:
    sys.addaudithook(_audit)  # which cannot be taken away again


@contextmanager
def _only_covered_files(family: Family) -> Iterator[None]:
    """Refuses what the user's code reads inside the block and its key does not cover."""
    global _opened
    _listen()
    _opened = []
    try:
        yield
        read = _opened
    finally:
        _opened = None
    for name in read:
        if Path(name).suffix not in (".py", ".pyc", ".so") and not _is_installed(Path(name)):
            raise ParameterError(
                f"{family.file}: {family.name} reads {name}, which its runs' key does not cover; "
                "allowed: a network that is made of its file alone"
            )


def _is_installed(path: Path) -> bool:
    """True for what belongs to Python, an installed package, this one, or the system."""
    kinds = ("stdlib", "platstdlib", "purelib", "platlib")
    roots = [*map(sysconfig.get_path, kinds), site.getusersitepackages(), str(PACKAGE)]
    return any(path.is_relative_to(root) for root in (*roots, "/proc", "/sys", "/dev", "/etc"))
