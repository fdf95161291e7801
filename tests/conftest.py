"""Settings of every run of the tests, and the fixtures that several files share."""

import gc
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import zmq

from mytrading.cli.stack import strategy_trial
from tests.kit import fork_server, parse_cache
from tests.kit.feed_process import runtime_folder
from tests.kit.hypothesis_budget import draw_the_same_each_time, pytest_sessionstart
from tests.kit.process_leaks import pytest_configure, pytest_sessionfinish
from tests.kit.simulator_process import RunningSimulator, start_simulator

draw_the_same_each_time()

__all__ = ["pytest_configure", "pytest_sessionfinish", "pytest_sessionstart"]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Objects made while collecting stay to the end: nobody looks through half a million for garbage again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_unconfigure() -> None:
    """Libraries say at the end which of their objects are left."""
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def nothing_pure_is_done_twice() -> Iterator[None]:
    """Commands are built, shipped files parsed, and modules loaded to try a strategy, once for all tests."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        parse_cache.remember(monkeypatch.setattr)
        fork_server.fork_in(strategy_trial, put=monkeypatch.setattr)
        yield


@pytest.fixture
def context() -> Iterator["zmq.Context[zmq.Socket[bytes]]"]:
    """A context of the test's own; what a failed test left to send does not hold the whole run."""
    made: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield made
    made.destroy(linger=0)


@pytest.fixture
def runtime() -> Iterator[Path]:
    """A folder for sockets."""
    with runtime_folder() as folder:
        yield folder


@pytest.fixture
def simulator(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningSimulator]:
    """A simulator of the test's own, with the options in its file's `SIMULATOR` if it has that."""
    with start_simulator(tmp_path, **getattr(request.module, "SIMULATOR", {})) as running:
        yield running
