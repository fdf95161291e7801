"""The judge of chaos on a person's signals for single orders: each is answered, and ends as asked or with a reason."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from msgspec.structs import replace

from lab.chaos.operator_audit import counted, unanswered
from lab.chaos.records import Fold, Moved, Ours
from lab.chaos.verdict import judge
from mytrading.core.orders.state_machine import with_cancel, with_modify
from mytrading.messages.codec import encode_body
from mytrading.messages.control import Alert, CancelRequested, ModifyRequested
from mytrading.messages.enums import OrderState, OrderType, Severity
from mytrading.messages.order_evidence import OrderTerms
from mytrading.messages.orders import NO_EVIDENCE, Order, OrderLinks
from mytrading.runtime.journal.journal import RECORD, Row
from tests.kit.chaos_evidence import BOUNDS, evidence, order, placed

CANCEL = CancelRequested(id="c1", order="a", at_ns=1)
MODIFY = ModifyRequested(id="m1", order="a", at_ns=1, price=99.0)
RESTS = order("a", OrderState.ACCEPTED, order_type=OrderType.LIMIT, price=100.0)
TAKEN = replace(RESTS, links=OrderLinks(request="c1"))
CHANGING = replace(RESTS, links=OrderLinks(request="m1"))
WANTS = replace(CHANGING, evidence=with_modify(NO_EVIDENCE, wanted=OrderTerms(99.0, 0.0, 10)))


def ours(request: Any, *moves: tuple[str, Order], unknown_orders: tuple[str, ...] = ()) -> Ours:
    rows = tuple(Moved(at, event, each) for at, (event, each) in enumerate([("accepted", RESTS), *moves]))
    last = {"a": rows[-1].order}
    return Ours(
        (), last, {}, rows, Counter(), {}, {}, (), requests=(request,), unknown_orders=frozenset(unknown_orders)
    )  # fmt: skip


GOING = replace(TAKEN, evidence=with_cancel(NO_EVIDENCE, wanted=True))
CANCELLED = replace(TAKEN, state=OrderState.CANCELLED)
FILLED = replace(CHANGING, state=OrderState.FILLED, filled=10)
GOOD = {
    "cancel that is carried out": (
        CANCEL, ("requested", TAKEN), ("withdrawing", GOING), ("cancelled", CANCELLED),
    ),
    "cancel that is turned down": (CANCEL, ("request_refused", TAKEN)),
    "cancel that a fill overtakes": (
        CANCEL, ("requested", TAKEN), ("filled", replace(TAKEN, state=OrderState.FILLED, filled=10)),
    ),
    "change that the book shows": (
        MODIFY, ("requested", CHANGING), ("modify_wanted", WANTS), ("modified", replace(CHANGING, price=99.0)),
    ),
    "change that the broker turns down": (
        MODIFY, ("requested", CHANGING), ("modify_wanted", WANTS), ("modify_refused", CHANGING),
    ),
    "change that a fill overtakes": (MODIFY, ("requested", CHANGING), ("filled", FILLED)),
    "change that a cancel overtakes": (
        MODIFY, ("requested", CHANGING), ("requested", TAKEN), ("cancelled", CANCELLED),
    ),
}  # fmt: skip
BAD = {
    "cancel that no row answers": (CANCEL, "never answered"),
    "cancel that was taken up and forgotten": (CANCEL, "nothing followed", ("requested", TAKEN)),
    "cancel that never ends": (
        CANCEL, "not come to an end", ("requested", TAKEN), ("withdrawing", GOING),
    ),
    "change that no row answers": (MODIFY, "never answered"),
    "change that was taken up and forgotten": (MODIFY, "nothing followed", ("requested", CHANGING)),
    "change to other terms than were asked": (
        MODIFY, "nothing followed", ("requested", CHANGING), ("modified", replace(CHANGING, price=98.0)),
    ),
    "change that never ends": (MODIFY, "not come to an end", ("requested", CHANGING), ("modify_wanted", WANTS)),
}  # fmt: skip


@pytest.mark.parametrize("case", GOOD, ids=str)
def test_request_that_ended_as_asked_or_with_a_reason_is_no_finding(case: str) -> None:
    request, *moves = GOOD[case]
    assert unanswered(ours(request, *moves)) == []


@pytest.mark.parametrize("case", BAD, ids=str)
def test_request_that_came_to_nothing_is_reported(case: str) -> None:
    request, said, *moves = BAD[case]
    (line,) = unanswered(ours(request, *moves))
    assert said in line
    assert request.id in line


def test_request_for_an_order_that_the_router_said_it_does_not_know_is_answered() -> None:
    assert unanswered(ours(CANCEL, unknown_orders=("a",))) == []


def test_request_that_came_to_nothing_counts_among_the_lost() -> None:
    there, here = [placed("a")], [order("a")]
    given = evidence(there, here)
    assert judge(given, BOUNDS).good
    asked = given._replace(ours=given.ours._replace(requests=(CANCEL,)))
    verdict = judge(asked, BOUNDS)
    assert verdict.must_be_zero["lost"] == 1
    assert verdict.figures["requests"] == {"cancel": 1}


def test_requests_are_counted_with_those_turned_down() -> None:
    assert counted(ours(CANCEL, ("request_refused", TAKEN))) == {"cancel": 1, "refused": 1}


def test_fold_keeps_requests_and_what_the_router_did_not_know() -> None:
    fold = Fold("paper")
    alert = Alert(
        code="REQUEST_UNKNOWN", severity=Severity.WARNING, subject="x", message="", daemon="router",
        first_ns=1, last_ns=1,
    )  # fmt: skip
    for message in (CANCEL, MODIFY, alert):
        body = encode_body(message)
        fold.take(Row(1, 1, RECORD, "status", 0, "", 0, 0, b"", 1, 1, body, b""), message)
    result = fold.result()
    assert result.requests == (CANCEL, MODIFY)
    assert result.unknown_orders == {"x"}
