"""`mytrading parity` on a state folder made by hand: real journals, a real tape, real bars, and no stack."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.adapters.storage.bar_store import BarStore
from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.adapters.storage.tape import TapeWriter
from mytrading.backtest.parity.compare import prepare
from mytrading.backtest.parity.facts import DaySide
from mytrading.backtest.parity.replay import Replay
from mytrading.cli.main import run as run_command
from mytrading.cli.shell.options import journal_days, strategy_names
from mytrading.core.time import MINUTE
from mytrading.daemons.engine.strategy_files import find_strategies
from mytrading.messages.codec import encode_body
from mytrading.messages.commands import SignalDenied
from mytrading.messages.control import StrategySwitch, TradingState
from mytrading.messages.enums import Action, Product, Side, TradingLevel
from mytrading.messages.instruments import Instrument, InstrumentKind, Snapshot
from mytrading.messages.journal_rows import RunStarted
from mytrading.messages.market import Bar
from mytrading.messages.orders import OrderChanged, PositionChanged
from mytrading.messages.run_config import (
    RUN_FILE,
    RunConfig,
    StopPlan,
    StrategyRun,
    TradeKind,
    TradeRule,
    write_run_config,
)
from mytrading.messages.signals import Signal, StrategyStarted
from mytrading.messages.streams import STREAMS
from mytrading.runtime.daemon.machine_daemon import row_streams
from mytrading.runtime.journal.journal import OUTPUT, RECORD, Entry, Journal
from tests.kit.pages import report_of
from tests.kit.project import ROOT
from tests.kit.run_configs import run_config

DAY = "2026-11-20"
TEN = 1_795_149_000_000_000_000
"""Ten in the morning of that day in India."""
SBIN = "NSE:SBIN"
PRICES = (800.0, 801.0, 802.0, 801.0, 803.0, 804.0, 802.0, 801.0, 800.0, 799.0)
STRATEGY = '''
from mytrading.strategies import Bar, BaseStrategy, Signal


class EvenMinutes(BaseStrategy):
    """Long from each even minute to the next odd one."""

    name = "EvenMinutes"

    def on_data(self, data: Bar) -> Signal | None:
        return self.create_signal("EXIT" if data.end_ns // 60_000_000_000 % 2 else "BUY", confidence=1.0)
'''


def config_of(folder: Path) -> RunConfig:
    """A stack that trades one share in lock-step; its day's instruments, tape and bars are in its state folder."""
    file = folder / "even_minutes.py"
    file.write_text(STRATEGY)
    same = TradeRule(kind=TradeKind.SAME, side=Side.BUY)
    strategy = StrategyRun(
        name="EvenMinutes", file=str(file), symbols=(SBIN,), long=same, short=None, product=Product.MIS, lots=10,
        stop=StopPlan.NONE,
    )  # fmt: skip
    config = replace(run_config(folder), strategies=(strategy,))
    write_run_config(config.state / RUN_FILE, config)
    share = Instrument(
        id=SBIN, exchange="NSE", symbol="SBIN", kind=InstrumentKind.EQ, underlying="SBIN", tick_size=0.05
    )
    InstrumentFile(config.state).write(Snapshot(day=DAY, fetched_ns=0, instruments=(share,)))
    write_market(config)
    return config


def write_market(config: RunConfig) -> None:
    """Two quotes a minute; each bar is complete with the first quote after it."""
    tape, bars = TapeWriter(config.tape_dir, 1 << 20), []
    tape.roll(DAY)
    for half in range(2 * len(PRICES)):
        at, price = TEN + half * MINUTE // 2, PRICES[half // 2]
        data = {"ltp": price, "bid": price - 0.05, "ask": price + 0.05, "timestamp": at // 1_000_000}
        frame = {"type": "market_data", "symbol": "SBIN", "exchange": "NSE", "mode": 2, "data": data}
        tape.append(1_000 + half, at, json.dumps(frame).encode())
        if half and half % 2 == 0:
            was = PRICES[half // 2 - 1]
            bars.append(Bar(SBIN, "1m", at - MINUTE, at, was, was, was, was, 100, 2, 1_000 + half))
    tape.close()
    store = BarStore(config.bars_dir)
    store.add(bars)
    store.close()


class Books:
    """The journals of the day, written as daemons would."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._journals: dict[str, Journal] = {}

    def write(self, daemon: str, row: Any, at_ns: int) -> None:
        kind = OUTPUT if (stream := row_streams(daemon)[type(row)]) in STREAMS else RECORD
        if daemon not in self._journals:
            self._journals[daemon] = Journal(self._config.journal_dir(daemon), daemon, DAY)
        self._journals[daemon].append([Entry(kind, stream, encode_body(row))], at_ns, at_ns)

    def close(self) -> None:
        for journal in self._journals.values():
            journal.close()
        self._journals.clear()


def writer_of(row: Any) -> str:
    """The daemon that writes rows of a kind to a journaled stream; empty if none does."""
    for daemon in ("engine", "risk", "router"):
        stream = STREAMS.get(row_streams(daemon).get(type(row), ""))
        if stream is not None and stream.is_journaled and daemon in stream.writers:
            return daemon
    return ""


def what_it_does(config: RunConfig) -> list[tuple[int, Any]]:
    """The day of a stack without latency: rows with their market times."""
    rows: list[tuple[int, Any]] = []

    class RecordingSide(DaySide):
        def apply(self, message: Any, by_operator: bool = False) -> None:
            rows.append((replay._venues.now, message))
            super().apply(message, by_operator)

    world = prepare(config, DAY, find_strategies(Path(config.home), config.strategies)).world
    replay = Replay(world, RecordingSide())
    case = prepare(config, DAY, find_strategies(Path(config.home), config.strategies))
    replay.run(case.paced_moments())
    return rows


def begin(config: RunConfig) -> Books:
    """The journals, with the start of a stack."""
    books = Books(config)
    started = RunStarted(daemon="engine", pid=1, version="1", schema=1, config_hash=config.config_hash,
                         machine_ns=1, market_ns=TEN, speed=0.0)  # fmt: skip
    for daemon in ("engine", "risk", "router"):
        books.write(daemon, replace(started, daemon=daemon), TEN)
    opened = StrategyStarted(strategy="EvenMinutes", parameters={}, watches=(SBIN,), warm_bars=0, at_ns=TEN)
    books.write("engine", opened, TEN)
    return books


Change = Callable[[Sequence[tuple[int, Any]]], list[tuple[int, Any]]]


def day_of(folder: Path, change: Change = list, besides: Sequence[tuple[str, Any, int]] = ()) -> RunConfig:
    """A whole day in a state folder; `change` what the stack did, `besides` rows of daemons to be added."""
    config = config_of(folder)
    books = begin(config)
    books.close()
    rows = change(what_it_does(config))
    books = Books(config)
    for at_ns, row in rows:
        if daemon := writer_of(row):
            books.write(daemon, row, at_ns)
    for daemon, row, at_ns in besides:
        books.write(daemon, row, at_ns)
    books.close()
    return config


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYTRADING_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("MYTRADING_HOME", str(ROOT))


def reported(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the command."""
    with pytest.raises(SystemExit) as ended:
        run_command(["parity", *arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def body(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code, out, err = reported(capsys, "--json", *arguments)
    assert out, err
    return code, json.loads(out.splitlines()[-1])


def without_entry(rows: Sequence[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """The second signal to buy leads to nothing, and there is nothing to sell after it."""
    bought = [row.id for _, row in rows if isinstance(row, Signal) and row.action is Action.BUY]
    sold = [row.id for _, row in rows if isinstance(row, Signal) and row.action is Action.EXIT]
    gone = {bought[1], sold[1]}
    names = {row.order.client_order_id for _, row in rows if isinstance(row, OrderChanged) and row.order.cause in gone}
    return [
        (at, row)
        for at, row in rows
        if not (
            (isinstance(row, Signal) and row.id == sold[1])
            or (isinstance(row, OrderChanged) and row.order.client_order_id in names)
            or (isinstance(row, PositionChanged) and row.client_order_id in names)
        )
    ]


def second_signal(rows: Sequence[tuple[int, Any]]) -> str:
    return [row.id for _, row in rows if isinstance(row, Signal) and row.action is Action.BUY][1]


def test_day_that_equals_its_backtest_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    day_of(tmp_path)
    code, found = body(capsys, "--within-ms", "0", "--report", str(tmp_path / "report"))
    assert code == 0
    assert (found["differences"], found["trades_equal"], found["day"]) == ([], True, DAY)
    assert found["equal"] == {"signals": 8, "orders": 8, "fills": 8}
    assert found["stack"] == found["backtest"]
    assert "both sides did the same" in (tmp_path / "report" / "parity.html").read_text(encoding="utf-8")
    assert report_of(tmp_path / "report").kind == "parity"


def test_table_shows_each_pair_with_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    day_of(tmp_path)
    code, out, _ = reported(capsys, "EvenMinutes", "--all")
    assert code == 0
    assert out.count(" equal ") == 24
    assert "differences: none" in out


def test_denial_of_the_stack_explains_all_that_follows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def denied(rows: Sequence[tuple[int, Any]]) -> list[tuple[int, Any]]:
        at = TEN + 3 * MINUTE
        row = SignalDenied(
            signal=second_signal(rows), strategy="EvenMinutes", code="MAX_ORDER_SIZE", message="8,010", at_ns=at
        )
        return [*without_entry(rows), (at, row)]

    day_of(tmp_path, denied)
    code, found = body(capsys)
    assert (code, found["ok"]) == (0, True)
    assert found["causes"]["denial"] == len(found["differences"]) == 5
    assert "MAX_ORDER_SIZE" in found["differences"][0]["why"]


PEOPLE = {
    "halt": TradingState(level=TradingLevel.HALT, generation=1, reason="lunch", at_ns=TEN + MINUTE, by="ops"),
    "switch": StrategySwitch(strategy="EvenMinutes", enabled=False, generation=1, at_ns=TEN + MINUTE, by="ops",
                             reason="lunch"),
}  # fmt: skip


@pytest.mark.parametrize("act", PEOPLE.values(), ids=PEOPLE)
def test_what_a_person_kept_back_is_reported(act: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    day_of(tmp_path, without_entry, [("gateway", act, TEN + MINUTE)])
    code, found = body(capsys)
    assert code == 0
    assert found["causes"]["person"] == len(found["differences"]) == 5
    assert "by ops: lunch" in found["differences"][0]["why"]


def test_fill_at_a_price_that_no_quote_shows_is_unexplained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def dearer(rows: Sequence[tuple[int, Any]]) -> list[tuple[int, Any]]:
        changed = []
        for at, row in rows:
            bought = isinstance(row, PositionChanged) and row.fill_quantity > 0
            changed.append((at, replace(row, fill_price=row.fill_price + 7.0) if bought else row))
        return changed

    day_of(tmp_path, dearer)
    code, out, err = reported(capsys, "--within-ms", "0")
    assert code == 1
    assert "unexplained" in out
    assert "mytrading why" in err
    code, found = body(capsys)
    assert code == 1
    assert found["cost"] == pytest.approx(70.0 * found["causes"]["unexplained"])


def test_day_without_a_tape_is_walked_on_its_bars_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = day_of(tmp_path)
    for path in config.tape_dir.glob("*"):
        path.unlink()
    _, found = body(capsys)
    assert found["source"] == "bars of the stack"
    assert "no tape" in found["notes"][0]
    assert found["backtest"]["fills"] == found["stack"]["fills"]


def test_bars_given_in_place_of_the_stacks_differ_by_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    day_of(tmp_path)
    lines = ["timestamp,open,high,low,close,volume"]
    for number, price in enumerate(PRICES[:-1]):
        if number != 3:
            lines.append(f"2026-11-20 10:{number:02d}:00,{price},{price},{price},{price},100")
    (tmp_path / "sbin.csv").write_text("\n".join(lines) + "\n")
    _, found = body(capsys, "--data", f"SBIN={tmp_path / 'sbin.csv'}")
    lost = [one for one in found["differences"] if one["kind"] == "signal"]
    assert found["source"].startswith("bars given")
    assert lost[0]["cause"] == "data"
    assert "10:04" in lost[0]["why"]


WRONG = {
    ("--date", "2026-11-19"): "expected a day that paper has a journal of (2026-11-20)",
    ("--date", "yesterday"): "expected a day like",
    ("EvenMinute",): "did you mean EvenMinutes",
    ("--data", "nowhere.csv"): "no such file",
}


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_what_cannot_be_compared_is_reported_with_a_next_step(
    arguments: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    day_of(tmp_path)
    code, _, err = reported(capsys, *arguments)
    assert code == 2
    assert WRONG[arguments] in err


def test_stack_that_never_ran_has_nothing_to_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config_of(tmp_path)
    code, _, err = reported(capsys)
    assert code == 2
    assert "mytrading up" in err


def test_shell_offers_strategies_and_days(tmp_path: Path) -> None:
    day_of(tmp_path)
    assert strategy_names("Ev") == ["EvenMinutes"]
    assert journal_days("2026") == [DAY]
