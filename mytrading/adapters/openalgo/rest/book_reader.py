"""One visit to the server: order book, mode, trade book, positions and funds, in an order that proves something.

The mode is read between the two book reads, so that neither can have come from the other mode unnoticed. The trade book
is requested once the order book has come, so that it holds all fills that this shows, and without waiting for the mode,
which has a connection of its own. A failed read is None with a reason and does not stop the rest, unless so much hangs
that a pending fill is better served by the next visit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import msgspec

from mytrading.adapters.openalgo.rest import book_parsers as books
from mytrading.adapters.openalgo.rest import client as http
from mytrading.adapters.openalgo.rest.errors import ReadFailed
from mytrading.adapters.openalgo.rest.order_outcomes import mode_of
from mytrading.adapters.openalgo.rest.retry import retry_after_ns
from mytrading.core.reconciler.read_plan import ReadJob
from mytrading.messages.brokers import PLAIN, BrokerRules
from mytrading.messages.reports import BooksRead, BrokerOrder, Funds, ModeSeen, UnreadRow
from mytrading.messages.run_config import ServerMode

_SILENT_MOST = 3
"""Calls of one visit without an answer in time that end it: requests made meanwhile wait for its end."""
_STRATEGY = "MyTrading"
"""Name that goes with a question for one order, where the server wants one."""
_SAY_MODE = ("orderbook", "tradebook", "positionbook")
"""Books that a server in analyzer mode marks as such, so that one without a mark is live."""


class Visit(NamedTuple):
    """Results of a visit. `reached` is false without any usable answer; `patience_ns` is a rate limit's pause.

    `refused` is true if every book was answered with 403: no session at the broker, or an unknown key.
    """

    job: ReadJob
    books: BooksRead
    mode: ModeSeen | None
    funds: Funds | None
    reached: bool
    problems: tuple[str, ...]
    patience_ns: int = 0
    refused: bool = False
    odd_words: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Status words of the order book that are in no table, each with the ids of the orders that bear it."""


class _Begun(NamedTuple):
    """A request that was sent at a client, whose answer is read later."""

    client: http.OpenAlgoClient
    started: http.Started


def _has_figures(money: Funds) -> bool:
    """True unless every amount is zero, by which several brokers answer without a session."""
    return any((money.available, money.used, money.collateral, money.realised, money.unrealised))


@dataclass(slots=True)
class BookReader:
    """Reads at one account's server; `beside` and `third` are clients of it for requests while `client` waits.

    `rules` gives the row of the table that holds for the server's broker at the time of a visit. Without `third` the
    positions are always asked for last.
    """

    client: http.OpenAlgoClient
    beside: http.OpenAlgoClient
    account: str
    expected_mode: str
    machine_now: Callable[[], int]
    rules: Callable[[], BrokerRules] = lambda: PLAIN
    third: http.OpenAlgoClient | None = None
    _problems: list[str] = field(default_factory=list, init=False)
    _modes: list[str] = field(default_factory=list, init=False)
    _unread: list[UnreadRow] = field(default_factory=list, init=False)
    _odd_words: tuple[tuple[str, tuple[str, ...]], ...] = field(default=(), init=False)
    _answers: int = field(default=0, init=False)
    _books: int = field(default=0, init=False)
    _refused: int = field(default=0, init=False)
    _silent: int = field(default=0, init=False)
    _patience: int = field(default=0, init=False)
    _realised: float | None = field(default=None, init=False)
    _rules: BrokerRules = field(default=PLAIN, init=False)

    def read_books(self, job: ReadJob) -> Visit:
        """Read the books (orders, trades, positions, funds) that `job` lists; the result tells failures too."""
        return replace(self)._read_all(job)

    def _read_all(self, job: ReadJob) -> Visit:
        began, self._rules = self.machine_now(), self.rules()
        asked: list[str] = []
        orders = self._book("orderbook", books.parse_orders) if job.orders else None
        if job.order_ids:
            orders = self._by_ids(job.order_ids, asked)
        held = self._begin(self.third, "positionbook") if job.proof and job.positions and self._answers else None
        trades = self._mode_and_trades(job)
        totals = job.funds and self.expected_mode == ServerMode.ANALYZE
        positions = None
        if (job.positions or totals) and self._answers:
            positions = self._book("positionbook", books.parse_positions, held)
        money = self._funds() if job.funds and self._answers else None
        mode = self._mode_seen()
        right = mode is None or mode.expected
        read = BooksRead(
            account=self.account,
            id=job.id,
            began_machine_ns=began,
            ended_machine_ns=self.machine_now(),
            orders=orders if right else None,
            trades=trades if right else None,
            positions=positions if right and job.positions else None,
            asked_by=job.asked_by,
            unread=tuple(sorted({row.instrument for row in self._unread if row.instrument})),
            unread_rows=tuple(self._unread),
            funds_live=right and money is not None and _has_figures(money),
            single=bool(job.order_ids),
            asked=tuple(asked) if right else (),
        )
        refused = bool(self._refused) and not self._books
        return Visit(
            job, read, mode, money, self._answers > 0, tuple(self._problems), self._patience, refused, self._odd_words
        )

    def _by_ids(self, ids: tuple[str, ...], asked: list[str]) -> tuple[BrokerOrder, ...]:
        """The orders of these ids that the server knows; adds to `asked` the ids that it answered for."""
        found = []
        for name in ids:
            if (answer := self._call("orderstatus", fields={"strategy": _STRATEGY, "orderid": name})) is None:
                continue
            try:
                book = books.parse_order_status(answer, self._rules)
            except ReadFailed as error:
                self._problems.append(f"orderstatus of {name}: {error.message}")
                continue
            self._answers += 1
            asked.append(name)
            if book.rows is not None:
                found.append(msgspec.structs.replace(book.rows, broker_order_id=name))
                self._modes.append(mode_of(book.mode))
        return tuple(found)

    def _mode_and_trades(self, job: ReadJob) -> Any:
        """Ask for the mode, then for the trade book; for both at once where the order book was answered."""
        if not job.trades or not self._answers:
            self._take_mode(self._call("analyzer"))
            reachable = not job.orders or self._answers > 0
            return self._book("tradebook", books.parse_trades) if job.trades and reachable else None
        begun = self._begin(self.beside, "analyzer")
        trades = self._book("tradebook", books.parse_trades)
        self._take_mode(self._call("analyzer", begun))
        return trades

    def _begin(self, client: http.OpenAlgoClient | None, endpoint: str) -> _Begun | None:
        """Ask without waiting; None where that cannot be, and the call is made later."""
        try:
            return _Begun(client, client.begin(endpoint, {}, http.Deadline.BOOK)) if client is not None else None
        except http.NotSent:
            return None

    def _book(
        self, endpoint: str, parse: Callable[[http.HttpReply, BrokerRules], books.Book[Any]],
        begun: _Begun | None = None,
    ) -> Any:  # fmt: skip
        if (answer := self._call(endpoint, begun)) is None:
            return None
        try:
            book = parse(answer, self._rules)
        except ReadFailed as error:
            self._refused += error.status in (401, 403)
            hint = "; check the API key, and that the server is logged in at the broker" if error.status == 403 else ""
            self._problems.append(f"{endpoint}: {error.message}{hint}")
            return None
        self._answers += 1
        self._books += 1
        self._realised = book.realised if endpoint == "positionbook" else self._realised
        self._problems += book.problems
        self._unread += book.unread_rows
        self._odd_words += book.odd_words
        if book.mode or endpoint in _SAY_MODE:
            self._modes.append(mode_of(book.mode))
        return book.rows

    def _funds(self) -> Funds | None:
        """The funds; with the realised profit of the position book where that totals it.

        In analyzer mode the server's funds lose realised amounts (2.0.2.1: seen in November 2026), its book does not.
        """
        found: Funds | None = self._book(
            "funds", lambda answer, _rules: books.parse_funds(answer, self.account, answer.ended_ns)
        )
        if found is None or self._realised is None or self.expected_mode != ServerMode.ANALYZE:
            return found
        return msgspec.structs.replace(found, realised=self._realised)

    def _take_mode(self, answer: http.HttpReply | None) -> None:
        if answer is None:
            return
        try:
            mode = books.parse_analyzer(answer)
        except ReadFailed as error:
            self._problems.append(f"analyzer: {error.message}")
            return
        self._answers += 1
        self._modes.append(mode)

    def _mode_seen(self) -> ModeSeen | None:
        if not self._modes:
            return None
        wrong = [mode for mode in self._modes if mode != self.expected_mode]
        mode = wrong[0] if wrong else self._modes[0]
        text = f"the server is in {mode} mode, {self.expected_mode} mode was expected: no order is sent; "
        text += "switch the server back (analyzer), then `mytrading resume`"
        now, message = self.machine_now(), text if wrong else ""
        return ModeSeen(account=self.account, mode=mode, expected=not wrong, machine_ns=now, message=message)

    def _call(
        self, endpoint: str, begun: _Begun | None = None, fields: dict[str, str] | None = None
    ) -> http.HttpReply | None:
        """A complete answer, first to what was `begun`. A read is tried twice; of those that hang only one."""
        for attempt in (1, 2):
            if self._silent >= _SILENT_MOST:
                self._problems.append(f"{endpoint}: not asked, {self._silent} calls before had no answer in time")
                break
            try:
                if begun is not None and attempt == 1:
                    answer = begun.client.finish(begun.started._replace(began_ns=self.machine_now()))
                else:
                    answer = self.client.call(endpoint, fields or {}, http.Deadline.BOOK)
                if answer.status == 429:
                    self._patience = max(self._patience, retry_after_ns(answer))
                return answer
            except http.TransportFailed as error:
                late = isinstance(error.__cause__, TimeoutError)
                self._silent += late
                if (late and self._silent > 1) or attempt == 2 or isinstance(error, http.NotSent):
                    self._problems.append(f"{endpoint}: {error}")
                    break
        return None
