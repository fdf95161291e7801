"""A router that is killed while it writes a settlement: after the restart all of it is done once, or none of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, get_args

import pytest

from mytrading.core.oms import OrderMachine
from mytrading.core.time import SECOND
from mytrading.messages.codec import StreamDecoder, encode_body
from mytrading.messages.enums import Product
from mytrading.messages.orders import TimerFired
from mytrading.messages.settlements import AdjustRequested, RebuildRequested, SettleRequested
from mytrading.messages.streams import STREAMS, unions
from mytrading.runtime.journal.format import INPUT, OUTPUT, RECORD
from mytrading.runtime.journal.journal import Entry, Journal
from mytrading.runtime.journal.reader import extent_of, frames_from, open_day_file
from tests.kit.fake_broker import ACCOUNT, OrderBench
from tests.kit.hand_settlements import LOT, SHARE, TOMORROW, carried, halt, held
from tests.kit.journal_surgery import stored_rows

STRIDE = 331
"""A kill is tried at each so many bytes of what the settlement wrote, and behind each frame."""
SMALL = 4096
"""Bytes of disk that a journal here keeps aside."""
_STREAM_OF = {kind: stream for stream, union in unions().items() for kind in (get_args(union) or (union,))}
Case = tuple[Callable[[OrderBench], Any], str, Product, tuple[int, float], tuple[int, float]]


def settle(bench: OrderBench) -> Any:
    owner: dict[str, Any] = {"instrument": LOT, "product": Product.NRML, "strategy": "s1"}
    return SettleRequested(id="r1", account=ACCOUNT, at_ns=bench.now, price=90.0, **owner)


def adjust(bench: OrderBench) -> Any:
    owner: dict[str, Any] = {"instrument": SHARE, "product": Product.CNC, "strategy": "s1"}
    return AdjustRequested(id="r1", account=ACCOUNT, at_ns=bench.now, new=2, **owner)


def rebuild(bench: OrderBench) -> Any:
    return RebuildRequested(id="r1", account=ACCOUNT, at_ns=bench.now)


CASES: dict[str, Case] = {
    "settle": (settle, LOT, Product.NRML, (50, 100.0), (0, 0.0)),
    "adjust": (adjust, SHARE, Product.CNC, (50, 100.0), (50, 50.0)),
    "rebuild": (rebuild, LOT, Product.NRML, (50, 100.0), (20, 100.0)),
}
"""Request, instrument, product, what is held before (fifty at 100) and after: nothing, a split in two, twenty of it."""


def decided(rows: Iterable[Any]) -> list[Entry]:
    """Decisions as the router's daemon commits them."""
    streams = ((row, _STREAM_OF[type(row)]) for row in rows)
    return [Entry(OUTPUT if name in STREAMS else RECORD, name, encode_body(row)) for row, name in streams]


def entries(message: Any, rows: list[Any]) -> list[Entry]:
    """A turn of the router as its daemon commits it: the input, and all that was decided on it."""
    return [Entry(INPUT, _STREAM_OF[type(message)], encode_body(message)), *decided(rows)]


def restart(bench: OrderBench, journal: Journal) -> None:
    """What a router does with its rows at a start, a minute later."""
    bench.time += 60 * SECOND
    rows = bench.machine.recover_rows(bench.time, bench.now)
    journal.append(decided(rows), bench.now, bench.time)
    for row in rows:
        bench.machine.apply(row)


def turn(bench: OrderBench, journal: Journal, message: Any) -> None:
    bench.machine.set_machine_time(bench.time)
    journal.append(entries(message, bench.step(message)), bench.now, bench.time)


def next_read(bench: OrderBench, journal: Journal) -> None:
    """Time passes, so that the router asks for the books again; they are read."""
    bench.time += SECOND
    turn(bench, journal, TimerFired(name="router", machine_ns=bench.time))
    bench.time += SECOND // 10
    turn(bench, journal, bench.broker.books(bench.time))


def started(bench: OrderBench, path: Path) -> OrderMachine:
    """A router's machine from the rows of a file."""
    machine = OrderMachine(bench.limits, bench._is_open, bench._squares_off)
    for row in stored_rows(path):
        machine.apply(StreamDecoder(row.stream).decode_body(row.body))
    return machine


def end_of(journal: Journal) -> int:
    """The byte behind the last frame of a journal that is being written."""
    return extent_of(journal.path).end


@pytest.mark.parametrize("kind", CASES)
def test_settlement_is_done_whole_or_not_at_all_wherever_its_writing_was_cut(kind: str, tmp_path: Path) -> None:
    request, instrument, product, before, after = CASES[kind]
    bench = carried(instrument, product)
    if kind == "rebuild":
        bench.broker.net[LOT, Product.NRML] = 20
        halt(bench)
    journal = Journal(tmp_path / "whole", "router", TOMORROW, SMALL)
    opened = bench.machine.snapshot(TOMORROW)
    journal.append([Entry(RECORD, "records", encode_body(opened))], bench.now, bench.time)
    bench.machine = started(bench, journal.path)
    began = end_of(journal)
    asked = request(bench)
    turn(bench, journal, asked)
    while "r1" not in bench.machine.state.answered:
        next_read(bench, journal)
    assert bench.machine.state.answered["r1"].ok, bench.machine.state.answered["r1"].message
    assert held(bench, instrument, product) == after
    ended, whole = end_of(journal), journal.path.read_bytes()
    journal.close()
    seen, at = set(), bench.time
    with open_day_file(journal.path) as file:
        frames = [frame.end for frame in frames_from(file) if frame.end >= began]
    for cut in sorted({*range(began, ended, STRIDE), *frames}):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / journal.path.name).write_bytes(whole[:cut] + bytes(min(SMALL, len(whole) - cut)))
        again = Journal(folder, "router", TOMORROW, SMALL)
        bench.machine, bench.time = started(bench, again.path), at
        state, there = bench.machine.state, held(bench, instrument, product)
        done = "r1" in state.answered
        assert there == (after if done else before), f"cut at byte {cut}: half of it was done"
        seen.add((done, "r1" in state.settlements))
        restart(bench, again)
        if not done and "r1" not in state.settlements:
            turn(bench, again, asked)  # it is read again where it was published
        for _ in range(3):
            next_read(bench, again)
        assert held(bench, instrument, product) == after and bench.machine.state.answered["r1"].ok
        again.close()
    assert seen == {(False, False), (False, True), (True, False)}, "the kills met all that lies between the rows"
