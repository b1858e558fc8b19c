"""The commands `python -m lab1 wandb push` and `pull`."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence

from ..core.record import Record
from ..core.store import Store
from ..errors import ParameterError
from ..planning import profiles


def add_commands(
    parser: argparse.ArgumentParser, add_profile: Callable[[argparse.ArgumentParser], None]
) -> None:
    """Gives the parser of `wandb` its two commands; `add_profile` adds `--profile`."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    help = "Send records to Weights & Biases; again is no harm."
    push = commands.add_parser("push", help=help, description=help)
    push.set_defaults(command=_push)
    push.add_argument(
        "keys", nargs="*", metavar="KEY",
        help="runs' keys, or their beginnings (default: the runs of the profile)",
    )  # fmt: skip
    push.add_argument("--project", help="(default: one for each kind of model)")
    push.add_argument("--entity", help="user or team (default: that of the API key)")
    add_profile(push)

    help = "Make records in runs/ of the runs of a project."
    pull = commands.add_parser("pull", help=help, description=help)
    pull.set_defaults(command=_pull)
    pull.add_argument("--entity", required=True, help="user or team")
    pull.add_argument("--project", required=True)


def _push(options: argparse.Namespace) -> int:
    from ..training.wandb import transfer as wandb_transfer

    store = Store()
    records, problems = store.all()
    chosen = _chosen(records, options.keys, options.profile)
    for record in chosen:
        address = wandb_transfer.push(record, store, options.project, options.entity)
        print(f"{record.name}: {address}")
    print(f"{len(chosen)} records sent")
    for problem in problems:
        print(f"not readable: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _chosen(records: Sequence[Record], keys: Sequence[str], profile: str) -> list[Record]:
    """The records that the keys name, or else those that the profile plans."""
    for key in keys:
        if not any(record.key.startswith(key) for record in records):
            raise ParameterError(f"no record has a key that begins with {key!r}")
    if keys:
        return [record for record in records if record.key.startswith(tuple(keys))]
    planned = profiles.planned(profile)
    chosen = [record for record in records if record.key in planned]
    if not chosen:
        raise profiles.no_records(profile)
    return chosen


def _pull(options: argparse.Namespace) -> int:
    from ..training.wandb import transfer as wandb_transfer

    counts: Counter[str] = Counter()
    for each in wandb_transfer.pull(options.entity, options.project, Store()):
        counts[each.outcome] += 1
        stream = sys.stderr if each.outcome == "refused" else sys.stdout
        print(f"{each.source}: {each.outcome}: {each.why}", file=stream)
    names = ("pulled", "present", "skipped", "refused")
    print(", ".join(f"{counts[name]} {name}" for name in names))
    return 1 if counts["refused"] else 0
