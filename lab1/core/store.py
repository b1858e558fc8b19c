"""Run records and probes: written whole or not at all, read back checked (standard library only).

A record is one JSON file, named after its run.  Published records lie in `results/`; one's own
in `runs/<run>/record.json`, beside the weights.  Both are read, only `runs/` is written,
except by `Store.promote`.  A probe is something measured on a trained model afterwards; it
lies beside the record as `<run>.<probe>.json` or `runs/<run>/<probe>.json`.
"""

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import Lab1Error, ParameterError, RecordError, UndeclaredError, short_repr
from . import datasets, files, probe_schema
from .datasets import DATASETS
from .families import FAMILIES
from .files import may_exist, move, write_bytes, write_text
from .record import SCHEMA, Record, finite, is_commit, read_record
from .record_rules import in_file, read_object, seal, unseal
from .spec import RunSpec


class Store:
    """The records in `results/` and `runs/`.

    Two processes may write at once: each file appears whole, and `claim` keeps them from
    training the same run.
    """

    def __init__(self, results: Path | None = None, runs: Path | None = None) -> None:
        self.results = results or files.results_dir()
        self.runs = runs or files.runs_dir()

    def run_dir(self, spec: RunSpec) -> Path:
        """The folder in `runs/` that belongs to a run."""
        return self.runs / spec.name

    def find(self, spec: RunSpec) -> Record | None:
        """The record of a run, published or one's own; `None` where there is none.

        One's own comes first: a published run has one where it was trained again here.

        Raises `RecordError` where the file is damaged or holds another run.
        """
        path = self.path_of(spec)
        if path is None:
            return None
        record = self._read(path, spec.name)
        if record.key != spec.key:
            raise RecordError(f"{path}: holds run {record.key}, not {spec.key}")
        return replace(record, spec=spec)  # which has the role that a plan gave it

    def _read(self, path: Path, name: str) -> Record:
        """The record in one's own file or, where that was just promoted, in the published one."""
        try:
            return read_record(path)
        except RecordError:
            published = self.results / f"{name}.json"
            if may_exist(path) or path == published:
                raise
            return read_record(published)

    def path_of(self, spec: RunSpec) -> Path | None:
        """The file that `find` reads."""
        for path in (self.run_dir(spec) / "record.json", self.results / f"{spec.name}.json"):
            if may_exist(path):
                return path
        return None

    def is_replaced(self, name: str) -> bool:
        """True if a published run, by its name, was trained here again, so that `runs/` counts.

        A mere copy of the published record, which a Ray cluster needs in `runs/`, changes nothing.
        """
        published, retrained = self.results / f"{name}.json", self.runs / name / "record.json"
        if not (may_exist(retrained) and published.exists()):
            return False
        try:
            return retrained.read_bytes() != published.read_bytes()
        except FileNotFoundError:  # it was promoted meanwhile
            return False
        except OSError:  # it is closed to us, which is told when it is read
            return True

    def paths(self) -> Iterator[Path]:
        """The files of all records, published ones first, without those that `runs/` replaces."""
        # One's own are listed first: what is promoted meanwhile is then in one list or in both.
        folders = sorted(self.runs.iterdir()) if self.runs.is_dir() else []
        records = [
            folder / "record.json" for folder in folders if may_exist(folder / "record.json")
        ]
        published = sorted(p for p in self.results.glob("*.json") if _is_record_name(p.stem))
        copied = {path.parent.name for path in records}
        yield from (p for p in published if p.stem not in copied or not self.is_replaced(p.stem))
        yield from records

    def all(self) -> tuple[list[Record], list[RecordError]]:
        """All readable records, and an error for each file that is none.

        A run that is in both folders counts once, as it was trained here.  Those of user-defined
        networks that are not declared here are told together, as `UndeclaredError`.
        """
        records: dict[str, Record] = {}
        undeclared: Counter[str] = Counter()
        problems: list[RecordError] = []
        for path in self.paths():
            expected = path.stem if path.parent == self.results else path.parent.name
            try:
                if not re.search(r"\.[0-9a-f]{16}$", expected):
                    raise RecordError(f"{path}: a copy, or no file of lab1's; delete it")
                record = self._read(path, expected)
                if record.name != expected:
                    raise RecordError(f"{path}: holds run {record.name}: a copy, or misnamed")
                records.setdefault(record.key, record)
            except UndeclaredError as error:
                undeclared[str(error)] += 1
            except RecordError as error:
                problems.append(error)
        if undeclared:
            count = f"{undeclared.total()} records of networks of one's own are passed over"
            problems.append(UndeclaredError(f"{count}: {'; '.join(undeclared)}"))
        return list(records.values()), problems

    def of_key(self, key: str) -> Record:
        """The record whose key is `key`, or begins with it.

        Raises `ParameterError` where there is none, or more than one.
        """
        matching = [record for record in self.all()[0] if record.key.startswith(key)]
        if len(matching) != 1 or not key:
            raise ParameterError(
                f"the key {key!r} is not allowed: {len(matching)} records have a key that begins "
                "so; allowed: the key of one run, or its beginning"
            )
        return matching[0]

    def is_published(self, record: Record) -> bool:
        """True if a record is the one in `results/`."""
        path = self.results / f"{record.name}.json"
        return path.exists() and not self.is_replaced(record.name)

    def has_unpublished_files(self, record: Record) -> bool:
        """True if a record, or a probe of it, lies in `runs/` and has not been published.

        Copies of published files, which a Ray cluster needs there, do not count.
        """
        return any(
            not (target := self._published_place(record, path)).exists()
            or target.read_bytes() != path.read_bytes()
            for path in (self.runs / record.name).glob("*.json")
        )

    def _published_place(self, record: Record, path: Path) -> Path:
        """The place of a run's file in `runs/`, its record or a probe, once it is published."""
        name = "json" if path.name == "record.json" else path.name
        return self.results / f"{record.name}.{name}"

    def write(self, record: Record) -> Path:
        """Writes a record into `runs/` and returns its file."""
        path = self.run_dir(record.spec) / "record.json"
        write_text(path, _json(record.to_dict()) + "\n")
        return path

    def copy(self, spec: RunSpec) -> None:
        """Puts the record of a published run into `runs/` too, for who sees that folder alone."""
        path = self.path_of(spec)
        if path is not None and path.parent == self.results:
            write_bytes(self.run_dir(spec) / "record.json", path.read_bytes())

    def claim(self, spec: RunSpec) -> AbstractContextManager[bool]:
        """Yields whether this process may train the run; no other may until the block ends.

        The claim is a lock that the operating system drops with its owner, so a run whose owner
        was killed can be claimed again at once.
        """
        return files.claimed(self.run_dir(spec) / "claim")

    def check_promotable(
        self, record: Record, mixed_sources: bool = False, user_defined: bool = False
    ) -> None:
        """Raises `RecordError` for a record whose numbers could not be followed back.

        That is one trained from uncommitted sources, or on data with another fingerprint than the
        declared one; without `mixed_sources` also one whose processes differ in sources or
        versions, or are not all known; without `user_defined` also one with a user-defined network
        or images, which the report has none of and a site of one's own may have.
        """
        source = self.runs / record.name
        for spec in () if user_defined else (record.spec, *record.spec.teachers):
            family, images = FAMILIES[spec.model.family], DATASETS[spec.dataset]
            if family.user_defined or images.user_defined:
                what = f"network {family.name} is declared in {family.file}"
                if images.user_defined:
                    what = f"images lie in {images.folder}"
                raise RecordError(
                    f"{source}: its {what}, which others do not have; a site of one's own may show "
                    "it: promote it with --profile and a profile of your own that plans it"
                )
        key = record.spec.training.pretrained
        if key and not self.is_published(self.of_key(key)):
            raise RecordError(f"{source}: promote first the run that it is pretrained by, {key}")
        segments = record.origin.get("segments", ())
        for process in (record.origin, *(segment for segment in segments if segment["sources"])):
            commit = str(process.get("commit") or "unknown")
            if not is_commit(commit):
                raise RecordError(
                    f"{source}: trained from commit {short_repr(commit)}; only a run from "
                    "committed sources, named by 40 hexadecimal digits, is published, since others "
                    "could not be followed back"
                )
        first = segments[0] if segments else {}
        for name in () if mixed_sources else ("sources", "versions"):
            if any(not segment[name] or segment[name] != first[name] for segment in segments):
                raise RecordError(
                    f"{source}: its {len(segments)} processes had different {name}, or did not "
                    "tell them all (origin.segments); train it again, or promote it with "
                    "--mixed-sources"
                )
        if record.origin.get("data_fingerprint") != DATASETS[record.spec.dataset].fingerprint:
            raise RecordError(f"{source}: trained on data with an undeclared fingerprint")

    def promote(
        self, record: Record, mixed_sources: bool = False, user_defined: bool = False
    ) -> Path:
        """Moves a record and its probes from `runs/` to `results/`; the weights stay.

        A run that was published before and trained here again takes the place of the published one,
        whose probes and weights go too, since they are of another training.  Raises
        `RecordError` for one that is not to be published (`check_promotable`).
        """
        self.check_promotable(record, mixed_sources, user_defined)
        for spec in (record.spec, *record.spec.teachers):
            if DATASETS[spec.dataset].user_defined:
                datasets.publish(spec.dataset, self.results)
        source = self.runs / record.name
        written = source / "record.json"
        target = self._published_place(record, written)
        moves = {
            path: self._published_place(record, path)
            for path in sorted(source.glob("*.json"))
            if path.name != "record.json"
        }
        if written.exists():  # else it was published before, and the probes are what is new
            if self.is_replaced(record.name):
                for path in self.results.glob(f"{record.name}.*.json"):
                    path.unlink()
                target.with_suffix(".safetensors").unlink(missing_ok=True)
            moves[written] = target
        for path, destination in moves.items():
            move(path, destination)  # whole: a copy left behind would later be read in its place
        return target

    def write_probe(self, spec: RunSpec, probe: str, content: Mapping[str, Any]) -> Path:
        """Writes what was measured on a trained model: `content` must be plain JSON."""
        _check_probe_name(probe)
        body: dict[str, Any] = finite(
            {"schema": SCHEMA, "key": spec.key, "probe": probe, "content": content}
        )
        path = self.run_dir(spec) / f"{probe}.json"
        write_text(path, _json(seal(body)) + "\n")
        return path

    def all_probes(self) -> Iterator[tuple[str, str]]:
        """The name of a run and of a probe of it, for every probe in either folder."""
        for path in sorted(self.results.glob("*.json")):
            if not _is_record_name(path.stem):
                run, _, probe = path.stem.rpartition(".")
                yield run, probe
        for path in sorted(self.runs.glob("*/*.json")):
            if path.name != "record.json":
                yield path.parent.name, path.stem

    def probes_of(self, spec: RunSpec) -> tuple[str, ...]:
        """The names of all probes that a run has, in either folder."""
        published = self.results.glob(f"{spec.name}.*.json")
        names = {path.name.removeprefix(f"{spec.name}.") for path in published}
        names |= {path.name for path in self.run_dir(spec).glob("*.json")} - {"record.json"}
        return tuple(sorted(name.removesuffix(".json") for name in names))

    def find_probe(self, spec: RunSpec, probe: str) -> Mapping[str, Any] | None:
        """Reads a probe from either folder; `None` where there is none.

        Those of a published run do not count where it was trained here again.
        """
        _check_probe_name(probe)
        published = self.results / f"{spec.name}.{probe}.json"
        in_runs = self.run_dir(spec) / f"{probe}.json"
        for _ in range(2):  # the second time finds what was promoted between the two looks
            for path in (in_runs,) if self.is_replaced(spec.name) else (published, in_runs):
                if not may_exist(path):
                    continue
                try:
                    return _read_probe(path, spec, probe)
                except RecordError:
                    if may_exist(path):
                        raise
        return None


class Replacement(Store):
    """A store in which one run, which has a record already, is trained apart from it.

    Its files are written into `runs/.again/<run>/` and take the place of the old ones together
    (`replace_old_files`); those of other runs are where they are in `store`.
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
        in_runs = (self.run_dir(spec) / f"{probe}.json").exists()
        return super().find_probe(spec, probe) if in_runs or spec != self._spec else None

    def is_replaced(self, name: str) -> bool:
        return name == self._spec.name or super().is_replaced(name)

    def replace_old_files(self) -> None:
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
    """Tells `<run>.<key>` from a probe's `<run>.<key>.<probe>`."""
    return re.search(r"\.[0-9a-f]{16}\.[a-z][a-z0-9-]*$", stem) is None


def _check_probe_name(probe: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9-]*", probe) or probe == "record":
        raise Lab1Error(
            f"probe name {probe!r} is not allowed; allowed: small letters, digits and hyphens, "
            "beginning with a letter, and not 'record'"
        )


def _read_probe(path: Path, spec: RunSpec, probe: str) -> Mapping[str, Any]:
    """The content of a probe's file; raises `RecordError`, naming the file, where it has none."""
    body = read_object(path, "a probe")
    with in_file(path):
        body = unseal(body)
        if (body.get("key"), body.get("probe")) != (spec.key, probe):
            raise RecordError("the probe of another run")
        content: Any = body.get("content")
        probe_schema.check(probe, content, spec)
    result: Mapping[str, Any] = content
    return result


def _json(value: Any, indent: str = "") -> str:
    """JSON with a line per entry and each list on one line, so that diffs stay readable."""
    if not isinstance(value, Mapping) or not value:
        return json.dumps(value, allow_nan=False)
    inner = indent + " "
    entries = [f"{inner}{json.dumps(k)}: {_json(v, inner)}" for k, v in sorted(value.items())]
    return "{\n" + ",\n".join(entries) + f"\n{indent}}}"
