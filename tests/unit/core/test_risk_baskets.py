"""Risk with several legs and several accounts: hedges first, orphans closed, every account for itself."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from mytrading.core.risk.orphans import guard_cause
from mytrading.messages.commands import CloseGoal, PlaceEntry, SignalDenied, WithdrawEntries
from mytrading.messages.control import Alert
from mytrading.messages.enums import Action, OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.orders import (
    GoalChanged,
    Order,
    OrderChanged,
    Position,
    PositionChanged,
    Protection,
    ProtectionChanged,
    TimerFired,
)
from mytrading.messages.reports import AccountHealth, Funds
from mytrading.messages.runconfig import OrphanLegs
from mytrading.messages.signals import Leg, Signal
from tests.unit.core.test_risk_machine import CALL, LIMITS, NEAR, PUT, SECOND, WATCH, Desk
from tests.unit.core.test_risk_stops import done

ROOMY = replace(LIMITS, max_position_size=10_000_000, max_order_size=10_000_000)
HEDGE, SOLD = Leg(instrument=CALL, lots=1), Leg(instrument=NEAR, lots=-1)


class Basket(Desk):
    """A desk whose strategy trades a hedge and a sold call, in one account or two."""

    def __init__(self, accounts: tuple[str, ...] = (), orphans: OrphanLegs = OrphanLegs.UNWIND, tries: int = 2) -> None:
        super().__init__(ROOMY)
        self.machine.strategies["S"] = replace(
            self.machine.strategies["S"], accounts=accounts, orphan_legs=orphans, orphan_tries=tries
        )
        for account in accounts:
            self.machine.apply(
                AccountHealth(account=account, connected=True, right_mode=True, stream_up=True, books_agree=True)
            )
        self._fund()
        self.quote()
        self.quote(NEAR, 200.0)

    def _fund(self) -> None:
        for account in dict.fromkeys(("main", *self.machine.strategies["S"].accounts)):
            self.machine.apply(Funds(account=account, available=1e9, used=0.0, machine_ns=self.machine_ns))

    def again(self) -> Basket:
        """A machine that was killed: it learns its rows anew."""
        other = Basket()
        other.machine.strategies.update(self.machine.strategies)
        for account in ("main", *self.machine.strategies["S"].accounts):
            other.machine.apply(
                AccountHealth(account=account, connected=True, right_mode=True, stream_up=True, books_agree=True)
            )
        other._fund()
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
        level = next((row.held_stop for row in self.rows if isinstance(row, PlaceEntry) and row.id == entry), 0.0)
        position = Position(
            account=account, instrument=instrument, product=Product.MIS, strategy="S", run="r", quantity=quantity,
            quantity_seen=quantity, average_price=100.0, opened_ns=self.now, updated_ns=self.now,
            held_stop=level,
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
    assert (sold.instrument, sold.quantity, sold.side.sign) == (NEAR, 65, -1)


def test_hedge_has_no_stop_and_is_not_called_bare_for_it() -> None:
    desk = Basket()
    (hedge,) = entries(desk.wish("a", HEDGE, SOLD))
    (sold,) = entries(desk.filled(hedge))
    desk.filled(sold)
    assert (hedge.stop_trigger, hedge.stop_limit) == (0.0, 0.0)
    assert sold.stop_trigger > 200.0
    assert [key[1] for key in desk.machine.state.guarded_positions()] == [NEAR]


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
    assert all(entry.account == "second" for entry in entries(tuple(desk.rows)) if entry.instrument == NEAR)


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
    assert (again.instrument, again.quantity) == (NEAR, 65)
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
    assert [row.instrument for row in rows if isinstance(row, CloseGoal)] == [NEAR]
    rows = desk.held("main", NEAR, 0, units=0)
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


def stopped_out(desk: Basket, sold: PlaceEntry, purpose: Purpose = Purpose.STOP, cause: str = "") -> tuple[Any, ...]:
    """The sold leg is bought back by an order of this purpose and cause, at the broker's doing or the router's."""
    order = Order(
        client_order_id=f"x-{sold.id}", account=sold.account, instrument=sold.instrument, product=sold.product,
        strategy="S", run=sold.run, cause=cause or sold.id, purpose=purpose, side=Side.BUY, quantity=sold.quantity,
        order_type=OrderType.SL, state=OrderState.FILLED, created_ns=desk.now, updated_ns=desk.now,
        filled=sold.quantity,
    )  # fmt: skip
    desk.now += SECOND
    rows = desk.give(OrderChanged(event="filled", order=order, machine_ns=desk.machine_ns))
    return (*rows, *desk.held(sold.account, sold.instrument, 0, order.client_order_id, sold.quantity))


def complete(desk: Basket) -> PlaceEntry:
    """Hedge and sold leg are held; the sold leg's entry."""
    (hedge,) = entries(desk.wish("a", HEDGE, SOLD))
    (sold,) = entries(desk.filled(hedge))
    desk.filled(sold)
    assert desk.machine.state.wishes["S", WATCH].settled
    return sold


def closed(rows: Any) -> list[str]:
    return [row.instrument for row in rows if isinstance(row, CloseGoal)]


def alarms(rows: Any) -> list[str]:
    return [row.code for row in rows if isinstance(row, Alert)]


def test_stop_of_the_sold_leg_of_a_complete_basket_takes_the_hedge_along() -> None:
    desk = Basket()
    rows = stopped_out(desk, complete(desk))
    assert (closed(rows), alarms(rows), entries(rows)) == ([CALL], ["BASKET_BROKEN"], [])
    desk.held("main", CALL, 0)
    assert desk.machine.state.wishes["S", WATCH].settled


def test_hedge_of_a_stopped_leg_is_only_reported_where_that_is_wanted() -> None:
    desk = Basket(orphans=OrphanLegs.REPORT)
    rows = stopped_out(desk, complete(desk))
    assert (closed(rows), alarms(rows), entries(rows)) == ([], ["BASKET_BROKEN"], [])
    rows = desk.wish("b", HEDGE, SOLD)
    assert (closed(rows), alarms(rows), entries(rows)) == ([], [], []), "told once, while the hedge is held"


def test_stopped_leg_is_sold_again_as_often_as_configured_and_then_given_up() -> None:
    desk = Basket(orphans=OrphanLegs.RETRY, tries=2)
    sold, ids = complete(desk), set()
    for _ in range(2):
        (again,) = entries(stopped_out(desk, sold))
        assert (again.instrument, again.quantity, again.side.sign) == (NEAR, 65, -1)
        ids.add(again.id)
        desk.filled(again)
        sold = again
    rows = stopped_out(desk, sold)
    assert (closed(rows), alarms(rows), entries(rows), len(ids)) == ([CALL], ["BASKET_BROKEN"], [], 2)


def test_tries_of_a_stopped_leg_are_counted_over_repeats_of_the_wish() -> None:
    desk = Basket(orphans=OrphanLegs.RETRY, tries=1)
    (again,) = entries(stopped_out(desk, complete(desk)))
    desk.filled(again)
    desk.wish("b", HEDGE, SOLD)
    rows = stopped_out(desk, again)
    assert (closed(rows), entries(rows)) == ([CALL], [])


def test_stopped_leg_is_not_sold_again_when_the_time_of_its_wish_is_over() -> None:
    desk = Basket(orphans=OrphanLegs.RETRY)
    sold = complete(desk)
    desk.pass_time(600)
    rows = stopped_out(desk, sold)
    assert (closed(rows), entries(rows)) == ([CALL], [])


def test_repeat_of_the_wish_does_not_sell_what_was_stopped_out_and_unwound() -> None:
    desk = Basket()
    stopped_out(desk, complete(desk))
    assert entries(desk.wish("b", HEDGE, SOLD)) == [], "while the hedge is being closed"
    desk.held("main", CALL, 0)
    rows = desk.wish("c", HEDGE, SOLD)
    assert entries(rows) == []
    assert {row.code for row in rows if isinstance(row, SignalDenied)} == {"WISH_SPENT"}


def test_hedges_stay_while_something_else_sold_is_held() -> None:
    desk = Basket()
    sold = complete(desk)
    desk.held("main", PUT, -65)
    assert CALL not in closed(stopped_out(desk, sold))
    assert desk.machine.state.wishes["S", WATCH].lost == set()


@pytest.mark.parametrize(("purpose", "cause"), [(Purpose.EXIT, "square-off"), (Purpose.EXIT, "a-person")])
def test_sold_leg_that_is_closed_for_another_reason_takes_nothing_along(purpose: Purpose, cause: str) -> None:
    desk = Basket()
    rows = stopped_out(desk, complete(desk), purpose, cause)
    assert (closed(rows), alarms(rows), entries(rows)) == ([], [], [])


def test_exit_that_takes_a_stop_over_counts_as_the_stop() -> None:
    for cause in ("handed over", guard_cause("bare", "S")):
        desk = Basket()
        sold = complete(desk)
        level = Protection(
            id="p", account="main", instrument=NEAR, product=Product.MIS, strategy="S", run="r", cause="handed over",
            side=Side.BUY, trigger=260.0, limit=263.0, state="handed",
        )  # fmt: skip
        desk.give(ProtectionChanged(protection=level, at_ns=desk.now))
        assert closed(stopped_out(desk, sold, Purpose.EXIT, cause)) == [CALL]


def test_stopped_leg_of_one_account_leaves_the_other_accounts_basket() -> None:
    desk = Basket(("main", "second"))
    for hedge in entries(desk.wish("a", HEDGE, SOLD)):
        (sold,) = entries(desk.filled(hedge))
        desk.filled(sold)
    goals = [row for row in stopped_out(desk, sold) if isinstance(row, CloseGoal)]
    assert [(goal.account, goal.instrument) for goal in goals] == [("second", CALL)]


@pytest.mark.parametrize("orphans", list(OrphanLegs))
def test_restart_after_a_leg_was_stopped_out_goes_on_as_if_there_had_been_none(orphans: OrphanLegs) -> None:
    whole, cut = Basket(orphans=orphans, tries=1), Basket(orphans=orphans, tries=1)
    for desk in (whole, cut):
        desk.sold = complete(desk)  # type: ignore[attr-defined]
    stopped_out(whole, whole.sold)  # type: ignore[attr-defined]
    stopped_out(cut, cut.sold)  # type: ignore[attr-defined]
    next_day = Basket(orphans=orphans, tries=1)
    next_day.machine.apply(cut.machine.snapshot("2026-03-18"))
    assert next_day.machine.state.wishes["S", WATCH].lost == whole.machine.state.wishes["S", WATCH].lost != set()
    now, cut = cut.now, cut.again()
    cut.now = now
    for desk in (whole, cut):
        desk.wish("b", HEDGE, SOLD)
        desk.pass_time(1)
    assert msgspec.to_builtins(cut.rows) == msgspec.to_builtins(whole.rows)


def test_leg_that_is_being_replaced_is_no_failed_one() -> None:
    desk = Basket()
    (hedge,) = entries(desk.wish("a", HEDGE, SOLD))
    desk.tell(hedge, OrderState.ACCEPTED)
    gone = replace(desk.machine.state.orders[hedge.id], state=OrderState.CANCELLED, replacing=True, wanted_quantity=65)
    rows = desk.give(OrderChanged(event="cancelled", order=gone, machine_ns=desk.machine_ns))
    assert rows == (), "its end is not the end of the leg"
    after = replace(
        gone,
        client_order_id="next",
        replaces=hedge.id,
        state=OrderState.INITIALIZED,
        replacing=False,
        wanted_quantity=0,
    )
    done = replace(gone, replacing=False, wanted_quantity=0)
    assert desk.give(OrderChanged(event="initialized", order=after, machine_ns=desk.machine_ns)) == ()
    assert desk.give(OrderChanged(event="replaced", order=done, machine_ns=desk.machine_ns)) == ()
    assert desk.machine.state.coming_units("S", CALL, "main") == 65
    full = replace(after, state=OrderState.FILLED, filled=65)
    desk.give(OrderChanged(event="filled", order=full, machine_ns=desk.machine_ns))
    (sold,) = entries(desk.held("main", CALL, 65, "next", 65))
    assert sold.instrument == NEAR


def test_leg_whose_replacement_fails_has_failed() -> None:
    desk = Basket()
    (hedge,) = entries(desk.wish("a", HEDGE, SOLD))
    desk.tell(hedge, OrderState.ACCEPTED)
    gone = replace(desk.machine.state.orders[hedge.id], state=OrderState.CANCELLED, replacing=True, wanted_quantity=65)
    desk.give(OrderChanged(event="cancelled", order=gone, machine_ns=desk.machine_ns))
    after = replace(gone, client_order_id="next", replaces=hedge.id, state=OrderState.DENIED, replacing=False)
    rows = desk.give(OrderChanged(event="denied", order=after, machine_ns=desk.machine_ns))
    assert alarms(rows) == ["BASKET_BROKEN"]


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


def test_wish_that_names_an_instrument_twice_orders_it_once() -> None:
    """A roll-over can bring it about: the near leg of a calendar spread becomes the far one."""
    desk = Basket()
    (entry,) = entries(desk.wish("w", HEDGE, HEDGE))
    assert (entry.instrument, entry.quantity, entry.basket_calls) == (CALL, 65, 0)


def test_rupees_kept_for_a_basket_end_with_the_day_in_a_machine_that_goes_on_too() -> None:
    desk = Basket()
    (entry,) = entries(desk.wish("w", HEDGE, SOLD))
    assert desk.machine.state.kept_for_baskets("main") == entry.basket_margin > 0
    opened = desk.machine.snapshot("2026-03-19")
    other = Basket()
    for machine in (desk.machine, other.machine):
        machine.apply(opened)
        assert machine.state.kept_for_baskets("main") == 0


def test_legs_of_one_basket_count_together_against_the_limit_of_positions() -> None:
    """Each was judged alone: two legs passed a limit that had room for one."""
    basket = Basket()
    basket.machine._scene.limits = replace(ROOMY, max_total_positions=1)
    (denied,) = basket.wish("a", HEDGE, SOLD)
    assert isinstance(denied, SignalDenied)
    assert (denied.instrument, denied.codes) == (NEAR, ("MAX_TOTAL_POSITIONS",))


def test_hedge_of_a_basket_that_was_taken_back_half_entered_still_needs_no_stop() -> None:
    """A WITHDRAW left the hedge among the guarded, who alarm and flatten what has no stop at the broker."""
    basket = Basket()
    (entry,) = basket.wish("a", HEDGE, SOLD)
    basket.held("main", CALL, 65, entry.id, 65)
    assert not basket.machine.state.guarded_positions()
    for name in ("b", "c"):
        signal = Signal(
            id=name, strategy="S", watch=WATCH, action=Action.EXIT, keeps=True, created_ns=basket.now,
            expires_ns=basket.now + SECOND, expires_machine_ns=basket.machine_ns + SECOND,
        )  # fmt: skip
        basket.give(signal)
        assert not basket.machine.state.guarded_positions()
        assert not basket.again().machine.state.guarded_positions()


def test_hedge_of_a_basket_that_was_taken_back_needs_no_stop_on_the_next_day_either() -> None:
    """The turn of the day forgot what it had been bought for, and risk would have closed it as bare."""
    basket = Basket()
    (entry,) = basket.wish("a", HEDGE, SOLD)
    basket.held("main", CALL, 65, entry.id, 65)
    signal = Signal(
        id="b", strategy="S", watch=WATCH, action=Action.EXIT, keeps=True, created_ns=basket.now,
        expires_ns=basket.now + SECOND, expires_machine_ns=basket.machine_ns + SECOND,
    )  # fmt: skip
    basket.give(signal)
    opened, other = basket.machine.snapshot("2026-03-19"), Basket()
    for desk in (basket, other):
        desk.machine.apply(opened)
        assert not desk.machine.state.guarded_positions()
        desk.give(replace(signal, id="c", created_ns=basket.now + 86_400 * SECOND))
        assert not desk.machine.state.guarded_positions()


def test_last_entries_are_known_on_the_next_day_so_that_a_long_cooldown_goes_on() -> None:
    desk = Basket()
    desk.wish("a", HEDGE, SOLD)
    known = dict(desk.machine.state.last_entry)
    opened, other = desk.machine.snapshot("2026-03-19"), Basket()
    other.machine.apply(opened)
    assert other.machine.state.last_entry == known == {("S", WATCH): desk.now}


def lost_leg(orphans: OrphanLegs = OrphanLegs.REPORT) -> tuple[Basket, PlaceEntry]:
    """A basket whose hedge is held and whose sold leg was lost on its way."""
    desk = Basket(orphans=orphans)
    (hedge,) = entries(desk.wish("a", HEDGE, SOLD))
    (sold,) = entries(desk.filled(hedge))
    desk.tell(sold, OrderState.UNKNOWN)
    desk.tell(sold, OrderState.LOST)
    desk.pass_time(1)
    return desk, sold


def goals(rows: tuple[Any, ...]) -> list[str]:
    return [row.instrument for row in rows if isinstance(row, CloseGoal)]


@pytest.mark.parametrize("restarted", [False, True])
def test_bought_leg_of_which_the_sold_one_is_lost_has_its_own_stop(restarted: bool) -> None:
    desk, _ = lost_leg()
    desk = desk.again() if restarted else desk
    assert [key[1] for key in desk.machine.state.stop_levels] == [CALL]
    assert goals(desk.quote(CALL, 71.0)) == []
    assert goals(desk.quote(CALL, 70.0)) == [CALL]


@pytest.mark.parametrize("restarted", [False, True])
def test_bought_leg_is_a_hedge_again_once_the_lost_sold_one_fills(restarted: bool) -> None:
    desk, sold = lost_leg()
    desk.filled(sold)
    desk.pass_time(1)
    desk = desk.again() if restarted else desk
    assert desk.machine.state.stop_levels == {}
    assert [key[1] for key in desk.machine.state.guarded_positions()] == [NEAR]
    assert goals(desk.quote(CALL, 20.0)) == []
    assert [(one.instrument, units) for one, units in desk.machine.hedges()] == [(CALL, 65)]


def test_bought_leg_of_which_the_sold_one_is_lost_is_unwound_and_so_is_what_fills_late() -> None:
    desk, sold = lost_leg(OrphanLegs.UNWIND)
    assert goals(tuple(desk.rows)) == [CALL]
    desk.held("main", CALL, 0)
    desk.filled(sold)
    assert goals(tuple(desk.rows)) == [CALL, NEAR]


def test_directional_buy_beside_a_lost_sold_leg_has_an_armed_stop() -> None:
    desk, _ = lost_leg(OrphanLegs.UNWIND)
    desk.held("main", CALL, 0)
    (goal,) = (row for row in desk.rows if isinstance(row, CloseGoal))
    desk.give(GoalChanged(goal=done(goal), at_ns=desk.now))
    desk.pass_time(1)
    desk.quote()
    (entry,) = entries(desk.wish("b", HEDGE))
    assert entry.stop_trigger == 70.0, "it hedges nothing, so its stop rests at the broker"
    desk.filled(entry)
    assert [key[1] for key in desk.machine.state.guarded_positions()] == [CALL]
