"""The page of a payoff: curve at the first expiry and before, sliders, probability of profit, the legs."""

from __future__ import annotations

from typing import Any

from mytrading.core.instruments.symbology import parse_symbol, split_id
from mytrading.core.text.money import rupees
from mytrading.core.time import format_ist
from mytrading.reports.document import (
    VERSION,
    Cell,
    PricedLeg,
    Report,
    ReportCard,
    ReportPayoff,
    ReportSection,
    ReportTable,
    ReportValue,
    TableColumn,
)

_ROOM = 0.05
_DAYS = 365


def payoff_report(name: str, picture: dict[str, Any]) -> Report:
    """Return the report of a strategy's legs; `picture` is what `price_legs` returns."""
    payoff = payoff_block(picture)
    rows: list[list[Cell]] = [
        [row["action"], row["instrument"], row["lots"], row["units"], row["price"], row["value"], row["iv"],
         row["days"], row["stop_of"]]
        for row in picture["legs"]
    ]  # fmt: skip
    columns = (
        TableColumn("Side"), TableColumn("Instrument"), TableColumn("Lots", "integer"),
        TableColumn("Units", "integer"), TableColumn("Price", "price"), TableColumn("Value", "rupees"),
        TableColumn("IV", "percent"), TableColumn("Days left", "number", 1), TableColumn("Stop"),
    )  # fmt: skip
    bounds = (("Max profit", picture["max_profit"]), ("Max loss", picture["max_loss"]))
    evens = ", ".join(f"{price:,.0f}" for price in picture["breakevens"]) or "none"
    net = picture["net_premium"]
    cards = [
        ReportCard("Premium paid" if net > 0 else "Premium received", ReportValue(abs(net), "rupees", 0)),
        *(ReportCard(label, ReportValue("without bound" if value is None else value, "rupees", 0))
          for label, value in bounds),
        ReportCard("Breakevens", ReportValue(evens)),
        ReportCard("Probability of profit", ReportValue(picture["probability_of_profit"], "percent", 1)),
        ReportCard("Margin", ReportValue(picture["margin"], "rupees", 0)),
    ]  # fmt: skip
    moment = format_ist(picture["at_ns"], "%Y-%m-%d %H:%M")
    return Report(
        version=VERSION,
        kind="payoff",
        title=f"{name} payoff",
        heading=name,
        subtitle=f"{picture['underlying']} at {picture['spot']:,.2f} on {moment}; before costs; the probability takes "
        f"a lognormal price at the mean volatility of the legs; margin {rupees(round(picture['margin'], 2))}; "
        f"the legs one by one, without their hedges: {rupees(round(picture['margin_gross'], 2))}",
        cards=cards,
        sections=[ReportSection("Payoff", [payoff]), ReportSection("Legs", [ReportTable(columns, rows)])],
    )


def payoff_block(picture: dict[str, Any]) -> ReportPayoff:
    """Return the payoff of `price_legs` for the page's sliders, over the strikes and breakevens with some room."""
    legs = []
    for row in picture["legs"]:
        exchange, symbol = split_id(row["instrument"])
        kind = parse_symbol(symbol, exchange).kind
        legs.append(PricedLeg(
            name=row["instrument"], kind=kind.value if kind.is_derivative else "EQ",
            units=row["units"] if row["action"] == "BUY" else -row["units"], price=row["price"],
            strike=row["strike"] or 0.0, years=row["days"] / _DAYS if kind.is_option else 0.0,
            volatility=row["iv"] or 0.0,
        ))  # fmt: skip
    spot = picture["spot"]
    marks = [point for point, _ in picture["payoff"]]
    low, high = min([*marks, spot * (1 - _ROOM)]), max([*marks, spot * (1 + _ROOM)])
    return ReportPayoff(
        underlying=picture["underlying"], spot=spot, legs=tuple(legs), years=picture["days"] / _DAYS,
        rate=picture["rate"], low=round(low, 2), high=round(high, 2),
    )  # fmt: skip
