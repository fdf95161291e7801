"""`mytrading state` and `mytrading day` on journals that a real `Journal` wrote."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from threading import Event, Thread
from typing import Any

import duckdb
import msgspec
import pytest

from mytrading.cli.main import run
from mytrading.core.time import to_ns
from mytrading.messages.codec import encode_body
from mytrading.messages.enums import OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.journal_rows import DaySealed, RunStarted
from mytrading.messages.orders import Order, OrderChanged, Position, PositionChanged
from mytrading.messages.run_config import RUN_FILE, RunConfig, write_run_config
from mytrading.messages.streams import SCHEMA_VERSION
from mytrading.operations.day_close import seal_day
from mytrading.operations.journal_verify import verify_journals
from mytrading.operations.state_backup import verify_backup
from mytrading.operations.state_upgrade import stored_days, upgrade_files
from mytrading.runtime.host.clock import ClockFile, ClockSegment, machine_now, write_clock_file
from mytrading.runtime.journal.day_files import day_files, export_note, files_to_export, removable_files
from mytrading.runtime.journal.journal import INPUT, OUTPUT, RECORD, Entry, Journal, read_segment
from tests.kit.journal_surgery import change, end_of, frame_with
from tests.kit.project import unpack
from tests.kit.run_configs import run_config

DAY, NEXT = "2026-11-23", "2026-11-24"


def order(state: OrderState = OrderState.FILLED) -> OrderChanged:
    level = Order(
        client_order_id="o1", account="main", instrument="NSE:SBIN", product=Product.MIS, strategy="S", run="r",
        cause="c", purpose=Purpose.ENTRY, side=Side.BUY, quantity=10, order_type=OrderType.LIMIT, state=state,
        created_ns=1, updated_ns=1,
    )  # fmt: skip
    return OrderChanged(event="filled", order=level, machine_ns=1)


def position(quantity: int = 0, realised: float = 0.0, product: Product = Product.MIS) -> PositionChanged:
    level = Position(
        account="main", instrument="NSE:SBIN", product=product, strategy="S", run="r", quantity=quantity,
        realised=realised, updated_ns=1,
    )  # fmt: skip
    return PositionChanged(position=level, client_order_id="o1", fill_quantity=quantity, fill_price=1.0, at_ns=1)


def write(config: RunConfig, *messages: Any, schema: int = SCHEMA_VERSION) -> None:
    """A day of the router, and what risk read of it."""
    router = Journal(config.journal_dir("router"), "router", DAY, 4096)
    risk = Journal(config.journal_dir("risk"), "risk", DAY, 4096)
    for journal in (router, risk):
        run = RunStarted(
            daemon=journal.writer,
            pid=1,
            version="0.0",
            schema=schema,
            config_hash="",
            machine_ns=1,
            market_ns=1,
            speed=1,
        )
        journal.append([Entry(RECORD, "records", encode_body(run))], 1, 1)
    for message in messages:
        row = router.append([Entry(OUTPUT, "orders", encode_body(message))], 1, 1)[0]
        risk.append([Entry(INPUT, "orders", row.body, "router", row.epoch, row.stream_seq, row.hash)], 1, 1)
    router.close()
    risk.close()


def at(config: RunConfig, day: str, hour: int) -> None:
    """The market stands at this hour."""
    from datetime import date, time

    now = machine_now()
    segment = ClockSegment(now, to_ns(date.fromisoformat(day), time(hour)), 1.0)
    write_clock_file(config.clock_path, ClockFile(segments=(segment,), last_seen_machine_ns=now))


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    monkeypatch.setenv("MYTRADING_STATE_DIR", str(tmp_path))
    found = run_config(tmp_path)
    state = tmp_path / "paper"
    state.mkdir()
    found = msgspec.structs.replace(found, state_dir=str(state))
    write_run_config(state / RUN_FILE, found)
    at(found, DAY, 18)
    return found


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any, str]:
    """Exit code, JSON and complaint of a command."""
    with pytest.raises(SystemExit) as ended:
        run([*arguments, "--json"])
    reported = capsys.readouterr()
    lines = reported.out.strip().splitlines()
    return int(ended.value.code or 0), json.loads(lines[-1]) if lines else None, reported.err


def test_day_close_seals_exports_and_sums_up(config: RunConfig, capsys: pytest.CaptureFixture[str]) -> None:
    write(config, order(), position(realised=-120.5))
    code, body, complaint = said(capsys, "day", "close")
    assert code == 0, complaint
    assert (body["day"], body["orders"], body["realised"]) == (DAY, {"all": 1, "FILLED": 1}, -120.5)
    assert sorted(body["sealed"]) == ["risk", "router"]
    last = list(read_segment(config.journal_dir("router") / f"{DAY}.journal"))[-1]
    assert last.body == encode_body(DaySealed(day=DAY, next_day=NEXT, at_ns=last.market_ns))
    found = duckdb.connect().execute(f"SELECT count(*) FROM '{body['archive']}/router.parquet'").fetchone()
    assert found == (4,)
    assert files_to_export(config) == []
    again = said(capsys, "day", "close")[1]
    assert (again["sealed"], again["exported"]) == ([], [])


def test_day_close_refuses_while_the_session_lasts(config: RunConfig, capsys: pytest.CaptureFixture[str]) -> None:
    write(config, order())
    at(config, DAY, 11)
    code, _, complaint = said(capsys, "day", "close")
    assert (code, "has not ended" in complaint) == (1, True)
    assert all(not file.sealed_for for file in day_files(config))


def test_day_close_refuses_while_an_intraday_position_is_open(
    config: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    write(config, position(10))
    code, _, complaint = said(capsys, "day", "close")
    assert (code, "S still holds 10 of NSE:SBIN (MIS)" in complaint) == (1, True)
    assert said(capsys, "day", "close", "--force")[1]["problems"]


def test_day_close_lets_what_may_stay_overnight_stay(config: RunConfig, capsys: pytest.CaptureFixture[str]) -> None:
    write(config, position(10, product=Product.CNC))
    code, body, _ = said(capsys, "day", "close")
    assert (code, body["positions"][0]["quantity"]) == (0, 10)


def test_day_close_names_a_damaged_row_and_does_not_seal(config: RunConfig, capsys: pytest.CaptureFixture[str]) -> None:
    write(config, order())
    change(config.journal_dir("router") / f"{DAY}.journal", lambda row: row.seq == 2, body=b"\0")
    code, _, complaint = said(capsys, "day", "close")
    assert (code, "row 2" in complaint) == (1, True)
    assert all(not file.sealed_for for file in day_files(config))


def test_day_close_of_a_day_nobody_knows_names_those_there_are(
    config: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    write(config, order())
    code, _, complaint = said(capsys, "day", "close", "--date", "2026-01-01")
    assert (code, DAY in complaint) == (2, True)


def test_old_days_go_only_when_exported_and_read_by_all(config: RunConfig, capsys: pytest.CaptureFixture[str]) -> None:
    write(config, order())
    seal_day(config, day_files(config), DAY)
    for name in ("router", "risk"):
        for day in ("2026-11-25", "2026-11-26"):
            journal = Journal(config.journal_dir(name), name, DAY, 4096)
            journal.roll(day, {})
            journal.close()
    assert removable_files(config, "2027-01-01") == []
    said(capsys, "day", "export")
    assert export_note(config, "router", DAY) is not None
    assert [file.daemon for file in removable_files(config, "2027-01-01")] == ["risk"], (
        "risk's cursor was not carried over"
    )
    at(config, "2027-02-01", 18)
    removed = said(capsys, "day", "export")[1]["removed"]
    assert removed == [str(config.journal_dir("risk") / f"{DAY}.journal")]


def test_backup_is_whole_checked_and_without_keys(config: RunConfig, capsys: pytest.CaptureFixture[str]) -> None:
    write(config, order())
    code, body, complaint = said(capsys, "state", "backup")
    assert code == 0, complaint
    manifest = verify_backup(Path(body["file"]))
    names = {piece["path"] for piece in manifest["files"]}
    assert {f"state/journal/router/{DAY}.journal", "state/clock.json"} <= names
    assert not any(RUN_FILE in name for name in names)
    unpack(Path(body["file"]), config.state.parent / "copy")
    copy = config.state.parent / "copy" / "state" / "journal" / "router" / f"{DAY}.journal"
    original = config.journal_dir("router") / f"{DAY}.journal"
    assert [row.hash for row in read_segment(copy)] == [row.hash for row in read_segment(original)]


def test_backup_of_a_killed_stack_has_all_rows_and_not_the_space_behind_them(
    config: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    write(config, order())
    killed = Journal(config.journal_dir("router"), "router", DAY, 4096)
    killed.append([Entry(RECORD, "records", b"noted")], 1, 1)
    code, body, complaint = said(capsys, "state", "backup")
    assert code == 0, complaint
    unpack(Path(body["file"]), config.state.parent / "copy")
    copy = config.state.parent / "copy" / "state" / "journal" / "router" / f"{DAY}.journal"
    assert list(read_segment(copy))[-1].body == b"noted"
    assert copy.stat().st_size == end_of(killed.path)


def test_backup_of_a_state_whose_writer_lost_rows_that_others_had_read(
    config: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    write(config, order(OrderState.ACCEPTED), order())
    path = config.journal_dir("router") / f"{DAY}.journal"
    with path.open("r+b") as file:
        file.truncate(frame_with(path, lambda row: row.stream_seq == 2).at)
    code, body, complaint = said(capsys, "state", "backup")
    assert code == 0, complaint
    unpack(Path(body["file"]), config.state.parent / "copy")
    copied = config.state.parent / "copy" / "state" / "journal"
    assert [list(read_segment(copied / name / path.name))[-1].stream_seq for name in ("router", "risk")] == [1, 0]
    assert list(read_segment(copied / "risk" / path.name))[-1].source_seq == 2


def test_backup_agrees_while_rows_are_written(config: RunConfig, capsys: pytest.CaptureFixture[str]) -> None:
    write(config, order())
    ended = Event()
    writer = Thread(target=lambda: write_until(ended, config))
    writer.start()
    code, body, complaint = said(capsys, "state", "backup")
    ended.set()
    writer.join()
    assert code == 0, complaint
    unpack(Path(body["file"]), config.state.parent / "copy")
    copied = config.state.parent / "copy" / "state" / "journal"
    written = [row.stream_seq for row in read_segment(copied / "router" / f"{DAY}.journal") if row.kind == OUTPUT]
    read = [row.source_seq for row in read_segment(copied / "risk" / f"{DAY}.journal") if row.kind == INPUT]
    assert written[-1] >= read[-1]


def write_until(ended: Event, config: RunConfig) -> None:
    """Rows of the router that risk reads at once, without a pause."""
    while not ended.is_set():
        write(config, order())


def test_backup_with_a_changed_file_is_refused(config: RunConfig, capsys: pytest.CaptureFixture[str]) -> None:
    write(config, order())
    path = Path(said(capsys, "state", "backup")[1]["file"])
    forged = path.with_name("forged.tar.gz")
    with tarfile.open(path) as old, tarfile.open(forged, "w:gz") as new:
        for member in old.getmembers():
            if not member.name.endswith("clock.json"):
                new.addfile(member, old.extractfile(member))
    with pytest.raises(ValueError, match=r"clock\.json is missing"):
        verify_backup(forged)


def test_reset_refuses_with_a_position_and_empties_when_forced(
    config: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    write(config, position(10))
    code, _, complaint = said(capsys, "state", "reset", "--confirm", "paper")
    assert (code, "+10 NSE:SBIN of S" in complaint) == (1, True)
    assert said(capsys, "state", "reset", "--force", "--confirm", "other")[0] == 2
    assert day_files(config)
    code, body, complaint = said(capsys, "state", "reset", "--force", "--confirm", "paper")
    assert code == 0, complaint
    assert verify_backup(Path(body["backup"]))
    assert not (config.state / "journal").exists()


def test_show_names_days_versions_and_sizes(config: RunConfig, capsys: pytest.CaptureFixture[str]) -> None:
    write(config, order())
    rows = {row["name"]: row for row in said(capsys, "state", "show")[1]["files"]}
    found = rows["journal/router"]
    assert (found["day"], found["rows"], found["version"], found["state"]) == (DAY, 2, "0.0", "open")
    assert found["bytes"] > 0


def test_upgrade_rewrites_rows_and_keeps_readers_on_their_writers(config: RunConfig) -> None:
    write(config, order(OrderState.ACCEPTED), position(10), schema=0)
    filled = encode_body(order())

    def step(stream: str, body: bytes) -> bytes:
        return filled if stream == "orders" and b"ACCEPTED" in body else body

    changed = upgrade_files(stored_days(config), lambda _: None, {0: step})
    assert changed == 4
    assert [finding.problem for finding in verify_journals(config) if finding.problem] == []
    assert {file.schema for file in day_files(config)} == {SCHEMA_VERSION}
    rows = list(read_segment(config.journal_dir("risk") / f"{DAY}.journal"))
    assert rows[1].body == filled


def test_upgrade_of_a_newer_journal_is_refused_with_both_versions(
    config: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    write(config, order(), schema=99)
    code, _, complaint = said(capsys, "state", "upgrade")
    assert (code, "schema 99" in complaint) == (1, True)


def test_upgrade_with_nothing_to_do_makes_no_backup(config: RunConfig, capsys: pytest.CaptureFixture[str]) -> None:
    write(config, order())
    assert said(capsys, "state", "upgrade")[1] == {"files": 0, "rows": 0, "backup": ""}
