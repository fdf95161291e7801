"""`mytrading halt`, `reduce`, `resume`, `flatten` and `down --flatten`.

Flat is what two reads of the broker's books show, never what was sent.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from typer import Argument, Option

from mytrading.cli.shell.failures import TIMED_OUT, fail, find_stack
from mytrading.cli.shell.options import Account, AsJson, Deadline, Profile, Reason, RequestId, owner_names
from mytrading.cli.shell.output import print_json, print_note, print_result
from mytrading.messages.enums import TradingLevel
from mytrading.messages.ops import FlattenCommand, FlattensQuery, HaltCommand, LevelSet, ResumeCommand, SwitchCommand

if TYPE_CHECKING:
    from mytrading.orchestrator import TradingOrchestrator

ReasonArgument = Annotated[str, Argument(help="Reason, kept in the journal.")]
Strategy = Annotated[
    str, Option("--strategy", "-s", help="Limit it to this strategy's positions.", autocompletion=owner_names)
]
_FLAT_POLL_S = 0.25
_GRACE_S = 3.0


def halt(
    reason: ReasonArgument = "",
    reduce: bool = Option(False, "--reduce", help="Allow orders that reduce positions by a strategy's signal."),
    account: Account = "", request: RequestId = "", as_json: AsJson = False, profile: Profile = "",
) -> None:  # fmt: skip
    """Halt new entries. Stops and exits go on working."""
    command = HaltCommand(request_id=request, reduce=reduce, reason=reason, account=account)
    with find_stack(profile) as found:
        _show_level(found.ask(command), as_json)


def reduce(
    reason: ReasonArgument = "", account: Account = "", request: RequestId = "", as_json: AsJson = False,
    profile: Profile = "",
) -> None:  # fmt: skip
    """Allow only orders that reduce positions; `resume` ends it."""
    halt(reason, True, account, request, as_json, profile)


def _show_level(found: LevelSet, as_json: bool, more: dict[str, Any] | None = None) -> None:
    level = found.trading
    body = {**msgspec.to_builtins(level), **(more or {})}
    print_result(body, as_json, f"trading level {level.level}: {level.reason}")


def resume(
    reason: ReasonArgument = "", account: Account = "", strategy: Strategy = "", request: RequestId = "",
    as_json: AsJson = False, profile: Profile = "",
) -> None:  # fmt: skip
    """Trade again, after a halt, a wrong mode or a quarantine."""
    with find_stack(profile) as found:
        if strategy:
            command = SwitchCommand(request_id=request, strategy=strategy, enabled=True, reason=reason)
            switch = found.ask(command).switch
            return print_result(msgspec.to_builtins(switch), as_json, f"entries of {strategy} are allowed")
        resumed = found.ask(ResumeCommand(request_id=request, reason=reason, account=account))
    _show_level(resumed, as_json, {"kill": resumed.kill})
    if resumed.overall is not TradingLevel.NORMAL:
        still = f"all accounts are still at the level {resumed.overall}, and no entry goes until that ends"
        print_note(f"mytrading: {still}: `mytrading resume`")
    if (file := resumed.kill) is not None:
        still = f"the file KILL still says {file['word']} (by {file['by']}), and no entry goes until it is gone"
        print_note(f"mytrading: {still}: `mytrading kill --remove`")
    return None


def flatten(
    account: Account = "", strategy: Strategy = "", deadline: Deadline = 60.0, reason: Reason = "",
    request: RequestId = "", as_json: AsJson = False, profile: Profile = "",
) -> None:  # fmt: skip
    """Halt entries, close everything, and wait until the broker's books show it flat twice. Exit 5 if not in time."""
    command = FlattenCommand(request_id=request, account=account, strategy=strategy, deadline=deadline, reason=reason)
    with find_stack(profile) as found:
        taken = found.ask(command)
        rows = wait_until_flat(found, taken.flatten, deadline) + _absent_rows(taken.absent)
    if taken.beside:
        print_note(f"not asked for, and left as it is: {'; '.join(taken.beside)}")
    cure = f"`mytrading resume`{f' --strategy {strategy}' if strategy else ''}"
    print_flatten_result(rows, as_json, f"entries stay halted until {cure}")


def print_flatten_result(rows: list[dict[str, Any]], as_json: bool, afterwards: str) -> None:
    """Print the flatten rows of `wait_until_flat`; ends the command with code 5 if one is not flat.
    `afterwards` is text to add when all are flat."""
    flat = all(row["flat"] for row in rows)
    if as_json:
        print_json({"flat": flat, "flattens": rows})
    if not flat:
        what = "; ".join(unflattened_lines(rows))
        fail(TIMED_OUT, f"not flat by the deadline, it goes on: {what}; look at the broker, `mytrading positions`")
    if not as_json:
        print(f"flat: two reads of the broker's books show it; {afterwards}".rstrip("; "))
        for beside in (text for row in rows for text in row.get("unmanaged", ())):
            print(f"unmanaged, left as it is: {beside}; `mytrading positions claim` takes it over")


def flatten_before_down(stack: TradingOrchestrator, deadline: float, force: bool) -> list[str]:
    """Close all positions; returns what is left open (empty: flat), or ends the command if so without `force`."""
    from mytrading.runtime.streams.ops_client import OpsRefused, OpsTimedOut, new_request_id

    try:
        command = FlattenCommand(request_id=new_request_id(), deadline=deadline, reason="down --flatten")
        taken = stack.ask(command)
        left = unflattened_lines(wait_until_flat(stack, taken.flatten, deadline) + _absent_rows(taken.absent))
    except (OpsTimedOut, OpsRefused) as error:
        left = [f"the flatten could not be requested: {error}"]
    if left and not force:
        what = "; ".join(left)
        fail(TIMED_OUT, f"not flat, so the stack goes on: {what}; `down --flatten --force` goes down all the same")
    if left:
        print_note(f"going down although not flat: {'; '.join(left)}")
    else:
        print_note("flat: two reads of the broker's books show it; entries stay halted until `mytrading resume`")
    return left


def _absent_rows(absent: Sequence[str]) -> list[dict[str, Any]]:
    """What no flatten of this run can reach, as a row beside those of the flattens."""
    return [{"state": "absent", "flat": False, "left": list(absent)}] if absent else []


def wait_until_flat(stack: TradingOrchestrator, ids: Sequence[str], seconds: float) -> list[dict[str, Any]]:
    """Wait until the flatten commands `ids` are done, at most `seconds` and 3 s more; returns their rows.
    Prints what is left whenever that changes."""
    until, reported = time.monotonic() + seconds + _GRACE_S, ""
    while True:
        rows: list[dict[str, Any]] = stack.ask(FlattensQuery(ids=tuple(ids)))
        if all(row["flat"] for row in rows) or time.monotonic() >= until:
            return rows
        if (left := "; ".join(unflattened_lines(rows))) != reported:
            reported = left
            print_note(f"not flat yet, {max(until - time.monotonic() - _GRACE_S, 0):.0f} s left: {left}")
        time.sleep(_FLAT_POLL_S)


def unflattened_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Return what keeps accounts from being flat, a text each, from rows of a `FlattensQuery`; empty if flat."""
    return [f"{row['account']}: {left}" if "account" in row else left for row in rows for left in row["left"]]
