"""Views of the whole stack: status, summary of a run, alerts, risk, and leases of quotes for screens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec.structs import replace

from mytrading.core.accounting.pnl import profit
from mytrading.core.feed.instrument_demand import LEASE_NS, MOST_LEASED
from mytrading.core.gateway.read_model import StackView
from mytrading.core.gateway.refusals import IN_RUPEES
from mytrading.core.reconciler.book_confidence import account_confidence
from mytrading.core.risk.pretrade.readiness import NEEDED
from mytrading.core.time import MINUTE, SECOND, second_of_day
from mytrading.daemons.gateway.book_queries import UNMANAGED, engine_stops, newest, positions, strategies
from mytrading.daemons.gateway.request_context import RequestContext, RequestRefused
from mytrading.messages import ops
from mytrading.messages.control import Alert, FeedSubscription, Heartbeat, OrderTrial, RiskPicture
from mytrading.messages.enums import LimitKind, TradingLevel
from mytrading.messages.orders import Position
from mytrading.messages.reports import Funds
from mytrading.messages.run_config import RiskLimits
from mytrading.messages.streams import ALL, OPTIONAL
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.observability.metrics import read_snapshots

CENT = 0.005
OLD_NS = MINUTE
"""Machine time after which the broker's profit is that of another moment."""
LATE_S = 5.0
"""A daemon without a heartbeat for so long is shown as SILENT."""
RESUME = "`mytrading resume`"


def status(ctx: RequestContext, _: ops.StatusQuery) -> dict[str, Any]:
    """Return the status of the whole stack, from trading levels to daemons and accounts."""
    trading = ctx.control.overall_level()
    view, wrong_mode = ctx.view, _wrong_mode(ctx)
    daemons = (*ALL, *(name for name in OPTIONAL if name in view.beats))
    return {
        "profile": ctx.config.profile,
        "mode": ctx.config.mode.value,
        "quotes_of": ctx.config.source.id if ctx.config.source is not None else "",
        "market_ns": ctx.clock.now(),
        "speed": ctx.clock.speed,
        "clock_of": ctx.config.simulator.clock,
        "state_dir": str(ctx.config.state),
        "trading": {"level": trading.level.value, "reason": trading.reason, "by": trading.by, "at_ns": trading.at_ns},
        "held_back": _levels(ctx),
        "flattens": _flattens(ctx),
        "kill": ctx.kill_file_row(),
        "switched_off": [
            {"strategy": row.strategy, "enabled": row.enabled, "reason": row.reason, "by": row.by, "at_ns": row.at_ns}
            for row in ctx.control.switches.values()
            if not row.enabled and ctx.run(row.strategy) is not None
        ],
        "limits_reached": [row.reached for row in view.risk.limits if row.reached] if view.risk is not None else [],
        "limits_off": limits_off(ctx.config.risk),
        "refused": _refused(ctx),
        "daemons": [_daemon(ctx, name) for name in daemons],
        "accounts": _accounts(ctx),
        "budgets": [msgspec.structs.asdict(row) for _, row in sorted(view.budgets.items())],
        "engine_stops": engine_stops(ctx),
        "profit": compare_profits(view, machine_now(), ctx.clock.now()),
        "levels": [msgspec.to_builtins(level) for level in ctx.control.trading.values()],
        "recovery": [msgspec.to_builtins(row) for row in view.recoveries.values()],
        "halted": [msgspec.to_builtins(row) for row in view.halted.values() if row.halted],
        "stopped": [msgspec.to_builtins(row) for row in view.stopped.values() if row.stopped],
        "ready": not wrong_mode and all(_ready(view.beats.get(name)) for name in ALL),
        "wrong_mode": wrong_mode,
        "entries_closed": _entries_closed(ctx),
        "books_mark": f"{os.getpid()}.{ctx.view.changes}",
    }


def _ready(beat: Heartbeat | None) -> bool:
    return beat is not None and beat.ready and machine_now() - beat.machine_ns <= LATE_S * 1e9


def _entries_closed(ctx: RequestContext) -> str:
    """Return why the traded account gets no entries although trading is at normal, and the cure; empty if it does."""
    account, view = ctx.config.venue.account, ctx.view
    if wrong := _wrong_mode(ctx):
        return wrong if RESUME in wrong else f"{wrong}; {RESUME} when the server is in order"
    if (kill := ctx.kill_file_row()) is not None:
        return f"the file KILL says {kill['word']}"
    if held := next((row for row in _levels(ctx) if row["account"] == account), None):
        return f"{account} is at {held['level']}; {RESUME} ends it"
    health = view.health.get(account)
    if health is not None and not health.is_healthy:
        return f"{account}: {health.message or 'its books are not read yet'}; see `mytrading alerts`"
    for level in view.recoveries.values():
        if level.account == account and not level.done:
            return f"the books of {account} are being compared with the journal"
    if missing := [name for name in (*NEEDED, "risk") if not _ready(view.beats.get(name))]:
        return f"{', '.join(missing)} not ready"
    stopped = view.stopped.get((account, ""))
    if stopped is not None and stopped.stopped:
        return f"{stopped.reason}; {RESUME} ends it"
    return view.risk.closed if view.risk is not None else ""


def _wrong_mode(ctx: RequestContext) -> str:
    alert = ctx.control.alerts.get(("router", "WRONG_MODE", ctx.config.venue.account))
    return "" if alert is None or alert.cleared else alert.message


def _accounts(ctx: RequestContext) -> list[dict[str, Any]]:
    source = ctx.config.source
    apart = [("orders", ctx.config.order_accounts[0]), ("quotes", source)] if source is not None else []
    rows: dict[str, dict[str, Any]] = {
        account.id: {
            "account": account.id,
            "role": role,
            "broker": account.broker,
            "product": account.product.value,
            "host": account.rest_url,
            "ws_url": account.ws_url,
        }
        for role, account in (*apart, *((one.role.value, one) for one in ctx.config.accounts))
    }
    for health in ctx.view.health.values():
        row = rows.setdefault(health.account, {"broker": ""})
        books = account_confidence(health, machine_now()).value
        shown = {"status": health.status, "broker": health.broker or row["broker"], "books": books}
        row.update({**msgspec.to_builtins(health), **shown})
        row["message"] = health.message or health.funds_unread
    return list(rows.values())


def _daemon(ctx: RequestContext, name: str) -> dict[str, Any]:
    beat, restarts = ctx.view.beats.get(name), ctx.totals.restarts.get(name, 0)
    if beat is None:
        return {"daemon": name, "state": "ABSENT", "ready": False, "restarts": restarts}
    age = (machine_now() - beat.machine_ns) / 1e9
    return {
        **msgspec.to_builtins(beat),
        "state": "SILENT" if age > LATE_S else beat.state.value,
        "ready": _ready(beat),
        "age_s": round(age, 2),
        **{key: getattr(beat, key) for key in ("lag_ms", "handled", "queue_depth", "bad_frames", "dropped")},
        "notes": list(beat.notes),
        "figures": dict(beat.figures),
        "restarts": restarts,
    }


def alerts(ctx: RequestContext, request: ops.AlertsQuery) -> list[dict[str, Any]]:
    """Return JSON rows of the active alerts, all of them, in the order in which they were raised; with `all` the newest
    cleared ones too, up to the limit."""
    rows = ctx.control.shown_alerts()
    cleared = [alert for alert in rows if alert.cleared] if request.all else []
    shown = [alert for alert in rows if not alert.cleared] + newest(cleared, request.limit)
    return [_alert(ctx, alert) for alert in sorted(shown, key=lambda alert: alert.first_ns)]


def _alert(ctx: RequestContext, alert: Alert) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(alert)
    if (seen := ctx.control.acknowledgement_of(alert)) is not None:
        row |= {"acknowledged_by": seen.by, "acknowledged_ns": seen.at_ns}
    return row


def summary(ctx: RequestContext, _: ops.SummaryQuery) -> dict[str, Any]:
    """Return this run's counts, positions, profit in rupees, latencies, and restarts and CPU time of its daemons."""
    totals, view = ctx.totals, ctx.view
    daemons = {row["daemon"]: row for row in (_daemon(ctx, name) for name in ALL)}
    return {
        "mode": ctx.config.mode.value,
        "market_ns": ctx.clock.now(),
        "daemons": {
            name: {
                "state": row["state"],
                "restarts": row["restarts"],
                "rss_mb": row.get("rss_mb", 0.0),
                "cpu_s": round(totals.get(name, "cpu_s"), 2),
            }
            for name, row in daemons.items()
        },
        "quotes": int(totals.get("feed", "quotes_in")),
        "bars": int(totals.get("feed", "bars")),
        "signals": view.counts["signals"],
        "orders": view.order_counts(),
        "round_trips": view.counts["round_trips"],
        "positions": positions(ctx, ops.PositionsQuery()),
        "pnl": {"realised": round(view.realised(), 2), "unrealised": round(view.unrealised(), 2)},
        "latency_ms": {"quote_to_order": _latency(ctx)},
        "strategies": strategies(ctx, ops.StrategiesQuery()),
        "alerts": alerts(ctx, ops.AlertsQuery(limit=0)),
    }


def _latency(ctx: RequestContext) -> dict[str, float | None]:
    for snapshot in read_snapshots(ctx.config.metrics_dir):
        for operation in snapshot.operations:
            if operation.name == "router.quote_to_order":
                figures = operation.figures()
                return {"p50": round(figures["p50"], 3), "p99": round(figures["p99"], 3)}
    return {"p50": None, "p99": None}


def risk(ctx: RequestContext, _: ops.RiskQuery) -> dict[str, Any]:
    """Return risk's latest snapshot and its age (`known` False: none yet), and every level that blocks entries."""
    picture = ctx.view.risk
    blocks = {"levels": _levels(ctx), "flattens": _flattens(ctx), "kill": ctx.kill_file_row()}
    if picture is None:
        return {"known": False, **blocks}
    # `to_builtins` leaves defaults out: a reader of JSON gets every field
    return {
        "known": True,
        "age_s": round((machine_now() - picture.machine_ns) / 1e9, 2),
        "at_ns": picture.at_ns,
        "entries": picture.entries,
        "denied": picture.denied,
        "waits": picture.waits,
        "limits": _limits(picture),
        "limits_off": limits_off(ctx.config.risk),
        "money": [msgspec.structs.asdict(row) for row in picture.money],
        "stops": [msgspec.structs.asdict(row) for row in picture.stops],
        "runs": [
            {**msgspec.structs.asdict(row), "legs": [msgspec.structs.asdict(leg) for leg in row.legs]}
            for row in picture.runs
        ],
        **blocks,
    }


def _limits(picture: RiskPicture) -> list[dict[str, Any]]:
    """Rows of all limits, the fullest first: those of a day, and those of pre-trade rules, whose action is `deny`."""
    rows = [{**msgspec.structs.asdict(row), "account": "", "unit": _UNITS[row.kind]} for row in picture.limits]
    for one in picture.entry_limits:
        unit = "rupees" if one.code in IN_RUPEES else "count"
        reached = "no more entries there" if one.denies else ""
        rows.append(
            {
                "kind": one.code, "scope": one.scope, "name": one.name, "most": one.most, "action": "deny",
                "value": one.value, "used": one.used, "left": round(one.most - one.value, 2), "reached": reached,
                "account": one.account, "unit": unit,
            }
        )  # fmt: skip
    return sorted(rows, key=lambda row: -row["used"])


_UNITS = {
    LimitKind.DAILY_LOSS: "rupees",
    LimitKind.DRAWDOWN: "share",
    LimitKind.DAILY_STOP_R: "r",
    LimitKind.DAILY_TARGET_R: "r",
}


def limits_off(limits: RiskLimits) -> list[str]:
    """Return the settings of limits of all accounts or strategies that are switched off."""
    found = {
        "MAX_ENTRIES_PER_SESSION": limits.max_entries_per_session,
        "MAX_CONSECUTIVE_LOSSES": limits.max_consecutive_losses,
        "DAILY_STOP_R": limits.daily_stop_r,
        "DAILY_TARGET_R": limits.daily_target_r,
    }
    return [name for name, most in found.items() if not most]


def _refused(ctx: RequestContext) -> list[dict[str, Any]]:
    """The newest denial of the day of each strategy whose signals are refused now."""
    now = ctx.clock.now()
    found = ((run.name, ctx.view.refusals.newest(run.name, now)) for run in ctx.runs)
    return [{"strategy": name, **row._asdict()} for name, row in found if row is not None]


def _flattens(ctx: RequestContext) -> list[dict[str, Any]]:
    return [
        {"id": level.id, "account": level.account, "strategy": level.strategy, "instrument": level.instrument,
         "state": level.state, "reason": level.reason, "by": level.by, "at_ns": level.opened_ns}
        for level in ctx.view.flattens.values()
        if level.state != "done"
    ]  # fmt: skip


def _levels(ctx: RequestContext) -> list[dict[str, Any]]:
    return [
        {"account": row.account or "all", "level": row.level.value, "reason": row.reason, "by": row.by,
         "at_ns": row.at_ns}
        for row in ctx.control.trading.values() if row.level is not TradingLevel.NORMAL
    ]  # fmt: skip


def quote_lease(ctx: RequestContext, request: ops.QuoteLeaseQuery) -> ops.LeaseGranted:
    """Make the feed send quotes of `instruments` to screen `who` for some seconds (none: end that). Never trades."""
    if len(request.instruments) > MOST_LEASED:
        found = len(request.instruments)
        raise RequestRefused(
            f"expected at most {MOST_LEASED} instruments to look at, found {found}; show fewer strikes"
        )
    ctx.leases.renew(request.who, request.instruments, machine_now())
    return ops.LeaseGranted(instruments=len(request.instruments), lease_s=LEASE_NS // SECOND)


def feed(ctx: RequestContext, request: ops.FeedQuery) -> dict[str, Any]:  # noqa: ARG001
    """Return the newest report of the feed, where who wants an instrument is named: strategies and screens."""
    ctx.feed.asked = True
    now, report = machine_now(), ctx.feed.newest
    if report is None:
        return {"now_machine_ns": now, "report": None}
    screens, watchers = ctx.leases.screens(now), _watchers(ctx)
    for instrument in ctx.view.unmanaged_instruments():
        screens.setdefault(instrument, []).append(UNMANAGED)
    rows = [
        replace(row, wanted_by=tuple(_who_wants(row, watchers, screens.get(row.instrument, []))))
        for row in report.subscriptions
    ]
    return {"now_machine_ns": now, "report": replace(report, subscriptions=tuple(rows))}


def _watchers(ctx: RequestContext) -> dict[str, list[str]]:
    """By instrument the setting and the strategies that watch it."""
    found: dict[str, list[str]] = {name: ["ENABLED_SYMBOLS"] for name in ctx.config.data.watch}
    for run in ctx.runs:
        for name in run.symbols:
            found.setdefault(name, []).append(run.name)
    return found


def _who_wants(row: FeedSubscription, watchers: dict[str, list[str]], screens: list[str]) -> Iterator[str]:
    """The gateway asks for screens, whose names end with the id of their process, and for unmanaged units."""
    for word in row.wanted_by:
        if word == "watched":
            yield from watchers.get(row.instrument, [word])
        elif word == "gateway":
            names = [name if name == UNMANAGED else f"screen {name.rpartition('-')[0] or name}" for name in screens]
            yield from names or ["screen"]
        else:
            yield word


def order_trial(ctx: RequestContext, request: ops.OrderTrialQuery) -> ops.OrderTrialAnswer:
    """Return risk's judgement of an order that is not placed; none while risk has not answered."""
    if not request.lots:
        raise RequestRefused("lots: expected a number other than 0, above it to buy, below it to sell")
    name = ctx.running_strategy(request.strategy)
    run = ctx.run(name)
    usual = run.accounts[0] if run is not None and run.accounts else ctx.config.venue.account
    trial = OrderTrial(
        id=request.id,
        account=ctx.account(request.account) or usual,
        strategy=name,
        instrument=request.instrument,
        lots=request.lots,
        asked_machine_ns=machine_now(),
        order_type=request.order_type,
        limit_price=request.limit_price,
        trigger_price=request.trigger_price,
        stop_price=request.stop_price,
        product=request.product,
        contract=request.contract,
    )
    return ops.OrderTrialAnswer(result=ctx.trials.ask(trial))


_SERVER_DAY = 3 * 3600
"""Second of the day at which OpenAlgo's own day begins: its sandbox counts profits from then on (2.0.2.1)."""


def compare_profits(view: StackView, machine_ns: int, now: int = 0) -> list[dict[str, Any]]:
    """Return a row for each account: the day's P&L in rupees by our ledger, by the broker, and their difference. Where
    the two cannot be compared the difference is None, and `not_comparable` says why. `now`: market ns, 0: not in the
    night."""
    names = sorted({position.account for position in view.positions.values()} | set(view.funds))
    night = bool(now) and second_of_day(now) < _SERVER_DAY
    return [_row(view, name, machine_ns, night=night) for name in names]


def _row(view: StackView, account: str, machine_ns: int, *, night: bool) -> dict[str, Any]:
    mine = [position for position in view.positions.values() if position.account == account]
    ours, funds = profit(mine, view.quotes), view.funds.get(account)
    reason = _incomparable(view, account, mine, funds, ours.realised, machine_ns)
    if night and not reason:
        reason = "the server may count yesterday's profit until 03:00"
    difference = round(ours.realised - funds.realised, 2) + 0.0 if funds is not None else None  # -0.0 shows as 0.00
    return {
        "account": account,
        "realised": round(ours.realised, 2),
        "unrealised": round(ours.unrealised, 2),
        "available": round(funds.available, 2) if funds else None,
        "used": round(funds.used, 2) if funds else None,
        "collateral": round(funds.collateral, 2) if funds else None,
        "funds_machine_ns": funds.machine_ns if funds else 0,
        "broker_realised": round(funds.realised, 2) if funds else None,
        "broker_unrealised": round(funds.unrealised, 2) if funds else None,
        "broker_age_s": round((machine_ns - funds.machine_ns) / 1e9, 1) if funds and funds.machine_ns else None,
        "difference": None if reason else difference,
        "not_comparable": reason,
    }


def _incomparable(
    view: StackView, account: str, mine: list[Position], funds: Funds | None, realised: float, machine_ns: int
) -> str:
    """Return why the two realised figures cannot be compared; empty if they can."""
    if funds is None:
        return "the broker's funds are not read yet"
    if funds.machine_ns and (age := machine_ns - funds.machine_ns) > OLD_NS:
        return f"the broker's funds were last read {age / 1e9:.0f} s ago"
    if funds.machine_ns and view.booked_machine_ns.get(account, 0) > (funds.began_machine_ns or funds.machine_ns):
        return "units were filled since the broker's funds were read"
    if abs(realised) > CENT and abs(funds.realised) < CENT:
        return "the broker reports no realised profit"
    if any(row.quantity and row.account == account for row in view.unmanaged.values()):
        return "the broker counts unmanaged positions too"
    if view.adjusted & {p.owner for p in mine}:
        return "units were claimed or corrected, whose price is not the broker's"
    owners: dict[tuple[str, str], set[str]] = {}
    for position in mine:
        if position.open_units or position.bought or position.sold:
            owners.setdefault((position.instrument, position.product), set()).add(position.strategy)
    if shared := next(((what, names) for what, names in owners.items() if len(names) > 1), None):
        (instrument, _), names = shared
        return f"{' and '.join(sorted(names))} traded {instrument}, which the broker counts as one position"
    return ""
