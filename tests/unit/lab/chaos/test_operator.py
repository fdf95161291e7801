"""The person of `mytrading chaos`: what a server holds for approval is decided on, in calm and at the end."""

from __future__ import annotations

from typing import Any, cast

from lab.chaos.operator import Person
from mytrading.messages.ops import OpsRequest, OrdersQuery, ResolveCommand
from mytrading.orchestrator import TradingOrchestrator
from mytrading.runtime.streams.ops_client import OpsTimedOut


class Stack:
    """Answers what a person asks; `down` answers nothing."""

    def __init__(self, orders: list[dict[str, Any]], *, down: bool = False) -> None:
        self.orders, self.down = orders, down
        self.asked: list[OpsRequest] = []

    def ask(self, request: OpsRequest) -> Any:
        if self.down:
            raise OpsTimedOut("no answer")
        self.asked.append(request)
        return self.orders if isinstance(request, OrdersQuery) else {}

    def resolved(self) -> list[str]:
        """Orders that were called never placed."""
        return [one.order for one in self.asked if isinstance(one, ResolveCommand) and one.not_placed]


def row(name: str, state: str, *slices: dict[str, Any]) -> dict[str, Any]:
    return {"client_order_id": name, "state": state, **({"slices": list(slices)} if slices else {})}


ROWS = [row("a", "ACCEPTED"), row("b", "PARKED"), row("c", "PARKED", row("c1", "FILLED"), row("c2", "PARKED"))]


def person(stack: Stack) -> Person:
    return Person(cast(TradingOrchestrator, stack), lambda *_, **__: None)


def test_person_gives_up_what_the_server_turned_down_after_a_storm_and_at_the_end() -> None:
    for act in ("look", "decide"):
        stack = Stack(ROWS)
        getattr(person(stack), act)()
        assert stack.resolved() == ["b", "c2"]


def test_person_takes_a_stack_that_does_not_answer() -> None:
    stack = Stack(ROWS, down=True)
    person(stack).decide()
    assert stack.resolved() == []
