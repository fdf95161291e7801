"""Handlers under /sim, which no real server has: pushed quotes, fault switches, receive times, counts.

Used by tests and benchmarks. The one rule: nothing here is needed to trade.
"""

from __future__ import annotations

from mytrading.core.symbology import instrument_id
from mytrading.runtime.clock import machine_now
from mytrading.simulator.call import Call
from mytrading.simulator.faults import COUNTED, SWITCHED, Fault
from mytrading.simulator.market.day import Quote
from mytrading.simulator.reply import Reply, error, success


async def push(call: Call) -> Reply:
    """Make a quote the market at once. `hold` keeps it until `release`; else the next tick replaces it.

    With `depth` that many units stand at its best bid and ask, until `release`.
    """
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
    present = venue.quote(instrument)
    ltp = fields["ltp"]
    quote = Quote(
        instrument,
        venue.clock.now(),
        ltp,
        fields["bid"] or (0.0 if present is None or not present.bid else round(ltp - instrument.tick_size, 2)),
        fields["ask"] or (0.0 if present is None or not present.ask else round(ltp + instrument.tick_size, 2)),
        present.volume if present is not None else 0,
        present.oi if present is not None else 0,
        present.open if present is not None else ltp,
        max(present.high, ltp) if present is not None else ltp,
        min(present.low or ltp, ltp) if present is not None else ltp,
        present.prev_close if present is not None else ltp,
    )
    if fields["depth"] > 0:
        venue.depths[instrument.id] = (fields["depth"], fields["depth"])
    sent_ns = machine_now()
    venue.push(quote, hold=fields["hold"])
    return success(data={"at_ns": quote.at_ns, "sent_ns": sent_ns})


async def pause(call: Call) -> Reply:
    """Stop or resume the ticks; the clock goes on."""
    venue, fields = call.venue, call.fields
    venue.paused = fields["paused"]
    return success(data={"paused": venue.paused})


async def fault(call: Call) -> Reply:
    """Switch a fault on for `count` requests (-1 for good), or off with 0; kind `clear` ends all."""
    venue, fields = call.venue, call.fields
    kind = fields["kind"]
    if kind == "clear":
        venue.faults.clear()
        return success(data=venue.faults.names())
    if kind not in COUNTED and kind not in SWITCHED:
        known = ", ".join((*COUNTED, *SWITCHED, "clear"))
        return error(400, {"kind": [f"Must be one of: {known}."]})
    if kind == "ws_drop":
        venue.hub.drop_all()
        return success(data=venue.faults.names())
    left = fields["count"] if kind in COUNTED else -1 if fields["count"] else 0
    venue.faults.set(
        kind,
        Fault(
            left,
            fields["route"],
            fields["seconds"],
            fields["ms"],
            fields["drop"],
            fields["late"],
            fields["placed"],
            fields["reason"],
        ),
    )
    return success(data=venue.faults.names())


async def orders(call: Call) -> Reply:
    """Every placeorder request that was worked, with the machine time its request came in."""
    venue = call.venue
    return success(data=list(venue.received))


async def state(call: Call) -> Reply:
    """Counts of requests by route and status, the books in short, listeners and time."""
    venue = call.venue
    desk = venue.exchange.desk
    by_status: dict[str, int] = {}
    for order in desk.orders.values():
        by_status[order.status.value] = by_status.get(order.status.value, 0) + 1
    data = {
        "market_ns": venue.clock.now(),
        "day": desk.account.day,
        "tick": venue.index,
        "ticks": len(venue.market.times) if venue.market is not None else 0,
        "requests": dict(venue.requests),
        "orders": by_status,
        "trades": len(desk.trades),
        "positions": {f"{p.instrument} {p.product}": p.quantity for p in desk.positions.values() if p.quantity},
        "available": round(desk.available(), 2),
        "clients": len(venue.hub.clients),
        "frames": venue.hub.frames_sent,
        "faults": venue.faults.names(),
    }
    return success(data=data)
