"""From the gateway's replies to the rows of topics: pure functions, and no arithmetic on money beyond showing it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from mytrading.core.instruments.symbology import parse_symbol, split_id
from mytrading.core.orders.state_machine import LIVE
from mytrading.core.risk.pretrade.rule_table import rule_name
from mytrading.daemons.console.structure_greeks import GreekLeg, NetGreeks
from mytrading.messages import console_rows as rows
from mytrading.messages.commands import BASKET_BROKEN
from mytrading.messages.enums import OrderState

Reply = Mapping[str, Any]
Table = dict[str, Any]
MS = 1_000_000
UNMANAGED = "(unmanaged)"
_LIVE = frozenset(state.value for state in LIVE)
_DOUBT = frozenset({OrderState.UNKNOWN.value, OrderState.PARKED.value, OrderState.LOST.value, OrderState.GHOST.value})
"""States of orders of unknown fate, which an operator may resolve."""


def to_ms(ns: Any) -> int | None:
    """Return milliseconds of nanoseconds; None for 0 or nothing."""
    return int(ns) // MS if ns else None


def keyed(items: Iterable[Any], name: str = "id") -> Table:
    """Return rows by their key field."""
    return {getattr(item, name): item for item in items}


def position_id(row: Reply) -> str:
    """Return the key of a position: account, product, instrument and strategy."""
    return f"{row['account']}|{row['product']}|{row['instrument']}|{row['strategy']}"


def _rounded(value: float | None) -> float | None:
    """A figure as fine as it is shown: shares of a limit may be small numbers."""
    return None if value is None else round(value, 4)


def stack_rows(status: Reply, summary: Reply, system: str, session: tuple[str, str, list[str]]) -> Table:
    """Return the row of the topic `stack`; `session` is its state, its text, and what expires today."""
    trading, kill = status["trading"], status.get("kill")
    feed: Reply = next((row for row in status["daemons"] if row["daemon"] == "feed"), {})
    figures = feed.get("figures") or {}
    took, orders, pnl = summary["latency_ms"]["quote_to_order"], summary["orders"], summary["pnl"]
    row = rows.StackRow(
        profile=status["profile"],
        mode=status["mode"],
        system=system,
        quotes_of=status["quotes_of"],
        speed=status["speed"],
        level=trading["level"],
        level_reason=trading["reason"],
        level_by=trading["by"],
        level_ms=to_ms(trading["at_ns"]),
        entries_closed=without_shell_cure(status["entries_closed"]),
        kill=f"{kill['word']} {kill['why']}".strip() if kill else "",
        ready=status["ready"],
        wrong_mode=status["wrong_mode"],
        limits_reached=list(status["limits_reached"]),
        limits_off=list(status["limits_off"]),
        session=session[0],
        session_text=session[1],
        expiry_today=session[2],
        feed_age_s=feed.get("age_s"),
        fresh=int(figures.get("fresh", 0)),
        expected=int(figures.get("expected", 0)),
        realised=pnl["realised"],
        unrealised=pnl["unrealised"],
        quotes=summary["quotes"],
        bars=summary["bars"],
        signals=summary["signals"],
        orders_placed=orders["placed"],
        orders_filled=orders["filled"],
        orders_rejected=orders["rejected"],
        orders_unknown=orders["unknown"],
        denied=orders["denied"],
        round_trips=summary["round_trips"],
        quote_to_order_p50_ms=took["p50"],
        quote_to_order_p99_ms=took["p99"],
    )
    return {"": row}


def account_rows(status: Reply, summary: Reply) -> Table:
    """Return the rows of the topic `accounts`."""
    levels = {row["account"]: row["level"] for row in status["held_back"]}
    profits = {row["account"]: row for row in status["profit"]}
    budgets = {row["account"]: row for row in status["budgets"]}
    held: dict[str, int] = {}
    for row in summary["positions"]:
        held[row["account"]] = held.get(row["account"], 0) + 1
    return keyed(
        (
            _account(row, profits.get(row["account"], {}), budgets.get(row["account"]), levels, held)
            for row in status["accounts"]
        ),
        "account",
    )


def _account(
    row: Reply, profit: Reply, budget: Reply | None, levels: Mapping[str, str], held: Mapping[str, int]
) -> rows.AccountRow:
    name = row["account"]
    return rows.AccountRow(
        account=name,
        role=row.get("role", ""),
        broker=row.get("broker", ""),
        product=row.get("product", ""),
        host=row.get("host", ""),
        status=row.get("status", "not read yet"),
        books=row.get("books", "STALE"),
        right_mode=row.get("right_mode"),
        stream_up=row.get("stream_up"),
        message=row.get("message", ""),
        level=levels.get(name, levels.get("all", "normal")),
        available=profit.get("available"),
        used_margin=profit.get("used"),
        collateral=profit.get("collateral"),
        realised=profit.get("realised"),
        unrealised=profit.get("unrealised"),
        broker_realised=profit.get("broker_realised"),
        broker_unrealised=profit.get("broker_unrealised"),
        difference=profit.get("difference"),
        not_comparable=profit.get("not_comparable", ""),
        funds_wall_ms=to_ms(profit.get("funds_machine_ns")),
        books_wall_ms=to_ms(row.get("last_orders_machine_ns")),
        positions=held.get(name, 0),
        calls_used=budget["used"] if budget else None,
        calls_limit=budget["limit"] if budget else None,
        calls_waiting=sum(budget["waiting"].values()) if budget else None,
    )


def strategy_rows(
    strategies: Iterable[Reply], positions: Iterable[Reply] = (), lot_of: Callable[[str], int] = lambda _: 0
) -> Table:
    """Return the rows of the topic `strategies`; `lot_of` is the lot size of an instrument, 0 where it is unknown."""
    units: dict[str, list[tuple[str, int]]] = {}
    for row in positions:
        if row["quantity"]:
            units.setdefault(row["strategy"], []).append((row["instrument"], abs(row["quantity"])))
    return keyed((_strategy(row, _lots(units.get(row["name"], []), lot_of)) for row in strategies), "name")


def _lots(units: list[tuple[str, int]], lot_of: Callable[[str], int]) -> float | None:
    sizes = [lot_of(instrument) for instrument, _ in units]
    return None if 0 in sizes else round(sum(n / size for (_, n), size in zip(units, sizes, strict=True)), 2)


def _strategy(row: Reply, lots: float | None) -> rows.StrategyRow:
    switched = row.get("switched") or {}
    return rows.StrategyRow(
        name=row["name"],
        kind=row["kind"],
        state=row["state"],
        enabled=row["enabled"],
        problem=row["problem"],
        waits=row["waits"],
        held=row["held"],
        refused=_refused(row["refused"]),
        closes_ms=to_ms(row["closes_ns"]),
        square_off=row["square_off"],
        prices=row["prices"],
        watches=row["watches"],
        parameters=row["parameters"],
        realised=row["realised"],
        unrealised=row["unrealised"],
        positions=row["positions"],
        lots=lots,
        switched_by=switched.get("by", ""),
        switched_reason=switched.get("reason", ""),
        switched_ms=to_ms(switched.get("at_ns")),
    )


def _refused(row: Reply | None) -> rows.RefusedRow | None:
    if row is None:
        return None
    same = ("rule", "code", "message", "account", "instrument", "in_a_row", "signals")
    return rows.RefusedRow(
        **{name: row[name] for name in same}, since_ms=to_ms(row["since_ns"]), last_ms=to_ms(row["last_ns"])
    )


def order_rows(orders: Iterable[Reply]) -> Table:
    """Return the rows of the topic `orders`: parents, and the slices of sliced ones after them."""
    flat = (part for row in orders for part in (row, *row.get("slices", ())))
    return keyed(_order(row) for row in flat)


def _order(row: Reply) -> rows.OrderRow:
    state, filled = row["state"], row.get("filled", 0)
    pending = "cancel" if row.get("pending_cancel") or row.get("cancelling") else ""
    pending = pending or ("modify" if row.get("waits") or row.get("pending_modify") or row.get("modifying") else "")
    return rows.OrderRow(
        id=row["client_order_id"],
        version=row["version"],
        account=row["account"],
        strategy=row["strategy"],
        instrument=row["instrument"],
        product=row["product"],
        purpose=row["purpose"],
        side=row["side"],
        quantity=row["quantity"],
        filled=filled,
        order_type=row["order_type"],
        state=state,
        live=any(part["state"] in _LIVE for part in row.get("slices") or (row,)),
        unknown=state in _DOUBT,
        price=row.get("price", 0.0),
        trigger_price=row.get("trigger_price", 0.0),
        average_price=row.get("average_price") or None,
        broker_order_id=row.get("broker_order_id", ""),
        cause=row.get("cause", ""),
        reason=row.get("reason", ""),
        message=row.get("message", ""),
        pending=pending,
        waits=row.get("waits", ""),
        created_ms=to_ms(row["created_ns"]),
        updated_ms=to_ms(row.get("updated_ns")),
        parent=row.get("parent", ""),
        slices=len(row.get("slices", ())),
    )


def position_rows(positions: Iterable[Reply], today: date | None = None) -> Table:
    """Return the rows of the topic `positions`, unmanaged units included; `today` is the market's day."""
    return keyed(_position(row, today) for row in positions)


def _position(row: Reply, today: date | None) -> rows.PositionRow:
    exchange, symbol = split_id(row["instrument"])
    expiry = parse_symbol(symbol, exchange).expiry
    managed = row["strategy"] != UNMANAGED
    return rows.PositionRow(
        id=position_id(row),
        version=row["version"],
        account=row["account"],
        strategy=row["strategy"],
        run=row.get("run", ""),
        instrument=row["instrument"],
        product=row["product"],
        managed=managed,
        quantity=row["quantity"],
        quantity_seen=row.get("quantity_seen", 0) if managed else row["quantity"],
        average_price=row.get("average_price") or None,
        ltp=row.get("ltp"),
        unrealised=row.get("unrealised"),
        realised=row.get("realised", 0.0),
        stop=row.get("stop"),
        stop_wanted=row.get("stop_wanted"),
        stop_state=row.get("stop_state", "none"),
        stop_distance=_stop_distance(row),
        target=row.get("held_target") or None,
        confidence=row["confidence"],
        since_ms=to_ms(row.get("since_ns")),
        covers=row.get("covers", {}),
        bare=row.get("bare", 0),
        expires_today=expiry is not None and expiry == today,
    )


def _stop_distance(row: Reply) -> float | None:
    """Rupees that the price may still go until the stop; negative where it went beyond."""
    stop, ltp, units = row.get("stop"), row.get("ltp"), row["quantity"] or row.get("quantity_seen", 0)
    return round(ltp - stop if units > 0 else stop - ltp, 2) if stop is not None and ltp is not None and units else None


def trade_rows(trades: Iterable[Reply]) -> Table:
    """Return the rows of the topic `trades`."""
    return keyed(
        rows.ClosedTradeRow(
            id=f"{row['run']}|{position_id(row)}|{row['closed_ns']}",
            account=row["account"],
            strategy=row["strategy"],
            run=row["run"],
            instrument=row["instrument"],
            product=row["product"],
            side=row["side"],
            quantity=row["quantity"],
            entry_price=row["entry_price"],
            exit_price=row["exit_price"],
            realised=row["realised"],
            opened_ms=to_ms(row["opened_ns"]),
            closed_ms=to_ms(row["closed_ns"]),
        )
        for row in trades
    )


def signal_rows(signals: Iterable[Reply]) -> Table:
    """Return the rows of the topic `signals`."""
    return keyed(
        rows.SignalRow(
            id=row["id"],
            strategy=row["strategy"],
            watch=row["watch"],
            action=row["action"],
            result=row["result"],
            reason=row.get("reason", ""),
            price=row.get("price") or None,
            denied=list(row["denied"]),
            accounts=[
                rows.SignalAccount(
                    account=one["account"],
                    result=one["result"],
                    orders=one["orders"],
                    filled=one["filled"],
                    reason=one["reason"],
                )
                for one in row["accounts"]
            ],
            legs=[rows.SignalLeg(instrument=leg["instrument"], lots=leg["lots"]) for leg in row.get("legs", ())],
            created_ms=to_ms(row["created_ns"]),
        )
        for row in signals
    )


def list_row(name: str, page: Reply) -> rows.ListRow:
    """Return how many rows of a list its page shows, and of how many: a row of the topic `lists`."""
    return rows.ListRow(name=name, **{field: page[field] for field in _EXTENT})


_EXTENT = [field for field in rows.ListRow.__struct_fields__ if field != "name"]


def alert_rows(alerts: Iterable[Reply]) -> Table:
    """Return the rows of the topic `alerts`."""
    return keyed(
        rows.AlertRow(
            id=f"{row['daemon']}|{row['code']}|{row['subject']}",
            code=row["code"],
            severity=row["severity"],
            subject=row["subject"],
            message=row["message"],
            daemon=row["daemon"],
            count=row.get("count", 1),
            first_ms=to_ms(row["first_ns"]),
            last_ms=to_ms(row["last_ns"]),
            seen_by=row.get("acknowledged_by", ""),
            seen_ms=to_ms(row.get("acknowledged_ns")),
        )
        for row in alerts
    )


def limit_rows(risk: Reply) -> Table:
    """Return the rows of the topic `limits`."""
    return keyed(
        rows.LimitRow(
            id="|".join([row["kind"], row["scope"], row["name"], *([row["account"]] if row["account"] else [])]),
            kind=row["kind"],
            rule=rule_name(row["kind"]),
            unit=row["unit"],
            scope=row["scope"],
            name=row["name"],
            account=row["account"],
            now=_rounded(row["value"]),
            most=row["most"],
            left=_rounded(row["left"]),
            used=round(row["used"], 4),
            action=row["action"],
            reached=row["reached"],
        )
        for row in risk.get("limits", ())
    )


def _shown(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def stop_rows(risk: Reply) -> Table:
    """Return the rows of the topic `stops`."""
    found = []
    for row in risk.get("stops", ()):
        distance, ltp = row["distance"], row["ltp"]
        share = distance / ltp if distance is not None and ltp else None
        found.append(
            rows.StopRow(
                id=position_id(row),
                **{name: _shown(row[name]) for name in _STOP_FIELDS},
                distance_share=round(share, 4) if share is not None else None,
            )
        )
    return keyed(found)


_STOP_FIELDS = tuple(name for name in rows.StopRow.__struct_fields__ if name not in ("id", "distance_share"))


def structure_rows(risk: Reply, greeks: Callable[[list[GreekLeg]], NetGreeks | None]) -> Table:
    """Return the rows of the topic `structures`; `greeks` are those of held legs together."""
    names = ("profit", "realised", "max_loss", "max_profit", "peak", "trailing_stop", "trail_from", "supertrend",
             "leaving")  # fmt: skip
    legs = rows.StructureLeg.__struct_fields__
    return keyed(
        rows.StructureRow(
            id=f"{row['strategy']}|{row['run']}",
            strategy=row["strategy"],
            run=row["run"],
            **{name: _shown(row[name]) for name in names},
            opened_ms=to_ms(row["opened_ns"]),
            closes_ms=to_ms(row["closes_ns"]),
            **_net(greeks([GreekLeg(leg["instrument"], leg["quantity"], leg["ltp"]) for leg in row["legs"]])),
            legs=[rows.StructureLeg(**{name: _shown(leg[name]) for name in legs}) for leg in row["legs"]],
        )
        for row in risk.get("runs", ())
    )


def _net(found: NetGreeks | None) -> dict[str, Any]:
    return dict.fromkeys(NetGreeks._fields) if found is None else dict(found._asdict())


_CURE = re.compile(r"[;,] (?:see )?`mytrading [^`]*`(?: ends it)?")


def without_shell_cure(text: str) -> str:
    """Return a text without the command that ends what it tells of: the browser has a button for that."""
    return _CURE.sub("", text)


_RESUME = "resume"


def halt_rows(status: Reply) -> Table:
    """Return the rows of the topic `halts`: everything that holds entries back or closes positions now."""

    def made(
        kind: str,
        subject: str,
        level: str,
        reason: str,
        by: str,
        at_ns: Any,
        cure: str,
        account: str = "",
        strategy: str = "",
    ) -> rows.HaltRow:
        return rows.HaltRow(
            id=f"{kind}|{subject}", kind=kind, subject=subject, account=account, strategy=strategy, level=level,
            reason=reason, by=by, at_ms=to_ms(at_ns), cure=cure,
        )  # fmt: skip

    found = [
        made("level", row["account"], row["level"], row["reason"], row["by"], row["at_ns"], _RESUME,
             "" if row["account"] == "all" else row["account"])
        for row in status["held_back"]
    ]  # fmt: skip
    if kill := status.get("kill"):
        found.append(made("kill", "KILL", kill["word"], kill["why"], kill["by"], kill["written_ns"], "remove KILL"))
    found += [
        made("flatten", row["id"], row["state"], row["reason"], row["by"], row["at_ns"], "ends by itself")
        for row in status["flattens"]
    ]
    found += [
        made("instrument", f"{row['account']} {row['instrument']}", "halt", row["reason"], "", row["at_ns"], _RESUME,
             row["account"])
        for row in status["halted"]
    ]  # fmt: skip
    found += [
        made("entries", f"{row['account']} {row['instrument']}".strip(), "halt", row.get("reason", ""), "",
             row.get("at_ns"), _RESUME, row["account"])
        for row in status["stopped"]
    ]  # fmt: skip
    found += [
        made("strategy", row["strategy"], "off", row["reason"], row["by"], row["at_ns"], "switch it on",
             strategy=row["strategy"])
        for row in status["switched_off"]
    ]  # fmt: skip
    if status["wrong_mode"]:
        found.append(made("account", "wrong mode", "halt", status["wrong_mode"], "", None, _RESUME))
    return keyed(found)


def need_rows(alerts: Table, strategies: Table, positions: Table, orders: Table, signals: Table) -> Table:
    """Return the rows of the topic `needs`: alerts, faults, doubtful orders, ill-kept positions, bare legs and
    broken baskets."""

    def made(kind: str, severity: str, subject: str, text: str, reference: str, since_ms: int | None) -> rows.NeedRow:
        return rows.NeedRow(
            id=f"{kind}|{reference}", kind=kind, severity=severity, subject=subject, text=text, reference=reference,
            since_ms=since_ms,
        )  # fmt: skip

    found = [
        made("alert", row.severity, f"{row.code} {row.subject}".strip(), row.message, key, row.first_ms)
        for key, row in alerts.items()
        if not row.seen_by
    ]
    found += [
        made("fault", "critical", name, row.problem, name, None)
        for name, row in strategies.items()
        if row.state == "FAULTED"
    ]
    found += [
        made("unknown_order", "critical", row.instrument, f"{row.side} {row.quantity} is {row.state}", key,
             row.updated_ms)
        for key, row in orders.items()
        if row.unknown
    ]  # fmt: skip
    for key, row in positions.items():
        units = f"{row.quantity:+d}"
        if not row.managed:
            text = f"{units} in {row.account}: no strategy owns it, nothing guards it"
            found.append(made("unmanaged", "warning", row.instrument, text, key, row.since_ms))
        elif row.confidence == "DISPUTED":
            text = f"{units} in {row.account}: the broker's books say otherwise"
            found.append(made("disputed", "critical", row.instrument, text, key, row.since_ms))
        elif row.stop_state in ("missing", "partial"):
            text = f"{units} in {row.account}: its stop is {row.stop_state}"
            found.append(made("unprotected", "critical", row.instrument, text, key, row.since_ms))
        if row.bare:
            text = f"{row.bare} of {units} of {row.strategy} in {row.account} have lost the leg that covered them"
            found.append(
                made("bare_leg", "critical", row.instrument, f"{text}: close the run, or cover them", key, None)
            )
    found += [
        made("broken_basket", "critical", row.strategy, f"in {account}: {text}", f"{row.id}/{account}", row.created_ms)
        for row, account, text in _broken_baskets(signals, positions)
    ]
    return keyed(found)


def _broken_baskets(signals: Table, positions: Table) -> Iterator[tuple[rows.SignalRow, str, str]]:
    """The newest basket of each strategy, account by account, where it was given up and some of its legs are held."""
    newest = {(row.strategy, row.watch): row for row in signals.values() if any(one.orders for one in row.accounts)}
    for signal in newest.values():
        for outcome in signal.accounts:
            if BASKET_BROKEN not in outcome.reason:
                continue
            units = {
                row.instrument: row.quantity or row.quantity_seen
                for row in positions.values()
                if row.managed and (row.strategy, row.account) == (signal.strategy, outcome.account)
            }
            held = [f"{units[leg.instrument]:+d} {leg.instrument}" for leg in signal.legs if units.get(leg.instrument)]
            gone = [leg.instrument for leg in signal.legs if not units.get(leg.instrument)]
            if held:
                without = f" without {', '.join(gone)}" if gone else ""
                yield signal, outcome.account, f"holds {', '.join(held)}{without}; {outcome.reason}"


def process_rows(status: Reply) -> Table:
    """Return the rows of the topic `processes`."""
    return keyed(
        (
            rows.ProcessRow(
                name=row["daemon"],
                state=row["state"],
                ready=row["ready"],
                pid=row.get("pid", 0),
                restarts=row["restarts"],
                lag_ms=row.get("lag_ms", 0.0),
                queue_depth=row.get("queue_depth", 0),
                handled=row.get("handled", 0),
                handler_p50_us=row.get("handler_p50_us", 0.0),
                handler_p99_us=row.get("handler_p99_us", 0.0),
                rss_mb=row.get("rss_mb", 0.0),
                cpu_s=row.get("cpu_s", 0.0),
                dropped=row.get("dropped", 0),
                bad_frames=row.get("bad_frames", 0),
                age_s=row.get("age_s"),
                notes=list(row.get("notes", ())),
                figures=dict(row.get("figures", {})),
            )
            for row in status["daemons"]
        ),
        "name",
    )
