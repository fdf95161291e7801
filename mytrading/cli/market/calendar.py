"""`mytrading calendar [DATE]`: sessions, holidays and expiries; `calendar write` adds a year's holidays to the file;
`calendar confirm` says for a day of a year without any that exchanges trade.

All but `confirm`, `--source openalgo` and `--check` read files alone, and work while no stack runs.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import typer
from typer.core import TyperGroup

from mytrading.cli.shell.failures import ERROR, USAGE, Failure, exit_on_errors, fail, find_stack, project_folder
from mytrading.cli.shell.options import AsJson, Profile, Reason, RequestId
from mytrading.cli.shell.output import print_json, print_note, print_notes, print_result, print_rows
from mytrading.core.calendar.empty_years import PROVISIONAL, empty_year_notes
from mytrading.core.time import IST, SECOND, format_ist, ist_date

if TYPE_CHECKING:
    from mytrading.core.calendar import Calendar

SHOW = "show"
_CHECK_HELP = "Compare with both sources without a change; exit 1 if they differ, another code if a source fails."
_CONFIRM_HELP = "Exchanges that trade today, e.g. NSE MCX; those with the same holidays follow."
MAIN = ("NSE", "BSE", "NFO", "BFO", "CDS", "MCX")


class _ShowFirst(TyperGroup):
    """`calendar 2026-11-24` is `calendar show 2026-11-24`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = [SHOW, *args]
        return super().parse_args(ctx, args)


_HELP = "When exchanges trade: `calendar [DATE]`; `write` adds a year's holidays, `confirm` says that a day is none."
app = typer.Typer(cls=_ShowFirst, help=_HELP)


@app.command(SHOW)
def show(
    when: str = typer.Argument("", metavar="[DATE]", help="2026-11-24, or 2026-11-24T10:30; default: now."),
    exchange: str = typer.Option("", "--exchange", "-e", help="Only this exchange."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Show if exchanges are open, which holiday it is, the next session, and the next expiries."""
    with exit_on_errors():
        from mytrading.cli.shell.target import load_calendar, load_contract_facts
        from mytrading.core.instruments.day_report import WEEKDAYS, day_report, expiry_report

        home = project_folder()
        calendar, moment = load_calendar(home), _moment(when, profile)
        if exchange and exchange.upper() not in calendar.exchanges:
            fail(USAGE, f"--exchange: expected one of {', '.join(calendar.exchanges)}, found {exchange!r}")
        names = (exchange.upper(),) if exchange else tuple(name for name in MAIN if name in calendar.exchanges)
        day = ist_date(moment)
        try:
            rows = day_report(calendar, names, moment)
            expiries = expiry_report(calendar, load_contract_facts(home), day)
        except ValueError as error:
            fail(USAGE, f"DATE: config/calendar.toml says nothing of {day}: {error}")
    notes = list(dict.fromkeys((*empty_year_notes(calendar, day), *empty_year_notes(calendar, _today(profile)))))
    if as_json:
        print_json({"date": day.isoformat(), "weekday": WEEKDAYS[day.weekday()], "exchanges": rows,
                    "expiries": expiries, "notes": notes})  # fmt: skip
        return
    print_notes(notes)
    print(
        f"{WEEKDAYS[day.weekday()]} {day.isoformat()}"
        + ("" if when and "T" not in when else format_ist(moment, " %H:%M"))
    )
    shown = [
        {**row, "state": "open" if row["open"] else "closed", "session": _hours(row["session"]),
         "next": f"{row['next_session']['date']} {_hours(row['next_session'])}"}
        for row in rows
    ]  # fmt: skip
    print_rows(shown, ("exchange", "state", "session", "why", "next"), False, "")
    print()
    expiries = [{**row, **{name: _marked(row, name) for name in ("weekly", "monthly")}} for row in expiries]
    print_rows(expiries, ("underlying", "weekly", "monthly", "today", "moved"), False, "no contracts")


def _marked(row: dict[str, Any], name: str) -> str:
    """An expiry, called provisional where it is counted from a year without holidays."""
    return f"{row[name]} ({PROVISIONAL})" if row[name] in row["provisional"] else str(row[name])


def _hours(session: dict[str, str] | None) -> str:
    if session is None:
        return ""
    auction = session.get("auction_until", "")
    return f"{session['open']}–{session['close']}" + (f" (auction to {auction})" if auction else "")


@app.command()
def write(
    year: int = typer.Option(0, "--year", "-y", help="Year; default: the current one."),
    source: str = typer.Option("library", "--source", help="library (exchange_calendars) or openalgo (the server)."),
    check: bool = typer.Option(False, "--check", help=_CHECK_HELP),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Add the holidays of NSE and BSE that config/calendar.toml does not list; listed ones are never removed."""
    if source not in ("library", "openalgo"):
        fail(USAGE, f"--source: expected library or openalgo, found {source!r}")
    with exit_on_errors():
        from mytrading.cli.shell.target import load_calendar, market_now
        from mytrading.core.calendar.calendar_file import compare_holidays

        home = project_folder()
        wanted = year or ist_date(market_now(profile)).year
        calendar = load_calendar(home)
        listed = calendar.holidays("NSE")
        days, hours, failed = {}, [], {}
        if not check:
            days[source] = _days(source, wanted, profile)
        for name in ("library", "openalgo") if check else ():
            try:
                with exit_on_errors():
                    days[name] = _days(name, wanted, profile)
                    hours += _other_hours(calendar, profile) if name == "openalgo" else []
            except Failure as error:
                failed[name] = error
                print_note(f"not compared with {name}: {error}")
        found = {name: compare_holidays(listed, named, wanted) for name, named in days.items()}
        missing = {} if check else found[source].missing
        if missing:
            _write(home / "config" / "calendar.toml", missing)
    if as_json:
        body = {
            name: {
                kind: {day.isoformat(): holiday for day, holiday in getattr(difference, kind).items()}
                for kind in ("missing", "extra")
            }
            for name, difference in found.items()
        }
        reasons = {name: str(failure) for name, failure in failed.items()}
        print_json({"year": wanted, "written": len(missing), "hours": hours, "not_compared": reasons, **body})
    else:
        for text in (*_lines(found, wanted, missing), *hours):
            print(text)
    if hours or (check and any(diff.missing or diff.extra for diff in found.values())):
        raise typer.Exit(ERROR)
    for failure in failed.values():
        raise typer.Exit(failure.code)


@app.command()
def confirm(
    exchanges: list[str] = typer.Argument(..., metavar="EXCHANGE...", help=_CONFIRM_HELP),  # noqa: B008
    reason: Reason = "",
    request: RequestId = "",
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Say that exchanges trade today, in a year without listed holidays: entries go for this day. Audited."""
    from mytrading.messages.ops import DayConfirmCommand

    with find_stack(profile) as found:
        command = DayConfirmCommand(request_id=request, exchanges=tuple(exchanges), reason=reason)
        taken = found.ask(command)
    text = f"entries on {', '.join(taken.exchanges)} are allowed on {taken.day}"
    print_result(msgspec.to_builtins(taken), as_json, text)


def _other_hours(calendar: Calendar, profile: str) -> list[str]:
    """Sessions of the next trading day that differ at the server, as text."""
    from mytrading.adapters.openalgo.endpoints import timings
    from mytrading.cli.shell.target import call_server, market_now

    day = ist_date(calendar.next_session("NSE", ist_date(market_now(profile))).open_ns)
    rows = call_server(profile, f"hours of {day}", lambda client: timings(client, day.isoformat()))
    found = []
    for row in rows:
        mine = calendar.session(row.exchange, day) if row.exchange in calendar.exchanges else None
        there = (int(row.start_time) * 1_000_000, int(row.end_time) * 1_000_000)
        if mine is not None and (mine.open_ns, mine.close_ns) != there and (mine.open_ns, mine.final_ns) != there:
            hours = (mine.open_ns, mine.close_ns), there
            here, other = ("–".join(format_ist(at_ns, "%H:%M") for at_ns in span) for span in hours)
            found.append(f"{day} {row.exchange}: {here} here, {other} there")
    return found


def _lines(found: dict[str, Any], year: int, written: dict[date, str]) -> Iterator[str]:
    for name, difference in found.items():
        if not difference.missing and not difference.extra:
            yield f"{year}: config/calendar.toml and {name} agree"
        for day, reason in difference.missing.items():
            yield f"{day}  {reason}: {'added' if day in written else 'not listed'}, {name} names it"
        for day, reason in difference.extra.items():
            yield f"{day}  {reason}: listed, {name} does not name it; remove it by hand if the exchange trades"
    if written:
        yield f"{len(written)} holidays were added; a running stack reads them within a second"


def _days(source: str, year: int, profile: str) -> dict[date, str]:
    """The holidays of NSE that a source names; a source that cannot be read ends the command."""
    if source == "library":
        from mytrading.adapters.nse.holidays import DaysUnknown, holidays_of

        try:
            return holidays_of(year)
        except DaysUnknown as error:
            fail(ERROR, str(error))
    from mytrading.adapters.openalgo.endpoints import holidays
    from mytrading.cli.shell.target import call_server

    rows = call_server(profile, "holidays", lambda client: holidays(client, year))
    closed = (row for row in rows if row.holiday_type == "TRADING_HOLIDAY" and "NSE" in row.closed_exchanges)
    return {date.fromisoformat(row.date): row.description or "Holiday" for row in closed}


def _write(path: Path, days: dict[date, str]) -> None:
    """Replace the file in one step, once the new text is known to be in order."""
    from mytrading.core.calendar import Calendar
    from mytrading.core.calendar.calendar_file import add_holidays

    text = add_holidays(path.read_text(encoding="utf-8"), "NSE", days)
    Calendar.from_dict(tomllib.loads(text))
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.chmod(path.stat().st_mode & 0o777)
    temporary.replace(path)


def _today(profile: str) -> date:
    from mytrading.cli.shell.target import market_now

    return ist_date(market_now(profile))


def _moment(text: str, profile: str) -> int:
    """Market ns of a typed moment; a date alone is its noon, so that the day's session shows; by default now."""
    from mytrading.cli.shell.target import market_now

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
