"""`mytrading legs show`: the contracts of the legs now, their prices, margin and payoff, all from one set of quotes."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from mytrading.cli.legs.guards import StopRules, guards_of_legs
from mytrading.cli.legs.sizes import LegSizes
from mytrading.cli.market.quote_lease import Looking
from mytrading.core.accounting.margin import MarginLeg, Requirement, requirement
from mytrading.core.accounting.margin_tables import RiskTables
from mytrading.core.engine.contract_selection import RATE, OptionChains
from mytrading.core.engine.leg_selection import candidate_contracts, resolve_legs
from mytrading.core.instruments.book import NoSuchContract
from mytrading.core.options.black76 import implied_one
from mytrading.core.options.chain import YEAR_NS, ChainView, fair_price
from mytrading.core.options.payoff import PayoffLeg, payoff, profit
from mytrading.core.time import ist_date
from mytrading.messages.enums import Product
from mytrading.messages.instruments import Instrument
from mytrading.messages.leg_plan import LegPlan
from mytrading.messages.run_config import RunConfig
from mytrading.messages.signals import Leg

WIDTH = 72


def picture_of(
    plan: LegPlan,
    watches: Sequence[str],
    quotes: LegQuotes,
    wait: float,
    tables: RiskTables,
    sizes: LegSizes,
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
    quotes.fill(candidate_contracts(plan.legs, watch, quotes.prices, quotes.book, quotes.now), wait)
    legs = resolve_legs(plan.legs, watch, quotes.prices, quotes.book, quotes.now, quotes.chain)
    if missing := quotes.fill([leg.instrument for leg in legs], wait):
        raise NoSuchContract(f"no quote of {', '.join(missing)} came within {wait:g} s; is it traded?")
    contracts = [contract for leg in legs if (contract := quotes.book.get(leg.instrument)) is not None]
    day, product = ist_date(quotes.now), sizes.product
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


BLOCKS = " ▁▂▃▄▅▆▇█"
GAIN, LOSS = "gain", "loss"


def chart(values: Sequence[float], height: int = 7) -> list[tuple[str, str]]:
    """(gain, loss or axis; line) from the top: `height` lines for gains, the axis, as many for losses."""
    most = max((abs(value) for value in values), default=0.0) or 1.0
    up = [_bars_above(values, most, height, level) for level in range(height - 1, -1, -1)]
    down = [_bars_below(values, most, height, level) for level in range(height)]
    return [*((GAIN, row) for row in up), ("axis", "─" * len(values)), *((LOSS, row) for row in down)]


def _bars_above(values: Sequence[float], most: float, height: int, level: int) -> str:
    return "".join(BLOCKS[max(0, min(8, round((max(value, 0.0) / most * height - level) * 8)))] for value in values)


def _bars_below(values: Sequence[float], most: float, height: int, level: int) -> str:
    """Blocks grow from their foot, so below the axis a cell is full, half or empty."""
    cells = [max(-value, 0.0) / most * height - level for value in values]
    return "".join("█" if cell >= 0.75 else "▀" if cell >= 0.25 else " " for cell in cells)


def spots(low: float, high: float, width: int) -> list[float]:
    """`width` prices from `low` to `high`."""
    step = (high - low) / max(width - 1, 1)
    return [low + step * k for k in range(width)]


class LegQuotes(Looking):
    """`prices` by instrument, in rupees; use it in a `with` block."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config, "legs")
        self.prices: dict[str, float] = {}
        self._chains = OptionChains()
        self._wanted: set[str] = set()

    def fill(self, instruments: Iterable[str], seconds: float) -> list[str]:
        """Wait until all have a price, at most so long; returns those that have none."""
        wanted = set(instruments)
        self._wanted |= wanted
        until = time.monotonic() + seconds
        while (missing := sorted(wanted - self.prices.keys())) and time.monotonic() < until:
            self.look(self._wanted)
            for quote in self.quotes(0.1):
                self._chains.apply(quote)
                if (price := fair_price(quote)) is not None:
                    self.prices[quote.instrument] = price
        return missing

    def chain(self, underlying: str, expiry: str) -> ChainView | None:
        """The chain as it stands."""
        return self._chains.view(self.book, underlying, expiry, self.now)
