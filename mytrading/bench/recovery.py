"""How long the router takes to know its day again: from all rows of its journal, and from a savepoint and the rest.

In processor time, in one process. The one rule: the savepoint stands as far behind the journal's end as one ever does.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from msgspec.structs import replace

from mytrading.bench.figures import Figure, below
from mytrading.config.build import build_run_config
from mytrading.config.resolve import load_settings
from mytrading.daemons.router_savepoint import parts
from mytrading.messages.codec import encode_body
from mytrading.messages.enums import OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.orders import Order, OrderChanged
from mytrading.messages.runconfig import RunConfig
from mytrading.runtime.journal import OUTPUT, Entry, Journal, read_segment
from mytrading.runtime.places import project_home
from mytrading.runtime.replay import Learning, without_collections
from mytrading.runtime.savepoint import Savepoint, fingerprint, fitting, take_up
from mytrading.runtime.savepoint_keeper import ROWS, keep

DAY = "2026-03-18"
MOST, LEVELS = 200_000, 20
"""Rows of the day, and of each order."""


def measure_recovery(progress: Callable[[str], None]) -> list[Figure]:
    """A day of 200,000 rows: read wholly, and from its last savepoint on."""
    progress(f"a journal of {MOST:,} rows")
    with tempfile.TemporaryDirectory() as folder:
        home, state = project_home(), Path(folder)
        config = build_run_config(load_settings(home, "paper", {}, {}), home, state, state)
        journal = Journal(config.journal_dir("router"), "router", DAY, 0)
        rows = _rows()
        _append(journal, rows, MOST - ROWS)
        keep(config, "router", lambda: parts(config), lambda: True)
        _append(journal, rows, ROWS)
        journal.close()
        whole, one = _known(config, journal.path, savepoint=False)
        short, other = _known(config, journal.path, savepoint=True)
    assert one == other, "both ways must lead to the same state"
    return [below("recovery_savepoint", short, "s", 5.0, ROWS, whole)]


def _rows() -> Iterator[Entry]:
    states = [OrderState.SUBMITTED, OrderState.ACCEPTED, *[OrderState.FILLED] * (LEVELS - 2)]
    for number in range(MOST // LEVELS):
        level = Order(
            client_order_id=f"o{number}", account="paper", instrument=f"NSE:S{number % 50}", product=Product.MIS,
            strategy="S", run="r", cause=f"c{number}", purpose=Purpose.ENTRY, side=Side.BUY, quantity=5,
            order_type=OrderType.MARKET, state=OrderState.SUBMITTED, created_ns=number, updated_ns=number,
            broker_order_id=f"b{number}",
        )  # fmt: skip
        for state in states:
            row = OrderChanged(event=state.value.lower(), order=replace(level, state=state), machine_ns=number)
            yield Entry(OUTPUT, "orders", encode_body(row))


def _append(journal: Journal, rows: Iterator[Entry], count: int) -> None:
    for _ in range(0, count, 1000):
        journal.append(list(islice(rows, 1000)), 1, 1)


def _known(config: RunConfig, path: Path, *, savepoint: bool) -> tuple[float, str]:
    """Processor seconds until all of a file is known, and what is known then."""
    began = time.process_time()
    made = parts(config)
    since: Savepoint | None = fitting(config, "router", made.bound, DAY) if savepoint else None
    assert (since is not None) is savepoint
    if since is not None:
        take_up(made.machine, since.state)
    with without_collections():
        rows = read_segment(path, since.known if since else None)
        Learning(path, made.decode, made.machine.apply, since).take(rows)
    return time.process_time() - began, fingerprint(made.machine)
