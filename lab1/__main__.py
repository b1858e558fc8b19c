"""`python -m lab1 COMMAND`."""

import sys

from .errors import Lab1Error

try:
    from .cli.main import main
except Lab1Error as error:  # a reader's own families are read now, and may be refused
    print(f"lab1: {error}", file=sys.stderr)
    raise SystemExit(2) from error

raise SystemExit(main())
