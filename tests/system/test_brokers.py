"""Brokers whose order book calls a waiting stop `open`, as live stacks: a short life of a position at each.

`make brokers` plays all cases at all brokers (`lab/brokers`); dhan has an order stream and counts fills in its trades,
iifl has none and shows the order's quantity on each trade. dhan's is `long`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.brokers import stage as stage_module
from lab.brokers.campaign import play_case
from lab.brokers.cases import Case, short_story
from lab.brokers.results import PASSED
from lab.brokers.stage import Stage
from tests.kit import fork_server
from tests.kit.project import ROOT

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


@pytest.mark.parametrize("broker", ["iifl", pytest.param("dhan", marks=pytest.mark.long)])
def test_position_filled_in_parts_is_guarded_for_ten_seconds_and_goes_out_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broker: str
) -> None:
    fork_server.fork_in(stage_module, put=monkeypatch.setattr)
    with Stage(tmp_path, ROOT, broker) as stage:
        result = play_case(stage, Case("short story", short_story, lambda _: ""), "NSE:INFY")
    assert result.word == PASSED, "\n".join((*result.lines, f"logs and books in {tmp_path}"))
