"""`mytrading halt`, `reduce`, `resume`, `flatten` and `down --flatten`.

Flat is what two reads of the broker's books show, never what was sent.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import typer

from mytrading.cli.shell.completion import account_names, owner_names
from mytrading.cli.shell.output import (
    JSON_OPTION,
    PROFILE_OPTION,
    REQUEST_ID_OPTION,
    TIMED_OUT,
    fail,
    print_json,
    request_id,
    say,
    stack,
)

if TYPE_CHECKING:
    from mytrading.messages.ops import LevelSet
    from mytrading.orchestrator import TradingOrchestrator


DEADLINE_OPTION = typer.Option(60.0, "--deadline", min=1.0, max=86_399.0, help="Seconds until it must be flat.")
ACCOUNT_OPTION = typer.Option("", "--account", "-a", help="Only this one.", autocompletion=account_names)
STRATEGY_OPTION = typer.Option("", "--strategy", "-s", help="Only what this strategy owns.", autocompletion=owner_names)
REASON_OPTION = typer.Option("", "--reason", help="Why, for the journal.")
_FLAT_POLL_S = 0.25
_GRACE_S = 3.0


def halt(
    reason: str = typer.Argument("", help="Why, for the journal."),
    reduce: bool = typer.Option(False, "--reduce", help="Allow orders that reduce positions by a strategy's signal."),
    account: str = ACCOUNT_OPTION,
    request: str = REQUEST_ID_OPTION,
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Open nothing more. Stops and exits go on working."""
    hold_entries(reduce, reason, account, request, as_json, profile)


def hold_entries(reduce: bool, reason: str, account: str, request: str, as_json: bool, profile: str) -> None:
    """Set the trading level `halt` or `reduce`, and print it."""
    from mytrading.messages.ops import HaltCommand

    command = HaltCommand(request_id=request_id(request), reduce=reduce, reason=reason, account=account)
    with stack(profile) as found:
        _show_level(found.ask(command), as_json)


def _show_level(found: LevelSet, as_json: bool, more: dict[str, Any] | None = None) -> None:
    import msgspec

    level = found.trading
    if as_json:
        print_json({**msgspec.to_builtins(level), **(more or {})})
    else:
        print(f"trading level {level.level}: {level.reason}")


def resume(
    reason: str = typer.Argument("", help="Why, for the journal."),
    account: str = ACCOUNT_OPTION,
    strategy: str = STRATEGY_OPTION,
    request: str = REQUEST_ID_OPTION,
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Trade again, after a halt, a wrong mode or a quarantine."""
    import msgspec

    from mytrading.messages.ops import ResumeCommand, SwitchCommand

    name = request_id(request)
    with stack(profile) as found:
        if strategy:
            command = SwitchCommand(request_id=name, strategy=strategy, enabled=True, reason=reason)
            switch = found.ask(command).switch
            print_json(msgspec.to_builtins(switch)) if as_json else print(f"entries of {strategy} are allowed")
            return
        resumed = found.ask(ResumeCommand(request_id=name, reason=reason, account=account))
    _show_level(resumed, as_json, {"kill": resumed.kill})
    if (file := resumed.kill) is not None:
        still = f"the file KILL still says {file['word']} (by {file['by']}), and no entry goes until it is gone"
        print(f"mytrading: {still}: `mytrading kill --remove`", file=sys.stderr)


def reduce(
    reason: str = typer.Argument("", help="Why, for the journal."),
    account: str = ACCOUNT_OPTION,
    request: str = REQUEST_ID_OPTION,
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Only what reduces positions is allowed from now on; `resume` ends it."""
    hold_entries(True, reason, account, request, as_json, profile)


def flatten(
    account: str = ACCOUNT_OPTION,
    strategy: str = STRATEGY_OPTION,
    deadline: float = DEADLINE_OPTION,
    reason: str = REASON_OPTION,
    request: str = REQUEST_ID_OPTION,
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Halt entries, close everything, and wait until the broker's books show it flat twice. Exit 5 if not in time."""
    from mytrading.messages.ops import FlattenCommand

    command = FlattenCommand(
        request_id=request_id(request), account=account, strategy=strategy, deadline=deadline, reason=reason
    )
    with stack(profile) as found:
        rows = until_flat(found, found.ask(command).flatten, deadline, say)
    report_flat(
        rows, as_json, "entries stay halted until `mytrading resume`" + (f" --strategy {strategy}" * bool(strategy))
    )


def report_flat(rows: list[dict[str, Any]], as_json: bool, afterwards: str) -> None:
    """Print the result; ends the command with 5 when something is left."""
    flat = all(row["flat"] for row in rows)
    if as_json:
        print_json({"flat": flat, "flattens": rows})
    if not flat:
        what = "; ".join(left_of(rows))
        fail(TIMED_OUT, f"not flat by the deadline, it goes on: {what}; look at the broker, `mytrading positions`")
    if not as_json:
        print(f"flat: two reads of the broker's books show it; {afterwards}".rstrip("; "))
        for beside in (text for row in rows for text in row.get("unmanaged", ())):
            print(f"unmanaged, left as it is: {beside}; `mytrading positions claim` takes it over")


def flat_before_down(stack: TradingOrchestrator, deadline: float, force: bool) -> list[str]:
    """Close everything before the stack goes down; what is left if forced, else the command ends when not flat."""
    from mytrading.messages.ops import FlattenCommand
    from mytrading.runtime.streams.ops_client import OpsRefused, OpsTimedOut

    try:
        command = FlattenCommand(request_id=request_id(""), deadline=deadline, reason="down --flatten")
        left = left_of(until_flat(stack, stack.ask(command).flatten, deadline, say))
    except (OpsTimedOut, OpsRefused) as error:
        left = [f"the flatten could not be requested: {error}"]
    if left and not force:
        what = "; ".join(left)
        fail(TIMED_OUT, f"not flat, so the stack goes on: {what}; `down --flatten --force` goes down all the same")
    if left:
        say(f"going down although not flat: {'; '.join(left)}")
    else:
        say("flat: two reads of the broker's books show it; entries stay halted until `mytrading resume`")
    return left


def until_flat(
    stack: TradingOrchestrator, ids: Sequence[str], seconds: float, progress: Callable[[str], None]
) -> list[dict[str, Any]]:
    """The flattens of these ids once all are flat, or as they are after the deadline; `progress` gets what is left."""
    from mytrading.messages.ops import FlattensQuery

    until, reported = time.monotonic() + seconds + _GRACE_S, ""
    while True:
        rows: list[dict[str, Any]] = stack.ask(FlattensQuery(ids=tuple(ids)))
        if all(row["flat"] for row in rows) or time.monotonic() >= until:
            return rows
        if (news := "; ".join(left_of(rows))) != reported:
            reported = news
            progress(f"not flat yet, {max(until - time.monotonic() - _GRACE_S, 0):.0f} s left: {news}")
        time.sleep(_FLAT_POLL_S)


def left_of(rows: list[dict[str, Any]]) -> list[str]:
    """What keeps the accounts from being flat, in words."""
    return [f"{row['account']}: {left}" if "account" in row else left for row in rows for left in row["left"]]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (halt, reduce, resume, flatten):
        app.command()(command)
