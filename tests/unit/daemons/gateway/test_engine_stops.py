"""Stops that no broker holds: named by `status`, and by `down`, with which they end."""

from __future__ import annotations

from pathlib import Path

from mytrading.core.gateway.read_model import StackView
from mytrading.messages import ops
from mytrading.messages.control import Heartbeat
from mytrading.messages.enums import DaemonState
from mytrading.messages.level_names import stop_level_name
from mytrading.runtime.host.clock import machine_now
from tests.kit.fake_broker import OrderBench
from tests.kit.gateway_queries import ask


def test_position_whose_stop_the_engine_holds_is_named_until_it_is_flat(tmp_path: Path) -> None:
    bench, view = OrderBench(), StackView()
    bench.hold("o1")
    bench.hold("o2", instrument="NFO:B")
    for row in bench.journal:
        view.apply(row)
    held = {position.instrument: position for position in view.open_positions()}
    figures = {stop_level_name(held["NFO:A"].owner): 95.5}
    view.apply(
        Heartbeat(
            daemon="risk", state=DaemonState.RUNNING, ready=True, pid=1, market_ns=1, machine_ns=machine_now(),
            started_machine_ns=1, figures=figures,
        )
    )  # fmt: skip
    (row,) = ask(view, tmp_path, ops.RestingQuery())["engine_stops"]
    assert (row["instrument"], row["quantity"], row["stop"]) == ("NFO:A", held["NFO:A"].quantity, 95.5)
    assert ask(view, tmp_path, ops.StatusQuery())["engine_stops"] == [row]
