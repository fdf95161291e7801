"""A risk machine with the contracts, limits and heartbeats that tests of pre-trade checks and exits share."""

from __future__ import annotations

import tomllib
from datetime import date, time
from typing import Any

import msgspec
from msgspec.structs import replace

from mytrading.core.calendar import Calendar
from mytrading.core.calendar.square_off import SquareOff
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.state.environment import RiskEnvironment
from mytrading.core.time import SECOND, to_ns
from mytrading.messages.commands import PlaceEntry, SignalDenied
from mytrading.messages.control import Heartbeat
from mytrading.messages.enums import (
    Action,
    DaemonState,
    OrderState,
    Product,
    Purpose,
)
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.journal_rows import LevelMoved
from mytrading.messages.market import Quote
from mytrading.messages.orders import Order, OrderChanged, Position, PositionChanged, TimerFired
from mytrading.messages.reports import AccountHealth, ReadRequest
from mytrading.messages.run_config import Direction, RateLimits, RiskLimits, StrategyRun
from mytrading.messages.signals import Leg, Signal
from tests.kit.order_samples import order_of
from tests.kit.project import ROOT

DAY = date(2026, 3, 18)
TODAY = DAY.isoformat()
NOW = to_ns(DAY, time(11, 0))
CALL, PUT, SHARE = "NFO:NIFTY24MAR2623000CE", "NFO:NIFTY24MAR2623000PE", "NSE:SBIN"
NEAR = "NFO:NIFTY24MAR2622800CE"
"""A call that costs more than `CALL`, which hedges it once it is sold."""
WATCH = "NSE_INDEX:NIFTY"
LIMITS = RiskLimits(
    max_position_size=100_000,
    max_order_size=50_000,
    min_order_size=100,
    max_positions_per_symbol=5,
    max_total_positions=50,
    max_daily_loss=10_000,
    max_drawdown=0.05,
    default_stop_loss=0.02,
    default_stop_loss_options=0.3,
    trailing_stop_enabled=False,
    trailing_stop_distance=0.01,
    avoid_first_minutes=5,
    avoid_last_minutes=15,
    stale_quote_seconds=5,
    signal_validity_seconds=60,
)


def option(name: str, kind: InstrumentKind, strike: float = 23000) -> Instrument:
    return Instrument(
        id=name,
        exchange="NFO",
        symbol=name[4:],
        kind=kind,
        underlying="NIFTY",
        expiry="2026-03-24",
        strike=strike,
        lot_size=65,
        freeze_qty=1800,
    )


class RiskBench:
    """A risk machine as its daemon drives it: apply, decide, apply the decisions; all rows are kept."""

    product = Product.MIS
    """Of what it holds."""
    broker = ""
    """The name that the account's server gave."""

    def __init__(self, limits: RiskLimits = LIMITS, rates: RateLimits | None = None) -> None:
        calendar = Calendar.from_dict(tomllib.loads((ROOT / "config" / "calendar.toml").read_text()))
        index = Instrument(
            id=WATCH, exchange="NSE_INDEX", symbol="NIFTY", kind=InstrumentKind.INDEX, underlying="NIFTY"
        )
        share = Instrument(id=SHARE, exchange="NSE", symbol="SBIN", kind=InstrumentKind.EQ, underlying="SBIN")
        future = Instrument(
            id="NFO:NIFTY30MAR26FUT", exchange="NFO", symbol="NIFTY30MAR26FUT", kind=InstrumentKind.FUT,
            underlying="NIFTY", expiry="2026-03-30", lot_size=65,
        )  # fmt: skip
        options = (
            option(CALL, InstrumentKind.CE), option(PUT, InstrumentKind.PE), option(NEAR, InstrumentKind.CE, 22800)
        )  # fmt: skip
        book = InstrumentBook([index, share, future, *options])
        run = StrategyRun(name="S", file="s.py", symbols=(WATCH,), long=None, short=None, direction=Direction.BOTH)
        self.parts = (limits, rates or RateLimits(), (run,), "main", calendar, book,
                      SquareOff(calendar, {"NFO": time(15, 15), "NSE": time(15, 15)}))  # fmt: skip
        self.machine = RiskMachine(RiskEnvironment(*self.parts))
        self.now, self.machine_ns = NOW, 1000 * SECOND
        self.rows: list[Any] = []
        self.beat()

    def beat(self) -> None:
        for name in ("feed", "router", "reconciler"):
            beat = Heartbeat(
                daemon=name, pid=1, state=DaemonState.RUNNING, ready=True, machine_ns=self.machine_ns,
                market_ns=self.now, started_machine_ns=1,
            )  # fmt: skip
            self.machine.apply(beat)
        health = AccountHealth(account="main", connected=True, right_mode=True, stream_up=True, books_agree=True)
        self.machine.apply(replace(health, broker=self.broker))

    def give(self, message: Any) -> tuple[Any, ...]:
        self.machine.apply(message)
        self._intents_passed_over_need_nothing()
        self._holders_are_found_by_instrument()
        before = msgspec.msgpack.encode(self.machine.snapshot("2026-03-18"))
        rows = self.machine.decide(message, self.now)
        assert msgspec.msgpack.encode(self.machine.snapshot("2026-03-18")) == before, "decide changed something"
        for row in rows:
            self.machine.apply(row)
        self.rows += [message, *rows]
        return rows

    def _intents_passed_over_need_nothing(self) -> None:
        busy = self.machine._busy()
        for place, intent in self.machine.state.intents.items():
            if intent.settled and place not in busy:
                assert self.machine._advance(intent, self.now) == (), "a signal with something to do was passed over"

    def _holders_are_found_by_instrument(self) -> None:
        books = self.machine.runs.books
        held = [(leg.instrument, run.strategy, leg.key) for run in books.runs.values() for leg in run.legs.values()]
        for name in {name for name, _, _ in held} | books._holding.keys():
            found = [(name, run.strategy, leg.key) for run, legs in books.runs_holding(name) for leg in legs]
            assert found == [one for one in held if one[0] == name]
            assert found, "an instrument that nobody holds is kept"
        state = self.machine.state
        by_hand: dict[str, list[Any]] = {}
        for key in state.stop_levels:
            by_hand.setdefault(key[1], []).append(key)
        assert state.stop_instruments == by_hand

    def quote(self, instrument: str = CALL, price: float = 100.0) -> tuple[Any, ...]:
        return self.give(Quote(instrument, self.now, self.machine_ns, price, price - 0.05, price + 0.05))

    def intent(
        self, name: str, *legs: Leg, action: Action = Action.BUY, product: Product = Product.MIS, watch: str = WATCH,
        lookback: int = 0,
    ) -> tuple[Any, ...]:  # fmt: skip
        return self.give(
            Signal(
                id=name, strategy="S", watch=watch, action=action, legs=legs, product=product, created_ns=self.now,
                expires_ns=self.now + 60 * SECOND, expires_machine_ns=self.machine_ns + 2 * SECOND,
                lookback_minutes=lookback,
            )
        )  # fmt: skip

    def order(self, entry: PlaceEntry, state: OrderState, filled: int = 0) -> tuple[Any, ...]:
        order = self.order_of(entry, state, filled)
        return self.give(OrderChanged(event=state.value.lower(), order=order, machine_ns=self.machine_ns))

    def order_of(self, entry: PlaceEntry, state: OrderState, filled: int) -> Order:
        return order_of(
            client_order_id=entry.id, account="main", instrument=entry.instrument, product=entry.product, strategy="S",
            run=entry.run, cause=entry.cause, purpose=Purpose.ENTRY, side=entry.side, quantity=entry.quantity,
            order_type=entry.order_type, state=state, created_ns=self.now, updated_ns=self.now, filled=filled,
        )  # fmt: skip

    def hold(
        self, instrument: str, quantity: int, price: float = 100.0, realised: float = 0.0, order: str = "x"
    ) -> tuple[Any, ...]:
        position = Position(
            account="main", instrument=instrument, product=self.product, strategy="S", run="r", quantity=quantity,
            quantity_seen=quantity, average_price=price, realised=realised, opened_ns=self.now, updated_ns=self.now,
        )  # fmt: skip
        return self.give(
            PositionChanged(
                position=position, client_order_id=order, fill_quantity=quantity, fill_price=price, at_ns=self.now
            )
        )

    def fill(self, entry: PlaceEntry) -> None:
        self.order(entry, OrderState.FILLED, entry.quantity)
        self.hold(entry.instrument, entry.quantity * entry.side.sign, order=entry.id)

    def pass_time(self, seconds: float) -> tuple[Any, ...]:
        self.now += int(seconds * SECOND)
        self.machine_ns += int(seconds * SECOND)
        self.beat()
        return decisions(self.give(TimerFired(name="risk", machine_ns=self.machine_ns)))


def decisions(rows: tuple[Any, ...]) -> tuple[Any, ...]:
    """The rows without the asking for books and the noting of prices, which go on while anything is held."""
    noted = ("limit mark", "limit peak", "limit base")
    return tuple(
        row
        for row in rows
        if not isinstance(row, ReadRequest) and not (isinstance(row, LevelMoved) and row.name.startswith(noted))
    )


def codes(rows: tuple[Any, ...]) -> list[str]:
    return [row.code for row in rows if isinstance(row, SignalDenied)]
