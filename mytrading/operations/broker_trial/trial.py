"""The steps of a trial: a buy limit far below the market and a buy stop far above it, each placed, read, changed and
cancelled. What was seen is kept as rows without ids; nothing is judged here.

Whatever happens, `Ending.end_all` follows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from mytrading.core.time import SECOND
from mytrading.messages.enums import BrokerStatus, Call, OrderType, Outcome, Side
from mytrading.operations.broker_trial.ending import Ending
from mytrading.operations.broker_trial.sent_orders import PriceChanged, TrialBegan, TrialOrder
from mytrading.operations.broker_trial.server import SeenOrder, filled_units

LIMIT_ORDER, STOP_ORDER = "limit", "stop"
_FAR = 0.035
"""Distance of the orders from the last price, as a share of it."""
_BAND = 0.045
"""Largest distance of a price from the last close: within the narrowest usual circuit of a share, 5 %."""
_LEAST = 0.015
"""Below this distance an order might trade by itself."""
_STEP = 0.003
DEAREST = 3_000.0
"""Rupees: more than a share of a trial may cost."""


class OrderPrices(NamedTuple):
    """A price (or trigger) and its limit, in rupees; the limit of a LIMIT order is its price, its trigger 0."""

    price: float
    trigger: float


class PlannedOrder(NamedTuple):
    """One order of a trial, with the prices that it is changed to."""

    name: str
    order_type: OrderType
    first: OrderPrices
    then: OrderPrices

    @property
    def text(self) -> str:
        """The order in words."""
        trigger = f"trigger {self.first.trigger:g}, " if self.first.trigger else ""
        return f"{self.order_type.value} buy of 1, {trigger}limit {self.first.price:g}"


class Observed(msgspec.Struct, kw_only=True):
    """What was seen of one order. Rows are the server's, without ids; `words` the status words in their order.

    `answers` are the outcomes of place, modify and cancel with the seconds each took. `id_found`: the row bears the id
    of the answer; `changed`: a book showed the new prices, None if that was not tried; `filled`: units bought.
    """

    name: str
    order_type: OrderType
    first: OrderPrices
    then: OrderPrices
    answers: dict[str, str] = {}
    seconds: dict[str, float] = {}
    messages: dict[str, str] = {}
    rows: dict[str, dict[str, Any]] = {}
    words: list[str] = []
    meanings: list[str] = []
    id_found: bool | None = None
    id_form: str = ""
    changed: bool | None = None
    ended_as: str = ""
    filled: int = 0


def plan_orders(ltp: float, previous_close: float, tick: float, *, stops: bool) -> list[PlannedOrder] | str:
    """Return the orders of a trial at these rupees, or why there is no room for them within the band."""
    close = previous_close if previous_close > 0 else ltp
    step = max(2 * tick, ltp * _STEP)
    low = _on_tick(max(ltp * (1 - _FAR), close * (1 - _BAND)), tick, up=True)
    high = _on_tick(min(ltp * (1 + _FAR), close * (1 + _BAND) - 2 * step), tick, up=False)
    if not ltp * (1 - _LEAST) > low > tick or (stops and not high > ltp * (1 + _LEAST)):
        return f"{ltp:g} is too near its price band (last close {close:g}) or too cheap; try another --symbol"
    nearer = _on_tick(low + step, tick, up=False)
    orders = [PlannedOrder(LIMIT_ORDER, OrderType.LIMIT, OrderPrices(low, 0.0), OrderPrices(nearer, 0.0))]
    if stops:
        first = OrderPrices(_on_tick(high + step, tick, up=True), high)
        lower = _on_tick(high - step, tick, up=True)
        orders.append(
            PlannedOrder(STOP_ORDER, OrderType.SL, first, OrderPrices(_on_tick(lower + step, tick, up=True), lower))
        )
    return orders


def _on_tick(price: float, tick: float, *, up: bool) -> float:
    ticks = price / tick
    return round((math.ceil(ticks - 1e-6) if up else math.floor(ticks + 1e-6)) * tick, 4)


class BrokerTrial:
    """One run at one server; `observed` grows as it goes on, so that a report can be made of a broken one too."""

    def __init__(self, ending: Ending, say: Callable[[str], None]) -> None:
        self._ending, self._server, self._say = ending, ending.server, say
        self.observed: list[Observed] = []
        self.units_before: int | None = None
        self.trades: list[dict[str, Any]] | None = None

    def begin(self, instrument: str, broker: str, wall_ns: int) -> str:
        """Note on disk what is there before; return why nothing can be tried, or ""."""
        rows, units = self._server.orders(), self._server.units(instrument)
        if rows is None or units is None:
            return f"the {'order' if rows is None else 'position'} book cannot be read; log the server in to the broker"
        self.units_before = units
        known = tuple(row.order.broker_order_id for row in rows)
        self._ending.sent.write(
            TrialBegan(wall_ns=wall_ns, broker=broker, instrument=instrument, units=units, known=known)
        )
        return ""

    def run(self, planned: list[PlannedOrder]) -> list[str]:
        """Try the orders, one after the other; each has ended before the next. Return what a person must look at."""
        for plan in planned:
            self._try(plan)
            live = [text for order in self._ending.sent.live() if (text := self._ending.end(order))]
            self._note_fills()
            if live or any(one.filled for one in self.observed):
                return live
        return []

    def _note_fills(self) -> None:
        for one in self.observed:
            order = self._ending.sent.orders[one.name]
            one.filled = order.filled
        if any(one.filled for one in self.observed):
            self.trades = self._server.trades({one.broker_order_id for one in self._ending.sent.orders.values()})

    def _try(self, plan: PlannedOrder) -> None:
        seen_of = Observed(name=plan.name, order_type=plan.order_type, first=plan.first, then=plan.then)
        self.observed.append(seen_of)
        self._say(f"{plan.text}: placed")
        order = self._ending.place(plan.name, Side.BUY, plan.order_type, 1, *plan.first)
        self._answered(seen_of, Call.PLACE, self._ending.outcomes[plan.name])
        if order.ended:
            return
        answered = order.broker_order_id
        seen = self._ending.look_for(order, self._ending.patience.shown_s, _is_settled)
        self._saw(seen_of, "placed", seen)
        if seen is None:
            return
        seen_of.id_found = seen.order.broker_order_id == answered if answered else None
        seen_of.id_form = _form(seen.order.broker_order_id)
        if self._server.may_live(seen) and not filled_units(seen):
            self._change(plan, seen_of, order)
            self._cancel(seen_of, order)

    def _change(self, plan: PlannedOrder, seen_of: Observed, order: TrialOrder) -> None:
        price, trigger = plan.then
        self._say(f"{plan.order_type.value} buy: changed to {price:g}")
        self._ending.sent.write(PriceChanged(name=plan.name, price=price, trigger=trigger))
        outcome = self._server.send(Call.MODIFY, order, self._ending.instrument, price, trigger)
        self._answered(seen_of, Call.MODIFY, outcome)
        seen = self._ending.look_for(order, self._ending.patience.shown_s, lambda row: _bears(row, plan.then))
        self._saw(seen_of, "changed", seen)
        seen_of.changed = seen is not None and _bears(seen, plan.then)

    def _cancel(self, seen_of: Observed, order: TrialOrder) -> None:
        self._say(f"{order.call.order_type.value} buy: cancelled")
        outcome = self._server.send(Call.CANCEL, order, self._ending.instrument, *order.prices[-1])
        self._answered(seen_of, Call.CANCEL, outcome)
        seen = self._ending.look_for(order, self._ending.patience.shown_s, lambda row: row.order.status.is_final)
        self._saw(seen_of, "cancelled", seen)
        seen_of.ended_as = seen.order.status.value if seen is not None and seen.order.status.is_final else ""

    def _answered(self, seen_of: Observed, call: Call, outcome: Any) -> None:
        seen_of.answers = {**seen_of.answers, call.value: outcome.outcome.value}
        took = (outcome.ended_machine_ns - outcome.began_machine_ns) / SECOND
        seen_of.seconds = {**seen_of.seconds, call.value: round(took, 3)}
        if outcome.message:
            seen_of.messages = {**seen_of.messages, call.value: outcome.message}
        if outcome.outcome is not Outcome.ACCEPTED:
            self._say(f"  {call.value.lower()}: {outcome.outcome.value} {outcome.message}".rstrip())

    def _saw(self, seen_of: Observed, when: str, seen: SeenOrder | None) -> None:
        if seen is None:
            self._say(f"  it is in no order book within {self._ending.patience.shown_s:g} s")
            return
        self._say(f"  the book shows it as {seen.order.status_text or 'a blank'}")
        seen_of.rows = {**seen_of.rows, when: seen.row}
        seen_of.words = [*seen_of.words, seen.order.status_text]
        seen_of.meanings = [*seen_of.meanings, seen.order.status.value]


def _is_settled(row: SeenOrder) -> bool:
    """True unless the order is on its way still, by a word that says neither."""
    return row.order.status is not BrokerStatus.OTHER


def _bears(row: SeenOrder, prices: OrderPrices) -> bool:
    found = row.order
    return abs(found.price - prices.price) < 0.006 and abs(found.trigger_price - prices.trigger) < 0.006


def _form(name: str) -> str:
    """The form of an order id, without the id."""
    kind = "digits" if name.isdigit() else "letters and digits" if name.isalnum() else "with other signs"
    return f"{len(name)} {kind}"
