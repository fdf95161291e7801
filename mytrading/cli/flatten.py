"""`mytrading reduce` and `mytrading flatten`: a person wants less at risk, or nothing.

`down --flatten` uses the latter. The one rule: flat is what two reads of the broker's books show, never what was sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from mytrading.cli.complete import account_names, owner_names
from mytrading.cli.output import JSON_OPTION, PROFILE_OPTION, TIMED_OUT, fail, print_json, say, stack
from mytrading.cli.waiting import left_of, until_flat

if TYPE_CHECKING:
    from mytrading.orchestrator import TradingOrchestrator

DEADLINE_OPTION = typer.Option(60.0, "--deadline", min=1.0, help="Seconds until it must be flat.")
ACCOUNT_OPTION = typer.Option("", "--account", "-a", help="Only this one.", autocompletion=account_names)
STRATEGY_OPTION = typer.Option("", "--strategy", "-s", help="Only what this strategy owns.", autocompletion=owner_names)
REASON_OPTION = typer.Option("", "--reason", help="Why, for the journal.")


def reduce(
    reason: str = typer.Argument("", help="Why, for the journal."),
    account: str = ACCOUNT_OPTION,
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Only what reduces positions is allowed from now on; `resume` ends it."""
    with stack(profile) as found:
        body = found.ask("halt", reason=reason, level="reduce", account=account)
    print_json(body) if as_json else print(f"trading level {body['level']}: {body['reason']}")


def flatten(
    account: str = ACCOUNT_OPTION,
    strategy: str = STRATEGY_OPTION,
    deadline: float = DEADLINE_OPTION,
    reason: str = REASON_OPTION,
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Halt entries, close everything, and wait until the broker's books show it flat twice. Exit 5 if not in time."""
    with stack(profile) as found:
        asked = found.ask("flatten", account=account, strategy=strategy, deadline=repr(deadline), reason=reason)
        rows = until_flat(found, asked["flatten"], deadline, say)
    tell(rows, as_json, "entries stay halted until `mytrading resume`" + (f" --strategy {strategy}" * bool(strategy)))


def tell(rows: list[dict[str, Any]], as_json: bool, afterwards: str) -> None:
    """What came of it; ends the command with 5 when something is left."""
    flat = all(row["flat"] for row in rows)
    if as_json:
        print_json({"flat": flat, "flattens": rows})
    if not flat:
        what = "; ".join(left_of(rows))
        fail(TIMED_OUT, f"not flat by the deadline, it goes on: {what}; look at the broker, `mytrading positions`")
    if not as_json:
        print(f"flat: two reads of the broker's books show it; {afterwards}".rstrip("; "))
        for beside in (text for row in rows for text in row.get("unmanaged", ())):
            print(f"left as it is, nobody here owns it: {beside}; `mytrading positions claim` takes it over")


def flat_before_down(stack: TradingOrchestrator, deadline: float, force: bool) -> list[str]:
    """Close everything before the stack goes down; what is left if forced, else the command ends when not flat."""
    from mytrading.runtime.ops import OpsRefused, OpsTimedOut

    try:
        asked = stack.ask("flatten", deadline=repr(deadline), reason="down --flatten")
        left = left_of(until_flat(stack, asked["flatten"], deadline, say))
    except (OpsTimedOut, OpsRefused) as error:
        left = [f"it could not be asked for: {error}"]
    if left and not force:
        what = "; ".join(left)
        fail(TIMED_OUT, f"not flat, so the stack goes on: {what}; `down --flatten --force` goes down all the same")
    if left:
        say(f"going down although not flat: {'; '.join(left)}")
    else:
        say("flat: two reads of the broker's books show it; entries stay halted until `mytrading resume`")
    return left


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(reduce)
    app.command()(flatten)
