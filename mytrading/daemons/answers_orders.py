"""The gateway's verbs about single orders: cancel one, change one, and what became of it.

Used by `Answers`. The one rule: what cannot be right by what is known here is refused before it is journaled; the
router judges the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

import msgspec

from mytrading.adapters.instrument_store import InstrumentFile
from mytrading.core.oms.modify import Terms
from mytrading.core.oms.person import forced_only, new_terms, why_not_modify
from mytrading.core.order import live
from mytrading.core.order_requests import result_of
from mytrading.core.view import StackView
from mytrading.daemons.usage import UsageError, number
from mytrading.messages.control import CancelRequested, ModifyRequested
from mytrading.messages.instruments import Instrument
from mytrading.messages.orders import Order
from mytrading.messages.runconfig import RunConfig
from mytrading.runtime.clock import MarketClock, machine_now


class OrderVerbs:
    """A part of `Answers`: verbs that begin with `order_`."""

    _config: RunConfig
    _view: StackView
    _clock: MarketClock
    _order: Callable[[tuple[msgspec.Struct, ...]], None]

    def _verb_order_cancel(self, arguments: dict[str, str]) -> Any:
        """Cancel `order`; a stop or an exit only with `force` and a `reason`."""
        order = self._named(arguments)
        reason, force = arguments.get("reason", ""), arguments.get("force") == "true"
        if not live(order):
            raise UsageError(
                f"order {order.client_order_id}: expected a live order, found one that ended {order.state}"
            )
        if order.purpose.reduces and not (force and reason):
            raise UsageError(f"order {order.client_order_id}: {forced_only(order)}")
        message = CancelRequested(
            id=f"cancel-{machine_now()}",
            order=order.client_order_id,
            at_ns=self._clock.now(),
            reason=reason,
            force=force,
        )
        self._order((message,))
        return {"request": message.id, "order": order.client_order_id}

    def _verb_order_modify(self, arguments: dict[str, str]) -> Any:
        """Change `price`, `trigger` or `quantity` of `order`."""
        order = self._named(arguments)
        price, trigger = number(arguments, "price"), number(arguments, "trigger")
        quantity = int(number(arguments, "quantity"))
        wanted = new_terms(order, price, trigger, quantity)
        why = why_not_modify(order, wanted) or self._off_grid(order, wanted)
        if why:
            raise UsageError(f"order {order.client_order_id}: {why}")
        message = ModifyRequested(
            id=f"modify-{machine_now()}",
            order=order.client_order_id,
            at_ns=self._clock.now(),
            price=price,
            trigger_price=trigger,
            quantity=quantity,
            reason=arguments.get("reason", ""),
        )
        self._order((message,))
        return {"request": message.id, "order": order.client_order_id}

    def _verb_order_request(self, arguments: dict[str, str]) -> Any:
        """What became of the `request` to cancel or modify (`kind`) an `order`."""
        order = self._named(arguments)
        cancel = arguments.get("kind") == "cancel"
        result = result_of(order, self._view.orders.values(), arguments.get("request", ""), cancel=cancel)
        shown = self._view.orders.get(result.order, order)
        return {**result._asdict(), "request": arguments.get("request", ""), "level": msgspec.to_builtins(shown)}

    def _named(self, arguments: dict[str, str]) -> Order:
        """The order of this id, ours or the broker's; raises `UsageError`."""
        name = arguments.get("order", "")
        found = self._view.orders.get(name)
        if found is not None:
            return found
        of_broker = [order for order in self._view.orders.values() if name and order.broker_order_id == name]
        if len(of_broker) == 1:
            return of_broker[0]
        close = get_close_matches(name, self._view.orders, 1)
        hint = f"; did you mean {close[0]}?" if close else "; `mytrading orders` shows them"
        raise UsageError(f"expected the id of an order, found {name!r}{hint}")

    def _off_grid(self, order: Order, wanted: Terms) -> str:
        """What lots and ticks say against the change; nothing where the day's instruments lack the contract."""
        instrument = InstrumentFile(self._config.state).book().get(order.instrument)
        if instrument is None:
            return ""
        prices = (("trigger", wanted.trigger, order.trigger_price), ("price", wanted.price, order.price))
        for name, value, before in prices:
            if value != before and (why := _off_tick(name, value, instrument)):
                return why
        return _broken_lots(wanted.quantity, instrument) if wanted.quantity != order.quantity else ""


def _off_tick(name: str, value: float, instrument: Instrument) -> str:
    tick = instrument.tick_size
    near = round(value / tick) * tick
    if abs(near - value) < tick * 1e-3:
        return ""
    return f"{name} must be on the tick {tick:g}: {value:g} is not ({instrument.symbol}); use {round(near, 4):g}"


def _broken_lots(quantity: int, instrument: Instrument) -> str:
    lot = instrument.lot_size
    if quantity % lot == 0:
        return ""
    fits = max(quantity // lot, 1) * lot
    return f"quantity must be whole lots: {quantity} is no multiple of lot size {lot} ({instrument.symbol}); use {fits}"
