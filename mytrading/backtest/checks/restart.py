"""Restart equivalence: a strategy that is stopped in the middle of a day and recovered decides what it would have.

The rows that the engine learnt up to the stop are applied to a machine made again, as recovery does, which then walks
through the stored bars of the days that the engine keeps; from there on it is fed the same bars and the same rows as
the run that was not stopped. A restart has nothing else than that: bars, positions, memory.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np

from mytrading.backtest.checks.observer import CheckOutcome, Log, MemoryKept, Observer, build_machine, first_difference
from mytrading.backtest.results.output import iso_ist
from mytrading.backtest.run import Spec
from mytrading.core.engine.machine import EngineMachine
from mytrading.core.time import day_number
from mytrading.messages.journal_rows import StrategyMemory
from mytrading.messages.market import Bar
from mytrading.messages.orders import PositionChanged

NAME = "restart"
ASKS = "does it decide the same after a restart in the middle of a day?"
_STOPS = 3
_LONGEST = 2
_GOES_ON = 200
_TODO = (
    "put what bars cannot tell (entry prices, counts of fills or trades, flags) into self.memory, or read it from "
    "self.position and self.traded_today"
)


def check_restart(spec: Spec, observer: Observer, whole: Log) -> CheckOutcome:
    """Check that a strategy restarted at a few bars decides afterwards as in the full run (`whole`)."""
    found = CheckOutcome(NAME, ASKS)
    stops = _stops(whole)
    found.figures["restarts"] = len(stops)
    if not stops:
        found.skipped = "it was given no bars"
    for stop in stops:
        if _differs(spec, observer, whole, stop, found):
            break
    return found


def _stops(whole: Log) -> list[int]:
    """Places in the story right behind bars: just before decisions, some bars after fills, and one in the middle.

    Just before a decision shows what the decision needs and a restart has not: as often while something is held as
    while nothing is, and where it was held longest, for then the bars tell least of the entry.
    """
    story = whole.story
    bars = [place for place, event in enumerate(story) if isinstance(event, Bar)]
    ends = [story[place].end_ns for place in bars]
    decided = sorted({bisect_left(ends, one.at_ns) for one in whole.decisions} - {0})
    since = _held_since(story)
    held = [row for row in decided if since[bars[row - 1]] >= 0]
    longest = sorted(held, key=lambda row: bars[row - 1] - since[bars[row - 1]])[-_LONGEST:]
    flat = sorted(set(decided).difference(held))
    rows = {*longest, *_spread(held, 2 * _STOPS - min(len(flat), _STOPS))}
    rows.update(_spread(flat, 2 * _STOPS - min(len(held), _STOPS)))
    filled = [place for place, event in enumerate(story) if isinstance(event, PositionChanged)]
    stops = {bars[row - 1] + 1 for row in rows}
    third = [bisect_right(bars, place) + 2 for place in [*_spread(filled, _STOPS), len(story) // 2]]
    stops |= {bars[row] + 1 for row in third if row < len(bars)}
    # behind all bars that end with the one before a stop, so that no slice is half given
    return sorted({bars[bisect_right(ends, story[stop - 1].end_ns) - 1] + 1 for stop in stops})


def _held_since(story: Sequence[Any]) -> list[int]:
    """Of each place, since which one something has been held; -1 where nothing is."""
    held: set[tuple[str, str, str]] = set()
    since, found = -1, []
    for place, event in enumerate(story):
        if isinstance(event, PositionChanged):
            (held.add if event.position.quantity else held.discard)(event.position.net)
            since = -1 if not held else place if since < 0 else since
        found.append(since)
    return found


def _spread(items: Sequence[int], count: int) -> list[int]:
    """At most so many of them, evenly, the first and the last among them."""
    return [items[row] for row in np.unique(np.linspace(0, len(items) - 1, count).astype(int))] if items else []


def _differs(spec: Spec, observer: Observer, whole: Log, stop: int, found: CheckOutcome) -> bool:
    again = observer.log = Log()
    machine = build_machine(spec, observer.watched)
    stopped = _recovered(spec, machine, whole.story[:stop])
    again.decisions.clear()
    last = _go_on(spec, machine, whole.story[stop:])
    fault = machine.hosts[0].fault
    if fault is not None and whole.fault is None:
        found.add(f"fails after a restart at {iso_ist(stopped)}: {fault.error}", fault.where, _TODO)
        return True
    difference = first_difference([one for one in whole.decisions if stopped < one.at_ns <= last], again.decisions)
    if difference is None:
        return False
    before, after = difference.actions
    what = f"restarted at {iso_ist(stopped)} it decides {after} at {iso_ist(difference.at_ns)}; not restarted, {before}"
    found.add(what, difference.code_line(spec), _TODO)
    return True


def _recovered(spec: Spec, machine: EngineMachine, events: Sequence[Any]) -> int:
    """Apply what a restart finds: rows, the memory that was kept last, the stored bars. Returns the last bar's end."""
    kept, bars = "", []
    for event in events:
        if isinstance(event, Bar):
            bars.append(event)
        elif isinstance(event, MemoryKept):
            kept = event.text
        elif not isinstance(event, StrategyMemory):
            machine.apply(event)
    if kept:
        machine.apply(StrategyMemory(strategy=spec.run.name, text=kept, at_ns=bars[-1].end_ns))
    days = sorted({day_number(bar.start_ns) for bar in bars})[-machine.hosts[0].history_days - 1 :]
    machine.open([bar for bar in bars if day_number(bar.start_ns) >= days[0]])
    return bars[-1].end_ns


def _go_on(spec: Spec, machine: EngineMachine, events: Sequence[Any]) -> int:
    """Feed what came after; returns the end of the last bar that was. All bars of that moment are fed, or none."""
    fed, last = 0, 0
    for event in events:
        if isinstance(event, Bar):
            if fed >= _GOES_ON and event.end_ns > last:
                break
            fed += event.timeframe == spec.run.timeframes[0]
            last = event.end_ns
        if not isinstance(event, MemoryKept | StrategyMemory):
            machine.apply(event)
    return last
