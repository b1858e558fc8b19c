"""The command line: `python -m lab1 COMMAND`; `python -m lab1 --help` lists them."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..core import weights_file
from ..core.errors import Lab1Error, MissingRunsError, ParameterError, RecordError
from ..core.parameters import PARAMETERS
from ..core.record import Record
from ..core.runtime import ENGINES, RuntimeOptions
from ..core.spec import RunSpec
from ..core.store import Store
from ..planning import profiles, verify
from ..planning.chapters import CHAPTERS, chapter
from ..planning.ensure import ensure, ensure_probe, find_todo, train_again
from ..planning.progress import duration, is_first_process
from . import wandb as wandb_cli


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit status; 2 for what the user can mend."""
    options = parser().parse_args(arguments)
    try:
        status = int(options.command(options))
        sys.stdout.flush()  # a reader that has left is met here, not when Python ends
        return status
    except Lab1Error as error:
        print(f"lab1: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        extra = "train" if str(error.name).startswith("torch") else "site"
        print(
            f"lab1: {error.name} is not installed for {sys.executable}. Activate the environment "
            f"that has it (source .venv/bin/activate), or install the extra: "
            f"pip install -e '.[{extra}]'",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt as interrupt:
        words = str(interrupt) or "interrupted; the same command continues with what is missing"
        print(f"lab1: {words}", file=sys.stderr)
        return getattr(interrupt, "exit_status", 130)
    except BrokenPipeError:
        # What reads our output, say `head`, has enough. Python would write the rest when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # as shells report the signal SIGPIPE


def _run(options: argparse.Namespace) -> int:
    if (options.chapter is None) == (options.again is None):
        raise ParameterError(
            f"run needs a chapter ({', '.join(CHAPTERS)}) or --again KEY, not both"
        )
    if options.again is not None:
        store = Store()
        record = train_again(
            options.again,
            _run_options(options),
            store,
            lambda spec: profiles.probes_of(spec, options.profile),
        )
        print(f"{record.name}: trained again, in {store.run_dir(record.spec)}")
        return 0
    page = profiles.page(options.chapter, options.profile, _assignments(options.parameters))
    store = Store()
    todo = find_todo(page.plan(), store)
    seconds = [each for each in todo.seconds if each is not None]
    about = f", about {duration(sum(seconds))}" if seconds else ""
    if is_first_process():
        print(f"{len(todo.specs)} runs planned, {len(todo.missing)} missing{about}")
    if options.dry_run:
        for spec in todo.missing:
            print(f"  {spec.key}  {spec.title}")
        return 0
    runtime = _run_options(options)
    probes = chapter(page.chapter).probes
    problems = []
    for record in ensure(todo, runtime, store, probes):
        for probe in () if record.diverged else probes(record.spec):
            try:
                ensure_probe(record, probe, runtime, store)
            except MissingRunsError as error:  # its weights are not here; the others may be
                problems.append(str(error))
    for problem in problems:
        print(f"lab1: {problem}", file=sys.stderr)
    return 2 if problems else 0


def _run_options(options: argparse.Namespace) -> RuntimeOptions:
    return replace(
        _runtime(options),
        engine=options.engine,
        ray_address=options.address,
        report_to=options.report_to,
        threads=options.threads,
        compile=options.compile,
    )


def _status(options: argparse.Namespace) -> int:
    store = Store()
    records, problems = store.all()
    planned: dict[str, RunSpec] = {}
    print(f"{'page':<14}{'planned':>8}{'present':>8}{'missing':>8}{'stale':>8}")
    for page in profiles.pages(options.profile):
        specs = page.plan()
        planned.update({each.key: each for spec in specs for each in (spec, *spec.teachers)})
        present = {record.key for record in records}
        missing = [spec for spec in specs if spec.key not in present]
        stale = _stale(specs, records)
        counts = (len(specs), len(specs) - len(missing), len(missing), len(stale))
        print(f"{page.name:<14}" + "".join(f"{count:>8}" for count in counts))
        for record in stale:
            print(f"  stale: {record.name} ({record.recipe_change})")
    others = [r for r in records if r.key not in planned and r.key == r.spec.key]
    print(f"{len(others)} further records belong to no page of the profile {options.profile!r}")
    for problem in problems:
        print(f"damaged: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _stale(specs: Sequence[RunSpec], records: Sequence[Record]) -> list[Record]:
    """Records of planned runs that were made under an older recipe, or their teachers were."""
    wanted = set(specs)
    return [r for r in records if r.spec in wanted and r.key != r.spec.key]


def _promote(options: argparse.Namespace) -> int:
    store = Store()
    specs = [run.spec for run in profiles.planned(options.profile).values()]
    planned = {each.key for spec in specs for each in (spec, *spec.teachers)}
    records, problems = store.all()
    own = [record for record in records if store.is_own(record)]
    chosen = [record for record in own if options.all or record.key in planned]
    with_weights = {store.of_key(key).key for key in options.weights}
    for record in sorted(chosen, key=lambda record: len(record.spec.teachers)):
        _publish_teacher(record, store)
        if store.is_replaced(record.name):
            findings = verify.students_of_other_weights(record, records)
            if findings:
                raise RecordError(
                    f"{record.name} was trained again, and cannot be published alone: "
                    + "; ".join(findings)
                )
            if weights_file.published(record.spec, store).exists():
                with_weights.add(record.key)
        print(store.promote(record).name)
    for record in records:
        if record.key in with_weights:
            from ..training import trained_models

            print(trained_models.publish(record.spec, store).name)
    print(f"{len(chosen)} records promoted, {len(own) - len(chosen)} of one's own left in runs/")
    for problem in problems:
        print(f"damaged: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _publish_teacher(record: Record, store: Store) -> None:
    """Puts the weights of a record's teacher into `results/`, so that others can distil too."""
    teacher = record.spec.teacher
    # Under an older recipe the teacher had another name, and nobody learns from it any more.
    if teacher is None or record.key != record.spec.key:
        return
    file = weights_file.published(teacher, store)
    if not verify.has_torch() and not file.exists():
        raise MissingRunsError(
            f"{file}: the weights of the teacher of {record.spec.title} are not published, and "
            "torch is not installed to do so. Install the extra 'train': pip install -e '.[train]'"
        )
    store.check_promotable(record)
    if not file.exists():
        from ..training import trained_models

        print(trained_models.publish(teacher, store, record.origin["teacher_sha256"]).name)
    for finding in verify.check_teacher(record, weights_file.read(file).sha256):
        raise RecordError(finding)


def _verify(options: argparse.Namespace) -> int:
    store = Store()
    records, problems = store.all()
    chosen = [record for record in records if record.key.startswith(options.key or "")]
    if options.key and not chosen:
        raise ParameterError(f"no record has a key that begins with {options.key!r}")
    if options.retrain and len(chosen) != 1:
        raise ParameterError(f"--retrain needs the key of one run; {len(chosen)} match")
    findings = [str(problem) for problem in problems if not options.key]
    if not options.key:
        findings += verify.check_weights(store, records)
    for record in chosen:
        findings += verify.check(record)
    if options.retrain:
        findings += verify.retrain(chosen[0], _runtime(options), options.tolerance)
    for finding in findings:
        print(finding, file=sys.stderr)
    print(f"{len(chosen)} records verified, {len(findings)} findings")
    if not verify.has_torch():
        print("parameter counts were not recomputed: torch is not installed (extra 'train')")
    return 1 if findings else 0


def _table(options: argparse.Namespace) -> int:
    from ..reporting.distillation import tables as distillation_tables
    from ..reporting.kit import frames, tables

    # Each summary has pages of its own; one run may stand on both.
    distilled = options.which == "distillation"
    records = profiles.trained(options.profile, lambda name: (name == "2_2") == distilled)
    summary = distillation_tables.summary if distilled else tables.performance
    frame = summary(frames.runs(records)).frame
    if options.format == "csv":
        print(frame.to_csv(index=False), end="")
    elif options.format == "json":
        print(frame.to_json(orient="records", indent=1))
    else:
        print(frame.to_string(index=False))
    return 0


def _publish(options: argparse.Namespace) -> int:
    from ..site import publish

    publish.publish(options.profile)
    return 0


def _site(options: argparse.Namespace) -> int:
    from ..site import build as site_builder

    return site_builder.build(options.profile, preview=options.preview)


def _bench(options: argparse.Namespace) -> int:
    from ..core import benchmarks
    from ..training.benchmark import cases, depths, measure

    where = {"device": options.device, "data_dir": options.data_dir}
    if options.depths:
        result = depths.measure(rounds=options.rounds, smoke=options.smoke, **where)
        print(json.dumps(result, indent=1) if options.json else benchmarks.depths_text(result))
        return 0
    chosen = [cases.CASES[name] for name in options.case or cases.CASES]
    if options.smoke:
        chosen = [cases.smoke(case) for case in chosen]
    result = measure.measure(chosen, rounds=options.rounds, **where)
    print(json.dumps(result, indent=1) if options.json else benchmarks.text(result))
    return 0


def _parameter_help() -> str:
    """What `-p` can change, with each parameter's meaning and range."""
    names = sorted({name for each in CHAPTERS.values() for name in each.parameters})
    lines = [f"  {n}: {PARAMETERS[n].meaning}\n      {PARAMETERS[n].allowed}" for n in names]
    return "parameters that -p can change:\n" + "\n".join(lines)


def _assignments(pairs: Sequence[str]) -> dict[str, Any]:
    """`["depth=4"]` as `{"depth": "4"}`; the declaration of the parameter parses the text."""
    values = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise ParameterError(f"-p {pair!r} is not allowed; allowed: -p name=value")
        values[name] = value
    return values


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; allowed: whole numbers from 1")
    return int(text)


def _runtime(options: argparse.Namespace) -> RuntimeOptions:
    return RuntimeOptions(device=options.device, data_dir=options.data_dir)


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = argparse.ArgumentParser(
        prog="python -m lab1", description="A laboratory on deep residual learning."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: Any, help: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help, description=help)
        added.set_defaults(command=function)
        return added

    def profile(added: argparse.ArgumentParser) -> None:
        default = os.environ.get("LAB1_PROFILE", "report")
        added.add_argument(
            "--profile", default=default, help=f"a file in params/ (LAB1_PROFILE, else {default})"
        )

    def runtime(added: argparse.ArgumentParser) -> None:
        added.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
        added.add_argument("--data-dir", help="folder of the data sets (LAB1_DATA, else data/)")

    run = command("run", _run, "Train what a chapter wants and no record holds.")
    run.formatter_class = argparse.RawDescriptionHelpFormatter
    run.epilog = _parameter_help()
    run.add_argument("chapter", nargs="?", help=", ".join(CHAPTERS))
    run.add_argument(
        "--again", metavar="KEY",
        help="instead, train the run with that key once more: record, probes and weights",
    )  # fmt: skip
    profile(run)
    run.add_argument(
        "-p", dest="parameters", action="append", default=[], metavar="name=value",
        help="change a parameter of the profile, as in -p depth=2,4",
    )  # fmt: skip
    run.add_argument("--dry-run", action="store_true", help="only say what would be trained")
    run.add_argument(
        "--threads", type=_positive, help="of a training on the CPU (else as the model needs)"
    )
    run.add_argument(
        "--compile", action="store_true",
        help="let torch.compile make kernels: up to a quarter faster for convolutional nets",
    )  # fmt: skip
    run.add_argument("--report-to", metavar="wandb", help="also send the runs to Weights & Biases")
    runtime(run)
    run.add_argument(
        "--engine", choices=ENGINES, default="local",
        help="what trains the runs: this process (local) or a Ray cluster (ray)",
    )  # fmt: skip
    run.add_argument(
        "--address", metavar="HOST:PORT",
        help="the head node of the Ray cluster (else the cluster that this machine has joined, "
        "else one started here)",
    )  # fmt: skip

    profile(command("status", _status, "Planned, present, missing and stale runs per page."))

    promote = command("promote", _promote, "Move finished records from runs/ to results/.")
    profile(promote)
    promote.add_argument(
        "--weights", action="append", default=[], metavar="KEY",
        help="also publish the weights of that run; may be repeated",
    )  # fmt: skip
    promote.add_argument("--all", action="store_true", help="also runs that no page plans")

    verify = command("verify", _verify, "Recompute keys, fingerprints and parameter counts.")
    verify.add_argument("key", nargs="?", metavar="KEY", help="a run's key, or its beginning")
    verify.add_argument("--retrain", action="store_true", help="train the run again and compare")
    verify.add_argument(
        "--tolerance", type=float, default=0.01,
        help="largest difference in test accuracy that passes, as a fraction (0.01)",
    )  # fmt: skip
    runtime(verify)

    table = command("table", _table, "Print a summary table of the published runs.")
    table.add_argument("which", choices=["performance", "distillation"])
    table.add_argument("--format", choices=["text", "csv", "json"], default="text")
    profile(table)

    bench = command("bench", _bench, "Compare the trainer's speed with the usual loop and others.")
    # The names are spelled out, for importing the benchmark takes torch.
    compared = bench.add_mutually_exclusive_group()
    compared.add_argument(
        "--case", action="append", choices=["mlp", "simple-cnn", "resnet-20"],
        help="one of them alone; may be repeated",
    )  # fmt: skip
    compared.add_argument(
        "--depths", action="store_true",
        help="instead, what depth costs: the plain and residual nets in turn",
    )  # fmt: skip
    bench.add_argument("--rounds", type=_positive, default=3, help="times each one trains (3)")
    bench.add_argument("--json", action="store_true", help="the whole record, for machines")
    bench.add_argument("--smoke", action="store_true", help="a few built-in images: does it run?")
    runtime(bench)

    profile(
        command("publish", _publish, "Execute stale chapters into report/ (Quarto's pre-render).")
    )

    site = command("site", _site, "Build _site/ with Quarto, or a preview where there is none.")
    profile(site)
    site.add_argument("--preview", action="store_true", help="do not look for Quarto")

    help = "Exchange run records with Weights & Biases."
    wandb_cli.add_commands(commands.add_parser("wandb", help=help, description=help), profile)
    return top
