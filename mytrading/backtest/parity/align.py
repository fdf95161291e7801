"""Which signal, order and fill of one side is which of the other.

Ids come from content and market time, so what both sides decided alike has the same id; what is left over is matched by
what it is and by when it was. Each thing is in exactly one pair, alone where the other side has none.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple, TypeVar

from mytrading.backtest.parity.side import DaySide, FillSeen, OrderSeen, SignalSeen

NEAR_NS = 300_000_000_000
"""Orders without a namesake are one and the same if they are not further apart than this in market time."""

T = TypeVar("T", SignalSeen, OrderSeen)


class SignalPair(NamedTuple):
    """A signal of both sides, or of one."""

    stack: SignalSeen | None
    backtest: SignalSeen | None


class OrderPair(NamedTuple):
    """An order of both sides, or of one, and what each got."""

    stack: OrderSeen | None
    backtest: OrderSeen | None
    stack_fill: FillSeen | None = None
    backtest_fill: FillSeen | None = None

    @property
    def has_fill(self) -> bool:
        """True if a side got something."""
        return self.stack_fill is not None or self.backtest_fill is not None


class Aligned(NamedTuple):
    """All pairs of a day, in the order of time."""

    signals: tuple[SignalPair, ...]
    orders: tuple[OrderPair, ...]


def align(stack: DaySide, backtest: DaySide) -> Aligned:
    """Pair everything."""
    signals = _matched(stack.signals, backtest.signals, _signal_of)
    orders = _matched(stack.orders, backtest.orders, _duty_of)
    return Aligned(
        tuple(sorted((SignalPair(*pair) for pair in signals), key=_time_of)),
        tuple(sorted((_with_fills(*pair, stack, backtest) for pair in orders), key=_time_of)),
    )


def _with_fills(one: OrderSeen | None, other: OrderSeen | None, stack: DaySide, backtest: DaySide) -> OrderPair:
    return OrderPair(
        one,
        other,
        stack.fills.get(one.id) if one is not None else None,
        backtest.fills.get(other.id) if other is not None else None,
    )


def _signal_of(signal: SignalSeen) -> Hashable:
    """Two signals of one bar for the same thing, in other legs."""
    return signal.strategy, signal.watch, signal.action, signal.bar_ns


def _duty_of(order: OrderSeen) -> Hashable:
    return order.owner, order.purpose, order.side


def _matched(
    ours: dict[str, T], theirs: dict[str, T], likeness: Callable[[T], Hashable]
) -> list[tuple[T | None, T | None]]:
    """Pairs by id, then by likeness and nearness, then what is alone."""
    pairs: list[tuple[T | None, T | None]] = [(ours[name], theirs[name]) for name in ours if name in theirs]
    left: list[T] = [item for name, item in theirs.items() if name not in ours]
    for name, item in ours.items():
        if name in theirs:
            continue
        found = _nearest(item, left, likeness)
        if found is not None:
            left.remove(found)
        pairs.append((item, found))
    pairs.extend((None, item) for item in left)
    return pairs


def _nearest(item: T, among: Iterable[T], likeness: Callable[[T], Hashable]) -> T | None:
    wanted = likeness(item)
    alike = [other for other in among if likeness(other) == wanted and abs(other.at_ns - item.at_ns) <= NEAR_NS]
    return min(alike, key=lambda other: abs(other.at_ns - item.at_ns), default=None)


def _time_of(pair: SignalPair | OrderPair) -> int:
    return min(one.at_ns for one in (pair.stack, pair.backtest) if one is not None)
