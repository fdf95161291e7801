"""Worker threads: order of ranks, the reserve for exits, errors as values, and no job left behind at the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mytrading.runtime.daemon.workers import WorkerPool
from tests.kit.waiting import eventually


class Gate:
    """Jobs of the name `hold` wait here, so that a test decides when a thread is busy."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.taken: list[str] = []

    def work(self, tool: str, job: str) -> str:
        self.taken.append(job)
        if job.startswith("hold"):
            assert self.open.wait(10)
        if job == "bad":
            raise ValueError("spoilt")
        return f"{tool}:{job}"


@contextmanager
def pool(gate: Gate, count: int, reserve: int = 0, begin: object = None) -> Iterator[WorkerPool[str, str, str]]:
    running: WorkerPool[str, str, str] = WorkerPool(
        "test", count, lambda: "tool", gate.work, lambda job, error: f"{job} failed: {error}", lambda: None,
        begin=begin, reserve=reserve,  # type: ignore[arg-type]
    )  # fmt: skip
    eventually(lambda: len(running._idle) == count)
    yield running
    gate.open.set()
    running.stop(5)


def _extend(found: list[str], running: WorkerPool[str, str, str], count: int) -> bool:
    found.extend(running.take_results())
    return len(found) >= count


def test_waiting_jobs_go_by_rank_then_in_order() -> None:
    gate = Gate()
    with pool(gate, 1) as running:
        running.submit("hold")
        for job, rank in (("late", 2), ("a", 1), ("b", 1), ("exit", 0)):
            running.submit(job, rank)
        gate.open.set()
        eventually(lambda: len(gate.taken) == 5)
    assert gate.taken == ["hold", "exit", "a", "b", "late"]


def test_last_idle_thread_is_kept_for_exits() -> None:
    gate = Gate()
    with pool(gate, 2, reserve=1) as running:
        running.submit("hold entry", 1)
        running.submit("entry", 1)
        eventually(lambda: gate.taken == ["hold entry"])
        assert running.waiting == 1
        running.submit("exit", 0)
        eventually(lambda: "exit" in gate.taken)
        assert "entry" not in gate.taken
        gate.open.set()
        eventually(lambda: gate.taken[-1] == "entry")


def test_error_of_a_job_is_its_result_and_the_thread_goes_on() -> None:
    gate = Gate()
    with pool(gate, 1) as running:
        running.submit("bad")
        running.submit("good")
        found: list[str] = []
        eventually(lambda: _extend(found, running, 2))
    assert found == ["bad failed: spoilt", "tool:good"]


def test_begin_runs_on_the_submitting_thread_where_one_is_idle() -> None:
    gate, begun = Gate(), []

    def begin(tool: str, job: str) -> str:
        begun.append((threading.current_thread().name, job))
        return f"{job}, begun"

    with pool(gate, 1, begin=begin) as running:
        running.submit("hold")
        running.submit("queued")
        gate.open.set()
        found: list[str] = []
        eventually(lambda: _extend(found, running, 2))
    assert begun == [(threading.current_thread().name, "hold")]
    assert found == ["tool:hold, begun", "tool:queued"]


def test_stop_lets_queued_jobs_finish() -> None:
    gate = Gate()
    with pool(gate, 1) as running:
        running.submit("hold")
        running.submit("queued", 1)
        threading.Timer(0.05, gate.open.set).start()
        running.stop(5)
        assert gate.taken == ["hold", "queued"]
        assert running.take_results() == ["tool:hold", "tool:queued"]
