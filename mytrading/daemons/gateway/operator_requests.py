"""Commands of operators, as rows for the journal, and the state of those under way.

A request that cannot be right by what the gateway knows (an unknown id, name or instrument, a price off the tick) is
refused here; the router judges the rest, and answers in a row of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import msgspec
from msgspec.structs import replace

from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.core.gateway.leg_cover import why_close_bares
from mytrading.core.gateway.outcomes import result_of
from mytrading.core.gateway.row_versions import why_order_changed, why_position_changed
from mytrading.core.gateway.stop_prices import (
    KnownPrice,
    cost_of_today,
    instrument_by_name,
    limit_inside_band,
    why_claimed_stop_is_refused,
    why_stop_is_refused,
)
from mytrading.core.oms.operator_requests import new_terms, why_not_cancel, why_not_modify
from mytrading.core.oms.placing.modify import current_terms
from mytrading.core.orders.flat_order import flat_order_with_change
from mytrading.core.orders.slicing import Sizes
from mytrading.core.orders.state_machine import TERMINAL, describe_order
from mytrading.core.risk.runs.run import run_id_of
from mytrading.core.time import iso_day
from mytrading.daemons.gateway.book_queries import MANUAL, bared_legs, resting_entries
from mytrading.daemons.gateway.request_context import Decided, RequestContext, RequestRefused
from mytrading.messages import control, ops
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.enums import Product, Purpose, Side, TradingLevel
from mytrading.messages.instruments import Instrument
from mytrading.messages.journal_rows import AlertAcknowledged, ContractsAccepted
from mytrading.messages.order_evidence import OrderTerms
from mytrading.messages.orders import Order, Position
from mytrading.messages.run_config import ServerMode, VenueKind
from mytrading.runtime.host.clock import machine_now, run_written_wall_ns
from mytrading.runtime.journal.copies import copy_newest_file

STOP_LIMIT_BEYOND = 0.03
"""Default distance of the limit of a claim's stop beyond its trigger: three percent."""


def halt(ctx: RequestContext, request: ops.HaltCommand) -> Decided:
    """Return the row to journal that halts entries (`reduce`: all but closing) in one account or all, and the reply."""
    level = TradingLevel.REDUCE if request.reduce else TradingLevel.HALT
    reason = request.reason or f"{'reduced' if request.reduce else 'halted'} by hand"
    row = ctx.control.level_row(level, reason, ctx.clock.now(), ctx.account(request.account), request.by)
    return Decided((row,), ops.LevelSet(trading=row))


def resume(ctx: RequestContext, request: ops.ResumeCommand) -> Decided:
    """Return the rows to journal that set trading to normal and lift wrong-mode blocks, in one account or in all."""
    now, account = ctx.clock.now(), ctx.account(request.account)
    rows = ctx.control.resume_rows(request.reason or "resumed by hand", now, account, request.by)
    names = [account] if account else ctx.accounts()
    cleared = (control.ModeCleared(account=name, at_ns=now, by=request.by) for name in names)
    overall = ctx.control.overall_level().level if account else TradingLevel.NORMAL
    reply = ops.LevelSet(trading=rows[0], kill=ctx.kill_file_row(), overall=overall)
    return Decided((*rows, *cleared), reply)


def switch(ctx: RequestContext, request: ops.SwitchCommand) -> Decided:
    """Return the row to journal that switches one strategy's entries on or off; `RequestRefused` if it does not run."""
    name = ctx.running_strategy(request.strategy)
    reason = request.reason or f"switched {'on' if request.enabled else 'off'} by hand"
    row = ctx.control.switch_row(name, request.enabled, ctx.clock.now(), reason, request.by)
    return Decided((row,), ops.SwitchSet(switch=row))


def acknowledge(ctx: RequestContext, request: ops.AcknowledgeCommand) -> Decided:
    """Return the row to journal that somebody has seen an active alert; `RequestRefused` if none is active so."""
    alert = ctx.control.alerts.get((request.daemon, request.code, request.subject))
    if alert is None or alert.cleared:
        what = f"{request.code} {request.subject}".strip()
        raise RequestRefused(f"expected an active alert, found none {what} of {request.daemon}; it may have ended")
    row = AlertAcknowledged(
        daemon=alert.daemon, code=alert.code, subject=alert.subject, first_ns=alert.first_ns, severity=alert.severity,
        at_ns=ctx.clock.now(), by=request.by, reason=request.reason,
    )  # fmt: skip
    return Decided((row,), ops.AlertSeen(code=alert.code, subject=alert.subject))


def accept_contracts(ctx: RequestContext, request: ops.AcceptContractsCommand) -> Decided:
    """Return the row to journal that the server's contracts of an underlying are right against our table;
    `RequestRefused` if nothing of it can be accepted, or not what its author saw."""
    name, snapshot = request.name.upper(), InstrumentFile(ctx.config.state).snapshot()
    mine = [refusal for refusal in snapshot.refusals if refusal.subject == name]
    keys = tuple(dict.fromkeys(refusal.key for refusal in mine if refusal.key))
    others = tuple(refusal.reason for refusal in mine if not refusal.key)
    if not keys:
        why = "; ".join(others) or "its contracts are in order, or are not loaded"
        raise RequestRefused(f"nothing of {name} can be accepted: {why}; see `mytrading instruments show`")
    if request.expected and set(request.expected) != set(keys):
        seen, now = "; ".join(request.expected), "; ".join(keys)
        raise RequestRefused(f"expected {seen} of {name}, found {now}; the list has changed, look again")
    known = ctx.control.contracts.get(name)
    row = ContractsAccepted(
        name=name, keys=tuple(dict.fromkeys((*(known.keys if known is not None else ()), *keys))),
        at_ns=ctx.clock.now(), by=request.by, reason=request.reason,
    )  # fmt: skip
    return Decided((row,), ops.ContractsTaken(name=name, keys=keys, refused=others))


def accept_history(ctx: RequestContext, request: ops.HistoryAcceptCommand) -> Decided:
    """Return the row to journal that accepts holes in an instrument's past bars for today; `RequestRefused` if no
    strategy watches it."""
    watched = {symbol for run in ctx.config.strategies for symbol in run.symbols}
    if request.instrument not in watched:
        close = get_close_matches(request.instrument, watched, 3)
        known = ", ".join(close or sorted(watched)[:8]) or "none"
        raise RequestRefused(f"expected an instrument that a strategy watches ({known}), found {request.instrument}")
    now = ctx.clock.now()
    row = control.HistoryAccepted(
        instrument=request.instrument, day=iso_day(now), at_ns=now, reason=request.reason, by=request.by
    )
    return Decided((row,), ops.HistoryAcceptTaken(instrument=row.instrument, day=row.day))


def withdraw(ctx: RequestContext, request: ops.WithdrawCommand) -> Decided:
    """Return the row to journal that cancels all resting entries; `stopping`: this run makes no more of them."""
    row = control.WithdrawRequested(
        id=f"withdraw-{request.request_id}", reason=request.reason or "withdrawn by hand", at_ns=ctx.clock.now(),
        by=request.by, stops_run_ns=run_written_wall_ns(ctx.config) if request.stopping else 0,
    )  # fmt: skip
    return Decided((row,), ops.EntriesWithdrawn(request=row, entries=resting_entries(ctx)))


def paper_order(ctx: RequestContext, request: ops.PaperOrderCommand) -> Decided:
    """Return the row to journal that places `doctor`'s test order (MIS; quantity 0 withdraws it); paper venues only."""
    venue = ctx.config.venue
    if venue.expected_mode is not ServerMode.ANALYZE or venue.kind is not VenueKind.OPENALGO:
        raise RequestRefused("probe: expected a paper venue, found a live or dry one; trial orders are paper only")
    row = control.ProbeRequested(
        id=request.id, account=venue.account, instrument=request.instrument, at_ns=ctx.clock.now(),
        quantity=request.quantity, price=request.price, withdraw=not request.quantity, by=request.by,
    )  # fmt: skip
    return Decided((row,), ops.PaperOrderTaken(request=row))


def cancel(ctx: RequestContext, request: ops.CancelCommand) -> Decided:
    """Return the row to journal that cancels a live order; a stop or an exit only with `force` and a `reason`."""
    order = _order_seen(ctx, request)
    if why := why_not_cancel(order, ctx.why_never_sent(order), forced=bool(request.force and request.reason)):
        raise RequestRefused(f"order {order.client_order_id}: {why}")
    row = control.CancelRequested(
        id=f"cancel-{request.request_id}", order=order.client_order_id, at_ns=ctx.clock.now(), reason=request.reason,
        force=request.force, by=request.by,
    )  # fmt: skip
    return Decided((row,), ops.OrderRequestTaken(request=row.id, order=row.order))


def modify(ctx: RequestContext, request: ops.ModifyCommand) -> Decided:
    """Return the row to journal that changes an order's price, trigger or quantity; `RequestRefused` if it cannot. A
    stop is loosened only with `force` and a `reason`."""
    order = _order_seen(ctx, request)
    terms, level = new_terms(order, request.price, request.trigger, request.quantity), ctx.view.protection_of(order)
    withdraws = terms == current_terms(order)
    why = why_not_modify(order, terms, level) or ("" if withdraws else ctx.why_never_sent(order))
    why = why or _off_grid(ctx, order, terms) or _beyond_price(ctx, order, terms)
    if why := why or why_not_modify(order, terms, level, forced=bool(request.force and request.reason)):
        raise RequestRefused(f"order {order.client_order_id}: {why}")
    row = control.ModifyRequested(
        id=f"modify-{request.request_id}", order=order.client_order_id, at_ns=ctx.clock.now(), price=request.price,
        trigger_price=request.trigger, quantity=request.quantity, reason=request.reason, force=request.force,
        by=request.by,
    )  # fmt: skip
    return Decided((row,), ops.OrderRequestTaken(request=row.id, order=row.order))


def resolve(ctx: RequestContext, request: ops.ResolveCommand) -> Decided:
    """Return the row to journal that ends doubt about an order: placed as `broker_order`, or `not_placed`."""
    order = _order_seen(ctx, request)
    if bool(request.broker_order) == request.not_placed:
        raise RequestRefused("expected either --broker-order ID or --not-placed")
    row = control.ResolveRequested(
        id=f"resolve-{request.request_id}", order=order.client_order_id, at_ns=ctx.clock.now(),
        broker_order_id=request.broker_order, force=request.force, reason=request.reason, by=request.by,
    )  # fmt: skip
    return Decided((row,), ops.OrderRequestTaken(request=row.id, order=row.order))


def order_request(ctx: RequestContext, request: ops.OrderRequestQuery) -> ops.OrderRequestResult:
    """Return how far the cancel or modify with id `request.request` of an order has come, with the order's row."""
    order = _order_named(ctx, request.order)
    known, answer = ctx.view.orders.values(), ctx.view.answers.get(request.request)
    result = result_of(
        order, known, request.request, cancel=request.cancel, answer=answer, level=ctx.view.protection_of(order),
        held=ctx.why_never_sent(order) if request.cancel else ctx.why_held(order),
    )  # fmt: skip
    shown = ctx.view.orders.get(result.order, order)
    return ops.OrderRequestResult(**result._asdict(), request=request.request, level=flat_order_with_change(shown))


def answer(ctx: RequestContext, request: ops.AnswerQuery) -> ops.RequestAnswer:
    """Return the router's answer to the request of this id; `answered` is False while there is none."""
    if (found := ctx.view.answers.get(request.id)) is None:
        return ops.RequestAnswer(answered=False)
    return ops.RequestAnswer(answered=True, ok=found.ok, message=found.message, plan=found.plan)


def _order_seen(ctx: RequestContext, request: ops.CancelCommand | ops.ModifyCommand | ops.ResolveCommand) -> Order:
    """The order of a command, if it still is as the command's author saw it; else raises `RequestRefused`."""
    order = _order_named(ctx, request.order)
    if moved := why_order_changed(request.expected, order):
        raise RequestRefused(moved)
    return order


def _order_named(ctx: RequestContext, name: str) -> Order:
    """The order of this id, ours or the broker's, or the one whose id begins so; raises `RequestRefused`."""
    orders = ctx.view.orders
    if name in orders:
        return orders[name]
    of_broker = [order for order in orders.values() if name and order.broker_order_id == name]
    begun = [order for key, order in orders.items() if len(name) >= ops.SHORTEST_ID and key.startswith(name)]
    if len(of_broker or begun) == 1:
        return (of_broker or begun)[0]
    close = get_close_matches(name, orders, 1)
    hint = f"did you mean {close[0]}?" if close else "`mytrading orders` shows them"
    raise RequestRefused(f"expected the id of an order, found {name!r}; {hint}")


def _off_grid(ctx: RequestContext, order: Order, terms: OrderTerms) -> str:
    """Return why lots and ticks forbid the change; empty if they do not, or the contract is not listed today."""
    instrument = InstrumentFile(ctx.config.state).book().get(order.instrument)
    if instrument is None:
        return ""
    prices = (("trigger", terms.trigger_price, order.trigger_price), ("price", terms.price, order.price))
    for name, value, before in prices:
        if value != before and (why := _off_tick(name, value, instrument)):
            return why
    quantity, lot, symbol = terms.quantity, instrument.lot_size, instrument.symbol
    if quantity == order.quantity or quantity % lot == 0:
        return ""
    fits = max(quantity // lot, 1) * lot
    return f"quantity must be whole lots: {quantity} is no multiple of lot size {lot} ({symbol}); use {fits}"


def _off_tick(name: str, price: float, instrument: Instrument) -> str:
    tick = instrument.tick_size
    if abs((near := round(price / tick) * tick) - price) < tick * 1e-3:
        return ""
    return f"{name} must be on the tick {tick:g}: {price:g} is not ({instrument.symbol}); use {round(near, 4):g}"


def _beyond_price(ctx: RequestContext, order: Order, terms: OrderTerms) -> str:
    """Return why a stop cannot be moved to its new prices; empty for other orders."""
    if order.purpose is not Purpose.STOP:
        return ""
    held = ctx.view.positions.get(order.owner)
    known = _known_price(ctx, order.instrument, order.product, held.average_price if held is not None else 0.0)
    return why_stop_is_refused(order, terms, _instrument(ctx, order.instrument), known)


def _known_price(ctx: RequestContext, instrument: str, product: Product, average_price: float) -> KnownPrice:
    return KnownPrice(
        ctx.view.quotes.get(instrument), ctx.clock.now(), machine_now(), ctx.config.risk.stale_quote_seconds,
        cost_of_today(product, average_price),
    )  # fmt: skip


def claim(ctx: RequestContext, request: ops.ClaimCommand) -> Decided:
    """Return the row to journal that gives units without an owner to a strategy, or to `manual` to be closed."""
    found = _unmanaged_named(ctx, request)
    if moved := why_position_changed(request.expected, found):
        raise RequestRefused(moved)
    strategy = ctx.running_strategy(request.strategy, MANUAL)
    sizes = _sizes(ctx, (found.instrument,)).get(found.instrument, Sizes(0, 0))
    price, quote = request.price, ctx.view.quotes.get(found.instrument)
    stop_limit = _claimed_stop_limit(ctx, found, request) if request.stop else 0.0
    if not price and strategy == MANUAL and quote is not None and not found.average_price:
        price = quote.ltp  # claimed only to be closed, at an unknown cost: no limit goes by it
    row = control.ClaimRequested(
        id=f"claim-{request.request_id}", account=found.account, instrument=found.instrument, product=found.product,
        strategy=strategy, at_ns=ctx.clock.now(), quantity=request.quantity, price=price, stop=request.stop,
        stop_limit=stop_limit, reason=request.reason, lot=sizes.lot, freeze=sizes.freeze, to_close=request.to_close,
        by=request.by, preview=request.preview, plan=request.plan,
    )  # fmt: skip
    copy = journal_copy(ctx, request)
    return Decided((row,), ops.ClaimTaken(request=row.id, account=row.account, product=row.product, copy=copy))


def _instrument(ctx: RequestContext, name: str) -> Instrument:
    return InstrumentFile(ctx.config.state).book().get(name) or instrument_by_name(name)


def _claimed_stop_limit(ctx: RequestContext, found: UnmanagedChanged, request: ops.ClaimCommand) -> float:
    """Return the limit of a claim's stop, by default beyond the trigger where the stop fills; raises `RequestRefused`
    if such a stop would be refused or trigger at once, so that the claimed units would be closed."""
    side, instrument = Side.SELL if found.quantity > 0 else Side.BUY, _instrument(ctx, found.instrument)
    known = _known_price(ctx, found.instrument, found.product, found.average_price)
    why = why_claimed_stop_is_refused(side, request.stop, request.stop_limit, instrument, known)
    why = why or _off_tick("stop", request.stop, instrument) or _off_tick("stop limit", request.stop_limit, instrument)
    if why:
        raise RequestRefused(f"{found.instrument}: {why}")
    beyond = request.stop * (1 + side.sign * STOP_LIMIT_BEYOND)
    return request.stop_limit or limit_inside_band(beyond, instrument, known)


def _unmanaged_named(ctx: RequestContext, request: ops.ClaimCommand) -> UnmanagedChanged:
    name = request.instrument
    rows = [row for row in ctx.view.unmanaged.values() if row.quantity]
    fits = [
        row
        for row in rows
        if row.instrument == name and request.account in ("", row.account) and request.product in (None, row.product)
    ]
    if len(fits) == 1:
        return fits[0]
    if fits:
        places = ", ".join(f"{row.account} {row.product}" for row in fits)
        raise RequestRefused(f"{name} is unmanaged in several places ({places}): add --account or --product")
    held = ", ".join(sorted(row.instrument for row in rows)) or "nothing"
    raise RequestRefused(f"expected an instrument with unmanaged units ({held}), found {name!r}")


def journal_copy(
    ctx: RequestContext, request: ops.ClaimCommand | ops.SettleCommand | ops.AdjustCommand | ops.RebuildCommand
) -> str:
    """Copy the router's journal as it is before a request settles something; the copy's path, empty for a preview.

    Raises `RequestRefused` if it cannot be written: what an operator overrules must be found again."""
    if request.preview:
        return ""
    try:
        path = copy_newest_file(ctx.config.journal_dir("router"), request.request_id)
    except OSError as error:
        what = f"the router's journal cannot be copied first ({error.strerror or error})"
        raise RequestRefused(f"{what}: nothing was done; free some space, then repeat", 1) from error
    return str(path) if path is not None else ""


def close(ctx: RequestContext, request: ops.CloseCommand) -> Decided:
    """Return the row to journal that closes one strategy's position in one instrument; one that covers a sold leg of
    its strategy only with `force` and a `reason`."""
    held = position_named(ctx, request)
    if moved := why_position_changed(request.expected, held):
        raise RequestRefused(moved)
    if not (request.force and request.reason) and (why := why_close_bares(ctx.view, held, bared_legs(ctx, held))):
        raise RequestRefused(why)
    reason = request.reason or "closed by hand"
    row = _flatten_row(ctx, request, held.account, reason, held.strategy, held.instrument, held.product)
    row = replace(row, force=request.force)
    return Decided((row,), ops.FlattenTaken(flatten=(row.id,), strategy=held.strategy, account=held.account))


def position_named(ctx: RequestContext, request: ops.CloseCommand | ops.SettleCommand | ops.AdjustCommand) -> Position:
    """Return the position that a command names; raises `RequestRefused` if it names none, or several."""
    name, held = request.instrument, ctx.view.open_positions()
    claimed = isinstance(request, ops.CloseCommand) and request.claimed
    among = ctx.view.positions.values() if claimed else held
    fits = [
        position
        for position in among
        if position.instrument == name
        and request.account in ("", position.account)
        and request.product in (None, position.product)
        and request.strategy in ("", position.strategy)
    ]
    if len(fits) == 1:
        return fits[0]
    if fits:
        owners = ", ".join(f"{p.strategy} {p.account} {p.product}" for p in fits)
        raise RequestRefused(f"several hold {name} ({owners}): add --strategy, --account or --product")
    names = ", ".join(sorted({p.instrument for p in held})) or "nothing"
    unmanaged = any(row.quantity and row.instrument == name for row in ctx.view.unmanaged.values())
    more = "; its unmanaged units need --unmanaged" if unmanaged else ""
    raise RequestRefused(f"expected an instrument that is held ({names}), found {name!r}{more}")


def close_run(ctx: RequestContext, request: ops.CloseRunCommand) -> Decided:
    """Return the rows to journal that close all that a strategy holds, if the named run is what it holds now."""
    held = ctx.view.open_positions()
    owners = {row.run: row.strategy for row in (ctx.view.risk.runs if ctx.view.risk is not None else ())}
    owners |= {run_id_of(position): position.strategy for position in held}
    holding = {position.strategy for position in held}
    runs = {run: strategy for run, strategy in owners.items() if strategy in holding}
    found = [run for run in runs if run == request.run] or [run for run in runs if run.startswith(request.run)]
    if len({runs[run] for run in found}) != 1:
        known = ", ".join(f"{run} of {strategy}" for run, strategy in sorted(runs.items())) or "none"
        what = f"expected a run that holds something ({known}), found {request.run!r}: nothing was done"
        raise RequestRefused(f"MOVED: {what}")
    strategy, reason = runs[found[0]], request.reason or "run closed by hand"
    accounts = sorted({position.account for position in held if position.strategy == strategy})
    rows = [_flatten_row(ctx, request, account, reason, strategy) for account in accounts]
    return Decided(tuple(rows), ops.FlattenTaken(flatten=tuple(row.id for row in rows), strategy=strategy))


def flatten(ctx: RequestContext, request: ops.FlattenCommand) -> Decided:
    """Return the rows to journal that halt entries and close all positions of all accounts, one, or one strategy."""
    strategy, account = request.strategy, ctx.account(request.account)
    owners = {run.name for run in ctx.runs} | {p.strategy for p in ctx.view.open_positions()}
    if strategy and strategy not in owners:
        raise RequestRefused(f"expected an owner ({', '.join(sorted(owners)) or 'none'}), found {strategy!r}")
    reason = request.reason or "flatten by hand"
    halted: msgspec.Struct = (
        ctx.control.switch_row(strategy, False, ctx.clock.now(), reason, request.by)
        if strategy
        else ctx.control.level_row(TradingLevel.HALT, reason, ctx.clock.now(), account, request.by)
    )
    rows = [_flatten_row(ctx, request, name, reason, strategy) for name in ([account] if account else ctx.accounts())]
    beyond, ids = _beyond_reach(ctx, strategy), tuple(row.id for row in rows)
    reply = ops.FlattenTaken(flatten=ids, beside=beyond) if account else ops.FlattenTaken(flatten=ids, absent=beyond)
    return Decided((halted, *rows), reply)


def _beyond_reach(ctx: RequestContext, strategy: str) -> tuple[str, ...]:
    """What is held or live in accounts that are not in this run, as texts."""
    here = ctx.accounts()
    found = [
        (one.account, one.strategy, f"{one.strategy} holds {one.quantity or one.quantity_seen} of {one.instrument}")
        for one in ctx.view.open_positions()
    ]
    live = (one for one in ctx.view.orders.values() if one.state not in TERMINAL)
    found += [(one.account, one.strategy, describe_order(one)) for one in live]
    return tuple(
        f"{account}: {text}; account {account} is not in this run"
        for account, owner, text in found
        if account not in here and strategy in ("", owner)
    )


def _flatten_row(
    ctx: RequestContext,
    request: ops.FlattenCommand | ops.CloseCommand | ops.CloseRunCommand,
    account: str,
    reason: str,
    strategy: str = "",
    instrument: str = "",
    product: Product | None = None,
) -> control.FlattenRequested:
    held = sorted({found.instrument for found in ctx.view.open_positions() if found.account == account})
    return control.FlattenRequested(
        id=f"{control.FLATTEN}{request.request_id}-{account}", account=account, at_ns=ctx.clock.now(),
        deadline_machine_ns=machine_now() + int(request.deadline * 1e9), reason=reason, strategy=strategy,
        instrument=instrument, product=product, by=request.by,
        sizes={name: (sizes.lot, sizes.freeze) for name, sizes in _sizes(ctx, held).items()},
    )  # fmt: skip


def _sizes(ctx: RequestContext, names: Iterable[str]) -> dict[str, Sizes]:
    """Today's lot and freeze quantity of these instruments, as far as they are listed: exits are sliced by them."""
    book = InstrumentFile(ctx.config.state).book()
    found = {name: book.get(name) for name in names}
    return {name: Sizes(each.lot_size, each.freeze_qty) for name, each in found.items() if each is not None}


def flattens(ctx: RequestContext, request: ops.FlattensQuery) -> list[dict[str, Any]]:
    """Return JSON rows on the flattens `ids`, else all unfinished ones: progress and what is left to close."""
    open_ids = (name for name, flatten in ctx.view.flattens.items() if flatten.state != "done")
    return [_flatten_progress(ctx, name) for name in request.ids or open_ids]


def _flatten_progress(ctx: RequestContext, name: str) -> dict[str, Any]:
    if (flatten := ctx.view.flattens.get(name)) is None:
        return {"id": name, "state": "sent", "flat": False, "left": ["the router has not taken it up yet"]}

    def covers(thing: Order | Position) -> bool:
        return (
            thing.account == flatten.account
            and flatten.instrument in ("", thing.instrument)
            and flatten.strategy in ("", thing.strategy)
            and flatten.product in (None, thing.product)
        )

    left = [] if flatten.read_machine_ns else ["a read of the books is awaited; stops stay meanwhile"]
    held = (position for position in ctx.view.open_positions() if covers(position))
    left += [f"{row.strategy} holds {row.quantity or row.quantity_seen} of {row.instrument}" for row in held]
    left += [describe_order(o) for o in ctx.view.orders.values() if o.state not in TERMINAL and covers(o)]
    done = flatten.state == "done"
    return {
        **msgspec.to_builtins(flatten),
        "state": flatten.state,
        "flat": done,
        "left": [] if done else left or [f"{flatten.proofs} of 2 reads show it flat"],
        "unmanaged": [  # which a flatten leaves as they are
            f"{row.quantity} of {row.instrument} {row.product}"
            for row in ctx.view.unmanaged.values()
            if row.quantity and row.account == flatten.account and flatten.instrument in ("", row.instrument)
        ],
        "seconds_left": round((flatten.deadline_machine_ns - machine_now()) / 1e9, 1),
    }
