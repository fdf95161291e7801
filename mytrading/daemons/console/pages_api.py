"""Routes of pages that only show: causal chains, logs, settings, instruments, the calendar."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import msgspec
from litestar import get
from litestar.datastructures import State
from litestar.params import FromPath, QueryParameter

from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.core.calendar import Calendar
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.time import format_ist, ist_date
from mytrading.daemons.console import views
from mytrading.daemons.console.actions_api import TRADER, query_gateway
from mytrading.daemons.console.log_search import LEVELS, LogFilter, UnknownPlace, search_log
from mytrading.daemons.console.refusals import ApiRefused
from mytrading.daemons.console.shell_commands import ask_shell
from mytrading.daemons.console.stack_reader import LISTS
from mytrading.messages import console_api as api
from mytrading.messages import ops
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.runtime.observability.metrics import merge_operations, read_snapshots

MS = 1_000_000
Few = Annotated[int, QueryParameter(ge=1, le=1000)]
SearchWords = Annotated[str, QueryParameter(max_length=64, name="query")]
Short = Annotated[str, QueryParameter(max_length=64)]
MOST_ID = 300
RowId = Annotated[str, QueryParameter(min_length=1, max_length=MOST_ID)]
Position = Annotated[str, QueryParameter(max_length=200)]


@get("/api/lists/{name:str}", sync_to_thread=True)
def show_list(
    state: State, name: FromPath[str], before: Position = "", day: Short = "", strategy: Short = "", limit: Few = 500
) -> api.ListPage:
    """A further page of orders, trades or signals: `before` the `older` of another; of a `day` (YYYY-MM-DD), a strategy
    or all."""
    if name not in LISTS:
        raise ApiRefused("NOT_FOUND", f"expected one of {', '.join(LISTS)}; found {name[:40]!r}")
    query = ops.ListQuery(name=name, before=before, day=day[:10], strategy=strategy, limit=limit)  # type: ignore[arg-type]
    page = query_gateway(state, query)
    return api.ListPage(rows=list(LISTS[name](page["rows"]).values()), extent=views.list_row(name, page))


@get("/api/why/{name:str}", sync_to_thread=True)
def show_why(state: State, name: FromPath[str]) -> list[api.WhyStep]:
    """Return the chain behind an order, a signal or a goal."""
    return _chain(state, name)


@get("/api/why", sync_to_thread=True)
def show_why_of_row(state: State, row: RowId) -> list[api.WhyStep]:
    """Return the chain behind a row of a topic by its id: an order, signal, position, trade or alert."""
    return _chain(state, row)


def _chain(state: State, name: str) -> list[api.WhyStep]:
    return [
        api.WhyStep(
            at_ms=step["market_ns"] // MS,
            ms=step["ms"],
            step_ms=step["step_ms"],
            daemon=step["daemon"],
            kind=step["kind"],
            what=step["what"],
        )
        for step in ask_shell(state.config, "why", "--", name[:MOST_ID].replace("\0", ""))
    ]


@get("/api/logs", sync_to_thread=True)
def show_logs(
    state: State,
    process: Short = "",
    level: Short = "",
    text: Short = "",
    trace: Short = "",
    before: Short = "",
    limit: Few = 200,
) -> api.LogSearch:
    """Return a slice of a search of the whole log: lines of a process, from a level on, with a text or an id."""
    if level and level not in LEVELS:
        raise ApiRefused("BAD_REQUEST", f"level: expected one of {', '.join(LEVELS)}; found {level!r}", "level")
    wanted = LogFilter(process, level, (text, trace))
    try:
        return search_log(Path(state.config.log_dir) / "main.log", wanted, limit, before)
    except UnknownPlace as error:
        raise ApiRefused("BAD_REQUEST", str(error), "before") from error


@get("/api/settings", opt={"role": "admin"}, sync_to_thread=True)
def show_settings(state: State) -> list[api.SettingRow]:
    """Return every setting with its origin, as in the files now; a running stack keeps those of its start."""
    rows = ask_shell(state.config, "config", "show")
    return [api.SettingRow(name=row["name"], value=str(row["value"]), origin=row["origin"]) for row in rows]


@get("/api/instruments", sync_to_thread=True)
def show_instruments(state: State, words: SearchWords = "", limit: Few = 100) -> list[api.InstrumentRow]:
    """Today's instruments whose id, underlying, expiry, kind or strike holds each word of `query`."""
    wanted = words.upper().split()
    found: list[api.InstrumentRow] = []
    for one in state.chains.instruments():
        text = f"{one.id} {one.underlying} {one.expiry} {one.kind.value} {one.strike:g}".upper()
        if all(word in text for word in wanted):
            found.append(_instrument(one))
            if len(found) == limit:
                break
    return found


def _instrument(one: Instrument) -> api.InstrumentRow:
    return api.InstrumentRow(
        id=one.id,
        symbol=one.symbol,
        exchange=one.exchange,
        kind=one.kind.value,
        underlying=one.underlying,
        expiry=one.expiry,
        strike=one.strike or None,
        lot=one.lot_size,
        tick=one.tick_size,
        freeze=one.freeze_qty,
    )


@get("/api/underlyings", sync_to_thread=True)
def show_underlyings(state: State) -> list[api.UnderlyingRow]:
    """Return the underlyings with options today, with the expiries that are not past."""
    book: InstrumentBook = state.chains.instruments()
    lots = {one.underlying: one.lot_size for one in book if one.kind is InstrumentKind.CE}
    now = state.clock.now()
    rows = [
        api.UnderlyingRow(underlying=name, expiries=book.live_expiries(name, InstrumentKind.CE, now), lot=lot)
        for name, lot in sorted(lots.items())
    ]
    return [row for row in rows if row.expiries]


@get("/api/calendar", sync_to_thread=True)
def show_calendar(
    state: State, exchange: Short = "NFO", days: Annotated[int, QueryParameter(ge=1, le=366)] = 30
) -> list[api.CalendarDay]:
    """Sessions and holidays of an exchange from today on."""
    calendar: Calendar = state.calendar
    if not calendar.has_exchange(exchange):
        known = ", ".join(calendar.exchanges)
        raise ApiRefused("BAD_REQUEST", f"exchange: expected one of {known}; found {exchange!r}", "exchange")
    today = ist_date(state.clock.now())
    found = []
    for day in (today + timedelta(days=ahead) for ahead in range(days)):
        session = calendar.session(exchange, day)
        hours = f"{format_ist(session.open_ns, '%H:%M')}–{format_ist(session.close_ns, '%H:%M')}" if session else ""
        name = f" {session.name}" if session is not None and session.name else ""
        found.append(
            api.CalendarDay(
                day=day.isoformat(),
                exchange=exchange,
                sessions=[hours + name] if session else [],
                holiday=calendar.holiday_name(exchange, day),
            )
        )
    return found


@get("/api/performance", sync_to_thread=True)
def show_operations(state: State) -> list[api.OperationRow]:
    """Return the times of operations of all processes since the start, the slowest first."""
    found = merge_operations(read_snapshots(state.config.metrics_dir))
    rows = [msgspec.convert({"operation": name, **one.figures()}, api.OperationRow) for name, one in found.items()]
    return sorted(rows, key=lambda row: row.p99, reverse=True)


@get("/api/doctor", opt=TRADER, sync_to_thread=True)
def show_checks(state: State) -> list[api.CheckRow]:
    """Return the findings of `mytrading doctor --quick`, which places nothing, and the day of the contracts in use."""
    findings = ask_shell(state.config, "doctor", "--quick", codes=(1,))["findings"]
    snapshot = InstrumentFile(state.config.state).snapshot()
    today = ist_date(state.clock.now()).isoformat()
    contracts = api.CheckRow(
        check="contracts",
        account="",
        verdict="ok" if snapshot.day == today else "warning",
        found=f"{len(snapshot.instruments)} of {snapshot.day or 'no day yet'}",
        cure="" if snapshot.day == today else "download the master contract on the OpenAlgo page",
    )
    return [contracts, *(msgspec.convert(row, api.CheckRow) for row in findings)]


ROUTES = [
    show_list,
    show_checks,
    show_why,
    show_why_of_row,
    show_logs,
    show_settings,
    show_instruments,
    show_underlyings,
    show_calendar,
    show_operations,
]
