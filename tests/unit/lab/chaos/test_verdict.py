"""The judge of `mytrading chaos`: each figure that must be zero is not, for records in which it should not be."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from lab.chaos.evidence import Evidence, concerning
from lab.chaos.fault_draws import Trouble
from lab.chaos.figures import recoveries
from lab.chaos.host_pauses import PAUSE, Pauses, Running
from lab.chaos.quiescence import disagreeing
from lab.chaos.records import Beat, Broken, Fold, Loss, Moved, read_broken, read_crashes
from lab.chaos.schedule import SUPERVISOR, WATCHDOG, Kind, plan
from lab.chaos.summary import summed, write_page, write_report
from lab.chaos.unprotected_time import Stretch
from lab.chaos.verdict import Bounds, beyond_allowance, judge
from mytrading.core.exchange.model import BookOrder
from mytrading.core.risk.pnl.equity_memory import FIRED, level_name
from mytrading.core.time import SECOND as S
from mytrading.messages.commands import CloseGoal, PlaceEntry
from mytrading.messages.control import FlattenRequested, TradingState
from mytrading.messages.enums import (
    BrokerStatus,
    LimitKind,
    OrderState,
    Product,
    Purpose,
    Side,
    TradingLevel,
)
from mytrading.messages.journal_rows import LevelMoved
from mytrading.messages.keys import OwnerKey
from mytrading.messages.orders import Flatten, Order
from mytrading.runtime.journal.journal import OUTPUT, Row
from mytrading.simulator.faults.registry import FAULTS
from mytrading.simulator.venue.event_log import CALL, FAULT, ORDER, STARTED, LoggedEvent
from tests.kit.chaos_evidence import BOUNDS, SBIN, evidence, order, placed


def zeros(given: Evidence, bounds: Bounds = BOUNDS) -> dict[str, float]:
    """Return the counts that are not zero."""
    return {name: value for name, value in judge(given, bounds).must_be_zero.items() if value}


def test_run_in_which_all_is_well_is_good() -> None:
    there, here = [placed("a")], [order("a")]
    assert judge(evidence(there, here), BOUNDS).good


def test_second_broker_order_of_one_intent_is_duplicated() -> None:
    there = [placed("a"), placed("a", number=2)]
    assert zeros(evidence(there, [order("a")]))["duplicated"] == 1


def test_broker_order_without_a_journaled_intent_is_duplicated() -> None:
    assert zeros(evidence([placed("a")], [], net=0)) == {"duplicated": 1}


@pytest.mark.parametrize("state", [OrderState.UNKNOWN, OrderState.SUBMITTED, OrderState.INITIALIZED])
def test_order_that_nobody_knows_the_fate_of_is_lost(state: OrderState) -> None:
    assert zeros(evidence([], [order("a", state, broker_order_id="")])) == {"lost": 1}


def test_order_that_only_we_believe_in_is_lost() -> None:
    assert zeros(evidence([], [order("a", OrderState.ACCEPTED)])) == {"lost": 1}


@pytest.mark.parametrize("state", [OrderState.PARKED, OrderState.GHOST])
def test_order_held_for_approval_has_a_record_and_is_not_lost(state: OrderState) -> None:
    assert zeros(evidence([], [order("a", state, broker_order_id="")])) == {}


@pytest.mark.parametrize("state", [OrderState.PARKED, OrderState.GHOST])
@pytest.mark.parametrize("status", [BrokerStatus.OPEN, BrokerStatus.COMPLETE])
def test_order_held_for_approval_that_stands_at_the_broker_is_lost(state: OrderState, status: BrokerStatus) -> None:
    there = [placed("a", status)]
    assert zeros(evidence(there, [order("a", state, broker_order_id="")], net=0)) == {"lost": 1}


def test_order_that_we_gave_up_and_that_rests_is_lost() -> None:
    there = [placed("a", BrokerStatus.OPEN)]
    assert zeros(evidence(there, [order("a", OrderState.LOST)])) == {"lost": 1}


def test_order_given_up_with_a_record_is_not_lost() -> None:
    assert zeros(evidence([], [order("a", OrderState.LOST, broker_order_id="")])) == {}


def test_fill_that_only_the_broker_knows_is_lost_and_differs() -> None:
    there = [placed("a", filled=7)]
    assert zeros(evidence(there, [order("a", filled=5)])) == {"lost": 1, "position_differs": 1}


def test_command_that_the_router_never_recorded_is_lost() -> None:
    entry = PlaceEntry(
        id="x", account="paper", instrument=SBIN, product=Product.MIS, strategy="S", run="r", cause="c", side=Side.BUY,
        quantity=1, expires_ns=0, expires_machine_ns=0,
    )  # fmt: skip
    goal = CloseGoal(
        id="y", account="paper", instrument=SBIN, product=Product.MIS, strategy="S", run="r", cause="c", reason="r"
    )
    assert zeros(evidence([], [], commands=(entry, goal))) == {"lost": 2}


def test_position_that_nobody_owns_differs() -> None:
    assert zeros(evidence([placed("a")], [order("a")], net=15)) == {"position_differs": 1}


def test_decision_that_differs_is_counted() -> None:
    assert zeros(evidence([], [], verify=("router: row 7",))) == {"verify_differs": 1}


def test_daemon_that_ended_by_its_own_error_is_counted_by_its_line_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "error.log"
    crash = {"time": "t", "component": "feed", "event": "daemon.crashed", "exception": "Traceback\nValueError: odd\n"}
    other = {"time": "t", "component": "feed", "event": "alert.raised"}
    log.write_text(f"{json.dumps(other)}\n{json.dumps(crash)}\n{json.dumps(crash)[:30]}", encoding="utf-8")
    crashes = read_crashes(log)
    assert crashes == ("feed crashed at t: ValueError: odd",)
    assert zeros(evidence([], [], crashes=crashes)) == {"crashed": 1}
    assert read_crashes(tmp_path / "none.log") == ()


# bare


def guarded(stop_at: int, end_at: int) -> tuple[list[BookOrder], list[Order], list[LoggedEvent]]:
    """An entry that fills at second 10 and a stop for it that rests from `stop_at` to `end_at`."""
    entry = placed("a")
    stop = placed("s", BrokerStatus.TRIGGER_PENDING, side=Side.SELL)
    gone = placed("s", BrokerStatus.CANCELLED, side=Side.SELL)
    events = [
        LoggedEvent(10 * S, ORDER, entry),
        LoggedEvent(stop_at * S, ORDER, stop),
        LoggedEvent(end_at * S, ORDER, gone),
    ]
    here = [order("a"), order("s", OrderState.CANCELLED, purpose=Purpose.STOP, side=Side.SELL, filled=0)]
    return [entry, gone], here, events


def test_position_whose_stop_comes_late_is_bare_beyond_five_seconds() -> None:
    assert zeros(evidence(*guarded(18, 200), end_ns=100 * S)) == {"bare_seconds": 3.0}


def test_position_whose_stop_comes_in_time_is_not_bare() -> None:
    assert zeros(evidence(*guarded(12, 200))) == {}


def test_position_whose_stop_ends_is_bare_until_the_end() -> None:
    assert zeros(evidence(*guarded(11, 50), end_ns=100 * S)) == {"bare_seconds": 45.0}


def test_stop_for_less_than_is_held_leaves_the_position_bare() -> None:
    there, here, events = guarded(11, 200)
    less = placed("s", BrokerStatus.TRIGGER_PENDING, side=Side.SELL, quantity=9)
    events[1] = LoggedEvent(11 * S, ORDER, less)
    assert zeros(evidence(there, here, events, end_ns=100 * S)) == {"bare_seconds": 85.0}


def test_kill_during_a_bare_stretch_earns_recovery_and_a_poll() -> None:
    killed = Broken(12 * S, 12 * S, "kill", "router")
    given = evidence(*guarded(28, 200), broken=(killed,), end_ns=100 * S)
    assert zeros(given) == {}
    late = evidence(*guarded(30, 200), broken=(killed,), end_ns=100 * S)
    assert zeros(late) == {"bare_seconds": 2.0}


@pytest.mark.parametrize("thing", [("kill", "engine"), ("ws_mute", "simulator")])
def test_what_has_no_part_in_stops_excuses_no_bare_position(thing: tuple[str, str]) -> None:
    given = evidence(*guarded(18, 200), broken=(Broken(12 * S, 30 * S, *thing),))
    assert zeros(given) == {"bare_seconds": 3.0}


def test_fault_long_over_earns_nothing() -> None:
    fault = Broken(0, 0, "place_timeout", "simulator")
    there, here, events = guarded(18, 40)
    later = [LoggedEvent(event.machine_ns + 50 * S, event.kind, event.body) for event in events]
    given = evidence(there, here, later, broken=(fault,), end_ns=70 * S)
    assert zeros(given) == {"bare_seconds": 3.0}


def test_strategy_without_stops_at_the_broker_is_not_judged_bare() -> None:
    assert zeros(evidence(*guarded(90, 95)), Bounds()) == {}


def test_position_closed_by_a_resting_exit_is_not_bare() -> None:
    there, here, events = guarded(11, 12)
    exit_order = placed("x", BrokerStatus.OPEN, side=Side.SELL)
    here.append(order("x", OrderState.ACCEPTED, purpose=Purpose.EXIT, side=Side.SELL, filled=0))
    events.insert(2, LoggedEvent(12 * S, ORDER, exit_order))
    assert zeros(evidence([*there, exit_order], here, events)) == {}


# rates and limits


def calls(*at_ms: int) -> list[LoggedEvent]:
    return [LoggedEvent(at * 1_000_000, CALL, "placeorder") for at in at_ms]


def test_eleventh_call_in_a_rolling_second_is_a_breach() -> None:
    assert zeros(evidence([], [], calls(*range(500, 1500, 91)))) == {"rate_breaches": 1}


def test_ten_calls_a_second_are_none() -> None:
    assert zeros(evidence([], [], calls(*range(0, 3000, 101)))) == {}


def test_calls_that_a_stopped_simulator_gathered_are_not_the_routers_breach() -> None:
    hang = Broken(0, S, "hang", "simulator")
    verdict = judge(evidence([], [], calls(*[1001] * 12), broken=(hang,)), BOUNDS)
    assert (verdict.good, verdict.figures["calls_gathered"]) == (True, 12)


@pytest.mark.parametrize(("began_ms", "good"), [(9_000, True), (9_900, False), (-50_000, False)])
def test_calls_that_wait_for_a_simulator_that_is_coming_up_have_gathered(began_ms: int, good: bool) -> None:
    events = [
        LoggedEvent(began_ms * 1_000_000, STARTED, 1),
        LoggedEvent((began_ms + 10) * 1_000_000, CALL, "cancelorder"),
    ]
    later = calls(*[11_000 + n for n in range(12)]) if good else calls(*[10_500 + n for n in range(12)])
    assert judge(evidence([], [], [*events, *later]), BOUNDS).good is good


def test_call_of_somebody_else_is_not_the_routers() -> None:
    mine = calls(*range(500, 1500, 91))
    by_hand = Broken(mine[4].machine_ns, mine[4].machine_ns, "by_hand", SBIN)
    assert zeros(evidence([], [], mine, broken=(by_hand,))) == {}


def halted(at_s: int) -> tuple[tuple[int, TradingState], ...]:
    return ((at_s * S, TradingState(level=TradingLevel.HALT, generation=1, reason="r", at_ns=0)),)


def test_entry_placed_after_a_halt_is_a_breach() -> None:
    events = [LoggedEvent(20 * S, ORDER, placed("a"))]
    given = evidence([placed("a")], [order("a")], events, levels=halted(10))
    assert zeros(given, Bounds()) == {"limit_breaches": 1}
    assert zeros(evidence([placed("a")], [order("a")], events, levels=halted(18)), Bounds()) == {}


def test_entry_beyond_the_most_positions_is_a_breach() -> None:
    events = [LoggedEvent(20 * S, ORDER, placed("a"))]
    given = evidence([placed("a")], [order("a")], events)
    assert zeros(given, Bounds(most_positions=0)) == {"limit_breaches": 1}


def test_entry_placed_after_the_days_loss_limit_is_a_breach() -> None:
    events = [LoggedEvent(20 * S, ORDER, placed("a"))]
    given = evidence([placed("a")], [order("a")], events)
    reached = given._replace(ours=given.ours._replace(losses=(Loss(10 * S, 0),)))
    assert zeros(reached, Bounds()) == {"limit_breaches": 1}
    on_its_way = given._replace(ours=given.ours._replace(losses=(Loss(18 * S, 0),)))
    assert zeros(on_its_way, Bounds()) == {}
    another_day = given._replace(ours=given.ours._replace(losses=(Loss(10 * S, 90_000 * S),)))
    assert zeros(another_day, Bounds()) == {}
    another_strategy = given._replace(ours=given.ours._replace(losses=(Loss(10 * S, 0, "T"),)))
    assert zeros(another_strategy, Bounds()) == {}


def test_entry_decided_after_a_limit_is_a_breach_however_soon_it_comes() -> None:
    given = evidence([placed("a")], [order("a")], [LoggedEvent(11 * S, ORDER, placed("a"))])
    ours = given.ours._replace(losses=(Loss(10 * S, 0),))
    soon = given._replace(ours=ours._replace(commanded={"a": round(10.5 * S)}))
    assert zeros(soon, Bounds()) == {"limit_breaches": 1}
    before = given._replace(ours=ours._replace(commanded={"a": round(9.5 * S)}))
    assert zeros(before, Bounds()) == {}


def test_entry_that_a_hung_router_held_back_was_on_its_way() -> None:
    given = evidence([placed("a")], [order("a")], [LoggedEvent(15 * S, ORDER, placed("a"))])
    ours = given.ours._replace(losses=(Loss(10 * S, 0),), commanded={"a": 9 * S})
    assert zeros(given._replace(ours=ours), Bounds()) == {"limit_breaches": 1}
    hung = Broken(9 * S, 13 * S, "hang", "router")
    assert zeros(given._replace(ours=ours, broken=(hung,)), Bounds()) == {}


def test_loss_limit_in_risks_journal_is_found_for_its_account_or_strategy() -> None:
    folds = {name: Fold(name) for name in ("main", "second")}
    lines = [(LimitKind.DAILY_LOSS, "account", "second"), (LimitKind.DAILY_LOSS, "strategy", "S"),
             (LimitKind.DRAWDOWN, "account", "main")]  # fmt: skip
    for number, line in enumerate(lines):
        for fold in folds.values():
            fold.take(Row(number, 1, OUTPUT, "records", number, "", 0, 0, b"", 3, 7, b"", b""),
                      LevelMoved(name=level_name(FIRED, *line), value=-5.0, at_ns=3))  # fmt: skip
    assert folds["main"].result().losses == (Loss(7, 3, "S"),)
    assert folds["second"].result().losses == (Loss(7, 3), Loss(7, 3, "S"))


def worth(name: str, price: float, quantity: int = 10) -> BookOrder:
    return replace(placed(name, quantity=quantity), average_price=price)


def test_entry_beyond_its_worth_is_a_breach_by_all_its_slices() -> None:
    rows = [worth("a1", 100.0), worth("a2", 100.0)]
    here = [order(name, parent="a", slice=number) for number, name in enumerate(("a1", "a2"), 1)]
    given = evidence(rows, here, [LoggedEvent((20 + n) * S, ORDER, row) for n, row in enumerate(rows)])
    assert zeros(given, Bounds(order_value=1_500.0)) == {"limit_breaches": 1}
    assert zeros(given, Bounds(order_value=2_000.0)) == {}


def test_entry_that_makes_a_position_worth_too_much_is_a_breach_and_its_exit_is_none() -> None:
    rows = [worth("a", 100.0), worth("b", 100.0)]
    sold = replace(placed("c", side=Side.SELL), average_price=100.0)
    here = [order("a"), order("b"), order("c", purpose=Purpose.EXIT, side=Side.SELL)]
    events = [LoggedEvent((20 + n) * S, ORDER, row) for n, row in enumerate([*rows, sold])]
    given = evidence([*rows, sold], here, events)
    assert zeros(given, Bounds(position_value=1_500.0)) == {"limit_breaches": 1}
    assert zeros(given, Bounds(position_value=2_000.0)) == {}


def test_exit_after_a_halt_is_none() -> None:
    row = placed("a", side=Side.SELL)
    here = order("a", purpose=Purpose.EXIT, side=Side.SELL)
    given = evidence([row], [here], [LoggedEvent(20 * S, ORDER, row)], levels=halted(10))
    assert zeros(given, Bounds()) == {}


# the rest


def test_recovery_lasts_until_the_next_readiness_and_not_over_a_second_kill() -> None:
    broken = [Broken(10 * S, 10 * S, "kill", "risk"), Broken(20 * S, 20 * S, "kill", "risk")]
    beats = [Beat(12 * S, "risk", 2, False), Beat(21 * S, "risk", 3, False), Beat(23 * S, "risk", 3, True)]
    assert recoveries(broken, beats) == ([3.0], [], [])
    starved = Broken(21 * S, 22 * S, "starve", "")
    assert recoveries([*broken, starved], beats) == ([], [], [3.0])
    paused = Broken(21 * S, 22 * S, PAUSE, "")
    assert recoveries([*broken, paused], beats) == ([], [], [3.0])
    burst = Broken(18 * S, 18 * S, "kill", "feed")
    assert recoveries([*broken, burst], beats) == ([], [3.0], [])


def test_trouble_of_another_accounts_server_excuses_nothing() -> None:
    broken = (Broken(12 * S, 30 * S, "hang", "simulator", "second"), Broken(1, 2, "kill", "router"))
    assert concerning("main", broken) == broken[1:]
    assert concerning("second", broken) == broken


def test_fault_that_a_slow_server_did_not_confirm_counts_if_its_record_shows_it(tmp_path: Path) -> None:
    """A machine with other work: servers accepted the faults, and answered after two seconds."""
    rows: list[dict[str, Any]] = [
        {"at_ns": 10 * S, "act": "fault", "target": what, "confirmed": False, "account": "main"}
        for what in ("partial_fill", "status_flap")
    ]
    rows.append({"at_ns": 20 * S, "act": "calm", "target": "", "confirmed": True, "account": "main"})
    log = tmp_path / "broken.jsonl"
    log.write_text("\n".join(json.dumps(row) for row in rows))
    broken = read_broken(log)
    fill = Broken(10 * S, 20 * S, "partial_fill", "simulator", "main", sure=False)
    assert concerning("main", broken, [LoggedEvent(12 * S, FAULT, "partial_fill")]) == (fill,)
    assert (
        concerning(
            "main", broken, [LoggedEvent(21 * S, FAULT, "partial_fill"), LoggedEvent(12 * S, CALL, "status_flap")]
        )
        == ()
    )


def test_stack_has_not_settled_while_an_order_rests_at_the_broker_that_ended_here() -> None:
    resting = placed("s", BrokerStatus.TRIGGER_PENDING, side=Side.SELL)
    given = evidence([resting], [order("s", OrderState.CANCELLED, purpose=Purpose.STOP, side=Side.SELL)])
    (line,) = disagreeing(given.broker, given.ours)
    assert "CANCELLED here, trigger pending at the broker" in line
    well = evidence([placed("s", BrokerStatus.CANCELLED)], [order("s", OrderState.CANCELLED)])
    assert disagreeing(well.broker, well.ours) == []


def test_accounts_are_judged_together_and_findings_name_theirs() -> None:
    fine = evidence([placed("a")], [order("a")])
    doubled = evidence([placed("b"), placed("b", number=2)], [order("b", filled=10)], net=10)
    verdict = judge({"main": fine, "second": doubled}, BOUNDS)
    assert verdict.must_be_zero["duplicated"] == 1
    assert verdict.findings[0].startswith("second: ")
    assert (verdict.figures["orders"], verdict.figures["accounts"]) == (3, 2)


def test_flatten_that_nobody_took_up_is_lost() -> None:
    asked = FlattenRequested(id="f", account="paper", at_ns=0, deadline_machine_ns=0, reason="r")
    given = evidence([], [])
    given = given._replace(ours=given.ours._replace(asked=(asked,)))
    assert zeros(given) == {"lost": 1}
    done = given.ours._replace(
        flattens={"f": Flatten(id="f", account="paper", reason="r", deadline_machine_ns=0, state="done")}
    )
    assert zeros(given._replace(ours=done)) == {}


def test_unknowns_are_reported_with_how_they_ended() -> None:
    unknown = order("a", OrderState.UNKNOWN, broker_order_id="", purpose=Purpose.STOP)
    ended = order("a", OrderState.GHOST, broker_order_id="", purpose=Purpose.STOP)
    moves = (Moved(10 * S, "unknown", unknown), Moved(14 * S, "ghost", ended))
    figures = judge(evidence([], [ended], moves=moves), BOUNDS).figures
    assert figures["unknowns"] == {"count": 1, "ended": {"GHOST": 1}}
    assert (figures["ghosts"], figures["protection_in_doubt_s"]) == (1, 4.0)


def test_pause_of_the_whole_machine_is_noted_with_its_length(tmp_path: Path) -> None:
    """Somebody else stopped all that ran here for a minute: positions lay bare by the clock, while nothing moved."""
    clock = iter([0, 1 * S, 70 * S, 71 * S])
    rows: list[str] = []

    def note(began_ns: int, seconds: float) -> None:
        row = {"at_ns": 70 * S, "act": PAUSE, "target": "", "began_ns": began_ns, "paused_s": seconds}
        rows.append(json.dumps(row))

    pauses = Pauses(note, lambda: next(clock))
    for _ in range(3):
        pauses.look()
    log = tmp_path / "broken.jsonl"
    log.write_text("\n".join(rows))
    paused = read_broken(log)
    assert paused == (Broken(1 * S, 70 * S, PAUSE, ""),)
    bare = Stretch(OwnerKey("main", "NSE:SBIN", Product.MIS, "S"), 2 * S, 75 * S, opened=True)
    assert beyond_allowance(bare, paused, BOUNDS) == 0.0
    assert beyond_allowance(bare, (), BOUNDS) > 60.0


def test_watch_for_pauses_that_never_began_can_be_ended() -> None:
    """A stack that did not come up was reported as an error of the judge."""
    noted: list[float] = []
    Pauses(lambda _, seconds: noted.append(seconds)).stop()
    assert noted == []


def test_schedule_stands_still_with_the_machine() -> None:
    """Ten processes were killed in one instant, as all that had fallen due in a pause was done at its end."""
    clock = iter([0, 1 * S, 70 * S, 71 * S])
    running = Running(lambda: next(clock))
    assert [running.seconds() for _ in range(3)] == [1.0, 1.0, 2.0]


def test_schedule_is_the_same_for_a_seed_and_differs_between_seeds() -> None:
    trouble = Trouble(parkable=(SBIN,))
    assert plan(5, 600, trouble) == plan(5, 600, trouble) != plan(6, 600, trouble)


def test_schedule_ends_no_program_more_often_than_supervisor_bears() -> None:
    for seed in range(20):
        ends: dict[str, list[float]] = {}
        for act in plan(seed, 900, Trouble(parkable=(SBIN,))):
            if act.kind in (Kind.KILL, Kind.LEAVE, Kind.RESTART) and act.target != SUPERVISOR:
                ends.setdefault(act.target, []).append(act.at)
        assert all(later - now > 60.0 for times in ends.values() for now, later in zip(times, times[3:], strict=False))


def test_schedule_never_ends_supervisor_beside_the_watchdog() -> None:
    for seed in range(20):
        acts = plan(seed, 900, Trouble(parkable=(SBIN,)))
        dog = [act.at for act in acts if act.target == WATCHDOG]
        assert all(abs(act.at - at) > 10.0 for act in acts if act.target == SUPERVISOR for at in dog)


def test_schedule_draws_every_fault_of_the_registry_and_calms_after_each_storm() -> None:
    acts = [act for seed in range(10) for act in plan(seed, 1800, Trouble(parkable=(SBIN,)))]
    assert {act.fault["kind"] for act in acts if act.kind is Kind.FAULT} == set(FAULTS)
    assert not [act for act in acts if act.kind is Kind.DISK]
    for seed in range(5):
        own = plan(seed, 300, Trouble(parkable=(SBIN,), disk=True))
        full = [act for act in own if act.kind is Kind.DISK]
        assert full
        assert all(act.at + act.seconds < later.at for act, later in pairwise(full))
        assert own[-1].kind is Kind.CALM


# several runs


def test_reports_of_a_folder_are_added_up_on_its_page(tmp_path: Path) -> None:
    folder = tmp_path / "chaos"
    for seed, doubled in ((1, 0), (2, 1)):
        there = [placed("a")] + [placed("a", number=2)] * doubled
        verdict = judge(evidence(there, [order("a")], net=10), BOUNDS)
        body = {
            "seed": seed, "minutes": 30.0, "personality": "live", "real_windows": False, "problems": [],
            "must_be_zero": verdict.must_be_zero, **verdict.figures,
            "samples": {"recovery_s": f"{seed} 3"},
        }  # fmt: skip
        write_report(body, folder)
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert "2 runs, 1.00 hours broken" in page
    assert "Runs that failed: 2." in page
    total = summed(write_page(folder))
    assert (total["good"], total["orders"], total["must_be_zero"]["duplicated"]) == (False, 3, 1)
    assert total["recovery_s"]["count"] == 4
