"""Risk with several legs and several accounts: hedges first, orphans closed, every account for itself."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from mytrading.messages.commands import CloseGoal, PlaceEntry, SignalDenied, WithdrawEntries
from mytrading.messages.control import Alert
from mytrading.messages.enums import Action, OrderState, Product, Purpose
from mytrading.messages.orders import Order, OrderChanged, Position, PositionChanged, TimerFired
from mytrading.messages.reports import AccountHealth
from mytrading.messages.runconfig import OrphanLegs
from mytrading.messages.signals import Leg
from tests.unit.core.test_risk_machine import CALL, LIMITS, SECOND, SHARE, Desk

ROOMY = replace(LIMITS, max_position_size=10_000_000, max_order_size=10_000_000)
HEDGE, SOLD = Leg(instrument=CALL, lots=1), Leg(instrument=SHARE, lots=-10)


class Basket(Desk):
    """A desk whose strategy trades a hedge and a sold share, in one account or two."""

    def __init__(self, accounts: tuple[str, ...] = (), orphans: OrphanLegs = OrphanLegs.UNWIND, tries: int = 2) -> None:
        super().__init__(ROOMY)
        self.machine.strategies["S"] = replace(
            self.machine.strategies["S"], accounts=accounts, orphan_legs=orphans, orphan_tries=tries
        )
        for account in accounts:
            self.machine.apply(
                AccountHealth(account=account, connected=True, right_mode=True, stream_up=True, books_agree=True)
            )
        self.quote()
        self.quote(SHARE, 800.0)

    def again(self) -> Basket:
        """A machine that was killed: it learns its rows anew."""
        other = Basket()
        other.machine.strategies.update(self.machine.strategies)
        for account in ("main", *self.machine.strategies["S"].accounts):
            other.machine.apply(
                AccountHealth(account=account, connected=True, right_mode=True, stream_up=True, books_agree=True)
            )
        for row in self.rows:
            other.machine.apply(row)
        other.rows = list(self.rows)
        return other

    def tell(self, entry: PlaceEntry, state: OrderState, filled: int = 0) -> tuple[Any, ...]:
        order = Order(
            client_order_id=entry.id, account=entry.account, instrument=entry.instrument, product=entry.product,
            strategy="S", run=entry.run, cause=entry.cause, purpose=Purpose.ENTRY, side=entry.side,
            quantity=entry.quantity, order_type=entry.order_type, state=state, created_ns=self.now,
            updated_ns=self.now, filled=filled,
        )  # fmt: skip
        return self.give(OrderChanged(event=state.value.lower(), order=order, machine_ns=self.machine_ns))

    def held(self, account: str, instrument: str, quantity: int, entry: str = "", units: int = 0) -> tuple[Any, ...]:
        position = Position(
            account=account, instrument=instrument, product=Product.MIS, strategy="S", run="r", quantity=quantity,
            quantity_seen=quantity, average_price=100.0, opened_ns=self.now, updated_ns=self.now,
        )  # fmt: skip
        return self.give(
            PositionChanged(
                position=position, client_order_id=entry, fill_quantity=units, fill_price=100.0, at_ns=self.now
            )
        )

    def filled(self, entry: PlaceEntry) -> tuple[Any, ...]:
        units = entry.quantity * entry.side.sign
        return (
            *self.tell(entry, OrderState.FILLED, entry.quantity),
            *self.held(entry.account, entry.instrument, units, entry.id, units),
        )


def entries(rows: tuple[Any, ...]) -> list[PlaceEntry]:
    return [row for row in rows if isinstance(row, PlaceEntry)]


def test_sold_leg_waits_until_its_hedge_is_held() -> None:
    desk = Basket()
    (hedge,) = entries(desk.wish("a", HEDGE, SOLD))
    assert hedge.instrument == CALL
    assert desk.tell(hedge, OrderState.ACCEPTED) == ()
    assert entries(desk.tell(hedge, OrderState.FILLED, 65)) == []
    (sold,) = entries(desk.held("main", CALL, 65, hedge.id, 65))
    assert (sold.instrument, sold.quantity, sold.side.sign) == (SHARE, 10, -1)


def test_hedge_has_no_stop_and_is_not_called_bare_for_it() -> None:
    desk = Basket()
    (hedge,) = entries(desk.wish("a", HEDGE, SOLD))
    (sold,) = entries(desk.filled(hedge))
    desk.filled(sold)
    assert (hedge.stop_trigger, hedge.stop_limit) == (0.0, 0.0)
    assert sold.stop_trigger > 800.0
    assert [key[1] for key in desk.machine.state.guarded_positions()] == [SHARE]


def test_rejected_hedge_stops_the_sold_leg_of_its_account_only() -> None:
    desk = Basket(("main", "second"))
    first, second = entries(desk.wish("a", HEDGE, SOLD))
    assert [first.account, second.account] == ["main", "second"]
    rows = desk.tell(first, OrderState.REJECTED)
    (denied,) = [row for row in rows if isinstance(row, SignalDenied)]
    assert (denied.code, denied.account) == ("BASKET_BROKEN", "main")
    assert any(isinstance(row, Alert) for row in rows)
    (sold,) = entries(desk.filled(second))
    assert sold.account == "second"
    desk.filled(sold)
    assert all(entry.account == "second" for entry in entries(tuple(desk.rows)) if entry.instrument == SHARE)


def test_rejected_sold_leg_closes_the_hedge() -> None:
    desk = Basket()
    (hedge,) = entries(desk.wish("a", HEDGE, SOLD))
    (sold,) = entries(desk.filled(hedge))
    rows = desk.tell(sold, OrderState.REJECTED)
    (goal,) = [row for row in rows if isinstance(row, CloseGoal)]
    assert goal.instrument == CALL
    assert "could not be had" in goal.reason


def test_rejected_sold_leg_is_tried_again_under_its_own_id_then_the_hedge_is_closed() -> None:
    desk = Basket(orphans=OrphanLegs.RETRY, tries=1)
    (hedge,) = entries(desk.wish("a", HEDGE, SOLD))
    (sold,) = entries(desk.filled(hedge))
    (again,) = entries(desk.tell(sold, OrderState.REJECTED))
    assert (again.instrument, again.quantity) == (SHARE, 10)
    assert again.id != sold.id
    rows = desk.tell(again, OrderState.REJECTED)
    assert [row.instrument for row in rows if isinstance(row, CloseGoal)] == [CALL]
    assert entries(rows) == []


def test_orphan_is_only_reported_where_that_is_wanted() -> None:
    desk = Basket(orphans=OrphanLegs.REPORT)
    (hedge,) = entries(desk.wish("a", HEDGE, SOLD))
    (sold,) = entries(desk.filled(hedge))
    rows = desk.tell(sold, OrderState.REJECTED)
    assert not any(isinstance(row, CloseGoal) for row in rows)
    assert [row.code for row in rows if isinstance(row, Alert)] == ["BASKET_BROKEN"]


def test_leg_that_no_rule_admits_keeps_the_whole_basket_from_beginning() -> None:
    desk = Basket()
    rows = desk.wish("a", HEDGE, SOLD, Leg(instrument="NFO:NOBODYKNOWS", lots=-1))
    assert {row.code for row in rows} == {"UNKNOWN_INSTRUMENT"}


def test_wish_that_ends_before_the_sold_leg_could_go_gives_the_hedge_up() -> None:
    desk = Basket()
    (hedge,) = entries(desk.wish("a", HEDGE, SOLD))
    desk.now += 200 * SECOND
    desk.machine_ns += 200 * SECOND
    desk.machine.notice(desk.machine_ns)
    rows = desk.filled(hedge)
    assert entries(rows) == []
    assert [row.instrument for row in rows if isinstance(row, CloseGoal)] == [CALL]


def test_exit_closes_the_sold_leg_first() -> None:
    desk = Basket()
    (hedge,) = entries(desk.wish("a", HEDGE, SOLD))
    (sold,) = entries(desk.filled(hedge))
    desk.filled(sold)
    rows = desk.wish("b", action=Action.EXIT)
    assert [row.instrument for row in rows if isinstance(row, CloseGoal)] == [SHARE]
    rows = desk.held("main", SHARE, 0, units=0)
    assert [row.instrument for row in rows if isinstance(row, CloseGoal)] == [CALL]


def test_broken_basket_takes_back_what_is_on_its_way() -> None:
    desk = Basket()
    third = Leg(instrument="NFO:NIFTY24MAR2623000PE", lots=1)
    desk.quote(third.instrument)
    first, second = entries(desk.wish("a", HEDGE, third, SOLD))
    desk.tell(second, OrderState.ACCEPTED)
    rows = desk.tell(first, OrderState.REJECTED)
    assert [row.instrument for row in rows if isinstance(row, WithdrawEntries)] == [second.instrument]
    late = desk.filled(second)
    assert [row.instrument for row in late if isinstance(row, CloseGoal)] == [second.instrument]


@pytest.mark.parametrize("cut", range(1, 14))
def test_restart_at_any_row_goes_on_as_if_there_had_been_none(cut: int) -> None:
    desk = Basket(("main", "second"), OrphanLegs.RETRY, 1)
    script = [
        lambda d: d.wish("a", HEDGE, SOLD),
        *[lambda d, n=n: d.filled(entries(tuple(d.rows))[n]) for n in range(2)],
        lambda d: d.tell(entries(tuple(d.rows))[2], OrderState.REJECTED),
        lambda d: d.filled(entries(tuple(d.rows))[3]),
        lambda d: d.filled(entries(tuple(d.rows))[4]),
        lambda d: d.give(TimerFired(name="risk", machine_ns=d.machine_ns)),
    ]
    whole, current = desk, Basket(("main", "second"), OrphanLegs.RETRY, 1)
    for step in script:
        step(whole)
        step(current)
        if len(current.rows) >= cut:
            current = current.again()
    assert msgspec.to_builtins(current.rows) == msgspec.to_builtins(whole.rows)
    assert len(entries(tuple(whole.rows))) == 5
