"""Past bars from the server's history endpoint.

The bar still forming, which servers include, is left out, and what comes twice or out of order comes out once and
sorted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from datetime import date, time, timedelta
from typing import NamedTuple

import msgspec

from mytrading.adapters.openalgo.rest.client import Deadline, OpenAlgoClient
from mytrading.adapters.openalgo.rest.errors import ReadFailed, decode_read, error_text
from mytrading.adapters.openalgo.rest.numbers import count_of, price_of
from mytrading.adapters.openalgo.rest.retry import ONCE, Retries, read_with_retries
from mytrading.core.time import MINUTE, SECOND, ist_date, to_ns
from mytrading.messages.market import Bar

_LAST_S = 1 << 32
"""The year 2106."""
_SECONDS = {"m": 60, "h": 3600, "d": 86_400}
_DAILY = "1d"

CHUNK_DAYS = {"1m": 60, "3m": 100, "5m": 100, "10m": 100, "15m": 200, "30m": 200, "1h": 400, _DAILY: 2000}
"""Days per request by interval, as Zerodha limits them; other intervals take the least."""
CALLS, WINDOW_NS = 3, SECOND
"""The server lets three history requests a second through and makes the others wait."""


class HistoryGate:
    """Lets three requests of a thread to a server through in any second; `wait` (machine ns) delays the next one."""

    def __init__(self, machine_now: Callable[[], int], wait: Callable[[int], object]) -> None:
        self._now = machine_now
        self._wait = wait
        self._times: deque[int] = deque(maxlen=CALLS)

    def wait_turn(self) -> None:
        """Wait until the history rate limit allows one more request, and count that request."""
        if len(self._times) == CALLS and (left := self._times[0] + WINDOW_NS - self._now()) > 0:
            self._wait(left)
        self._times.append(self._now())


class Chunk(NamedTuple):
    """The days of one request, both included, and how many bars it gave, or why it failed."""

    first: date
    last: date
    bars: int = 0
    problem: str = ""


class HistoryRange(NamedTuple):
    """Bars of a range. `failed` chunks were not answered, or lack days that must have bars. `outside` counts bars left
    out because they lie outside continuous trading, `odd` are closed days with a daily bar."""

    bars: tuple[Bar, ...]
    chunks: tuple[Chunk, ...] = ()
    outside: int = 0
    odd: tuple[date, ...] = ()

    @property
    def failed(self) -> tuple[Chunk, ...]:
        """Return the chunks of the range with a problem; empty if all were answered whole."""
        return tuple(chunk for chunk in self.chunks if chunk.problem)


class _HistoryRow(msgspec.Struct, gc=False):
    timestamp: float
    open: float
    high: float
    low: float
    close: float
    volume: float | None = None


class _HistoryReply(msgspec.Struct):
    status: str = ""
    data: list[_HistoryRow] | None = None


_decoder = msgspec.json.Decoder(_HistoryReply, strict=False)


def fetch_history(
    client: OpenAlgoClient, instrument: str, interval: str, start: date, end: date, now: int, retries: Retries = ONCE,
    late_minutes: int = 0, right_day: date | None = None,
) -> list[Bar]:  # fmt: skip
    """Fetch the bars of `interval` (5m, 1h, 1d) from day `start` to `end` that ended by market time `now` (ns). A daily
    bar lasts from midnight to midnight in India; rows without four positive prices are left out. `late_minutes` are
    taken from each stamp of bars within a day, but for those of `right_day`. Raises `ReadFailed`, or what the client raises."""
    exchange, _, symbol = instrument.partition(":")
    bars_of = {"symbol": symbol, "exchange": exchange, "interval": "D" if interval == _DAILY else interval}
    days = {"start_date": start.isoformat(), "end_date": end.isoformat()}
    answer = read_with_retries(client, "history", {**bars_of, **days}, Deadline.BULK, retries)
    parsed = decode_read(answer, _decoder, f"history of {instrument}: ")
    if parsed.status == "error" or parsed.data is None:
        raise ReadFailed("server", f"history of {instrument}: {error_text(answer.body, answer.status)}", answer.status)
    span = interval_ns(interval)
    bars: dict[float, Bar] = {}
    for row in parsed.data:
        prices = (row.open, row.high, row.low, row.close)
        if not 0.0 < row.timestamp < _LAST_S or not all(price_of(price) for price in prices):
            continue
        begin = int(row.timestamp) * SECOND
        if interval == _DAILY:  # stamped with midnight in UTC
            begin = to_ns(ist_date(begin), time.min)
        elif late_minutes and ist_date(begin) != right_day:
            begin -= late_minutes * MINUTE
        bars[row.timestamp] = Bar(instrument, interval, begin, begin + span, *prices, count_of(row.volume) or 0)
    return [bars[at] for at in sorted(bars) if bars[at].end_ns <= now]


def interval_ns(interval: str) -> int:
    """Return the length of an interval's bar in ns; `ValueError` lists the known intervals."""
    unit = _SECONDS.get(interval[-1:])
    if unit is None or not interval[:-1].isdigit() or not int(interval[:-1]) or (unit == 86_400 and interval != _DAILY):
        raise ValueError(f"interval {interval!r}: expected minutes, hours or a day, say 1m, 5m, 1h or 1d")
    return int(interval[:-1]) * unit * SECOND


def split_range(interval: str, start: date, end: date) -> Iterator[tuple[date, date]]:
    """Split a range of days into the (first, last) days of each history request, without overlap."""
    span = timedelta(days=CHUNK_DAYS.get(interval, min(CHUNK_DAYS.values())) - 1)
    while start <= end:
        last = min(start + span, end)
        yield start, last
        start = last + timedelta(days=1)
