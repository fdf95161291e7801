"""`mytrading risk events`: what risk did by itself and why, from its journals, whatever became of the strategy.

It reads the hash-chained rows themselves, so it works while the stack runs and when it does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from mytrading.cli.shell.output import JSON_OPTION, PROFILE_OPTION, print_json, print_rows, stack
from mytrading.core.time import format_ist

if TYPE_CHECKING:
    from mytrading.messages.risk_events import RiskEventRecorded
    from mytrading.messages.run_config import RunConfig

_COLUMNS = ("at_ns", "strategy", "kind", "limit", "value", "action", "instruments", "accounts", "exit_orders")
_TIMED = ("exit_time", "square_off")


def events(
    strategy: str = typer.Option("", "--strategy", "-s", help="Only this one's, gone or not; case counts for nothing."),
    limit: int = typer.Option(50, "--limit", "-n", min=0, help="At most this many, the newest; 0 is all."),
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """The rules that spoke: limits, trailing stops, trends and times of strategies, oldest first."""
    with stack(profile) as found:
        rows = risk_events(found.config)
    wanted = strategy.lower().replace("_", "")
    rows = [row for row in rows if wanted in ("", str(row["strategy"]).lower().replace("_", ""))]
    rows = rows[-limit:] if limit else rows
    if as_json:
        print_json(rows)
        return
    of_whom = f" of {strategy}" if strategy else ""
    print_rows([_shown(row) for row in rows], _COLUMNS, False, f"no risk events{of_whom} yet")


def risk_events(config: RunConfig) -> list[dict[str, Any]]:
    """Every event, oldest first, each with all its exit orders; raises `JournalDamaged` naming the row."""
    found: dict[str, RiskEventRecorded] = {}
    orders: dict[str, list[str]] = {}
    for message in (*_archived(config), *_journaled(config)):
        orders.setdefault(message.follows or message.id, []).extend(message.exit_orders)
        if not message.follows:
            found[message.id] = message
    return [_plain(event, list(dict.fromkeys(orders[name]))) for name, event in found.items()]


def _journaled(config: RunConfig) -> Iterator[RiskEventRecorded]:
    from mytrading.messages.codec import StreamDecoder
    from mytrading.messages.risk_events import RiskEventRecorded
    from mytrading.runtime.journal.journal import read_segment, segments

    decoder = StreamDecoder("records")
    for path in segments(config.journal_dir("risk")):
        for row in read_segment(path):
            if row.stream == "records" and isinstance(message := decoder.body(row.body), RiskEventRecorded):
                yield message


def _archived(config: RunConfig) -> Iterator[RiskEventRecorded]:
    """Those of days whose journal was exported and removed."""
    import msgspec

    from mytrading.messages.risk_events import RiskEventRecorded
    from mytrading.runtime.journal.day_files import parquet_of
    from mytrading.runtime.journal.journal import segments

    there = {path.stem for path in segments(config.journal_dir("risk"))}
    pattern = parquet_of(config, "risk", "*")
    paths = sorted(path for path in pattern.parent.parent.glob(f"*/{pattern.name}") if path.parent.name not in there)
    if not paths:
        return
    import duckdb

    with duckdb.connect() as database:
        query = "SELECT body FROM read_parquet(?, filename = true) WHERE type = 'risk_event' ORDER BY filename, seq"
        for (body,) in database.execute(query, [[str(path) for path in paths]]).fetchall():
            yield msgspec.json.decode(body, type=RiskEventRecorded)


def _plain(event: RiskEventRecorded, orders: list[str]) -> dict[str, Any]:
    return {
        "id": event.id,
        "at_ns": event.at_ns,
        "at": format_ist(event.at_ns),
        "strategy": event.strategy,
        "run": event.run,
        "kind": event.kind.value,
        "threshold": event.threshold,
        "value": event.value,
        "action": event.action.value,
        "accounts": list(event.accounts),
        "instruments": list(event.instruments),
        "exit_orders": orders,
        "note": event.note,
    }


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row for the table: seconds of the day as times."""
    from mytrading.core.time import hhmm

    timed = row["kind"] in _TIMED
    limit, value = (hhmm(int(row[name])) if timed else row[name] for name in ("threshold", "value"))
    return {**row, "limit": limit, "value": value}


def add_to(app: typer.Typer) -> None:
    """Register the command in the group `risk`."""
    app.command()(events)
