"""Trained networks: their weights found and checked, and asked about images."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from ..core import weights_file
from ..core.datasets import Dataset
from ..core.record import Record
from ..core.spec import RunSpec
from ..core.store import Store
from ..errors import MissingRunsError, ParameterError, not_allowed
from . import device as devices
from . import models
from .checkpoint import digest, load_into, load_weights, save_weights
from .classifier import Classifier


@dataclass(frozen=True)
class TrainedRun(Classifier):
    """A run with its trained model, to be asked about images and exported; `record` is the run's.

    Besides it has what a `Classifier` has.
    """

    record: Record

    @property
    def spec(self) -> RunSpec:
        """The specification that it was trained by."""
        return self.record.spec

    @property
    def metadata(self) -> dict[str, str]:
        """What an exported file says of the network: that of a `Classifier`, and the run's key."""
        return {**super().metadata, "run": self.record.key}


def load_run(key: str, device: str = "cpu", store: Store | None = None) -> TrainedRun:
    """A run that was trained, by its key or the key's beginning, with its trained weights.

    From a fresh clone it works for the runs whose weights are published (`results/*.safetensors`);
    `python -m lab1 run --again KEY` trains another one for its weights.  Raises `ParameterError`
    where not just one record has that key, `MissingRunsError` where the weights are not here, and
    `WeightsError`, naming the file, where they are damaged or another run's.

    Example::

        run = load_run("89356d45")
        run.answers(Image.open("frog.png"))
    """
    store = store or Store()
    record = store.of_key(key)
    if record.key != record.spec.key:
        raise ParameterError(
            f"run {key!r} cannot be loaded: its record is of {record.recipe_change}"
        )
    declared = weights_file.images_of(record.spec, store)
    model, _ = load_model(record.spec, declared, store, "load_run needs them")
    model.to(devices.resolve(device)).eval()
    return TrainedRun(model, declared, record.spec.training, record)


def load_model(
    spec: RunSpec, declared: Dataset, store: Store, purpose: str
) -> tuple[nn.Module, str]:
    """The trained model of a run, on the CPU, and the digest of its weights.

    They are those of the best epoch: the published ones where there are any, else one's own.
    `declared` is the run's data set; `purpose` says, in an error, what the weights are for.
    Raises `MissingRunsError` where there are no weights of a finished run or
    where it diverged, and `WeightsError`, naming the file, where they are
    damaged, another run's, or not those whose digest its record names.
    """
    path, weights = _found(spec, store, purpose)
    model = models.build(spec.model, declared, spec.seed)
    load_into(model, weights, path, spec.title)
    return model, digest(weights)


def initial_model(spec: RunSpec, declared: Dataset, store: Store) -> tuple[nn.Module, str | None]:
    """The network that a run starts with, and the digest of the weights that it is pretrained by.

    Its last layer is new: `output`, or in a user-defined network its last `nn.Linear`.  Raises what
    `load_model` and `weights_file.pretraining` raise.
    """
    model = models.build(spec.model, declared, spec.seed)
    source = weights_file.pretraining(spec, store)
    if source is None:
        return model, None
    path, weights = _found(source, store, f"{spec.title} starts from them")
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        allowed = "a network with a last nn.Linear, which is new"
        raise not_allowed("pretrained", spec.training.pretrained, allowed, spec.model.family)
    last = "output" if "output" in linear else linear[-1]
    new = {name: new for name, new in model.state_dict().items() if name.startswith(f"{last}.")}
    load_into(model, {**weights, **new}, path, spec.title)
    return model, digest(weights)


def publish_weights(spec: RunSpec, store: Store, sha256: str | None = None) -> Path:
    """Writes the weights of a run into `results/`, unless they are there already.

    Returns the file.  Raises what `load_model` raises, and `WeightsError` where
    they do not have the digest `sha256`, with which another run learnt from them.
    """
    target = weights_file.published(spec, store)
    path, weights = _found(spec, store, "they are to be published")
    found = digest(weights)
    if sha256 not in (None, found):
        why = f"has the SHA-256 {found}, and a run to be published learnt from {sha256}"
        raise weights_file.refusal(path, why)
    if path != target:
        save_weights(target, weights, spec.key)
    return target


def share_weights(spec: RunSpec, store: Store) -> None:
    """Puts published weights, with their record, into `runs/` too, for who sees that alone."""
    record = store.find(spec)
    path = weights_file.find(spec, store)
    if path is not None and record is not None and path.parent != store.run_dir(spec):
        save_weights(weights_file.in_runs(spec, store), _read(path, spec, record))
        store.copy(spec)


def _found(spec: RunSpec, store: Store, purpose: str) -> tuple[Path, dict[str, Tensor]]:
    path = weights_file.find(spec, store)
    if path is None:
        raise MissingRunsError(weights_file.absence(spec, store, purpose))
    record = store.find(spec)
    if record is not None and record.diverged:
        raise MissingRunsError(
            f"{path}: {spec.title} diverged in epoch {record.epochs}, so its weights prove "
            f"nothing, and {purpose}; choose other settings for it, such as a lower learning rate"
        )
    return path, _read(path, spec, record)


def _read(path: Path, spec: RunSpec, record: Record | None) -> dict[str, Tensor]:
    if path.suffix != ".pt" and (run := weights_file.read(path).run) not in (None, spec.key):
        raise weights_file.refusal(path, f"has the weights of run {run}, not of {spec.key}")
    weights = load_weights(path)
    expected = record and record.weights_sha256
    if expected is not None and digest(weights) != expected:
        why = f"has the SHA-256 {digest(weights)}, and the record of its run says {expected}"
        raise weights_file.refusal(path, why)
    return weights
