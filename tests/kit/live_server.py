"""A simulated live server in this process: its venue and REST handlers, without sockets and without a running clock.

Used by tests that hold every broker of the facts against rows and answers, where a process for each would take minutes.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

from mytrading.core.time import to_ns
from mytrading.runtime.host.clock import MarketClock
from mytrading.simulator.faults.registry import parse_fault_setting
from mytrading.simulator.formats.frames import Body
from mytrading.simulator.formats.schema import parse_fields
from mytrading.simulator.main import build
from mytrading.simulator.market.world import SimulatedWorld
from mytrading.simulator.rest.dispatcher import API_ROUTES, ROUTES
from mytrading.simulator.rest.request import Reply, RestCall
from mytrading.simulator.settings.options import SimulatorOptions
from mytrading.simulator.settings.personality import personality
from mytrading.simulator.venue.driver import Driver
from mytrading.simulator.venue.store import BookStore
from mytrading.simulator.venue.venue import SimulatedVenue
from mytrading.simulator.ws.hub import Altered
from tests.kit.project import ROOT

KEY = "live-server"
START = "2026-11-20 10:00"


@cache
def _world() -> SimulatedWorld:
    """The market of all servers of this process, which lists each day's instruments once."""
    options = SimulatorOptions(api_key=KEY, start=START, config_dir=ROOT / "config")
    venue, _ = build(options)
    world = venue.world
    venue.close()
    world.listing = cache(world.listing)  # type: ignore[method-assign]
    return world


class LiveServer:
    """A live server behind `broker`, at a trading morning; `updates` are the order updates it sent."""

    def __init__(self, broker: str, start: str = START, capital: float = 50_000_000.0) -> None:
        at = datetime.fromisoformat(start)
        clock = MarketClock(())
        clock.append_segment(to_ns(at.date(), at.time()), 1.0)
        self.venue = SimulatedVenue(clock, _world(), BookStore(None), capital, personality("live", broker))
        self.venue.routes = API_ROUTES
        self._driver = Driver(self.venue, clock, jumps=True)
        self._driver.begin()
        self.updates: list[Body] = []
        self.venue.hub.publish_order = self._keep  # type: ignore[method-assign]

    def _keep(self, body: object, _altered: Altered | None = None) -> None:
        assert isinstance(body, dict)
        self.updates.append(body)

    def call(self, route: str, **fields: Any) -> tuple[int, dict[str, Any]]:
        """Status and body of a request that passed the dispatcher's checks."""
        found = ROUTES[route if route.startswith("/") else f"/api/v1/{route}"]
        parsed, errors = parse_fields(found.schema, {"apikey": KEY, **fields})
        assert not errors, errors

        handler = found.handler(RestCall(self.venue, parsed, 0)).__await__()
        try:
            while True:  # a handler that gives way to others goes on at once: there are none
                next(handler)
        except StopIteration as ended:
            reply: Reply = ended.value
        return reply.status, reply.body

    def place(self, symbol: str = "SBIN", exchange: str = "NSE", **fields: Any) -> str:
        """The id of an order in the books, by default a market buy of 10 for MIS, whatever was answered."""
        before = set(self.venue.exchange.books.orders)
        order = {"strategy": "T", "symbol": symbol, "exchange": exchange, "action": "BUY", "quantity": 10, **fields}
        answer = self.call("placeorder", **order)
        (made,) = set(self.venue.exchange.books.orders) - before or {f"none: {answer}"}
        return made

    def change(self, order_id: str, **fields: Any) -> tuple[int, dict[str, Any]]:
        """Status and body of a change of an order, which names all its other fields as they are."""
        request = self.venue.exchange.books.orders[order_id].request
        exchange, _, symbol = request.instrument.partition(":")
        body = {
            "strategy": "T", "orderid": order_id, "symbol": symbol, "exchange": exchange, "action": request.side.value,
            "product": request.product.value, "pricetype": request.order_type.value, "price": request.price,
            "quantity": request.quantity, "disclosed_quantity": 0, "trigger_price": request.trigger_price,
        }  # fmt: skip
        return self.call("modifyorder", **{**body, **fields})

    def cancel(self, order_id: str) -> tuple[int, dict[str, Any]]:
        """Status and body of a cancel."""
        return self.call("cancelorder", strategy="T", orderid=order_id)

    def push(self, symbol: str, ltp: float, exchange: str = "NSE", **fields: Any) -> None:
        """Make a price the market, and keep it."""
        status, body = self.call("/sim/market", symbol=symbol, exchange=exchange, ltp=ltp, hold=True, **fields)
        assert status == 200, body

    def fault(self, kind: str, **fields: Any) -> None:
        """Switch a fault on."""
        setting, errors = parse_fault_setting({"kind": kind, **fields})
        assert setting is not None, errors
        self.venue.faults.set(setting)

    def clear(self) -> None:
        """Switch every fault off."""
        self.venue.faults.clear()

    def orders(self) -> dict[str, dict[str, Any]]:
        """The rows of the order book by id."""
        _, body = self.call("orderbook")
        return {row["orderid"]: row for row in body["data"]["orders"]}

    def book(self, route: str) -> list[dict[str, Any]]:
        """The rows of the trade or position book."""
        return list(self.call(route)[1]["data"])

    def move_to(self, moment: str) -> None:
        """Go on at a later market time, with all that the exchange does until then."""
        at = datetime.fromisoformat(moment)
        self.venue.clock.append_segment(to_ns(at.date(), at.time()), 1.0)
        self._driver.begin()

    def close(self) -> None:
        """End it."""
        self.venue.close()

    def __enter__(self) -> LiveServer:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
