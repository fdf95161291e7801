"""A state of SQLite day files becomes one of this layout, or stays as it was."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from datetime import date, time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mytrading.cli.main import run
from mytrading.core.time import to_ns
from mytrading.messages.codec import encode_body
from mytrading.messages.commands import WithdrawEntries
from mytrading.messages.journal_rows import DayOpened, DaySealed, RunStarted
from mytrading.messages.run_config import RUN_FILE, RunConfig, write_run_config
from mytrading.messages.streams import SCHEMA_VERSION
from mytrading.operations.journal_verify import verify_journals
from mytrading.operations.state_backup import verify_backup
from mytrading.operations.state_upgrade import stored_days, upgrade_files
from mytrading.orchestrator import TradingOrchestrator
from mytrading.runtime.host.clock import ClockFile, ClockSegment, machine_now, write_clock_file
from mytrading.runtime.journal.day_files import day_files
from mytrading.runtime.journal.journal import (
    INPUT,
    OUTPUT,
    RECORD,
    Cursor,
    Entry,
    Journal,
    JournalDamaged,
    JournalFull,
    JournalOfAnotherVersion,
    JournalReader,
    Row,
    read_segment,
    segments,
)
from tests.kit.old_journals import OldJournal
from tests.kit.project import unpack
from tests.kit.run_configs import run_config

BEFORE, DAY, NEXT = "2026-11-20", "2026-11-23", "2026-11-24"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    monkeypatch.setenv("MYTRADING_STATE_DIR", str(tmp_path))
    found = run_config(tmp_path)
    state = tmp_path / "paper"
    state.mkdir()
    found = msgspec.structs.replace(found, state_dir=str(state))
    write_run_config(state / RUN_FILE, found)
    now = machine_now()
    noon = ClockSegment(now, to_ns(date.fromisoformat(DAY), time(12)), 1.0)
    write_clock_file(found.clock_path, ClockFile(segments=(noon,), last_seen_machine_ns=now))
    return found


def command(name: str) -> bytes:
    return encode_body(WithdrawEntries(id=name, cause="c"))


def started(daemon: str, schema: int = SCHEMA_VERSION) -> Entry:
    run_ = RunStarted(
        daemon=daemon, pid=1, version="0.1.0", schema=schema, config_hash="", machine_ns=1, market_ns=1, speed=1
    )
    return Entry(RECORD, "records", encode_body(run_))


def read(row: Row) -> Entry:
    return Entry(INPUT, row.stream, row.body, "risk", row.epoch, row.stream_seq, row.hash)


def old_state(config: RunConfig) -> dict[str, list[Row]]:
    """Two days of risk, whose commands the router read; both were killed with rows in their fronts."""
    kept: dict[str, list[Row]] = {"risk": [], "router": []}
    risk = OldJournal(config.journal_dir("risk") / f"{BEFORE}.sqlite", layout=0)
    kept["risk"] += risk.append(started("risk"))
    first = risk.append(Entry(OUTPUT, "commands", command("a")), Entry(OUTPUT, "commands", command("b")), at=2)
    seal = Entry(RECORD, "records", encode_body(DaySealed(day=BEFORE, next_day=DAY, at_ns=3)))
    kept["risk"] += [*first, *risk.append(seal, at=3)]
    risk.seal(DAY)
    meta = {"seq": str(risk.seq), "hash": risk.hash.hex(), "epoch": "2", "written:commands": "2", "above:commands": "9"}
    today = OldJournal(config.journal_dir("risk") / f"{DAY}.sqlite", meta)
    kept["risk"] += today.append(Entry(RECORD, "records", encode_body(DayOpened(day=DAY))), at=4)
    noted = today.note(Entry(OUTPUT, "commands", command("c")), at=5)
    kept["risk"] += noted
    cursor = {"cursor:risk:commands": f"1:2:{first[-1].hash.hex()}"}
    router = OldJournal(config.journal_dir("router") / f"{DAY}.sqlite", cursor)
    kept["router"] += router.append(started("router"))
    kept["router"] += router.note(read(noted[0]), at=6)
    return kept


def old_files(config: RunConfig) -> dict[str, bytes]:
    """All that lies in the journal folder, but for what SQLite makes beside a file that is read."""
    folder = config.state / "journal"
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal")))
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any, str]:
    with pytest.raises(SystemExit) as ended:
        run([*arguments, "--json"])
    reported = capsys.readouterr()
    lines = reported.out.strip().splitlines()
    return int(ended.value.code or 0), json.loads(lines[-1]) if lines else None, reported.err


def all_rows(config: RunConfig, daemon: str) -> list[Row]:
    return [row for path in segments(config.journal_dir(daemon)) for row in read_segment(path)]


def test_rows_cursors_epoch_and_seal_are_as_they_were_those_in_fronts_included(
    config: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = old_state(config)
    (config.state / "savepoints").mkdir()
    code, body, complaint = said(capsys, "state", "upgrade")
    assert code == 0, complaint
    assert (body["files"], body["rows"]) == (3, 0)
    for daemon, rows in kept.items():
        assert all_rows(config, daemon) == rows
    assert [(file.daemon, file.sealed_for) for file in day_files(config)] == [
        ("risk", DAY),
        ("risk", ""),
        ("router", ""),
    ]
    assert [finding.problem for finding in verify_journals(config, "risk") if finding.problem] == []
    assert sorted(old_files(config)) == [f"risk/{BEFORE}.journal", f"risk/{DAY}.journal", f"router/{DAY}.journal"]
    assert not (config.state / "savepoints").exists()


def test_writers_and_readers_go_on_where_they_were(config: RunConfig) -> None:
    kept = old_state(config)
    upgrade_files(stored_days(config), lambda _: None)
    risk = Journal(config.journal_dir("risk"), "risk", DAY, 4096)
    assert (risk.day, risk.epoch, risk.size, risk.written("commands")) == (DAY, 2, len(kept["risk"]), 3)
    (row,) = risk.append([Entry(OUTPUT, "commands", command("d"))], 7, 7)
    assert row.stream_seq == 10, "above the floor of its epoch"
    router = Journal(config.journal_dir("router"), "router", DAY, 4096)
    (before,) = [row for row in kept["risk"] if row.stream_seq == 2]
    assert router.carried_cursors == {("risk", "commands"): Cursor(1, 2, before.hash)}
    reader = JournalReader(config.journal_dir("risk"), "commands")
    assert reader.matches(Cursor(1, 2, before.hash))
    assert [row.body for row in reader.read(2)] == [command("c"), command("d")]
    risk.close()
    router.close()


def test_stack_and_commands_name_the_upgrade_until_it_is_done(
    config: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    old_state(config)
    for command_ in (("journal", "verify"), ("state", "show"), ("day", "close")):
        code, _, complaint = said(capsys, *command_)
        assert (code, "`mytrading state upgrade` converts it" in complaint) == (1, True)
    with pytest.raises(JournalOfAnotherVersion, match="mytrading state upgrade"):
        TradingOrchestrator(config).start()
    before = old_files(config)
    said(capsys, "state", "upgrade")
    assert before != old_files(config)
    assert said(capsys, "state", "show")[0] == 0


def test_backup_that_is_made_first_holds_the_old_files_with_their_fronts(
    config: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = old_state(config)
    backup = Path(said(capsys, "state", "upgrade")[1]["backup"])
    assert verify_backup(backup)
    copy = config.state.parent / "copy"
    unpack(backup, copy)
    again = msgspec.structs.replace(config, state_dir=str(copy / "state"))
    upgrade_files(stored_days(again), lambda _: None)
    assert all_rows(again, "risk") == kept["risk"]


@pytest.mark.parametrize("daemon", ["risk", "router"])
def test_damaged_row_leaves_everything_as_it_was(
    config: RunConfig, daemon: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import sqlite3

    old_state(config)
    path = config.journal_dir(daemon) / f"{DAY}.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("UPDATE rows SET body = x'00' WHERE stream = 'records'")
    database.close()
    before = old_files(config)
    code, _, complaint = said(capsys, "state", "upgrade")
    assert (code, f"{path}: row" in complaint) == (1, True)
    assert old_files(config) == before


def test_disk_that_takes_no_file_leaves_everything_as_it_was(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old_state(config)
    before, sync, calls = old_files(config), os.fsync, list[int]()

    def full(file: int) -> None:
        calls.append(file)
        if len(calls) > 2:
            raise OSError(28, "No space left on device")
        sync(file)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(JournalFull):
            upgrade_files(stored_days(config), lambda _: None)
    left = {name: data for name, data in old_files(config).items() if not Path(name).name.startswith(".")}
    assert left == before


def test_power_cut_finds_every_new_file_whole_and_no_old_file_again(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New files and folders are on the disk before names change, and folders after each kind of change."""
    old_state(config)
    steps: list[tuple[str, Path]] = []
    sync, rename, remove = os.fsync, Path.replace, Path.unlink

    def synced(file: int) -> None:
        steps.append(("sync", Path(f"/proc/self/fd/{file}").readlink()))
        sync(file)

    def renamed(path: Path, target: Path) -> Path:
        steps.append(("rename", path))
        return rename(path, target)

    def removed(path: Path, missing_ok: bool = False) -> None:
        if path.exists() and ".sqlite" in path.name:
            steps.append(("remove", path))
        remove(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", synced)
        patch.setattr(Path, "replace", renamed)
        patch.setattr(Path, "unlink", removed)
        upgrade_files(stored_days(config), lambda _: None)
    kinds = [kind for kind, _ in steps]
    renames = [place for place, kind in enumerate(kinds) if kind == "rename"]
    removals = [place for place, kind in enumerate(kinds) if kind == "remove"]
    made = {path for kind, path in steps if kind == "rename"}
    folders = {path.parent for path in made}
    assert renames and removals
    assert made | folders <= {path for _, path in steps[: renames[0]]}
    assert folders == {path for _, path in steps[renames[-1] + 1 : removals[0]]}
    assert folders == {path for _, path in steps[removals[-1] + 1 :]}


def upgraded_until(config: RunConfig, step: int) -> bool:
    """Upgrade in a process of its own that is killed before its n-th change of a name; true if it came to the end."""
    child = os.fork()
    if child == 0:
        taken = 0

        def counted(function: Callable[..., Any]) -> Callable[..., Any]:
            def inner(*arguments: Any, **named: Any) -> Any:
                nonlocal taken
                taken += 1
                if taken == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **named)

            return inner

        Path.replace = counted(Path.replace)  # type: ignore[method-assign]
        Path.unlink = counted(Path.unlink)  # type: ignore[method-assign]
        upgrade_files(stored_days(config), lambda _: None)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0


@pytest.mark.parametrize("step", range(1, 20))
def test_upgrade_killed_at_any_change_of_a_name_is_refused_by_starts_and_ended_by_the_next(
    config: RunConfig, step: int
) -> None:
    """No start ever finds some journals of one layout and some of another, or one without what its front held."""
    kept = old_state(config)
    whole = upgraded_until(config, step)
    assert whole == (step > 18), "the number of steps changed: let the range cover them all"
    old = list((config.state / "journal").rglob("*.sqlite"))
    for path in old:
        with pytest.raises(JournalOfAnotherVersion):
            segments(path.parent)
    if not old:
        assert {name: all_rows(config, name) for name in kept} == kept
    upgrade_files(stored_days(config), lambda _: None)
    assert {name: all_rows(config, name) for name in kept} == kept


def test_day_that_an_older_version_went_on_beside_is_not_written_over(
    config: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    """An older version, started on this state, sees no SQLite file of today and begins one of its own."""
    kept = old_state(config)
    upgrade_files(stored_days(config), lambda _: None)
    later = OldJournal(config.journal_dir("router") / f"{DAY}.sqlite", {})
    later.append(started("router"), at=to_ns(date.fromisoformat(DAY), time(13, 5)))
    before = old_files(config)
    code, _, complaint = said(capsys, "state", "upgrade")
    assert code == 1
    for file in (f"{DAY}.sqlite", f"{DAY}.journal"):
        assert str(config.journal_dir("router") / file) in complaint
    assert f"{DAY} 13:05:00" in complaint, "with the times of its rows"
    assert "-wal and -front" in complaint, "the file alone is not all of its rows"
    assert old_files(config) == before
    (config.journal_dir("router") / f"{DAY}.sqlite").unlink()
    assert said(capsys, "state", "upgrade")[0] == 0
    assert {name: all_rows(config, name) for name in kept} == kept


def test_day_that_an_older_version_began_after_a_newer_one_is_refused(
    config: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    """Started a day later, an older version sees none of its files and begins with nothing: no position, no halt. Taken
    over, that day would be the newest of a chain that looks whole, and hide the day before it."""
    kept = old_state(config)
    upgrade_files(stored_days(config), lambda _: None)
    later = OldJournal(config.journal_dir("router") / f"{NEXT}.sqlite", {})
    later.append(started("router"), at=to_ns(date.fromisoformat(NEXT), time(9, 5)))
    before = old_files(config)
    code, _, complaint = said(capsys, "state", "upgrade")
    assert code == 1
    for file in (f"{NEXT}.sqlite", f"{DAY}.journal"):
        assert str(config.journal_dir("router") / file) in complaint
    assert f"{NEXT} 09:05:00" in complaint
    assert old_files(config) == before
    for path in config.journal_dir("router").glob(f"{NEXT}.sqlite*"):
        path.unlink()
    assert said(capsys, "state", "upgrade")[0] == 0
    assert {name: all_rows(config, name) for name in kept} == kept


def test_state_of_a_newer_layout_is_refused_before_anything_is_written(
    config: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    (config.state / "LAYOUT").write_text("3\n", encoding="utf-8")
    with pytest.raises(JournalOfAnotherVersion, match="a newer version of MyTrading wrote this state"):
        TradingOrchestrator(config).start()
    code, _, complaint = said(capsys, "state", "upgrade")
    assert (code, "found '3'" in complaint) == (1, True)
    assert not (config.state / "journal").exists()


def test_file_that_is_no_database_is_named(config: RunConfig) -> None:
    old_state(config)
    path = config.journal_dir("engine") / f"{DAY}.sqlite"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database at all " * 500)
    with pytest.raises(JournalDamaged, match=str(path)):
        stored_days(config)
