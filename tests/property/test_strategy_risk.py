"""Runs under random prices and kills: a stop never loosens, nothing that spoke is forgotten, and each speaks once."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from mytrading.messages.exit_rules import LevelRule, StrategyRules, TrailKind, TrailRule
from mytrading.messages.market import Quote
from tests.kit.hypothesis_budget import examples
from tests.kit.risk_bench import SHARE
from tests.kit.risk_run_bench import RunBench, events, goals

STEPS = st.lists(st.one_of(st.floats(900.0, 1100.0), st.sampled_from(["kill", "day", "time"])), max_size=12)


@settings(max_examples=examples(30), deadline=None)
@given(
    steps=STEPS,
    kind=st.sampled_from(TrailKind),
    value=st.sampled_from([5.0, 30.0]),
    from_entry=st.booleans(),
    quantity=st.sampled_from([100, -100]),
    acts=st.booleans(),
)
def test_no_order_of_prices_and_kills_loosens_a_stop_or_repeats_an_event(
    steps: list[float | str], kind: TrailKind, value: float, from_entry: bool, quantity: int, acts: bool
) -> None:
    trailing = TrailRule(kind=kind, value=value, from_entry=from_entry)
    rules = StrategyRules(
        max_loss=3000, max_profit=6000, trailing=trailing, leg_trailing=LevelRule(value=5), auto_exit=acts
    )
    bench = RunBench(rules)
    bench.take(SHARE, quantity, 1000.0)
    stop, closed = None, False
    for step in steps:
        if step == "kill":
            bench.pass_time(1.1)  # peaks are journaled once a second: a kill may cost those of its last second
            bench.again([row for row in bench.rows if not isinstance(row, Quote)])
        elif step == "day":
            bench.next_day()
            bench.rows.clear()
            bench.rows.append(bench.machine.snapshot("2026-03-19"))
            bench.give(bench.rows.pop())
        elif step == "time":
            bench.pass_time(1.1)
        else:
            rows = bench.at(SHARE, float(step), seconds=1.1)
            assert not (closed and goals(rows)), "a run was closed twice"
            closed = closed or bool(goals(rows))
        run = bench.machine.runs.books.runs["S"]
        assert stop is None or (run.trail.stop is not None and run.trail.stop >= stop - 0.011)
        stop = run.trail.stop
        assert closed == bool(bench.machine.state.closing)
    counts = Counter((event.kind, event.leg) for event in events(bench.rows))
    assert not counts or max(counts.values()) == 1
    assert acts or not closed
