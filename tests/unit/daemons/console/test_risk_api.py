"""Order trials of the risk page: by risk's own machine, through the gateway, without a trace."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from mytrading.daemons.console import risk_api
from mytrading.messages.codec import encode_body
from mytrading.messages.control import OrderTrial, OrderTrialResult
from mytrading.messages.risk_events import RiskAction, RiskEventRecorded, RiskKind
from mytrading.messages.run_config import RUN_FILE, write_run_config
from mytrading.runtime.journal.journal import RECORD, Entry, Journal
from tests.kit.console_browser import ConsoleOfTest
from tests.kit.risk_bench import CALL, RiskBench


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleOfTest]:
    made = ConsoleOfTest(tmp_path_factory.mktemp("console"))
    bench = RiskBench()
    bench.quote()

    def judge(trial: OrderTrial) -> OrderTrialResult:
        return bench.machine.try_order(replace(trial, strategy="S", account="main"), bench.now)

    made.gateway.judge = judge
    made.add_user("vera", "viewer")
    yield made
    made.stop()


def test_rules_answer_with_numbers_and_nothing_is_journaled(console: ConsoleOfTest) -> None:
    page, strategy = console.browser("asha"), console.config.strategies[0].name
    done = page.post("/api/risk/trial", strategy=strategy, instrument=CALL, lots=1)
    assert done.status_code == 200, done.text
    assert not any(rule["denial"] for rule in done.json()["rules"])
    many = page.post("/api/risk/trial", strategy=strategy, instrument=CALL, lots=50).json()
    size = next(rule for rule in many["rules"] if rule["code"] == "MAX_ORDER_SIZE")
    assert size["denial"] and size["value"] > size["limit"] > 0
    assert console.gateway.rows == []


def test_events_of_a_strategy_that_is_gone_are_shown(console: ConsoleOfTest) -> None:
    config = console.config
    started = config.state.with_name(config.profile)  # where the command looks for a stack of this profile
    started.mkdir()
    write_run_config(started / RUN_FILE, config)
    event = RiskEventRecorded(
        id="e1", strategy="Gone", run="r1", kind=RiskKind.MAX_LOSS, action=RiskAction.CLOSE_ALL, at_ns=7_000_000,
        threshold=-5000.0, value=-5012.5, exit_orders=("o1",),
    )  # fmt: skip
    journal = Journal(config.journal_dir("risk"), "risk", "2026-11-23")
    journal.append([Entry(RECORD, "records", encode_body(event))], 1, 1)
    journal.close()
    (row,) = console.browser("vera").get("/api/risk/events?strategy=gone").json()
    assert (row["strategy"], row["at_ms"], row["value"], row["exit_orders"]) == ("Gone", 7, -5012.5, ["o1"])


def test_who_may_not_ask_and_what_cannot_be_asked(console: ConsoleOfTest, monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = console.config.strategies[0].name
    asked = {"strategy": strategy, "instrument": CALL, "lots": 1}
    assert console.browser("vera").post("/api/risk/trial", **asked).json()["code"] == "ROLE"
    page = console.browser("asha")
    assert page.post("/api/risk/trial", **{**asked, "lots": 0}).json()["code"] == "REFUSED"
    assert "expected" in page.post("/api/risk/trial", **{**asked, "strategy": "Nobody"}).json()["error"]
    monkeypatch.setattr(risk_api, "ANSWER_S", 0.2)
    monkeypatch.setattr(console.gateway, "judge", None)
    assert page.post("/api/risk/trial", **asked).json()["code"] == "STACK_SILENT"
