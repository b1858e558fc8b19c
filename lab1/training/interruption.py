"""Ctrl-C and SIGTERM: the step is finished and saved before the program ends."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_pending: int | None = None


class TrainingInterrupted(KeyboardInterrupt):
    """A training stopped at a signal, after its state was saved.

    `exit_status` is 128 plus the signal's number: 130 for Ctrl-C, 143 for SIGTERM.
    """

    def __init__(self, signal_number: int, title: str) -> None:
        super().__init__(
            f"interrupted in {title}; the same command continues from where it stopped"
        )
        self.exit_status = 128 + signal_number


@contextmanager
def deferred() -> Iterator[None]:
    """Inside the block a first signal only sets `pending`; a second one acts at once.

    Outside the main thread, where Python delivers no signals, it does nothing.
    """
    global _pending
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _pending = None
    before = {number: signal.signal(number, _note) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _pending = None


def pending() -> int | None:
    """The number of the signal that came, or `None`."""
    return _pending


def _note(number: int, frame: FrameType | None) -> None:
    global _pending
    if _pending is not None:
        raise KeyboardInterrupt
    _pending = number
