"""`mytrading risk events`: the rules that spoke, with their exit orders, from journals and from exported days."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from mytrading.cli.main import run
from mytrading.messages.codec import encode_body
from mytrading.messages.risk_events import RiskAction, RiskEventRecorded, RiskKind
from mytrading.messages.run_config import RUN_FILE, RunConfig, write_run_config
from mytrading.operations.journal_verify import decode_day_file, export_rows
from mytrading.runtime.journal.day_files import parquet_of
from mytrading.runtime.journal.journal import RECORD, Entry, Journal
from tests.kit.run_configs import run_config

AT = 1_795_500_000_000_000_000
LOSS = RiskEventRecorded(
    id="e1",
    strategy="Gone_Strategy",
    run="r1",
    kind=RiskKind.MAX_LOSS,
    action=RiskAction.CLOSE_ALL,
    at_ns=AT,
    threshold=-5000.0,
    value=-5012.5,
    accounts=("main", "second"),
    instruments=("NSE:SBIN",),
    cause="e1",
    note="the run's loss has come to its limit",
)
ORDERS = replace(LOSS, id="e2", follows="e1", exit_orders=("o1", "o2"))
CLOCK = replace(LOSS, id="e3", strategy="S", kind=RiskKind.SQUARE_OFF, threshold=54_900.0, value=54_720.0)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    config = run_config(tmp_path)
    config.state.mkdir(parents=True, exist_ok=True)
    write_run_config(config.state / RUN_FILE, config)
    monkeypatch.setenv("MYTRADING_STATE_DIR", str(config.state.parent))
    return config


def journal(config: RunConfig, day: str, *rows: RiskEventRecorded) -> Path:
    written = Journal(config.journal_dir("risk"), "risk", day)
    for number, row in enumerate(rows, start=1):
        written.append([Entry(RECORD, "records", encode_body(row))], number, number)
    written.close()
    return config.journal_dir("risk") / f"{day}.journal"


def ask(*arguments: str) -> None:
    with pytest.raises(SystemExit) as ended:
        run(list(arguments))
    assert ended.value.code in (0, None)


def test_event_is_shown_once_with_its_exit_orders(config: RunConfig, capsys: pytest.CaptureFixture[str]) -> None:
    journal(config, "2026-11-23", LOSS, ORDERS, CLOCK)
    ask("risk", "events", "--json")
    first, second = json.loads(capsys.readouterr().out)
    assert (first["kind"], first["threshold"], first["value"]) == ("max_loss", -5000.0, -5012.5)
    assert (first["action"], first["exit_orders"], first["accounts"]) == ("close_all", ["o1", "o2"], ["main", "second"])
    assert (first["run"], first["at_ns"], second["exit_orders"]) == ("r1", AT, [])


def test_stop_that_filled_at_the_broker_is_the_exit_order_of_its_event(
    config: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = replace(LOSS, id="e4", kind=RiskKind.BROKER_STOP, action=RiskAction.CLOSE_LEG, exit_orders=("s1",))
    journal(config, "2026-11-23", stop, replace(stop, id="e5", follows="e4", exit_orders=("s1", "s2")))
    ask("risk", "events", "--json")
    assert [row["exit_orders"] for row in json.loads(capsys.readouterr().out)] == [["s1", "s2"]]


def test_one_strategy_is_chosen_whatever_its_case_and_times_are_shown_as_such(
    config: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    journal(config, "2026-11-23", LOSS, ORDERS, CLOCK)
    ask("risk", "events", "--strategy", "gonestrategy")
    said = capsys.readouterr().out
    assert "-5,012.50" in said
    assert "square_off" not in said
    ask("risk", "events", "-s", "S")
    assert "15:15" in capsys.readouterr().out
    ask("risk", "events", "-s", "Nobody")
    assert capsys.readouterr().out.strip() == "no risk events of Nobody yet"


def test_event_of_a_day_whose_journal_was_removed_comes_from_its_export(
    config: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    old = journal(config, "2026-09-01", LOSS, ORDERS)
    target = parquet_of(config, "risk", "2026-09-01")
    target.parent.mkdir(parents=True)
    export_rows(decode_day_file("risk", old), target)
    old.unlink()
    journal(config, "2026-11-23", CLOCK)
    ask("risk", "events", "--json")
    rows = json.loads(capsys.readouterr().out)
    assert [(row["id"], row["exit_orders"]) for row in rows] == [("e1", ["o1", "o2"]), ("e3", [])]
