"""What happens within one bar: orders meet its open and the way its price took, and risk hears of it where it listens.

Used by the loop. A bar does not say in which order its extremes came, so the price goes first to the one that hurts
what is held. The one rule: everything that acts between two prices acts there, in the order in which the price passes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import ceil, floor

from mytrading.backtest.machines import Machines
from mytrading.backtest.venue import Venue


class BarPath:
    """The prices of bars, told to the venue and the machines."""

    def __init__(self, machines: Machines, venue: Venue) -> None:
        self._machines = machines
        self._risk = machines.risk
        self._venue = venue
        self.listens: Collection[str] = frozenset()
        """Instruments whose every price risk is told, besides those that it holds levels for."""

    def open(self, name: str, start: int, end: int, opens: float, close: float, volume: float) -> None:
        """A bar begins: what waited for it arrives, and what rests meets its first price."""
        venue, machines = self._venue, self._machines
        venue.now, venue.moving = start, True
        venue.set_volume(name, volume)
        if venue.waiting:

            def price_at(instrument: str, due_ns: int) -> float | None:
                if instrument != name:
                    return None
                return opens + (close - opens) * max(0, due_ns - start) / (end - start)

            if venue.deliver(end, price_at):
                machines.settle(start)
        touch = venue.touch.get(name)
        if touch is not None and (opens <= touch[0] or opens >= touch[1]) and venue.trade(name, opens):
            machines.settle(start)
        if self._is_heard(name):
            venue.mark(name, opens)
            machines.quote(name, opens, start)
        venue.moving = False

    def walk(self, name: str, start: int, end: int, opens: float, high: float, low: float, close: float) -> bool:
        """From the open to the extreme that hurts what is held, the other one, and the close; true if anyone met it."""
        venue = self._venue
        touch = venue.touch.get(name)
        touched = touch is not None and (low <= touch[0] or high >= touch[1])
        if not (touched or self._is_heard(name)):
            return False
        held, third = venue.held(name), (end - start) // 3
        falls_first = held > 0 or (held == 0 and close >= opens)
        first, second = (low, high) if falls_first else (high, low)
        at, venue.moving = opens, True
        for target, now in ((first, start + third), (second, start + 2 * third), (close, end - 1)):
            venue.now = now
            self._leg(name, at, target, now)
            at = target
        venue.moving, venue.now = False, end
        return True

    def _leg(self, name: str, begin: float, target: float, now: int) -> None:
        venue, machines, at = self._venue, self._machines, begin
        while levels := sorted(
            [*venue.crossed(name, at, target), *self._held_levels(name, at, target)], reverse=target < begin
        ):
            at, slips = levels[0]
            if venue.trade(name, at, slips=slips):
                machines.settle(now)
            if self._is_heard(name):
                machines.quote(name, at, now)
        if self._is_heard(name):
            venue.mark(name, target)
            machines.quote(name, target, now)

    def _held_levels(self, name: str, begin: float, end: float) -> list[tuple[float, bool]]:
        """Levels that risk holds for positions in an instrument, or a rule of a leg ends it at, between two prices."""
        low, high, state = min(begin, end), max(begin, end), self._risk.state
        held = (*state.stop_levels.items(), *state.target_levels.items())
        levels = [level for key, level in held if key[1] == name]
        legs = [leg for _, legs in self._risk.runs.books.holding(name) for leg in legs]
        if legs:
            found = self._risk.instruments.get(name)
            tick = found.tick_size if found is not None else 0.0
            levels += [_on_tick(leg.floor, tick, floor) for leg in legs if leg.floor >= low]
            levels += [_on_tick(leg.ceiling, tick, ceil) for leg in legs if leg.ceiling <= high]
        return [(level, True) for level in levels if low <= level <= high and level != begin]

    def _is_heard(self, name: str) -> bool:
        """True while risk itself ends what is held there when a price comes."""
        state = self._risk.state
        aims = any(key[1] == name for key in state.target_levels)
        return aims or name in state.stop_instruments or name in self.listens


def _on_tick(price: float, tick: float, to: Callable[[float], int]) -> float:
    """The first price in ticks that is there or beyond."""
    return round(to(round(price / tick, 6)) * tick, 6) if tick else price
