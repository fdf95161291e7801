"""The option chains that strike rules look at: quotes by underlying and expiry, kept while somebody asks for them.

Used by the engine's machine. The one rule: a chain that no rule named is not kept, however many quotes go by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mytrading.core.instruments import InstrumentBook, NoSuchContract
from mytrading.core.leg_rules import AROUND
from mytrading.messages.market import Quote

if TYPE_CHECKING:
    from mytrading.core.options.chain import ChainView, OptionChain

RATE = 0.065
"""Interest a year at which premiums are discounted; deltas barely depend on it."""


class Chains:
    """Made on demand, from the newest quotes of everything that was seen."""

    def __init__(self) -> None:
        self._chains: dict[tuple[str, str], OptionChain] = {}
        self._quotes: dict[str, Quote] = {}

    def apply(self, quote: Quote) -> None:
        """Take a quote in."""
        self._quotes[quote.instrument] = quote
        for chain in self._chains.values():
            chain.apply(quote)

    def view(self, book: InstrumentBook, underlying: str, expiry: str, now: int) -> ChainView | None:
        """The chain at `now`; None where it is not listed."""
        chain = self._chains.get((underlying, expiry))
        if chain is None:
            chain = self._chains[underlying, expiry] = self._open(book, underlying, expiry)
        return chain.view(now, AROUND)

    def _open(self, book: InstrumentBook, underlying: str, expiry: str) -> OptionChain:
        from mytrading.core.options.chain import OptionChain  # numba, for rules that need it alone

        options = book.options(underlying, expiry)
        if not options:
            raise NoSuchContract(f"no option of {underlying} expires on {expiry}")
        ends = book.ends_at(options[0].exchange, expiry)
        chain = OptionChain(underlying, expiry, options, book.spot(underlying).id, ends, RATE)
        for quote in self._quotes.values():
            chain.apply(quote)
        return chain

    def forget(self) -> None:
        """The list of contracts changed: chains are made anew."""
        self._chains.clear()
