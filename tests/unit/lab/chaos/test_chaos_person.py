"""The person of `mytrading chaos`: what a server holds for approval is decided on, in calm and at the end."""

from __future__ import annotations

from typing import Any, cast

from mytrading.chaos.person import Person
from mytrading.orchestrator import TradingOrchestrator
from mytrading.runtime.ops import OpsTimedOut


class Stack:
    """Answers what a person asks; `down` answers nothing."""

    def __init__(self, orders: list[dict[str, Any]], *, down: bool = False) -> None:
        self.orders, self.down = orders, down
        self.asked: list[tuple[str, dict[str, str]]] = []

    def ask(self, verb: str, **arguments: str) -> Any:
        if self.down:
            raise OpsTimedOut("no answer")
        self.asked.append((verb, arguments))
        return self.orders if verb == "orders" else {}

    def resolved(self) -> list[str]:
        """Orders that were called never placed."""
        return [given["order"] for verb, given in self.asked if verb == "resolve" and given["not_placed"] == "true"]


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
