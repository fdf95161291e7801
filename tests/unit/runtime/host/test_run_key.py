"""API keys in the run file: encrypted there, readable with the key of this run only."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from mytrading.messages.run_config import (
    AccountRun,
    RunConfig,
    RunConfigError,
    decode_run_config,
    with_config_hash,
    write_run_config,
)
from mytrading.runtime.host import run_key
from mytrading.runtime.supervision.control import environment
from tests.kit.feed_process import feed_config

SECRET = "the-api-key-of-the-account"


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    plain = feed_config(tmp_path, tmp_path, "http://127.0.0.1:5000", "ws://127.0.0.1:8765", ())
    account = AccountRun(id="main", rest_url="http://x", ws_url="ws://x", api_key=SECRET)
    venue = msgspec.structs.replace(plain.venue, api_key=SECRET)
    return msgspec.structs.replace(plain, venue=venue, accounts=(account,))


def test_sealed_run_file_does_not_hold_the_key_and_opens_with_the_runs_key(config: RunConfig, tmp_path: Path) -> None:
    key = run_key.new_run_key()
    write_run_config(tmp_path / "run.msgpack", run_key.seal_keys(config, key))
    assert SECRET.encode() not in (tmp_path / "run.msgpack").read_bytes()
    read = decode_run_config(tmp_path / "run.msgpack")
    assert run_key.is_sealed(read)
    assert not run_key.is_sealed(config)
    opened = run_key.open_keys(read, key)
    assert (opened.venue.api_key, opened.accounts[0].api_key) == (SECRET, SECRET)


@pytest.mark.parametrize(("key", "found"), [("", "found none"), ("A" * 43 + "=", "found another"), ("junk", "another")])
def test_run_file_without_the_runs_key_says_how_daemons_start(config: RunConfig, key: str, found: str) -> None:
    sealed = run_key.seal_keys(config, run_key.new_run_key())
    with pytest.raises(RunConfigError, match=found):
        run_key.open_keys(sealed, key)


def test_hash_of_the_configuration_does_not_change_with_the_runs_key(config: RunConfig) -> None:
    sealed = [run_key.seal_keys(config, run_key.new_run_key()) for _ in range(2)]
    assert sealed[0].venue.api_key != sealed[1].venue.api_key
    assert len({with_config_hash(one).config_hash for one in (config, *sealed)}) == 1


def test_environment_of_the_daemons_holds_the_runs_key_and_no_other_secret(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MYTRADING_KEY", "OPENALGO_API_KEY", "TELEGRAM_BOT_TOKEN"):
        monkeypatch.setenv(name, "a-secret-value")
    handed = environment(config, "the-run-key")
    assert handed[run_key.VARIABLE] == "the-run-key"
    assert "a-secret-value" not in handed.values()


@pytest.mark.parametrize(("name", "taken"), [("watchdog", "k"), ("router", "k"), ("gateway", ""), ("engine", "")])
def test_runs_key_is_for_who_may_start_a_supervisor_and_for_no_child(
    monkeypatch: pytest.MonkeyPatch, name: str, taken: str
) -> None:
    monkeypatch.setenv(run_key.VARIABLE, "k")
    assert run_key.take_run_key(name) == taken
    assert run_key.VARIABLE not in os.environ
