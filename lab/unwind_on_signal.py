"""A long command that is asked to end takes down what it started: SIGTERM and SIGINT unwind it, once.

What stops processes stands in a `finally` or a context manager, so that an unwinding reaches it; a second signal does
not stop the stopping.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def unwound_by_signals() -> Iterator[None]:
    """Within it the first SIGTERM or SIGINT raises `SystemExit` (128 + its number) in the main thread."""
    before = [(number, signal.signal(number, _unwind)) for number in ENDING]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _unwind(number: int, _frame: FrameType | None) -> None:
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)
    print("… ending: what was started is stopped", file=sys.stderr, flush=True)
    raise SystemExit(128 + number)
