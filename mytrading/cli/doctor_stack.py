"""What doctor asks of streams and of the stack itself: ticks, order updates, and a trial order through the router.

With a stack that runs, its own feed and order stream are looked at, since a second connection could disturb them. The
one rule: the trial order is made at paper venues only, and is gone before doctor ends.
"""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import msgspec

from mytrading.adapters.instrument_store import InstrumentFile
from mytrading.adapters.openalgo.endpoints import market
from mytrading.adapters.openalgo.errors import TransportFailed
from mytrading.adapters.openalgo.refusals import OpenAlgoError
from mytrading.adapters.openalgo.socket import Connected, Disconnected, FeedSocket, Frame, Refused
from mytrading.cli.doctor_case import Finding, Patient, failed, ok, skipped, warning
from mytrading.core.instruments import NoSuchContract
from mytrading.core.symbology import split_id
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.runconfig import VenueKind
from mytrading.orchestrator import NotRunning
from mytrading.runtime.clock import machine_now
from mytrading.runtime.ops import OpsRefused, OpsTimedOut

TICK_S = 10.0
ENOUGH = 0.9
ORDER_S = 20.0
_BELOW = {True: 0.7, False: 0.95}
"""The trial order's share of the price: of an option, which moves more, and of a share."""
_ENDED = ("FILLED", "DENIED", "REJECTED", "CANCELLED", "EXPIRED", "LOST")


def websocket(patient: Patient) -> Finding:
    """A tick was seen; out of session an acknowledged subscription must do."""
    check = "WebSocket"
    if patient.runs:
        return _feed_of_stack(patient)
    instrument = next(iter(patient.watched), "NSE_INDEX:NIFTY")
    exchange, symbol = split_id(instrument)
    wanted = {"action": "subscribe", "symbols": [{"symbol": symbol, "exchange": exchange}], "mode": "Quote"}
    is_open = patient.is_open(exchange)
    found = _converse(patient, wanted, lambda body: body.get("type") == ("market_data" if is_open else "subscribe"))
    if isinstance(found, str):
        return failed(check, found, "check OPENALGO_WS_HOST and OPENALGO_WS_PORT, and the server's WebSocket proxy")
    if found is None:
        cure = "log in to the broker; restart the server's WebSocket proxy if that does not help"
        return failed(check, f"connected, but {instrument} gave nothing within {TICK_S:g} s", cure)
    if not is_open:
        refused = found.get("status") == "error"
        text = f"{instrument}: {found.get('message', 'no word')}" if refused else f"{instrument} is acknowledged"
        if refused:
            return failed(check, text, "check the symbol and today's master contract")
        return warning(check, f"{text}; {exchange} is closed, so no tick was awaited", "repeat it in the session")
    return ok(check, f"{instrument} ticked at {found.get('data', {}).get('ltp', '?')}")


def order_stream(patient: Patient) -> Finding:
    """The server takes a subscription to order updates."""
    check = "order stream"
    if patient.runs:
        figures = _figures(patient, "reconciler")
        if figures.get("stream_up"):
            return ok(check, f"up, {figures.get('order_updates', 0):g} updates so far")
        return warning(check, "down", "the books are read instead; see `mytrading alerts`")
    found = _converse(patient, {"action": "subscribe_orders"}, lambda body: body.get("type") == "subscribe_orders")
    if isinstance(found, dict) and found.get("status") == "success":
        return ok(check, "subscribed")
    text = found if isinstance(found, str) else str((found or {}).get("message", "no answer"))
    return warning(check, text, "update the server; until then the books are read instead")


def _feed_of_stack(patient: Patient) -> Finding:
    """What was subscribed a moment ago may take some seconds to tick."""
    deadline = time.monotonic() + TICK_S
    exchange = split_id(next(iter(patient.watched), "NSE_INDEX:NIFTY"))[0]
    while True:
        figures = _figures(patient, "feed")
        quotes, text = (
            figures.get("quotes_in", 0.0),
            f"{figures.get('fresh', 0):g} of {figures.get('expected', 0):g} tick",
        )
        if quotes and figures.get("coverage", 0.0) >= ENOUGH:
            return ok("WebSocket", f"{text}, {quotes:g} quotes so far")
        if time.monotonic() > deadline or not patient.is_open(exchange):
            break
        time.sleep(0.2)
    if not patient.is_open(exchange):
        return warning("WebSocket", f"{text}; {exchange} is closed", "repeat it in the session")
    cure = "see `mytrading alerts` and `mytrading logs feed`"
    return warning("WebSocket", text, cure) if quotes else failed("WebSocket", "no quote so far", cure)


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
    deadline = time.monotonic() + TICK_S
    try:
        while (left := deadline - time.monotonic()) > 0:
            rung.wait(left)
            rung.clear()
            for event in connection.drain():
                if isinstance(event, Connected):
                    connection.send(request)
                elif isinstance(event, Disconnected):
                    return f"{venue.ws_url}: {event.reason}"
                elif isinstance(event, Refused):
                    return f"{venue.ws_url}: {event.code}: {event.message}"
                elif isinstance(event, Frame) and is_answer(body := _decoded(event.data)):
                    return body
        return None
    finally:
        connection.stop()


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return {}
    return body if isinstance(body, dict) else {}


# the trial order


def paper_order(patient: Patient) -> Finding:
    """A limit buy far below the market is placed through gateway and router, seen resting, and cancelled."""
    check = "paper order"
    venue = patient.config.venue
    if venue.kind is VenueKind.DRY_RUN:
        return skipped(check, "a dry run sends nothing")
    if not patient.is_paper:
        return skipped(check, "live orders are not tested: doctor places none where they cost money")
    if not patient.runs:
        return skipped(check, "no stack runs, and orders go through its router", "`mytrading up`, then doctor again")
    chosen = _instrument(patient)
    if isinstance(chosen, str):
        return skipped(check, chosen)
    if not patient.is_open(chosen.exchange):
        return skipped(check, f"{chosen.exchange} is closed", "repeat it in the session")
    try:
        return _trial(patient, chosen)
    except (OpenAlgoError, TransportFailed) as error:
        return failed(check, f"{chosen.id} has no quote: {error}", "see the broker session above")
    except (NotRunning, OpsTimedOut, OpsRefused) as error:
        return failed(check, str(error), "see `mytrading status` and `mytrading logs gateway`")


def _trial(patient: Patient, chosen: Instrument) -> Finding:
    name = f"doctor-{uuid.uuid4().hex[:16]}"
    price = _price(patient, chosen)
    shown = f"{chosen.lot_size} {chosen.id} at {price:g}"
    patient.stack.ask("probe", id=name, instrument=chosen.id, quantity=str(chosen.lot_size), price=f"{price:.2f}")
    placed = _until(patient, name, lambda row: row["state"] in ("ACCEPTED", *_ENDED))
    patient.stack.ask("probe", id=name, instrument=chosen.id)
    ended = _until(patient, name, lambda row: row["state"] in _ENDED)
    state = ended.get("state", "nowhere")
    if state == "CANCELLED" and placed.get("broker_order_id"):
        return ok("paper order", f"{shown}: placed as {placed['broker_order_id']} and cancelled")
    if state == "FILLED":
        cure = f"close {chosen.id} at the server's sandbox page"
        return failed("paper order", f"{shown} was filled, far below the market", cure)
    said = ended.get("message") or placed.get("message") or "no word"
    cure = "see `mytrading orders`, `mytrading alerts` and the server's log"
    return failed("paper order", f"{shown} is {state}: {said}", cure)


def _instrument(patient: Patient) -> Instrument | str:
    """A share if one is watched, else the option at the money of a watched underlying."""
    store = InstrumentFile(patient.config.state)
    book = store.book()
    share = next((item for item in book if item.kind is InstrumentKind.EQ), None)
    if share is not None:
        return share
    for watched in patient.watched:
        underlying = split_id(watched)[1]
        alive = book.alive(underlying, InstrumentKind.CE, patient.now)
        if not alive:
            continue
        try:
            price = _last(patient, watched)
            return book.option(underlying, alive[-1], "ATM", InstrumentKind.CE, price)
        except (NoSuchContract, OpenAlgoError, TransportFailed):
            continue
    return "no share and no option is among the instruments of the stack"


def _price(patient: Patient, chosen: Instrument) -> float:
    """On the tick, and so far below the market that it rests."""
    tick = chosen.tick_size or 0.05
    steps = math.floor(_last(patient, chosen.id) * _BELOW[chosen.kind.is_option] / tick)
    return round(max(steps, 1) * tick, 2)


def _last(patient: Patient, instrument: str) -> float:
    exchange, symbol = split_id(instrument)
    return market.quote(patient.client, symbol, exchange).ltp


def _until(patient: Patient, name: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The trial order's row once the condition holds, or as it is after the time allowed."""
    deadline = time.monotonic() + ORDER_S
    row: dict[str, Any] = {}
    while time.monotonic() < deadline:
        rows = patient.stack.ask("orders", limit="0")
        row = next((item for item in rows if item["client_order_id"] == name), row)
        if row and condition(row):
            break
        time.sleep(0.1)
    return row
