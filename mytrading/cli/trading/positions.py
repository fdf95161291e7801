"""`mytrading positions`: the list; `claim` gives unmanaged units to an owner, `close` closes a position."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mytrading.cli.shell.completion import held_instruments, owner_names
from mytrading.cli.shell.output import (
    JSON_OPTION,
    PROFILE_OPTION,
    REQUEST_ID_OPTION,
    USAGE,
    fail,
    print_json,
    request_id,
    say,
    stack,
)
from mytrading.cli.trading.levels import ACCOUNT_OPTION, DEADLINE_OPTION, REASON_OPTION, report_flat, until_flat
from mytrading.cli.trading.orders import answered
from mytrading.cli.trading.tables import positions

if TYPE_CHECKING:
    from mytrading.messages.enums import Product

_INSTRUMENT = typer.Argument(..., help="Such as NFO:NIFTY30DEC2526000CE.", autocompletion=held_instruments)
_PRODUCT = typer.Option("", "--product", "-p", help="MIS, NRML or CNC, if it is held as several.")

app = typer.Typer(
    invoke_without_command=True,
    help="Positions by owner, with confidence; `claim` and `close` act on them.",
    rich_markup_mode=None,
)


@app.callback()
def listed(
    context: typer.Context,
    everything: bool = typer.Option(False, "--all", help="Flat ones of today too."),
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """What each strategy holds, and unmanaged units at the broker."""
    if context.invoked_subcommand is None:
        positions(everything, as_json, profile)


@app.command()
def claim(
    instrument: str = _INSTRUMENT,
    strategy: str = typer.Option(..., "--strategy", "-s", help="Its new owner.", autocompletion=owner_names),
    quantity: int = typer.Option(0, "--quantity", "-q", min=0, help="Units; all that are unmanaged if not named."),
    price: float = typer.Option(0.0, "--price", min=0.0, help="What they cost; else what the broker's book says."),
    stop: float = typer.Option(0.0, "--stop", min=0.0, help="Trigger of a stop at the broker that guards them."),
    stop_limit: float = typer.Option(0.0, "--stop-limit", min=0.0, help="Its limit; else 3 % beyond the trigger."),
    account: str = ACCOUNT_OPTION,
    product: str = _PRODUCT,
    reason: str = REASON_OPTION,
    request: str = REQUEST_ID_OPTION,
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Give unmanaged units to a strategy: from then on they are guarded and closed like its others."""
    from mytrading.messages.ops import ClaimCommand

    command = ClaimCommand(
        request_id=request_id(request), instrument=instrument, strategy=strategy, quantity=quantity, price=price,
        stop=stop, stop_limit=stop_limit, account=account, product=_product(product), reason=reason,
    )  # fmt: skip
    with stack(profile) as found:
        taken = found.ask(command)
        said = answered(found, taken.request)
    shown = {"request": taken.request, "account": taken.account, "product": taken.product, "ok": True, "message": said}
    print_json(shown) if as_json else print(said)


def _product(word: str) -> Product | None:
    """The product of this name, None if none was named."""
    from mytrading.messages.enums import Product

    if word and word.upper() not in Product.__members__:
        fail(USAGE, f"--product: expected {', '.join(Product.__members__)}; found {word!r}")
    return Product[word.upper()] if word else None


@app.command()
def close(
    instrument: str = _INSTRUMENT,
    strategy: str = typer.Option("", "--strategy", "-s", help="Whose, if several hold it.", autocompletion=owner_names),
    unmanaged: bool = typer.Option(False, "--unmanaged", help="Unmanaged units: claimed to `manual`, then closed."),
    deadline: float = DEADLINE_OPTION,
    account: str = ACCOUNT_OPTION,
    product: str = _PRODUCT,
    reason: str = REASON_OPTION,
    request: str = REQUEST_ID_OPTION,
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Close what an owner holds of an instrument, and wait until the broker's books show it. Exit 5 if not in time."""
    if unmanaged and strategy:
        fail(USAGE, "--unmanaged units have no strategy: use one of --unmanaged and --strategy")
    from mytrading.messages.ops import ClaimCommand, CloseCommand

    name, kind, where = request_id(request), _product(product), account
    with stack(profile) as found:
        if unmanaged:
            strategy = "manual"
            claimed = found.ask(
                ClaimCommand(
                    request_id=f"{name}.claim", instrument=instrument, strategy=strategy, account=account, product=kind,
                    to_close=True, reason=reason,
                )
            )  # fmt: skip
            say(answered(found, claimed.request))
            where, kind = claimed.account, claimed.product
        closing = found.ask(
            CloseCommand(
                request_id=name, instrument=instrument, strategy=strategy, account=where, product=kind,
                deadline=deadline, claimed=unmanaged, reason=reason,
            )
        )  # fmt: skip
        rows = until_flat(found, closing.flatten, deadline, say)
    report_flat(rows, as_json, f"{closing.strategy} holds nothing of {instrument}")
