"""A field to draw a digit in, and what two students that never saw one of the ten answer to it.

The networks answer in the reader's browser, by `lab1/site/draw.js`, from their weights in eight
bits (the probe `int8-weights`).  The page loads these when the reader first draws.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from ..core import files
from ..core.datasets import DATASETS
from ..core.escape import for_html
from ..core.record import Record
from .claims import Prose
from .figure import Piece
from .frames import Measured
from .tables import Table, markup, number, text

_NAMES = ("without a teacher", "with a teacher")

_MEGABYTE = 1_000_000
_NO_TWINS = Prose("No two students that never saw a digit are among these runs.")


def field(rounded: Measured, corrected: Measured, assets: str) -> Piece | Prose:
    """The field, with the answers of the student without a teacher and of its twin with one.

    Its scripts lie in the folder `assets`, as seen from the page.  `rounded` are the runs with the
    probe `int8-weights`, `corrected` those with `bias-correction`.
    """
    twins = _twins(rounded, corrected)
    if not twins:
        return _NO_TWINS
    first, probe, correction = twins[0]
    declared, omitted = DATASETS[first.spec.dataset], correction["omitted_class"]
    if probe["layers"][0]["shape"][1] != declared.image_shape[-1] ** 2:
        return Prose("What is drawn is grey and square, and the images of these students are not.")
    data = {
        "assets": assets,
        "dataset": declared.name if _test_images(declared.name).is_file() else None,
        "side": declared.image_shape[-1],
        "mean": declared.mean[0],
        "std": declared.std[0],
        "omitted": omitted,
        "networks": [
            {"key": record.key, "name": name, "offset": correction["offset"]}
            for name, (record, _, correction) in zip(_NAMES, twins, strict=True)
        ],
    }
    names = declared.class_names
    size = sum(len(_network(record.key, probe)) for record, probe, _ in twins) / _MEGABYTE
    raised = " and ".join(
        f"{student['offset']:.1f} {student['name']}" for student in data["networks"]
    )
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("Digit", *_NAMES))
    answers = "".join(
        f'<tr><th scope="row">{for_html(name)}</th>'
        + '<td><span class="lab1-bar"></span></td>' * len(twins)
        + "</tr>"
        for name in names
    )
    return Piece(
        f'<div class="lab1-draw" data-drawing="{for_html(json.dumps(data))}">\n'
        "<p>To draw a digit and see what the two networks answer, switch on JavaScript.</p>\n"
        "<template>\n"
        '<div class="lab1-field">\n'
        '<canvas width="280" height="280" role="img" aria-label="Field to draw a digit in, by '
        'pointer or finger; the buttons below it give test images instead"></canvas>\n'
        '<figure><canvas class="lab1-seen" role="img" aria-label="What the networks get"></canvas>'
        "<figcaption>what the networks get</figcaption></figure>\n"
        "</div>\n"
        '<div class="lab1-answers">\n'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{answers}</tbody></table>\n</div>\n"
        '<p role="status">Draw a digit, or take a test image. The two networks are loaded then '
        f"({size:.1f} MB).</p>\n"
        '<div class="lab1-controls"><button type="button" class="lab1-clear">Clear</button>\n'
        '<button type="button" class="lab1-undo">Undo</button>\n'
        f'<label><input type="checkbox">raise the logit of the {for_html(names[omitted])}, by '
        f"{raised}</label></div>\n"
        '<div class="lab1-controls lab1-test-images" role="group" aria-label="Test images">'
        "</div>\n"
        "</template>\n"
        "</div>\n"
        f'<script src="{for_html(assets)}/draw.js" defer></script>',
        "a field to draw in, on the site",
    )


def table(rounded: Measured, corrected: Measured) -> Table | Prose:
    """The scores of the two students on the digit, and what rounding their weights changes."""
    twins = _twins(rounded, corrected)
    if not twins:
        return _NO_TWINS
    frame = pd.DataFrame(
        [
            {
                "Student": name,
                "Recognised (%)": 100 * _share(correction, "before"),
                "Logit raised by": correction["offset"],
                "Recognised then (%)": 100 * _share(correction, "after"),
                "Errors": probe["errors"]["float32"],
                "Errors in eight bits": probe["errors"]["int8"],
            }
            for name, (_, probe, correction) in zip(_NAMES, twins, strict=True)
        ]
    )
    shows = ["{}", "{:.1f}", "{:.1f}", "{:.1f}", "{:,}", "{:,}"]
    cells = [
        [
            (number if index else text)(show.format(value))
            for index, (show, value) in enumerate(zip(shows, row, strict=True))
        ]
        for row in frame.itertuples(index=False)
    ]
    return Table(frame, markup([*frame.columns], cells))


def scripts(rounded: Mapping[str, Mapping[str, Any]], datasets: Iterable[str]) -> dict[str, str]:
    """The files that the field loads, by name: weights, and test images to take.

    `rounded` has the probes `int8-weights` by the keys of their runs.  A page opened from a file
    may load scripts, and nothing else.
    """
    files = {f"network-{key}.js": _network(key, probe) for key, probe in rounded.items()}
    for dataset in datasets:
        file = _test_images(dataset)
        if file.is_file():
            content = base64.b64encode(file.read_bytes()).decode()
            files[f"test-images-{dataset}.js"] = (
                f'window.lab1TestImages = "data:image/png;base64,{content}";\n'
            )
    return files


def _network(key: str, probe: Mapping[str, Any]) -> str:
    layers = json.dumps(probe["layers"], separators=(",", ":"), allow_nan=False)
    return f'(window.lab1Networks ??= {{}})["{key}"] = {layers};\n'


def _test_images(dataset: str) -> Path:
    """Ten rows, in each an image of every class in their order; there need not be one."""
    return files.project_root() / "figures" / f"data-{dataset}-test.png"


def _twins(
    rounded: Measured, corrected: Measured
) -> list[tuple[Record, Mapping[str, Any], Mapping[str, Any]]]:
    """The first student without a teacher, and its twin with one: each with both probes."""
    corrections = {record.key: probe for record, probe in corrected}
    both = [(r, probe, corrections[r.key]) for r, probe in rounded if r.key in corrections]
    pairs = (
        [alone, taught]
        for alone, taught in product(both, both)
        if alone[0].spec.distillation is None
        and taught[0].spec.distillation is not None
        and alone[0].spec.seed == taught[0].spec.seed
    )
    return next(pairs, [])


def _share(correction: Mapping[str, Any], moment: str) -> float:
    return 1 - float(correction["errors_of_class"][moment] / correction["count_of_class"])
