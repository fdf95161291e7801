"""`mytrading calendar confirm`: an operator says that exchanges trade today, in a year whose holidays nobody listed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mytrading.core.time import to_ns
from mytrading.daemons.gateway.daemon import Gateway
from mytrading.messages import ops
from mytrading.messages.control import DayConfirmed
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.host.clock import ClockSegment, MarketClock, machine_now
from tests.kit.feed_process import runtime_folder
from tests.kit.run_configs import run_config

EQUITY = ("NSE", "NFO", "BSE", "BFO", "NSE_INDEX", "BSE_INDEX")


@pytest.fixture
def config(tmp_path: Path) -> Iterator[RunConfig]:
    with runtime_folder() as runtime:
        yield msgspec.structs.replace(run_config(tmp_path), runtime_dir=str(runtime))


@contextmanager
def running(config: RunConfig, day: date) -> Iterator[Gateway]:
    """A gateway at 11:00 of a day."""
    MarketClock((ClockSegment(machine_now(), to_ns(day, time(11, 0)), 1.0),), config.clock_path).mark_seen()
    gateway = Gateway(config)
    gateway.setup()
    yield gateway
    gateway.teardown()
    gateway.context.destroy(linger=0)


def send(gateway: Any, *exchanges: str) -> Any:
    request = ops.DayConfirmCommand(request_id="a", by="asha", exchanges=exchanges, reason="circular")
    return gateway.reply(msgspec.msgpack.encode(request))


def test_word_for_an_exchange_is_journaled_with_its_author_for_all_of_its_holidays(config: RunConfig) -> None:
    with running(config, date(2027, 1, 27)) as gateway:
        written: list[Any] = []
        record = gateway.server._record

        def keep(rows: tuple[Any, ...]) -> None:
            written.extend(rows)
            record(rows)

        gateway.server._record = keep
        found = send(gateway, "nse")
        assert found == ops.DayConfirmTaken(exchanges=EQUITY, day="2027-01-27")
        (row,) = (row for row in written if isinstance(row, DayConfirmed))
        assert (row.exchanges, row.day, row.by, row.reason) == (EQUITY, "2027-01-27", "asha", "circular")


@pytest.mark.parametrize(
    ("day", "exchange", "said"),
    [
        (date(2026, 11, 25), "NSE", "lists the holidays of 2026 for NSE"),
        (date(2027, 1, 26), "NSE", "NSE has no session on 2027-01-26 (Republic Day (provisional))"),
        (date(2027, 1, 30), "MCX", "MCX has no session on 2027-01-30 (weekend)"),
        (date(2027, 1, 27), "NYSE", "expected an exchange of config/calendar.toml (NSE, "),
    ],
)
def test_word_is_refused_where_the_calendar_knows_the_answer(
    config: RunConfig, day: date, exchange: str, said: str
) -> None:
    with running(config, day) as gateway:
        refused = send(gateway, exchange)
        assert isinstance(refused, ops.ErrorReply) and said in refused.error
