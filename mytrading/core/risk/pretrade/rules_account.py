"""Rules on what is there already: sizes, margin, other owners, and the day so far. Numbers stand in every reason.

A count says whether a basket may begin and never breaks one that began; a limit of the day does.
"""

from __future__ import annotations

from mytrading.core.accounting.margin import is_margined
from mytrading.core.risk.pretrade.context import PreTradeContext, Rule
from mytrading.core.text.money import rupees
from mytrading.core.time import MINUTE, SECOND, clock_time


def _max_order(case: PreTradeContext) -> str:
    limit = case.limits.max_order_size
    if case.value_of(case.units) <= limit:
        return ""
    return (
        f"order of {rupees(case.value_of(case.units))} exceeds MAX_ORDER_SIZE {rupees(limit)} "
        f"({abs(case.units)} × {case.price:,.2f} {case.leg.instrument}); lower the lots or raise the limit"
    )


def _min_order(case: PreTradeContext) -> str:
    limit = case.limits.min_order_size
    if case.value_of(case.units) >= limit or case.price <= 0 or case.hedging:
        return ""
    return (
        f"order of {rupees(case.value_of(case.units))} is below MIN_ORDER_SIZE {rupees(limit)} "
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


def _margin_unknown(case: PreTradeContext) -> str:
    if case.instrument is None:
        return ""
    valued = is_margined(case.instrument, case.units)
    if valued and case.margin <= 0:
        return f"the margin of {case.leg.instrument} is not known; add its underlying to config/risk.toml"
    if case.margin_free is None and (valued or case.needs_funds):
        return f"what is free of margin is not known: {case.funds_unread}; see `mytrading alerts`"
    return ""


def _short_of_margin(case: PreTradeContext) -> str:
    if case.margin_free is None or case.margin_needed <= case.margin_free:
        return ""
    if case.signal.changes and not case.margin_needed:  # the whole needs no more than what is held, however short it is
        return ""
    needed = f"{rupees(case.margin_needed)} of margin needed, {rupees(case.margin_free)} free"
    return f"{needed}; lower the lots, close something or add funds"


def _confidence(case: PreTradeContext) -> str:
    least = case.strategy.min_confidence if case.strategy else 0.0
    if case.signal.confidence >= least:
        return ""
    return f"confidence {case.signal.confidence:.2f} is below MIN_CONFIDENCE {least:.2f} of {case.signal.strategy}"


def _cooldown(case: PreTradeContext) -> str:
    cooldown = case.strategy.signal_cooldown if case.strategy else 0.0
    since = (case.now - case.last_entry_ns) / SECOND
    if not case.last_entry_ns or since >= cooldown or case.is_counted or case.signal.changes:
        return ""
    return f"{since:.0f} s since the last entry, the cooldown is {cooldown:g} s; wait {cooldown - since:.0f} s"


def _session_entries(case: PreTradeContext) -> str:
    limit = case.limits.max_entries_per_session
    if not limit or case.session_entries < limit or case.is_counted:
        return ""
    return (
        f"{case.session_entries} entries of {case.signal.strategy} (signals that entered) reach "
        f"MAX_ENTRIES_PER_SESSION {limit}; it may enter again in the next session"
    )


def _losses(case: PreTradeContext) -> str:
    limit, pause = case.limits.max_consecutive_losses, case.limits.loss_pause_minutes
    ends = case.loss_ns + pause * MINUTE
    if not limit or case.losses < limit or case.now >= ends or case.is_basket_underway:
        return ""
    return (
        f"{case.losses} losing trades of {case.signal.strategy} in a row reach MAX_CONSECUTIVE_LOSSES {limit}; "
        f"it pauses for {pause} min, until {clock_time(ends)}"
    )


def _daily_limit(code: str, when: str, settings: str) -> Rule:
    return Rule(code, when, settings, lambda case: case.reached.get(code, ""), "reached")


ACCOUNT: tuple[Rule, ...] = (
    Rule("MAX_ORDER_SIZE", "The order's value is above the limit.", "MAX_ORDER_SIZE", _max_order),
    Rule("MIN_ORDER_SIZE", "The order's value is below the limit, and it covers no sold leg of the same signal.",
         "MIN_ORDER_SIZE", _min_order),
    Rule("MAX_POSITION_SIZE", "Held, coming and new units together are worth more than the limit.",
         "MAX_POSITION_SIZE, STRATEGY_<NAME>_MAX_POSITION_SIZE", _max_position),
    Rule("MAX_POSITIONS_PER_SYMBOL", "Too many positions of one underlying.", "MAX_POSITIONS_PER_SYMBOL",
         _symbol_positions),
    Rule("MAX_TOTAL_POSITIONS", "Too many positions.", "MAX_TOTAL_POSITIONS",
         lambda case: f"{case.positions_total} positions reach MAX_TOTAL_POSITIONS {case.limits.max_total_positions}; "
         "close one first" if case.adds_position and case.positions_total >= case.limits.max_total_positions else ""),
    Rule("MARGIN_UNKNOWN", "What a future or sold option needs, or what the account has free, is not known.",
         "config/risk.toml", _margin_unknown),
    Rule("INSUFFICIENT_MARGIN", "The order, or the signal with all its legs, needs more than is free in the account.",
         "config/risk.toml", _short_of_margin),
    Rule("OPPOSED", "Another strategy holds the other side of the instrument, or has an entry out for it.", "",
         lambda case: case.opposed and
         f"{case.opposed} holds or orders the other side of {case.leg.instrument}; two owners never hold opposite "
         "sides", "opposed"),
    Rule("RESERVED", "An entry of that side was lost on its way, or is of unknown fate, and may still appear.", "",
         lambda case: case.lost and
         f"entry {case.lost} in {case.leg.instrument} was lost on its way and may still appear, so its side stays "
         f"reserved; look at the broker, then `mytrading orders resolve {case.lost} --not-placed`", "lost"),
    Rule("DUPLICATE", "The strategy holds or orders the instrument for another watched one.", "",
         lambda case: case.other_watch and
         f"{case.signal.strategy} holds or orders {case.leg.instrument} already, for {case.other_watch}",
         "other_watch"),
    Rule("SIGNAL_SPENT", "The signal was fulfilled today, its position closed, and no bar has passed without it since.",
         "", lambda case: "" if not case.spent else
         f"this signal was fulfilled and closed today ({case.leg.instrument}); it counts again once a bar has passed "
         "without it, or after another signal", "spent"),
    Rule("MIN_CONFIDENCE", "The signal's confidence is too low.", "STRATEGY_<NAME>_MIN_CONFIDENCE", _confidence),
    Rule("COOLDOWN", "Too soon after the strategy's last entry for the same watched instrument.", "", _cooldown,
         "last_entry_ns"),
    Rule("ENTRIES_PER_MINUTE", "Too many signals of the strategy entered within a minute of market time.",
         "MAX_ENTRIES_PER_MINUTE",
         lambda case: "" if case.entries_last_minute < case.entries_per_minute or case.is_counted else
         f"{case.entries_last_minute} entries (signals that entered) within a minute reach the limit of "
         f"{case.entries_per_minute}; wait", "entries_last_minute"),
    _daily_limit("PROFIT_UNKNOWN", "The day's profit of the account or the strategy adds up to no number.", ""),
    Rule("ENTRIES_PER_SESSION", "Too many signals of the strategy entered in this session.", "MAX_ENTRIES_PER_SESSION",
         _session_entries, "session_entries"),
    Rule("ACTIVE_ORDERS", "Too many orders of the account are live.", "MAX_ACTIVE_ORDERS",
         lambda case: "" if case.active_orders < case.limits.max_active_orders or case.is_basket_underway else
         f"{case.active_orders} orders of the account are live, MAX_ACTIVE_ORDERS is {case.limits.max_active_orders}; "
         "wait for some to end", "active_orders"),
    Rule("CANCELS_PER_DAY", "Too many orders of the account were cancelled today.", "MAX_CANCELS_PER_DAY",
         lambda case: "" if case.cancels_today < case.limits.max_cancels_per_day or case.is_basket_underway else
         f"{case.cancels_today} cancels of the account reach MAX_CANCELS_PER_DAY {case.limits.max_cancels_per_day}; "
         "no more entries today", "cancels_today"),
    Rule("LOSS_PAUSE", "The strategy lost several times in a row in the account, and pauses.",
         "MAX_CONSECUTIVE_LOSSES, LOSS_PAUSE_MINUTES", _losses, "losses"),
    _daily_limit("DAILY_LOSS",
                 "The day's loss of the account or the strategy, realised and unrealised, reached the limit.",
                 "MAX_DAILY_LOSS, STRATEGY_<NAME>_MAX_DAILY_LOSS"),
    _daily_limit("DRAWDOWN", "Equity fell too far below its peak.", "MAX_DRAWDOWN, STRATEGY_<NAME>_MAX_DRAWDOWN"),
    _daily_limit("DAILY_STOP_R", "The day lost as many R as the limit allows.",
                 "DAILY_STOP_R, R_VALUE, STRATEGY_<NAME>_DAILY_STOP_R"),
    _daily_limit("DAILY_TARGET_R", "The day won as many R as were wanted.",
                 "DAILY_TARGET_R, R_VALUE, STRATEGY_<NAME>_DAILY_TARGET_R"),
)  # fmt: skip
