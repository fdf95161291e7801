"""`mytrading chart`: the stored bars of one instrument as a page that needs no network.

It is drawn from the bars that the feed stored; minutes that it did not see are left out.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mytrading.cli.market.history import resolved
from mytrading.cli.research.strategy_chart import TIMEFRAMES, with_trend
from mytrading.cli.shell.output import JSON_OPTION, PROFILE_OPTION, USAGE, fail, print_json, stack

if TYPE_CHECKING:
    from mytrading.messages.market import Bar
    from mytrading.messages.run_config import RunConfig

_ROWS = 2000


def chart(
    symbol: str = typer.Argument(..., help="EXCHANGE:SYMBOL, or a short name of config/symbols.toml."),
    timeframe: str = typer.Option("1m", "--timeframe", "-t", help=", ".join(TIMEFRAMES)),
    period: int = typer.Option(7, "--period", min=1, help="Of the Supertrend."),
    multiplier: float = typer.Option(3.0, "--multiplier", min=0.1, help="Of the Supertrend."),
    out: str = typer.Option("", "--out", "-o", metavar="FILE", help="The page; default: SYMBOL.html."),
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Draw the newest bars of an index, share, future or option, with the Supertrend."""
    if timeframe not in TIMEFRAMES:
        fail(USAGE, f"--timeframe: expected one of {', '.join(TIMEFRAMES)}, found {timeframe!r}")
    from mytrading.messages.ops import StatusQuery

    with stack(profile) as found:
        instrument = resolved(symbol, found.config.home)
        now = int(found.ask(StatusQuery())["market_ns"])
        bars = stored_bars(found.config, instrument, timeframe, now)
    if not bars:
        fail(
            USAGE,
            f"expected stored {timeframe} bars of {instrument}, found none: it must be watched, by a strategy "
            f"or by ENABLED_SYMBOLS; past bars come by `mytrading history fetch {symbol}`",
        )
    rows = with_trend(bars, period, multiplier)
    content = {
        "instrument": instrument,
        "timeframe": timeframe,
        "period": period,
        "multiplier": multiplier,
        "bars": rows,
    }
    if as_json:
        print_json(content)
        return
    path = Path(out or f"{instrument.partition(':')[2]}.html")
    path.write_text(page(content), encoding="utf-8")
    print(f"{path}: {len(rows)} bars, last {rows[-1]['close']:,.2f}, {rows[-1]['signal']}")


def stored_bars(config: RunConfig, instrument: str, timeframe: str, now: int) -> list[Bar]:
    """The newest bars that the feed stored of an instrument, oldest first, joined from its minutes."""
    from mytrading.adapters.storage.bar_store import BarReader
    from mytrading.core.bars.builder import aggregate
    from mytrading.core.calendar import Calendar

    calendar = Calendar.from_dict(tomllib.loads(config.calendar_path.read_text(encoding="utf-8")))
    reader = BarReader(config.bars_dir)
    try:
        minutes = reader.bars(instrument, limit=_ROWS)
    finally:
        reader.close()
    return aggregate(minutes, timeframe, calendar, now)


def page(content: dict[str, Any]) -> str:
    """The page: candles, and the Supertrend in two colours."""
    from mytrading.reports.charts import candles, embed
    from mytrading.reports.page import Page, PageSection, render

    subtitle = (
        f"{content['timeframe']} bars as the feed stored them, "
        f"Supertrend {content['period']}, {content['multiplier']:g}. Minutes without a stored bar are left out."
    )
    chart = embed(candles(content["bars"], "price"))
    return render(Page(title=content["instrument"], subtitle=subtitle, sections=[PageSection("", [chart])]))


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("chart")(chart)
