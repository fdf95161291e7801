"""What the shell offers when Tab is pressed behind a command that asks for an id or a name of the running stack.

It never fails and never waits; without a stack it offers nothing.
"""

from __future__ import annotations

from typing import Any

WAIT_S = 0.5

LOGS = ("supervisord", "main", "trade", "error", "performance")
"""What `logs` shows besides the processes."""


def _rows(verb: str) -> list[dict[str, Any]]:
    """The rows that a query without fields answers, all of them; none without a stack."""
    from mytrading.cli.shell.output import Failure, stack
    from mytrading.messages.ops import OrdersQuery, PositionsQuery, StrategiesQuery
    from mytrading.runtime.streams.ops_client import Ops

    queries = {"orders": OrdersQuery(limit=0), "positions": PositionsQuery(), "strategies": StrategiesQuery()}

    try:
        with stack() as found:
            if not found.is_running():
                return []
            with Ops(found.config, WAIT_S) as ops:
                rows: list[dict[str, Any]] = ops.ask(queries[verb])
                return rows
    except Failure:
        return []


def _names(values: list[str], begun: str) -> list[str]:
    return sorted({value for value in values if value.startswith(begun)})


def order_ids(incomplete: str) -> list[str]:
    """Ids of today's orders, ours."""
    return _names([row["client_order_id"] for row in _rows("orders")], incomplete)


def unresolved_ids(incomplete: str) -> list[str]:
    """Ids of orders that an operator may have to resolve."""
    rows = _rows("orders")
    fates = ("UNKNOWN", "PARKED", "LOST", "GHOST")
    return _names([row["client_order_id"] for row in rows if row["state"] in fates], incomplete)


def held_instruments(incomplete: str) -> list[str]:
    """Instruments with a position, unmanaged ones too."""
    return _names([row["instrument"] for row in _rows("positions")], incomplete)


def owner_names(incomplete: str) -> list[str]:
    """Strategies that run."""
    return _names([row["name"] for row in _rows("strategies")], incomplete)


def strategy_names(incomplete: str) -> list[str]:
    """Strategies of the stack, whether it runs or not."""
    from mytrading.cli.shell.output import Failure, stack

    try:
        with stack() as found:
            return _names([run.name for run in found.config.strategies], incomplete)
    except Failure:
        return []


def strategy_classes(incomplete: str) -> list[str]:
    """Strategies in the project's folder with code, enabled or not."""
    from mytrading.config.problems import ConfigurationError
    from mytrading.config.strategy_files import discover_strategies
    from mytrading.runtime.host.paths import NoProject, project_home

    try:
        return _names([item.name for item in discover_strategies(project_home() / "strategies")], incomplete)
    except (NoProject, ConfigurationError, OSError, SyntaxError):
        return []


def log_names(incomplete: str) -> list[str]:
    """Processes and logs."""
    from mytrading.runtime.supervision.control import PROGRAMS

    return _names([*PROGRAMS, *LOGS], incomplete)


def profile_names(incomplete: str) -> list[str]:
    """Profiles that come with the program, and those that were started."""
    from mytrading.runtime.host.paths import started_states

    return _names(["paper", "replay", "default", *(folder.name for folder in started_states())], incomplete)


def journal_days(incomplete: str) -> list[str]:
    """Days that the stack has a journal of."""
    from mytrading.cli.shell.output import Failure, stack
    from mytrading.runtime.journal.journal import segments

    try:
        with stack() as found:
            return _names([path.stem for path in segments(found.config.journal_dir("engine"))], incomplete)
    except Failure:
        return []


def account_names(incomplete: str) -> list[str]:
    """Accounts of the stack."""
    from mytrading.cli.shell.output import Failure, stack

    try:
        with stack() as found:
            return _names([account.id for account in found.config.order_accounts], incomplete)
    except Failure:
        return []


def underlyings(incomplete: str) -> list[str]:
    """Underlyings that have options in the stack's list of instruments."""
    from mytrading.adapters.storage.instrument_store import InstrumentFile
    from mytrading.cli.shell.output import Failure, stack

    try:
        with stack() as found:
            listed = InstrumentFile(found.config.state).snapshot().instruments
    except Failure:
        return []
    return _names([item.underlying for item in listed if item.kind.is_option], incomplete.upper())
