"""`mytrading orders resolve`: a person ends an order whose fate the machine cannot find out."""

from __future__ import annotations

import typer

from mytrading.cli.complete import unresolved_ids
from mytrading.cli.output import JSON_OPTION, PROFILE_OPTION, USAGE, fail, print_json, stack
from mytrading.cli.waiting import answered


def resolve(
    order: str = typer.Argument(
        ..., metavar="ID", help="The order, as `orders` shows it.", autocompletion=unresolved_ids
    ),
    broker_order: str = typer.Option("", "--broker-order", metavar="X", help="It is this order of the broker."),
    not_placed: bool = typer.Option(False, "--not-placed", help="It never reached the broker."),
    force: bool = typer.Option(False, "--force", help="Although quantity, time or an order in view speak against it."),
    reason: str = typer.Option("", "--reason", help="Why, for the journal."),
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """End an order that is UNKNOWN, PARKED, LOST or GHOST: it is that one, or it was never placed.

    One that was never placed reserves nothing any more; if it appears all the same it is ours, and is cancelled.
    """
    if bool(broker_order) == not_placed:
        fail(USAGE, "expected either --broker-order X (see `mytrading broker orders`) or --not-placed")
    with stack(profile) as found:
        asked = found.ask(
            "resolve",
            order=order,
            broker_order=broker_order,
            not_placed=str(not_placed).lower(),
            force=str(force).lower(),
            reason=reason,
        )
        said = answered(found, asked["request"])
    print_json({**asked, "ok": True, "message": said}) if as_json else print(said)


def add_to(app: typer.Typer) -> None:
    """Register the command with the group `orders`."""
    app.command()(resolve)
