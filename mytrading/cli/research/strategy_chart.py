"""`mytrading strategies chart`: a strategy's combined premium with its Supertrend, as a page that needs no network.

It is drawn from the bars that the feed stored of the legs themselves; there is no stand-in for a missing one.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mytrading.cli.shell.completion import owner_names
from mytrading.cli.shell.output import ERROR, JSON_OPTION, PROFILE_OPTION, USAGE, fail, print_json, stack
from mytrading.core.time import format_ist

if TYPE_CHECKING:
    from mytrading.core.bars.premium import HeldLeg
    from mytrading.messages.market import Bar
    from mytrading.messages.run_config import RunConfig

TIMEFRAMES = ("1m", "3m", "5m", "10m", "15m", "30m", "1h")
_SIGNALS = {1: "BUY", -1: "SELL", 0: "NEUTRAL"}
_ROWS = 2000


def chart(
    name: str = typer.Argument(..., help="The strategy.", autocompletion=owner_names),
    timeframe: str = typer.Option("", "--timeframe", "-t", help=f"{', '.join(TIMEFRAMES)}; default: as its exit's."),
    period: int = typer.Option(0, "--period", min=0, help="Of the Supertrend; default: as its exit's, else 7."),
    multiplier: float = typer.Option(0.0, "--multiplier", min=0.0, help="Likewise; else 3."),
    out: str = typer.Option("", "--out", "-o", metavar="FILE", help="The page; default: NAME_premium.html."),
    as_json: bool = JSON_OPTION,
    profile: str = PROFILE_OPTION,
) -> None:
    """Draw the combined premium of its legs with the Supertrend; of its last run if it is flat."""
    if timeframe and timeframe not in TIMEFRAMES:
        fail(USAGE, f"--timeframe: expected one of {', '.join(TIMEFRAMES)}, found {timeframe!r}")
    from mytrading.messages.ops import StatusQuery, StrategyQuery

    with stack(profile) as found:
        body = found.ask(StrategyQuery(strategy=name, limit=0))
        now = int(found.ask(StatusQuery())["market_ns"])
        rule = _rule(found.config, body["name"], timeframe, period, multiplier)
        legs, is_open = legs_of(body)
        if not legs:
            fail(ERROR, f"{body['name']} holds nothing and has no round trip yet: there is no premium to draw")
        bars = _bars(found.config, legs, rule["timeframe"], now)
    rows = with_trend(bars, rule["period"], rule["multiplier"])
    entered = min((leg["opened_ns"] for leg in _entered(body)), default=0)
    content = {"strategy": body["name"], **rule, "open": is_open, "legs": [leg._asdict() for leg in legs],
            "entered_ns": entered, "bars": rows}  # fmt: skip
    if as_json:
        print_json(content)
        return
    if not rows:
        fail(ERROR, f"no completed {rule['timeframe']} bar that all legs have is stored yet; try --timeframe 1m")
    path = Path(out or f"{body['name']}_premium.html")
    path.write_text(page(content), encoding="utf-8")
    last = rows[-1]
    print(f"{path}: {len(rows)} bars, premium {last['close']:,.2f}, {last['signal']}{'' if is_open else ', closed'}")


def _rule(config: RunConfig, name: str, timeframe: str, period: int, multiplier: float) -> dict[str, Any]:
    from mytrading.core.bars.builder import timeframe_name
    from mytrading.messages.exit_rules import TrendRule

    run = config.strategy(name)
    trend = run.rules.trend if run is not None else TrendRule()
    return {
        "timeframe": timeframe or timeframe_name(trend.minutes),
        "period": period or trend.period,
        "multiplier": multiplier or trend.multiplier,
    }


def _entered(body: dict[str, Any]) -> list[dict[str, Any]]:
    """What is held, else the round trips of the last run."""
    held = [row for row in body["positions"] if row["quantity"]]
    if held or not body["trades"]:
        return held
    last = max(body["trades"], key=lambda trade: trade["closed_ns"])["run"]
    return [trade for trade in body["trades"] if trade["run"] == last]


def legs_of(body: dict[str, Any]) -> tuple[list[HeldLeg], bool]:
    """The legs of a strategy as `strategies show` has them, over all accounts, and whether they are held now."""
    from mytrading.core.bars.premium import HeldLeg

    rows = _entered(body)
    is_open = any(row["quantity"] for row in body["positions"])
    if is_open:
        return [HeldLeg(row["instrument"], row["quantity"], row["average_price"]) for row in rows], True
    signs = {"BUY": 1, "SELL": -1}
    return [HeldLeg(row["instrument"], signs[row["side"]] * row["quantity"], row["entry_price"]) for row in rows], False


def _bars(config: RunConfig, legs: list[HeldLeg], timeframe: str, now: int) -> list[Bar]:
    from mytrading.adapters.storage.bar_store import BarReader
    from mytrading.core.bars.premium import one_set, premium_bars
    from mytrading.core.calendar import Calendar

    calendar = Calendar.from_dict(tomllib.loads(config.calendar_path.read_text(encoding="utf-8")))
    units = one_set(legs)
    reader = BarReader(config.bars_dir)
    try:
        minutes = {name: reader.bars(name, limit=_ROWS) for name in units}
    finally:
        reader.close()
    return premium_bars(units, minutes, timeframe, calendar, now)


def with_trend(bars: list[Bar], period: int, multiplier: float) -> list[dict[str, Any]]:
    """Bars with their Supertrend: `line` is None before there is one, `signal` BUY (up), SELL (down) or NEUTRAL."""
    import numpy as np

    from mytrading.core.indicators.supertrend import supertrend

    high, low, close = (np.array([getattr(bar, name) for bar in bars]) for name in ("high", "low", "close"))
    trend = supertrend(high, low, close, period, multiplier)
    return [
        {
            "start_ns": bar.start_ns,
            "at": format_ist(bar.start_ns),
            "open": round(bar.open, 2),
            "high": round(bar.high, 2),
            "low": round(bar.low, 2),
            "close": round(bar.close, 2),
            "line": None if np.isnan(trend.line[k]) else round(float(trend.line[k]), 2),
            "direction": int(trend.direction[k]),
            "signal": _SIGNALS[int(trend.direction[k])],
        }
        for k, bar in enumerate(bars)
    ]


def page(content: dict[str, Any]) -> str:
    """The page: candles of the premium, the Supertrend in two colours, and the moment of entry."""
    from mytrading.reports.charts import candles, embed
    from mytrading.reports.page import Page, PageSection, render

    rows = content["bars"]
    figure = candles(rows, "premium")
    entered = next((row["at"] for row in rows if row["start_ns"] + 1 > content["entered_ns"]), None)
    if entered is not None:
        figure.add_vline(x=[row["at"] for row in rows].index(entered), line_dash="dot", annotation_text="entry")
    legs = ", ".join(f"{leg['quantity']:+d} {leg['instrument']} at {leg['price']:,.2f}" for leg in content["legs"])
    return render(
        Page(
            title=f"{content['strategy']} premium",
            heading=f"{content['strategy']}: combined premium",
            subtitle=f"{legs}; {content['timeframe']} bars, Supertrend {content['period']}, {content['multiplier']:g}"
            f"{'' if content['open'] else '; closed'}. Minutes without a bar of every leg are left out.",
            sections=[PageSection("", [embed(figure)])],
        )
    )


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("chart")(chart)
