"""Past bars from the server's history endpoint.

Used by the feed's history thread. The one rule: the bar still forming, which servers include, is left out, and what
comes twice or out of order comes out once and sorted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import NamedTuple

import msgspec

from mytrading.adapters.openalgo.client import Deadline, OpenAlgoClient
from mytrading.adapters.openalgo.errors import ReadFailed, TransportFailed, error_text
from mytrading.messages.market import Bar

_SECOND = 1_000_000_000
_SECONDS = {"m": 60, "h": 3600}


CHUNK_DAYS = {"1m": 60, "3m": 100, "5m": 100, "10m": 100, "15m": 200, "30m": 200, "1h": 400}
"""Days per request by interval, as Zerodha limits them; other intervals take the least."""
GATE_NS = 1_000_000_000 // 3
"""The server lets three history requests a second through and makes the others wait."""


class History(NamedTuple):
    """Bars of a range. `missing` names the (start, end) chunks that gave none or failed; empty means complete."""

    bars: tuple[Bar, ...]
    missing: tuple[tuple[date, date], ...] = ()
    reasons: tuple[str, ...] = ()


class _Row(msgspec.Struct, gc=False):
    timestamp: float
    open: float
    high: float
    low: float
    close: float
    volume: float | None = None


class _Answer(msgspec.Struct):
    status: str = ""
    data: list[_Row] | None = None


_decoder = msgspec.json.Decoder(_Answer, strict=False)


def fetch_history(
    client: OpenAlgoClient, instrument: str, interval: str, start: date, end: date, now: int
) -> list[Bar]:
    """Bars of `interval` (minutes or hours, say 1m) from day `start` to day `end`, ended by market time `now`.

    Raises `ReadFailed`, or what the client raises. Rows without four positive prices are left out.
    """
    exchange, _, symbol = instrument.partition(":")
    answer = client.call(
        "history",
        {
            "symbol": symbol,
            "exchange": exchange,
            "interval": interval,
            "start_date": start.isoformat(),
            "end_date": end.isoformat(),
        },
        Deadline.BULK,
    )
    if answer.status != 200:
        kind = {403: "refused", 429: "rate_limited"}.get(answer.status, "server")
        raise ReadFailed(kind, f"history of {instrument}: {error_text(answer.body, answer.status)}", answer.status)
    try:
        parsed = _decoder.decode(answer.body)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ReadFailed("malformed", f"history of {instrument}: {error}", answer.status) from error
    if parsed.status == "error" or parsed.data is None:
        raise ReadFailed("server", f"history of {instrument}: {error_text(answer.body, answer.status)}", answer.status)
    span = int(interval[:-1]) * _SECONDS[interval[-1]] * _SECOND
    bars = {row.timestamp: _bar(row, instrument, interval, span) for row in parsed.data if _usable(row)}
    return [bars[at] for at in sorted(bars) if bars[at].end_ns <= now]


def fetch_range(
    client: OpenAlgoClient,
    instrument: str,
    interval: str,
    start: date,
    end: date,
    now: int,
    pace: Callable[[int], None],
) -> History:
    """All bars from day `start` to day `end`, chunk by chunk; a chunk that fails is reported and the rest still comes.

    `pace` is called with `GATE_NS` before each request but the first, and returns after that much machine time.
    """
    bars: dict[int, Bar] = {}
    missing: list[tuple[date, date]] = []
    reasons: list[str] = []
    for number, (first, last) in enumerate(chunks(interval, start, end)):
        if number:
            pace(GATE_NS)
        try:
            found = fetch_history(client, instrument, interval, first, last, now)
        except (ReadFailed, TransportFailed) as error:
            found = []
            reasons.append(str(error))
        if not found:
            missing.append((first, last))
        bars.update((bar.start_ns, bar) for bar in found)
    return History(tuple(bars[at] for at in sorted(bars)), tuple(missing), tuple(reasons))


def chunks(interval: str, start: date, end: date) -> Iterator[tuple[date, date]]:
    """The (first, last) days of each request for a range, both included, without overlap."""
    span = timedelta(days=CHUNK_DAYS.get(interval, min(CHUNK_DAYS.values())) - 1)
    while start <= end:
        last = min(start + span, end)
        yield start, last
        start = last + timedelta(days=1)


def _bar(row: _Row, instrument: str, interval: str, span: int) -> Bar:
    start = int(row.timestamp) * _SECOND
    volume = int(row.volume or 0)
    return Bar(instrument, interval, start, start + span, row.open, row.high, row.low, row.close, volume)


def _usable(row: _Row) -> bool:
    return all(0.0 < price < math.inf for price in (row.open, row.high, row.low, row.close))
