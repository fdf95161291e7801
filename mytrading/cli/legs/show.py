"""`mytrading legs show` and `check`: contracts, lots, prices, margin, payoff and guards of legs, of one set of quotes.

Lots and guards are those of risk: `core/risk/sizing/lots`, `protection/hedges` and `pretrade/stop_plan`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from mytrading.cli.shell.output import margin_figures
from mytrading.cli.shell.target import contract_ends
from mytrading.config.cross_checks import product_of
from mytrading.config.settings import TradingSettings
from mytrading.config.strategies import StrategyConfig
from mytrading.core.accounting.margin import MarginLeg, margin_requirement
from mytrading.core.accounting.margin_tables import RiskTables, sizing_key
from mytrading.core.engine import contract_selection
from mytrading.core.engine.contract_selection import RATE
from mytrading.core.instruments.book import NoSuchContract
from mytrading.core.options.black76 import implied_one
from mytrading.core.options.chain import YEAR_NS, ChainView, fair_price
from mytrading.core.options.leg_grammar import spell_changes, spell_range
from mytrading.core.options.payoff import PayoffLeg, payoff, probability_of_profit, profit
from mytrading.core.orders.leg_levels import price_level, priced_leg
from mytrading.core.risk.pretrade import stop_plan
from mytrading.core.risk.pretrade.planned_stops import StopRules, planned_stops
from mytrading.core.risk.protection.hedges import Cover, hedging_units, match_covers
from mytrading.core.risk.sizing.lots import FreeFunds, LotMultiple, adjust_multiple, plan_profiles
from mytrading.core.time import ist_date
from mytrading.messages.enums import Product, Side
from mytrading.messages.instruments import Instrument
from mytrading.messages.leg_plan import LegPlan, LegStop
from mytrading.messages.run_config import RunConfig, SizingRule, StopPlan
from mytrading.messages.signals import Leg
from mytrading.orchestrator import TradingOrchestrator
from mytrading.runtime.streams.quote_lease import QuoteLease

if TYPE_CHECKING:
    from mytrading.cli.legs.modelled_quotes import ModelledQuotes

WIDTH = 72


def price_legs(
    plan: LegPlan, watches: Sequence[str], quotes: LegQuotes | ModelledQuotes, wait: float, tables: RiskTables,
    sizer: LegSizer, stops: StopRules,
) -> dict[str, Any]:  # fmt: skip
    """Choose contracts for the plan's legs at current quotes and return the report of `legs show`, by key (rupees).
    Waits up to `wait` s for quotes; `NoSuchContract` if a leg finds none. A leg sized by a risk profile gets the lots
    of the first account that can afford any, else one lot; `sized` lists the lots of each account."""
    watch = watches[0]
    quotes.require_prices(watches, wait, "`mytrading status` shows the feed")
    prices, book = quotes.prices, quotes.book
    quotes.wait_for_prices(contract_selection.candidate_contracts(plan.legs, watch, prices, book, quotes.now), wait)
    legs = contract_selection.resolve_legs(plan.legs, watch, prices, book, quotes.now, quotes.chain)
    quotes.require_prices([leg.instrument for leg in legs], wait, "is it traded?")
    contracts = [contract for leg in legs if (contract := quotes.book.get(leg.instrument)) is not None]
    legs = tuple(priced_leg(leg, prices[one.id], one.tick_size) for leg, one in zip(legs, contracts, strict=True))
    day, product = ist_date(quotes.now), sizer.product
    legs, sized = sizer.size_legs(legs, contracts, quotes.prices, tables, day)
    spot = quotes.prices[watch]
    terms = option_terms(contracts, quotes, spot)
    horizon = min((term.years for term in terms if term.years), default=0.0)
    priced = payoff_legs(legs, contracts, quotes.prices, terms)
    margin_legs = [
        margin_leg(leg, one, prices, product)._replace(spot=spot) for leg, one in zip(legs, contracts, strict=True)
    ]
    needs = margin_requirement(margin_legs, tables, day)
    found = payoff(priced, spot, RATE)
    guards = describe_stops(legs, contracts, quotes.prices, stops)
    planned = planned_stops(plan, stops)
    return {
        "underlying": watch,
        "spot": spot,
        "legs": [
            {
                **_row(leg, contract, quotes.prices, product),
                "guard": guard,
                "stop_of": stop.text,
                "changes": spell_changes(rule),
                "iv": round(term.volatility, 6) if term.volatility else None,
                "days": round(term.years * 365, 6),
            }
            for rule, leg, contract, guard, stop, term in zip(
                plan.legs, legs, contracts, guards, planned, terms, strict=True
            )
        ],
        "sized": sized,
        "range": spell_range(plan.range) if plan.range is not None else "",
        "net_premium": round(found.net, 2),
        "margin": round(needs.initial, 2),
        "margin_gross": round(needs.gross, 2),
        "breakevens": list(found.breakevens),
        "max_profit": None if found.most is None else round(found.most, 2),
        "max_loss": None if found.least is None else round(found.least, 2),
        "probability_of_profit": round(probability_of_profit(priced, spot, horizon, mean_volatility(terms), RATE), 6),
        "days": round(horizon * 365, 6),
        "rate": RATE,
        "at_ns": quotes.now,
        "payoff": payoff_curve(priced, spot, found.breakevens),
    }


def _row(leg: Leg, contract: Instrument, prices: dict[str, float], product: Product) -> dict[str, Any]:
    units = leg.lots * contract.lot_size
    price = prices[contract.id]
    return {
        "action": "BUY" if leg.lots > 0 else "SELL", "instrument": contract.id, "expiry": contract.expiry,
        "strike": contract.strike or None, "lots": abs(leg.lots), "profile": leg.profile or None,
        "product": (leg.product or product).value, "units": abs(units), "price": round(price, 2),
        "limit": leg.limit_price or None, "value": round(units * price, 2), "stop": leg.stop_price or None,
        "target": leg.target_price or None,
    }  # fmt: skip


def margin_leg(leg: Leg, contract: Instrument, prices: Mapping[str, float], product: Product) -> MarginLeg:
    """Return a leg (signed units, limit or market price) for the margin formula; `product` is for legs without one."""
    price = leg.limit_price or prices[contract.id]
    return MarginLeg(contract, leg.lots * contract.lot_size, price, leg.product or product)


class OptionTerm(NamedTuple):
    """Years (of 365 days) to a contract's end, and its implied volatility (share of 1); 0 where there is none."""

    years: float
    volatility: float


def option_terms(contracts: Sequence[Instrument], quotes: LegQuotes | ModelledQuotes, spot: float) -> list[OptionTerm]:
    """Return time and implied volatility of each contract, at current prices with the underlying at `spot`."""
    found = []
    for contract in contracts:
        ends = quotes.book.expires_at_ns(contract.exchange, contract.expiry) if contract.expiry else quotes.now
        years, volatility = max(ends - quotes.now, 0) / YEAR_NS, 0.0
        if contract.kind.is_option and years > 0.0:
            forward, is_call = spot * math.exp(RATE * years), contract.kind.value == "CE"
            volatility, _ = implied_one(quotes.prices[contract.id], forward, contract.strike, years, RATE, is_call)
        found.append(OptionTerm(years, volatility if math.isfinite(volatility) else 0.0))
    return found


def mean_volatility(terms: Sequence[OptionTerm]) -> float:
    """Return the mean of the volatilities that are known; 0 if none is."""
    known = [term.volatility for term in terms if term.volatility]
    return sum(known) / len(known) if known else 0.0


def payoff_legs(
    legs: Sequence[Leg], contracts: Sequence[Instrument], prices: Mapping[str, float], terms: Sequence[OptionTerm]
) -> list[PayoffLeg]:
    """Return the legs as valued at their first expiry; later options keep their current implied volatility."""
    horizon = min((term.years for term in terms if term.years), default=0.0)
    found = []
    for leg, contract, term in zip(legs, contracts, terms, strict=True):
        left = term.years - horizon if contract.kind.is_option else 0.0
        units = leg.lots * contract.lot_size
        volatility = term.volatility if left else 0.0
        found.append(PayoffLeg(contract.kind.value, units, prices[contract.id], contract.strike, left, volatility))
    return found


def payoff_curve(legs: Sequence[PayoffLeg], spot: float, breakevens: Sequence[float]) -> list[tuple[float, float]]:
    """Return (underlying's price, profit in rupees) at even steps across the strikes, breakevens and spot."""
    marks = [spot, *breakevens, *(leg.strike for leg in legs if leg.strike)]
    low, high = min(marks), max(marks)
    room = max((high - low) * 0.25, spot * 0.01)
    start, end = max(low - room, 0.0), high + room
    points = [start + (end - start) * k / (WIDTH - 1) for k in range(WIDTH)]
    return [(round(point, 2), round(profit(legs, point, RATE), 2)) for point in points]


def draw_payoff(body: dict[str, Any]) -> None:
    """Print the payoff curve in `body`, the result of `price_legs`, with the spot marked under the axis."""
    from rich.console import Console
    from rich.text import Text

    console, points = Console(), body["payoff"]
    for kind, line in payoff_chart_lines([value for _, value in points]):
        console.print(Text(line.rstrip() or " ", style={GAIN: "green", LOSS: "red"}.get(kind, "dim")))
    low, high = points[0][0], points[-1][0]
    place = min(max(round((body["spot"] - low) / (high - low) * (WIDTH - 1)), 0), WIDTH - 1)
    console.print(Text(" " * place + "▲ " + f"{body['spot']:,.2f}", style="bold"))
    console.print(Text(f"{low:,.0f}".ljust(WIDTH - len(f"{high:,.0f}")) + f"{high:,.0f}", style="dim"))


BLOCKS = " ▁▂▃▄▅▆▇█"
GAIN, LOSS = "gain", "loss"


def payoff_chart_lines(values: Sequence[float], height: int = 7) -> list[tuple[str, str]]:
    """Return (gain, loss or axis; text) from the top: `height` lines of gains, the axis, `height` of losses."""
    most = max((abs(value) for value in values), default=0.0) or 1.0
    rows = []
    for level in range(height - 1, -1, -1):
        cells = (max(value, 0.0) / most * height - level for value in values)
        rows.append((GAIN, "".join(BLOCKS[max(0, min(8, round(cell * 8)))] for cell in cells)))
    rows.append(("axis", "─" * len(values)))
    for level in range(height):  # blocks grow from their foot, so below the axis a cell is full, half or empty
        cells = (max(-value, 0.0) / most * height - level for value in values)
        rows.append((LOSS, "".join("█" if cell >= 0.75 else "▀" if cell >= 0.25 else " " for cell in cells)))
    return rows


class LegQuotes(QuoteLease):
    """`prices` by instrument, in rupees; use it in a `with` block."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__(config, "legs", contract_ends(config.home))
        self.prices: dict[str, float] = {}
        self._chains = contract_selection.OptionChains()
        self._wanted: set[str] = set()

    def wait_for_prices(self, instruments: Iterable[str], seconds: float) -> list[str]:
        """Subscribe and wait at most `seconds` until all have a price; returns those without one (empty: none)."""
        wanted = set(instruments)
        self._wanted |= wanted
        until = time.monotonic() + seconds
        while (missing := sorted(wanted - self.prices.keys())) and time.monotonic() < until:
            self.renew(self._wanted)
            for quote in self.quotes(0.1):
                self._chains.apply(quote)
                if (price := fair_price(quote)) is not None:
                    self.prices[quote.instrument] = price
        return missing

    def require_prices(self, instruments: Iterable[str], seconds: float, advice: str) -> None:
        """Wait as `wait_for_prices` does; `NoSuchContract`, ending with `advice`, if a price is still missing."""
        if missing := self.wait_for_prices(instruments, seconds):
            raise NoSuchContract(f"no quote of {', '.join(missing)} came within {seconds:g} s; {advice}")

    def chain(self, underlying: str, expiry: str) -> ChainView | None:
        """Return the current option chain by the quotes so far; None if that chain is not known."""
        return self._chains.chain_view(self.book, underlying, expiry, self.now)


def free_funds_by_account(status: dict[str, Any]) -> dict[str, FreeFunds]:
    """Return free margin by account in rupees, from the risk figures in the gateway's `status` reply."""
    figures = margin_figures(status)
    return {name: FreeFunds(one["cash"], one["free"], one["buffer"]) for name, one in figures.items()}


class LegSizer(NamedTuple):
    """The sizing rule of a strategy, the product of legs that name none, its accounts, and their free funds."""

    product: Product
    rule: SizingRule
    accounts: tuple[str, ...]
    funds: Mapping[str, FreeFunds]

    def size_legs(
        self, legs: tuple[Leg, ...], contracts: Sequence[Instrument], prices: Mapping[str, float], tables: RiskTables,
        day: date,
    ) -> tuple[tuple[Leg, ...], list[dict[str, Any]]]:  # fmt: skip
        """Return the legs in the lots of the first account that can afford any, and a row (lots, why) per account.
        If no leg has a risk profile, returns the legs unchanged and no rows."""
        if not any(leg.profile for leg in legs):
            return legs, []
        pairs, rows, chosen = list(zip(legs, contracts, strict=True)), [], legs
        for account in self.accounts:
            sized, why = self._in(account, pairs, prices, tables, day)
            rows.append({"account": account, "lots": [abs(leg.lots) for leg in sized], "why": why})
            chosen = sized if sized and chosen is legs else chosen
        return chosen, rows

    def _in(
        self, account: str, pairs: Sequence[tuple[Leg, Instrument]], prices: Mapping[str, float], tables: RiskTables,
        day: date,
    ) -> tuple[tuple[Leg, ...], str]:  # fmt: skip
        free = self.funds.get(account)
        if free is None:
            return (), "its broker has not reported its funds; see `mytrading margin`"
        free = free._replace(learnt=max(free.buffer - tables.buffer.least, 0.0))
        groups: dict[str, list[MarginLeg]] = {}
        for leg, contract in pairs:
            groups.setdefault(sizing_key(leg.profile), []).append(margin_leg(leg, contract, prices, self.product))
        fixed = groups.pop("", [])
        most = min(self.rule.max_lots or tables.max_lots_per_leg, tables.max_lots_per_leg)

        def trim(plan: LotMultiple) -> LotMultiple:
            return adjust_multiple(plan, self.rule, account, 1.0, most)

        plans = plan_profiles(fixed, groups, free, account, tables, day, trim)
        why = "; ".join(f"{name}: {plan.why}" for name, plan in plans.items())
        if not all(plan.times for plan in plans.values()):
            return (), why
        times = {"": 1, **{name: plan.times for name, plan in plans.items()}}
        return tuple(replace(leg, lots=leg.lots * times[sizing_key(leg.profile)]) for leg, _ in pairs), why


def leg_sizer(settings: TradingSettings, config: StrategyConfig, stack: TradingOrchestrator) -> LegSizer:
    """Return the lot sizer of a strategy in a running stack, with the accounts' current free funds."""
    accounts = config.accounts or (stack.config.venue.account,)
    funds = free_funds_by_account(stack.status())
    return LegSizer(product_of(settings, config), config.sizing_rule, accounts, funds)


def describe_stops(
    legs: Sequence[Leg], contracts: Sequence[Instrument], prices: Mapping[str, float], rules: StopRules
) -> list[str]:
    """Return who holds each leg's stop at these prices: `broker 130.00`, `engine 180.00`, `hedge of …` or `none`."""
    units = {one.id: leg.lots * one.lot_size for leg, one in zip(legs, contracts, strict=True)}
    covers = match_covers(units, {one.id: one for one in contracts})
    return [_held(leg, one, units[one.id], prices, covers, rules) for leg, one in zip(legs, contracts, strict=True)]


def _held(
    leg: Leg, contract: Instrument, units: int, prices: Mapping[str, float], covers: Sequence[Cover], rules: StopRules
) -> str:
    if rules.plan is StopPlan.NONE:
        return "none"
    mine = [cover.sold for cover in covers if cover.bought == contract.id]
    if units > 0 and hedging_units(covers, contract.id) >= units:
        return f"hedge of {', '.join(mine)}"
    price = leg.limit_price or prices[contract.id]
    default = rules.stop_of(LegStop(), option=contract.kind.is_option)
    level = leg.stop_price or price_level(default, -leg.lots, price)
    side = Side.BUY if units > 0 else Side.SELL
    engine = (
        bool(mine) or rules.plan is StopPlan.ENGINE or not stop_plan.can_stop_rest(contract, side, level, price, None)
    )
    return f"{'engine' if engine else 'broker'} {level:,.2f}"
