"""From the options of `up` to a stack that can start."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path

import msgspec
import pytest

from mytrading.cli.main import run
from mytrading.cli.shell.failures import USAGE, Failure
from mytrading.cli.shell.start import (
    LEFT,
    StartOptions,
    first_market_ns,
    move_previous_replay_aside,
    prepare_stack,
    write_market_clock,
)
from mytrading.config.loading import load_settings
from mytrading.core.time import ist_date, to_ns
from mytrading.messages.enums import Mode
from mytrading.messages.run_config import RUN_FILE, VenueKind, write_run_config
from mytrading.orchestrator import READY_S, STRETCH, NotRunning, TradingOrchestrator, free_port, with_simulator_ports
from mytrading.runtime.host.clock import MarketClock, machine_now
from mytrading.runtime.host.paths import BadProfile
from mytrading.runtime.streams.endpoints import named_dir
from tests.kit.project import ROOT
from tests.kit.run_configs import run_config

TICKS = ROOT / "tests" / "data" / "ticks-2024-03-13.csv.gz"


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("MYTRADING_STATE_DIR", raising=False)
    monkeypatch.setenv("MYTRADING_HOME", str(ROOT))


def test_set_clock_new_market_begins_at_an_open_and_stands_until_the_hold_is_over(tmp_path: Path) -> None:
    config = run_config(tmp_path)
    assert write_market_clock(config).startswith("begins at")
    clock = MarketClock.load(config.clock_path)
    start = clock.segments[-1].market_ns
    assert start == first_market_ns(config)
    assert clock.now() == start
    longest = round(STRETCH * READY_S * 1e9)
    assert clock.market_ns_at(machine_now() + longest - 1_000_000_000) == start, "`up` may still wait for processes"
    assert clock.market_ns_at(machine_now() + longest + 1_000_000_000) > start


def test_set_clock_in_lock_step_stands_at_its_beginning(tmp_path: Path) -> None:
    config = run_config(tmp_path)
    config = msgspec.structs.replace(config, simulator=msgspec.structs.replace(config.simulator, speed=0.0))
    assert write_market_clock(config).endswith("in lock-step")
    clock = MarketClock.load(config.clock_path)
    assert clock.lock_step and clock.now() == first_market_ns(config)


def test_set_clock_again_continues_where_the_market_was_last_seen(tmp_path: Path) -> None:
    config = run_config(tmp_path)
    write_market_clock(config)
    running = MarketClock.load(config.clock_path)
    running.append_segment(running.now() + 3_600_000_000_000, 60.0)
    running.mark_seen()
    seen = running.resume_point()
    assert write_market_clock(config).startswith("continues at")
    assert MarketClock.load(config.clock_path).now() == seen


def test_set_clock_at_a_server_removes_the_clock(tmp_path: Path) -> None:
    import msgspec

    config = run_config(tmp_path)
    write_market_clock(config)
    rules = msgspec.structs.replace(config.simulator, embedded=False)
    write_market_clock(msgspec.structs.replace(config, simulator=rules))
    assert not config.clock_path.exists()


def test_first_moment_of_a_replay_is_a_minute_before_its_open(tmp_path: Path) -> None:
    start = first_market_ns(run_config(tmp_path, str(TICKS)))
    assert ist_date(start) == date(2024, 3, 13)
    assert to_ns(date(2024, 3, 13), time(9, 0)) <= start < to_ns(date(2024, 3, 13), time(9, 15))


def test_prepare_simulator_ignores_server_and_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENALGO_API_KEY", "secret")
    monkeypatch.setenv("OPENALGO_API_HOST", "http://example.invalid")
    monkeypatch.setenv("TRADING_MODE", "live")
    config = prepare_stack(StartOptions(simulator=True)).config
    assert config.mode is Mode.PAPER
    assert config.venue.api_key != "secret"
    assert "example" not in config.venue.rest_url


def test_prepare_dry_run_keeps_a_state_of_its_own() -> None:
    config = prepare_stack(StartOptions(simulator=True, dry_run=True)).config
    assert config.venue.kind is VenueKind.DRY_RUN
    assert config.state.name == "paper-dry-run"


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        (StartOptions(replay=Path("no-such-file.csv")), "no-such-file.csv"),
        (StartOptions(simulator=True, speed=-1), "--speed"),
        (StartOptions(simulator=True, speed=0, dry_run=True), "--speed 0"),
        (StartOptions(simulator=True, log_level="LOUD"), "LOUD"),
        (StartOptions(profile="paper"), "--profile"),
    ],
)
def test_prepare_unusable_option_exits_2_naming_it(wanted: StartOptions, word: str) -> None:
    with pytest.raises(Failure) as caught:
        prepare_stack(wanted)
    assert caught.value.code == 2
    assert word in str(caught.value)


def test_prepare_fresh_at_a_server_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENALGO_API_KEY", "key")
    with pytest.raises(Failure) as caught:
        prepare_stack(StartOptions(fresh=True))
    assert "--fresh" in str(caught.value)


def test_with_ports_names_two_different_free_ports(tmp_path: Path) -> None:
    config = with_simulator_ports(run_config(tmp_path))
    rules = config.simulator
    assert rules.rest_port != rules.ws_port
    assert config.venue.rest_url == f"http://127.0.0.1:{rules.rest_port}"
    assert config.venue.ws_url == f"ws://127.0.0.1:{rules.ws_port}"
    assert with_simulator_ports(config) == config
    assert free_port() not in (rules.rest_port, rules.ws_port)


def test_forget_empties_only_a_folder_that_a_stack_was_started_from(tmp_path: Path) -> None:
    stack = TradingOrchestrator(run_config(tmp_path))
    other = stack.config.state / "mine.txt"
    other.write_text("keep")
    stack.clear_state()
    assert other.exists()
    write_run_config(stack.config.state / RUN_FILE, stack.config)
    stack.config.journal_dir("risk").mkdir(parents=True)
    stack.clear_state()
    assert not list(stack.config.state.iterdir())


def test_find_without_any_stack_says_how_to_start_one() -> None:
    with pytest.raises(NotRunning, match="up --simulator"):
        TradingOrchestrator.find()


def test_find_names_the_latest_started_stack() -> None:
    for profile in ("default", "paper"):
        stack = prepare_stack(StartOptions(simulator=True))
        config = stack.config
        write_run_config(config.state.with_name(profile) / RUN_FILE, config)
    assert TradingOrchestrator.find().config.profile == "paper"


def test_prepare_simulator_under_the_name_of_a_server_profile_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for options in (StartOptions(simulator=True, profile="default"), StartOptions(replay=TICKS, profile="mine")):
        with pytest.raises(Failure, match="trades at the server of its settings; leave it out for the simulator"):
            prepare_stack(options)


def test_profiles_below_one_state_folder_keep_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYTRADING_STATE_DIR", str(tmp_path / "all"))
    paper, dry = (
        prepare_stack(StartOptions(simulator=True)).config,
        prepare_stack(StartOptions(simulator=True, dry_run=True)).config,
    )
    assert (paper.state, dry.state) == (tmp_path / "all" / "paper", tmp_path / "all" / "paper-dry-run")


def test_replay_of_a_file_that_cannot_be_read_touches_nothing(tmp_path: Path) -> None:
    stack = prepare_stack(StartOptions(replay=TICKS))
    stack.config.state.mkdir(parents=True)
    write_run_config(stack.config.state / RUN_FILE, stack.config)
    bad = tmp_path / "bad.csv"
    bad.write_text("timestamp,ltp\nyesterday,1\n")
    with pytest.raises(Failure):
        prepare_stack(StartOptions(replay=bad))
    assert (stack.config.state / RUN_FILE).is_file()


def test_replay_moves_the_one_before_aside_and_no_folder_of_others(tmp_path: Path) -> None:
    stack = prepare_stack(StartOptions(replay=TICKS))
    state = stack.config.state
    previous = state.with_name("replay-previous")
    for number in (1, 2):
        state.mkdir(parents=True)
        write_run_config(state / RUN_FILE, stack.config)
        (state / "journal").write_text(str(number))
        move_previous_replay_aside(stack)
        assert not state.exists()
        assert (previous / "journal").read_text() == str(number)
    (previous / LEFT).unlink()
    state.mkdir()
    write_run_config(state / RUN_FILE, stack.config)
    with pytest.raises(Failure, match="expected what an earlier replay left, found another folder"):
        move_previous_replay_aside(stack)
    assert (previous / "journal").read_text() == "2"


@pytest.mark.parametrize("name", ["../../../x", "a/b", "..", "", "a b", "x" * 49])
def test_profile_whose_name_would_lead_elsewhere_is_refused_and_makes_no_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadProfile, match="--profile: expected 1 to 48 letters, digits, _ or -, found"):
        TradingOrchestrator(load_settings(ROOT, name, {"OPENALGO_API_KEY": "k"}))
    assert not (tmp_path / "xdg").exists()


def test_stacks_of_one_profile_in_several_state_folders_have_logs_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards against one folder for both, in which either had the consoles and logs of the other."""
    usual = prepare_stack(StartOptions(simulator=True)).config
    assert (Path(usual.log_dir).name, named_dir(usual).name) == ("paper", "paper")
    names = set()
    for base in ("one", "two"):
        monkeypatch.setenv("MYTRADING_STATE_DIR", str(tmp_path / base))
        config = prepare_stack(StartOptions(simulator=True)).config
        assert Path(config.log_dir).parent == Path(usual.log_dir).parent
        assert Path(config.log_dir).name == named_dir(config).name
        names.add(Path(config.log_dir).name)
    assert len(names | {"paper"}) == 3 and all(name.startswith("paper-") for name in names)


@pytest.mark.parametrize("command", ["kill", "down", "status", "logs", "tail status"])
def test_command_with_a_profile_elsewhere_ends_with_its_exit_code(command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        run([*command.split(), "--profile", "../x"])
    assert ended.value.code == USAGE
