"""Changes of orders that wait: what the gateway says of them, and which it refuses because they would wait for ever."""

from __future__ import annotations

from datetime import date, time, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mytrading.core.gateway.read_model import StackView
from mytrading.core.time import to_ns
from mytrading.messages import ops
from mytrading.messages.control import ModifyRequested
from mytrading.messages.enums import OrderType, Outcome, Product
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.host.clock import ClockSegment, MarketClock, machine_now
from tests.kit.fake_broker import SECOND, OrderBench
from tests.kit.gateway_queries import ops_server
from tests.kit.oms_protection import guarded, settle, stops
from tests.kit.run_configs import run_config

MONDAY = date(2026, 11, 23)
BEFORE, DURING, SILENCE, AFTER = time(8, 0), time(11, 0), time(15, 14, 40), time(17, 0)
"""NFO opens at 9:15; the venue closes MIS at 15:15."""


def at(folder: Path, moment: time, day: date = MONDAY) -> RunConfig:
    """The configuration of a stack whose market clock begins at this moment."""
    folder.mkdir(exist_ok=True)
    config = run_config(folder)
    MarketClock((ClockSegment(machine_now(), to_ns(day, moment), 1.0),), config.clock_path).mark_seen()
    return config


class Traded:
    """The order machine, and the gateway that shows what it journals."""

    def __init__(self, config: RunConfig) -> None:
        self.bench = OrderBench()
        self.config = config

    def ask(self, request: Any) -> Any:
        view = StackView()
        for row in self.bench.journal:
            view.apply(row)
        rows: list[Any] = []
        reply = ops_server(self.config, view, record=rows.extend).reply(msgspec.msgpack.encode(request))
        for row in rows:
            if isinstance(row, ModifyRequested):
                self.bench.step(row)
        return msgspec.json.decode(reply.body) if isinstance(reply, ops.JsonReply) else reply

    def modify(self, order: str, name: str = "m", **fields: float) -> Any:
        self.bench.time += 1_000_000
        return self.ask(ops.ModifyCommand(request_id=name, by="me", order=order, **fields))

    def result(self, taken: ops.OrderRequestTaken) -> tuple[str, str]:
        found = self.ask(ops.OrderRequestQuery(order=taken.order, request=taken.request))
        return found.word, found.text

    def waits(self, order: str) -> str:
        (row,) = [row for row in self.ask(ops.OrdersQuery(limit=0)) if row["client_order_id"] == order]
        return str(row.get("waits", ""))


def with_stop(config: RunConfig, **entry: Any) -> tuple[Traded, str]:
    stack = Traded(config)
    guarded(stack.bench, **entry)
    return stack, stops(stack.bench)[0].client_order_id


def with_entry(config: RunConfig) -> tuple[Traded, str]:
    stack = Traded(config)
    stack.bench.read()
    stack.bench.enter("e1", 100, order_type=OrderType.LIMIT, price=100.0)
    stack.bench.accept()
    stack.bench.read()
    return stack, "e1"


def test_move_of_a_stop_in_a_closed_session_waits_for_the_open_that_is_named(tmp_path: Path) -> None:
    stack, name = with_stop(at(tmp_path, BEFORE))
    stack.bench.session_open = False
    taken = stack.modify(name, trigger=92.0)
    waits = "NFO is closed, stops are moved or placed when it opens on Mon 23 Nov at 09:15"
    assert stack.result(taken) == ("scheduled", f"the change to trigger 92 (limit 89) waits: {waits}")
    assert stack.waits(name) == f"the change to trigger 92 (limit 89) waits: {waits}"

    withdrawn = stack.modify(name, "again", trigger=90.0)
    assert stack.result(withdrawn)[0] == "modified" and stack.waits(name) == ""
    assert stack.result(taken) == ("refused", "a later request took its place")


def test_move_of_a_stop_is_scheduled_over_a_night_for_a_gateway_that_starts_on_the_next_day(tmp_path: Path) -> None:
    stack, name = with_stop(at(tmp_path / "monday", AFTER), product=Product.NRML)
    bench = stack.bench
    bench.session_open = False
    taken = stack.modify(name, trigger=92.0)
    waits = "the change to trigger 92 (limit 89) waits: NFO is closed, stops are moved or placed when it opens on "
    assert stack.result(taken) == ("scheduled", f"{waits}Wed 25 Nov at 09:15")

    bench.broker.drop(bench.broker.orders["B2"])
    settle(bench, 8)
    bench.time += 2 * 86_400 * SECOND
    bench.broker.orders.clear()
    bench.open_day("1970-01-03")  # a holiday lies between
    stack.config = at(tmp_path / "wednesday", BEFORE, MONDAY + timedelta(days=2))
    waits = f"{waits}Wed 25 Nov at 09:15"
    assert stack.result(taken) == ("scheduled", f"the stop ended CANCELLED; {waits}")
    assert stack.waits(name) == waits

    stack.config = at(tmp_path / "open", DURING, MONDAY + timedelta(days=2))
    bench.session_open = True
    settle(bench, 4)
    word, text = stack.result(taken)
    assert (word, stack.waits(name)) == ("replaced", "") and "trigger 92, ACCEPTED" in text


@pytest.mark.parametrize("made", [with_stop, with_entry])
def test_change_of_an_mis_order_is_refused_while_the_venue_closes_mis(tmp_path: Path, made: Any) -> None:
    stack, name = made(at(tmp_path, SILENCE))
    reply = stack.modify(name, price=89.0)
    assert isinstance(reply, ops.ErrorReply)
    assert "nothing is sent for MIS any more today, as the venue closes these positions itself" in reply.error
    assert "(NFO at 15:15:00)" in reply.error


@pytest.mark.parametrize("made", [with_stop, with_entry])
def test_cancel_of_an_mis_order_is_refused_at_once_while_the_venue_closes_mis(tmp_path: Path, made: Any) -> None:
    stack, name = made(at(tmp_path, SILENCE))
    reply = stack.ask(ops.CancelCommand(request_id="c", by="me", order=name, force=True, reason="I watch it myself"))
    assert isinstance(reply, ops.ErrorReply)
    assert (
        "as the venue closes these positions itself (NFO at 15:15:00), and cancels the orders that are" in reply.error
    )
    assert "this one stays until then, and the books are read" in reply.error


def test_change_of_an_entry_is_shown_until_it_is_proven_or_refused(tmp_path: Path) -> None:
    stack, name = with_entry(at(tmp_path, DURING))
    taken = stack.modify(name, price=101.0)
    assert stack.waits(name) == "the change to price 101 waits: the broker has not answered yet"
    stack.bench.modify()
    assert stack.waits(name) == "the change to price 101 waits: the order book does not show it yet"
    assert stack.result(taken) == ("waiting", stack.waits(name))
    stack.bench.read()
    assert (stack.waits(name), stack.result(taken)[0]) == ("", "modified")

    taken = stack.modify(name, "next", price=1.0)
    stack.bench.end(stack.bench.calls[0], Outcome.REFUSED, message="price band")
    assert (stack.waits(name), stack.result(taken)) == ("", ("refused", "price band"))


def test_stop_that_is_taken_away_by_force_is_not_shown_as_one_that_is_to_move(tmp_path: Path) -> None:
    stack, name = with_stop(at(tmp_path, DURING))
    taken = stack.modify(name, trigger=92.0)
    stack.bench.ask_cancel(name, force=True, reason="I watch it myself")
    stack.bench.end(stack.bench.calls[0], Outcome.REFUSED, message="price band")
    settle(stack.bench, 4)
    assert stack.waits(name) == ""
    word, text = stack.result(taken)
    assert word == "ended" and text.startswith("it was cancelled and not changed: withdrawn by the operator"), text
