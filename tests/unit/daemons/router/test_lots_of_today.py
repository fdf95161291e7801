"""The router takes lots of what is held from the day's list: no command names them before the stop of the morning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.daemons.router.watches import LotWatch
from mytrading.messages.account_events import ContractSizes
from mytrading.messages.codec import StreamDecoder, encode_body
from mytrading.messages.instruments import Instrument, InstrumentKind, InstrumentRefusal, Snapshot
from mytrading.runtime.host.clock import MarketClock
from tests.kit.fake_broker import OrderBench
from tests.kit.oms_protection import PLAN
from tests.kit.run_configs import run_config

LISTED = Instrument(
    id="NFO:A", exchange="NFO", symbol="A", kind=InstrumentKind.FUT, underlying="A", lot_size=75, tick_size=0.05,
    freeze_qty=1800, expiry="2026-12-29",
)  # fmt: skip


class Bench:
    """As much of the router as a watch needs: clock, order machine, journal."""

    name, log = "router", None

    def __init__(self, folder: Path) -> None:
        self.clock = MarketClock.load(folder / "no clock")
        self.bench = OrderBench()
        self.orders: Any = self.bench.machine
        self.taken: list[ContractSizes] = []

    def step(self, stream: str, message: Any, source: str = "", *, keep: bool = False) -> tuple[Any, ...]:
        assert keep, "what decides is journaled, whether anything follows or not"
        assert StreamDecoder(stream).decode_body(encode_body(message)) == message
        self.taken.append(message)
        return tuple(self.bench.step(message))


def listed(file: InstrumentFile, *instruments: Instrument, refusals: tuple[InstrumentRefusal, ...] = ()) -> None:
    file.write(Snapshot(day="2026-11-26", fetched_ns=1, instruments=instruments, refusals=refusals))


def test_new_lot_of_what_is_held_is_taken_once_and_others_are_not(tmp_path: Path) -> None:
    config = run_config(tmp_path)
    router, file, watch = Bench(tmp_path), InstrumentFile(config.state), LotWatch(config)
    router.bench.hold("e1", 65, lot=65, freeze=1755, **PLAN)
    watch.check_file(router)
    assert router.taken == [], "there is no list yet"
    listed(file, replace(LISTED, lot_size=65, freeze_qty=1755), replace(LISTED, id="NFO:B"))
    watch.check_file(router)
    assert router.taken == [], "the lot is that of yesterday, and nothing is held of the other"
    listed(file, LISTED, replace(LISTED, id="NFO:B"))
    for _ in range(3):
        watch.check_file(router)
    assert [row.sizes for row in router.taken] == [{"NFO:A": (75, 1800)}]
    assert router.orders.state.sizes.get("NFO:A") == (75, 1800)


def test_list_that_is_refused_in_part_changes_no_lot(tmp_path: Path) -> None:
    config = run_config(tmp_path)
    router, watch = Bench(tmp_path), LotWatch(config)
    router.bench.hold("e1", 65, lot=65, freeze=1755, **PLAN)
    listed(InstrumentFile(config.state), LISTED, refusals=(InstrumentRefusal(subject="A", reason="lot 75, table 65"),))
    watch.check_file(router)
    assert router.taken == []
