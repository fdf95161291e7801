"""The router's reports: levels of its rate budget, and the fields of its trade log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from mytrading.adapters.openalgo.rest.retry import LOUD_NS
from mytrading.core.oms import OrderMachine
from mytrading.core.time import SECOND
from mytrading.messages.control import CallBudget
from mytrading.messages.enums import OrderState, Outcome
from mytrading.messages.orders import CallOutcome, Order, OrderChanged, PositionChanged


class Budgets:
    """The call budgets of all accounts; `orders_waiting`, called often, sees when an order began to wait."""

    def __init__(self, machine: OrderMachine, accounts: Iterable[str]) -> None:
        self._machine, self._accounts = machine, tuple(accounts)
        self._refused: Counter[str] = Counter()
        self._since: dict[str, int] = {}
        self.busy: dict[str, str] = {}
        """By account what an operator should know of a server that asks for a long pause: an exit waits too."""

    def count_rate_limited(self, row: OrderChanged) -> None:
        """Count the row against its account if the broker answered the order call with HTTP 429, else nothing."""
        if row.event == "rate_limited":
            self._refused[row.order.account] += 1

    def on_outcome(self, outcome: CallOutcome) -> None:
        """Record in `busy` that an account's server asks for a long pause; an accepted call removes that."""
        if outcome.retry_after_ns > LOUD_NS:
            self.busy[outcome.account] = (
                f"the server of {outcome.account} answered 429 and wants no call for "
                f"{outcome.retry_after_ns / SECOND:.0f} s; {outcome.call.value} waits: lower MAX_ORDERS_PER_SECOND, "
                "look at what else calls the server"
            )
        elif outcome.outcome is Outcome.ACCEPTED:
            self.busy.pop(outcome.account, None)

    def orders_waiting(self, machine_ns: int) -> list[Order]:
        """Return the orders that wait for a broker call now, and record since when (machine ns) each does."""
        state = self._machine.state
        waiting = [state.orders[name] for name in sorted(state.waiting)]
        self._since = {name: self._since.get(name, machine_ns) for order in waiting if (name := order.client_order_id)}
        return waiting

    def call_budgets(self, machine_ns: int) -> list[CallBudget]:
        """Return the call budget of each account now, and record since when orders wait."""
        waiting = self.orders_waiting(machine_ns)
        return [self._level(account, waiting, machine_ns) for account in self._accounts]

    def _level(self, account: str, waiting: list[Order], machine_ns: int) -> CallBudget:
        mine = [order for order in waiting if order.account == account]
        oldest = min((self._since[order.client_order_id] for order in mine), default=machine_ns)
        return replace(
            self._machine.call_budget(account, machine_ns),
            waiting=dict(Counter(o.purpose.value if o.state is OrderState.INITIALIZED else "cancel" for o in mine)),
            oldest_wait_s=round((machine_ns - oldest) / SECOND, 3),
            refused=self._refused[account],
        )


def order_fields(order: Order) -> dict[str, Any]:
    """Return an order's trade log fields, no empty ones: `filled` confirmed, `seen` reported by one source."""
    terms = order.evidence.modify.wanted
    fields = {
        "id": order.client_order_id, "broker": order.broker_order_id, "state": order.state.value,
        "strategy": order.strategy, "purpose": order.purpose.value, "side": order.side.value,
        "quantity": order.quantity, "instrument": order.instrument, "filled": order.filled,
        "seen": order.filled_seen if order.filled_seen != order.filled else 0,
        "price": order.average_price or order.price,
        "wanted": f"{terms.quantity} at {terms.price:g} trigger {terms.trigger_price:g}" if terms is not None else "",
        "cause": order.cause, "problem": order.message,
    }  # fmt: skip
    return {name: value for name, value in fields.items() if value}


def position_fields(row: PositionChanged) -> dict[str, Any]:
    """Return the trade log fields of a position and of the fill that changed it."""
    position = row.position
    return {
        "strategy": position.strategy, "instrument": position.instrument, "quantity": position.quantity,
        "seen": position.quantity_seen, "average": round(position.average_price, 4),
        "realised": round(position.realised, 2), "fill": row.fill_quantity, "at": round(row.fill_price, 4),
    }  # fmt: skip
