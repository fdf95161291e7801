"""`mytrading orders`: the list, and what a person may do to one of them. The gateway journals it before it answers."""

from __future__ import annotations

import typer

from mytrading.cli.books import LIMIT_OPTION, orders
from mytrading.cli.output import JSON_OPTION, PROFILE_OPTION

app = typer.Typer(
    invoke_without_command=True,
    help="Orders, oldest first; `resolve` ends one of unknown fate.",
    rich_markup_mode=None,
)


@app.callback()
def listed(
    context: typer.Context,
    live: bool = typer.Option(False, "--live", help="Only those that may still fill."),
    limit: int = LIMIT_OPTION,
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Orders, oldest first; `resolve` ends one of unknown fate."""
    if context.invoked_subcommand is None:
        orders(live, limit, as_json, profile)
