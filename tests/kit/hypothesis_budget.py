"""Number of examples that hypothesis tries, and how they are drawn. Used by `conftest` and by tests with own numbers.

`make test` and `make test-fast` try the share of them that `TEST_EXAMPLES` says, in per cent, the same each time;
`make test-all` tries all, drawn from a seed of the run (`--hypothesis-seed`). Rule: a test passes whatever is drawn. A
share is drawn by itself, and few of its examples are among all: hypothesis begins otherwise when it may try more.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

import pytest
from hypothesis import settings

Case = TypeVar("Case")

LEAST = 3
SHARE = int(os.environ.get("TEST_EXAMPLES") or 100)
"""Per cent."""


def examples(count: int) -> int:
    """`count`, or the share of it that this run tries."""
    return max(min(count, LEAST), count * SHARE // 100)


def cases(every: Sequence[Case]) -> Sequence[Case]:
    """All cases of a test that counts them up itself, or the share of them that this run tries, evenly spread."""
    return every[:: max(100 // SHARE, 1)]


def draw_the_same_each_time() -> None:
    """Settings of a run without a seed: a change must not fail on examples of another day, nor a busy machine."""
    # Neither these nor a seed use hypothesis' database of what failed before, which would be tried first.
    settings.register_profile("mytrading", deadline=None, derandomize=True, print_blob=True, max_examples=examples(50))
    settings.load_profile("mytrading")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Before the tests are imported: draw from the seed of the run if it has one."""
    if session.config.getoption("--hypothesis-seed") is not None:
        settings.register_profile("seeded", settings.get_profile("mytrading"), derandomize=False)
        settings.load_profile("seeded")
