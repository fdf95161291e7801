"""Market and machine time: segments, jumps, resume after a stop, and what a damaged clock file is answered with."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mytrading.core.time import SECOND
from mytrading.runtime.host.clock import ClockSegment, MarketClock, anchor_dir, machine_now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clock.json"


def test_clock_without_segments_is_the_wall_clock() -> None:
    before = time.time_ns()
    assert before <= MarketClock().now() <= time.time_ns()


@pytest.mark.parametrize("stepped_s", [-90, 3600])
def test_moment_of_the_wall_clock_follows_when_it_is_set_or_the_machine_slept(
    monkeypatch: pytest.MonkeyPatch, stepped_s: int
) -> None:
    """Quotes were dated by the clock of the boot: after an hour's sleep each was an hour old, and no bar was closed."""
    clock, before, wall = MarketClock(), machine_now(), time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: wall() + stepped_s * SECOND)
    assert abs(clock.market_ns_at(machine_now()) - clock.now()) < SECOND
    assert abs(clock.now() - clock.market_ns_at(before)) < SECOND


def test_segment_runs_from_its_start_at_its_speed() -> None:
    clock = MarketClock((ClockSegment(1_000 * SECOND, 50 * SECOND, 60.0),))
    assert clock.market_ns_at(1_001 * SECOND) == 110 * SECOND
    assert clock.machine_seconds_of(120 * SECOND) == 2.0


def test_market_stands_until_a_segment_that_begins_later() -> None:
    clock = MarketClock((ClockSegment(1_000 * SECOND, 50 * SECOND, 60.0),))
    assert clock.market_ns_at(0) == clock.market_ns_at(999 * SECOND) == 50 * SECOND


@pytest.mark.parametrize("speed", [0.5, 1.0, 20.0])
@pytest.mark.parametrize("begins_in", [-5 * SECOND, 3600 * SECOND])
def test_moment_is_one_look_at_both_times(speed: float, begins_in: int) -> None:
    clock = MarketClock((ClockSegment(machine_now() + begins_in, 7 * SECOND, speed),))
    before = machine_now()
    market, machine = clock.market_and_machine_now()
    assert before <= machine <= machine_now()
    assert market == clock.market_ns_at(machine)


def test_moment_of_the_wall_clock_is_the_walls() -> None:
    before = time.time_ns()
    market, _ = MarketClock().market_and_machine_now()
    assert before <= market <= time.time_ns()


def test_jump_is_seen_by_other_readers_once_they_refresh(path: Path) -> None:
    driver = MarketClock((ClockSegment(machine_now(), 0, 1.0),), path)
    driver.mark_seen()
    reader = MarketClock.load(path)
    assert reader.refresh() is False
    driver.append_segment(1_000 * SECOND, 60.0)
    assert reader.now() < 1_000 * SECOND
    assert reader.refresh() is True
    assert (reader.segments, reader.speed) == (driver.segments, 60.0)
    assert reader.now() >= 1_000 * SECOND


def test_start_resumes_at_the_time_the_market_was_last_seen(path: Path) -> None:
    began = machine_now() - 10 * SECOND
    clock = MarketClock((ClockSegment(began, 500 * SECOND, 2.0),), path)
    assert clock.resume_point() is None
    clock.mark_seen()
    seen = MarketClock.load(path).resume_point()
    assert seen is not None
    assert 520 * SECOND <= seen <= clock.now()


def test_step_in_lock_step_is_there_for_every_reader_at_once(path: Path) -> None:
    driver = MarketClock((), path)
    driver.append_segment(500 * SECOND, 0.0)
    reader = MarketClock.load(path)
    assert (reader.lock_step, reader.now(), reader.machine_seconds_of(SECOND)) == (True, 500 * SECOND, 0.0)
    driver.step_to(501 * SECOND)
    assert reader.now() == reader.market_ns_at(machine_now()) == 501 * SECOND


def test_start_in_lock_step_resumes_at_the_last_step(path: Path) -> None:
    driver = MarketClock((), path)
    driver.append_segment(500 * SECOND, 0.0)
    driver.step_to(507 * SECOND)
    assert MarketClock.load(path).resume_point() == 507 * SECOND


def test_next_segment_in_lock_step_begins_where_it_says_and_leaves_no_old_step_behind(path: Path) -> None:
    driver = MarketClock((), path)
    driver.append_segment(500 * SECOND, 0.0)
    driver.step_to(507 * SECOND)
    driver.append_segment(900 * SECOND, 0.0)
    assert MarketClock.load(path).now() == driver.now() == 900 * SECOND
    assert len(list(path.parent.glob("*.step"))) == 1


def test_damaged_clock_file_is_refused_with_what_to_do(path: Path) -> None:
    path.write_bytes(b'{"segments": 3}')
    with pytest.raises(ValueError, match=r"clock\.json: expected a market clock, found: .*`--fresh` makes a new one"):
        MarketClock.load(path)


def test_machine_time_is_one_for_all_processes_of_a_boot() -> None:
    before = machine_now()
    program = "from mytrading.runtime.host.clock import machine_now; print(machine_now())"
    other = int(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout)
    assert before <= other <= machine_now()


def test_folder_that_others_may_enter_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = anchor_dir()
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    with pytest.raises(PermissionError, match="expected a folder that only you can enter"):
        anchor_dir()


def test_link_in_place_of_the_folder_is_refused_wherever_it_leads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user who makes it first would choose where our sockets are."""
    (tmp_path / "mine").mkdir(mode=0o700)
    (tmp_path / f"mytrading-{os.getuid()}").symlink_to(tmp_path / "mine")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(PermissionError, match=r"found a link .*; remove it, or set XDG_RUNTIME_DIR"):
        anchor_dir()
