"""Commands that settle the ledger by hand, as rows for the journal: the router plans them, shows the plan, does it.

A command that is to be done needs a reason, and the router's journal is copied before it is taken.
"""

from __future__ import annotations

from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.daemons.gateway.operator_requests import journal_copy, position_named
from mytrading.daemons.gateway.request_context import Decided, RequestContext, RequestRefused
from mytrading.messages import ops
from mytrading.messages.enums import TradingLevel
from mytrading.messages.settlements import AdjustRequested, RebuildRequested, SettleRequested

COMMON_TICK = 0.05
"""Rupees; of shares that are not listed today."""


def _need_reason(request: ops.SettleCommand | ops.AdjustCommand | ops.RebuildCommand) -> None:
    if not (request.reason or request.preview):
        raise RequestRefused(
            f"{ops.verb_of(request)}: expected a reason, which stays in the journal; add --reason TEXT"
        )


def settle(ctx: RequestContext, request: ops.SettleCommand) -> Decided:
    """Return the row to journal that books what a strategy carried as gone; `RequestRefused` if it holds nothing."""
    _need_reason(request)
    held = position_named(ctx, request)
    row = SettleRequested(
        **held.owner._asdict(), id=f"settle-{request.request_id}", at_ns=ctx.clock.now(), price=request.price,
        reason=request.reason, by=request.by, preview=request.preview, plan=request.plan,
    )  # fmt: skip
    copy = journal_copy(ctx, request)
    return Decided((row,), ops.SettlementTaken(request=row.id, account=row.account, copy=copy))


def adjust(ctx: RequestContext, request: ops.AdjustCommand) -> Decided:
    """Return the row to journal that books a corporate action; `RequestRefused` if the strategy holds nothing."""
    _need_reason(request)
    held = position_named(ctx, request)
    listed = InstrumentFile(ctx.config.state).book().get(held.instrument)
    row = AdjustRequested(
        **held.owner._asdict(), id=f"adjust-{request.request_id}", at_ns=ctx.clock.now(), new=request.new,
        old=request.old, units=request.units, tick=listed.tick_size if listed is not None else COMMON_TICK,
        reason=request.reason, by=request.by, preview=request.preview, plan=request.plan,
    )  # fmt: skip
    copy = journal_copy(ctx, request)
    return Decided((row,), ops.SettlementTaken(request=row.id, account=row.account, copy=copy))


def rebuild(ctx: RequestContext, request: ops.RebuildCommand) -> Decided:
    """Return the rows to journal that halt an account's entries and rebuild its ledger from the broker's books; of a
    preview the one that asks for the plan."""
    _need_reason(request)
    account, served = ctx.account(request.account), ctx.accounts()
    if not account and len(served) != 1:
        raise RequestRefused(f"rebuild_ledger: expected --account with one of {', '.join(served)}, found none")
    account = account or served[0]
    row = RebuildRequested(
        id=f"rebuild-{request.request_id}", account=account, at_ns=ctx.clock.now(), reason=request.reason,
        by=request.by, preview=request.preview, plan=request.plan,
    )  # fmt: skip
    copy = journal_copy(ctx, request)
    reply = ops.SettlementTaken(request=row.id, account=account, copy=copy)
    if request.preview:
        return Decided((row,), reply)
    why = f"the ledger is rebuilt from the broker's books: {request.reason}"
    return Decided((ctx.control.level_row(TradingLevel.HALT, why, ctx.clock.now(), account, request.by), row), reply)
