"""`mytrading webhook` on a project without a stack: addresses shown once, and imports that are taken whole or not."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from mytrading.cli.app import app
from mytrading.core.webhooks.authentication import digest_of
from tests.kit.project import ROOT

MAP = ("--map", "SBIN=NSE:SBIN,MIS,5")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "config", tmp_path / "config", ignore=shutil.ignore_patterns("webhooks", "strategies"))
    shutil.copytree(ROOT / "strategies", tmp_path / "strategies")
    shutil.copy(ROOT / "supervisord.conf", tmp_path)
    monkeypatch.setenv("MYTRADING_HOME", str(tmp_path))
    monkeypatch.setenv("MYTRADING_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


def webhook(*words: str) -> Result:
    return CliRunner().invoke(app, ["webhook", *words])


def text_of(home: Path) -> str:
    return (home / "config" / "webhooks" / "alerts.toml").read_text()


def test_address_on_the_public_host_is_shown_once_and_rotated(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_PUBLIC_URL", "https://alerts.example.in/")
    tokens = []
    for words in (("add", "alerts", "--sender", "tradingview", *MAP), ("rotate", "alerts")):
        done = webhook(*words, "--json")
        assert done.exit_code == 0, done.output
        (line,) = done.stdout.splitlines()
        assert "cannot reach" not in done.stderr
        made = json.loads(line)
        place, _, token = made["url"].rpartition("/")
        assert (made["name"], place) == ("alerts", "https://alerts.example.in/strategy/webhook")
        assert "cannot reach" not in done.output
        assert tomllib.loads(text_of(home))["token"]["digest"] == digest_of(token)
        tokens.append(token)
    assert len({*tokens}) == 2
    for words in (("show", "alerts"), ("show", "alerts", "--json"), ("list", "--json")):
        done = webhook(*words)
        assert done.exit_code == 0, done.output
        assert not any(token in done.output + text_of(home) for token in tokens)


def test_address_of_this_machine_is_flagged(home: Path) -> None:
    done = webhook("add", "alerts", "--sender", "generic", *MAP)
    assert done.exit_code == 0, done.output
    assert "senders on the internet cannot reach it; set WEBHOOK_PUBLIC_URL" in " ".join(done.output.split())


def test_port_that_is_not_known_yet_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_PORT", "0")
    done = webhook("add", "alerts", "--sender", "generic", *MAP)
    assert "`mytrading endpoints` names it" in " ".join(done.output.split())


def test_import_is_taken_whole_or_not_at_all_after_a_preview(home: Path, tmp_path: Path) -> None:
    assert webhook("add", "alerts", "--sender", "generic", *MAP).exit_code == 0
    before, rows = text_of(home), [f"S{number},NSE,{number + 1},MIS" for number in range(100)]
    file = tmp_path / "rows.csv"
    file.write_text("\n".join([*rows[:99], "S99,NSE,-1,MIS"]))
    done = webhook("edit", "alerts", "--csv", str(file), "--json")
    assert done.exit_code != 0
    assert "1 of 100 rows are faulty, so none was taken" in str(done.exception)
    assert "quantity" in json.loads(done.stdout)[99]["problem"]
    file.write_text("\n".join(rows))
    previewed = webhook("edit", "alerts", "--csv", str(file), "--preview", "--json")
    assert [row["problem"] for row in json.loads(previewed.stdout)] == ["in order"] * 100
    assert text_of(home) == before
    assert webhook("edit", "alerts", "--csv", str(file)).exit_code == 0
    assert len(tomllib.loads(text_of(home))["symbols"]) == 101
