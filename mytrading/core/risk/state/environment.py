"""Inputs of risk's rules besides its state: settings of the run, and reference data such as contracts.

The daemon sets and replaces it (`mytrading/core/risk/state/inputs.py`); nothing here follows from messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, time

from msgspec.structs import replace

from mytrading.core.accounting.margin_tables import RiskTables
from mytrading.core.calendar import Calendar
from mytrading.core.calendar.square_off import SquareOff
from mytrading.core.instruments.book import InstrumentBook, spot_of_call
from mytrading.core.instruments.master_contract import refusal_for
from mytrading.core.instruments.symbology import ParsedSymbol, kind_of, parse_symbol, split_id
from mytrading.core.orders.slicing import Sizes
from mytrading.core.time import SECOND
from mytrading.messages.brokers import PLAIN, BrokerRules
from mytrading.messages.enums import Product
from mytrading.messages.instruments import InstrumentKind, Snapshot
from mytrading.messages.run_config import RateLimits, RiskLimits, StrategyRun, TradeKind, TradeRule, Windows

UNKNOWN_WATCH = ""
"""To what a position is bound of which it is not known for which watched instrument it is held."""
COLLAR_TICKS = 10
"""Cheap contracts may lie this many ticks from the last price, whatever share that is."""


class RiskEnvironment:
    """Without a `master` (tools, tests of other rules) every listed instrument counts as in order."""

    def __init__(
        self,
        limits: RiskLimits,
        rates: RateLimits,
        strategies: Iterable[StrategyRun],
        account: str,
        calendar: Calendar,
        instruments: InstrumentBook,
        square_off: SquareOff,
    ) -> None:
        self.limits, self.rates = limits, rates
        self.strategies = {run.name: _with_one_square_off(run) for run in strategies}
        self.account = account
        self.calendar = calendar
        self.instruments = instruments
        self.master: Snapshot | None = None
        self.square_off = square_off
        self.tables = RiskTables()
        self.asks_broker = False
        self.needs_funds = False
        self.funds_stale = 0
        self.assumed_capital: Mapping[str, float] = {}
        """Rupees by account that entries are sized by while no funds are known, and no margin is asked for; for days
        of which no funds are on record."""
        self.exit_patience_ns = round(Windows().exit_patience * SECOND)
        """Machine time for which the price may be beyond a stop at the broker before its position is closed."""
        self.broker_rules: Callable[[str], BrokerRules] = lambda _broker: PLAIN
        """The row of the table of brokers, by the name that an account's server gave last ("": none yet)."""
        self.accepted_brokers: tuple[str, ...] = ()
        self.names_brokers = False
        """True if nothing is entered before an account's server has named its broker."""
        self.order_accounts: frozenset[str] = frozenset()
        """The accounts whose orders this run can send; empty: all that are asked for."""
        self.confirms_days = False
        """True if entries of a provisional day wait for an operator's word; not where its prices are on record."""
        self.lock_step = False
        self.copies_levels = False
        """The limits' levels are copied into the router's journal too."""
        self.patient_until = 0
        self._today: tuple[date, str] = (date.min, "")
        self._spots: dict[str, str] = {}
        self._spots_of = instruments

    def update_strategies(self, runs: Iterable[StrategyRun]) -> None:
        """Add strategies while the stack runs, or replace those of the same name; none is ever taken away."""
        self.strategies |= {run.name: _with_one_square_off(run) for run in runs}

    def accounts_of(self, strategy: str) -> tuple[str, ...]:
        """The accounts in which a strategy trades: those its configuration names, else the first account."""
        run = self.strategies.get(strategy)
        return run.accounts if run is not None and run.accounts else (self.account,)

    def accounts(self) -> tuple[str, ...]:
        """All accounts in which anything is traded."""
        named = (account for strategy in self.strategies for account in self.accounts_of(strategy))
        return tuple(dict.fromkeys((self.account, *named)))

    def order_sizes(self, instrument: str) -> Sizes:
        """Lot and freeze quantity, which the router slices by; zeros where the instrument is not listed."""
        found = self.instruments.get(instrument)
        return Sizes(found.lot_size, found.freeze_qty) if found is not None else Sizes(0, 0)

    def lot_of(self, name: str) -> int:
        """Units of a lot; 1 where the instrument is not listed."""
        found = self.instruments.get(name)
        return found.lot_size if found else 1

    def collar_rupees(self, name: str, price: float) -> float:
        """The price collar in rupees: how far from the last price entries may trade and bid or ask is accepted."""
        found = self.instruments.get(name)
        if found is None:
            return max(self.limits.price_collar, self.limits.price_collar_options) * price
        share = self.limits.price_collar_options if found.kind.is_option else self.limits.price_collar
        return max(share * price, COLLAR_TICKS * found.tick_size)

    def tick_of(self, name: str) -> float:
        """Rupees of the instrument's tick; 0.0 where it is not listed."""
        found = self.instruments.get(name)
        return found.tick_size if found is not None else 0.0

    def is_option(self, name: str) -> bool:
        """True for calls and puts, by the list and else by the name."""
        found = self.instruments.get(name)
        return (found.kind if found is not None else kind_of(name)).is_option

    def spot_of_call(self, name: str) -> str:
        """The id of what a call is a call on; "" of anything else, and of one that is not listed. Budget: 100 ns."""
        if self._spots_of is not self.instruments:
            self._spots_of, self._spots = self.instruments, {}
        if (known := self._spots.get(name)) is None:
            known = self._spots[name] = spot_of_call(self.instruments, self.instruments.get(name))
        return known

    def underlying(self, name: str) -> str:
        """Name of an instrument's underlying; `name` itself if it is not listed."""
        found = self.instruments.get(name)
        return found.underlying if found else name

    def order_refusal(self, instrument: str, now: int) -> str:
        """Return why no order of an instrument is possible today (by the contract list); empty if it is."""
        return refusal_for(self.master, instrument, self.today(now)) if self.master is not None else ""

    def today(self, now: int) -> str:
        """The trading day (ISO date) at market time `now`."""
        day = self.calendar.trading_day(now)
        if day != self._today[0]:
            self._today = (day, day.isoformat())
        return self._today[1]

    def is_open(self, exchange: str, now: int) -> bool:
        """True if the exchange is in continuous trading at market time `now`."""
        return exchange in self.calendar.exchanges and self.calendar.is_open(exchange, now)

    def is_provisional(self, exchange: str, now: int) -> bool:
        """True if nobody has listed the holidays of the exchange for the year of market time `now`."""
        calendar = self.calendar
        return calendar.has_exchange(exchange) and calendar.is_provisional(exchange, calendar.trading_day(now))

    def square_off_begun(self, instrument: str, now: int) -> bool:
        """True from the time on at which MIS and intraday positions of the instrument's exchange are closed."""
        begins = self.square_off.closing_begins_ns(instrument.split(":")[0], now)
        return bool(begins) and now >= begins

    def square_off_begins(self, strategy: str, instrument: str, product: Product, now: int) -> int:
        """Market time (ns) at which today's square-off of a strategy's position begins; 0 if none is due."""
        own, intraday = self._hours_of(strategy, product)
        return self.square_off.closing_begins_ns(instrument.split(":")[0], now, own, intraday=intraday)

    def square_off_deadline(self, strategy: str, instrument: str, product: Product, now: int) -> int:
        """Market time (ns) by which today's square-off must have a position flat; 0 if none is due."""
        own, intraday = self._hours_of(strategy, product)
        return self.square_off.flat_by_ns(instrument.split(":")[0], now, own, intraday=intraday)

    def _hours_of(self, strategy: str, product: Product) -> tuple[time | None, bool]:
        """The time that a strategy names, and whether what it holds of a product is closed every day."""
        run = self.strategies.get(strategy)
        own = time.fromisoformat(run.square_off) if run is not None and run.square_off else None
        return own, product is Product.MIS or (run is not None and run.intraday)


def _with_one_square_off(run: StrategyRun) -> StrategyRun:
    """`square_off` of a strategy is another name of its run's `square_off_time`: both close it, with one event."""
    if not run.square_off or run.rules.square_off_time:
        return run
    at = time.fromisoformat(run.square_off)
    return replace(run, rules=replace(run.rules, square_off_time=at.hour * 3600 + at.minute * 60 + at.second))


def watched_instrument_of(run: StrategyRun | None, instrument: str) -> str | None:
    """Return which of a strategy's watched instruments has rules that trade `instrument`; `UNKNOWN_WATCH` if not
    exactly one. None where there is no choice: an unknown strategy, or one that watches a single instrument."""
    if run is None or len(run.symbols) < 2:
        return None
    rules = [rule for rule in (run.long, run.short) if rule is not None]
    found = {symbol for symbol in run.symbols for rule in rules if _leads_to(rule, symbol, instrument)}
    if run.plan is not None:
        found |= {name for name in run.symbols if _parsed(name).underlying == _parsed(instrument).underlying}
    return found.pop() if len(found) == 1 else UNKNOWN_WATCH


def _leads_to(rule: TradeRule, symbol: str, instrument: str) -> bool:
    if rule.kind is TradeKind.SAME:
        return symbol == instrument
    kind = _parsed(instrument).kind
    fits = kind is InstrumentKind.FUT if rule.kind is TradeKind.FUTURE else kind.is_option
    return fits and _parsed(instrument).underlying == (rule.underlying or _parsed(symbol).underlying)


def _parsed(instrument: str) -> ParsedSymbol:
    exchange, symbol = split_id(instrument)
    return parse_symbol(symbol, exchange)
