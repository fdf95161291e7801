"""Views of a strategy's own trading: positions by watched instrument, pending entries, an operator's cancels.

A strategy that watches an index may hold an option, so a position is shown under the instrument whose signal opened
it; one without a known signal is read by the trade rules. A position is held while any source says so, and flat only
when all agree. A later signal does not change the meaning of an open position. An entry is pending until its order has
ended, whatever was signalled since: a cancel under way may still fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mytrading.core.engine.active_signals import SIDES, Key
from mytrading.core.engine.contract_selection import Meaning, infer_meaning
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.orders.state_machine import TERMINAL
from mytrading.messages.control import CancelRequested
from mytrading.messages.enums import Action, OrderState
from mytrading.messages.keys import OwnerKey
from mytrading.messages.orders import Order, Position
from mytrading.messages.run_config import StrategyRun
from mytrading.messages.signals import Leg, Signal
from mytrading.strategies.views import FLAT, EntryView, PositionView

_RESTING = frozenset({OrderState.ACCEPTED, OrderState.TRIGGERED, OrderState.PARTIALLY_FILLED, OrderState.PARKED})
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
        """Record the watched instrument and side of positions the signal's legs will open; open ones keep theirs."""
        meaning = Meaning(signal.watch, SIDES[signal.action])
        for leg in signal.legs:
            place = (signal.strategy, leg.instrument, _sign(leg.lots))
            ours = (one for one in self._of(signal.strategy) if one.instrument == leg.instrument)
            if self._meanings.get(place, meaning).watch == signal.watch or not any(
                _units(one) * leg.lots > 0 for one in ours
            ):
                self._meanings[place] = meaning

    def apply_order(self, order: Order, signal: Signal) -> None:
        """Record the watched instrument and side of `signal` for the position that its live entry `order` opens."""
        if order.state not in TERMINAL:
            place = (order.strategy, order.instrument, order.side.sign)
            self._meanings[place] = Meaning(signal.watch, SIDES[signal.action])

    def open_positions(self) -> tuple[Position, ...]:
        """Positions that are not flat, of all strategies."""
        return tuple(position for position in self._positions.values() if _units(position))

    def _of(self, strategy: str) -> Iterator[Position]:
        return (position for position in self.open_positions() if position.strategy == strategy)

    def open_positions_for(self, run: StrategyRun, watch: str, book: InstrumentBook) -> list[Position]:
        """Return a strategy's open positions, in all accounts, that belong to its watched instrument `watch`."""
        found = []
        for position in self._of(run.name):
            units = _units(position)
            known = self._meanings.get((run.name, position.instrument, _sign(units)))
            meaning = known or infer_meaning(run, position.instrument, units, book)
            if meaning is not None and meaning.watch == watch:
                found.append(position)
        return found

    def position_views(self, run: StrategyRun, book: InstrumentBook) -> dict[str, PositionView]:
        """Return the strategy's position by watched instrument, as shown to its author; flat where it has none."""
        views = dict.fromkeys(run.symbols, FLAT)
        for position in self._of(run.name):
            units = _units(position)
            meaning: Meaning | None = self._meanings.get((run.name, position.instrument, _sign(units)))
            if meaning is None or meaning.side == 0 or meaning.watch not in views:
                meaning = infer_meaning(run, position.instrument, units, book)
            if meaning is not None:
                before = views[meaning.watch].quantity
                views[meaning.watch] = PositionView(before + units, position.average_price, meaning.side)
        return views


def _units(position: Position) -> int:
    """Signed units while any source reports some: flat only when seen and confirmed quantity agree."""
    return position.quantity_seen or position.quantity


def _sign(units: int) -> int:
    return 1 if units > 0 else -1


class PendingEntries:
    """The pending entries of all strategies of an engine, as `BaseStrategy.pending` shows them."""

    def __init__(self) -> None:
        self._signalled: dict[Key, Signal] = {}
        """Signals whose first order has not been seen yet."""
        self._signals: dict[str, Signal] = {}
        """All of the day, by id."""
        self._legs: dict[tuple[str, str], tuple[str, Leg]] = {}
        """Watched instrument and leg by strategy and traded instrument, of the newest signal."""
        self._origins: dict[str, tuple[Key, Leg | None]] = {}
        """The key and leg that each order of the day was sent for."""
        self._live: dict[Key, dict[str, Order]] = {}

    def open_day(self) -> None:
        """Clear all pending entries: they end with their day."""
        for table in (self._signalled, self._signals, self._origins, self._live):
            table.clear()

    def apply_signal(self, signal: Signal) -> None:
        """Record a sent signal as a pending entry; an exit drops the pending entry that has no order yet."""
        key = (signal.strategy, signal.watch)
        if signal.action is Action.EXIT:
            self._signalled.pop(key, None)
            return
        self._signals[signal.id] = signal
        if signal.entry_legs:  # an adjustment that only closes has no entry
            self._signalled[key] = signal
        for leg in signal.legs:
            self._legs[signal.strategy, leg.instrument] = (signal.watch, leg)

    def apply_order(self, order: Order) -> Signal | None:
        """Track an entry order until it ends; returns the signal behind it, None for an exit or an earlier day's."""
        if order.purpose.reduces:
            return None
        key, _ = self._origin(order)
        live = self._live.setdefault(key, {})
        if order.state in TERMINAL:
            live.pop(order.client_order_id, None)
        else:
            live[order.client_order_id] = order
        if (signalled := self._signalled.get(key)) is not None and signalled.id == order.cause:
            del self._signalled[key]
        return self._signals.get(order.cause)

    def _origin(self, order: Order) -> tuple[Key, Leg | None]:
        """The key and leg that an order was sent for, fixed when it is first seen."""
        if (known := self._origins.get(order.client_order_id)) is None:
            signal, leg = self._signals.get(order.cause), None
            watch = order.instrument
            if signal is None:
                watch, leg = self._legs.get((order.strategy, order.instrument), (watch, None))
            else:
                watch = signal.watch
                leg = next((leg for leg in signal.legs if leg.instrument == order.instrument), None)
            known = self._origins[order.client_order_id] = (order.strategy, watch), leg
        return known

    def entry_view(self, strategy: str, watch: str, now: int) -> EntryView | None:
        """The newest pending entry of a strategy for a watched instrument at `now` (market ns); None without one."""
        key = (strategy, watch)
        if live := self._live.get(key):
            order = next(reversed(live.values()))
            _, sent = self._origin(order)
            lots, stop = (sent.lots, sent.stop_price) if sent is not None else (0, 0.0)
            if sent is not None and sent.stop.value:
                stop = order.plan.stop_trigger or order.plan.held_stop
            units = order.side.sign * (order.quantity - order.filled)
            return EntryView(order.instrument, lots, units, order.order_type, order.price, order.trigger_price, stop,
                             rests=order.state in _RESTING)  # fmt: skip
        if (signalled := self._signalled.get(key)) is None or now >= signalled.expires_ns:
            return None
        leg = signalled.entry_legs[0]
        return EntryView(leg.instrument, leg.lots, 0, leg.order_type, leg.limit_price, leg.trigger_price,
                         leg.stop_price, rests=False)  # fmt: skip

    def has_live_order(self, strategy: str, watch: str) -> bool:
        """True while an entry order of the strategy for this watched instrument may still fill."""
        return bool(self._live.get((strategy, watch)))


class OperatorCancels:
    """Entries that an operator cancelled before any fill: leg strategies enter nothing more that day.

    Request and order end may arrive in either order; an operator's modify is no cancel.
    """

    def __init__(self) -> None:
        self._requests: set[str] = set()
        self._ended: dict[str, tuple[str, int]] = {}
        """Strategy and market time of unfilled ends, by the operator's request."""

    def apply_request(self, request: CancelRequested) -> None:
        """Record an operator's request to cancel an order; `last_cancel_ns` counts it once the order has ended."""
        self._requests.add(request.id)

    def apply_order(self, order: Order) -> None:
        """Record the end of an unfilled entry whose cancel was requested; any other order is ignored."""
        if order.links.request and not order.purpose.reduces and order.state in TERMINAL and not order.filled:
            self._ended[order.links.request] = order.strategy, order.updated_ns

    def last_cancel_ns(self, strategy: str) -> int:
        """Market time at which an operator last cancelled an entry of a strategy, 0 if never."""
        ended = (self._ended[request] for request in self._requests & self._ended.keys())
        return max((at_ns for owner, at_ns in ended if owner == strategy), default=0)
