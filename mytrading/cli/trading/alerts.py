"""`mytrading alerts`, and the order in which screens list alerts: critical ones first, those of one kind as one row.

Used by the live screen and the start's summary too. An active alert is left out of no list; --json has each by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from typer import Option

from mytrading.cli.shell.failures import ask_gateway
from mytrading.cli.shell.options import AsJson, Profile
from mytrading.cli.shell.output import print_rows
from mytrading.messages.ops import MOST_ROWS, AlertsQuery

Row = dict[str, Any]
_RANK = {"critical": 0, "warning": 1}
_NAMED = 3
"""Subjects that a row of several alerts names."""


def alerts(
    everything: bool = Option(False, "--all", help="Show cleared alerts too, the newest 200."),
    each: bool = Option(False, "--each", help="A row for each alert, not one for those of a code."),
    limit: int | None = Option(None, "--limit", "-n", min=0, help="Number of rows; 0: all, with --all every one."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Alerts of all processes, critical ones first, active ones unless --all."""
    rows = ask_gateway(profile, AlertsQuery(limit=MOST_ROWS if limit is None else limit, all=everything))
    if as_json:
        rows = rows[-limit:] if limit else rows
    else:
        rows = alert_rows(rows, each)[: limit or None]
    columns = ("first_ns", "severity", "code", "subject", "message", "count")
    print_rows([{"count": 1, **row} for row in rows], columns, as_json, "no alerts")


def alert_rows(alerts: Iterable[Row], each: bool = False) -> list[Row]:
    """Return rows of the gateway as lists show them: most severe first, then oldest; alerts of one code and severity
    are one row, unless `each`."""
    kinds: dict[Any, list[Row]] = {}
    for number, row in enumerate(alerts):
        kind = (row.get("severity"), row["code"], row.get("cleared", False))
        kinds.setdefault(number if each else kind, []).append(row)
    rows = [_one_row(kind) for kind in kinds.values()]
    return sorted(rows, key=lambda row: (_RANK.get(row.get("severity", ""), 2), row.get("first_ns", 0)))


def _one_row(alerts: Sequence[Row]) -> Row:
    """One row for alerts of one kind: since the first of them, how often in all, and the words of the newest."""
    if len(alerts) == 1:
        return alerts[0]
    newest = max(alerts, key=lambda row: row["last_ns"])
    names = list(dict.fromkeys(row["subject"] for row in alerts if row["subject"]))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return {
        **newest,
        "first_ns": min(row["first_ns"] for row in alerts),
        "subject": ", ".join(names[:_NAMED]) + more,
        "message": f"{len(alerts)} alerts, the newest: {newest['message']}",
        "count": sum(row.get("count", 1) for row in alerts),
    }
