"""The command line: `python -m lab1 COMMAND`; `python -m lab1 --help` lists them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from ..errors import Lab1Error
from .parser import parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit status; 2 for what the user can mend."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parser(arguments).parse_args(arguments)
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
    except PermissionError as error:
        print(
            f"lab1: {error.filename}: {error.strerror}: it may be another user's", file=sys.stderr
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
    except OSError as error:
        if error.filename is None:  # the output's disk is full, and Python would try once more
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"lab1: {error.filename or 'the output'}: {error.strerror}", file=sys.stderr)
        return 2
