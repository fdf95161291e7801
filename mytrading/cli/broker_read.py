"""Books as the brokers themselves show them, of several accounts at once.

Used by `cli.broker_books`. The rows are the servers' own, field by field. The one rule: an account that cannot be read
is named, and rows that were read earlier are shown with their age, never as if they were new.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from mytrading.cli.broker_books import BOOKS
from mytrading.messages.runconfig import AccountRun

if TYPE_CHECKING:
    from mytrading.adapters.openalgo.again import Retries

CACHE = "broker-books.json"
Row = dict[str, Any]


class Shown(NamedTuple):
    """One account's book: its rows, machine seconds since they were read (0: just now), and why it cannot be read."""

    account: str
    rows: list[Row]
    age_s: float
    problem: str


class _Kept(msgspec.Struct):
    read_ns: int
    rows: list[Row]


def collect(accounts: Sequence[AccountRun], book: str, cache: Path, retries: Retries | None = None) -> list[Shown]:
    """Ask all accounts side by side, each as often as `retries` says; what cannot be read comes from the cache.

    What was read renews it.
    """
    kept = _load(cache)
    with ThreadPoolExecutor(max_workers=max(1, len(accounts))) as pool:
        found = list(pool.map(lambda account: _read(account, book, retries), accounts))
    now, shown = time.time_ns(), []
    for account, (rows, problem) in zip(accounts, found, strict=True):
        place = f"{account.id} {book}"
        if rows is not None:
            kept[place] = _Kept(now, rows)
            shown.append(Shown(account.id, rows, 0.0, ""))
            continue
        old = kept.get(place)
        age = (now - old.read_ns) / 1e9 if old else 0.0
        shown.append(Shown(account.id, old.rows if old else [], round(age, 1), problem))
    _store(cache, kept)
    return shown


def _read(account: AccountRun, book: str, retries: Retries | None) -> tuple[list[Row] | None, str]:
    from mytrading.adapters.openalgo.again import ONCE, read
    from mytrading.adapters.openalgo.books import open_envelope
    from mytrading.adapters.openalgo.client import BadServerUrl, Deadline, OpenAlgoClient
    from mytrading.adapters.openalgo.errors import ReadFailed, TransportFailed

    try:
        client = OpenAlgoClient(account.rest_url, account.api_key, time.monotonic_ns)
        data = open_envelope(read(client, BOOKS[book], Deadline.BOOK, retries or ONCE)).data
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


def _load(cache: Path) -> dict[str, _Kept]:
    try:
        return msgspec.json.decode(cache.read_bytes(), type=dict[str, _Kept])
    except (OSError, msgspec.DecodeError):
        return {}


def _store(cache: Path, kept: dict[str, _Kept]) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = cache.with_name(f".{cache.name}")
    temporary.write_bytes(msgspec.json.encode(kept))
    temporary.chmod(0o600)
    temporary.replace(cache)
