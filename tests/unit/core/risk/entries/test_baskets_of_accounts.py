"""Risk with several legs and several accounts: hedges first, orphans closed, every account for itself."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from mytrading.core.orders.state_machine import with_modify
from mytrading.core.risk.state.orphan_hedges import protective_exit_cause
from mytrading.messages.commands import CloseGoal, PlaceEntry, SignalDenied, WithdrawEntries
from mytrading.messages.control import Alert
from mytrading.messages.enums import Action, OrderState, Product, Purpose, Side
from mytrading.messages.order_evidence import OrderTerms
from mytrading.messages.orders import (
    NO_EVIDENCE,
    GoalChanged,
    OrderChanged,
    OrderLinks,
    Protection,
    ProtectionChanged,
    TimerFired,
)
from mytrading.messages.run_config import OrphanLegs
from mytrading.messages.signals import Leg, Signal
from tests.kit.risk_basket_bench import HEDGE, ROOMY, SOLD, Basket, alarms, closed, complete, entries, stopped_out
from tests.kit.risk_bench import CALL, NEAR, PUT, SECOND, WATCH
from tests.kit.risk_stop_bench import done


def test_sold_leg_waits_until_its_hedge_is_held() -> None:
    bench = Basket()
    (hedge,) = entries(bench.intent("a", HEDGE, SOLD))
    assert hedge.instrument == CALL
    assert bench.report_order(hedge, OrderState.ACCEPTED) == ()
    assert entries(bench.report_order(hedge, OrderState.FILLED, 65)) == []
    (sold,) = entries(bench.held("main", CALL, 65, hedge.id, 65))
    assert (sold.instrument, sold.quantity, sold.side.sign) == (NEAR, 65, -1)


def test_basket_waits_for_the_quote_of_a_sold_leg_that_comes_after_that_of_its_hedge() -> None:
    bench = Basket()
    del bench.machine.state.quotes[NEAR]
    assert bench.intent("a", HEDGE, SOLD) == ()
    assert [entry.instrument for entry in entries(bench.quote(NEAR, 200.0))] == [CALL]


def test_hedge_has_no_stop_and_is_not_called_bare_for_it() -> None:
    bench = Basket()
    (hedge,) = entries(bench.intent("a", HEDGE, SOLD))
    (sold,) = entries(bench.filled(hedge))
    bench.filled(sold)
    assert (hedge.stop_trigger, hedge.stop_limit) == (0.0, 0.0)
    assert sold.stop_trigger > 200.0
    assert [key[1] for key in bench.machine.state.guarded_positions()] == [NEAR]


def test_rejected_hedge_stops_the_sold_leg_of_its_account_only() -> None:
    bench = Basket(("main", "second"))
    first, second = entries(bench.intent("a", HEDGE, SOLD))
    assert [first.account, second.account] == ["main", "second"]
    rows = bench.report_order(first, OrderState.REJECTED)
    (denied,) = [row for row in rows if isinstance(row, SignalDenied)]
    assert (denied.code, denied.account) == ("BASKET_BROKEN", "main")
    assert any(isinstance(row, Alert) for row in rows)
    (sold,) = entries(bench.filled(second))
    assert sold.account == "second"
    bench.filled(sold)
    assert all(entry.account == "second" for entry in entries(tuple(bench.rows)) if entry.instrument == NEAR)


def test_rejected_sold_leg_closes_the_hedge() -> None:
    bench = Basket()
    (hedge,) = entries(bench.intent("a", HEDGE, SOLD))
    (sold,) = entries(bench.filled(hedge))
    rows = bench.report_order(sold, OrderState.REJECTED)
    (goal,) = [row for row in rows if isinstance(row, CloseGoal)]
    assert goal.instrument == CALL
    assert "could not be had" in goal.reason


def test_rejected_sold_leg_is_tried_again_under_its_own_id_then_the_hedge_is_closed() -> None:
    bench = Basket(orphans=OrphanLegs.RETRY, tries=1)
    (hedge,) = entries(bench.intent("a", HEDGE, SOLD))
    (sold,) = entries(bench.filled(hedge))
    (again,) = entries(bench.report_order(sold, OrderState.REJECTED))
    assert (again.instrument, again.quantity) == (NEAR, 65)
    assert again.id != sold.id
    rows = bench.report_order(again, OrderState.REJECTED)
    assert [row.instrument for row in rows if isinstance(row, CloseGoal)] == [CALL]
    assert entries(rows) == []


def test_orphan_is_only_reported_where_that_is_wanted() -> None:
    bench = Basket(orphans=OrphanLegs.REPORT)
    (hedge,) = entries(bench.intent("a", HEDGE, SOLD))
    (sold,) = entries(bench.filled(hedge))
    rows = bench.report_order(sold, OrderState.REJECTED)
    assert not any(isinstance(row, CloseGoal) for row in rows)
    assert [row.code for row in rows if isinstance(row, Alert)] == ["BASKET_BROKEN"]


def test_leg_that_no_rule_admits_keeps_the_whole_basket_from_beginning() -> None:
    bench = Basket()
    rows = bench.intent("a", HEDGE, SOLD, Leg(instrument="NFO:NOBODYKNOWS", lots=-1))
    assert {row.code for row in rows} == {"UNKNOWN_INSTRUMENT"}


def test_intent_that_ends_before_the_sold_leg_could_go_gives_the_hedge_up() -> None:
    bench = Basket()
    (hedge,) = entries(bench.intent("a", HEDGE, SOLD))
    bench.now += 200 * SECOND
    bench.machine_ns += 200 * SECOND
    bench.machine.set_machine_time(bench.machine_ns)
    rows = bench.filled(hedge)
    assert entries(rows) == []
    assert [row.instrument for row in rows if isinstance(row, CloseGoal)] == [CALL]


def test_exit_closes_the_sold_leg_first() -> None:
    bench = Basket()
    (hedge,) = entries(bench.intent("a", HEDGE, SOLD))
    (sold,) = entries(bench.filled(hedge))
    bench.filled(sold)
    rows = bench.intent("b", action=Action.EXIT)
    assert [row.instrument for row in rows if isinstance(row, CloseGoal)] == [NEAR]
    rows = bench.held("main", NEAR, 0, units=0)
    assert [row.instrument for row in rows if isinstance(row, CloseGoal)] == [CALL]


def test_broken_basket_takes_back_what_is_on_its_way() -> None:
    bench = Basket()
    third = Leg(instrument="NFO:NIFTY24MAR2623000PE", lots=1)
    bench.quote(third.instrument)
    first, second = entries(bench.intent("a", HEDGE, third, SOLD))
    bench.report_order(second, OrderState.ACCEPTED)
    rows = bench.report_order(first, OrderState.REJECTED)
    assert [row.instrument for row in rows if isinstance(row, WithdrawEntries)] == [second.instrument]
    late = bench.filled(second)
    assert [row.instrument for row in late if isinstance(row, CloseGoal)] == [second.instrument]


def test_stop_of_the_sold_leg_of_a_complete_basket_takes_the_hedge_along() -> None:
    bench = Basket()
    rows = stopped_out(bench, complete(bench))
    assert (closed(rows), alarms(rows), entries(rows)) == ([CALL], ["BASKET_BROKEN"], [])
    bench.held("main", CALL, 0)
    assert bench.machine.state.intents["S", WATCH].settled


def test_hedge_of_a_stopped_leg_is_only_reported_where_that_is_wanted() -> None:
    bench = Basket(orphans=OrphanLegs.REPORT)
    rows = stopped_out(bench, complete(bench))
    assert (closed(rows), alarms(rows), entries(rows)) == ([], ["BASKET_BROKEN"], [])
    rows = bench.intent("b", HEDGE, SOLD)
    assert (closed(rows), alarms(rows), entries(rows)) == ([], [], []), "reported once, while the hedge is held"


def test_stopped_leg_is_sold_again_as_often_as_configured_and_then_given_up() -> None:
    bench = Basket(orphans=OrphanLegs.RETRY, tries=2)
    sold, ids = complete(bench), set()
    for _ in range(2):
        (again,) = entries(stopped_out(bench, sold))
        assert (again.instrument, again.quantity, again.side.sign) == (NEAR, 65, -1)
        ids.add(again.id)
        bench.filled(again)
        sold = again
    rows = stopped_out(bench, sold)
    assert (closed(rows), alarms(rows), entries(rows), len(ids)) == ([CALL], ["BASKET_BROKEN"], [], 2)


def test_tries_of_a_stopped_leg_are_counted_over_repeats_of_the_intent() -> None:
    bench = Basket(orphans=OrphanLegs.RETRY, tries=1)
    (again,) = entries(stopped_out(bench, complete(bench)))
    bench.filled(again)
    bench.intent("b", HEDGE, SOLD)
    rows = stopped_out(bench, again)
    assert (closed(rows), entries(rows)) == ([CALL], [])


def test_stopped_leg_is_not_sold_again_when_the_time_of_its_intent_is_over() -> None:
    bench = Basket(orphans=OrphanLegs.RETRY)
    sold = complete(bench)
    bench.pass_time(600)
    rows = stopped_out(bench, sold)
    assert (closed(rows), entries(rows)) == ([CALL], [])


def test_repeat_of_the_intent_does_not_sell_what_was_stopped_out_and_unwound() -> None:
    bench = Basket()
    stopped_out(bench, complete(bench))
    assert entries(bench.intent("b", HEDGE, SOLD)) == [], "while the hedge is being closed"
    bench.held("main", CALL, 0)
    rows = bench.intent("c", HEDGE, SOLD)
    assert entries(rows) == []
    assert {row.code for row in rows if isinstance(row, SignalDenied)} == {"SIGNAL_SPENT"}


def test_hedges_stay_while_something_else_sold_is_held() -> None:
    bench = Basket()
    sold = complete(bench)
    bench.held("main", PUT, -65)
    assert CALL not in closed(stopped_out(bench, sold))
    assert bench.machine.state.intents["S", WATCH].lost == set()


@pytest.mark.parametrize(("purpose", "cause"), [(Purpose.EXIT, "square-off"), (Purpose.EXIT, "a-person")])
def test_sold_leg_that_is_closed_for_another_reason_takes_nothing_along(purpose: Purpose, cause: str) -> None:
    bench = Basket()
    rows = stopped_out(bench, complete(bench), purpose, cause)
    assert (closed(rows), alarms(rows), entries(rows)) == ([], [], [])


def test_exit_that_takes_a_stop_over_counts_as_the_stop() -> None:
    for cause in ("handed over", protective_exit_cause("bare", "S")):
        bench = Basket()
        sold = complete(bench)
        level = Protection(
            id="p", account="main", instrument=NEAR, product=Product.MIS, strategy="S", run="r", cause="handed over",
            side=Side.BUY, trigger=260.0, limit=263.0, state="handed",
        )  # fmt: skip
        bench.give(ProtectionChanged(protection=level, at_ns=bench.now))
        assert closed(stopped_out(bench, sold, Purpose.EXIT, cause)) == [CALL]


def test_stopped_leg_of_one_account_leaves_the_other_accounts_basket() -> None:
    bench = Basket(("main", "second"))
    for hedge in entries(bench.intent("a", HEDGE, SOLD)):
        (sold,) = entries(bench.filled(hedge))
        bench.filled(sold)
    goals = [row for row in stopped_out(bench, sold) if isinstance(row, CloseGoal)]
    assert [(goal.account, goal.instrument) for goal in goals] == [("second", CALL)]


@pytest.mark.parametrize("orphans", list(OrphanLegs))
def test_restart_after_a_leg_was_stopped_out_goes_on_as_if_there_had_been_none(orphans: OrphanLegs) -> None:
    whole, cut = Basket(orphans=orphans, tries=1), Basket(orphans=orphans, tries=1)
    for bench in (whole, cut):
        bench.sold = complete(bench)  # type: ignore[attr-defined]
    stopped_out(whole, whole.sold)  # type: ignore[attr-defined]
    stopped_out(cut, cut.sold)  # type: ignore[attr-defined]
    next_day = Basket(orphans=orphans, tries=1)
    next_day.machine.apply(cut.machine.snapshot("2026-03-18"))
    assert next_day.machine.state.intents["S", WATCH].lost == whole.machine.state.intents["S", WATCH].lost != set()
    now, cut = cut.now, cut.again()
    cut.now = now
    for bench in (whole, cut):
        bench.intent("b", HEDGE, SOLD)
        bench.pass_time(1)
    assert msgspec.to_builtins(cut.rows) == msgspec.to_builtins(whole.rows)


REPLACING = with_modify(NO_EVIDENCE, wanted=OrderTerms(quantity=65), by_replacement=True)


def test_leg_that_is_being_replaced_is_no_failed_one() -> None:
    bench = Basket()
    (hedge,) = entries(bench.intent("a", HEDGE, SOLD))
    bench.report_order(hedge, OrderState.ACCEPTED)
    gone = replace(bench.machine.state.orders[hedge.id], state=OrderState.CANCELLED, evidence=REPLACING)
    rows = bench.give(OrderChanged(event="cancelled", order=gone, machine_ns=bench.machine_ns))
    assert rows == (), "its end is not the end of the leg"
    after = replace(
        gone,
        client_order_id="next",
        links=OrderLinks(replaces=hedge.id),
        state=OrderState.INITIALIZED,
        evidence=NO_EVIDENCE,
    )
    done = replace(gone, evidence=NO_EVIDENCE)
    assert bench.give(OrderChanged(event="initialized", order=after, machine_ns=bench.machine_ns)) == ()
    assert bench.give(OrderChanged(event="replaced", order=done, machine_ns=bench.machine_ns)) == ()
    assert bench.machine.state.pending_units("S", CALL, "main") == 65
    full = replace(after, state=OrderState.FILLED, filled=65)
    bench.give(OrderChanged(event="filled", order=full, machine_ns=bench.machine_ns))
    (sold,) = entries(bench.held("main", CALL, 65, "next", 65))
    assert sold.instrument == NEAR


def test_leg_whose_replacement_fails_has_failed() -> None:
    bench = Basket()
    (hedge,) = entries(bench.intent("a", HEDGE, SOLD))
    bench.report_order(hedge, OrderState.ACCEPTED)
    gone = replace(bench.machine.state.orders[hedge.id], state=OrderState.CANCELLED, evidence=REPLACING)
    bench.give(OrderChanged(event="cancelled", order=gone, machine_ns=bench.machine_ns))
    links = OrderLinks(replaces=hedge.id)
    after = replace(gone, client_order_id="next", links=links, state=OrderState.DENIED, evidence=NO_EVIDENCE)
    rows = bench.give(OrderChanged(event="denied", order=after, machine_ns=bench.machine_ns))
    assert alarms(rows) == ["BASKET_BROKEN"]


@pytest.mark.parametrize("cut", range(1, 14))
def test_restart_at_any_row_goes_on_as_if_there_had_been_none(cut: int) -> None:
    bench = Basket(("main", "second"), OrphanLegs.RETRY, 1)
    script = [
        lambda d: d.intent("a", HEDGE, SOLD),
        *[lambda d, n=n: d.filled(entries(tuple(d.rows))[n]) for n in range(2)],
        lambda d: d.report_order(entries(tuple(d.rows))[2], OrderState.REJECTED),
        lambda d: d.filled(entries(tuple(d.rows))[3]),
        lambda d: d.filled(entries(tuple(d.rows))[4]),
        lambda d: d.give(TimerFired(name="risk", machine_ns=d.machine_ns)),
    ]
    whole, current = bench, Basket(("main", "second"), OrphanLegs.RETRY, 1)
    for step in script:
        step(whole)
        step(current)
        if len(current.rows) >= cut:
            current = current.again()
    assert msgspec.to_builtins(current.rows) == msgspec.to_builtins(whole.rows)
    assert len(entries(tuple(whole.rows))) == 5


def test_intent_that_names_an_instrument_twice_orders_it_once() -> None:
    """A roll-over can bring it about: the near leg of a calendar spread becomes the far one."""
    bench = Basket()
    (entry,) = entries(bench.intent("w", HEDGE, HEDGE))
    assert (entry.instrument, entry.quantity, entry.basket_calls) == (CALL, 65, 0)


def test_rupees_kept_for_a_basket_end_with_the_day_in_a_machine_that_goes_on_too() -> None:
    bench = Basket()
    (entry,) = entries(bench.intent("w", HEDGE, SOLD))
    assert bench.machine.state.margin_kept_for_baskets("main") == entry.basket_margin > 0
    opened = bench.machine.snapshot("2026-03-19")
    other = Basket()
    for machine in (bench.machine, other.machine):
        machine.apply(opened)
        assert machine.state.margin_kept_for_baskets("main") == 0


def test_legs_of_one_basket_count_together_against_the_limit_of_positions() -> None:
    """Each was judged alone: two legs passed a limit that had room for one."""
    basket = Basket()
    basket.machine.environment.limits = replace(ROOMY, max_total_positions=1)
    (denied,) = basket.intent("a", HEDGE, SOLD)
    assert isinstance(denied, SignalDenied)
    assert (denied.instrument, denied.codes) == (NEAR, ("MAX_TOTAL_POSITIONS",))


def test_hedge_of_a_basket_that_was_taken_back_half_entered_still_needs_no_stop() -> None:
    """A WITHDRAW left the hedge among the guarded, who alarm and flatten what has no stop at the broker."""
    basket = Basket()
    (entry,) = basket.intent("a", HEDGE, SOLD)
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
    (entry,) = basket.intent("a", HEDGE, SOLD)
    basket.held("main", CALL, 65, entry.id, 65)
    signal = Signal(
        id="b", strategy="S", watch=WATCH, action=Action.EXIT, keeps=True, created_ns=basket.now,
        expires_ns=basket.now + SECOND, expires_machine_ns=basket.machine_ns + SECOND,
    )  # fmt: skip
    basket.give(signal)
    opened, other = basket.machine.snapshot("2026-03-19"), Basket()
    for bench in (basket, other):
        bench.machine.apply(opened)
        assert not bench.machine.state.guarded_positions()
        bench.give(replace(signal, id="c", created_ns=basket.now + 86_400 * SECOND))
        assert not bench.machine.state.guarded_positions()


def test_last_entries_are_known_on_the_next_day_so_that_a_long_cooldown_goes_on() -> None:
    bench = Basket()
    bench.intent("a", HEDGE, SOLD)
    known = dict(bench.machine.state.last_entry)
    opened, other = bench.machine.snapshot("2026-03-19"), Basket()
    other.machine.apply(opened)
    assert other.machine.state.last_entry == known == {("S", WATCH): bench.now}


def lost_leg(orphans: OrphanLegs = OrphanLegs.REPORT) -> tuple[Basket, PlaceEntry]:
    """A basket whose hedge is held and whose sold leg was lost on its way."""
    bench = Basket(orphans=orphans)
    (hedge,) = entries(bench.intent("a", HEDGE, SOLD))
    (sold,) = entries(bench.filled(hedge))
    bench.report_order(sold, OrderState.UNKNOWN)
    bench.report_order(sold, OrderState.LOST)
    bench.pass_time(1)
    return bench, sold


def goals(rows: tuple[Any, ...]) -> list[str]:
    return [row.instrument for row in rows if isinstance(row, CloseGoal)]


@pytest.mark.parametrize("restarted", [False, True])
def test_bought_leg_of_which_the_sold_one_is_lost_has_its_own_stop(restarted: bool) -> None:
    bench, _ = lost_leg()
    bench = bench.again() if restarted else bench
    assert [key[1] for key in bench.machine.state.stop_levels] == [CALL]
    assert goals(bench.quote(CALL, 71.0)) == []
    assert goals(bench.quote(CALL, 70.0)) == [CALL]


@pytest.mark.parametrize("restarted", [False, True])
def test_bought_leg_is_a_hedge_again_once_the_lost_sold_one_fills(restarted: bool) -> None:
    bench, sold = lost_leg()
    bench.filled(sold)
    bench.pass_time(1)
    bench = bench.again() if restarted else bench
    assert bench.machine.state.stop_levels == {}
    assert [key[1] for key in bench.machine.state.guarded_positions()] == [NEAR]
    assert goals(bench.quote(CALL, 20.0)) == []
    state = bench.machine.state
    hedges = {one.instrument: state.hedging_units(one) for one in state.open_positions() if state.hedging_units(one)}
    assert hedges == {CALL: 65}


def test_bought_leg_of_which_the_sold_one_is_lost_is_unwound_and_so_is_what_fills_late() -> None:
    bench, sold = lost_leg(OrphanLegs.UNWIND)
    assert goals(tuple(bench.rows)) == [CALL]
    bench.held("main", CALL, 0)
    bench.filled(sold)
    assert goals(tuple(bench.rows)) == [CALL, NEAR]


def test_directional_buy_beside_a_lost_sold_leg_has_an_armed_stop() -> None:
    bench, _ = lost_leg(OrphanLegs.UNWIND)
    bench.held("main", CALL, 0)
    (goal,) = (row for row in bench.rows if isinstance(row, CloseGoal))
    bench.give(GoalChanged(goal=done(goal), at_ns=bench.now))
    bench.pass_time(1)
    bench.quote()
    (entry,) = entries(bench.intent("b", HEDGE))
    assert entry.stop_trigger == 70.0, "it hedges nothing, so its stop rests at the broker"
    bench.filled(entry)
    assert [key[1] for key in bench.machine.state.guarded_positions()] == [CALL]
