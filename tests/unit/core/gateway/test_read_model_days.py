"""Screens at the turn of a day while the stack runs on, and of positions carried into a day."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from mytrading.core.gateway.read_model import StackView
from mytrading.core.time import DAY
from mytrading.messages.codec import encode_body
from mytrading.messages.enums import Product, Side
from mytrading.messages.journal_rows import DayOpened, DaySealed
from mytrading.messages.orders import Position, PositionAdjusted, PositionChanged, Protection
from mytrading.runtime.journal.journal import OUTPUT, RECORD, Entry, Journal
from mytrading.runtime.journal.reader import JournalTail

OWNER = {"account": "main", "product": Product.NRML, "strategy": "S", "run": "r"}
HELD = Position(**OWNER, instrument="NSE:SBIN", quantity=10, quantity_seen=10, realised=-5.0, bought=20, sold=10)
FLAT = Position(**OWNER, instrument="NSE:INFY", realised=-1183.0, bought=10, sold=10)
STOP = Protection(**OWNER, instrument="NSE:SBIN", id="p", cause="e", side=Side.SELL, trigger=98.0, limit=97.0)
NOON = 1_795_500_000_000_000_000 // DAY * DAY + DAY // 4
"""UTC, so that it is 11:30 in India."""


def changed(position: Position) -> PositionChanged:
    return PositionChanged(position=position, client_order_id="e", fill_quantity=1, fill_price=1.0, at_ns=0)


def test_profit_of_the_day_before_counts_no_more_when_the_stack_runs_into_the_next() -> None:
    view = StackView()
    view.advance_to(NOON)
    for position in (HELD, FLAT):
        view.apply(changed(position))
    view.advance_to(NOON + DAY // 2 - DAY // 4)
    assert view.realised() == -1188.0, "17:30 of the same day"
    view.advance_to(NOON + DAY)
    assert view.realised() == 0.0
    assert view.open_positions() == [replace(HELD, realised=0.0, bought=0, sold=0)]
    view.apply(changed(replace(HELD, quantity=0, quantity_seen=0, realised=7.0)))
    view.advance_to(NOON)
    assert view.realised() == 7.0, "market time that goes back, as a replay's, forgets nothing"


def test_position_corrected_yesterday_says_nothing_of_today_once_it_is_closed() -> None:
    view = StackView()
    view.advance_to(NOON)
    row = PositionAdjusted(position=FLAT, cause="expiry", quantity=-10, price=0.0, at_ns=0)
    view.apply(row)
    assert view.adjusted
    view.advance_to(NOON + DAY)
    assert not view.adjusted


@pytest.mark.parametrize("since", [0, 15, 35])
def test_position_of_days_ago_is_shown_by_a_gateway_that_starts_today(tmp_path: Path, since: int) -> None:
    """Its last row is two files back, and the gateway reads the newest: it was held, and shown nowhere."""
    journal = Journal(tmp_path, "router", "2026-11-23", 4096)
    journal.append([Entry(OUTPUT, "orders", encode_body(changed(one)), machine_ns=10) for one in (HELD, FLAT)], NOON, 1)
    for number, day in enumerate(("2026-11-24", "2026-11-25"), 2):
        opened = DayOpened(day=day, positions=(replace(HELD, realised=0.0),), protections=(STOP,))
        rows = [Entry(RECORD, "records", encode_body(opened), machine_ns=number * 10)]
        seal = Entry(RECORD, "records", encode_body(DaySealed(day="", next_day=day, at_ns=0)))
        journal.roll(day, {}, seal, rows, NOON, 1)
    view = StackView()

    tail = JournalTail(tmp_path, "orders", lambda row, message: view.apply(message, row.machine_ns), carried=True)
    tail.start(since)
    assert [position.instrument for position in view.open_positions()] == ["NSE:SBIN"]
    assert view.stop_of(HELD)["stop"] == 98.0
    assert view.realised() == 0.0


def test_what_another_writer_carried_is_not_handed_over_unasked(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "engine", "2026-11-23", 4096)
    journal.append([Entry(RECORD, "records", encode_body(DayOpened(day="", positions=(HELD,))))], NOON, 1)
    reported: list[object] = []
    JournalTail(tmp_path, "signals", lambda _, message: reported.append(message)).start(0)
    assert reported == []
