"""Positions of an engine's strategies, and the view each strategy has of them: by watched instrument, long or short.

A strategy that watches an index may hold an option, so a position is shown under the instrument whose signal opened
it; one without a known signal is read by the trade rules. A position is held while any source says so, and flat only
when all agree. A later signal does not change the meaning of an open position.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mytrading.core.engine.active_signals import SIDES
from mytrading.core.engine.trade_rules import Meaning, meaning_of
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.orders.state_machine import TERMINAL
from mytrading.messages.keys import OwnerKey
from mytrading.messages.orders import Order, Position
from mytrading.messages.run_config import StrategyRun
from mytrading.messages.signals import Signal
from mytrading.strategies.views import FLAT, PositionView

_Place = tuple[str, str, int]
"""Strategy, instrument and sign."""


class PositionViews:
    """Positions by account, instrument, product and strategy, and their meaning by strategy, instrument and sign."""

    def __init__(self) -> None:
        self._positions: dict[OwnerKey, Position] = {}
        self._meanings: dict[_Place, Meaning] = {}

    def open_day(self, positions: Iterable[Position]) -> None:
        """Replace all positions by those carried into a new day."""
        self._positions = {position.owner: position for position in positions}

    def apply_position(self, position: Position) -> None:
        """Record a position's new state."""
        self._positions[position.owner] = position

    def apply_signal(self, signal: Signal) -> None:
        """Give positions that will come of these legs the signal's meaning; open ones keep theirs."""
        meaning = Meaning(signal.watch, SIDES[signal.action])
        for leg in signal.legs:
            place = (signal.strategy, leg.instrument, _sign(leg.lots))
            known = self._meanings.get(place)
            if known is None or known.watch == signal.watch or not self._is_held(place):
                self._meanings[place] = meaning

    def apply_order(self, order: Order, signal: Signal) -> None:
        """Give the position that an entry opens the meaning of its signal, whatever was signalled since."""
        if order.state not in TERMINAL:
            place = (order.strategy, order.instrument, order.side.sign)
            self._meanings[place] = Meaning(signal.watch, SIDES[signal.action])

    def _is_held(self, place: _Place) -> bool:
        strategy, instrument, sign = place
        return any(one.instrument == instrument and _units(one) * sign > 0 for one in self._of(strategy))

    def held(self) -> tuple[Position, ...]:
        """Positions that are not flat, of all strategies."""
        return tuple(position for position in self._positions.values() if _units(position))

    def held_for(self, run: StrategyRun, watch: str, book: InstrumentBook) -> list[Position]:
        """Open positions of a strategy, in all its accounts, for an instrument that it watches."""
        return [position for position in self._of(run.name) if self._watch_of(run, position, book) == watch]

    def views(self, run: StrategyRun, book: InstrumentBook) -> dict[str, PositionView]:
        """The strategy's view of its position for each instrument that it watches."""
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
        meaning: Meaning | None = self._meanings.get((run.name, position.instrument, _sign(quantity)))
        if meaning is None or meaning.side == 0 or meaning.watch not in views:
            meaning = meaning_of(run, position.instrument, quantity, book)
        if meaning is None:
            return
        before = views[meaning.watch]
        views[meaning.watch] = PositionView(before.quantity + quantity, position.average_price, meaning.side)

    def _watch_of(self, run: StrategyRun, position: Position, book: InstrumentBook) -> str:
        known = self._meanings.get((run.name, position.instrument, _sign(_units(position))))
        if known is not None:
            return known.watch
        meaning = meaning_of(run, position.instrument, _units(position), book)
        return meaning.watch if meaning is not None else ""


def _units(position: Position) -> int:
    """Signed units while any source reports some: flat only when seen and confirmed quantity agree."""
    return position.quantity_seen or position.quantity


def _sign(units: int) -> int:
    return 1 if units > 0 else -1
