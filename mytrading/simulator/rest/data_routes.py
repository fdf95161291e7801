"""REST handlers of market and contract data: quotes, depth, history, symbols, expiries, instruments, calendar."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta

from mytrading.core.calendar import Calendar
from mytrading.core.instruments.symbology import expiry_label, instrument_id
from mytrading.core.time import IST, MILLISECOND, ist_date, to_ns
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.simulator.faults.effects import wrong_contract_rows
from mytrading.simulator.formats.broker_history import failed_chunk, told_history, told_quote
from mytrading.simulator.formats.frames import Body, depth_levels
from mytrading.simulator.market.day import SimulatedQuote
from mytrading.simulator.market.history import Row
from mytrading.simulator.rest.request import Refused, Reply, RestCall, error, success
from mytrading.simulator.settings.feed_profile import HistoryForm
from mytrading.simulator.venue.venue import SimulatedVenue

_EXCHANGES = ("NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX")
_ORDINARY_DAY = ("NSE", "BSE", "NFO", "BFO", "MCX", "BCD", "CDS", "NCO")
_SATURDAY = 5


async def holidays(call: RestCall) -> Reply:
    """Answer the days of a year on which some exchange is closed, or open at other hours."""
    calendar = call.venue.world.calendar
    year = call.fields["year"] or ist_date(call.venue.clock.now()).year
    first = date(year, 1, 1)
    days = (first + timedelta(days=number) for number in range((date(year + 1, 1, 1) - first).days))
    rows = [row for day in days if (row := _holiday(calendar, day)) is not None]
    return success(year=year, timezone="Asia/Kolkata", data=rows)


async def timings(call: RestCall) -> Reply:
    """Answer the trading hours of one day; crypto alone trades on weekends."""
    calendar = call.venue.world.calendar
    try:
        day = date.fromisoformat(call.fields["date"])
    except ValueError:
        return error(400, "Invalid date format. Use YYYY-MM-DD")
    if _holiday(calendar, day) is not None:
        return success(data=_hours(calendar, day, _EXCHANGES))
    midnight = to_ns(day, time()) // MILLISECOND
    crypto = {"exchange": "CRYPTO", "start_time": midnight, "end_time": midnight + 86_399_000}
    return success(data=[*_hours(calendar, day, _ORDINARY_DAY), crypto])


def _holiday(calendar: Calendar, day: date) -> Body | None:
    names = {exchange: calendar.holiday_name(exchange, day) for exchange in _EXCHANGES}
    sessions = {exchange: calendar.session(exchange, day) for exchange in _EXCHANGES}
    special = next((session.name for session in sessions.values() if session is not None and session.name), "")
    shut = [exchange for exchange in _EXCHANGES if names[exchange] and sessions[exchange] is None]
    closed = shut if day.weekday() < _SATURDAY else []
    if not closed and not special:
        return None
    return {
        "date": day.isoformat(),
        "description": next((names[exchange] for exchange in closed), special),
        "holiday_type": "TRADING_HOLIDAY" if closed else "SPECIAL_SESSION",
        "closed_exchanges": closed,
        "open_exchanges": _hours(calendar, day, _EXCHANGES),
    }


def _hours(calendar: Calendar, day: date, exchanges: Iterable[str]) -> list[Body]:
    sessions = ((exchange, calendar.session(exchange, day)) for exchange in exchanges)
    return [
        {"exchange": name, "start_time": found.open_ns // MILLISECOND, "end_time": found.close_ns // MILLISECOND}
        for name, found in sessions
        if found is not None
    ]


_MINUTES = {
    "1m": 1, "2m": 2, "3m": 3, "5m": 5, "10m": 10, "15m": 15, "30m": 30,
    "1h": 60, "2h": 120, "3h": 180, "4h": 240, "D": 0,
}  # fmt: skip
_SEARCH_LIMIT = 500
_TICKER_DAYS, _TICKER_INTRADAY_DAYS = 3650, 30
_BAR = ("open", "high", "low", "close", "volume")


async def quotes(call: RestCall) -> Reply:
    """Answer the present quote of one instrument."""
    return success(data=_told_row(call.venue, present_quote(call.venue, _listed(call)), "quotes"))


async def multiquotes(call: RestCall) -> Reply:
    """Answer quotes of several instruments; unknown ones come first, with an error."""
    venue, fields = call.venue, call.fields
    found, unknown = [], []
    for entry in fields["symbols"]:
        symbol, exchange = entry["symbol"], entry["exchange"]
        instrument = venue.instrument(instrument_id(exchange, symbol))
        if instrument is None:
            unknown.append({"symbol": symbol, "exchange": exchange, "error": unknown_text(exchange, symbol)})
        else:
            row = _told_row(venue, present_quote(venue, instrument), "multiquotes")
            found.append({"symbol": symbol, "exchange": exchange, "data": row})
    if not found:
        return error(400, "No valid symbols found", invalid_symbols=unknown)
    return success(results=[*unknown, *found])


async def depth(call: RestCall) -> Reply:
    """Answer five levels of bids and asks of one instrument, with their totals."""
    instrument = _listed(call)
    quote = present_quote(call.venue, instrument)
    buy, sell = depth_levels(quote)
    bids, asks = ([{"price": row["price"], "quantity": row["quantity"]} for row in side] for side in (buy, sell))
    row = _quote_row(quote)
    del row["bid"], row["ask"]
    row.update(
        asks=asks,
        bids=bids,
        ltq=0 if instrument.kind is InstrumentKind.INDEX else instrument.lot_size,
        totalbuyqty=sum(level["quantity"] for level in bids),
        totalsellqty=sum(level["quantity"] for level in asks),
    )
    if (feed := call.venue.personality.feed) is not None and feed.rest.depth_without_price:
        del row["ltp"]
    return success(data=row)


async def history(call: RestCall) -> Reply:
    """Answer bars of an instrument, the forming one included."""
    venue, fields = call.venue, call.fields
    symbol, exchange, interval = fields["symbol"], fields["exchange"], fields["interval"]
    instrument = _listed(call)
    if fields["source"] == "db":
        text = f"No data found for {symbol}:{exchange} interval {interval} in local database."
        return error(404, f"{text} Download data first using Historify.")
    form = venue.personality.feed.history if venue.personality.feed is not None else None
    if interval not in _MINUTES or (form is not None and form.intervals and interval not in form.intervals):
        return error(500, f"Error fetching historical data: Unsupported timeframe: {interval}")
    minutes, first, now = _MINUTES[interval], fields["start_date"], venue.clock.now()
    rows = await asyncio.to_thread(venue.history.rows, instrument, minutes, first, fields["end_date"], now)
    if form is not None:
        if (told := _told_history(venue, form, instrument, rows, minutes)) is None:
            return success(data=[]) if form.failed == "empty" else error(500, "Error fetching historical data")
        rows = told
    begins = venue.history.earliest(instrument, minutes, venue.clock.now())
    if first < begins and not venue.world.silent:
        return success(data=rows, message=f"Bars of {interval} begin on {begins}; the simulator has none before")
    return success(data=rows)


def _told_history(
    venue: SimulatedVenue, form: HistoryForm, instrument: Instrument, rows: list[Row], minutes: int
) -> list[Row] | None:
    """What a live server's broker makes of these bars; None if it fails to give any."""
    failure = venue.faults.fire("history_failure", instrument=instrument.id)
    left = rows if failure is None else failed_chunk(form, rows) if failure.flag("chunk") else None
    if left is None:
        return None
    abroad = venue.faults.fire("server_abroad") is not None
    return told_history(form, left, minutes, ist_date(venue.clock.now()), abroad=abroad)


async def ticker(call: RestCall) -> Reply:
    """Answer bars of an address such as NSE:SBIN, as JSON or text; a malformed address means NSE:RELIANCE."""
    fields = call.fields
    exchange, _, name = fields["subject"].partition(":")
    if not name or ":" in name:
        exchange, name = "NSE", "RELIANCE"
    interval, last = fields["interval"], fields["to"]
    longest = _TICKER_DAYS if interval in ("D", "W", "M") else _TICKER_INTRADAY_DAYS
    first = max(fields["from"], last - timedelta(days=longest))
    bars = {"symbol": name, "exchange": exchange, "interval": interval, "start_date": first, "end_date": last}
    try:
        reply = await history(call._replace(fields={**bars, "source": "api"}))
    except Refused as refused:
        reply = refused.reply
    if fields["format"].lower() != "txt":
        return reply
    if reply.status != 200:
        return Reply(reply.status, {}, f"{reply.body['message']}\n", "text/plain")
    stamp = "%Y-%m-%d" if interval == "D" else "%Y-%m-%d,%H:%M:%S"
    lines = []
    for row in reply.body["data"]:
        if "timestamp" not in row:
            continue
        at = datetime.fromtimestamp(row["timestamp"], IST).strftime(stamp)
        lines.append(",".join(map(str, (f"{exchange}:{name}", at, *(row[part] for part in _BAR)))))
    return Reply(200, {}, "\n".join(lines) or "\n", "text/plain")


async def intervals(_call: RestCall) -> Reply:
    """Answer the bar intervals that history supports."""
    minutes = [name for name in _MINUTES if name.endswith("m")]
    hours = [name for name in _MINUTES if name.endswith("h")]
    return success(data={"seconds": [], "minutes": minutes, "hours": hours, "days": ["D"], "weeks": [], "months": []})


async def symbol(call: RestCall) -> Reply:
    """Answer one instrument's contract details."""
    venue, fields = call.venue, call.fields
    instrument = venue.instrument(instrument_id(fields["exchange"], fields["symbol"]))
    if instrument is None:
        return error(404, f"Symbol {fields['symbol']} not found in exchange {fields['exchange']}")
    number = next(i for i, listed in enumerate(venue.listing, start=1) if listed is instrument)
    return success(data={"id": number, **_contract_row(venue, instrument), "freeze_qty": instrument.freeze_qty or 1})


async def search(call: RestCall) -> Reply:
    """Answer instruments whose symbol or name has all words of a query."""
    venue, fields = call.venue, call.fields
    if not (words := fields["query"].upper().split()):
        return error(400, "Query parameter is required and cannot be empty")
    rows = [
        {**_contract_row(venue, instrument), "freeze_qty": instrument.freeze_qty or 1}
        for instrument in venue.current_listing()
        if fields["exchange"] in ("", instrument.exchange)
        and all(word in f"{instrument.symbol} {instrument.name}" for word in words)
    ][:_SEARCH_LIMIT]
    text = f"Found {len(rows)} matching symbols" if rows else "No matching symbols found"
    return success(data=rows, message=text)


async def expiry(call: RestCall) -> Reply:
    """Answer the listed expiries of an underlying."""
    venue, fields = call.venue, call.fields
    name, kind, exchange = fields["symbol"], fields["instrumenttype"], fields["exchange"]
    listed = venue.listing.expiries(name, InstrumentKind.FUT if kind == "futures" else InstrumentKind.CE)
    facts = venue.world.facts.underlyings.get(name)
    traded = facts is not None and facts.traded_on == exchange
    labels = [expiry_label(date.fromisoformat(day)) for day in listed] if traded else []
    if not labels:
        return success(data=[], message=f"No expiry dates found for {name} {kind} in {exchange}")
    return success(data=labels, message=f"Found {len(labels)} expiry dates for {name} {kind} in {exchange}")


async def instruments(call: RestCall) -> Reply:
    """Answer all contracts of an exchange, as JSON or CSV."""
    venue, fields = call.venue, call.fields
    listed = [item for item in venue.current_listing() if item.exchange == fields["exchange"]]
    rows = [_contract_row(venue, item) for item in listed]
    if (wrong := venue.faults.fire("list_wrong", route="instruments")) is not None:
        rows = wrong_contract_rows(wrong, listed, rows)
    if fields["format"] == "json":
        return success(data=rows, message=f"Found {len(rows)} instruments")
    sheet = io.StringIO()
    columns = (
        "symbol", "brsymbol", "name", "exchange", "brexchange", "token",
        "expiry", "strike", "lotsize", "instrumenttype", "tick_size",
    )  # fmt: skip
    writer = csv.DictWriter(sheet, columns, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return Reply(200, {}, sheet.getvalue(), "text/csv")


def _listed(call: RestCall) -> Instrument:
    exchange, name = call.fields["exchange"], call.fields["symbol"]
    if (found := call.venue.instrument(instrument_id(exchange, name))) is None:
        raise Refused(error(400, unknown_text(exchange, name)))
    return found


def unknown_text(exchange: str, name: str) -> str:
    """Return the server's error text for a symbol that is not listed."""
    return (
        f"Symbol '{name}' not found for exchange '{exchange}'. "
        "Please verify the symbol name and ensure master contracts are downloaded."
    )


def present_quote(venue: SimulatedVenue, instrument: Instrument) -> SimulatedQuote:
    """Return the present quote of a listed instrument, once a market day has begun."""
    quote = venue.quote(instrument)
    assert quote is not None
    return quote


def _quote_row(quote: SimulatedQuote) -> Body:
    names = ("ask", "bid", "high", "low", "ltp", "oi", "open", "prev_close", "volume")
    return {name: getattr(quote, name) for name in names}


def token_of(venue: SimulatedVenue, instrument: Instrument) -> str:
    """Return the token that the server lists for an instrument: a broker's count up within each segment."""
    feed = venue.personality.feed
    numbered = feed is not None and not feed.socket.recorded
    return venue.tokens.of(instrument.id) if numbered else instrument.token or instrument.id


def _told_row(venue: SimulatedVenue, quote: SimulatedQuote, route: str) -> Body:
    row, feed = _quote_row(quote), venue.personality.feed
    if feed is None:
        return row
    bare = venue.faults.fire("quotes_bare", route=route) is not None
    return told_quote(feed.rest, row, quote, many=route == "multiquotes", bare=bare)


def _contract_row(venue: SimulatedVenue, instrument: Instrument) -> Body:
    kind = InstrumentKind.EQ if instrument.kind is InstrumentKind.INDEX else instrument.kind
    return {
        "brexchange": instrument.exchange.removesuffix("_INDEX"),
        "brsymbol": instrument.symbol,
        "exchange": instrument.exchange,
        "expiry": expiry_label(date.fromisoformat(instrument.expiry)) if instrument.expiry else "",
        "instrumenttype": kind.value,
        "lotsize": 0 if instrument.kind is InstrumentKind.INDEX else instrument.lot_size,
        "name": instrument.name,
        "strike": instrument.strike,
        "symbol": instrument.symbol,
        "tick_size": instrument.tick_size,
        "token": token_of(venue, instrument),
    }
