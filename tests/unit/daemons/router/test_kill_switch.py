"""The kill switch: halt, reduce and flatten from the command line, and the file KILL, keep who, when and why.

The command line, the socket of the gateway, its verbs and the machines of gateway, risk and router are the real ones;
the processes around them are not needed to show that a level is journaled, shown, and there again after a restart.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq
from typer.testing import CliRunner

from mytrading.cli.app import app
from mytrading.core.gateway.control_machine import ControlMachine
from mytrading.core.gateway.read_model import StackView
from mytrading.daemons.router.watches import KillWatch
from mytrading.messages.commands import PlaceEntry
from mytrading.messages.control import KILL, FlattenRequested, StrategySwitch, TradingState
from mytrading.messages.enums import OrderState, TradingLevel
from mytrading.messages.ops import FlattenCommand
from mytrading.messages.orders import FlattenChanged
from mytrading.messages.run_config import RunConfig
from mytrading.messages.signals import Leg
from mytrading.orchestrator import TradingOrchestrator
from mytrading.runtime.host.clock import MarketClock
from mytrading.runtime.host.run_info import user_name
from mytrading.runtime.streams.endpoints import endpoint_of
from mytrading.runtime.supervision.kill_file import KillFile
from tests.kit.fake_broker import SECOND, OrderBench
from tests.kit.gateway_queries import ops_server
from tests.kit.risk_bench import CALL, RiskBench, codes
from tests.kit.run_configs import run_config

ME = user_name(os.getuid())
DENIED = {"halt": "HALTED", "reduce": "REDUCING", "flatten": "HALTED"}
LEVELS = {"halt": TradingLevel.HALT, "reduce": TradingLevel.REDUCE, "flatten": TradingLevel.HALT}


class Switchboard:
    """The machines of gateway, risk and router, and what the gateway has journaled for all of them."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.risk_bench, self.bench = RiskBench(), OrderBench()
        self.bench.read()
        self.rows: list[msgspec.Struct] = []
        self.signals = 0
        self._build()

    def _build(self) -> None:
        self.control, self.view = ControlMachine(), StackView()
        self.server = ops_server(self.config, self.view, self.control, self._take)

    def _take(self, rows: tuple[msgspec.Struct, ...]) -> None:
        """Journaled by the gateway, then read by all others."""
        for row in rows:
            self.rows.append(row)
            self.control.apply(row)
            self.risk_bench.give(row)
            if isinstance(row, FlattenRequested):
                row = msgspec.structs.replace(row, deadline_machine_ns=self.bench.time + 60 * SECOND)
            self._show(self.bench.step(row))

    def _show(self, rows: list[Any]) -> None:
        for row in rows:
            if isinstance(row, FlattenChanged):
                self.view.apply(row)

    def restart(self) -> None:
        """All three end, and others begin with what was journaled, of which a part is of the day before."""
        opened = self.control.snapshot("2026-03-19")
        risk = self.risk_bench.machine.snapshot("2026-03-19")
        self._build()
        self.control.apply(_through_the_wire(opened))
        self.risk_bench = RiskBench()
        self.risk_bench.machine.apply(_through_the_wire(risk))
        self.bench.crash()
        self.bench.see_mode()
        self.bench.read()
        for level in self.bench.machine.state.flattens.sorted_values():
            self.view.apply(FlattenChanged(flatten=level, at_ns=self.bench.now))

    def entries(self) -> tuple[Any, ...]:
        """Return risk's commands for a signal."""
        self.risk_bench.quote(CALL)
        self.signals += 1
        return self.risk_bench.intent(f"w{self.signals}", Leg(instrument=CALL, lots=1))


def _through_the_wire(row: Any) -> Any:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(row), type=type(row))


class Door:
    """The gateway's socket: a thread that answers until it is stopped."""

    def __init__(self, board: Switchboard) -> None:
        self._board, self._context = board, zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.bind(endpoint_of(board.config, "ops"))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._over.is_set():
            if not self._socket.poll(50):
                continue
            *envelope, data = self._socket.recv_multipart()
            self._socket.send_multipart([*envelope, msgspec.msgpack.encode(self._board.server.reply(data))])

    def close(self) -> None:
        self._over.set()
        self._thread.join(10)
        self._context.destroy(0)


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Switchboard]:
    config = run_config(tmp_path)
    made = Switchboard(config)
    stack = TradingOrchestrator(config)
    monkeypatch.setattr(TradingOrchestrator, "find", lambda *_: stack)
    monkeypatch.setattr(TradingOrchestrator, "is_running", lambda _: True)
    door = Door(made)
    yield made
    door.close()


def command(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(words))
    assert getattr(done.exception, "code", done.exit_code) == code, done.output
    return done.stdout


def switched(word: str) -> None:
    if word == "flatten":  # as the command does, which then waits for what no router here proves
        TradingOrchestrator.find().ask(FlattenCommand(request_id="drill", reason="a drill"))
    else:
        command(word, "a drill")


@pytest.mark.parametrize("word", ["halt", "reduce", "flatten"])
def test_word_from_the_command_line_is_journaled_with_who_when_and_why(board: Switchboard, word: str) -> None:
    switched(word)
    (level,) = (row for row in board.rows if isinstance(row, TradingState))
    assert (level.level, level.by, level.reason, level.account) == (LEVELS[word], ME, "a drill", "")
    assert abs(level.at_ns - MarketClock.load(board.config.clock_path).now()) < 3600 * SECOND
    wanted = [row for row in board.rows if isinstance(row, FlattenRequested)]
    assert [(row.by, row.reason, bool(row.at_ns)) for row in wanted] == [(ME, "a drill", True)] * (word == "flatten")


@pytest.mark.parametrize("word", ["halt", "reduce", "flatten"])
def test_level_survives_the_restart_of_gateway_risk_and_router(board: Switchboard, word: str) -> None:
    switched(word)
    before = board.control.overall_level()
    board.restart()
    assert board.control.overall_level() == before
    for known in (board.risk_bench.machine.state.trading[""], board.bench.machine.state.trading.get("")):
        assert known is not None
        assert (known.level, known.by, known.reason, known.at_ns) == (LEVELS[word], ME, "a drill", before.at_ns)
    rows = board.entries()
    assert codes(rows)[0] == DENIED[word] and f"a drill (by {ME})" in rows[0].message
    board.bench.enter("e")
    assert board.bench.order("e").state is OrderState.DENIED and f"(a drill, by {ME})" in board.bench.order("e").message


@pytest.mark.parametrize("word", ["halt", "reduce", "flatten"])
def test_risk_and_status_show_who_when_and_why_also_after_a_restart(board: Switchboard, word: str) -> None:
    switched(word)
    at = board.control.overall_level().at_ns
    for _ in range(2):
        shown = json.loads(command("risk", "--json"))
        want = {"account": "all", "level": LEVELS[word].value, "reason": "a drill", "by": ME, "at_ns": at}
        assert shown["levels"] == [want]
        assert f"{LEVELS[word].value} for all since " in command("risk")
        assert f"a drill (by {ME})" in command("risk")
        said = command("status")
        assert f"trading {LEVELS[word].value} (a drill, by {ME}, since " in said
        assert f"state in {board.config.state}" in said
        board.restart()


def test_flatten_under_way_is_shown_until_two_reads_prove_it(board: Switchboard) -> None:
    switched("flatten")
    board.restart()
    (row,) = json.loads(command("risk", "--json"))["flattens"]
    assert (row["reason"], row["by"], row["account"]) == ("a drill", ME, "paper")
    assert f"flatten of paper since {_clock(row['at_ns'])} is open: a drill (by {ME})" in command("risk")
    for level in board.bench.machine.state.flattens.sorted_values():
        board.view.apply(FlattenChanged(flatten=msgspec.structs.replace(level, state="done"), at_ns=board.bench.now))
    assert json.loads(command("risk", "--json"))["flattens"] == []


def _clock(ns: int) -> str:
    from mytrading.core.time import format_ist

    return format_ist(ns)


def test_halt_of_one_account_stands_beside_the_level_of_all(board: Switchboard) -> None:
    command("halt", "a look", "--account", "paper")
    shown = f"entries closed: paper is at halt; `mytrading resume` ends it · paper halt (a look, by {ME}, since "
    assert shown in command("status") and "trading normal" not in command("status")
    assert board.control.overall_level().level is TradingLevel.NORMAL
    command("resume", "seen", "--account", "paper")
    assert "paper halt" not in command("status")
    (ended,) = (row for row in board.rows if isinstance(row, TradingState) and row.level is TradingLevel.NORMAL)
    assert (ended.by, ended.reason, ended.account) == (ME, "seen", "paper")


def test_resume_ends_a_halt_in_all_three_and_says_who(board: Switchboard) -> None:
    command("halt", "lunch")
    command("resume", "fed")
    board.restart()
    for known in (
        board.control.overall_level(),
        board.risk_bench.machine.state.trading[""],
        board.bench.machine.state.trading.get(""),
    ):
        assert known is not None and (known.level, known.by, known.reason) == (TradingLevel.NORMAL, ME, "fed")
    assert any(isinstance(row, PlaceEntry) for row in board.entries())


def test_flatten_of_a_strategy_keeps_who_and_why_and_switches_it_off_alone(board: Switchboard) -> None:
    # nothing is held and nobody reads the books: it is not proven in time, and goes on
    command("flatten", "--strategy", "SMA_Crossover", "--reason", "odd", "--deadline", "1", code=5)
    (wanted,) = (row for row in board.rows if isinstance(row, FlattenRequested))
    assert (wanted.strategy, wanted.by, wanted.reason) == ("SMA_Crossover", ME, "odd")
    (off,) = (row for row in board.rows if isinstance(row, StrategySwitch))
    assert (off.enabled, off.by, off.reason) == (False, ME, "odd")
    board.restart()
    assert board.control.overall_level().level is TradingLevel.NORMAL
    assert not board.risk_bench.machine.state.entries_enabled("SMA_Crossover")
    assert "flatten of paper SMA_Crossover since " in command("risk")


def test_switch_of_a_strategy_keeps_who_and_why_and_shows_them(board: Switchboard) -> None:
    command("strategies", "disable", "SMA_Crossover", "--reason", "too wild")
    (off,) = (row for row in board.rows if isinstance(row, StrategySwitch))
    assert (off.enabled, off.by, off.reason) == (False, ME, "too wild")
    board.restart()
    for verb in (("list",), ("show", "SMA_Crossover")):
        assert f"too wild, by {ME}, since " in command("strategies", *verb)
    (row,) = json.loads(command("strategies", "--json"))
    assert (row["enabled"], row["switched"]["by"], row["switched"]["reason"]) == (False, ME, "too wild")
    assert f"entries of SMA_Crossover off (too wild, by {ME}, since " in command("status")
    assert not board.risk_bench.machine.state.entries_enabled("SMA_Crossover")
    command("strategies", "enable", "SMA_Crossover")
    on = board.rows[-1]
    assert isinstance(on, StrategySwitch) and (on.enabled, on.by, on.reason) == (True, ME, "switched on by hand")
    assert "entries of" not in command("status")
    command("resume", "calm again", "--strategy", "SMA_Crossover")
    assert isinstance(again := board.rows[-1], StrategySwitch) and (again.by, again.reason) == (ME, "calm again")


# the file


class Watched:
    """Services of the router's daemon for its check of the KILL file."""

    name = "router"

    def __init__(self, board: Switchboard) -> None:
        self.clock = MarketClock.load(board.config.clock_path)
        self.orders = board.bench.machine
        self._board = board
        self.log = self

    def warning(self, *_words: Any, **_fields: Any) -> None:
        """Logged elsewhere."""

    def step(self, _stream: str, message: Any, source: str = "", *, keep: bool = False) -> tuple[Any, ...]:
        assert source == "router" and keep, "what the file says is journaled"
        rows = self._board.bench.step(message)
        self._board._show(rows)
        return tuple(rows)


def look_for(board: Switchboard) -> None:
    """Risk and the router look at the file, each with a watch that has just started."""
    news = KillFile(board.config.state).level_change(
        board.risk_bench.machine.state.trading.get(KILL), board.risk_bench.now
    )
    if news is not None:
        board.risk_bench.give(news)
    KillWatch(board.config).check_file(Watched(board), board.bench.time)


@pytest.mark.parametrize("word", ["halt", "reduce", "flatten"])
def test_file_is_learnt_by_risk_and_router_with_who_when_and_why_and_outlives_both(
    board: Switchboard, word: str
) -> None:
    KillFile(board.config.state).write(word, "the broker is down")
    written = (board.config.state / "KILL").stat().st_mtime_ns
    look_for(board)
    for _ in range(2):
        for known in (board.risk_bench.machine.state.trading[KILL], board.bench.machine.state.trading.get(KILL)):
            assert known is not None
            assert (known.level, known.by, known.generation) == (LEVELS[word], ME, written)
            assert known.reason == f"the file KILL says {word}: the broker is down" and known.at_ns
        flattens = [(level.id, level.by) for level in board.bench.machine.state.flattens.sorted_values()]
        assert flattens == [(f"kill-{written}-paper", ME)] * (word == "flatten"), "asked for once"
        assert codes(board.entries())[0] == DENIED[word]
        board.restart()
        look_for(board)
    assert f"the file KILL says {word}: the broker is down (by {ME}, {_clock(written)})" in command("risk")
    assert f"KILL says {word} (the broker is down, by {ME}, since " in command("status")


def test_resume_does_not_end_what_the_file_says_and_its_removal_does(board: Switchboard) -> None:
    KillFile(board.config.state).write("halt", "no")
    look_for(board)
    done = CliRunner().invoke(app, ["resume", "go"])
    assert done.exit_code == 0
    assert f"the file KILL still says halt (by {ME}), and no entry goes until it is gone" in done.stderr
    assert codes(board.entries())[0] == "HALTED"
    KillFile(board.config.state).remove()
    board.restart()
    look_for(board)
    assert board.risk_bench.machine.state.trading[KILL].reason == "the file is gone"
    assert any(isinstance(row, PlaceEntry) for row in board.entries())
    board.bench.enter("e")
    assert board.bench.order("e").state is OrderState.SUBMITTED


def test_file_of_all_profiles_halts_too_and_its_removal_is_left_to_a_person(board: Switchboard) -> None:
    above = board.config.state.parent / "KILL"
    above.write_text("halt everything", encoding="utf-8")
    look_for(board)
    assert codes(board.entries())[0] == "HALTED"
    command("kill", "--remove", code=1)
    assert above.exists()
    above.unlink()
    look_for(board)
    assert any(isinstance(row, PlaceEntry) for row in board.entries())


def test_status_of_what_does_not_run_says_what_the_file_asks_for(
    board: Switchboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TradingOrchestrator, "is_running", lambda _: False)
    KillFile(board.config.state).write("reduce", "expiry")
    body = json.loads(command("status", "--json", code=3))
    assert (body["running"], body["kill"]["word"], body["kill"]["why"], body["kill"]["by"]) == (
        False, "reduce", "expiry", ME,
    )  # fmt: skip
