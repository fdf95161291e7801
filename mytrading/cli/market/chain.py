"""`mytrading chain`: the option chain of an underlying, live from the running stack.

Quotes come from the stack's own `market` stream, subscribed by the gateway under a lease that ends with the command.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from typer import Argument, Option

from mytrading.cli.shell.failures import TIMED_OUT, USAGE, exit_on_errors, fail, find_running_stack
from mytrading.cli.shell.options import AsJson, Profile, underlyings
from mytrading.cli.shell.output import print_json

if TYPE_CHECKING:
    from mytrading.cli.market.chain_view import ChainFeed

_STRIKES_HELP = "Listed strikes each side of the money. A running stack counts only quoted ones in ratios and max pain."
_EXPIRY_HELP = "nearest, next, monthly, next_monthly, or a date like 2026-12-29."


def chain(
    underlying: str = Argument(..., help="NIFTY, BANKNIFTY, a share …", autocompletion=underlyings),
    expiry: str = Option("nearest", "--expiry", help=_EXPIRY_HELP),
    strikes: int = Option(20, "--strikes", "-n", min=0, max=200, help=_STRIKES_HELP),
    rate: float = Option(0.065, "--rate", min=0.0, max=1.0, help="Interest a year for discounting: 0.065 is 6.5 %."),
    watch: bool = Option(False, "--watch", "-w", help="Redraw ten times a second; Ctrl-C ends it."),
    seconds: float = Option(0.0, "--for", min=0.0, help="With --watch: end after this time."),
    wait: float = Option(10.0, "--wait", min=0.0, help="Longest wait for quotes of all strikes shown."),
    bhavcopy: Path | None = Option(  # noqa: B008
        None, "--bhavcopy", metavar="FILE", help="Prices from the exchange's end-of-day file (.csv, .gz, .zip)."
    ),
    price: float = Option(0.0, "--underlying", min=0.0, help="With --bhavcopy: the underlying's price."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Strikes with bid, ask, open interest, implied volatility and greeks; ratios and max pain."""
    if watch and as_json:
        fail(USAGE, "--watch draws a screen and --json prints one chain: use one of them")
    if seconds and not watch:
        fail(USAGE, "--for ends --watch, which is not given; how long one chain waits for its quotes is --wait")
    if bhavcopy is not None:
        if watch:
            fail(USAGE, "--watch follows a running stack, and --bhavcopy shows a day that is over: use one of them")
        from mytrading.cli.market.chain_view import print_bhavcopy_chain

        with exit_on_errors():
            return print_bhavcopy_chain(bhavcopy, underlying.upper(), expiry, strikes, rate, price, as_json)
    if price:
        fail(USAGE, "--underlying goes with --bhavcopy: a running stack knows the price")
    with find_running_stack(profile) as found:
        from mytrading.cli.market.chain_view import ChainFeed
        from mytrading.core.calendar.expiries import NoSuchExpiry
        from mytrading.core.instruments.book import NoSuchContract

        try:
            with ChainFeed(found.config, underlying.upper(), expiry, strikes, rate) as feed:
                _show(feed, watch, seconds, wait, as_json)
        except (NoSuchContract, NoSuchExpiry) as error:
            fail(USAGE, str(error))


def _show(feed: ChainFeed, watch: bool, seconds: float, wait: float, as_json: bool) -> None:
    from mytrading.cli.market.chain_view import print_chain, watch_chain

    if watch:
        return watch_chain(feed, seconds)
    missing = feed.wait_for_quotes(wait)
    view = feed.view()
    if view.spot is None and not any(side and side.ltp for row in view.rows for side in (row.call, row.put)):
        fail(TIMED_OUT, f"no quote of {feed.underlying} came within {wait:g} s; `mytrading status` shows the feed")
    if as_json:
        return print_json({**msgspec.to_builtins(view), "without_quote": missing})
    return print_chain(view, missing)
