"""`python -m lab1`."""

from .cli.main import main

raise SystemExit(main())
