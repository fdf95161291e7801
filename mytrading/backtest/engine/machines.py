"""The live machines wired to each other and to the venue: what streams and journals do between processes.

A row that one machine decides is applied there first, then read by who follows it, in the order in which it was
decided. A machine learns nothing here that its daemon would not have given it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from mytrading.core.engine.machine import EngineMachine
from mytrading.core.oms import OrderMachine
from mytrading.core.risk.machine import RiskMachine
from mytrading.messages.commands import CloseGoal, PlaceEntry, PriceGoal, WithdrawEntries
from mytrading.messages.control import FlattenRequested, Heartbeat
from mytrading.messages.enums import Call, DaemonState, Purpose
from mytrading.messages.market import Bar, Quote
from mytrading.messages.orders import (
    GoalChanged,
    Order,
    OrderChanged,
    PositionAdjusted,
    PositionChanged,
    TimerFired,
    TradeClosed,
)
from mytrading.messages.reports import AccountHealth
from mytrading.messages.signals import Signal

_CALLS = {"submitted": Call.PLACE, "cancel_requested": Call.CANCEL, "modify_requested": Call.MODIFY}
_COMMANDS = (PlaceEntry, CloseGoal, PriceGoal, WithdrawEntries, FlattenRequested)
_FOR_ENGINE = (OrderChanged, PositionChanged, PositionAdjusted, GoalChanged, TradeClosed)
_MOVES = (OrderChanged, PositionChanged, PositionAdjusted, GoalChanged)
_QUIET = frozenset({"submitted", "accepted", "cancel_requested", "modify_requested", "filled"})
"""Events that are followed by another row where anything follows at all."""
_ROUNDS = 10_000
_ALWAYS = 1 << 62
"""A machine time that never comes: a heartbeat of then is never old."""
OnRow = Callable[[Any], None]
Sides = Callable[[str, float], tuple[float | None, float | None]]


class BacktestBroker(Protocol):
    """A broker that the order machine calls. `answers` fills up with messages for it; `now` is market time."""

    now: int
    answers: list[Any]

    @property
    def is_idle(self) -> bool:
        """True while no order rests."""

    def clock(self) -> int:
        """Return machine time (ns), strictly increasing."""

    def call(self, order: Order, call: Call) -> None:
        """Make an order call (place, modify, cancel) for the order machine; answers are appended to `answers`."""


class Unsettled(RuntimeError):
    """The machines kept answering each other: a bug, raised instead of looping for ever."""


class Machines:
    """Engine, risk, orders and venue of one run. `on_row` gets every row of risk and of the order machine.

    With `plain` risk decides after every single row, as its daemon does.
    """

    def __init__(
        self, engine: EngineMachine, risk: RiskMachine, orders: OrderMachine, venue: BacktestBroker, account: str,
        on_row: OnRow, *, plain: bool = False,
    ) -> None:  # fmt: skip
        self.engine = engine
        self.risk = risk
        self.orders = orders
        self.venue = venue
        self.on_row = on_row
        self.sides: Sides = lambda _instrument, _price: (None, None)
        """Bid and ask that were recorded of an instrument, for its price now; risk values what is held by them."""
        self._plain, self._opened = plain, False
        risk.environment.lock_step = True
        risk.state.memory.money.trusts_single_quotes = True
        for name in ("feed", "router", "reconciler"):  # the daemons that risk needs are this loop: never silent
            risk.state.beats[name] = Heartbeat(
                daemon=name, pid=0, state=DaemonState.RUNNING, ready=True, machine_ns=_ALWAYS, market_ns=0,
                started_machine_ns=0,
            )  # fmt: skip
        self.confirm_books(account)

    def confirm_books(self, account: str) -> None:
        """Tell risk that an account is connected and its books agree with the broker's, so that it may enter there."""
        health = AccountHealth(account=account, connected=True, right_mode=True, stream_up=True, books_agree=True)
        self.risk.apply(health)

    def open_day(self, day: str, now: int) -> None:
        """Begin a trading day (ISO) at market ns `now`: after the first, expire day orders and carry state over."""
        if self._opened:
            rows = self.orders.expire_day(now, day)
            for row in rows:
                self.orders.apply(row)
            self._take(rows, now)
            self.orders.apply(self.orders.snapshot(day))
            self.risk.apply(self.risk.snapshot(day))
            for row in self.engine.snapshot(day):
                self.engine.apply(row)
        self._opened = True

    def adjust(self, row: PositionAdjusted) -> None:
        """Apply a position change without an order to the order machine, risk and the engine."""
        for machine in (self.orders, self.risk, self.engine):
            machine.apply(row)

    def decide_signals(self, source: Bar | Quote | TimerFired, now: int) -> None:
        """Let the engine decide on its signals from this bar, quote or timer; risk and orders act on the result."""
        rows = self.engine.decide(source, now)
        if not rows:
            return
        for row in rows:
            self.engine.apply(row)
            self.on_row(row)
            if isinstance(row, Signal):
                self._risk_step(row, now)
        self.process_answers(now)

    def apply_price(self, instrument: str, price: float, now: int) -> None:
        """Apply a price to risk, and close positions whose stop or target it reaches."""
        self.apply_quote(Quote(instrument, now, now, price, *self.sides(instrument, price)), now)

    def apply_quote(self, quote: Quote, now: int) -> None:
        """Apply a quote to risk, and close positions whose stop or target it reaches."""
        self.risk.apply(quote)
        commands = self.risk.decide(quote, now)
        if commands:
            self._commands(commands, now)
            self.process_answers(now)

    def note_price(self, instrument: str, price: float, now: int) -> None:
        """Give risk a price (rupees, at market ns `now`) without checking stops, where none can be reached."""
        self.risk.apply(Quote(instrument, now, now, price, *self.sides(instrument, price)))

    def advance_time(self, now: int) -> None:
        """Advance the order machine and risk to market ns `now` by a timer message, and act on what they decide."""
        timer = TimerFired(name="backtest", machine_ns=self.venue.clock())
        self._orders_step(timer, now)
        self._risk_step(timer, now)
        self.process_answers(now)

    def process_answers(self, now: int) -> None:
        """Feed the venue's answers to the order machine until there are none; `Unsettled` if they never end."""
        venue = self.venue
        for _ in range(_ROUNDS):
            if not venue.answers:
                return
            answers = venue.answers.copy()
            venue.answers.clear()
            for answer in answers:
                self._orders_step(answer, now)
        raise Unsettled(f"the order machine and the venue are still at it after {_ROUNDS} answers at one moment")

    def _risk_step(self, message: Any, now: int) -> None:
        self.risk.apply(message)
        self._commands(self.risk.decide(message, now), now)

    def _commands(self, rows: Sequence[Any], now: int) -> None:
        for row in rows:
            self.risk.apply(row)
        for row in rows:
            self.on_row(row)
            if isinstance(row, _COMMANDS):
                self.orders.set_machine_time(self.venue.clock())
                self._orders_step(row, now)

    def _orders_step(self, message: Any, now: int) -> None:
        """Let the order machine decide, as its daemon does or in one go."""
        orders = self.orders
        if self._plain:
            orders.apply(message)
            rows = orders.decide(message, now)
            for row in rows:
                orders.apply(row)
        else:
            rows = orders.step(message, now)
        if rows:
            self._take(rows, now)

    def _take(self, rows: Sequence[Any], now: int) -> None:
        """The order machine's rows: done at the venue, and read by risk and the engine."""
        for row in rows:
            if type(row) is OrderChanged and (call := _CALLS.get(row.event)) is not None:
                self.venue.call(row.order, call)
        for row in rows if self._plain else newest_levels(rows):
            self.on_row(row)
            if isinstance(row, _FOR_ENGINE):
                self.engine.apply(row)
            self.risk.apply(row)
            if self._plain or _needs_risk(row):
                self._commands(self.risk.decide(row, now), now)


def newest_levels(rows: Sequence[Any]) -> Sequence[Any]:
    """Return a decision's rows without states of an order or goal that a later row of the same decision replaces."""
    if len(rows) == 1:
        return rows
    kept: list[Any] = []
    seen: set[str] = set()
    for row in reversed(rows):
        name = ""
        if type(row) is OrderChanged:
            name = row.order.client_order_id
        elif type(row) is GoalChanged:
            name = row.goal.id
        if name not in seen:
            kept.append(row)
            if name:
                seen.add(name)
    return kept[::-1]


def _needs_risk(row: Any) -> bool:
    """True if risk may have to act on a row: not where an order only went on its way. A stop that filled is an event,
    which may move other stops."""
    if type(row) is OrderChanged:
        return row.event not in _QUIET or (row.order.purpose is Purpose.STOP and row.event == "filled")
    return isinstance(row, _MOVES)
