"""The routes of the REST side, and the dispatcher that limits, parses, checks, answers and counts every request.

Order of checks as on the real server: rate limit, JSON, fields, key, handler.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from weakref import WeakSet

import msgspec
from aiohttp import web

from mytrading.core.time import SECOND
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.observability.metrics import get_performance_monitor
from mytrading.simulator.faults.registry import FAULT, FAULT_NAME, ORDER_ROUTES
from mytrading.simulator.formats import schema
from mytrading.simulator.formats.schema import Fields, Schema
from mytrading.simulator.rest import book_routes, control_routes, data_routes, option_routes, order_routes
from mytrading.simulator.rest.order_routes import DropConnection, held_by_semi_auto
from mytrading.simulator.rest.request import Refused, Reply, RestCall, error, success, with_mode
from mytrading.simulator.venue.venue import SimulatedVenue

Handler = Callable[[RestCall], Awaitable[Reply]]

_ORDER_LIMIT, _DATA_LIMIT = 10, 50
_GREEKS_LIMIT = _NOTICE_LIMIT = 30
_MINUTE = 60
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Authorization",
    "Access-Control-Max-Age": "600",
}
_TICKER = "/api/v1/ticker"
_ANSWERS_ON = (0, "")
_NO_LTP = "Failed to fetch LTP for {underlying}"
_NOT_UNDERSTOOD = {"message": "The browser (or proxy) sent a request that this server could not understand."}
_encode = msgspec.json.Encoder().encode


class Route(NamedTuple):
    """A handler, its schema, its limit per second (0: none) and whether field errors are a text or an object.

    `key_error` names fields in braces, and is None where any key will do; `session_error` replaces it once the
    broker session is lost, `_ANSWERS_ON` if the route goes on. With a text for `validation` field errors stand under
    `errors`; `window` is the seconds the limit counts over. Fields that are not in the schema are refused, with
    `drops_unknown` left out, with `keeps_unknown` taken as they are.
    """

    handler: Handler
    schema: Schema
    limit: int = _DATA_LIMIT
    text_errors: bool = False
    method: str = "POST"
    mode_on_errors: bool = False
    key_error: tuple[int, str] | None = (403, "Invalid openalgo apikey")
    validation: str = ""
    window: int = 1
    drops_unknown: bool = False
    keeps_unknown: bool = False
    session_error: tuple[int, str] | None = None


def _order(handler: Handler, fields: Schema, limit: int = _DATA_LIMIT, *, mode: bool = True) -> Route:
    return Route(handler, fields, limit, True, mode_on_errors=mode)


def _gtt(handler: Handler, fields: Schema, limit: int) -> Route:
    return Route(handler, fields, limit, True, mode_on_errors=True, drops_unknown=True)


def _option(handler: Handler, fields: Schema, limit: int = _DATA_LIMIT, key_text: str = "") -> Route:
    key_error = (403, f"{key_text}Invalid openalgo apikey")
    return Route(handler, fields, limit, key_error=key_error, validation="Validation error")


def _greeks(handler: Handler, fields: Schema, limit: int, window: int) -> Route:
    bad_key = (401, "Invalid openalgo apikey")
    lost = (403, "Failed to fetch underlying price: Invalid openalgo apikey")
    text = "Validation failed"
    return Route(handler, fields, limit, key_error=bad_key, validation=text, window=window, session_error=lost)


def _notice(handler: Handler, fields: Schema) -> Route:
    return Route(handler, fields, _NOTICE_LIMIT, key_error=(401, "Invalid or missing API key"), window=_MINUTE)


def _probe(handler: Handler) -> Route:
    return Route(handler, {}, method="GET", key_error=None, drops_unknown=True)


def _always(reply: Reply) -> Handler:
    async def handler(_call: RestCall) -> Reply:
        return reply

    return handler


_WELCOME = success(message="The simulator of MyTrading; its routes are those of /api/v1")
_QUEUED = success(message="Notification queued")  # as by a server whose bot runs and knows the user
_NOT_PAIRED = error(409, "WhatsApp is not paired or not connected. Pair the device with OpenAlgo before sending.")


_API: dict[str, Route] = {
    "placeorder": _order(order_routes.placeorder, schema.PLACE, _ORDER_LIMIT, mode=False),
    "modifyorder": _order(order_routes.modifyorder, schema.MODIFY, _ORDER_LIMIT),
    "cancelorder": _order(order_routes.cancelorder, schema.ORDER_ID, _ORDER_LIMIT),
    "cancelallorder": _order(order_routes.cancelallorder, schema.STRATEGY),
    "closeposition": _order(order_routes.closeposition, schema.STRATEGY),
    "margin": _order(order_routes.margin, schema.MARGIN, mode=False),
    "basketorder": _order(order_routes.basketorder, schema.BASKET),
    "splitorder": _order(order_routes.splitorder, schema.SPLIT),
    "placesmartorder": _order(order_routes.placesmartorder, schema.SMART, _ORDER_LIMIT),
    "placegttorder": _gtt(order_routes.placegttorder, schema.GTT, _ORDER_LIMIT),
    "modifygttorder": _gtt(order_routes.modifygttorder, schema.MODIFY_GTT, _ORDER_LIMIT),
    "cancelgttorder": _gtt(order_routes.cancelgttorder, schema.CANCEL_GTT, _ORDER_LIMIT),
    "gttorderbook": _gtt(order_routes.gttorderbook, schema.ACCOUNT, _DATA_LIMIT),
    "optionsorder": _option(option_routes.optionsorder, schema.OPTIONS_ORDER, _ORDER_LIMIT),
    "optionsmultiorder": _option(option_routes.optionsmultiorder, schema.OPTIONS_MULTI, _ORDER_LIMIT),
    "optionsymbol": _option(option_routes.optionsymbol, schema.OPTION_SYMBOL, key_text=f"{_NO_LTP}. "),
    "optionchain": _option(option_routes.optionchain, schema.OPTION_CHAIN, key_text=f"{_NO_LTP}: "),
    "syntheticfuture": _option(option_routes.syntheticfuture, schema.SYNTHETIC, key_text=f"{_NO_LTP}. "),
    "optiongreeks": _greeks(option_routes.optiongreeks, schema.GREEKS, _GREEKS_LIMIT, _MINUTE),
    "multioptiongreeks": _greeks(option_routes.multioptiongreeks, schema.MULTI_GREEKS, _DATA_LIMIT, 1),
    "orderstatus": _order(book_routes.orderstatus, schema.ORDER_ID),
    "openposition": _order(book_routes.openposition, schema.OPEN_POSITION),
    "analyzer": _order(book_routes.analyzer, schema.ACCOUNT, mode=False),
    "analyzer/toggle": _order(book_routes.analyzer_toggle, schema.TOGGLE, mode=False),
    "orderbook": Route(book_routes.orderbook, schema.ACCOUNT),
    "tradebook": Route(book_routes.tradebook, schema.ACCOUNT),
    "positionbook": Route(book_routes.positionbook, schema.ACCOUNT),
    "pnl/symbols": Route(book_routes.pnl_symbols, schema.ACCOUNT),
    "holdings": Route(book_routes.holdings, schema.ACCOUNT),
    "funds": Route(book_routes.funds, schema.ACCOUNT),
    "ping": Route(book_routes.ping, schema.ACCOUNT),
    "quotes": Route(data_routes.quotes, schema.SYMBOL),
    "multiquotes": Route(data_routes.multiquotes, schema.MULTI),
    "depth": Route(data_routes.depth, schema.SYMBOL, key_error=(404, "Broker-specific module not found")),
    "history": Route(data_routes.history, schema.HISTORY),
    "intervals": Route(data_routes.intervals, schema.ACCOUNT),
    "symbol": Route(data_routes.symbol, schema.SYMBOL),
    "search": Route(data_routes.search, schema.SEARCH, session_error=_ANSWERS_ON),
    "expiry": Route(data_routes.expiry, schema.EXPIRY),
    "market/holidays": Route(data_routes.holidays, schema.HOLIDAYS, key_error=None),
    "market/timings": Route(data_routes.timings, schema.TIMINGS, key_error=None),
    "instruments": Route(data_routes.instruments, schema.INSTRUMENTS, method="GET"),
    "ticker": Route(data_routes.ticker, schema.TICKER, method="GET"),
    "chart": Route(control_routes.store_chart, schema.ACCOUNT, keeps_unknown=True, session_error=_ANSWERS_ON),
    "chart GET": Route(
        control_routes.chart, schema.ACCOUNT, method="GET", drops_unknown=True, session_error=_ANSWERS_ON
    ),
    "telegram/notify": _notice(_always(_QUEUED), schema.TELEGRAM),
    "whatsapp/notify": _notice(_always(_NOT_PAIRED), schema.WHATSAPP),
}
_BENCH: dict[str, Route] = {
    "market": Route(control_routes.push_quote, schema.PUSH, 0),
    "pause": Route(control_routes.set_paused, schema.PAUSE, 0),
    "fault": Route(control_routes.fault, FAULT, 0),
    "fault GET": Route(control_routes.faults, schema.ACCOUNT, 0, method="GET"),
    "fault DELETE": Route(control_routes.end_fault, FAULT_NAME, 0, method="DELETE"),
    "login": Route(control_routes.login, schema.ACCOUNT, 0),
    "orders": Route(control_routes.orders, schema.ACCOUNT, 0, method="GET"),
    "sent": Route(control_routes.sent, schema.SYMBOL, 0),
    "state": Route(control_routes.state, schema.ACCOUNT, 0, method="GET"),
}
_PROBES: dict[str, Route] = {
    "": _probe(_always(_WELCOME)),
    "/health": _probe(_always(Reply(200, {"status": "pass"}))),
    "/auth/check-setup": _probe(_always(success(needs_setup=False))),
    "/api/v1/swagger.json": _probe(control_routes.swagger),
}
ROUTES = (
    {f"/api/v1/{name}": route for name, route in _API.items()}
    | {f"/sim/{name}": route for name, route in _BENCH.items()}
    | _PROBES
)
API_ROUTES = tuple(name for name in _API if " " not in name)


class Dispatcher:
    """Serves one venue under one key; pages of the origin `cors` may read what it answers, `*` is any."""

    def __init__(self, venue: SimulatedVenue, api_key: str, cors: str = "") -> None:
        self._venue, self._api_key, self._cors = venue, api_key, cors
        self._calls: dict[tuple[str, str], deque[int]] = {}
        self._connections: WeakSet[asyncio.Transport] = WeakSet()
        self._monitor = get_performance_monitor()

    def server(self) -> web.Server:
        """Build the aiohttp server: one handler, `serve`, and no router, so that no order waits for a route search."""
        return web.Server(self.serve, access_log=None)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Check, execute, answer and count one REST request, whose time of receipt is taken first."""
        received_ns = machine_now()
        venue, origin = self._venue, request.headers.get("Origin", "")
        allowed = origin and self._cors in ("*", origin)
        headers = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"} if allowed else {}
        if headers and request.method == "OPTIONS":
            return web.Response(status=200, headers={**headers, **_PREFLIGHT})
        path = request.path.rstrip("/")
        if (other := f"{path} {request.method}") in ROUTES:  # the same path serves several methods
            path = other
        route, name, is_api = ROUTES.get(path), _name(path), path.startswith("/api/")
        if request.transport is not None and request.transport not in self._connections:
            self._connections.add(request.transport)
            venue.connections += 1
        if is_api:
            kind = "orders" if route is not None and route.limit == _ORDER_LIMIT else "data"
            venue.call_counts["smart_orders" if name == "placesmartorder" else kind].count(received_ns)
        if venue.event_log is not None and name in ORDER_ROUTES:
            venue.event_log.log_call(name, received_ns)
        try:
            if is_api and venue.faults.fire("rate_limited", route=name) is not None:
                raise Refused(Reply(429, {"message": f"{_ORDER_LIMIT} per 1 second"}))
            reply = await self._reply(request, path, received_ns)
        except Refused as refused:
            reply = refused.reply
        except DropConnection:
            reply = Reply(0, {})
        served = _parted(path)[0]
        counted = _name(served) if served in ROUTES else "other"
        venue.requests[f"{counted} {reply.status or 'dropped'}"] += 1
        self._monitor.record("simulator", counted, machine_now() - received_ns, reply.status < 500)
        if not path.startswith("/sim/") and (delay := venue.faults.fire("delay_ms", route=name)) is not None:
            await asyncio.sleep(delay.number("ms") / 1000.0)
        if not reply.status:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        body = reply.text.encode() if reply.text else _encode(reply.body)
        return web.Response(status=reply.status, body=body, content_type=reply.content_type, headers=headers)

    async def _reply(self, request: web.BaseRequest, path: str, received_ns: int) -> Reply:
        path, subject = _parted(path)
        if (route := ROUTES.get(path)) is None or route.method != request.method:
            raise Refused(error(404, "Not found", path=request.path))
        if route.limit:
            self._limit(route, self._calls.setdefault((path, request.remote or ""), deque()), received_ns)
        body = {**request.query, **subject} if route.method == "GET" else await self._json(request, route)
        fields = self._fields(route, body)
        self._admit(route, path, fields)
        call = RestCall(self._venue, fields, received_ns)
        return held_by_semi_auto(call, _name(path)) or await route.handler(call)

    def _admit(self, route: Route, path: str, fields: Fields) -> None:
        """Refuse a wrong key, and a right one behind which there is no broker session."""
        session = self._venue.session
        if route.key_error is None:
            return
        if fields["apikey"] != self._api_key:
            status, text = route.key_error
        elif route.session_error != _ANSWERS_ON and path.startswith("/api/") and session.refuses(_name(path)):
            status, text = route.session_error or route.key_error
        else:
            return
        raise Refused(error(status, text.format_map(fields)))

    @staticmethod
    def _limit(route: Route, calls: deque[int], now: int) -> None:
        """A moving window over the calls of a route from an address; refused calls do not count."""
        while calls and now - calls[0] >= route.window * SECOND:
            calls.popleft()
        if len(calls) >= route.limit:
            unit = "minute" if route.window == _MINUTE else "second"
            raise Refused(Reply(429, {"message": f"{route.limit} per 1 {unit}"}))
        calls.append(now)

    async def _json(self, request: web.BaseRequest, route: Route) -> dict[str, Any]:
        if request.content_type != "application/json":
            where = " in the API endpoint" if route.text_errors else ""
            raise Refused(error(500, f"An unexpected error occurred{where}"))
        raw = await request.read()
        try:
            try:
                body = msgspec.json.decode(raw)
            except msgspec.DecodeError:  # json also reads NaN
                body = json.loads(raw)
        except ValueError:
            raise Refused(Reply(400, _NOT_UNDERSTOOD)) from None
        if not isinstance(body, dict):
            raise Refused(Reply(500, {"message": "Internal Server Error"}))
        return body

    def _fields(self, route: Route, body: dict[str, Any]) -> Fields:
        if route.drops_unknown:
            body = {name: value for name, value in body.items() if name in route.schema}
        known = {name: body[name] for name in route.schema if name in body} if route.keeps_unknown else body
        fields, errors = schema.parse_fields(route.schema, known)
        if not errors:
            return {**body, **fields} if route.keeps_unknown else fields
        if route.validation:
            raise Refused(error(400, route.validation, errors=errors))
        reply = error(400, str(errors) if route.text_errors else errors)
        raise Refused(with_mode(reply, analyze=self._venue.analyze and route.mode_on_errors))


def _parted(path: str) -> tuple[str, dict[str, str]]:
    """A path without the subject at its end, and that as a field; only ticker's has one."""
    if path == _TICKER or not path.startswith(f"{_TICKER}/"):
        return path, {"subject": ""} if path == _TICKER else {}
    return _TICKER, {"subject": path.removeprefix(f"{_TICKER}/")}


def _name(path: str) -> str:
    return path.rpartition("/v1/")[2]
