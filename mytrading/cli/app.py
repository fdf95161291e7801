"""The typer application: every command, registered from its group's file.

`mytrading --help` answers within 0.4 s, so modules of commands load only typer at their top.
"""

from __future__ import annotations

from copy import copy

import typer

from mytrading.cli.accounts import command as accounts
from mytrading.cli.brokers import command as brokers
from mytrading.cli.console import command as console
from mytrading.cli.doctor.command import doctor
from mytrading.cli.journal import command as journal
from mytrading.cli.legs import command as legs
from mytrading.cli.market import calendar, data, history, instruments
from mytrading.cli.market.chain import chain
from mytrading.cli.research import authoring, backtest, charts, search
from mytrading.cli.research.parity import parity
from mytrading.cli.stack import commands, config, day, extra_commands, strategies
from mytrading.cli.stack.logs import logs
from mytrading.cli.state import command as state
from mytrading.cli.trading import books, levels, margin, risk
from mytrading.cli.trading.alerts import alerts
from mytrading.cli.trading.broker import broker
from mytrading.cli.webhooks import command as webhooks
from mytrading.cli.why.command import why

COMMANDS = (
    commands.up, commands.down, commands.status, backtest.backtest, search.optimize, search.walk_forward,
    backtest.check, parity, charts.chart, logs, journal.tail, journal.endpoints, books.trades, books.signals,
    alerts, broker, chain, levels.halt, levels.reduce, levels.resume, levels.flatten, doctor,
    authoring.indicators, authoring.new_strategy, risk.kill, why, margin.margin, margin.size,
)  # fmt: skip
GROUPS = {
    "risk": risk.app, "orders": books.orders_app, "positions": books.positions_app, "account": accounts.app,
    "brokers": brokers.app,
    "config": config.app, "journal": journal.app, "day": day.app, "state": state.app, "instruments": instruments.app,
    "history": history.app, "data": data.app, "calendar": calendar.app, "legs": legs.app, "strategies": strategies.app,
    "webhook": webhooks.app, "console": console.app,
}  # fmt: skip

app = typer.Typer(
    name="mytrading",
    help="A self-hosted trading stack for Indian markets over OpenAlgo.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in COMMANDS:
    app.command(command.__name__.replace("_", "-"))(command)
raw = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
app.command(context_settings=raw)(extra_commands.simulator)
app.command()(extra_commands.perf)
for name in extra_commands.LAB:
    extra_commands.add_lab_command(app, name)
app.command()(extra_commands.version)
strategies.app.command("chart")(charts.strategy_chart)
for name, group in GROUPS.items():
    app.add_typer(group, name=name)


def app_of(word: str) -> typer.Typer:
    """Return an application that knows the command or group `word` alone, and is built in a fraction of the time; the
    whole one if there is no such command."""
    commands = [one for one in app.registered_commands if one.name == word]
    groups = [one for one in app.registered_groups if one.name == word]
    if not commands and not groups:
        return app
    found = copy(app)
    found.registered_commands = [*commands, app.registered_commands[-1]]  # one alone would be the application itself
    found.registered_groups = groups
    return found
