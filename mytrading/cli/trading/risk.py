"""`mytrading risk`: limits and their use, money of the day, stops, events; and `mytrading kill`, a switch in a file.

The switch and the events work whether the stack runs or not.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import typer

from mytrading.cli.shell.failures import ERROR, USAGE, exit_on_errors, fail, find_stack
from mytrading.cli.shell.options import AsJson, Limit, Profile
from mytrading.cli.shell.output import format_cell, print_json, print_rows, raw_terminal
from mytrading.cli.trading.levels import ReasonArgument
from mytrading.core.time import format_ist, hhmm
from mytrading.messages.codec import StreamDecoder
from mytrading.messages.ops import RiskQuery
from mytrading.messages.risk_events import RiskEventRecorded
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.host.paths import started_states, state_dir
from mytrading.runtime.journal.day_files import parquet_of
from mytrading.runtime.journal.journal import read_segment, segments
from mytrading.runtime.supervision.kill_file import WORDS, KillFile

_HELP = "Limits and their use, money of the day, runs and stops; live with --watch."
app = typer.Typer(help=_HELP, invoke_without_command=True)
EVERY_S = 1.0
_CLEAR = "\x1b[H\x1b[J"


@app.callback()
def risk(
    context: typer.Context,
    watch: bool = typer.Option(False, "--watch", "-w", help="Refresh every second until interrupted."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Limits, what is used of them and what is left, profit of the day, equity, and each position's stop."""
    if context.invoked_subcommand is not None:
        return None
    with find_stack(profile) as found:
        if not watch:
            return _show(found.ask(RiskQuery()), as_json)
        try:
            while True:
                began = time.monotonic()
                body = found.ask(RiskQuery())
                if not as_json:
                    print(_CLEAR, end="", file=raw_terminal(sys.stdout))
                _show(body, as_json)
                time.sleep(max(0.0, EVERY_S - (time.monotonic() - began)))
        except KeyboardInterrupt:
            return None


def _show(body: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(body, ensure_ascii=False), flush=True)
        return
    for line in _held_back(body):
        print(line)
    if not body["known"]:
        print("risk has not reported anything yet; see `mytrading status`")
        return
    late = f", {body['age_s']:.0f} s ago" if body["age_s"] > 3 else ""
    print(f"{format_ist(body['at_ns'])}{late}: {body['entries']} entries admitted, {body['denied']} signals denied\n")
    columns = ("scope", "name", "kind", "value", "limit", "used", "left", "action")
    print_rows([_limit(row) for row in body["limits"]], columns, False, "no limits")
    if body.get("limits_off"):
        print(f"  switched off: {', '.join(body['limits_off'])}")
    for row in body["limits"]:
        if row["reached"] and row["action"] != "deny":
            print(f"  {row['reached']}")
    print()
    print_rows(body["money"], ("scope", "name", "profit", "equity", "peak"), False, "nothing traded today")
    print()
    _show_runs(body.get("runs", []))
    held = ("strategy", "account", "instrument", "quantity", "average_price", "ltp", "unrealised", "stop", "holder")
    print_rows(body["stops"], (*held, "distance", "at_risk"), False, "no open positions")


def _show_runs(runs: list[dict[str, Any]]) -> None:
    """Each run with what ends it, and the levels of its legs where they have any."""
    if not runs:
        return
    rows = [
        {**row, "since": format_ist(row["opened_ns"]), "closes_from": format_cell("_ns", row["closes_ns"] or None)}
        for row in runs
    ]
    ends = ("max_loss", "max_profit", "peak", "trailing_stop", "supertrend", "closes_from", "leaving")
    print_rows(rows, ("strategy", "run", "since", "profit", "realised", *ends), False, "")
    print()
    levels = ("stop_loss", "take_profit", "trailing", "cost")
    legs = [{**leg, "strategy": row["strategy"]} for row in runs for leg in row["legs"]]
    if any(leg[name] is not None for leg in legs for name in levels):
        what = ("strategy", "account", "instrument", "quantity", "average_price", "ltp", "profit")
        print_rows(legs, (*what, *levels), False, "")
        print()


def _held_back(body: dict[str, Any]) -> list[str]:
    lines = [
        f"{row['level']} for {row['account']} since {format_ist(row['at_ns'])}: {row['reason']}"
        + (f" (by {row['by']})" if row["by"] else "")
        for row in body["levels"]
    ]
    for row in body.get("flattens", []):
        what = " ".join(filter(None, (row["account"], row["strategy"], row["instrument"])))
        by = f" (by {row['by']})" if row["by"] else ""
        lines.append(f"flatten of {what} since {format_ist(row['at_ns'])} is {row['state']}: {row['reason']}{by}")
    if (kill := body["kill"]) is not None:
        why = f": {kill['why']}" if kill["why"] else ""
        lines.append(
            f"the file KILL says {kill['word']}{why} (by {kill['by']}, {format_ist(kill['written_ns'])}); "
            "`mytrading kill --remove` ends it"
        )
    if body.get("waits"):
        lines.append(f"entries wait: {body['waits']}")
    return lines


def _limit(row: dict[str, Any]) -> dict[str, Any]:
    def shown(value: float) -> str:
        if row.get("unit") == "count":
            return f"{value:g}"
        if row.get("unit", "") == "rupees" or row["kind"] == "DAILY_LOSS":
            return format_cell("", float(value))
        return f"{value:.2%}" if row["kind"] == "DRAWDOWN" else f"{value:+.2f} R"

    def stands(value: float) -> str:
        if row["kind"] != "DAILY_LOSS":
            return shown(value)
        return f"loss {-value:,.2f}" if value < 0 else f"no loss, P&L {value:+,.2f}"

    known = row["value"] is not None
    return {
        **row, **({"name": f"{row['name']} in {row['account']}"} if row.get("account") else {}),
        "kind": row["kind"].lower(), "value": stands(row["value"]) if known else None,
        "limit": shown(row["most"]), "used": f"{row['used']:.0%}" if known else None,
        "left": shown(max(row["left"], 0.0)) if known else None,
    }  # fmt: skip


_COLUMNS = ("at_ns", "strategy", "kind", "limit", "value", "action", "instruments", "accounts", "exit_orders")
_TIMED = ("exit_time", "square_off")


@app.command()
def events(
    strategy: str = typer.Option("", "--strategy", "-s", help="Strategy, running or removed, in any case."),
    limit: Limit = 50, as_json: AsJson = False, profile: Profile = "",
) -> None:  # fmt: skip
    """Acts of risk itself and their reasons: limits, trailing stops, trends and times of strategies, oldest first."""
    with find_stack(profile) as found:
        rows = risk_events(found.config)
    wanted = strategy.lower().replace("_", "")
    rows = [row for row in rows if wanted in ("", str(row["strategy"]).lower().replace("_", ""))]
    rows = rows[-limit:] if limit else rows
    if not as_json:
        for row in rows:
            row["limit"] = row["threshold"]
            if row["kind"] in _TIMED:  # seconds of the day
                row |= {name: hhmm(int(row[name])) for name in ("limit", "value")}
    print_rows(rows, _COLUMNS, as_json, f"no risk events{f' of {strategy}' if strategy else ''} yet")


def risk_events(config: RunConfig) -> list[dict[str, Any]]:
    """Return every risk event as a row, oldest first, with the ids of its exit orders; `JournalDamaged` if unreadable.
    Reads journals and archive, whether or not the stack runs."""
    found: dict[str, RiskEventRecorded] = {}
    orders: dict[str, list[str]] = {}
    for message in (*_archived(config), *_journaled(config)):
        orders.setdefault(message.follows or message.id, []).extend(message.exit_orders)
        if not message.follows:
            found[message.id] = message
    return [_plain(event, list(dict.fromkeys(orders[name]))) for name, event in found.items()]


def _journaled(config: RunConfig) -> Iterator[RiskEventRecorded]:
    decoder = StreamDecoder("records")
    for path in segments(config.journal_dir("risk")):
        for row in read_segment(path):
            if row.stream == "records" and isinstance(message := decoder.decode_body(row.body), RiskEventRecorded):
                yield message


def _archived(config: RunConfig) -> Iterator[RiskEventRecorded]:
    """Events of days whose journal was exported and removed."""
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
        "id": event.id, "at_ns": event.at_ns, "at": format_ist(event.at_ns), "strategy": event.strategy,
        "run": event.run, "kind": event.kind.value, "threshold": event.threshold, "value": event.value,
        "action": event.action.value, "accounts": list(event.accounts), "instruments": list(event.instruments),
        "exit_orders": orders, "note": event.note,
    }  # fmt: skip


# the kill switch
def kill(
    word: str = typer.Argument("halt", metavar="[WORD]", help="halt, reduce or flatten."),
    reason: ReasonArgument = "",
    remove: bool = typer.Option(False, "--remove", help="Remove the file, so that trading resumes."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Write the file KILL, which risk and router obey by themselves though nothing else answers; flatten closes all."""
    if word not in WORDS:
        fail(USAGE, f"kill: expected {', '.join(WORDS)}; found {word!r}")
    file = KillFile(_state_of(profile))
    try:
        gone = file.remove() if remove else False
        if not remove:
            file.write(word, reason)
    except OSError as error:
        fail(ERROR, f"{file.path}: {error.strerror}; write it by hand, its first word being {word}")
    above = file.above.read() if remove else None
    if as_json:
        print_json({"path": str(file.path), "word": "" if remove else word, "removed": gone,
                    "above": above.name if above else ""})  # fmt: skip
    elif remove:
        print(f"{file.path} is gone" if gone else f"{file.path} was not there")
    else:
        print(f"{file.path} says {word}; `mytrading risk` shows it, `mytrading kill --remove` ends it")
    if above is not None:
        fail(ERROR, f"{above.name} says {above.word} to the stacks of all profiles: take it away by hand")


def _state_of(profile: str) -> Path:
    """The state folder: of the profile named, of the stack that runs or ran last, else of the default profile."""
    from mytrading.orchestrator import NotRunning, TradingOrchestrator
    from mytrading.runtime.supervision.control import supervisor_pid

    started = started_states()
    if profile:
        with exit_on_errors():
            named = state_dir(profile)
        if started and not named.exists():
            names = ", ".join(sorted(folder.name for folder in started))
            fail(USAGE, f"--profile: expected one that was started ({names}), found {profile}: KILL has no effect")
        return named
    alive = [folder for folder in started if supervisor_pid(folder)]
    if len(alive) == 1:
        return alive[0]
    with exit_on_errors():
        try:
            return TradingOrchestrator.find(None).config.state
        except NotRunning:
            return state_dir("default")
