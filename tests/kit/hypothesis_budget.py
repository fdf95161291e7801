"""Number of examples that hypothesis tries. Used by `conftest` and by tests that say a number of their own.

`make test` tries all, `make test-fast` the share of them that `TEST_EXAMPLES` says, in per cent. Rule: the
examples of a share are the first ones of all, the same each time.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

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
