"""The run file: what `up` writes is what daemons read, and anything else is refused with what to do."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from mytrading.messages.enums import Mode, Side
from mytrading.messages.run_config import (
    DataRules,
    RiskLimits,
    RunConfig,
    RunConfigError,
    ServerMode,
    StrategyRun,
    TradeKind,
    TradeRule,
    VenueKind,
    VenueSettings,
    decode_run_config,
    with_config_hash,
    write_run_config,
)


def make_config(**changes: object) -> RunConfig:
    config = RunConfig(
        profile="paper",
        mode=Mode.PAPER,
        system_name="MyTrading",
        home="/home/me/mytrading",
        state_dir="/home/me/state",
        runtime_dir="/run/me",
        log_dir="/home/me/mytrading/logs",
        venue=VenueSettings(
            kind=VenueKind.OPENALGO,
            account="paper",
            rest_url="http://127.0.0.1:5000",
            ws_url="ws://127.0.0.1:8765",
            api_key="a-secret",
            expected_mode=ServerMode.ANALYZE,
        ),
        data=DataRules(watch=("NSE_INDEX:NIFTY",)),
        strategies=(
            StrategyRun(
                name="SMA_Crossover",
                file="strategies/sma_crossover.py",
                symbols=("NSE_INDEX:NIFTY",),
                long=TradeRule(kind=TradeKind.OPTION, side=Side.BUY, underlying="NIFTY", strike="ATM", right="CE"),
                short=None,
                parameters={"fast_period": 3, "threshold": 0.5, "on": True, "label": "x"},
            ),
        ),
        risk=RiskLimits(
            max_position_size=100_000.0,
            max_order_size=50_000.0,
            min_order_size=100.0,
            max_positions_per_symbol=5,
            max_total_positions=50,
            max_daily_loss=10_000.0,
            max_drawdown=0.05,
            default_stop_loss=0.02,
            default_stop_loss_options=0.25,
            trailing_stop_enabled=True,
            trailing_stop_distance=0.01,
            avoid_first_minutes=5,
            avoid_last_minutes=15,
            stale_quote_seconds=5.0,
            signal_validity_seconds=5.0,
        ),
    )
    return msgspec.structs.replace(config, **changes)


def test_run_config_written_and_read_is_the_same_with_exact_types(tmp_path: Path) -> None:
    config = with_config_hash(make_config())
    write_run_config(tmp_path / "run.msgpack", config)
    read = decode_run_config(tmp_path / "run.msgpack")
    assert read == config
    assert [type(value) for value in read.strategies[0].parameters.values()] == [int, float, bool, str]


def test_run_config_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    write_run_config(tmp_path / "run.msgpack", make_config())
    assert (tmp_path / "run.msgpack").stat().st_mode & 0o777 == 0o600


def test_decode_of_missing_file_says_what_to_start(tmp_path: Path) -> None:
    with pytest.raises(RunConfigError, match="mytrading up"):
        decode_run_config(tmp_path / "run.msgpack")


@pytest.mark.parametrize("content", [b"", b"\xff\x00", msgspec.msgpack.encode({"profile": "paper"})])
def test_decode_of_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.msgpack").write_bytes(content)
    with pytest.raises(RunConfigError, match="not a run file of this version"):
        decode_run_config(tmp_path / "run.msgpack")


def test_hash_ignores_secrets_and_places_and_follows_what_decides() -> None:
    base = with_config_hash(make_config())
    venue = msgspec.structs.replace(base.venue, api_key="another", rest_url="http://127.0.0.1:6000")
    assert with_config_hash(make_config(venue=venue, home="/elsewhere")).config_hash == base.config_hash
    risk = msgspec.structs.replace(base.risk, max_order_size=1.0)
    assert with_config_hash(make_config(risk=risk)).config_hash != base.config_hash


def test_paths_of_a_run_lie_in_its_state_folder() -> None:
    config = make_config()
    assert config.clock_path == Path("/home/me/state/clock.json")
    assert config.journal_dir("router") == Path("/home/me/state/journal/router")
    assert config.strategy("SMA_Crossover") is config.strategies[0]
    assert config.strategy("Other") is None


def test_run_file_of_the_version_before_is_read_with_its_values(tmp_path: Path) -> None:
    config = make_config()
    run = msgspec.structs.replace(config.strategies[0], signal_cooldown=60.0, stop_loss_pct=0.1, take_profit_pct=0.3)
    data = msgspec.structs.replace(config.data, historical=False, validation=False)
    config = msgspec.structs.replace(config, data=data, strategies=(run,))
    old = msgspec.to_builtins(config)
    for table, names in (
        (old["data"], {"historical": "history", "validation": "validate"}),
        (old["logging"], {"max_file_size": "max_bytes"}),
        (old["messaging"], {"bind_address": "address"}),
        (old["strategies"][0], {"signal_cooldown": "cooldown", "stop_loss_pct": "stop_loss"}),
        (old["strategies"][0], {"take_profit_pct": "take_profit"}),
    ):
        for now, before in names.items():
            table[before] = table.pop(now)
    old["messaging"]["message_timeout"] = 5.0
    old["rates"]["reads_per_minute"] = 100
    (tmp_path / "run.msgpack").write_bytes(msgspec.msgpack.encode(old))
    assert decode_run_config(tmp_path / "run.msgpack") == config
