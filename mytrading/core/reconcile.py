"""When to read which book, and what a series of reads says of the account's health.

Pure: machine time comes in as an argument. Used by the reconciler. The one rule: a request never waits for the
schedule, and the schedule never bursts after a failure.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from mytrading.messages.reports import AccountHealth, BooksRead, ReadRequest

SECOND = 1_000_000_000


class ReadRules(NamedTuple):
    """Machine ns. `spacing` is the least time between two reads, `stale` when health doubts its last one."""

    orders_every: int = 10 * SECOND
    positions_every: int = 60 * SECOND
    funds_every: int = 10 * SECOND
    spacing: int = SECOND // 10
    retry_first: int = SECOND
    retry_most: int = 30 * SECOND
    stale: int = 30 * SECOND


class ReadJob(NamedTuple):
    """One visit to the server: which books, and the requests it answers."""

    id: str
    orders: bool
    trades: bool
    positions: bool
    funds: bool
    asked_by: str = ""


class ReadPlan:
    """Decides on the next read. One read at a time; requests made meanwhile go into the next."""

    def __init__(self, account: str, rules: ReadRules | None = None) -> None:
        self._account = account
        self._rules = rules = rules or ReadRules()
        self._number = 0
        self._busy = False
        self._wanted: list[ReadRequest] = []
        self._last = -rules.positions_every
        self._orders_at = self._positions_at = self._funds_at = -rules.positions_every
        self._failures = 0

    def ask(self, request: ReadRequest) -> None:
        """Remember a request for the next read."""
        self._wanted.append(request)

    def next_job(self, machine_ns: int) -> ReadJob | None:
        """The read to make now, if any."""
        if self._busy or machine_ns - self._last < self._wait():
            return None
        orders = machine_ns - self._orders_at >= self._rules.orders_every
        positions = machine_ns - self._positions_at >= self._rules.positions_every
        funds = machine_ns - self._funds_at >= self._rules.funds_every
        if not (orders or positions or funds or self._wanted):
            return None
        wanted, self._wanted = self._wanted, []
        self._number += 1
        self._busy = True
        return ReadJob(
            id=f"{self._account}-read-{machine_ns}-{self._number}",
            orders=orders or positions or any(request.orders for request in wanted),
            trades=orders or positions or any(request.trades for request in wanted),
            positions=positions or any(request.positions for request in wanted),
            funds=funds,
            asked_by=wanted[-1].id if wanted else "",
        )

    def _wait(self) -> int:
        if not self._failures:
            return self._rules.spacing
        return min(self._rules.retry_most, self._rules.retry_first << min(self._failures - 1, 10))

    def done(self, job: ReadJob, machine_ns: int, ok: bool) -> None:
        """A read ended; a failed one is repeated after a growing wait."""
        self._busy = False
        self._last = machine_ns
        self._failures = 0 if ok else self._failures + 1
        if not ok:
            return
        if job.orders:
            self._orders_at = machine_ns
        if job.positions:
            self._positions_at = machine_ns
        if job.funds:
            self._funds_at = machine_ns

    @property
    def waiting(self) -> int:
        """Requests that no read has answered yet."""
        return len(self._wanted)


class HealthBook:
    """Folds reads into the account's health."""

    def __init__(self, account: str, rules: ReadRules | None = None) -> None:
        self._rules = rules or ReadRules()
        self._health = AccountHealth(
            account=account, connected=False, right_mode=False, stream_up=False, books_agree=False
        )
        self._read_at = 0

    def stream(self, up: bool) -> None:
        """The order stream connected or was lost."""
        self._health = msgspec.structs.replace(self._health, stream_up=up)

    def read(self, books: BooksRead, expected_mode: bool, broker: str) -> None:
        """A read ended well enough to be reported."""
        old = self._health
        whole = books.orders is not None and books.trades is not None
        at = books.ended_machine_ns
        self._read_at = at
        self._health = msgspec.structs.replace(
            old,
            connected=True,
            right_mode=expected_mode,
            books_agree=whole and (books.positions is not None or old.last_positions_machine_ns > 0),
            last_orders_machine_ns=at if whole else old.last_orders_machine_ns,
            last_positions_machine_ns=at if books.positions is not None else old.last_positions_machine_ns,
            reads=old.reads + 1,
            message="" if whole else old.message,
            broker=broker or old.broker,
        )

    def failed(self, message: str) -> None:
        """A read gave nothing usable."""
        self._health = msgspec.structs.replace(
            self._health, connected=False, failures=self._health.failures + 1, message=message
        )

    def level(self, machine_ns: int) -> AccountHealth:
        """The health now; what was read too long ago no longer counts as connected."""
        if self._health.connected and machine_ns - self._read_at > self._rules.stale:
            return msgspec.structs.replace(self._health, connected=False, message="the last read is too old")
        return self._health
