"""Orders of a person to the running stack: halt and resume. Journaled by the gateway before it answers."""

from __future__ import annotations

import sys

import typer

from mytrading.cli.flatten import ACCOUNT_OPTION, STRATEGY_OPTION
from mytrading.cli.output import JSON_OPTION, PROFILE_OPTION, print_json, stack


def halt(
    reason: str = typer.Argument("", help="Why, for the journal."),
    reduce: bool = typer.Option(False, "--reduce", help="Allow orders that reduce positions by a strategy's wish."),
    account: str = ACCOUNT_OPTION,
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Open nothing more. Stops and exits go on working."""
    with stack(profile) as found:
        body = found.ask("halt", reason=reason, level="reduce" if reduce else "halt", account=account)
    print_json(body) if as_json else print(f"trading level {body['level']}: {body['reason']}")


def resume(
    reason: str = typer.Argument("", help="Why, for the journal."),
    account: str = ACCOUNT_OPTION,
    strategy: str = STRATEGY_OPTION,
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Trade again, after a halt, a wrong mode or a quarantine."""
    with stack(profile) as found:
        if strategy:
            switched = found.ask("switch", strategy=strategy, enabled="true", reason=reason)
            print_json(switched) if as_json else print(f"entries of {strategy} are allowed")
            return
        body = found.ask("resume", reason=reason, account=account)
    print_json(body) if as_json else print(f"trading level {body['level']}: {body['reason']}")
    if (file := body.get("kill")) is not None:
        still = f"the file KILL still says {file['word']} (by {file['by']}), and no entry goes until it is gone"
        print(f"mytrading: {still}: `mytrading kill --remove`", file=sys.stderr)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(halt)
    app.command()(resume)
