"""`mytrading orders`: the list, and commands that act on one order."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import typer

from mytrading.cli.shell.completion import unresolved_ids
from mytrading.cli.shell.output import (
    ERROR,
    JSON_OPTION,
    PROFILE_OPTION,
    REQUEST_ID_OPTION,
    TIMED_OUT,
    USAGE,
    fail,
    print_json,
    request_id,
    stack,
)
from mytrading.cli.trading.tables import LIMIT_OPTION, orders

if TYPE_CHECKING:
    from mytrading.messages.ops import OrderRequestResult, OrderRequestTaken
    from mytrading.orchestrator import TradingOrchestrator


POLL_S = 0.1
ANSWER_S = 15.0
QUOTE_WAIT_S = 10.0
_ID = typer.Argument(..., help="The order's id as `mytrading orders` shows it, or the broker's.")
_REASON = typer.Option("", "--reason", help="Why, for the journal.")
_TIMEOUT = typer.Option(15.0, "--timeout", min=0.0, help="Seconds to wait for the end of it.")

app = typer.Typer(
    invoke_without_command=True,
    help="Orders, oldest first; `cancel`, `modify` and `resolve` act on one of them.",
    rich_markup_mode=None,
)


@app.callback()
def listed(
    context: typer.Context,
    live: bool = typer.Option(False, "--live", help="Only those that may still fill."),
    limit: int = LIMIT_OPTION,
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Orders, oldest first; `cancel`, `modify` and `resolve` act on one of them."""
    if context.invoked_subcommand is None:
        orders(live, limit, as_json, profile)


@app.command()
def cancel(
    order: str = _ID,
    reason: str = _REASON,
    force: bool = typer.Option(False, "--force", help="A stop or an exit too; needs a reason."),
    timeout: float = _TIMEOUT,
    request: str = REQUEST_ID_OPTION,
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Cancel one order, and wait until its end is proven."""
    from mytrading.messages.ops import CancelCommand

    command = CancelCommand(request_id=request_id(request), order=order, reason=reason, force=force)
    with stack(profile) as found:
        _report(_result(found, found.ask(command), timeout, cancel=True), as_json, timeout)


@app.command()
def modify(
    order: str = _ID,
    price: float = typer.Option(0.0, "--price", min=0.0, help="Another limit, in rupees."),
    trigger: float = typer.Option(0.0, "--trigger", min=0.0, help="Another trigger, in rupees."),
    quantity: int = typer.Option(0, "--quantity", min=0, help="Fewer units in all, filled ones included."),
    market: bool = typer.Option(
        False, "--market", help="Fill a LIMIT entry now: through the book, at most 1 % beyond."
    ),
    reason: str = _REASON,
    timeout: float = _TIMEOUT,
    request: str = REQUEST_ID_OPTION,
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Change one order, and wait until the order book shows it. A stop takes its protection's prices along."""
    if market and (price or trigger or quantity):
        fail(USAGE, "expected --market alone, or --price, --trigger and --quantity; found both")
    from mytrading.messages.ops import ModifyCommand

    name = request_id(request)
    with stack(profile) as found:
        price = _price_now(found, order) if market else price
        command = ModifyCommand(
            request_id=name, order=order, price=price, trigger=trigger, quantity=quantity, reason=reason
        )
        _report(_result(found, found.ask(command), timeout, cancel=False), as_json, timeout)


def _price_now(found: Any, name: str) -> float:
    """Where a live LIMIT order fills at once, by the quote of its instrument."""
    from mytrading.messages.ops import OrdersQuery

    rows = found.ask(OrdersQuery(limit=0, live=True))
    order = next((row for row in rows if name in (row["client_order_id"], row["broker_order_id"])), None)
    if order is None or order["order_type"] != "LIMIT":
        what = "none of that id" if order is None else f"a live {order['order_type']} order"
        fail(ERROR, f"--market: expected a live LIMIT order, found {what}: {name}; see `mytrading orders --live`")
    price = _through(found.config, order["instrument"], order["side"])
    if not price:
        fail(ERROR, f"no quote of {order['instrument']} came within {QUOTE_WAIT_S:g} s; give --price instead")
    return price


def _through(config: Any, instrument: str, side: str) -> float:
    """Rupees through the other side of the instrument's next quote, 0.0 if none comes in time."""
    from mytrading.cli.market.quote_lease import Looking
    from mytrading.core.orders.marketable_price import marketable_price
    from mytrading.messages.enums import Side

    with Looking(config, "modify") as looking:
        listed = looking.book.get(instrument)
        until = time.monotonic() + QUOTE_WAIT_S
        while time.monotonic() < until:
            looking.look({instrument})
            for quote in looking.quotes(POLL_S):
                price = marketable_price(quote, Side(side), listed.tick_size if listed else 0.05)
                if quote.instrument == instrument and price:
                    return price
    return 0.0


def _result(found: Any, taken: OrderRequestTaken, timeout: float, *, cancel: bool) -> OrderRequestResult:
    """The result of a request once it is final, or as it is after `timeout` seconds."""
    from mytrading.messages.ops import OrderRequestQuery

    until = time.monotonic() + timeout
    question = OrderRequestQuery(order=taken.order, request=taken.request, cancel=cancel)
    while True:
        result: OrderRequestResult = found.ask(question)
        if result.word != "waiting" or time.monotonic() >= until:
            return result
        time.sleep(POLL_S)


def _report(result: OrderRequestResult, as_json: bool, timeout: float) -> None:
    if as_json:
        import msgspec

        print_json(msgspec.structs.asdict(result))
    if result.word == "waiting":
        fail(TIMED_OUT, f"after {timeout:g} s: {result.text}; it goes on, `mytrading orders --live` shows it")
    if result.word == "refused":
        fail(ERROR, f"order {result.order} refused: {result.text}")
    if not as_json:
        print(f"order {result.order} {result.word}: {result.text}")


@app.command()
def resolve(
    order: str = typer.Argument(
        ..., metavar="ID", help="The order, as `orders` shows it.", autocompletion=unresolved_ids
    ),
    broker_order: str = typer.Option("", "--broker-order", metavar="X", help="It is this order of the broker."),
    not_placed: bool = typer.Option(False, "--not-placed", help="It never reached the broker."),
    force: bool = typer.Option(False, "--force", help="Although quantity, time or an order in view speak against it."),
    reason: str = typer.Option("", "--reason", help="Why, for the journal."),
    request: str = REQUEST_ID_OPTION,
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """End an order that is UNKNOWN, PARKED, LOST or GHOST: it is that one, or it was never placed.

    One that was never placed reserves nothing any more; if it appears all the same it is ours, and is cancelled.
    """
    if bool(broker_order) == not_placed:
        fail(USAGE, "expected either --broker-order X (see `mytrading broker orders`) or --not-placed")
    from mytrading.messages.ops import ResolveCommand

    command = ResolveCommand(
        request_id=request_id(request),
        order=order,
        broker_order=broker_order,
        not_placed=not_placed,
        force=force,
        reason=reason,
    )
    with stack(profile) as found:
        taken = found.ask(command)
        said = answered(found, taken.request)
    shown = {"request": taken.request, "order": taken.order, "ok": True, "message": said}
    print_json(shown) if as_json else print(said)


def answered(stack: TradingOrchestrator, request: str) -> str:
    """The router's answer to a request; a refusal ends the command, and so does a time-out."""
    from mytrading.messages.ops import AnswerQuery

    until = time.monotonic() + ANSWER_S
    while not (body := stack.ask(AnswerQuery(id=request))).answered:
        if time.monotonic() >= until:
            fail(TIMED_OUT, f"no answer to {request} within {ANSWER_S:g} s; it stands, see `mytrading status`")
        time.sleep(POLL_S)
    if not body.ok:
        fail(ERROR, body.message)
    return body.message
