"""Whether the books of each account can be read; they count as unread until a process saw the first whole read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from mytrading.core.oms.state.state import BOOKS_BACK, BOOKS_LOST
from mytrading.messages.orders import TimerFired
from mytrading.messages.reports import BooksRead


class _BooksOwner(Protocol):
    orders: Any

    def step(self, stream: str, message: Any, source: str = "", *, keep: bool = False) -> tuple[Any, ...]: ...


class BooksWatch:
    """When order and trade book of some accounts were last read; after `patience_ns` without they are lost."""

    def __init__(self, accounts: Iterable[str], patience_ns: int) -> None:
        self._patience_ns = patience_ns
        self._read_ns: dict[str, int | None] = dict.fromkeys(accounts)

    def heard(self, router: _BooksOwner, message: Any, machine_ns: int) -> None:
        """A report of the reconciler came."""
        if not isinstance(message, BooksRead) or message.single or message.account not in self._read_ns:
            return
        if router.orders.void(message):
            self._read_ns[message.account] = None
        elif message.orders is not None and message.trades is not None:
            self._read_ns[message.account] = message.ended_machine_ns
        elif message.orders is not None or message.trades is not None or message.positions is not None:
            self._read_ns[message.account] = None  # some answered, these did not: no need to wait until that is old
        self._tell(router, message.account, machine_ns)

    def look(self, router: _BooksOwner, machine_ns: int) -> None:
        """Let the machine learn which books are lost now, and which are back; it journals what is news."""
        for account in self._read_ns:
            self._tell(router, account, machine_ns)

    def _tell(self, router: _BooksOwner, account: str, machine_ns: int) -> None:
        read_ns = self._read_ns[account]
        lost = read_ns is None or machine_ns - read_ns > self._patience_ns
        if lost != router.orders.blind(account):
            name = (BOOKS_LOST if lost else BOOKS_BACK) + account
            router.step("internal", TimerFired(name=name, machine_ns=machine_ns), keep=True)
