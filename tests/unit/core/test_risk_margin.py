"""Risk with margin: what is admitted, what is left out and why, and how wishes are sized in one account or several."""

from __future__ import annotations

from datetime import date, time
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from mytrading.core.calendar import to_ns
from mytrading.core.risk.machine import RiskMachine
from mytrading.messages.commands import CloseGoal, PlaceEntry, SignalDenied
from mytrading.messages.enums import Action, OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.orders import Order, OrderChanged, Position, PositionChanged
from mytrading.messages.records import LevelMoved, WishSized
from mytrading.messages.reports import AccountHealth, Funds, MarginAnswer, MarginRequest
from mytrading.messages.runconfig import Allocation, Direction, SizingRule, StopPlan, StrategyRun
from mytrading.messages.signals import Leg
from tests.unit.core.test_margin import TABLES
from tests.unit.core.test_risk_machine import CALL, LIMITS, PUT, SECOND, WATCH, Desk, codes

FUTURE = "NFO:NIFTY30MAR26FUT"
LOT = 65
NONE_OF_IT = replace(LIMITS, max_position_size=1e9, max_order_size=1e9, max_daily_loss=1e9)
SHORT_CALL, SHORT_PUT = Leg(instrument=CALL, lots=-1), Leg(instrument=PUT, lots=-1)


class MarginDesk(Desk):
    """A desk with the shipped figures, one strategy in some accounts, and funds as their broker reports them."""

    def __init__(self, sizing: SizingRule | None = None, accounts: tuple[str, ...] = ("main",)) -> None:
        super().__init__(NONE_OF_IT)
        run = StrategyRun(
            name="S", file="s.py", symbols=(WATCH,), long=None, short=None, direction=Direction.BOTH,
            accounts=accounts, sizing=sizing or SizingRule(), stop=StopPlan.NONE,
        )  # fmt: skip
        limits, rates, _, _, calendar, book, square_off = self.parts
        self.machine = RiskMachine(limits, rates, (run,), "main", calendar, book, square_off)
        self.machine.tables = TABLES
        self.accounts = accounts
        self.beat()
        for instrument in (CALL, PUT, FUTURE):
            self.quote(instrument)

    def beat(self) -> None:
        super().beat()
        for account in getattr(self, "accounts", ()):
            health = AccountHealth(account=account, connected=True, right_mode=True, stream_up=True, books_agree=True)
            self.machine.apply(health)

    def fund(self, available: float, account: str = "main", collateral: float = 0.0) -> None:
        self.machine.apply(
            Funds(
                account=account, available=available, used=0.0, collateral=collateral, machine_ns=self.machine_ns,
                began_machine_ns=self.machine_ns,
            )
        )  # fmt: skip

    def sell(self, name: str, *legs: Leg) -> tuple[Any, ...]:
        return self.wish(name, *(legs or (SHORT_CALL,)), action=Action.SELL, product=Product.NRML)

    def reject(self, entry: PlaceEntry, message: str) -> tuple[Any, ...]:
        order = Order(
            client_order_id=entry.id, account=entry.account, instrument=entry.instrument, product=entry.product,
            strategy="S", run=entry.run, cause=entry.cause, purpose=Purpose.ENTRY, side=entry.side,
            quantity=entry.quantity, order_type=OrderType.MARKET, state=OrderState.REJECTED, created_ns=self.now,
            updated_ns=self.now, message=message,
        )  # fmt: skip
        return self.give(OrderChanged(event="rejected", order=order, machine_ns=self.machine_ns))

    def fill_in(self, entry: PlaceEntry) -> None:
        order = Order(
            client_order_id=entry.id, account=entry.account, instrument=entry.instrument, product=entry.product,
            strategy="S", run=entry.run, cause=entry.cause, purpose=Purpose.ENTRY, side=entry.side,
            quantity=entry.quantity, order_type=OrderType.MARKET, state=OrderState.FILLED, created_ns=self.now,
            updated_ns=self.now, filled=entry.quantity,
        )  # fmt: skip
        self.give(OrderChanged(event="filled", order=order, machine_ns=self.machine_ns))
        units = entry.quantity * entry.side.sign
        position = Position(
            account=entry.account, instrument=entry.instrument, product=entry.product, strategy="S", run=entry.run,
            quantity=units, quantity_seen=units, average_price=100.0, opened_ns=self.now, updated_ns=self.now,
        )  # fmt: skip
        self.give(
            PositionChanged(
                position=position, client_order_id=entry.id, fill_quantity=units, fill_price=100.0, at_ns=self.now
            )
        )


def entries(rows: tuple[Any, ...]) -> list[PlaceEntry]:
    return [row for row in rows if isinstance(row, PlaceEntry)]


def test_sold_option_with_enough_margin_is_ordered_and_reserves_it() -> None:
    desk = MarginDesk()
    desk.fund(300_000)
    (entry,) = desk.sell("a")
    assert (entry.side, entry.quantity, entry.margin) == (Side.SELL, LOT, 250_000)
    assert desk.machine.margins.available("main") == 50_000


def test_future_with_enough_margin_is_ordered() -> None:
    desk = MarginDesk()
    desk.fund(300_000)
    (entry,) = desk.sell("a", Leg(instrument=FUTURE, lots=-1))
    assert (entry.side, entry.margin) == (Side.SELL, 215_000)


def test_sold_option_needs_the_buffer_too() -> None:
    desk = MarginDesk()
    desk.fund(274_999)
    (denied,) = desk.sell("a")
    assert (denied.code, denied.account) == ("INSUFFICIENT_MARGIN", "main")
    assert "₹2,75,000 of margin needed, ₹2,74,999 free" in denied.message


def test_sold_option_waits_for_nothing_and_is_denied_while_funds_are_not_known() -> None:
    assert codes(MarginDesk().sell("a")) == ["MARGIN_UNKNOWN"]


def test_second_order_sees_what_the_first_reserved() -> None:
    desk = MarginDesk()
    desk.fund(500_000)
    (call,) = desk.sell("a")
    desk.fill_in(call)
    (exit_first, *_) = desk.sell("b", SHORT_PUT)
    assert isinstance(exit_first, CloseGoal)  # the call is not wished for any more
    assert desk.machine.margins.available("main") == 250_000


def test_collateral_counts_for_sellers_and_not_for_buyers() -> None:
    desk = MarginDesk()
    desk.fund(1_000, collateral=400_000)
    assert entries(desk.sell("a"))
    desk = MarginDesk()
    desk.fund(1_000, collateral=400_000)
    assert codes(desk.wish("b", Leg(instrument=CALL, lots=1))) == ["INSUFFICIENT_MARGIN"]


def test_straddle_is_charged_once_and_neither_leg_goes_if_it_is_too_much() -> None:
    desk = MarginDesk()
    desk.fund(352_000)
    assert len(entries(desk.sell("a", SHORT_CALL, SHORT_PUT))) == 2
    desk = MarginDesk()
    desk.fund(351_000)
    assert codes(desk.sell("a", SHORT_CALL, SHORT_PUT)) == ["INSUFFICIENT_MARGIN"] * 2


def test_hedge_goes_first_once_the_whole_basket_can_be_paid() -> None:
    desk = MarginDesk()
    desk.fund(270_000)
    legs = (SHORT_CALL, Leg(instrument=PUT, lots=1))
    assert codes(desk.sell("a", *legs)) == ["INSUFFICIENT_MARGIN"] * 2
    desk.fund(290_000)
    (hedge,) = entries(desk.sell("b", *legs))
    assert hedge.instrument == PUT


# sizing


def sized(desk: MarginDesk, *legs: Leg) -> dict[str, int]:
    return {entry.instrument: entry.quantity * entry.side.sign for entry in entries(desk.sell("a", *legs))}


@pytest.mark.parametrize(
    ("by", "margin", "lots"),
    [("conservative", 1_000_000, 1), ("balanced", 1_000_000, 2), ("aggressive", 1_000_000, 3), ("A", 1_000_000, 3),
     ("B", 1_000_000, 2), ("C", 1_000_000, 1)],
)  # fmt: skip
def test_profile_sizes_a_sold_option_by_the_margin_of_its_account(by: str, margin: float, lots: int) -> None:
    desk = MarginDesk(SizingRule(by=by))
    desk.fund(margin)
    assert sized(desk) == {CALL: -lots * LOT}


def test_profile_gives_both_legs_of_a_straddle_the_same_quantity() -> None:
    desk = MarginDesk(SizingRule(by="balanced"))
    desk.fund(1_000_000)
    assert sized(desk, SHORT_CALL, SHORT_PUT) == {CALL: -2 * LOT, PUT: -2 * LOT}


def test_profile_sizes_a_buyer_from_cash_and_the_budget_per_lot() -> None:
    desk = MarginDesk(SizingRule(by="C"))
    desk.fund(1_000_000, collateral=5_000_000)
    assert sized(desk, Leg(instrument=CALL, lots=1)) == {CALL: 18 * LOT}


def test_grade_for_sellers_leaves_a_buyer_the_lots_of_its_wish() -> None:
    desk = MarginDesk(SizingRule(by="A"))
    desk.machine.tables = msgspec.convert(
        msgspec.to_builtins(TABLES) | {"grades": {"A": {"share": 0.95, "source": "available"}}}, type(TABLES)
    )
    desk.fund(1_000_000)
    assert sized(desk, Leg(instrument=CALL, lots=3)) == {CALL: 3 * LOT}


def test_account_below_one_lot_is_left_out_with_a_reason_and_without_an_order() -> None:
    desk = MarginDesk(SizingRule(by="A"))
    desk.fund(200_000)
    (denied,) = desk.sell("a")
    assert denied.code == "INSUFFICIENT_MARGIN"
    assert "insufficient margin in main: 95% of ₹200,000 free is ₹190,000, one lot needs ₹250,000" in denied.message


def test_profile_waits_for_the_funds_of_its_account() -> None:
    desk = MarginDesk(SizingRule(by="balanced"))
    assert desk.sell("a") == ()
    desk.fund(1_000_000)
    (row, entry) = desk.pass_time(0.25)
    assert isinstance(row, WishSized) and entry.quantity == 2 * LOT


def test_size_stays_when_the_same_wish_comes_again_with_other_margin() -> None:
    desk = MarginDesk(SizingRule(by="balanced"))
    desk.fund(1_000_000)
    (_, entry) = desk.sell("a")
    desk.fill_in(entry)
    desk.fund(4_000_000)
    assert desk.sell("b") == ()
    assert desk.pass_time(1) == ()


def test_size_survives_a_restart_and_the_turn_of_a_day() -> None:
    desk = MarginDesk(SizingRule(by="balanced"))
    desk.fund(1_000_000)
    (_, entry) = desk.sell("a")
    desk.fill_in(entry)
    carried = desk.machine.snapshot("2026-03-19")
    again = MarginDesk(SizingRule(by="balanced"))
    again.machine.apply(carried)
    again.fund(4_000_000)
    assert again.pass_time(1) == ()


def test_risk_per_trade_over_the_stop_distance_gives_the_lots() -> None:
    desk = MarginDesk(SizingRule(by="risk", risk_per_trade=6500, max_lots=10))
    desk.fund(10_000_000)
    assert sized(desk, Leg(instrument=CALL, lots=1, stop_price=80.05)) == {CALL: 5 * LOT}  # bought at 100.05
    desk = MarginDesk(SizingRule(by="risk", risk_per_trade=6500, max_lots=10))
    desk.fund(10_000_000)
    assert sized(desk, Leg(instrument=CALL, lots=1, stop_price=99.05)) == {CALL: 10 * LOT}


def test_confidence_scales_the_lots() -> None:
    desk = MarginDesk(SizingRule(by="fixed", confidence_scaling=True))
    desk.fund(10_000_000)
    signal = desk.machine.state
    assert signal.wishes == {}
    (_, entry) = desk.give(_with_confidence(desk, 0.5, Leg(instrument=CALL, lots=4)))
    assert entry.quantity == 2 * LOT


def _with_confidence(desk: MarginDesk, confidence: float, leg: Leg) -> Any:
    from mytrading.messages.signals import Signal

    return Signal(
        id="c", strategy="S", watch=WATCH, action=Action.BUY, legs=(leg,), created_ns=desk.now, confidence=confidence,
        expires_ns=desk.now + 60 * SECOND, expires_machine_ns=desk.machine_ns + 2 * SECOND,
    )  # fmt: skip


def test_leg_of_more_than_a_hundred_lots_is_denied() -> None:
    desk = MarginDesk()
    desk.fund(1e9)
    assert codes(desk.wish("a", Leg(instrument=CALL, lots=101))) == ["LOTS_PER_LEG"]
    assert entries(desk.wish("b", Leg(instrument=CALL, lots=100)))


# accounts

TEN = tuple(f"a{number}" for number in range(10))


def test_ten_accounts_are_ordered_in_one_decision_each_by_its_own_margin() -> None:
    desk = MarginDesk(SizingRule(by="balanced"), TEN)
    for number, account in enumerate(TEN):
        desk.fund(400_000 * number, account)
    rows = desk.sell("a")
    lots = {entry.account: entry.quantity // LOT for entry in entries(rows)}
    assert lots == {f"a{number}": int(400_000 * number * 0.65 // 250_000) for number in range(1, 10)}
    denied = [row for row in rows if isinstance(row, SignalDenied)]
    assert [(row.account, row.code) for row in denied] == [("a0", "INSUFFICIENT_MARGIN")]


def test_refusal_in_one_account_leaves_the_others() -> None:
    desk = MarginDesk(accounts=("a", "b"))
    desk.fund(300_000, "a")
    desk.fund(1_000, "b")
    rows = desk.sell("x")
    assert [row.account for row in entries(rows)] == ["a"]
    assert codes(rows) == ["INSUFFICIENT_MARGIN"]
    desk.fill_in(entries(rows)[0])
    assert desk.machine.state.wishes["S", WATCH].settled


def test_proportional_allocation_shares_the_lots_by_free_margin() -> None:
    desk = MarginDesk(SizingRule(allocation=Allocation.PROPORTIONAL), ("a", "b"))
    desk.fund(3_000_000, "a")
    desk.fund(1_000_000, "b")
    lots = {entry.account: entry.quantity // LOT for entry in entries(desk.sell("x", Leg(instrument=CALL, lots=-4)))}
    assert lots == {"a": 6, "b": 2}


def shares(*funds: float, asks: bool = False) -> MarginDesk:
    """A desk that shares the lots of a wish to accounts a, b, c by what they have free; 0 is not told yet."""
    names = tuple("abc"[: len(funds)])
    desk = MarginDesk(SizingRule(allocation=Allocation.PROPORTIONAL), names)
    desk.machine.needs_funds, desk.machine.asks_broker = True, asks
    for name, free in zip(names, funds, strict=True):
        if free:
            desk.fund(free, name)
    return desk


def lots_of(rows: Any) -> dict[str, int]:
    return {entry.account: entry.quantity // LOT for entry in entries(rows)}


FOUR = Leg(instrument=CALL, lots=-4)


def test_proportional_allocation_waits_for_the_funds_of_every_account() -> None:
    desk = shares(3_000_000, 0)
    assert desk.sell("x", FOUR) == ()
    desk.fund(1_000_000, "b")
    assert lots_of(desk.pass_time(1)) == {"a": 6, "b": 2}


def test_proportional_lots_are_shared_once_though_the_broker_answers_for_one_account_first() -> None:
    desk = shares(3_000_000, 1_000_000, asks=True)
    rows = desk.sell("x", FOUR)
    asked = [row for row in rows if isinstance(row, MarginRequest)]
    assert [(row.account, row.lines[0].quantity // LOT) for row in asked] == [("a", 6), ("b", 2)]
    rows = ()
    for row, total in zip(asked, (1_500_000, 500_000), strict=True):
        rows += desk.give(MarginAnswer(id=row.id, account=row.account, total=total, machine_ns=desk.machine_ns))
    assert lots_of(rows) == {"a": 6, "b": 2}
    assert not any(isinstance(row, MarginRequest) for row in rows)


def test_account_that_is_sized_later_gets_of_what_the_others_left() -> None:
    desk = shares(3_000_000, 1_000_000, 2_000_000)
    desk.machine.state.closing.add(("b", CALL, "NRML", "S"))
    assert lots_of(desk.sell("x", FOUR)) == {"a": 6, "c": 4}
    desk.machine.state.closing.clear()
    desk.fund(9_000_000, "b")
    assert lots_of(desk.pass_time(1)) == {"b": 2}


def test_account_whose_funds_do_not_come_neither_keeps_the_others_for_long_nor_passes_its_lots_on() -> None:
    desk = shares(3_000_000, 1_000_000, 0)
    assert desk.sell("x", FOUR) == ()
    rows: tuple[Any, ...] = ()
    for _ in range(12):
        rows += (*desk.pass_time(1), *desk.quote(CALL))
    assert lots_of(rows) == {"a": 6, "b": 2}
    desk.now += 60 * SECOND
    rows = desk.pass_time(1)
    assert [(row.account, row.code) for row in rows if isinstance(row, SignalDenied)] == [("c", "EXPIRED")]


def test_account_whose_funds_come_after_the_others_were_sized_gets_its_even_part() -> None:
    desk = shares(3_000_000, 0)
    desk.sell("x", FOUR)
    rows: tuple[Any, ...] = ()
    for _ in range(12):
        rows += (*desk.pass_time(1), *desk.quote(CALL))
    assert lots_of(rows) == {"a": 4}
    desk.fund(9_000_000, "b")
    assert lots_of(desk.pass_time(1)) == {"b": 4}


def test_custom_allocation_takes_each_accounts_factor() -> None:
    desk = MarginDesk(SizingRule(allocation=Allocation.CUSTOM, factors={"b": 0.5}), ("a", "b"))
    for account in ("a", "b"):
        desk.fund(3_000_000, account)
    lots = {entry.account: entry.quantity // LOT for entry in entries(desk.sell("x", Leg(instrument=CALL, lots=-4)))}
    assert lots == {"a": 4, "b": 2}


# the buffer


def test_refusal_for_want_of_margin_raises_the_buffer_until_quiet_days_lower_it() -> None:
    desk = MarginDesk()
    desk.fund(300_000)
    (entry,) = desk.sell("a")
    moved = desk.reject(entry, "RMS: Margin Exceeds, shortage: 12000")
    assert next(row.value for row in moved if isinstance(row, LevelMoved)) == pytest.approx(0.12)
    assert desk.machine.margins.available("main") == 300_000
    next_day = MarginDesk()
    next_day.machine.apply(desk.machine.snapshot("2026-03-19"))
    assert next_day.machine.margins.buffer("main") == pytest.approx(0.12)
    day_after = MarginDesk()
    day_after.machine.apply(next_day.machine.snapshot("2026-03-20"))
    assert day_after.machine.margins.buffer("main") == pytest.approx(0.10)


def test_other_refusal_teaches_nothing_about_margin() -> None:
    desk = MarginDesk()
    desk.fund(300_000)
    (entry,) = desk.sell("a")
    assert not [row for row in desk.reject(entry, "price band") if isinstance(row, LevelMoved)]


def test_expiry_column_counts_on_the_day_of_expiry_alone() -> None:
    desk = MarginDesk()
    desk.now = to_ns(date(2026, 3, 24), time(11, 0))  # a Tuesday, the expiry of both options
    desk.beat()
    for instrument in (CALL, PUT):
        desk.quote(instrument)
    desk.fund(300_000)
    (entry,) = desk.sell("a")
    assert entry.margin == 205_000


# the broker's own figure


def ask(desk: MarginDesk) -> MarginRequest:
    desk.machine.asks_broker = True
    (question,) = desk.sell("a", SHORT_CALL, SHORT_PUT)
    assert isinstance(question, MarginRequest)
    return question


def answer(desk: MarginDesk, question: MarginRequest, total: float | None) -> tuple[Any, ...]:
    return desk.give(MarginAnswer(id=question.id, account="main", machine_ns=desk.machine_ns, total=total))


def test_broker_is_asked_for_all_legs_before_any_is_ordered() -> None:
    desk = MarginDesk()
    desk.fund(1_000_000)
    question = ask(desk)
    assert [(line.instrument, line.side, line.quantity) for line in question.lines] == [
        (CALL, Side.SELL, LOT),
        (PUT, Side.SELL, LOT),
    ]
    assert desk.pass_time(0.25) == ()
    rows = answer(desk, question, 300_000.0)
    assert sum(entry.margin for entry in entries(rows)) == pytest.approx(320_000)  # the table's is more


def test_brokers_larger_figure_counts() -> None:
    desk = MarginDesk()
    desk.fund(500_000)
    assert len(entries(answer(desk, ask(desk), 400_000.0))) == 2
    desk = MarginDesk()
    desk.fund(439_000)
    assert codes(answer(desk, ask(desk), 400_000.0)) == ["INSUFFICIENT_MARGIN"] * 2


@pytest.mark.parametrize("total", [None, 0.0, -5.0, 99_000_000.0])
def test_brokers_senseless_figure_leaves_the_table(total: float | None) -> None:
    desk = MarginDesk()
    desk.fund(352_000)
    assert len(entries(answer(desk, ask(desk), total))) == 2


def test_broker_that_is_silent_is_waited_for_a_moment_only() -> None:
    desk = MarginDesk()
    desk.fund(352_000)
    ask(desk)
    assert desk.pass_time(1.0) == ()
    for instrument in (CALL, PUT):
        desk.quote(instrument)
    assert len(entries(desk.pass_time(1.0))) == 2


def test_bought_option_is_not_asked_for() -> None:
    desk = MarginDesk()
    desk.machine.asks_broker = True
    desk.fund(352_000)
    assert entries(desk.wish("a", Leg(instrument=CALL, lots=1)))
