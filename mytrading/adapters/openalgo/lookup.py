"""One contract by its id: from the day's instruments, else from the server, which is asked once for each.

Used by the command line and by authors. The one rule: what was found once costs no further request.
"""

from __future__ import annotations

from mytrading.adapters.openalgo.client import OpenAlgoClient
from mytrading.adapters.openalgo.endpoints import market
from mytrading.adapters.openalgo.instruments import instrument_of
from mytrading.core.instruments import InstrumentBook
from mytrading.core.symbology import split_id
from mytrading.messages.instruments import Instrument


class ContractLookup:
    """Contracts by id. `book` is today's; a lookup lives for a day, since the server lists anew each morning."""

    def __init__(self, client: OpenAlgoClient, book: InstrumentBook | None = None) -> None:
        self._client = client
        self._book = book or InstrumentBook(())
        self._found: dict[str, Instrument] = {}

    def find(self, instrument: str) -> Instrument:
        """The contract `EXCHANGE:SYMBOL`. Raises `SymbolNotFound`, or what the client raises."""
        known = self._book.get(instrument) or self._found.get(instrument)
        if known is None:
            exchange, symbol = split_id(instrument)
            known = self._found[instrument] = instrument_of(market.symbol(self._client, symbol, exchange))
        return known

    def search(self, words: str, exchange: str | None = None) -> list[Instrument]:
        """Contracts of the server whose symbol or name has all words, at most 500; rows that make no sense left out."""
        found = []
        for row in market.search(self._client, words, exchange):
            try:
                found.append(instrument_of(row))
            except ValueError:
                continue
        self._found.update((item.id, item) for item in found)
        return found
