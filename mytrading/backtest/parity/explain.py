"""Causes of differences between a day and its backtest: facts are paired, each difference gets one cause or none.

Pure. Ids come from content and market time, so what both sides decided alike has the same id; the rest is paired by
likeness and time. A cause is named only where a record shows it, and a price is explained by quotes between the order
and its fill, never by nearness. What follows from an earlier difference has the cause of that one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from enum import StrEnum
from functools import partial
from operator import itemgetter
from typing import NamedTuple, TypeVar

from mytrading.backtest.parity.facts import (
    EXPIRED,
    LATE,
    RULE,
    DayFacts,
    DaySide,
    OrderFill,
    PositionMove,
    RowSubject,
    subject_of,
)
from mytrading.core.time import SECOND
from mytrading.messages.enums import OrderState, OrderType, Purpose, Side
from mytrading.messages.market import Quote
from mytrading.messages.orders import Order
from mytrading.messages.signals import Signal

NOTHING = "–"
NEAR_NS = 300_000_000_000
"""Things of different ids are paired if they are no further apart than this in market time."""
PAISA = 0.005
"""Half of the smallest step of a price: prices nearer than this are one price."""
_RESTING = (OrderType.LIMIT, OrderType.SL, OrderType.SL_M)
_PRICES = ("price", "trigger_price")
_TERMS = ("instrument", "side", "quantity", "order_type", *_PRICES, "product")
_OPERATOR_ADJUSTMENTS = ("claim", "correction", "conversion", "foreign_fill", "settled")

T = TypeVar("T", Signal, Order)


class Cause(StrEnum):
    """Cause of a difference between the two sides.

    `latency`: the stack came to it later. `model`: a venue fills otherwise than a backtest does. `data`: one side did
    not see a quote or bar, or saw it late. `denial`: one side was denied. `person`: somebody did something that a
    backtest does not know of.
    """

    LATENCY = "latency"
    MODEL = "model"
    DATA = "data"
    DENIAL = "denial"
    OPERATOR = "person"
    UNEXPLAINED = "unexplained"


_CAUSE_OF_CODE = {
    EXPIRED: Cause.LATENCY,
    **dict.fromkeys(("HALTED", "REDUCING", "STRATEGY_DISABLED"), Cause.OPERATOR),
    **dict.fromkeys(
        ("NO_QUOTE", "STALE_QUOTE", "DATA_COVERAGE", "IMPLAUSIBLE_QUOTE", "INSTRUMENTS_REFUSED", "PRICE_DISBELIEVED"),
        Cause.DATA,
    ),
}
"""Any other denial is one of its own."""


class Explanation(NamedTuple):
    """A cause, and why it is that one, in words. `follows` is the id of the difference that it comes from."""

    cause: Cause
    why: str
    follows: str = ""


class ParityDifference(NamedTuple):
    """One thing (a signal, order, fill or adjustment) that is not the same on both sides; sides in words.

    `cost` is what a fill cost the stack more than the backtest, in rupees; 0 where only one side has it.
    """

    kind: str
    id: str
    cause: Cause
    at_ns: int
    account: str
    strategy: str
    instrument: str
    stack: str
    backtest: str
    why: str
    follows: str = ""
    cost: float = 0.0


class Agreement(NamedTuple):
    """One thing that is the same on both sides, in words."""

    kind: str
    id: str
    at_ns: int
    account: str
    strategy: str
    instrument: str
    what: str


def pair_signals(stack: DaySide, backtest: DaySide) -> list[tuple[Signal | None, Signal | None]]:
    """Pair the signals of both sides by id, else by bar and action; unmatched ones have None as partner."""
    return _paired(stack.signals, backtest.signals, lambda one: (one.strategy, one.watch, one.action, one.bar_ns))


def pair_orders(stack: DaySide, backtest: DaySide) -> list[tuple[Order | None, Order | None]]:
    """Pair the orders of both sides by id, else by owner, purpose and side; unmatched ones have None as partner."""
    return _paired(stack.orders, backtest.orders, lambda one: (subject_of(one), one.purpose, one.side))


def _paired(
    ours: dict[str, T], theirs: dict[str, T], likeness: Callable[[T], Hashable]
) -> list[tuple[T | None, T | None]]:
    pairs: list[tuple[T | None, T | None]] = [(ours[name], theirs[name]) for name in ours if name in theirs]
    left: list[T] = [item for name, item in theirs.items() if name not in ours]
    for item in (item for name, item in ours.items() if name not in theirs):
        alike = [other for other in left if likeness(other) == likeness(item)]
        nearest = min(alike, key=lambda other: abs(other.created_ns - item.created_ns), default=None)
        if nearest is not None and abs(nearest.created_ns - item.created_ns) > NEAR_NS:
            nearest = None
        if nearest is not None:
            left.remove(nearest)
        pairs.append((item, nearest))
    pairs.extend((None, item) for item in left)
    return pairs


class Explainer:
    """Goes through a day's pairs in the order of time, and sorts them into `differences` and `agreed`."""

    def __init__(self, stack: DaySide, backtest: DaySide, facts: DayFacts) -> None:
        self._stack = stack
        self._backtest = backtest
        self._facts = facts
        self._found: dict[str, ParityDifference] = {}
        self.differences: list[ParityDifference] = []
        self.agreed: list[Agreement] = []

    def explain_day(self) -> list[ParityDifference]:
        """Return all differences of the day in order of time, signals before the orders that follow from them."""
        stack, backtest = self._stack, self._backtest
        steps: list[tuple[int, int, Callable[[], None]]] = [
            *((_time_of(*pair), 0, partial(self._signal, *pair)) for pair in pair_signals(stack, backtest)),
            *((_time_of(*pair), 1, partial(self._order, *pair)) for pair in pair_orders(stack, backtest)),
        ]
        for _, _, step in sorted(steps, key=itemgetter(0, 1)):
            step()
        for side, other in ((stack, backtest), (backtest, stack)):
            known = [(move.subject, move.units, move.cause) for move in other.adjustments]
            for move in side.adjustments:
                if (move.subject, move.units, move.cause) not in known:
                    self._adjustment(move, by_stack=side is stack)
        self.differences.sort(key=lambda one: one.at_ns)
        return self.differences

    def _agree(self, kind: str, name: str, at_ns: int, subject: RowSubject, what: str) -> None:
        self.agreed.append(Agreement(kind, name, at_ns, *subject, what))

    def _differ(
        self, kind: str, name: str, found: Explanation, at_ns: int, subject: RowSubject, sides: tuple[str, str],
        cost: float = 0.0,
    ) -> None:  # fmt: skip
        difference = ParityDifference(kind, name, found.cause, at_ns, *subject, *sides, found.why, found.follows, cost)
        self.differences.append(difference)
        self._found.setdefault(name, difference)

    def _signal(self, one: Signal | None, other: Signal | None) -> None:
        seen = one or other
        assert seen is not None
        subject = RowSubject("", seen.strategy, seen.watch)
        if one is None or other is None:
            found = self._lone_signal(seen, by_stack=one is not None)
        elif _legs(one) == _legs(other) and same_price(one.price, other.price):
            self._agree("signal", one.id, one.created_ns, subject, _signal_text(one))
            return
        else:
            found = self._unlike_signals(one, other)
        self._differ("signal", seen.id, found, seen.created_ns, subject, (_signal_text(one), _signal_text(other)))

    def _unlike_signals(self, one: Signal, other: Signal) -> Explanation:
        """The same signal at the same bar, of other legs or at another price."""
        if wrong := self._facts.bars.get((one.watch, one.bar_ns)):
            return Explanation(Cause.DATA, wrong)
        if not same_price(one.price, other.price):
            return Explanation(Cause.DATA, f"the price was {one.price:g} there, {other.price:g} here")
        if one.created_ns != other.created_ns:
            return Explanation(Cause.LATENCY, "other legs: the price by which they are chosen moved between")
        return Explanation(Cause.UNEXPLAINED, "other legs at the same price")

    def _lone_signal(self, seen: Signal, by_stack: bool) -> Explanation:
        side, other = (self._stack, self._backtest) if by_stack else (self._backtest, self._stack)
        if seen.id in side.from_outside:
            return Explanation(Cause.OPERATOR, "it was sent from outside, by an operator or a webhook")
        bar = seen.watch, seen.action, seen.bar_ns
        denials = [item for item in other.denials if item.strategy == seen.strategy]
        if denial := next((item for item in denials if item.signal == seen.id and item.code == RULE), None):
            return Explanation(Cause.DENIAL, f"{denial.code}: {denial.message}")
        if denial := next((item for item in denials if item.bar == bar and item.code == LATE), None):
            return Explanation(Cause.LATENCY, denial.message)
        if not by_stack:
            for act in self._facts.interferences:
                if act.signals and act.covers(seen.created_ns, "", seen.strategy):
                    return Explanation(Cause.OPERATOR, act.what)
            if any(away.daemon == "engine" and away.covers(seen.created_ns) for away in self._facts.absences):
                return Explanation(Cause.OPERATOR, "the engine was away: it was stopped or restarted")
        if wrong := self._facts.bars.get((seen.watch, seen.bar_ns)):
            return Explanation(Cause.DATA, wrong)
        if (follows := self._origin_of_signal(seen)) is not None:
            return follows
        late = None if by_stack else self._repeated(seen) or self._lag(("engine",), seen.created_ns)
        if late is not None:
            return late
        faults = (item for item in other.faults if item.strategy == seen.strategy and item.at_ns <= seen.created_ns)
        if fault := next(faults, None):
            why = f"the strategy had faulted on this side alone: {fault.where}: {fault.error}"
            return Explanation(Cause.UNEXPLAINED, why)
        return Explanation(Cause.UNEXPLAINED, "both sides saw the same bar and held the same")

    def _lag(self, daemons: Collection[str], at_ns: int) -> Explanation | None:
        """A daemon that read late what was written for it at a market time."""
        for lag in self._facts.behind:
            if lag.daemon in daemons and lag.covers(at_ns):
                span = (lag.until_ns - lag.from_ns) / 1e9
                why = f"{lag.daemon} was behind: what came in {span:.0f} s was read at their end"
                return Explanation(Cause.LATENCY, why)
        return None

    def _repeated(self, seen: Signal) -> Explanation | None:
        """The same signal once more, before the one before it had expired on the stack."""
        last = self._stack.signal_before(seen.strategy, seen.watch, seen.bar_ns)
        if last is None or not _alike(last, seen):
            return None
        age = seen.created_ns - last.bar_ns
        if last.created_ns - last.bar_ns + self._facts.signal_ns <= age:
            return None
        why = f"the signal of {age / 1e9:.0f} s before still stood there, as it came later"
        return Explanation(Cause.LATENCY, why)

    def _origin_of_signal(self, seen: Signal) -> Explanation | None:
        """The earlier difference by which something else was held, or signalled, before this signal's bar."""
        for at_ns in (seen.created_ns, seen.bar_ns):
            if (found := self._origin(seen.strategy, at_ns)) is not None:
                return found
        there = self._stack.signal_before(seen.strategy, seen.watch, seen.bar_ns)
        if _alike(there, self._backtest.signal_before(seen.strategy, seen.watch, seen.bar_ns)):
            return None
        for one in reversed(self.differences):
            if (one.kind, one.strategy, one.instrument) == ("signal", seen.strategy, seen.watch) and (
                one.at_ns < seen.created_ns
            ):
                return self._same_cause(one.id)
        return None

    def _order(self, one: Order | None, other: Order | None) -> None:
        seen = one or other
        assert seen is not None
        fills = (
            self._stack.fills.get(one.client_order_id) if one is not None else None,
            self._backtest.fills.get(other.client_order_id) if other is not None else None,
        )
        sides = (_order_text(one), _order_text(other))
        name, subject, unlike = seen.client_order_id, subject_of(seen), False
        if one is None or other is None:
            found = self._lone_order(seen, by_stack=one is not None)
            self._differ("order", name, found, seen.created_ns, subject, sides)
            if fills != (None, None):
                self._fill(seen, fills, Explanation(found.cause, "as its order", found.follows or name))
            return
        if terms := differing_terms(one, other):
            unlike = True
            found = self._origin_of_order(one) or explain_terms(one, other, terms, self._facts)
            self._differ("order", name, found, seen.created_ns, subject, sides)
        else:
            self._agree("order", name, seen.created_ns, subject, sides[0])
        there, here = fills
        if there is here is None:
            return
        if there is not None and here is not None and fills_agree(there, here, self._facts.within_ns):
            self._agree("fill", name, there.at_ns, subject, _fill_text(there))
            return
        found = explain_fills(one, other, there, here, self._facts)
        if unlike:
            found = Explanation(self._found[name].cause, "as the terms of its order", name)
        elif found.cause is Cause.UNEXPLAINED:
            found = self._origin_of_order(one) or found
        self._fill(one, fills, found)

    def _fill(self, order: Order, fills: tuple[OrderFill | None, OrderFill | None], found: Explanation) -> None:
        at_ns, cost = min(fill.at_ns for fill in fills if fill is not None), 0.0
        there, here = fills
        if there is not None and here is not None and there.units == here.units:
            cost = round(there.units * (there.price - here.price), 2)
        sides = (_fill_text(there), _fill_text(here))
        self._differ("fill", order.client_order_id, found, at_ns, subject_of(order), sides, cost)

    def _lone_order(self, order: Order, by_stack: bool) -> Explanation:
        if order.cause in self._found:
            return self._same_cause(order.cause)
        if (denied := self._denial_of(order, self._backtest if by_stack else self._stack)) is not None:
            return denied
        if by_stack and order.links.request:
            return Explanation(Cause.OPERATOR, "an operator asked for it")
        for act in self._facts.interferences:
            prevented = not by_stack and act.entries and order.purpose is Purpose.ENTRY
            covered = prevented and act.covers(order.created_ns, order.account, order.strategy)
            if covered or (act.id and act.id == order.cause):
                return Explanation(Cause.OPERATOR, act.what)
        if (follows := self._origin_of_order(order)) is not None:
            return follows
        if not by_stack:
            for away in self._facts.absences:
                if away.covers(order.created_ns):
                    return Explanation(Cause.OPERATOR, f"{away.daemon} was away: it was stopped or restarted")
            if (late := self._lag(("engine", "risk", "router"), order.created_ns)) is not None:
                return late
        return Explanation(Cause.UNEXPLAINED, "the other side neither ordered nor denied it")

    def _denial_of(self, order: Order, side: DaySide) -> Explanation | None:
        """The denial of an order's signal on a side: of its own leg first, else of another, which ends all legs."""
        denials = [one for one in side.denials if one.signal == order.cause and one.account in ("", order.account)]
        if not denials:
            return None
        denial = next((one for one in denials if one.instrument in ("", order.instrument)), denials[0])
        of_leg = "" if denial.instrument in ("", order.instrument) else f" (of {denial.instrument}, the same signal)"
        cause = _CAUSE_OF_CODE.get(denial.code, Cause.DENIAL)
        return Explanation(cause, f"{denial.code}{of_leg}: {denial.message}")

    def _origin_of_order(self, order: Order) -> Explanation | None:
        """The earlier difference that an order follows from: of its cause, or of the position.

        What closes a position may go out in the moment in which the other side's position moved; what it gets itself
        in that moment is another matter.
        """
        if order.cause in self._found:
            return self._same_cause(order.cause)
        before = self._origin(order.strategy, order.created_ns)
        if before is not None or order.purpose is Purpose.ENTRY:
            return before
        return self._origin(order.strategy, order.created_ns + 1)

    def _origin(self, strategy: str, before_ns: int) -> Explanation | None:
        """The newest difference of a strategy before a time, if it held something else on the two sides by then."""
        if self._stack.net_units_before(strategy, before_ns) == self._backtest.net_units_before(strategy, before_ns):
            return None
        earlier = [one for one in self.differences if one.strategy == strategy and one.at_ns < before_ns]
        return self._same_cause(earlier[-1].id) if earlier else None

    def _same_cause(self, name: str) -> Explanation:
        root = self._found[name]
        return Explanation(root.cause, f"follows from the {root.kind} before", root.follows or root.id)

    def _adjustment(self, move: PositionMove, by_stack: bool) -> None:
        cause = Cause.OPERATOR if by_stack and move.cause in _OPERATOR_ADJUSTMENTS else Cause.MODEL
        why = f"{move.cause}: the books of the broker said so" if by_stack else f"{move.cause}: the data ends here"
        text = f"{move.units:+d} at {move.price:g} ({move.cause})"
        sides = (text, NOTHING) if by_stack else (NOTHING, text)
        name = f"{move.cause} {move.subject.instrument} {move.at_ns}"
        self._differ("adjustment", name, Explanation(cause, why), move.at_ns, move.subject, sides)


def _time_of(one: Signal | Order | None, other: Signal | Order | None) -> int:
    return min(item.created_ns for item in (one, other) if item is not None)


def _legs(signal: Signal) -> list[tuple[str, int]]:
    return [(leg.instrument, leg.lots) for leg in signal.legs]


def _alike(one: Signal | None, other: Signal | None) -> bool:
    return (one and (one.action, _legs(one))) == (other and (other.action, _legs(other)))


def _signal_text(signal: Signal | None) -> str:
    if signal is None:
        return NOTHING
    legs = ", ".join(f"{lots:+d} {name}" for name, lots in _legs(signal))
    return f"{signal.action.value} {legs or 'flat'} at {signal.price:g}"


def _order_text(order: Order | None) -> str:
    if order is None:
        return NOTHING
    prices = "".join(
        f" {name} {price:g}" for name, price in (("trigger", order.trigger_price), ("at", order.price)) if price
    )
    kind, state = order.order_type.value, order.state.value
    return f"{order.purpose.value} {order.side.value} {order.quantity} {kind}{prices} ({state})"


def _fill_text(fill: OrderFill | None) -> str:
    return NOTHING if fill is None else f"{fill.units:+d} at {fill.price:.2f}"


# terms and fills of two orders that are one and the same


def same_price(one: float, other: float) -> bool:
    """True if two prices are equal up to rounding."""
    return abs(one - other) < PAISA


def differing_terms(stack: Order, backtest: Order) -> list[str]:
    """Return the names of the order terms (quantity, price …) in which two orders differ."""
    pairs = {name: (getattr(stack, name), getattr(backtest, name)) for name in _TERMS}
    return [name for name, pair in pairs.items() if not (same_price(*pair) if name in _PRICES else pair[0] == pair[1])]


def explain_terms(stack: Order, backtest: Order, names: Sequence[str], facts: DayFacts) -> Explanation:
    """Explain why two orders for one purpose differ in the terms `names` although nothing before them differs."""
    text = ", ".join(f"{name} {getattr(stack, name)} there, {getattr(backtest, name)} here" for name in names)
    begin, end = sorted((stack.created_ns, backtest.created_ns))
    only_prices = set(names) <= set(_PRICES)
    if only_prices and begin != end and _moved(facts.quotes.between(stack.instrument, begin, end)):
        return Explanation(Cause.LATENCY, f"{text}: the price moved in the {_ms(end - begin)} between")
    return Explanation(Cause.UNEXPLAINED, text)


def fills_agree(stack: OrderFill, backtest: OrderFill, within_ns: int) -> bool:
    """True if both sides filled the same units at one price, at most `within_ns` apart."""
    near = abs(stack.at_ns - backtest.at_ns) <= within_ns
    return stack.units == backtest.units and same_price(stack.price, backtest.price) and near


def explain_fills(
    stack: Order, backtest: Order, there: OrderFill | None, here: OrderFill | None, facts: DayFacts
) -> Explanation:
    """Explain why fills of equal orders differ: `there` is the stack's fill, `here` the backtest's; one may be None."""
    if there is not None and here is not None:
        return _unlike_fills(stack, backtest, there, here, facts)
    if there is not None:
        return _lone_fill("the backtest's", backtest, there, True, facts)
    assert here is not None
    return _lone_fill("the stack's", stack, here, False, facts)


def _lone_fill(whose: str, order: Order, fill: OrderFill, by_stack: bool, facts: DayFacts) -> Explanation:
    """Explain why an order got nothing where the other side's, `by_stack` the stack's, got a fill."""
    state = order.state
    if order.links.request:
        return Explanation(Cause.OPERATOR, f"{whose} order was withdrawn or changed by an operator")
    if state in (OrderState.REJECTED, OrderState.DENIED):
        return Explanation(Cause.MODEL, f"the venue refused {whose} order: {order.message or state.value}")
    if state in (OrderState.UNKNOWN, OrderState.LOST, OrderState.GHOST, OrderState.PARKED):
        return Explanation(Cause.MODEL, f"the venue's answer left the fate of {whose} order open ({state.value})")
    if state is OrderState.RECORDED:
        return Explanation(Cause.MODEL, "it was recorded and not sent: a dry run fills nothing")
    if state is OrderState.EXPIRED and not order.broker_order_id:
        return Explanation(Cause.LATENCY, f"{whose} order had expired before it was sent")
    if state is OrderState.CANCELLED:
        for act in facts.interferences:
            between = order.created_ns <= act.at_ns <= fill.at_ns
            if between and act.covers(act.at_ns, order.account, order.strategy):
                return Explanation(Cause.OPERATOR, act.what)
    if order.order_type not in _RESTING:
        return Explanation(Cause.UNEXPLAINED, f"{whose} order is {state.value} and got nothing")
    level = order.trigger_price or order.price
    seen = facts.quotes.between(order.instrument, order.created_ns, fill.at_ns)
    if any(_touches(quote, order.side, order.order_type, level) for quote in seen):
        filled = "the stack's venue" if by_stack else "the backtest"
        return Explanation(Cause.MODEL, f"{level:g} was touched, and only {filled} fills at a touch")
    if by_stack:
        return Explanation(Cause.DATA, f"the venue saw {level:g}, which no recorded quote came to")
    return Explanation(Cause.UNEXPLAINED, f"filled at {fill.price:g} though no recorded quote came to {level:g}")


def _touches(quote: Quote, side: Side, kind: OrderType, level: float) -> bool:
    """True if a quote comes to the level of a resting limit, or to the trigger of a stop."""
    falls = (side is Side.BUY) == (kind is OrderType.LIMIT)
    prices = [quote.ltp, *(price for price in (quote.bid, quote.ask) if price)]
    return min(prices) <= level + PAISA if falls else max(prices) >= level - PAISA


def _unlike_fills(stack: Order, backtest: Order, there: OrderFill, here: OrderFill, facts: DayFacts) -> Explanation:
    if there.units != here.units:
        return Explanation(Cause.MODEL, f"the venue filled {abs(there.units)} units, the backtest {abs(here.units)}")
    later = there.at_ns - here.at_ns
    if same_price(there.price, here.price):
        if later > 0:
            return Explanation(Cause.LATENCY, f"at the same price, {_ms(later)} later")
        if stack.order_type in _RESTING:
            why = f"at the same price, {_ms(-later)} earlier: the venue filled it at an earlier touch"
            return Explanation(Cause.MODEL, why)
        return Explanation(Cause.UNEXPLAINED, f"at the same price, {_ms(-later)} before the backtest")
    by, name = f"{there.price - here.price:+.2f}", stack.instrument
    ordered_ns, filled_ns = min(stack.created_ns, backtest.created_ns), max(there.at_ns, here.at_ns)
    seen = facts.quotes.between(name, ordered_ns, filled_ns)
    if not seen:
        return Explanation(Cause.DATA, f"{by}: no quote of {name} is recorded between order and fill")
    low, high = _reach(seen)
    moved, within = _moved(seen), low - PAISA <= there.price <= high + PAISA
    if later > 0 and moved and within:
        return Explanation(Cause.LATENCY, f"{by}: the price moved in the {_ms(later)} between")
    if not facts.our_venue or there.parts > 1 or here.parts > 1:
        at_fill = facts.quotes.between(name, there.first_ns, there.at_ns)
        return Explanation(Cause.MODEL, f"{by}: the venue filled it {_where(there.price, at_fill)}")
    if within and (moved or not same_price(low, high)):
        return Explanation(Cause.MODEL, f"{by}: both inside the quotes, where the venue took another price")
    return Explanation(Cause.UNEXPLAINED, f"{by}: no recorded quote shows {there.price:g}")


def _where(price: float, quotes: Sequence[Quote]) -> str:
    if not quotes:
        return "when no quote was recorded"
    low, high = _reach(quotes)
    inside = low - PAISA <= price <= high + PAISA
    return f"{'inside the quotes' if inside else 'outside the best quotes'} ({low:g} to {high:g})"


def _prices(quote: Quote) -> tuple[float, ...]:
    return tuple(price for price in (quote.ltp, quote.bid, quote.ask) if price)


def _moved(quotes: Sequence[Quote]) -> bool:
    """True if the market was not the same all along."""
    return len({_prices(quote) for quote in quotes}) > 1


def _reach(quotes: Sequence[Quote]) -> tuple[float, float]:
    prices = [price for quote in quotes for price in _prices(quote)]
    return min(prices), max(prices)


def _ms(ns: int) -> str:
    return f"{ns / 1e9:,.1f} s" if ns >= SECOND else f"{ns / 1e6:,.0f} ms"
