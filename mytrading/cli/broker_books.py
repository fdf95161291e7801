"""`mytrading broker orders|trades|positions|holdings|funds`: what the brokers themselves show, of all accounts.

The one rule: an account that cannot be read is named, and what was read earlier is shown with its age.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mytrading.cli.output import ERROR, JSON_OPTION, PROFILE_OPTION, USAGE, fail, failures, print_json, print_rows, say

if TYPE_CHECKING:
    from mytrading.cli.broker_read import Shown
    from mytrading.messages.runconfig import AccountRun, RunConfig

BOOKS: dict[str, str] = {
    "orders": "orderbook", "trades": "tradebook", "positions": "positionbook", "holdings": "holdings", "funds": "funds",
}  # fmt: skip
"""Names of the books, and the route of each."""
_FIRST = ("account", "age_s", "exchange", "symbol", "action", "product", "quantity", "order_status", "average_price")


def broker(
    book: str = typer.Argument(..., metavar="BOOK", help=", ".join(BOOKS)),
    account: str = typer.Option("", "--account", "-a", help="Only this one."),
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """What the brokers show, of all accounts: their own rows. Exit 1 if an account could not be read."""
    if book not in BOOKS:
        fail(USAGE, f"broker: expected {', '.join(BOOKS)}; found {book!r}")
    with failures():
        from mytrading.adapters.openalgo.again import Retries
        from mytrading.cli.broker_read import CACHE, collect
        from mytrading.cli.server import stack_of

        config = stack_of(profile).config
    retries = Retries(config.venue.max_retries, config.venue.retry_delay)
    shown = collect(_accounts(config, account), book, config.state / CACHE, retries)
    _print(shown, as_json)
    failed = [one for one in shown if one.problem]
    for one in failed:
        old = f"; its rows are {one.age_s:g} s old" if one.rows else ""
        say(f"{one.account} could not be read: {one.problem}{old}")
    if failed:
        raise typer.Exit(ERROR)


def _accounts(config: RunConfig, wanted: str) -> list[AccountRun]:
    found = [account for account in (*config.served, *config.standby) if account.rest_url]
    if not found:
        from mytrading.orchestrator import TradingOrchestrator

        start = TradingOrchestrator(config).start_command
        fail(USAGE, f"the server of the {config.profile} stack is its simulator: start it with `{start}`")
    chosen = [account for account in found if wanted in ("", account.id)]
    if not chosen:
        fail(USAGE, f"--account: expected one of {', '.join(account.id for account in found)}; found {wanted!r}")
    return chosen


def _print(shown: list[Shown], as_json: bool) -> None:
    if as_json:
        print_json([one._asdict() for one in shown])
        return
    rows = [{"account": one.account, "age_s": one.age_s or "", **row} for one in shown for row in one.rows]
    names = list(dict.fromkeys(name for row in rows for name in row))
    first = [name for name in _FIRST if name in names]
    print_rows(rows, [*first, *(name for name in names if name not in first)], False, "nothing there")


def add_to(app: typer.Typer) -> None:
    """The command."""
    app.command()(broker)
