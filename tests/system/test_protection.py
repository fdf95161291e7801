"""Stops over the real stack: covered as it fills, placed again, triggered, jumped, passed; and nothing takes them away.

One stack serves all tests. Its strategies hold as many units as a file says; prices are held where a test puts them.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from mytrading.runtime.journal.reader import JournalTail
from tests.kit.fill_to_stop import FillToStop
from tests.kit.stack import Stack
from tests.kit.stack_project import WIDE, make_project
from tests.kit.waiting import PATIENCE, eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

T = TypeVar("T")

SBIN, RELIANCE, INFY, NIFTY = "NSE:SBIN", "NSE:RELIANCE", "NSE:INFY", "NSE_INDEX:NIFTY"
STRATEGY = """
import json
import pathlib
from typing import Any

from mytrading.strategies import Bar, BaseStrategy, Leg, Signal

ORDERS = pathlib.Path({path!r})


class Obedient(BaseStrategy):
    '''Holds the units that the file says.'''

    subscribe_quotes = True
    prefix: str = ""

    def on_data(self, data: Any) -> Signal | None:
        if not isinstance(data, Bar):
            fresh = ORDERS.with_name(f"{{self.instrument}}.new")
            fresh.write_text(str(data.ltp))
            fresh.replace(ORDERS.with_name(self.instrument))
        wanted = json.loads(ORDERS.read_text()).get(self.prefix + self.instrument)
        if wanted is None or isinstance(data, Bar):
            return None
        if not wanted:
            return self.create_signal("EXIT") if not self.position.is_flat else None
        action = "BUY" if wanted > 0 else "SELL"
        return self.create_signal(action, legs=[Leg(instrument=self.instrument, lots=wanted)])


class Held(Obedient):
    '''The same; risk holds its stops.'''


class Limited(Obedient):
    '''The same, with a limit to the loss of a run.'''

    prefix: str = "limited "


class Futures(Obedient):
    '''Holds the nearest future of what it watches while the file says so.'''

    def on_data(self, data: Any) -> Signal | None:
        wanted = json.loads(ORDERS.read_text()).get(self.instrument)
        if wanted is None or isinstance(data, Bar) or bool(wanted) != self.position.is_flat:
            return None
        return self.create_signal("BUY" if wanted else "EXIT")


class Writer(Obedient):
    '''Sells an option while the file says so.'''

    def on_data(self, data: Any) -> Signal | None:
        wanted = json.loads(ORDERS.read_text()).get("writer")
        if wanted is None or isinstance(data, Bar) or bool(wanted) != self.position.is_flat:
            return None
        return self.create_signal("SELL" if wanted else "EXIT")
"""
CONFIG = """
name = "{name}"
symbols = {symbols}
timeframes = ["1m"]
direction = "both"
stop = "{stop}"

[trade]
long = "{trade}"
short = "{trade}"

[risk]
max_loss = {max_loss}
"""
RISK = {**WIDE, "min_order_size": 1}


class Holder:
    """The stack, the file its strategies obey, and the exchange's side of it."""

    def __init__(self, folder: Path) -> None:
        self.orders = folder / "orders.json"
        self.wanted: dict[str, int] = {}
        self.prices: dict[str, tuple[float, float]] = {}
        self.orders.write_text("{}")
        rows = (
            ("Obedient", "broker", 0, (SBIN, RELIANCE), "same"),
            ("Held", "engine", 0, (INFY,), "same"),
            ("Limited", "engine", 500, (INFY,), "same"),
            ("Futures", "broker", 0, (NIFTY,), "future"),
            ("Writer", "broker", 0, (NIFTY,), "SELL NIFTY ATM CE nearest"),
        )
        settings = {
            name: CONFIG.format(name=name, stop=stop, symbols=json.dumps(symbols), max_loss=max_loss, trade=trade)
            for name, stop, max_loss, symbols, trade in rows
        }
        settings["Writer"] = settings["Writer"].replace("stop =", "stop_loss_pct = 0.8\nstop =")
        chosen = {"ENABLED_SYMBOLS": SBIN, "BARE_SECONDS": "1", "MAX_ENTRIES_PER_MINUTE": "100000"}
        code = STRATEGY.format(path=str(self.orders))
        self.stack = Stack(folder, **make_project(folder / "home", code, settings, RISK, **chosen))

    def want(self, instrument: str, units: int) -> None:
        self.wanted[instrument] = units
        fresh = self.orders.with_suffix(".new")
        fresh.write_text(json.dumps(self.wanted))
        fresh.replace(self.orders)

    def price(self, instrument: str, ltp: float, bid: float = 0.0) -> None:
        """Make this the price, for good."""
        self.prices[instrument] = (ltp, bid)
        exchange, symbol = instrument.split(":")
        bid = bid or ltp - 0.05
        self.stack.sim(
            "market", symbol=symbol, exchange=exchange, ltp=ltp, bid=bid, ask=max(bid, ltp) + 0.05, hold=True
        )

    def settle(self, instrument: str, price: float) -> None:
        """Make this the price and wait until strategies see it: a quote of before may be under way to them."""
        self.price(instrument, price)
        seen = self.orders.with_name(instrument)
        self.until(instrument, lambda: seen.exists() and float(seen.read_text()) == price, 20)

    def until(self, instrument: str, condition: Callable[[], T], seconds: float = 40.0) -> T:
        """Quote the price again and again until a condition holds: strategies wake up with a quote only."""

        def asked() -> T:
            self.price(instrument, *self.prices[instrument])
            return condition()

        return eventually(asked, seconds)

    def rows(self, instrument: str) -> list[dict[str, Any]]:
        """The exchange's orders of an instrument."""
        symbol = instrument.split(":")[1]
        return [row for row in self.stack.rest("orderbook")["orders"] if row["symbol"] == symbol]

    def stops(self, instrument: str) -> list[dict[str, Any]]:
        """Those that wait for their trigger there."""
        return [row for row in self.rows(instrument) if row["order_status"] == "trigger pending"]

    def covered(self, instrument: str) -> int:
        return sum(int(row["quantity"]) for row in self.stops(instrument))

    def net(self, instrument: str) -> int:
        return self.stack.broker_net().get(instrument, 0)

    def shown(self, instrument: str) -> dict[str, Any]:
        """The row of `positions`; empty if it is flat."""
        rows: list[dict[str, Any]] = self.stack.ask("positions")
        return next((row for row in rows if row["instrument"] == instrument), {})

    def trades(self, instrument: str) -> list[dict[str, Any]]:
        return [row for row in self.stack.ask("trades") if row["instrument"] == instrument]

    def enter(self, instrument: str, units: int, price: float) -> dict[str, Any]:
        """Hold so many units, guarded by one stop; returns its row at the exchange."""
        self.settle(instrument, price)
        self.want(instrument, units)
        self.until(instrument, lambda: self.net(instrument) == units and self.covered(instrument) == abs(units), 40)
        eventually(lambda: self.shown(instrument).get("stop_state") == "resting", 20)
        (stop,) = self.stops(instrument)
        return stop

    def drop(self, order: dict[str, Any]) -> None:
        """The exchange ends an order on its own."""
        self.stack.post("cancelorder", strategy="x", orderid=order["orderid"])

    def leave(self, instrument: str) -> None:
        """Be flat, with nothing at the exchange."""
        self.want(instrument, 0)
        self.until(
            instrument, lambda: not (self.net(instrument) or self.shown(instrument) or self.stops(instrument)), 40
        )

    def has_reported(self, code: str, instrument: str) -> bool:
        """True once there was an alert of this code about an instrument, active or ended."""
        rows = self.stack.ask("alerts", "--all")
        return any(row["code"] == code and instrument in row["message"] for row in rows)

    def bare(self) -> list[dict[str, Any]]:
        """The alerts that say so now: on a slow machine a stop that is placed again may come late for one."""
        return [row for row in self.stack.ask("alerts") if row["code"] == "POSITION_BARE"]


@pytest.fixture(scope="module")
def holder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Holder]:
    made = Holder(tmp_path_factory.mktemp("stops"))
    with made.stack as stack:
        stack.up("--simulator", "--speed", "1")
        yield made


def test_entry_that_fills_in_parts_is_covered_part_by_part_and_an_exit_takes_the_stops_along(holder: Holder) -> None:
    holder.settle(SBIN, 1000.0)
    holder.stack.sim("fault", kind="partial_fill", instrument=SBIN, count=3, fraction=0.5)
    holder.want(SBIN, 40)
    holder.until(SBIN, lambda: holder.net(SBIN) == 40 and holder.covered(SBIN) == 40, 60)
    stops = holder.stops(SBIN)
    assert len(stops) > 1, "a stop for each part that was seen"
    assert {(row["action"], row["pricetype"], row["trigger_price"]) for row in stops} == {("SELL", "SL", 980.0)}
    assert all(float(row["price"]) == 970.2 for row in stops)
    shown = eventually(lambda: (row := holder.shown(SBIN)).get("stop_state") == "resting" and row, 20)
    assert (shown["stop"], shown["stop_covers"]) == (980.0, 40)
    holder.leave(SBIN)
    assert eventually(lambda: not holder.stack.disagreements() or None, 30), holder.stack.disagreements()


def test_stop_that_the_exchange_drops_is_placed_again(holder: Holder) -> None:
    stop = holder.enter(SBIN, 11, 1000.0)
    holder.drop(stop)
    (again,) = eventually(lambda: [row for row in holder.stops(SBIN) if row["orderid"] != stop["orderid"]], 30)
    assert (again["quantity"], again["trigger_price"]) == (stop["quantity"], stop["trigger_price"])
    eventually(lambda: holder.shown(SBIN).get("stop_state") == "resting", 20)
    holder.leave(SBIN)


def test_short_position_is_bought_back_by_its_stop_and_the_trade_is_booked(holder: Holder) -> None:
    stop = holder.enter(RELIANCE, -7, 1500.0)
    assert (stop["action"], float(stop["trigger_price"])) == ("BUY", 1530.0)
    holder.price(RELIANCE, 1531.0)
    (trade,) = eventually(lambda: holder.trades(RELIANCE), 30)
    assert (trade["side"], trade["quantity"], trade["realised"] < 0) == ("SELL", 7, True)
    holder.want(RELIANCE, 0)
    assert len(holder.rows(RELIANCE)) == 2, "the entry and its stop, no other exit"
    assert eventually(lambda: not holder.stack.disagreements() or None, 30), holder.stack.disagreements()


def test_future_is_bought_guarded_and_sold_again(holder: Holder) -> None:
    def net() -> dict[str, int]:
        return {name: units for name, units in holder.stack.broker_net().items() if name.endswith("FUT")}

    holder.want(NIFTY, 1)
    ((future, units),) = eventually(net, 60).items()
    assert (future.startswith("NFO:NIFTY"), units % 65, units > 0) == (True, 0, True)
    eventually(lambda: holder.covered(future) == units, 30)
    shown = eventually(lambda: (row := holder.shown(future)).get("quantity") == units and row, 40)
    assert (shown["strategy"], shown["stop_state"]) == ("Futures", "resting")
    holder.want(NIFTY, 0)
    eventually(lambda: not net() and not holder.stops(future), 60)
    (trade,) = eventually(lambda: holder.trades(future), 30)
    assert (trade["side"], trade["quantity"]) == ("BUY", units)


def test_stop_whose_limit_is_jumped_is_chased_until_flat_and_a_person_hears_of_it(holder: Holder) -> None:
    """By risk, whose prices are beyond the trigger: the books call the stop open, as they would one that waits."""
    holder.enter(SBIN, 13, 1000.0)
    holder.price(SBIN, 979.0, bid=960.0)
    holder.until(SBIN, lambda: not holder.net(SBIN), 40)
    eventually(lambda: not holder.shown(SBIN), 20)
    trade = eventually(lambda: [row for row in holder.trades(SBIN) if row["quantity"] == 13], 20)[-1]
    assert trade["exit_price"] < 970.2, "below the stop's limit"
    eventually(lambda: holder.has_reported("STOP_FAILED", SBIN), 20)
    holder.want(SBIN, 0)


def test_stop_refused_because_the_price_has_passed_it_is_an_exit_at_once(holder: Holder) -> None:
    stop = holder.enter(SBIN, 14, 1000.0)
    reason = "Trigger price for stoploss sell orders should be lower than the last traded price"
    holder.stack.sim("fault", kind="reject", reason=reason)
    holder.drop(stop)
    holder.until(SBIN, lambda: not holder.net(SBIN) and not holder.shown(SBIN), 30)
    mine = [row for row in holder.stack.ask("orders", "-n", "0") if row["instrument"] == SBIN]
    refused = [row for row in mine if row["message"].startswith("TRIGGER_CROSSED")]
    assert [row["purpose"] for row in refused] == ["stop"], "one try, not three"
    holder.want(SBIN, 0)


def test_level_that_risk_holds_closes_the_position_also_after_risk_was_killed(holder: Holder) -> None:
    holder.settle(INFY, 1600.0)
    holder.want(INFY, 5)
    holder.until(INFY, lambda: holder.net(INFY) == 5, 40)
    shown = eventually(lambda: (row := holder.shown(INFY)).get("stop_state") == "engine" and row, 20)
    assert shown["stop"] == 1568.0
    assert holder.stops(INFY) == []
    old = holder.stack.kill("risk")
    eventually(lambda: holder.stack.pid("risk") not in (0, old), 30)
    eventually(holder.stack.is_ready, 40)
    holder.price(INFY, 1567.9)
    holder.until(INFY, lambda: not holder.net(INFY) and not holder.shown(INFY), 40)
    holder.want(INFY, 0)


def test_stop_of_a_sold_option_beyond_the_band_is_held_by_the_engine_alarmed_while_risk_hangs_and_fires(
    holder: Holder,
) -> None:
    """Such an entry was denied: the exchange takes no order so far from the price."""

    def sold() -> tuple[str, int] | None:
        found = [(name, units) for name, units in holder.stack.broker_net().items() if name.endswith("CE")]
        return found[0] if found else None

    holder.want("writer", 1)
    option, units = eventually(sold, 60)
    shown = eventually(lambda: (row := holder.shown(option)).get("stop_state") == "engine" and row, 20)
    assert (units, holder.stops(option)) == (-65, [])
    assert shown["stop"] == pytest.approx(1.8 * shown["average_price"], rel=0.1)
    stopped = [holder.stack.kill(name, signal.SIGSTOP) for name in ("watchdog", "risk")]
    try:
        assert eventually(lambda: holder.has_reported("ENGINE_STOP_BLIND", option), 30)
    finally:
        for pid in reversed(stopped):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    eventually(holder.stack.is_ready, 40)
    eventually(lambda: not [row for row in holder.stack.ask("alerts") if row["code"] == "ENGINE_STOP_BLIND"], 30)
    holder.want("writer", 1)
    holder.price(option, round(shown["stop"] + 5.0))
    holder.until(option, lambda: not holder.net(option) and not holder.shown(option), 40)
    (trade,) = eventually(lambda: holder.trades(option), 20)
    assert (trade["side"], trade["realised"] < 0) == ("SELL", True)
    holder.want("writer", 0)


def test_loss_at_the_limit_closes_the_run_once_with_one_event_also_when_risk_is_killed(holder: Holder) -> None:
    def events() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = holder.stack.ask("risk", "events", "--strategy", "limited")
        return found

    def kill_risk() -> None:
        old = holder.stack.kill("risk")
        eventually(lambda: holder.stack.pid("risk") not in (0, old), 30)
        eventually(holder.stack.is_ready, 40)

    holder.settle(INFY, 1600.0)
    holder.want(f"limited {INFY}", 100)
    holder.until(INFY, lambda: holder.net(INFY) == 100 and holder.shown(INFY), 40)
    holder.price(INFY, 1596.0)
    kill_risk()
    holder.until(INFY, lambda: holder.stack.beat("risk").get("figures", {}).get("run_profit Limited", 0) < -300, 20)
    assert (events(), holder.net(INFY)) == ([], 100)
    holder.price(INFY, 1594.0)
    holder.until(INFY, lambda: not holder.net(INFY) and not holder.shown(INFY), 40)
    kill_risk()
    holder.price(INFY, 1590.0)
    (event,) = eventually(lambda: [row for row in events() if row["exit_orders"]], 20)
    assert (event["kind"], event["threshold"], event["action"]) == ("max_loss", -500.0, "close_all")
    assert event["value"] <= -500
    exits = [
        row for row in holder.stack.ask("orders", "-n", "0") if row["strategy"] == "Limited" and row["side"] == "SELL"
    ]
    assert event["exit_orders"] == [row["client_order_id"] for row in exits]
    assert len(exits) == 1
    holder.want(f"limited {INFY}", 0)


def test_kills_of_router_and_risk_and_a_halt_leave_the_stop_where_it_is(holder: Holder) -> None:
    stop = holder.enter(SBIN, 16, 1000.0)
    pids = {name: holder.stack.kill(name) for name in ("router", "risk")}
    assert holder.stops(SBIN) == [stop]
    for name, old in pids.items():
        eventually(lambda name=name, old=old: holder.stack.pid(name) not in (0, old), 30)  # type: ignore[misc]
    eventually(holder.stack.is_ready, 40)
    assert holder.stack.run("halt", "looking").returncode == 0
    eventually(lambda: holder.shown(SBIN).get("stop_state") == "resting", 20)
    assert [row["orderid"] for row in holder.stops(SBIN)] == [stop["orderid"]]
    assert holder.stack.run("resume").returncode == 0
    holder.leave(SBIN)


def test_risk_alarms_a_position_whose_stop_is_gone_while_the_router_hangs(holder: Holder) -> None:
    stop = holder.enter(SBIN, 17, 1000.0)
    eventually(lambda: not holder.bare(), 30)
    stopped = [holder.stack.kill(name, signal.SIGSTOP) for name in ("watchdog", "router")]
    try:
        holder.drop(stop)
        reported = eventually(holder.bare, 40)
        assert "17 units held, 0 covered" in reported[0]["message"]
    finally:
        for pid in reversed(stopped):
            with contextlib.suppress(ProcessLookupError):  # replaced: the gateway watches the watchdog
                os.kill(pid, signal.SIGCONT)
    holder.until(SBIN, lambda: not holder.net(SBIN) or holder.covered(SBIN) == 17, 40)
    holder.leave(SBIN)
    eventually(lambda: not holder.bare(), 30)


def test_down_says_which_stop_stays_and_the_next_start_adopts_it(holder: Holder) -> None:
    eventually(holder.stack.is_ready, 60)
    stop = holder.enter(SBIN, 18, 1000.0)
    holder.want(SBIN, 18)
    done = holder.stack.run("down")
    assert done.returncode == 0, done.stderr
    assert "the stop of Obedient stays at the broker: SELL 18 NSE:SBIN at 980" in done.stdout + done.stderr
    holder.orders.write_text("{}")
    holder.stack.up("--simulator", "--speed", "1")
    eventually(lambda: holder.shown(SBIN).get("stop_state") == "resting", 30)
    assert [row["orderid"] for row in holder.stops(SBIN)] == [stop["orderid"]]
    holder.leave(SBIN)
    assert eventually(lambda: not holder.stack.disagreements() or None, 30), holder.stack.disagreements()


def test_fills_were_covered_within_two_seconds_by_the_routers_own_journal(holder: Holder) -> None:
    def seconds_to_stops() -> list[float]:
        measured = FillToStop()
        folder = holder.stack.config.journal_dir("router")
        tail = JournalTail(folder, "orders", lambda row, message: measured.fold(row.machine_ns, message))
        tail.start(0)
        tail.close()
        return measured.seconds()

    if not seconds_to_stops():  # by itself
        holder.enter(SBIN, 19, 1000.0)
        holder.leave(SBIN)
    seconds = seconds_to_stops()
    assert seconds
    assert seconds[len(seconds) // 2] < 2.0 * PATIENCE, seconds
