"""Routes of actions: each is a typed command to the gateway, with who gives it and the id that its page made.

The console decides nothing. An action is written to the audit before it is sent, and again with what came back, also
when it was refused. Where the gateway does not answer, a halt is given by the file KILL.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from litestar import get, post
from litestar.datastructures import State
from litestar.params import FromPath, JSONBody

from mytrading.daemons.console.accounts_api import ConsoleRequest
from mytrading.daemons.console.authentication import action_of, audit, check_confirmed
from mytrading.daemons.console.refusals import ApiRefused
from mytrading.messages import console_api as api
from mytrading.messages import ops
from mytrading.messages.enums import Product, TradingLevel
from mytrading.runtime.streams.ops_client import Ops, OpsRefused, OpsTimedOut
from mytrading.runtime.supervision.kill_file import KillFile

ANSWER_S = 1.5
"""Seconds for which the gateway's answer to a command is awaited, twice."""
TRADER: dict[str, Any] = {"role": "trader"}
CONFIRMED: dict[str, Any] = {"role": "trader", "confirmed": True}
_IN_FORCE = {TradingLevel.HALT: "halted", TradingLevel.REDUCE: "reduced to closing"}
_STRICTER = {"": 0, "reduce": 1, "halt": 2, "flatten": 3}


def _ask(state: State, request: Any) -> Any:
    with Ops(state.config, ANSWER_S) as gateway:
        return gateway.ask(request)


def query_gateway(state: State, request: Any) -> Any:
    """Send a query to the gateway and return its reply; raises `ApiRefused`."""
    try:
        return _ask(state, request)
    except OpsRefused as error:
        raise ApiRefused("REFUSED", str(error)) from error
    except OpsTimedOut as error:
        raise ApiRefused("STACK_SILENT", str(error), "", 2) from error


def _give(
    request: ConsoleRequest, state: State, command: Any, target: str, silent: Callable[[str], Any] | None = None
) -> Any:
    """Send a command, with a row of the audit before and after it. `silent` is done where the gateway is, and returns
    what is answered; raises `ApiRefused`."""
    action, details = action_of(request.scope), msgspec.json.encode(command).decode()
    row = audit(request, action, target, "asked", details, command.request_id)
    try:
        reply = _ask(state, command)
    except OpsRefused as error:
        text = str(error)
        state.store.complete_audit_row(row, "refused", f"{text} {details}")
        raise ApiRefused("MOVED" if text.startswith("MOVED") else "REFUSED", text.removeprefix("MOVED: ")) from error
    except OpsTimedOut as error:
        if silent is not None:
            found = silent(str(error))
            state.store.complete_audit_row(row, "done", f"by the file KILL {details}")
            return found
        state.store.complete_audit_row(row, "failed", f"{error} {details}")
        text = "the gateway does not answer: it may have been executed, and is not executed twice if you repeat it"
        raise ApiRefused("STACK_SILENT", text, "", 2) from error
    state.store.complete_audit_row(row, "done", details)
    return reply


def _write_kill(request: ConsoleRequest, state: State, word: str, reason: str) -> None:
    """Write the file KILL unless a stricter one is there."""
    file = KillFile(state.config.state)
    known = file.read()
    if known is None or _STRICTER[known.word] < _STRICTER[word]:
        file.write(word, " ".join(f"{reason} (by {request.user.operator})".split())[:400])


def _stop(request: ConsoleRequest, state: State, data: api.HaltAction, reduce: bool) -> api.ActionTaken:
    word = "reduce" if reduce else "halt"
    command = ops.HaltCommand(
        request_id=data.request_id,
        by=request.user.operator,
        reduce=reduce,
        account=data.account,
        reason=data.reason,
    )

    def by_file(_: str) -> api.ActionTaken:
        _write_kill(request, state, word, data.reason)
        where = " of all accounts" if data.account else ""
        text = f"the gateway does not answer: the file KILL says {word}{where}, which risk and the router obey"
        return api.ActionTaken(request_id=data.request_id, text=text, follow=[], by_kill_file=True)

    reply = _give(request, state, command, data.account or "all accounts", by_file)
    if isinstance(reply, api.ActionTaken):
        return reply
    who = data.account or "all accounts"
    return api.ActionTaken(request_id=data.request_id, text=f"{who}: {reply.trading.level.value}", follow=[])


@post("/api/actions/halt", opt=TRADER, sync_to_thread=True, status_code=200)
def halt(request: ConsoleRequest, state: State, data: JSONBody[api.HaltAction]) -> api.ActionTaken:
    """Halt entries until an operator resumes trading."""
    return _stop(request, state, data, reduce=False)


@post("/api/actions/reduce", opt=TRADER, sync_to_thread=True, status_code=200)
def reduce(request: ConsoleRequest, state: State, data: JSONBody[api.HaltAction]) -> api.ActionTaken:
    """Reduce: permit only orders that reduce positions, until an operator resumes trading."""
    return _stop(request, state, data, reduce=True)


@post("/api/actions/resume", opt=CONFIRMED, sync_to_thread=True, status_code=200)
def resume(request: ConsoleRequest, state: State, data: JSONBody[api.ResumeAction]) -> api.ActionTaken:
    """Resume trading in an account, or in all of them."""
    command = ops.ResumeCommand(
        request_id=data.request_id, by=request.user.operator, account=data.account, reason=data.reason
    )
    reply = _give(request, state, command, data.account or "all accounts")
    kept = f"; the file KILL still says {reply.kill['word']}: remove it too" if reply.kill else ""
    if data.account and reply.overall is not TradingLevel.NORMAL:
        kept = f"; all accounts are still {_IN_FORCE[reply.overall]}: resume everything{kept}"
    text = f"{data.account or 'all accounts'}: {reply.trading.level.value}{kept}"
    return api.ActionTaken(request_id=data.request_id, text=text, follow=[])


@post("/api/actions/flatten", opt=TRADER, sync_to_thread=True, status_code=200)
def flatten(request: ConsoleRequest, state: State, data: JSONBody[api.FlattenAction]) -> api.ActionTaken:
    """Halt entries and close positions."""
    command = ops.FlattenCommand(
        request_id=data.request_id, by=request.user.operator, account=data.account, strategy=data.strategy,
        deadline=data.deadline_s, reason=data.reason,
    )  # fmt: skip
    target = data.strategy or data.account or "all accounts"
    reply = _give(request, state, command, target)
    text = f"{target}: entries are halted, closing is under way"
    if reply.absent:
        text = f"{text}; NOT closed: {'; '.join(reply.absent)}"
    return api.ActionTaken(request_id=data.request_id, text=text, follow=list(reply.flatten))


@post("/api/actions/kill", opt=TRADER, sync_to_thread=True, status_code=200)
def kill(request: ConsoleRequest, state: State, data: JSONBody[api.KillAction]) -> api.ActionTaken:
    """Write the file KILL, which risk and the router read themselves."""
    word = "reduce" if data.reduce else "halt"
    row = audit(request, "kill", word, "asked", data.reason, data.request_id)
    try:
        _write_kill(request, state, word, data.reason)
    except OSError as error:
        state.store.complete_audit_row(row, "failed", str(error))
        raise ApiRefused("REFUSED", f"the file KILL could not be written: {error}; halt instead") from error
    state.store.complete_audit_row(row, "done", data.reason)
    text = f"the file KILL says {word}: it holds until it is removed, also over a restart"
    return api.ActionTaken(request_id=data.request_id, text=text, follow=[], by_kill_file=True)


@post("/api/actions/unkill", opt=CONFIRMED, sync_to_thread=True, status_code=200)
def unkill(request: ConsoleRequest, state: State, data: JSONBody[api.UnkillAction]) -> api.ActionTaken:
    """Remove the file KILL."""
    file = KillFile(state.config.state)
    was_there = file.remove()
    above = file.read()
    audit(request, "unkill", "", "done" if was_there else "refused", data.reason, data.request_id)
    if above is not None:
        raise ApiRefused(
            "REFUSED", f"the file {above.name} still says {above.word}: it is not this stack's own; remove it"
        )
    text = "the file KILL is gone" if was_there else "there was no file KILL"
    return api.ActionTaken(request_id=data.request_id, text=text, follow=[])


@post("/api/actions/switch", opt=TRADER, sync_to_thread=True, status_code=200)
def switch(request: ConsoleRequest, state: State, data: JSONBody[api.SwitchAction]) -> api.ActionTaken:
    """Switch entries of a strategy on or off; on needs the password again, as all that opens trading does."""
    if data.enabled:
        check_confirmed(request.user)
    command = ops.SwitchCommand(
        request_id=data.request_id, by=request.user.operator, strategy=data.strategy, enabled=data.enabled,
        reason=data.reason,
    )  # fmt: skip
    reply = _give(request, state, command, data.strategy)
    text = f"entries of {reply.switch.strategy} are {'on' if reply.switch.enabled else 'off'}"
    return api.ActionTaken(request_id=data.request_id, text=text, follow=[])


def _order_taken(request_id: str, reply: ops.OrderRequestTaken, what: str) -> api.ActionTaken:
    return api.ActionTaken(
        request_id=request_id, text=f"{what} of order {reply.order} is taken", follow=[reply.order, reply.request]
    )


@post("/api/actions/cancel", opt=TRADER, sync_to_thread=True, status_code=200)
def cancel(request: ConsoleRequest, state: State, data: JSONBody[api.CancelAction]) -> api.ActionTaken:
    """Cancel a live order, unless it has changed since the page showed it."""
    command = ops.CancelCommand(
        request_id=data.request_id, by=request.user.operator, order=data.order, force=data.force, reason=data.reason,
        expected=data.version,
    )  # fmt: skip
    return _order_taken(data.request_id, _give(request, state, command, data.order), "the cancel")


@post("/api/actions/modify", opt=TRADER, sync_to_thread=True, status_code=200)
def modify(request: ConsoleRequest, state: State, data: JSONBody[api.ModifyAction]) -> api.ActionTaken:
    """Change price, trigger or quantity of an order, unless it has changed since the page showed it."""
    command = ops.ModifyCommand(
        request_id=data.request_id, by=request.user.operator, order=data.order, price=data.price, trigger=data.trigger,
        quantity=data.quantity, reason=data.reason, expected=data.version, force=data.force,
    )  # fmt: skip
    return _order_taken(data.request_id, _give(request, state, command, data.order), "the change")


@post("/api/actions/resolve", opt=CONFIRMED, sync_to_thread=True, status_code=200)
def resolve(request: ConsoleRequest, state: State, data: JSONBody[api.ResolveAction]) -> api.ActionTaken:
    """Resolve an order of unknown fate by what the operator saw at the broker."""
    command = ops.ResolveCommand(
        request_id=data.request_id, by=request.user.operator, order=data.order, broker_order=data.broker_order,
        not_placed=data.not_placed, force=data.force, reason=data.reason, expected=data.version,
    )  # fmt: skip
    return _order_taken(data.request_id, _give(request, state, command, data.order), "the settlement")


def _position_named(name: str) -> tuple[str, Product, str, str]:
    """Account, product, instrument and strategy of a position's key."""
    parts = name.split("|")
    with suppress(ValueError):
        account, product, instrument, strategy = parts
        return account, Product(product), instrument, strategy
    raise ApiRefused("BAD_REQUEST", "expected the id of a row of positions; load the page again", "position")


@post("/api/actions/claim", opt=TRADER, sync_to_thread=True, status_code=200)
def claim(request: ConsoleRequest, state: State, data: JSONBody[api.ClaimAction]) -> api.ActionTaken:
    """Give unmanaged units to a strategy."""
    account, product, instrument, _ = _position_named(data.position)
    command = ops.ClaimCommand(
        request_id=data.request_id, by=request.user.operator, instrument=instrument, strategy=data.strategy,
        quantity=data.quantity, price=data.price, stop=data.stop, stop_limit=data.stop_limit, account=account,
        product=product, reason=data.reason, expected=data.version,
    )  # fmt: skip
    reply = _give(request, state, command, data.position)
    text = f"the claim of {instrument} for {data.strategy} is taken"
    return api.ActionTaken(request_id=data.request_id, text=text, follow=[reply.request])


@post("/api/actions/close", opt=TRADER, sync_to_thread=True, status_code=200)
def close(request: ConsoleRequest, state: State, data: JSONBody[api.CloseAction]) -> api.ActionTaken:
    """Close a strategy's position in an instrument, or unmanaged units of it."""
    account, product, instrument, strategy = _position_named(data.position)
    command = ops.CloseCommand(
        request_id=data.request_id, by=request.user.operator, instrument=instrument, strategy=strategy, account=account,
        product=product, deadline=data.deadline_s, reason=data.reason, expected=data.version, force=data.force,
    )  # fmt: skip
    reply = _give(request, state, command, data.position)
    text = f"closing of {instrument} of {strategy} is taken"
    return api.ActionTaken(request_id=data.request_id, text=text, follow=list(reply.flatten))


@post("/api/actions/close-run", opt=TRADER, sync_to_thread=True, status_code=200)
def close_run(request: ConsoleRequest, state: State, data: JSONBody[api.CloseRunAction]) -> api.ActionTaken:
    """Close all positions of a strategy's run."""
    command = ops.CloseRunCommand(
        request_id=data.request_id,
        by=request.user.operator,
        run=data.run,
        deadline=data.deadline_s,
        reason=data.reason,
    )
    reply = _give(request, state, command, data.run)
    text = f"closing of all that {reply.strategy} holds is taken; its entries stay allowed"
    return api.ActionTaken(request_id=data.request_id, text=text, follow=list(reply.flatten))


@post("/api/actions/acknowledge", opt=TRADER, sync_to_thread=True, status_code=200)
def acknowledge(request: ConsoleRequest, state: State, data: JSONBody[api.AcknowledgeAction]) -> api.ActionTaken:
    """Acknowledge an alert as seen; it stays active until its cause ends."""
    daemon, code, subject = (*data.alert.split("|", 2), "", "")[:3]
    command = ops.AcknowledgeCommand(
        request_id=data.request_id,
        by=request.user.operator,
        daemon=daemon,
        code=code,
        subject=subject,
        reason=data.reason,
    )
    reply = _give(request, state, command, data.alert)
    text = f"{reply.code} {reply.subject}".strip() + " is acknowledged"
    return api.ActionTaken(request_id=data.request_id, text=text, follow=[])


@get("/api/actions/flatten/{name:str}", sync_to_thread=True)
def show_flatten(state: State, name: FromPath[str]) -> api.FlattenProgress:
    """Return the progress of a flatten or a close."""
    row = query_gateway(state, ops.FlattensQuery(ids=(name,)))[0]
    return api.FlattenProgress(
        id=row["id"],
        state=row["state"],
        flat=row["flat"],
        left=row["left"],
        unmanaged=row.get("unmanaged", []),
        seconds_left=row.get("seconds_left"),
    )


@get("/api/actions/order/{order:str}/{name:str}", sync_to_thread=True)
def show_order_request(state: State, order: FromPath[str], name: FromPath[str]) -> api.OrderActionResult:
    """Return the outcome of a cancel or a change of an order."""
    found = query_gateway(state, ops.OrderRequestQuery(order=order, request=name, cancel=name.startswith("cancel-")))
    return api.OrderActionResult(word=found.word, text=found.text)


@get("/api/actions/answer/{name:str}", sync_to_thread=True)
def show_answer(state: State, name: FromPath[str]) -> api.RouterAnswer:
    """The router's answer to a resolve or a claim."""
    found = query_gateway(state, ops.AnswerQuery(id=name))
    return api.RouterAnswer(answered=found.answered, ok=found.ok, message=found.message)


ROUTES = [
    halt, reduce, resume, flatten, kill, unkill, switch, cancel, modify, resolve, claim, close, close_run, acknowledge,
    show_flatten,
    show_order_request, show_answer,
]  # fmt: skip
