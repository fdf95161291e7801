"""The rate as the server sees it: whenever within a call it counts, no second holds more calls than allowed."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mytrading.core.oms import OmsLimits
from mytrading.messages.enums import Call, Outcome
from tests.kit.fake_broker import MS, SECOND, OrderBench
from tests.kit.hypothesis_budget import examples

LIMIT = 3
STEPS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(1, 400), st.integers(1, 1_000), st.floats(0.0, 1.0), st.booleans()),
    min_size=5,
    max_size=25,
)
"""Entries wanted, ms until the next step, ms that their calls last, when within it the server counts, a crash."""


@settings(max_examples=examples(40), deadline=None)
@given(steps=STEPS)
def test_no_rolling_or_calendar_second_of_the_server_holds_more_calls_than_allowed(
    steps: list[tuple[int, int, int, float, bool]],
) -> None:
    bench = OrderBench(OmsLimits(calls_per_second=LIMIT))
    bench.read()
    ends: dict[int, int] = {}
    counted: list[int] = []
    serial = 0
    for signals, pause, lasts, share, crashes in steps:
        for _ in range(signals):
            serial += 1
            bench.enter(f"e{serial}", instrument=f"NFO:{serial}")
        for call in bench.calls:
            if id(call) not in ends:
                ends[id(call)] = call.began + lasts * MS
                counted.append(call.began + int(lasts * MS * share))
        if crashes and serial % 7 == 0:
            ends.clear()
            counted = [at for at in counted if at <= bench.time]
            bench.crash()
        bench.tick(pause * MS)
        for call in [call for call in bench.calls if ends.get(id(call), SECOND**2) <= bench.time]:
            assert call.call is Call.PLACE
            bench.end(call, Outcome.ACCEPTED, bench.broker.place(call.order, bench.time).id)
    for at in counted:
        assert sum(at <= other < at + SECOND for other in counted) <= LIMIT
        assert sum(other // SECOND == at // SECOND for other in counted) <= LIMIT
