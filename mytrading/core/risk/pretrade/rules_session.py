"""Rules on the moment: readiness, trading levels, trading hours, the strategy's own times. Numbers in every reason."""

from __future__ import annotations

from collections.abc import Callable

from mytrading.core.risk.pretrade.context import PreTradeContext, Rule, is_expired
from mytrading.core.risk.runs.run_events import RUN_ENDING
from mytrading.core.risk.runs.run_rules import square_off_lead_seconds
from mytrading.core.time import DAY_SECONDS, MINUTE, SECOND, clock_time, hhmm, second_of_day
from mytrading.messages.enums import Confidence, Product, TradingLevel

_CONFIRMED, _MIS = Confidence.CONFIRMED, Product.MIS
"""Members of enums, looked up once: that costs as much as a rule."""


def _expired(case: PreTradeContext) -> str:
    if case.begun or not is_expired(case.signal, case.now, case.machine_ns):
        return ""
    late = (case.now - case.signal.expires_ns) / SECOND
    return f"the signal expired {late:.1f} s ago; it counts anew when it is repeated"


def _level(level: TradingLevel, effect: str) -> Callable[[PreTradeContext], str]:
    def check(case: PreTradeContext) -> str:
        if case.level is not level:
            return ""
        return f"trading is at {level.value} ({case.level_reason}), {effect}; `mytrading resume` ends it"

    return check


def _market_closed(case: PreTradeContext) -> str:
    if case.instrument is None:
        return ""
    exchange, session = case.instrument.exchange, case.session
    if session is None:
        return f"{exchange} does not trade today ({case.holiday or 'weekend'}); signal again on a trading day"
    if session.open_ns <= case.now < session.close_ns:
        return ""
    hours = f"{clock_time(session.open_ns)} to {clock_time(session.close_ns)}"
    return f"{exchange} is closed at {clock_time(case.now)}, it trades {hours}; signal again then"


def _first_minutes(case: PreTradeContext) -> str:
    minutes = case.limits.avoid_first_minutes
    if case.session is None or not 0 <= case.now - case.session.open_ns < minutes * MINUTE:
        return ""
    until = clock_time(case.session.open_ns + minutes * MINUTE)
    return f"AVOID_FIRST_MINUTES is {minutes}: no entries before {until}, it is {clock_time(case.now)}"


def _last_minutes(case: PreTradeContext) -> str:
    minutes = case.limits.avoid_last_minutes
    if case.is_basket_underway or case.session is None or not 0 < case.session.close_ns - case.now <= minutes * MINUTE:
        return ""
    since = clock_time(case.session.close_ns - minutes * MINUTE)
    return f"AVOID_LAST_MINUTES is {minutes}: no entries from {since}, it is {clock_time(case.now)}"


def _square_off(case: PreTradeContext) -> str:
    if not case.square_off_ns or case.now < case.square_off_ns:
        return ""
    what = f"{case.product} positions of {case.signal.strategy} are closed from {clock_time(case.square_off_ns)}"
    return f"{what}, it is {clock_time(case.now)}; signal again in the next session"


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
    at, session = second_of_day(case.now), case.session
    opens = second_of_day(session.open_ns) if session is not None else DAY_SECONDS  # times before it mean nothing
    begins = rules.square_off_time - square_off_lead_seconds(case.speed) if rules.square_off_time else 0
    for name, ends in (("exit_time", rules.exit_time), ("square-off", begins)):
        if opens < ends <= at:
            return f"{name} of {case.signal.strategy} began at {hhmm(ends)}, it is {hhmm(at)}; signal again tomorrow"
    if intraday and case.square_off_ns and case.now >= case.square_off_ns:
        since = hhmm(second_of_day(case.square_off_ns))
        return f"{case.signal.strategy} is intraday, and closed from {since}; it is {hhmm(at)}; signal again tomorrow"
    return ""


READINESS: tuple[Rule, ...] = (
    Rule("EXPIRED", "The signal arrived, or became possible, after both of its times.", "SIGNAL_VALIDITY", _expired),
    Rule("BROKER_DISCONNECTED", "The server refuses to read books: it has no broker session, or the key is wrong.", "",
         lambda case: case.session_lost and f"the server has no session at the broker ({case.session_lost}); log it in "
         "to the broker, or check the key", "session_lost"),
    Rule("NOT_READY", "Feed, router or reconciler is silent for 3 s or not ready, or the books disagree.", "",
         lambda case: case.not_ready and f"not ready: {case.not_ready}; see `mytrading status`", "not_ready"),
    Rule("BARS_MISSING", "Bars of the watched or ordered instrument are still fetched, or have a hole.", "",
         lambda case: "" if case.begun or not case.missing_bars else
         f"{case.missing_bars}; it is entered when they are there, see `mytrading alerts`", "missing_bars"),
    Rule("PRICE_DISBELIEVED", "REST quotes contradict the instrument's price, another has its token, or none comes.",
         "",
         lambda case: case.disbelieved and f"{case.disbelieved}; see `mytrading alerts`, exits go on", "disbelieved"),
    Rule("HISTORY_HOLE", "The strategy looks back over past minutes that history does not have.", "",
         lambda case: "" if case.begun or not case.history_hole else
         f"{case.history_hole}; it is entered when they are there, or after `mytrading history accept`",
         "history_hole"),
    Rule("WRONG_MODE", "The server answered in another mode than the account is configured for.", "",
         lambda case: case.wrong_mode and f"{case.wrong_mode}; check the server, then `mytrading resume`",
         "wrong_mode"),
    Rule("BROKER_REFUSED", "The account's broker cannot keep a stop, or its books cannot be believed (brokers.md).",
         "ACCEPTED_BROKERS", lambda case: case.refused_broker, "refused_broker"),
    Rule("ACCOUNT_ABSENT", "An account that was renamed or removed still holds something of ours.", "",
         lambda case: case.absent_account and f"{case.absent_account}; name the account again, or `mytrading positions "
         "settle`", "absent_account"),
    Rule("STOPPING", "The stack is being stopped: `mytrading down` has begun.", "",
         lambda case: "`mytrading down` stops the stack, which enters nothing any more; `mytrading up` starts it again"
         if case.stopping else "", "stopping"),
    Rule("HALTED", "Trading is halted: by an operator, or by the file `KILL` in the state directory.", "",
         _level(TradingLevel.HALT, "which opens nothing"), "level"),
    Rule("REDUCING", "Trading is reduced to closing.", "", _level(TradingLevel.REDUCE, "which only closes"), "level"),
    Rule("STRATEGY_DISABLED", "Entries of the strategy are switched off.", "",
         lambda case: "" if case.enabled else
         f"entries of {case.signal.strategy} are switched off; switch it on again", "enabled"),
    Rule("DISK_LOW", "Less disk is free than the setting asks for.", "MYTRADING_MIN_FREE_BYTES",
         lambda case: "less disk is free than MYTRADING_MIN_FREE_BYTES asks for, so entries halt; free some space"
         if case.disk_low else "", "disk_low"),
    Rule("INSTRUMENT_HALTED", "The router stopped entries in the instrument.", "",
         lambda case: case.halted and
         f"entries in {case.leg.instrument} are halted ({case.halted}); see `mytrading alerts`", "halted"),
    Rule("POSITION_IN_DOUBT", "The broker's books are not read or do not agree with ours there.", "",
         lambda case: "" if case.confidence is _CONFIRMED else f"our position of {case.leg.instrument} is "
         f"{case.confidence.value} against the broker's books; wait for a read", "confidence"),
    Rule("ENGINE_STOP_BLIND", "For 10 s no prices came to a stop of the strategy that the engine holds.", "",
         lambda case: case.unseen_stop and
         f"{case.unseen_stop}; nothing is added until prices come, see `mytrading alerts`", "unseen_stop"),
)  # fmt: skip
SESSION: tuple[Rule, ...] = (
    Rule("MARKET_CLOSED", "Outside trading hours, on a weekend or on a holiday.", "config/calendar.toml",
         _market_closed),
    Rule("DAY_PROVISIONAL", "Nobody has listed the year's holidays, nor said that the exchange trades today.",
         "config/calendar.toml",
         lambda case: case.provisional_day and f"{case.provisional_day}; if it trades, `mytrading calendar confirm "
         f"{case.leg.instrument.partition(':')[0]}` lets entries go today", "provisional_day"),
    Rule("FIRST_MINUTES", "Too soon after the open.", "AVOID_FIRST_MINUTES", _first_minutes),
    Rule("LAST_MINUTES", "Too close to the close.", "AVOID_LAST_MINUTES", _last_minutes),
    Rule("SQUARE_OFF", "An MIS entry after the square-off has begun, or any after the strategy's own.", "",
         _square_off),
    Rule(RUN_ENDING, "A rule of the strategy's run is closing it.", "config/strategies",
         lambda case: case.leaving and f"the run of {case.signal.strategy} is being closed by its rule {case.leaving}; "
         "signal again when it is flat", "leaving"),
    Rule("BEFORE_ENTRY_TIME", "Before the strategy's own time of entry.", "risk.entry_time", _entry_time),
    Rule("AFTER_EXIT_TIME", "After the strategy's own time of exit or square-off has begun.",
         "risk.exit_time, risk.square_off_time", _exit_time),
)  # fmt: skip
