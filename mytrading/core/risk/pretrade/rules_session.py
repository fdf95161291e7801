"""Rules on the moment: whether anything may be opened now, and whether the exchange is open for it.

Numbers stand in every reason.
"""

from __future__ import annotations

from mytrading.core.risk.pretrade.context import PreTradeContext, Rule, is_expired
from mytrading.core.time import MINUTE, SECOND, clock_time
from mytrading.messages.enums import Confidence, TradingLevel

_HALT, _REDUCE, _CONFIRMED = TradingLevel.HALT, TradingLevel.REDUCE, Confidence.CONFIRMED
"""Members of enums, looked up once: that costs as much as a rule."""


def _expired(case: PreTradeContext) -> str:
    if case.begun or not is_expired(case.signal, case.now, case.machine_ns):
        return ""
    late = (case.now - case.signal.expires_ns) / SECOND
    return f"the signal expired {late:.1f} s ago; it counts anew when it is repeated"


def _session_lost(case: PreTradeContext) -> str:
    if not case.session_lost:
        return ""
    return f"the server has no session at the broker ({case.session_lost}); log it in to the broker, or check the key"


def _not_ready(case: PreTradeContext) -> str:
    return f"not ready: {case.not_ready}; see `mytrading status`" if case.not_ready else ""


def _bars_missing(case: PreTradeContext) -> str:
    if case.begun or not case.bars_lacking:
        return ""
    return f"{case.bars_lacking}; it is entered when they are there, see `mytrading alerts`"


def _wrong_mode(case: PreTradeContext) -> str:
    return f"{case.wrong_mode}; check the server, then `mytrading resume`" if case.wrong_mode else ""


def _level(case: PreTradeContext, level: TradingLevel, effect: str) -> str:
    if case.level is not level:
        return ""
    return f"trading is at {level.value} ({case.level_reason}), {effect}; `mytrading resume` ends it"


def _halted(case: PreTradeContext) -> str:
    return _level(case, _HALT, "which opens nothing")


def _reducing(case: PreTradeContext) -> str:
    return _level(case, _REDUCE, "which only closes")


def _strategy_disabled(case: PreTradeContext) -> str:
    return "" if case.enabled else f"entries of {case.signal.strategy} are switched off; switch it on again"


def _disk_low(case: PreTradeContext) -> str:
    return (
        "less disk is free than MYTRADING_MIN_FREE_BYTES asks for, so entries halt; free some space"
        if case.disk_low
        else ""
    )


def _instrument_halted(case: PreTradeContext) -> str:
    if not case.halted:
        return ""
    return f"entries in {case.leg.instrument} are halted ({case.halted}); see `mytrading alerts`"


def _blind(case: PreTradeContext) -> str:
    return f"{case.blind}; nothing is added until prices come, see `mytrading alerts`" if case.blind else ""


def _doubtful(case: PreTradeContext) -> str:
    if case.confidence is _CONFIRMED:
        return ""
    return (
        f"our position of {case.leg.instrument} is {case.confidence.value} against the broker's books; wait for a read"
    )


STANDING: tuple[Rule, ...] = (
    Rule("EXPIRED", "The signal arrived, or became possible, after both of its times.", "SIGNAL_VALIDITY", _expired),
    Rule("BROKER_DISCONNECTED", "The server refuses to read books: it has no broker session, or the key is wrong.", "",
         _session_lost, "session_lost"),
    Rule("NOT_READY", "Feed, router or reconciler is silent for 3 s or not ready, or the books disagree.", "",
         _not_ready, "not_ready"),
    Rule("BARS_MISSING", "Bars of the watched or ordered instrument are still fetched, or have a hole.", "",
         _bars_missing, "bars_lacking"),
    Rule("WRONG_MODE", "The server answered in another mode than the account is configured for.", "",
         _wrong_mode, "wrong_mode"),
    Rule("HALTED", "Trading is halted: by a person, or by the file `KILL` in the state directory.", "", _halted,
         "level"),
    Rule("REDUCING", "Trading is reduced to closing.", "", _reducing, "level"),
    Rule("STRATEGY_DISABLED", "Entries of the strategy are switched off.", "", _strategy_disabled, "enabled"),
    Rule("DISK_LOW", "Less disk is free than the setting asks for.", "MYTRADING_MIN_FREE_BYTES", _disk_low, "disk_low"),
    Rule("INSTRUMENT_HALTED", "The router stopped entries in the instrument.", "", _instrument_halted, "halted"),
    Rule("POSITION_IN_DOUBT", "The broker's books are not read or do not agree with ours there.", "", _doubtful,
         "confidence"),
    Rule("ENGINE_STOP_BLIND", "For 10 s no prices came to a stop of the strategy that the engine holds.", "", _blind,
         "blind"),
)  # fmt: skip


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
    if case.underway or case.session is None or not 0 < case.session.close_ns - case.now <= minutes * MINUTE:
        return ""
    since = clock_time(case.session.close_ns - minutes * MINUTE)
    return f"AVOID_LAST_MINUTES is {minutes}: no entries from {since}, it is {clock_time(case.now)}"


def _square_off(case: PreTradeContext) -> str:
    if not case.square_off_ns or case.now < case.square_off_ns:
        return ""
    since = clock_time(case.square_off_ns)
    what = f"{case.product} positions of {case.signal.strategy} are closed from {since}"
    return f"{what}, it is {clock_time(case.now)}; signal again in the next session"


HOURS: tuple[Rule, ...] = (
    Rule("MARKET_CLOSED", "Outside trading hours, on a weekend or on a holiday.", "config/calendar.toml",
         _market_closed),
    Rule("FIRST_MINUTES", "Too soon after the open.", "AVOID_FIRST_MINUTES", _first_minutes),
    Rule("LAST_MINUTES", "Too close to the close.", "AVOID_LAST_MINUTES", _last_minutes),
    Rule("SQUARE_OFF", "An MIS entry after the square-off has begun, or any after the strategy's own.", "",
         _square_off),
)  # fmt: skip
