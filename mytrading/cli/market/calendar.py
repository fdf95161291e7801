"""`mytrading calendar [DATE]`: sessions, holidays and expiries; `calendar write` adds a year's holidays to the file.

All but `--source openalgo` and `--check` read files alone, and work while no stack runs.
"""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from mytrading.cli.shell.output import (
    ERROR,
    JSON_OPTION,
    PROFILE_OPTION,
    USAGE,
    Failure,
    fail,
    failures,
    print_json,
    print_rows,
    say,
)
from mytrading.core.time import SECOND

if TYPE_CHECKING:
    from mytrading.core.calendar import Calendar

SHOW = "show"
MAIN = ("NSE", "BSE", "NFO", "BFO", "CDS", "MCX")


class _ShowFirst(TyperGroup):
    """`calendar 2026-11-24` is `calendar show 2026-11-24`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = [SHOW, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ShowFirst, help="When exchanges trade: `calendar [DATE]`; `calendar write` adds a year's holidays."
)


@app.command(SHOW)
def show(
    when: str = typer.Argument("", metavar="[DATE]", help="2026-11-24, or 2026-11-24T10:30; default: now."),
    exchange: str = typer.Option("", "--exchange", "-e", help="Only this exchange."),
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Open or closed, which holiday it is, the next session, and the next expiries."""
    with failures():
        from mytrading.core.instruments.day_report import WEEKDAYS, day_report, expiry_report
        from mytrading.core.time import ist_date

        home = _home()
        calendar, moment = _calendar(home), _moment(when, profile)
        names = _names(calendar, exchange)
        day = ist_date(moment)
        try:
            rows = day_report(calendar, names, moment)
            expiries = expiry_report(calendar, _facts(home), day)
        except ValueError as error:
            fail(USAGE, f"DATE: config/calendar.toml says nothing of {day}: {error}")
    if as_json:
        print_json({"date": day.isoformat(), "weekday": WEEKDAYS[day.weekday()], "exchanges": rows,
                    "expiries": expiries})  # fmt: skip
        return
    print(f"{WEEKDAYS[day.weekday()]} {day.isoformat()}" + ("" if when and "T" not in when else _clock(moment)))
    print_rows([_told(row) for row in rows], ("exchange", "state", "session", "why", "next"), False, "")
    print()
    print_rows(expiries, ("underlying", "weekly", "monthly", "today", "moved"), False, "no contracts")


def _told(row: dict[str, Any]) -> dict[str, Any]:
    later = row["next_session"]
    return {
        "exchange": row["exchange"],
        "state": "open" if row["open"] else "closed",
        "session": _hours(row["session"]),
        "why": row["why"],
        "next": f"{later['date']} {_hours(later)}",
    }


def _hours(session: dict[str, str] | None) -> str:
    if session is None:
        return ""
    auction = session.get("auction_until", "")
    return f"{session['open']}–{session['close']}" + (f" (auction to {auction})" if auction else "")


@app.command()
def write(
    year: int = typer.Option(0, "--year", "-y", help="Which year; default: this one."),
    source: str = typer.Option("library", "--source", help="library (exchange_calendars) or openalgo (the server)."),
    check: bool = typer.Option(
        False,
        "--check",
        help="Compare with both and change nothing; exit 1 if they differ, or not 0 if one cannot be asked.",
    ),
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Add the holidays of NSE and BSE that config/calendar.toml does not list; what it lists is never removed."""
    if source not in ("library", "openalgo"):
        fail(USAGE, f"--source: expected library or openalgo, found {source!r}")
    with failures():
        from mytrading.core.calendar.holiday_edits import compare
        from mytrading.core.time import ist_date

        home = _home()
        wanted = year or ist_date(_moment("", profile)).year
        calendar = _calendar(home)
        listed = calendar.holidays("NSE")
        if check:
            days, hours, unasked = _asked(wanted, calendar, profile)
        else:
            days, hours, unasked = {source: _days(source, wanted, profile)}, [], {}
        found = {name: compare(listed, named, wanted) for name, named in days.items()}
        missing = {} if check else found[source].missing
        if missing:
            _write(home / "config" / "calendar.toml", missing)
    if as_json:
        body = {name: _plain(difference) for name, difference in found.items()}
        untold = {name: str(failure) for name, failure in unasked.items()}
        print_json({"year": wanted, "written": len(missing), "hours": hours, "not_compared": untold, **body})
    else:
        _tell(found, wanted, missing)
        for text in hours:
            print(text)
    if hours or (check and any(diff.missing or diff.extra for diff in found.values())):
        raise typer.Exit(ERROR)
    for failure in unasked.values():
        raise typer.Exit(failure.code)


def _asked(
    year: int, calendar: Calendar, profile: str
) -> tuple[dict[str, dict[date, str]], list[str], dict[str, Failure]]:
    """What both sources say, hours of the server that differ, and why a source could not be asked; that is said too."""
    days: dict[str, dict[date, str]] = {}
    hours: list[str] = []
    unasked: dict[str, Failure] = {}
    for name in ("library", "openalgo"):
        try:
            with failures():
                days[name] = _days(name, year, profile)
                hours += _hours_there(calendar, profile) if name == "openalgo" else []
        except Failure as error:
            unasked[name] = error
            say(f"not compared with {name}: {error}")
    return days, hours, unasked


def _hours_there(calendar: Calendar, profile: str) -> list[str]:
    """Sessions of the next trading day that the server gives otherwise, in words."""
    from mytrading.adapters.openalgo.endpoints import timings
    from mytrading.adapters.openalgo.rest.client import TransportFailed
    from mytrading.adapters.openalgo.rest.errors import OpenAlgoError
    from mytrading.cli.shell.target import client_of, stack_of
    from mytrading.core.time import ist_date

    day = ist_date(calendar.next_session("NSE", ist_date(market_now(profile))).open_ns)
    try:
        rows = timings(client_of(stack_of(profile).config), day.isoformat())
    except (OpenAlgoError, TransportFailed) as error:
        fail(ERROR, f"hours of {day}: {error}")
    found = []
    for row in rows:
        mine = calendar.session(row.exchange, day) if row.exchange in calendar.exchanges else None
        there = (int(row.start_time) * 1_000_000, int(row.end_time) * 1_000_000)
        if mine is not None and (mine.open_ns, mine.close_ns) != there and (mine.open_ns, mine.final_ns) != there:
            here, other = (_span(*times) for times in ((mine.open_ns, mine.close_ns), there))
            found.append(f"{day} {row.exchange}: {here} here, {other} there")
    return found


def _span(opens: int, closes: int) -> str:
    return f"{_clock(opens).strip()}–{_clock(closes).strip()}"


def _plain(difference: Any) -> dict[str, Any]:
    return {
        "missing": {day.isoformat(): name for day, name in difference.missing.items()},
        "extra": {day.isoformat(): name for day, name in difference.extra.items()},
    }


def _tell(found: dict[str, Any], year: int, written: dict[date, str]) -> None:
    for name, difference in found.items():
        if not difference.missing and not difference.extra:
            print(f"{year}: config/calendar.toml and {name} agree")
        for day, reason in difference.missing.items():
            done = "added" if day in written else "not listed"
            print(f"{day}  {reason}: {done}, {name} names it")
        for day, reason in difference.extra.items():
            print(f"{day}  {reason}: listed, {name} does not name it; remove it by hand if the exchange trades")
    if written:
        print(f"{len(written)} holidays were added; a running stack reads them within a second")


def _days(source: str, year: int, profile: str) -> dict[date, str]:
    """The holidays of NSE that a source names. A source that cannot be asked ends the command."""
    if source == "library":
        from mytrading.adapters.nse.holidays import DaysUnknown, holidays_of

        try:
            return holidays_of(year)
        except DaysUnknown as error:
            fail(ERROR, str(error))
    from mytrading.adapters.openalgo.endpoints import holidays
    from mytrading.adapters.openalgo.rest.client import TransportFailed
    from mytrading.adapters.openalgo.rest.errors import OpenAlgoError
    from mytrading.cli.shell.target import client_of, stack_of

    try:
        rows = holidays(client_of(stack_of(profile).config), year)
    except (OpenAlgoError, TransportFailed) as error:
        fail(ERROR, f"holidays: {error}")
    closed = (row for row in rows if row.holiday_type == "TRADING_HOLIDAY" and "NSE" in row.closed_exchanges)
    return {date.fromisoformat(row.date): row.description or "Holiday" for row in closed}


def _write(path: Path, days: dict[date, str]) -> None:
    """Replace the file in one step, once the new text is known to be in order."""
    import os
    import tomllib

    from mytrading.core.calendar import Calendar
    from mytrading.core.calendar.holiday_edits import add_holidays

    text = add_holidays(path.read_text(encoding="utf-8"), "NSE", days)
    Calendar.from_dict(tomllib.loads(text))
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.chmod(path.stat().st_mode & 0o777)
    temporary.replace(path)


def _names(calendar: Calendar, exchange: str) -> tuple[str, ...]:
    if exchange and exchange.upper() not in calendar.exchanges:
        fail(USAGE, f"--exchange: expected one of {', '.join(calendar.exchanges)}, found {exchange!r}")
    return (exchange.upper(),) if exchange else tuple(name for name in MAIN if name in calendar.exchanges)


def _moment(text: str, profile: str) -> int:
    """Market ns of what was typed; a date alone is its noon, so that the day's session shows; else now."""
    from mytrading.core.time import IST

    if not text:
        return market_now(profile)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        fail(USAGE, f"DATE: expected a date like 2026-11-24 or a moment like 2026-11-24T10:30, found {text!r}")
    if "T" not in text and " " not in text:
        found = found.replace(hour=12)
    found = found if found.tzinfo is not None else found.replace(tzinfo=IST)
    return round(found.timestamp()) * SECOND


def market_now(profile: str) -> int:
    """The market's time: of the stack that runs, whose market may be another day's, else the wall clock's."""
    import time

    from mytrading.orchestrator import NotRunning, TradingOrchestrator
    from mytrading.runtime.host.clock import MarketClock

    try:
        found = TradingOrchestrator.find(profile or None)
        return MarketClock.load(found.config.clock_path).now() if found.is_running() else time.time_ns()
    except NotRunning:
        return time.time_ns()


def _clock(ns: int) -> str:
    from mytrading.core.time import format_ist

    return format_ist(ns, " %H:%M")


def _home() -> Path:
    from mytrading.runtime.host.paths import project_home

    return project_home()


def _calendar(home: Path) -> Calendar:
    import tomllib

    from mytrading.config.problems import ConfigurationError
    from mytrading.core.calendar import Calendar
    from mytrading.core.calendar.calendar_file import CalendarError

    try:
        return Calendar.from_dict(tomllib.loads((home / "config" / "calendar.toml").read_text(encoding="utf-8")))
    except CalendarError as error:
        raise ConfigurationError(error.problems) from error
    except (OSError, ValueError) as error:
        raise ConfigurationError([f"config/calendar.toml: {error}"]) from error


def _facts(home: Path) -> Any:
    import tomllib

    from mytrading.core.instruments.contract_specs import ContractFacts

    return ContractFacts.from_dict(tomllib.loads((home / "config" / "instruments.toml").read_text(encoding="utf-8")))
