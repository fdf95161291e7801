"""The file KILL: what it says, that it is learnt once, and that a strange one halts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mytrading.messages.control import KILL
from mytrading.messages.enums import TradingLevel
from mytrading.runtime.supervision.kill_file import KillFile


@pytest.mark.parametrize(
    ("text", "word", "level", "why"),
    [
        ("", "halt", TradingLevel.HALT, ""),
        ("halt", "halt", TradingLevel.HALT, ""),
        ("reduce: expiry\nday\n", "reduce", TradingLevel.REDUCE, "expiry day"),
        ("FLATTEN the broker is down", "flatten", TradingLevel.HALT, "the broker is down"),
        ("flaten", "halt", TradingLevel.HALT, "'flaten' is none of halt, reduce, flatten"),
        ("\udcff".encode("utf-8", "surrogateescape").decode("latin-1"), "halt", TradingLevel.HALT, "is none of"),
    ],
)
def test_file_says_level_reason_and_who(tmp_path: Path, text: str, word: str, level: TradingLevel, why: str) -> None:
    (tmp_path / "KILL").write_text(text, encoding="utf-8")
    kill = KillFile(tmp_path).read()
    assert kill is not None
    assert (kill.word, kill.level) == (word, level)
    assert why in kill.why
    assert kill.by
    assert kill.written_ns == (tmp_path / "KILL").stat().st_mtime_ns


def test_change_is_learnt_once_and_after_a_restart_not_again(tmp_path: Path) -> None:
    file = KillFile(tmp_path)
    assert file.level_change(None, 1) is None
    file.write("reduce", "expiry")
    first = file.level_change(None, 2)
    assert first is not None
    assert (first.account, first.level, first.reason) == (
        KILL,
        TradingLevel.REDUCE,
        "the file KILL says reduce: expiry",
    )
    assert file.level_change(first, 3) is None
    assert KillFile(tmp_path).level_change(first, 3) is None, "a restart knows it from the journal"
    file.write("flatten", "worse")
    second = file.level_change(first, 4)
    assert second is not None
    assert second.generation > first.generation
    assert second.level is TradingLevel.HALT
    assert file.remove()
    over = file.level_change(second, 5)
    assert over is not None
    assert (over.level, over.generation > second.generation) == (TradingLevel.NORMAL, True)
    assert file.level_change(over, 6) is None
    assert not file.remove()


def test_file_with_an_old_time_is_learnt_all_the_same(tmp_path: Path) -> None:
    file = KillFile(tmp_path)
    file.write("halt", "one")
    first = file.level_change(None, 1)
    assert first is not None
    file.write("reduce", "two")
    os.utime(file.path, ns=(1_000, 1_000))
    second = file.level_change(first, 2)
    assert second is not None
    assert second.generation > first.generation
    assert file.level_change(second, 3) is None


def test_flattening_is_one_signal_for_each_time_it_is_written(tmp_path: Path) -> None:
    file = KillFile(tmp_path)
    file.write("flatten", "now")
    kill = file.read()
    assert kill is not None
    signal = kill.flatten_request("main", 5, 7)
    assert signal.id == f"kill-{kill.written_ns}-main"
    assert KillFile(tmp_path).read() == kill
    assert (signal.by, signal.deadline_machine_ns) == (kill.by, 60_000_000_007)


def test_file_above_counts_for_every_profile_and_the_most_that_is_asked_for_wins(tmp_path: Path) -> None:
    state = tmp_path / "paper"
    state.mkdir()
    file = KillFile(state)
    above = tmp_path / "KILL"
    above.write_text("halt news", encoding="utf-8")
    first = file.level_change(None, 1)
    assert first is not None
    assert (first.level, first.reason) == (TradingLevel.HALT, f"the file {above} says halt: news")
    assert file.level_change(first, 2) is None
    file.write("flatten", "worse")
    assert (found := file.read()) is not None and (found.word, found.why) == ("flatten", "worse")
    file.write("reduce", "")
    assert (found := file.read()) is not None and found.word == "halt"
    assert file.remove() and file.above.read() is not None
    assert file.level_change(first, 3) is None, "it still stands"
    above.unlink()
    over = file.level_change(first, 4)
    assert over is not None and over.level is TradingLevel.NORMAL


def test_file_above_that_somebody_else_owns_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "paper"
    state.mkdir()
    (tmp_path / "KILL").write_text("flatten", encoding="utf-8")
    real = Path.stat

    def owned(path: Path, **kwargs: Any) -> Any:
        found = real(path, **kwargs)
        return os.stat_result((*found[:4], 4_711, *found[5:10])) if path.name == "KILL" else found

    monkeypatch.setattr(Path, "stat", owned)
    assert KillFile(state).read() is None


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "endless"])
def test_file_that_could_not_be_read_to_its_end_halts_at_once(tmp_path: Path, kind: str) -> None:
    """A pipe of that name held risk and router until the watchdog ended them."""
    path = tmp_path / "KILL"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_text("reduce too long")
        os.truncate(path, 1 << 40)
    kill = KillFile(tmp_path).read()
    assert kill is not None
    assert kill.word == ("reduce" if kind == "endless" else "halt")
    assert kind == "endless" or "cannot be read" in kill.why
