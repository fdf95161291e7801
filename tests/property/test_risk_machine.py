"""Risk against a router that fills late, in parts, or not at all: no intent is entered twice, no exit is held back."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.kit.hypothesis_budget import examples
from tests.kit.risk_histories import SignalHistory

TestSignalHistory = SignalHistory.TestCase
TestSignalHistory.settings = settings(
    max_examples=examples(30),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
