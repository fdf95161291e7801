"""Requests to the gateway's server, without its process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from mytrading.core.gateway.control_machine import ControlMachine
from mytrading.core.gateway.read_model import StackView
from mytrading.daemons.gateway.daemon import Totals
from mytrading.daemons.gateway.ops_server import OpsServer
from mytrading.daemons.gateway.request_context import RequestContext
from mytrading.messages.control import StrategySwitch
from mytrading.messages.journal_rows import OperatorRequestTaken
from mytrading.messages.ops import OpsRequest
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.host.clock import MarketClock
from tests.kit.run_configs import run_config

NAME = "SMA_Crossover"


def ops_server(
    config: RunConfig,
    view: StackView | None = None,
    control: ControlMachine | None = None,
    record: Callable[[tuple[msgspec.Struct, ...]], None] = lambda _rows: None,
) -> OpsServer:
    """The gateway's server over this view and these levels."""
    context = RequestContext(
        config, view or StackView(), control or ControlMachine(), MarketClock.load(config.clock_path), Totals()
    )
    return OpsServer(context, record)


def ask(view: StackView, folder: Path, request: OpsRequest, *switches: StrategySwitch) -> Any:
    """The reply to one request."""
    control = ControlMachine()
    for switch in switches:
        control.apply(switch)
    return ops_server(run_config(folder), view, control).answer(request)


def rows_of(config: RunConfig, request: OpsRequest) -> list[Any]:
    """The rows that a command leads to, but for the note that it was taken."""
    rows: list[Any] = []
    ops_server(config, record=rows.extend).answer(request)
    return [row for row in rows if not isinstance(row, OperatorRequestTaken)]
