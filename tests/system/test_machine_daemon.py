"""Journals that went wrong under the router: said, doubted, never guessed over, and a person's `resume` ends it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mytrading.messages.codec import StreamDecoder, encode_body
from mytrading.messages.control import TradingState
from mytrading.messages.enums import TradingLevel
from mytrading.messages.orders import OrderChanged
from mytrading.messages.run_config import RunConfig, write_run_config
from mytrading.runtime.journal.journal import INPUT, OUTPUT, Entry, Journal, JournalReader, Row, read_segment, segments
from tests.kit.feed_process import feed_config, runtime_folder
from tests.kit.journal_surgery import change, remove, write_over
from tests.kit.router_bench import Bench
from tests.kit.waiting import eventually

pytestmark = pytest.mark.timeout(240)
DAY = "2026-11-20"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A router with nobody to trade at: what is commanded waits, and its journal is all that counts."""
    with runtime_folder() as runtime, ExitStack() as stack:
        config = feed_config(tmp_path / "run", runtime, "http://127.0.0.1:9", "ws://127.0.0.1:9", ("NSE:SBIN",))
        Path(config.state_dir).mkdir(parents=True, exist_ok=True)
        write_run_config(Path(config.state_dir) / "run.msgpack", config)
        yield Bench(config, stack)


def rows(config: RunConfig, daemon: str) -> list[Row]:
    return [row for path in segments(config.journal_dir(daemon)) for row in read_segment(path)]


def orders(config: RunConfig) -> int:
    """Orders that the router knows."""
    read = JournalReader(config.journal_dir("router"), "orders").read(0)
    found = [StreamDecoder("orders").decode_body(row.body) for row in read]
    return len({row.order.client_order_id for row in found if isinstance(row, OrderChanged)})


def commands_read(config: RunConfig) -> int:
    """Rows of risk that the router has taken in."""
    return len({row.source_seq for row in rows(config, "router") if row.kind == INPUT and row.source == "risk"})


def events(config: RunConfig) -> list[str]:
    """Order events of the router's journal."""
    read = JournalReader(config.journal_dir("router"), "orders").read(0)
    found = [StreamDecoder("orders").decode_body(row.body) for row in read]
    return [row.event for row in found if isinstance(row, OrderChanged)]


def as_read(row: Row) -> Entry:
    """A row of the router as risk's journal holds it."""
    return Entry(INPUT, row.stream, row.body, "router", row.epoch, row.stream_seq, row.hash)


def said(bench: Bench, code: str) -> bool:
    return code in bench.log.read_text()


def newest(config: RunConfig, daemon: str) -> Path:
    return segments(config.journal_dir(daemon))[-1]


def resume(bench: Bench) -> None:
    """Resume a scope, as the gateway writes it for a person."""
    gateway = Journal(bench.config.journal_dir("gateway"), "gateway", DAY)
    state = TradingState(level=TradingLevel.NORMAL, generation=1, reason="looked", at_ns=1)
    gateway.append([Entry(OUTPUT, "control", encode_body(state))], 1, 1)
    gateway.close()


def test_row_of_an_upstream_that_cannot_be_read_stops_its_reading_until_a_person_resumes(bench: Bench) -> None:
    bench.start("router")
    bench.command_a_resting_entry()
    eventually(lambda: orders(bench.config) == 1, 15)
    good = rows(bench.config, "risk")[0].body
    bench.risk.append([Entry(OUTPUT, "commands", b"\xc1" * len(good))], 1, 1)
    bench.command_a_resting_entry("e2")
    eventually(lambda: said(bench, "UPSTREAM_UNREADABLE"), 15)
    assert commands_read(bench.config) == 1
    write_over(newest(bench.config, "risk"), lambda row: row.stream_seq == 2, good)
    resume(bench)
    eventually(lambda: orders(bench.config) == 2, 15)
    assert commands_read(bench.config) == 3


def test_own_journal_with_a_changed_row_is_moved_aside_and_learnt_again_from_its_readers(bench: Bench) -> None:
    router = bench.start("router")
    bench.command_a_resting_entry()
    eventually(lambda: orders(bench.config) == 1, 15)
    router.kill()
    router.wait()
    path = newest(bench.config, "router")
    known = JournalReader(bench.config.journal_dir("router"), "orders").read(0)
    change(path, lambda row: row.seq == 2, market_ns=1, body=b"\0")
    bench.risk.append([as_read(row) for row in known], 1, 1)
    assert bench.start("router").wait(15) == 70
    assert f"{path.name}: row 2 " in bench.log.read_text()
    assert [found.name for found in (path.parent / "damaged").glob("*.journal")] == [f"{path.stem}-1.journal"]
    bench.start("router")
    eventually(lambda: said(bench, "JOURNAL_REBUILT"), 15)
    eventually(lambda: "restored" in events(bench.config), 15)
    assert orders(bench.config) == 1
    resume(bench)
    bench.command_a_resting_entry("e2")
    eventually(lambda: orders(bench.config) == 2, 15)


def test_killed_router_goes_on_from_its_journal_and_repeats_nothing(bench: Bench) -> None:
    router = bench.start("router")
    for number in range(5):
        bench.command_a_resting_entry(f"e{number}")
    eventually(lambda: orders(bench.config) == 5, 15)
    before = events(bench.config)
    router.kill()
    router.wait()
    bench.start("router")
    bench.command_a_resting_entry("e5")
    eventually(lambda: orders(bench.config) == 6, 15)
    placed = [event for event in events(bench.config) if event == "initialized"]
    assert len(placed) == len([event for event in before if event == "initialized"]) + 1


def test_tail_of_its_own_that_was_lost_begins_an_epoch_above_what_was_seen(bench: Bench) -> None:
    router = bench.start("router")
    bench.command_a_resting_entry()
    eventually(lambda: orders(bench.config) == 1, 15)
    written = JournalReader(bench.config.journal_dir("router"), "orders").read(0)[-1]
    seen = Entry(INPUT, "orders", written.body, "router", written.epoch, written.stream_seq + 3, b"12345678")
    bench.risk.append([seen], 1, 1)
    router.kill()
    router.wait()
    bench.start("router")
    eventually(lambda: said(bench, "JOURNAL_TAIL_LOST"), 15)
    bench.command_a_resting_entry("e2")
    eventually(lambda: orders(bench.config) == 2, 15)
    fresh = [row for row in rows(bench.config, "router") if row.epoch == 2 and row.kind == OUTPUT]
    assert {row.stream_seq > written.stream_seq + 3 for row in fresh if row.stream == "orders"} == {True}


def test_rows_that_an_upstream_lost_are_noticed_by_their_reader(bench: Bench) -> None:
    router = bench.start("router")
    for name in ("e1", "e2", "e3"):
        bench.command_a_resting_entry(name)
    eventually(lambda: commands_read(bench.config) == 3, 15)
    router.kill()
    router.wait()
    remove(newest(bench.config, "risk"), lambda row: row.stream_seq == 3)
    bench.start("router")
    eventually(lambda: said(bench, "UPSTREAM_LOST_ROWS"), 15)
    assert "agrees only up to 2" in bench.log.read_text()
