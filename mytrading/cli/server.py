"""Which stack and which server a command is about: those of a run, or those that the settings describe.

Used by commands that work without a running stack. The one rule: with a stack that runs, its own configuration counts,
not what the settings say by now.
"""

from __future__ import annotations

from mytrading.adapters.openalgo.client import OpenAlgoClient
from mytrading.cli.output import NOT_RUNNING, fail
from mytrading.messages.runconfig import RunConfig
from mytrading.orchestrator import NotRunning, TradingOrchestrator
from mytrading.runtime.clock import machine_now


def stack_of(profile: str) -> TradingOrchestrator:
    """The stack that runs, else the one that the settings of the profile (default: `default`) describe."""
    try:
        found = TradingOrchestrator.find(profile or None)
        if found.is_running():
            return found
    except NotRunning:
        pass
    from mytrading.config import load_settings
    from mytrading.runtime.places import project_home

    return TradingOrchestrator(load_settings(project_home(), profile or "default"))


def started_config(profile: str) -> RunConfig:
    """The configuration of the stack that runs or ran last; `NotRunning` if there never was one."""
    return TradingOrchestrator.find(profile or None).config


def client_of(config: RunConfig) -> OpenAlgoClient:
    """A connection to the server of a run; a simulated stack has one only while it runs."""
    if not config.venue.rest_url:
        fail(NOT_RUNNING, f"the server of the {config.profile} stack is its simulator: start it with `mytrading up`")
    return OpenAlgoClient(config.venue.rest_url, config.venue.api_key, machine_now)
