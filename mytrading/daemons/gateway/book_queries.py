"""Views of the books: orders, positions, trades and signals, of the stack and of one strategy over all accounts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec

from mytrading.core.accounting.pnl import unrealised
from mytrading.core.gateway.leg_cover import legs_bared_by_close, owner_units
from mytrading.core.gateway.leg_reentries import leg_reentries
from mytrading.core.gateway.next_step import next_step
from mytrading.core.gateway.outcomes import denial_text, outcome_of_all, outcomes, why_change_waits
from mytrading.core.gateway.row_versions import order_version, position_version
from mytrading.core.gateway.stop_prices import instrument_by_name
from mytrading.core.oms.operator_requests import pending_terms
from mytrading.core.orders.flat_order import flat_order_with_change
from mytrading.core.orders.parent_orders import group_slices
from mytrading.core.orders.state_machine import LIVE, PROVEN, is_live
from mytrading.core.reconciler.book_confidence import account_confidence, least_confidence
from mytrading.core.time import hhmm
from mytrading.daemons.gateway.request_context import RequestContext, unknown_name
from mytrading.messages import ops
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.commands import SignalDenied, SignalExpired
from mytrading.messages.control import KILL
from mytrading.messages.enums import Confidence, LimitAction, Purpose, TradingLevel
from mytrading.messages.level_names import bare_figure_name, hedge_figure_name, stop_level_name
from mytrading.messages.orders import Order, Position
from mytrading.messages.run_config import StrategyRun
from mytrading.messages.signals import Signal, SignalVetoed
from mytrading.runtime.host.clock import machine_now

MANUAL = "manual"
"""The owner of units that are claimed only to be closed."""
UNMANAGED = "(unmanaged)"
"""In place of a strategy: units that the broker holds and no strategy owns."""

Row = TypeVar("Row")


def newest(rows: list[Row], limit: int) -> list[Row]:
    """Return the last `limit` rows; all if it is 0."""
    return rows[-limit:] if limit else rows


def order_row(ctx: RequestContext, order: Order) -> dict[str, Any]:
    """Return an order as a JSON row with fills, average price and message; `waits`: its pending change, if any."""
    level = ctx.view.protection_of(order)
    pending = pending_terms(order, level) is not None and (is_live(order) or order.purpose is Purpose.STOP)
    waits = why_change_waits(order, level, ctx.why_held(order)) if pending else ""
    return {
        **flat_order_with_change(order),
        "version": order_version(order),
        "filled": order.filled,
        "average_price": order.average_price,
        "message": order.message,
        **({"waits": waits} if waits else {}),
    }


def orders(ctx: RequestContext, request: ops.OrdersQuery) -> list[dict[str, Any]]:
    """Return JSON rows of orders (`live`: only live ones), oldest first; a sliced one holds its `slices`."""
    rows = group_slices(sorted(ctx.view.orders.values(), key=lambda order: order.created_ns))
    if request.live:
        rows = [row for row in rows if any(order.state in LIVE for order in row[1] or row[:1])]
    return [order_group_row(ctx, parent, slices) for parent, slices in newest(rows, request.limit)]


def order_group_row(ctx: RequestContext, parent: Order, slices: Iterable[Order]) -> dict[str, Any]:
    """Return the JSON row of an order with the reason of an exit, and with its `slices` if it is sliced."""
    reason, parts = ctx.view.exit_reasons.get(parent.client_order_id), [order_row(ctx, part) for part in slices]
    return {**order_row(ctx, parent), **({"reason": reason} if reason else {}), **({"slices": parts} if parts else {})}


def resting(ctx: RequestContext, _: ops.RestingQuery) -> dict[str, Any]:
    """Return JSON rows of `entries`, orders that may still fill, of `stops` that rest at the broker, and of
    `engine_stops`, which end with the stack."""
    stops = [order_row(ctx, order) for order in ctx.view.stop_orders()]
    return {"entries": resting_entries(ctx), "stops": stops, "engine_stops": engine_stops(ctx)}


def engine_stops(ctx: RequestContext) -> list[dict[str, Any]]:
    """Return JSON rows of the positions whose stop no broker holds: risk closes them at `stop` while the stack runs."""
    found = ((position, _stop(ctx, position)) for position in ctx.view.open_positions())
    return [
        {
            "account": position.account, "strategy": position.strategy, "instrument": position.instrument,
            "product": position.product.value, "quantity": position.quantity, "stop": shown["stop"],
        }
        for position, shown in found
        if shown["stop_state"] == "engine"
    ]  # fmt: skip


def resting_entries(ctx: RequestContext) -> list[dict[str, Any]]:
    """Return JSON rows of the entry orders that may still fill."""
    rows = (order for order in ctx.view.orders.values() if order.state in LIVE and not order.purpose.reduces)
    return [order_row(ctx, order) for order in rows]


def positions(ctx: RequestContext, request: ops.PositionsQuery) -> list[dict[str, Any]]:
    """Return JSON rows of open positions (`all`: flat ones too) by owner, then of units that no strategy owns."""
    held = ctx.view.positions.values() if request.all else ctx.view.open_positions()
    rows = [_position(ctx, position) for position in held]
    return rows + [_unmanaged(ctx, row) for row in ctx.view.unmanaged.values() if row.quantity]


def bared_legs(ctx: RequestContext, position: Position) -> dict[str, int]:
    """Return the sold legs, with units, that a close of this position would leave without cover."""
    if max(position.quantity, position.quantity_seen) <= 0:
        return {}
    names = owner_units(ctx.view, position.account, position.strategy)
    if all(size >= 0 for size in names.values()):
        return {}
    contracts = {name: instrument_by_name(name) for name in (*names, position.instrument)}
    return legs_bared_by_close(ctx.view, position, contracts)


def _unmanaged(ctx: RequestContext, row: UnmanagedChanged) -> dict[str, Any]:
    agreed = Confidence.DISPUTED if row.net in ctx.view.mismatches else Confidence.CONFIRMED
    since_ns = row.since_ns or row.at_ns
    quote, open_profit = ctx.view.quotes.get(row.instrument), None
    if quote is not None and row.average_price:
        open_profit = round(unrealised(row.quantity, row.average_price, quote), 2)
    return {
        "account": row.account,
        "version": position_version(row),
        "instrument": row.instrument,
        "product": row.product.value,
        "strategy": UNMANAGED,
        "quantity": row.quantity,
        "average_price": row.average_price or None,
        "ltp": quote.ltp if quote else None,
        "unrealised": open_profit,
        "confidence": least_confidence(
            [agreed, account_confidence(ctx.view.health.get(row.account), machine_now())]
        ).value,
        "since_ns": since_ns,
        "age_s": round((ctx.clock.now() - since_ns) / 1e9),
    }


def _position(ctx: RequestContext, position: Position) -> dict[str, Any]:
    quote = ctx.view.quotes.get(position.instrument)
    health = ctx.view.health.get(position.account)
    open_profit = ctx.view.unrealised_of(position)
    return {
        **msgspec.to_builtins(position),
        "version": position_version(position),
        "quantity": position.quantity,
        "average_price": round(position.average_price, 4),
        "realised": round(position.realised, 2),
        "ltp": quote.ltp if quote else None,
        "unrealised": None if open_profit is None else round(open_profit, 2),
        "since_ns": position.opened_ns,
        "age_s": round((ctx.clock.now() - position.opened_ns) / 1e9) if position.opened_ns else None,
        "confidence": least_confidence([position.confidence, account_confidence(health, machine_now())]).value,
        "covers": bared_legs(ctx, position),
        "bare": _bare_units(ctx, position),
        **_stop(ctx, position),
    }


def _bare_units(ctx: RequestContext, position: Position) -> int:
    """Units of a sold leg that have lost the cover they had, as risk reports it; 0 while they are being closed."""
    beat = ctx.view.beats.get("risk")
    return int(beat.figures.get(bare_figure_name(position.owner), 0.0)) if beat is not None else 0


def _stop(ctx: RequestContext, position: Position) -> dict[str, Any]:
    """The stop of a position. Its state is `engine` where risk holds the level itself, `hedge` where the position only
    hedges a sold one, and `unknown` before the first heartbeat of risk."""
    shown = ctx.view.stop_of(position)
    beat = ctx.view.beats.get("risk")
    if beat is None and shown["stop_state"] == "none" and (position.quantity or position.quantity_seen):
        return {**shown, "stop_state": "unknown"}
    if beat is None or shown["stop"] is not None or shown["stop_state"] == "closing":
        return shown
    key = position.owner
    if level := beat.figures.get(stop_level_name(key)):
        return {**shown, "stop": level, "stop_state": "engine"}
    return {**shown, "stop_state": "hedge"} if beat.figures.get(hedge_figure_name(key)) else shown


def trades(ctx: RequestContext, request: ops.TradesQuery) -> list[dict[str, Any]]:
    """Return JSON rows of the closed trades, oldest first, the last `limit`."""
    return [msgspec.to_builtins(trade) for trade in newest(list(ctx.view.trades), request.limit)]


def signals(ctx: RequestContext, request: ops.SignalsQuery) -> list[dict[str, Any]]:
    """Return JSON rows of signals, vetoed ones too, oldest first, with their result in each account."""
    rows: list[Signal | SignalVetoed] = [*ctx.view.signals, *ctx.view.held_back]
    rows.sort(key=lambda row: row.at_ns if isinstance(row, SignalVetoed) else row.created_ns)
    made = signal_rows(ctx)
    return [made(row) for row in newest(rows, request.limit)]


def signal_rows(ctx: RequestContext) -> Callable[[Signal | SignalVetoed], dict[str, Any]]:
    """Return what makes the JSON row of a signal, with its result in each account."""
    denials: dict[str, list[SignalDenied | SignalExpired]] = {}
    for denial in ctx.view.denials:
        denials.setdefault(denial.signal, []).append(denial)
    by_cause: dict[str, list[Order]] = {}
    for order in ctx.view.orders.values():
        by_cause.setdefault(order.cause, []).append(order)

    def made(row: Signal | SignalVetoed) -> dict[str, Any]:
        if isinstance(row, SignalVetoed):
            return _vetoed(row)
        return _signal(ctx, row, by_cause.get(row.id, []), denials.get(row.id, []))

    return made


def _signal(
    ctx: RequestContext, signal: Signal, orders: list[Order], denials: list[SignalDenied | SignalExpired]
) -> dict[str, Any]:
    run = ctx.run(signal.strategy)
    accounts = run.accounts if run is not None and run.accounts else (signal.account,)
    found = outcomes(signal, orders, denials, [name for name in accounts if name])
    return {
        **msgspec.to_builtins(signal),
        "denied": [denial_text(denial) for denial in denials],
        "result": outcome_of_all(found),
        "accounts": [row._asdict() for row in found],
    }


def _vetoed(row: SignalVetoed) -> dict[str, Any]:
    return {
        "id": row.signal,
        "strategy": row.strategy,
        "watch": row.watch,
        "action": row.action.value,
        "created_ns": row.at_ns,
        "denied": [f"RULE {row.rule}: {row.message}" if row.rule else f"{row.code or 'LATE'}: {row.message}"],
        "result": "denied",
        "accounts": [],
    }


def strategies(ctx: RequestContext, _: ops.StrategiesQuery) -> list[dict[str, Any]]:
    """Return a JSON row per strategy of this run, and per owner of an open position that does not run (GONE): state,
    parameters, open positions, profit in rupees."""
    names = {run.name for run in ctx.runs} | {MANUAL}
    held = (row.strategy for row in ctx.view.positions.values() if row.quantity or row.quantity_seen)
    owners = sorted({name for name in held if name and name not in names})
    return [_strategy_row(ctx, run.name, run) for run in ctx.runs] + [_strategy_row(ctx, name, None) for name in owners]


def strategy(ctx: RequestContext, request: ops.StrategyQuery) -> dict[str, Any]:
    """Return one strategy's JSON row with orders, trades and positions, running or not; `RequestRefused` if unknown."""
    name, known = request.strategy, ctx.strategies()
    if name not in known:
        raise unknown_name("a strategy that runs or has traded", name, known)
    mine = sorted((o for o in ctx.view.orders.values() if o.strategy == name), key=lambda order: order.created_ns)
    held = [row for row in ctx.view.positions.values() if row.strategy == name]
    run = ctx.run(name)
    accounts = [*(run.accounts if run is not None else ()), *(row.account for row in held)]
    accounts += [order.account for order in mine]
    closed = [msgspec.to_builtins(trade) for trade in ctx.view.trades if trade.strategy == name]
    return {
        **_strategy_row(ctx, name, run),
        "accounts": [_account_row(ctx, account, held, mine) for account in dict.fromkeys(accounts)],
        "positions": [_position(ctx, row) for row in held],
        "orders": [order_row(ctx, order) for order in newest(mine, request.limit)],
        "live": [order_row(ctx, order) for order in mine if order.state not in PROVEN and not order.purpose.reduces],
        "trades": newest(closed, request.limit),
        "open": sum(1 for row in held if row.quantity or row.quantity_seen),
    }


def _strategy_row(ctx: RequestContext, name: str, run: StrategyRun | None) -> dict[str, Any]:
    started, fault = ctx.view.strategies.get(name), ctx.view.faults.get(name)
    switch = ctx.control.switches.get(name)
    mine = [position for position in ctx.view.positions.values() if position.strategy == name]
    gone = run is None or (fault is not None and fault.gone)
    is_webhook = run is not None and run.is_webhook
    state = "GONE" if gone else "FAULTED" if fault else "RUNNING" if started or is_webhook else "LOADING"
    if is_webhook and ctx.webhooks is not None and name in ctx.webhooks.closing:
        state = "CLOSING"
    enabled = run is not None and (switch.enabled if switch else True)
    return {
        "name": name,
        "kind": _kind(run),
        "state": state,
        "problem": f"{fault.where}: {fault.error}" if fault else _ownerless(name, mine) if run is None else "",
        "enabled": enabled,
        "waits": _waits(ctx, run, mine) if run is not None and state == "RUNNING" and enabled else "",
        "held": why_held(ctx, run) if run is not None and state == "RUNNING" and enabled else "",
        "refused": found._asdict() if (found := ctx.view.refusals.newest(name, ctx.clock.now())) is not None else None,
        "closes_ns": _closes_ns(ctx, name),
        "square_off": _square_off(run),
        "prices": _prices(ctx, run) if run is not None else {},
        "switched": {name: getattr(switch, name) for name in ("enabled", "reason", "by", "at_ns")} if switch else None,
        "watches": list(run.symbols) if run is not None else [],
        "parameters": started.parameters if started else run.parameters if run is not None else {},
        "realised": round(sum(position.realised for position in mine), 2),
        "unrealised": round(sum(ctx.view.unrealised_of(position) or 0.0 for position in mine), 2),
        "positions": sum(1 for position in mine if position.quantity),
    }


def _ownerless(name: str, positions: Iterable[Position]) -> str:
    """What is to be done about what a strategy holds that does not run; empty if it holds nothing."""
    held = [f"{row.open_units:+d} {row.instrument} in {row.account}" for row in positions if row.open_units]
    cure = f"put it back and start again, or close it: `mytrading flatten --strategy {name}`"
    what = "its file is gone, or it is not among ENABLED_STRATEGIES; stops and exits of it go on"
    return f"holds {', '.join(held)}, and does not run: {what}; {cure}" if held and name != MANUAL else ""


def why_held(ctx: RequestContext, run: StrategyRun) -> str:
    """Return what keeps every entry of a strategy back though its own entries are on, in a few words; empty if some may
    pass. Rules that judge each signal by itself are not meant: what they deny is among the refusals."""
    if (kill := ctx.kill_file_row()) is not None:
        return _LEVELS.get(kill["word"], "entries are halted")
    levels = {row.account: row.level for row in ctx.control.trading.values() if row.level is not TradingLevel.NORMAL}
    accounts = run.accounts or (ctx.config.venue.account,)
    here = [{levels[name] for name in ("", KILL, account) if name in levels} for account in accounts]
    if all(here):
        return _LEVELS["halt" if all(TradingLevel.HALT in found for found in here) else "reduce"]
    stopped = ctx.view.stopped
    if all((account, "") in stopped and stopped[account, ""].stopped for account in accounts):
        return "entries of the account are stopped"
    limits = ctx.view.risk.limits if ctx.view.risk is not None else ()
    ended = [row for row in limits if row.reached and row.action is not LimitAction.ALERT]
    if any((row.scope, row.name) == ("strategy", run.name) for row in ended):
        return "its limit of the day is reached"
    if all(any((row.scope, row.name) == ("account", account) for row in ended) for account in accounts):
        return "a limit of the account is reached"
    return ""


_LEVELS = {
    "halt": "entries are halted",
    "reduce": "positions are only reduced",
    "flatten": "entries are halted, positions are closed",
}


def _waits(ctx: RequestContext, run: StrategyRun, mine: list[Position]) -> str:
    """Return what a running strategy waits for, as text."""
    live = [order for order in ctx.view.orders.values() if order.strategy == run.name and order.state in LIVE]
    holds = any(position.open_units for position in mine)
    traded = any(position.bought or position.sold for position in mine)
    entries = [order for order in live if not order.purpose.reduces]
    now, again = ctx.clock.now(), []
    if run.plan is not None:
        signals = (row for row in ctx.view.signals if row.strategy == run.name and row.watch == run.symbols[0])
        again = leg_reentries(
            run.plan, signals, mine, lambda instrument: ctx.view.protective_exits.closed_by(run.name, instrument), now
        )
    closes_ns = _closes_ns(ctx, run.name)
    return next_step(run, now, entries, closes_ns, holds=holds, traded=traded, reentries=again)


def _closes_ns(ctx: RequestContext, name: str) -> int:
    """Market time (ns) at which the clock first closes something that a strategy holds; 0 if it holds nothing."""
    runs = ctx.view.risk.runs if ctx.view.risk is not None else ()
    return min((row.closes_ns for row in runs if row.strategy == name and row.closes_ns), default=0)


def _square_off(run: StrategyRun | None) -> str:
    """A strategy's own time of day (HH:MM) at which the clock closes it, the earliest it names; empty without one."""
    if run is None:
        return ""
    named = [run.rules.exit_time, run.rules.square_off_time, run.plan.exit_time if run.plan is not None else 0]
    return min([run.square_off[:5]] * bool(run.square_off) + [hhmm(at) for at in named if at], default="")


def _prices(ctx: RequestContext, run: StrategyRun) -> dict[str, float | None]:
    """The last prices of what a strategy watches, as far as screens show them; None before the first quote."""
    shown = [name for name in run.symbols if name in ctx.config.shown_instruments]
    return {name: quote.ltp if (quote := ctx.view.quotes.get(name)) is not None else None for name in shown}


def _kind(run: StrategyRun | None) -> str:
    if run is not None and run.plan is not None:
        return "legs"
    return "webhook" if run is not None and run.is_webhook else "code"


def _account_row(ctx: RequestContext, account: str, held: list[Position], orders: list[Order]) -> dict[str, Any]:
    mine = [row for row in held if row.account == account]
    return {
        "account": account,
        "positions": sum(1 for row in mine if row.quantity),
        "units": sum(abs(row.quantity) for row in mine),
        "orders": sum(1 for order in orders if order.account == account),
        "realised": round(sum(row.realised for row in mine), 2),
        "unrealised": round(sum(ctx.view.unrealised_of(row) or 0.0 for row in mine), 2),
    }
