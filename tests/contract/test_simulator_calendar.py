"""The simulator goes by `calendar.toml` as it stands now, as the daemons of a stack do."""

from __future__ import annotations

import shutil
from pathlib import Path

from mytrading.runtime.daemon.live_files import accepted_folder
from tests.kit.project import ROOT
from tests.kit.simulator_process import RunningSimulator, start_simulator
from tests.kit.waiting import eventually

NEW = '2026-11-25 = "A day of rest"'


def config_in(folder: Path) -> Path:
    """A copy of the project's configuration; returns its calendar."""
    folder.mkdir(parents=True)
    for name in ("calendar.toml", "instruments.toml"):
        shutil.copy(ROOT / "config" / name, folder / name)
    return folder / "calendar.toml"


def edited(text: str) -> str:
    """With one more holiday of the exchanges."""
    assert "[holidays.NSE]\n" in text
    return text.replace("[holidays.NSE]\n", f"[holidays.NSE]\n{NEW}\n")


def rests(simulator: RunningSimulator) -> bool:
    """True once the new holiday is reported."""
    _, body = simulator.call("market/holidays", year=2026)
    return any(row["date"] == "2026-11-25" for row in body["data"])


def test_edited_calendar_counts_while_the_simulator_serves_and_a_broken_one_does_not(tmp_path: Path) -> None:
    calendar = config_in(tmp_path / "config")
    with start_simulator(tmp_path, config_dir=calendar.parent) as simulator:
        assert not rests(simulator)
        calendar.write_text(edited(calendar.read_text()))
        eventually(lambda: rests(simulator))
        calendar.write_text("[exchanges.NSE")
        assert "said before holds" in simulator.process.stderr.readline()
        assert rests(simulator)


def test_simulator_starts_with_what_its_stack_last_took_of_a_calendar_that_is_broken_now(tmp_path: Path) -> None:
    calendar = config_in(tmp_path / "config")
    taken = accepted_folder(tmp_path / "state")
    taken.mkdir(parents=True)
    (taken / "calendar.toml").write_text(edited(calendar.read_text()))
    calendar.write_text("[exchanges.NSE")
    with start_simulator(tmp_path, config_dir=calendar.parent) as simulator:
        assert rests(simulator)
