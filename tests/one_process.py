"""Runs commands of lab1 one after the other in one fresh interpreter, whose imports are slow."""

import json

_CODE = """
import json, sys
from lab1.cli.main import main

sys.stderr = sys.stdout
for command in json.loads(sys.argv[1]):
    print("exit status", main(command), flush=True)
"""


def run(python, *commands):
    """What they print on both streams."""
    return python(_CODE, json.dumps(commands))
