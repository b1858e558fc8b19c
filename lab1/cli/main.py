"""The command line: `python -m lab1 COMMAND`; `python -m lab1 --help` lists them."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ..core.families import FAMILIES
from ..core.training_config import ENGINES
from ..errors import Lab1Error, ParameterError
from ..planning import profiles
from ..planning.chapters import CHAPTERS
from . import commands


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit status; 2 for what the user can mend."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        options = parser(arguments).parse_args(arguments)
        status = int(options.command(options))
        sys.stdout.flush()  # a reader that has left is met here, not when Python ends
        return status
    except KeyboardInterrupt as interrupt:
        words = str(interrupt) or "interrupted; the same command continues with what is missing"
        print(f"lab1: {words}", file=sys.stderr)
        return getattr(interrupt, "exit_status", 130)
    except BrokenPipeError:
        # What reads our output, say `head`, has enough. Python would write the rest when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # as shells report the signal SIGPIPE
    except Lab1Error as error:
        words = str(error)
    except ModuleNotFoundError as error:
        extra = "train" if str(error.name).startswith("torch") else "site"
        words = (
            f"{error.name} is not installed for {sys.executable}. Activate the environment that "
            f"has it (source .venv/bin/activate), or install the extra: pip install -e '.[{extra}]'"
        )
    except OSError as error:
        if error.filename is None:  # the output's disk is full, and Python would try once more
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        words = f"{error.filename or 'the output'}: {error.strerror}"
        if isinstance(error, PermissionError):
            words += ": it may be another user's"
    print(f"lab1: {words}", file=sys.stderr)
    return 2


def parser(arguments: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The parser of all commands; the help of `run` is on the chapter that `arguments` name."""
    top = argparse.ArgumentParser(
        prog="python -m lab1", description="A laboratory on deep residual learning."
    )
    subparsers = top.add_subparsers(required=True, metavar="COMMAND")
    profile, runtime = (argparse.ArgumentParser(add_help=False) for _ in range(2))
    default = os.environ.get("LAB1_PROFILE", "report")
    escaped = default.replace("%", "%%")  # argparse has words of its own that begin so
    profile.add_argument(
        "--profile", default=default, help=f"a file in params/ (LAB1_PROFILE, else {escaped})"
    )
    runtime.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    runtime.add_argument("--data-dir", help="folder of the data sets (LAB1_DATA, else data/)")

    def command(
        name: str, help: str, *shared: argparse.ArgumentParser, among: Any = subparsers
    ) -> argparse.ArgumentParser:
        """Adds a command, which the function of that name in `commands` carries out."""
        added: argparse.ArgumentParser = among.add_parser(
            name, help=help, description=help, parents=shared
        )
        added.set_defaults(command=getattr(commands, name, None))
        return added

    run = command("run", "Train what a page wants and no record holds.", profile, runtime)
    report = command(
        "report", "The same, and write the page as one HTML file, yours beside what is published.",
        profile, runtime,
    )  # fmt: skip
    report.add_argument("--no-open", action="store_true", help="do not open it in the browser")
    report.set_defaults(again=None)
    run.add_argument(
        "--again", metavar="KEY",
        help="instead, train the run with that key once more: record, probes and weights",
    )  # fmt: skip
    for each in (run, report):
        each.formatter_class = argparse.RawDescriptionHelpFormatter
        each.epilog = _page_help(arguments)
        each.add_argument(
            "chapter", metavar="PAGE", nargs="?" if each is run else None,
            help="a page of the profile, see below",
        )  # fmt: skip
        each.add_argument(
            "-p", dest="parameters", action="append", default=[], metavar="name=value",
            help="change a parameter of the profile, as in -p depth=2,4; several values are "
            "compared",
        )  # fmt: skip
        each.add_argument(
            "--from", dest="pretrained", metavar="KEY",
            help="start from the weights of that run, with a new last layer (-p pretrained=KEY, "
            "where the key's beginning will do)",
        )  # fmt: skip
        each.add_argument("--dry-run", action="store_true", help="only say what would be trained")
        each.add_argument(
            "--workers", type=_workers, default="auto", metavar="auto|N",
            help="how many runs to train at a time (auto: as many as there are cores and memory "
            "for, on a GPU one)",
        )  # fmt: skip
        each.add_argument(
            "--threads", type=_positive, help="of each training on the CPU (else one)"
        )
        each.add_argument(
            "--compile", action="store_true",
            help="let torch.compile make kernels: up to a quarter faster for convolutional nets",
        )  # fmt: skip
        each.add_argument(
            "--report-to", metavar="wandb", help="also send the runs to Weights & Biases"
        )
        each.add_argument(
            "--wandb-project", help="the project there (else one for each kind of network)"
        )
        each.add_argument(
            "--engine", choices=ENGINES, default="local",
            help="what trains the runs: this process (local) or a Ray cluster (ray)",
        )  # fmt: skip
        each.add_argument(
            "--address", dest="ray_address", metavar="HOST:PORT",
            help="the head node of the Ray cluster (else the cluster that this machine has joined, "
            "else one started here)",
        )  # fmt: skip

    command("status", "Planned, present, missing and stale runs per page.", profile)

    promote = command("promote", "Move finished records from runs/ to results/.", profile)
    promote.add_argument(
        "--weights", action="append", default=[], metavar="KEY",
        help="also publish the weights of that run; may be repeated",
    )  # fmt: skip
    promote.add_argument("--all", action="store_true", help="also runs that no page plans")
    promote.add_argument(
        "--mixed-sources", action="store_true",
        help="also runs whose processes differ in their sources or versions",
    )  # fmt: skip

    verify = command("verify", "Recompute keys, fingerprints and parameter counts.", runtime)
    verify.add_argument("key", nargs="?", metavar="KEY", help="a run's key, or its beginning")
    verify.add_argument(
        "--claims", action="store_true",
        help="instead, execute the chapters and list the claims that their records do not carry",
    )  # fmt: skip
    verify.add_argument("--retrain", action="store_true", help="train the run again and compare")
    verify.add_argument(
        "--tolerance", type=float, default=0.01,
        help="largest difference in test accuracy that passes, as a fraction (0.01), where fewer "
        "than three seeds tell how far runs differ",
    )  # fmt: skip

    table = command("table", "Print a summary table of the published runs.", profile)
    table.add_argument("which", choices=["performance", "distillation"])
    table.add_argument("--format", choices=["text", "csv", "json"], default="text")

    bench = command("bench", "Compare the trainer's speed with the usual loop and others.", runtime)
    # The names are spelled out, for importing the benchmark takes torch.
    compared = bench.add_mutually_exclusive_group()
    compared.add_argument(
        "--case", action="append", choices=["mlp", "simple-cnn", "resnet-20"],
        help="one of them alone; may be repeated",
    )  # fmt: skip
    compared.add_argument(
        "--depths", action="store_true",
        help="instead, what depth costs: the networks of the chapters in turn",
    )  # fmt: skip
    compared.add_argument(
        "--family", action="append", choices=list(FAMILIES),
        help="what depth costs one kind of network; may be repeated",
    )  # fmt: skip
    bench.add_argument("--rounds", type=_positive, default=3, help="times each one trains (3)")
    bench.add_argument(
        "--note", default="", metavar="TEXT", help="kept in the record: what may have disturbed it"
    )
    bench.add_argument("--json", action="store_true", help="the whole record, for machines")
    bench.add_argument("--smoke", action="store_true", help="a few built-in images: does it run?")

    command("publish", "Execute stale chapters into report/ (Quarto's pre-render).", profile)
    site = command("site", "Build _site/ with Quarto, or a preview where there is none.", profile)
    site.add_argument("--preview", action="store_true", help="do not look for Quarto")
    site.add_argument(
        "--draft", action="store_true",
        help="mark claims that are not carried, and build all the same",
    )  # fmt: skip
    command("notebooks", "Write the chapters into notebooks/, to read and run in Jupyter.")

    wandb = command("wandb", "Exchange run records with Weights & Biases.").add_subparsers(
        required=True, metavar="COMMAND"
    )
    push = command(
        "push", "Send records to Weights & Biases; again is no harm.", profile, among=wandb
    )
    push.add_argument(
        "keys", nargs="*", metavar="KEY",
        help="runs' keys, or their beginnings (default: the runs of the profile)",
    )  # fmt: skip
    push.add_argument("--project", help="(default: one for each kind of model)")
    push.add_argument("--entity", help="user or team (default: that of the API key)")
    pull = command("pull", "Take over runs from a folder of W&B's, or of a project.", among=wandb)
    pull.add_argument(
        "folder", nargs="?", metavar="FOLDER",
        help="a folder wandb/, one run's, or a file .wandb: lab1's own runs become records in "
        "runs/, all others curves, which plot and the page of runs show",
    )  # fmt: skip
    pull.add_argument("--entity", help="instead, make records of a project: its user or team")
    pull.add_argument("--project", help="and its name")
    return top


def _page_help(arguments: Sequence[str]) -> str:
    """The pages that there are, and the parameters that `-p` can change, of one or of all."""
    if not {"-h", "--help"} & {*arguments}:
        return ""
    chapters = {name: name for name in CHAPTERS}
    lists: list[str] = []
    seen: set[str] = set()
    for profile in sorted(profiles.names(), key=lambda name: name != profiles.REPORT):
        with suppress(ParameterError):  # of a network whose file LAB1_FAMILIES does not name now
            pages = {page.name: page.chapter for page in profiles.pages(profile) if page.plan()}
            chapters |= pages
            if new := sorted(pages.keys() - seen):
                lists.append(f"  --profile {profile}: {', '.join(new)}")
            seen |= pages.keys()
    named = [chapters[word] for word in arguments if word in chapters][:1]
    declared = {n: field for c in named or CHAPTERS for n, field in CHAPTERS[c].parameters.items()}
    lines = [f"  {name}: {f.meaning}\n      {f.allowed}" for name, f in sorted(declared.items())]
    of_page = f" of {', '.join(named)}" if named else ""
    heads = ["pages, each with the first profile that has it:", *lists, ""]
    return "\n".join([*heads, f"parameters{of_page} that -p can change:", *lines])


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; allowed: whole numbers from 1")
    return int(text)


def _workers(text: str) -> int | str:
    return text if text == "auto" else _positive(text)
