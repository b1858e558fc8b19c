"""What each command of `python -m lab1` does; each returns the exit status."""

import argparse
import json
import subprocess
import sys
import webbrowser
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..core import weights_file
from ..core.families import FAMILIES
from ..core.fields import each_once
from ..core.record import Record
from ..core.spec import RunSpec
from ..core.store import Store
from ..core.training_config import RuntimeOptions, usable_cores
from ..errors import ParameterError, RecordError, UndeclaredError, short_repr
from ..planning import profiles
from ..planning import verify as verifying
from ..planning.chapters import CHAPTERS, chapter
from ..planning.cost import costs, counted, is_first_process
from ..planning.ensure import (
    ensure,
    find_todo,
    has_torch,
    measure_missing,
    require_torch,
    train_again,
)

#: From so many seconds on, a plan says what would make it shorter.
_LONG = 600


def run(options: argparse.Namespace) -> int:
    """Trains what a chapter wants and no record holds, or one run again."""
    if options.chapter is None and options.again is None:
        raise ParameterError(f"run needs a chapter ({', '.join(CHAPTERS)}), or --again KEY")
    if options.chapter is not None and options.again is not None:
        raise ParameterError("run takes a chapter or --again KEY, not both")
    store = Store()
    if options.again is not None:
        probes_of = partial(profiles.probes_of, profile=options.profile)
        record = train_again(options.again, _runtime(options), store, probes_of)
        print(f"{record.name}: trained again, in {store.run_dir(record.spec)}")
        return 0
    return _train(_page(options, store), options, store)


def report(options: argparse.Namespace) -> int:
    """Trains what is missing for a page and writes it as one HTML file."""
    from ..core.files import project_root
    from ..site import report as site_report

    store = Store()
    page = _page(options, store)
    if not page.plan():
        raise ParameterError(f"page {page.name} has no runs of its own; `lab1 site` builds it")
    if page.asked and not any(pair.startswith("further=") for pair in options.parameters):
        page = _without_retraining(page, store)
    status = _train(page, options, store)
    if options.dry_run:
        return status
    path = site_report.write(page, " ".join(options.parameters), store, project_root())
    print(path)
    if not options.no_open and site_report.can_be_opened():
        webbrowser.open(path.as_uri())
    return status


def _page(options: argparse.Namespace, store: Store) -> profiles.Page:
    """The page that `run` and `report` name, with what `-p` and `--from` change."""
    if options.pretrained is not None:
        options.parameters.append(f"pretrained={store.of_key(options.pretrained).key}")
    return profiles.page(options.chapter, options.profile, _assignments(options.parameters))


def _without_retraining(page: profiles.Page, store: Store) -> profiles.Page:
    """The page without those of its further runs that a reader's question would train anew."""

    def with_further(names: Sequence[str]) -> profiles.Page:
        return replace(page, parameters={**page.parameters, "further": tuple(names) or None})

    main = {*with_further(()).plan()}
    kept = [
        name
        for name in page.further_names
        if all(spec in main or store.find(spec) for spec in with_further([name]).plan())
    ]
    if left := [name for name in page.further_names if name not in kept]:
        print(f"left out, for they would be trained anew: {', '.join(left)}; see `-p further`")
    return with_further(kept)


def _train(page: profiles.Page, options: argparse.Namespace, store: Store) -> int:
    """Says what a page misses and, but for a dry run, trains it; the exit status."""
    todo = find_todo(page.plan(), store)
    seconds = sum(known for known in todo.seconds if known is not None)
    if is_first_process():
        workers = usable_cores() if options.workers == "auto" else options.workers
        about = costs(todo.missing, todo.seconds, workers, todo.all_records)
        about = f", {about}" if about else ""
        print(f"{counted(len(todo.specs), 'run')} planned, {len(todo.missing)} missing{about}")
    if options.dry_run:
        for spec in todo.missing:
            print(f"  {spec.key}  {spec.title}")
        if seconds > _LONG:
            print("shorter: fewer epochs, seeds or depths, a smaller network, or --profile quick")
        return 0
    runtime = _runtime(options)
    probes = chapter(page.chapter).probes
    problems = [
        problem
        for record in ensure(todo, runtime, store, probes)
        for problem in measure_missing(record, probes(record.spec), runtime, store)
    ]
    return 2 * _complain(problems, "lab1: ")


def status(options: argparse.Namespace) -> int:
    """Counts the runs of each page."""
    store = Store()
    records, problems = store.all()
    present = {record.key for record in records}
    planned = profiles.planned(options.profile)
    print(f"{'page':<14}{'planned':>8}{'present':>8}{'missing':>8}{'stale':>8}")
    for page in profiles.pages(options.profile):
        specs = {spec for spec, pages in planned.items() if page.name in pages}
        missing = sum(spec.key not in present for spec in specs)
        # Made under an older recipe, or their teachers were.
        stale = [r for r in records if r.spec in specs and r.key != r.spec.key]
        counts = (len(specs), len(specs) - missing, missing, len(stale))
        print(f"{page.name:<14}" + "".join(f"{count:>8}" for count in counts))
        for record in stale:
            print(f"  stale: {record.name} ({record.recipe_change})")
    keys = _keys_with_teachers(planned)
    others = sum(record.key == record.spec.key and record.key not in keys for record in records)
    print(f"on no page of the profile {options.profile!r}: {counted(others, 'further record')}")
    return _complain(problems, "not readable: ")


def promote(options: argparse.Namespace) -> int:
    """Moves finished records to `results/`."""
    store = Store()
    planned = _keys_with_teachers(profiles.planned(options.profile))
    records, problems = store.all()
    unpublished = [record for record in records if store.has_unpublished_files(record)]
    selected = [record for record in unpublished if options.all or record.key in planned]
    with_weights = {store.of_key(key).key for key in options.weights}
    allowed = (options.mixed_sources, options.profile != profiles.REPORT)
    for record in sorted(selected, key=lambda record: len(record.spec.teachers)):
        _publish_teacher(record, store, *allowed)
        if store.is_replaced(record.name):
            findings = verifying.students_of_other_weights(record, records)
            if findings:
                raise RecordError(
                    f"{record.name} was trained again, and cannot be published alone: "
                    + "; ".join(findings)
                )
            if weights_file.published(record.spec, store).exists():
                with_weights.add(record.key)
        print(store.promote(record, *allowed).name)
    for record in records:
        if record.key in with_weights:
            from ..training.trained_run import publish_weights

            print(publish_weights(record.spec, store).name)
    left = len(unpublished) - len(selected)
    others = f"; no page plans {left} more in runs/ (--all)" if left else ""
    print(f"{counted(len(selected), 'record')} promoted{others}")
    families = {FAMILIES[record.spec.model.family] for record in selected}
    for file in sorted({family.file for family in families if family.file}):
        if not _is_tracked(file):
            print(
                f"note: git does not track {file}, which made some of the records", file=sys.stderr
            )
    return _complain(problems, "not readable: ")


def _is_tracked(file: Path) -> bool:
    command = ["git", "-C", str(file.parent), "ls-files", "--error-unmatch", file.name]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:  # there is no git
        return False


def _keys_with_teachers(specs: Iterable[RunSpec]) -> set[str]:
    """The keys of runs and of their teachers."""
    return {run.key for spec in specs for run in (spec, *spec.teachers)}


def _publish_teacher(record: Record, store: Store, mixed_sources: bool, user_defined: bool) -> None:
    """Puts the weights of a record's teacher into `results/`, so that others can distil too."""
    teacher = record.spec.teacher
    # Under an older recipe the teacher had another name, and nobody learns from it any more.
    if teacher is None or record.key != record.spec.key:
        return
    file = weights_file.published(teacher, store)
    if not file.exists():
        lacking = f"{file}: the weights of the teacher of {record.spec.title} are not published"
        require_torch(lacking, "do so")
    store.check_promotable(record, mixed_sources, user_defined)
    if not file.exists():
        from ..training.trained_run import publish_weights

        print(publish_weights(teacher, store, record.origin["teacher_sha256"]).name)
    for finding in verifying.check_teacher(record, weights_file.read(file).sha256):
        raise RecordError(finding)


def verify(options: argparse.Namespace) -> int:
    """Recomputes what records say, and where asked a whole run, or the claims of the chapters."""
    if options.claims:
        from ..site.publish import check_claims

        count, findings = check_claims()
        exit_status = _complain(findings)
        print(f"{counted(count, 'claim')} verified, {counted(len(findings), 'finding')}")
        return exit_status
    store = Store()
    records, problems = store.all()
    selected = [record for record in records if record.key.startswith(options.key or "")]
    if options.key and not selected:
        raise ParameterError(f"no record has a key that begins with {options.key!r}")
    if options.retrain and len(selected) != 1:
        raise ParameterError(f"--retrain needs the key of one run; {len(selected)} match")
    passed_over = [problem for problem in problems if isinstance(problem, UndeclaredError)]
    findings = [str(p) for p in problems if not options.key and p not in passed_over]
    if not options.key:
        findings += verifying.check_weights(store, records) + verifying.check_benchmarks()
    findings += verifying.check_probes(store, selected)
    for record in selected:
        findings += verifying.check(record)
    if options.retrain:
        findings += verifying.retrain(selected[0], _runtime(options), options.tolerance, records)
    _complain(passed_over)
    exit_status = _complain(findings)
    print(f"{counted(len(selected), 'record')} verified, {counted(len(findings), 'finding')}")
    if not has_torch():
        print("parameter counts were not recomputed: torch is not installed (extra 'train')")
    return exit_status


def table(options: argparse.Namespace) -> int:
    """Prints a summary of the published runs."""
    from ..reporting import distillation, frames, tables

    # Each summary has pages of its own; one run may stand on both.
    distilled = options.which == "distillation"
    records = profiles.trained(options.profile, lambda name: (name == "2_2") == distilled)
    summary = distillation.summary if distilled else tables.performance
    frame = summary(frames.runs(records)).frame
    if options.format == "csv":
        print(frame.to_csv(index=False), end="")
    elif options.format == "json":
        print(frame.to_json(orient="records", indent=1))
    else:
        print(frame.to_string(index=False))
    return 0


def publish(options: argparse.Namespace) -> int:
    """Executes stale chapters."""
    from ..site import publish as publishing

    publishing.publish(options.profile)
    return 0


def site(options: argparse.Namespace) -> int:
    """Builds the site."""
    from ..site import build as site_builder

    return site_builder.build(options.profile, preview=options.preview, draft=options.draft)


def notebooks(options: argparse.Namespace) -> int:
    """Writes the chapters for Jupyter."""
    from ..core.files import project_root
    from ..site import jupyter

    root = project_root()
    written, changed = jupyter.write(root)
    print(f"{counted(len(written), 'chapter')} in {root / jupyter.FOLDER}")
    for path in changed:
        print(f"{path.name} has changes of yours and stays as it is; delete it for a fresh one")
    return 0


def bench(options: argparse.Namespace) -> int:
    """Measures the speed of the trainer and of others."""
    from ..core import benchmarks
    from ..core.record_rules import seal
    from ..training.benchmark import cases, measure

    selected = [cases.CASES[name] for name in options.case or cases.CASES]
    if options.depths or options.family:
        selected = cases.by_depth(options.family or ())
    if options.smoke:
        selected = [cases.smoke(case) for case in selected]
    result = measure.measure(
        selected,
        compared=(benchmarks.DEPTHS if options.depths or options.family else benchmarks.CONTENDERS),
        rounds=options.rounds,
        note=options.note,
        device=options.device,
        data_dir=options.data_dir,
    )
    print(json.dumps(seal(result), indent=1) if options.json else benchmarks.text(result))
    return 0


def push(options: argparse.Namespace) -> int:
    """Sends records to Weights & Biases."""
    from ..training.wandb import client

    store = Store()
    records, problems = store.all()
    selected = _records_to_push(records, options.keys, options.profile)
    for record in selected:
        print(f"{record.name}: {client.push(record, store, options.project, options.entity)}")
    print(f"{counted(len(selected), 'record')} sent")
    return _complain(problems, "not readable: ")


def _records_to_push(records: Sequence[Record], keys: Sequence[str], profile: str) -> list[Record]:
    """The records that the keys name, or else those that the profile plans."""
    for key in keys:
        if not any(record.key.startswith(key) for record in records):
            raise ParameterError(f"no record has a key that begins with {key!r}")
    if keys:
        return [record for record in records if record.key.startswith(tuple(keys))]
    planned = {spec.key for spec in profiles.planned(profile)}
    selected = [record for record in records if record.key in planned]
    if not selected:
        raise profiles.no_records(profile)
    return selected


def pull(options: argparse.Namespace) -> int:
    """Takes runs over from Weights & Biases: from a folder, or those of a project there."""
    from ..training.wandb import client, offline

    place = (options.entity, options.project)
    if options.folder is None and not all(place):
        raise ParameterError("pull needs a folder, or --entity and --project")
    if options.folder is not None and any(place):
        raise ParameterError("pull takes a folder, or --entity and --project, not both")
    if options.folder is None:
        runs = client.pull(*place, Store())
    else:
        runs = offline.pull(Path(options.folder), Store())
    counts: Counter[str] = Counter()
    for pulled in runs:
        counts[pulled.outcome] += 1
        stream = sys.stderr if pulled.outcome == "refused" else sys.stdout
        print(f"{pulled.source}: {pulled.outcome}: {pulled.why}", file=stream)
    names = ("pulled", "present", "skipped", "refused")
    print(", ".join(f"{counts[name]} {name}" for name in names))
    return 1 if counts["refused"] else 0


def _assignments(pairs: Sequence[str]) -> dict[str, Any]:
    """`["depth=4"]` as `{"depth": "4"}`; the declaration of the parameter parses the text."""
    values = []
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise ParameterError(f"-p {short_repr(pair)} is not allowed; allowed: -p name=value")
        values.append((name, value))
    return each_once(values, "-p")


def _runtime(options: argparse.Namespace) -> RuntimeOptions:
    """The options of a command that are called as those of a run."""
    names = {field.name for field in fields(RuntimeOptions)}
    return RuntimeOptions(**{name: v for name, v in vars(options).items() if name in names})


def _complain(problems: Collection[object], beginning: str = "") -> int:
    """Prints problems on standard error; the exit status, 1 where one is more than a note."""
    notes = [problem for problem in problems if isinstance(problem, UndeclaredError)]
    for problem in problems:
        print(f"{'' if problem in notes else beginning}{problem}", file=sys.stderr)
    return 1 if len(problems) > len(notes) else 0
