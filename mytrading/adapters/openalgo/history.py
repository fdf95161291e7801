"""Past bars from the server's history endpoint.

Used by the feed's history thread. The one rule: the bar still forming, which servers include, is left out, and what
comes twice or out of order comes out once and sorted.
"""

from __future__ import annotations

import math
from datetime import date

import msgspec

from mytrading.adapters.openalgo.client import Deadline, OpenAlgoClient
from mytrading.adapters.openalgo.errors import ReadFailed, error_text
from mytrading.messages.market import Bar

_SECOND = 1_000_000_000
_SECONDS = {"m": 60, "h": 3600}


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


def _bar(row: _Row, instrument: str, interval: str, span: int) -> Bar:
    start = int(row.timestamp) * _SECOND
    volume = int(row.volume or 0)
    return Bar(instrument, interval, start, start + span, row.open, row.high, row.low, row.close, volume)


def _usable(row: _Row) -> bool:
    return all(0.0 < price < math.inf for price in (row.open, row.high, row.low, row.close))
