"""Why two orders that are one and the same got different fills, or went out on different terms.

A price is explained by quotes that stand in the record between the order and its fill, never by how near it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from mytrading.backtest.parity.align import OrderPair
from mytrading.backtest.parity.facts import Cause, DayFacts, ParityFindings
from mytrading.backtest.parity.side import FillSeen, OrderSeen
from mytrading.core.time import SECOND
from mytrading.messages.enums import OrderState, OrderType, Side
from mytrading.messages.market import Quote

PAISA = 0.005
"""Half of the smallest step of a price: prices nearer than this are one price."""
REFUSED = (OrderState.REJECTED, OrderState.DENIED)
DOUBTED = (OrderState.UNKNOWN, OrderState.LOST, OrderState.GHOST, OrderState.PARKED)
RESTING = (OrderType.LIMIT, OrderType.SL, OrderType.SL_M)
_TERMS = ("instrument", "side", "quantity", "order_type", "price", "trigger_price", "product")
_PRICES = ("price", "trigger_price")


def same_price(one: float, other: float) -> bool:
    """True of prices that no exchange tells apart."""
    return abs(one - other) < PAISA


def terms_differ(stack: OrderSeen, backtest: OrderSeen) -> tuple[str, ...]:
    """Names of the terms in which two orders differ."""
    return tuple(name for name in _TERMS if not _same(getattr(stack, name), getattr(backtest, name)))


def _same(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return same_price(one, other)
    return one == other


def judge_terms(stack: OrderSeen, backtest: OrderSeen, names: Sequence[str], facts: DayFacts) -> ParityFindings:
    """Why two orders for one purpose have other terms, where nothing before them differs."""
    said = ", ".join(f"{name} {getattr(stack, name)} there, {getattr(backtest, name)} here" for name in names)
    if not set(names) <= set(_PRICES):
        return ParityFindings(Cause.UNEXPLAINED, said)
    begin, end = sorted((stack.at_ns, backtest.at_ns))
    moved = _moved(facts.quotes.between(stack.instrument, begin, end))
    if begin != end and moved:
        return ParityFindings(Cause.LATENCY, f"{said}: the price moved in the {_ms(end - begin)} between")
    return ParityFindings(Cause.UNEXPLAINED, said)


def fills_agree(pair: OrderPair, facts: DayFacts) -> bool:
    """True if both got the same, at one price and one time (within what the facts allow), or neither got anything."""
    one, other = pair.stack_fill, pair.backtest_fill
    if one is None or other is None:
        return one is other
    near = abs(one.at_ns - other.at_ns) <= facts.within_ns
    return one.units == other.units and same_price(one.price, other.price) and near


def judge_fills(pair: OrderPair, facts: DayFacts) -> ParityFindings:
    """Why the fills of two orders on the same terms differ."""
    if pair.stack is None or pair.backtest is None:
        return ParityFindings(Cause.UNEXPLAINED, "there is no order on the other side")
    if pair.stack_fill is None or pair.backtest_fill is None:
        return _one_filled(pair.stack, pair.backtest, pair.stack_fill, pair.backtest_fill, facts)
    return _both_filled(pair.stack, pair.backtest, pair.stack_fill, pair.backtest_fill, facts)


def _one_filled(
    stack: OrderSeen, backtest: OrderSeen, there: FillSeen | None, here: FillSeen | None, facts: DayFacts
) -> ParityFindings:
    other, fill = (stack, here) if there is None else (backtest, there)
    assert fill is not None
    whose = "the stack's" if other is stack else "the backtest's"
    if other.request:
        return ParityFindings(Cause.PERSON, f"{whose} order was withdrawn or changed by a person")
    if other.state in REFUSED:
        return ParityFindings(Cause.MODEL, f"the venue refused {whose} order: {other.message or other.state.value}")
    if other.state in DOUBTED:
        return ParityFindings(
            Cause.MODEL, f"the venue's answer left the fate of {whose} order open ({other.state.value})"
        )
    if other.state is OrderState.RECORDED:
        return ParityFindings(Cause.MODEL, "it was recorded and not sent: a dry run fills nothing")
    if not other.sent:
        return ParityFindings(Cause.LATENCY, f"{whose} order had expired before it was sent")
    act = _act_between(other, fill, facts)
    if act:
        return ParityFindings(Cause.PERSON, act)
    if other.order_type in RESTING:
        return _rested(other, fill, fill is there, facts)
    return ParityFindings(Cause.UNEXPLAINED, f"{whose} order is {other.state.value} and got nothing")


def _act_between(order: OrderSeen, fill: FillSeen, facts: DayFacts) -> str:
    """What an operator did that ended an order before it could be filled."""
    if order.state is not OrderState.CANCELLED:
        return ""
    for act in facts.persons:
        begun = order.at_ns <= act.at_ns <= fill.at_ns
        if begun and act.covers(act.at_ns, order.account, order.strategy):
            return act.what
    return ""


def _rested(order: OrderSeen, fill: FillSeen, by_stack: bool, facts: DayFacts) -> ParityFindings:
    level = order.trigger_price or order.price
    seen = facts.quotes.between(order.instrument, order.at_ns, fill.at_ns)
    if any(_touches(quote, order.side, order.order_type, level) for quote in seen):
        filled = "the stack's venue" if by_stack else "the backtest"
        return ParityFindings(Cause.MODEL, f"{level:g} was touched, and only {filled} fills at a touch")
    if by_stack:
        return ParityFindings(Cause.DATA, f"the venue saw {level:g}, which no recorded quote came to")
    return ParityFindings(Cause.UNEXPLAINED, f"filled at {fill.price:g} though no recorded quote came to {level:g}")


def _touches(quote: Quote, side: Side, kind: OrderType, level: float) -> bool:
    """True if a quote comes to the level of a resting limit, or to the trigger of a stop."""
    falls = (side is Side.BUY) == (kind is OrderType.LIMIT)
    prices = [quote.ltp, *(price for price in (quote.bid, quote.ask) if price)]
    return min(prices) <= level + PAISA if falls else max(prices) >= level - PAISA


def _both_filled(
    stack: OrderSeen, backtest: OrderSeen, there: FillSeen, here: FillSeen, facts: DayFacts
) -> ParityFindings:
    if there.units != here.units:
        return ParityFindings(Cause.MODEL, f"the venue filled {abs(there.units)} units, the backtest {abs(here.units)}")
    if same_price(there.price, here.price):
        return _other_time(stack, there, here)
    return _other_price(stack, backtest, there, here, facts)


def _other_time(order: OrderSeen, there: FillSeen, here: FillSeen) -> ParityFindings:
    later = there.at_ns - here.at_ns
    if later > 0:
        return ParityFindings(Cause.LATENCY, f"at the same price, {_ms(later)} later")
    if order.order_type in RESTING:
        return ParityFindings(
            Cause.MODEL, f"at the same price, {_ms(-later)} earlier: the venue filled it at an earlier touch"
        )
    return ParityFindings(Cause.UNEXPLAINED, f"at the same price, {_ms(-later)} before the backtest")


def _other_price(
    stack: OrderSeen, backtest: OrderSeen, there: FillSeen, here: FillSeen, facts: DayFacts
) -> ParityFindings:
    by = f"{there.price - here.price:+.2f}"
    seen = facts.quotes.between(stack.instrument, min(stack.at_ns, backtest.at_ns), max(there.at_ns, here.at_ns))
    if not seen:
        return ParityFindings(Cause.DATA, f"{by}: no quote of {stack.instrument} is recorded between order and fill")
    moved = _moved(seen)
    at_fill = facts.quotes.between(stack.instrument, there.first_ns, there.at_ns)
    if there.at_ns > here.at_ns and moved and _within(there.price, seen):
        return ParityFindings(Cause.LATENCY, f"{by}: the price moved in the {_ms(there.at_ns - here.at_ns)} between")
    if not facts.our_venue or there.parts > 1 or here.parts > 1:
        return ParityFindings(Cause.MODEL, f"{by}: the venue filled it {_where(there.price, at_fill)}")
    if _within(there.price, seen) and (moved or not same_price(*_reach(seen))):
        return ParityFindings(Cause.MODEL, f"{by}: both inside the quotes, where the venue took another price")
    return ParityFindings(Cause.UNEXPLAINED, f"{by}: no recorded quote shows {there.price:g}")


def _where(price: float, quotes: Sequence[Quote]) -> str:
    if not quotes:
        return "when no quote was recorded"
    low, high = _reach(quotes)
    if low - PAISA <= price <= high + PAISA:
        return f"inside the quotes ({low:g} to {high:g})"
    return f"outside the best quotes ({low:g} to {high:g})"


def _prices(quote: Quote) -> tuple[float, ...]:
    return tuple(price for price in (quote.ltp, quote.bid, quote.ask) if price)


def _moved(quotes: Sequence[Quote]) -> bool:
    """True if the market was not the same all along."""
    return len({_prices(quote) for quote in quotes}) > 1


def _reach(quotes: Sequence[Quote]) -> tuple[float, float]:
    prices = [price for quote in quotes for price in _prices(quote)]
    return min(prices), max(prices)


def _within(price: float, quotes: Sequence[Quote]) -> bool:
    low, high = _reach(quotes)
    return low - PAISA <= price <= high + PAISA


def _ms(ns: int) -> str:
    return f"{ns / 1e9:,.1f} s" if ns >= SECOND else f"{ns / 1e6:,.0f} ms"
