"""The trial order of doctor is made where it costs nothing, and the row says why it was not made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from mytrading.cli.doctor.checks import CheckContext, Verdict
from mytrading.cli.doctor.paper_order import check_paper_order
from mytrading.messages.run_config import ServerMode, VenueKind
from mytrading.orchestrator import TradingOrchestrator
from tests.kit.run_configs import run_config


@pytest.mark.parametrize(
    ("venue", "words"),
    [
        ({"expected_mode": ServerMode.LIVE}, "live orders are not tested"),
        ({"kind": VenueKind.DRY_RUN}, "a dry run sends nothing"),
    ],
)
def test_trial_order_that_is_not_made_is_not_tested(tmp_path: Path, venue: dict[str, Any], words: str) -> None:
    config = run_config(tmp_path)
    config = msgspec.structs.replace(config, venue=msgspec.structs.replace(config.venue, **venue))
    row = check_paper_order(CheckContext(TradingOrchestrator(config)))
    assert (row.verdict, words in row.found) == (Verdict.SKIPPED, True), row


def test_live_stack_that_runs_is_asked_for_no_trial_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = run_config(tmp_path)
    live = msgspec.structs.replace(config.venue, expected_mode=ServerMode.LIVE)
    stack = TradingOrchestrator(msgspec.structs.replace(config, venue=live))
    monkeypatch.setattr(stack, "is_running", lambda: True)
    monkeypatch.setattr(stack, "ask", lambda *_, **__: pytest.fail("the gateway was asked"))
    assert check_paper_order(CheckContext(stack)).verdict is Verdict.SKIPPED
