"""`mytrading chain`: the option chain of an underlying, live from the running stack.

Reads quotes off the stack's own `market` stream and asks the gateway to have them subscribed. It only looks; when it
ends, what it asked for is let go.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mytrading.cli.shell.completion import underlyings
from mytrading.cli.shell.output import (
    JSON_OPTION,
    NOT_RUNNING,
    PROFILE_OPTION,
    TIMED_OUT,
    USAGE,
    fail,
    print_json,
    stack,
)

if TYPE_CHECKING:
    from mytrading.cli.market.chain_sources import ChainFeed

_STRIKES_HELP = "Listed strikes each side of the money; of a stack ratios and max pain are over what is quoted of them."
_EXPIRY_HELP = "nearest, next, monthly, next_monthly, or a date like 2026-12-29."


def chain(
    underlying: str = typer.Argument(..., help="NIFTY, BANKNIFTY, a share …", autocompletion=underlyings),
    expiry: str = typer.Option("nearest", "--expiry", help=_EXPIRY_HELP),
    strikes: int = typer.Option(20, "--strikes", "-n", min=0, max=200, help=_STRIKES_HELP),
    rate: float = typer.Option(
        0.065, "--rate", min=0.0, max=1.0, help="Interest a year for discounting: 0.065 is 6.5 %."
    ),
    watch: bool = typer.Option(False, "--watch", "-w", help="Redraw ten times a second; Ctrl-C ends it."),
    seconds: float = typer.Option(0.0, "--for", min=0.0, help="With --watch: end by itself after so long."),
    wait: float = typer.Option(10.0, "--wait", min=0.0, help="Longest wait for quotes of all strikes shown."),
    bhavcopy: Path | None = typer.Option(  # noqa: B008
        None,
        "--bhavcopy",
        metavar="FILE",
        help="Of the exchange's end-of-day file instead of the stack; .csv, .gz, .zip.",
    ),
    price: float = typer.Option(0.0, "--underlying", min=0.0, help="With --bhavcopy: the underlying's price."),
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Strikes with bid, ask, open interest, implied volatility and greeks; ratios and max pain."""
    if watch and as_json:
        fail(USAGE, "--watch draws a screen and --json prints one chain: use one of them")
    if seconds and not watch:
        fail(USAGE, "--for ends --watch, which is not given; how long one chain waits for its quotes is --wait")
    if bhavcopy is not None:
        if watch:
            fail(USAGE, "--watch follows a running stack, and --bhavcopy shows a day that is over: use one of them")
        from mytrading.cli.market.chain_sources import show_file

        show_file(bhavcopy, underlying.upper(), expiry, strikes, rate, price, as_json)
        return
    if price:
        fail(USAGE, "--underlying goes with --bhavcopy: a running stack knows the price")
    with stack(profile) as found:
        if not found.is_running():
            fail(NOT_RUNNING, f"the {found.config.profile} stack is not running; `{found.start_command}` starts it")
        from mytrading.cli.market.chain_sources import ChainFeed
        from mytrading.core.calendar.expiries import NoSuchExpiry
        from mytrading.core.instruments.book import NoSuchContract

        try:
            with ChainFeed(found.config, underlying.upper(), expiry, strikes, rate) as feed:
                _show(feed, watch, seconds, wait, as_json)
        except (NoSuchContract, NoSuchExpiry) as error:
            fail(USAGE, str(error))


def _show(feed: ChainFeed, watch: bool, seconds: float, wait: float, as_json: bool) -> None:
    import msgspec

    from mytrading.cli.market.chain_screen import print_chain, watch_chain

    if watch:
        watch_chain(feed, seconds)
        return
    missing = feed.fill(wait)
    view = feed.view()
    if view.spot is None and not any(side and side.ltp for row in view.rows for side in (row.call, row.put)):
        fail(TIMED_OUT, f"no quote of {feed.underlying} came within {wait:g} s; `mytrading status` shows the feed")
    if as_json:
        print_json({**msgspec.to_builtins(view), "without_quote": missing})
    else:
        print_chain(view, missing)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(chain)
