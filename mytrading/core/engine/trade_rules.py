"""Trade rules: from a long or short signal to its contract, and from a position back to long or short.

A contract whose last session is over is never chosen.
"""

from __future__ import annotations

from typing import NamedTuple

from mytrading.core.instruments.book import InstrumentBook, NoSuchContract
from mytrading.core.instruments.symbology import split_id
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.run_config import StrategyRun, TradeKind, TradeRule
from mytrading.messages.signals import Leg
from mytrading.strategies.order_hints import NO_HINTS, OrderHints


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
    """The contract that `rule` names while `watch` trades at `price`; `NoSuchContract` says what is listed.

    A stop is a level of the watched price: one that an option's price never has is refused, not guessed.
    """
    if rule.kind is TradeKind.OPTION and (stop_price or hints.has_prices):
        what = f"stop_price {stop_price:g} is a level" if stop_price else "the prices of the signal are levels"
        raise NoSuchContract(
            f"{what} of {watch}, but an option is traded; set stop_loss_pct (of the premium) in the strategy's config, "
            "or give legs with prices of their own"
        )
    return Leg(
        instrument=_contract(rule, watch, price, book, now),
        lots=rule.side.sign * (hints.lots or run.lots),
        order_type=hints.order_type,
        limit_price=hints.limit_price,
        trigger_price=hints.trigger_price,
        stop_price=stop_price,
        valid_seconds=hints.valid_seconds,
        target_price=hints.target_price,
        stop_buffer=hints.stop_buffer,
    )


def _contract(rule: TradeRule, watch: str, price: float, book: InstrumentBook, now: int) -> str:
    if rule.kind is TradeKind.SAME:
        return watch
    underlying = rule.underlying or underlying_of(watch, book)
    if rule.kind is TradeKind.FUTURE:
        expiry = book.expiry(rule.expiry, underlying, InstrumentKind.FUT, now)
        return book.future(underlying, book.expiries(underlying, InstrumentKind.FUT).index(expiry)).id
    right = InstrumentKind(rule.right)
    expiry = book.expiry(rule.expiry, underlying, right, now)
    return book.option(underlying, expiry, rule.strike, right, price).id


def underlying_of(watch: str, book: InstrumentBook) -> str:
    """The underlying of a listed instrument; of an unlisted one its symbol."""
    listed = book.get(watch)
    return listed.underlying if listed is not None else split_id(watch)[1]


def tradable_contracts(run: StrategyRun, book: InstrumentBook, prices: dict[str, float], now: int) -> tuple[str, ...]:
    """Contracts the strategy would trade at these prices of its watched instruments; unlisted ones are left out."""
    found = []
    for watch in run.symbols:
        for rule in (run.long, run.short):
            if rule is None or (rule.kind is TradeKind.OPTION and watch not in prices):
                continue
            try:
                found.append(_contract(rule, watch, prices.get(watch, 0.0), book, now))
            except NoSuchContract:
                continue
    return tuple(dict.fromkeys(found))


def meaning_of(run: StrategyRun, instrument: str, quantity: int, book: InstrumentBook) -> Meaning | None:
    """The meaning of a position of the strategy by its rules; None if no rule could have opened it."""
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
