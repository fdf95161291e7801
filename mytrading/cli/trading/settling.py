"""The one shape of commands that settle something by an operator's word: shown, confirmed, done once.

Used by `positions claim`, `settle`, `adjust` and `close --unmanaged`, by `state rebuild-ledger`, and, for what needs no
plan of the router, by `history accept` and `instruments accept`. Nothing is done without `--yes` or a person's answer.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import typer

from mytrading.cli.shell.failures import ERROR, TIMED_OUT, USAGE, fail
from mytrading.cli.shell.output import print_json, print_note, print_rows
from mytrading.messages import ops
from mytrading.messages.settlements import PlannedUnits, SettlementPlan

if TYPE_CHECKING:
    from mytrading.orchestrator import TradingOrchestrator

POLL_S = 0.1
ANSWER_S = 15.0
Settling = ops.ClaimCommand | ops.SettleCommand | ops.AdjustCommand | ops.RebuildCommand
_PREFIX: dict[type, str] = {
    ops.ClaimCommand: "claim", ops.SettleCommand: "settle", ops.AdjustCommand: "adjust", ops.RebuildCommand: "rebuild",
}  # fmt: skip
"""Of the ids of requests that the gateway makes of a command's."""
_COLUMNS = ("instrument", "product", "broker", "ledger", "difference", "after", "does")


class Settled(NamedTuple):
    """A request that was done: the gateway's reply, None where it was done before, and the router's answer."""

    request: str
    taken: ops.ClaimTaken | ops.SettlementTaken | None
    answer: ops.RequestAnswer


def settle(found: TradingOrchestrator, command: Settling, yes: bool, as_json: bool) -> Settled:
    """Show the plan of a command, ask, and carry it out; a refusal or a no ends the program.

    A command of an id that was answered before is answered as it was then."""
    request = f"{_PREFIX[type(command)]}-{command.request_id}"
    if (known := found.ask(ops.AnswerQuery(id=request))).answered:
        return Settled(request, None, _accepted(known))
    shown = _answer(found, _plan_request(found, command))
    if shown.plan is not None and not as_json:
        print_plan(shown.plan)
    plan = _accepted(shown).plan
    if plan is None:
        fail(ERROR, f"expected a plan of the router, found none: {shown.message}")
    confirm(plan_body(plan), yes, as_json)
    taken = _send(found, msgspec.structs.replace(command, plan=plan.mark))
    if taken.copy and not as_json:
        print_note(f"the router's journal as it was before is kept in {taken.copy}")
    return Settled(request, taken, _accepted(_answer(found, request)))


def _plan_request(found: TradingOrchestrator, command: Settling) -> str:
    from mytrading.runtime.streams.ops_client import new_request_id

    preview = msgspec.structs.replace(command, preview=True, request_id=new_request_id())
    return _send(found, preview).request


def _send(found: TradingOrchestrator, command: Any) -> ops.ClaimTaken | ops.SettlementTaken:
    """Send a command of `Settling`, whose replies differ by kind."""
    taken: ops.ClaimTaken | ops.SettlementTaken = found.ask(command)
    return taken


def _answer(found: TradingOrchestrator, request: str) -> ops.RequestAnswer:
    """The router's answer to a request; a time-out ends the command."""
    until = time.monotonic() + ANSWER_S
    while not (body := found.ask(ops.AnswerQuery(id=request))).answered:
        if time.monotonic() >= until:
            fail(TIMED_OUT, f"no answer to {request} within {ANSWER_S:g} s; it stands, see `mytrading status`")
        time.sleep(POLL_S)
    return body


def _accepted(answer: ops.RequestAnswer) -> ops.RequestAnswer:
    if not answer.ok:
        fail(ERROR, answer.message)
    return answer


def router_answer(found: TradingOrchestrator, request: str) -> str:
    """Return the router's answer to a request; a refusal ends the command, and so does a time-out."""
    return _accepted(_answer(found, request)).message


def confirm(body: dict[str, Any], yes: bool, as_json: bool) -> None:
    """Ask whether to do what was shown; a no ends the program. With `as_json` nobody is asked: without `yes` the `body`
    is printed, and nothing is done."""
    if yes:
        return
    if as_json:
        print_json({**body, "done": False})
        fail(USAGE, "nothing was done yet: repeat it with --yes")
    try:
        agreed = typer.confirm("Do it?", err=True)
    except typer.Abort:
        fail(USAGE, "nothing was done: nobody answered; repeat it with --yes")
    if not agreed:
        fail(ERROR, "nothing was done")


def agree(steps: Sequence[str], yes: bool, as_json: bool) -> None:
    """Show what a command will do, a line each, and ask, as `confirm` does."""
    if not as_json:
        _print_steps(steps)
    confirm({"plan": {"rows": [], "steps": list(steps)}}, yes, as_json)


def _print_steps(steps: Sequence[str]) -> None:
    for step in steps:
        print(f"· {step}")


def print_plan(plan: SettlementPlan) -> None:
    """Print a plan: broker, ledger and difference side by side, and what becomes of each."""
    print_rows([_row(row) for row in plan.rows], _COLUMNS, False, "nothing is held, here or at the broker")
    _print_steps(plan.steps)


def plan_body(plan: SettlementPlan) -> dict[str, Any]:
    """Return a plan as JSON-ready rows and steps."""
    return {"plan": {"mark": plan.mark, "rows": [_row(row) for row in plan.rows], "steps": list(plan.steps)}}


def _row(row: PlannedUnits) -> dict[str, Any]:
    return {
        "account": row.account, "instrument": row.instrument, "product": row.product.value, "broker": row.broker,
        "ledger": row.ledger, "difference": row.difference, "after": row.after, "does": row.does,
        "changes": row.changes,
    }  # fmt: skip


def report(settled: Settled, as_json: bool, **more: Any) -> None:
    """Print what was done; `more` are further keys of the JSON."""
    answer, taken = settled.answer, settled.taken
    if not as_json:
        print(answer.message)
        return
    body = {"request": settled.request, **more, "ok": True, "message": answer.message, "done": True}
    body |= {"copy": taken.copy} if taken is not None else {}
    print_json(body | (plan_body(answer.plan) if answer.plan is not None else {}))
