"""Alerts over real HTTP to a real stack and the paper exchange: what each sender's alerts lead to, and each refusal."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from mytrading.core.webhooks.authentication import sign
from tests.kit.stack import ENDED, Stack
from tests.kit.waiting import eventually
from tests.kit.webhook_stack import AlertSender, make_home

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

UNMAPPED = "UNMAPPED_SYMBOL"


def mapped(*symbols: str, quantity: int = 50) -> list[str]:
    return [word for name in symbols for word in ("--map", f"{name}=NSE:{name},MIS,{quantity}")]


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertSender]:
    folder = tmp_path_factory.mktemp("webhooks")
    with Stack(folder, **make_home(folder / "home")) as stack:
        sender = AlertSender(stack)
        sender.add("long", *mapped("SBIN"))
        sender.add("short", *mapped("INFY"), "--mode", "SHORT")
        sender.add("both", *mapped("TCS", "LT"), "--mode", "BOTH", sender="tradingview")
        sender.add("fast", *mapped("CIPLA", "TECHM"), "--mode", "BOTH", sender="tradingview")
        sender.add("scan", *mapped("HDFCBANK", "ICICIBANK", "AXISBANK", quantity=5), sender="chartink")
        sender.add("afl", *mapped("ITC"), sender="amibroker")
        sender.add("guarded", *mapped("WIPRO"), "--secret", "--hmac")
        sender.add("limited", *mapped("NTPC"))
        sender.add("late", *mapped("ONGC"), "--window", "14:00-15:00", "--square-off", "15:10")
        sender.add("spread", "--map", "NIFTY=NSE_INDEX:NIFTY bull-call-spread,NRML,1L", "--positional")
        sender.add("calls", "--map", "NIFTY=NSE_INDEX:NIFTY ATM CE weekly,NRML,1L", "--positional")
        stack.up("--simulator", "--speed", "1")
        eventually(lambda: sender.is_taken("long"), 20)
        yield sender


def holds(hooks: AlertSender, name: str, **units: int) -> bool:
    return bool(eventually(lambda: hooks.net(name) == units, 15))


def order(symbol: str, action: str, size: object = None, **more: Any) -> dict[str, Any]:
    sized = {} if size is None else {"position_size": size}
    return {"symbol": symbol, "action": action, **sized, "id": time.monotonic_ns(), **more}


def test_long_alerts_open_and_close(hooks: AlertSender) -> None:
    answer = hooks.post("long", order("SBIN", "buy"))
    assert (answer.status, answer.body["verdict"], answer.body["target"]) == (202, "accepted", 50)
    assert holds(hooks, "long", SBIN=50)
    assert hooks.post("long", order("SBIN", "buy")).status == 200
    assert hooks.post("long", order("SBIN", "sell", 25)).status == 202
    assert holds(hooks, "long")
    assert hooks.post("long", order("SBIN", "sell")).code == "no_op"
    assert len(hooks.entries("long")) == 1


def test_short_alerts_open_and_close(hooks: AlertSender) -> None:
    hooks.post("short", order("INFY", "SELL", "-20.0"))
    assert holds(hooks, "short", INFY=-20)
    hooks.post("short", order("INFY", "cover"))
    assert holds(hooks, "short")


def test_both_targets_lead_to_those_positions(hooks: AlertSender) -> None:
    text = '{{"symbol": "TCS", "action": "{}", "position_size": "{}", "time": "{}"}}'
    for number, (action, size, units) in enumerate(
        [
            ("buy", "100.0", {"TCS": 100}),
            ("sell", "0", {}),
            ("sell", "-100", {"TCS": -100}),
            ("buy", "0", {}),
            ("buy", "10", {"TCS": 10}),
            ("sell", "-10", {"TCS": -10}),
            ("buy", "0", {}),
        ]
    ):
        assert hooks.post("both", text.format(action, size, number)).status == 202, (action, size)
        assert eventually(lambda units=units: hooks.net("both") == units, 15)  # type: ignore[misc]
    assert hooks.post("both", text.format("buy", "-1", "a")).code == "WRONG_SIDE"
    assert hooks.post("both", text.format("sell", "1", "b")).code == "WRONG_SIDE"
    assert hooks.post("both", order("TCS", "sell")).code == "MISSING_FIELD"


def test_scan_has_an_order_and_a_result_for_each_stock(hooks: AlertSender) -> None:
    body = {
        "stocks": "HDFCBANK,ICICIBANK,AXISBANK,GONE",
        "scan_name": "BUY them",
        "triggered_at": "2:34 pm",
        "trigger_prices": "1,2,3,4",
        "alert_name": "morning",
    }
    answer = hooks.post("scan", body)
    found = [(row["symbol"], row.get("code") or row["verdict"]) for row in answer.body["results"]]
    assert answer.status == 202
    assert found == [("HDFCBANK", "accepted"), ("ICICIBANK", "accepted"), ("AXISBANK", "accepted"), ("GONE", UNMAPPED)]
    assert holds(hooks, "scan", HDFCBANK=5, ICICIBANK=5, AXISBANK=5)
    assert hooks.post("scan", {**body, "stocks": "GONE"}).status == 422
    assert hooks.post("scan", {**body, "alert_name": "short cover"}).code == "AMBIGUOUS_KEYWORD"
    assert hooks.post("scan", {**body, "scan_name": "RECOVERY"}).code == "NO_KEYWORD"
    assert hooks.post("scan", {**body, "stocks": " "}).code == "NO_STOCKS"
    hooks.post("scan", {**body, "scan_name": "SELL them"})
    assert holds(hooks, "scan")


def test_contract_by_rule_is_bought_and_closed(hooks: AlertSender) -> None:
    eventually(lambda: hooks.post("calls", order("NIFTY", "buy")).status == 202, 20)
    found = eventually(lambda: hooks.net("calls"), 20)
    ((symbol, units),) = found.items()
    assert symbol.startswith("NIFTY")
    assert symbol.endswith("CE")
    assert units > 1
    assert hooks.post("calls", order("NIFTY", "buy")).code == "no_op"
    assert hooks.post("calls", order("NIFTY", "sell")).status == 202
    assert holds(hooks, "calls")


def test_legs_of_a_template_are_opened_and_closed_together(hooks: AlertSender) -> None:
    eventually(lambda: hooks.post("spread", order("NIFTY", "buy", 75)).status == 202, 20)
    found = eventually(lambda: (net := hooks.net("spread")) and len(net) == 2 and net, 20)
    assert all(symbol.startswith("NIFTY") and symbol.endswith("CE") for symbol in found)
    assert sum(found.values()) == 0, found
    assert hooks.post("spread", order("NIFTY", "buy", 150)).code == "no_op"
    assert hooks.post("spread", order("NIFTY", "sell", 0)).status == 202
    assert holds(hooks, "spread")
    for name in ("calls", "spread"):
        again = hooks.stack.ask("webhook", "replay", name, "--dry")
        assert {row["now"] for row in again if row["was"] == "accepted"} == {"accepted"}, again


def test_amibroker_text_is_taken_as_form_and_json(hooks: AlertSender) -> None:
    assert hooks.post("afl", "symbol=ITC&action=buy&time=10%3A00").status == 202
    assert holds(hooks, "afl", ITC=50)
    assert hooks.post("afl", '{"symbol": "ITC", "action": "sell", "time": "07-01-2026 10:01:00"}').status == 202
    assert holds(hooks, "afl")


def test_last_exit_of_a_fast_sequence_was_dropped_as_a_duplicate(hooks: AlertSender) -> None:
    """Texts without a time: the second exit has the words of the first. Once each fill is awaited, once none is."""
    steps = [("buy", 10), ("sell", 0), ("buy", 20), ("sell", 0)]
    began = time.monotonic()
    for action, size in steps:
        assert hooks.post("fast", {"symbol": "CIPLA", "action": action, "position_size": size}).status == 202
        assert holds(hooks, "fast", **({"CIPLA": size} if size else {}))
    for action, size in steps:
        assert hooks.post("fast", {"symbol": "TECHM", "action": action, "position_size": size}).status == 202
    assert time.monotonic() - began < 30, "the window of duplicates"
    assert eventually(lambda: rests(hooks, "fast") and hooks.net("fast") == {}, 20)
    assert hooks.stack.broker_net().keys().isdisjoint({"NSE:CIPLA", "NSE:TECHM"})


def rests(hooks: AlertSender, name: str) -> bool:
    """True once no order of a webhook's strategy is under way, and none of its signals either."""
    rows = hooks.stack.ask("orders", "--limit", "0")
    return all(row["state"] in ENDED for row in rows if row["strategy"] == name)


def test_target_that_an_exit_under_way_takes_away_was_called_there(hooks: AlertSender) -> None:
    hooks.post("both", order("LT", "buy", 10))
    assert holds(hooks, "both", LT=10)
    pid = hooks.stack.kill("router", signal.SIGSTOP)
    try:
        answers = [hooks.post("both", order("LT", action, size)) for action, size in (("sell", 0), ("buy", 10))]
        again = hooks.post("both", order("LT", "buy", 10))
    finally:
        os.kill(pid, signal.SIGCONT)
    assert [(answer.status, answer.code) for answer in (*answers, again)] == [(202, "accepted")] * 3
    page = answers[0].body["status_url"]
    assert eventually(lambda: hooks.call("GET", page).body["results"][0].get("outcome") == "filled", 20)
    hooks.post("both", order("LT", "sell", 0))
    assert holds(hooks, "both")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "EMPTY_BODY"),
        (b"{}", 400, "EMPTY_BODY"),
        (b"{", 400, "BAD_JSON"),
        (b"\xff", 400, "BAD_JSON"),
        (b'{"symbol": "SBIN", "symbol": "INFY", "action": "buy"}', 400, "BAD_JSON"),
        (b'{"symbol": "SBIN"}', 400, "MISSING_FIELD"),
        (b'{"action": "buy"}', 400, "MISSING_FIELD"),
        (b'{"symbol": "SBIN", "action": "hold"}', 400, "BAD_ACTION"),
        (b'{"symbol": "SBIN", "action": "cover"}', 400, "BAD_ACTION"),
        (b'{"symbol": "SBIN", "action": "buy", "position_size": "x"}', 400, "BAD_NUMBER"),
        (b'{"symbol": "SBIN", "action": "buy", "position_size": 100.7}', 400, "BAD_NUMBER"),
        (b'{"symbol": "SBIN", "action": "buy", "position_size": NaN}', 400, "BAD_NUMBER"),
        (b'{"symbol": "INFY", "action": "buy"}', 422, "UNMAPPED_SYMBOL"),
        (b"x" * 20_000, 413, "BODY_TOO_LARGE"),
    ],
)
def test_refusal_has_its_status_and_code(hooks: AlertSender, body: bytes, status: int, code: str) -> None:
    answer = hooks.post("long", body)
    assert (answer.status, answer.body["verdict"], answer.code) == (status, "refused", code)
    assert answer.body["message"]


def test_content_type_says_nothing(hooks: AlertSender) -> None:
    for kind in ("text/plain", "application/xml", "x"):
        assert hooks.post("long", order("INFY", "buy"), content_type=kind).code == UNMAPPED


def test_entry_outside_the_window_is_refused(hooks: AlertSender) -> None:
    assert (answer := hooks.post("late", order("ONGC", "buy"))).status == 409
    assert answer.code == "OUTSIDE_WINDOW"
    assert hooks.post("late", order("ONGC", "sell")).code == "no_op"


def test_wrong_tokens_are_all_answered_alike(hooks: AlertSender) -> None:
    unknown = {"verdict": "refused", "code": "UNKNOWN_WEBHOOK", "message": "no webhook has this address"}
    for path in ("/strategy/webhook/x", "/strategy/webhook/" + "a" * 43, "/chartink/webhook/%F0%28", "/strategy/", "/"):
        assert hooks.post("", b"{}", path=path)[:2] == (404, unknown)


def test_rotated_token_is_unknown_at_once_or_after_its_overlap(hooks: AlertSender) -> None:
    hooks.add("turned", *mapped("LT"))
    assert eventually(lambda: hooks.is_taken("turned"), 3)
    old, fresh = hooks.paths["turned"], hooks.rotate("turned", "--overlap", "10")
    assert eventually(lambda: hooks.post("", b"", path=fresh).status == 400, 3)
    assert hooks.post("", b"", path=old).status == 400
    last = hooks.rotate("turned")
    assert eventually(lambda: hooks.post("", b"", path=last).status == 400, 3)
    assert hooks.post("", b"", path=fresh).status == hooks.post("", b"", path=old).status == 404
    assert hooks.stack.run("webhook", "remove", "turned", "--yes").returncode == 0
    assert eventually(lambda: hooks.post("", b"", path=last).status == 404, 3)


def test_webhook_added_to_a_running_stack_trades_at_once(hooks: AlertSender) -> None:
    hooks.add("fresh", *mapped("MARUTI", quantity=1))
    began = time.monotonic()
    assert eventually(lambda: hooks.is_taken("fresh"), 3)
    assert time.monotonic() - began < 2.5
    eventually(lambda: hooks.post("fresh", order("MARUTI", "buy")).status == 202, 15)
    assert holds(hooks, "fresh", MARUTI=1)
    assert any(row["name"] == "fresh" and row["kind"] == "webhook" for row in hooks.stack.ask("strategies"))


def test_instrument_that_does_not_exist_is_refused_by_the_command(hooks: AlertSender) -> None:
    done = hooks.stack.run("webhook", "add", "wrong", "--sender", "generic", "--map", "X=NSE:NOSUCHSHARE,MIS,1")
    assert done.returncode != 0
    assert "expected an instrument that the server lists, found NSE:NOSUCHSHARE" in done.stderr
    done = hooks.stack.run("webhook", "edit", "long", "--map", "X=NFO:NIFTY01JAN20FUT,NRML,1L")
    assert "found NFO:NIFTY01JAN20FUT" in done.stderr
    assert "wrong" not in [row["name"] for row in hooks.stack.ask("webhook", "list")]


def test_guarded_webhook_wants_signature_and_secret(hooks: AlertSender) -> None:
    key, secret = hooks.extra["guarded"]["hmac_key"], hooks.extra["guarded"]["secret"]
    body = json.dumps(order("WIPRO", "buy", secret=secret)).encode()
    now = int(time.time())
    assert hooks.post("guarded", body).code == "BAD_SIGNATURE"
    assert hooks.post("guarded", body, x_signature=sign(key, body, now - 400)).code == "STALE_SIGNATURE"
    bare = json.dumps(order("WIPRO", "buy")).encode()
    assert hooks.post("guarded", bare, x_signature=sign(key, bare, now)).code == "BAD_SECRET"
    assert hooks.post("guarded", body, x_signature=sign(key, body, now)).status == 202
    assert holds(hooks, "guarded", WIPRO=50)


def test_hundred_and_first_call_in_a_minute_must_wait(hooks: AlertSender) -> None:
    found = [hooks.post("limited", b"{").status for _ in range(101)]
    assert found == [400] * 100 + [429]
    answer = hooks.post("limited", b"{")
    assert (answer.status, answer.code) == (429, "RATE_LIMITED")
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert hooks.post("late", b"{").status == 400
    codes = [row["code"] for row in hooks.stack.ask("webhook", "log", "limited", "--limit", "0")]
    assert codes == ["BAD_JSON"] * 100 + ["RATE_LIMITED"]


def test_locked_webhook_takes_nothing(hooks: AlertSender) -> None:
    assert hooks.stack.run("webhook", "lock", "late").returncode == 0
    assert eventually(lambda: hooks.post("late", order("ONGC", "sell")).code == "WEBHOOK_LOCKED", 2)
    assert hooks.stack.run("webhook", "unlock", "late").returncode == 0
    assert eventually(lambda: hooks.post("late", order("ONGC", "sell")).code == "no_op", 2)
    found = [
        row["now"] for row in hooks.stack.ask("webhook", "replay", "late", "--dry") if row["was"] == "WEBHOOK_LOCKED"
    ]
    assert "WEBHOOK_LOCKED" not in found and found


def test_disabled_strategy_enters_nothing(hooks: AlertSender) -> None:
    assert hooks.stack.run("strategies", "disable", "short").returncode == 0
    assert hooks.post("short", order("INFY", "sell")).code == "STRATEGY_INACTIVE"
    assert hooks.stack.run("strategies", "enable", "short").returncode == 0
    assert eventually(lambda: hooks.post("short", order("NONE", "sell")).code == UNMAPPED, 2)


def test_same_alert_twice_is_one_order_and_tells_the_first(hooks: AlertSender) -> None:
    before = len(hooks.entries("afl"))
    body = '{"symbol": "ITC", "action": "buy", "time": "once"}'
    first, second = hooks.post("afl", body), hooks.post("afl", body)
    assert (first.status, second.status, second.code) == (202, 200, "duplicate")
    assert second.body["id"] == first.body["id"]
    assert second.body["status_url"] == first.body["status_url"]
    assert holds(hooks, "afl", ITC=50)
    assert len(hooks.entries("afl")) == before + 1


def test_status_page_tells_verdict_and_orders_and_nothing_else(hooks: AlertSender) -> None:
    hooks.add("watched", *mapped("TITAN", quantity=2))
    eventually(lambda: hooks.post("watched", order("TITAN", "buy")).status == 202, 15)
    assert holds(hooks, "watched", TITAN=2)
    answer = hooks.post("watched", order("TITAN", "sell"))
    path = answer.body["status_url"]
    assert len(path.rpartition("/")[2]) >= 22
    shown = eventually(lambda: (found := hooks.call("GET", path)).body["results"][0]["orders"] and found, 15)
    assert set(shown.body) == {"id", "results"}
    assert shown.body["results"][0]["verdict"] == "accepted"
    assert holds(hooks, "watched")
    path = hooks.post("watched", order("TITAN", "buy", 9_000_000)).body["status_url"]
    denied = eventually(lambda: hooks.call("GET", path).body["results"][0].get("denied"), 15)
    assert "MAX_ORDER_SIZE" in denied
    assert hooks.call("GET", "/webhook/status/" + "x" * 22).status == 404


def test_no_token_is_in_any_file_of_the_stack(hooks: AlertSender) -> None:
    tokens = [path.rpartition("/")[2].encode() for path in hooks.paths.values()]
    tokens += [hooks.extra["guarded"][name].encode() for name in ("secret",)]
    state, logs = hooks.stack.state, Path(hooks.stack.config.log_dir)
    home = Path(hooks.stack.config.home)
    files = [path for folder in (state, logs, home / "config") for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 20
    found = [str(path) for path in files for token in tokens if token in path.read_bytes()]
    assert found == []
    modes = {path.stat().st_mode & 0o777 for path in (home / "config" / "webhooks").glob("*.toml")}
    assert modes == {0o600}


def test_alert_is_traced_from_the_request_to_the_fill(hooks: AlertSender) -> None:
    rows = hooks.stack.ask("webhook", "log", "long", "--limit", "0")
    assert "BODY_TOO_LARGE" in [row["code"] for row in rows]
    accepted = next(row for row in rows if row["signal"])
    assert (accepted["symbol"], accepted["ip"]) == ("SBIN", "127.0.0.1")
    assert json.loads(accepted["body"])["action"] == "buy"
    again = hooks.stack.ask("webhook", "replay", "long", "--dry")
    assert {row["was"] for row in again} >= {"accepted", "BAD_JSON"}
    for wanted in (accepted["signal"], accepted["alert"]):
        steps = hooks.stack.ask("why", wanted)
        kinds = [step["kind"] for step in steps]
        assert (kinds[0], set(kinds[1:3])) == ("alert", {"decided", "signal"}), steps[:4]
        assert {"received", "command", "send", "fill"} <= set(kinds)
        assert "POST from 127.0.0.1 to long" in steps[0]["what"]
    refused = next(row for row in rows if row["code"] == "BAD_JSON")
    assert [step["kind"] for step in hooks.stack.ask("why", refused["alert"])] == ["alert", "denied"]


def test_order_of_a_trial_is_shown(hooks: AlertSender, tmp_path: Path) -> None:
    text = tmp_path / "alert.json"
    text.write_text(json.dumps(order("SBIN", "buy")))
    found = hooks.stack.ask("webhook", "test", "long", "--text", str(text))
    assert found["status"] == 202
    assert found["result"]["results"][0]["orders"][0].startswith("BUY 50 NSE:SBIN: ")
    assert holds(hooks, "long", SBIN=50)


def test_journals_are_in_order_after_all_this(hooks: AlertSender) -> None:
    done = hooks.stack.run("journal", "verify")
    assert done.returncode == 0, done.stdout
    assert "webhooks" in done.stdout


def test_first_webhook_of_a_running_stack_starts_the_process_on_a_free_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Stack(tmp_path, **make_home(tmp_path / "home", WEBHOOK_PORT=str(port))) as stack:
            stack.up("--simulator")
            assert stack.pid("webhooks") == 0
            assert stack.ask("endpoints")["webhooks"] is None
            hooks = AlertSender(stack)
            hooks.add("long", *mapped("SBIN"))
            assert urlsplit(hooks.extra["long"]["url"]).port == hooks.port > port
            assert eventually(lambda: hooks.is_taken("long"), 20)
            assert eventually(stack.is_ready, 10)
