"""`mytrading orders`, `positions`, `trades` and `signals`: tables of the gateway, and commands on one row."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from typer import Argument, Option

from mytrading.cli.shell import options
from mytrading.cli.shell.failures import ERROR, TIMED_OUT, USAGE, ask_gateway, fail, find_stack
from mytrading.cli.shell.options import Account, AsJson, Deadline, Limit, Profile, Reason, RequestId, Yes
from mytrading.cli.shell.output import print_json, print_note, print_rows
from mytrading.cli.trading import settling
from mytrading.cli.trading.levels import print_flatten_result, wait_until_flat
from mytrading.cli.trading.settling import router_answer
from mytrading.messages import ops
from mytrading.messages.enums import Product, Side

if TYPE_CHECKING:
    from mytrading.orchestrator import TradingOrchestrator

POLL_S = 0.1
QUOTE_WAIT_S = 10.0
OWNERS = options.owner_names
Row = dict[str, Any]
OrderId = Annotated[str, Argument(help="The order's id as `mytrading orders` shows it, or the broker's.")]
Timeout = Annotated[float, Option("--timeout", min=0.0, help="Seconds to wait for the result.")]
Instrument = Annotated[str, Argument(help="Such as NFO:NIFTY30DEC2526000CE.", autocompletion=options.held_instruments)]
HeldInstrument = Annotated[
    str, Argument(help="Such as NFO:NIFTY30DEC2526000CE; none with --run.", autocompletion=options.held_instruments)
]
ProductName = Annotated[str, Option("--product", "-p", help="MIS, NRML or CNC, if several are held.")]

UnresolvedId = Annotated[
    str, Argument(metavar="ID", help="Order id, as `orders` shows it.", autocompletion=options.unresolved_ids)
]

orders_app = typer.Typer(
    invoke_without_command=True,
    help="Orders, oldest first; `cancel`, `modify` and `resolve` act on one of them.",
    rich_markup_mode=None,
)
positions_app = typer.Typer(
    invoke_without_command=True,
    help="Positions by owner, with confidence; `claim`, `close`, `settle` and `adjust` act on them.",
    rich_markup_mode=None,
)


def _columns(rows: list[Row], *names: str) -> tuple[str, ...]:
    """Return columns of a table, with the account after the strategy where the rows are of more than one."""
    if len({row["account"] for row in rows if row.get("account")}) < 2:
        return names
    after = names.index("strategy") + 1
    return (*names[:after], "account", *names[after:])


def trades(limit: Limit = 50, as_json: AsJson = False, profile: Profile = "") -> None:
    """Completed trades."""
    columns = ("closed_ns", "strategy", "instrument", "side", "quantity", "entry_price", "exit_price", "realised")
    rows = ask_gateway(profile, ops.TradesQuery(limit=limit))
    print_rows(rows, _columns(rows, *columns), as_json, "no trades yet")


def signals(limit: Limit = 50, as_json: AsJson = False, profile: Profile = "") -> None:
    """Signals of strategies, their outcome in each account, and denials."""
    columns = ("created_ns", "strategy", "watch", "action", "confidence", "reason", "result", "denied")
    rows = ask_gateway(profile, ops.SignalsQuery(limit=limit))
    if not as_json:
        rows = [each for row in rows for each in _by_account(row)]
    print_rows(rows, columns, as_json, "no signals yet")


def _by_account(row: Row) -> list[Row]:
    """A signal's row with why it was denied, by risk or the router; in several accounts, each account's result and
    denial as rows of their own under it."""
    accounts = row.get("accounts", [])
    if len(accounts) < 2:
        return [{**row, "denied": row.get("denied") or [one["reason"] for one in accounts if one["reason"]]}]
    under = [{"strategy": f"· {one['account']}", "result": one["result"], "denied": one["reason"]} for one in accounts]
    return [{**row, "denied": ""}, *under]


@orders_app.callback()
def orders(
    context: typer.Context,
    live: bool = Option(False, "--live", help="Show only working orders."),
    limit: Limit = 50, as_json: AsJson = False, profile: Profile = "",
) -> None:  # fmt: skip
    """Orders, oldest first; `cancel`, `modify` and `resolve` act on one of them."""
    if context.invoked_subcommand is not None:
        return
    rows = ask_gateway(profile, ops.OrdersQuery(limit=limit, live=live))
    if not as_json:
        shown = []
        for row in rows:
            slices = row.get("slices", [])
            shown += [row, *({**part, "purpose": f"· {part['slice']} of {len(slices)}"} for part in slices)]
        rows = [{**row, "message": row.get("waits") or row.get("message", "")} for row in shown]
    columns = ("created_ns", "client_order_id", "strategy", "purpose", "side", "quantity", "instrument", "order_type",
               "price", "state", "filled", "average_price", "message")  # fmt: skip
    print_rows(rows, _columns(rows, *columns), as_json, "no orders")


@orders_app.command()
def cancel(
    order: OrderId, reason: Reason = "",
    force: bool = Option(False, "--force", help="Allow a stop or an exit too; needs a reason."),
    timeout: Timeout = 15.0, request: RequestId = "", as_json: AsJson = False, profile: Profile = "",
) -> None:  # fmt: skip
    """Cancel one order, and wait until its end is confirmed."""
    command = ops.CancelCommand(request_id=request, order=order, reason=reason, force=force)
    with find_stack(profile) as found:
        _report(_result(found, found.ask(command), timeout, cancel=True), as_json, timeout)


@orders_app.command()
def modify(
    order: OrderId,
    price: float = Option(0.0, "--price", min=0.0, help="New limit price in rupees."),
    trigger: float = Option(0.0, "--trigger", min=0.0, help="New trigger price in rupees."),
    quantity: int = Option(0, "--quantity", min=0, help="New total of units, filled ones included; less than now."),
    market: bool = Option(False, "--market", help="Fill a LIMIT entry now, at most 1 % beyond the book."),
    force: bool = Option(False, "--force", help="Loosen a stop too; needs a reason."),
    reason: Reason = "", timeout: Timeout = 15.0, request: RequestId = "", as_json: AsJson = False,
    profile: Profile = "",
) -> None:  # fmt: skip
    """Change one order, and wait until the order book shows it. A new stop price also becomes its protection's."""
    if market and (price or trigger or quantity):
        fail(USAGE, "expected --market alone, or --price, --trigger and --quantity; found both")
    with find_stack(profile) as found:
        price = _price_now(found, order) if market else price
        command = ops.ModifyCommand(
            request_id=request, order=order, price=price, trigger=trigger, quantity=quantity, reason=reason, force=force
        )
        _report(_result(found, found.ask(command), timeout, cancel=False), as_json, timeout)


def _price_now(found: TradingOrchestrator, name: str) -> float:
    """Return a price (rupees) at which a live LIMIT order fills at once, by the next quote of its instrument."""
    from mytrading.cli.shell.target import contract_ends
    from mytrading.core.orders.marketable_price import marketable_price
    from mytrading.runtime.streams.quote_lease import QuoteLease

    rows = found.ask(ops.OrdersQuery(limit=0, live=True))
    order = next((row for row in rows if name in (row["client_order_id"], row["broker_order_id"])), None)
    if order is None or order["order_type"] != "LIMIT":
        what = "none of that id" if order is None else f"a live {order['order_type']} order"
        fail(ERROR, f"--market: expected a live LIMIT order, found {what}: {name}; see `mytrading orders --live`")
    instrument, until = order["instrument"], time.monotonic() + QUOTE_WAIT_S
    with QuoteLease(found.config, "modify", contract_ends(found.config.home)) as lease:
        listed = lease.book.get(instrument)
        while True:
            if time.monotonic() >= until:
                fail(ERROR, f"no quote of {instrument} came within {QUOTE_WAIT_S:g} s; give --price instead")
            lease.renew({instrument})
            for quote in lease.quotes(POLL_S):
                price = marketable_price(quote, Side(order["side"]), listed.tick_size if listed else 0.05)
                if quote.instrument == instrument and price:
                    return price


def _result(
    found: TradingOrchestrator, taken: ops.OrderRequestTaken, timeout: float, *, cancel: bool
) -> ops.OrderRequestResult:
    """The result of a request once it is final, or as it is after `timeout` seconds."""
    until = time.monotonic() + timeout
    while True:
        result = found.ask(ops.OrderRequestQuery(order=taken.order, request=taken.request, cancel=cancel))
        if result.word != "waiting" or time.monotonic() >= until:
            return result
        time.sleep(POLL_S)


def _report(result: ops.OrderRequestResult, as_json: bool, timeout: float) -> None:
    if as_json:
        print_json(msgspec.structs.asdict(result))
    if result.word == "waiting":
        fail(TIMED_OUT, f"after {timeout:g} s: {result.text}; it goes on, `mytrading orders --live` shows it")
    if result.word == "refused":
        fail(ERROR, f"order {result.order} refused: {result.text}")
    if not as_json:
        print(f"order {result.order} {result.word}: {result.text}")


@orders_app.command()
def resolve(
    order: UnresolvedId,
    broker_order: str = Option("", "--broker-order", metavar="X", help="Broker's id of this order."),
    not_placed: bool = Option(False, "--not-placed", help="State that the order never reached the broker."),
    force: bool = Option(False, "--force", help="Override contradicting evidence (quantity, time or a visible order)."),
    reason: Reason = "", request: RequestId = "", as_json: AsJson = False, profile: Profile = "",
) -> None:  # fmt: skip
    """Settle an order that is UNKNOWN, PARKED, LOST or GHOST, or that no order book shows: give its broker id, or state
    that it was never placed.

    An order stated as never placed frees its margin; if it appears at the broker in the next minutes, it is cancelled.
    """
    if bool(broker_order) == not_placed:
        fail(USAGE, "expected either --broker-order X (see `mytrading broker orders`) or --not-placed")
    command = ops.ResolveCommand(
        request_id=request, order=order, broker_order=broker_order, not_placed=not_placed, force=force,
        reason=reason,
    )  # fmt: skip
    with find_stack(profile) as found:
        taken = found.ask(command)
        message = router_answer(found, taken.request)
    shown = {"request": taken.request, "order": taken.order, "ok": True, "message": message}
    print_json(shown) if as_json else print(message)


@positions_app.callback()
def positions(
    context: typer.Context,
    everything: bool = Option(False, "--all", help="Show positions closed today too."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Positions of each strategy, and unmanaged units at the broker."""
    if context.invoked_subcommand is not None:
        return
    rows = ask_gateway(profile, ops.PositionsQuery(all=everything))
    wanted = ("stop_wanted",) if any(row.get("stop_wanted") is not None for row in rows) else ()
    guessed = ("price_estimated",) if any(row.get("price_estimated") for row in rows) else ()
    unsure = ("realised_estimated",) if any(row.get("realised_estimated") for row in rows) else ()
    columns = ("strategy", "instrument", "product", "quantity", "average_price", *guessed, "ltp", "unrealised",
               "realised", *unsure, "stop", *wanted, "stop_covers", "stop_state", "confidence", "age")  # fmt: skip
    shown = rows if as_json else [{**row, "age": _age(row.get("age_s"))} for row in rows]
    print_rows(shown, _columns(rows, *columns), as_json, "no open positions")


def _age(seconds: float | None) -> str:
    if seconds is None:
        return ""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


@positions_app.command()
def claim(
    instrument: Instrument,
    strategy: str = Option(..., "--strategy", "-s", help="Strategy to own them.", autocompletion=OWNERS),
    quantity: int = Option(0, "--quantity", "-q", min=0, help="Units; default: all unmanaged ones."),
    price: float = Option(0.0, "--price", min=0.0, help="Entry price; default: the broker's average."),
    stop: float = Option(0.0, "--stop", min=0.0, help="Trigger price of a protective stop at the broker."),
    stop_limit: float = Option(0.0, "--stop-limit", min=0.0, help="Limit price of that stop; default: 3 % beyond."),
    account: Account = "", product: ProductName = "", reason: Reason = "", yes: Yes = False, request: RequestId = "",
    as_json: AsJson = False, profile: Profile = "",
) -> None:  # fmt: skip
    """Give unmanaged units to a strategy: from then on they are guarded and closed like its others. Shows the plan, and
    asks."""
    command = ops.ClaimCommand(
        request_id=request, instrument=instrument, strategy=strategy, quantity=quantity, price=price,
        stop=stop, stop_limit=stop_limit, account=account, product=_product(product), reason=reason,
    )  # fmt: skip
    with find_stack(profile) as found:
        settled = settling.settle(found, command, yes, as_json)
    taken = settled.taken
    where = {"account": taken.account, "product": taken.product} if isinstance(taken, ops.ClaimTaken) else {}
    settling.report(settled, as_json, **where)


@positions_app.command()
def settle(
    instrument: Instrument,
    strategy: str = Option("", "--strategy", "-s", help="Owner, if several hold it.", autocompletion=OWNERS),
    price: float = Option(0.0, "--price", min=0.0, help="Price at which they left; default: not known."),
    account: Account = "", product: ProductName = "", reason: Reason = "", yes: Yes = False, request: RequestId = "",
    as_json: AsJson = False, profile: Profile = "",
) -> None:  # fmt: skip
    """Book what a strategy carried of an instrument as gone, where the broker's books prove nothing. Shows the plan,
    and asks; needs a reason."""
    command = ops.SettleCommand(
        request_id=request, instrument=instrument, strategy=strategy, price=price, account=account,
        product=_product(product), reason=reason,
    )  # fmt: skip
    with find_stack(profile) as found:
        settling.report(settling.settle(found, command, yes, as_json), as_json)


@positions_app.command()
def adjust(
    instrument: Instrument,
    ratio: str = Option(..., "--ratio", metavar="K", help="New shares for each old one: 2 (bonus 1:1, split), 3/2, 5."),
    units: int = Option(0, "--units", min=0, help="Units held now, as the holdings show; default: by the books."),
    strategy: str = Option("", "--strategy", "-s", help="Owner, if several hold it.", autocompletion=OWNERS),
    account: Account = "", product: ProductName = "", reason: Reason = "", yes: Yes = False, request: RequestId = "",
    as_json: AsJson = False, profile: Profile = "",
) -> None:  # fmt: skip
    """Book a split or a bonus of shares: average price, stop and target follow, and so do units. Units that come later
    are claimed by the same command. Shows the plan, and asks; needs a reason."""
    new, old = _ratio(ratio)
    command = ops.AdjustCommand(
        request_id=request, instrument=instrument, new=new, old=old, units=units, strategy=strategy, account=account,
        product=_product(product), reason=reason,
    )  # fmt: skip
    with find_stack(profile) as found:
        settling.report(settling.settle(found, command, yes, as_json), as_json)


def _ratio(text: str) -> tuple[int, int]:
    """New and old shares of a ratio in words."""
    new, _, old = text.partition("/")
    if not new.isascii() or not new.isdigit() or not (old or "1").isdigit() or not (int(new) and int(old or 1)):
        fail(USAGE, f"--ratio: expected new shares for each old one, such as 2 or 3/2, found {text!r}")
    return int(new), int(old or 1)


def _product(name: str) -> Product | None:
    if name and name.upper() not in Product.__members__:
        fail(USAGE, f"--product: expected {', '.join(Product.__members__)}; found {name!r}")
    return Product[name.upper()] if name else None


@positions_app.command()
def close(
    instrument: HeldInstrument = "",
    run: str = Option("", "--run", help="All that a strategy holds, by its run's id or the beginning of it."),
    strategy: str = Option("", "--strategy", "-s", help="Owner, if several hold it.", autocompletion=OWNERS),
    unmanaged: bool = Option(False, "--unmanaged", help="Close unmanaged units; `manual` claims them first."),
    force: bool = Option(False, "--force", help="Although it covers a sold leg of its owner; needs a reason."),
    deadline: Deadline = 60.0, account: Account = "", product: ProductName = "", reason: Reason = "",
    yes: Annotated[bool, Option("--yes", "-y", help="Close --unmanaged units without asking.")] = False,
    request: RequestId = "", as_json: AsJson = False, profile: Profile = "",
) -> None:  # fmt: skip
    """Close what an owner holds of an instrument, or a strategy's whole run, and wait until the broker's books show it.
    Exit 5 if not in time."""
    if bool(instrument) == bool(run):
        fail(USAGE, "expected an instrument, or --run with the id that `mytrading positions --json` and `risk` show")
    if run:
        if unmanaged or strategy or account or product or force:
            words = "no --unmanaged, --strategy, --account, --product or --force"
            fail(USAGE, f"--run closes all that its strategy holds: {words}")
        if len(run) < ops.SHORTEST_ID:
            fail(USAGE, f"--run: expected an id, or at least {ops.SHORTEST_ID} characters of it, found {run!r}")
        whole = ops.CloseRunCommand(request_id=request, run=run, deadline=deadline, reason=reason)
        with find_stack(profile) as found:
            closing = found.ask(whole)
            rows = wait_until_flat(found, closing.flatten, deadline)
        return print_flatten_result(rows, as_json, f"{closing.strategy} holds nothing; its entries stay allowed")
    if unmanaged and strategy:
        fail(USAGE, "--unmanaged units have no strategy: use one of --unmanaged and --strategy")
    kind, where = _product(product), account
    with find_stack(profile) as found:
        if unmanaged:
            strategy = "manual"
            command = ops.ClaimCommand(
                request_id=f"{request[:58]}.claim", instrument=instrument, strategy=strategy, account=account,
                product=kind, to_close=True, reason=reason,
            )  # fmt: skip
            claimed = settling.settle(found, command, yes, as_json)
            print_note(claimed.answer.message)
            if isinstance(claimed.taken, ops.ClaimTaken):
                where, kind = claimed.taken.account, claimed.taken.product
        closing = found.ask(
            ops.CloseCommand(
                request_id=request, instrument=instrument, strategy=strategy, account=where, product=kind,
                deadline=deadline, claimed=unmanaged, reason=reason, force=force,
            )
        )  # fmt: skip
        rows = wait_until_flat(found, closing.flatten, deadline)
    print_flatten_result(rows, as_json, f"{closing.strategy} holds nothing of {instrument}")
    return None
