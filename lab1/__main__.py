"""``python -m lab1``."""

from .cli import main

raise SystemExit(main())
