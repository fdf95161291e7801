"""Criteria of the backtest benchmarks: costs at both ends of a run, the same round trips, a lock with hashes."""

from __future__ import annotations

import re

from lab.bench import backtest, peers
from lab.bench.peer_runs import PEERS
from tests.kit.project import ROOT


def test_ends_of_even_and_of_growing_costs_are_distinguished() -> None:
    even = [n * 1e-4 for n in range(5000)]
    grows = [n * n * 1e-8 for n in range(5000)]
    first, last = backtest._ends(even)
    assert abs(first - 100.0) < 1e-6 > abs(last - 100.0)
    first, last = backtest._ends(grows)
    assert last > 2 * first


def test_restless_strategy_fills_at_every_second_bar() -> None:
    spec = backtest.spec_of(backtest.made(450))
    quickly = backtest.run(backtest.replace(spec, strategy=backtest.Restless))
    assert 150 < len(quickly.ledger.fills) <= 225


def test_peer_with_other_round_trips_is_no_peer() -> None:
    own = [{"bars": 1000, "seconds": 1.0, "trades": 10, "net": 1.0}]
    slow = {"bars": 1000, "seconds": 10.0, "version": "1", "net": None}
    assert peers._figure("backtesting", 3.0, [{**slow, "trades": 11}], own).met
    assert not peers._figure("backtesting", 3.0, [{**slow, "trades": 20}], own).met
    assert not peers._figure("backtesting", 30.0, [{**slow, "trades": 10}], own).met


def test_long_and_short_figures_are_of_lean_runs_that_trade() -> None:
    columns = backtest.made(3000)
    for name in backtest.TIMES:
        result = backtest.run(backtest.long_short_spec(columns, name))
        assert (result.engine, result.note) == (backtest.LEAN, "")
        assert {trade.side for trade in result.ledger.trades} == {"BUY", "SELL"}
        assert ("STRATEGY_RISK" in result.ledger.counts) is (name == "backtest_run_rules")


def test_every_peer_is_pinned_with_a_hash() -> None:
    text = (ROOT / "requirements-bench.lock").read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([a-z0-9_.-]+)==(\S+) \\\n    --hash=sha256:[0-9a-f]{64}$", text, re.MULTILINE))
    assert set(PEERS) == set(peers.GOALS)
    libraries = {"backtesting" if name.startswith("backtesting") else name for name in PEERS}
    assert libraries | {"vectorbt", "polars", "opengreeks"} <= set(pinned)
    assert text.count("==") == len(pinned)
