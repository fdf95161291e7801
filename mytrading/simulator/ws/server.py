"""The WebSocket side: authenticate, subscribe, order updates, ping, in the frames of OpenAlgo's proxy.

Error frames have no `type`, as on the real server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from aiohttp import WSMsgType, web

from mytrading.core.instruments.symbology import instrument_id
from mytrading.messages.codec import UNREADABLE
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.runtime.host.clock import machine_now
from mytrading.simulator.formats.frames import DEPTH, LTP, MODE_NAMES, QUOTE, USER, Body
from mytrading.simulator.market.day import SimulatedQuote
from mytrading.simulator.ws.hub import Client

if TYPE_CHECKING:
    from mytrading.simulator.venue.venue import SimulatedVenue  # owns the hub: imported, it would import this folder

_AUTH_GRACE_SECONDS = 15.0
_AUTH_TIMEOUT_CODE = 4401
_HEARTBEAT_SECONDS = 20.0
_LARGEST_MESSAGE = 1 << 20
_MODES = {"ltp": LTP, "quote": QUOTE, "depth": DEPTH}


class FrameRefused(Exception):
    """A message that is answered with an error frame."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.frame: Body = {"status": "error", "code": code, "message": message}


class FeedServer:
    """Serves one venue's quotes and order updates under one key."""

    def __init__(self, venue: SimulatedVenue, api_key: str) -> None:
        self._venue, self._hub, self._api_key = venue, venue.hub, api_key
        self._verbs: dict[str, Callable[[Client, Body], None]] = {
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "unsubscribe_all": self._unsubscribe_all,
            "subscribe_orders": partial(self._switch_orders, on=True),
            "unsubscribe_orders": partial(self._switch_orders, on=False),
        }

    def application(self) -> web.Application:
        """Build the aiohttp application, whose every path is the feed."""
        application = web.Application()
        application.router.add_get("/{path:.*}", self.serve)
        return application

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one WebSocket connection until it ends."""
        socket = web.WebSocketResponse(heartbeat=_HEARTBEAT_SECONDS, compress=False, max_msg_size=_LARGEST_MESSAGE)
        await socket.prepare(request)
        client = Client(socket, request.transport)
        self._hub.add_client(client)
        tasks = [asyncio.create_task(client.write()), asyncio.create_task(self._expire(client))]
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT or message.type is WSMsgType.BINARY:
                    self.answer(client, message.data)
        finally:
            self._hub.remove_client(client)
            for task in tasks:
                task.cancel()
        return socket

    async def _expire(self, client: Client) -> None:
        await asyncio.sleep(_AUTH_GRACE_SECONDS)
        if not client.authenticated:
            with suppress(ConnectionError):
                await client.socket.close(code=_AUTH_TIMEOUT_CODE, message=b"auth timeout")

    def answer(self, client: Client, raw: str | bytes) -> None:
        """Answer one message of a client, or queue the error frame that refuses it."""
        try:
            message = _parse(raw)
            verb = message.get("action") or message.get("type")
            if verb in ("authenticate", "auth"):
                self._authenticate(client, message)
            elif verb == "ping":
                self._pong(client, message)
            elif verb == "get_supported_brokers":
                brokers = {"brokers": [self._venue.broker], "count": 1}
                client.send({"type": "supported_brokers", "status": "success", **brokers})
            elif not client.authenticated:
                raise FrameRefused("NOT_AUTHENTICATED", "You must authenticate first")
            elif verb == "get_broker_info":
                served = {"broker": self._venue.broker, "adapter_status": "connected", "user_id": USER}
                client.send({"type": "broker_info", "status": "success", **served})
            elif not isinstance(verb, str) or verb not in self._verbs:
                raise FrameRefused("INVALID_ACTION", f"Invalid action: {verb}")
            else:
                self._verbs[verb](client, message)
        except FrameRefused as refused:
            client.send(refused.frame)

    def _authenticate(self, client: Client, message: Body) -> None:
        if not (key := message.get("api_key") or message.get("apikey")):
            raise FrameRefused("AUTHENTICATION_ERROR", "API key is required")
        if key != self._api_key:
            raise FrameRefused("AUTHENTICATION_ERROR", "Invalid API key")
        if self._venue.session.refuses_sockets:
            raise FrameRefused("BROKER_ERROR", "No broker configuration found for user")
        client.authenticated = True
        client.admitted_ns = machine_now()
        client.send(
            {
                "type": "auth",
                "status": "success",
                "message": "Authentication successful",
                "broker": self._venue.broker,
                "user_id": USER,
                "supported_features": {"ltp": True, "quote": True, "depth": True},
            }
        )

    def _subscribe(self, client: Client, message: Body) -> None:
        if not (entries := _entries(message)):
            raise FrameRefused("INVALID_PARAMETERS", "At least one symbol must be specified")
        mode = _mode(message.get("mode", QUOTE))
        if self._venue.session.rolled_over:
            raise FrameRefused("BROKER_ERROR", f"No active broker session for {self._venue.broker}; log in again")
        depth = message.get("depth", 5)
        rows, fresh = [], []
        for entry in entries:
            symbol, exchange = entry.get("symbol"), entry.get("exchange")
            if not symbol or not exchange:
                continue
            row: Body = {"symbol": symbol, "exchange": exchange}
            instrument = self._venue.instrument(instrument_id(str(exchange), str(symbol)))
            if instrument is None:
                row.update(status="error", message=f"Token not found for {symbol} on {exchange}")
            elif self._refuses(instrument, mode):
                row.update(status="error", message=f"{MODE_NAMES[mode]} is not supported for {symbol} on {exchange}")
            else:
                self._hub.subscribe(client, instrument.id, mode)
                fresh.append(instrument)
                row.update(status="success", mode=MODE_NAMES[mode], depth=depth)
            rows.append({**row, "broker": self._venue.broker})
        failed = any(row["status"] == "error" for row in rows)
        body = {
            "type": "subscribe",
            "status": "partial" if failed else "success",
            "subscriptions": rows,
            "message": "Subscription processing complete",
            "broker": self._venue.broker,
        }
        client.send(_echo(body, message))
        for instrument in fresh:
            quote = self._venue.quote(instrument)
            shown = self._venue.quotes.with_faults(quote) if quote is not None and self._is_shown(quote) else None
            if shown is not None:
                self._hub.send_current_quote(client, shown, mode)

    def _refuses(self, instrument: Instrument, mode: int) -> bool:
        frames = self._hub.frames
        return frames is not None and frames.refuses(mode, is_index=instrument.kind is InstrumentKind.INDEX)

    def _is_shown(self, quote: SimulatedQuote) -> bool:
        """True if a subscription is answered with the present quote: once there is one today, or at brokers that send
        a snapshot before that."""
        return bool(quote.open) or (self._hub.frames is not None and self._hub.frames.form.snapshot)

    def _unsubscribe(self, client: Client, message: Body) -> None:
        listed = isinstance(message.get("symbols"), list)
        if not (entries := _entries(message)):
            raise FrameRefused("INVALID_PARAMETERS", "Either symbols or unsubscribe_all is required")
        done = []
        for entry in entries:
            symbol, exchange = str(entry.get("symbol")), str(entry.get("exchange"))
            mode = _mode(entry.get("mode", QUOTE) if listed else message.get("mode", QUOTE))
            self._hub.unsubscribe(client, instrument_id(exchange, symbol), mode)
            done.append((symbol, exchange))
        client.send(_unsubscribed(message, done, self._venue.broker))

    def _unsubscribe_all(self, client: Client, message: Body) -> None:
        done = []
        for instrument, modes in list(client.modes.items()):
            exchange, _, symbol = instrument.partition(":")
            for mode in list(modes):
                self._hub.unsubscribe(client, instrument, mode)
                done.append((symbol, exchange))
        client.send(_unsubscribed(message, done, self._venue.broker))

    def _switch_orders(self, client: Client, message: Body, *, on: bool) -> None:
        client.wants_orders = on
        kind = "subscribe_orders" if on else "unsubscribe_orders"
        text = "Subscribed to order updates" if on else "Unsubscribed from order updates"
        client.send(_echo({"type": kind, "status": "success", "message": text}, message))

    def _pong(self, client: Client, message: Body) -> None:
        body: Body = {"type": "pong", "status": "success", "server_timestamp": self._venue.clock.now() // 1_000_000}
        for given, name in (("timestamp", "client_timestamp"), ("_pingId", "_pingId")):
            if given in message:
                body[name] = message[given]
        client.send(body)


def _parse(raw: str | bytes) -> Body:
    try:
        message = msgspec.json.decode(raw)
    except UNREADABLE:
        raise FrameRefused("INVALID_JSON", "Invalid JSON message") from None
    return _object(message)


def _object(value: object) -> Body:
    if not isinstance(value, dict):
        raise FrameRefused("SERVER_ERROR", f"'{type(value).__name__}' object has no attribute 'get'")
    return value


def _entries(message: Body) -> list[Body]:
    symbols = message.get("symbols")
    if isinstance(symbols, list):
        return [_object(entry) for entry in symbols]
    if message.get("symbol") and message.get("exchange"):
        return [message]
    return []


def _mode(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        if value in MODE_NAMES:
            return value
        raise FrameRefused("INVALID_MODE", f"Invalid mode {value}; expected 1 (LTP), 2 (Quote), or 3 (Depth)")
    if isinstance(value, str) and value.lower() in _MODES:
        return _MODES[value.lower()]
    expected = "expected 'LTP', 'Quote', or 'Depth' (case-insensitive)"
    raise FrameRefused("INVALID_MODE", f"Invalid mode {value!r}; {expected}")


def _echo(body: Body, message: Body) -> Body:
    return {**body, "request_id": message["request_id"]} if "request_id" in message else body


def _unsubscribed(message: Body, done: list[tuple[str, str]], broker: str) -> Body:
    rows = [{"symbol": name, "exchange": exchange, "status": "success", "broker": broker} for name, exchange in done]
    body = {
        "type": "unsubscribe",
        "status": "success",
        "message": "Unsubscription processing complete",
        "successful": rows,
        "failed": [],
        "broker": broker,
    }
    return _echo(body, message)
