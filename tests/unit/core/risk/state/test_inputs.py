"""Every message that reaches risk has a declared way in."""

from __future__ import annotations

import ast
import inspect
from typing import get_args

import pytest

from mytrading.core.risk.state.inputs import JOURNALED, OBSERVED, OTHER, JournalDoubt
from mytrading.daemons.risk import daemon
from mytrading.messages.streams import INTERNAL, STREAMS

KINDS = sorted(
    {(name, kind) for name, row in STREAMS.items() if "risk" in row.readers for kind in get_args(row.union)},
    key=lambda found: (found[0], found[1].__name__),
)


@pytest.mark.parametrize(("stream", "kind"), KINDS, ids=lambda value: getattr(value, "__name__", value))
def test_message_of_each_stream_that_risk_reads_enters_one_way(stream: str, kind: type) -> None:
    ways = [kind in JOURNALED, kind in OBSERVED, kind in OTHER]
    assert ways.count(True) == 1
    if STREAMS[stream].is_journaled:
        assert kind in JOURNALED, "its row moves a cursor"


def test_daemon_of_risk_sets_no_state_of_its_machine() -> None:
    tree = ast.parse(inspect.getsource(daemon))
    targets = [
        ast.unparse(target)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    assert any("risk.environment." in target for target in targets)
    assert [target for target in targets if "risk.state" in target] == []


def test_no_kind_is_declared_that_no_stream_brings() -> None:
    timers = set(get_args(INTERNAL["internal"]))
    assert {kind for _, kind in KINDS} | timers | {JournalDoubt} >= JOURNALED | OBSERVED | OTHER
