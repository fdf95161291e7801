"""Waiting for a condition."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = float(os.environ.get("MYTRADING_TEST_PATIENCE", "1"))
"""Factor on all waits, above 1 where several stacks share the cores."""

T = TypeVar("T")


def eventually(condition: Callable[[], T], seconds: float = 10.0) -> T:
    """The first true value of `condition`, asked for `seconds` times PATIENCE; fails with the last value."""
    seconds *= PATIENCE
    deadline = time.monotonic() + seconds
    pause = 0.005
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {seconds} s; last value: {value!r}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
    return value
