"""`mytrading orders`: the list, and what a person may do to one of them. The gateway journals it before it answers."""

from __future__ import annotations

import time
from typing import Any

import typer

from mytrading.cli.books import LIMIT_OPTION, orders
from mytrading.cli.output import ERROR, JSON_OPTION, PROFILE_OPTION, TIMED_OUT, USAGE, fail, print_json, stack

POLL_S = 0.1
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
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Cancel one order, and wait until its end is proven."""
    with stack(profile) as found:
        asked = found.ask("order_cancel", order=order, reason=reason, force=str(force).lower())
        _tell(_wait(found, "cancel", asked, timeout), as_json, timeout)


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
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Change one order, and wait until the order book shows it. A stop takes its protection's prices along."""
    if market and (price or trigger or quantity):
        fail(USAGE, "expected --market alone, or --price, --trigger and --quantity; found both")
    with stack(profile) as found:
        price = _price_now(found, order) if market else price
        wanted = {"price": repr(price), "trigger": repr(trigger), "quantity": str(quantity)}
        asked = found.ask("order_modify", order=order, reason=reason, **wanted)
        _tell(_wait(found, "modify", asked, timeout), as_json, timeout)


def _price_now(found: Any, name: str) -> float:
    """Where a live LIMIT order fills at once, by the quote of its instrument."""
    rows = found.ask("orders", limit="0", live="true")
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
    from mytrading.cli.looking import Looking
    from mytrading.core.marketable import marketable_price
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


def _wait(found: Any, kind: str, asked: dict[str, Any], timeout: float) -> dict[str, Any]:
    until = time.monotonic() + timeout
    while True:
        body: dict[str, Any] = found.ask("order_request", kind=kind, order=asked["order"], request=asked["request"])
        if body["word"] != "waiting" or time.monotonic() >= until:
            return body
        time.sleep(POLL_S)


def _tell(body: dict[str, Any], as_json: bool, timeout: float) -> None:
    if as_json:
        print_json(body)
    if body["word"] == "waiting":
        fail(TIMED_OUT, f"after {timeout:g} s: {body['text']}; it goes on, `mytrading orders --live` shows it")
    if body["word"] == "refused":
        fail(ERROR, f"order {body['order']} refused: {body['text']}")
    if not as_json:
        print(f"order {body['order']} {body['word']}: {body['text']}")
