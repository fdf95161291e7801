"""Destination of risk's decisions: the router, or its own journal."""

from __future__ import annotations

import pytest

from mytrading.messages.control import FlattenRequested
from mytrading.messages.risk_events import RiskEventRecorded
from mytrading.runtime.daemon.machine_daemon import row_streams


@pytest.mark.parametrize(
    ("writer", "kind", "stream"),
    [
        ("risk", FlattenRequested, "commands"),
        ("gateway", FlattenRequested, "control"),
        ("risk", RiskEventRecorded, "records"),
    ],
)
def test_row_goes_to_the_stream_of_its_writer(writer: str, kind: type, stream: str) -> None:
    assert row_streams(writer)[kind] == stream
