"""Quotes of one option chain from a running stack: the market stream folded into an `OptionChain`.

Used by `mytrading chain`. The one rule: the gateway is told every few seconds what is looked at, and at the end
that nothing is.
"""

from __future__ import annotations

import os
import time
import tomllib
from datetime import date
from types import TracebackType
from typing import Self

from mytrading.adapters.instrument_store import InstrumentFile
from mytrading.core.calendar import Calendar
from mytrading.core.expiries import NoSuchExpiry, session_ends
from mytrading.core.instruments import InstrumentBook, NoSuchContract
from mytrading.core.option_chain import ChainView, OptionChain
from mytrading.messages.instruments import InstrumentKind
from mytrading.messages.market import Quote
from mytrading.messages.runconfig import ExpiryRule, RunConfig
from mytrading.runtime.endpoints import endpoint_of
from mytrading.runtime.ops import Ops
from mytrading.runtime.streams import ZMQSubscriber

LOOK_AGAIN_S = 3.0


class ChainFeed:
    """One chain, kept up to date by `poll`; use it in a `with` block. Raises `NoSuchContract`, `NoSuchExpiry`."""

    def __init__(self, config: RunConfig, underlying: str, expiry: str, around: int, rate: float) -> None:
        calendar = Calendar.from_dict(tomllib.loads(config.calendar_path.read_text(encoding="utf-8")))
        ends = session_ends(calendar)
        book = InstrumentFile(config.state, ends).book()
        self.underlying = underlying
        self._around = around
        self._now = 0
        self._ops = Ops(config)
        self._now = int(self._ops.ask("status", None)["market_ns"])
        self.expiry = chosen_expiry(book, underlying, expiry, self._now)
        options = book.options(underlying, self.expiry)
        spot = book.spot(underlying).id
        self._chain = OptionChain(underlying, self.expiry, options, spot, ends(options[0].exchange, self.expiry), rate)
        self._market = ZMQSubscriber("market", [endpoint_of(config, "market", "feed")], topics=())
        self._watched: set[str] = set()
        self._asked_at = 0.0
        self._who = f"chain-{os.getpid()}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._ops.ask("look", None, who=self._who, instruments="")
        finally:
            self._ops.__exit__(None, None, None)
            self._market.close()

    def poll(self, seconds: float) -> None:
        """Take in what comes within `seconds`, and look anew where the money has moved."""
        self._look()
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._market.socket.poll(int(left * 1000) + 1):
                self._drain()
        self._drain()

    def _drain(self) -> None:
        while (frame := self._market.receive()) is not None:
            if isinstance(frame.message, Quote) and self._chain.apply(frame.message):
                self._now = max(self._now, frame.message.market_ns)

    def _look(self) -> None:
        wanted = set(self._chain.instruments(self._chain.spot_price(), self._around))
        for name in wanted - self._watched:
            self._market.subscribe(name)
        for name in self._watched - wanted:
            self._market.unsubscribe(name)
        if wanted != self._watched or time.monotonic() - self._asked_at > LOOK_AGAIN_S:
            self._ops.ask("look", None, who=self._who, instruments=",".join(sorted(wanted)))
            self._asked_at = time.monotonic()
        self._watched = wanted

    def fill(self, seconds: float) -> int:
        """Poll until every option shown has a quote, at most so long; returns how many have none."""
        until = time.monotonic() + seconds
        while (missing := self._missing()) and time.monotonic() < until:
            self.poll(0.1)
        return missing

    def _missing(self) -> int:
        view = self.view()
        sides = [side for row in view.rows for side in (row.call, row.put) if side is not None]
        return sum(1 for side in sides if side.ltp is None) + (view.spot is None)

    def view(self) -> ChainView:
        """The chain as it stands."""
        return self._chain.view(self._now, self._around)


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
