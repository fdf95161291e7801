"""Answers to senders: status, headers and JSON of each outcome, in one shape: `verdict`, then `code` and `message`.

202 means that the alert is in the journal and goes to risk, not that an order was sent: see the status address.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from mytrading.core.webhooks.refusals import refusal, status_of
from mytrading.messages.webhooks import AlertJudged, AlertReceived, AlertRefusal, AlertRemembered, AlertVerdict

STATUS_PATH = "/webhook/status"
NOTE = "journaled; the status address says whether risk and the broker take it"


class AlertAnswer(NamedTuple):
    """An answer: HTTP status, JSON body, and the seconds of its header Retry-After (0: none)."""

    status: int
    body: dict[str, Any]
    retry_after: int = 0


def refusal_answer(found: AlertRefusal, alert: AlertReceived | None = None) -> AlertAnswer:
    """Return the answer to a refused request; with the id of its `alert` if it was journaled."""
    body: dict[str, Any] = {"verdict": AlertVerdict.REFUSED.value, "code": found.code, "message": found.text}
    if alert is not None:
        body |= {"id": alert.id, "status_url": f"{STATUS_PATH}/{alert.status}"}
    if found.retry_after:
        body["retry_after"] = found.retry_after
    return AlertAnswer(status_of(found), body, found.retry_after)


UNKNOWN = refusal_answer(refusal("UNKNOWN_WEBHOOK", "no webhook has this address"))
"""Answer to tokens that are unknown, rotated or malformed: the same for all, so that it reveals nothing."""


def answer(alert: AlertReceived, rows: Sequence[AlertJudged], status_of_alert: Callable[[str], str]) -> AlertAnswer:
    """Return the answer to a journaled alert with these verdicts; `status_of_alert` finds the status name of the
    first alert of a duplicate."""
    if len(rows) == 1 and len(alert.intents) <= 1:
        row = rows[0]
        if row.refusal is not None:
            return refusal_answer(row.refusal, alert)
        shown = row.first or alert.id
        body = {"id": shown, "verdict": row.verdict.value, "symbol": row.symbol, "target": row.target}
        body["status_url"] = f"{STATUS_PATH}/{status_of_alert(row.first) if row.first else alert.status}"
        if row.verdict is AlertVerdict.ACCEPTED:
            body |= {"signal": row.signal, "message": NOTE}
        return AlertAnswer(202 if row.verdict is AlertVerdict.ACCEPTED else 200, body)
    if len(rows) == 1 and rows[0].refusal is not None and not rows[0].symbol:
        return refusal_answer(rows[0].refusal, alert)
    return _answer_for_several(alert, rows)


def _answer_for_several(alert: AlertReceived, rows: Sequence[AlertJudged]) -> AlertAnswer:
    """Return 202 if one of the stocks goes to risk, else 200 if one is there already, else the common refusal."""
    verdicts = {row.verdict for row in rows}
    body: dict[str, Any] = {"id": alert.id, "status_url": f"{STATUS_PATH}/{alert.status}"}
    body["results"] = [_result(row) for row in rows]
    if AlertVerdict.ACCEPTED in verdicts:
        return AlertAnswer(202, {**body, "verdict": AlertVerdict.ACCEPTED.value, "message": NOTE})
    if verdicts & {AlertVerdict.NO_OP, AlertVerdict.DUPLICATE}:
        found = AlertVerdict.NO_OP if AlertVerdict.NO_OP in verdicts else AlertVerdict.DUPLICATE
        return AlertAnswer(200, {**body, "verdict": found.value})
    refused = [row.refusal for row in rows if row.refusal is not None]
    statuses = {status_of(found) for found in refused}
    first = refused[0]
    code = first.code if len({found.code for found in refused}) == 1 else "NOTHING_TAKEN"
    text = first.text if code == first.code else "none of the stocks was taken; see results"
    body |= {"verdict": AlertVerdict.REFUSED.value, "code": code, "message": text}
    return AlertAnswer(statuses.pop() if len(statuses) == 1 else 422, body)


def _result(row: AlertJudged) -> dict[str, Any]:
    shown: dict[str, Any] = {"symbol": row.symbol, "verdict": row.verdict.value}
    if row.refusal is not None:
        return shown | {"code": row.refusal.code, "message": row.refusal.text}
    shown["target"] = row.target
    if row.first:
        shown["first"] = row.first
    return shown | ({"signal": row.signal} if row.signal else {})


def status_answer(
    alert: AlertRemembered | None,
    orders_of: Callable[[str], Sequence[str]],
    denials_of: Callable[[str], Sequence[str]],
    outcome_of: Callable[[AlertJudged], str],
) -> AlertAnswer:
    """Return what became of an alert: its verdicts, and of each signal (by its id) what `orders_of` and `denials_of`
    say: its orders with their states, and the codes of the rules by which risk denied it. Of an exit, `outcome_of`
    says what became of it."""
    if alert is None:
        return AlertAnswer(404, {"code": "UNKNOWN_ALERT", "message": "no alert of the last week has this address"})
    results = []
    for row in alert.verdicts:
        orders, denied = (list(found(row.signal)) if row.signal else [] for found in (orders_of, denials_of))
        result = {**_result(row), "orders": orders, **({"denied": denied} if denied else {})}
        results.append(result | ({"outcome": outcome} if (outcome := outcome_of(row)) else {}))
    return AlertAnswer(200, {"id": alert.id, "results": results})
