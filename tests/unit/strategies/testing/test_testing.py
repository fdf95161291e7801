"""The tester for authors: bars in, signals out, faults as failures."""

from __future__ import annotations

from pathlib import Path

import pytest

from mytrading.runtime.host.author_files import load_file
from mytrading.strategies import Bar, BaseStrategy, Signal, StrategyError
from mytrading.strategies.testing import OPEN_NS, StrategyTester


class Follower(BaseStrategy):
    """Long above `level`, out below."""

    level: float = 100.0

    def initialize(self) -> None:
        self.add_indicator("SMA", period=2, name="mean")

    def on_data(self, data: Bar) -> Signal | None:
        if data.close > self.level and self.position.is_flat:
            return self.create_signal("BUY", confidence=0.9, reason=f"above {self.level:g}")
        if data.close < self.level and self.position.is_long:
            return self.create_signal("EXIT", reason="below")
        return None


class Broken(BaseStrategy):
    def on_data(self, data: Bar) -> Signal | None:
        return self.nothing_of_that_name  # type: ignore[no-any-return]


def test_tester_shows_signals_and_fills_them_at_the_close() -> None:
    tester = StrategyTester(Follower, level=50)
    assert tester.feed(40, 41, 51) == tester.signals
    assert tester.actions == [(2, "BUY")]
    assert tester.signals[0].confidence == 0.9
    assert tester.signals[0].reason == "above 50"
    assert tester.positions == {"NSE:SBIN": 1}
    tester.feed(60, 49)
    assert tester.actions == [(2, "BUY"), (4, "EXIT")]
    assert tester.positions == {"NSE:SBIN": 0}
    assert tester.value("mean") == 54.5


def test_tester_without_fills_leaves_the_strategy_flat_until_it_is_set_otherwise() -> None:
    tester = StrategyTester(Follower, fills=False)
    tester.feed(101, 102, 103)
    assert tester.positions == {}
    tester.hold(2)
    tester.feed(99)
    assert tester.actions[-1] == (3, "EXIT")


def test_tester_takes_whole_bars_in_several_forms() -> None:
    tester = StrategyTester(Follower, timeframe="5m")
    tester.feed((99, 101, 98, 100.5), (100, 103, 99, 102, 5000))
    span = 5 * 60_000_000_000
    last = Bar("NSE:SBIN", "5m", OPEN_NS + 2 * span, OPEN_NS + 3 * span, 1.0, 1.0, 1.0, 1.0, 1, 0)
    tester.feed(last)
    assert tester.actions == [(1, "BUY"), (2, "EXIT")]
    with pytest.raises(ValueError, match="found 3 numbers"):
        tester.feed((1, 2, 3))


def test_tester_fails_with_the_authors_file_and_line() -> None:
    tester = StrategyTester(Broken)
    with pytest.raises(StrategyError, match=r"test_testing\.py:\d+.*nothing_of_that_name"):
        tester.feed(100)


def test_tester_refuses_a_misspelt_parameter() -> None:
    with pytest.raises(StrategyError, match="did you mean level"):
        StrategyTester(Follower, levle=50)


class Resting(BaseStrategy):
    """Sells a break of 99, and takes the entry back after three bars; counts what it has seen of it."""

    def initialize(self) -> None:
        self.seen: list[bool] = []
        self.set_timer("late", 600)

    def on_data(self, data: Bar) -> Signal | None:
        self.seen.append(self.pending is not None)
        self.memory["bars"] = len(self.seen)
        if len(self.seen) == 1:
            return self.create_signal("SELL", trigger_price=99.0, buffer=1.0, stop_price=103.0, lots=2)
        return self.create_signal("WITHDRAW") if len(self.seen) == 4 else None

    def on_timer(self, name: str) -> Signal:
        return self.create_signal("EXIT", reason=name)


def test_tester_fills_a_resting_entry_once_its_price_is_touched() -> None:
    tester = StrategyTester(Resting)
    tester.feed(100, 100)
    assert list(tester.resting) == ["NSE:SBIN"]
    tester.feed((100, 100, 98.5, 98.8))
    assert (tester.positions, tester.resting) == ({"NSE:SBIN": -2}, {})
    tester.feed(98, 98)
    assert [action for _, action in tester.actions] == ["SELL"]
    (left,) = tester.pass_time(600)
    assert (left.action, left.reason, tester.positions["NSE:SBIN"]) == ("EXIT", "late", 0)
    assert tester.memory == {"bars": 5}


def test_tester_takes_a_withdrawn_entry_away() -> None:
    tester = StrategyTester(Resting)
    tester.feed(100, 100, 100, 100)
    assert tester.resting == {}
    tester.feed((100, 100, 90, 95), 95)
    assert tester.positions.get("NSE:SBIN", 0) == 0
    assert [action for _, action in tester.actions] == ["SELL", "EXIT"]


class Frames(BaseStrategy):
    """Notes the newest close of each timeframe at every call."""

    longer: str = "15m 1h"

    def on_data(self, data: Bar) -> Signal | None:
        longer = [frame for frame in self.longer.split() if len(self.bars(1, timeframe=frame).close)]
        self.memory.setdefault("seen", []).append(
            [data.timeframe, data.close, *(float(self.bars(1, timeframe=frame).close[-1]) for frame in longer)]
        )
        return None


def test_tester_makes_longer_bars_of_those_that_are_fed() -> None:
    tester = StrategyTester(Frames, timeframes=("5m", "15m", "1h"))
    tester.feed(*range(1, 14))
    seen = tester.memory["seen"]
    assert seen[1:4] == [["5m", 2.0], ["5m", 3.0, 3.0], ["5m", 4.0, 3.0]], "the third five minutes end the quarter"
    assert seen[11:] == [["5m", 12.0, 12.0, 12.0], ["5m", 13.0, 12.0, 12.0]]


def test_tester_drives_a_strategy_on_a_longer_bar_than_is_fed_with_its_own_extremes() -> None:
    tester = StrategyTester(Frames, timeframe="1m", timeframes=("15m", "1h"))
    tester.feed(*[(10, 10 + minute, 10 - minute, 11, 5) for minute in range(15)])
    (bar,) = tester.memory["seen"]
    assert bar == ["15m", 11.0, 11.0]


def test_longer_bar_over_a_gap_ends_before_the_next_and_the_last_with_the_session() -> None:
    tester = StrategyTester(Frames, timeframes=("5m", "1h"), longer="1h")
    five = 5 * 60 * 10**9
    late = OPEN_NS + 72 * five  # 15:15, when the last hour of the session begins
    for number, at in enumerate((OPEN_NS, OPEN_NS + 12 * five, late, late + five, late + 2 * five)):
        tester.feed(Bar("NSE:SBIN", "5m", at, at + five, *[float(number)] * 4, 1, 0))
    assert [row[2:] for row in tester.memory["seen"]] == [[], [0.0], [1.0], [1.0], [4.0]]


def test_longer_bar_fed_by_hand_is_not_made_once_more() -> None:
    tester = StrategyTester(Frames, timeframes=("5m", "15m"), longer="15m")
    span = 5 * 60 * 10**9
    tester.feed(Bar("NSE:SBIN", "15m", OPEN_NS, OPEN_NS + 3 * span, *[77.0] * 4, 1, 0))
    tester.feed(1, 2, 3, 4)
    assert tester.memory["seen"][-1] == ["5m", 4.0, 77.0]


def test_tester_reads_the_strategys_file(tmp_path: Path) -> None:
    for folder in ("strategies", "config/strategies"):
        (tmp_path / folder).mkdir(parents=True)
    code = tmp_path / "strategies" / "mine.py"
    code.write_text(
        "from mytrading.strategies import BaseStrategy\n\n\nclass Mine(BaseStrategy):\n    level: float = 1.0\n"
        "    def on_data(self, data):\n        self.memory['last'] = [data.timeframe, self.level]\n"
    )
    file = tmp_path / "config" / "strategies" / "of_mine.toml"
    file.write_text('name = "Mine"\ntimeframes = ["15m", "5m"]\n[parameters]\nlevel = 7.5\n')
    (mine,) = load_file(code, BaseStrategy).classes
    tester = StrategyTester(mine)
    tester.feed(1, 2, 3)
    assert tester.memory["last"] == ["15m", 7.5]
    tester = StrategyTester(mine, timeframe="1h", level=2)
    tester.feed(1)
    assert tester.memory["last"] == ["1h", 2.0]
    settings = 'name = "Mine"\nsymbols = ["NIFTY", "tcs"]\ndirection = "short"\n'
    file.write_text(settings)
    with pytest.raises(StrategyError, match=r"of_mine\.toml: symbols: expected .* found 'tcs'"):
        StrategyTester(mine)
    (tmp_path / "config" / "symbols.toml").write_text('[names]\nTCS = "NSE:TCS"\n')
    code.write_text(code.read_text() + "        return self.create_signal('BUY' if data.close > 2 else 'SELL')\n")
    (mine,) = load_file(code, BaseStrategy).classes
    tester = StrategyTester(mine)
    tester.feed(1, 3)
    assert tester.positions == {"NSE_INDEX:NIFTY": 0}
    assert [signal.action for signal in tester.signals] == ["SELL", "EXIT"]
    tester.feed(1, symbol="NSE:TCS")
    assert tester.positions["NSE:TCS"] == -1
    tester = StrategyTester(mine, ["NSE:SBIN"], direction="both")
    tester.feed(3)
    assert tester.positions == {"NSE:SBIN": 1}
    file.rename(file.with_name("mine.toml")).write_text("timeframes = [")
    with pytest.raises(StrategyError, match=r"config/strategies/mine\.toml: expected TOML"):
        StrategyTester(mine)
