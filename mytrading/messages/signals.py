"""Stream `signals`: target positions of strategies and outside callers, read by risk alone."""

from __future__ import annotations

import msgspec

from mytrading.messages.enums import Action, OrderType, Product
from mytrading.messages.leg_plan import LegStop

NO_DISTANCE = LegStop()
"""Of a leg whose level is written as a price, or that has none."""


class Leg(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One instrument of a signal: hold `lots` of it (signed; 0 is flat) when the signal is a target.

    A LIMIT entry rests at `limit_price`, an SL entry becomes one when the price comes to `trigger_price` (rupees, on
    the tick). Either ends after `valid_seconds` of market time (0: with the day); a signal for other terms replaces it.
    `target_price` is where risk closes the leg with its profit, 0 for nowhere. The limit of its stop lies `stop_buffer`
    rupees beyond the stop's level, 0 for as far as the risk limits say. With a `profile` (or grade) of the risk file
    risk finds the lots, in each account by itself, and `lots` says bought (1) or sold (-1). `product` is that of this
    leg alone, None for that of the signal. `number` is its place in the file of legs that wants it, from 1, 0 without.

    `stop`, `target` and `limit` are distances, in per cent or points, of levels that are not written as prices: risk
    counts them from its own fresh quote when it judges the entry, stop and target of a LIMIT entry from its limit.
    """

    instrument: str
    lots: int
    order_type: OrderType = OrderType.MARKET
    limit_price: float = 0.0
    trigger_price: float = 0.0
    stop_price: float = 0.0
    valid_seconds: float = 0.0
    target_price: float = 0.0
    stop_buffer: float = 0.0
    profile: str = ""
    product: Product | None = None
    number: int = 0
    stop: LegStop = NO_DISTANCE
    target: LegStop = NO_DISTANCE
    limit: LegStop = NO_DISTANCE


class LegChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change of a position of legs: an instrument to close, one to open, or both, where one replaces the other.

    With `same_size` the opened leg gets, in each account, the lots that are held there of the one it replaces.
    """

    closes: str = ""
    opens: str = ""
    same_size: bool = False


class Signal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="signal"):
    """A strategy's target position for one watched instrument (`watch`).

    `legs` is the whole target: a contract held for `watch` that is not among them is closed, so an EXIT has no legs.
    `id` is derived from content and market time: the same signal made twice has the same id. `trace_ns` is the machine
    time at which the quote behind it was received.

    `otherwise` are alternative legs, tried in turn if the broker rejects the entry of a single leg; `instead_of` are
    the legs that such an alternative replaces. `rearmed`: a completed bar without the signal has passed since the
    position of the same signal was closed. An EXIT that `keeps` cancels unfilled entries and keeps the position.
    `leg_rules` is a digest of the rules that chose the legs, empty if the strategy named contracts: signals of one
    strategy with different digests ask for different legs.

    With `changes` the signal adjusts the position held: `legs` is the target afterwards, but only opened legs are
    ordered and only closed legs closed. Other legs stay as they are, whatever quantity of them is held.
    `lookback_minutes` are the session minutes before `created_ns` that the strategy's indicators read, 0 if none do.
    """

    id: str
    strategy: str
    watch: str
    action: Action
    created_ns: int
    expires_ns: int
    expires_machine_ns: int
    account: str = ""
    product: Product = Product.MIS
    legs: tuple[Leg, ...] = ()
    confidence: float = 1.0
    reason: str = ""
    price: float = 0.0
    bar_ns: int = 0
    trace_ns: int = 0
    otherwise: tuple[Leg, ...] = ()
    instead_of: tuple[Leg, ...] = ()
    rearmed: bool = False
    keeps: bool = False
    leg_rules: str = ""
    changes: tuple[LegChange, ...] = ()
    lookback_minutes: int = 0

    @property
    def opened_instruments(self) -> frozenset[str]:
        """The instruments of the legs that an adjustment opens; empty for any other signal."""
        return frozenset(change.opens for change in self.changes if change.opens)

    @property
    def closed_instruments(self) -> frozenset[str]:
        """The instruments of the legs that an adjustment closes; empty for any other signal."""
        return frozenset(change.closes for change in self.changes if change.closes)

    @property
    def entry_legs(self) -> tuple[Leg, ...]:
        """The legs that may be ordered: all, or those that an adjustment opens."""
        if not self.changes:
            return self.legs
        opened = self.opened_instruments
        return tuple(leg for leg in self.legs if leg.instrument in opened)

    def product_of(self, leg: Leg) -> Product:
        """Return the product of a leg's entry: the leg's own, else that of the signal."""
        return leg.product or self.product


class StrategyFaulted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="strategy_faulted"):
    """A strategy failed and gets no more data; its positions stay managed. `gone`: an operator removed its file."""

    strategy: str
    error: str
    where: str
    at_ns: int
    gone: bool = False


class StrategyStarted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="strategy_started"):
    """A strategy was loaded, with the parameters it runs with."""

    strategy: str
    parameters: dict[str, int | float | str | bool]
    watches: tuple[str, ...]
    warm_bars: int
    at_ns: int


class SignalVetoed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="signal_vetoed"):
    """A signal that did not leave the engine: by a rule of the user (`faulted` if that failed), or for the reason
    `code`; with neither it was late."""

    signal: str
    strategy: str
    watch: str
    rule: str
    message: str
    at_ns: int
    action: Action = Action.BUY
    faulted: bool = False
    bar_ns: int = 0
    code: str = ""


SignalMessage = Signal | StrategyFaulted | StrategyStarted | SignalVetoed
