"""Days behind brokers whose market data are peculiar: a backtest on the stored bars makes the signals of the live day.

The strategy's signal depends on every figure of a bar, so that one price or volume that is not the live one changes it.
Bars are held against the quotes that the exchange sent before the broker's adapter made frames of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mytrading.adapters.storage.bar_store import BarReader
from mytrading.core.time import MINUTE
from mytrading.messages.market import Bar
from tests.kit.behind_broker import put_behind
from tests.kit.lockstep_stack import LockStepped
from tests.kit.stack import Stack
from tests.kit.stack_project import RICH, WIDE, make_project
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

CODE = '''
from mytrading.strategies import Bar, BaseStrategy, Signal


class EveryFigure(BaseStrategy):
    """Long or short by all figures of the bar."""

    name = "EveryFigure"

    def on_data(self, data: Bar) -> Signal | None:
        paise = [round(price * 100) for price in (data.open, data.high, data.low, data.close)]
        drawn = paise[0] + 2 * paise[1] + 3 * paise[2] + 5 * paise[3] + 7 * data.volume
        return self.create_signal(("BUY", "SELL")[drawn // 5 % 2], confidence=1.0)
'''
SETTINGS = """
name = "EveryFigure"
symbols = ["{watched}"]
timeframes = ["1m"]
direction = "both"
product = "MIS"
lots = {lots}
stop = "none"
signal_cooldown = 0
"""
SHARE, INDEX = "NSE:INFY", "NSE_INDEX:NIFTY"
_MOVE = 0.0005
"""Share of its price by which the index moves between two quotes: a sample may show what no frame did."""
SHARE_SETTINGS = SETTINGS.format(watched="INFY", lots=20)
INDEX_SETTINGS = SETTINGS.format(watched="NIFTY", lots=1) + '\n[trade]\nlong = "future"\nshort = "future"\n'


def stored_bars(stack: Stack, instrument: str) -> list[Bar]:
    """The bars of an instrument that the feed made of prices, not of history."""
    reader = BarReader(stack.config.bars_dir)
    bars = [bar for bar in reader.bars(instrument) if bar.ticks]
    reader.close()
    return bars


def figures(bars: Sequence[Bar]) -> dict[int, tuple[float, ...]]:
    return {bar.start_ns: (bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars}


def true_figures(stack: Stack, instrument: str, starts: Sequence[int]) -> dict[int, tuple[float, ...]]:
    """Open, high, low, close and volume of minutes by what the exchange sent."""
    exchange, symbol = instrument.split(":")
    sent: list[list[Any]] = stack.sim("sent", exchange=exchange, symbol=symbol)["quotes"]
    found: dict[int, tuple[float, ...]] = {}
    for start in starts:
        inside = [(ltp, volume) for at, ltp, volume in sent if start <= at < start + MINUTE]
        before = [volume for at, _, volume in sent if at < start][-1]
        prices = [ltp for ltp, _ in inside]
        found[start] = (prices[0], max(prices), min(prices), prices[-1], inside[-1][1] - before)
    return found


def make_home(home: Path, broker: str, settings: str, **more: str) -> dict[str, str]:
    environment = make_project(home, CODE, {"EveryFigure": settings}, WIDE, **RICH, **more)
    put_behind(home, broker)
    return environment


def parity(stack: Stack) -> dict[str, Any]:
    """What `mytrading parity` says of the day."""
    done = stack.run("parity", "--json")
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize(
    "broker",
    [
        pytest.param("fyers", id="fyers, whose Depth has the middle of bid and ask as last price, and no volume"),
        pytest.param("upstox", id="upstox, whose Depth has no volume", marks=pytest.mark.long),
    ],
)
def test_backtest_on_the_stored_bars_makes_the_signals_of_a_day_behind_a_broker(tmp_path: Path, broker: str) -> None:
    environment = make_home(tmp_path / "home", broker, SHARE_SETTINGS, ENABLE_TICK_DATA="false")
    with Stack(tmp_path, **environment) as stack:
        stack.up("--simulator", "--speed", "0")
        LockStepped(stack).run_to("09:32:30")
        bars = stored_bars(stack, SHARE)[1:]
        truth = true_figures(stack, SHARE, [bar.start_ns for bar in bars])
        assert stack.down().returncode == 0
    assert figures(bars) == truth and len(truth) >= 10
    assert all(volume for *_, volume in truth.values())
    found = parity(stack)
    assert found["source"] == "bars of the stack"
    for kind in ("signals", "orders"):
        assert found["equal"][kind] == found["stack"][kind] == found["backtest"][kind] >= 6, found["differences"]


@pytest.mark.long
def test_backtest_on_sampled_bars_of_an_index_makes_the_signals_of_the_day(tmp_path: Path) -> None:
    """Frames of this broker carry no price of an index: it is asked for once a second, 25 times in a minute."""
    with Stack(tmp_path, **make_home(tmp_path / "home", "iifl", INDEX_SETTINGS)) as stack:
        stack.up("--simulator", "--speed", "2.4")
        eventually(lambda: len(stored_bars(stack, INDEX)) >= 2, 120)
        eventually(lambda: stack.ask("signals"), 20)
        bars = stored_bars(stack, INDEX)
        sent: list[list[Any]] = stack.sim("sent", exchange="NSE_INDEX", symbol="NIFTY")["quotes"]
        assert stack.down().returncode == 0
    for bar in bars:
        near = [ltp for at, ltp, _ in sent if bar.start_ns - MINUTE // 2 <= at < bar.end_ns + MINUTE // 2]
        assert min(near) * (1 - _MOVE) <= bar.low <= bar.high <= max(near) * (1 + _MOVE)
    found = parity(stack)
    assert found["equal"]["signals"] == found["stack"]["signals"] == found["backtest"]["signals"] >= 1, found
    assert any("bars of NSE_INDEX:NIFTY are sampled" in note for note in found["notes"])
