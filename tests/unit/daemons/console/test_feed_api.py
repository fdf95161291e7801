"""The feed monitor's subscriptions: the feed's own report, with the names of who wants what."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mytrading.daemons.console import feed_api
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.control import FeedReport, FeedSource, FeedSubscription
from mytrading.messages.enums import Product
from mytrading.runtime.host.clock import machine_now
from tests.kit.console_browser import ConsoleOfTest


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleOfTest]:
    made = ConsoleOfTest(tmp_path_factory.mktemp("console"))
    yield made
    made.stop()


def test_who_wants_an_instrument_is_named_by_setting_strategy_and_screen(console: ConsoleOfTest) -> None:
    run = console.config.strategies[0]
    watched, shown = run.symbols[0], "NFO:NIFTY01DEC2626000CE"
    live = {"state": "live", "mode": "Quote", "problem": ""}

    def report() -> FeedReport:
        source = FeedSource(
            name="main", active=True, connected=True, condition="well", age_s=0.2, subscribed=2, ticked=1,
            connections=3, problem="",
        )  # fmt: skip
        rows = (
            FeedSubscription(instrument=watched, wanted_by=("watched", "risk"), ticks=7, age_s=0.4, **live),
            FeedSubscription(instrument=shown, wanted_by=("gateway",), ticks=0, age_s=None, **live),
            FeedSubscription(instrument="NSE:SBIN", wanted_by=("gateway",), ticks=0, age_s=None, **live),
        )
        return FeedReport(at_machine_ns=machine_now(), sources=(source,), subscriptions=rows)

    console.gateway.server.context.leases.renew("console NIFTY:2026-12-01-4711", [shown], machine_now())
    by_hand = UnmanagedChanged(account="main", instrument="NSE:SBIN", product=Product.MIS, quantity=5, at_ns=1)
    console.gateway.server.context.view.apply(by_hand)
    console.gateway.feed = report
    found = console.browser("asha").get("/api/feed/subscriptions").json()
    assert [(row["instrument"], row["ticks"], row["age_s"]) for row in found["subscriptions"]] == [
        (watched, 7, 0.4),
        (shown, 0, None),
        ("NSE:SBIN", 0, None),
    ]
    wanted = [row["wanted_by"] for row in found["subscriptions"]]
    assert run.name in wanted[0] and wanted[0][-1] == "risk" and "watched" not in wanted[0]
    assert wanted[1:] == [["screen console NIFTY:2026-12-01"], ["(unmanaged)"]]
    assert found["sources"][0]["connections"] == 3


def test_feed_that_does_not_answer_is_said_to_be_silent_and_nothing_old_is_shown(
    console: ConsoleOfTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    console.gateway.feed = None
    console.gateway.server.context.feed.newest = FeedReport(at_machine_ns=1, sources=(), subscriptions=())
    monkeypatch.setattr(feed_api, "ANSWER_S", 0.2)
    done = console.browser("asha").get("/api/feed/subscriptions")
    assert (done.status_code, done.json()["code"]) == (503, "STACK_SILENT")
