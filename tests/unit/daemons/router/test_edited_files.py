"""A router whose files are edited in the middle of a day: `journal verify` decides each input on what counted then."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from mytrading.core.time import DAY, to_ns
from mytrading.daemons.router.daemon import TradeManager
from mytrading.messages.codec import Frame
from mytrading.messages.commands import PlaceEntry
from mytrading.messages.control import DayTraded
from mytrading.messages.enums import OrderType, Product, Purpose, Side
from mytrading.messages.orders import OrderChanged
from mytrading.messages.run_config import RunConfig
from mytrading.operations.journal_verify import redecide
from mytrading.runtime.daemon.live_files import accepted_folder
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.journal.journal import segments
from mytrading.runtime.journal.reader import read_segment
from mytrading.runtime.recovery.journal_rebuild import set_aside
from tests.kit.feed_process import runtime_folder
from tests.kit.journal_surgery import change, remove
from tests.kit.project import ROOT
from tests.kit.run_configs import run_config

LAST_SECONDS = to_ns(date(2026, 11, 23), time(15, 14, 50))
"""Ten seconds before the venue closes MIS: nothing of it is sent, unless the day is none of trading."""

NO_DAY = ("[holidays.NSE]\n", '[holidays.NSE]\n2026-11-23 = "a test"\n')
STILL = ["initialized", "denied"]
PLACED = ["initialized"]
"""State of an order that waits for the mode of the server, which is not read here."""


@pytest.fixture
def config(tmp_path: Path) -> Iterator[RunConfig]:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    with runtime_folder() as runtime:
        config = msgspec.structs.replace(run_config(tmp_path), home=str(tmp_path), runtime_dir=str(runtime))
        venue = msgspec.structs.replace(config.venue, rest_url="http://127.0.0.1:1")
        yield msgspec.structs.replace(config, venue=venue)


def stop_clock(router: TradeManager, now: int) -> None:
    """Stop the market clock at this time."""
    router.clock.now = lambda: now  # type: ignore[method-assign]
    router.clock.market_and_machine_now = lambda: (now, machine_now())  # type: ignore[method-assign]


@contextmanager
def running(config: RunConfig, now: int = LAST_SECONDS) -> Iterator[TradeManager]:
    """A router at a market time, which talks to nobody."""
    with ExitStack() as stack:
        router = TradeManager(config)
        stack.callback(router.context.destroy, linger=0)
        stop_clock(router, now)
        router.setup()
        stack.callback(router.teardown)
        yield router


def edit(config: RunConfig, file: str, before: str, after: str) -> None:
    path = config.calendar_path.with_name(file)
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def look(router: TradeManager) -> None:
    """Look at edited files."""
    router.edits.poll()


def entered(router: TradeManager, name: str) -> list[str]:
    """The events that a command for an intraday entry leads to at once."""
    command = PlaceEntry(
        id=name, account="paper", instrument="NSE:SBIN", product=Product.MIS, strategy="T", run="r1", cause=name,
        purpose=Purpose.ENTRY, side=Side.BUY, quantity=10, order_type=OrderType.LIMIT, price=900.0,
        expires_ns=1 << 62, expires_machine_ns=1 << 62, reference_price=988.0, trace_ns=0,
    )  # fmt: skip
    rows = router.step("commands", command, source="risk")
    return [row.event for row in rows if isinstance(row, OrderChanged)]


def judged(config: RunConfig, since: int = 0) -> tuple[int, list[str]]:
    """Decide all inputs of the day files again, or of those from one on; return their number and the differences."""
    found = redecide(config, segments(config.journal_dir("router"))[since:]).values()
    return sum(each.inputs for each in found), [each.problem for each in found if each.problem]


def test_edit_in_the_middle_of_a_day_counts_again_from_where_it_was_taken(config: RunConfig) -> None:
    with running(config) as router:
        assert entered(router, "before") == STILL
        edit(config, "calendar.toml", *NO_DAY)
        look(router)
        assert entered(router, "after") == PLACED
    inputs, problems = judged(config)
    assert (inputs >= 2, problems) == (True, [])


def test_edit_of_either_file_while_the_router_was_away_counts_from_its_start_on(config: RunConfig) -> None:
    with running(config) as router:
        assert entered(router, "before") == STILL
    edit(config, "calendar.toml", *NO_DAY)
    with running(config) as router:
        assert entered(router, "no trading") == PLACED
    edit(config, "calendar.toml", *reversed(NO_DAY))
    edit(config, "instruments.toml", "NSE = 15:15:00", "NSE = 15:25:00")
    with running(config) as router:
        assert entered(router, "later square-off") == PLACED
    edit(config, "instruments.toml", "NSE = 15:25:00", "NSE = 15:15:00")
    inputs, problems = judged(config)
    assert (inputs >= 3, problems) == (True, [])


def test_file_of_a_new_day_holds_what_counts_without_the_days_before(config: RunConfig) -> None:
    edit(config, "calendar.toml", *NO_DAY)
    with running(config, LAST_SECONDS - DAY) as router:
        stop_clock(router, LAST_SECONDS)
        router._each_second()
        assert entered(router, "after") == PLACED
    edit(config, "calendar.toml", *reversed(NO_DAY))
    assert len(segments(config.journal_dir("router"))) == 2
    inputs, problems = judged(config, since=1)
    assert (inputs >= 1, problems) == (True, [])


@pytest.mark.parametrize("rebuilt", [True, False])
def test_decisions_that_a_damaged_journal_lost_are_no_difference_and_others_that_lack_are(
    config: RunConfig, rebuilt: bool
) -> None:
    edit(config, "calendar.toml", *NO_DAY)
    with running(config) as router:
        assert entered(router, "before") == PLACED
        last = router.journal.size
    (path,) = segments(config.journal_dir("router"))
    if rebuilt:
        change(path, lambda row: row.seq == last, body=b"\0")
        set_aside(config.journal_dir("router"), f"row {last} is bad")
        with running(config) as router:
            assert entered(router, "again") == PLACED
    else:
        remove(path, lambda row: row.seq == last)
    inputs, problems = judged(config)
    assert inputs >= 1
    if rebuilt:
        assert problems == []
    else:
        assert ["leads to 1 rows, the journal holds 0" in problem for problem in problems] == [True]


def test_verify_reads_what_was_taken_while_the_file_is_broken_and_writes_nothing(config: RunConfig) -> None:
    with running(config) as router:
        assert entered(router, "before") == STILL
    edit(config, "calendar.toml", *NO_DAY)
    kept = accepted_folder(config.state) / "calendar.toml"
    before = kept.read_text(encoding="utf-8")
    for broken in (False, True):
        if broken:
            edit(config, "calendar.toml", "[exchanges.NSE]", "[exchanges.NSE")
        assert judged(config)[1] == []
        assert kept.read_text(encoding="utf-8") == before


def test_traded_price_of_a_day_that_may_be_a_holiday_survives_a_restart_and_is_verified(config: RunConfig) -> None:
    """The feed repeats it each second; it is journaled once, and a restart must not hold stops back again."""
    noon = to_ns(date(2027, 1, 27), time(12, 0))
    level = DayTraded(daemon="feed", day="2027-01-27", exchanges={"NSE": "NSE:SBIN"})
    frame = cast(Frame, SimpleNamespace(message=level))
    with running(config, noon) as router:
        assert router.orders.state.traded_days == {}
        for _ in range(5):
            router._on_status(frame)
        assert entered(router, "after") == PLACED
    with running(config, noon) as router:
        assert router.orders.state.traded_days == {"NSE": "2027-01-27"}
    (file,) = segments(config.journal_dir("router"))
    assert sum(b"day_traded" in row.body for row in read_segment(file)) == 1
    inputs, problems = judged(config)
    assert (inputs >= 2, problems) == (True, [])
