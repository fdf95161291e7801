"""Trips of whole backtests against trips that other code counts on the same shipped bars, one by one."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from mytrading.backtest.run import RunResult, run
from mytrading.messages.run_config import StopPlan
from mytrading.strategies import BaseStrategy, Signal
from tests.kit import plain_market
from tests.kit.backtest_specs import SBIN, bars_of, fees, load_once, spec_of
from tests.kit.channel_strategies import NIFTY, PERIOD, STOP, Averages, Donchian
from tests.kit.plain_market import PlainBar, PlainTrip, average_cross, donchian, plain_trips, read_minutes
from tests.kit.project import ROOT

INDIA = timezone(timedelta(hours=5, minutes=30))
INFY, BANKNIFTY = "NSE:INFY", "NSE_INDEX:BANKNIFTY"
LOTS = 2
UNITS_A_LOT = {NIFTY: 50, BANKNIFTY: 15}
"""In March 2024, by the exchange's circulars."""
TEMPERS = ("trend", "range", "wild", "gaps")


class Pair(BaseStrategy):
    """Sells the dearer of two and buys the other where their ratio is far from its mean, until it is back."""

    bars_of_mean: int = 60
    width: float = 0.004

    def generate_signals(self) -> Sequence[Signal]:
        one, other = (self.bars(self.bars_of_mean, name).close for name in self.instruments)
        if len(one) < self.bars_of_mean:
            return []
        ratios = one / other
        away = float(ratios[-1] / ratios.mean() - 1)
        if abs(away) > self.width:
            words = ("SELL", "BUY") if away > 0 else ("BUY", "SELL")
        elif abs(away) < self.width / 4:
            words = ("EXIT", "EXIT")
        else:
            return []
        return [self.create_signal(word, instrument=name) for word, name in zip(words, self.instruments, strict=True)]


def moment(bar: PlainBar) -> int:
    """The start of a bar in ns since 1970."""
    at = datetime.fromisoformat(bar.day).replace(tzinfo=INDIA) + timedelta(minutes=bar.minute)
    return int(at.timestamp()) * 1_000_000_000


def assert_equal_trips(
    result: RunResult, bars: Sequence[PlainBar], trips: Sequence[PlainTrip], instrument: str
) -> None:
    """Each trade began and ended at the bar and at the price of a trip, in their order; an exit inside its bar."""
    assert result.fault is None
    trades = [trade for trade in result.ledger.trades if trade.instrument == instrument]
    for trade, trip in zip(trades, trips, strict=False):
        ended = moment(bars[trip.ended])
        assert (trade.side, trade.entry_ns) == ("BUY" if trip.side > 0 else "SELL", moment(bars[trip.began])), trip
        assert trade.entry_price == pytest.approx(trip.entry, abs=1e-9), trip
        assert ended <= trade.exit_ns < ended + 60_000_000_000, (trade, trip)
        assert trade.exit_price == pytest.approx(trip.exit, abs=1e-9), (trade, trip)
        gross = (trip.exit - trip.entry) * trip.side * trade.quantity
        assert trade.gross == pytest.approx(gross, abs=1e-6), trip
    assert len(trades) == len(trips)


def traded(strategy: type[BaseStrategy], name: str, **given: Any) -> RunResult:
    data = load_once(ROOT / "tests" / "data" / "index-1m.csv.gz", NIFTY) if name == "index-1m" else bars_of(name[5:])
    return run(spec_of(strategy, data, fees=fees(), **given))


FILES = (*(f"bars-{temper}" for temper in TEMPERS), "index-1m")
WAYS = pytest.mark.parametrize("way", [{}, {"lean": False}], ids=["lean", "machines"])


@WAYS
@pytest.mark.parametrize("name", FILES)
def test_donchian_trips_without_a_stop_equal_those_counted_apart(name: str, way: dict[str, Any]) -> None:
    bars = read_minutes(name)
    trips = plain_trips(bars, donchian(bars, PERIOD))
    assert len(trips) > 10 and {trip.side for trip in trips} == {1, -1}
    result = traded(Donchian, name, **way)
    assert_equal_trips(result, bars, trips, NIFTY if name == "index-1m" else SBIN)


@WAYS
@pytest.mark.parametrize("holder", [StopPlan.BROKER, StopPlan.ENGINE])
@pytest.mark.parametrize("name", FILES)
def test_donchian_trips_with_a_stop_equal_those_counted_apart(name: str, holder: StopPlan, way: dict[str, Any]) -> None:
    bars, share = read_minutes(name), STOP if name != "index-1m" else STOP / 4
    trips = plain_trips(bars, donchian(bars, PERIOD), share)
    free = plain_trips(bars, donchian(bars, PERIOD))
    assert trips != free, "some are stopped"
    result = traded(Donchian, name, stop=holder, stop_loss_pct=share, **way)
    assert_equal_trips(result, bars, trips, NIFTY if name == "index-1m" else SBIN)


@WAYS
@pytest.mark.parametrize("stop", [0.0, STOP])
@pytest.mark.parametrize("name", FILES)
def test_average_cross_of_20_and_50_bars_equals_the_trips_counted_apart(
    name: str, stop: float, way: dict[str, Any]
) -> None:
    bars = read_minutes(name)
    trips = plain_trips(bars, average_cross(bars, 20, 50), stop)
    assert len(trips) > 20
    guard = {"stop": StopPlan.BROKER, "stop_loss_pct": stop} if stop else {}
    assert_equal_trips(traded(Averages, name, **guard, **way), bars, trips, NIFTY if name == "index-1m" else SBIN)


@pytest.mark.parametrize("names", [(SBIN, INFY), (NIFTY, BANKNIFTY)], ids=["shares", "indices"])
def test_pair_equals_the_trips_counted_apart(names: tuple[str, str]) -> None:
    both = [read_minutes(f"bars-{temper}") for temper in ("wild", "range")]
    assert [bar[:2] for bar in both[0]] == [bar[:2] for bar in both[1]]
    ratios = [one.close / other.close for one, other in zip(*both, strict=True)]

    def away(number: int) -> float:
        part = ratios[number + 1 - Pair.bars_of_mean : number + 1]
        return part[-1] / (sum(part) / len(part)) - 1

    def decide(side: int, number: int) -> str:
        if number + 1 < Pair.bars_of_mean:
            return ""
        found = away(number)
        if abs(found) > Pair.width:
            return "SELL" if (found > 0) == (side == 0) else "BUY"
        return "EXIT" if abs(found) < Pair.width / 4 else ""

    data = [bars_of(temper, name) for temper, name in zip(("wild", "range"), names, strict=True)]
    result = run(spec_of(Pair, *data, symbols=names, fees=fees(), lots=LOTS))
    for side, (bars, name) in enumerate(zip(both, names, strict=True)):
        trips = plain_trips(bars, lambda number, side=side: decide(side, number))  # type: ignore[misc]
        assert len(trips) > 15
        assert_equal_trips(result, bars, trips, name)
        units = {trade.quantity for trade in result.ledger.trades if trade.instrument == name}
        assert units == {LOTS * UNITS_A_LOT.get(name, 1)}


def test_calculations_that_results_are_held_against_use_nothing_of_the_package() -> None:
    tree = ast.parse(Path(plain_market.__file__).read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= {
        "__future__", "collections", "csv", "gzip", "math", "pathlib", "statistics", "typing",
    }  # fmt: skip
