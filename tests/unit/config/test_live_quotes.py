"""PAPER_VENUE=simulator: what is started, where orders go and quotes come from, and what may not be combined."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from mytrading.cli.shell.failures import Failure
from mytrading.cli.shell.start import StartOptions, prepare_stack, write_market_clock
from mytrading.cli.shell.target import openalgo_client, running_or_configured_stack
from mytrading.config.accounts import AccountConfig, write_accounts
from mytrading.config.key_vault import Vault, find_key, make_key
from mytrading.config.loading import load_settings
from mytrading.config.problems import ConfigurationError
from mytrading.config.run_config import build_run_config
from mytrading.messages.run_config import (
    AccountRole,
    RunConfig,
    ServerMode,
    VenueKind,
    decode_run_config,
    with_config_hash,
)
from mytrading.messages.run_config import write_run_config as write
from mytrading.orchestrator import with_simulator_ports
from mytrading.runtime.host import run_key
from mytrading.runtime.supervision.control import environment
from mytrading.simulator.embedded import simulator_options_of_run
from tests.kit.project import ROOT, copy_project

KEY = "key-of-the-server"
SERVER = "http://10.0.0.9:5001"
CHOSEN = {"PAPER_VENUE": "simulator", "OPENALGO_API_KEY": KEY, "OPENALGO_API_HOST": SERVER}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MYTRADING_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.delenv("MYTRADING_KEY", raising=False)
    copy_project(tmp_path)
    return tmp_path


def built(home: Path, env: dict[str, str]) -> RunConfig:
    return build_run_config(load_settings(home, "default", env), home, home / "state", home / "run")


def refused(home: Path, env: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        built(home, env)
    return str(caught.value)


def keep(home: Path, **names: AccountRole) -> None:
    environ = {"MYTRADING_KEY_FILE": str(home / "key")}
    vault = Vault(find_key(environ) or make_key(environ, "file"))
    accounts = (
        AccountConfig(
            id=name,
            host=f"http://{name}.example:5000",
            ws_url=f"ws://{name}.example:8765",
            broker="zerodha",
            role=role,
            key=vault.seal(f"key-of-{name}"),
        )
        for name, role in names.items()
    )
    write_accounts(home, tuple(accounts))


def test_orders_go_to_the_simulator_and_quotes_come_from_the_server(home: Path) -> None:
    config = with_simulator_ports(built(home, CHOSEN))
    assert (config.venue.kind, config.venue.expected_mode) == (VenueKind.OPENALGO, ServerMode.ANALYZE)
    assert config.venue.rest_url.startswith("http://127.0.0.1:")
    assert config.venue.api_key not in ("", KEY)
    assert [account.id for account in config.order_accounts] == [config.venue.account] == ["simulator"]
    assert (config.data_server.id, config.data_server.rest_url, config.data_server.api_key) == ("main", SERVER, KEY)
    assert [(one.id, one.rest_url) for one in config.quote_accounts] == [("main", SERVER)]


def test_time_is_real_whatever_the_simulator_is_set_to(home: Path) -> None:
    settings = load_settings(home, "default", CHOSEN, {"simulator.speed": 60, "simulator.replay": "x.csv"})
    config = build_run_config(settings, home, home / "state", home / "run")
    (home / "state").mkdir()
    assert (config.simulator.speed, config.simulator.replay) == (1.0, "")
    assert (config.simulator.embedded, config.simulator.runs_simulator) == (False, True)
    assert config.risk.stale_quote_seconds == built(home, {"OPENALGO_API_KEY": KEY}).risk.stale_quote_seconds
    assert write_market_clock(config) == "is the real one"
    assert not config.clock_path.exists()


def test_accounts_that_stand_by_give_quotes_and_those_that_trade_are_left_out(home: Path) -> None:
    keep(home, spare=AccountRole.BACKUP, first=AccountRole.PRIMARY, second=AccountRole.TRADING)
    config = built(home, {"PAPER_VENUE": "simulator"})
    assert [one.id for one in config.quote_accounts] == ["first", "spare"]
    assert [one.api_key for one in config.quote_accounts] == ["key-of-first", "key-of-spare"]
    assert [account.id for account in config.order_accounts] == ["simulator"]
    assert not any(run.accounts for run in config.strategies)


def test_live_mode_is_refused_beside_it(home: Path) -> None:
    live = {"TRADING_MODE": "live", "ENABLE_TRADE_EXECUTION": "true", "LIVE_CONFIRM": "main"}
    assert "PAPER_VENUE = simulator" in refused(home, {**CHOSEN, **live})
    assert built(home, {**CHOSEN, **live, "PAPER_VENUE": "openalgo"}).source is None


def test_without_a_key_of_the_server_it_does_not_start(home: Path) -> None:
    assert "OPENALGO_API_KEY is not set" in refused(home, {"PAPER_VENUE": "simulator"})


def test_account_called_as_the_simulators_is_refused(home: Path) -> None:
    assert "expected another name" in refused(home, {**CHOSEN, "OPENALGO_ACCOUNT": "simulator"})
    keep(home, main=AccountRole.PRIMARY, simulator=AccountRole.BACKUP)
    assert "expected another name" in refused(home, {"PAPER_VENUE": "simulator"})


def test_dry_run_sends_nothing_and_needs_no_simulator(home: Path) -> None:
    config = built(home, {**CHOSEN, "TRADING_MODE": "dry_run"})
    assert (config.venue.kind, config.simulator.runs_simulator, config.source) == (VenueKind.DRY_RUN, False, None)


def test_run_file_holds_the_key_of_the_simulator_alone(home: Path) -> None:
    keep(home, first=AccountRole.PRIMARY, spare=AccountRole.BACKUP)
    config = with_simulator_ports(built(home, {"PAPER_VENUE": "simulator"}))
    own = run_key.new_run_key()
    write(home / "run.msgpack", run_key.seal_keys(config, own))
    data = (home / "run.msgpack").read_bytes()
    assert b"key-of-first" not in data and b"key-of-spare" not in data
    read = decode_run_config(home / "run.msgpack")
    assert run_key.is_sealed(read)
    assert simulator_options_of_run(read).api_key == config.venue.api_key
    assert run_key.open_keys(read, own) == config
    assert with_config_hash(read).config_hash == with_config_hash(config).config_hash


def test_simulator_follows_the_stream_and_the_contracts_of_its_own_stack(home: Path) -> None:
    config = with_simulator_ports(built(home, CHOSEN))
    options = simulator_options_of_run(config)
    assert options.follow.endswith("/market") and options.master == config.state
    assert environment(config)["MYTRADING_SIMULATOR"] == "true"


def test_server_of_the_quotes_decides_and_its_address_does_not(home: Path) -> None:
    config = built(home, CHOSEN)
    assert config.source is not None
    moved = msgspec.structs.replace(
        config, source=msgspec.structs.replace(config.source, rest_url="http://x", ws_url="ws://x")
    )
    assert with_config_hash(moved).config_hash == config.config_hash
    assert with_config_hash(msgspec.structs.replace(config, source=None)).config_hash != config.config_hash


def test_commands_that_look_ask_the_server_of_the_quotes_though_no_stack_runs(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYTRADING_STATE_DIR", str(home / "states"))
    monkeypatch.setenv("MYTRADING_HOME", str(ROOT))
    for name, value in CHOSEN.items():
        monkeypatch.setenv(name, value)
    config = running_or_configured_stack("").config
    assert (config.venue.rest_url, config.data_server.rest_url) == ("", SERVER)
    openalgo_client(config).close()


def test_state_is_a_folder_of_its_own_which_may_be_forgotten(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYTRADING_STATE_DIR", str(home / "states"))
    monkeypatch.setenv("MYTRADING_HOME", str(ROOT))
    for name, value in CHOSEN.items():
        monkeypatch.setenv(name, value)
    assert prepare_stack(StartOptions(fresh=True)).config.state.name == "default-simulator"
    assert prepare_stack(StartOptions(profile="mine")).config.state.name == "mine-simulator"
    assert prepare_stack(StartOptions(profile="mine-simulator")).config.state.name == "mine-simulator"
    assert running_or_configured_stack("").config.state.name == "default-simulator"
    monkeypatch.setenv("PAPER_VENUE", "openalgo")
    assert prepare_stack(StartOptions()).config.state.name == "default"
    with pytest.raises(Failure, match="--fresh"):
        prepare_stack(StartOptions(fresh=True))
