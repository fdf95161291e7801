"""Workers that run trials: processes of this machine, or those of a Dask cluster.

Both give futures of the standard library. A worker opens its payload once and then only runs trials, so that a thousand
of them read the bars once.
"""

from __future__ import annotations

import dataclasses
import functools
import gc
import multiprocessing
import os
import pickle
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import connection
from pathlib import Path
from typing import Any

from mytrading.backtest.run import Spec
from mytrading.backtest.search.trials import Trial, evaluate
from mytrading.core.engine.leg_strategy import leg_strategy
from mytrading.runtime.host.author_files import load_file
from mytrading.strategies.base_strategy import BaseStrategy, strategy_name
from mytrading.strategies.parameters import Parameter

_OBJECTS_BETWEEN_LOOKS = 50_000
"""Made before a worker looks for cycles again: trials leave few, and it holds what the market knows."""


class PayloadError(ValueError):
    """A payload that cannot be opened here."""


@dataclasses.dataclass(frozen=True)
class Payload:
    """A spec without its class, and the file that holds the class."""

    spec: bytes
    file: str
    source: str
    strategy: str

    def load_spec(self) -> Spec:
        """Return the spec with its strategy class loaded from the file, or from the payload's copy of it."""
        spec: Spec = pickle.loads(self.spec)
        if spec.run.plan is not None:
            return dataclasses.replace(spec, strategy=leg_strategy(spec.run.plan))
        path = Path(self.file)
        if path.is_file() and path.read_text(encoding="utf-8") == self.source:
            return dataclasses.replace(spec, strategy=self._load(path))
        with tempfile.TemporaryDirectory(prefix="mytrading-") as folder:
            copy = Path(folder) / path.name
            copy.write_text(self.source, encoding="utf-8")
            return dataclasses.replace(spec, strategy=self._load(copy))

    def _load(self, path: Path) -> type[BaseStrategy]:
        loaded = load_file(path, BaseStrategy)
        if loaded.fault is not None:
            raise PayloadError(f"{self.file} cannot be loaded by the worker: {loaded.fault.message}")
        for item in loaded.classes:
            if strategy_name(item) == self.strategy:
                found: type[BaseStrategy] = item
                return found
        names = ", ".join(sorted(strategy_name(item) for item in loaded.classes)) or "none"
        raise PayloadError(f"{self.file}: expected the class of {self.strategy}, found {names}; define it in that file")


def pack_spec(spec: Spec, file: Path) -> Payload:
    """Pack a spec, and the source `file` of its strategy class, to be sent to worker processes."""
    bare = dataclasses.replace(spec, strategy=BaseStrategy)
    text = file.read_text(encoding="utf-8")
    return Payload(pickle.dumps(bare), str(file.resolve()), text, strategy_name(spec.strategy))


LOCAL_CLUSTER = "local-cluster"
MISSING = (
    "--on needs Dask's scheduler, which is not installed: pip install 'mytrading[distributed]', or leave --on out to "
    "use processes of this machine"
)


class WorkersError(RuntimeError):
    """No workers are available; the message says what to do."""


@dataclasses.dataclass(frozen=True)
class Workers:
    """Runs trials side by side, `count` at a time; `source` is the payload, or the path where it is."""

    executor: Executor
    source: Any
    count: int
    where: str
    objective: str
    least: int

    def submit(self, number: int, parameters: Mapping[str, Parameter]) -> Future[Trial]:
        """Start trial `number` with these parameters on a worker; returns its future."""
        return self.executor.submit(_trial, self.source, number, dict(parameters), self.objective, self.least)


@dataclasses.dataclass(frozen=True)
class InProcess:
    """Runs trials one after the other in this process, also of a class that no file holds."""

    spec: Spec
    objective: str
    least: int
    count: int = 1

    def submit(self, number: int, parameters: Mapping[str, Parameter]) -> Future[Trial]:
        """Run trial `number` with these parameters; returns a future that is done."""
        done: Future[Trial] = Future()
        done.set_result(evaluate(self.spec, number, parameters, self.objective, self.least))
        return done


@functools.lru_cache(maxsize=2)
def _spec(source: str | Payload) -> Spec:
    gc.set_threshold(_OBJECTS_BETWEEN_LOOKS)
    payload: Payload = pickle.loads(Path(source).read_bytes()) if isinstance(source, str) else source
    return payload.load_spec()


def _trial(source: str | Payload, number: int, parameters: dict[str, Parameter], objective: str, least: int) -> Trial:
    return evaluate(_spec(source), number, parameters, objective, least)


def _begin(folder: str) -> None:
    """Ctrl-C is for the process that searches, which ends these; if it is killed they end by themselves."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(folder,), daemon=True, name="parent").start()


def _end_with_parent(folder: str) -> None:
    """Wait for the end of the process that searches, then end at once: nobody would read what this one still finds.

    The handle is ready when the parent is gone, however it ended. The folder of the payload goes too, which a killed
    parent leaves behind.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker is started by multiprocessing"
    connection.wait([parent.sentinel])
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


@contextmanager
def local_workers(payload: Payload, objective: str, least: int, count: int = 0) -> Iterator[Workers]:
    """Start `count` worker processes on this machine (0: one a core) for a `with` block. Trials with fewer than `least`
    trades get no value."""
    most = count or os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="mytrading-") as folder:
        path = Path(folder) / "payload"
        path.write_bytes(pickle.dumps(payload))
        spawn = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(most, mp_context=spawn, initializer=_begin, initargs=(folder,))
        try:
            yield Workers(pool, str(path), most, f"{most} processes", objective, least)
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def cluster_workers(payload: Payload, objective: str, least: int, address: str, count: int = 0) -> Iterator[Workers]:
    """Connect to the Dask scheduler at `address` for a `with` block, or start a cluster of `count` here for
    `local-cluster`. Raises `WorkersError`."""
    try:
        import distributed
    except ImportError:
        raise WorkersError(MISSING) from None
    dask: Any = distributed  # its methods have no types
    try:
        if address == LOCAL_CLUSTER:
            client = dask.Client(n_workers=count or os.cpu_count() or 1, threads_per_worker=1, dashboard_address=None)
        else:
            client = dask.Client(address, timeout="10s")
    except (OSError, TimeoutError, ValueError) as error:
        raise WorkersError(
            f"--on {address}: no Dask scheduler answers there ({error}); start one with `dask scheduler`"
        ) from error
    try:
        threads = sum(client.nthreads().values())
        if not threads:
            raise WorkersError(f"--on {address}: the scheduler has no workers; start them with `dask worker {address}`")
        scattered = client.scatter(payload, broadcast=True, hash=False)
        executor = client.get_executor(pure=False)
        yield Workers(executor, scattered, threads, f"{threads} Dask workers", objective, least)
    except (dask.scheduler.KilledWorker, CancelledError) as error:
        raise WorkersError(
            f"--on {address}: its workers or the scheduler went away ({type(error).__name__}); what is done is kept: "
            "look at their logs, and give the same command again"
        ) from error
    finally:
        client.close()
