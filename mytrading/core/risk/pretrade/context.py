"""One leg of an intent before the rules: all that they may look at, what a rule and a denial are, and words for money.

A case is a value; nothing here looks anything up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from mytrading.core.calendar import Session
from mytrading.messages.enums import Confidence, Product, TradingLevel
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.market import Quote
from mytrading.messages.run_config import RiskLimits, StopPlan, StrategyRun
from mytrading.messages.signals import Leg, Signal

_FUT = InstrumentKind.FUT


class Denial(NamedTuple):
    """Why an entry is not admitted: a code of the table, and a sentence with the numbers."""

    code: str
    message: str


class PreTradeContext(msgspec.Struct, frozen=True, kw_only=True):
    """All that the rules may look at for one leg of an intent.

    `units` (signed) is what the order would trade, `price` (rupees, 0 if there is none) what it is valued at.
    `units_there` are the units held and coming in this instrument and account, whoever owns them. `positions_symbol`
    and `positions_total` count open and coming positions of the account without this one. `not_ready`, `bars_lacking`,
    `session_lost`, `refused`, `wrong_mode`, `halted`, `other_watch`, `opposed` and `lost` are reasons or names, empty
    when all is well. `session` is None on a day without one. `square_off_ns` is when closing of MIS and intraday begins
    (market time), `speed` that of the market clock, `leaving` the rule that closes the strategy's run. `begun` is true
    once another leg of the same basket was ordered in the account, or its sold leg stopped out there (`stopped_out`),
    `entered` once anything of the intent was ordered in any account. `margin` (rupees) is what this order needs by
    itself, `margin_needed` what it needs with the other legs ordered now and the buffer, `margin_free` what its account
    has, None if that is not known because of `funds_unread` (which denies all that `needs_funds`), `reserves` its share
    of what they need together; `may_ask` is true where the broker may be asked for that. `coverage` is the share of
    instruments that have data. Of a bought leg: `hedging` are the units that then hedge sold legs of its owner,
    `beyond` the others, and `covers` is true where any of it covers one. `blind` says what keeps risk from seeing
    prices that come to a stop which it holds for the strategy. Of the account: `active_orders`, `cancels_today`, and
    `losses` of the strategy there in a row, the last at `loss_ns`. `reached` holds the limits of the day that were
    reached, in words, by their codes. `guard` is who holds the stop of the position that the units add to, at
    `guard_level` (rupees); None where they begin one.
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
    bars_lacking: str = ""
    session_lost: str = ""
    refused: str = ""
    wrong_mode: str = ""
    level: TradingLevel = TradingLevel.NORMAL
    level_reason: str = ""
    enabled: bool = True
    halted: str = ""
    confidence: Confidence = Confidence.CONFIRMED
    session: Session | None = None
    holiday: str = ""
    square_off_ns: int = 0
    speed: float = 1.0
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
    lost: str = ""
    spent: bool = False
    begun: bool = False
    stopped_out: bool = False
    entered: bool = False
    margin: float = 0.0
    reserves: float = 0.0
    margin_needed: float = 0.0
    margin_free: float | None = None
    may_ask: bool = False
    needs_funds: bool = False
    funds_unread: str = "the broker has not reported its funds"
    leaving: str = ""
    coverage: float = 1.0
    session_entries: int = 0
    active_orders: int = 0
    cancels_today: int = 0
    losses: int = 0
    loss_ns: int = 0
    reached: dict[str, str] = {}
    hedging: int = 0
    beyond: int = 0
    covers: bool = False
    blind: str = ""
    guard: StopPlan | None = None
    guard_level: float = 0.0

    @property
    def value(self) -> float:
        """Rupees of the order: of premium or shares, of margin where it is valued by that."""
        return self.value_of(self.units)

    @property
    def product(self) -> Product:
        """What the order is entered as."""
        return self.signal.product_of(self.leg)

    @property
    def underway(self) -> bool:
        """True of what is left of a basket that began: without it the rest has to go again. Not of a leg sold again."""
        return self.begun and not self.stopped_out

    @property
    def is_counted(self) -> bool:
        """True of an intent that is among the entries counted: what is left of it is no further entry."""
        return self.entered or self.begun

    @property
    def is_hedge(self) -> bool:
        """True of a bought option all of which hedges sold ones of its owner: it needs no stop of its own."""
        return self.hedging > 0 >= self.beyond

    def value_of(self, units: int) -> float:
        """Rupees of so many units, valued as the order's are: by margin what is a future or a sold option."""
        mine = self.units
        if mine and self.instrument is not None:
            kind = self.instrument.kind
            if kind is _FUT or (mine < 0 and kind.is_option):
                return self.margin * abs(units) / abs(mine)
        return abs(units) * self.price


class Rule(NamedTuple):
    """One row of the table. `check` gives the reason of a denial, or an empty string.

    It is not asked while the case's `field` is as it is by default: it could only say nothing then.
    """

    code: str
    when: str
    settings: str
    check: Callable[[PreTradeContext], str]
    field: str = ""


def is_expired(signal: Signal, now: int, machine_ns: int) -> bool:
    """True once both of an intent's times have passed."""
    return now > signal.expires_ns and machine_ns > signal.expires_machine_ns
