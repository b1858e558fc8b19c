"""Random streams kept apart, so that twins share what they should.

Each purpose draws from a stream of its own, derived from the run's seed.  Two runs with the same
seed therefore see the same split and the same batch order even if one of their models draws more
numbers while it is initialised.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch

#: `dropout` also feeds whatever else draws from torch's global generator during training.
STREAMS = ("initialisation", "split", "subset", "order", "augmentation", "dropout", "permutation")


def derive(seed: int, stream: str) -> int:
    """The 63-bit seed of one of `STREAMS`."""
    if stream not in STREAMS:
        raise ValueError(f"no random stream {stream!r}; there are {', '.join(STREAMS)}")
    return int.from_bytes(hashlib.sha256(f"{stream}/{seed}".encode()).digest()[:8], "big") >> 1


def generator(seed: int, stream: str) -> torch.Generator:
    """A CPU generator for one stream.

    Also runs on a GPU draw their order and augmentation on the CPU, so that the draws do not
    depend on the device.
    """
    return torch.Generator().manual_seed(derive(seed, stream))


@contextmanager
def global_stream(seed: int, stream: str) -> Iterator[None]:
    """Torch's global generators follow `stream` inside the block and are put back after it."""
    with torch.random.fork_rng():
        torch.manual_seed(derive(seed, stream))
        yield
