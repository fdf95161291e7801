"""Lines that `--log-level DEBUG` adds to the main log: heartbeats, and each decision with its input."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from mytrading.messages.control import ModeCleared
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.daemon.machine_daemon import MachineDaemon
from mytrading.runtime.observability.logging import configure_for_run
from tests.kit.run_configs import run_config


class Echo:
    """A machine whose every input leads to one decision."""

    def set_machine_time(self, _machine_ns: int) -> None:
        """No-op: this daemon has no timers."""

    def apply(self, _row: Any) -> None:
        """No-op: this daemon keeps no state."""

    def decide(self, message: Any, _now: int) -> tuple[Any, ...]:
        return (ModeCleared(account="paper", at_ns=1),)


class EchoDaemon(MachineDaemon):
    """Commits to nowhere: only what is said of a decision is looked at."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__("gateway", config, Echo())  # type: ignore[arg-type]

    def _commit(self, *_: Any) -> None:
        """No-op: this daemon has no journal."""


@pytest.fixture
def logged() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def decided_lines(folder: Path, level: str) -> list[dict[str, Any]]:
    config = run_config(folder)
    config = msgspec.structs.replace(config, logging=msgspec.structs.replace(config.logging, level=level))
    configure_for_run("gateway", config)
    daemon = EchoDaemon(config)
    try:
        daemon.step("control", ModeCleared(account="paper", at_ns=1), source="gateway")
        daemon._run_later()
    finally:
        daemon.context.destroy(linger=0)
    path = Path(config.log_dir) / "main.log"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [row for row in rows if row["event"] == "input.decided"]


@pytest.mark.usefixtures("logged")
def test_decision_is_a_line_at_level_debug_with_what_led_to_it(tmp_path: Path) -> None:
    (line,) = decided_lines(tmp_path, "DEBUG")
    assert (line["stream"], line["writer"], line["message"]) == ("control", "gateway", "ModeCleared")
    assert (line["level"], line["decisions"], line["us"] >= 0) == ("debug", "ModeCleared", True)


@pytest.mark.usefixtures("logged")
def test_decision_is_no_line_at_level_info(tmp_path: Path) -> None:
    assert decided_lines(tmp_path, "INFO") == []
