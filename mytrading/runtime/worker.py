"""Worker threads for calls that block: jobs in by priority, results out through a queue and the doorbell.

Used by the router (order calls) and whoever reads over HTTP. The one rule: a worker touches nothing of the daemon but
its own connection; what it found goes back as a value, and an exception is a value too.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from mytrading.runtime.logging import get_logger

Job = TypeVar("Job")
Tool = TypeVar("Tool")
Result = TypeVar("Result")


class WorkerPool(Generic[Job, Tool, Result]):
    """`count` threads, each with a tool of its own from `make_tool`; `work(tool, job)` returns the result.

    If `work` raises, `on_error(job, error)` makes the result. Jobs of a lower `rank` go first, in order within a rank.
    """

    def __init__(
        self,
        name: str,
        count: int,
        make_tool: Callable[[], Tool],
        work: Callable[[Tool, Job], Result],
        on_error: Callable[[Job, Exception], Result],
        wake: Callable[[], None],
    ) -> None:
        self._jobs: queue.PriorityQueue[tuple[int, int, Job | None]] = queue.PriorityQueue()
        self._results: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self._number = itertools.count()
        self._make_tool, self._work, self._on_error, self._wake = make_tool, work, on_error, wake
        self._log = get_logger(name)
        self._busy = 0
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{index}", daemon=True) for index in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job, rank: int = 0) -> None:
        """Queue a job; returns at once."""
        self._jobs.put((rank, next(self._number), job))

    def results(self) -> list[Result]:
        """What has been finished since the last call, in order of finishing."""
        found = []
        while True:
            try:
                found.append(self._results.get_nowait())
            except queue.Empty:
                return found

    @property
    def waiting(self) -> int:
        """Jobs that no thread has taken yet."""
        return self._jobs.qsize()

    def stop(self, wait_s: float = 1.0) -> None:
        """Let the threads end after their present job; those still at it are left to the end of the process."""
        for _ in self._threads:
            self._jobs.put((1 << 30, next(self._number), None))
        for thread in self._threads:
            thread.join(wait_s / len(self._threads))

    def _run(self) -> None:
        tool = self._make_tool()
        while True:
            _, _, job = self._jobs.get()
            if job is None:
                return
            try:
                result = self._work(tool, job)
            except Exception as error:  # noqa: BLE001 - an error is the job's result
                self._log.error("worker.failed", exc_info=True)
                result = self._on_error(job, error)
            self._results.put(result)
            self._wake()
