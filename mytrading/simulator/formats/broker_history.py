"""History and REST quotes as single brokers answer them: stamps that are off, bars that are left out, empty success.

`told_history` makes of true bars what a broker's answer has; the forms are the profiles' (`settings/feed_profile.py`).
Used by the REST handlers of a live server.
"""

from __future__ import annotations

from datetime import date, datetime, time

from mytrading.core.time import IST
from mytrading.simulator.formats.frames import Body
from mytrading.simulator.market.day import SimulatedQuote
from mytrading.simulator.settings.feed_profile import HistoryForm, RestForm

_MINUTE, _DAY = 60, 86_400


def told_history(form: HistoryForm, rows: list[Body], minutes: int, today: date, *, abroad: bool) -> list[Body]:
    """Return the rows of an answer from true bars of `minutes` (0: daily); `abroad`: the server is not in India."""
    if form.bars == "none":
        return []
    if form.bars == "no stamp":
        return [{name: value for name, value in row.items() if name != "timestamp"} for row in rows[-1:]]
    if not minutes:
        return [_moved(row, -form.days_early * _DAY) for row in rows if _is_told(form, row)]
    if form.ends_floored and minutes > 1:
        rows = [{**row, "timestamp": _end_floored(int(row["timestamp"]), minutes)} for row in rows]
    if form.hours:
        first, last = map(time.fromisoformat, form.hours)
        rows = [row for row in rows if first <= _indian(row).time() < last]
    late = form.minutes_late + (form.late_abroad if abroad else 0)
    return [row if form.today_right and _indian(row).date() == today else _moved(row, late * _MINUTE) for row in rows]


def _is_told(form: HistoryForm, row: Body) -> bool:
    return not form.skips_flat_days or (row["volume"] > 0 and row["high"] > row["low"])


def _moved(row: Body, seconds: int) -> Body:
    return {**row, "timestamp": row["timestamp"] + seconds} if seconds else row


def _end_floored(start: int, minutes: int) -> int:
    """The last second of a bar, floored to a multiple of its interval since 1970."""
    length = minutes * _MINUTE
    return (start + length - 1) // length * length


def _indian(row: Body) -> datetime:
    return datetime.fromtimestamp(row["timestamp"], IST)


def failed_chunk(form: HistoryForm, rows: list[Body]) -> list[Body] | None:
    """Return the rows without those of a failed first chunk, where the broker leaves one out; None: all fails."""
    return rows[len(rows) // 3 :] if form.skips_chunk else None


def told_quote(form: RestForm, row: Body, quote: SimulatedQuote, *, many: bool, bare: bool) -> Body:
    """Return the row of a REST quote from a true one; `many`: of `multiquotes`, `bare`: from the last price alone."""
    if bare and form.bare_rows:
        return {name: row[name] if name == "ltp" else 0 for name in row}
    closes = form.closes_of_many if many else form.closes
    if closes == "zero":
        return {**row, "prev_close": 0}
    if closes == "open":
        return {**row, "prev_close": quote.open or quote.ltp}
    return row
