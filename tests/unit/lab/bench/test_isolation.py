"""The benchmark of bad strategies: when they are bad, and which quote leads to which exit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.bench import isolation
from lab.bench.stack import Lab


class FakeLab(Lab):
    """A stack with given answers."""

    def __init__(self, orders: list[dict[str, Any]], status: str = "") -> None:
        self.orders, self.status = orders, status

    def rest(self, method: str, path: str, **fields: Any) -> Any:
        return self.orders

    def run(self, *arguments: str) -> str:
        return self.status


def test_bad_strategy_is_good_at_the_price_that_the_market_begins_with() -> None:
    source = isolation._noise()
    assert isolation.LEVELS[isolation.GOOD] == isolation._PRICE
    high = float(source.partition("data.ltp > ")[2].split()[0])
    low = float(source.partition("data.ltp < ")[2].split()[0])
    assert isolation.LEVELS[isolation.LEAK] < low < isolation._PRICE * 0.99
    assert isolation._PRICE * 1.01 < high < isolation.LEVELS[isolation.SPIN]


def test_each_quote_of_a_share_goes_beyond_exactly_one_stop_more() -> None:
    stops = {name: [500.0 * (1.0 - stop) for stop in isolation._stops().values()] for name in isolation._names()}
    crossings = isolation._crossings(stops)
    assert len(crossings) == len(isolation.LEVELS) * isolation.MOMENTS * isolation.IN_A_MOMENT
    seen: dict[str, int] = {}
    for name, price in crossings:
        seen[name] = seen.get(name, 0) + 1
        assert sum(price <= stop for stop in stops[name]) == seen[name]


def test_exit_that_comes_late_is_not_taken_for_the_next_ones() -> None:
    first, second = isolation._names()[:2]
    rows = [
        {"symbol": second, "action": "SELL", "received_ns": 30},
        {"symbol": first, "action": "BUY", "received_ns": 5},
        {"symbol": first, "action": "SELL", "received_ns": 900},
    ]
    came = isolation._arrivals(FakeLab(rows), 2, pause_s=0.0)
    assert (next(came[first]), next(came[second]), next(came[first], 0)) == (900, 30, 0)


def test_run_in_which_the_engine_was_killed_gives_no_figures() -> None:
    with pytest.raises(RuntimeError, match="engine died meanwhile"):
        isolation._judge_restarts(FakeLab([], '{"daemons": [{"daemon": "engine", "restarts": 1}]}'))


def test_home_of_the_benchmark_has_a_strategy_for_each_stop(tmp_path: Path) -> None:
    stack = isolation._furnished(tmp_path)
    names = {path.stem for path in (stack.home / "config" / "strategies").glob("*.toml")}
    assert names == {*isolation._stops(), "bench_noise"}
    assert "BenchNoise" in stack.environment["ENABLED_STRATEGIES"].split(",")
