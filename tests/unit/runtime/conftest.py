"""A configuration under which a test can run a daemon inside its own process."""

from __future__ import annotations

import gc
import logging as stdlib_logging
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import structlog

from mytrading.messages.run_config import RunConfig
from tests.kit.feed_process import runtime_folder
from tests.kit.run_configs import run_config

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@pytest.fixture
def config(tmp_path: Path) -> Iterator[RunConfig]:
    """A run whose logs are in `tmp_path`; what a daemon changes in its process is put back."""
    handlers, signals = stdlib_logging.getLogger().handlers, [signal.getsignal(number) for number in NUMBERS]
    threshold = gc.get_threshold()
    with runtime_folder() as runtime:
        found = msgspec.structs.replace(run_config(tmp_path), runtime_dir=str(runtime))
        rules = msgspec.structs.replace(found.process, memory_optimization=False)
        yield msgspec.structs.replace(found, process=rules)
    signal.set_wakeup_fd(-1)
    for number, handler in zip(NUMBERS, signals, strict=True):
        signal.signal(number, handler)
    gc.set_threshold(*threshold)
    structlog.reset_defaults()
    stdlib_logging.getLogger().handlers = handlers
