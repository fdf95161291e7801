"""Which broker a source of market data has behind it, and the row of the table that holds for it."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path
from unittest.mock import Mock

import pytest
from structlog.testing import capture_logs

from mytrading.adapters.openalgo.ws.connection import Connected
from mytrading.core.calendar import Calendar
from mytrading.core.feed.instrument_demand import InstrumentDemand
from mytrading.core.feed.staleness import FeedHealth, StalenessLimits
from mytrading.daemons.feed.report import feed_report
from mytrading.daemons.feed.sources import SourceConnections
from mytrading.daemons.feed.supervisor import SourceSupervisor
from mytrading.messages.brokers import UNLISTED, UNNAMED, BrokerRules, FeedRules
from mytrading.messages.reports import AccountHealth
from mytrading.messages.run_config import AccountRun, DataRules

ALPHA = BrokerRules(name="alpha", aliases=("alpha one",), feed=FeedRules(republishes=True))
BETA = BrokerRules(name="beta", feed=FeedRules(has_depth=False))


class Bench:
    """Two sources, `one` and `two`, of a run whose table has two brokers."""

    def __init__(self, state: Path) -> None:
        hours = {"sessions": [{"from": date(2020, 1, 1), "open": time(9, 15), "close": time(15, 30)}], "holidays": []}
        calendar = Calendar.from_dict({"exchanges": {"NSE": hours}, "holidays": {}})
        sources = tuple(
            AccountRun(id=name, rest_url="http://x", ws_url=f"ws://{name}:1", api_key="k") for name in ("one", "two")
        )
        table = {row.name: row for row in (ALPHA, BETA)}
        self.connections = SourceConnections(sources, DataRules(watch=()), calendar, lambda: None, table)
        self.health = FeedHealth(calendar, StalenessLimits.of(5.0))
        rest = (Mock() for _ in range(5))
        self.supervisor = SourceSupervisor(self.connections, self.health, *rest, state)
        self.one, self.two = self.connections.all

    def ping(self, account: str, broker: str, *, down: bool = False) -> None:
        """The reconciler's report on an account, as it comes once a second."""
        health = AccountHealth(
            account=account, connected=not down, right_mode=True, stream_up=True, books_agree=True, broker=broker,
            ping_down=down,
        )  # fmt: skip
        self.supervisor.on_account_health(health, 1)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_source_has_the_cautious_row_until_its_server_has_named_a_broker_and_then_its_own(bench: Bench) -> None:
    assert (bench.one.rules, bench.two.rules) == (UNLISTED, UNLISTED)
    bench.ping("one", "")
    bench.ping("one", UNNAMED)
    assert (bench.one.broker, bench.one.rules) == ("", UNLISTED)
    bench.ping("one", "Alpha One ")
    assert (bench.one.broker, bench.one.rules) == ("alpha one", ALPHA)
    assert bench.two.rules is UNLISTED, "the other source has a server and a broker of its own"
    bench.ping("two", "beta")
    assert (bench.one.rules, bench.two.rules) == (ALPHA, BETA)
    bench.ping("nobody's", "beta")
    assert bench.one.rules is ALPHA


def test_source_whose_pings_fail_keeps_the_row_of_its_broker(bench: Bench) -> None:
    bench.ping("one", "alpha")
    bench.ping("one", "alpha", down=True)
    assert bench.one.is_down(2)
    bench.ping("one", "", down=True)
    assert bench.one.rules is ALPHA


def test_broker_that_the_table_has_not_gets_the_cautious_row_again(bench: Bench) -> None:
    bench.ping("one", "alpha")
    bench.ping("one", "gamma")
    assert (bench.one.broker, bench.one.rules) == ("gamma", UNLISTED)


def test_socket_names_the_broker_before_the_first_frame_until_a_ping_has(bench: Bench) -> None:
    bench.supervisor.on_connection_event(bench.two, Connected(1, 0, "beta"))
    assert bench.two.rules is BETA
    bench.ping("two", "")
    assert bench.two.rules is BETA, "a ping that was not answered yet says nothing"
    bench.ping("two", "alpha")
    bench.supervisor.on_connection_event(bench.two, Connected(2, 0, "beta"))
    assert bench.two.rules is ALPHA, "the ping's word holds"


def test_change_of_a_sources_broker_is_logged_once_with_the_one_before(bench: Bench) -> None:
    with capture_logs() as logs:
        for broker in ("alpha", "alpha", "gamma", "gamma"):
            bench.ping("one", broker)
    rows = [(row["log_level"], row["source"], row["broker"], row["listed"], row["before"]) for row in logs]
    assert rows == [("info", "one", "alpha", True, ""), ("warning", "one", "gamma", False, "alpha")]


def test_report_and_heartbeat_say_which_brokers_the_sources_have(bench: Bench) -> None:
    bench.ping("one", "alpha")
    bench.ping("two", "gamma")
    report = feed_report(bench.connections, InstrumentDemand(["NSE"]), bench.health, 1)
    assert [(row.name, row.broker, row.listed) for row in report.sources] == [
        ("one", "alpha", True),
        ("two", "gamma", False),
    ]
    assert bench.connections.figures(1)["sources_listed"] == 1.0
