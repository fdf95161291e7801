"""What is asked before an account is changed: does its server know the key, and is anything open on it.

What cannot be found out counts as open, never as flat.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from mytrading.adapters.openalgo import endpoints
from mytrading.adapters.openalgo.rest import book_parsers
from mytrading.adapters.openalgo.rest.client import BadServerUrl, Deadline, OpenAlgoClient, TransportFailed
from mytrading.adapters.openalgo.rest.errors import OpenAlgoError, ReadFailed
from mytrading.messages.run_config import RUN_FILE, RunConfig, RunConfigError, decode_run_config
from mytrading.runtime.host.paths import started_states
from mytrading.runtime.journal.tail import JournalTail
from mytrading.runtime.supervision import control


class Pinged(NamedTuple):
    """How a server answered: `problem` is empty if it knows the key and has a session at `broker`."""

    problem: str
    broker: str = ""
    message: str = ""
    mode: str = ""
    ms: float = 0.0


def ping(host: str, api_key: str) -> Pinged:
    """Ask the server who it is, with this key; within five seconds a question."""
    began = time.monotonic_ns()
    try:
        client = OpenAlgoClient(host, api_key, time.monotonic_ns)
    except BadServerUrl as error:
        return Pinged(str(error))
    try:
        pong = endpoints.ping(client)
        took = (time.monotonic_ns() - began) / 1e6
        return Pinged("", pong.broker, pong.message, _mode(client), round(took, 1))
    except (TransportFailed, OpenAlgoError) as error:
        return Pinged(str(error), ms=round((time.monotonic_ns() - began) / 1e6, 1))
    finally:
        client.close()


def _mode(client: OpenAlgoClient) -> str:
    try:
        return endpoints.analyzer(client).mode
    except (TransportFailed, OpenAlgoError):
        return "unknown"


def running_with(account: str) -> list[str]:
    """The profiles of stacks that run and use this account."""
    return [config.profile for config in _started(account) if control.holders(config)]


def tracked(account: str) -> list[str]:
    """What our own journals say is open on the account, in words, whether or not a stack runs."""
    return [line for config in _started(account) for line in _open_in(config, account)]


def _started(account: str) -> list[RunConfig]:
    found = []
    for folder in started_states():
        try:
            config = decode_run_config(folder / RUN_FILE)
        except RunConfigError:
            continue
        used = {config.venue.account, *(one.id for one in (*config.sources, *config.accounts))}
        if account in used and not config.simulator.embedded:
            found.append(config)
    return found


def _open_in(config: RunConfig, account: str) -> list[str]:
    held: dict[tuple[str, str, str], int] = {}

    def fold(_row: object, message: Any) -> None:
        kind = type(message).__name__
        moved = [message.position] if kind in ("PositionChanged", "PositionAdjusted") else ()
        for position in message.positions if kind == "DayOpened" else moved:
            if position.account == account:
                key = (position.instrument, position.product.value, position.strategy)
                held[key] = position.quantity or position.quantity_seen

    tail = JournalTail(config.journal_dir("router"), "orders", fold, carried=True)
    tail.start(0)
    tail.close()
    return [
        f"{strategy} holds {units} {instrument} {product}"
        for (instrument, product, strategy), units in sorted(held.items())
        if units
    ]


def at_broker(host: str, api_key: str) -> list[str]:
    """What the broker's position book shows open, in words; a book that cannot be read is one such line."""
    try:
        client = OpenAlgoClient(host, api_key, time.monotonic_ns)
        book = book_parsers.parse_positions(client.call("positionbook", {}, Deadline.BOOK))
        client.close()
    except (BadServerUrl, TransportFailed, ReadFailed) as error:
        return [f"the broker's positions cannot be read: {error}"]
    if book.rows is None:
        return [f"the broker's positions cannot be read: {'; '.join(book.problems) or 'no rows'}"]
    unread = [f"a row of {name} in the broker's positions cannot be read" for name in book.unread]
    return unread + [
        f"the broker shows {row.quantity} {row.instrument} {row.product or ''}".rstrip()
        for row in book.rows
        if row.quantity
    ]
