"""Run records and probes: written whole or not at all, read back checked (standard library only).

A record is one JSON file, named after its run.  Published records lie in ``results/``; one's own
in ``runs/<run>/record.json``, beside the weights.  Both are read, only ``runs/`` is written,
except by :meth:`Store.promote`.  A probe is something measured on a trained model afterwards; it
lies beside the record as ``<run>.<probe>.json`` or ``runs/<run>/<probe>.json``.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from . import paths
from .config import RunSpec, TrainingConfig, hash_key
from .datasets import DATASETS
from .distillation_config import written_recipes
from .errors import Lab1Error, ParameterError, RecordError
from .files import told, write_bytes, write_text

try:  # POSIX; where there is none, two processes may train the same run, and one record wins.
    import fcntl
except ImportError:  # pragma: no cover
    fcntl = None  # type: ignore[assignment]

SCHEMA = 1

#: The series of :attr:`Record.history`; each holds one value per epoch.
HISTORY_FIELDS = (
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "learning_rate",
    "gradient_norm",
    "seconds",
    "peak_memory_bytes",
)

#: Further series of a run whose ``train_evaluation_size`` is above 0.
EVALUATION_FIELDS = ("train_evaluation_loss", "train_evaluation_accuracy")

#: Further series of a distilled run: the parts of its loss, which is ``train_loss``.
DISTILLATION_FIELDS = ("hard_loss", "soft_loss")


def history_fields(config: TrainingConfig, *, distilled: bool = False) -> tuple[str, ...]:
    """The series that the history of such a training has."""
    further = EVALUATION_FIELDS if config.train_evaluation_size else ()
    return HISTORY_FIELDS + further + (DISTILLATION_FIELDS if distilled else ())


@dataclass(frozen=True)
class Record:
    """What one finished run did and where it came from.

    ``history`` maps each of :data:`HISTORY_FIELDS` to one value per epoch (``None`` where there
    was no validation split); accuracies are fractions, ``seconds`` are wall-clock seconds of the
    epoch, ``gradient_norm`` is the mean over the steps of the global L2 norm.  A run with a
    ``train_evaluation_size`` also has :data:`EVALUATION_FIELDS`, a distilled one
    :data:`DISTILLATION_FIELDS`.  ``test`` holds ``loss``, ``accuracy``, ``errors`` and ``count``,
    measured once with the weights of ``best_epoch``, and in newer records also
    ``calibration_error`` and, for a student, ``teacher_agreement``, both fractions.  It is empty
    for a run that ``stopped`` as ``diverged``: one of its losses, on whatever images, was no finite
    number.  ``flops`` is the floating-point operations of one forward pass of one image.
    ``origin`` says where the run took place: commit, versions, device, threads, data source and
    fingerprint, start and end, and the digest of the teacher's weights.  ``weights_sha256`` is that
    of its own best weights (:func:`lab1.weights_file.digest`); older records have none.
    ``recipe`` and ``teacher_recipes`` are those under which the run and its teachers were made.
    """

    spec: RunSpec
    history: Mapping[str, list[float | None]]
    test: Mapping[str, float]
    parameters: int
    flops: int
    best_epoch: int | None
    stopped: str
    seconds: float
    origin: Mapping[str, Any]
    recipe: int
    key: str = field(default="")
    teacher_recipes: tuple[int, ...] = ()
    weights_sha256: str | None = None

    def __post_init__(self) -> None:
        if not self.key:
            object.__setattr__(self, "key", self.spec.key)
        if not self.teacher_recipes:
            object.__setattr__(self, "teacher_recipes", self.spec.recipes[1:])

    @property
    def recipes(self) -> tuple[int, ...]:
        """Like those of its spec, but as they were when the run was trained."""
        return (self.recipe, *self.teacher_recipes)

    @property
    def series(self) -> tuple[str, ...]:
        """The series that its history must have."""
        return history_fields(self.spec.training, distilled=self.spec.distillation is not None)

    @property
    def diverged(self) -> bool:
        """Whether its loss left the finite numbers, so that its weights prove nothing."""
        return self.stopped == "diverged"

    @property
    def epochs(self) -> int:
        """The epochs that were trained."""
        return len(self.history["train_loss"])

    @property
    def name(self) -> str:
        """The run's readable name, with the key under which the record was made."""
        return f"{self.spec.name.rsplit('.', 1)[0]}.{self.key}"

    @property
    def recipe_change(self) -> str:
        """In words, for a record of an older recipe: ``recipe 1, now 2``."""
        before, now = (
            f"{own} (teacher {', '.join(map(str, further))})" if further else str(own)
            for own, *further in (self.recipes, self.spec.recipes)
        )
        return f"recipe {before}, now {now}"

    def to_dict(self) -> dict[str, Any]:
        """The record as it is written, with its checksum."""
        body: dict[str, Any] = _finite(
            {
                "schema": SCHEMA,
                **asdict(self),
                "spec": self.spec.to_dict(self.recipes),
            }
        )
        del body["recipe"], body["teacher_recipes"]  # they are part of the spec as written
        body["checksum"] = _checksum(body)
        return body

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Record:
        """The record that :meth:`to_dict` wrote; raises :class:`RecordError` for anything else."""
        if not isinstance(body, Mapping) or "schema" not in body or "spec" not in body:
            raise RecordError("not a run record (it has no schema or no spec)")
        if body["schema"] != SCHEMA:
            raise RecordError(f"schema {body['schema']!r}; this version reads {SCHEMA}")
        body = dict(body)
        if body.pop("checksum", None) != _checksum(body):
            raise RecordError("the checksum does not fit the content: damaged or edited by hand")
        body.pop("schema")
        written = body.pop("spec")
        try:
            spec, (recipe, *further) = RunSpec.from_dict(written), written_recipes(written)
            record = cls(spec=spec, recipe=recipe, teacher_recipes=tuple(further), **body)
        except (ParameterError, TypeError, KeyError, AttributeError) as error:
            raise RecordError(f"not a run record of this version: {error}") from error
        known = (
            hash_key(spec.canonical(record.recipes, old_selection=old)) for old in (False, True)
        )
        if record.key not in known:
            raise RecordError(f"its key {record.key} is not the key of its spec")
        return record


def _finite(value: Any) -> Any:
    """The same with ``None`` for NaN and infinity, which JSON does not know (a diverged run).

    Raises :class:`TypeError` for a name that is no text, which JSON does not know either.
    """
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise TypeError(f"the name {name!r} is no text, so it cannot be written as JSON")
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _checksum(body: Mapping[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def read_record(path: Path) -> Record:
    """The record in a file; raises :class:`RecordError`, naming the file, where it is none."""
    try:
        return Record.from_dict(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: not readable as a run record: {error}") from error
    except RecordError as error:
        raise RecordError(f"{path}: {error}") from error


class Store:
    """The records in ``results/`` and ``runs/``.

    Two processes may write at once: each file appears whole, and :meth:`claim` keeps them from
    training the same run.
    """

    def __init__(self, results: Path | None = None, runs: Path | None = None) -> None:
        self.results = results or paths.results_dir()
        self.runs = runs or paths.runs_dir()

    def run_dir(self, spec: RunSpec) -> Path:
        """The folder in ``runs/`` that belongs to a run."""
        return self.runs / spec.name

    def find(self, spec: RunSpec) -> Record | None:
        """The record of a run, published or one's own; ``None`` where there is none.

        One's own comes first: a published run has one where it was trained again here.

        Raises :class:`RecordError` where the file is damaged or holds another run.
        """
        path = self.path_of(spec)
        if path is None:
            return None
        record = read_record(path)
        if record.key != spec.key:
            raise RecordError(f"{path}: holds run {record.key}, not {spec.key}")
        return record

    def path_of(self, spec: RunSpec) -> Path | None:
        """The file that :meth:`find` reads."""
        for path in (self.run_dir(spec) / "record.json", self.results / f"{spec.name}.json"):
            if path.exists():
                return path
        return None

    def is_replaced(self, name: str) -> bool:
        """Whether a published run, by its name, was trained here again, so that ``runs/`` counts.

        A mere copy of the published record, which a Ray cluster needs in ``runs/``, changes
        nothing.
        """
        published, own = self.results / f"{name}.json", self.runs / name / "record.json"
        return own.exists() and published.exists() and own.read_bytes() != published.read_bytes()

    def paths(self) -> Iterator[Path]:
        """The files of all records, published ones first, without those that ``runs/`` replaces."""
        published = sorted(p for p in self.results.glob("*.json") if _is_record_name(p.stem))
        own = sorted(self.runs.glob("*/record.json"))
        copied = {path.parent.name for path in own}
        yield from (p for p in published if p.stem not in copied or not self.is_replaced(p.stem))
        yield from own

    def all(self) -> tuple[list[Record], list[RecordError]]:
        """All readable records, and an error for each file that is none.

        A run that is in both folders counts once, as it was trained here.
        """
        records: dict[str, Record] = {}
        problems: list[RecordError] = []
        for path in self.paths():
            try:
                record = read_record(path)
                expected = path.stem if path.parent == self.results else path.parent.name
                if record.name != expected:
                    raise RecordError(f"{path}: holds run {record.name}")
                records.setdefault(record.key, record)
            except RecordError as error:
                problems.append(error)
        return list(records.values()), problems

    def of_key(self, key: str) -> Record:
        """The record whose key is ``key``, or begins with it.

        Raises :class:`ParameterError` where there is none, or more than one.
        """
        matching = [record for record in self.all()[0] if record.key.startswith(key)]
        if len(matching) != 1 or not key:
            raise ParameterError(
                f"the key {key!r} is not allowed: {len(matching)} records have a key that begins "
                "so; allowed: the key of one run, or its beginning"
            )
        return matching[0]

    def is_published(self, record: Record) -> bool:
        """Whether a record is the one in ``results/``."""
        path = self.results / f"{record.name}.json"
        return path.exists() and not self.is_replaced(record.name)

    def is_own(self, record: Record) -> bool:
        """Whether a record, or a probe of it, lies in ``runs/`` and has not been published.

        Copies of published files, which a Ray cluster needs there, do not count.
        """
        published = {"record.json": self.results / f"{record.name}.json"}
        return any(
            not (target := published.get(path.name) or self._published_probe(record, path)).exists()
            or target.read_bytes() != path.read_bytes()
            for path in (self.runs / record.name).glob("*.json")
        )

    def _published_probe(self, record: Record, own: Path) -> Path:
        return self.results / f"{record.name}.{own.name}"

    def write(self, record: Record) -> Path:
        """Writes a record into ``runs/`` and returns its file."""
        path = self.run_dir(record.spec) / "record.json"
        write_text(path, _json(record.to_dict()) + "\n")
        return path

    def copy(self, spec: RunSpec) -> None:
        """Puts the record of a published run into ``runs/`` too, for who sees that folder alone."""
        path = self.path_of(spec)
        if path is not None and path.parent == self.results:
            write_bytes(self.run_dir(spec) / "record.json", path.read_bytes())

    @contextmanager
    def claim(self, spec: RunSpec) -> Iterator[bool]:
        """Yields whether this process may train the run; no other may until the block ends.

        The claim is a lock that the operating system drops with its owner, so a run whose owner
        was killed can be claimed again at once.
        """
        path = self.run_dir(spec) / "claim"
        with told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = path.open("w")
        with stream:
            if fcntl is None:  # pragma: no cover
                yield True
                return
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def check_promotable(self, record: Record) -> None:
        """Raises :class:`RecordError` for a record whose numbers could not be followed back.

        That is one trained from uncommitted sources, or on data with another fingerprint than the
        declared one.
        """
        source = self.runs / record.name
        commit = str(record.origin.get("commit", ""))
        if not commit or commit == "unknown" or commit.endswith("-dirty"):
            raise RecordError(
                f"{source}: trained from commit {commit or 'unknown'!r}; only a run from committed "
                "sources is published, since others could not be followed back"
            )
        if record.origin.get("data_fingerprint") != DATASETS[record.spec.dataset].fingerprint:
            raise RecordError(f"{source}: trained on data with an undeclared fingerprint")

    def promote(self, record: Record) -> Path:
        """Moves a record and its probes from ``runs/`` to ``results/``; the weights stay.

        A run that was published before and trained here again takes the place of the published one,
        whose probes and weights go too, since they are of another training.  Raises
        :class:`RecordError` for one that is not to be published (:meth:`check_promotable`).
        """
        self.check_promotable(record)
        source = self.runs / record.name
        target = self.results / f"{record.name}.json"
        moves = {
            path: self._published_probe(record, path)
            for path in sorted(source.glob("*.json"))
            if path.name != "record.json"
        }
        own = source / "record.json"
        if own.exists():  # else it was published before, and the probes are what is new
            if self.is_replaced(record.name):
                for path in self.results.glob(f"{record.name}.*.json"):
                    path.unlink()
                target.with_suffix(".safetensors").unlink(missing_ok=True)
            moves[own] = target
        for path, destination in moves.items():
            write_bytes(destination, path.read_bytes())
        for path in moves:
            path.unlink()
        return target

    def write_probe(self, spec: RunSpec, probe: str, content: Mapping[str, Any]) -> Path:
        """Writes what was measured on a trained model: ``content`` must be plain JSON."""
        _check_probe_name(probe)
        body: dict[str, Any] = _finite(
            {"schema": SCHEMA, "key": spec.key, "probe": probe, "content": content}
        )
        body["checksum"] = _checksum(body)
        path = self.run_dir(spec) / f"{probe}.json"
        write_text(path, _json(body) + "\n")
        return path

    def probes_of(self, spec: RunSpec) -> tuple[str, ...]:
        """The names of all probes that a run has, in either folder."""
        published = self.results.glob(f"{spec.name}.*.json")
        names = {path.name.removeprefix(f"{spec.name}.") for path in published}
        names |= {path.name for path in self.run_dir(spec).glob("*.json")} - {"record.json"}
        return tuple(sorted(name.removesuffix(".json") for name in names))

    def find_probe(self, spec: RunSpec, probe: str) -> Mapping[str, Any] | None:
        """What :meth:`write_probe` wrote, from either folder; ``None`` where there is none.

        Those of a published run do not count where it was trained here again.
        """
        _check_probe_name(probe)
        paths = [self.results / f"{spec.name}.{probe}.json", self.run_dir(spec) / f"{probe}.json"]
        for path in paths[1:] if self.is_replaced(spec.name) else paths:
            if path.exists():
                try:
                    body = dict(json.loads(path.read_text()))
                    whole = body.pop("checksum") == _checksum(body)
                    owner = (body["key"], body["probe"])
                    content: Mapping[str, Any] = body["content"]
                except (OSError, ValueError, KeyError, TypeError) as error:
                    raise RecordError(f"{path}: not readable as a probe: {error}") from error
                if not whole or owner != (spec.key, probe):
                    raise RecordError(f"{path}: damaged, or the probe of another run")
                return content
        return None


class Replacement(Store):
    """A store in which one run, which has a record already, is trained apart from it.

    Its files are written into ``runs/.again/<run>/`` and take the place of the old ones together
    (:meth:`take_the_place`); those of other runs are where they are in ``store``.
    """

    def __init__(self, store: Store, spec: RunSpec) -> None:
        super().__init__(store.results, store.runs)
        self._spec = spec
        self._old = store.run_dir(spec)

    def run_dir(self, spec: RunSpec) -> Path:
        folder = super().run_dir(spec)
        return folder.parent / ".again" / folder.name if spec == self._spec else folder

    def path_of(self, spec: RunSpec) -> Path | None:
        if spec != self._spec:
            return super().path_of(spec)
        path = self.run_dir(spec) / "record.json"
        return path if path.exists() else None

    def find_probe(self, spec: RunSpec, probe: str) -> Mapping[str, Any] | None:
        own = (self.run_dir(spec) / f"{probe}.json").exists()
        return super().find_probe(spec, probe) if own or spec != self._spec else None

    def is_replaced(self, name: str) -> bool:
        return name == self._spec.name or super().is_replaced(name)

    def take_the_place(self) -> None:
        """Puts the new record, probes and weights where the old ones were.

        The record comes last: until then the run counts as not trained here, and the same call
        ends what was begun.
        """
        new = self.run_dir(self._spec)
        cleared = new / "cleared"  # what lies in the old folder is new, once this exists
        if not cleared.exists():
            for path in sorted(self._old.iterdir(), key=lambda path: path.name != "record.json"):
                if path.is_file() and path.name != "claim":  # which is held
                    path.unlink()
            cleared.touch()
        for path in sorted(new.iterdir(), key=lambda path: path.name == "record.json"):
            if path.name not in ("claim", cleared.name):
                path.replace(self._old / path.name)
        shutil.rmtree(new)
        with suppress(OSError):  # another run may be there
            new.parent.rmdir()


def _is_record_name(stem: str) -> bool:
    """Tells ``<run>.<key>`` from a probe's ``<run>.<key>.<probe>``."""
    return re.search(r"\.[0-9a-f]{16}\.[a-z][a-z0-9-]*$", stem) is None


def _check_probe_name(probe: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9-]*", probe) or probe == "record":
        raise Lab1Error(
            f"probe name {probe!r} is not allowed; allowed: small letters, digits and hyphens, "
            "beginning with a letter, and not 'record'"
        )


def _json(value: Any, indent: str = "") -> str:
    """JSON with a line per entry and each list on one line, so that diffs stay readable."""
    if not isinstance(value, Mapping) or not value:
        return json.dumps(value, allow_nan=False)
    inner = indent + " "
    entries = [f"{inner}{json.dumps(k)}: {_json(v, inner)}" for k, v in sorted(value.items())]
    return "{\n" + ",\n".join(entries) + f"\n{indent}}}"
