"""The trial order of doctor, and the margin of what it would trade.

With a stack that runs the order goes through gateway and router; without one doctor sends it by the same venue adapter
and by the router's rules: under the account's lock, no call repeated, the mode of each answer compared, what is unclear
read from the order book. It is made at paper venues only, and is gone before doctor ends.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from msgspec.structs import replace

from mytrading.adapters.openalgo import endpoints
from mytrading.adapters.openalgo.instruments import instrument_of
from mytrading.adapters.openalgo.rest import book_parsers
from mytrading.adapters.openalgo.rest.client import Deadline, TransportFailed
from mytrading.adapters.openalgo.rest.errors import NotSupported, OpenAlgoError, ReadFailed
from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.adapters.venues import OpenAlgoVenue
from mytrading.cli.doctor.checks import CheckContext, Finding, failed, ok, skipped, warning
from mytrading.cli.shell.target import contract_ends
from mytrading.core.instruments.book import NoSuchContract
from mytrading.core.instruments.symbology import split_id
from mytrading.messages.enums import BrokerStatus, Call, OrderState, OrderType, Outcome, Product, Purpose, Side
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.ops import OrdersQuery, PaperOrderCommand
from mytrading.messages.orders import Order
from mytrading.messages.reports import BrokerOrder
from mytrading.messages.run_config import VenueKind
from mytrading.orchestrator import NotRunning
from mytrading.runtime.host.paths import account_lock_path
from mytrading.runtime.streams.ops_client import OpsRefused, OpsTimedOut
from mytrading.runtime.streams.quote_lease import QuoteLease
from mytrading.runtime.supervision.instance_lock import AlreadyRunning, InstanceLock

ORDER_S = 60.0
"""The longest wait: an order takes its time on a busy machine; any other is over within a second."""
_BELOW = {True: 0.7, False: 0.95}
"""The trial order's share of the price: of an option, which moves more, and of a share."""
_ENDED = ("FILLED", "DENIED", "REJECTED", "CANCELLED", "EXPIRED", "LOST")
_LIKELY = "NSE:SBIN"
"""The instrument where none were fetched yet."""

Row = TypeVar("Row")


def check_margin(context: CheckContext) -> Finding:
    """Check that the broker answers a margin request for one lot of a contract; places no order."""
    try:
        chosen = _instrument(context)
        if isinstance(chosen, str):
            return skipped(chosen)
        with _quoted(context, chosen):
            row = {"symbol": chosen.symbol, "exchange": chosen.exchange, "action": Side.BUY.value,
                   "quantity": chosen.lot_size, "product": Product.MIS.value, "pricetype": OrderType.LIMIT.value,
                   "price": f"{_price(context, chosen):.2f}", "trigger_price": 0}  # fmt: skip
            total = endpoints.margin(context.client, [row]).total_margin_required
    except NotSupported as error:
        return warning(f"the broker gives none: {error.message}", "entries are judged by funds and limits")
    except (OpenAlgoError, TransportFailed) as error:
        return failed(str(error), "see the broker session above, and the server's log")
    text = f"₹{total:,.2f} for {chosen.lot_size} {chosen.id}"
    return ok(text) if total > 0 else failed(f"{text}, with success", "look at the server's log")


def check_paper_order(context: CheckContext) -> Finding:
    """Place a limit buy far below the market and cancel it; skipped unless orders are paper and the market open."""
    if context.config.venue.kind is VenueKind.DRY_RUN:
        return skipped("a dry run sends nothing")
    if not context.is_paper:
        return skipped("live orders are not tested: doctor places none where they cost money")
    try:
        chosen = _instrument(context)
        if isinstance(chosen, str):
            return skipped(chosen)
        if not context.is_open(chosen.exchange):
            return skipped(f"{chosen.exchange} is closed", "repeat it in the session")
        if not context.is_running:
            return _direct(context, chosen)
        with _quoted(context, chosen):
            return _trial(context, chosen)
    except (OpenAlgoError, ReadFailed, TransportFailed) as error:
        return failed(str(error), "see the broker session above, and look at the server's order book")
    except (NotRunning, OpsTimedOut, OpsRefused) as error:
        return failed(str(error), "see `mytrading status` and `mytrading logs gateway`")


@contextmanager
def _quoted(context: CheckContext, chosen: Instrument) -> Iterator[None]:
    """Have the feed give quotes of the instrument meanwhile, where the venue has none but those."""
    if context.config.source is None or not context.is_running:
        yield
        return
    with QuoteLease(context.config, "doctor", contract_ends(context.config.home)) as lease:
        deadline = time.monotonic() + ORDER_S
        while _last(context, chosen.id) <= 0 and time.monotonic() < deadline:
            lease.renew({chosen.id})
            for _ in lease.quotes(0.2):
                continue
        yield


def _trial(context: CheckContext, chosen: Instrument) -> Finding:
    name, price = f"doctor-{uuid.uuid4().hex[:16]}", round(_price(context, chosen), 2)
    shown = f"{chosen.lot_size} {chosen.id} at {price:g}"

    def row() -> dict[str, Any] | None:
        rows = context.stack.ask(OrdersQuery(limit=0))
        return next((row for row in rows if row["client_order_id"] == name), None)

    command = PaperOrderCommand(request_id=f"{name}.place", id=name, instrument=chosen.id)
    context.stack.ask(replace(command, quantity=chosen.lot_size, price=price))
    placed = _once(row, lambda row: row["state"] in ("ACCEPTED", *_ENDED), 0.1) or {}
    context.stack.ask(replace(command, request_id=f"{name}.withdraw"))
    ended = _once(row, lambda row: row["state"] in _ENDED, 0.1) or {}
    state = ended.get("state", "nowhere")
    if state == "CANCELLED" and placed.get("broker_order_id"):
        return ok(f"{shown}: placed as {placed['broker_order_id']} and cancelled")
    if state == "FILLED":
        cure = f"close {chosen.id} at the server's sandbox page"
        return failed(f"{shown} was filled, far below the market", cure)
    reason = ended.get("message") or placed.get("message") or "no reason given"
    cure = "see `mytrading orders`, `mytrading alerts` and the server's log"
    return failed(f"{shown} is {state}: {reason}", cure)


def _instrument(context: CheckContext) -> Instrument | str:
    """A share if one is watched, else the option at the money of a watched underlying."""
    store = InstrumentFile(context.config.state)
    snapshot = context.snapshot or store.snapshot()
    if not snapshot.instruments:
        exchange, symbol = split_id(_LIKELY)
        return instrument_of(endpoints.symbol(context.client, symbol, exchange))
    book = store.book_of(snapshot)
    share = next((item for item in book if item.kind is InstrumentKind.EQ), None)
    if share is not None:
        return share
    for watched in context.watched_instruments:
        underlying = split_id(watched)[1]
        alive = book.live_expiries(underlying, InstrumentKind.CE, context.now)
        if not alive:
            continue
        try:
            return book.option(underlying, alive[-1], "ATM", InstrumentKind.CE, _last(context, watched))
        except (NoSuchContract, OpenAlgoError, TransportFailed):
            continue
    return "no share and no option is among the instruments"


def _price(context: CheckContext, chosen: Instrument) -> float:
    """On the tick, and so far below the market that it rests."""
    tick = chosen.tick_size or 0.05
    steps = math.floor(_last(context, chosen.id) * _BELOW[chosen.kind.is_option] / tick)
    return round(max(steps, 1) * tick, 2)


def _last(context: CheckContext, instrument: str) -> float:
    exchange, symbol = split_id(instrument)
    quote = endpoints.quote(context.client, symbol, exchange)
    return quote.ltp or quote.prev_close


def _once(find: Callable[[], Row | None], condition: Callable[[Row], object], every_s: float) -> Row | None:
    """The order's row once the condition holds, or as it is when time is up; None if there is none."""
    deadline = time.monotonic() + ORDER_S
    found: Row | None = None
    while True:
        found = find() or found
        if (found is not None and condition(found)) or time.monotonic() > deadline:
            return found
        time.sleep(every_s)


# without a stack
def _direct(context: CheckContext, chosen: Instrument) -> Finding:
    """The trial order by doctor itself; no other process may trade the account meanwhile."""
    lock = InstanceLock(account_lock_path(context.config, context.config.order_accounts[0]))
    try:
        lock.acquire()
    except AlreadyRunning as error:
        return skipped(f"another stack trades the account: {error}", "run doctor for that stack's profile")
    try:
        name = f"doctor-{uuid.uuid4().hex[:16]}"
        order = Order(
            client_order_id=name, account=context.config.venue.account, instrument=chosen.id, product=Product.MIS,
            strategy="doctor", run=name, cause=name, purpose=Purpose.ENTRY, side=Side.BUY, quantity=chosen.lot_size,
            order_type=OrderType.LIMIT, price=_price(context, chosen), state=OrderState.INITIALIZED,
            created_ns=context.now, updated_ns=context.now,
        )  # fmt: skip
        return _placed_and_cancelled(context, order)
    finally:
        lock.release()


def _placed_and_cancelled(context: CheckContext, order: Order) -> Finding:
    venue = OpenAlgoVenue(context.client, context.config.venue.expected_mode)
    shown = f"{order.quantity} {order.instrument} at {order.price:g}"
    placed = venue.send(Call.PLACE, order)
    if placed.outcome in (Outcome.REFUSED, Outcome.NOT_SENT, Outcome.RATE_LIMITED):
        return failed(f"{shown} was not taken: {placed.message}", "see the server's log")

    def row() -> BrokerOrder | None:
        """The order in the server's book, by the broker's id or by ours."""
        book = book_parsers.parse_orders(context.client.call("orderbook", {}, Deadline.BOOK))
        mine = (row for row in book.rows or () if row.broker_order_id in ids or row.tag == order.client_order_id)
        return next(mine, None)

    ids = {placed.broker_order_id} - {""}
    resting = _once(row, bool, 0.5)
    name = placed.broker_order_id or (resting.broker_order_id if resting is not None else "")
    if not name:
        cure = f"look for {order.client_order_id} in the server's order book, and cancel it there"
        return failed(f"{shown}: {placed.outcome.value} {placed.message}", cure)
    if resting is None or not resting.status.is_final:
        venue.send(Call.CANCEL, replace(order, broker_order_id=name))
    ids = {name}
    ended = _once(row, lambda row: row.status.is_final, 0.5)
    state = ended.status.value if ended is not None else "nowhere"
    if placed.outcome is Outcome.ACCEPTED and ended is not None and ended.status is BrokerStatus.CANCELLED:
        return ok(f"{shown}: placed as {name} and cancelled, by doctor itself since no stack runs")
    cure = f"cancel order {name} at the server's sandbox page, or close {order.instrument} there if it was filled"
    reason = placed.message or (ended.message if ended is not None else "") or "no reason given"
    return failed(f"{shown} was {placed.outcome.value} and is {state}: {reason}", cure)
