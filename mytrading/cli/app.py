"""The typer application: every command, registered from its group's file.

`mytrading --help` answers within 0.4 s, so modules of commands load only typer at their top.
"""

from __future__ import annotations

import typer

from mytrading.cli.accounts import command as accounts
from mytrading.cli.doctor import command as doctor
from mytrading.cli.journal import command as journal
from mytrading.cli.journal import streams
from mytrading.cli.legs import command as legs
from mytrading.cli.market import calendar, chain, history, instruments
from mytrading.cli.research import (
    backtest,
    check,
    indicators,
    new_strategy,
    optimize,
    parity,
    strategy_chart,
    symbol_chart,
    walk_forward,
)
from mytrading.cli.stack import commands, config, day, extra_commands, logs, strategies
from mytrading.cli.state import command as state
from mytrading.cli.trading import broker, levels, margin, orders, positions, risk, risk_events, tables
from mytrading.cli.why import command as why

app = typer.Typer(
    name="mytrading",
    help="A self-hosted trading stack for Indian markets over OpenAlgo.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
commands.add_to(app)
backtest.add_to(app)
optimize.add_to(app)
walk_forward.add_to(app)
check.add_to(app)
parity.add_to(app)
symbol_chart.add_to(app)
logs.add_to(app)
streams.add_to(app)
tables.add_to(app)
broker.add_to(app)
chain.add_to(app)
levels.add_to(app)
doctor.add_to(app)
indicators.add_to(app)
new_strategy.add_to(app)
risk.add_to(app)
why.add_to(app)
app.add_typer(orders.app, name="orders")
app.add_typer(positions.app, name="positions")
risk_events.add_to(risk.app)
app.add_typer(accounts.app, name="account")
app.add_typer(config.app, name="config")
app.add_typer(journal.app, name="journal")
app.add_typer(day.app, name="day")
app.add_typer(state.app, name="state")
app.add_typer(instruments.app, name="instruments")
app.add_typer(history.app, name="history")
app.add_typer(calendar.app, name="calendar")
margin.add_to(app)
app.add_typer(legs.app, name="legs")
strategy_chart.add_to(strategies.app)
app.add_typer(strategies.app, name="strategies")
extra_commands.add_to(app)
