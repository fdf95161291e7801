"""The pre-trade rules: one pure function each, in order, all of them evaluated for every entry.

Used by risk; the table also makes `docs/denials.md`. A rule looks at one `Case` and answers with the reason of its
denial, numbers included, or with nothing. The one rule: exits never come here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import msgspec

from mytrading.core.calendar import IST, Session
from mytrading.core.sizing import order_value
from mytrading.messages.enums import Confidence, OrderType, Product, TradingLevel
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.market import Quote
from mytrading.messages.runconfig import RiskLimits, StrategyRun
from mytrading.messages.signals import Leg, Signal

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
QUOTE_FLOOR_NS = 2 * SECOND
"""Machine time within which a quote is never stale: at a high market speed its market age says nothing."""


class Denial(NamedTuple):
    """Why an entry is not admitted: a code of the table, and a sentence with the numbers."""

    code: str
    message: str


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """All that the rules may look at for one leg of a wish.

    `units` (signed) is what the order would trade, `price` (rupees, 0 if there is none) what it is valued at.
    `units_there` are the units held and coming in this instrument and account, whoever owns them. `positions_symbol`
    and `positions_total` count open and coming positions of the account without this one. `not_ready`, `wrong_mode`,
    `halted`, `other_watch` and `opposed` are reasons or names, empty when all is well. `session` is None on a day
    without one. `square_off_ns` is when closing of MIS begins (market time).
    """

    signal: Signal
    leg: Leg
    now: int
    machine_ns: int
    limits: RiskLimits
    instrument: Instrument | None = None
    strategy: StrategyRun | None = None
    units: int = 0
    price: float = 0.0
    quote: Quote | None = None
    not_ready: str = ""
    wrong_mode: str = ""
    level: TradingLevel = TradingLevel.NORMAL
    level_reason: str = ""
    enabled: bool = True
    halted: str = ""
    confidence: Confidence = Confidence.CONFIRMED
    session: Session | None = None
    holiday: str = ""
    square_off_ns: int = 0
    reduces: bool = False
    units_there: int = 0
    adds_position: bool = True
    positions_symbol: int = 0
    positions_total: int = 0
    entries_per_minute: int = 10
    entries_last_minute: int = 0
    last_entry_ns: int = 0
    disk_low: bool = False
    other_watch: str = ""
    opposed: str = ""
    spent: bool = False
    day_profit: float = 0.0
    loss_reached: bool = False

    @property
    def value(self) -> float:
        """Rupees of the order."""
        return order_value(self.units, self.price)


class Rule(NamedTuple):
    """One row of the table. `check` gives the reason of a denial, or an empty string."""

    code: str
    when: str
    settings: str
    check: Callable[[Case], str]


def judge(case: Case) -> tuple[Denial, ...]:
    """All denials of a case, in the order of the table; empty if it is admitted. Budget: 20 µs."""
    return tuple([Denial(rule.code, text) for rule in RULES if (text := rule.check(case))])


def rupees(amount: float) -> str:
    """₹1,62,500 or ₹99.50: lakhs and crores as they are read in India, paise only where there are some."""
    whole, paise = divmod(round(abs(amount) * 100), 100)
    digits = str(whole)
    head, tail = digits[:-3], digits[-3:]
    while head:
        head, part = head[:-2], head[-2:]
        tail = f"{part},{tail}"
    return f"{'−' if amount < 0 else ''}₹{tail}" + (f".{paise:02d}" if paise else "")


def clock_time(ns: int) -> str:
    """A moment as Indian wall-clock time."""
    return datetime.fromtimestamp(ns / SECOND, IST).strftime("%H:%M:%S")


def expired(signal: Signal, now: int, machine_ns: int) -> bool:
    """True once both of a wish's times have passed."""
    return now > signal.expires_ns and machine_ns > signal.expires_machine_ns


def stale(quote: Quote, now: int, machine_ns: int, limit_seconds: float) -> bool:
    """True if a quote is too old to trade on: in market time beyond the limit, and in machine time beyond 2 s."""
    return now - quote.market_ns > limit_seconds * SECOND and machine_ns - quote.received_ns > QUOTE_FLOOR_NS


def _expired(case: Case) -> str:
    if not expired(case.signal, case.now, case.machine_ns):
        return ""
    late = (case.now - case.signal.expires_ns) / SECOND
    return f"the wish expired {late:.1f} s ago; it counts anew when it is repeated"


def _not_ready(case: Case) -> str:
    return f"not ready: {case.not_ready}; see `mytrading status`" if case.not_ready else ""


def _wrong_mode(case: Case) -> str:
    return f"{case.wrong_mode}; check the server, then `mytrading resume`" if case.wrong_mode else ""


def _level(case: Case, level: TradingLevel, effect: str) -> str:
    if case.level is not level:
        return ""
    return f"trading is at {level.value} ({case.level_reason}), {effect}; `mytrading resume` ends it"


def _halted(case: Case) -> str:
    return _level(case, TradingLevel.HALT, "which opens nothing")


def _reducing(case: Case) -> str:
    return _level(case, TradingLevel.REDUCE, "which only closes")


def _strategy_disabled(case: Case) -> str:
    return "" if case.enabled else f"entries of {case.signal.strategy} are switched off; switch it on again"


def _disk_low(case: Case) -> str:
    return "the disk is nearly full, so entries halt; free some space" if case.disk_low else ""


def _unknown_instrument(case: Case) -> str:
    if case.instrument is not None:
        return ""
    return f"{case.leg.instrument} is not a listed instrument; expected EXCHANGE:SYMBOL from today's contracts"


def _index(case: Case) -> str:
    if case.instrument is None or case.instrument.kind is not InstrumentKind.INDEX:
        return ""
    return f"{case.instrument.id} is an index and cannot be bought; trade its future or an option (`trade`)"


def _exchange(case: Case) -> str:
    allowed = case.limits.enabled_exchanges
    if not allowed or case.instrument is None or case.instrument.exchange in allowed:
        return ""
    return (
        f"exchange {case.instrument.exchange} is not one of ENABLED_EXCHANGES {','.join(allowed)}; add it to trade it"
    )


def _kind(case: Case) -> str:
    allowed = case.limits.enabled_kinds
    if not allowed or case.instrument is None or case.instrument.kind.value in allowed:
        return ""
    kind = case.instrument.kind.value
    return f"type {kind} is not one of ENABLED_INSTRUMENT_TYPES {','.join(allowed)}; add it to trade it"


def _futures(case: Case) -> str:
    if case.instrument is None or case.instrument.kind is not InstrumentKind.FUT:
        return ""
    return f"{case.instrument.id} is a future, which is not valued by margin yet; trade shares or bought options"


def _sold_option(case: Case) -> str:
    if case.instrument is None or not case.instrument.kind.is_option or case.units >= 0 or case.reduces:
        return ""
    return f"selling {case.instrument.id} short is not valued by margin yet; buy an option instead"


def _product(case: Case) -> str:
    if case.instrument is None:
        return ""
    product, derivative = case.signal.product, case.instrument.kind.is_derivative
    if derivative and product is Product.CNC:
        return f"product CNC is for shares, {case.instrument.id} is a derivative; use MIS or NRML"
    if not derivative and product is Product.NRML:
        return f"product NRML is for derivatives, {case.instrument.id} is not one; use MIS or CNC"
    if product is Product.CNC and case.units < 0:
        return f"shares cannot be sold short with product CNC ({case.instrument.id}); use MIS"
    return ""


def _order_type(case: Case) -> str:
    if case.leg.order_type is OrderType.MARKET:
        return ""
    return f"entries are MARKET orders, the wish asks for {case.leg.order_type.value}; leave order_type out"


def _whole_lots(case: Case) -> str:
    if case.instrument is None or case.units % case.instrument.lot_size == 0:
        return ""
    lot, size = case.instrument.lot_size, abs(case.units)
    below = size // lot * lot
    use = f"{below} or {below + lot}" if below else str(lot)
    return (
        f"quantity must be whole lots: {size} is not a multiple of lot size {lot} ({case.instrument.symbol}); use {use}"
    )


def _partial_reduction(case: Case) -> str:
    if not case.reduces:
        return ""
    return (
        f"{case.leg.instrument} would shrink by {abs(case.units)} units but stay open; wish flat, then the smaller size"
    )


def _freeze(case: Case) -> str:
    if case.instrument is None or not case.instrument.freeze_qty or abs(case.units) <= case.instrument.freeze_qty:
        return ""
    return (
        f"{abs(case.units)} units exceed the freeze quantity {case.instrument.freeze_qty} of {case.instrument.id}, "
        "and orders are not sliced; use fewer lots"
    )


def _no_quote(case: Case) -> str:
    if case.quote is None:
        return f"there is no quote of {case.leg.instrument}; see the feed in `mytrading status`"
    return "" if case.price > 0 else f"the quote of {case.leg.instrument} holds no positive price; wait for the next"


def _stale_quote(case: Case) -> str:
    limit = case.limits.stale_quote_seconds
    if case.quote is None or not stale(case.quote, case.now, case.machine_ns, limit):
        return ""
    age = (case.now - case.quote.market_ns) / SECOND
    return f"the last quote of {case.leg.instrument} is {age:.1f} s old, at most {limit:g} s; see the feed"


def _market_closed(case: Case) -> str:
    if case.instrument is None:
        return ""
    exchange, session = case.instrument.exchange, case.session
    if session is None:
        return f"{exchange} does not trade today ({case.holiday or 'weekend'}); wish again on a trading day"
    if session.open_ns <= case.now < session.close_ns:
        return ""
    hours = f"{clock_time(session.open_ns)} to {clock_time(session.close_ns)}"
    return f"{exchange} is closed at {clock_time(case.now)}, it trades {hours}; wish again then"


def _first_minutes(case: Case) -> str:
    minutes = case.limits.avoid_first_minutes
    if case.session is None or not 0 <= case.now - case.session.open_ns < minutes * MINUTE:
        return ""
    until = clock_time(case.session.open_ns + minutes * MINUTE)
    return f"AVOID_FIRST_MINUTES is {minutes}: no entries before {until}, it is {clock_time(case.now)}"


def _last_minutes(case: Case) -> str:
    minutes = case.limits.avoid_last_minutes
    if case.session is None or not 0 < case.session.close_ns - case.now <= minutes * MINUTE:
        return ""
    since = clock_time(case.session.close_ns - minutes * MINUTE)
    return f"AVOID_LAST_MINUTES is {minutes}: no entries from {since}, it is {clock_time(case.now)}"


def _square_off(case: Case) -> str:
    if case.signal.product is not Product.MIS or not case.square_off_ns or case.now < case.square_off_ns:
        return ""
    since = clock_time(case.square_off_ns)
    return f"MIS positions are closed from {since}, it is {clock_time(case.now)}; wish again in the next session"


def _max_order(case: Case) -> str:
    limit = case.limits.max_order_size
    if case.value <= limit:
        return ""
    return (
        f"order of {rupees(case.value)} exceeds MAX_ORDER_SIZE {rupees(limit)} "
        f"({abs(case.units)} × {case.price:,.2f} {case.leg.instrument}); lower the lots or raise the limit"
    )


def _min_order(case: Case) -> str:
    limit = case.limits.min_order_size
    if case.value >= limit or case.price <= 0:
        return ""
    return (
        f"order of {rupees(case.value)} is below MIN_ORDER_SIZE {rupees(limit)} "
        f"({abs(case.units)} × {case.price:,.2f} {case.leg.instrument}); raise the lots or lower the limit"
    )


def _max_position(case: Case) -> str:
    own = case.strategy.max_position_size if case.strategy else 0.0
    limit = min(own, case.limits.max_position_size) if own > 0 else case.limits.max_position_size
    units = case.units_there + abs(case.units)
    value = order_value(units, case.price)
    if value <= limit:
        return ""
    return (
        f"position of {rupees(value)} would exceed MAX_POSITION_SIZE {rupees(limit)} ({case.units_there} there + "
        f"{abs(case.units)} new, × {case.price:,.2f} {case.leg.instrument}); lower the lots or raise the limit"
    )


def _symbol_positions(case: Case) -> str:
    limit = case.limits.max_positions_per_symbol
    if not case.adds_position or case.positions_symbol < limit or case.instrument is None:
        return ""
    name = case.instrument.underlying or case.instrument.symbol
    return f"{case.positions_symbol} positions of {name} reach MAX_POSITIONS_PER_SYMBOL {limit}; close one first"


def _total_positions(case: Case) -> str:
    limit = case.limits.max_total_positions
    if not case.adds_position or case.positions_total < limit:
        return ""
    return f"{case.positions_total} positions reach MAX_TOTAL_POSITIONS {limit}; close one first"


def _instrument_halted(case: Case) -> str:
    if not case.halted:
        return ""
    return f"entries in {case.leg.instrument} are halted ({case.halted}); see `mytrading alerts`"


def _doubtful(case: Case) -> str:
    if case.confidence is Confidence.CONFIRMED:
        return ""
    return (
        f"our position of {case.leg.instrument} is {case.confidence.value} against the broker's books; wait for a read"
    )


def _opposed(case: Case) -> str:
    if not case.opposed:
        return ""
    return f"{case.opposed} holds the other side of {case.leg.instrument}; two owners never hold opposite sides"


def _duplicate(case: Case) -> str:
    if not case.other_watch:
        return ""
    return f"{case.signal.strategy} holds or orders {case.leg.instrument} already, for {case.other_watch}"


def _spent(case: Case) -> str:
    if not case.spent:
        return ""
    return f"this wish was fulfilled and closed today ({case.leg.instrument}); wish flat or another size first"


def _confidence(case: Case) -> str:
    least = case.strategy.min_confidence if case.strategy else 0.0
    if case.signal.confidence >= least:
        return ""
    return f"confidence {case.signal.confidence:.2f} is below MIN_CONFIDENCE {least:.2f} of {case.signal.strategy}"


def _cooldown(case: Case) -> str:
    cooldown = case.strategy.cooldown if case.strategy else 0.0
    since = (case.now - case.last_entry_ns) / SECOND
    if not case.last_entry_ns or since >= cooldown:
        return ""
    return f"{since:.0f} s since the last entry, the cooldown is {cooldown:g} s; wait {cooldown - since:.0f} s"


def _rate(case: Case) -> str:
    if case.entries_last_minute < case.entries_per_minute:
        return ""
    return f"{case.entries_last_minute} entries within a minute reach the limit of {case.entries_per_minute}; wait"


def _daily_loss(case: Case) -> str:
    limit = case.limits.max_daily_loss
    if not case.loss_reached and case.day_profit > -limit:
        return ""
    return f"the day stands at {rupees(case.day_profit)}, MAX_DAILY_LOSS is {rupees(limit)}: no more entries today"


RULES: tuple[Rule, ...] = (
    Rule("EXPIRED", "The wish arrived, or became possible, after both of its times.", "SIGNAL_VALIDITY", _expired),
    Rule("NOT_READY", "Feed, router or reconciler is silent for 3 s or not ready, or the books disagree.", "",
         _not_ready),
    Rule("WRONG_MODE", "The server answered in another mode than the account is configured for.", "", _wrong_mode),
    Rule("HALTED", "Trading is halted: by a person, or by the file `KILL` in the state directory.", "", _halted),
    Rule("REDUCING", "Trading is reduced to closing.", "", _reducing),
    Rule("STRATEGY_DISABLED", "Entries of the strategy are switched off.", "", _strategy_disabled),
    Rule("DISK_LOW", "Less than 2 GiB of disk are free.", "MYTRADING_MIN_FREE_BYTES", _disk_low),
    Rule("INSTRUMENT_HALTED", "The router stopped entries in the instrument.", "", _instrument_halted),
    Rule("POSITION_IN_DOUBT", "The broker's books are not read or do not agree with ours there.", "", _doubtful),
    Rule("UNKNOWN_INSTRUMENT", "The instrument is not listed.", "", _unknown_instrument),
    Rule("INDEX_NOT_TRADABLE", "An index was to be bought or sold.", "", _index),
    Rule("EXCHANGE_DISABLED", "The exchange is not among the enabled ones.", "ENABLED_EXCHANGES", _exchange),
    Rule("TYPE_DISABLED", "The type of instrument is not enabled.", "ENABLED_INSTRUMENT_TYPES", _kind),
    Rule("FUTURES_NOT_VALUED", "A future: its margin is not valued.", "", _futures),
    Rule("SOLD_OPTION_NOT_VALUED", "An option sold short: its margin is not valued.", "", _sold_option),
    Rule("PRODUCT_NOT_ALLOWED", "CNC for derivatives or short shares, NRML for shares.", "", _product),
    Rule("ORDER_TYPE", "An entry that is not a MARKET order.", "", _order_type),
    Rule("WHOLE_LOTS", "The quantity is not a multiple of the lot size.", "", _whole_lots),
    Rule("PARTIAL_REDUCTION", "A smaller position of the same side was wished; only whole closes are made.", "",
         _partial_reduction),
    Rule("FREEZE", "The quantity is above the exchange's freeze quantity.", "", _freeze),
    Rule("NO_QUOTE", "No quote, or none with a price, came before the wish expired.", "", _no_quote),
    Rule("STALE_QUOTE", "The last quote is too old.", "STALE_QUOTE_SECONDS", _stale_quote),
    Rule("MARKET_CLOSED", "Outside trading hours, on a weekend or on a holiday.", "config/calendar.toml",
         _market_closed),
    Rule("FIRST_MINUTES", "Too soon after the open.", "AVOID_FIRST_MINUTES", _first_minutes),
    Rule("LAST_MINUTES", "Too close to the close.", "AVOID_LAST_MINUTES", _last_minutes),
    Rule("SQUARE_OFF", "An MIS entry after the square-off has begun.", "", _square_off),
    Rule("MAX_ORDER_SIZE", "The order's value is above the limit.", "MAX_ORDER_SIZE", _max_order),
    Rule("MIN_ORDER_SIZE", "The order's value is below the limit.", "MIN_ORDER_SIZE", _min_order),
    Rule("MAX_POSITION_SIZE", "Held, coming and new units together are worth more than the limit.",
         "MAX_POSITION_SIZE, STRATEGY_<NAME>_MAX_POSITION_SIZE", _max_position),
    Rule("MAX_POSITIONS_PER_SYMBOL", "Too many positions of one underlying.", "MAX_POSITIONS_PER_SYMBOL",
         _symbol_positions),
    Rule("MAX_TOTAL_POSITIONS", "Too many positions.", "MAX_TOTAL_POSITIONS", _total_positions),
    Rule("OPPOSED", "Another strategy holds the other side of the instrument.", "", _opposed),
    Rule("DUPLICATE", "The strategy holds or orders the instrument for another watched one.", "", _duplicate),
    Rule("WISH_SPENT", "The wish was fulfilled today and its position closed since.", "", _spent),
    Rule("MIN_CONFIDENCE", "The signal's confidence is too low.", "STRATEGY_<NAME>_MIN_CONFIDENCE", _confidence),
    Rule("COOLDOWN", "Too soon after the strategy's last entry for the same watched instrument.", "", _cooldown),
    Rule("ENTRIES_PER_MINUTE", "Too many entries of the strategy within a minute of market time.", "", _rate),
    Rule("DAILY_LOSS", "The day's loss, realised and unrealised, reached the limit.", "MAX_DAILY_LOSS", _daily_loss),
)  # fmt: skip

LEG_DENIED = Rule("LEG_DENIED", "Another leg of the same wish is denied, so none is entered.", "", lambda _case: "")


def denials_page() -> str:
    """The text of `docs/denials.md`, made from the table."""
    rows = [
        f"| `{rule.code}` | {rule.when} | {_setting_cell(rule.settings)} |" for rule in (*RULES, LEG_DENIED)
    ]  # fmt: skip
    return "\n".join([*_PAGE_HEAD, *rows, ""])


def _setting_cell(settings: str) -> str:
    return ", ".join(f"`{name.strip()}`" for name in settings.split(",")) if settings else ""


_PAGE_HEAD = (
    "# Denials",
    "",
    "Made from the table in `mytrading/core/risk_rules.py`; a test holds the two together.",
    "",
    "Risk judges every entry by all of these rules, in this order. A denied wish carries the code of the first rule",
    "that spoke and the reasons of all of them, with their numbers. Exits are never judged.",
    "",
    "| Code | Denied when | Settings |",
    "|---|---|---|",
)
