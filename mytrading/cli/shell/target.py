"""The stack, server and project files that a command works on: those of a run, or those of the settings.

With a stack that runs, its own configuration counts, not what the settings say by now.
"""

from __future__ import annotations

import json
import re
import sys
import time
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import replace

from mytrading.cli.shell.failures import ERROR, NOT_RUNNING, USAGE, fail
from mytrading.cli.shell.output import progress_bar
from mytrading.config.problems import ConfigurationError, name_key
from mytrading.core.calendar import Calendar
from mytrading.core.calendar.calendar_file import CalendarError
from mytrading.core.calendar.expiries import Ends, session_ends
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.messages.brokers import UNLISTED, find_broker
from mytrading.messages.run_config import RunConfig
from mytrading.orchestrator import NotRunning, TradingOrchestrator
from mytrading.runtime.host.clock import MarketClock, machine_now
from mytrading.runtime.host.paths import project_home
from mytrading.runtime.host.run_key import is_sealed

if TYPE_CHECKING:
    from mytrading.adapters.openalgo.rest.client import OpenAlgoClient
    from mytrading.adapters.openalgo.rest.history import HistoryRange
    from mytrading.adapters.openalgo.rest.proven_history import ProvenHistory
    from mytrading.config.symbols import SymbolConfig
    from mytrading.core.accounting.margin_tables import RiskTables

Made = TypeVar("Made")


def running_or_configured_stack(profile: str) -> TradingOrchestrator:
    """Return the profile's running stack, else one built from its settings; "" is the default profile."""
    try:
        found = TradingOrchestrator.find(profile or None)
        if found.is_running():
            found.config = _with_own_keys(found.config)
            return found
    except NotRunning:
        pass
    from mytrading.cli.shell.start import with_state_profile
    from mytrading.config.loading import load_settings

    return TradingOrchestrator(with_state_profile(load_settings(project_home(), profile or "default")))


def _with_own_keys(config: RunConfig) -> RunConfig:
    """A run's configuration with the API keys of the settings: those of the run file are sealed against everybody."""
    if not is_sealed(config):
        return config
    from mytrading.config.loading import load_settings

    own = TradingOrchestrator(load_settings(Path(config.home), config.profile)).config
    keys = {account.rest_url: account.api_key for account in (*own.order_accounts, *own.quote_accounts)}
    needed = config.data_server.rest_url
    if needed not in keys:
        what = "trades" if config.source is None else "has its quotes from"
        fail(ERROR, f"the settings no longer name {needed}, where the running stack {what}; restart it")
    accounts = tuple(replace(account, api_key=keys.get(account.rest_url, "")) for account in config.accounts)
    if config.source is not None:
        return replace(config, source=replace(config.source, api_key=keys[needed]), accounts=accounts)
    return replace(config, venue=replace(config.venue, api_key=keys[needed]), accounts=accounts)


def started_config(profile: str) -> RunConfig:
    """Return the configuration of the stack that runs or ran last; `NotRunning` if none ever did."""
    return TradingOrchestrator.find(profile or None).config


def openalgo_client(config: RunConfig) -> OpenAlgoClient:
    """Return a client of the quote and history server; ends the command if that is a simulator that is down."""
    from mytrading.adapters.openalgo.rest.client import OpenAlgoClient

    server = config.data_server
    if not server.rest_url:
        start = TradingOrchestrator(config).start_command
        fail(NOT_RUNNING, f"the server of the {config.profile} stack is its simulator: start it with `{start}`")
    return OpenAlgoClient(server.rest_url, server.api_key, machine_now)


def call_server(profile: str, what: str, call: Callable[[OpenAlgoClient], Made]) -> Made:
    """Return `call` of a client of the data server; a server error ends the command, with `what` before its text."""
    from mytrading.adapters.openalgo.rest.client import TransportFailed
    from mytrading.adapters.openalgo.rest.errors import OpenAlgoError

    try:
        return call(openalgo_client(running_or_configured_stack(profile).config))
    except (OpenAlgoError, TransportFailed) as error:
        fail(ERROR, f"{what}: {error}")


def history_source(config: RunConfig, *instruments: str) -> ProvenHistory:
    """Return the history of the stack's data server, under the row of the broker that its ping names; its stamps are
    proven by the watched instruments, or by these."""
    from mytrading.adapters.openalgo import endpoints
    from mytrading.adapters.openalgo.rest.client import TransportFailed
    from mytrading.adapters.openalgo.rest.errors import OpenAlgoError
    from mytrading.adapters.openalgo.rest.history import HistoryGate
    from mytrading.adapters.openalgo.rest.proven_history import ProvenHistory
    from mytrading.adapters.openalgo.rest.retry import Retries

    client = openalgo_client(config)
    try:
        rules = find_broker(config.brokers, endpoints.ping(client).broker).history
    except (OpenAlgoError, TransportFailed):
        rules = UNLISTED.history
    watched = [symbol for run in config.strategies for symbol in run.symbols]
    gate = HistoryGate(machine_now, lambda ns: time.sleep(ns / 1e9))
    retries = Retries(config.venue.max_retries, config.venue.retry_delay)
    return ProvenHistory(
        client, load_calendar(config.home), gate.wait_turn, machine_now, lambda: rules,
        lambda: (*instruments, *watched, *config.data.watch), retries,
    )  # fmt: skip


def fetch_bars(
    config: RunConfig, instrument: str, timeframe: str, first: date, last: date, now: int, quiet: bool
) -> HistoryRange:
    """Fetch past bars from the stack's server, with a progress bar unless `quiet`; `now` is market ns."""
    with progress_bar(instrument, 1, quiet) as update:  # until the number of requests is known
        return history_source(config, instrument).fetch_range(
            instrument, timeframe, first, last, now, lambda done, count: update(completed=done, total=count)
        )


def market_now(profile: str) -> int:
    """Market time (ns UTC) of the running stack, which may replay another day; wall time if none runs."""
    try:
        found = TradingOrchestrator.find(profile or None)
        return MarketClock.load(found.config.clock_path).now() if found.is_running() else time.time_ns()
    except NotRunning:
        return time.time_ns()


def _made(path: Path, make: Callable[[dict[str, Any]], Made]) -> Made:
    """Return what `make` makes of a TOML file of the project; raises `ConfigurationError` if it is not in order."""
    try:
        return make(tomllib.loads(path.read_text(encoding="utf-8")))
    except CalendarError as error:
        raise ConfigurationError(*error.problems) from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"config/{path.name}: {error}") from error


def load_calendar(home: Path | str) -> Calendar:
    """Sessions and holidays of config/calendar.toml; `ConfigurationError` if it is not in order."""
    return _made(Path(home) / "config" / "calendar.toml", Calendar.from_dict)


def contract_ends(home: Path | str) -> Ends:
    """Return the function that says when a contract has expired, by config/calendar.toml; else as `load_calendar`."""
    return session_ends(load_calendar(home))


def load_contract_facts(home: Path | str) -> ContractFacts:
    """Contract facts of config/instruments.toml; `ConfigurationError` if it is not in order."""
    return _made(Path(home) / "config" / "instruments.toml", ContractFacts.from_dict)


def load_risk_tables(home: Path | str) -> RiskTables:
    """Margin figures, lot sizes and profiles of config/risk.toml; `ConfigurationError` if it is not in order."""
    from mytrading.core.accounting.margin_tables import RiskTables

    return _made(Path(home) / "config" / "risk.toml", RiskTables.from_dict)


def settings_names(folder: Path) -> dict[Path, str]:
    """Return strategy names by TOML file of a folder; the file's stem if it has no `name` or cannot be parsed."""
    names = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            names[path] = str(tomllib.loads(path.read_text(encoding="utf-8")).get("name", path.stem))
        except ValueError:
            names[path] = path.stem
    return names


def read_json_input(what: str) -> dict[str, Any]:
    """Return the JSON object of `what` on standard input; ends the command if there is none."""
    try:
        found = json.loads(sys.stdin.read())
    except ValueError as error:
        fail(USAGE, f"standard input: expected a JSON object of {what}, found {error}")
    if not isinstance(found, dict):
        fail(USAGE, f"standard input: expected a JSON object of {what}, found {type(found).__name__}")
    return found


def name_words(name: str) -> list[str]:
    """The words of a strategy's name: `Opening_Range` and `OpeningRange` have the same two."""
    return [word for part in name.split("_") for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", part)]


def file_stem(name: str) -> str:
    """The name of a new strategy's files: `opening_range`."""
    return "_".join(word.lower() for word in name_words(name))


def refuse_taken_name(home: Path, name: str) -> None:
    """End the command if a strategy of the project, code, legs or webhook, has this name already."""
    from mytrading.config.strategy_files import discover_strategies

    taken = {name_key(item.name): (item.file, item.name) for item in discover_strategies(home / "strategies")}
    for path, known in settings_names(home / "config" / "strategies").items():
        taken.setdefault(name_key(known), (str(path.relative_to(home)), known))
    for path in (home / "config" / "webhooks").glob("*.toml"):
        taken.setdefault(name_key(path.stem), (str(path.relative_to(home)), path.stem))
    if name_key(name) in taken:
        file, known = taken[name_key(name)]
        fail(ERROR, f"{file} holds a strategy {known} already; choose another name, or remove it first")


def load_symbols(home: Path | str) -> SymbolConfig:
    """Return the short names of config/symbols.toml; `ConfigurationError` if it is not in order."""
    from mytrading.config.symbols import SymbolConfig

    path = Path(home) / "config" / "symbols.toml"
    names = _made(path, lambda parsed: parsed.get("names", {})) if path.exists() else {}
    return SymbolConfig(names={**SymbolConfig().names, **names})


def resolve_symbol(symbol: str, home: Path | str) -> str:
    """Return the instrument id of a symbol or a short name of config/symbols.toml; ends the command if unknown."""
    try:
        return load_symbols(home).resolve(symbol)
    except ValueError as error:
        fail(USAGE, str(error))
