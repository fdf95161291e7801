"""Handlers under /sim, which no real server has (pushed quotes, fault switches, counts), and those no order needs."""

from __future__ import annotations

import asyncio
from collections import Counter

from msgspec.structs import replace

from mytrading.core.instruments.symbology import instrument_id
from mytrading.messages.instruments import Instrument
from mytrading.runtime.host.clock import machine_now
from mytrading.simulator.faults.registry import FAULTS, parse_fault_setting, route_problem
from mytrading.simulator.formats.schema import Fields
from mytrading.simulator.market.day import SimulatedQuote
from mytrading.simulator.rest.data_routes import token_of
from mytrading.simulator.rest.request import Reply, RestCall, error, success
from mytrading.simulator.venue.venue import SimulatedVenue

MOST_SETTINGS = 1_000
MOST_LATER_S = 10.0


async def swagger(call: RestCall) -> Reply:
    """Answer the list of routes in Swagger form, for probes."""
    paths = {f"/{name}/": {"post": {"tags": [name]}} for name in call.venue.routes}
    return Reply(200, {"swagger": "2.0", "basePath": "/api/v1", "info": {"title": "OpenAlgo API"}, "paths": paths})


async def chart(call: RestCall) -> Reply:
    """Answer the stored chart settings."""
    return success(data=call.venue.chart)


async def store_chart(call: RestCall) -> Reply:
    """Merge chart settings into the stored ones."""
    kept = call.venue.chart
    if not (given := {name: value for name, value in call.fields.items() if name != "apikey"}):
        return error(400, "No preferences provided to update")
    if len(kept.keys() | given.keys()) > MOST_SETTINGS:
        return error(400, f"expected at most {MOST_SETTINGS} settings of charts in all; store fewer")
    kept.update(given)
    return success(message="Preferences updated successfully")


async def push_quote(call: RestCall) -> Reply:
    """Set an instrument's quote by request; `hold` keeps it until a request with `release`, else until the next tick.
    `depth` is the units at best bid and ask, until `release`. `after` sends the quote so many machine seconds later, at
    most `MOST_LATER_S`; `/sim/state` then has the time it was sent."""
    venue, fields = call.venue, call.fields
    instrument = venue.instrument(instrument_id(fields["exchange"], fields["symbol"]))
    if instrument is None:
        return error(400, f"Symbol {fields['symbol']} not found on {fields['exchange']}")
    if fields["release"]:
        venue.held.pop(instrument.id, None)
        venue.depths.pop(instrument.id, None)
        return success(data={"at_ns": venue.clock.now()})
    if fields["ltp"] <= 0:
        return error(400, {"ltp": ["Price must be above 0."]})
    if not 0 <= fields["after"] <= MOST_LATER_S:
        return error(400, {"after": [f"Must be seconds from 0 to {MOST_LATER_S:g}."]})
    if fields["depth"] > 0:
        venue.depths[instrument.id] = (fields["depth"], fields["depth"])
    if fields["after"]:
        loop = asyncio.get_running_loop()

        def show() -> None:
            quote = _pushed(venue, instrument, fields)
            venue.publish_pushed_quote(quote, hold=fields["hold"])
            loop.call_soon(venue.match, quote)

        loop.call_later(fields["after"], show)
        return success(data={"at_ns": venue.clock.now()})
    quote, began_ns = _pushed(venue, instrument, fields), machine_now()
    venue.publish_pushed_quote(quote, hold=fields["hold"])
    await asyncio.sleep(0)  # the frame goes out before orders are looked at: that is no part of its way
    venue.match(quote)
    return success(data={"at_ns": quote.at_ns, "sent_ns": max(began_ns, venue.hub.published_ns)})


def _pushed(venue: SimulatedVenue, instrument: Instrument, fields: Fields) -> SimulatedQuote:
    ltp, now, tick = fields["ltp"], venue.clock.now(), instrument.tick_size
    if (present := venue.quote(instrument)) is None:
        present = SimulatedQuote(instrument, now, ltp, 0.0, 0.0, 0, 0, ltp, ltp, ltp, ltp)
    return replace(
        present,
        instrument=instrument,
        at_ns=now,
        ltp=ltp,
        bid=fields["bid"] or (round(ltp - tick, 2) if present.bid else 0.0),
        ask=fields["ask"] or (round(ltp + tick, 2) if present.ask else 0.0),
        high=max(present.high, ltp),
        low=min(present.low or ltp, ltp),
    )


async def set_paused(call: RestCall) -> Reply:
    """Stop or resume the ticks, in lock-step the clock too; with `at` (market ns), stop them from that time on."""
    venue, fields = call.venue, call.fields
    venue.paused, venue.stop_at_ns = fields["paused"], fields["at"]
    venue.waits_for = "the next step" if venue.clock.lock_step else ""
    venue.hub.on_send()
    return success(data={"paused": venue.paused, "at": venue.stop_at_ns})


async def fault(call: RestCall) -> Reply:
    """Switch a fault on `count` times (-1 for good) or by chance, or off with 0; kind `clear` ends all."""
    venue = call.venue
    given = {name: value for name, value in call.fields.items() if name != "apikey" and value is not None}
    if given["kind"] == "clear":
        venue.faults.clear()
        return success(data=venue.faults.names())
    wanted, errors = parse_fault_setting(given)
    if wanted is None:
        return error(400, errors)
    if problem := route_problem(wanted, venue.routes):
        return error(400, {"route": [problem]})
    venue.faults.set(wanted)
    venue.disconnect_if_faulty()
    return success(data=venue.faults.names())


async def faults(call: RestCall) -> Reply:
    """Answer the faults that are on, and all fault kinds."""
    known = [
        {
            "kind": one.name,
            "counts": one.target.value,
            "count": one.count,
            "parameters": {**one.defaults},
            "does": one.does,
        }
        for one in FAULTS.values()
    ]
    return success(data={"on": call.venue.faults.rows(), "known": known})


async def end_fault(call: RestCall) -> Reply:
    """Switch one fault off, or without `kind` all of them."""
    switched, kind = call.venue.faults, call.fields["kind"]
    if kind and kind not in FAULTS:
        return error(400, {"kind": [f"Must be one of: {', '.join(FAULTS)}."]})
    switched.end(kind) if kind else switched.clear()
    return success(data=switched.names())


async def login(call: RestCall) -> Reply:
    """Begin a new broker session, which ends `session_lost`, `token_rollover` and `login_missing`."""
    call.venue.session.login()
    return success(data=call.venue.faults.names())


async def orders(call: RestCall) -> Reply:
    """Answer every placeorder request that was handled, with the machine time of its receipt."""
    return success(data=list(call.venue.received))


async def sent(call: RestCall) -> Reply:
    """Answer the true quotes of one instrument that went to the socket of a live server, before its broker's adapter
    made frames of them, each as [market ns, last price, volume of the day]; and the instrument's token."""
    venue, fields = call.venue, call.fields
    instrument = venue.instrument(instrument_id(fields["exchange"], fields["symbol"]))
    if instrument is None:
        return error(400, f"Symbol {fields['symbol']} not found on {fields['exchange']}")
    quotes = venue.sent.of(instrument.id) if venue.sent is not None else []
    return success(data={"token": token_of(venue, instrument), "quotes": quotes})


async def state(call: RestCall) -> Reply:
    """Answer request counts by route and status, a summary of the books, WebSocket clients and time."""
    venue = call.venue
    books = venue.exchange.books
    data = {
        "market_ns": venue.clock.now(),
        "day": books.account.day,
        "tick": venue.index,
        "ticks": len(venue.market.times) if venue.market is not None else 0,
        "requests": dict(venue.requests),
        "rates": {name: counter.row() for name, counter in venue.call_counts.items()},
        "connections": venue.connections,
        "admitted_ns": sorted(client.admitted_ns for client in venue.hub.clients if client.authenticated),
        "orders": Counter(order.status.value for order in books.orders.values()),
        "trades": len(books.trades),
        "positions": {f"{p.instrument} {p.product}": p.quantity for p in books.positions.values() if p.quantity},
        "available": round(books.available_cash(), 2),
        "clients": len(venue.hub.clients),
        "subscriptions": sum(len(client.modes) for client in venue.hub.clients),
        "frames": venue.hub.frames_sent,
        "published_ns": venue.hub.published_ns,
        "faults": venue.faults.names(),
        "waits_for": venue.waits_for,
    }
    return success(data=data)
