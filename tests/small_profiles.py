"""Parameters of a small page, and profiles that are written into a laboratory."""

import yaml

#: Perceptrons as `make_record` fabricates them.
GRID = {
    "dataset": "smoke-grey", "depth": [2, 8], "seeds": [0, 1, 2], "width": 16, "epochs": 3,
    "validation_size": 500,
}  # fmt: skip


def write_profile(laboratory, chapters, name="report"):
    """Writes the parameters of each chapter into `params/`."""
    text = yaml.safe_dump({"chapters": chapters})
    (laboratory / "params" / f"{name}.yml").write_text(text)
