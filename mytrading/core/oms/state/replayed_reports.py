"""Reports as a replay learns them: of the books only when their reading ended, since nothing is decided on them again.

A day holds thousands of readings of 50 KB each, and to build their rows again took half of a start. Each type here has
the tag of a report, and `core/oms/state/folds` learns of it what it learns of that.
"""

from __future__ import annotations

import msgspec

from mytrading.messages.reports import ModeSeen


class BooksEnded(msgspec.Struct, frozen=True, kw_only=True, tag="books_read"):
    """A `BooksRead` whose books were judged before."""

    ended_machine_ns: int


class OrderReported(msgspec.Struct, frozen=True, kw_only=True, tag="order_report"):
    """An `OrderReport` that was judged before."""

    received_machine_ns: int


ReplayedReport = BooksEnded | OrderReported | ModeSeen
