"""`mytrading instruments show|search|diff|accept|save`: the day's master contract, what changed in it, its history.

All but `search --server` and `accept` read files alone, and work while the stack runs and when it does not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import typer

from mytrading.cli.shell.failures import ERROR, USAGE, exit_on_errors, fail
from mytrading.cli.shell.options import AsJson, Profile, Reason, RequestId, Yes
from mytrading.cli.shell.output import print_json, print_result, print_rows
from mytrading.core.time import format_ist

if TYPE_CHECKING:
    from mytrading.adapters.storage.instrument_store import InstrumentFile

app = typer.Typer(help="The day's contracts: show, search, diff, accept, save.", no_args_is_help=True)
_COLUMNS = ("id", "kind", "expiry", "strike", "lot_size", "tick_size", "freeze_qty", "token")


@app.command()
def show(
    name: str = typer.Argument("", help="Only this contract (EXCHANGE:SYMBOL), or this underlying."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Show the contracts listed today by underlying, and refused rows. Exit 1 if a row is refused."""
    snapshot = _store(profile).snapshot()
    if not snapshot.day:
        fail(ERROR, "no instruments yet: the feed writes them at its start; `mytrading up`")
    if name and (contract := next((item for item in snapshot.instruments if item.id == name.upper()), None)):
        row = msgspec.to_builtins(contract)
        return print_json(row) if as_json else print_rows([row], _COLUMNS, False, "")
    items = [item for item in snapshot.instruments if not name or item.underlying == name.upper()]
    if name and not items:
        fail(USAGE, f"{name}: expected a contract or an underlying of {snapshot.day}; `mytrading instruments search`")
    rows = _by_underlying(items)
    refusals = [msgspec.to_builtins(row) for row in snapshot.refusals]
    if as_json:
        print_json({"day": snapshot.day, "good_day": snapshot.good_day, "fetched_ns": snapshot.fetched_ns,
                    "count": len(items), "underlyings": rows, "refusals": refusals, "notes": snapshot.notes,
                    "unchecked": snapshot.unchecked, "accepted": snapshot.accepted})  # fmt: skip
    else:
        print(f"{len(items)} instruments of {snapshot.day}, fetched {format_ist(snapshot.fetched_ns)} IST")
        print_rows(rows, ("underlying", "exchange", "kind", "count", "expiries", "lots", "ticks", "freeze"), False, "")
        for note in (*snapshot.notes, *(f"accepted by an operator: {text}" for text in snapshot.accepted)):
            print(f"note: {note}")
    if refusals:
        fail(ERROR, "" if as_json else "\n".join(f"refused: {row['subject']}: {row['reason']}" for row in refusals))
    return None


def _by_underlying(items: list[Any]) -> list[dict[str, Any]]:
    groups: dict[tuple[str, str, str], list[Any]] = {}
    for item in items:
        groups.setdefault((item.underlying, item.exchange, item.kind.value), []).append(item)
    return [
        {"underlying": underlying, "exchange": exchange, "kind": kind, "count": len(mine),
         "expiries": sorted({item.expiry for item in mine if item.expiry}),
         "lots": sorted({item.lot_size for item in mine}), "ticks": sorted({item.tick_size for item in mine}),
         "freeze": sorted({item.freeze_qty for item in mine if item.freeze_qty})}
        for (underlying, exchange, kind), mine in sorted(groups.items())
    ]  # fmt: skip


@app.command()
def search(
    words: list[str] = typer.Argument(..., help="Words in the symbol or name."),  # noqa: B008
    exchange: str = typer.Option("", "--exchange", "-e", help="Only this exchange."),
    server: bool = typer.Option(False, "--server", help="Search at the server, among all contracts."),
    limit: int = typer.Option(50, "--limit", "-n", min=0, help="Number of rows; 0: all."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Contracts by words of their symbol or name, among those the stack keeps or (`--server`) among all."""
    wanted = [word.upper() for word in words]
    if server:
        with exit_on_errors():
            from mytrading.adapters.openalgo.instruments import ContractLookup
            from mytrading.cli.shell.target import call_server

            text, where = " ".join(wanted), exchange.upper() or None
            found = call_server(profile, "search", lambda client: ContractLookup(client).search(text, where))
    else:
        found = [
            item
            for item in _store(profile).snapshot().instruments
            if (not exchange or item.exchange == exchange.upper())
            and all(word in f"{item.symbol} {item.name}".upper() for word in wanted)
        ]
    rows = [msgspec.to_builtins(item) for item in (found[:limit] if limit else found)]
    print_rows(rows, _COLUMNS, as_json, "nothing found" + ("" if server else "; --server asks for all contracts"))


@app.command()
def diff(
    before: str = typer.Option("", "--from", metavar="DAY", help="Earlier day; default: the day before."),
    after: str = typer.Option("", "--to", metavar="DAY", help="Later day; default: the newest."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Show contracts added, removed, or changed in lot, tick or freeze quantity between two days."""
    from mytrading.adapters.storage.warehouse import Warehouse
    from mytrading.core.instruments.master_contract import changes_text, diff_instruments

    store, warehouse = _store(profile), Warehouse(_state(profile))
    days = sorted({*store.days(), *warehouse.instrument_days()})
    late = after or (days[-1] if days else "")
    early = before or next((day for day in reversed(days) if day < late), "")
    for option, day in (("--from", early), ("--to", late)):
        if day not in days:
            fail(USAGE, f"{option}: expected a day with instruments ({', '.join(days[-5:]) or 'none yet'}), "
                        f"found {day or 'no earlier one'}")  # fmt: skip
    old, new = (own.instruments if (own := store.of_day(day)) else warehouse.instruments(day) for day in (early, late))
    found = diff_instruments(old, new, late)
    if as_json:
        print_json({"from": early, "to": late, "added": found.added, "removed": found.removed,
                    "changed": [change._asdict() for change in found.changed]})  # fmt: skip
        return
    print(f"{early} → {late}: {changes_text(found)}")
    for word, names in (("added", found.added), ("removed", found.removed)):
        for name in names:
            print(f"{word:<8} {name}")
    for change in found.changed:
        print(f"changed  {change.instrument}: {change.what} {change.before:g} → {change.after:g}")


@app.command()
def accept(
    name: str = typer.Argument(..., help="Underlying whose contracts are right at the server."),
    reason: Reason = "",
    yes: Yes = False,
    request: RequestId = "",
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Accept lots, ticks or missing expiries that contradict config/instruments.toml, until that table changes. Shows
    them, and asks."""
    from mytrading.cli.shell.failures import find_stack
    from mytrading.cli.trading.settling import agree
    from mytrading.messages.ops import AcceptContractsCommand

    wanted = name.upper()
    seen = dict.fromkeys(row.key for row in _store(profile).snapshot().refusals if row.subject == wanted and row.key)
    command = AcceptContractsCommand(request_id=request, name=wanted, expected=tuple(seen), reason=reason)
    with find_stack(profile) as found:
        if seen:  # without any the gateway says why
            agree(
                [f"{wanted}: {key} at the server counts from now on, in place of the table" for key in seen],
                yes,
                as_json,
            )
        taken = found.ask(command)
    text = f"accepted of {taken.name}: {'; '.join(taken.keys)}; the list is fetched again now"
    lines = (text, *(f"not accepted: {row}" for row in taken.refused))
    print_result(msgspec.to_builtins(taken), as_json, "\n".join(lines))


@app.command()
def save(as_json: AsJson = False, profile: Profile = "") -> None:
    """Put the instruments of all days into the warehouse now, as the feed does by itself after each fetch."""
    from mytrading.adapters.storage.warehouse import Warehouse, WarehouseBusy, archive_days

    warehouse = Warehouse(_state(profile))
    try:
        saved = archive_days(warehouse.path.parent, everything=True)
    except (WarehouseBusy, ValueError) as error:
        fail(ERROR, str(error))
    text = f"{sum(saved.values())} instruments of {len(saved)} days are in {warehouse.path}"
    print_result({"saved": saved, "warehouse": str(warehouse.path)}, as_json, text)


def _state(profile: str) -> Path:
    with exit_on_errors():
        from mytrading.cli.shell.target import started_config

        return started_config(profile).state


def _store(profile: str) -> InstrumentFile:
    from mytrading.adapters.storage.instrument_store import InstrumentFile

    return InstrumentFile(_state(profile))
