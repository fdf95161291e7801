"""Plays an operator at the command line in the middle of a storm: reduces, flattens, closes, cancels, changes prices.

What there is to act on is asked of the stack at that moment, so only the choice among it follows from the seed. It asks
through the gateway like every command, and takes no for an answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from mytrading.messages.enums import OrderState, Product
from mytrading.messages.ops import (
    CancelCommand,
    CloseCommand,
    FlattenCommand,
    HaltCommand,
    ModifyCommand,
    OrdersQuery,
    PositionsQuery,
    ResolveCommand,
    ResumeCommand,
    SwitchCommand,
)
from mytrading.orchestrator import NotRunning, StackFailed, TradingOrchestrator
from mytrading.runtime.streams.ops_client import OpsRefused, OpsTimedOut, new_request_id

FAILURES = (OpsTimedOut, OpsRefused, NotRunning, StackFailed)
VERBS = {"reduce": 1, "flatten": 1, "close": 3, "cancel": 3, "modify": 4}
"""Acts of the operator, and how often in comparison."""
_REDUCED_S = 2.0
_TICK = 0.05
_RESTING = frozenset({"ACCEPTED", "PARTIALLY_FILLED"})

Row = dict[str, Any]


class Person:
    """Operator of a stack; `note` records each request and whether it was accepted."""

    def __init__(self, stack: TradingOrchestrator, note: Callable[..., None]) -> None:
        self._stack = stack
        self._note = note
        self._flattened: set[str] = set()

    def act(self, verb: str, pick: float) -> None:
        """Do one thing; `pick`, 0 to 1, chooses among what there is. Blocks until the stack has answered."""
        try:
            what, done = getattr(self, f"_{verb}")(pick), True
        except FAILURES as error:
            what, done = str(error).splitlines()[0], False
        if what:
            self._note("person", verb, what=what, confirmed=done)

    def look(self) -> None:
        """After a storm: trading goes on, for everybody."""
        with suppress(*FAILURES):
            self._stack.ask(ResumeCommand(request_id=new_request_id(), reason="chaos: looked at"))
            for strategy in sorted(self._flattened):
                self._stack.ask(SwitchCommand(request_id=new_request_id(), strategy=strategy, enabled=True))
                self._flattened.discard(strategy)
        self.decide()

    def decide(self) -> None:
        """Reject the requests that the server holds for approval, and give up their orders here.

        The simulator keeps no such request: it is turned down already. Until it is decided on no flatten ends.
        """
        with suppress(*FAILURES):
            for name in self._parked():
                reason = "chaos: turned down at the server"
                self._stack.ask(ResolveCommand(request_id=new_request_id(), order=name, not_placed=True, reason=reason))
                self._note("person", "decide", what=name, confirmed=True)

    def _reduce(self, _: float) -> str:
        self._stack.ask(HaltCommand(request_id=new_request_id(), reason="chaos: operator reduces", reduce=True))
        time.sleep(_REDUCED_S)
        self._stack.ask(ResumeCommand(request_id=new_request_id(), reason="chaos: operator goes on"))
        return f"reduced for {_REDUCED_S:g} s"

    def _flatten(self, pick: float) -> str:
        if pick < 0.3:
            accounts = [account.id for account in self._stack.config.order_accounts]
            account: str = _choice(accounts, pick / 0.3)
            self._stack.ask(
                FlattenCommand(request_id=new_request_id(), account=account, reason="chaos: operator flattens")
            )
            return f"account {account}"
        names = [run.name for run in self._stack.config.strategies]
        strategy: str = _choice(names, (pick - 0.3) / 0.7)
        self._flattened.add(strategy)
        self._stack.ask(
            FlattenCommand(request_id=new_request_id(), strategy=strategy, reason="chaos: operator flattens")
        )
        return strategy

    def _close(self, pick: float) -> str:
        held = [row for row in self._stack.ask(PositionsQuery()) if row["quantity"] and row["strategy"][0] != "("]
        if not held:
            return ""
        row = _choice(held, pick)
        self._stack.ask(
            CloseCommand(
                request_id=new_request_id(), instrument=row["instrument"], account=row["account"],
                strategy=row["strategy"], product=Product(row["product"]), reason="chaos: operator closes",
            )
        )  # fmt: skip
        return f"{row['instrument']} of {row['strategy']} in {row['account']}"

    def _cancel(self, pick: float) -> str:
        found = self._resting("entry")
        if not found:
            return ""
        name: str = _choice(found, pick)["client_order_id"]
        self._stack.ask(CancelCommand(request_id=new_request_id(), order=name, reason="chaos: operator cancels"))
        return name

    def _modify(self, pick: float) -> str:
        found = self._resting("entry") or self._resting("stop")
        if not found:
            return ""
        row = _choice(found, pick)
        moved = {
            name: round(row[field] - _TICK, 2)
            for name, field in (("price", "price"), ("trigger", "trigger_price"))
            if row.get(field)
        }
        self._stack.ask(
            ModifyCommand(
                request_id=new_request_id(),
                order=row["client_order_id"],
                reason="chaos: operator changes it",
                force=row["purpose"] == "stop",
                **moved,
            )
        )
        return f"{row['client_order_id']} {moved}"

    def _parked(self) -> list[str]:
        rows: list[Row] = self._stack.ask(OrdersQuery(limit=0, live=True))
        orders = [order for row in rows for order in row.get("slices") or [row]]
        return [order["client_order_id"] for order in orders if order["state"] == OrderState.PARKED]

    def _resting(self, purpose: str) -> list[Row]:
        rows: list[Row] = self._stack.ask(OrdersQuery(limit=0, live=True))
        return [row for row in rows if row["state"] in _RESTING and row["purpose"] == purpose and row.get("price")]


def _choice(rows: list[Any], pick: float) -> Any:
    return rows[min(int(pick * len(rows)), len(rows) - 1)]
