"""What the stack has done and holds: orders, positions, trades, signals, alerts. All ask the gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from mytrading.cli.shell.output import JSON_OPTION, PROFILE_OPTION, print_rows, stack

if TYPE_CHECKING:
    from mytrading.messages.ops import Query

LIMIT_OPTION = typer.Option(50, "--limit", "-n", min=0, help="At most this many, the newest; 0 is all.")


def _ask(profile: str, query: Query[Any]) -> list[dict[str, Any]]:
    with stack(profile) as found:
        rows: list[dict[str, Any]] = found.ask(query)
        return rows


def _columns(rows: list[dict[str, Any]], *names: str) -> tuple[str, ...]:
    """These columns of a table, with the account after the strategy where the rows are of more than one."""
    if len({row["account"] for row in rows if row.get("account")}) < 2:
        return names
    after = names.index("strategy") + 1
    return (*names[:after], "account", *names[after:])


def orders(live: bool, limit: int, as_json: bool, profile: str) -> None:
    """Orders, oldest first, one above the freeze quantity with its slices; a group of its own has the command."""
    from mytrading.messages.ops import OrdersQuery

    rows = _ask(profile, OrdersQuery(limit=limit, live=live))
    if not as_json:
        rows = [each for row in rows for each in (row, *_slices(row))]
    columns = ("created_ns", "client_order_id", "strategy", "purpose", "side", "quantity", "instrument", "order_type")
    print_rows(rows, _columns(rows, *columns, "price", "state", "filled", "average_price", "message"), as_json,
               "no orders")  # fmt: skip


def _slices(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The slices of an order as rows of their own under it."""
    slices = row.get("slices", [])
    return [{**part, "purpose": f"· {part['slice']} of {len(slices)}"} for part in slices]


def positions(everything: bool, as_json: bool, profile: str) -> None:
    """What each owner holds, with its stop, and unmanaged units; a group has the command."""
    from mytrading.messages.ops import PositionsQuery

    rows = _ask(profile, PositionsQuery(all=everything))
    columns = ("strategy", "instrument", "product", "quantity", "average_price", "ltp", "unrealised", "realised")
    shown = [{**row, "age": age(row.get("age_s"))} for row in rows]
    print_rows(
        rows if as_json else shown,
        _columns(rows, *columns, "stop", "stop_covers", "stop_state", "confidence", "age"),
        as_json,
        "no open positions",
    )


def age(seconds: float | None) -> str:
    """How long something has stood: 45 s, 12 min, 3 h, 2 d."""
    if seconds is None:
        return ""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def trades(limit: int = LIMIT_OPTION, as_json: bool = JSON_OPTION, profile: str = PROFILE_OPTION) -> None:
    """Completed trades."""
    from mytrading.messages.ops import TradesQuery

    columns = ("closed_ns", "strategy", "instrument", "side", "quantity", "entry_price", "exit_price", "realised")
    rows = _ask(profile, TradesQuery(limit=limit))
    print_rows(rows, _columns(rows, *columns), as_json, "no trades yet")


def signals(limit: int = LIMIT_OPTION, as_json: bool = JSON_OPTION, profile: str = PROFILE_OPTION) -> None:
    """Signals of strategies, their outcome in each account, and denials."""
    from mytrading.messages.ops import SignalsQuery

    columns = ("created_ns", "strategy", "watch", "action", "confidence", "reason", "result", "denied")
    rows = _ask(profile, SignalsQuery(limit=limit))
    if not as_json:
        rows = [each for row in rows for each in (row, *_by_account(row))]
    print_rows(rows, columns, as_json, "no signals yet")


def _by_account(row: dict[str, Any]) -> list[dict[str, Any]]:
    """What a signal in several accounts came to in each, as rows of their own under it, which then have the reasons."""
    accounts = row.get("accounts", [])
    if len(accounts) < 2:
        return []
    row["denied"] = ""
    return [{"strategy": f"· {one['account']}", "result": one["result"], "denied": one["reason"]} for one in accounts]


def alerts(
    everything: bool = typer.Option(False, "--all", help="Cleared ones too."),
    limit: int = LIMIT_OPTION,
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Alerts of all processes, active ones unless --all."""
    from mytrading.messages.ops import AlertsQuery

    rows = _ask(profile, AlertsQuery(limit=limit, all=everything))
    columns = ("first_ns", "severity", "code", "subject", "message", "count")
    print_rows([{"count": 1, **row} for row in rows], columns, as_json, "no alerts")


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (trades, signals, alerts):
        app.command()(command)
