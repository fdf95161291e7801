"""`mytrading positions`: the list; `claim` gives an owner what nobody owns, `close` closes what an owner holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mytrading.cli.books import positions
from mytrading.cli.complete import held_instruments, owner_names
from mytrading.cli.flatten import ACCOUNT_OPTION, DEADLINE_OPTION, REASON_OPTION, tell
from mytrading.cli.output import JSON_OPTION, PROFILE_OPTION, USAGE, fail, print_json, say, stack
from mytrading.cli.waiting import answered, until_flat

if TYPE_CHECKING:
    from mytrading.orchestrator import TradingOrchestrator

STOP_LIMIT_BEYOND = 0.03
"""How far beyond its trigger a stop's limit lies unless it is named: three percent."""
_INSTRUMENT = typer.Argument(..., help="Such as NFO:NIFTY30DEC2526000CE.", autocompletion=held_instruments)
_PRODUCT = typer.Option("", "--product", "-p", help="MIS, NRML or CNC, if it is held as several.")

app = typer.Typer(
    invoke_without_command=True,
    help="What is held, by whom and how sure; `claim` and `close` act on it.",
    rich_markup_mode=None,
)


@app.callback()
def listed(
    context: typer.Context,
    everything: bool = typer.Option(False, "--all", help="Flat ones of today too."),
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """What each strategy holds, and what the broker holds that nobody here owns."""
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
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Give units that nobody owns to a strategy: from then on they are guarded and closed like its others."""
    with stack(profile) as found:
        if stop and not stop_limit:
            stop_limit = _limit_of(found, instrument, stop)
        asked = found.ask(
            "claim", instrument=instrument, strategy=strategy, quantity=str(quantity), price=repr(price),
            stop=repr(stop), stop_limit=repr(stop_limit), account=account, product=product.upper(), reason=reason,
        )  # fmt: skip
        said = answered(found, asked["request"])
    print_json({**asked, "ok": True, "message": said}) if as_json else print(said)


def _limit_of(found: TradingOrchestrator, instrument: str, stop: float) -> float:
    """A limit beyond the trigger on the side where the stop fills, on the instrument's tick."""
    from mytrading.adapters.instrument_store import InstrumentFile

    rows = [row for row in found.ask("positions") if row["instrument"] == instrument]
    long = sum(row["quantity"] for row in rows if row["strategy"] == "(unmanaged)") >= 0
    known = InstrumentFile(found.config.state).book().get(instrument)
    tick = known.tick_size if known else 0.05
    beyond = stop * (1 - STOP_LIMIT_BEYOND if long else 1 + STOP_LIMIT_BEYOND)
    return round(round(beyond / tick) * tick, 4)


@app.command()
def close(
    instrument: str = _INSTRUMENT,
    strategy: str = typer.Option("", "--strategy", "-s", help="Whose, if several hold it.", autocompletion=owner_names),
    unmanaged: bool = typer.Option(
        False, "--unmanaged", help="What nobody here owns: claimed to `manual`, then closed."
    ),
    deadline: float = DEADLINE_OPTION,
    account: str = ACCOUNT_OPTION,
    product: str = _PRODUCT,
    reason: str = REASON_OPTION,
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Close what an owner holds of an instrument, and wait until the broker's books show it. Exit 5 if not in time."""
    if unmanaged and strategy:
        fail(USAGE, "--unmanaged is what no strategy owns: use one of --unmanaged and --strategy")
    where = {"instrument": instrument, "account": account, "product": product.upper(), "reason": reason}
    with stack(profile) as found:
        if unmanaged:
            strategy = "manual"
            given = found.ask("claim", strategy=strategy, to_close="true", **where)
            say(answered(found, given["request"]))
            where |= {"account": given["account"], "product": given["product"], "claimed": "true"}
        asked = found.ask("close", strategy=strategy, deadline=repr(deadline), **where)
        rows = until_flat(found, asked["flatten"], deadline, say)
    tell(rows, as_json, f"{asked['strategy']} holds nothing of {instrument}")
