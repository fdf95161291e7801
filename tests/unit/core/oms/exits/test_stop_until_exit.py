"""A stop stays at the broker until the exit that follows it can be sent, whatever holds it up and whoever asks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mytrading.core.oms.state.state import BOOKS_BACK, BOOKS_LOST
from mytrading.messages.control import FlattenRequested, ModeCleared
from mytrading.messages.enums import BrokerStatus, Call, OrderType, Outcome, Purpose
from mytrading.messages.journal_rows import RunStarted
from mytrading.messages.orders import TimerFired
from mytrading.messages.reports import ModeSeen
from tests.kit.fake_broker import ACCOUNT, MS, SECOND, OrderBench, Placed
from tests.kit.state_digest import state_digest

PLAN = {"stop_trigger": 90.0, "stop_limit": 87.0}
Change = Callable[[OrderBench], None]


def guarded(bench: OrderBench) -> Placed:
    """Fifty units held, and their stop at the broker."""
    bench.hold(**PLAN)
    stop = bench.accept()
    bench.read()
    return stop


def learn(bench: OrderBench, message: TimerFired | RunStarted) -> None:
    """An input that is journaled whatever follows from it."""
    if not bench.step(message):
        bench.journal.append(message)


def flag(what: str) -> Change:
    """The process says that the books of the account are lost, or back."""
    return lambda bench: learn(bench, TimerFired(name=what + ACCOUNT, machine_ns=bench.time))


def wrong_mode(bench: OrderBench) -> None:
    bench.step(ModeSeen(account=ACCOUNT, mode="live", expected=False, machine_ns=bench.time))


def right_mode(bench: OrderBench) -> None:
    bench.step(ModeCleared(account=ACCOUNT, at_ns=bench.now))
    bench.see_mode()


def new_run(bench: OrderBench) -> None:
    """The router starts again, and its server has not said yet in which mode it is."""
    started = RunStarted(
        daemon="router", pid=1, version="", schema=1, config_hash="", machine_ns=bench.time, market_ns=bench.now,
        speed=1.0, run_ns=bench.now,
    )  # fmt: skip
    learn(bench, started)


def paused(bench: OrderBench) -> None:
    """The server refuses a call, and any other for twenty seconds."""
    bench.enter("other", instrument="NFO:Z")
    bench.end(bench.calls[-1], Outcome.RATE_LIMITED, retry_after_ns=20 * SECOND)


def pass_pause(bench: OrderBench) -> None:
    for _ in range(10):
        bench.tick(SECOND)
    bench.calls = [call for call in bench.calls if call.order.client_order_id != "other"]


def session(is_open: bool) -> Change:
    def change(bench: OrderBench) -> None:
        bench.session_open = is_open

    return change


def venue(closes: bool) -> Change:
    """The venue squares off MIS positions by itself in a few seconds, and no longer."""

    def change(bench: OrderBench) -> None:
        bench.squares_off_ns = bench.now + SECOND if closes else 0

    return change


REASONS: dict[str, tuple[Change, Change]] = {
    "books lost": (flag(BOOKS_LOST), flag(BOOKS_BACK)),
    "wrong mode": (wrong_mode, right_mode),
    "mode not seen": (new_run, lambda bench: bench.see_mode() and None),
    "paused account": (paused, pass_pause),
    "session closed": (session(False), session(True)),
    "venue silence": (venue(True), venue(False)),
}
"""What prevents an exit, and what ends that."""


def by_alert(bench: OrderBench) -> None:
    bench.close("g1")


def by_rule(bench: OrderBench) -> None:
    bench.close("g1", price=95.0, price_step=0.5, purpose=Purpose.TARGET)


def by_flatten(bench: OrderBench) -> None:
    until = bench.time + 60 * SECOND
    bench.step(FlattenRequested(id="f1", account=ACCOUNT, at_ns=bench.now, deadline_machine_ns=until, reason="flatten"))
    bench.read()


def by_restart(bench: OrderBench) -> None:
    bench.close("g1")
    bench.crash((ACCOUNT,))


WAYS: dict[str, Change] = {"alert": by_alert, "rule": by_rule, "flatten": by_flatten, "restart": by_restart}
"""Ways of an exit; a square-off by the clock is a flatten or a command as an alert is."""


def wait(bench: OrderBench, seconds: int, *, read: bool = True) -> None:
    for _ in range(seconds):
        bench.tick(SECOND)
        if read:
            bench.read()


def purposes(bench: OrderBench) -> list[tuple[Call, Purpose]]:
    return [(call.call, call.order.purpose) for call in bench.calls]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reason", REASONS)
def test_stop_was_taken_away_for_an_exit_that_could_not_be_sent(reason: str, way: str) -> None:
    bench = OrderBench()
    bench.check_purity = True
    stop = guarded(bench)
    begin, cease = REASONS[reason]
    begin(bench)
    bench.calls.clear()
    WAYS[way](bench)
    wait(bench, 10, read=reason != "books lost")
    assert stop.status is BrokerStatus.TRIGGER_PENDING and bench.calls == []
    assert not bench.machine.state.orders[stop.client_order_id].evidence.cancel.wanted
    (told,) = [alert for alert in bench.alerts if alert.code == "EXIT_WAITS"]
    assert bench.stands("EXIT_WAITS", told.subject)
    cease(bench)
    wait(bench, 2)
    assert purposes(bench) == [(Call.CANCEL, Purpose.STOP)]
    bench.cancel()
    wait(bench, 1)
    assert purposes(bench) == [(Call.PLACE, Purpose.EXIT if way != "rule" else Purpose.TARGET)]
    assert bench.calls[0].order.quantity == 50
    wait(bench, 1)
    assert not bench.stands("EXIT_WAITS", told.subject)
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


@pytest.mark.parametrize("way", WAYS)
def test_stop_of_units_that_one_source_reported_was_taken_away_and_no_exit_was_sent(way: str) -> None:
    """The books are read without the trade and position book, so nothing confirms the fill."""
    bench = OrderBench(names_filled=False)
    bench.read()
    bench.enter("e1", 50, order_type=OrderType.LIMIT, price=100.0, **PLAN)
    entry = bench.accept()
    bench.broker.trade(entry, 50, 100.0)
    bench.report(entry)
    bench.tick()
    stop = bench.accept()
    WAYS[way](bench) if way != "flatten" else None
    if way == "flatten":
        bench.close("g1")
    for _ in range(10):
        bench.tick(SECOND)
        assert stop.status is BrokerStatus.TRIGGER_PENDING
        assert not [call for call in bench.calls if call.order.purpose is Purpose.STOP]
    assert "EXIT_WAITS" in bench.codes()
    bench.read()
    bench.tick(SECOND)
    bench.cancel(next(call for call in bench.calls if call.order.purpose is Purpose.STOP))
    wait(bench, 1)
    (call,) = [call for call in bench.calls if call.call is Call.PLACE]
    assert call.order.purpose is not Purpose.STOP and call.order.quantity == 50


def test_exit_of_confirmed_units_took_the_stop_of_the_others_away() -> None:
    """Thirty units are confirmed, seventy more were reported once: thirty go, and the seventy stay guarded."""
    bench = OrderBench()
    bench.hold("e1", 30, **PLAN)
    first = bench.accept()
    bench.enter("e2", 70, **PLAN)
    more = bench.accept()
    bench.broker.trade(more, 70, 100.0)
    bench.report(more)
    bench.tick()
    for call in list(bench.calls):
        bench.accept(call)
    assert sum(p.quantity for p in bench.broker.orders.values() if p.trigger_price) == 100
    bench.close("g1")
    for _ in range(20):
        bench.tick(SECOND)
        for call in [call for call in bench.calls if call.order.purpose is Purpose.STOP]:
            {Call.PLACE: bench.accept, Call.MODIFY: bench.modify, Call.CANCEL: bench.cancel}[call.call](call)
        shown = bench.broker.books(bench.time)
        rows = tuple(row for row in shown.orders or () if row.broker_order_id != more.id)
        bench.read(shown, orders=rows, trades=None, positions=None)
    exits = [call.order.quantity for call in bench.calls if call.order.purpose is Purpose.EXIT]
    resting = sum(p.quantity for p in bench.broker.orders.values() if p.trigger_price and p.open)
    assert (exits, resting) == ([30], 70) and first is not None


def test_flatten_without_a_read_told_nobody_that_it_closes_nothing() -> None:
    bench = OrderBench()
    stop = guarded(bench)
    until = bench.time + 60 * SECOND
    bench.step(FlattenRequested(id="f1", account=ACCOUNT, at_ns=bench.now, deadline_machine_ns=until, reason="flatten"))
    for _ in range(100):
        bench.tick(100 * MS)
    assert [alert.subject for alert in bench.alerts if alert.code == "EXIT_WAITS"] == ["f1"]
    assert stop.status is BrokerStatus.TRIGGER_PENDING and bench.stands("EXIT_WAITS", "f1")
    bench.read()
    assert not bench.stands("EXIT_WAITS", "f1") and purposes(bench) == [(Call.CANCEL, Purpose.STOP)]
