"""The simulator's record: what happened is there, in order, and a change that did not commit left none."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mytrading.core.exchange.model import Account, BookOrder, BookPosition, ExchangeChanges, OrderRequest
from mytrading.messages.enums import BrokerStatus, Product, Side
from mytrading.simulator.faults.registry import FAULTS, Faults
from mytrading.simulator.settings.options import FaultSetting
from mytrading.simulator.venue.event_log import CALL, FAULT, ORDER, POSITION, STARTED, read_events
from mytrading.simulator.venue.store import BookStore

PLACED = BookOrder(
    order_id="1",
    request=OrderRequest(instrument="NSE:SBIN", side=Side.BUY, quantity=5),
    status=BrokerStatus.OPEN,
    day="2026-11-20",
    placed_ns=1,
    updated_ns=1,
)


def test_record_survives_a_second_start_and_keeps_the_order(tmp_path: Path) -> None:
    path = tmp_path / "books.sqlite"
    for _ in range(2):
        store = BookStore(path, record=True)
        assert store.event_log is not None
        store.event_log.log_call("placeorder", 7)
        gone = (("NSE:SBIN", Product.MIS),)
        store.save(ExchangeChanges(orders=(PLACED,), gone=gone, account=Account(capital=1.0)))
        store.close()
    events = list(read_events(path))
    assert [event.kind for event in events] == [STARTED, CALL, ORDER, POSITION] * 2
    assert events[1].machine_ns == 7
    assert events[2].body == PLACED
    assert events[3].body == BookPosition(instrument="NSE:SBIN", product=Product.MIS)


def test_change_that_does_not_commit_leaves_no_record(tmp_path: Path) -> None:
    path = tmp_path / "books.sqlite"
    store = BookStore(path, record=True)
    other = sqlite3.connect(path, timeout=0, isolation_level=None)
    other.execute("CREATE TRIGGER full BEFORE INSERT ON account BEGIN SELECT RAISE(FAIL, 'disk full'); END")
    with pytest.raises(sqlite3.Error):
        store.save(ExchangeChanges(orders=(PLACED,), account=Account(capital=1.0)))
    assert [event.kind for event in read_events(path)] == [STARTED]


def test_each_action_of_a_fault_is_one_event(tmp_path: Path) -> None:
    path = tmp_path / "books.sqlite"
    store, faults = BookStore(path, record=True), Faults()
    assert store.event_log is not None
    faults.on_act = store.event_log.log_fault
    faults.set(FaultSetting("semi_auto", 2, {**FAULTS["semi_auto"].defaults, "side": "BUY"}))
    taken = [faults.fire("semi_auto", side=side, instrument="NSE:SBIN") for side in ("SELL", "BUY", "BUY", "BUY")]
    assert [switch is not None for switch in taken] == [False, True, True, False]
    assert [event.body for event in read_events(path) if event.kind == FAULT] == ["semi_auto", "semi_auto"]


def test_books_without_a_record_have_no_events(tmp_path: Path) -> None:
    BookStore(tmp_path / "books.sqlite").close()
    assert list(read_events(tmp_path / "books.sqlite")) == []
