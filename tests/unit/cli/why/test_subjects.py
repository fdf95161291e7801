"""`why` of positions, closed trades and alerts, which have no id of their own: their orders, or that none led there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mytrading.cli.why.command import Step, order_chain
from mytrading.core.time import SECOND
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.codec import encode_body
from mytrading.messages.control import Alert, ClaimRequested
from mytrading.messages.enums import Action, Product, Severity
from mytrading.messages.orders import GoalChanged, OrderChanged, PositionAdjusted, PositionChanged
from mytrading.messages.run_config import RunConfig
from mytrading.messages.signals import Leg, Signal
from mytrading.runtime.journal.journal import INPUT, OUTPUT, Entry, Journal
from tests.kit.fake_broker import ACCOUNT, OrderBench
from tests.kit.run_configs import run_config

POSITION = f"{ACCOUNT}|MIS|NFO:A|s1"
ROUTER = (OrderChanged, GoalChanged, PositionChanged, PositionAdjusted, UnmanagedChanged)


@pytest.fixture
def bench() -> OrderBench:
    return OrderBench()


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return run_config(tmp_path)


def write(config: RunConfig, daemon: str, rows: Sequence[Any], kind: int, stream: str, at: int = 0) -> None:
    """Journal rows of a daemon, one a millisecond from `at` (ms)."""
    journal = Journal(config.journal_dir(daemon), daemon, "2026-11-20")
    for number, row in enumerate(rows, at + 1):
        journal.append([Entry(kind, stream, encode_body(row))], number, number)
    journal.close()


def chain(config: RunConfig, bench: OrderBench, wanted: str) -> list[Step]:
    """The chain, once what the order machine decided is in the router's journal."""
    write(config, "router", [row for row in bench.rows if isinstance(row, ROUTER)], OUTPUT, "orders")
    return order_chain(config, wanted)


def subjects(steps: list[Step]) -> set[str]:
    return {step.subject for step in steps} - {""}


def round_trip(bench: OrderBench, name: str) -> int:
    """Enter and leave again; the market time of the end."""
    bench.hold(name)
    bench.time += SECOND
    bench.close(f"{name}-out")
    placed = bench.accept()
    bench.broker.trade(placed, 50, 101.0)
    bench.report(placed)
    bench.read()
    assert bench.position().quantity == 0
    (closed,) = [row.at_ns for row in bench.rows if isinstance(row, PositionChanged) and not row.position.quantity][-1:]
    return closed


def alert(code: str, subject: str, message: str, daemon: str = "router") -> Alert:
    return Alert(
        code=code, severity=Severity.CRITICAL, subject=subject, message=message, daemon=daemon, first_ns=1, last_ns=1
    )


def test_chain_of_a_position_holds_its_orders_since_it_was_flat(config: RunConfig, bench: OrderBench) -> None:
    round_trip(bench, "e1")
    bench.hold("e2")
    assert subjects(chain(config, bench, POSITION)) == {"e2"}


def test_chain_of_a_closed_trade_holds_the_orders_of_its_round_trip(config: RunConfig, bench: OrderBench) -> None:
    closed = round_trip(bench, "e1")
    round_trip(bench, "e2")
    found = subjects(chain(config, bench, f"run1|{POSITION}|{closed}"))
    assert {"e1", "e1-out"} < found and not found & {"e2", "e2-out"} and len(found) == 3


def test_units_from_elsewhere_say_that_no_order_led_to_them_and_the_claim_that_gave_them_over(
    config: RunConfig, bench: OrderBench
) -> None:
    bench.read()
    bench.broker.by_hand(10)
    for _ in range(4):
        bench.tick(5 * SECOND)
        bench.read()
    claim = ClaimRequested(
        id="c1", account=ACCOUNT, instrument="NFO:A", product=Product.MIS, strategy="s1", at_ns=1, price=100.0
    )
    bench.step(claim)
    bench.tick(SECOND)
    bench.read()
    write(config, "gateway", [claim], OUTPUT, "control")
    steps = chain(config, bench, POSITION)
    assert [step.kind for step in steps][:2] == ["operator", "fill"] and "without an order: claim" in steps[1].what
    found = order_chain(config, f"{ACCOUNT}|MIS|NFO:A|(unmanaged)")
    assert found and "no order of this stack led to" in found[0].what


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (alert("ORDER_LOST", "e1", "the order e1 is lost"), {"e1"}),
        (alert("STOP_UNCERTAIN", f"s1 NFO:A {ACCOUNT}", "its stop is in doubt", "risk"), {"e1"}),
        (alert("STRATEGY_FAULTED", "s1", "ZeroDivisionError", "engine"), {"signal-e1", "e1"}),
        (alert("FEED_ON_BACKUP", "feed", "the first connection is mute", "feed"), set()),
    ],
)
def test_alert_leads_to_what_it_names_or_stands_alone(
    config: RunConfig, bench: OrderBench, raised: Alert, expected: set[str]
) -> None:
    bench.hold("e1")
    signal = Signal(
        id="signal-e1", strategy="s1", watch="NFO:A", action=Action.BUY, legs=(Leg(instrument="NFO:A", lots=1),),
        created_ns=1, expires_ns=9, expires_machine_ns=9,
    )  # fmt: skip
    write(config, "engine", [signal], OUTPUT, "signals")
    write(config, "gateway", [raised], INPUT, "status", at=900)
    steps = chain(config, bench, f"{raised.daemon}|{raised.code}|{raised.subject}")
    assert subjects(steps) >= expected and [step for step in steps if step.kind == "alert"]
    assert (steps[-1].kind == "alone") is not bool(expected)


def test_row_that_no_journal_knows_has_no_chain(config: RunConfig, bench: OrderBench) -> None:
    bench.hold("e1")
    assert chain(config, bench, f"{ACCOUNT}|MIS|NFO:B|s1") == []
    assert [order_chain(config, wanted) for wanted in ("router|ORDER_LOST|nothing", "||", "a|b")] == [[], [], []]
