"""The next step of a strategy at this moment, in a few words for screens."""

from __future__ import annotations

from collections.abc import Sequence

from mytrading.core.gateway.leg_reentries import LegReentry
from mytrading.core.time import clock_time, hhmm, second_of_day
from mytrading.messages.orders import Order
from mytrading.messages.run_config import StrategyRun


def next_step(
    run: StrategyRun,
    now: int,
    entries: Sequence[Order],
    closes_ns: int,
    *,
    holds: bool,
    traded: bool,
    reentries: Sequence[LegReentry] = (),
) -> str:
    """Return what a running strategy waits for at market time `now` (ns), such as `entry at 09:20` or `a signal`.

    `entries` are its working entries, `closes_ns` when the clock closes what it holds (0: not), `traded` whether it has
    entered anything today, `reentries` the legs that it enters again, the soonest first.
    """
    if entries:
        more = f" and {len(entries) - 1} more" if len(entries) > 1 else ""
        return f"entry of {entries[0].instrument.partition(':')[2]}{more} to fill"
    if reentries:
        also = f"; {_until_exit(run, closes_ns)}" if holds else ""
        return "; ".join(_reentry(one) for one in reentries) + also
    if holds:
        return _until_exit(run, closes_ns)
    second = second_of_day(now)
    if run.plan is not None and run.plan.entry_time:
        begins, ends = run.plan.entry_time, run.plan.entry_time + run.plan.entry_minutes * 60
        window = f"{hhmm(begins)} to {hhmm(ends)}"
        if second < begins:
            return f"entry at {hhmm(begins)}"
        if second < ends:
            return f"entry until {hhmm(ends)}" if not traded else f"the next day: entered from {window} today"
        return f"the next day: {'closed today' if traded else f'entry window {window} missed'}"
    if second < run.rules.entry_time:
        return f"a signal, entries from {hhmm(run.rules.entry_time)}"
    ends = run.rules.exit_time or run.rules.square_off_time
    return f"the next day: no entries from {hhmm(ends)}" if 0 < ends <= second else "a signal"


def _until_exit(run: StrategyRun, closes_ns: int) -> str:
    if not closes_ns:
        return "its exit"
    named = run.rules.exit_time or (run.plan.exit_time if run.plan is not None else 0)
    text = f"its exit, at {clock_time(closes_ns)[:5]} at the latest"
    # at a high speed of the market the square-off begins minutes earlier, so that it is done in time
    return f"{text} (square-off, before exit_time {hhmm(named)})" if named > second_of_day(closes_ns) else text


def _reentry(one: LegReentry) -> str:
    return f"re-entry of {one.leg} at {clock_time(one.at_ns)[:5]} {one.price}, {one.left} left today"
