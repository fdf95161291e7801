"""The feed's report to screens: subscriptions with who wants them, how far they are, and how old their prices are."""

from __future__ import annotations

from datetime import date, time

import pytest

from mytrading.adapters.openalgo.ws.market_frames import Acknowledged
from mytrading.core.calendar import Calendar
from mytrading.core.feed.instrument_demand import REQUESTED_NS, InstrumentDemand
from mytrading.core.feed.staleness import FeedHealth, StalenessLimits
from mytrading.core.time import SECOND
from mytrading.daemons.feed.report import feed_report
from mytrading.daemons.feed.sources import SourceConnections
from mytrading.messages.run_config import AccountRun, DataRules

SBIN, INFY, TCS = "NSE:SBIN", "NSE:INFY", "NSE:TCS"


@pytest.fixture
def calendar() -> Calendar:
    hours = {"sessions": [{"from": date(2020, 1, 1), "open": time(9, 15), "close": time(15, 30)}], "holidays": ["X"]}
    return Calendar.from_dict({"exchanges": {"NSE": hours}, "holidays": {"X": {}}})


def test_each_subscription_says_who_wants_it_how_far_it_is_and_how_old_its_price_is(calendar: Calendar) -> None:
    sources = tuple(AccountRun(id=name, rest_url="http://x", ws_url="ws://127.0.0.1:1", api_key="k") for name in "ab")
    connections = SourceConnections(sources, DataRules(watch=()), calendar, lambda: None)
    demand, health = InstrumentDemand(["NSE"]), FeedHealth(calendar, StalenessLimits.of(5.0))
    demand.watch([SBIN])
    demand.request([INFY], 0, "engine")
    demand.request([INFY, TCS], 0, "risk")
    demand.set_held("risk", [TCS])
    for name in (SBIN, INFY, TCS):
        connections.subscribe(name)
        health.add(name, 0, 0)
    active, standby = connections.all
    active.on_connected(0)
    active.subscriptions.apply_answer(Acknowledged("", ((SBIN, "Quote"),), ((INFY, "no such symbol"),)), 0)
    for second in (1, 2):
        active.subscriptions.accept_frame(SBIN)
        health.ticked(SBIN, 0, second * SECOND)
    standby.lost_by = "Connection refused"
    report = feed_report(connections, demand, health, 3 * SECOND)
    rows = {row.instrument: row for row in report.subscriptions}
    assert [(row.state, row.ticks, row.age_s) for row in rows.values()] == [
        ("live", 2, 1.0),
        ("refused", 0, None),
        ("waiting", 0, None),
    ]
    assert [row.wanted_by for row in rows.values()] == [("watched",), ("engine", "risk"), ("risk", "position")]
    assert rows[INFY].problem == "no such symbol"
    assert [(one.name, one.active, one.subscribed, one.problem) for one in report.sources] == [
        ("a", True, 1, ""),
        ("b", False, 0, "Connection refused"),
    ]
    later = {row.instrument: row for row in feed_report(connections, demand, health, REQUESTED_NS + 1).subscriptions}
    assert (later[INFY].wanted_by, later[TCS].wanted_by) == ((), ("position",))
