"""What strategies hold, and how each of them sees it: by the instrument it watches, long or short.

Used by the engine's machine. A strategy that watches an index may hold an option, so a position is seen under the
instrument whose signal it came from; one without such a signal is read by the trade rules. The one rule: a position is
held while any source says so, and flat only when all agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mytrading.core.instruments import InstrumentBook
from mytrading.messages.enums import Action
from mytrading.messages.orders import Position
from mytrading.messages.runconfig import StrategyRun
from mytrading.messages.signals import Signal
from mytrading.strategies.legs import meaning_of
from mytrading.strategies.views import FLAT, PositionView

_SIDES = {Action.BUY: 1, Action.SELL: -1, Action.EXIT: 0}


class Holdings:
    """The positions of one engine's strategies, and the signals they came from."""

    def __init__(self) -> None:
        self._positions: dict[tuple[str, str, str, str], Position] = {}
        self._watches: dict[tuple[str, str], str] = {}
        self._sides: dict[tuple[str, str], int] = {}

    def open_day(self, positions: Iterable[Position]) -> None:
        """A new day begins with these."""
        self._positions = {_key(position): position for position in positions}

    def changed(self, position: Position) -> None:
        """The router says what a position is now."""
        self._positions[_key(position)] = position

    def signalled(self, signal: Signal) -> None:
        """What is held in these legs from now on, is held for this signal's instrument."""
        for leg in signal.legs:
            self._watches[signal.strategy, leg.instrument] = signal.watch
            self._sides[signal.strategy, leg.instrument] = _SIDES[signal.action]

    def held(self) -> tuple[Position, ...]:
        """Positions that are not flat, of all strategies."""
        return tuple(position for position in self._positions.values() if _units(position))

    def held_for(self, run: StrategyRun, watch: str, book: InstrumentBook) -> list[Position]:
        """What a strategy holds, in all its accounts, for an instrument that it watches."""
        return [position for position in self._of(run.name) if self._watch_of(run, position, book) == watch]

    def views(self, run: StrategyRun, book: InstrumentBook) -> dict[str, PositionView]:
        """For each instrument that a strategy watches, what it holds for it."""
        views = dict.fromkeys(run.symbols, FLAT)
        for position in self._of(run.name):
            self._add_to_view(run, position, views, book)
        return views

    def _of(self, strategy: str) -> Iterator[Position]:
        return (position for position in self.held() if position.strategy == strategy)

    def _add_to_view(
        self, run: StrategyRun, position: Position, views: dict[str, PositionView], book: InstrumentBook
    ) -> None:
        quantity = _units(position)
        watch = self._watches.get((run.name, position.instrument), "")
        side = self._sides.get((run.name, position.instrument), 0)
        if side == 0 or watch not in views:
            meaning = meaning_of(run, position.instrument, quantity, book)
            if meaning is None:
                return
            watch, side = meaning
        before = views[watch]
        views[watch] = PositionView(before.quantity + quantity, position.average_price, side)

    def _watch_of(self, run: StrategyRun, position: Position, book: InstrumentBook) -> str:
        known = self._watches.get((run.name, position.instrument))
        if known is not None:
            return known
        meaning = meaning_of(run, position.instrument, _units(position), book)
        return meaning.watch if meaning is not None else ""


def _key(position: Position) -> tuple[str, str, str, str]:
    return (position.account, position.instrument, position.product.value, position.strategy)


def _units(position: Position) -> int:
    """Signed units while any source says there are some: flat only when sighted and confirmed agree."""
    return position.quantity_seen or position.quantity
