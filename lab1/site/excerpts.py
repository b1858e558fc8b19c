"""Pieces of the sources for a page that explains them: shown as they are, and never copied."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

from ..errors import PublishError

#: The pieces that `guide/training-step.qmd` shows: a file of the package, and a name in it.
SHOWN = (
    ("training/trainer.py", "StreamlinedTrainer._training_batches"),
    ("training/trainer.py", "StreamlinedTrainer._train_epoch"),
    ("training/trainer.py", "StreamlinedTrainer.compute_loss"),
    ("training/distillation.py", "distillation_loss"),
    ("training/distillation.py", "DistillationTrainer.compute_loss"),
)


def fragment(package: Path) -> str:
    """A section for each piece, headed by its name, as Markdown; read without importing it."""
    return "".join(
        f"## {name}\n\n```python\n{source(package / file, name)}\n```\n\n" for file, name in SHOWN
    )


def source(path: Path, name: str) -> str:
    """The source of a function or method, its docstring included, without its indentation.

    Raises `PublishError` where the file has none of that name.
    """
    text = path.read_text(encoding="utf-8")
    found: ast.AST = ast.parse(text)
    for part in name.split("."):
        inner = [
            node
            for node in ast.iter_child_nodes(found)
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == part
        ]
        if len(inner) != 1:
            raise PublishError(f"{path}: has no {name}, which a page shows")
        found = inner[0]
    segment = ast.get_source_segment(text, found, padded=True)
    assert segment is not None  # it was parsed from this text
    return textwrap.dedent(segment)
