"""Options that a strategy watches by rule: chosen once a day, about the last close before it.

Used by the engine. The one rule: the choice depends on the day's list and that close alone, so that a restart within
the day watches the same contracts.
"""

from __future__ import annotations

from mytrading.core.instruments import InstrumentBook, NoSuchContract
from mytrading.messages.instruments import InstrumentKind
from mytrading.messages.strategy_run import OptionRange
from mytrading.strategies.legs import underlying_of


def chosen_options(rule: OptionRange, spot: str, price: float, book: InstrumentBook, now: int) -> tuple[str, ...]:
    """The calls, then the puts, of the strikes about `price` of `spot`; `NoSuchContract` says what is listed.

    Where the list ends before the rule's number of strikes, it is what there is.
    """
    underlying = underlying_of(spot, book)
    found: list[str] = []
    for right in (InstrumentKind.CE, InstrumentKind.PE):
        expiry = book.expiry(rule.expiry, underlying, right, now)
        chain = sorted(
            (item for item in book.options(underlying, expiry) if item.kind is right), key=lambda item: item.strike
        )
        if not chain:
            raise NoSuchContract(f"no {right.value} of {underlying} is listed for {expiry}")
        atm = min(range(len(chain)), key=lambda index: (abs(chain[index].strike - price), chain[index].strike))
        found += [item.id for item in chain[max(0, atm - rule.strikes) : atm + rule.strikes + 1]]
    return tuple(found)
