"""Reasons why entries wait: daemons, servers, journals in doubt, missing bars. A text, empty if there is none."""

from __future__ import annotations

from collections.abc import Iterable

from mytrading.core.bars.history_proofs import lookback_gap
from mytrading.core.orders.broker_gate import entry_refusal
from mytrading.core.risk.runs.run_book import OPTION_PATIENCE
from mytrading.core.risk.state.state import RiskState
from mytrading.core.time import SECOND, format_ist, iso_day
from mytrading.messages.market import Quote
from mytrading.messages.orders import Position
from mytrading.messages.signals import Leg, Signal

SILENT_NS = 3 * SECOND
BLIND_NS = 10 * SECOND
"""Machine time without prices after which nobody guards what has its stop with risk."""
NEEDED = ("feed", "router", "reconciler")
AWAITED = frozenset(
    ("NOT_READY", "POSITION_IN_DOUBT", "ENGINE_STOP_BLIND", "NO_QUOTE", "STALE_QUOTE", "MARGIN_UNKNOWN")
)
"""Codes of denials that the first reports after a start of risk may end by themselves, within seconds."""
DOUBTED = "quarantine "
"""Prefix of the note of a heartbeat that names a journal in doubt."""


def why_not_ready(state: RiskState, account: str) -> str:
    """Return which daemon or account is not ready for entries, the root cause first; empty if all are ready."""
    if state.doubted:
        return "a journal that risk reads is in doubt: see `mytrading alerts`, then `mytrading resume`"
    for name in NEEDED:
        beat = state.beats.get(name)
        if beat is None or state.machine_ns - beat.machine_ns > SILENT_NS:
            return f"{name} is silent"
    health = state.health.get(account)
    if health is not None and not health.is_healthy:
        return f"account {account}: {health.message or 'its books are not read yet'}"
    if health is not None and state.environment.names_brokers and not health.broker:
        return f"account {account}: its server has not named its broker yet"
    if account in state.recovering:
        return f"account {account}: its books are being compared with the journal since the router's start"
    for beat in state.beats.values():
        doubted = beat.notes and any(note.startswith(DOUBTED) for note in beat.notes)
        needed = beat.daemon in NEEDED and (beat.daemon != "reconciler" or health is None)  # health has it by account
        if doubted or (not beat.ready and needed):
            return f"{beat.daemon} is not ready ({'; '.join(beat.notes) or beat.state.value})"
    return "" if health is not None else f"account {account} has not reported yet"


def awaits_first_report(state: RiskState, account: str, code: str) -> bool:
    """True if a denial with this code may be for want of reports since risk started: until `patient_until`, and in
    lock-step, where the market is held until they come, as long as they have not come."""
    environment = state.environment
    if not environment.lock_step:
        return code in AWAITED and state.machine_ns < environment.patient_until
    if code == "MARGIN_UNKNOWN":
        return bool(why_funds_unknown(state, account))
    unheard = account not in state.health or any(name not in state.beats for name in NEEDED)
    return unheard and code in ("NOT_READY", "POSITION_IN_DOUBT")


def provisional_day(state: RiskState, exchange: str, now: int) -> str:
    """Return why nobody knows if an exchange trades today; empty if the year's holidays are listed, or an operator said
    that it does."""
    environment = state.environment
    if not environment.confirms_days or not environment.is_provisional(exchange, now):
        return ""
    today = environment.today(now)
    if state.confirmed_days.get(exchange) == today:
        return ""
    return f"config/calendar.toml lists no holiday of {today[:4]} for {exchange}, so {today} may be one"


def missing_bars(state: RiskState, signal: Signal, leg: Leg) -> str:
    """Return which bars of the signal's watched instrument or leg are missing; empty if none are."""
    bars = state.bars
    if not (bars.behind or bars.holes):
        return ""
    for name in (signal.watch, leg.instrument):
        if name in bars.holes:
            return f"bars of {name} have a hole that history has not filled yet"
        if name in bars.behind:
            return f"bars of {name} are waited for: the feed was away from it for a while"
    return ""


def disbelieved_price(state: RiskState, signal: Signal, leg: Leg, begun: bool) -> str:
    """Return why the feed believes no price of the leg, of the signal's watched instrument, or of the index that the
    leg's strike is about; empty if it does. Of a basket that has `begun` only the leg's own price counts."""
    if not (closed := state.closed):
        return ""
    environment = state.environment
    contract = environment.instruments.get(leg.instrument)
    underlying = contract.underlying if contract is not None and contract.kind.is_option else ""
    for name, reason in closed.items():
        is_spot = name.partition(":")[0].endswith("_INDEX") and environment.underlying(name) == underlying
        if name == leg.instrument or (not begun and (name == signal.watch or is_spot)):
            return f"{name} is closed for entries: {reason}"
    return ""


def history_hole(state: RiskState, signal: Signal, now: int) -> str:
    """Return which hole in past bars the look-back of a signal's strategy reads over at market `now`; empty if none, or
    an operator accepted it for the day."""
    if not (state.bars.lacking and signal.lookback_minutes):
        return ""
    calendar, run = state.environment.calendar, state.environment.strategies.get(signal.strategy)
    watched = {signal.watch, *(run.symbols if run is not None else ())}
    today = iso_day(now)
    for level in state.bars.lacking:
        name = level.instrument
        if name not in watched or state.accepted_history.get(name) == today:
            continue
        exchange = name.partition(":")[0]
        gap = lookback_gap(level.since_ns, level.gaps, calendar, exchange, signal.lookback_minutes, now)
        if gap is not None:
            begins, ends = (format_ist(at, "%d %b %H:%M") for at in gap)
            return f"{signal.strategy} looks back over bars of {name} that are missing, {begins} to {ends}"
    return ""


def why_funds_unknown(state: RiskState, account: str) -> str:
    """Return why an account's funds are unknown or too old (`environment.funds_stale`); empty if they are known."""
    funds, stale_ns = state.margin.funds.get(account), state.environment.funds_stale
    if funds is None:
        assumed = account in state.environment.assumed_capital
        return "" if assumed else "the broker has not reported its funds"
    health = state.health.get(account)
    if health is not None and health.funds_unread:
        return health.funds_unread
    if stale_ns and state.machine_ns - funds.machine_ns > stale_ns:
        return f"its funds were not read for {stale_ns / SECOND:.0f} seconds"
    return ""


def broker_refusal(state: RiskState, account: str) -> str:
    """Return why an account's broker gets no entries, by the table of brokers; empty if it does."""
    return entry_refusal(account, state.broker_of(account), state.environment.accepted_brokers)


def absent_holdings(state: RiskState) -> dict[str, str]:
    """Return what is held in accounts that are not in this run, as text by account: nothing can guard or close it."""
    here, found = state.environment.order_accounts, dict[str, list[str]]()
    for one in state.open_positions() if here else ():
        if one.account not in here:
            found.setdefault(one.account, []).append(f"{one.strategy} {one.quantity:+d} {one.instrument} {one.product}")
    return {account: ", ".join(sorted(texts)) for account, texts in found.items()}


def absent_account(state: RiskState) -> str:
    """Return why nothing is entered in any account while an account that is not in this run holds something."""
    found = absent_holdings(state)
    return "; ".join(f"account {account} is not in this run and holds {held}" for account, held in found.items())


def session_lost(state: RiskState, account: str) -> str:
    """Return the error with which an account's server refuses every read of its books; empty if it answers."""
    health = state.health.get(account)
    return (health.message or "every read is refused") if health is not None and health.session_lost else ""


def is_quote_stale(state: RiskState, quote: Quote, now: int) -> bool:
    """True if a quote is too old by market time (for options: twelve times the limit) and by when it was received."""
    environment = state.environment
    instrument = environment.instruments.get(quote.instrument)
    patience = OPTION_PATIENCE if instrument is not None and instrument.kind.is_option else 1
    old = now - quote.market_ns > environment.limits.stale_quote_seconds * patience * SECOND
    return old and (environment.lock_step or state.machine_ns - quote.received_ns > BLIND_NS)


def stops_watched_by_risk(state: RiskState, strategy: str = "") -> Iterable[tuple[Position, float]]:
    """Yield open positions, of one strategy or ("") all, with the stop level in rupees that risk watches for them."""
    for key, level in state.stop_levels.items():
        position = state.positions.get(key) if strategy in ("", key[3]) else None
        if position is not None and position.open_units:
            yield position, level


def unpriced_stops(state: RiskState, strategy: str, now: int) -> str:
    """Return why risk had no fresh price for ten seconds for stops it watches itself; empty if it had, or has none."""
    environment = state.environment
    open_now = [
        (position, level)
        for position, level in stops_watched_by_risk(state, strategy)
        if environment.is_open(position.instrument.partition(":")[0], now)
    ]
    if not open_now or environment.lock_step:
        return ""
    for_seconds = (state.machine_ns - max(state.feed_ready_ns, environment.patient_until)) // SECOND
    names = ", ".join(sorted(f"{position.instrument} (stop {level:g})" for position, level in open_now))
    if for_seconds * SECOND >= BLIND_NS:
        return f"the feed is silent or not ready for {for_seconds} s, and the engine holds the stop of {names}"
    unseen = []
    for position, _ in open_now:
        quote = state.valued.get(position.instrument)
        silent = quote is None and state.machine_ns - environment.patient_until >= BLIND_NS
        if silent or (quote is not None and is_quote_stale(state, quote, now)):
            unseen.append(position.instrument)
    return f"no price of {', '.join(sorted(unseen))} comes, and the engine holds its stop" if unseen else ""
