"""The router's own watches: the KILL file, lots of what is held, and whether the books of each account can be read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.core.oms.state.state import BOOKS_BACK, BOOKS_LOST
from mytrading.messages.account_events import ContractSizes
from mytrading.messages.control import KILL
from mytrading.messages.orders import TimerFired
from mytrading.messages.reports import BooksRead
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.host.clock import MarketClock
from mytrading.runtime.supervision.kill_file import FLATTEN, KillFile


class _Router(Protocol):
    name: str
    clock: MarketClock
    log: Any
    orders: Any

    def step(self, stream: str, message: Any, source: str = "", *, keep: bool = False) -> tuple[Any, ...]: ...


class KillWatch:
    """The KILL file, which works though risk, gateway and engine are gone; each writing is carried out once."""

    def __init__(self, config: RunConfig) -> None:
        self._file = KillFile(config.state)
        self._accounts = tuple(account.id for account in config.order_accounts)

    def check_file(self, router: _Router, machine_ns: int) -> None:
        """Pass a changed KILL file to the router: its trading level and, if it says so, a flatten of each account."""
        if (change := self._file.level_change(router.orders.state.trading.get(KILL), router.clock.now())) is None:
            return
        router.log.warning("kill_file.seen", level=change.level.value, reason=change.reason, by=change.by)
        router.step("control", change, source=router.name, keep=True)
        if (kill := self._file.read()) is None or kill.word != FLATTEN:
            return
        for account in self._accounts:
            signal = kill.flatten_request(account, router.clock.now(), machine_ns)
            router.step("control", signal, source=router.name, keep=True)


class LotWatch:
    """Lots and freeze quantities of what is held, by the day's list: a stop of the morning is placed by no command,
    which would name them."""

    def __init__(self, config: RunConfig) -> None:
        self._file = InstrumentFile(config.state)

    def check_file(self, router: _Router) -> None:
        """Pass changed sizes to the order machine, which journals them; a list that is refused in part says none."""
        if not self._file.has_changed():
            return
        held = {position.instrument for position in router.orders.positions() if position.open_units}
        snapshot = self._file.snapshot() if held else None
        if snapshot is None or snapshot.refusals:
            return
        listed = {one.id: (one.lot_size, one.freeze_qty) for one in snapshot.instruments if one.id in held}
        known = router.orders.state.sizes
        if news := {name: sizes for name, sizes in listed.items() if sizes[0] > 0 and known.get(name) != sizes}:
            router.step("internal", ContractSizes(sizes=news, at_ns=router.clock.now()), keep=True)


class BooksWatch:
    """Times at which order and trade book of accounts were last read; after `patience_ns` without, they are lost."""

    def __init__(self, accounts: Iterable[str], patience_ns: int) -> None:
        self._patience_ns = patience_ns
        self._read_ns: dict[str, int | None] = dict.fromkeys(accounts)

    def on_report(self, router: _Router, message: Any, machine_ns: int) -> None:
        """Record whether a reconciler's `BooksRead` shows an account's books readable; a change goes to the machine."""
        if not isinstance(message, BooksRead) or message.single or message.account not in self._read_ns:
            return
        books = (message.orders, message.trades)
        if None not in books:
            self._read_ns[message.account] = message.ended_machine_ns
        elif any(book is not None for book in (*books, message.positions)):
            self._read_ns[message.account] = None  # some answered, these did not: no need to wait until that is old
        self._update(router, message.account, machine_ns)

    def report_changes(self, router: _Router, machine_ns: int) -> None:
        """Tell the order machine, which journals it, which accounts' books became unreadable or readable again."""
        for account in self._read_ns:
            self._update(router, account, machine_ns)

    def _update(self, router: _Router, account: str, machine_ns: int) -> None:
        read_ns = self._read_ns[account]
        lost = read_ns is None or machine_ns - read_ns > self._patience_ns
        if lost != router.orders.state.books_lost(account):
            name = (BOOKS_LOST if lost else BOOKS_BACK) + account
            router.step("internal", TimerFired(name=name, machine_ns=machine_ns), keep=True)
