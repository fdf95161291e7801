"""A project folder for lock-step tests: one strategy that enters on even minutes and leaves on odd ones."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from mytrading.core.time import MINUTE
from mytrading.messages.orders import Order, OrderChanged, PositionAdjusted, PositionChanged, TradeClosed
from mytrading.runtime.journal.reader import JournalTail
from tests.kit.stack import Stack
from tests.kit.stack_project import BUSY, DAY, OPENS, make_project, write_ticks
from tests.kit.waiting import eventually

STRATEGY = '''
from mytrading.strategies import Bar, BaseStrategy, Signal


class EvenMinutes(BaseStrategy):
    """Long from each even minute to the next odd one, from `first_minute` of the day (UTC) on."""

    name = "EvenMinutes"
    first_minute: int = 0

    def on_data(self, data: Bar) -> Signal | None:
        if data.end_ns // 60_000_000_000 % 1440 < self.first_minute:
            return None
        return self.create_signal("EXIT" if data.end_ns // 60_000_000_000 % 2 else "BUY", confidence=1.0)
'''
SETTINGS = BUSY.replace("Alternating", "EvenMinutes") + "\n[parameters]\nfirst_minute = FIRST\n"


def make_ticks(path: Path, first_minute: int = OPENS // 60) -> Path:
    """A made-up day of NIFTY with four ticks a minute, from a minute of the Indian day on: quick to step through."""
    price, draw, ticks = 26_000.0, random.Random(11), []
    for at in range(first_minute * 60, OPENS + 375 * 60, 15):
        ticks.append((at, price))
        price += draw.gauss(0, 3)
    return write_ticks(path, {DAY: ticks})


def make_home(home: Path, first_minute: int = 0) -> dict[str, str]:
    """Make the folder, for a strategy that begins at a minute of the day (Indian); the environment of a stack on it."""
    settings = SETTINGS.replace("FIRST", str(max(first_minute - 330, 0)))
    return make_project(home, STRATEGY, {"EvenMinutes": settings})


class LockStepped:
    """A stack whose market stands at given times; asks the exchange and reads the journals."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def sim(self, route: str, **fields: Any) -> Any:
        """`data` of a POST to /sim."""
        return self.stack.sim(route, **fields)

    def reported(self, route: str) -> Any:
        """`data` of a GET from /sim."""
        venue = self.stack.config.venue
        with urlopen(f"{venue.rest_url}/sim/{route}?apikey={venue.api_key}", timeout=20) as answer:
            return json.load(answer)["data"]

    def run_to(self, at: str, seconds: float = 60.0) -> None:
        """Let the market go on to a time of its day (Indian), and wait until nothing is under way there."""
        self.let_go(at)
        self.await_rest(at, seconds)

    def let_go(self, at: str) -> None:
        """Let the market go on to a time of its day (Indian)."""
        hours, minutes, rest = (int(part) for part in at.split(":"))
        midnight = self.now() // (1440 * MINUTE) * 1440 * MINUTE
        ns = midnight + ((hours * 60 + minutes) * 60 + rest) * MINUTE // 60 - 330 * MINUTE
        self.sim("pause", paused=False, at=ns)
        assert self.now() <= ns, f"the market had passed {at} before it was told to stand there"

    def await_rest(self, at: str, seconds: float = 60.0) -> None:
        """Wait until the market stands and nothing is under way."""
        try:
            eventually(lambda: not self.state()["waits_for"], seconds)
        except AssertionError:
            raise AssertionError(f"the market did not come to {at}: {self.state()}") from None

    def now(self) -> int:
        """Market time."""
        return int(self.state()["market_ns"])

    def state(self) -> Any:
        """Return the state of the exchange by its own report."""
        return self.reported("state")

    def end_state(self) -> dict[str, Any]:
        """Return facts that must not depend on kills: orders, positions, trades and profit of ours and the exchange."""
        orders: dict[str, Any] = {}
        positions: dict[str, Any] = {}
        trades: list[Any] = []

        def fold(_row: object, message: Any) -> None:
            if isinstance(message, OrderChanged):
                orders[message.order.client_order_id] = message.order
            elif isinstance(message, PositionChanged | PositionAdjusted):
                held = message.position
                positions[f"{held.instrument} {held.strategy}"] = [held.quantity, round(held.realised, 2)]
            elif isinstance(message, TradeClosed):
                trades.append([message.instrument, message.quantity, round(message.realised, 2)])

        tail = JournalTail(self.stack.config.journal_dir("router"), "orders", fold)
        tail.start(0)
        tail.close()
        state, placed = self.reported("state"), self.reported("orders")
        return {
            "orders": {name: _reported(order) for name, order in orders.items()},
            "positions": positions,
            "trades": trades,
            "exchange": {name: state[name] for name in ("orders", "trades", "positions", "available")},
            "placed": sorted([row["strategy"], row["symbol"], row["action"], row["quantity"]] for row in placed),
        }


def _reported(order: Order) -> list[Any]:
    return [
        order.purpose.value,
        order.instrument,
        order.side.value,
        order.quantity,
        order.state.value,
        order.filled,
        round(order.average_price, 2),
    ]
