"""Actions as commands to the gateway: once for an id, under the user's name, audited; and what holds when it hangs."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from mytrading.daemons.console import accounts_api, actions_api
from mytrading.messages.console_rows import TOPICS
from mytrading.messages.control import Alert, CancelRequested, FlattenRequested, TradingState
from mytrading.messages.enums import OrderState, Product, Severity
from mytrading.messages.orders import OrderChanged, Position, PositionChanged
from mytrading.runtime.supervision.kill_file import KillFile
from tests.kit.console_browser import ConsoleOfTest
from tests.kit.hypothesis_budget import examples
from tests.kit.order_samples import order


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleOfTest]:
    made = ConsoleOfTest(tmp_path_factory.mktemp("console"))
    made.add_user("tara", "trader")
    yield made
    made.stop()


def test_rows_of_every_topic_are_answered_to_programs(console: ConsoleOfTest) -> None:
    page = console.browser("asha")
    assert {topic: page.get(f"/api/{topic}").status_code for topic in TOPICS} == dict.fromkeys(TOPICS, 200)
    assert page.get("/api/performance").json() == []
    assert page.get("/api/nothing").json()["error"].startswith("expected one of stack, accounts")


def test_command_carries_user_and_id_and_is_executed_once(
    console: ConsoleOfTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = console.browser("tara")
    for _ in range(3):
        done = page.post("/api/actions/reduce", request_id="once", reason="=cmd()")
        assert (done.status_code, done.json()["text"]) == (200, "all accounts: reduce")
    states = [row for row in console.gateway.rows if isinstance(row, TradingState) and row.reason == "=cmd()"]
    assert [(row.by, row.level.value) for row in states] == [("console:tara", "reduce")]
    audited = console.audited(user="tara", action="reduce")
    assert [row["request_id"] for row in audited] == ["once"] * 3
    monkeypatch.setattr(accounts_api, "CSV_PART", 2)
    file = console.browser("asha").get("/api/audit.csv").text
    assert "\n=" not in file, "a spreadsheet finds no formula"
    newest = [str(row["id"]) for row in console.audited()]
    assert [line.partition(",")[0] for line in file.splitlines()] == ["id", *newest], "all of it, whatever its parts"


def test_alert_that_is_acknowledged_needs_nobody_any_more(console: ConsoleOfTest) -> None:
    raised = Alert(
        code="BOOKS", severity=Severity.WARNING, subject="main|x", message="m", daemon="router", first_ns=1, last_ns=1
    )  # fmt: skip
    console.gateway.server.context.control.apply(raised)
    page = console.browser("tara")
    (key,) = page.get("/api/alerts").json()["rows"]
    assert f"alert|{key}" in page.get("/api/needs").json()["rows"]
    assert page.post("/api/actions/acknowledge", request_id="seen", alert=key).status_code == 200
    assert page.get("/api/alerts").json()["rows"][key]["seen_by"] == "console:tara"
    assert page.get("/api/needs").json()["rows"] == {}
    assert page.post("/api/actions/acknowledge", request_id="seen-2", alert="nonsense").json()["code"] == "REFUSED"


def test_refusal_of_the_gateway_is_shown_and_audited(console: ConsoleOfTest) -> None:
    done = console.browser("tara").post("/api/actions/halt", request_id="nowhere", account="other")
    assert (done.status_code, done.json()["code"]) == (409, "REFUSED")
    assert "other" in done.json()["error"]
    assert console.audited(user="tara")[0]["result"] == "refused"


def test_row_that_moved_under_one_of_two_browsers_is_left_alone(console: ConsoleOfTest) -> None:
    view = console.gateway.server.context.view
    resting = order(client_order_id="two", state=OrderState.ACCEPTED, quantity=130)
    view.apply(OrderChanged(event="accepted", order=resting, machine_ns=1))
    first, second = console.browser("tara"), console.browser("asha")
    seen = [page.get("/api/orders").json()["rows"]["two"]["version"] for page in (first, second)]
    assert seen[0] == seen[1]
    changed = replace(resting, quantity=65)  # what the first asked for came to be
    view.apply(OrderChanged(event="modified", order=changed, machine_ns=2))
    late = second.post("/api/actions/cancel", request_id="late", order="two", version=seen[1])
    assert (late.status_code, late.json()["code"]) == (409, "MOVED") and "65" in late.json()["error"]
    assert not [row for row in console.gateway.rows if isinstance(row, CancelRequested)]
    now = second.get("/api/orders").json()["rows"]["two"]["version"]
    for page in (second, first):  # the same request from another tab, by its id
        page.post("/api/actions/cancel", request_id="right", order="two", version=now)
    assert [row.order for row in console.gateway.rows if isinstance(row, CancelRequested)] == ["two"]
    assert second.post("/api/actions/cancel", request_id="no such id!").status_code == 400
    assert {row["result"] for row in console.audited(action="cancel")} == {"done", "refused"}, "one name for both"
    assert console.audited(action="order_cancel") == []


def test_run_is_closed_once_for_an_id_and_not_once_it_is_over(console: ConsoleOfTest) -> None:
    view, name = console.gateway.server.context.view, console.config.strategies[0].name

    def hold(units: int) -> None:
        position = Position(
            account="main", instrument="NFO:A", product=Product.MIS, strategy=name, run="run-one", quantity=units,
            quantity_seen=units,
        )  # fmt: skip
        view.apply(PositionChanged(position=position, client_order_id="c", fill_quantity=1, fill_price=1.0, at_ns=1))

    hold(-75)
    pages = console.browser("tara"), console.browser("asha")
    body = {"request_id": "close-1", "run": "run-one", "reason": "run"}
    first, again = pages[0].post("/api/actions/close-run", **body), pages[0].post("/api/actions/close-run", **body)
    assert first.json() == again.json() and first.json()["follow"] == ["flatten-close-1-main"], first.text
    rows = [row for row in console.gateway.rows if isinstance(row, FlattenRequested) and row.reason == "run"]
    assert [(row.strategy, row.by) for row in rows] == [(name, "console:tara")]
    hold(0)
    late = pages[1].post("/api/actions/close-run", request_id="close-2", run="run-one")
    assert (late.status_code, late.json()["code"]) == (409, "MOVED")


def test_answer_that_was_lost_is_had_by_the_same_id_and_the_command_counts_once(
    console: ConsoleOfTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions_api, "ANSWER_S", 0.2)
    page, strategy = console.browser("tara"), console.config.strategies[0].name
    console.gateway.losing.set()
    try:
        lost = page.post("/api/actions/flatten", request_id="lost", strategy=strategy, reason="once")
        assert lost.json()["code"] == "STACK_SILENT"
    finally:
        console.gateway.losing.clear()
    again = page.post("/api/actions/flatten", request_id="lost", strategy=strategy, reason="once")
    assert again.status_code == 200, again.text
    assert len([row for row in console.gateway.rows if isinstance(row, FlattenRequested) and row.reason == "once"]) == 1
    assert [row["result"] for row in console.audited(action="flatten")[:2]] == ["done", "failed"]


def test_page_learns_that_the_gateway_hangs_and_a_halt_is_given_by_the_file(
    console: ConsoleOfTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions_api, "ANSWER_S", 0.2)
    page = console.browser("asha")
    console.gateway.silent.set()
    try:
        with page.live() as live:
            live.send(type="watch", topics=["stack"])
            while live.receive("beat", 20)["stack"]:
                pass
            done = page.post("/api/actions/halt", request_id="hangs", reason="no answer").json()
            assert done["by_kill_file"] is True
            kill = KillFile(console.config.state).read()
            assert kill is not None and (kill.word, "console:asha" in kill.why) == ("halt", True)
            asked = page.post("/api/actions/flatten", request_id="hangs too")
            assert asked.status_code == 400, "an id holds no blank"
            asked = page.post("/api/actions/flatten", request_id="hangs-too")
            assert asked.json()["code"] == "STACK_SILENT"
            console.gateway.silent.clear()
            while not live.receive("beat", 20)["stack"]:
                pass
        assert page.post("/api/actions/flatten", request_id="hangs-too").status_code == 200
    finally:
        console.gateway.silent.clear()
        KillFile(console.config.state).remove()


def test_whatever_is_sent_is_answered_with_an_error_that_a_page_can_show(console: ConsoleOfTest) -> None:
    page, draw = console.browser("asha"), random.Random(4)
    values = [None, 1, -1, 1e308, "", "x" * 600, "<script>", "=1+1", [], {}, True, "\u0000", "2026-11-26"]
    names = ["request_id", "account", "reason", "order", "version", "price", "quantity", "position", "strategy", "x"]
    verbs = ["halt", "flatten", "switch", "cancel", "modify", "resolve", "claim", "close", "close-run"]
    for _ in range(examples(60)):
        fields = {draw.choice(names): draw.choice(values) for _ in range(draw.randrange(6))}
        done = page.post(f"/api/actions/{draw.choice(verbs)}", **fields)
        if done.status_code == 429:
            page.http.headers["x-forwarded-for"] = f"198.51.100.{draw.randrange(250)}"
            continue
        assert done.status_code in (200, 400, 409), (fields, done.text)
        assert done.status_code == 200 or done.json()["code"] in ("BAD_REQUEST", "REFUSED"), (fields, done.text)


def test_socket_outlives_bad_messages(console: ConsoleOfTest) -> None:
    page, draw = console.browser("asha"), random.Random(6)
    with page.live() as live:
        live.receive("hello")
        for bad in ("", "{", "[]", "null", '{"type":"watch"}', '{"type":"watch","topics":[1]}', '{"type":"x"}',
                    "[" * 3000, json.dumps({"type": "watch", "topics": ["chain:NIFTY"]}),
                    "".join(chr(draw.randrange(32, 0x2FFF)) for _ in range(200))):  # fmt: skip
            live.socket.send(bad)
            assert live.receive("refused")["error"]
        live.send(type="watch", topics=["stack"])
        live.receive("snapshot")


def test_hedge_is_closed_only_by_who_answers_for_what_it_covers_and_the_audit_keeps_it(console: ConsoleOfTest) -> None:
    view, name = console.gateway.server.context.view, console.config.strategies[0].name
    sold, hedge = "NFO:NIFTY25NOV2625750PE", "NFO:NIFTY25NOV2625550PE"
    for instrument, units in ((sold, -65), (hedge, 65)):
        position = Position(
            account="main", instrument=instrument, product=Product.NRML, strategy=name, run="run-two", quantity=units,
            quantity_seen=units,
        )  # fmt: skip
        view.apply(PositionChanged(position=position, client_order_id="c", fill_quantity=1, fill_price=1.0, at_ns=1))
    page = console.browser("asha")
    row = next(row for row in page.get("/api/positions").json()["rows"].values() if row["instrument"] == hedge)
    assert row["covers"] == {sold: 65}
    body = {"position": row["id"], "version": row["version"], "reason": "hedge"}
    refused = page.post("/api/actions/close", request_id="hedge-1", **body)
    assert (refused.status_code, refused.json()["code"]) == (409, "REFUSED")
    assert f"POSITION_BARES: {name} sold {sold} (65 units)" in refused.json()["error"]
    taken = page.post("/api/actions/close", request_id="hedge-2", **body, force=True)
    assert taken.status_code == 200, taken.text
    (asked,) = [one for one in console.gateway.rows if isinstance(one, FlattenRequested) and one.reason == "hedge"]
    assert (asked.instrument, asked.force, asked.by) == (hedge, True, "console:asha")
    done, rejected = console.audited(action="close")[:2]
    assert (done["result"], rejected["result"]) == ("done", "refused")
    assert all(word in done["details"] for word in ('"force":true', '"reason":"hedge"'))
