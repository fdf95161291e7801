"""Delays of a recorded day, from rows read and when they were written; and signals that a backtest cannot have."""

from __future__ import annotations

import time
from pathlib import Path

from mytrading.backtest.parity.explain import Explainer
from mytrading.backtest.parity.facts import Absence, DayFacts, DaySide
from mytrading.backtest.parity.recorded_day import BEHIND_NS, lag_spans, read_day
from mytrading.core.time import SECOND
from mytrading.core.webhooks.authentication import AlertRequest
from mytrading.messages.codec import NO_HASH
from mytrading.messages.signals import Signal
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.journal.journal import INPUT, OUTPUT, Row
from tests.kit.webhook_process import webhook_process
from tests.kit.webhooks import TOKEN, webhook

SPEED = 10


def row(kind: int, number: int, machine_ns: int, source: str = "") -> Row:
    return Row(
        number, 1, kind, "orders", number if kind == OUTPUT else 0, source, 1 if source else 0,
        number if source else 0, NO_HASH, SPEED * machine_ns, machine_ns, b"", NO_HASH,
    )  # fmt: skip


def day(*times: tuple[int, int]) -> dict[str, list[Row]]:
    """The router's rows and the engine's reading of them: when written, when read."""
    return {
        "router": [row(OUTPUT, number, wrote) for number, (wrote, _) in enumerate(times, 1)],
        "engine": [row(INPUT, number, read, "router") for number, (_, read) in enumerate(times, 1)],
    }


def test_rows_read_late_make_one_span_of_market_time() -> None:
    rows = day((5 * SECOND, 5 * SECOND + 1), (10 * SECOND, 14 * SECOND), (12 * SECOND, 14 * SECOND + 1))
    assert lag_spans(rows) == [Absence("engine", 100 * SECOND, SPEED * (14 * SECOND + 1))]


def test_rows_read_in_time_say_nothing() -> None:
    assert lag_spans(day((SECOND, SECOND + BEHIND_NS - 1))) == []


def test_two_freezes_are_two_spans() -> None:
    rows = day((10 * SECOND, 14 * SECOND), (20 * SECOND, 23 * SECOND))
    assert [(one.from_ns, one.until_ns) for one in lag_spans(rows)] == [
        (100 * SECOND, 140 * SECOND), (200 * SECOND, 230 * SECOND),
    ]  # fmt: skip


def test_rows_of_a_daemon_whose_journal_is_not_there_say_nothing() -> None:
    assert lag_spans({"engine": day((SECOND, 9 * SECOND))["engine"]}) == []


def test_signal_of_a_webhook_is_explained_by_its_journal(tmp_path: Path) -> None:
    with webhook_process(tmp_path, {"alerts": webhook().file}) as receiver:
        body = b'{"symbol": "SBIN", "action": "buy"}'
        answer = receiver._alert(AlertRequest(TOKEN, body, "::1", machine_now(), time.time_ns()))
        record = read_day(receiver.config, receiver.journal.day)
    ((name, signal),) = record.side.signals.items()
    assert (name, signal.strategy, type(signal)) == (answer.body["signal"], "alerts", Signal)
    assert record.side.from_outside == {name}
    (found,) = Explainer(record.side, DaySide(), DayFacts()).explain_day()
    assert (found.kind, found.cause.value, "a webhook" in found.why) == ("signal", "person", True)
