"""Contracts of a signal: of trade rules and legs by rule, the quotes they need beforehand, and what a position means.

Contracts are selected once, for a signal that is new; strikes do not move with the price or with a restart. A contract
whose last session is over is never chosen, and a leg that cannot be selected as written is refused with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from mytrading.core.engine.last_prices import LastPrices
from mytrading.core.engine.leg_tracker import covers_by_sold_leg
from mytrading.core.instruments.book import InstrumentBook, NoSuchContract
from mytrading.core.instruments.symbology import split_id
from mytrading.core.orders.leg_levels import limit_on_tick
from mytrading.core.time import ist_date, second_of_day
from mytrading.messages.enums import OrderType
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.leg_plan import DayKind, LegKind, LegPlan, LegRule, LegStop, StopKind
from mytrading.messages.market import Quote
from mytrading.messages.run_config import ExpiryRule, OptionRange, StrategyRun, TradeKind, TradeRule
from mytrading.messages.signals import NO_DISTANCE, Leg
from mytrading.strategies.signals import NO_HINTS, LegChangeDraft, OrderHints, StrategySignal, duplicate_leg

if TYPE_CHECKING:
    from mytrading.core.options.chain import ChainView, OptionChain

LOOK_AHEAD = 300
"""Seconds before the entry time from which quotes of the contracts that may be traded are needed."""
RATE = 0.065
"""Interest a year at which premiums are discounted; deltas barely depend on it."""
AROUND = 20
"""Listed strikes each side of the money that are searched for a premium or delta."""

Chain = Callable[[str, str], "ChainView | None"]
"""The chain of an underlying and expiry; None while there is none."""


def underlying_of(watch: str, book: InstrumentBook) -> str:
    """Return a listed instrument's underlying; an unlisted one's own symbol."""
    listed = book.get(watch)
    return listed.underlying if listed is not None else split_id(watch)[1]


class Meaning(NamedTuple):
    """The watched instrument that a position is for, and its side: long (+1) or short (−1)."""

    watch: str
    side: int


def resolve_leg(
    run: StrategyRun,
    rule: TradeRule,
    watch: str,
    price: float,
    stop_price: float,
    book: InstrumentBook,
    now: int,
    hints: OrderHints = NO_HINTS,
) -> Leg:
    """Return the leg of the contract that `rule` selects while `watch` trades at `price`; raises `NoSuchContract`.

    `stop_price` (0: none) and the prices of `hints` are levels of `watch`, so they are refused for an option.
    """
    if rule.kind is TradeKind.OPTION and (stop_price or hints.has_prices):
        what = f"stop_price {stop_price:g} is a level" if stop_price else "the prices of the signal are levels"
        raise NoSuchContract(
            f"{what} of {watch}, but an option is traded; set stop_loss_percent (of the premium) in the strategy's "
            "config, or give legs with prices of their own"
        )
    return Leg(
        instrument=contract_of(rule, watch, price, book, now), lots=rule.side.sign * (hints.lots or run.lots),
        order_type=hints.order_type, limit_price=hints.limit_price, trigger_price=hints.trigger_price,
        stop_price=stop_price, valid_seconds=hints.valid_seconds, target_price=hints.target_price,
        stop_buffer=hints.stop_buffer,
    )  # fmt: skip


def contract_of(rule: TradeRule, watch: str, price: float, book: InstrumentBook, now: int) -> str:
    """Return the id of the contract that `rule` selects while `watch` trades at `price`; raises `NoSuchContract`."""
    if rule.kind is TradeKind.SAME:
        return watch
    underlying = rule.underlying or underlying_of(watch, book)
    if rule.kind is TradeKind.FUTURE:
        return _future(underlying, book.select_expiry(rule.expiry, underlying, InstrumentKind.FUT, now), book).id
    right = InstrumentKind(rule.right)
    if not price and not rule.strike.startswith("STRIKE"):
        raise NoSuchContract(f"{rule.strike} {right.value} of {underlying}: {watch} has no fresh price")
    return book.option(
        underlying, book.select_expiry(rule.expiry, underlying, right, now), rule.strike, right, price
    ).id


def _future(underlying: str, expiry: str, book: InstrumentBook) -> Instrument:
    return book.future(underlying, book.expiries(underlying, InstrumentKind.FUT).index(expiry))


def tradable_contracts(
    run: StrategyRun, book: InstrumentBook, prices: Mapping[str, float], now: int
) -> tuple[str, ...]:
    """Return ids of contracts the strategy would trade at `prices` (by watched instrument), unlisted ones left out."""
    found = []
    for watch in run.symbols:
        for rule in (run.long, run.short):
            if rule is None or (rule.kind is TradeKind.OPTION and watch not in prices):
                continue
            try:
                found.append(contract_of(rule, watch, prices.get(watch, 0.0), book, now))
            except NoSuchContract:
                continue
    return tuple(dict.fromkeys(found))


def infer_meaning(run: StrategyRun, instrument: str, quantity: int, book: InstrumentBook) -> Meaning | None:
    """Watched instrument and side (1 long, -1 short) whose signal opens such a position (`quantity` signed units) by
    the trade rules; None if no rule fits."""
    listed = book.get(instrument)
    sign = 1 if quantity > 0 else -1
    for watch in run.symbols:
        for side, rule in ((1, run.long), (-1, run.short)):
            if rule is not None and rule.side.sign == sign and _fits(rule, watch, instrument, listed, book):
                return Meaning(watch, side)
    for watch in run.symbols:
        if instrument == watch or (listed is not None and listed.underlying == underlying_of(watch, book)):
            return Meaning(watch, sign)
    return None


def _fits(rule: TradeRule, watch: str, instrument: str, listed: Instrument | None, book: InstrumentBook) -> bool:
    if rule.kind is TradeKind.SAME:
        return instrument == watch
    if listed is None or listed.underlying != (rule.underlying or underlying_of(watch, book)):
        return False
    return listed.kind == (InstrumentKind.FUT if rule.kind is TradeKind.FUTURE else InstrumentKind(rule.right))


def _needs_chain(rule: LegRule) -> bool:
    """True if the strike is selected by premium or delta."""
    return rule.strike.partition(" ")[0] in ("PREMIUM", "DELTA")


def _series_of(rule: LegRule, watch: str, book: InstrumentBook, now: int) -> tuple[str, str]:
    """Underlying and expiry (ISO date) of an option or future leg; `NoSuchContract` says which are listed."""
    kind = InstrumentKind.FUT if rule.kind is LegKind.FUTURE else InstrumentKind(rule.right)
    underlying = underlying_of(rule.watch or watch, book)
    if rule.expiry[:1].isdigit():  # that of a leg which is replaced
        return underlying, rule.expiry
    return underlying, book.select_expiry(ExpiryRule(rule.expiry), underlying, kind, now)


def select_contract(
    rule: LegRule, watch: str, prices: Mapping[str, float], book: InstrumentBook, now: int, chain: Chain
) -> Instrument:
    """Return the listed contract that a leg rule selects at `prices` (by instrument); raises `NoSuchContract`.
    `chain(underlying, expiry)` looks up the option chain that rules by premium or delta need."""
    watch = rule.watch or watch
    if rule.kind is LegKind.EQUITY:
        if (share := book.get(watch)) is None or share.kind is not InstrumentKind.EQ:
            raise NoSuchContract(f"{watch} is not a listed share; write EXCHANGE:SYMBOL, say NSE:SBIN")
        return share
    underlying, expiry = _series_of(rule, watch, book, now)
    if rule.kind is LegKind.FUTURE:
        return _future(underlying, expiry, book)
    right = InstrumentKind(rule.right)
    if _needs_chain(rule):
        return _option_by_quotes(rule, underlying, expiry, right, book, chain)
    if not (spot := prices.get(watch, 0.0)) and not rule.strike.startswith("STRIKE"):
        raise NoSuchContract(f"{rule.strike} {right.value} of {underlying}: {watch} has no fresh price")
    return book.option(underlying, expiry, rule.strike, right, spot)


def _option_by_quotes(
    rule: LegRule, underlying: str, expiry: str, right: InstrumentKind, book: InstrumentBook, chain: Chain
) -> Instrument:
    from mytrading.core.options.chain import nearest_delta, nearest_premium  # numpy, for rules that need it alone

    by, _, number = rule.strike.partition(" ")
    if (view := chain(underlying, expiry)) is None:
        raise NoSuchContract(f"{rule.strike} {right.value} of {underlying} {expiry}: no quotes of the chain yet")
    choose = nearest_premium if by == "PREMIUM" else nearest_delta
    if (found := book.get(choose(view, right, float(number)).instrument)) is None:
        raise NoSuchContract(f"{rule.strike} {right.value} of {underlying} {expiry}: it is no longer listed")
    return found


def resolve_legs(
    rules: Sequence[LegRule], watch: str, prices: Mapping[str, float], book: InstrumentBook, now: int, chain: Chain
) -> tuple[Leg, ...]:
    """Return a signal's legs, selected at the same prices; `NoSuchContract` names the leg that has no contract."""
    legs: list[Leg] = []
    for number, rule in enumerate(rules, 1):
        try:
            contract = select_contract(rule, watch, prices, book, now, chain)
            limit = _limit_price(rule, contract)
        except NoSuchContract as error:
            raise type(error)(f"leg {number}: {error}") from None
        if same := [place for place, leg in enumerate(legs, 1) if leg.instrument == contract.id]:
            raise NoSuchContract(f"legs {same[0]} and {number} both choose {contract.id}; give them different strikes")
        legs.append(
            Leg(
                instrument=contract.id, lots=rule.lots, order_type=rule.order_type, limit_price=limit,
                stop_price=_absolute(rule.stop), target_price=_absolute(rule.target), profile=rule.profile,
                product=rule.product, number=rule.number, stop=_distance(rule.stop), target=_distance(rule.target),
                limit=_distance(rule.limit),
            )
        )  # fmt: skip
    return tuple(legs)


def _limit_price(rule: LegRule, contract: Instrument) -> float:
    """Limit of a LIMIT leg that is written as a price, on the tick; 0 for any other, also for a distance."""
    level = _absolute(rule.limit) if rule.order_type is OrderType.LIMIT else 0.0
    if level and not (limit := limit_on_tick(level, rule.lots, contract.tick_size)):
        raise NoSuchContract(f"its limit of {level:g} is less than one tick of {contract.id}; ask for more")
    return limit if level else 0.0


def _absolute(at: LegStop) -> float:
    return at.value if at.kind is StopKind.PRICE else 0.0


def _distance(at: LegStop) -> LegStop:
    """A level that is counted from a price: risk does that, where it holds a fresh quote."""
    return at if at.value and at.kind is not StopKind.PRICE else NO_DISTANCE


def _in_series_of(change: LegChangeDraft, watch: str, book: InstrumentBook) -> Leg | LegRule | None:
    """The leg that a change opens; a rule of the size of a held option is about that option's underlying."""
    rule, held = change.opens, book.get(change.closes)
    if not isinstance(rule, LegRule) or not change.same_size or rule.watch or held is None:
        return rule
    other = held.underlying != underlying_of(watch, book)
    return replace(rule, watch=book.spot(held.underlying).id) if other else rule


def candidate_contracts(
    rules: Sequence[LegRule], watch: str, prices: Mapping[str, float], book: InstrumentBook, now: int
) -> tuple[str, ...]:
    """Return ids of contracts to quote before a signal: each rule's own, or all searched by premium or delta."""
    found: list[str] = []
    for rule in rules:
        try:
            if not _needs_chain(rule):
                found.append(select_contract(rule, watch, prices, book, now, lambda _underlying, _expiry: None).id)
            elif spot := prices.get(rule.watch or watch, 0.0):
                underlying, expiry = _series_of(rule, watch, book, now)
                near = book.option(underlying, expiry, "ATM", InstrumentKind(rule.right), spot).strike
                options = book.options(underlying, expiry)
                strikes = sorted({item.strike for item in options})
                centre = strikes.index(near)
                searched = set(strikes[max(centre - AROUND, 0) : centre + AROUND + 1])
                found += [item.id for item in options if item.strike in searched]
        except NoSuchContract:
            continue
    return tuple(dict.fromkeys(found))


def is_entry_day(days: DayKind, rules: Sequence[LegRule], watch: str, book: InstrumentBook, now: int) -> bool:
    """True if a plan for such `days` enters on the day of `now` (market ns); its first leg with an expiry decides."""
    dated = next((rule for rule in rules if rule.kind is not LegKind.EQUITY), None)
    if days is DayKind.ANY or dated is None:
        return True
    expires = date.fromisoformat(_series_of(dated, watch, book, now)[1]) == ist_date(now)
    return expires == (days is DayKind.EXPIRY)


def select_option_universe(
    rule: OptionRange, spot: str, price: float, book: InstrumentBook, now: int
) -> tuple[str, ...]:
    """Return the calls, then the puts, `rule.strikes` each side of `price`, the price of instrument `spot`; fewer where
    the list of strikes ends. Raises `NoSuchContract` if none is listed."""
    underlying = underlying_of(spot, book)
    found: list[str] = []
    for right in (InstrumentKind.CE, InstrumentKind.PE):
        expiry = book.select_expiry(rule.expiry, underlying, right, now)
        options = (item for item in book.options(underlying, expiry) if item.kind is right)
        if not (chain := sorted(options, key=lambda item: item.strike)):
            raise NoSuchContract(f"no {right.value} of {underlying} is listed for {expiry}")
        atm = min(range(len(chain)), key=lambda index: (abs(chain[index].strike - price), chain[index].strike))
        found += [item.id for item in chain[max(0, atm - rule.strikes) : atm + rule.strikes + 1]]
    return tuple(found)


def _later_rules(plan: LegPlan) -> Iterator[LegRule]:
    """Yield the rules of contracts that legs of a plan may be rolled to, and of those that may be entered again, each
    with what covers it and may have to come back."""
    covers = covers_by_sold_leg(plan.legs)
    again: set[int] = set()
    for place, leg in enumerate(plan.legs):
        if leg.roll is not None:
            yield replace(leg, strike=leg.roll.strike)
        if leg.reentries:
            again.add(place)
        if leg.roll is not None or leg.reentries:
            again.update(covers.get(place, ()))
    yield from (plan.legs[place] for place in sorted(again))


def _seen(rules: Sequence[LegRule], draft: StrategySignal, prices: LastPrices, now: int) -> dict[str, float]:
    """The fresh prices that strikes of these rules are counted from, by instrument."""
    seen = {rule.watch: prices.fresh(rule.watch, now) for rule in rules if rule.watch}
    seen[draft.instrument] = draft.price or prices.fresh(draft.instrument, now)
    return seen


class OptionChains:
    """Chains by underlying and expiry, opened on demand from the newest quotes of all instruments."""

    def __init__(self) -> None:
        self._chains: dict[tuple[str, str], OptionChain] = {}
        self._quotes: dict[str, Quote] = {}
        self._book: InstrumentBook | None = None
        self._views: dict[tuple[str, str], tuple[int, ChainView]] = {}
        """The chains as they were last looked at, and when, until the next quote."""

    def forget_quotes(self) -> None:
        """Forget all quotes and chains: a backtest's day begins."""
        self._chains.clear()
        self._quotes.clear()
        self._views.clear()

    def apply(self, quote: Quote) -> None:
        """Store a quote as the newest of its instrument, and pass it to all open chains."""
        self._quotes[quote.instrument] = quote
        if self._views:
            self._views.clear()
        for chain in self._chains.values():
            chain.apply(quote)

    def chain_view(
        self, book: InstrumentBook, underlying: str, expiry: str, now: int, since_ns: int = 0
    ) -> ChainView | None:
        """Return the chain at `now` (market ns) by quotes from `since_ns` on; `NoSuchContract` if none is listed. A new
        `book` reopens chains."""
        if book is not self._book:
            self._chains.clear()
            self._views.clear()
            self._book = book
        if (chain := self._chains.get((underlying, expiry))) is None:
            chain = self._chains[underlying, expiry] = self._open(book, underlying, expiry)
        if since_ns:
            chain.forget_before(since_ns)
        known = self._views.get((underlying, expiry))
        if known is None or known[0] != now:
            known = self._views[underlying, expiry] = now, chain.view(now, AROUND)
        return known[1]

    def _open(self, book: InstrumentBook, underlying: str, expiry: str) -> OptionChain:
        from mytrading.core.options.chain import OptionChain  # numba, for rules that need it alone

        options = book.options(underlying, expiry)
        if not options:
            raise NoSuchContract(f"no option of {underlying} expires on {expiry}")
        ends = book.expires_at_ns(options[0].exchange, expiry)
        chain = OptionChain(underlying, expiry, options, book.spot(underlying).id, ends, RATE)
        for quote in self._quotes.values():
            chain.apply(quote)
        return chain


class ContractSelector:
    """Selects contracts for legs by rule; `chains` must receive every quote."""

    def __init__(self) -> None:
        self.chains = OptionChains()
        self._requested: dict[tuple[str, str], tuple[LegRule, ...]] = {}
        """Rules of the newest draft by strategy and watched instrument."""

    def select_legs(
        self, run: StrategyRun, draft: StrategySignal, prices: LastPrices, book: InstrumentBook, now: int
    ) -> tuple[Leg, ...]:
        """Return a draft's legs, contracts selected by fresh prices; () on a day its plan excludes. Raises
        `NoSuchContract`."""
        if not (rules := tuple(leg for leg in draft.legs if isinstance(leg, LegRule))):
            return tuple(leg for leg in draft.legs if isinstance(leg, Leg))
        if len(rules) < len(draft.legs):
            raise NoSuchContract("a signal names contracts or rules, not both; write each leg the same way")
        self._requested[run.name, draft.instrument] = rules
        if run.plan is not None and not is_entry_day(run.plan.days, rules, draft.instrument, book, now):
            return ()
        seen, chain = _seen(rules, draft, prices, now), self._fresh_chain(prices, book, now)
        legs = resolve_legs(rules, draft.instrument, seen, book, now, chain)
        if problem := duplicate_leg(legs):
            raise NoSuchContract(problem)
        return legs

    def select_opened(
        self, run: StrategyRun, draft: StrategySignal, prices: LastPrices, book: InstrumentBook, now: int
    ) -> tuple[Leg | None, ...]:
        """Return the leg that each change of a draft opens, contract selected, None where it only closes. Raises
        `NoSuchContract`; the quotes that a rule needs are asked for, so that the same draft may pass later."""
        wanted = [_in_series_of(change, draft.instrument, book) for change in draft.changes]
        rules = tuple(leg for leg in wanted if isinstance(leg, LegRule))
        if rules:
            self._requested[run.name, draft.instrument] = rules
        seen, chain = _seen(rules, draft, prices, now), self._fresh_chain(prices, book, now)
        return tuple(
            resolve_legs((leg,), draft.instrument, seen, book, now, chain)[0] if isinstance(leg, LegRule) else leg
            for leg in wanted
        )

    def _fresh_chain(self, prices: LastPrices, book: InstrumentBook, now: int) -> Chain:
        """Look-up of chains by the quotes that are fresh at `now`, as prices are."""
        since = now - prices.patience_ns
        return lambda underlying, expiry: self.chains.chain_view(book, underlying, expiry, now, since)

    def contracts_to_quote(
        self, runs: Iterable[StrategyRun], prices: Mapping[str, float], book: InstrumentBook, now: int
    ) -> list[str]:
        """Return contracts whose quotes may soon be needed: of plans near their entry time, of what they may roll to or
        enter again after it, and of rules in earlier drafts. Chains are opened before the entry time, so that numba's
        code is loaded by then."""
        found: list[str] = []
        at = second_of_day(now)
        for run in runs:
            plan = run.plan
            if plan is None or at < plan.entry_time - LOOK_AHEAD:
                continue
            enters = at < plan.entry_time + plan.entry_minutes * 60
            rules = (*(plan.legs if enters else ()), *_later_rules(plan))
            found += candidate_contracts(rules, run.symbols[0], prices, book, now)
            for rule in filter(_needs_chain, rules):
                try:
                    self.chains.chain_view(book, *_series_of(rule, run.symbols[0], book, now), now)
                except NoSuchContract:
                    continue
        for (name, watch), rules in self._requested.items():
            if not any(run.name == name and run.plan is not None for run in runs):
                found += candidate_contracts(rules, watch, prices, book, now)
        return found
