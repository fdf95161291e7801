"""What `mytrading legs show` says: the contracts of the legs at present, what they cost, and their payoff.

The one rule: everything shown is made from one look at the market.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from mytrading.cli.legs.guards import StopRules, guards_of_legs
from mytrading.cli.legs.payoff_chart import GAIN, LOSS, chart, spots
from mytrading.cli.legs.quotes import LegQuotes
from mytrading.cli.legs.sizes import Sizes
from mytrading.core.calendar import day_of
from mytrading.core.instruments import NoSuchContract
from mytrading.core.leg_rules import candidates, resolve_legs
from mytrading.core.money.margin import MarginLeg, Requirement, requirement
from mytrading.core.money.margin_table import RiskTables
from mytrading.core.options.chain import YEAR_NS
from mytrading.core.options.payoff import PayoffLeg, payoff, profit
from mytrading.core.options.volatility import implied_one
from mytrading.messages.enums import Product
from mytrading.messages.instruments import Instrument
from mytrading.messages.leg_plan import LegPlan
from mytrading.messages.signals import Leg
from mytrading.strategies.chains import RATE

WIDTH = 72


def picture_of(
    plan: LegPlan,
    watches: Sequence[str],
    quotes: LegQuotes,
    wait: float,
    tables: RiskTables,
    sizes: Sizes,
    stops: StopRules,
) -> dict[str, Any]:
    """The legs as they would be entered now; raises `NoSuchContract` where one cannot be chosen.

    Legs with a profile have the lots of the first account that gets any, else one lot; `sized` says those of each.
    """
    watch = watches[0]
    if missing := quotes.fill(watches, wait):
        raise NoSuchContract(
            f"no quote of {', '.join(missing)} came within {wait:g} s; `mytrading status` shows the feed"
        )
    quotes.fill(candidates(plan.legs, watch, quotes.prices, quotes.book, quotes.now), wait)
    legs = resolve_legs(plan.legs, watch, quotes.prices, quotes.book, quotes.now, quotes.chain)
    if missing := quotes.fill([leg.instrument for leg in legs], wait):
        raise NoSuchContract(f"no quote of {', '.join(missing)} came within {wait:g} s; is it traded?")
    contracts = [contract for leg in legs if (contract := quotes.book.get(leg.instrument)) is not None]
    day, product = day_of(quotes.now), sizes.product
    legs, sized = sizes.fit(legs, contracts, quotes.prices, tables, day)
    spot = quotes.prices[watch]
    priced = payoff_legs(legs, contracts, quotes, spot)
    needs = margin_of(legs, contracts, quotes.prices, tables, day, product)
    found = payoff(priced, spot, RATE)
    guards = guards_of_legs(legs, contracts, quotes.prices, stops)
    return {
        "underlying": watch,
        "spot": spot,
        "legs": [
            {**_row(leg, contract, quotes.prices, product), "guard": guard}
            for leg, contract, guard in zip(legs, contracts, guards, strict=True)
        ],
        "sized": sized,
        "net_premium": round(found.net, 2),
        "margin": round(needs.initial, 2),
        "margin_gross": round(needs.gross, 2),
        "breakevens": list(found.breakevens),
        "max_profit": None if found.most is None else round(found.most, 2),
        "max_loss": None if found.least is None else round(found.least, 2),
        "payoff": curve(priced, spot, found.breakevens),
    }


def _row(leg: Leg, contract: Instrument, prices: dict[str, float], product: Product) -> dict[str, Any]:
    units = leg.lots * contract.lot_size
    price = prices[contract.id]
    return {
        "action": "BUY" if leg.lots > 0 else "SELL",
        "instrument": contract.id,
        "expiry": contract.expiry,
        "strike": contract.strike or None,
        "lots": abs(leg.lots),
        "profile": leg.profile or None,
        "product": (leg.product or product).value,
        "units": abs(units),
        "price": round(price, 2),
        "limit": leg.limit_price or None,
        "value": round(units * price, 2),
        "stop": leg.stop_price or None,
        "target": leg.target_price or None,
    }


def margin_of(
    legs: Sequence[Leg],
    contracts: Sequence[Instrument],
    prices: Mapping[str, float],
    tables: RiskTables,
    day: date,
    product: Product,
) -> Requirement:
    """Rupees that the legs need by the figures of config/risk.toml, as risk counts them before an entry.

    Those that name no product are taken as `product`.
    """
    return requirement(
        [
            MarginLeg(
                contract, leg.lots * contract.lot_size, leg.limit_price or prices[contract.id], leg.product or product
            )
            for leg, contract in zip(legs, contracts, strict=True)
        ],
        tables,
        day,
    )


def payoff_legs(
    legs: Sequence[Leg], contracts: Sequence[Instrument], quotes: LegQuotes, spot: float
) -> list[PayoffLeg]:
    """The legs at the first expiry among them; later options keep the volatility that their price has now."""
    ends = {c.id: quotes.book.ends_at(c.exchange, c.expiry) for c in contracts if c.expiry}
    horizon = min(ends.values(), default=quotes.now)
    found = []
    for leg, contract in zip(legs, contracts, strict=True):
        price, option = quotes.prices[contract.id], contract.kind.is_option
        years = max(ends.get(contract.id, horizon) - horizon, 0) / YEAR_NS if option else 0.0
        volatility = 0.0
        if years:
            total = (ends[contract.id] - quotes.now) / YEAR_NS
            forward = spot * math.exp(RATE * total)
            volatility, _ = implied_one(price, forward, contract.strike, total, RATE, contract.kind.value == "CE")
        found.append(
            PayoffLeg(contract.kind.value, leg.lots * contract.lot_size, price, contract.strike, years, volatility)
        )
    return found


def curve(legs: Sequence[PayoffLeg], spot: float, breakevens: Sequence[float]) -> list[tuple[float, float]]:
    """(price of the underlying, rupees earned) across what matters: strikes, breakevens and the spot."""
    marks = [spot, *breakevens, *(leg.strike for leg in legs if leg.strike)]
    low, high = min(marks), max(marks)
    room = max((high - low) * 0.25, spot * 0.01)
    points = spots(max(low - room, 0.0), high + room, WIDTH)
    return [(round(point, 2), round(profit(legs, point, RATE), 2)) for point in points]


def draw(body: dict[str, Any]) -> None:
    """Print the payoff, the spot marked under the axis."""
    from rich.console import Console
    from rich.text import Text

    console, points = Console(), body["payoff"]
    for kind, line in chart([value for _, value in points]):
        style = {GAIN: "green", LOSS: "red"}.get(kind, "dim")
        console.print(Text(line.rstrip() or " ", style=style))
    low, high = points[0][0], points[-1][0]
    place = min(max(round((body["spot"] - low) / (high - low) * (WIDTH - 1)), 0), WIDTH - 1)
    console.print(Text(" " * place + "▲ " + f"{body['spot']:,.2f}", style="bold"))
    console.print(Text(f"{low:,.0f}".ljust(WIDTH - len(f"{high:,.0f}")) + f"{high:,.0f}", style="dim"))
