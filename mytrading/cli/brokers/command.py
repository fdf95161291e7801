"""`mytrading brokers [NAME]`: what each broker behind OpenAlgo says and does; `check` tries the one of an account.

A word behind `brokers` that is no command of the group is a broker's name, in any of its spellings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from mytrading.cli.shell.failures import USAGE, exit_on_errors, fail
from mytrading.cli.shell.options import AsJson, Profile, completion
from mytrading.cli.shell.output import print_json, print_rows

_COLUMNS = ("name", "standing", "waiting_stop", "updates", "trade_quantity", "positions", "stop_move", "stops")


class _NameOrCommand(TyperGroup):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["show", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_NameOrCommand,
    invoke_without_command=True,
    help="The brokers behind OpenAlgo: ready, with limits or refused, and what differs at each.",
    rich_markup_mode=None,
)


@completion
def _names() -> list[str]:
    from mytrading.config.brokers import load_brokers

    return list(load_brokers())


@app.callback()
def listed(context: typer.Context, as_json: AsJson = False) -> None:
    """Each broker: whether live entries may be sent there, and what is known of it. Behind it a NAME shows one."""
    if context.invoked_subcommand is not None:
        return
    from mytrading.config.brokers import load_brokers
    from mytrading.core.text.broker_facts import broker_body, real_brokers

    rows = [broker_body(rules) for rules in real_brokers(load_brokers())]
    print_rows(rows, _COLUMNS, as_json, "no brokers")


@app.command()
def show(
    name: str = typer.Argument(..., metavar="NAME", help="The broker, as OpenAlgo names it.", autocompletion=_names),
    as_json: AsJson = False,
) -> None:
    """One broker: what differs there, since which version of OpenAlgo, and how it was checked. `brokers NAME` too."""
    with exit_on_errors():
        from mytrading.config.brokers import load_brokers
        from mytrading.config.problems import hint
        from mytrading.core.text.broker_facts import broker_body, broker_lines, real_brokers
        from mytrading.messages.brokers import find_broker

        table = {rules.name: rules for rules in real_brokers(load_brokers())}
        rules = find_broker(table, name)
        if not rules.name:
            near = hint(name, table) or "; `mytrading brokers` lists them"
            fail(USAGE, f"brokers: expected the name of a broker, found {name!r}{near}")
    if as_json:
        print_json(broker_body(rules))
        return
    print("\n".join(broker_lines(rules)))


@app.command()
def check(
    account: str = typer.Option("", "--account", "-a", help="Account; default: the primary."),
    symbol: str = typer.Option("", "--symbol", metavar="SHARE", help="A cheap share, say NSE:YESBANK, the default."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
    output: Path | None = typer.Option(None, "--output", help="Folder of the report; default: the state folder."),  # noqa: B008
    forget: bool = typer.Option(False, "--forget", help="Forget what an earlier check left, once you looked."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Try an account's broker in the session, with its stack down: one share, far from the market, taken back."""
    with exit_on_errors():
        from mytrading.cli.brokers.check import CheckOptions, run_check
        from mytrading.cli.shell.target import running_or_configured_stack

        config = running_or_configured_stack(profile).config
        run_check(config, CheckOptions(account, symbol, yes, forget, as_json, output))
