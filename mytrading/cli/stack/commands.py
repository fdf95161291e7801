"""`mytrading up`, `down` and `status`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from mytrading.cli.shell.failures import (
    CONFIGURATION,
    ERROR,
    NOT_RUNNING,
    TIMED_OUT,
    USAGE,
    exit_on_errors,
    fail,
    find_stack,
)
from mytrading.cli.shell.options import AsJson, Deadline, Profile
from mytrading.cli.shell.output import print_json, print_note, print_rows
from mytrading.cli.trading.alerts import alert_rows
from mytrading.cli.trading.levels import flatten_before_down
from mytrading.core.time import format_ist
from mytrading.runtime.supervision.kill_file import KillFile

_SPEED_HELP = "Market seconds per second of a simulated market; 0: the market waits for the stack at every step."


def up(
    seconds: float = typer.Option(0.0, "--for", min=0.0, metavar="SECONDS", help="Stop after this time."),
    detach: bool = typer.Option(False, "--detach", help="Return once the stack is ready, and leave it running."),
    simulator: bool = typer.Option(False, "--simulator", help="Paper money at the built-in exchange; without .env."),
    replay: Path | None = typer.Option(None, "--replay", help="Trade paper money on a file of recorded ticks or bars."),  # noqa: B008
    speed: float | None = typer.Option(None, "--speed", help=_SPEED_HELP),
    fresh: bool = typer.Option(False, "--fresh", help="Start from an empty state (simulated stacks)."),
    as_json: AsJson = False,
    dry_run: bool = typer.Option(False, "--dry-run", help="Record orders instead of sending them."),
    no_console: bool = typer.Option(False, "--no-console", help="Without the web console."),
    log_level: str = typer.Option("", "--log-level", help="DEBUG, INFO, WARNING, ERROR or CRITICAL."),
    profile: str = typer.Option("", "--profile", help="Which state folder; default, paper or replay if unset."),
) -> None:
    """Start the stack and watch it. Ctrl-C or q stops it; hanging up leaves it running."""
    if speed is not None and not 0 <= speed < float("inf"):
        fail(USAGE, f"--speed: expected market seconds a second, or 0 for lock-step, found {speed:g}")
    if speed is not None and not (simulator or replay):
        fail(USAGE, "--speed is for a simulated market: add --simulator or --replay FILE")
    if detach and seconds:
        fail(USAGE, "--detach returns at once and --for watches: use one of them")
    with exit_on_errors():
        from mytrading.cli.doctor.command import check_before_start
        from mytrading.cli.shell.start import StartOptions, prepare_stack, start_stack
        from mytrading.cli.stack.viewer import StackWatch, watch_stack

        wanted = StartOptions(simulator, replay, speed, fresh, dry_run, log_level, profile, not no_console)
        with _named_as_held(profile or ("replay" if replay else "paper" if simulator else "default")):
            orchestrator = prepare_stack(wanted)
        check_before_start(orchestrator)
        view = StackWatch(seconds=seconds, as_json=as_json, detach=detach)
        view.install_signal_handlers()
        view.story = start_stack(orchestrator, fresh)
        code = watch_stack(orchestrator, view)
    if code:
        raise typer.Exit(code)


@contextmanager
def _named_as_held(profile: str) -> Iterator[None]:
    """Add to a refusal of the settings in this `with` block what the journals of the profile hold meanwhile."""
    from mytrading.config.problems import ConfigurationError

    try:
        yield
    except ConfigurationError as error:
        from mytrading.operations.held_without_start import held_without_start
        from mytrading.runtime.host.paths import started_states

        held = held_without_start(started_states(), profile, error.missing)
        fail(CONFIGURATION, "\n".join((str(error), *held)))


def down(
    flatten: bool = typer.Option(False, "--flatten", help="Close all positions first; without success stay up."),
    deadline: Deadline = 60.0,
    force: bool = typer.Option(False, "--force", help="With --flatten: stop even if positions remain."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Cancel resting entries, then stop the stack. Stops at the broker stay, those of the engine end."""
    if force and not flatten:
        fail(USAGE, "--force goes with --flatten: `down` alone leaves positions and their stops as they are")
    held: list[str] = []
    with find_stack(profile) as found:
        if flatten:
            held = flatten_before_down(found, deadline, force)
        left = found.stop(print_note)
    if as_json:
        flat = {"flat": not held, "held": held} if flatten else {}
        stops = {"stops": found.stops_left, "engine_stops": found.stops_ended}
        print_json({"stopped": found.config.profile, "unconfirmed": left, **stops, **flat})
    elif not left:
        print(f"the {found.config.profile} stack is stopped")
    if held:
        fail(TIMED_OUT, f"the stack is stopped, and was not flat: {'; '.join(held)}; look at the broker")
    if left:
        names = ", ".join(f"{row['instrument']} ({row['state']})" for row in left)
        fail(ERROR, f"{len(left)} entries were not confirmed gone: {names}; look at the broker's order book")


def status(as_json: AsJson = False, profile: Profile = "") -> None:
    """Each process: state, lag, memory, restarts. Exit 3 if nothing runs."""
    with find_stack(profile) as found:
        if not found.is_running():
            kill = KillFile(found.config.state).read()
            if as_json:
                idle = {"profile": found.config.profile, "running": False, "daemons": []}
                print_json({**idle, "kill": kill._asdict() if kill is not None else None})
            held = f"; the file KILL says {kill.word}, so it will open nothing" if kill is not None else ""
            what = f"the {found.config.profile} stack is not running{held}"
            fail(NOT_RUNNING, f"{what}; `{found.start_command}` starts it")
        body = found.status()
    if as_json:
        print_json({"running": True, **body})
        return
    print(status_headline(body))
    columns = ("daemon", "state", "ready", "pid", "restarts", "lag_ms", "rss_mb", "cpu_s", "handled", "fresh", "notes")
    for row in body["daemons"]:
        figures = row.get("figures") or {}
        row["fresh"] = f"{figures['fresh']:g} of {figures['expected']:g}" if "expected" in figures else ""
    print_rows(body["daemons"], columns, False, "no daemons")
    for row in body.get("refused", []):
        print(f"signals of {row['strategy']} are refused {refusal_line(row)}")
    for row in body.get("engine_stops", []):
        held = f"{row['quantity']:+d} {row['instrument']} of {row['strategy']}"
        print(f"the engine holds the stop of {held} at {row['stop']:g}: it ends when the stack stops")
    print(f"state in {body['state_dir']}")
    for line in recovery_lines(body.get("recovery", [])):
        print(line)
    accounts = ("account", "role", "broker", "host", "status", "right_mode", "stream_up", "books", "message")
    budget = ("account", "order_calls", "on_their_way", "waiting", "oldest_wait_s", "kept_for", "refused_429")
    profit = ("account", "realised", "unrealised", "broker_realised", "difference", "not_comparable")
    budgets = [_budget(row) for row in body["budgets"]]
    for rows, names in ((body["accounts"], accounts), (budgets, budget), (body["profit"], profit)):
        if rows:
            print()
            print_rows(rows, names, False, "")


def _budget(row: dict[str, Any]) -> dict[str, Any]:
    waiting = ", ".join(f"{count} {name}" for name, count in sorted(row["waiting"].items()))
    kept = [f"{row['kept_for_stops']} stops"] if row["kept_for_stops"] else []
    kept += [f"{calls} {name}" for name, calls in sorted(row["kept"].items())]
    return {
        "account": row["account"], "order_calls": f"{row['used']} of {row['limit']} a second",
        "on_their_way": row["out"], "waiting": waiting or "nothing", "oldest_wait_s": round(row["oldest_wait_s"], 1),
        "kept_for": ", ".join(kept) or "nothing", "refused_429": row["refused"],
    }  # fmt: skip


def refusal_line(refused: dict[str, Any] | None) -> str:
    """Return the newest denial of a strategy in a line, as `since 09:20: positions per symbol 5 of 5 (35 in a row)`."""
    if not refused:
        return ""
    account = f" in {refused['account']}" if refused["account"] else ""
    times = f"{refused['in_a_row']} in a row, of {refused['signals']} signals today"
    return f"since {format_ist(refused['since_ns'], '%H:%M')}{account}: {refused['rule']} ({times})"


def status_headline(body: dict[str, Any]) -> str:
    """Return one line on a status reply: system, profile, mode, market time, trading level and what limits it."""
    trading = body["trading"]
    reason = describe_origin(trading, "reason", "at_ns")
    file = body.get("kill")
    kill = f" · KILL says {file['word']}{describe_origin(file, 'why', 'written_ns')}" if file else ""
    own = [row for row in body.get("held_back", []) if row["account"] != "all"]
    apart = "".join(f" · {row['account']} {row['level']}{describe_origin(row, 'reason', 'at_ns')}" for row in own)
    switched = body.get("switched_off", [])
    off = "".join(f" · entries of {row['strategy']} off{describe_origin(row, 'reason', 'at_ns')}" for row in switched)
    limits = " · a limit is reached, see `mytrading risk`" if body.get("limits_reached") else ""
    moment = format_ist(body["market_ns"], "%a %d %b %Y %H:%M:%S")
    quotes = f" at its own exchange on the quotes of {body['quotes_of']}" if body.get("quotes_of") else ""
    mode = f" · {body['mode']}" if body["mode"] != body["profile"] else ""
    where = f"{body['system']} · {body['profile']}{mode}{quotes}"
    pace = f"×{body['speed']:g}" if body["speed"] else "in lock-step"
    pace += " of a simulator's clock" if body.get("clock_of") else ""
    closed = body.get("entries_closed") if trading["level"] == "normal" else ""
    level = f"entries closed: {closed}" if closed else f"trading {trading['level']}{reason}"
    return f"{where} · {moment} IST {pace} · {level}{apart}{kill}{off}{limits}"


def describe_origin(row: dict[str, Any], why: str, when: str) -> str:
    """Return ` (reason, by PERSON, since TIME)` of a halt or level, "" if unknown. `why` and `when` name the keys of
    `row` for reason and time (ns); the person is under `by`."""
    parts = [row[why]] if row.get(why) else []
    parts += [f"by {row['by']}"] if row.get("by") else []
    parts += [f"since {format_ist(row[when], '%d %b %H:%M:%S')}"] if parts and row.get(when) else []
    return f" ({', '.join(parts)})" if parts else ""


_DIFFERENCES = {
    "adopted": "adopted", "ended": "ended while away", "corrected": "corrected", "unmanaged": "unmanaged",
    "expired": "expired", "unresolved": "of unknown fate",
}  # fmt: skip


def recovery_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Return lines on each account's recovery at start: its state, then differences of journal and broker."""
    lines = []
    for row in rows:
        if not row["done"]:
            lines.append(f"recovery of {row['account']}: its books are being compared, entries wait")
            continue
        counts = f"{row.get('orders', 0)} live orders and {row.get('positions', 0)} positions journaled"
        foreign = f", {row['foreign']} orders of others" if row.get("foreign") else ""
        agree = "" if any(row.get(name) for name in _DIFFERENCES) else "; the books agree"
        lines.append(f"recovery of {row['account']}: {counts}{foreign}{agree}")
        lines += [f"  {words}: {text}" for name, words in _DIFFERENCES.items() for text in row.get(name, ())]
    return lines


def problem_lines(strategies: Sequence[dict[str, Any]], alerts: Sequence[dict[str, Any]]) -> list[str]:
    """Return a line for each faulted strategy and each other kind of active alert among the gateway's rows."""
    faulted = {row["name"]: row["problem"] for row in strategies if row["state"] == "FAULTED"}
    others = [row for row in alerts if row["code"] != "STRATEGY_FAULTED" or row["subject"] not in faulted]
    gone = [row for row in strategies if row["state"] == "GONE" and row["positions"]]
    return [
        *(f"strategy {name} is faulted and does nothing: {problem}" for name, problem in faulted.items()),
        *(f"strategy {row['name']}: {row['problem']}" for row in gone),
        *(f"alert {row['code']} {row['subject']}: {row['message']}" for row in alert_rows(others)),
    ]
