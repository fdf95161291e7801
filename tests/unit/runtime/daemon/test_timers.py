"""Timers of a poll loop: in step with one another, never in a burst."""

from __future__ import annotations

from mytrading.runtime.daemon.daemon import Timers

MS = 1_000_000


def test_timers_that_were_made_at_different_times_are_due_together() -> None:
    timers = Timers(phase_ns=3 * MS)
    ran: list[tuple[str, int]] = []
    timers.every(100 * MS, lambda at: ran.append(("look", at)), 17 * MS)
    timers.every(500 * MS, lambda at: ran.append(("slow", at)), 61 * MS)
    timers.every(100 * MS, lambda at: ran.append(("clock", at)), 99 * MS)
    assert timers.wait_ms(99 * MS) == 4
    for now in range(103, 504, 100):
        assert timers.run_due(now * MS) == (3 if now == 503 else 2)
    assert {name for name, at in ran if at == 503 * MS} == {"look", "slow", "clock"}


def test_timer_that_fell_behind_runs_once_and_goes_on_in_step() -> None:
    timers = Timers()
    ran: list[int] = []
    timers.every(100 * MS, ran.append, 0)
    assert timers.run_due(1_234 * MS) == 1
    assert timers.run_due(1_299 * MS) == 0
    assert timers.run_due(1_300 * MS) == 1
    assert ran == [1_234 * MS, 1_300 * MS]


def test_wait_is_rounded_up_so_that_a_timer_is_due_when_it_is_over() -> None:
    timers = Timers()
    timers.every(10 * MS, lambda _: None, 0)
    assert timers.wait_ms(9 * MS + 1) == 1
    assert timers.wait_ms(12 * MS) == 0
