"""Benchmark records for tests: what `python -m lab1 bench --json` prints."""


def contenders_record(case=None, /, **rounds):
    """One case, with the rounds `name=[(images per second, accuracy), ...]` of each contender."""
    return {
        **_head("contenders"),
        "contenders": {name.replace("_", "-"): TITLES[name] for name in rounds},
        "cases": [
            {
                **_case("resnet-20", "ResNet-20", "ResNet", 20),
                "images": 100,
                "epochs": 2,
                "augmentation": "crop-flip",
                "target": 2.0,
                **(case or {}),
                "rounds": {
                    name.replace("_", "-"): [
                        {"seconds": 200 / rate, "accuracy": accuracy} for rate, accuracy in measured
                    ]
                    for name, measured in rounds.items()
                },
            }
        ],
    }


def depths_record(seconds, *, precision="float32", dataset="cifar10", images=1000):
    """One round after the other of each network: `seconds[family, depth]` holds their lengths."""
    name = {"float32": "lab1", "bf16": "lab1_bf16"}[precision]
    return {
        **_head("depths"),
        "contenders": {name.replace("_", "-"): TITLES[name]},
        "cases": [
            {
                **_case(f"{family}-{depth}", f"{family}, {depth} layers", family, depth),
                "dataset": dataset,
                "images": images,
                "rounds": {name.replace("_", "-"): [{"seconds": each} for each in measured]},
            }
            for (family, depth), measured in seconds.items()
        ],
    }


TITLES = {
    "lab1": "lab1, float32",
    "lab1_bf16": "lab1, bf16",
    "reference": "reference loop",
    "lightning": "PyTorch Lightning",
}


def _head(compared):
    return {
        "schema": 2,
        "compared": compared,
        "commit": "0" * 40,
        "date": "2026-01-01",
        "note": "",
        "hardware": {
            "kind": "cpu",
            "name": "AMD EPYC",
            "threads": 2,
            "cores": 2,
            "matrix_product_flops": 1e6,
        },
        "versions": {"torch": "2.14.1", "python": "3.11.0"},
        "skipped": [],
    }


def _case(name, title, family, depth):
    return {
        "name": name, "title": title, "family": family, "depth": depth, "dataset": "cifar10-jpeg",
        "images": 1000, "epochs": 1, "batch_size": 10, "augmentation": "none", "target": None,
        "flops": 100,
    }  # fmt: skip
