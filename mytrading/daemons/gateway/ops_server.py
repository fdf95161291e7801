"""Answers requests on `ops`: decodes, dispatches, journals commands once, and survives a defect in a query.

Invariant: a command is journaled before it is acknowledged, in one transaction with its `OperatorRequestTaken`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from hashlib import blake2b
from typing import Any

import msgspec

from mytrading.daemons.gateway import (
    book_queries,
    day_requests,
    list_pages,
    operator_requests,
    settlement_requests,
    stack_queries,
)
from mytrading.daemons.gateway.request_context import Decided, RequestContext, RequestRefused
from mytrading.messages import ops
from mytrading.messages.codec import UNREADABLE, encode_body
from mytrading.messages.journal_rows import OperatorRequestTaken

EXIT_ERROR, EXIT_USAGE = 1, 2
_FIELD = re.compile(r" - at `\$\.(\w+)")
_SHOWN = 40

QUERIES: dict[type, Callable[[RequestContext, Any], Any]] = {
    ops.StatusQuery: stack_queries.status,
    ops.SummaryQuery: stack_queries.summary,
    ops.AlertsQuery: stack_queries.alerts,
    ops.RiskQuery: stack_queries.risk,
    ops.QuoteLeaseQuery: stack_queries.quote_lease,
    ops.OrderTrialQuery: stack_queries.order_trial,
    ops.FeedQuery: stack_queries.feed,
    ops.OrdersQuery: book_queries.orders,
    ops.PositionsQuery: book_queries.positions,
    ops.TradesQuery: book_queries.trades,
    ops.SignalsQuery: book_queries.signals,
    ops.ListQuery: list_pages.list_page,
    ops.RestingQuery: book_queries.resting,
    ops.StrategiesQuery: book_queries.strategies,
    ops.StrategyQuery: book_queries.strategy,
    ops.FlattensQuery: operator_requests.flattens,
    ops.AnswerQuery: operator_requests.answer,
    ops.OrderRequestQuery: operator_requests.order_request,
}
COMMANDS: dict[type, Callable[[RequestContext, Any], Decided]] = {
    ops.HaltCommand: operator_requests.halt,
    ops.ResumeCommand: operator_requests.resume,
    ops.SwitchCommand: operator_requests.switch,
    ops.WithdrawCommand: operator_requests.withdraw,
    ops.AcknowledgeCommand: operator_requests.acknowledge,
    ops.AcceptContractsCommand: operator_requests.accept_contracts,
    ops.HistoryAcceptCommand: operator_requests.accept_history,
    ops.DayConfirmCommand: day_requests.confirm_day,
    ops.PaperOrderCommand: operator_requests.paper_order,
    ops.CancelCommand: operator_requests.cancel,
    ops.ModifyCommand: operator_requests.modify,
    ops.ResolveCommand: operator_requests.resolve,
    ops.ClaimCommand: operator_requests.claim,
    ops.CloseCommand: operator_requests.close,
    ops.CloseRunCommand: operator_requests.close_run,
    ops.FlattenCommand: operator_requests.flatten,
    ops.SettleCommand: settlement_requests.settle,
    ops.AdjustCommand: settlement_requests.adjust,
    ops.RebuildCommand: settlement_requests.rebuild,
}


class OpsServer:
    """Replies to one request at a time. `record` journals and publishes rows; `report` gets a verb and its defect, or
    None once the verb is answered again."""

    def __init__(
        self,
        context: RequestContext,
        record: Callable[[tuple[msgspec.Struct, ...]], None],
        report: Callable[[str, Exception | None], None] = lambda _verb, _error: None,
    ) -> None:
        self.context = context
        self._record, self._report = record, report
        self._requests = msgspec.msgpack.Decoder(ops.OpsRequest)
        self._replies = msgspec.msgpack.Decoder(ops.OpsReply)
        self._defective: set[str] = set()

    def reply(self, data: bytes) -> ops.OpsReply:
        """Return the reply to an encoded request: `ErrorReply` if malformed or refused. Raises journaling's errors."""
        try:
            request = self._requests.decode(data)
        except UNREADABLE as error:
            return ops.ErrorReply(error=_malformed(data, error), code=EXIT_USAGE)
        try:
            found = self.answer(request)
        except RequestRefused as error:
            return ops.ErrorReply(error=str(error), code=error.code)
        if isinstance(found, msgspec.Struct):
            return found  # type: ignore[return-value]
        return ops.JsonReply(body=msgspec.json.encode(found))

    def answer(self, request: ops.OpsRequest) -> Any:
        """Return a query's JSON-ready result, or journal a command and return its reply; raises `RequestRefused`."""
        self.context.clock.refresh()
        if not isinstance(request, ops.Command):
            return self._guarded(QUERIES[type(request)], request)
        digest = blake2b(encode_body(request), digest_size=16).hexdigest()
        if (known := self.context.control.find_request(request.request_id)) is not None:
            return self._again(known, digest, request)
        decided = self._guarded(COMMANDS[type(request)], request)
        taken = OperatorRequestTaken(
            request_id=request.request_id,
            verb=ops.verb_of(request),
            digest=digest,
            reply=encode_body(decided.reply),
            at_ns=self.context.clock.now(),
            by=request.by,
        )
        self._record((taken, *decided.rows))
        return decided.reply

    def _again(self, known: OperatorRequestTaken, digest: str, request: Any) -> Any:
        if known.digest == digest:
            return self._replies.decode(known.reply)
        raise RequestRefused(
            f"request id {known.request_id}: expected the {known.verb} of {known.by or 'nobody'} that it was used for, "
            f"found another request ({ops.verb_of(request)}); give each request an id of its own"
        )

    def _guarded(self, handle: Callable[[RequestContext, Any], Any], request: Any) -> Any:
        """The result of a handler; a defect in it is reported and refuses this request alone."""
        verb = ops.verb_of(request)
        name = getattr(request, "strategy", "")
        try:
            if name:
                request = msgspec.structs.replace(request, strategy=self.context.strategy(name))
            found = handle(self.context, request)
        except RequestRefused:
            raise
        except Exception as error:
            self._defective.add(verb)
            self._report(verb, error)
            what = f"{type(error).__name__}: {error}"
            text = f"{verb}: a defect in the gateway, nothing was done ({what}); see `mytrading logs gateway`"
            raise RequestRefused(text, EXIT_ERROR) from error
        if verb in self._defective:
            self._defective.discard(verb)
            self._report(verb, None)
        return found


def _malformed(data: bytes, error: Exception) -> str:
    try:
        found = msgspec.msgpack.decode(data)
    except UNREADABLE:
        return f"expected a request (a verb in `type` and its fields), found: {error}"
    if not isinstance(found, dict):
        return f"expected a request (a verb in `type` and its fields), found {type(found).__name__}"
    verb = found.get("type")
    if not isinstance(verb, str) or verb not in ops.VERBS:
        close = get_close_matches(verb, ops.VERBS, 1) if isinstance(verb, str) else []
        hint = f"; did you mean {close[0]}?" if close else ""
        return f"expected one of {', '.join(sorted(ops.VERBS))}; found {_shown(verb)}{hint}"
    text = str(error)
    if (field := _FIELD.search(text)) is None:
        return f"{verb}: {text[:1].lower()}{text[1:]}; found {', '.join(map(_shown, found))}"
    what = text[: field.start()].removeprefix("Expected ").replace("`", "").partition(", got ")[0]
    return f"{verb}: {field[1]}: expected {what}, found {_shown(found.get(field[1]))}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
