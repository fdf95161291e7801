"""The cases of the conformance of a broker: each a short story on a stage, with a share of its own.

A case is one function under `@case`; its `needs` says why a broker is not tried on it, "" if it is. What it expects is
what an operator may expect anywhere; what a broker does is the simulator's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lab.brokers.record import describe
from lab.brokers.stage import FUTURE, FUTURE_UNITS, HOUR, SHARES, UNITS, Stage, Unplayed
from mytrading.core.time import DAY
from mytrading.simulator.formats.answers import FAILURES, refusal

_NEAR = 1.003
"""A price so far above a stop is near it, and beyond its trigger for nobody."""

Play = Callable[[Stage, str], None]
Needs = Callable[[Stage], str]


class Case(NamedTuple):
    """A case: `name` in tables, its story, and why it is left out at a stage's broker."""

    name: str
    play: Play
    needs: Needs


CASES: list[Case] = []


def case(name: str, needs: Needs = lambda _: "") -> Callable[[Play], Play]:
    """Add a story to the cases."""

    def add(play: Play) -> Play:
        CASES.append(Case(name, play, needs))
        return play

    return add


def enter_and_guard(stage: Stage, share: str) -> None:
    """Enter at a held price, and wait until all units are held with a stop at the venue, and the stack shows them."""
    stage.hold_price(share, SHARES[share.partition(":")[2]])
    stage.enter(share)
    stage.await_entry(lambda: stage.venue.net(share) == UNITS, 15.0, f"{UNITS} of {share} held", share)
    stage.until(lambda: stage.covered(share) == UNITS, 10.0, f"a stop for {UNITS} of {share}", share)
    stage.until(lambda: stage.shown(share) == UNITS, 15.0, f"{UNITS} of {share} shown by the stack", share)


def enter_in_parts(stage: Stage, share: str) -> int:
    """Enter with a part fill that rests a while; returns the units that are held in the end.

    Brokers that cancel the rest of a market order leave the part.
    """
    price = SHARES[share.partition(":")[2]]
    stage.hold_price(share, price, 4)
    stage.enter(share)
    stage.await_entry(lambda: stage.venue.net(share), 15.0, f"a part of {share} filled", share)
    stage.freeze_price(share)
    stage.until(lambda: stage.covered(share) == stage.venue.net(share), 10.0, f"a stop for the part of {share}", share)
    stage.hold_price(share, price)
    stage.until(lambda: not _entries(stage, share), 15.0, "the end of the entry", share)
    held = stage.venue.net(share)
    stage.until(
        lambda: stage.covered(share) == held == stage.venue.net(share), 10.0, f"a stop for {held} of {share}", share
    )
    return held


def _entries(stage: Stage, share: str) -> list[str]:
    return [describe(order) for order in stage.venue.live(share) if order.request.side.sign > 0]


_CHANGE = "change of a stop"


def move_five_times(stage: Stage, share: str, after_each: Callable[[], None] = lambda: None) -> None:
    """Move the stop up five times as an operator does, each time until the venue has it; not at a broker of which no
    fact says what a change does."""
    for _ in range(0 if stage.silence_on(_CHANGE) else 5):
        stop = stage.stop_of(share).request
        step = round((SHARES[share.partition(":")[2]] - stop.trigger_price) / 20, 1)
        trigger, price = round(stop.trigger_price + step, 1), round(stop.price + step, 1)
        answer = stage.move_stop(share, trigger, price)
        what = f"the stop at {trigger:g} (the stack said {answer!r})"
        stage.until(lambda at=trigger: _stands_at(stage, share, at), 20.0, what, share)  # type: ignore[misc]
        after_each()


def _stands_at(stage: Stage, share: str, trigger: float) -> bool:
    return {order.request.trigger_price for order in stage.venue.stops(share)} == {trigger}


def wait_near(stage: Stage, share: str, held: int, seconds: float) -> None:
    """Hold the price near the stop for some seconds."""
    stage.hold_price(share, round(stage.stop_of(share).request.trigger_price * _NEAR, 1))
    stage.wait_held(share, held, seconds)


@case("entry in parts, wait near the stop, five moves, exit")
def whole_story(stage: Stage, share: str) -> None:
    """The life of a position, without a fault."""
    held = enter_in_parts(stage, share)
    wait_near(stage, share, held, 30.0)
    stage.hold_price(share, SHARES[share.partition(":")[2]])
    move_five_times(stage, share)
    stage.wait_held(share, held, 5.0)
    stage.leave(share)


@case("the same with a router killed at each step")
def killed_at_each_step(stage: Stage, share: str) -> None:
    """The life of a position, with `kill -9` of the router after each step of it."""
    held = enter_in_parts(stage, share)
    stage.kill_router()
    wait_near(stage, share, held, 10.0)
    stage.hold_price(share, SHARES[share.partition(":")[2]])
    move_five_times(stage, share, stage.kill_router)
    stage.wait_held(share, held, 5.0)
    stage.leave(share)
    stage.kill_router()


@case("router killed as the entry and the exit go out")
def killed_on_the_way(stage: Stage, share: str) -> None:
    """`kill -9` of the router the moment after an alert was taken: nothing is doubled, and nothing stays undone."""
    stage.hold_price(share, SHARES[share.partition(":")[2]])
    stage.enter(share)
    stage.kill_router()
    stage.await_entry(
        lambda: stage.covered(share) == stage.venue.net(share) == UNITS, 20.0, "all held, with a stop", share
    )
    stage.until(lambda: stage.shown(share) == UNITS, 15.0, f"{UNITS} of {share} shown by the stack", share)
    stage.await_next_kill()
    stage.ask_exit(share)
    stage.kill_router()
    stage.exit_can_go(share)
    stage.wait_flat(share)


@case("entry refused")
def refused_entry(stage: Stage, share: str) -> None:
    """A refused entry leaves nothing behind, also where the refusal is answered as a success."""
    stage.hold_price(share, SHARES[share.partition(":")[2]])
    with stage.fault("reject", side="BUY", instrument=share):
        stage.enter(share)
        stage.wait_held(share, 0, 20.0, stop=False)


@case("change of the stop refused", lambda stage: stage.silence_on(_CHANGE))
def refused_change(stage: Stage, share: str) -> None:
    """A refused change leaves the old stop, and somebody is told."""
    enter_and_guard(stage, share)
    stop = stage.stop_of(share).request
    with stage.fault("refuse", route="modifyorder", count=-1):
        answer = stage.move_stop(share, stop.trigger_price + 2.0, stop.price + 2.0)
        stage.wait_held(share, UNITS, 40.0)
    told = answer.startswith(("refused", "replaced"))  # a stop that is moved by a new one needs no change
    if not told and not stage.alerted(share):
        raise Unplayed(f"the broker refused the move, the stack said {answer!r}, and no alert told of it")
    stage.wait_held(share, UNITS, 5.0)
    stage.leave(share)


@case("cancel of the stop refused")
def refused_cancel(stage: Stage, share: str) -> None:
    """While cancels are refused the stop counts and no exit goes beside it; then the exit goes."""
    enter_and_guard(stage, share)
    with stage.fault("refuse", route="cancelorder", count=-1):
        stage.ask_exit(share)
        stage.wait_held(share, UNITS, 40.0)
    if not stage.alerted(share):
        raise Unplayed(f"cancels were refused for 40 s, and no alert told of the exit that waits: {stage.books(share)}")
    stage.until(lambda: not stage.venue.stops(share), 45.0, "the stop cancelled once cancels are taken", share)
    stage.exit_can_go(share)
    stage.wait_flat(share)


def _market_is_sent(stage: Stage) -> str:
    sent = stage.profile.sent.market
    return "" if sent == "MARKET" else f"the server sends MARKET as {sent}, which no broker refuses as MARKET"


@case("MARKET refused for an exit", _market_is_sent)
def refused_market(stage: Stage, share: str) -> None:
    """An exit whose MARKET order is refused goes as a LIMIT; where the answer is unclear, once its fate is known."""
    enter_and_guard(stage, share)
    reason = "Market orders are blocked for this instrument due to illiquidity. Place a limit order instead."
    with stage.fault("reject", side="SELL", pricetype="MARKET", instrument=share, reason=reason, count=-1):
        stage.ask_exit(share)
        status, _ = refusal(stage.profile, "placeorder", reason, "")
        if status != 400:  # two reads without it, `ghost_gap` apart, and the wait for a price
            stage.exit_can_go(share, in_seconds=20.0)
        stage.wait_flat(share, 30.0)


def _add_failed_reads(failure: str) -> None:
    @case(f"a minute of failed reads: {failure}")
    def failed_reads(stage: Stage, share: str) -> None:
        """Books that cannot be read close nothing; an exit that waits for them keeps its stop, aloud, and then goes."""
        enter_and_guard(stage, share)
        with stage.fault("broker_failure", failure=failure):
            stage.wait_held(share, UNITS, 60.0)
            stage.ask_exit(share)
            if stage.is_flat_within(share, 12.0):
                return
            stage.wait_held(share, UNITS, 1.0)
            if not stage.alerted(share):
                raise Unplayed(f"no alert told of the exit that waits: {stage.books(share)}")
        stage.exit_can_go(share)
        stage.wait_flat(share)


for _failure in FAILURES:
    _add_failed_reads(_failure)


def _add_foreign_rows(name: str, *, listed: bool) -> None:
    @case(name)
    def foreign_rows(stage: Stage, share: str) -> None:
        """A stranger trades at the same account; ours is guarded and goes out when asked."""
        enter_and_guard(stage, share)
        with stage.fault("foreign_row", listed=listed):
            stage.wait_held(share, UNITS, 20.0)
            stage.leave(share)


_add_foreign_rows("rows of a stranger", listed=True)
_add_foreign_rows("rows of a stranger without a known symbol", listed=False)


@case("a carried NRML night", lambda stage: stage.silence_on("a position in net and day list at once"))
def carried_night(stage: Stage, _: str) -> None:
    """A future that is carried overnight has its stop again after the next open, and goes out by an alert."""
    stage.enter(FUTURE, FUTURE_UNITS, "Carry")
    stage.await_entry(lambda: stage.covered(FUTURE) == FUTURE_UNITS, 25.0, "the future with its stop", FUTURE, "Carry")
    evening = stage.market_ns // DAY * DAY + round(9.97 * HOUR)
    stage.pass_night(evening)
    stage.until(lambda: stage.covered(FUTURE) == FUTURE_UNITS, 40.0, "the stop after the night", FUTURE)
    stage.wait_held(FUTURE, FUTURE_UNITS, 20.0)
    stage.leave(FUTURE, "Carry")


def refuses_entries(stage: Stage, share: str) -> None:
    """A broker that the program refuses: no entry reaches it."""
    stage.hold_price(share, SHARES[share.partition(":")[2]])
    for _ in range(10):
        status, answer = stage.alert("buy", share.partition(":")[2])
        stage.wait_held(share, 0, 1.0, stop=False)
        if stage.books(share) != "0 held; no orders":
            raise Unplayed(f"the entry went out, the alert was answered {status} {answer}: {stage.books(share)}")


def short_story(stage: Stage, share: str) -> None:
    """A position of ten seconds: entry in parts, its stop rests, exit. For tests of every day."""
    held = enter_in_parts(stage, share)
    stage.wait_held(share, held, 10.0)
    stage.leave(share)
