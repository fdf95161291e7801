"""`config/calendar.toml`: its content as a `CalendarSpec` or a list of all problems, and holidays added to its text.

An operator edits this file by hand once a year: each problem says where, what was found, and what was expected, and an
addition keeps comments and order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import NamedTuple

_SESSION_KEYS = ("from", "open", "close", "final", "weekdays")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WORKING_WEEK = frozenset(range(5))
_SPECIAL_KEYS = ("date", "exchanges", "open", "close", "name")
_EXCHANGE_KEYS = ("like", "holidays", "sessions")
_FIXED_KEYS = ("day", "from", "lists", "name")
_TOP_KEYS = ("exchanges", "holidays", "special", "fixed")
_A_LEAP_YEAR = 2000
_HOLIDAY_LINE = re.compile(r"(\d{4}-\d{2}-\d{2})\s*=")


class CalendarError(ValueError):
    """The calendar file is wrong; `problems` lists everything to mend."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


@dataclass(frozen=True, slots=True)
class Hours:
    """The hours of these weekdays (Monday is 0) that hold from the day `since` on; `final` ends the closing auction."""

    since: date
    open: time
    close: time
    final: time
    weekdays: frozenset[int] = _WORKING_WEEK


@dataclass(frozen=True, slots=True)
class SpecialHours:
    """The hours of one day, whatever its weekday or the holiday list say."""

    open: time
    close: time
    name: str


@dataclass(frozen=True, slots=True)
class FixedHoliday:
    """A holiday of the same month and day in each year, from the day `since` on."""

    month: int
    day: int
    since: date
    name: str


@dataclass(frozen=True, slots=True)
class HolidayList:
    """One list of holidays: the years that it says anything of, and what stands in for it in all others."""

    name: str
    years: frozenset[int]
    fixed: tuple[FixedHoliday, ...]

    def stand_in(self, day: date) -> str:
        """Return the name of the fixed holiday that stands on a day of an empty year; "" without one."""
        if day.year in self.years:
            return ""
        mine = (one.name for one in self.fixed if (one.month, one.day) == (day.month, day.day) and one.since <= day)
        return next(mine, "")


@dataclass(frozen=True, slots=True)
class ExchangeSpec:
    """One exchange: dated hours (oldest first), listed holidays by day, the lists that name them, and special days."""

    sessions: tuple[Hours, ...]
    holidays: Mapping[date, str]
    special: Mapping[date, SpecialHours]
    lists: tuple[HolidayList, ...] = ()

    def holiday(self, day: date) -> str:
        """Return the name of the holiday on a day, provisional ones marked as such; "" if it is none."""
        if name := self.holidays.get(day):
            return name
        name = next((found for one in self.lists if (found := one.stand_in(day))), "")
        return f"{name} (provisional)" if name else ""

    def empty_lists(self, year: int) -> tuple[str, ...]:
        """Return the names of the lists without any day of a year."""
        return tuple(one.name for one in self.lists if year not in one.years)


@dataclass(frozen=True, slots=True)
class CalendarSpec:
    """All exchanges by name, and the file they came from."""

    exchanges: Mapping[str, ExchangeSpec]
    source: str


@dataclass(slots=True)
class _Reader:
    """Collects problems while reading."""

    source: str
    problems: list[str] = field(default_factory=list)

    def report(self, key: str, found: object, expected: str) -> None:
        self.problems.append(f"{self.source}: {key} = {_shown(found)}: expected {expected}")

    def table(self, key: str, found: object) -> Mapping[str, object]:
        if isinstance(found, Mapping):
            return found
        self.report(key, found, f"a table [{key}]")
        return {}

    def rows(self, key: str, found: object) -> list[Mapping[str, object]]:
        if isinstance(found, list) and all(isinstance(row, Mapping) for row in found):
            return found
        self.report(key, found, f"a list of tables [[{key}]]")
        return []

    def known_keys(self, key: str, table: Mapping[str, object], allowed: tuple[str, ...]) -> None:
        for name in table:
            if name not in allowed:
                self.report(f"{key}.{name}" if key else name, table[name], f"one of the keys {', '.join(allowed)}")

    def day(self, key: str, found: object) -> date:
        if isinstance(found, date) and not isinstance(found, datetime):
            return found
        try:
            return date.fromisoformat(str(found))
        except ValueError:
            self.report(key, found, "a date like 2026-08-03")
            return date.min

    def month_day(self, key: str, found: object) -> date:
        """The month and day of a text like 01-26, in a leap year."""
        try:
            return date.fromisoformat(f"{_A_LEAP_YEAR}-{found}")
        except ValueError:
            self.report(key, found, "a month and day like 01-26")
            return date.min

    def clock(self, key: str, found: object) -> time:
        if isinstance(found, time):
            return found
        try:
            return time.fromisoformat(found)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            self.report(key, found, "a time of day like 09:15:00")
            return time.min


def read_calendar(parsed: Mapping[str, object], source: str) -> CalendarSpec:
    """Return the calendar in a parsed TOML mapping; `CalendarError` with every problem found."""
    reader = _Reader(source)
    reader.known_keys("", parsed, _TOP_KEYS)
    tables = reader.table("exchanges", parsed.get("exchanges", {}))
    holidays: dict[str, dict[date, str]] = {}
    for name, found in reader.table("holidays", parsed.get("holidays", {})).items():
        days = reader.table(f"holidays.{name}", found)
        holidays[name] = {reader.day(f"holidays.{name}.{day}", day): str(reason) for day, reason in days.items()}
    special = _read_special(reader, parsed.get("special", []), tables)
    lists = _read_lists(reader, parsed.get("fixed", []), holidays)
    exchanges = {name: _read_exchange(reader, name, tables, holidays, special, lists) for name in tables}
    if not exchanges and not reader.problems:
        reader.report("exchanges", None, "at least one table like [exchanges.NSE] with sessions")
    if reader.problems:
        raise CalendarError(reader.problems)
    return CalendarSpec(exchanges=exchanges, source=source)


def _read_exchange(
    reader: _Reader,
    name: str,
    tables: Mapping[str, object],
    holidays: Mapping[str, Mapping[date, str]],
    special: Mapping[str, Mapping[date, SpecialHours]],
    lists: Mapping[str, HolidayList],
) -> ExchangeSpec:
    key = f"exchanges.{name}"
    own = reader.table(key, tables[name])
    reader.known_keys(key, own, _EXCHANGE_KEYS)
    like = own.get("like")
    base = tables.get(str(like)) if like is not None else {}
    if not isinstance(base, Mapping) or "like" in base:
        reader.report(f"{key}.like", like, "the name of an exchange with sessions of its own")
        like, base = None, {}
    names = own.get("holidays", base.get("holidays", [name] if like is None else [like]))
    if not isinstance(names, list) or any(name not in holidays for name in names):
        reader.report(f"{key}.holidays", names, f"a list of holiday lists of this file: {', '.join(holidays)}")
        names = []
    rows = reader.rows(f"{key}.sessions", own.get("sessions", base.get("sessions")))
    hours = [_read_hours(reader, f"{key}.sessions", row) for row in rows]
    return ExchangeSpec(
        sessions=tuple(sorted(hours, key=lambda entry: entry.since)),
        holidays={day: reason for listed in names for day, reason in holidays[listed].items()},
        special={**special.get(str(like), {}), **special.get(name, {})},
        lists=tuple(lists[listed] for listed in names),
    )


def _read_lists(reader: _Reader, found: object, holidays: Mapping[str, Mapping[date, str]]) -> dict[str, HolidayList]:
    """Return what is said of each list: its years, and the fixed holidays that stand in for it elsewhere."""
    fixed: dict[str, list[FixedHoliday]] = {name: [] for name in holidays}
    for row in reader.rows("fixed", found):
        reader.known_keys("fixed", row, _FIXED_KEYS)
        day = reader.month_day("fixed.day", row.get("day"))
        one = FixedHoliday(
            day.month, day.day, reader.day("fixed.from", row.get("from")), str(row.get("name", "holiday"))
        )
        names = row.get("lists")
        if not isinstance(names, list) or not names or any(name not in holidays for name in names):
            reader.report("fixed.lists", names, f"a list of holiday lists of this file: {', '.join(holidays)}")
            continue
        for name in names:
            fixed[name].append(one)
    return {
        name: HolidayList(name, frozenset(day.year for day in days), tuple(fixed[name]))
        for name, days in holidays.items()
    }


def _read_hours(reader: _Reader, key: str, row: Mapping[str, object]) -> Hours:
    reader.known_keys(key, row, _SESSION_KEYS)
    since = reader.day(f"{key}.from", row.get("from"))
    opens, closes = reader.clock(f"{key}.open", row.get("open")), reader.clock(f"{key}.close", row.get("close"))
    final = reader.clock(f"{key}.final", row["final"]) if "final" in row else closes
    if time.min not in (opens, closes) and not opens < closes <= final:
        reader.report(key, f"{opens}–{closes}–{final}", "open before close, and close not after final")
    return Hours(since, opens, closes, final, _read_weekdays(reader, key, row.get("weekdays")))


def _read_weekdays(reader: _Reader, key: str, found: object) -> frozenset[int]:
    if found is None:
        return _WORKING_WEEK
    words = [str(word).lower() for word in found] if isinstance(found, list) else []
    if not words or any(word not in WEEKDAYS for word in words):
        reader.report(f"{key}.weekdays", found, f"a list of {', '.join(WEEKDAYS)}")
        return _WORKING_WEEK
    return frozenset(WEEKDAYS.index(word) for word in words)


def _read_special(reader: _Reader, found: object, tables: Mapping[str, object]) -> dict[str, dict[date, SpecialHours]]:
    special: dict[str, dict[date, SpecialHours]] = {}
    for row in reader.rows("special", found):
        reader.known_keys("special", row, _SPECIAL_KEYS)
        day = reader.day("special.date", row.get("date"))
        opens, closes = reader.clock("special.open", row.get("open")), reader.clock("special.close", row.get("close"))
        if time.min not in (opens, closes) and not opens < closes:
            reader.report(f"special ({day})", f"{opens}–{closes}", "open before close")
        names = row.get("exchanges")
        if not isinstance(names, list) or not names or any(name not in tables for name in names):
            reader.report("special.exchanges", names, f"a list of exchanges of this file: {', '.join(tables)}")
        for exchange in names if isinstance(names, list) else ():
            special.setdefault(exchange, {})[day] = SpecialHours(opens, closes, str(row.get("name", "special session")))
    return special


def _shown(found: object) -> str:
    if isinstance(found, date | time):
        return found.isoformat()
    return "(missing)" if found is None else repr(found)


class HolidayDifference(NamedTuple):
    """Days of a year on which a source and the file disagree; weekends are no holidays to either."""

    missing: dict[date, str]
    extra: dict[date, str]


def compare_holidays(listed: Mapping[date, str], source: Mapping[date, str], year: int) -> HolidayDifference:
    """Return the weekday holidays of `year` that only `source` has (missing) and only `listed` has (extra)."""
    mine = {day: name for day, name in listed.items() if day.year == year and day.weekday() < 5}
    theirs = {day: name for day, name in source.items() if day.year == year and day.weekday() < 5}
    return HolidayDifference(
        {day: name for day, name in sorted(theirs.items()) if day not in mine},
        {day: name for day, name in sorted(mine.items()) if day not in theirs},
    )


def add_holidays(text: str, name: str, days: Mapping[date, str]) -> str:
    """Return the calendar file's text with `days` (name by date) added to `[holidays.NAME]` in date order."""
    lines = text.splitlines()
    head = f"[holidays.{name}]"
    if head not in (line.strip() for line in lines):
        lines += ["", head]
    for day, reason in sorted(days.items()):
        begin = next(number for number, line in enumerate(lines) if line.strip() == head)
        plain = reason.replace("\\", " ").replace('"', "'").strip() or "Holiday"
        lines.insert(_place(lines, begin + 1, day), f'{day.isoformat()} = "{plain}"')
    return "\n".join(lines) + "\n"


def _place(lines: list[str], begin: int, day: date) -> int:
    last = begin
    for number in range(begin, len(lines)):
        found = _HOLIDAY_LINE.match(lines[number].strip())
        if lines[number].startswith("["):
            break
        if found is None:
            continue
        if date.fromisoformat(found[1]) > day:
            return number
        last = number + 1
    return last


def closed_weekdays(year: int, sessions: Iterable[date]) -> list[date]:
    """Return the days from Monday to Friday of `year` that are not among `sessions`."""
    open_days = set(sessions)
    first, last = date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal()
    days = (date.fromordinal(number) for number in range(first, last + 1))
    return [day for day in days if day.weekday() < 5 and day not in open_days]
