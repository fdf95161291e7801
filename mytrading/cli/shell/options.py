"""Options that many commands share, declared once, and what the shell offers for them when Tab is pressed.

Completion never fails and never waits; without a stack it offers nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any

import typer

from mytrading.config.problems import ConfigurationError
from mytrading.messages.ops import OrdersQuery, PositionsQuery, StrategiesQuery
from mytrading.runtime.host.paths import NoProject, project_home, started_states
from mytrading.runtime.journal.format import segments

WAIT_S = 0.5
LOGS = ("supervisord", "main", "trade", "error", "performance")
"""Files that `logs` shows besides those of the processes."""


def completion(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """Wrap a function that lists names into a typer completion: names by prefix in any case; [] if listing fails."""

    def offered(incomplete: str) -> list[str]:
        from mytrading.cli.shell.failures import Failure

        try:
            return sorted({name for name in names() if name.upper().startswith(incomplete.upper())})
        except (Failure, ConfigurationError, NoProject, OSError, SyntaxError):
            return []

    return offered


def _rows(verb: str) -> list[dict[str, Any]]:
    """The rows that a query without fields answers, all of them; none without a stack."""
    from mytrading.cli.shell.failures import find_stack
    from mytrading.runtime.streams.ops_client import Ops

    queries = {"orders": OrdersQuery(limit=0), "positions": PositionsQuery(), "strategies": StrategiesQuery()}
    with find_stack() as found:
        if not found.is_running():
            return []
        with Ops(found.config, WAIT_S) as ops:
            rows: list[dict[str, Any]] = ops.ask(queries[verb])
            return rows


def _config() -> Any:
    from mytrading.cli.shell.failures import find_stack

    with find_stack() as found:
        return found.config


order_ids = completion(lambda: [row["client_order_id"] for row in _rows("orders")])
held_instruments = completion(lambda: [row["instrument"] for row in _rows("positions")])
owner_names = completion(lambda: [row["name"] for row in _rows("strategies")])
strategy_names = completion(lambda: [run.name for run in _config().strategies])
"""Strategies of the stack, whether it runs or not."""
account_names = completion(lambda: [account.id for account in _config().order_accounts])


@completion
def unresolved_ids() -> list[str]:
    """Ids of orders that are UNKNOWN, PARKED, LOST or GHOST, for completion of `orders resolve`."""
    unresolved = ("UNKNOWN", "PARKED", "LOST", "GHOST")
    return [row["client_order_id"] for row in _rows("orders") if row["state"] in unresolved]


@completion
def strategy_classes() -> list[str]:
    """Names of all strategies with code in the project's `strategies/` folder, enabled or not."""
    from mytrading.config.strategy_files import discover_strategies

    return [item.name for item in discover_strategies(project_home() / "strategies")]


@completion
def leg_strategy_names() -> list[str]:
    """Names of the strategies in `config/strategies` that are files of `[[legs]]`."""
    files = (project_home() / "config" / "strategies").glob("*.toml")
    return [path.stem for path in files if "[[legs]]" in path.read_text(errors="replace")]


@completion
def log_names() -> list[str]:
    """Names that `mytrading logs` takes: processes, and kinds of logs."""
    from mytrading.runtime.supervision.control import PROGRAMS

    return [*PROGRAMS, *LOGS]


@completion
def profile_names() -> list[str]:
    """Names of the built-in profiles, and of profiles that were started before."""
    return ["paper", "replay", "default", *(folder.name for folder in started_states())]


@completion
def journal_days() -> list[str]:
    """ISO dates for which the stack has an engine journal."""
    return [path.stem for path in segments(_config().journal_dir("engine"))]


@completion
def underlyings() -> list[str]:
    """Symbols of the underlyings that have options among the stack's instruments; repeats possible."""
    from mytrading.adapters.storage.instrument_store import InstrumentFile

    return [item.underlying for item in InstrumentFile(_config().state).snapshot().instruments if item.kind.is_option]


def _request_id_or_new(given: str) -> str:
    from mytrading.runtime.streams.ops_client import new_request_id

    return given or new_request_id()


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Profile = Annotated[
    str,
    typer.Option(
        "--profile", help="Which stack: paper, replay, default; else the one that runs.", autocompletion=profile_names
    ),
]
_REQUEST_ID_HELP = "Your own id of this request: repeated with it, it is executed once."
RequestId = Annotated[str, typer.Option("--request-id", callback=_request_id_or_new, help=_REQUEST_ID_HELP)]
Limit = Annotated[int, typer.Option("--limit", "-n", min=0, help="Number of newest rows; 0: all.")]
Account = Annotated[str, typer.Option("--account", "-a", help="Only for this account.", autocompletion=account_names)]
Reason = Annotated[str, typer.Option("--reason", help="Reason, kept in the journal.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
Deadline = Annotated[float, typer.Option("--deadline", min=1.0, max=86_399.0, help="Seconds to close positions.")]
OwnerName = Annotated[str, typer.Argument(help="The strategy.", autocompletion=owner_names)]
