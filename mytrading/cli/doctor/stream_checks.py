"""Doctor's checks of streams: ticks and order updates.

Of a stack that runs, its own feed and order stream are checked: a second connection could disturb them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

from mytrading.adapters.openalgo.ws.connection import Connected, Disconnected, FeedSocket, SocketFrame, SocketRefused
from mytrading.cli.doctor.checks import Finding, Patient, failed, ok, warning
from mytrading.core.instruments.symbology import split_id
from mytrading.orchestrator import NotRunning
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.streams.ops_client import OpsRefused, OpsTimedOut

TICK_S = 10.0
ENOUGH = 0.9
FEED_S = 60.0
"""A stack that has just started on a busy machine; most tick at once, and nothing is waited for then."""
HURRIED_S = 3.0
"""How long a start waits for a tick."""


def websocket(patient: Patient) -> Finding:
    """A tick was seen; out of session an acknowledged subscription must do."""
    if patient.runs:
        return _feed_of_stack(patient)
    instrument = next(iter(patient.watched), "NSE_INDEX:NIFTY")
    exchange, symbol = split_id(instrument)
    wanted = {"action": "subscribe", "symbols": [{"symbol": symbol, "exchange": exchange}], "mode": "Quote"}
    is_open = patient.is_open(exchange)
    found = _converse(patient, wanted, lambda body: body.get("type") == ("market_data" if is_open else "subscribe"))
    if isinstance(found, str):
        return failed(found, "check OPENALGO_WS_HOST and OPENALGO_WS_PORT, and the server's WebSocket proxy")
    if found is None:
        cure = "log in to the broker; restart the server's WebSocket proxy if that does not help"
        return failed(f"connected, but {instrument} gave nothing within {_patience_s(patient):g} s", cure)
    if not is_open:
        refused = found.get("status") == "error"
        text = (
            f"{instrument}: {found.get('message', 'no reason given')}" if refused else f"{instrument} is acknowledged"
        )
        if refused:
            return failed(text, "check the symbol and today's master contract")
        return warning(f"{text}; {exchange} is closed, so no tick was awaited", "repeat it in the session")
    return ok(f"{instrument} ticked at {found.get('data', {}).get('ltp', '?')}")


def order_stream(patient: Patient) -> Finding:
    """The server takes a subscription to order updates."""
    if patient.runs:
        figures = _figures(patient, "reconciler")
        if figures.get("stream_up"):
            return ok(f"up, {figures.get('order_updates', 0):g} updates so far")
        return warning("down", "the books are read instead; see `mytrading alerts`")
    found = _converse(patient, {"action": "subscribe_orders"}, lambda body: body.get("type") == "subscribe_orders")
    if isinstance(found, dict) and found.get("status") == "success":
        return ok("subscribed")
    text = found if isinstance(found, str) else str((found or {}).get("message", "no answer"))
    return warning(text, "update the server; until then the books are read instead")


def _feed_of_stack(patient: Patient) -> Finding:
    deadline = time.monotonic() + FEED_S
    exchange = split_id(next(iter(patient.watched), "NSE_INDEX:NIFTY"))[0]
    while True:
        figures = _figures(patient, "feed")
        quotes = figures.get("quotes_in", 0.0)
        text = f"{figures.get('fresh', 0):g} of {figures.get('expected', 0):g} tick"
        if quotes and figures.get("coverage", 0.0) >= ENOUGH:
            return ok(f"{text}, {quotes:g} quotes so far")
        if time.monotonic() > deadline or not patient.is_open(exchange):
            break
        time.sleep(0.2)
    if not patient.is_open(exchange):
        return warning(f"{text}; {exchange} is closed", "repeat it in the session")
    cure = "see `mytrading alerts` and `mytrading logs feed`"
    return warning(text, cure) if quotes else failed("no quote so far", cure)


def _figures(patient: Patient, daemon: str) -> dict[str, float]:
    try:
        rows = patient.stack.status()["daemons"]
    except (NotRunning, OpsTimedOut, OpsRefused):
        return {}
    return next((row.get("figures", {}) for row in rows if row["daemon"] == daemon), {})


def _converse(
    patient: Patient, request: dict[str, Any], is_answer: Callable[[dict[str, Any]], bool]
) -> dict[str, Any] | str | None:
    """The answer to a request on a socket of its own; a text if there is no connection, None if nothing came."""
    rung = threading.Event()
    venue = patient.config.venue
    connection = FeedSocket(venue.ws_url, venue.api_key, machine_now, rung.set)
    connection.start()
    deadline = time.monotonic() + _patience_s(patient)
    try:
        while (left := deadline - time.monotonic()) > 0:
            rung.wait(left)
            rung.clear()
            for event in connection.drain():
                if isinstance(event, Connected):
                    connection.send(request)
                elif isinstance(event, Disconnected):
                    return f"{venue.ws_url}: {event.reason}"
                elif isinstance(event, SocketRefused):
                    return f"{venue.ws_url}: {event.code}: {event.message}"
                elif isinstance(event, SocketFrame) and is_answer(body := _decoded(event.data)):
                    return body
        return None
    finally:
        connection.stop()


def _patience_s(patient: Patient) -> float:
    return min(TICK_S, HURRIED_S) if patient.hurried else TICK_S


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return {}
    return body if isinstance(body, dict) else {}
