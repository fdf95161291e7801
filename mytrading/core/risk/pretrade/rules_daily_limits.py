"""Rules on the day so far: counts of a session, losses in a row, and the limits of the day that were reached.

A limit that `core/risk/limits/limits` found reached denies in the words it was recorded with. A count says whether a
basket may begin and never breaks one that began; a limit of the day does.
"""

from __future__ import annotations

from collections.abc import Callable

from mytrading.core.risk.pretrade.context import PreTradeContext, Rule
from mytrading.core.time import MINUTE, clock_time
from mytrading.messages.enums import LimitKind


def _session_entries(case: PreTradeContext) -> str:
    limit = case.limits.max_entries_per_session
    if not limit or case.session_entries < limit or case.is_counted:
        return ""
    return (
        f"{case.session_entries} entries of {case.signal.strategy} (signals that entered) reach "
        f"MAX_ENTRIES_PER_SESSION {limit}; it may enter again in the next session"
    )


def _active_orders(case: PreTradeContext) -> str:
    limit = case.limits.max_active_orders
    if case.active_orders < limit or case.underway:
        return ""
    return f"{case.active_orders} orders of the account are live, MAX_ACTIVE_ORDERS is {limit}; wait for some to end"


def _cancels(case: PreTradeContext) -> str:
    limit = case.limits.max_cancels_per_day
    if case.cancels_today < limit or case.underway:
        return ""
    return f"{case.cancels_today} cancels of the account reach MAX_CANCELS_PER_DAY {limit}; no more entries today"


def _losses(case: PreTradeContext) -> str:
    limit, pause = case.limits.max_consecutive_losses, case.limits.loss_pause_minutes
    ends = case.loss_ns + pause * MINUTE
    if not limit or case.losses < limit or case.now >= ends or case.underway:
        return ""
    return (
        f"{case.losses} losing trades of {case.signal.strategy} in a row reach MAX_CONSECUTIVE_LOSSES {limit}; "
        f"it pauses for {pause} min, until {clock_time(ends)}"
    )


def _reached(kind: LimitKind) -> Callable[[PreTradeContext], str]:
    name = kind.value
    return lambda case: case.reached.get(name, "")


DAY: tuple[Rule, ...] = (
    Rule("PROFIT_UNKNOWN", "The day's profit of the account or the strategy adds up to no number.", "",
         lambda case: case.reached.get("PROFIT_UNKNOWN", ""), "reached"),
    Rule("ENTRIES_PER_SESSION", "Too many signals of the strategy entered in this session.", "MAX_ENTRIES_PER_SESSION",
         _session_entries, "session_entries"),
    Rule("ACTIVE_ORDERS", "Too many orders of the account are live.", "MAX_ACTIVE_ORDERS", _active_orders,
         "active_orders"),
    Rule("CANCELS_PER_DAY", "Too many orders of the account were cancelled today.", "MAX_CANCELS_PER_DAY", _cancels,
         "cancels_today"),
    Rule("LOSS_PAUSE", "The strategy lost several times in a row in the account, and pauses.",
         "MAX_CONSECUTIVE_LOSSES, LOSS_PAUSE_MINUTES", _losses, "losses"),
    Rule("DAILY_LOSS", "The day's loss of the account or the strategy, realised and unrealised, reached the limit.",
         "MAX_DAILY_LOSS, STRATEGY_<NAME>_MAX_DAILY_LOSS", _reached(LimitKind.DAILY_LOSS), "reached"),
    Rule("DRAWDOWN", "Equity fell too far below its peak.", "MAX_DRAWDOWN, STRATEGY_<NAME>_MAX_DRAWDOWN",
         _reached(LimitKind.DRAWDOWN), "reached"),
    Rule("DAILY_STOP_R", "The day lost as many R as the limit allows.",
         "DAILY_STOP_R, R_VALUE, STRATEGY_<NAME>_DAILY_STOP_R", _reached(LimitKind.DAILY_STOP_R), "reached"),
    Rule("DAILY_TARGET_R", "The day won as many R as were wanted.",
         "DAILY_TARGET_R, R_VALUE, STRATEGY_<NAME>_DAILY_TARGET_R", _reached(LimitKind.DAILY_TARGET_R), "reached"),
)  # fmt: skip
