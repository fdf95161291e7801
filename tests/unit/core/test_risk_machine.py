"""Risk: what a wish leads to, what is denied and why, and that nothing is decided twice."""

from __future__ import annotations

import tomllib
from datetime import date, time
from typing import Any

import msgspec
import pytest

from mytrading.core.calendar import Calendar, to_ns
from mytrading.core.instruments import InstrumentBook
from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.readiness import not_ready
from mytrading.core.risk.rules.table import RULES, denials_page
from mytrading.core.square_off import SquareOff
from mytrading.messages.commands import CloseGoal, PlaceEntry, SignalDenied, SignalExpired, WithdrawEntries
from mytrading.messages.control import Alert, BarsLacking, Heartbeat, StrategySwitch, TradingState
from mytrading.messages.enums import (
    Action,
    Confidence,
    DaemonState,
    OrderState,
    Product,
    Purpose,
    Severity,
    Side,
    TradingLevel,
)
from mytrading.messages.instruments import Instrument, InstrumentKind, Refusal, Snapshot
from mytrading.messages.market import Quote
from mytrading.messages.orders import Goal, GoalChanged, Order, OrderChanged, Position, PositionChanged, TimerFired
from mytrading.messages.records import LevelMoved
from mytrading.messages.reports import AccountHealth, ReadRequest
from mytrading.messages.risk_events import RiskEventRecorded
from mytrading.messages.runconfig import Direction, RateLimits, RiskLimits, StrategyRun
from mytrading.messages.signals import Leg, Signal
from tests.support import ROOT

DAY = date(2026, 3, 18)
TODAY = DAY.isoformat()
NOW = to_ns(DAY, time(11, 0))
SECOND = 1_000_000_000
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


class Desk:
    """A risk machine as its daemon drives it: apply, decide, apply the decisions; all rows are kept."""

    product = Product.MIS
    """Of what it holds."""

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
        self.machine = RiskMachine(*self.parts)
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
        self.machine.apply(health)

    def give(self, message: Any) -> tuple[Any, ...]:
        self.machine.apply(message)
        self._wishes_passed_over_need_nothing()
        self._holders_are_found_by_instrument()
        before = msgspec.msgpack.encode(self.machine.snapshot("2026-03-18"))
        rows = self.machine.decide(message, self.now)
        assert msgspec.msgpack.encode(self.machine.snapshot("2026-03-18")) == before, "decide changed something"
        for row in rows:
            self.machine.apply(row)
        self.rows += [message, *rows]
        return rows

    def _wishes_passed_over_need_nothing(self) -> None:
        busy = self.machine._busy()
        for place, wish in self.machine.state.wishes.items():
            if wish.settled and place not in busy:
                assert self.machine._advance(wish, self.now) == (), "a wish with something to do was passed over"

    def _holders_are_found_by_instrument(self) -> None:
        books = self.machine.runs.books
        held = [(leg.instrument, run.strategy, leg.key) for run in books.runs.values() for leg in run.legs.values()]
        for name in {name for name, _, _ in held} | books._holding.keys():
            found = [(name, run.strategy, leg.key) for run, legs in books.holding(name) for leg in legs]
            assert found == [one for one in held if one[0] == name]
            assert found, "an instrument that nobody holds is kept"
        state = self.machine.state
        by_hand: dict[str, list[Any]] = {}
        for key in state.stop_levels:
            by_hand.setdefault(key[1], []).append(key)
        assert state.stop_instruments == by_hand

    def quote(self, instrument: str = CALL, price: float = 100.0) -> tuple[Any, ...]:
        return self.give(Quote(instrument, self.now, self.machine_ns, price, price - 0.05, price + 0.05))

    def wish(
        self, name: str, *legs: Leg, action: Action = Action.BUY, product: Product = Product.MIS
    ) -> tuple[Any, ...]:
        return self.give(
            Signal(
                id=name, strategy="S", watch=WATCH, action=action, legs=legs, product=product, created_ns=self.now,
                expires_ns=self.now + 60 * SECOND, expires_machine_ns=self.machine_ns + 2 * SECOND,
            )
        )  # fmt: skip

    def order(self, entry: PlaceEntry, state: OrderState, filled: int = 0) -> tuple[Any, ...]:
        order = self.order_of(entry, state, filled)
        return self.give(OrderChanged(event=state.value.lower(), order=order, machine_ns=self.machine_ns))

    def order_of(self, entry: PlaceEntry, state: OrderState, filled: int) -> Order:
        return Order(
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


def test_wish_with_a_quote_becomes_one_sized_entry() -> None:
    desk = Desk()
    desk.quote()
    (entry,) = desk.wish("a", Leg(instrument=CALL, lots=1))
    assert isinstance(entry, PlaceEntry)
    assert (entry.side, entry.quantity, entry.reference_price) == (Side.BUY, 65, pytest.approx(100.05))
    assert desk.wish("a", Leg(instrument=CALL, lots=1)) == ()
    assert desk.quote(price=101.0) == ()


def test_repeated_wish_places_nothing_while_its_order_lives_or_is_held() -> None:
    desk = Desk()
    desk.quote()
    (entry,) = desk.wish("a", Leg(instrument=CALL, lots=1))
    desk.order(entry, OrderState.ACCEPTED)
    assert desk.wish("b", Leg(instrument=CALL, lots=1)) == ()
    desk.fill(entry)
    assert desk.wish("c", Leg(instrument=CALL, lots=1)) == ()


def test_filled_order_whose_position_is_still_on_its_way_is_not_bought_again() -> None:
    desk = Desk()
    desk.quote()
    (entry,) = desk.wish("a", Leg(instrument=CALL, lots=1))
    assert desk.order(entry, OrderState.FILLED, entry.quantity) == ()
    assert desk.wish("b", Leg(instrument=CALL, lots=1)) == ()
    assert desk.hold(CALL, 65, order=entry.id) == ()
    assert desk.wish("c", Leg(instrument=CALL, lots=1)) == ()


def test_late_fill_of_a_partly_filled_and_cancelled_entry_leaves_nothing_coming() -> None:
    desk = Desk()
    desk.quote(SHARE)
    (entry,) = desk.wish("a", Leg(instrument=SHARE, lots=5))
    desk.order(entry, OrderState.CANCELLED, filled=3)
    desk.hold(SHARE, 3, order=entry.id)
    assert desk.machine.state.coming_units("S", SHARE, "main") == 0
    desk.order(entry, OrderState.FILLED, filled=5)
    assert desk.machine.state.coming_units("S", SHARE, "main") == 2
    desk.hold(SHARE, 2, order=entry.id)
    assert desk.machine.state.coming_units("S", SHARE, "main") == 0


def test_ended_order_that_is_told_again_has_no_wish_judged_before_the_next_tick() -> None:
    """A book that flaps tells hundreds of ended orders anew at once; each one judged every wish that waits."""
    desk = Desk()
    desk.quote()
    (entry,) = desk.wish("a", Leg(instrument=CALL, lots=1))
    desk.fill(entry)
    desk.hold(CALL, 0)
    assert desk.wish("b", Leg(instrument=PUT, lots=1)) == ()
    desk.machine.apply(Quote(PUT, desk.now, desk.machine_ns, 100.0, 99.95, 100.05))
    ended = desk.order_of(entry, OrderState.FILLED, entry.quantity)
    assert desk.give(OrderChanged(event="contradicted", order=ended, machine_ns=desk.machine_ns)) == ()
    assert desk.give(OrderChanged(event="observed", order=ended, machine_ns=desk.machine_ns)) == ()
    assert [type(row) for row in desk.pass_time(0.25)] == [PlaceEntry]


def test_refused_entry_is_wished_anew_by_the_next_signal() -> None:
    desk = Desk()
    desk.quote()
    (entry,) = desk.wish("a", Leg(instrument=CALL, lots=1))
    desk.order(entry, OrderState.REJECTED)
    (again,) = desk.wish("b", Leg(instrument=CALL, lots=1))
    assert isinstance(again, PlaceEntry)
    assert again.id != entry.id


def test_exit_closes_what_is_held_and_withdraws_what_rests() -> None:
    desk = Desk()
    desk.quote()
    (entry,) = desk.wish("a", Leg(instrument=CALL, lots=1))
    desk.order(entry, OrderState.ACCEPTED)
    (withdrawal,) = desk.wish("b", action=Action.EXIT)
    assert isinstance(withdrawal, WithdrawEntries)
    desk.fill(entry)
    goals = [row for row in desk.rows if isinstance(row, CloseGoal)]
    assert [goal.instrument for goal in goals] == [CALL]


def test_reversal_closes_first_and_enters_when_flat() -> None:
    desk = Desk()
    desk.quote()
    desk.quote(PUT)
    (entry,) = desk.wish("a", Leg(instrument=CALL, lots=1))
    desk.fill(entry)
    (goal,) = desk.wish("b", Leg(instrument=PUT, lots=1), action=Action.SELL)
    assert isinstance(goal, CloseGoal)
    rows = desk.hold(CALL, 0)
    assert [type(row) for row in rows] == [PlaceEntry]
    assert rows[0].instrument == PUT


def test_reversal_that_becomes_possible_too_late_expires() -> None:
    desk = Desk()
    desk.quote()
    desk.quote(PUT)
    (entry,) = desk.wish("a", Leg(instrument=CALL, lots=1))
    desk.fill(entry)
    desk.wish("b", Leg(instrument=PUT, lots=1), action=Action.SELL)
    assert any(isinstance(row, SignalExpired) for row in desk.pass_time(70))
    assert not any(isinstance(row, PlaceEntry) for row in desk.hold(CALL, 0))


def test_wish_waits_for_its_first_quote() -> None:
    desk = Desk()
    assert desk.wish("a", Leg(instrument=CALL, lots=1)) == ()
    assert desk.machine.wanted() == (CALL,)
    assert [type(row) for row in desk.quote()] == [PlaceEntry]


def test_wish_without_any_quote_ends_denied_and_says_so() -> None:
    desk = Desk()
    desk.wish("a", Leg(instrument=CALL, lots=1))
    (denied,) = desk.pass_time(61)
    assert denied.code == "EXPIRED"
    assert "no quote" in denied.message
    assert desk.quote() == ()


@pytest.mark.parametrize(
    ("setting", "price", "lots", "code"),
    [("max_order_size", 769.3, 1, "MAX_ORDER_SIZE"), ("max_position_size", 1600.0, 1, "MAX_POSITION_SIZE")],
)
def test_size_limit_denies_beyond_and_admits_at_the_limit(setting: str, price: float, lots: int, code: str) -> None:
    limits = msgspec.structs.replace(LIMITS, max_order_size=1e9, max_position_size=1e9, min_order_size=0)
    exact = (price + 0.05) * 65 * lots
    at_limit = Desk(msgspec.structs.replace(limits, **{setting: exact + 1e-6}))
    at_limit.quote(price=price)
    assert codes(at_limit.wish("a", Leg(instrument=CALL, lots=lots))) == []
    beyond = Desk(msgspec.structs.replace(limits, **{setting: exact - 0.01}))
    beyond.quote(price=price)
    (denied,) = beyond.wish("a", Leg(instrument=CALL, lots=lots))
    assert denied.code == code
    assert "65 ×" in denied.message or "65 new" in denied.message


def test_position_counts_block_the_next_entry_and_never_an_exit() -> None:
    desk = Desk(msgspec.structs.replace(LIMITS, max_total_positions=1))
    desk.quote()
    desk.quote(SHARE, 800.0)
    (entry,) = desk.wish("a", Leg(instrument=CALL, lots=1))
    desk.fill(entry)
    other = Signal(
        id="o", strategy="T", watch=SHARE, action=Action.BUY, legs=(Leg(instrument=SHARE, lots=10),),
        created_ns=desk.now, expires_ns=desk.now + SECOND, expires_machine_ns=desk.machine_ns + SECOND,
    )  # fmt: skip
    assert codes(desk.give(other)) == ["MAX_TOTAL_POSITIONS"]
    assert [type(row) for row in desk.wish("b", action=Action.EXIT)] == [CloseGoal]


def test_positions_of_one_underlying_block_its_next_entry_and_never_an_exit() -> None:
    desk = Desk(msgspec.structs.replace(LIMITS, max_positions_per_symbol=1))
    for instrument, price in ((CALL, 100.0), (PUT, 100.0), (SHARE, 800.0)):
        desk.quote(instrument, price)
    (entry,) = desk.wish("a", Leg(instrument=CALL, lots=1))
    desk.fill(entry)
    (denied,) = desk.wish("b", Leg(instrument=CALL, lots=1), Leg(instrument=PUT, lots=1))
    assert (denied.code, "1 positions of NIFTY" in denied.message) == ("MAX_POSITIONS_PER_SYMBOL", True)
    rows = desk.wish("c", Leg(instrument=CALL, lots=1), Leg(instrument=SHARE, lots=5))
    assert [row.instrument for row in rows if isinstance(row, PlaceEntry)] == [SHARE]
    assert [row.instrument for row in desk.wish("d", action=Action.EXIT) if isinstance(row, CloseGoal)] == [CALL]


@pytest.mark.parametrize(
    ("clock", "code"),
    [(time(9, 10), "MARKET_CLOSED"), (time(9, 17), "FIRST_MINUTES"), (time(15, 13), "SQUARE_OFF")],
)
def test_time_rules_deny_entries(clock: time, code: str) -> None:
    desk = Desk()
    desk.now = to_ns(DAY, clock)
    desk.beat()
    desk.quote()
    assert code in " ".join(codes(desk.wish("a", Leg(instrument=CALL, lots=1))))


def test_holiday_is_named() -> None:
    desk = Desk()
    desk.now = to_ns(date(2026, 1, 26), time(11, 0))
    desk.beat()
    desk.quote()
    (denied,) = desk.wish("a", Leg(instrument=CALL, lots=1))
    assert denied.code == "MARKET_CLOSED"


@pytest.mark.parametrize(
    ("leg", "code"),
    [
        (Leg(instrument=CALL, lots=-1), "MAX_ORDER_SIZE"),
        (Leg(instrument="NFO:NIFTY30MAR26FUT", lots=1), "MARGIN_UNKNOWN"),
        (Leg(instrument=WATCH, lots=1), "INDEX_NOT_TRADABLE"),
        (Leg(instrument="NFO:NOBODYKNOWS", lots=1), "UNKNOWN_INSTRUMENT"),
    ],
)
def test_what_is_not_valued_is_denied(leg: Leg, code: str) -> None:
    desk = Desk()
    for instrument in (CALL, WATCH, "NFO:NIFTY30MAR26FUT"):
        desk.quote(instrument)
    assert codes(desk.wish("a", leg)) == [code]


def test_halt_and_silence_deny_entries_but_exits_go_on() -> None:
    desk = Desk()
    desk.quote()
    (entry,) = desk.wish("a", Leg(instrument=CALL, lots=1))
    desk.fill(entry)
    desk.give(TradingState(level=TradingLevel.HALT, generation=1, reason="by hand", at_ns=desk.now))
    desk.machine_ns += 10 * SECOND
    desk.quote(PUT)
    assert [type(row) for row in desk.wish("b", action=Action.EXIT)] == [CloseGoal]
    desk.hold(CALL, 0)
    (denied,) = desk.wish("c", Leg(instrument=PUT, lots=1))
    assert denied.code == "NOT_READY"
    assert "trading is at halt" in denied.message


def test_wish_that_a_risk_just_started_reads_waits_for_the_others_instead_of_being_denied() -> None:
    desk = Desk()
    desk.machine.state.beats.clear()
    desk.machine.patient_until = desk.machine_ns + 3 * SECOND
    desk.quote()
    assert desk.wish("a", Leg(instrument=CALL, lots=1)) == ()
    assert [type(row) for row in desk.pass_time(1)] == [PlaceEntry]


def test_wishes_that_waited_together_do_not_pass_a_limit_together() -> None:
    desk = Desk(msgspec.structs.replace(LIMITS, max_total_positions=1))
    desk.machine.state.beats.clear()
    desk.machine.patient_until = desk.machine_ns + 3 * SECOND
    desk.quote()
    desk.quote(SHARE, 800.0)
    assert desk.wish("a", Leg(instrument=CALL, lots=1)) == ()
    other = Signal(
        id="o", strategy="T", watch=SHARE, action=Action.BUY, legs=(Leg(instrument=SHARE, lots=10),),
        created_ns=desk.now, expires_ns=desk.now + 60 * SECOND, expires_machine_ns=desk.machine_ns + 60 * SECOND,
    )  # fmt: skip
    assert desk.give(other) == ()
    assert [type(row) for row in desk.pass_time(1)] == [PlaceEntry]
    assert codes(desk.give(TimerFired(name="risk", machine_ns=desk.machine_ns))) == ["MAX_TOTAL_POSITIONS"]


def test_wish_is_denied_when_nobody_was_heard_in_time() -> None:
    desk = Desk()
    desk.machine.state.beats.clear()
    desk.machine.patient_until = desk.machine_ns + 3 * SECOND
    desk.quote()
    assert desk.wish("a", Leg(instrument=CALL, lots=1)) == ()
    desk.machine_ns += 4 * SECOND
    assert codes(desk.give(TimerFired(name="risk", machine_ns=desk.machine_ns))) == ["NOT_READY"]


def test_wish_in_lock_step_expires_by_market_time_alone() -> None:
    desk = Desk()
    desk.machine.lock_step = True
    desk.quote()
    (entry,) = desk.wish("a", Leg(instrument=CALL, lots=1))
    assert entry.expires_machine_ns == 0
    desk.order(entry, OrderState.CANCELLED)
    assert desk.wish("b", Leg(instrument=PUT, lots=1)) == ()
    desk.now += 61 * SECOND
    assert "EXPIRED" in codes(desk.quote(PUT))


def test_server_of_the_traded_account_that_hangs_keeps_no_entry_of_another_account_waiting() -> None:
    """The reconciler is as ready as the traded account is well: while that hung, all accounts were denied entries."""
    desk = Desk()
    state = desk.machine.state
    beat = state.beats["reconciler"]
    down = AccountHealth(
        account="main", connected=False, right_mode=True, stream_up=False, books_agree=True, message="it hangs"
    )
    desk.machine.apply(msgspec.structs.replace(beat, ready=False))
    desk.machine.apply(down)
    desk.machine.apply(msgspec.structs.replace(down, account="second", connected=True, stream_up=True, message=""))
    assert "it hangs" in not_ready(state, "main")
    assert not_ready(state, "second") == ""
    assert "has not reported" in not_ready(state, "third") or "reconciler" in not_ready(state, "third")


def test_entry_without_a_broker_session_is_denied_with_the_brokers_words() -> None:
    """The reconciler is not ready then, but the cause stands in the account's health."""
    desk = Desk()
    beat = desk.machine.state.beats["reconciler"]
    desk.machine.apply(msgspec.structs.replace(beat, ready=False))
    words = "orderbook: Invalid openalgo apikey; check the API key, and that the server is logged in at the broker"
    down = AccountHealth(
        account="main", connected=False, right_mode=True, stream_up=False, books_agree=True, message=words
    )
    desk.machine.apply(down)
    desk.quote()
    (denied,) = desk.wish("s1", Leg(instrument=CALL, lots=1))
    assert (denied.code, words in denied.message) == ("NOT_READY", True)
    desk.machine.apply(msgspec.structs.replace(down, session_lost=True))
    (denied,) = desk.wish("s2", Leg(instrument=CALL, lots=1))
    assert (denied.code, words in denied.message) == ("BROKER_DISCONNECTED", True)


def test_exit_goes_on_without_a_broker_session() -> None:
    desk = Desk()
    desk.quote()
    (entry,) = desk.wish("a", Leg(instrument=CALL, lots=1))
    desk.fill(entry)
    lost = AccountHealth(
        account="main", connected=False, right_mode=True, stream_up=True, books_agree=True, session_lost=True
    )
    desk.machine.apply(lost)
    assert [type(row) for row in desk.wish("b", action=Action.EXIT)] == [CloseGoal]


def test_entry_does_not_wait_for_another_account() -> None:
    desk = Desk()
    down = AccountHealth(account="other", connected=False, right_mode=False, stream_up=False, books_agree=False)
    desk.machine.apply(down)
    desk.quote()
    (entry,) = desk.wish("s1", Leg(instrument=CALL, lots=1))
    assert isinstance(entry, PlaceEntry)


def test_switched_off_strategy_is_denied() -> None:
    desk = Desk()
    desk.quote()
    desk.give(StrategySwitch(strategy="S", enabled=False, generation=1, at_ns=desk.now))
    assert codes(desk.wish("a", Leg(instrument=CALL, lots=1))) == ["STRATEGY_DISABLED"]


def test_entries_per_minute_are_limited() -> None:
    desk = Desk(rates=RateLimits(entries_per_minute=2))
    for name in ("a", "b", "c"):
        desk.pass_time(1)
        desk.quote()
        rows = desk.wish(name, Leg(instrument=CALL, lots=1))
        if isinstance(rows[0], PlaceEntry):
            desk.order(rows[0], OrderState.REJECTED)
    assert codes(rows) == ["ENTRIES_PER_MINUTE"]


def test_square_off_closes_intraday_positions_once() -> None:
    desk = Desk()
    desk.quote()
    (entry,) = desk.wish("a", Leg(instrument=CALL, lots=1))
    desk.fill(entry)
    desk.now = to_ns(DAY, time(15, 11, 58))
    assert desk.pass_time(1) == ()
    event, goal = desk.pass_time(2)
    assert isinstance(event, RiskEventRecorded)
    assert (event.kind, event.cause, event.action) == ("square_off", goal.cause, "close_all")
    assert isinstance(goal, CloseGoal)
    assert goal.reason == "square-off: to be flat by 15:15"
    desk.give(GoalChanged(goal=_goal(goal, "open"), at_ns=desk.now))
    assert desk.pass_time(5) == ()


def own_time(desk: Desk, at: str = "11:30") -> None:
    run = desk.machine.strategies["S"]
    desk.machine.strategies["S"] = msgspec.structs.replace(run, square_off=at)


@pytest.mark.parametrize("product", [Product.MIS, Product.NRML])
def test_square_off_at_the_strategys_own_time_closes_every_product(product: Product) -> None:
    desk = Desk()
    own_time(desk)
    desk.quote()
    (entry,) = desk.wish("a", Leg(instrument=CALL, lots=1), product=product)
    desk.hold(CALL, 65, order=entry.id)
    position = msgspec.structs.replace(next(iter(desk.machine.state.positions.values())), product=product)
    desk.machine.state.positions.clear()
    desk.give(PositionChanged(position=position, client_order_id="x", fill_quantity=0, fill_price=0.0, at_ns=desk.now))
    desk.now = to_ns(DAY, time(11, 26, 58))
    assert not [row for row in desk.pass_time(1) if isinstance(row, CloseGoal)]
    assert [row.product for row in desk.pass_time(2) if isinstance(row, CloseGoal)] == [product]


def test_entry_after_the_strategys_own_time_is_denied() -> None:
    desk = Desk()
    own_time(desk)
    desk.now = to_ns(DAY, time(11, 28))
    desk.beat()
    desk.quote()
    assert codes(desk.wish("a", Leg(instrument=CALL, lots=1), product=Product.NRML)) == ["SQUARE_OFF"]


def test_nrml_without_a_time_of_its_strategy_is_not_squared_off() -> None:
    desk = Desk()
    run = desk.machine.strategies["S"]
    assert desk.machine._scene.square_off_begins(run.name, CALL, Product.NRML, desk.now) == 0


def test_intraday_position_three_minutes_after_the_venues_time_is_alarmed_once() -> None:
    desk = Desk()
    desk.hold(CALL, 65)
    desk.now = to_ns(DAY, time(15, 17, 58))
    assert not [row for row in desk.pass_time(1) if isinstance(row, Alert)]
    late = [row for row in desk.pass_time(2) if isinstance(row, Alert)]
    assert [alert.code for alert in late] == ["SQUARE_OFF_LATE"] and CALL in late[0].subject
    assert not [row for row in desk.pass_time(60) if isinstance(row, Alert)]


@pytest.mark.parametrize("product", [Product.NRML, Product.MIS])
def test_position_still_held_when_its_own_square_off_was_due_is_alarmed_once(product: Product) -> None:
    """The exits are refused, as by a broker whose session is gone: only GOAL_STUCK told of it, a minute after."""
    desk = Desk()
    own_time(desk)
    desk.product = product
    desk.hold(CALL, 65)
    desk.now = to_ns(DAY, time(11, 29, 57))
    assert not [row for row in desk.pass_time(2) if isinstance(row, Alert)]
    (missed,) = [row for row in desk.pass_time(2) if isinstance(row, Alert)]
    assert (missed.code, missed.severity) == ("SQUARE_OFF_MISSED", Severity.CRITICAL)
    assert f"S still holds 65 of {CALL} {product}, which was to be flat by 11:30:00" in missed.message
    assert not [row for row in desk.pass_time(60) if isinstance(row, Alert)]


def test_intraday_nrml_still_held_at_a_quarter_past_three_is_alarmed() -> None:
    desk = Desk()
    desk.machine.strategies["S"] = msgspec.structs.replace(desk.machine.strategies["S"], intraday=True)
    desk.product = Product.NRML
    desk.hold(CALL, 65)
    desk.now = to_ns(DAY, time(15, 14, 58))
    assert not [row for row in desk.pass_time(1) if isinstance(row, Alert)]
    assert [row.code for row in desk.pass_time(2) if isinstance(row, Alert)] == ["SQUARE_OFF_MISSED"]
    assert not [row for row in desk.pass_time(300) if isinstance(row, Alert)]


def test_square_off_leaves_ten_machine_seconds_at_high_speed() -> None:
    desk = Desk()
    rule = SquareOff(desk.parts[4], {"NFO": time(15, 15)}, speed=60)
    assert rule.begins("NFO", NOW) == to_ns(DAY, time(15, 5))


def test_daily_loss_stops_entries_for_the_day_and_survives_a_restart() -> None:
    desk = Desk()
    desk.quote()
    desk.hold(CALL, 0, realised=-10_000.0)
    desk.pass_time(1)
    restarted = Desk()
    for row in desk.rows:
        restarted.machine.apply(row)
    restarted.hold(CALL, 0, realised=0.0)
    restarted.now, restarted.machine_ns = desk.now, desk.machine_ns
    restarted.beat()
    restarted.quote()
    assert "DAILY_LOSS" in codes(restarted.wish("z", Leg(instrument=CALL, lots=1)))


def test_daily_loss_takes_back_what_waits_to_be_entered() -> None:
    desk = Desk()
    desk.quote()
    (entry,) = desk.wish("a", Leg(instrument=CALL, lots=1))
    desk.order(entry, OrderState.ACCEPTED)
    rows = desk.hold(PUT, 0, realised=-10_000.0)
    assert [row.instrument for row in rows if isinstance(row, WithdrawEntries)] == [CALL]
    assert desk.pass_time(1) == ()


def test_loss_of_an_earlier_day_does_not_stop_entries_of_a_carried_position_today() -> None:
    desk = Desk()
    desk.quote()
    desk.hold(CALL, 65, realised=-10_000.0)
    desk.machine.apply(desk.machine.snapshot("2026-03-19"))
    desk.now += 86_400 * SECOND
    desk.quote(price=99.0)
    assert desk.machine.state.memory.money.profit(("account", "main")) == pytest.approx(-65.0)
    assert desk.machine.limits.reached("main", "S") == {}


@pytest.mark.parametrize("share, seconds, withdrawn", [(True, 9, False), (True, 11, True), (False, 11, False),
                                                       (False, 61, True)])  # fmt: skip
def test_entry_does_not_rest_where_no_quote_comes(share: bool, seconds: float, withdrawn: bool) -> None:
    desk = Desk()
    name = SHARE if share else CALL
    desk.quote(name)
    (entry,) = desk.wish("a", Leg(instrument=name, lots=5 if share else 1))
    desk.order(entry, OrderState.ACCEPTED)
    rows = desk.pass_time(seconds)
    assert [type(row) for row in rows] == ([WithdrawEntries] if withdrawn else [])
    assert desk.pass_time(1) == (), "it is withdrawn once"


def test_entry_is_denied_while_the_positions_were_not_read_for_minutes() -> None:
    desk = Desk()
    health = AccountHealth(
        account="main", connected=True, right_mode=True, stream_up=True, books_agree=True,
        last_orders_machine_ns=desk.machine_ns, last_positions_machine_ns=desk.machine_ns - 151 * SECOND,
    )  # fmt: skip
    desk.machine.apply(health)
    desk.quote()
    assert codes(desk.wish("a", Leg(instrument=CALL, lots=1))) == ["POSITION_IN_DOUBT"]


@pytest.mark.parametrize("lacking", [{"behind": (WATCH,)}, {"holes": (WATCH,)}, {"holes": (CALL,)}])
def test_entry_is_denied_while_bars_behind_it_are_missing_and_its_exit_is_not(lacking: dict[str, Any]) -> None:
    """A feed that started again was waited for as a whole; a hole that history never filled was traded on."""
    desk = Desk()
    desk.quote()
    desk.machine.apply(BarsLacking(daemon="feed", **lacking))
    assert codes(desk.wish("a", Leg(instrument=CALL, lots=1))) == ["BARS_MISSING"]
    desk.machine.apply(BarsLacking(daemon="feed", behind=(SHARE,)))
    (entry,) = desk.wish("b", Leg(instrument=CALL, lots=1))
    desk.fill(entry)
    desk.machine.apply(BarsLacking(daemon="feed", **lacking))
    assert [type(row) for row in desk.wish("c", action=Action.EXIT)] == [CloseGoal]


def test_entry_is_denied_while_anybodys_position_there_is_disputed() -> None:
    desk = Desk()
    desk.quote()
    disputed = Position(
        account="main", instrument=CALL, product=Product.MIS, strategy="other", run="r", quantity=65, quantity_seen=65,
        average_price=100.0, opened_ns=desk.now, updated_ns=desk.now, confidence=Confidence.DISPUTED,
    )  # fmt: skip
    desk.give(PositionChanged(position=disputed, client_order_id="", fill_quantity=0, fill_price=0.0, at_ns=desk.now))
    assert codes(desk.wish("a", Leg(instrument=CALL, lots=1))) == ["POSITION_IN_DOUBT"]


def test_replayed_rows_give_the_same_state_and_decide_nothing_again() -> None:
    desk = Desk()
    desk.quote()
    (entry,) = desk.wish("a", Leg(instrument=CALL, lots=1))
    desk.fill(entry)
    desk.wish("b", action=Action.EXIT)
    again = Desk()
    for row in desk.rows:
        again.machine.apply(row)
    assert again.machine.snapshot("2026-03-18") == desk.machine.snapshot("2026-03-18")
    assert decisions(again.machine.decide(TimerFired(name="risk", machine_ns=desk.machine_ns), desk.now)) == ()


def test_next_day_begins_with_what_the_day_before_left() -> None:
    desk = Desk()
    desk.quote()
    (entry,) = desk.wish("a", Leg(instrument=CALL, lots=1))
    desk.fill(entry)
    tomorrow = Desk()
    tomorrow.machine.apply(desk.machine.snapshot("2026-03-19"))
    assert tomorrow.machine.snapshot("2026-03-19") == desk.machine.snapshot("2026-03-19")
    tomorrow.quote()
    assert tomorrow.wish("a", Leg(instrument=CALL, lots=1)) == ()


def test_refused_contracts_deny_entries_and_are_still_closed() -> None:
    desk = Desk()
    desk.machine.master = Snapshot(day=TODAY, fetched_ns=1, refusals=(Refusal("NIFTY", "the list was cut short"),))
    (denied,) = desk.wish("a", Leg(instrument=CALL, lots=1))
    assert (denied.code, denied.message[:22]) == ("INSTRUMENTS_REFUSED", "the list was cut short")
    desk.quote()
    desk.hold(CALL, 65)
    assert [type(row) for row in desk.wish("b", action=Action.EXIT)] == [CloseGoal]


def test_contracts_of_other_underlyings_are_entered_while_one_is_refused() -> None:
    desk = Desk()
    desk.machine.master = Snapshot(day=TODAY, fetched_ns=1, refusals=(Refusal("NIFTY", "the list was cut short"),))
    desk.quote(SHARE)
    assert [type(row) for row in desk.wish("c", Leg(instrument=SHARE, lots=5))] == [PlaceEntry]


def test_wish_waits_for_the_instruments_of_its_day_and_is_denied_without_them() -> None:
    desk = Desk()
    desk.machine.master = Snapshot(day="2026-03-16", fetched_ns=1)
    desk.quote()
    assert desk.wish("a", Leg(instrument=CALL, lots=1)) == ()
    desk.machine.master = Snapshot(day=TODAY, fetched_ns=1)
    assert [type(row) for row in desk.quote(price=101.0)] == [PlaceEntry]
    desk = Desk()
    desk.machine.master = Snapshot(day="2026-03-16", fetched_ns=1)
    desk.quote()
    desk.wish("a", Leg(instrument=CALL, lots=1))
    (late,) = desk.pass_time(61)
    assert "those at hand are of 2026-03-16" in late.message


def test_denials_page_is_that_of_the_table() -> None:
    page = (ROOT / "docs" / "denials.md").read_text(encoding="utf-8")
    assert page == denials_page(), "make it anew: write core.risk.rules.table.denials_page() to docs/denials.md"
    assert len({rule.code for rule in RULES}) == len(RULES)


def _goal(goal: CloseGoal, state: str) -> Goal:
    return Goal(
        id=goal.id, account=goal.account, instrument=goal.instrument, product=goal.product, strategy=goal.strategy,
        run=goal.run, cause=goal.cause, reason=goal.reason, purpose=goal.purpose, state=state,
    )  # fmt: skip


def test_entry_in_an_instrument_with_a_row_nobody_can_read_is_denied_and_in_no_other() -> None:
    desk = Desk()
    health = desk.machine.state.health["main"]
    desk.machine.apply(msgspec.structs.replace(health, unread=(CALL,)))
    desk.quote()
    (denied,) = desk.wish("s1", Leg(instrument=CALL, lots=1))
    assert denied.code == "POSITION_IN_DOUBT"
    desk.quote(PUT)
    (entry,) = desk.wish("s2", Leg(instrument=PUT, lots=1))
    assert isinstance(entry, PlaceEntry)
