"""Every broker of the facts through the whole chain in one process: its rows, our parsers, the order machine.

Each story is the life of a position at one broker of the simulator (`tests/kit/broker_bench.py`). The bench complains
at once of what may never be; a story says what must come. Which story is told at which broker is decided by the facts
alone: where they are silent, or where a broker has no such case, it is left out and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from mytrading.messages.enums import OrderType, Product, Side
from mytrading.simulator.formats.answers import FAILURES
from mytrading.simulator.settings.broker_profile import BrokerProfile, broker_profiles
from tests.kit.broker_bench import BrokerBench, Held
from tests.kit.broker_profiles import read_facts

NOT_CONFORMED = ("deltaexchange", "dhan_sandbox")
"""A crypto exchange and a broker's test server: listed, not held against."""
WITHOUT_STOPS = ("paytm", "groww")
"""Their server keeps no stop, or their books cannot be believed: what is held there has none at the broker."""
BROKERS = tuple(name for name in read_facts() if name not in NOT_CONFORMED)
SOON, EXIT = 10.0, 5.0
"""Seconds until a stop rests, and until an exit that can go is done."""
CHANGE_UNKNOWN = "change of a stop"
FUTURE = Held("NFO:NIFTY29DEC26FUT", Product.NRML, 65, 26000.0, 25500.0, 25450.0)

Play = Callable[[BrokerBench], None]
Needs = Callable[[BrokerProfile], str]


class Story(NamedTuple):
    """A story, why it is not told at a broker ("" if it is), and whether it needs stops at the broker."""

    play: Play
    needs: Needs
    stops: bool


STORIES: dict[str, Story] = {}


def story(name: str, needs: Needs = lambda _: "", *, stops: bool = True) -> Callable[[Play], Play]:
    """Add a story; `stops`: it is about the stop at the broker."""

    def add(play: Play) -> Play:
        STORIES[name] = Story(play, needs, stops)
        return play

    return add


def left_out(broker: str, name: str) -> str:
    """Why a story is not told at a broker; "" if it is."""
    if STORIES[name].stops and broker in WITHOUT_STOPS:
        return "no stops at this broker"
    return STORIES[name].needs(broker_profiles()[broker])


def _silent_on(question: str) -> Needs:
    return lambda profile: f"silent: {question}" if question in profile.silent else ""


def enter_and_guard(bench: BrokerBench) -> None:
    """Enter with a MARKET order, until all units are held, guarded and confirmed."""
    bench.price(bench.held.price)
    bench.enter()
    bench.until(lambda: bench.net == bench.held.units, 2.0, "the entry filled")
    guarded(bench)


def guarded(bench: BrokerBench) -> None:
    """Wait until the stop covers what is held, and the ledger has it."""
    if bench.guarded:
        bench.until(lambda: bench.covered == bench.net, SOON, f"a stop for {bench.net} units")
    bench.until(lambda: bench.ledger == bench.net, 65.0, f"{bench.net} units in the ledger")


def rest(bench: BrokerBench, seconds: float) -> None:
    """Let time pass in which nothing may happen to a position and its stop."""
    before = {name: order.request for name, order in bench.orders().items()}
    bench.wait(seconds)
    after = {name: order.request for name, order in bench.orders().items()}
    if before != after:
        bench.fail("orders were placed or changed while nothing happened")
    if bench.covered != (bench.net if bench.guarded else 0):
        bench.fail(f"{bench.net} units held, stops for {bench.covered}")


def leave(bench: BrokerBench, within: float = EXIT) -> None:
    """Ask for the exit: flat in time, and nothing left."""
    bench.close()
    flat(bench, within)


def flat(bench: BrokerBench, within: float) -> None:
    """Wait for the end of the position; nothing is left of it."""
    bench.until(lambda: not bench.net, within, "the position closed")
    bench.until(lambda: not bench.our_live() and not bench.ledger, 65.0, "the end known to us")
    bench.done(0)


@contextmanager
def fault(bench: BrokerBench, kind: str, **fields: object) -> Iterator[None]:
    bench.server.fault(kind, **fields)
    yield
    bench.server.clear()


def enter_in_parts(bench: BrokerBench) -> None:
    """30, then 20 units of a LIMIT order for 100 fill, each guarded."""
    bench.price(bench.held.price, depth=30)
    bench.enter(order_type=OrderType.LIMIT, price=bench.held.price + 5)
    bench.until(lambda: bench.net == 30, 2.0, "the first part filled")
    if bench.guarded:
        bench.until(lambda: bench.covered == 30, SOON, "a stop for the first part")
    bench.wait(4.0)
    bench.price(bench.held.price, depth=20)
    if bench.guarded:
        bench.until(lambda: bench.covered == 50, SOON, "a stop for both parts")


@story("entry in parts, filled in the end", stops=False)
def parts_filled(bench: BrokerBench) -> None:
    enter_in_parts(bench)
    bench.price(bench.held.price)
    bench.until(lambda: bench.net == 100, 2.0, "the rest filled")
    guarded(bench)
    rest(bench, 15.0)
    bench.done(100)
    leave(bench)


@story("entry in parts, its rest cancelled", stops=False)
def parts_cancelled(bench: BrokerBench) -> None:
    enter_in_parts(bench)
    bench.withdraw_entries()
    bench.until(lambda: all(o.request.side is Side.SELL for o in bench.live()), 5.0, "the rest cancelled")
    bench.price(bench.held.price)
    guarded(bench)
    rest(bench, 15.0)
    bench.done(50)
    leave(bench)


@story("the stop waits near the price for a minute")
def stop_waits(bench: BrokerBench) -> None:
    enter_and_guard(bench)
    bench.price(bench.held.trigger + 2)
    rest(bench, 60.0)
    bench.done(100)
    leave(bench)


@story("the stop is moved five times", _silent_on(CHANGE_UNKNOWN))
def stop_moves(bench: BrokerBench) -> None:
    enter_and_guard(bench)
    for number in range(1, 6):
        trigger = bench.held.trigger + 4 * number
        bench.move_stop(trigger, trigger - 10)
        bench.until(
            lambda at=trigger: [o.request.trigger_price for o in bench.stops()] == [at],  # type: ignore[misc]
            20.0, f"the stop at {trigger:g}",
        )  # fmt: skip
        bench.wait(2.0)
    rest(bench, 20.0)
    bench.done(100)
    leave(bench)


@story("the stop fills in part, and the price runs away")
def stop_fills_in_part(bench: BrokerBench) -> None:
    enter_and_guard(bench)
    bench.may_sell = True  # the price has passed the stop: the rest must get out by an exit
    bench.price(bench.held.trigger - 5, depth=40)
    bench.price(bench.held.limit - 10)
    flat(bench, 45.0)


@story("the stop fills")
def stop_fills(bench: BrokerBench) -> None:
    enter_and_guard(bench)
    bench.price(bench.held.trigger - 5)
    flat(bench, 5.0)


@story("exit, and another entry", stops=False)
def round_trips(bench: BrokerBench) -> None:
    enter_and_guard(bench)
    leave(bench)
    enter_and_guard(bench)
    leave(bench)


def _market_is_sent(profile: BrokerProfile) -> str:
    sent = profile.sent.market
    return "" if sent == "MARKET" else f"MARKET is sent as {sent}, so no broker refuses one"


@story("exit whose MARKET order is refused", _market_is_sent, stops=False)
def market_refused(bench: BrokerBench) -> None:
    enter_and_guard(bench)
    reason = "Market orders are blocked for this instrument due to illiquidity. Place a limit order instead."
    with fault(bench, "reject", side="SELL", pricetype="MARKET", reason=reason, count=-1):
        leave(bench, 60.0)


@story("entry refused", stops=False)
def entry_refused(bench: BrokerBench) -> None:
    bench.price(bench.held.price)
    with fault(bench, "reject", side="BUY"):
        bench.enter()
        bench.wait(20.0)
    if bench.net or bench.live():
        bench.fail("a refused entry left something")
    bench.until(lambda: not bench.our_live(), 300.0, "the refused entry known to be none")
    bench.resolve_lost()  # where a refusal looks like a success without an id, a person has to look
    enter_and_guard(bench)
    leave(bench)


@story("cancel of the stop refused")
def cancel_refused(bench: BrokerBench) -> None:
    enter_and_guard(bench)
    with fault(bench, "refuse", route="cancelorder", count=-1):
        began = bench.time
        bench.close()
        bench.wait(40.0)
        if bench.net != 100 or bench.covered != 100:
            bench.fail("sold, or without its stop, although the cancel was refused")
        if not bench.alerted_since(began):
            bench.fail("the exit waits, and nobody was told")
    flat(bench, 65.0)


@story("change of the stop refused", _silent_on(CHANGE_UNKNOWN))
def change_refused(bench: BrokerBench) -> None:
    enter_and_guard(bench)
    with fault(bench, "refuse", route="modifyorder", count=-1):
        bench.move_stop(bench.held.trigger + 4, bench.held.limit + 4)
        bench.wait(40.0)
    if bench.net != 100 or bench.covered != 100:
        bench.fail("sold, or without its stop, although only a change was refused")
    bench.wait(10.0)
    leave(bench)


@story("change of the stop answered with success and not made", _silent_on(CHANGE_UNKNOWN))
def change_undone(bench: BrokerBench) -> None:
    enter_and_guard(bench)
    with fault(bench, "undone", route="modifyorder", count=-1):
        bench.move_stop(bench.held.trigger + 4, bench.held.limit + 4)
        bench.wait(40.0)
    if bench.net != 100 or bench.covered != 100:
        bench.fail("sold, or without its stop, although only a change was not made")
    leave(bench)


@story("cancel of the stop answered with success and not made")
def cancel_undone(bench: BrokerBench) -> None:
    enter_and_guard(bench)
    with fault(bench, "undone", route="cancelorder"):
        leave(bench, 65.0)


def _fails_alike(failure: str) -> Needs:
    """A failure that a broker's books show as an earlier one of the list is not told twice."""

    def shown(profile: BrokerProfile, failure: str) -> list[tuple[int, str]]:
        answers = [profile.failing[failure][route] for route in ("orderbook", "tradebook", "positionbook", "funds")]
        return [(one.status, one.shows if one.status == 200 else "") for one in answers]

    def needs(profile: BrokerProfile) -> str:
        before = FAILURES[: FAILURES.index(failure)]
        alike = any(shown(profile, one) == shown(profile, failure) for one in before)
        return "answered as another failure" if alike else ""

    return needs


def _add_failed_reads(failure: str) -> None:
    @story(f"a minute of failed reads: {failure}", _fails_alike(failure), stops=False)
    def reads_fail(bench: BrokerBench) -> None:
        enter_and_guard(bench)
        with fault(bench, "broker_failure", failure=failure):
            rest(bench, 60.0)
            if bench.ledger != 100:
                bench.fail("what is held was corrected away by failed reads")
            began = bench.time
            bench.close()
            bench.wait(SOON)
            if bench.net and not bench.alerted_since(began):
                bench.fail("the exit waits, and nobody was told within 10 s")
            bench.wait(20.0)
        flat(bench, 40.0)


for _failure in FAILURES:
    _add_failed_reads(_failure)


def _add_foreign_rows(name: str, *, listed: bool) -> None:
    @story(name, stops=False)
    def foreign_rows(bench: BrokerBench) -> None:
        enter_and_guard(bench)
        with fault(bench, "foreign_row", listed=listed):
            rest(bench, 65.0)
            leave(bench)


_add_foreign_rows("rows of a stranger", listed=True)
_add_foreign_rows("rows of a stranger without a known symbol", listed=False)


def _shows_wrong_ends(profile: BrokerProfile) -> str:
    form = profile.orders
    return "" if form.refused_change or form.row_above else "no end is shown that was none"


@story("an end is shown that was none", _shows_wrong_ends)
def wrong_end(bench: BrokerBench) -> None:
    enter_and_guard(bench)
    form = broker_profiles()[bench.broker].orders
    if form.refused_change:
        with fault(bench, "refuse", route="modifyorder"):
            bench.server.change(bench.stops()[0].order_id)
    else:
        bench.server.fault("status_word", raw=form.row_above[0])
    bench.wait(60.0)
    bench.server.clear()
    bench.wait(60.0)
    bench.done(100)
    leave(bench)


@story("a carried NRML night", _silent_on("a position in net and day list at once"), stops=False)
def carried_night(bench: BrokerBench) -> None:
    enter_and_guard(bench)
    bench.pass_night("2026-11-20 15:40", "2026-11-23 09:20")
    if bench.guarded:
        bench.until(lambda: bench.covered == bench.held.units, 40.0, "the stop after the night")
    rest(bench, 65.0)
    bench.done(bench.held.units)
    leave(bench)


SHARE, FEW = 3, 6
"""`make test` plays each story at every third broker that has it, another third than of the story before, and one that
few brokers have at all of these; `make test-all` plays all."""


def every_case() -> Iterator[Any]:
    for number, name in enumerate(STORIES):
        brokers = [broker for broker in BROKERS if not left_out(broker, name)]
        for place, broker in enumerate(brokers):
            daily = len(brokers) <= FEW or (place + number) % SHARE == 0
            yield pytest.param(broker, name, id=f"{broker}-{name}", marks=() if daily else pytest.mark.long)


@pytest.mark.parametrize(("broker", "name"), list(every_case()))
def test_position_lives_and_ends_as_it_should_behind_each_broker(broker: str, name: str) -> None:
    held = FUTURE if name == "a carried NRML night" else Held()
    bench = BrokerBench(broker, name, held, guarded=broker not in WITHOUT_STOPS)
    try:
        STORIES[name].play(bench)
        assert bench.ledger == bench.net
    finally:
        bench.end()


@pytest.mark.parametrize("broker", WITHOUT_STOPS)
def test_broker_that_cannot_be_trusted_gets_no_entry_unless_a_person_accepts_it(broker: str) -> None:
    bench = BrokerBench(broker, "entry without consent", guarded=False, accepted=False)
    try:
        bench.enter()
        bench.wait(5.0)
        assert (bench.orders(), bench.net) == ({}, 0), "an entry went out"
    finally:
        bench.end()


def test_stories_left_out_are_those_on_which_the_facts_are_silent_or_that_a_broker_has_not() -> None:
    """Of 34 brokers and 21 stories; the facts name the brokers, counted by hand."""
    assert (len(BROKERS), len(STORIES)) == (34, 21)
    reasons: dict[str, list[str]] = {}
    for broker in BROKERS:
        for name in STORIES:
            if reason := left_out(broker, name):
                reasons.setdefault(reason.partition(",")[0], []).append(broker)
    assert {reason: len(brokers) for reason, brokers in reasons.items()} == {
        "no stops at this broker": 18,  # nine stories of stops, at two brokers
        "silent: change of a stop": 3,  # pocketful, three stories that change one
        "silent: a position in net and day list at once": 1,  # indmoney
        "answered as another failure": 67,  # of 136: the same books fail, with the same rows
        "MARKET is sent as LIMIT": 11,
        "no end is shown that was none": 28,  # all but four, and the two without stops
    }
    assert set(reasons["silent: change of a stop"]) == {"pocketful"}
