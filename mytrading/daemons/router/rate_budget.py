"""Levels of the rate budget for screens: calls used, orders that wait and since when, answers of 429."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec.structs import replace

from mytrading.adapters.openalgo.rest.retry import LOUD_NS
from mytrading.core.oms import OrderMachine
from mytrading.core.time import SECOND
from mytrading.messages.control import CallBudget
from mytrading.messages.enums import OrderState, Outcome
from mytrading.messages.orders import CallOutcome, Order, OrderChanged


class Budgets:
    """The levels of all accounts; `look` often enough to see when an order began to wait."""

    def __init__(self, machine: OrderMachine, accounts: Iterable[str]) -> None:
        self._machine = machine
        self._accounts = tuple(accounts)
        self._refused: Counter[str] = Counter()
        self._since: dict[str, int] = {}
        self.busy: dict[str, str] = {}
        """By account what an operator should know of a server that asks for a long pause: an exit waits too."""

    def count(self, row: OrderChanged) -> None:
        """Note an answer of 429."""
        if row.event == "rate_limited":
            self._refused[row.order.account] += 1

    def note(self, outcome: CallOutcome) -> None:
        """Note the end of a call: a server that asks for a long pause, until it accepts one."""
        if outcome.retry_after_ns > LOUD_NS:
            self.busy[outcome.account] = (
                f"the server of {outcome.account} answered 429 and wants no call for "
                f"{outcome.retry_after_ns / SECOND:.0f} s; {outcome.call.value} waits: lower MAX_ORDERS_PER_SECOND, "
                "look at what else calls the server"
            )
        elif outcome.outcome is Outcome.ACCEPTED:
            self.busy.pop(outcome.account, None)

    def look(self, machine_ns: int) -> list[Order]:
        """The orders that wait now; notes those that began to."""
        waiting = self._machine.waiting()
        self._since = {name: self._since.get(name, machine_ns) for order in waiting if (name := order.client_order_id)}
        return waiting

    def levels(self, machine_ns: int) -> list[CallBudget]:
        """A level for each account."""
        waiting = self.look(machine_ns)
        return [self._level(account, waiting, machine_ns) for account in self._accounts]

    def _level(self, account: str, waiting: list[Order], machine_ns: int) -> CallBudget:
        mine = [order for order in waiting if order.account == account]
        oldest = min((self._since[order.client_order_id] for order in mine), default=machine_ns)
        return replace(
            self._machine.budget(account, machine_ns),
            waiting=dict(Counter(_wants(order) for order in mine)),
            oldest_wait_s=round((machine_ns - oldest) / SECOND, 3),
            refused=self._refused[account],
        )


def _wants(order: Order) -> str:
    return order.purpose.value if order.state is OrderState.INITIALIZED else "cancel"
