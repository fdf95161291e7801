"""Days of a file of legs by the lean engine: one basket a day, entered, watched as columns, and closed.

Intraday legs are flat at every day's end, so that each day stands for itself but for the money that it begins with. A
day is made here while nothing in it has a choice: every rule of risk admits all legs, each is held until its stop, and
a rule of their run or the time closes the others together. Where a day comes to anything else (a denial, a target of a
leg, hedges whose sold legs are gone, a hole in the bars), the machines make that day from its first bar on. They are
the judge of all days.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mytrading.backtest.data.feeds import Feed
from mytrading.backtest.engine.assumptions import ACCOUNT
from mytrading.backtest.engine.lean import booked_price
from mytrading.backtest.engine.lean_terms import NotCoveredError
from mytrading.backtest.engine.ledger import Trade
from mytrading.backtest.options.leg_columns import BasketPath, LegPath, ProfitReached, first_bar
from mytrading.backtest.options.loop import LegTape, OptionLoop, OptionWorld
from mytrading.backtest.options.market import DayPrices, sides_around
from mytrading.core.engine.contract_selection import ContractSelector
from mytrading.core.engine.last_prices import LastPrices
from mytrading.core.engine.leg_tracker import closing_second
from mytrading.core.engine.strategy_host import StrategyHost
from mytrading.core.exchange.books import required_cash
from mytrading.core.instruments.book import InstrumentBook, NoSuchContract
from mytrading.core.risk.pretrade.context import PreTradeContext
from mytrading.core.risk.pretrade.stop_plan import StopLevels, plan_stop, stop_holder
from mytrading.core.risk.protection.hedges import hedging_units, match_covers, sold_legs_exposed
from mytrading.core.risk.runs.run import WAITING, Breach, Run, level_price, reached_rules, rules_in_force
from mytrading.core.risk.runs.run_events import breach_alerts, deny_while_ending
from mytrading.core.time import DAY, IST_OFFSET, MINUTE, SECOND, hhmm, ist_date, second_of_day
from mytrading.messages.enums import Action, Side
from mytrading.messages.exit_rules import StrategyRules
from mytrading.messages.instruments import Instrument
from mytrading.messages.leg_plan import LegRule
from mytrading.messages.market import Quote
from mytrading.messages.risk_events import RiskKind
from mytrading.messages.run_config import StopPlan, StrategyRun
from mytrading.messages.signals import Leg, Signal
from mytrading.strategies.signals import StrategySignal

_FAR = float("inf")
_SPARE = 1.0
"""Rupees by which margin and cash must suffice: on a closer call the machines judge."""
_COMING_OR_GOING = "a rule of the run while its legs come or go"
_TARGET = "the target of a leg, or its stop at the broker"
_KEPT_CHOICES = 20_000
"""Choices of contracts that a market keeps for other trials: some 20 MB of them."""
_LONGEST_HOLE = 10 * MINUTE
"""A hole in the bars for which a quote of an option is still new enough to value it by."""


class UnlikeDay(Exception):
    """A day came to something that only the machines know; the text names it."""


class OpenedLeg(NamedTuple):
    """A leg of the basket: signed units, its price as it was judged, and what it was entered at, rupees.

    A level of its own (stop, target, trailing) is reached at or below `floor`, at or above `ceiling`. `held_stop` is
    the stop that risk holds, which sleeps while the leg hedges others; 0: none. With `rests` its stop is an order at
    the broker.
    """

    contract: Instrument
    prices: DayPrices
    units: int
    judged: float
    entered: float = 0.0
    average: float = 0.0
    floor: float = -_FAR
    ceiling: float = _FAR
    held_stop: float = 0.0
    rests: bool = False

    def is_beyond(self, price: float) -> bool:
        """True if a stop, target or other level of the leg itself is reached at a price."""
        return price <= self.floor or price >= self.ceiling


class LegEnd(NamedTuple):
    """A leg that its stop closes: its place in the basket, the row and the moment (ns), the price that it came to."""

    place: int
    row: int
    at_ns: int
    price: float


class BasketEnd(NamedTuple):
    """End of a basket: the row and the moment (ns), each leg's price then, the order in which legs are closed.

    `counted` legs are still watched when the bar of that row ends for them; `breach` is the rule, None for the time.
    """

    row: int
    at_ns: int
    prices: Sequence[float]
    order: Sequence[int]
    counted: int = 0
    breach: Breach | None = None


class Basket:
    """The legs of a day: those that are still `open`, by place, what the others brought, and their stops in order."""

    def __init__(self, legs: list[OpenedLeg]) -> None:
        self.legs = legs
        self.open = list(range(len(legs)))
        self.realised = 0.0
        self.stops: list[LegEnd] = []

    def profit(self, prices: Sequence[float]) -> float:
        """Return the profit in rupees at a price of each leg."""
        legs = self.legs
        return self.realised + sum(legs[place].units * (prices[place] - legs[place].average) for place in self.open)

    @property
    def closing_order(self) -> list[int]:
        """Return the open legs in the order in which they are closed together: sold ones first."""
        return sorted(self.open, key=lambda place: self.legs[place].units > 0)

    def prices(self, column: int, row: int) -> list[float]:
        """Return the price of each leg in a column (open, high, low, close) of a row of the day."""
        return [float(leg.prices.columns.table[column, row]) for leg in self.legs]


class KnownChoices(ContractSelector):
    """Selects contracts as it does live, but where the market keeps what the same rules led to at the same bar."""

    def __init__(self, days: LeanDays) -> None:
        super().__init__()
        self._recall = days.known_legs

    def select_legs(
        self, run: StrategyRun, draft: StrategySignal, prices: LastPrices, book: InstrumentBook, now: int
    ) -> tuple[Leg, ...]:
        """Return a draft's legs, contracts selected; () on a day its plan excludes. Raises `NoSuchContract`."""
        return self._recall(draft) or super().select_legs(run, draft, prices, book, now)


class LeanDays(OptionLoop):
    """A loop that makes whole days by itself; the machines walk through the others. Call `open_market` before `run`."""

    def open_market(self, world: OptionWorld) -> None:
        """Attach the option market of `world`, and learn what applies on every day."""
        super().open_market(world)
        self.lean_days = 0
        self._walking = False
        """True while the machines make a day."""
        self._machines.engine.contracts = KnownChoices(self)
        self.causes: Counter[str] = Counter()
        """Days that the machines made, by what they alone know."""
        self._feed: Feed = self._watched[0]
        columns, host = self._feed.columns, self._feed.host
        self._name, self._run = columns.instrument, host.run
        self._starts, self._closes_of = columns.start_ns, columns.close
        self._ends = self._feed.bar_ends(0)
        plan = self._run.plan
        assert plan is not None
        at = (self._ends // SECOND + IST_OFFSET // SECOND) % (DAY // SECOND)
        self._enters = (at >= plan.entry_time) & (at < plan.entry_time + plan.entry_minutes * 60)
        if plan.range is not None:  # the plan has to see its range, too
            self._enters |= (at > plan.range.begins) & (at <= plan.range.ends)
        self._is_over = at >= closing_second(plan)
        self._days = plan.days.value
        self._uneven = self._ends != self._starts + columns.span_ns
        rules = rules_in_force(self._run, self._risk.environment.limits)
        self._rules: StrategyRules = rules
        band = Run(strategy=self._run.name, id="", rules=rules, opened_ns=0)
        band.update_profit_band()
        self._least, self._most = band.low, band.high
        self._is_ruled = band.low > -_FAR or band.high < _FAR

    def run(self) -> None:
        """Run all days; contracts that expire on the last day settle if that day is complete."""
        days = (self._starts + IST_OFFSET) // DAY
        bounds = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(days)]
        for first, last in pairwise(bounds):
            try:
                self._make(first, last)
                self.lean_days += 1
            except UnlikeDay as found:
                self.causes[str(found)] += 1
                self._walking = True
                self._walk(first, last)
                self._walking = False
            self._progress(last)
        if self.day >= 0:
            self._end_whole_day()
        self._machines.engine.stop()

    @property
    def note(self) -> str:
        """Return which days the machines made, and why; empty if none."""
        causes = ", ".join(f"{cause} ({count})" for cause, count in self.causes.most_common())
        days = sum(self.causes.values())
        return f"{days} of {days + self.lean_days} days by the machines: {causes}" if days else ""

    # a day by the machines

    def _walk(self, first: int, last: int) -> None:
        """Walk through the bars of a day, and end it where another one follows."""
        feed, span = self._feed, self._feed.columns.span_ns
        self._next_clock = 0
        for row in range(first, last):
            start = int(self._starts[row])
            if start >= self._next_clock:
                self.act_on_clock(start)
            feed.row = feed.series.cursor = row
            if self._has_nothing_to_do(row, start):
                feed.last, feed.last_ns = float(self._closes_of[row]), start + span
                self._passed_ns = start + span if self._legs else 0
                continue
            self._opened(feed, start)
            self._moved(feed, start + span)
            self._show(feed, 0, row, int(self._ends[row]))
        if last < len(self._starts):
            self._end_day(int(self._starts[last]))
            self.day = -1

    def _has_nothing_to_do(self, row: int, start: int) -> bool:
        """True for a bar on which the plan wants nothing and no price of a contract can lead to anything."""
        if self.restless or self._position_moved or self._venue.waiting:
            return False
        if self._holding:
            return not self._is_over[row] and start < self._act_after(self._feed, start)
        return not (self._enters[row] and not self._is_over[row])

    # a day without a choice

    def _make(self, first: int, last: int) -> None:
        """Make a day; `UnlikeDay`, with nothing changed, says why the machines have to."""
        if self.day >= 0 or self._legs or self._venue.waiting or self._risk.state.open_positions():
            raise UnlikeDay("something is carried over from the day before")
        for row in (first + np.flatnonzero(self._enters[first:last] & ~self._is_over[first:last])).tolist():
            draft = self._ask(row)
            if draft is not None:
                if legs := self._select(draft, row):
                    self._trade(draft, legs, row, first, last)
                break
        self._feed.last, self._feed.last_ns = float(self._closes_of[last - 1]), int(self._ends[last - 1])

    def _ask(self, row: int) -> StrategySignal | None:
        """Return the plan's signal at the end of a bar, None for none; `NotCoveredError` if the strategy fails."""
        host = self._feed.host
        self._feed.series.cursor = row
        drafts = host.on_bar(self._feed.shown_bar(0, row), loaded=True)
        if host.fault is not None:
            raise NotCoveredError("the strategy failed")
        return drafts[0] if drafts else None

    def _select(self, draft: StrategySignal, row: int) -> tuple[Leg, ...]:
        """The contracts of the legs, quoted as the feed would by now; none on a day that the plan leaves out."""
        engine, now = self._machines.engine, int(self._ends[row])
        self._contracts.held = {}
        engine.book = self._contracts.open_day(ist_date(int(self._starts[row])))
        key, chosen = self._choice(draft, row), self._market.chosen
        if (legs := chosen.get(key)) is None:
            legs = chosen[key] = self._choose(draft, row, now)
            if len(chosen) > _KEPT_CHOICES:
                del chosen[next(iter(chosen))]
        found = [self._contracts.instrument(leg.instrument) for leg in legs]
        self._quotes = self._market.prices_at([one for one in found if one is not None], now)
        return legs

    def _choice(self, draft: StrategySignal, row: int) -> tuple[int, str, tuple[LegRule, ...]]:
        """The name by which the market keeps what the rules of a draft's legs lead to at the end of a bar."""
        rules = tuple(leg for leg in draft.legs if isinstance(leg, LegRule))
        return row, f"{self._name} {self._days}", rules

    def known_legs(self, draft: StrategySignal) -> tuple[Leg, ...]:
        """Return what the rules of a draft's legs led to at the present bar of a day that the machines make; () if that
        is not known."""
        return self._market.chosen.get(self._choice(draft, self._feed.row), ()) if self._walking else ()

    def _candidates(self, host: StrategyHost, signal: StrategySignal, now: int) -> Sequence[str]:
        known = self.known_legs(signal)
        return [leg.instrument for leg in known] if known else super()._candidates(host, signal, now)

    def _choose(self, draft: StrategySignal, row: int, now: int) -> tuple[Leg, ...]:
        """Return the contracts that the rules of the legs choose, from the quotes of this moment alone."""
        engine = self._machines.engine
        engine.contracts.chains.forget_quotes()
        engine.prices.note(self._name, float(self._closes_of[row]), now)
        wanted = dict.fromkeys(self._candidates(self._feed.host, draft, now))
        found = [self._contracts.instrument(name) for name in wanted]
        contracts = [one for one in found if one is not None and self._market.underlying(one)]
        for name, (price, bid, ask, _) in self._market.prices_at(contracts, now).items():
            engine.note_price(Quote(name, now, now, price, bid, ask))
        try:
            return engine.contracts.select_legs(self._run, draft, engine.prices, engine.book, now)
        except NoSuchContract:
            raise UnlikeDay("a contract that is not listed") from None

    def _trade(self, draft: StrategySignal, legs: tuple[Leg, ...], row: int, first: int, last: int) -> None:
        """Enter the legs at the open after a signal, and end them: all of it is worked out before anything is noted."""
        now, entry = int(self._ends[row]), row + 1
        over = first + int(np.argmax(self._is_over[first:last]))  # the first row of all where none is over
        if entry >= last or int(self._starts[entry]) != now:
            raise UnlikeDay("no bar that begins with the entry")
        if not entry < over < last - 1:
            raise UnlikeDay("no bar after the exit time")
        if 0 < self._rules.exit_time <= second_of_day(int(self._starts[over])):
            raise UnlikeDay("no bar that ends with the exit time")  # risk closes by it before the plan does
        self._check_hours(row, over + 1)
        engine = self._machines.engine
        signal = Signal(
            id=f"{now}", strategy=self._run.name, watch=self._name, action=Action.BUY, created_ns=now,
            expires_ns=now + engine.validity_ns, expires_machine_ns=0, account=ACCOUNT, product=self._run.product,
            legs=legs, confidence=draft.confidence, bar_ns=now,
        )  # fmt: skip
        basket = Basket(self._enter(signal, entry - first, now))
        end = self._end_of(basket, entry - first, over - first, first)
        self._note(signal, basket, end, entry - first, first)

    def _check_hours(self, first: int, last: int) -> None:
        """Bars from the signal to the exit lie close together, in the hours of the exchanges, before the square-off."""
        starts, span = self._starts[first : last + 1], self._feed.columns.span_ns
        if self._uneven[first : last + 1].any() or int(np.diff(starts).max()) > _LONGEST_HOLE:
            raise UnlikeDay("a hole in the bars")
        calendar, at = self._contracts.calendar, int(starts[0])
        for exchange in self._exchanges_of_day().intersection(calendar.exchanges):
            session = calendar.session(exchange, ist_date(at))
            begins = self._square_off.closing_begins_ns(exchange, at)
            if session is None or at < session.open_ns or int(starts[-1]) + span > session.close_ns:
                raise UnlikeDay("a bar outside trading hours")
            if not begins or int(starts[-1]) >= begins:
                raise UnlikeDay("an exit at the square-off")

    def _exchanges_of_day(self) -> set[str]:
        """The exchanges of the underlying and of the contracts that were quoted."""
        return {name.partition(":")[0] for name in (self._name, *self._quotes)}

    # in

    def _enter(self, signal: Signal, row: int, now: int) -> list[OpenedLeg]:
        """The legs as risk admits them and the next open fills them."""
        risk = self._risk
        self._venue.now = now
        risk.set_contracts(self._machines.engine.book)
        for leg in signal.legs:
            moment = self._quotes.get(leg.instrument)
            if moment is None or moment.quoted or leg.instrument in self._market.terms.quotes:
                raise UnlikeDay("recorded bid and ask")
            risk.apply(Quote(leg.instrument, now, now, moment.price))
        risk.apply(self._venue.funds())
        cases = risk.admitted_legs(signal, ACCOUNT, now)
        if cases is None or len(cases) != len(signal.legs):
            raise UnlikeDay("a leg that is denied, or that waits")
        contracts = [case.instrument for case in cases if case.instrument is not None]
        found = self._market.prices_of(contracts, ist_date(now - 1))
        held = []
        for case, contract, prices in zip(cases, contracts, found, strict=True):
            if prices is None or row >= len(prices.columns) or 1 < contract.freeze_qty < abs(case.units):
                raise UnlikeDay("an order above the freeze quantity, or a contract without bars")
            if case.margin_free is None or case.margin_needed > case.margin_free - _SPARE:
                raise UnlikeDay("margin that barely suffices")
            bare = OpenedLeg(contract, prices, case.units, self._quotes[contract.id].price)
            price = self._fill_price(bare, float(prices.columns.table[0, row]), row, bare.units)
            size = abs(bare.units)
            entered = booked_price(size, price)
            held.append(self._with_levels(bare._replace(entered=entered, average=entered * size / size), case))
        self._check_cash(held)
        self._check_first_prices(held, row)
        return held

    def _with_levels(self, leg: OpenedLeg, case: PreTradeContext) -> OpenedLeg:
        """The leg with the prices at which its stop, its target or a rule of legs acts."""
        rises = leg.units > 0
        downs, ups = [leg.floor], [leg.ceiling]
        losing, gaining = (downs, ups) if rises else (ups, downs)
        stop = plan_stop(case)
        trigger = stop.trigger if isinstance(stop, StopLevels) else 0.0
        if trigger and not case.is_hedge:
            losing.append(trigger)
        if case.leg.target_price and not case.is_hedge:
            gaining.append(case.leg.target_price)
        rules = self._rules
        if rules.leg_stop_loss.value:
            losing.append(level_price(rules.leg_stop_loss, leg.average, leg.units, False))
        if rules.leg_take_profit.value:
            gaining.append(level_price(rules.leg_take_profit, leg.average, leg.units, True))
        holder = stop_holder(case)
        return leg._replace(
            floor=max(downs), ceiling=min(ups), held_stop=trigger if holder is StopPlan.ENGINE else 0.0,
            rests=trigger > 0 and holder is StopPlan.BROKER and not case.is_hedge,
        )  # fmt: skip

    def _check_cash(self, held: Sequence[OpenedLeg]) -> None:
        """The exchange has cash for every order, what hedges save not counted."""
        books, rates = self._venue.exchange.books, self._contracts.facts.margin
        needs = [required_cash(leg.contract, self._run.product, leg.units, leg.entered, rates) for leg in held]
        if sum(needs) > books.available_cash() - _SPARE:
            raise UnlikeDay("cash that does not suffice without hedges")

    def _check_first_prices(self, held: Sequence[OpenedLeg], row: int) -> None:
        """While the legs are being filled no price may come to a rule of the run: it would end what is half entered."""
        if not self._is_ruled:
            return
        bought, now, there = sum(leg.units > 0 for leg in held), [leg.judged for leg in held], len(held)
        covered = 0 < bought < len(held)
        for number, leg in enumerate(held):
            if number < bought or not covered:
                there = number + 1
            if covered and there == bought:
                self._check_profit(held[:there], now)  # sold legs are ordered now
                there = len(held)
            if number:  # risk asks for prices once something is held
                now[number] = float(leg.prices.columns.table[0, row])
                self._check_profit(held[:there], now)

    def _check_profit(self, held: Sequence[OpenedLeg], prices: Sequence[float]) -> None:
        profit = sum(leg.units * (price - leg.average) for leg, price in zip(held, prices, strict=False))
        if not self._least < profit < self._most:
            raise UnlikeDay(_COMING_OR_GOING)

    # out

    def _end_of(self, basket: Basket, entry: int, over: int, first: int) -> BasketEnd:
        """Close legs at their stops until a rule of the run, or the bar after the exit time, ends what is left.

        Rows are those of the day.
        """
        row = entry
        while basket.open:
            acts = self._first_level(basket, row, over)
            hit = self._first_breach(basket, row, over, entry) if self._is_ruled else None
            if acts is None or (hit is not None and hit.row < acts - row):
                if hit is None:
                    return self._timed_end(basket, over + 1, first)
                place = basket.open[hit.leg]
                prices = dict(zip(basket.open, hit.prices, strict=True))
                return self._ruled_end(basket, row + hit.row, place, hit.step, prices, hit.profit, first)
            if acts in (entry, over):
                raise UnlikeDay("the stop of a leg in the first bar or the last one")
            if (end := self._walk_legs(basket, acts, first)) is not None:
                return end
            self._wake_stops(basket)
            row = acts + 1
        last = basket.stops[-1]
        start = int(self._starts[first + last.row])
        return BasketEnd(last.row, last.at_ns, (), (), last.place + 1 if last.at_ns > start else 0)

    def _first_level(self, basket: Basket, row: int, over: int) -> int | None:
        """The first row at which a price comes to a level of an open leg."""
        acts = np.zeros(max(over + 1 - row, 0), dtype=np.bool_)
        for place in basket.open:
            leg = basket.legs[place]
            table = leg.prices.columns.table
            acts |= (table[2, row : over + 1] <= leg.floor) | (table[1, row : over + 1] >= leg.ceiling)
        found = first_bar(acts)
        return None if found is None else row + found

    def _first_breach(self, basket: Basket, row: int, over: int, entry: int) -> ProfitReached | None:
        """The first profit of what is open at which a rule of the run speaks; its row counts from `row`."""
        if row > over:
            return None
        paths = []
        for place in basket.open:
            leg = basket.legs[place]
            opens, high, low, close = leg.prices.columns.table[:4, row : over + 1]
            before = leg.judged if row == entry else float(leg.prices.columns.table[3, row - 1])
            paths.append(LegPath(opens, high, low, close, before))
        legs, realised = [basket.legs[place] for place in basket.open], basket.realised
        path = BasketPath(paths, [leg.units for leg in legs], [leg.average for leg in legs])
        found = path.first_outside(self._least - realised, self._most - realised, enters=row == entry)
        return None if found is None else found._replace(profit=found.profit + realised)

    def _walk_legs(self, basket: Basket, row: int, first: int) -> BasketEnd | None:
        """Walk a bar price by price, as the machines do, and close legs that come to their stops; return the end of the
        basket if a rule of the run speaks."""
        prices = basket.prices(3, row - 1)
        opens, high, low, close = (basket.prices(column, row) for column in range(4))
        steps = [(0, place, opens[place]) for place in basket.open]
        for place in basket.open:
            worst, best = (low, high) if basket.legs[place].units > 0 else (high, low)
            steps += [(1, place, worst[place]), (2, place, best[place]), (3, place, close[place])]
        for step, place, price in steps:
            if place not in basket.open:
                continue
            leg = basket.legs[place]
            stopped = leg.is_beyond(price)
            if stopped and (price > leg.floor if leg.units > 0 else price < leg.ceiling):
                raise UnlikeDay(_TARGET)
            prices[place] = price if not stopped or step == 0 else leg.floor if leg.units > 0 else leg.ceiling
            profit = basket.profit(prices)
            if stopped:
                self._stop(basket, LegEnd(place, row, self._moment_of(row, step, first), prices[place]))
                if not self._least < profit < self._most or not self._least < basket.profit(prices) < self._most:
                    raise UnlikeDay("a rule of the run at the stop of a leg")
            elif not self._least < profit < self._most:
                return self._ruled_end(basket, row, place, step, dict(enumerate(prices)), profit, first)
        return None

    def _moment_of(self, row: int, step: int, first: int) -> int:
        """The moment (ns) of a step of a bar: its open, its two extremes, its close."""
        start, span = int(self._starts[first + row]), self._feed.columns.span_ns
        return (start, start + span // 3, start + 2 * (span // 3), start + span - 1)[step]

    def _stop(self, basket: Basket, end: LegEnd) -> None:
        """Close a leg by the stop that risk holds, where nothing else of the leg acts and nothing depends on it."""
        legs, leg = basket.legs, basket.legs[end.place]
        rules = self._rules
        if rules.leg_stop_loss.value or rules.leg_take_profit.value:
            raise UnlikeDay("a rule of single legs")
        if leg.held_stop != (leg.floor if leg.units > 0 else leg.ceiling):
            raise UnlikeDay(_TARGET)
        units, contracts = self._open_units(basket)
        if leg.units > 0 and sold_legs_exposed(units, contracts, leg.contract.id):
            raise UnlikeDay("the stop of a leg that covers another")
        basket.stops.append(end)
        basket.open.remove(end.place)
        basket.realised += self._closed(leg, end.price, end.row)[1]
        if any(one.units < 0 for one in legs) and basket.open and all(legs[place].units > 0 for place in basket.open):
            raise UnlikeDay("hedges whose sold legs were stopped")

    @staticmethod
    def _open_units(basket: Basket) -> tuple[dict[str, int], dict[str, Instrument]]:
        legs = [basket.legs[place] for place in basket.open]
        return {leg.contract.id: leg.units for leg in legs}, {leg.contract.id: leg.contract for leg in legs}

    def _wake_stops(self, basket: Basket) -> None:
        """A bar in which a leg was stopped has ended: risk arms the stop of a bought leg that hedges nothing now."""
        covers = match_covers(*self._open_units(basket))
        for place in basket.open:
            leg = basket.legs[place]
            if leg.units < 0:
                continue
            hedges = hedging_units(covers, leg.contract.id) >= leg.units
            if not hedges and not leg.held_stop and self._run.stop is not StopPlan.NONE:
                raise UnlikeDay("a hedge that is none any more, without a stop")
            floor = leg.held_stop if leg.held_stop and not hedges else -_FAR
            basket.legs[place] = leg._replace(floor=floor)

    def _ruled_end(
        self, basket: Basket, row: int, place: int, step: int, prices: Mapping[int, float], profit: float, first: int
    ) -> BasketEnd:
        """A rule of the run closes what is open, at each leg's price at a step of a bar, in which `place` moved."""
        if not (breaches := reached_rules(self._rules, WAITING, profit, trails=False)):
            raise UnlikeDay("a rule of the run that is reached to a hair")
        at_ns, counted = self._moment_of(row, step, first), place + 1 if step else 0
        legs = basket.legs
        found = [prices.get(number, 0.0) for number in range(len(legs))]
        order = sorted(basket.closing_order, key=lambda place: (legs[place].units > 0, legs[place].rests))
        return BasketEnd(row, at_ns, found, order, counted, breaches[0])  # a stop at the broker is cancelled first

    def _timed_end(self, basket: Basket, row: int, first: int) -> BasketEnd:
        """The exit time: sold legs at the next open one after the other, what was bought beside them with the last."""
        opens, now = basket.prices(0, row), basket.prices(3, row - 1)
        covered = any(basket.legs[place].units < 0 for place in basket.open)
        for place in basket.open:
            leg = basket.legs[place]
            if leg.is_beyond(opens[place]):
                raise UnlikeDay("the stop or the target of a leg at the exit time")
            now[place] = opens[place]
            if self._is_ruled and covered and leg.units > 0 and not self._least < basket.profit(now) < self._most:
                raise UnlikeDay(_COMING_OR_GOING)
        return BasketEnd(row, int(self._starts[first + row]), opens, basket.closing_order)

    def _closed(self, leg: OpenedLeg, price: float, row: int) -> tuple[float, float]:
        """Return the exit price of a leg in a bar while the contract trades at `price`, and the profit in rupees."""
        size = abs(leg.units)
        at = booked_price(size, self._fill_price(leg, price, row, -leg.units))
        change = at * size - leg.entered * size
        return at, change if leg.units > 0 else -change

    def _fill_price(self, leg: OpenedLeg, price: float, row: int, units: int) -> float:
        """Return the fill price of signed units in a bar while the contract trades at `price`."""
        half = float(leg.prices.half[row])
        sides = sides_around(price, half, leg.contract.tick_size) if half else None
        return self._venue.mark_of(leg.contract, price, sides).execution_price(Side.BUY if units > 0 else Side.SELL)

    # what is known of it

    def _note_end(self, signal: Signal, end: BasketEnd) -> None:
        """Note what risk says of it: the alert of a rule, or that its own exit time closes what the plan closes."""
        if end.breach is not None:
            for row in breach_alerts(self._run.name, end.breach, end.at_ns):
                self._ledger.apply(row)
        elif end.order and (at := self._rules.exit_time):
            over = Breach(RiskKind.EXIT_TIME, at, second_of_day(end.at_ns), f"exit_time {hhmm(at)} has come")
            self._ledger.apply(deny_while_ending(signal, over, end.at_ns))

    def _note(self, signal: Signal, basket: Basket, end: BasketEnd, entry: int, first: int) -> None:
        """Note all that came of a signal in the ledger, the account and the strategy's view."""
        ledger, opened, gained = self._ledger, int(self._starts[first + entry]), 0.0
        ledger.apply(signal)
        for leg in basket.legs:
            ledger.record_fill(opened, leg.contract.id, self._run.name, self._run.product, leg.units, leg.entered)
        for stop in basket.stops:
            leg = basket.legs[stop.place]
            ledger.note_exit(self._run.name, leg.contract.id, "stop")
            gained += self._note_closed(leg, stop.price, stop.row, opened, stop.at_ns)
        self._note_end(signal, end)
        for place in end.order:
            gained += self._note_closed(basket.legs[place], end.prices[place], end.row, opened, end.at_ns)
        self._venue.book_profit(gained)
        self._feed.host.workspace.last_fill_ns = end.at_ns
        for place, leg in enumerate(basket.legs):
            contract = leg.contract.id
            tape = self._past.pop(contract, None) or LegTape(leg.contract, self._name)
            tape.open_day(leg.prices)
            self._past[contract] = tape
            self._tally(contract, leg.prices, slice(entry, end.row + (place < end.counted)))

    def _note_closed(self, leg: OpenedLeg, price: float, row: int, opened: int, now: int) -> float:
        """Note the fill and the trade that end a leg; its profit in rupees."""
        ledger, name, contract, size = self._ledger, self._run.name, leg.contract.id, abs(leg.units)
        at, gross = self._closed(leg, price, row)
        ledger.record_fill(now, contract, name, self._run.product, -leg.units, at)
        side, paid, got = "BUY" if leg.units > 0 else "SELL", leg.entered * size, at * size
        ledger.record_trade(Trade(opened, now, contract, name, side, size, paid / size, got / size, gross, 0.0))
        return gross
