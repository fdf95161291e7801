"""Takes back what a trial has sent: live orders are cancelled, units that filled are sold, each proven by a book.

Used at the end of every trial, of one that was interrupted, and by the next trial or doctor after one that was killed.
An order of unknown fate is looked for in the order book and never placed again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from mytrading.adapters.openalgo import endpoints
from mytrading.adapters.openalgo.rest.client import TransportFailed
from mytrading.adapters.openalgo.rest.errors import OpenAlgoError
from mytrading.core.instruments.symbology import split_id
from mytrading.core.time import SECOND
from mytrading.messages.enums import Call, OrderType, Outcome, Side
from mytrading.messages.orders import CallOutcome
from mytrading.operations.broker_trial.sent_orders import CallBegan, IdKnown, OrderEnded, TrialOrder, TrialOrders
from mytrading.operations.broker_trial.server import SeenOrder, TrialServer, filled_units

_NOTHING_PLACED = (Outcome.REFUSED, Outcome.NOT_SENT, Outcome.RATE_LIMITED)
_PRICE_SLACK = 0.006
"""Rupees: servers round the prices of rows to two decimals."""
SELLS = 3
"""Orders by which a unit is tried to be sold."""
_BELOW = 0.97
"""Price of the sell that follows a refused MARKET order, as a share of the last price."""


class Waits(Protocol):
    """Machine time (ns), and a pause of so many seconds."""

    def now(self) -> int: ...
    def pause(self, seconds: float) -> None: ...


class Patience(NamedTuple):
    """Seconds: until an order, its change or its end must be in a book; until a call without an answer cannot place
    anything any more (a server may hold it for 120 s); between two reads, and two cancels."""

    shown_s: float = 15.0
    ended_s: float = 30.0
    lost_s: float = 125.0
    read_s: float = 0.5
    cancel_s: float = 3.0


PATIENCE = Patience()


class Ending:
    """Calls and proofs of one trial. `say` gets a line for each thing done."""

    def __init__(
        self, server: TrialServer, sent: TrialOrders, waits: Waits, wall_now: Callable[[], int],
        say: Callable[[str], None], patience: Patience = PATIENCE,
    ) -> None:  # fmt: skip
        self.server, self.sent, self.patience = server, sent, patience
        self._waits, self._wall_now, self._say = waits, wall_now, say
        self.outcomes: dict[str, CallOutcome] = {}
        """Of the placing calls made by this process, by the order's name."""

    @property
    def instrument(self) -> str:
        """The instrument of the trial."""
        return self.sent.began.instrument if self.sent.began is not None else ""

    def place(
        self, name: str, side: Side, order_type: OrderType, quantity: int = 1, price: float = 0.0, trigger: float = 0.0
    ) -> TrialOrder:
        """Place an order, once: on disk first. What the answer leaves open is found out by `look_for`."""
        began = self.sent.began
        assert began is not None, "a trial is begun before it places anything"
        tag = f"check-{began.wall_ns:x}-{name}"
        self.sent.write(
            CallBegan(wall_ns=self._wall_now(), name=name, tag=tag, side=side, order_type=order_type,
                      quantity=quantity, price=price, trigger=trigger)
        )  # fmt: skip
        order = self.sent.orders[name]
        outcome = self.server.send(Call.PLACE, order, self.instrument, price, trigger)
        self.outcomes[name] = outcome
        if outcome.broker_order_id:
            self.sent.write(IdKnown(name=name, broker_order_id=outcome.broker_order_id))
        elif outcome.outcome in _NOTHING_PLACED:
            self.sent.write(OrderEnded(name=name))
        return order

    def look_for(self, order: TrialOrder, seconds: float, wanted: Callable[[SeenOrder], bool]) -> SeenOrder | None:
        """Read the order book until the order's row is as `wanted`; return its last row, None if it was in no book."""
        until, last = self._waits.now() + round(seconds * SECOND), None
        while True:
            last = self._find(order) or last
            if (last is not None and wanted(last)) or self._waits.now() >= until:
                return last
            self._waits.pause(self.patience.read_s)

    def _find(self, order: TrialOrder) -> SeenOrder | None:
        rows = self.server.orders()
        if rows is None:
            return None
        if order.broker_order_id:
            return next((row for row in rows if row.order.broker_order_id == order.broker_order_id), None)
        alike = [row for row in rows if self._is_alike(order, row)]
        if len(alike) != 1:
            return None
        self.sent.write(IdKnown(name=order.call.name, broker_order_id=alike[0].order.broker_order_id))
        return alike[0]

    def _is_alike(self, order: TrialOrder, row: SeenOrder) -> bool:
        """True for a row that was not there before, is no other order of ours, and has this one's terms."""
        found, call = row.order, order.call
        taken = {one.broker_order_id for one in self.sent.orders.values()}
        known = self.sent.began.known if self.sent.began is not None else ()
        if found.broker_order_id in taken or found.broker_order_id in known:
            return False
        if (found.instrument, found.side, found.quantity) != (self.instrument, call.side, call.quantity):
            return False
        if call.order_type is OrderType.MARKET:
            return True
        return any(
            abs(found.price - price) < _PRICE_SLACK
            and (not trigger or abs(found.trigger_price - trigger) < _PRICE_SLACK)
            for price, trigger in order.prices
        )

    def end_all(self) -> list[str]:
        """Cancel what is live, sell what filled, and remove the file; return what a person must look at."""
        if not self.sent.is_open:
            return []
        problems = [text for order in self.sent.live() if (text := self.end(order))]
        problems += self._sell_what_filled()
        if not problems:
            self.sent.remove()
        return problems

    def end(self, order: TrialOrder) -> str:
        """Prove that an order has ended, cancelling it if it lives; return what a person must look at, or ""."""
        name, call = f"{order.call.order_type.value} {order.call.side.value} of {self.instrument}", order.call
        seen = self.look_for(order, 0.0, lambda _: True)
        if seen is None and self._is_parked(call.name):
            return (
                f"{name} is held for approval at the server: refuse it there, then `mytrading brokers check --forget`"
            )
        if seen is None and not order.broker_order_id:
            age = (self._wall_now() - call.wall_ns) / SECOND
            left = max(self.patience.lost_s - age, self.patience.read_s)
            self._say(f"{name} is of unknown fate: it is looked for in the order book for {left:.0f} s")
            seen = self.look_for(order, left, lambda _: True)
            if seen is None:
                return self._never_seen(order, name)
        if seen is None or self.server.may_live(seen):
            seen = self._cancel(order, seen)
        if seen is None:
            return f"{name}, order {order.broker_order_id}, is in no order book: look at the broker"
        if not seen.order.status.is_final:
            return f"{name}, order {order.broker_order_id}, is still {seen.order.status_text}: cancel it at the broker"
        filled = filled_units(seen)
        self.sent.write(OrderEnded(name=call.name, filled=filled))
        self._say(f"{name} has ended: {seen.order.status_text}{f', {filled} filled' if filled else ''}")
        return ""

    def _is_parked(self, name: str) -> bool:
        answered = self.outcomes.get(name)
        return answered is not None and answered.outcome is Outcome.PARKED

    def _never_seen(self, order: TrialOrder, name: str) -> str:
        """Of an order that no book has shown: none was placed if a read now is whole and shows nothing like it."""
        rows, rules, began = self.server.orders(), self.server.rules, self.sent.began
        there = {row.order.broker_order_id for row in rows or ()}
        whole = rows and began is not None and there.issuperset(began.known) and not rules.orders_joined
        if not whole and not (rows == [] and "orders" not in rules.empty_when_failed):
            return (
                f"{name} may have been placed, and the order book proves nothing: look at the broker, end the order if "
                "it is there, then `mytrading brokers check --forget`"
            )
        if any(self._is_alike(order, row) for row in rows or ()):
            return f"{name}: several orders look like it; look at the broker, and cancel the one that is not yours"
        self.sent.write(OrderEnded(name=order.call.name))
        self._say(f"{name} was not placed: it is in no order book")
        return ""

    def _cancel(self, order: TrialOrder, seen: SeenOrder | None) -> SeenOrder | None:
        """Cancel by id, again every few seconds, until a book shows the end; return the last row."""
        until = self._waits.now() + round(self.patience.ended_s * SECOND)
        if seen is not None and not order.broker_order_id:
            order.broker_order_id = seen.order.broker_order_id
        while True:
            self.server.send(Call.CANCEL, order, self.instrument, *order.prices[-1])
            seen = self.look_for(order, self.patience.cancel_s, lambda row: row.order.status.is_final) or seen
            if (seen is not None and seen.order.status.is_final) or self._waits.now() >= until:
                return seen

    def _sell_what_filled(self) -> list[str]:
        """Sell the units that ended buys have traded, as far as the position book shows them."""
        for number in range(SELLS + 1):
            left = self.sent.traded(Side.BUY) - self.sent.traded(Side.SELL)
            if left <= 0 or any(order.call.side is Side.SELL for order in self.sent.live()):
                return []
            units = self._units_to_sell(left)
            if units <= 0:
                return [f"{left} unit of {self.instrument} was bought, and the position book does not show it: look at "
                        "the broker, and sell it there"]  # fmt: skip
            if number == SELLS:
                break
            if problem := self._sell(units):
                return [problem]
        return [f"{left} unit of {self.instrument} could not be sold: sell it at the broker"]

    def _units_to_sell(self, left: int) -> int:
        """The units of ours that the position book shows beyond those held before; it may lag behind the fill."""
        before = self.sent.began.units if self.sent.began is not None else 0
        until = self._waits.now() + round(self.patience.shown_s * SECOND)
        while True:
            units = self.server.units(self.instrument)
            if (units is not None and units > before) or self._waits.now() >= until:
                return min(left, (units or before) - before)
            self._waits.pause(self.patience.read_s)

    def _sell(self, units: int) -> str:
        """Sell at once: MARKET, or, once that was refused, at a price that trades; return what is left open."""
        sells = [order for order in self.sent.orders.values() if order.call.side is Side.SELL]
        price = self._selling_price() if sells else 0.0
        kind = OrderType.LIMIT if price else OrderType.MARKET
        self._say(f"{units} unit of {self.instrument} was bought: it is sold at once ({kind.value})")
        order = self.place(f"sell{len(sells) + 1}", Side.SELL, kind, units, price)
        if order.ended:
            return ""
        self.look_for(order, self.patience.shown_s, lambda row: row.order.status.is_final)
        return self.end(order)

    def _selling_price(self) -> float:
        exchange, symbol = split_id(self.instrument)
        try:
            quote = endpoints.quote(self.server.client, symbol, exchange)
        except (OpenAlgoError, TransportFailed):
            return 0.0
        return round(round((quote.ltp or quote.prev_close) * _BELOW / 0.05) * 0.05, 2)
