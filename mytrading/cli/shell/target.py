"""Which stack and which server a command is about: those of a run, or those that the settings describe.

With a stack that runs, its own configuration counts, not what the settings say by now.
"""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from mytrading.adapters.openalgo.rest.client import OpenAlgoClient
from mytrading.cli.shell.output import ERROR, NOT_RUNNING, fail
from mytrading.messages.run_config import RunConfig
from mytrading.orchestrator import NotRunning, TradingOrchestrator
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.host.run_key import is_sealed


def stack_of(profile: str) -> TradingOrchestrator:
    """The stack that runs, else the one that the settings of the profile (default: `default`) describe."""
    try:
        found = TradingOrchestrator.find(profile or None)
        if found.is_running():
            found.config = _with_own_keys(found.config)
            return found
    except NotRunning:
        pass
    from mytrading.cli.shell.start import with_own_state
    from mytrading.config import load_settings
    from mytrading.runtime.host.paths import project_home

    return TradingOrchestrator(with_own_state(load_settings(project_home(), profile or "default")))


def _with_own_keys(config: RunConfig) -> RunConfig:
    """A run's configuration with the API keys of the settings: those of the run file are sealed against everybody."""
    if not is_sealed(config):
        return config
    from mytrading.config import load_settings

    own = TradingOrchestrator(load_settings(Path(config.home), config.profile)).config
    keys = {account.rest_url: account.api_key for account in (*own.order_accounts, *own.sources)}
    needed = config.data_server.rest_url
    if needed not in keys:
        what = "trades" if config.source is None else "has its quotes from"
        fail(ERROR, f"the settings no longer name {needed}, where the running stack {what}; restart it")
    accounts = tuple(replace(account, api_key=keys.get(account.rest_url, "")) for account in config.accounts)
    if config.source is not None:
        return replace(config, source=replace(config.source, api_key=keys[needed]), accounts=accounts)
    return replace(config, venue=replace(config.venue, api_key=keys[needed]), accounts=accounts)


def started_config(profile: str) -> RunConfig:
    """The configuration of the stack that runs or ran last; `NotRunning` if there never was one."""
    return TradingOrchestrator.find(profile or None).config


def client_of(config: RunConfig) -> OpenAlgoClient:
    """A connection to the server that gives quotes and history; a simulated market has one only while it runs."""
    server = config.data_server
    if not server.rest_url:
        start = TradingOrchestrator(config).start_command
        fail(NOT_RUNNING, f"the server of the {config.profile} stack is its simulator: start it with `{start}`")
    return OpenAlgoClient(server.rest_url, server.api_key, machine_now)
