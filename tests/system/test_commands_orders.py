"""A person's commands for orders and positions, on one real stack whose exchange misbehaves on request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit.in_process_command import asked
from tests.kit.stack import Stack
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]

SBIN = "NSE:SBIN"
FAULT = ("simulator", "fault")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("commands"), short_windows=True) as stack:
        stack.up("--simulator", "--speed", "20")
        yield stack


@pytest.fixture
def stack(running: Stack) -> Iterator[Stack]:
    running.ask(*FAULT, "--clear")
    yield running
    running.ask(*FAULT, "--clear")
    if any(row["quantity"] for row in rows_of(running, SBIN)):
        running.run("flatten", "--deadline", "60")
    running.ask("resume")
    running.ask("resume", "--strategy", "SMA_Crossover")


def rows_of(stack: Stack, instrument: str, owner: str = "") -> list[dict[str, Any]]:
    """Rows of `positions` for an instrument."""
    rows = [row for row in stack.ask("positions") if row["instrument"] == instrument]
    return [row for row in rows if owner in ("", row["strategy"])]


def by_hand(stack: Stack, action: str, quantity: int, price: float = 0.0) -> str:
    """An order for SBIN that is not ours; its id at the exchange."""
    fields = {"symbol": "SBIN", "exchange": "NSE", "product": "MIS", "pricetype": "LIMIT" if price else "MARKET"}
    body = {"strategy": "by hand", "action": action, "quantity": str(quantity), "price": f"{price:g}"}
    answer = stack.post("placeorder", **body, **fields)
    assert answer["status"] == "success", answer
    return str(answer["orderid"])


def at_the_terminal(stack: Stack, quantity: int) -> dict[str, Any]:
    """Somebody buys SBIN beside the stack; the row of the unmanaged units once they are shown."""
    by_hand(stack, "BUY", quantity)
    return eventually(lambda: rows_of(stack, SBIN, "(unmanaged)"), 100)[0]


def claimed(stack: Stack, quantity: int, stop: float = 0.0) -> None:
    """Units that `manual` owns, with a stop at so much of their price; what still closes it is waited for."""
    row = at_the_terminal(stack, quantity)
    guard = ("--stop", str(round(row["average_price"] * stop))) if stop else ()
    eventually(lambda: is_given(stack, *guard), 60)
    eventually(lambda: rows_of(stack, SBIN, "manual"), 10)


def is_given(stack: Stack, *guard: str) -> bool:
    """A claim for `manual`; false while an exit or a flatten of before goes on, which would sell the units at once, and
    until the price is known that the stop is judged by."""
    done = asked(stack.environment, "positions", "claim", SBIN, "--strategy", "manual", "--yes", *guard)
    later = ("manual is being closed", "claim again in a few seconds", "is under way", "MOVED")
    assert done.returncode == 0 or any(text in done.stderr for text in later), done.stderr
    return done.returncode == 0


def lose_the_next_order(stack: Stack) -> None:
    """The exchange drops the next order that reaches it; nobody but `manual` trades, so that it is the right one."""
    assert stack.ask("flatten", "--strategy", "SMA_Crossover")["flat"] is True
    stack.ask(*FAULT, "place_lost:x1")


def stops(stack: Stack) -> list[dict[str, Any]]:
    """Stop orders for SBIN that wait at the exchange."""
    rows = stack.rest("orderbook")["orders"]
    return [
        r for r in rows if r["symbol"] == "SBIN" and r["pricetype"] == "SL" and r["order_status"] == "trigger pending"
    ]


def refused(stack: Stack, code: int, *arguments: str) -> str:
    done = stack.run(*arguments)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stderr


def test_unmanaged_units_are_shown_claimed_guarded_and_closed(stack: Stack) -> None:
    row = at_the_terminal(stack, 10)
    assert (row["quantity"], row["confidence"]) == (10, "CONFIRMED") and row["age_s"] >= 0
    priced = eventually(lambda: [found for found in rows_of(stack, SBIN, "(unmanaged)") if found["ltp"]], 30)[0]
    assert abs(priced["unrealised"]) < row["average_price"], "the profit of 10 shares by a price that nobody watches"
    assert "10 of NSE:SBIN MIS in paper are unmanaged" in refused(
        stack, 1, "positions", "claim", SBIN, "--strategy", "manual", "--quantity", "11"
    )
    claim = ("positions", "claim", SBIN, "--strategy", "manual", "--stop")
    beyond = "STOP_LEVEL: the stop of units that were bought must lie below the last price"
    eventually(lambda: beyond in refused(stack, 2, *claim, "9999"), 20)
    assert (found := rows_of(stack, SBIN)[0])["strategy"] == "(unmanaged)" and found["quantity"] == 10
    trigger = round(row["average_price"] * 0.9)
    eventually(lambda: is_given(stack, "--stop", str(trigger)), 20)
    (stop,) = eventually(lambda: stops(stack), 20)
    assert (stop["quantity"], float(stop["trigger_price"])) in ((10, trigger), ("10", trigger))
    body = stack.ask("positions", "close", SBIN, "--strategy", "manual")
    assert body["flat"] is True and body["flattens"][0]["proofs"] == 2
    assert SBIN not in stack.broker_net() and not stops(stack)


def test_unmanaged_units_are_closed_only_when_that_is_said(stack: Stack) -> None:
    at_the_terminal(stack, 5)
    assert "--unmanaged" in refused(stack, 2, "positions", "close", SBIN)
    longest = ("--request-id", "x" * 64)
    assert stack.ask("positions", "close", SBIN, "--unmanaged", "--yes", *longest)["flat"] is True
    assert SBIN not in stack.broker_net()


def test_ledger_and_books_are_printed_side_by_side_and_rebuilt_by_a_word(stack: Stack) -> None:
    at_the_terminal(stack, 7)
    shown = stack.run("state", "rebuild-ledger", "--json")
    assert shown.returncode == 2 and "repeat it with --yes" in shown.stderr, shown.stderr
    row = next(row for row in json.loads(shown.stdout)["plan"]["rows"] if row["instrument"] == SBIN)
    assert (row["broker"], row["ledger"], row["difference"], row["changes"]) == (7, 7, 0, False)
    assert "expected a reason" in refused(stack, 2, "state", "rebuild-ledger", "--yes")
    rebuilt = (
        "state",
        "rebuild-ledger",
        "--yes",
        "--json",
        "--reason",
        "a trial",
    )  # others trade on: MOVED now and then
    done = eventually(lambda: done if (done := stack.run(*rebuilt)).returncode == 0 else None, 60)
    body = json.loads(done.stdout)
    assert body["done"] and Path(body["copy"]).is_file() and "entries wait for `mytrading resume`" in body["message"]
    assert rows_of(stack, SBIN, "(unmanaged)")[0]["quantity"] == 7
    stack.ask("resume")
    assert stack.ask("positions", "close", SBIN, "--unmanaged", "--yes")["flat"] is True


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("positions", "claim", "NSE:NOBODY", "--strategy", "manual"), "expected an instrument with unmanaged units"),
        (("orders", "resolve", "nobody", "--not-placed"), "expected the id of an order"),
        (("orders", "resolve", "nobody"), "--broker-order X"),
        (("positions", "close"), "expected an instrument, or --run"),
        (("positions", "close", SBIN, "--run", "0123abcd"), "expected an instrument, or --run"),
        (("positions", "close", "--run", "0123abcd", "--unmanaged"), "--run closes all that its strategy holds"),
        (("positions", "close", "--run", "0123"), "at least 6 characters of it, found '0123'"),
        (("positions", "close", "--run", "0123abcd"), "MOVED: expected a run that holds something"),
        (("flatten", "--strategy", "Nobody"), "expected an owner"),
        (("flatten", "--account", "nobody"), "expected an account"),
        (("down", "--force"), "--force goes with --flatten"),
        (("why", "nobody"), "no journal"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_next_step(
    stack: Stack, arguments: tuple[str, ...], said: str
) -> None:
    assert said in refused(stack, 2, *arguments)


def test_exit_of_unknown_fate_is_declared_not_placed_and_the_next_one_closes(stack: Stack) -> None:
    claimed(stack, 7)
    lose_the_next_order(stack)
    assert "not flat by the deadline" in refused(stack, 5, "positions", "close", SBIN, "--deadline", "1")
    (lost,) = eventually(lambda: [row for row in stack.ask("orders") if row["state"] == "UNKNOWN"], 20)
    said = stack.ask("orders", "resolve", lost["client_order_id"], "--not-placed", "--reason", "not at the terminal")
    assert said["ok"] is True
    eventually(lambda: not rows_of(stack, SBIN), 60)
    assert SBIN not in stack.broker_net()
    kinds = [step["kind"] for step in stack.ask("why", lost["client_order_id"])]
    assert {"operator", "send", "outcome", "order"} <= set(kinds), kinds
    assert "fate is known" in refused(stack, 1, "orders", "resolve", filled(stack), "--not-placed")


def test_order_held_for_approval_says_what_to_do_and_its_flatten_ends_when_that_is_done(stack: Stack) -> None:
    claimed(stack, 6)
    assert stack.ask("flatten", "--strategy", "SMA_Crossover")["flat"] is True
    stack.ask(*FAULT, "semi_auto:x1")
    said = refused(stack, 5, "positions", "close", SBIN, "--deadline", "6")
    (parked,) = eventually(lambda: [row for row in stack.ask("orders") if row["state"] == "PARKED"], 20)
    name = parked["client_order_id"]
    to_do = f"approve it at the server, or delete it there and say `mytrading orders resolve {name} --not-placed`"
    assert to_do in said
    assert to_do in alerted(stack, "ORDER_PARKED")[0]["message"]
    (late,) = eventually(lambda: alerted(stack, "FLATTEN_LATE"), 20)
    assert to_do in late["message"]
    assert stack.ask("orders", "resolve", name, "--not-placed")["ok"] is True
    eventually(lambda: not rows_of(stack, SBIN), 60)
    assert SBIN not in stack.broker_net()
    eventually(lambda: not alerted(stack, "ORDER_PARKED") and not alerted(stack, "FLATTEN_LATE"), 30)


def alerted(stack: Stack, code: str) -> list[dict[str, Any]]:
    """Alerts of this code that stand."""
    return [row for row in stack.ask("alerts") if row["code"] == code]


def test_exit_that_several_broker_orders_fit_is_bound_by_a_person(stack: Stack) -> None:
    claimed(stack, 8)
    price = round(rows_of(stack, SBIN, "manual")[0]["average_price"] * 1.04)
    lose_the_next_order(stack)
    refused(stack, 5, "positions", "close", SBIN, "--deadline", "1")
    twins = [by_hand(stack, "SELL", 8, price) for _ in range(2)]
    (alert,) = eventually(lambda: [row for row in stack.ask("alerts") if row["code"] == "ORDER_AMBIGUOUS"], 30)
    assert all(twin in alert["message"] for twin in twins)
    name = alert["subject"]
    assert "may be this one" in refused(stack, 1, "orders", "resolve", name, "--not-placed")
    assert stack.ask("orders", "resolve", name, "--broker-order", twins[0])["ok"] is True
    stack.post("cancelorder", strategy="by hand", orderid=twins[1])
    eventually(lambda: not rows_of(stack, SBIN), 60)
    assert SBIN not in stack.broker_net()


def filled(stack: Stack) -> str:
    return next(str(row["client_order_id"]) for row in reversed(stack.ask("orders")) if row["state"] == "FILLED")


def test_flatten_keeps_the_stop_while_books_are_stale_and_survives_a_kill(stack: Stack) -> None:
    claimed(stack, 9, stop=0.9)
    eventually(lambda: stops(stack), 20)
    stack.ask(*FAULT, "book_500:x99999")
    err = refused(stack, 5, "flatten", "--deadline", "2")
    assert "a read of the books is awaited; stops stay meanwhile" in err
    assert stack.ask("status")["trading"]["level"] == "halt"
    assert len(stops_despite(stack)) == 1
    eventually(lambda: [row for row in stack.ask("alerts") if row["code"] == "FLATTEN_LATE"], 10)
    err = refused(stack, 5, "down", "--flatten", "--deadline", "1")
    assert "the stack goes on" in err and stack.run("status").returncode == 0
    stack.kill("router")
    stack.ask(*FAULT, "--clear")
    eventually(lambda: not rows_of(stack, SBIN), 60)
    assert SBIN not in stack.broker_net()
    eventually(lambda: not [row for row in stack.ask("alerts") if row["code"] == "FLATTEN_LATE"], 30)


def stops_despite(stack: Stack) -> list[dict[str, Any]]:
    """The waiting stops, by our own orders: the exchange's book cannot be read now."""
    return [row for row in stack.ask("orders", "--live") if row["purpose"] == "stop" and row["instrument"] == SBIN]


def test_levels_of_an_account_and_of_all_end_with_resume(stack: Stack) -> None:
    stack.ask("reduce", "--account", "paper")
    levels = {row.get("account", ""): row["level"] for row in stack.ask("status")["levels"]}
    assert levels["paper"] == "reduce"
    stack.ask("resume")
    assert {row["level"] for row in stack.ask("status")["levels"]} == {"normal"}


def test_dropped_order_updates_leave_the_books_right_and_nothing_disputed_in_silence(stack: Stack) -> None:
    stack.ask(*FAULT, "order_updates_off:probability=0.78,seed=4")
    for quantity in (3, 4):
        claimed(stack, quantity)
        assert stack.ask("positions", "close", SBIN)["flat"] is True
    assert SBIN not in stack.broker_net()
    rows = stack.ask("positions")
    assert all(row["confidence"] == "CONFIRMED" for row in rows if row["instrument"] == SBIN), rows


def test_why_tells_a_strategys_order_from_the_quote_on(stack: Stack) -> None:
    entry = eventually(
        lambda: [row for row in stack.ask("orders") if row["purpose"] == "entry" and row["state"] == "FILLED"], 120
    )[0]
    steps = stack.ask("why", entry["client_order_id"])
    kinds = [step["kind"] for step in steps]
    assert kinds[0] in ("quote", "bar")
    assert kinds.index("signal") < kinds.index("command") < kinds.index("send") < kinds.index("outcome")
    assert "fill" in kinds
    assert [step["ms"] for step in steps] == sorted(step["ms"] for step in steps)
    assert stack.ask("why", entry["broker_order_id"])[:4] == steps[:4]
    signal = stack.ask("why", entry["cause"])
    assert {step["subject"] for step in steps} <= {step["subject"] for step in signal}


def test_profit_of_the_ledger_is_held_against_the_brokers(stack: Stack) -> None:
    def compared() -> dict[str, Any] | None:
        """The row, unless the broker's books are from before the last fill."""
        (row,) = stack.ask("status")["profit"]
        return row if row["not_comparable"] or abs(row["difference"]) < 1.0 else None

    assert eventually(compared, 30)["account"] == "paper"


def test_down_flatten_closes_verifies_and_goes_down(running: Stack) -> None:
    claimed(running, 6)
    done = running.run("down", "--flatten", "--json")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert json.loads(done.stdout.splitlines()[-1])["flat"] is True
    assert running.run("status").returncode == 3
    verified = running.run("journal", "verify")
    assert verified.returncode == 0, verified.stdout
    entry = journaled_entry(running)
    assert running.ask("why", entry)[0]["kind"] in ("quote", "bar")


def journaled_entry(stack: Stack) -> str:
    orders, _ = stack.journaled()
    return next(name for name, order in orders.items() if order.purpose.value == "entry")
