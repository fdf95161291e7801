"""Reading journals from the command line: verify, trace, export, on files that a real `Journal` wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from mytrading.cli.main import run
from mytrading.messages.codec import encode_body
from mytrading.messages.control import WithdrawRequested
from mytrading.messages.enums import Action
from mytrading.messages.run_config import RUN_FILE, RunConfig, write_run_config
from mytrading.messages.signals import Signal
from mytrading.operations.journal_verify import decode_journals, export_rows, rows_linked_to, verify_journals
from mytrading.runtime.journal.journal import INPUT, OUTPUT, Entry, Journal, Row, read_segment
from mytrading.runtime.observability.metrics import PerformanceMonitor
from tests.kit.journal_surgery import change, remove, spoil
from tests.kit.run_configs import run_config

DAY = "2026-11-23"


def signal(identity: str) -> bytes:
    return encode_body(
        Signal(
            id=identity,
            strategy="S",
            watch="NSE_INDEX:NIFTY",
            action=Action.BUY,
            created_ns=1,
            expires_ns=2,
            expires_machine_ns=3,
        )
    )


def write_pair(config: RunConfig) -> None:
    """The engine writes two signals, risk reads both."""
    engine = Journal(config.journal_dir("engine"), "engine", DAY)
    risk = Journal(config.journal_dir("risk"), "risk", DAY)
    for number, name in enumerate(("first", "second"), start=1):
        row = engine.append([Entry(OUTPUT, "signals", signal(name))], number, number)[0]
        risk.append([Entry(INPUT, "signals", row.body, "engine", row.epoch, row.stream_seq, row.hash)], number, 10)
    engine.close()
    risk.close()


def journal_file(config: RunConfig, daemon: str) -> Path:
    return config.journal_dir(daemon) / f"{DAY}.journal"


def problems(config: RunConfig) -> list[str]:
    return [finding.problem for finding in verify_journals(config) if finding.problem]


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    found = run_config(tmp_path)
    write_pair(found)
    return found


def test_verify_whole_journals_finds_nothing(config: RunConfig) -> None:
    assert problems(config) == []
    assert {(finding.daemon, finding.rows) for finding in verify_journals(config)} == {("engine", 2), ("risk", 2)}


def test_verify_of_journals_that_move_on_while_they_are_read_finds_nothing(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A healthy stack was said to have lost rows: its readers were looked at later than their writers."""

    def moving(path: Path) -> Iterator[Row]:
        if path == journal_file(config, "risk"):
            write_pair(config)
        yield from read_segment(path)

    monkeypatch.setattr("mytrading.operations.journal_verify.read_segment", moving)
    assert problems(config) == []


def test_verify_changed_row_names_file_and_row(config: RunConfig) -> None:
    change(journal_file(config, "engine"), lambda row: row.seq == 2, body=signal("forged"))
    (problem, *_) = problems(config)
    assert "row 2" in problem
    assert str(journal_file(config, "engine")) in problem


def test_verify_turned_bit_names_file_and_row(config: RunConfig) -> None:
    spoil(journal_file(config, "engine"), lambda row: row.seq == 2)
    (problem, *_) = problems(config)
    assert f"{journal_file(config, 'engine')}: row 2 " in problem


def test_verify_lost_tail_of_writer_names_reader_row(config: RunConfig) -> None:
    remove(journal_file(config, "engine"), lambda row: row.seq == 2)
    (problem,) = problems(config)
    assert "engine/signals 2" in problem
    assert "lost" in problem


def test_verify_unreadable_body_is_a_problem(config: RunConfig) -> None:
    journal = Journal(config.journal_dir("gateway"), "gateway", DAY)
    journal.append([Entry(OUTPUT, "control", b"\xc1not a message")], 1, 1)
    journal.close()
    (problem,) = problems(config)
    assert "cannot be read" in problem


def test_traced_follows_ids_from_row_to_row_in_machine_time(config: RunConfig) -> None:
    gateway = Journal(config.journal_dir("gateway"), "gateway", DAY)
    gateway.append([Entry(OUTPUT, "control", encode_body(WithdrawRequested(id="x", reason="", at_ns=1)))], 1, 1)
    gateway.close()
    rows = rows_linked_to(list(decode_journals(config)), "second")
    assert [(entry.daemon, entry.body["id"]) for entry in rows] == [("engine", "second"), ("risk", "second")]


def test_export_writes_every_row_readable_by_duckdb(config: RunConfig, tmp_path: Path) -> None:
    target = tmp_path / "it's.parquet"
    assert export_rows(decode_journals(config), target) == 4
    rows = duckdb.connect().execute(
        "SELECT daemon, kind, type, json_extract_string(body, '$.id') FROM read_parquet(?) ORDER BY daemon, seq",
        [str(target)],
    )
    assert rows.fetchall() == [
        ("engine", "output", "signal", "first"),
        ("engine", "output", "signal", "second"),
        ("risk", "input", "signal", "first"),
        ("risk", "input", "signal", "second"),
    ]


def test_export_to_a_place_that_cannot_be_written_exits_2_saying_why(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run_config(config.state / RUN_FILE, config)
    monkeypatch.setenv("MYTRADING_STATE_DIR", str(config.state.parent))
    for target, why in ((tmp_path / "none" / "x", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(SystemExit) as ended:
            run(["journal", "export", str(target)])
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert f"found {target}" in said
        assert why in said


@pytest.fixture
def started(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    """The stack that the command line finds: it ran once, with these journals and one timed operation."""
    write_run_config(config.state / RUN_FILE, config)
    monkeypatch.setenv("MYTRADING_STATE_DIR", str(config.state.parent))
    monkeypatch.setenv("MYTRADING_HOME", config.home)
    monitor = PerformanceMonitor()
    monitor.record("router", "place", 0.01)
    monitor.write_snapshot(config.metrics_dir / "router.json")
    return config


def exit_code(*arguments: str) -> object:
    with pytest.raises(SystemExit) as end:
        run(arguments)
    return end.value.code


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("journal", "show", "--trace", "nosuch"), "no row in any journal has the id 'nosuch'"),
        (("journal", "show", "--trace", "first", "-d", "router"), "the journal of router"),
        (("journal", "show", "-d", "nosuch"), "expected one of feed, engine"),
        (("journal", "verify", "-d", "nosuch"), "expected one of feed, engine"),
        (("journal", "export", "x.parquet", "-d", "nosuch"), "expected one of feed, engine"),
        (("config", "show", "nosuch"), "no setting has 'nosuch'"),
        (("perf", "nosuch"), "no operation has 'nosuch'"),
        (("perf", "nosuch", "--json"), "no operation has 'nosuch'"),
        (("bench", "nosuch"), "expected latency"),
    ],
)
@pytest.mark.usefixtures("started")
def test_name_that_nothing_has_exits_2_and_prints_nothing(
    arguments: tuple[str, ...], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(*arguments) == 2
    said = capsys.readouterr()
    assert (said.out, word in said.err) == ("", True), said.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("journal", "show", "--trace", "first"),
        ("journal", "show", "-d", "router"),
        ("journal", "verify", "-d", "risk"),
        ("config", "show", "lots"),
        ("perf", "place"),
    ],
)
@pytest.mark.usefixtures("started")
def test_name_of_something_exits_0(arguments: tuple[str, ...]) -> None:
    assert exit_code(*arguments) == 0


@pytest.mark.usefixtures("started")
def test_export_as_json_says_file_and_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "rows.parquet"
    assert exit_code("journal", "export", str(target), "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(target), "rows": 4}


@pytest.mark.usefixtures("started")
def test_perf_of_one_name_is_numbers_by_operation_and_names_its_unit(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("perf", "place", "--json") == 0
    found = json.loads(capsys.readouterr().out)["router.place"]
    assert found["count"] == 1 and found["mean"] == pytest.approx(10.0)
    assert exit_code("perf") == 0
    assert "mean_ms" in capsys.readouterr().out.splitlines()[0]
