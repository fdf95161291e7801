"""Proofs about fetched history: shifted stamps, bars outside sessions, empty answers, holes.

Feed, `data` and `doctor` judge by these alone, so that none of them believes what another one refuses. Rule: only
whole past days of an exchange and a year in the calendar prove anything; what is not proven is taken as it comes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from statistics import median_low
from typing import NamedTuple

from mytrading.core.bars.gaps import Gap, measure_completeness
from mytrading.core.calendar import Calendar, Session
from mytrading.core.instruments.symbology import ParsedSymbol, parse_symbol, split_id
from mytrading.core.time import MINUTE, ist_date
from mytrading.messages.brokers import HistoryRules
from mytrading.messages.instruments import InstrumentKind
from mytrading.messages.market import Bar

PAUSE_NS = 180 * MINUTE
"""A longer time without bars ends a block; an evening past midnight is one with its day."""
BLOCK_BARS = 100
LEAST_SHIFT = 15
"""Minutes. The first trade of an instrument may be some minutes late by itself."""
TOLERANCE = 10
"""Minutes by which the two ends of a block may differ in their distance from the session's."""
LEAST_DAYS = 3
"""A week of fewer trading days in the range proves no shift of days; fewer days without bars are no lost answer."""
MOST_DAYS_OFF = 2
NEAREST_DAYS = 28
"""Until so many days before its expiry a future may not trade at all."""
ENOUGH = 0.9
"""Share of the minutes below which a look-back, or the day of an instrument, lacks bars."""
LONG_GAP = 30
"""Minutes without bars in a row which nobody need have traded."""
ALIVE_NS = 60_000_000_000
"""Machine time after an answer with bars for which the source counts as one that answers."""
_DAY = timedelta(days=1)


class SortedBars(NamedTuple):
    """Bars that are believed, and how many were left out because they lie outside continuous trading."""

    bars: tuple[Bar, ...]
    outside: int = 0


class DayShift(NamedTuple):
    """Daily bars against the calendar. `proven`: they stand on wrong days, each `days_early` (0: by no fixed number).

    `odd` are days with a bar on which the calendar has the exchange closed, `weeks` are how many could prove it.
    """

    proven: bool
    days_early: int = 0
    odd: tuple[date, ...] = ()
    weeks: int = 0


class EmptyBelief(NamedTuple):
    """Judgement of days without bars: `problem` names those that must have some; `believed` says that none need be."""

    believed: bool
    problem: str = ""


def knows_year(calendar: Calendar, exchange: str, year: int) -> bool:
    """True if the calendar lists the exchange, and its holidays of that year."""
    return calendar.has_exchange(exchange) and any(day.year == year for day in calendar.holidays(exchange))


def parsed_id(instrument: str) -> tuple[str, ParsedSymbol]:
    """Return the exchange of an instrument id, and the parts of its symbol."""
    exchange, symbol = split_id(instrument)
    return exchange, parse_symbol(symbol, exchange)


def probe_candidates(instruments: Iterable[str]) -> tuple[str, ...]:
    """Return the instruments by whose minutes a source is proven, best first: indices, shares, then futures."""
    ranks = {InstrumentKind.INDEX: 0, InstrumentKind.EQ: 1, InstrumentKind.FUT: 2}
    found = [(ranks.get(parsed_id(name)[1].kind), name) for name in dict.fromkeys(instruments)]
    return tuple(name for _, name in sorted((rank, name) for rank, name in found if rank is not None))


def last_whole_day(calendar: Calendar, exchange: str, today: date) -> date | None:
    """Return the last ordinary trading day before `today`, on which a shift can be proven; None if there is none near,
    or the exchange or its year is not in the calendar."""
    for back in range(1, 15):
        day = today - back * _DAY
        if not knows_year(calendar, exchange, day.year):
            return None
        session = calendar.session(exchange, day)
        if session is not None and not session.name:
            return day
    return None


def minutes_late(starts: Sequence[int], calendar: Calendar, exchange: str, today: date) -> int | None:
    """Return the minutes by which stamps of one-minute bars (starts in ns, ascending) of whole days before `today` are
    late, negative if early, 0 if they are in place; None if they prove nothing."""
    shifts = []
    for block in _blocks(starts):
        day = ist_date(block[0])
        session = _session_of(calendar, exchange, day) if day < today else None
        if session is not None:
            shifts.append(_block_shift(block, session))
    if not shifts:
        return None
    together = 0 not in shifts and max(shifts) - min(shifts) <= TOLERANCE
    return median_low(shifts) if together else 0


def _blocks(starts: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yield the stretches of at least `BLOCK_BARS` bars between pauses."""
    begin = 0
    for place in range(1, len(starts) + 1):
        if place == len(starts) or starts[place] - starts[place - 1] >= PAUSE_NS:
            if place - begin >= BLOCK_BARS:
                yield starts[begin:place]
            begin = place


def _block_shift(block: Sequence[int], session: Session) -> int:
    """Minutes by which a day's bars are late against its session; 0 unless both ends and what is outside say so."""
    late = (block[0] - session.open_ns) // MINUTE
    ends = ((block[-1] + MINUTE - close) // MINUTE for close in (session.close_ns, session.final_ns))
    both = any(abs(end - late) <= TOLERANCE for end in ends)
    # A day that began late and ended in an auction, or a pre-open bar before a quiet afternoon, has hardly any outside.
    outside = sum(not session.open_ns <= start < session.close_ns for start in block)
    return late if abs(late) >= LEAST_SHIFT and both and 2 * outside >= abs(late) else 0


def _session_of(calendar: Calendar, exchange: str, day: date) -> Session | None:
    return calendar.session(exchange, day) if knows_year(calendar, exchange, day.year) else None


def why_shifted(late: int | None, rules: HistoryRules) -> str:
    """Return why minutes that a source stamps `late` are refused; "" if they are in place, not proven, or made good
    because the table of brokers knows the shift."""
    if not late or abs(late - rules.minutes_late) <= TOLERANCE:
        return ""
    word = "late" if late > 0 else "early"
    return (
        f"history is {abs(late)} minutes {word}: whole past days begin and end that much off their sessions; set the "
        "time zone of the server to Asia/Kolkata, or update it; until then its history is refused"
    )


def correction_minutes(late: int | None, rules: HistoryRules) -> int:
    """Return the minutes to subtract from the stamps of a source: those of the table, unless a proof shows another."""
    return rules.minutes_late if late is None or (late and abs(late - rules.minutes_late) <= TOLERANCE) else 0


def leave_out_outside(bars: Iterable[Bar], calendar: Calendar, exchange: str) -> SortedBars:
    """Return the intraday bars without those outside continuous trading (pre-open, auction, after the close). Bars of
    days on which the calendar has no session are kept: there are special sessions that it does not know."""
    kept, outside = [], 0
    if not calendar.has_exchange(exchange):
        return SortedBars(tuple(bars))
    for bar in bars:
        session = _session_of(calendar, exchange, ist_date(bar.start_ns))
        if session is None or session.open_ns <= bar.start_ns < session.close_ns:
            kept.append(bar)
        else:
            outside += 1
    return SortedBars(tuple(kept), outside)


def day_shift(days: Collection[date], calendar: Calendar, exchange: str, first: date, last: date) -> DayShift:
    """Judge daily bars that stand on `days`, requested from day `first` to `last`, both past: shifted if in every week
    of the range a closed day has a bar and a trading day has none. A single such bar is only `odd`."""
    there = {day for day in days if knows_year(calendar, exchange, day.year)}
    odd = tuple(sorted(day for day in there if not calendar.is_trading_day(exchange, day)))
    weeks = [week for week in _weeks(calendar, exchange, first, last) if len(week) >= LEAST_DAYS]
    off = [_week_is_off(week, there, odd) for week in weeks if any(day in there for day in _days_of_week(week))]
    count = len(off)
    if count > 1 and not off[0]:  # listed in the middle of that week
        del off[0]
    fits = next((n for n in _SHIFTS if all(calendar.is_trading_day(exchange, day + n * _DAY) for day in there)), 0)
    # One week alone has the same look where an unknown special session meets a day without trade.
    proven = bool(off) and all(off) and (len(off) > 1 or bool(fits))
    return DayShift(proven, fits if proven else 0, odd, count)


_SHIFTS = tuple(n for days in range(1, MOST_DAYS_OFF + 1) for n in (days, -days))


def _weeks(calendar: Calendar, exchange: str, first: date, last: date) -> Iterator[list[date]]:
    """Yield the trading days of each week of a range; weeks begin on Sunday, where a shifted Monday falls."""
    week: list[date] = []
    day = first
    while day <= last:
        if day.weekday() == 6 and week:
            yield week
            week = []
        if knows_year(calendar, exchange, day.year) and calendar.is_trading_day(exchange, day):
            week.append(day)
        day += _DAY
    if week:
        yield week


def _week_is_off(week: Sequence[date], there: Collection[date], odd: Iterable[date]) -> bool:
    days = _days_of_week(week)
    return any(day in days for day in odd) and any(day not in there for day in week)


def _days_of_week(week: Sequence[date]) -> list[date]:
    """The seven days, from Sunday on, of the week that these trading days are of."""
    sunday = week[0] - (week[0].weekday() + 1) % 7 * _DAY
    return [sunday + number * _DAY for number in range(7)]


def why_days_shifted(found: DayShift, rules: HistoryRules) -> str:
    """Return why daily bars are refused; "" if they are not shifted, or by what the table of brokers knows."""
    if not found.proven or (found.days_early and found.days_early == rules.days_early):
        return ""
    off = found.days_early
    how = f"{abs(off)} day{'s' if abs(off) > 1 else ''} {'early' if off > 0 else 'late'}" if off else "on wrong days"
    shown = ", ".join(day.isoformat() for day in found.odd[:3])
    return f"daily bars are {how}: each week has bars on closed days ({shown} …) and lacks trading days"


def days_to_have_bars(instrument: str, calendar: Calendar, first: date, last: date, today: date) -> list[date]:
    """Return the whole past trading days from `first` to `last` for which an instrument must have bars: all of an index
    or a share, the last weeks of a future, none of an option."""
    exchange, parts = parsed_id(instrument)
    if parts.kind.is_option or not calendar.has_exchange(exchange):
        return []
    if parts.expiry is not None:
        first, last = max(first, parts.expiry - NEAREST_DAYS * _DAY), min(last, parts.expiry)
    years = {day.year for day in calendar.holidays(exchange)}
    last = min(last, today - _DAY)
    days = (first + number * _DAY for number in range((last - first).days + 1))
    return [day for day in days if day.year in years and calendar.is_trading_day(exchange, day)]


def always_had_bars(instrument: str) -> bool:
    """True for an index: a share or a contract has no bars before it was listed."""
    return parsed_id(instrument)[1].kind is InstrumentKind.INDEX


def lost_stretches(wanted: Sequence[date], there: Collection[date]) -> list[tuple[date, date]]:
    """Return (first, last) of each stretch of at least `LEAST_DAYS` of the `wanted` trading days without bars."""
    found: list[tuple[date, date]] = []
    missing: list[date] = []
    for day in [*wanted, None]:
        if day is not None and day not in there:
            missing.append(day)
            continue
        if len(missing) >= LEAST_DAYS:
            found.append((missing[0], missing[-1]))
        missing = []
    return found


def judge_empty(instrument: str, wanted: Sequence[date], source_answers: bool) -> EmptyBelief:
    """Judge an answer without any bar for `wanted` days (`days_to_have_bars`). One for other days is believed where
    the same source gave bars of something else in the last minute (`source_answers`)."""
    if wanted:
        text = f"no bars of {instrument} for {len(wanted)} trading days, {wanted[0]} to {wanted[-1]}"
        return EmptyBelief(False, f"{text}: the answer is an empty success, as that of a failed read may be")
    return EmptyBelief(source_answers)


# holes


class Lack(NamedTuple):
    """Minutes in a row without bars (market ns), each gap at least `LONG_GAP` long, judged from `since_ns` on."""

    since_ns: int
    gaps: tuple[tuple[int, int], ...]
    halts: tuple[tuple[int, int], ...] = ()
    """The gaps among them that fetched bars of the same day enclose, as they would a halt of the exchange."""


def lacking_minutes(
    bars: Sequence[Bar], instrument: str, calendar: Calendar, begin_ns: int, upto_ns: int, since: date, *,
    listed: bool = False,
) -> Lack | None:  # fmt: skip
    """Return the long gaps in minute bars of an instrument between market `begin_ns` and `upto_ns`, from day `since`
    on; None for options, exchanges and years without a calendar, half-traded instruments, and where none is.

    `bars` are in time order and begin a trading day before `since`, by which it is judged whether the instrument trades
    most minutes. Before the first bar of a share or a contract nothing is missing, unless it is known to be `listed`.
    """
    exchange, parts = parsed_id(instrument)
    end = ist_date(upto_ns)
    if parts.kind.is_option or not knows_year(calendar, exchange, since.year):
        return None
    if bars and not (listed or always_had_bars(instrument)):
        begin_ns = max(begin_ns, bars[0].start_ns)
    whole = measure_completeness(bars, calendar, exchange, MINUTE, since, end, upto_ns)
    gaps = [gap for gap in (_cut(gap, begin_ns) for gap in whole.gaps) if gap is not None]
    gaps = [gap for gap in gaps if _trades_most_minutes(bars, calendar, exchange, ist_date(gap[0]))]
    if not gaps:
        return None
    session = next((item for item in _sessions(calendar, exchange, since, end)), None)
    since_ns = session.open_ns if session is not None else begin_ns
    return Lack(since_ns, tuple(gaps), tuple(gap for gap in gaps if _is_enclosed(gap, bars)))


def _cut(gap: Gap, begin_ns: int) -> tuple[int, int] | None:
    start, end = max(gap.start_ns, begin_ns), gap.end_ns
    return (start, end) if end - start >= LONG_GAP * MINUTE else None


def _sessions(calendar: Calendar, exchange: str, first: date, last: date) -> Iterator[Session]:
    for number in range((last - first).days + 1):
        if (session := calendar.session(exchange, first + number * _DAY)) is not None:
            yield session


def _trades_most_minutes(bars: Sequence[Bar], calendar: Calendar, exchange: str, day: date) -> bool:
    """True if the last whole day before `day` that has bars has most of its minutes, or no such day is known."""
    before = max((number for number in {ist_date(bar.start_ns) for bar in bars} if number < day), default=None)
    if before is None or (session := calendar.session(exchange, before)) is None:
        return True
    starts = {bar.start_ns for bar in bars if session.open_ns <= bar.start_ns < session.close_ns}
    return len(starts) * MINUTE >= ENOUGH * (session.close_ns - session.open_ns)


def _is_enclosed(gap: tuple[int, int], bars: Iterable[Bar]) -> bool:
    """True if fetched bars (which count no ticks) of the gap's day stand right before and after it."""
    day = ist_date(gap[0])
    fetched = [bar for bar in bars if not bar.ticks and ist_date(bar.start_ns) == day]
    return any(bar.end_ns == gap[0] for bar in fetched) and any(bar.start_ns == gap[1] for bar in fetched)


def without_halts(lacks: Mapping[str, Lack]) -> dict[str, Lack]:
    """Return what instruments lack without the minutes in which their exchange was halted: enclosed by fetched bars,
    and lacking of another instrument of the exchange as well."""
    found = {}
    for name, lack in lacks.items():
        others = [other for key, other in lacks.items() if key != name and _venue(key) == _venue(name)]
        halted = {gap for gap in lack.halts if any(_same(gap, more) for other in others for more in other.halts)}
        if gaps := tuple(gap for gap in lack.gaps if gap not in halted):
            found[name] = lack._replace(gaps=gaps)
    return found


def _venue(instrument: str) -> str:
    """An exchange with its index exchange: they halt together."""
    return instrument.partition(":")[0].removesuffix("_INDEX")


def _same(gap: tuple[int, int], other: tuple[int, int]) -> bool:
    return abs(gap[0] - other[0]) <= MINUTE and abs(gap[1] - other[1]) <= MINUTE


def lookback_gap(
    since_ns: int, gaps: Iterable[tuple[int, int]], calendar: Calendar, exchange: str, minutes: int, now: int
) -> tuple[int, int] | None:
    """Return the longest gap (market ns) in the `minutes` of sessions that a look-back reads at `now`, from `since_ns`
    on; None unless `LONG_GAP` minutes in a row are missing, and more than a tenth of them all."""
    if minutes <= 0 or not calendar.has_exchange(exchange):
        return None
    start_ns, wanted = _lookback_start(calendar, exchange, minutes, since_ns, now)
    cut = [(max(start, start_ns), min(end, now)) for start, end in gaps if end > start_ns and start < now]
    missing = sum(end - start for start, end in cut) // MINUTE
    longest = max(cut, key=lambda gap: gap[1] - gap[0], default=None)
    if longest is None or longest[1] - longest[0] < LONG_GAP * MINUTE or wanted - missing >= ENOUGH * wanted:
        return None
    return longest


def _lookback_start(calendar: Calendar, exchange: str, minutes: int, since_ns: int, now: int) -> tuple[int, int]:
    """When a look-back begins (market ns), and of how many session minutes it consists from there to `now`."""
    left, day = minutes * MINUTE, ist_date(now)
    while (day_session := calendar.session(exchange, day)) is None or day_session.close_ns > since_ns:
        if day_session is not None and day_session.open_ns < now:
            begin = max(day_session.open_ns, since_ns)
            there = max(0, min(day_session.close_ns, now) - begin)
            if there >= left:
                return min(day_session.close_ns, now) - left, minutes
            left -= there
        if day < ist_date(since_ns):
            break
        day -= _DAY
    return since_ns, minutes - left // MINUTE
