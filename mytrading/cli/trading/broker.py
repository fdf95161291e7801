"""`mytrading broker orders|trades|positions|holdings|funds`: the brokers' own books of all accounts, field by field.

An account that cannot be read is named, and rows of an earlier read are shown with their age.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from mytrading.cli.shell.failures import ERROR, USAGE, exit_on_errors, fail
from mytrading.cli.shell.options import AsJson, Profile
from mytrading.cli.shell.output import print_json, print_note, print_rows
from mytrading.messages.run_config import AccountRun, RunConfig

if TYPE_CHECKING:
    from pathlib import Path

    from mytrading.adapters.openalgo.rest.retry import Retries


BOOKS: dict[str, str] = {
    "orders": "orderbook", "trades": "tradebook", "positions": "positionbook", "holdings": "holdings", "funds": "funds",
}  # fmt: skip
"""Names of the books, and the route of each."""
_FIRST = ("account", "age_s", "exchange", "symbol", "action", "product", "quantity", "order_status", "average_price")


def broker(
    book: str = typer.Argument(..., metavar="BOOK", help=", ".join(BOOKS)),
    account: str = typer.Option("", "--account", "-a", help="Account; default: all."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Show a book (orders, funds, …) of each account as the broker has it. Exit 1 if an account could not be read."""
    if book not in BOOKS:
        fail(USAGE, f"broker: expected {', '.join(BOOKS)}; found {book!r}")
    with exit_on_errors():
        from mytrading.adapters.openalgo.rest.retry import Retries
        from mytrading.cli.shell.target import running_or_configured_stack

        config = running_or_configured_stack(profile).config
    retries = Retries(config.venue.max_retries, config.venue.retry_delay)
    shown = read_books(_accounts(config, account), book, config.state / CACHE, retries)
    if as_json:
        print_json([one._asdict() for one in shown])
    else:
        rows = [{"account": one.account, "age_s": one.age_s or "", **row} for one in shown for row in one.rows]
        names = list(dict.fromkeys(name for row in rows for name in row))
        first = [name for name in _FIRST if name in names]
        print_rows(rows, [*first, *(name for name in names if name not in first)], False, "nothing there")
    failed = [one for one in shown if one.problem]
    for one in failed:
        old = f"; its rows are {one.age_s:g} s old" if one.rows else ""
        print_note(f"{one.account} could not be read: {one.problem}{old}")
    if failed:
        raise typer.Exit(ERROR)


def _accounts(config: RunConfig, wanted: str) -> list[AccountRun]:
    found = [account for account in (*config.order_accounts, *config.standby_accounts) if account.rest_url]
    if not found:
        from mytrading.orchestrator import TradingOrchestrator

        start = TradingOrchestrator(config).start_command
        fail(USAGE, f"the server of the {config.profile} stack is its simulator: start it with `{start}`")
    chosen = [account for account in found if wanted in ("", account.id)]
    if not chosen:
        fail(USAGE, f"--account: expected one of {', '.join(account.id for account in found)}; found {wanted!r}")
    return chosen


CACHE = "broker-books.json"
Row = dict[str, Any]


class AccountBookRows(NamedTuple):
    """One account's book: its rows, machine seconds since they were read (0: just now), and why it cannot be read."""

    account: str
    rows: list[Row]
    age_s: float
    problem: str


def read_books(
    accounts: Sequence[AccountRun], book: str, cache: Path, retries: Retries | None = None
) -> list[AccountBookRows]:
    """Read `book` of all accounts in parallel; a failed read gives the rows last saved in the `cache` file.
    Rows that were read are saved to `cache`. `retries` is how often to try again (None: once)."""
    from concurrent.futures import ThreadPoolExecutor

    kept: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        if isinstance(found := json.loads(cache.read_bytes()), dict):
            kept = found
    with ThreadPoolExecutor(max_workers=max(1, len(accounts))) as pool:
        books = list(pool.map(lambda account: _read(account, book, retries), accounts))
    now, shown = time.time_ns(), []
    for account, (rows, problem) in zip(accounts, books, strict=True):
        place = f"{account.id} {book}"
        if rows is not None:
            kept[place] = {"read_ns": now, "rows": rows}
            shown.append(AccountBookRows(account.id, rows, 0.0, ""))
            continue
        old = kept.get(place)
        age = (now - old["read_ns"]) / 1e9 if old else 0.0
        shown.append(AccountBookRows(account.id, old["rows"] if old else [], round(age, 1), problem))
    cache.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = cache.with_name(f".{cache.name}")
    temporary.write_text(json.dumps(kept), encoding="utf-8")
    temporary.chmod(0o600)
    temporary.replace(cache)
    return shown


def _read(account: AccountRun, book: str, retries: Retries | None) -> tuple[list[Row] | None, str]:
    from mytrading.adapters.openalgo.rest.book_parsers import decode_envelope
    from mytrading.adapters.openalgo.rest.client import BadServerUrl, Deadline, OpenAlgoClient, TransportFailed
    from mytrading.adapters.openalgo.rest.errors import ReadFailed
    from mytrading.adapters.openalgo.rest.retry import ONCE, read_with_retries

    try:
        client = OpenAlgoClient(account.rest_url, account.api_key, time.monotonic_ns)
        data = decode_envelope(read_with_retries(client, BOOKS[book], {}, Deadline.BOOK, retries or ONCE)).data
        client.close()
    except (BadServerUrl, ReadFailed, TransportFailed) as error:
        return None, str(error)
    rows = _rows_of(book, data)
    return rows, "" if rows is not None else f"expected a book of {book}, found {type(data).__name__}"


def _rows_of(book: str, data: Any) -> list[Row] | None:
    """The rows of an answer; None if it makes no sense: several brokers answer an error with success and nothing."""
    if book == "funds":
        return [data] if isinstance(data, dict) and "availablecash" in data else None
    found = data.get(book) if book in ("orders", "holdings") and isinstance(data, dict) else data
    return found if isinstance(found, list) and all(isinstance(row, dict) for row in found) else None
