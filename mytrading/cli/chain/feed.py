"""Quotes of one option chain from a running stack: the market stream folded into an `OptionChain`.

Used by `mytrading chain`. The one rule: as the money moves, so does what is looked at.
"""

from __future__ import annotations

import time
from datetime import date

from mytrading.cli.looking import Looking
from mytrading.core.expiries import NoSuchExpiry
from mytrading.core.instruments import InstrumentBook, NoSuchContract
from mytrading.core.options.chain import ChainSide, ChainView, OptionChain
from mytrading.messages.instruments import InstrumentKind
from mytrading.messages.runconfig import ExpiryRule, RunConfig

INTEREST_S = 5.0
"""How long `fill` waits for open interest once all have a quote: the feed may have to ask for it, or in vain."""


class ChainFeed(Looking):
    """One chain, kept up to date by `poll`; use it in a `with` block. Raises `NoSuchContract`, `NoSuchExpiry`."""

    def __init__(self, config: RunConfig, underlying: str, expiry: str, around: int, rate: float) -> None:
        super().__init__(config, "chain")
        self.underlying = underlying
        self._around = around
        self.expiry = chosen_expiry(self.book, underlying, expiry, self.now)
        options = self.book.options(underlying, self.expiry)
        settles = self.ends(options[0].exchange, self.expiry)
        spot = self.book.spot(underlying).id
        self._chain = OptionChain(underlying, self.expiry, options, spot, settles, rate)

    def poll(self, seconds: float) -> None:
        """Take in what comes within `seconds`, and look anew where the money has moved."""
        self.look(set(self._chain.instruments(self._chain.spot_price(), self._around)))
        for quote in self.quotes(seconds):
            self._chain.apply(quote)

    def fill(self, seconds: float) -> int:
        """Poll until all options shown have a quote and open interest, at most so long; how many have no quote."""
        until, complete = time.monotonic() + seconds, 0.0
        while True:
            now, missing = time.monotonic(), self._missing()
            complete = complete if complete or missing else now
            waited = bool(complete) and now >= complete + INTEREST_S
            if now >= until or (not missing and (waited or not self._lacks_interest())):
                return missing
            self.poll(0.1)

    def _missing(self) -> int:
        view = self.view()
        return sum(side.ltp is None for side in _sides(view)) + (view.spot is None)

    def _lacks_interest(self) -> bool:
        return any(side.ltp is not None and side.open_interest is None for side in _sides(self.view()))

    def view(self) -> ChainView:
        """The chain as it stands."""
        return self._chain.view(self.now, self._around)


def _sides(view: ChainView) -> list[ChainSide]:
    return [side for row in view.rows for side in (row.call, row.put) if side is not None]


def chosen_expiry(book: InstrumentBook, underlying: str, wanted: str, now: int) -> str:
    """The expiry (ISO date) that a rule or a date names; says which are listed if it is none of them."""
    alive = book.alive(underlying, InstrumentKind.CE, now)
    if not alive:
        raise NoSuchContract(f"no option of {underlying} is listed; `mytrading instruments` shows what is")
    if wanted in set(ExpiryRule):
        return book.expiry(ExpiryRule(wanted), underlying, InstrumentKind.CE, now)
    try:
        day = date.fromisoformat(wanted).isoformat()
    except ValueError:
        day = ""
    if day not in alive:
        raise NoSuchExpiry(f"--expiry: expected {', '.join(ExpiryRule)} or one of {', '.join(alive)}, found {wanted!r}")
    return day
