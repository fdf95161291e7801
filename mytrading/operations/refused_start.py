"""Whether a stack at a refused broker starts at all: it does while anything may be held there, to guard and exit it.

Only `mytrading up` asks, before it starts processes. What cannot be read counts as held.
"""

from __future__ import annotations

from contextlib import suppress

from mytrading.adapters.openalgo import endpoints
from mytrading.adapters.openalgo.rest import book_parsers
from mytrading.adapters.openalgo.rest.client import Deadline, OpenAlgoClient, TransportFailed
from mytrading.adapters.openalgo.rest.errors import OpenAlgoError, ReadFailed
from mytrading.core.orders.broker_gate import entry_refusal
from mytrading.core.orders.state_machine import is_live
from mytrading.daemons.router.setup import OrderRows, build_order_machine
from mytrading.messages.brokers import BrokerRules
from mytrading.messages.codec import FrameError
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.journal.journal import JournalDamaged, read_segment, segments


def refused_start(config: RunConfig) -> str:
    """Return why `up` ends at once: its only account is at a refused broker, and nothing is held; else empty."""
    if not config.brokers_count or len(config.order_accounts) != 1:
        return ""
    (account,) = config.order_accounts
    client = OpenAlgoClient(account.rest_url, account.api_key, machine_now)
    try:
        broker = endpoints.ping(client).broker
        rules = config.broker_rules(broker)
        refusal = entry_refusal(account.id, rules, config.accepted_brokers)
        if not refusal or _ledger_holds(config, account.id) or _books_hold(client, rules):
            return ""
    except (OpenAlgoError, ReadFailed, TransportFailed, JournalDamaged, FrameError):
        return ""
    finally:
        client.close()
    return f"{refusal}. Nothing is held, so nothing was started"


def _ledger_holds(config: RunConfig, account: str) -> bool:
    """True if the router's newest journal has units or live orders of an account."""
    days = segments(config.journal_dir("router"))
    machine, rows = build_order_machine(config), OrderRows()
    for row in read_segment(days[-1]) if days else ():
        with suppress(KeyError):  # a stream that only records
            machine.apply(rows.decode(row))
    held = any((one.quantity or one.quantity_seen) and one.account == account for one in machine.positions())
    return held or any(is_live(order) and order.account == account for order in machine.orders())


def _books_hold(client: OpenAlgoClient, rules: BrokerRules) -> bool:
    """True if the position book shows units of anybody, or cannot be read whole: they may be ours."""
    book = book_parsers.parse_positions(client.call("positionbook", {}, Deadline.BOOK), rules)
    return book.rows is None or bool(book.unread) or any(row.quantity for row in book.rows)
