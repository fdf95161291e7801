"""Health of an account's server, by pings at intervals: after how many failures it counts as down.

Pure: machine time comes in as an argument. One failure means nothing, one answer ends all.
"""

from __future__ import annotations

import msgspec

from mytrading.messages.reports import AccountHealth


class PingBook:
    """Pings of one account, `every` machine ns; down after `allowed` failures in a row."""

    def __init__(self, account: str, every: int, allowed: int) -> None:
        self._every, self._allowed = every, allowed
        self._last = -every
        self._busy = False
        self._failed = 0
        self._health = AccountHealth(
            account=account, connected=False, right_mode=False, stream_up=False, books_agree=False
        )

    def begin_if_due(self, machine_ns: int) -> bool:
        """True if a ping is due, which then counts as sent; `record_answer` or `record_failure` must follow."""
        if self._busy or machine_ns - self._last < self._every:
            return False
        self._busy, self._last = True, machine_ns
        return True

    def record_answer(self, broker: str, right_mode: bool) -> None:
        """Record an answered ping: connected. `right_mode`: the server is in the expected mode (live or analyzer)."""
        self._busy, self._failed = False, 0
        self._health = msgspec.structs.replace(
            self._health, connected=True, right_mode=right_mode, broker=broker, message="", ping_down=False
        )

    def record_failure(self, message: str) -> None:
        """Record a failed ping and its error; after the allowed number in a row the account counts as down."""
        self._busy = False
        self._failed += 1
        down = self._failed >= self._allowed or not self._health.broker
        self._health = msgspec.structs.replace(
            self._health,
            connected=self._health.connected and not down,
            failures=self._health.failures + 1,
            message=message,
            ping_down=self.is_down,
        )

    @property
    def is_down(self) -> bool:
        """True if as many pings in a row failed as are allowed."""
        return self._failed >= self._allowed

    @property
    def failures(self) -> int:
        """Return how many pings have failed since the last answer."""
        return self._failed

    @property
    def health(self) -> AccountHealth:
        """Return the account's health as far as pings tell it, without books and streams."""
        return self._health
