"""Rules on a strategy's own times, and on a run of it that is being closed.

Numbers stand in every reason.
"""

from __future__ import annotations

from mytrading.core.risk.pretrade.context import PreTradeContext, Rule
from mytrading.core.risk.runs.run_events import RUN_ENDING
from mytrading.core.risk.runs.session_times import lead_seconds
from mytrading.core.time import DAY_SECONDS, hhmm, second_of_day
from mytrading.messages.enums import Product

_MIS = Product.MIS


def _run_ending(case: PreTradeContext) -> str:
    if not case.leaving:
        return ""
    return f"the run of {case.signal.strategy} is being closed by its rule {case.leaving}; signal again when it is flat"


def _entry_time(case: PreTradeContext) -> str:
    begins = case.strategy.rules.entry_time if case.strategy is not None else 0
    if not begins or (at := second_of_day(case.now)) >= begins:
        return ""
    return f"entry_time of {case.signal.strategy} is {hhmm(begins)}, it is {hhmm(at)}; signal again from then on"


def _exit_time(case: PreTradeContext) -> str:
    if case.strategy is None:
        return ""
    rules, intraday = case.strategy.rules, case.strategy.intraday and case.product is not _MIS
    if not (rules.exit_time or rules.square_off_time or intraday):
        return ""
    at = second_of_day(case.now)
    opens = (
        second_of_day(case.session.open_ns) if case.session is not None else DAY_SECONDS
    )  # times before it mean nothing
    begins = rules.square_off_time - lead_seconds(case.speed) if rules.square_off_time else 0
    for name, ends in (("exit_time", rules.exit_time), ("square-off", begins)):
        if opens < ends <= at:
            return f"{name} of {case.signal.strategy} began at {hhmm(ends)}, it is {hhmm(at)}; signal again tomorrow"
    if intraday and case.square_off_ns and case.now >= case.square_off_ns:
        since = hhmm(second_of_day(case.square_off_ns))
        return f"{case.signal.strategy} is intraday, and closed from {since}; it is {hhmm(at)}; signal again tomorrow"
    return ""


TIMES: tuple[Rule, ...] = (
    Rule(RUN_ENDING, "A rule of the strategy's run is closing it.", "config/strategies", _run_ending, "leaving"),
    Rule("BEFORE_ENTRY_TIME", "Before the strategy's own time of entry.", "risk.entry_time",
         _entry_time),
    Rule("AFTER_EXIT_TIME", "After the strategy's own time of exit or square-off has begun.",
         "risk.exit_time, risk.square_off_time", _exit_time),
)  # fmt: skip
