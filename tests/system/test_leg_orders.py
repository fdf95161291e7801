"""LIMIT legs on the paper stack: they rest, are moved, filled at once, and taken back by hand. A strategy that is
removed by force while it holds keeps its stop and enters nothing more. One stack serves all tests.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit.in_process_command import asked
from tests.kit.project import copy_project
from tests.kit.stack import Stack
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

FILE = """name = "Resting_{right}"
entry_time = "09:16"
entry_minutes = 200
exit_time = "15:00"

[[legs]]
action = "SELL"
strike = "OTM 2"
right = "{right}"
expiry = "next"
order_type = "LIMIT"
limit = "20%"
stop = "30%"
"""
CALL, PUT = "Resting_CE", "Resting_PE"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    copy_project(folder)
    for right in ("CE", "PE"):
        path = folder / "config" / "strategies" / f"resting_{right.lower()}.toml"
        path.write_text(FILE.format(right=right), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("legs")
    with Stack(folder, MYTRADING_HOME=str(home), ENABLED_STRATEGIES=f"{CALL},{PUT}") as found:
        found.up("--simulator", "--speed", "20")
        yield found


def ask(stack: Stack, *words: str) -> Any:
    """Answer to a question, which is put again while the gateway of a starved machine does not answer."""
    done = eventually(lambda: found if "did not answer" not in (found := asked_of(stack, *words)).stderr else None, 60)
    assert done.returncode == 0, f"{words}: exit {done.returncode}: {done.stderr}"
    return json.loads(done.stdout.strip().splitlines()[-1])


def asked_of(stack: Stack, *words: str) -> subprocess.CompletedProcess[str]:
    return asked(stack.environment, *words, "--json")


def entries(stack: Stack, name: str) -> list[dict[str, Any]]:
    """The entry orders of a strategy that the exchange has had, oldest first."""
    rows = ask(stack, "strategies", "show", name, "--limit", "0")["orders"]
    return [row for row in rows if row["purpose"] == "entry" and row["broker_order_id"]]


def resting(stack: Stack, name: str) -> dict[str, Any] | None:
    """The one entry of a strategy that rests at the exchange."""
    rows = [row for row in ask(stack, "orders", "--live") if row["strategy"] == name and row["purpose"] == "entry"]
    return rows[0] if len(rows) == 1 and rows[0]["state"] == "ACCEPTED" else None


def at_exchange(stack: Stack, order: dict[str, Any]) -> dict[str, Any]:
    rows = [row for row in stack.rest("orderbook")["orders"] if row["orderid"] == order["broker_order_id"]]
    assert len(rows) == 1, rows
    return dict(rows[0])


def stops(stack: Stack, name: str) -> list[dict[str, Any]]:
    return [row for row in ask(stack, "orders", "--live") if row["strategy"] == name and row["purpose"] == "stop"]


def test_limit_leg_that_a_person_takes_back_is_not_entered_again(stack: Stack) -> None:
    order = eventually(lambda: resting(stack, PUT), 60)
    found = at_exchange(stack, order)
    assert (found["order_status"], found["pricetype"], found["action"]) == ("open", "LIMIT", "SELL")
    assert stack.ask("orders", "cancel", order["client_order_id"])["word"] == "cancelled"
    assert at_exchange(stack, order)["order_status"] == "cancelled"
    before = ask(stack, "status")["market_ns"]
    eventually(lambda: ask(stack, "status")["market_ns"] > before + 150_000_000_000, 60)
    assert len(entries(stack, PUT)) == 1


def test_limit_leg_rests_at_its_price_is_moved_and_filled_at_once(stack: Stack) -> None:
    order = eventually(lambda: resting(stack, CALL), 60)
    quote = stack.rest("quotes", symbol=order["instrument"].partition(":")[2], exchange="NFO")
    found = at_exchange(stack, order)
    assert (found["order_status"], found["pricetype"], found["price"]) == ("open", "LIMIT", order["price"])
    assert order["price"] > float(quote["ltp"]), "sold above its price"
    moved = round(order["price"] - 1.0, 2)
    assert stack.ask("orders", "modify", order["client_order_id"], "--price", f"{moved:.2f}")["word"] == "modified"
    assert (at_exchange(stack, order)["price"], at_exchange(stack, order)["order_status"]) == (moved, "open")
    assert stack.ask("orders", "modify", order["client_order_id"], "--market")["word"] in ("modified", "filled"), (
        "at once"
    )
    eventually(lambda: at_exchange(stack, order)["order_status"] == "complete", 30)
    assert stack.broker_net() == {order["instrument"]: -order["quantity"]}
    (stop,) = eventually(lambda: stops(stack, CALL), 30)
    assert (stop["instrument"], stop["side"], stop["quantity"]) == (order["instrument"], "BUY", order["quantity"])
    assert len(entries(stack, CALL)) == 1, "the very order was changed: nothing was placed anew"


def test_market_beside_a_price_and_market_and_a_trigger_beyond_the_price_of_a_stop_are_refused(stack: Stack) -> None:
    (stop,) = eventually(lambda: stops(stack, CALL), 60)
    both = stack.run("orders", "modify", stop["client_order_id"], "--market", "--price", "5")
    assert both.returncode == 2 and "expected --market alone" in both.stderr
    done = stack.run("orders", "modify", stop["client_order_id"], "--market")
    assert done.returncode == 1 and "expected a live LIMIT order, found a live SL order" in done.stderr
    symbol = stop["instrument"].partition(":")[2]
    price = round(float(stack.rest("quotes", symbol=symbol, exchange="NFO")["ltp"]) + 0.05, 2)  # a price of this minute
    stack.sim(
        "market", symbol=symbol, exchange="NFO", ltp=price, bid=round(price - 0.05, 2), ask=round(price + 0.05, 2)
    )
    beyond = stack.run("orders", "modify", stop["client_order_id"], "--trigger", "0.05")
    assert beyond.returncode == 2 and "STOP_LEVEL: the stop of units that were sold must lie above" in beyond.stderr


def test_strategy_that_holds_is_removed_by_force_and_keeps_its_stop(stack: Stack, home: Path) -> None:
    (held,) = (row for row in ask(stack, "positions") if row["strategy"] == CALL and row["quantity"])
    refused = stack.run("strategies", "remove", CALL)
    assert refused.returncode == 1
    assert f"{CALL} holds {held['quantity']:+d} {held['instrument']} in paper" in refused.stderr
    assert (home / "config" / "strategies" / "resting_ce.toml").exists()
    removed = stack.ask("strategies", "remove", CALL, "--force")
    assert removed["moved"] == ["config/strategies/removed/resting_ce.toml"]
    assert f"{held['quantity']:+d} {held['instrument']} in paper" in removed["open"]
    assert not (home / "config" / "strategies" / "resting_ce.toml").exists()
    shown = ask(stack, "strategies", "show", CALL)
    assert not shown["enabled"] and shown["switched"]["reason"] == "removed"
    assert [row["quantity"] for row in shown["positions"] if row["quantity"]] == [held["quantity"]]
    (stop,) = stops(stack, CALL)
    assert at_exchange(stack, stop)["order_status"] == "trigger pending"
    before = ask(stack, "status")["market_ns"]
    eventually(lambda: ask(stack, "status")["market_ns"] > before + 130_000_000_000, 60)
    assert len(entries(stack, CALL)) == 1 and len(stops(stack, CALL)) == 1
    assert stack.ask("flatten", "--strategy", CALL)["flat"] is True
    assert stack.broker_net() == {}
    shown = ask(stack, "strategies", "show", CALL)
    assert len(shown["trades"]) == 1, "its history stays"
    assert not stack.disagreements()


def test_removed_strategy_is_not_started_again(stack: Stack) -> None:
    stack.down()
    done = stack.run("up", "--detach", "--simulator", "--speed", "20")
    assert done.returncode == 4, done.stdout + done.stderr
    assert f"no file in strategies/ has a strategy {CALL!r}; did you mean {PUT}?" in done.stderr
