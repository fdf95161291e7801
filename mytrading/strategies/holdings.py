"""What strategies hold, and how each of them sees it: by the instrument it watches, long or short.

Used by the engine's machine. A strategy that watches an index may hold an option, so a position is seen under the
instrument whose signal it came from; one without such a signal is read by the trade rules. The one rule: a position is
held while any source says so, and flat only when all agree; what a later signal asks for changes nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mytrading.core.instruments import InstrumentBook
from mytrading.core.order import TERMINAL
from mytrading.messages.enums import Action
from mytrading.messages.orders import Order, Position
from mytrading.messages.runconfig import StrategyRun
from mytrading.messages.signals import Signal
from mytrading.strategies.legs import Meaning, meaning_of
from mytrading.strategies.views import FLAT, PositionView

_SIDES = {Action.BUY: 1, Action.SELL: -1, Action.EXIT: 0}


class Holdings:
    """The positions of one engine's strategies, and the signals they came from."""

    def __init__(self) -> None:
        self._positions: dict[tuple[str, str, str, str], Position] = {}
        self._meant: dict[tuple[str, str, int], Meaning] = {}
        """By strategy, instrument and sign: for what it is held, or will be once it is."""

    def open_day(self, positions: Iterable[Position]) -> None:
        """A new day begins with these."""
        self._positions = {_key(position): position for position in positions}

    def changed(self, position: Position) -> None:
        """The router says what a position is now."""
        self._positions[_key(position)] = position

    def signalled(self, signal: Signal) -> None:
        """What comes to be held in these legs is for this signal's instrument; what is held for another is not."""
        meaning = Meaning(signal.watch, _SIDES[signal.action])
        for leg in signal.legs:
            place = (signal.strategy, leg.instrument, _sign(leg.lots))
            known = self._meant.get(place)
            if known is None or known.watch == signal.watch or not self._holds(place):
                self._meant[place] = meaning

    def ordered(self, order: Order, signal: Signal) -> None:
        """An entry went on its way for a signal: what it fills is held for that, whatever was signalled since."""
        if order.state not in TERMINAL:
            place = (order.strategy, order.instrument, order.side.sign)
            self._meant[place] = Meaning(signal.watch, _SIDES[signal.action])

    def _holds(self, place: tuple[str, str, int]) -> bool:
        strategy, instrument, sign = place
        return any(one.instrument == instrument and _units(one) * sign > 0 for one in self._of(strategy))

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
        meaning: Meaning | None = self._meant.get((run.name, position.instrument, _sign(quantity)))
        if meaning is None or meaning.side == 0 or meaning.watch not in views:
            meaning = meaning_of(run, position.instrument, quantity, book)
        if meaning is None:
            return
        before = views[meaning.watch]
        views[meaning.watch] = PositionView(before.quantity + quantity, position.average_price, meaning.side)

    def _watch_of(self, run: StrategyRun, position: Position, book: InstrumentBook) -> str:
        known = self._meant.get((run.name, position.instrument, _sign(_units(position))))
        if known is not None:
            return known.watch
        meaning = meaning_of(run, position.instrument, _units(position), book)
        return meaning.watch if meaning is not None else ""


def _key(position: Position) -> tuple[str, str, str, str]:
    return (position.account, position.instrument, position.product.value, position.strategy)


def _units(position: Position) -> int:
    """Signed units while any source says there are some: flat only when sighted and confirmed agree."""
    return position.quantity_seen or position.quantity


def _sign(units: int) -> int:
    return 1 if units > 0 else -1
