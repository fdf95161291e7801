"""Rules on what is there already: sizes of orders and positions, other owners, the strategy's day.

Numbers stand in every reason.
"""

from __future__ import annotations

from mytrading.core.risk.pretrade.context import PreTradeContext, Rule
from mytrading.core.text.money import rupees
from mytrading.core.time import SECOND


def _max_order(case: PreTradeContext) -> str:
    limit = case.limits.max_order_size
    if case.value_of(case.units) <= limit:
        return ""
    return (
        f"order of {rupees(case.value)} exceeds MAX_ORDER_SIZE {rupees(limit)} "
        f"({abs(case.units)} × {case.price:,.2f} {case.leg.instrument}); lower the lots or raise the limit"
    )


def _min_order(case: PreTradeContext) -> str:
    limit = case.limits.min_order_size
    if case.value_of(case.units) >= limit or case.price <= 0 or case.hedging:
        return ""
    return (
        f"order of {rupees(case.value)} is below MIN_ORDER_SIZE {rupees(limit)} "
        f"({abs(case.units)} × {case.price:,.2f} {case.leg.instrument}); raise the lots or lower the limit"
    )


def _max_position(case: PreTradeContext) -> str:
    own = case.strategy.max_position_size if case.strategy else 0.0
    limit = min(own, case.limits.max_position_size) if own > 0 else case.limits.max_position_size
    units = case.units_there + abs(case.units)
    value = case.value_of(units)
    if value <= limit:
        return ""
    return (
        f"position of {rupees(value)} would exceed MAX_POSITION_SIZE {rupees(limit)} ({case.units_there} there + "
        f"{abs(case.units)} new, × {case.price:,.2f} {case.leg.instrument}); lower the lots or raise the limit"
    )


def _symbol_positions(case: PreTradeContext) -> str:
    limit = case.limits.max_positions_per_symbol
    if not case.adds_position or case.positions_symbol < limit or case.instrument is None:
        return ""
    name = case.instrument.underlying or case.instrument.symbol
    return f"{case.positions_symbol} positions of {name} reach MAX_POSITIONS_PER_SYMBOL {limit}; close one first"


def _total_positions(case: PreTradeContext) -> str:
    limit = case.limits.max_total_positions
    if not case.adds_position or case.positions_total < limit:
        return ""
    return f"{case.positions_total} positions reach MAX_TOTAL_POSITIONS {limit}; close one first"


SIZES: tuple[Rule, ...] = (
    Rule("MAX_ORDER_SIZE", "The order's value is above the limit.", "MAX_ORDER_SIZE", _max_order),
    Rule("MIN_ORDER_SIZE", "The order's value is below the limit, and it covers no sold leg of the same signal.",
         "MIN_ORDER_SIZE", _min_order),
    Rule("MAX_POSITION_SIZE", "Held, coming and new units together are worth more than the limit.",
         "MAX_POSITION_SIZE, STRATEGY_<NAME>_MAX_POSITION_SIZE", _max_position),
    Rule("MAX_POSITIONS_PER_SYMBOL", "Too many positions of one underlying.", "MAX_POSITIONS_PER_SYMBOL",
         _symbol_positions),
    Rule("MAX_TOTAL_POSITIONS", "Too many positions.", "MAX_TOTAL_POSITIONS", _total_positions),
)  # fmt: skip


def _opposed(case: PreTradeContext) -> str:
    if not case.opposed:
        return ""
    return (
        f"{case.opposed} holds or orders the other side of {case.leg.instrument}; two owners never hold opposite sides"
    )


def _reserved(case: PreTradeContext) -> str:
    return lost_on_its_way(case.lost, case.leg.instrument) if case.lost else ""


def lost_on_its_way(order: str, instrument: str) -> str:
    """Why entries of the side of a lost order are denied, and what an operator does."""
    return (
        f"entry {order} in {instrument} was lost on its way and may still appear, so its side stays reserved; look at "
        f"the broker, then `mytrading orders resolve {order} --not-placed`"
    )


def _duplicate(case: PreTradeContext) -> str:
    if not case.other_watch:
        return ""
    return f"{case.signal.strategy} holds or orders {case.leg.instrument} already, for {case.other_watch}"


def _spent(case: PreTradeContext) -> str:
    if not case.spent:
        return ""
    return (
        f"this signal was fulfilled and closed today ({case.leg.instrument}); it counts again once a bar has passed "
        "without it, or after another signal"
    )


def _confidence(case: PreTradeContext) -> str:
    least = case.strategy.min_confidence if case.strategy else 0.0
    if case.signal.confidence >= least:
        return ""
    return f"confidence {case.signal.confidence:.2f} is below MIN_CONFIDENCE {least:.2f} of {case.signal.strategy}"


def _cooldown(case: PreTradeContext) -> str:
    cooldown = case.strategy.signal_cooldown if case.strategy else 0.0
    since = (case.now - case.last_entry_ns) / SECOND
    if not case.last_entry_ns or since >= cooldown or case.is_counted:
        return ""
    return f"{since:.0f} s since the last entry, the cooldown is {cooldown:g} s; wait {cooldown - since:.0f} s"


def _rate(case: PreTradeContext) -> str:
    if case.entries_last_minute < case.entries_per_minute or case.is_counted:
        return ""
    return (
        f"{case.entries_last_minute} entries (signals that entered) within a minute reach the limit of "
        f"{case.entries_per_minute}; wait"
    )


OWNER: tuple[Rule, ...] = (
    Rule("OPPOSED", "Another strategy holds the other side of the instrument, or has an entry out for it.", "",
         _opposed, "opposed"),
    Rule("RESERVED", "An entry of that side was lost on its way, or is of unknown fate, and may still appear.", "",
         _reserved, "lost"),
    Rule("DUPLICATE", "The strategy holds or orders the instrument for another watched one.", "",
         _duplicate, "other_watch"),
    Rule("SIGNAL_SPENT", "The signal was fulfilled today, its position closed, and no bar has passed without it since.",
         "", _spent, "spent"),
    Rule("MIN_CONFIDENCE", "The signal's confidence is too low.", "STRATEGY_<NAME>_MIN_CONFIDENCE", _confidence),
    Rule("COOLDOWN", "Too soon after the strategy's last entry for the same watched instrument.", "", _cooldown,
         "last_entry_ns"),
    Rule("ENTRIES_PER_MINUTE", "Too many signals of the strategy entered within a minute of market time.",
         "MAX_ENTRIES_PER_MINUTE", _rate,
         "entries_last_minute"),
)  # fmt: skip
