"""Hedges: which bought leg covers which sold one, what needs no stop, what keeps one, and what is closed first."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.risk.protection.hedges import Cover, match_covers, sold_legs_exposed
from mytrading.messages.commands import CloseGoal, PlaceEntry, SignalDenied
from mytrading.messages.control import Heartbeat
from mytrading.messages.enums import DaemonState, OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.journal_rows import LevelMoved
from mytrading.messages.orders import Order, OrderChanged, PositionChanged, Protection, ProtectionChanged
from mytrading.messages.run_config import OrphanLegs, StopPlan
from mytrading.messages.signals import Leg
from tests.kit.risk_basket_bench import HEDGE, SOLD, Basket, closed, complete, entries, stopped_out
from tests.kit.risk_bench import CALL, NEAR, PUT, SECOND, SHARE, WATCH

FUTURE = "NFO:NIFTY30MAR26FUT"
CE, PE, FUT, EQ = InstrumentKind.CE, InstrumentKind.PE, InstrumentKind.FUT, InstrumentKind.EQ


def of(kind: InstrumentKind, expiry: str = "", strike: float = 0.0, underlying: str = "NIFTY") -> Instrument:
    return Instrument(id="", exchange="", symbol="", kind=kind, underlying=underlying, expiry=expiry, strike=strike)


MAR, APR = "2026-03-24", "2026-04-28"
CONTRACTS = {
    "C": of(CE, MAR, 23000), "C+": of(CE, MAR, 23500), "C++": of(CE, MAR, 24000), "far": of(CE, APR, 23000),
    "P": of(PE, MAR, 23000), "B": of(CE, MAR, 50000, "BANKNIFTY"), "F": of(FUT, MAR), "Fapr": of(FUT, APR),
    "E": of(EQ), "X": of(EQ, underlying="SBIN"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("units", "found"),
    [
        ({"C": -65, "C+": 65}, [("C+", "C", 65, True)]),
        ({"C": -65, "P": 65}, []),  # another right
        ({"C": -65, "B": 65}, []),  # another underlying
        ({"C": -65, "far": 65}, [("far", "C", 65, True)]),  # calendar: the sold one ends first
        ({"far": -65, "C": 65}, []),  # the bought one ends first
        ({"C": -65, "C+": 130}, [("C+", "C", 65, True)]),  # up to what is sold
        ({"C": -130, "C+": 65}, [("C+", "C", 65, True)]),
        ({"C": -65, "C+": 65, "C++": 65}, [("C+", "C", 65, True)]),  # the nearer strike
        ({"C": -65, "far": -65, "C+": 65}, [("C+", "C", 65, True)]),
        ({"C": -65, "C+": -65, "C++": 100}, [("C++", "C+", 65, True), ("C++", "C", 35, True)]),
        ({"C": -65, "F": 65}, [("F", "C", 65, False)]),
        ({"far": -65, "F": 65}, []),
        ({"C": -65, "E": 40}, [("E", "C", 40, False)]),
        ({"C": -65, "X": 65}, []),
        ({"P": -65, "E": 65}, []),  # shares cover calls alone
        ({"C": -130, "C+": 65, "F": 65}, [("C+", "C", 65, True), ("F", "C", 65, False)]),
        ({"C": -65, "C+": 65, "F": 65}, [("C+", "C", 65, True)]),
        ({"F": -65, "C": 65}, []),  # only sold options are hedged
        ({"C": -65, "unlisted": 65}, []),
    ],
)
def test_cover_is_of_the_same_underlying_right_and_time_and_counts_once(
    units: dict[str, int], found: list[tuple[str, str, int, bool]]
) -> None:
    assert match_covers(units, CONTRACTS) == [Cover(*row) for row in found]


def test_leg_that_another_can_stand_in_for_leaves_nothing_bare() -> None:
    assert sold_legs_exposed({"C": -65, "C+": 65, "C++": 65}, CONTRACTS, "C+") == set()
    assert sold_legs_exposed({"C": -65, "C+": 65, "C++": 30}, CONTRACTS, "C+") == {"C"}
    assert sold_legs_exposed({"C": -65, "F": 65}, CONTRACTS, "F") == {"C"}


# what an entry brings along


def entered(*legs: Leg, stop: StopPlan = StopPlan.BROKER) -> tuple[Basket, dict[str, PlaceEntry]]:
    """A basket whose every leg is filled, and the entries by instrument."""
    bench = Basket()
    bench.machine.environment.strategies["S"] = replace(bench.machine.environment.strategies["S"], stop=stop)
    for name, price in ((PUT, 100.0), (FUTURE, 23_000.0), (SHARE, 800.0)):
        bench.quote(name, price)
    bench.intent("a", *legs)
    found: dict[str, PlaceEntry] = {}
    while left := [one for one in entries(tuple(bench.rows)) if one.instrument not in found]:
        found[left[0].instrument] = left[0]
        bench.filled(left[0])
    assert found.keys() == {leg.instrument for leg in legs}
    return bench, found


def armed(bench: Basket) -> dict[str, float]:
    return {key[1]: level for key, level in bench.machine.state.stop_levels.items()}


def levels(rows: Any) -> list[tuple[str, float]]:
    return [(row.name, row.value) for row in rows if isinstance(row, LevelMoved) and row.name.startswith("stop ")]


@pytest.mark.parametrize("other", [Leg(instrument=SHARE, lots=10), Leg(instrument=PUT, lots=1)])
def test_bought_leg_that_hedges_nothing_keeps_its_stop_at_the_broker(other: Leg) -> None:
    """Beside any sold leg every bought one stood without a stop, shares and futures too."""
    bench, found = entered(other, SOLD)
    assert found[other.instrument].stop_trigger > 0
    assert found[NEAR].stop_trigger > 0
    assert {key[1] for key in bench.machine.state.guarded_positions()} == {other.instrument, NEAR}


def test_hedge_is_not_stopped_while_it_waits_for_what_it_hedges_and_while_that_is_held() -> None:
    bench = Basket()
    (hedge,) = entries(bench.intent("a", HEDGE, SOLD))
    assert (hedge.stop_trigger, hedge.held_stop) == (0.0, 70.0)
    sold = next(row for row in bench.filled(hedge) if isinstance(row, PlaceEntry))
    assert closed((*bench.quote(CALL, 20.0), *bench.pass_time(1), *bench.quote(CALL, 20.0))) == []
    bench.filled(sold)
    assert closed((*bench.pass_time(1), *bench.quote(CALL, 20.0))) == []
    assert armed(bench) == {}


def test_hedge_that_is_left_over_has_its_stop_armed_at_the_level_of_its_entry() -> None:
    bench = Basket(orphans=OrphanLegs.REPORT)
    stopped_out(bench, complete(bench))
    assert levels(bench.pass_time(1)) == [(f"stop main {CALL} MIS S", 70.0)]
    assert not bench.machine.state.guarded_positions(), "an armed stop of the engine counts"
    assert armed(bench.again()) == {CALL: 70.0}
    assert closed(bench.quote(CALL, 71.0)) == []
    assert closed(bench.quote(CALL, 70.0)) == [CALL]


def test_hedge_beside_another_sold_leg_hedges_that_one_only_if_it_can() -> None:
    """A condor whose calls were stopped out: the call that is left is guarded, the put goes on hedging."""
    bench = Basket()
    sold = complete(bench)
    bench.held("main", PUT, -65)
    stopped_out(bench, sold)
    bench.pass_time(1)
    assert armed(bench) == {CALL: 70.0}


def test_quantity_beyond_what_is_sold_is_guarded_and_closed_after_what_it_hedges() -> None:
    bench, found = entered(Leg(instrument=CALL, lots=2), SOLD)
    assert (found[CALL].quantity, found[CALL].stop_trigger, found[CALL].held_stop) == (130, 0.0, 70.0)
    assert armed(bench) == {CALL: 70.0}
    rows = bench.quote(CALL, 70.0)
    assert closed(rows) == [NEAR], "what it hedges is bought back first"
    assert closed((*bench.quote(CALL, 69.0), *bench.pass_time(1))) == []
    assert closed(bench.held("main", NEAR, 0)) == [CALL]


# cover that keeps its own stop


@pytest.mark.parametrize("stop", [StopPlan.BROKER, StopPlan.ENGINE])
def test_future_that_covers_a_sold_call_is_sold_after_the_call_is_bought_back(stop: StopPlan) -> None:
    bench, found = entered(Leg(instrument=FUTURE, lots=1), SOLD, stop=stop)
    assert (found[FUTURE].stop_trigger, found[FUTURE].held_stop) == (0.0, 22_540.0)
    assert armed(bench)[FUTURE] == 22_540.0
    assert FUTURE not in {key[1] for key in bench.machine.state.guarded_positions()}
    rows = bench.quote(FUTURE, 22_540.0)
    assert closed(rows) == [NEAR]
    (given_up,) = [row for row in rows if isinstance(row, SignalDenied)]
    assert (given_up.code, given_up.unwinds, given_up.account) == ("BASKET_BROKEN", True, "main")
    again = bench.again()
    again.now, again.machine_ns = bench.now, bench.machine_ns
    for one in (bench, again):
        assert closed((*one.quote(FUTURE, 22_700.0), *one.pass_time(1))) == [], "the call is not flat yet"
        assert closed(one.held("main", NEAR, 0)) == [FUTURE], "whatever the price is meanwhile"
        assert entries(one.intent("b", Leg(instrument=FUTURE, lots=1), SOLD)) == []


def test_basket_that_is_being_given_up_is_not_kept_by_a_repeat_of_its_signal() -> None:
    bench, _ = entered(Leg(instrument=FUTURE, lots=1), SOLD)
    bench.quote(FUTURE, 22_540.0)
    assert closed((*bench.intent("b", Leg(instrument=FUTURE, lots=1), SOLD), *bench.quote(FUTURE, 22_700.0))) == []
    assert closed(bench.held("main", NEAR, 0)) == [FUTURE]


def covered_later() -> tuple[Basket, Order]:
    """A future with its stop at the broker, a call sold beside it later, and that stop as it fills."""
    bench, found = entered(Leg(instrument=FUTURE, lots=1))
    bought = found[FUTURE]
    assert bought.stop_trigger > 0
    (sold,) = entries(bench.intent("b", Leg(instrument=FUTURE, lots=1), SOLD))
    bench.filled(sold)
    guard = Protection(
        id="p", account="main", instrument=FUTURE, product=Product.MIS, strategy="S", run="r", cause=bought.id,
        side=Side.SELL, trigger=bought.stop_trigger, limit=bought.stop_limit,
    )  # fmt: skip
    bench.give(ProtectionChanged(protection=guard, at_ns=bench.now))
    assert closed(bench.quote(FUTURE, 22_000.0)) == [], "its stop rests at the broker"
    stop = Order(
        client_order_id="stop", account="main", instrument=FUTURE, product=Product.MIS, strategy="S", run="r",
        cause=bought.id, purpose=Purpose.STOP, side=Side.SELL, quantity=65, order_type=OrderType.SL,
        state=OrderState.FILLED, created_ns=bench.now, updated_ns=bench.now, filled=65,
    )  # fmt: skip
    return bench, stop


def fires(bench: Basket, stop: Order) -> tuple[Any, ...]:
    bench.give(OrderChanged(event="filled", order=stop, machine_ns=bench.machine_ns))
    return bench.held("main", stop.instrument, 0, stop.client_order_id, stop.quantity)


def fires_unseen(bench: Basket, stop: Order) -> None:
    """The stop fills while risk is down: its rows are learnt at the start, and nothing is decided on them."""
    key = ("main", stop.instrument, Product.MIS, "S")
    flat = replace(bench.machine.state.positions[key], quantity=0, quantity_seen=0, opened_ns=0)
    reported = (
        OrderChanged(event="filled", order=stop, machine_ns=bench.machine_ns),
        PositionChanged(position=flat, client_order_id="stop", fill_quantity=65, fill_price=1.0, at_ns=bench.now),
    )
    for row in reported:
        bench.machine.apply(row)
        bench.rows.append(row)


def test_future_whose_stop_at_the_broker_fires_takes_the_call_along_that_was_sold_later() -> None:
    bench, stop = covered_later()
    assert closed(fires(bench, stop)) == [NEAR]
    assert closed(bench.pass_time(1)) == []


@pytest.mark.parametrize("how", ["", "replayed", "next day"])
def test_call_whose_cover_was_stopped_out_while_risk_was_down_is_bought_back_at_its_start(how: str) -> None:
    """A flag of the newest row was read when a fill was decided on, and nobody decides on rows that were missed."""
    bench, stop = covered_later()
    fires_unseen(bench, stop)
    if how == "replayed":
        again = bench.again()
        again.now, again.machine_ns, bench = bench.now, bench.machine_ns, again
    elif how:
        opened = bench.machine.snapshot("2026-03-18")
        bench.machine = Basket().machine
        bench.machine.apply(opened)
    rows = bench.pass_time(1)
    (given_up,) = [row for row in rows if isinstance(row, SignalDenied)]
    assert (closed(rows), given_up.code, given_up.unwinds) == ([NEAR], "BASKET_BROKEN", True)
    assert closed((*bench.quote(NEAR, 210.0), *bench.pass_time(1))) == [], "once"
    bench.held("main", NEAR, 0)
    assert bench.machine.state.uncovered == {}


def test_cover_that_is_stopped_out_is_forgotten_with_what_was_sold_beside_it() -> None:
    bench, stop = covered_later()
    bench.held("main", PUT, -65)
    assert closed(fires(bench, stop)) == [NEAR], "a future covers no put"
    bench.held("main", NEAR, 0)
    bench.held("main", NEAR, -65)
    rows = (*bench.pass_time(1), *bench.quote(NEAR, 200.0))
    assert "fired" not in str([row.reason for row in rows if isinstance(row, CloseGoal)]), "it is sold without cover"
    ((_, left),) = bench.machine.state.uncovered.values()
    assert left == (PUT,)


def test_stop_that_fires_at_the_broker_beside_nothing_sold_closes_nothing_more() -> None:
    bench, found = entered(Leg(instrument=FUTURE, lots=1))
    stop = Order(
        client_order_id="stop", account="main", instrument=FUTURE, product=Product.MIS, strategy="S", run="r",
        cause=found[FUTURE].id, purpose=Purpose.STOP, side=Side.SELL, quantity=65, order_type=OrderType.SL,
        state=OrderState.FILLED, created_ns=bench.now, updated_ns=bench.now, filled=65,
    )  # fmt: skip
    assert closed((*fires(bench, stop), *bench.pass_time(1))) == []
    assert bench.machine.state.uncovered == {}


def test_stop_of_the_sold_call_leaves_the_future_that_covers_it_with_its_own() -> None:
    bench, found = entered(Leg(instrument=FUTURE, lots=1), SOLD)
    rows = (*stopped_out(bench, found[NEAR]), *bench.pass_time(1))
    assert (closed(rows), armed(bench)) == ([], {FUTURE: 22_540.0})


def test_target_of_a_covering_leg_closes_its_basket_in_the_same_order() -> None:
    bench, _ = entered(Leg(instrument=FUTURE, lots=1, target_price=23_500.0), SOLD)
    assert closed(bench.quote(FUTURE, 23_500.0)) == [NEAR]
    assert closed(bench.held("main", NEAR, 0)) == [FUTURE]


def test_other_owner_hedges_nothing() -> None:
    bench = Basket()
    sold = complete(bench)
    state = bench.machine.state
    mine = next(p for p in state.positions.values() if p.instrument == CALL)
    other = replace(mine, strategy="T")
    assert (state.is_hedge(mine), state.is_hedge(other)) == (True, False)
    assert state.is_hedge(replace(mine, account="second")) is False
    assert sold.instrument == NEAR


def test_hedge_is_not_stopped_while_a_contract_is_not_listed() -> None:
    """A day may begin before its contracts are there."""
    bench = Basket(orphans=OrphanLegs.REPORT)
    complete(bench)
    listed = bench.machine.environment.instruments
    bench.machine.set_contracts(InstrumentBook([]))
    assert closed((*bench.pass_time(1), *bench.quote(CALL, 20.0))) == []
    bench.machine.set_contracts(listed)
    bench.pass_time(1)
    assert armed(bench) == {}


# stops that the engine holds


def test_sold_leg_with_a_stop_of_eighty_per_cent_is_admitted_and_held_by_the_engine() -> None:
    """Guards against denials at each entry of a leg whose file was checked as in order."""
    bench, found = entered(HEDGE, replace(SOLD, stop_price=360.0))
    assert (found[NEAR].stop_trigger, found[NEAR].held_stop) == (0.0, 360.0)
    assert armed(bench) == {NEAR: 360.0}
    assert NEAR not in {key[1] for key in bench.machine.state.guarded_positions()}
    assert closed(bench.quote(NEAR, 359.95)) == []
    assert closed(bench.quote(NEAR, 360.0)) == [NEAR]


def sold_call(stop: float) -> Basket:
    """One lot sold at 200 and held, guarded by whoever its entry names."""
    bench = Basket()
    (entry,) = entries(bench.intent("a", replace(SOLD, stop_price=stop)))
    bench.filled(entry)
    if entry.stop_trigger:
        guard = Protection(
            id="p", account="main", instrument=NEAR, product=Product.MIS, strategy="S", run="r", cause=entry.id,
            side=Side.BUY, trigger=entry.stop_trigger, limit=entry.stop_limit,
        )  # fmt: skip
        bench.give(ProtectionChanged(protection=guard, at_ns=bench.now))
    bench.pass_time(61)
    return bench


def test_lot_added_where_the_stop_of_its_position_could_not_rest_now_is_denied_with_the_figure() -> None:
    """Guards against two stops: the engine's, and one that the router sent at the position's level, beyond the band."""
    bench = sold_call(260.0)
    bench.quote(NEAR, 150.0)
    (denied,) = bench.intent("b", replace(SOLD, lots=-2, stop_price=260.0))
    assert (denied.code, "at 260" in denied.message, "at or below 203.93" in denied.message) == (
        "STOP_LEVEL", True, True,
    )  # fmt: skip
    assert armed(bench) == {}


@pytest.mark.parametrize("own", [300.0, 0.0])
def test_lot_added_to_a_position_with_its_stop_at_the_broker_joins_it_at_its_level(own: float) -> None:
    bench = sold_call(260.0)
    bench.quote(NEAR, 195.0)
    (added,) = entries(bench.intent("b", replace(SOLD, lots=-2, stop_price=own)))
    assert (added.quantity, added.stop_trigger, added.held_stop) == (65, 260.0, 0.0)
    assert armed(bench) == {}


def test_lot_added_to_a_position_that_the_engine_guards_is_guarded_by_it_at_its_level() -> None:
    """At the present price the level could rest: the router would have covered all of the position besides."""
    bench = sold_call(330.0)
    bench.quote(NEAR, 245.0)
    (added,) = entries(bench.intent("b", replace(SOLD, lots=-2, stop_price=330.0)))
    assert (added.quantity, added.stop_trigger, added.held_stop) == (65, 0.0, 330.0)
    bench.filled(added)
    assert (armed(bench), closed(bench.quote(NEAR, 330.0))) == ({NEAR: 330.0}, [NEAR])


def silent_feed(bench: Basket, seconds: int, *, ready: bool = False) -> None:
    """Time in which the feed says that it is not ready, or nothing."""
    for _ in range(seconds):
        bench.now += SECOND
        bench.machine_ns += SECOND
        if ready:
            bench.beat()
        beat = Heartbeat(
            daemon="feed", pid=1, state=DaemonState.RUNNING, ready=ready, machine_ns=bench.machine_ns,
            market_ns=bench.now, started_machine_ns=1,
        )  # fmt: skip
        bench.machine.apply(beat)
        bench.machine.set_machine_time(bench.machine_ns)


def test_engine_stop_whose_feed_is_away_for_ten_seconds_is_said_and_keeps_its_strategy_from_entering() -> None:
    bench, _ = entered(HEDGE, replace(SOLD, stop_price=360.0))
    silent_feed(bench, 9)
    assert bench.machine.unpriced_stops(bench.now) == {}
    silent_feed(bench, 1)
    assert f"10 s, and the engine holds the stop of {NEAR} (stop 360)" in bench.machine.unpriced_stops(bench.now)["S"]
    bench.quote(PUT)
    more = (HEDGE, replace(SOLD, stop_price=360.0), Leg(instrument=PUT, lots=1))
    denied = [row for row in bench.intent("b", *more) if isinstance(row, SignalDenied)]
    assert "ENGINE_STOP_BLIND" in denied[0].codes
    bench.beat()
    assert bench.machine.unpriced_stops(bench.now) == {}


def test_engine_stop_whose_own_price_does_not_come_is_said_although_the_feed_is_well() -> None:
    bench, _ = entered(HEDGE, replace(SOLD, stop_price=360.0))
    silent_feed(bench, 60, ready=True)
    assert bench.machine.unpriced_stops(bench.now) == {}, "an option is quoted less often"
    silent_feed(bench, 1, ready=True)
    assert bench.machine.unpriced_stops(bench.now) == {"S": f"no price of {NEAR} comes, and the engine holds its stop"}
    bench.quote(NEAR, 200.0)
    assert bench.machine.unpriced_stops(bench.now) == {}


def test_feed_that_is_away_matters_to_nobody_whose_stops_rest_at_the_broker() -> None:
    bench, _ = entered(HEDGE, SOLD)
    silent_feed(bench, 30)
    assert bench.machine.unpriced_stops(bench.now) == {}
    assert not [row for row in bench.rows if isinstance(row, CloseGoal)]
    assert bench.machine.state.intents["S", WATCH].settled
