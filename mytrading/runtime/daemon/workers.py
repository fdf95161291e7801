"""Worker threads for calls that block: jobs in by priority, results out through a queue and the wake pipe.

A worker touches nothing of the daemon but its own tool; a result goes back as a value, and so does an exception.
"""

from __future__ import annotations

import heapq
import itertools
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from mytrading.runtime.observability.logging import get_logger

Job = TypeVar("Job")
Tool = TypeVar("Tool")
Result = TypeVar("Result")


class _Worker(Generic[Job, Tool]):
    """A thread's tool, and the door through which its next job comes; None ends it."""

    def __init__(self, tool: Tool) -> None:
        self.tool = tool
        self.door: queue.SimpleQueue[Job | None] = queue.SimpleQueue()


class WorkerPool(Generic[Job, Tool, Result]):
    """`count` threads, each with a tool of its own from `make_tool`; `work(tool, job)` returns the result.

    If `work` raises, `on_error(job, error)` makes the result. Jobs of a lower `rank` go first, in order within a rank;
    the last `reserve` idle threads are kept for jobs of rank 0. Where a thread is idle, `begin(tool, job)` runs on the
    submitting thread and returns the job to hand over: what it sends leaves at once, with no thread to wait for. It
    must not block.
    """

    def __init__(
        self,
        name: str,
        count: int,
        make_tool: Callable[[], Tool],
        work: Callable[[Tool, Job], Result],
        on_error: Callable[[Job, Exception], Result],
        wake: Callable[[], None],
        begin: Callable[[Tool, Job], Job] | None = None,
        reserve: int = 0,
    ) -> None:
        self._results: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self._number = itertools.count()
        self._make_tool, self._work, self._on_error, self._wake = make_tool, work, on_error, wake
        self._begin = begin
        self._reserve = min(reserve, count - 1)
        self._log = get_logger(name)
        self._lock = threading.Lock()
        self._idle: list[_Worker[Job, Tool]] = []
        self._backlog: list[tuple[int, int, Job]] = []
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{index}", daemon=True) for index in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job, rank: int = 0) -> None:
        """Begin a job, or queue it if no thread is free (lower `rank` first); returns at once."""
        with self._lock:
            if not self._idle or (rank and len(self._idle) <= self._reserve):
                heapq.heappush(self._backlog, (rank, next(self._number), job))
                return
            worker = self._idle.pop()
        worker.door.put(self._begin(worker.tool, job) if self._begin is not None else job)

    @property
    def next_tool(self) -> Tool | None:
        """The worker's tool (its connection) that a job submitted now would get; None if the job would be queued."""
        idle = self._idle
        return idle[-1].tool if idle else None

    def take_results(self) -> list[Result]:
        """Return the results of the jobs finished since the last call, in order of finishing."""
        found: list[Result] = []
        while not self._results.empty():
            found.append(self._results.get_nowait())
        return found

    @property
    def waiting(self) -> int:
        """The number of jobs that no thread has taken yet."""
        return len(self._backlog)

    def stop(self, wait_s: float = 1.0) -> None:
        """Stop the threads once no job waits, waiting for `wait_s` seconds; later ones end with the process."""
        with self._lock:
            self._stopping = True
            for worker in self._idle:
                worker.door.put(None)
            self._idle.clear()
        for thread in self._threads:
            thread.join(wait_s / len(self._threads))

    def _run(self) -> None:
        worker: _Worker[Job, Tool] = _Worker(self._make_tool())
        self._seek(worker)
        while (job := worker.door.get()) is not None:
            try:
                result = self._work(worker.tool, job)
            except Exception as error:  # noqa: BLE001 - an error is the job's result
                self._log.error("worker.failed", exc_info=True)
                result = self._on_error(job, error)
            self._results.put(result)
            self._wake()
            self._seek(worker)

    def _seek(self, worker: _Worker[Job, Tool]) -> None:
        """Take the first job that waits and may go, else be idle."""
        with self._lock:
            if self._backlog and (self._stopping or not self._backlog[0][0] or len(self._idle) >= self._reserve):
                worker.door.put(heapq.heappop(self._backlog)[2])
            elif self._stopping:
                worker.door.put(None)
            else:
                self._idle.append(worker)
