"""`mytrading chart` of an instrument, `mytrading strategies chart` of a strategy's combined premium: pages.

They are drawn, with their Supertrend, from the bars that the feed stored; there is no stand-in for a missing one.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import typer

from mytrading.cli.shell.failures import ERROR, USAGE, fail, find_stack
from mytrading.cli.shell.options import AsJson, OwnerName, Profile
from mytrading.cli.shell.output import print_json
from mytrading.core.bars.builder import aggregate, timeframe_name
from mytrading.core.bars.premium import HeldLeg, premium_bars, units_per_set
from mytrading.core.time import format_ist
from mytrading.messages.exit_rules import TrendRule
from mytrading.messages.market import Bar
from mytrading.messages.ops import StatusQuery, StrategyQuery
from mytrading.messages.run_config import RunConfig

TIMEFRAMES = ("1m", "3m", "5m", "10m", "15m", "30m", "1h")
_SIGNALS = {1: "BUY", -1: "SELL", 0: "NEUTRAL"}
_ROWS = 2000


def strategy_chart(
    name: OwnerName,
    timeframe: str = typer.Option("", "--timeframe", "-t", help=f"{', '.join(TIMEFRAMES)}; default: as its exit's."),
    period: int = typer.Option(0, "--period", min=0, help="Of the Supertrend; default: as its exit's, else 7."),
    multiplier: float = typer.Option(0.0, "--multiplier", min=0.0, help="Likewise; else 3."),
    out: str = typer.Option("", "--out", "-o", metavar="FILE", help="The page; default: NAME_premium.html."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Draw the combined premium of a strategy's legs (of its last run if it is flat) with the Supertrend."""
    from mytrading.cli.shell.target import load_calendar

    if timeframe:
        _check_timeframe(timeframe)
    with find_stack(profile) as found:
        body = found.ask(StrategyQuery(strategy=name, limit=0))
        now = int(found.ask(StatusQuery())["market_ns"])
        rule = _rule(found.config, body["name"], timeframe, period, multiplier)
        legs, is_open = premium_legs(body)
        if not legs:
            fail(ERROR, f"{body['name']} holds nothing and has no trade yet: there is no premium to draw")
        units = units_per_set(legs)
        minutes = _stored_minutes(found.config, units)
        bars = premium_bars(units, minutes, rule["timeframe"], load_calendar(found.config.home), now)
    rows = supertrend_rows(bars, rule["period"], rule["multiplier"])
    entered = min((leg["opened_ns"] for leg in _entered(body)), default=0)
    content = {"strategy": body["name"], **rule, "open": is_open, "legs": [leg._asdict() for leg in legs],
            "entered_ns": entered, "bars": rows}  # fmt: skip
    if as_json:
        print_json(content)
        return
    if not rows:
        fail(ERROR, f"no completed {rule['timeframe']} bar that all legs have is stored yet; try --timeframe 1m")
    path = Path(out or f"{body['name']}_premium.html")
    path.write_text(render_strategy_page(content), encoding="utf-8")
    last = rows[-1]
    print(f"{path}: {len(rows)} bars, premium {last['close']:,.2f}, {last['signal']}{'' if is_open else ', closed'}")


def _check_timeframe(timeframe: str) -> None:
    if timeframe not in TIMEFRAMES:
        fail(USAGE, f"--timeframe: expected one of {', '.join(TIMEFRAMES)}, found {timeframe!r}")


def _rule(config: RunConfig, name: str, timeframe: str, period: int, multiplier: float) -> dict[str, Any]:
    run = config.strategy(name)
    trend = run.rules.trend if run is not None else TrendRule()
    span, lines = timeframe or timeframe_name(trend.minutes), period or trend.period
    return {"timeframe": span, "period": lines, "multiplier": multiplier or trend.multiplier}


def _entered(body: dict[str, Any]) -> list[dict[str, Any]]:
    held = [row for row in body["positions"] if row["quantity"]]
    if held or not body["trades"]:
        return held
    last = max(body["trades"], key=lambda trade: trade["closed_ns"])["run"]
    return [trade for trade in body["trades"] if trade["run"] == last]


def premium_legs(body: dict[str, Any]) -> tuple[list[HeldLeg], bool]:
    """Return a strategy's open legs over all accounts and True, or those of its last run and False.
    `body` is the gateway's reply to a `StrategyQuery`; the list is empty if the strategy never traded."""
    rows = _entered(body)
    is_open = any(row["quantity"] for row in body["positions"])
    if is_open:
        return [HeldLeg(row["instrument"], row["quantity"], row["average_price"]) for row in rows], True
    signs = {"BUY": 1, "SELL": -1}
    return [HeldLeg(row["instrument"], signs[row["side"]] * row["quantity"], row["entry_price"]) for row in rows], False


def _stored_minutes(config: RunConfig, instruments: Iterable[str]) -> dict[str, list[Bar]]:
    from mytrading.adapters.storage.bar_store import BarReader

    with closing(BarReader(config.bars_dir)) as reader:
        return {name: reader.bars(name, limit=_ROWS) for name in instruments}


def supertrend_rows(bars: list[Bar], period: int, multiplier: float) -> list[dict[str, Any]]:
    """Return a row per bar with its Supertrend: `line` (None at first), `signal` BUY, SELL or NEUTRAL."""
    import numpy as np

    from mytrading.core.indicators.supertrend import supertrend

    high, low, close = (np.array([getattr(bar, name) for bar in bars]) for name in ("high", "low", "close"))
    trend = supertrend(high, low, close, period, multiplier)
    rows = []
    for bar, line, direction in zip(bars, trend.line, map(int, trend.direction), strict=True):
        prices = {name: round(getattr(bar, name), 2) for name in ("open", "high", "low", "close")}
        level = None if np.isnan(line) else round(float(line), 2)
        moment = {"start_ns": bar.start_ns, "at": format_ist(bar.start_ns)}
        rows.append({**moment, **prices, "line": level, "direction": direction, "signal": _SIGNALS[direction]})
    return rows


def render_strategy_page(content: dict[str, Any]) -> str:
    """Return the HTML page: candles of the premium, the Supertrend in two colours, the moment of entry."""
    name, rows = content["strategy"], content["bars"]
    entered = next((row["at"] for row in rows if row["start_ns"] + 1 > content["entered_ns"]), None)
    legs = ", ".join(f"{leg['quantity']:+d} {leg['instrument']} at {leg['price']:,.2f}" for leg in content["legs"])
    rule = f"{content['timeframe']} bars, Supertrend {content['period']}, {content['multiplier']:g}"
    closed = "" if content["open"] else "; closed"
    subtitle = f"{legs}; {rule}{closed}. Minutes without a bar of every leg are left out."
    return _render(rows, "premium", f"{name} premium", f"{name}: combined premium", subtitle, entered)


def _render(rows: list[dict[str, Any]], what: str, title: str, heading: str, subtitle: str, entered: str | None) -> str:
    """A page of candles, with a line at the bar of entry."""
    from mytrading.reports.charts import candle_chart, figure_html
    from mytrading.reports.page import Page, PageSection, render_page

    figure = candle_chart(rows, what)
    if entered is not None:
        figure.add_vline(x=[row["at"] for row in rows].index(entered), line_dash="dot", annotation_text="entry")
    sections = [PageSection("", [figure_html(figure)])]
    return render_page(Page(title=title, heading=heading, subtitle=subtitle, sections=sections))


# of an instrument
def chart(
    symbol: str = typer.Argument(..., help="EXCHANGE:SYMBOL, or a short name of config/symbols.toml."),
    timeframe: str = typer.Option("1m", "--timeframe", "-t", help=", ".join(TIMEFRAMES)),
    period: int = typer.Option(7, "--period", min=1, help="Setting of the Supertrend."),
    multiplier: float = typer.Option(3.0, "--multiplier", min=0.1, help="Setting of the Supertrend."),
    out: str = typer.Option("", "--out", "-o", metavar="FILE", help="File of the page; default: SYMBOL.html."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Draw the newest bars of an index, share, future or option, with the Supertrend."""
    _check_timeframe(timeframe)
    from mytrading.cli.shell.target import resolve_symbol

    with find_stack(profile) as found:
        instrument = resolve_symbol(symbol, found.config.home)
        now = int(found.ask(StatusQuery())["market_ns"])
        bars = stored_bars(found.config, instrument, timeframe, now)
    if not bars:
        cure = f"by a strategy or by ENABLED_SYMBOLS; past bars come by `mytrading history fetch {symbol}`"
        fail(USAGE, f"expected stored {timeframe} bars of {instrument}, found none: it must be watched, {cure}")
    rows = supertrend_rows(bars, period, multiplier)
    rule = {"timeframe": timeframe, "period": period, "multiplier": multiplier}
    content = {"instrument": instrument, **rule, "bars": rows}
    if as_json:
        print_json(content)
        return
    path = Path(out or f"{instrument.partition(':')[2]}.html")
    path.write_text(render_symbol_page(content), encoding="utf-8")
    print(f"{path}: {len(rows)} bars, last {rows[-1]['close']:,.2f}, {rows[-1]['signal']}")


def stored_bars(config: RunConfig, instrument: str, timeframe: str, now: int) -> list[Bar]:
    """Return the newest stored bars of an instrument, oldest first, aggregated from minutes; `now` is market ns."""
    from mytrading.cli.shell.target import load_calendar

    minutes = _stored_minutes(config, (instrument,))[instrument]
    return aggregate(minutes, timeframe, load_calendar(config.home), now)


def render_symbol_page(content: dict[str, Any]) -> str:
    """Return the HTML page: candles of an instrument and the Supertrend in two colours."""
    rule = f"{content['timeframe']} bars as the feed stored them, Supertrend {content['period']}"
    subtitle = f"{rule}, {content['multiplier']:g}. Minutes without a stored bar are left out."
    return _render(content["bars"], "price", content["instrument"], "", subtitle, None)
