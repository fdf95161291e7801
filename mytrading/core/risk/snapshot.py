"""Picture of risk: limits and their use, money of the day, stops and how far away they are. Only reads."""

from __future__ import annotations

from mytrading.core.accounting.pnl import unrealised
from mytrading.core.orders.state_machine import first_trigger
from mytrading.core.risk.entries.entry_limits import entry_limits
from mytrading.core.risk.exits.price_levels import stop_level
from mytrading.core.risk.limits.limits import Limit
from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.pnl.day_pnl import ACCOUNT
from mytrading.core.risk.pretrade.readiness import why_funds_unknown, why_not_ready
from mytrading.core.risk.runs.run import Run, RunLeg
from mytrading.core.risk.sizing.lots import side_of
from mytrading.messages.control import HeldStop, LegUse, LimitUse, Money, RiskPicture, RunUse
from mytrading.messages.enums import LimitKind
from mytrading.messages.orders import Position


def risk_snapshot(risk: RiskMachine, now: int, entries: int = 0, denied: int = 0) -> RiskPicture:
    """Return what operators see of risk at market time `now`; `entries` and `denied` are the daemon's counts."""
    memory = risk.state.memory
    scopes = sorted({*memory.money.scopes(), *((ACCOUNT, name) for name in memory.bases)})
    return RiskPicture(
        at_ns=now,
        machine_ns=risk.state.machine_ns,
        limits=tuple(_use(risk, limit) for limit in risk.limits.all_limits),
        money=tuple(_money(risk, *scope) for scope in scopes),
        stops=tuple(_stop(risk, position) for position in risk.state.open_positions()),
        entries=entries,
        denied=denied,
        waits=_waits(risk),
        closed=risk.why_entries_blocked(now),
        entry_limits=entry_limits(risk.state, risk.margins, now),
        runs=tuple(_run(risk, run, now) for run in risk.runs.books.runs.values() if run.legs),
    )


def _waits(risk: RiskMachine) -> str:
    """Reasons why entries wait, in any account or strategy, each once."""
    found = []
    for account in risk.environment.accounts():
        why = why_not_ready(risk.state, account)
        if not why and risk.environment.needs_funds and (unread := why_funds_unknown(risk.state, account)):
            why = f"account {account}: {unread}"
        found.append(why)
    found += [risk.runs.unconfirmed_end(name) for name in risk.runs.books.runs]
    return "; ".join(dict.fromkeys(why for why in found if why))


def _use(risk: RiskMachine, limit: Limit) -> LimitUse:
    value = risk.limits.current_value(limit)
    lost = limit.kind in (LimitKind.DAILY_LOSS, LimitKind.DAILY_STOP_R)
    return LimitUse(
        kind=limit.kind,
        scope=limit.scope[0],
        name=limit.scope[1],
        most=limit.most,
        action=limit.action,
        value=value,
        used=0.0 if value is None else round(max(0.0, -value if lost else value) / limit.most, 6),
        left=None if value is None else limit.most + (value if lost else -value),
        reached=risk.limits.reached_text(limit) if risk.limits.is_reached(limit) else "",
    )


def _money(risk: RiskMachine, scope: str, name: str) -> Money:
    memory = risk.state.memory
    equity = memory.equity(name) if scope == ACCOUNT else None
    return Money(
        scope=scope,
        name=name,
        profit=memory.money.profit((scope, name)),
        equity=equity,
        peak=None if equity is None else max(equity, memory.peaks.get((scope, name), equity)),
    )


def _stop(risk: RiskMachine, position: Position) -> HeldStop:
    key = position.owner
    units = position.open_units
    quote = risk.state.valued.get(position.instrument)
    level = stop_level(risk.state, key)
    if key in risk.state.stop_levels:
        holder = "engine"
    else:
        holder = "broker" if level else "hedge" if risk.state.is_hedge(position) else "none"
        mine = (order for order in risk.state.orders.of_instrument(position.instrument) if order.owner == key)
        level = (first_trigger(mine) or level) if level else level
    distance = (quote.ltp - level) * side_of(units).sign if quote is not None and level else None
    return HeldStop(
        account=position.account,
        instrument=position.instrument,
        product=position.product.value,
        strategy=position.strategy,
        quantity=units,
        average_price=position.average_price,
        ltp=quote.ltp if quote is not None else None,
        unrealised=unrealised(units, position.average_price, quote) if quote is not None else None,
        stop=level or None,
        holder=holder,
        distance=distance,
        at_risk=None if distance is None else distance * abs(units),
    )


def _run(risk: RiskMachine, run: Run, now: int) -> RunUse:
    rules, trend = run.rules, run.rules.trend
    return RunUse(
        strategy=run.strategy,
        run=run.id,
        opened_ns=run.opened_ns,
        profit=run.profit,
        realised=run.realised,
        max_loss=-rules.max_loss if rules.max_loss else None,
        max_profit=rules.max_profit or None,
        peak=run.trail.peak if run.trail.stop is not None else None,
        trailing_stop=run.trail.stop,
        trail_from=rules.trailing.activation if run.trails and not rules.trailing.from_entry else None,
        supertrend=f"{trend.exit} {trend.period}, {trend.multiplier:g}, {trend.minutes} min" if trend.exit else "",
        closes_ns=risk.runs.next_close_ns(run, now),
        leaving=risk.state.leaving.get(run.strategy, ""),
        legs=tuple(_leg(risk, leg) for leg in run.legs.values()),
    )


def _leg(risk: RiskMachine, leg: RunLeg) -> LegUse:
    quote = risk.state.valued.get(leg.instrument)
    return LegUse(
        account=leg.key[0],
        instrument=leg.instrument,
        product=leg.key[2],
        quantity=leg.units,
        average_price=leg.average_price,
        ltp=quote.ltp if quote is not None else None,
        profit=unrealised(leg.units, leg.average_price, quote) if quote is not None else None,
        **risk.runs.position_levels(leg.key),
    )
