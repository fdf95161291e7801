"""All that the pre-trade rules may look at for one leg of an intent, and what a rule and a denial are."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from mytrading.core.calendar import Session
from mytrading.messages.enums import Confidence, Product, Side, TradingLevel
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.market import Quote
from mytrading.messages.run_config import RiskLimits, StopPlan, StrategyRun
from mytrading.messages.signals import Leg, Signal

_FUT = InstrumentKind.FUT


class Denial(NamedTuple):
    """Reason that an entry is not admitted: a code of the table, and a sentence with the numbers. A rule that compares
    two figures gives them too: what there is or would be, and the limit."""

    code: str
    message: str
    value: float | None = None
    limit: float | None = None


class PreTradeContext(msgspec.Struct, frozen=True, kw_only=True):
    """All that the rules may look at for one leg of an intent. Rupees, market nanoseconds, signed units.

    Texts are reasons or names, empty when all is well. Counts of positions, orders and cancels are of the account.
    """

    signal: Signal
    leg: Leg
    now: int
    machine_ns: int
    limits: RiskLimits
    instrument: Instrument | None = None
    strategy: StrategyRun | None = None
    quote: Quote | None = None
    no_price: bool = False
    """True while the instrument's newest last price is none, so that there is no `quote` to trade on."""
    # the order
    units: int = 0
    price: float = 0.0
    """Price that values the order; 0 if there is none."""
    reduces: bool = False
    refused: str = ""
    """Reason that no entry of the instrument is allowed today."""
    # readiness
    not_ready: str = ""
    missing_bars: str = ""
    disbelieved: str = ""
    """Reason that the feed believes no price of the watched or ordered instrument."""
    history_hole: str = ""
    """The hole in past bars that the strategy's look-back reads over."""
    session_lost: str = ""
    wrong_mode: str = ""
    refused_broker: str = ""
    """Reason that the account's broker gets no entries at all."""
    absent_account: str = ""
    """What an account holds that is not in this run."""
    stopping: bool = False
    """`mytrading down` has begun."""
    level: TradingLevel = TradingLevel.NORMAL
    level_reason: str = ""
    enabled: bool = True
    disk_low: bool = False
    halted: str = ""
    confidence: Confidence = Confidence.CONFIRMED
    coverage: float = 1.0
    """The share of instruments that have data."""
    unseen_stop: str = ""
    """Reason why risk may miss prices that reach a stop which it holds for the strategy."""
    # the session
    session: Session | None = None
    """None on a day without one, which may be a `holiday`."""
    holiday: str = ""
    provisional_day: str = ""
    """Why nobody knows if the exchange trades today."""
    square_off_ns: int = 0
    """Market ns at which closing of MIS and intraday begins."""
    speed: float = 1.0
    """Of the market clock."""
    leaving: str = ""
    """The rule that closes the strategy's run."""
    # what is there already
    units_there: int = 0
    """Units held and coming in this instrument and account, whoever owns them."""
    adds_position: bool = True
    positions_symbol: int = 0
    """Open and coming positions of the underlying, without this one."""
    positions_total: int = 0
    other_watch: str = ""
    opposed: str = ""
    lost: str = ""
    # the intent so far
    spent: bool = False
    begun: bool = False
    """True if another leg of the basket was ordered in the account, or its sold leg stopped there (`stopped_out`)."""
    stopped_out: bool = False
    entered: bool = False
    """Anything of the intent was ordered in any account."""
    entries_per_minute: int = 10
    entries_last_minute: int = 0
    last_entry_ns: int = 0
    session_entries: int = 0
    # margin
    margin: float = 0.0
    """Margin of this order alone."""
    reserves: float = 0.0
    """Its share of what all legs need together."""
    margin_needed: float = 0.0
    """Margin with the other legs ordered now and the buffer."""
    margin_free: float | None = None
    """None if it is not known because of `funds_unread`, which denies all that `needs_funds`."""
    needs_funds: bool = False
    funds_unread: str = "the broker has not reported its funds"
    # the day
    active_orders: int = 0
    cancels_today: int = 0
    losses: int = 0
    """Losing trades of the strategy in a row in the account, the last at `loss_ns`."""
    loss_ns: int = 0
    reached: dict[str, str] = {}
    """The limits of the day that were reached: their texts by code."""
    # cover and stop of a leg
    hedging: int = 0
    """Of a bought leg: units that then hedge sold legs of its owner; `beyond` are the others."""
    beyond: int = 0
    covers: bool = False
    """Any of a bought leg covers a sold one."""
    guard: StopPlan | None = None
    """Holder of the stop of the position that the units add to, at `guard_level`; None where they begin one."""
    guard_level: float = 0.0
    broker_keeps_stops: bool = True
    """False: no stop of the account may rest at its broker, risk holds them all."""

    @property
    def product(self) -> Product:
        """Product of the entry order."""
        return self.signal.product_of(self.leg)

    @property
    def side(self) -> Side:
        """Side of the entry order."""
        return Side.BUY if self.units > 0 else Side.SELL

    @property
    def is_basket_underway(self) -> bool:
        """True if other legs of this basket were ordered already, unless a stopped-out sold leg is re-entered."""
        return self.begun and not self.stopped_out

    @property
    def is_counted(self) -> bool:
        """True if the entry counters already include this intent, so that its further legs are not counted again."""
        return self.entered or self.begun

    @property
    def is_hedge(self) -> bool:
        """True if all units of a bought option hedge options its strategy sold: it needs no stop of its own."""
        return self.hedging > 0 >= self.beyond

    def value_of(self, units: int) -> float:
        """Return rupees of `units`: their margin for futures and sold options, their price for all else."""
        mine = self.units
        if mine and self.instrument is not None:
            kind = self.instrument.kind
            if kind is _FUT or (mine < 0 and kind.is_option):
                return self.margin * abs(units) / abs(mine)
        return abs(units) * self.price


class Rule(NamedTuple):
    """One row of the table. `check` gives the reason of a denial, or an empty string.

    It is not evaluated while `field` of the context has its default: it could only be empty then.
    """

    code: str
    when: str
    settings: str
    check: Callable[[PreTradeContext], str]
    field: str = ""


def is_expired(signal: Signal, now: int, machine_ns: int) -> bool:
    """True once a signal's expiry has passed by market time (`now`) and by machine time (both ns)."""
    return now > signal.expires_ns and machine_ns > signal.expires_machine_ns
