"""SIMULATOR_CLOCK: whose market time a stack takes, and what it may not be combined with."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from mytrading.cli.shell.failures import Failure
from mytrading.cli.shell.start import StartOptions, prepare_stack, write_market_clock
from mytrading.config.accounts import AccountConfig, write_accounts
from mytrading.config.key_vault import Vault, find_key, make_key
from mytrading.config.loading import load_settings
from mytrading.config.problems import ConfigurationError
from mytrading.config.run_config import build_run_config
from mytrading.messages.run_config import AccountRole, RunConfig
from mytrading.runtime.host.clock import ClockFile, ClockSegment, MarketClock, machine_now, write_clock_file
from tests.kit.project import ROOT, copy_project

FRIDAY_TEN = 1_795_149_000_000_000_000
"""2026-11-20 10:00 in India, ns: 20,777 days and 4.5 hours after 1970 began."""
LIVE = {"TRADING_MODE": "live", "ENABLE_TRADE_EXECUTION": "true", "LIVE_CONFIRM": "main", "OPENALGO_API_KEY": "k"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MYTRADING_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.delenv("MYTRADING_KEY", raising=False)
    copy_project(tmp_path)
    return tmp_path


def running_clock(home: Path, speed: float = 1.0, seen_ago_s: int = 0) -> Path:
    now, path = machine_now(), home / "market.json"
    segment = ClockSegment(now - seen_ago_s * 1_000_000_000, FRIDAY_TEN, speed)
    write_clock_file(path, ClockFile(segments=(segment,), last_seen_machine_ns=segment.machine_ns))
    return path


def built(home: Path, env: dict[str, str]) -> RunConfig:
    return build_run_config(load_settings(home, "default", env), home, home / "state", home / "run")


def refused(home: Path, env: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        built(home, env)
    return str(caught.value)


def keep(home: Path, **hosts: str) -> None:
    environ = {"MYTRADING_KEY_FILE": str(home / "key")}
    vault = Vault(find_key(environ) or make_key(environ, "file"))
    roles = {"main": AccountRole.PRIMARY, "spare": AccountRole.BACKUP, "second": AccountRole.TRADING}
    accounts = (
        AccountConfig(
            id=name, host=f"http://{host}:5000", ws_url=f"ws://{host}:8765", broker="zerodha", role=roles[name],
            key=vault.seal("k"),
        )
        for name, host in hosts.items()
    )  # fmt: skip
    write_accounts(home, tuple(accounts))


def test_market_time_of_every_process_is_that_of_the_named_file(home: Path) -> None:
    path = running_clock(home)
    config = built(home, {**LIVE, "SIMULATOR_CLOCK": str(path)})
    written = path.read_bytes()
    assert config.clock_path == path
    assert write_market_clock(config).startswith("is a simulator's, Fri 20 Nov 2026 10:00:0")
    assert path.read_bytes() == written, "the file belongs to the simulator"
    assert 0 <= MarketClock.load(config.clock_path).now() - FRIDAY_TEN < 60_000_000_000


def test_relative_path_is_one_in_the_project_folder(home: Path) -> None:
    assert built(home, {**LIVE, "SIMULATOR_CLOCK": "run/m.json"}).clock_path == home / "run" / "m.json"


def test_without_the_setting_the_clock_is_the_wall_clock(home: Path) -> None:
    config = built(home, LIVE)
    assert config.clock_path == home / "state" / "clock.json" and not config.clock_path.exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.8.0.1", "[::1]"])
def test_loopback_addresses_are_taken(home: Path, host: str) -> None:
    env = {"OPENALGO_API_HOST": f"http://{host}:5000", "OPENALGO_WS_HOST": host, "SIMULATOR_CLOCK": "m.json"}
    assert built(home, {**LIVE, **env}).simulator.clock


@pytest.mark.parametrize(
    ("name", "address", "found"),
    [
        ("OPENALGO_API_HOST", "https://orders.example.in", "OPENALGO_API_HOST = https://orders.example.in"),
        ("OPENALGO_API_HOST", "http://127.0.0.1.example.in:5000", "http://127.0.0.1.example.in:5000"),
        ("OPENALGO_WS_HOST", "10.0.0.9", "OPENALGO_WS_HOST = ws://10.0.0.9"),
        ("OPENALGO_WS_HOST", "0.0.0.0", "OPENALGO_WS_HOST = ws://0.0.0.0"),
    ],
)
@pytest.mark.parametrize("mode", ["live", "paper"])
def test_any_other_address_refuses_it(home: Path, mode: str, name: str, address: str, found: str) -> None:
    env = {**LIVE, "TRADING_MODE": mode, "SIMULATOR_CLOCK": "m.json", name: address}
    text = refused(home, env)
    assert found in text and "SIMULATOR_CLOCK = m.json" in text and "remove SIMULATOR_CLOCK" in text
    assert not built(home, {**env, "SIMULATOR_CLOCK": ""}).simulator.clock, "the address alone is none of its business"


@pytest.mark.parametrize("far", ["spare", "second"])
def test_address_of_each_further_account_counts(home: Path, far: str) -> None:
    env = {"TRADING_MODE": "paper", "SIMULATOR_CLOCK": "m.json"}
    keep(home, main="127.0.0.1", **{far: "127.0.0.1"})
    assert built(home, env).simulator.clock
    keep(home, main="127.0.0.1", **{far: "broker.example"})
    text = refused(home, env)
    assert f"host of the account {far} = http://broker.example:5000" in text
    assert f"ws_url of the account {far} = ws://broker.example:8765" in text


class TestStart:
    """What `up` makes of it."""

    @pytest.fixture(autouse=True)
    def environment(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MYTRADING_STATE_DIR", str(home / "states"))
        monkeypatch.setenv("MYTRADING_HOME", str(ROOT))
        for name, value in LIVE.items():
            monkeypatch.setenv(name, value)

    def test_state_is_a_folder_of_its_own(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SIMULATOR_CLOCK", str(running_clock(home)))
        stack = prepare_stack(StartOptions())
        assert stack.config.state.name == "default-live-simulated"
        assert stack.start_command == "mytrading up"
        monkeypatch.setenv("TRADING_MODE", "paper")
        assert prepare_stack(StartOptions()).config.state.name == "default-simulated"
        monkeypatch.setenv("SIMULATOR_CLOCK", "")
        assert prepare_stack(StartOptions()).config.state.name == "default"

    def test_ages_of_quotes_grow_with_its_speed(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        usual = prepare_stack(StartOptions()).config.risk.stale_quote_seconds
        monkeypatch.setenv("SIMULATOR_CLOCK", str(running_clock(home, speed=60.0)))
        assert prepare_stack(StartOptions()).config.risk.stale_quote_seconds == 120.0 > usual

    @pytest.mark.parametrize(("speed", "ago", "why"), [(1.0, 40, "last ran 4"), (0.0, 0, "lock-step")])
    def test_market_that_does_not_run_refuses_it(
        self, home: Path, monkeypatch: pytest.MonkeyPatch, speed: float, ago: int, why: str
    ) -> None:
        monkeypatch.setenv("SIMULATOR_CLOCK", str(running_clock(home, speed, ago)))
        with pytest.raises(Failure, match=why):
            prepare_stack(StartOptions())

    def test_file_that_is_missing_or_no_clock_refuses_it(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SIMULATOR_CLOCK", str(home / "none.json"))
        with pytest.raises(Failure, match="expected the --clock file of a running simulator"):
            prepare_stack(StartOptions())
        (home / "none.json").write_text("{")
        with pytest.raises(Failure, match="expected the --clock file of a running simulator"):
            prepare_stack(StartOptions())

    def test_simulated_profile_ignores_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SIMULATOR_CLOCK", "/nowhere.json")
        config = prepare_stack(StartOptions(simulator=True)).config
        assert config.simulator.clock == "" and msgspec.structs.asdict(config)["mode"] == "paper"
