"""Option chains for pages: quotes leased while a viewer watches, ten updates a second, one lease for all its viewers.

A lease ends ten seconds after its last renewal, so nothing has to be given back when this process dies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.core.calendar import Calendar
from mytrading.core.calendar.expiries import session_ends
from mytrading.core.instruments.book import InstrumentBook, NoSuchContract
from mytrading.core.options import black76
from mytrading.core.options.chain import ChainSide, ChainView, OptionChain
from mytrading.core.time import SECOND
from mytrading.daemons.console.interest_base import InterestBase
from mytrading.daemons.console.topics import TopicBook
from mytrading.daemons.console.user_store import store_path
from mytrading.messages.console_rows import ChainCell, ChainFuture, ChainHead, ChainLine
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.observability.logging import get_logger
from mytrading.runtime.streams.ops_client import OpsRefused, OpsTimedOut
from mytrading.runtime.streams.quote_lease import QuoteLease

AROUND = 20
"""Strikes each side of the money."""
FUTURES = 2
"""Futures of the underlying beside a chain, the nearest."""
RATE = 0.065
TURN_S = 0.1
IDLE_S = 0.5
RETRY_S = 2.0
RETRY_NS = 2 * SECOND


class LiveUnderlying(QuoteLease):
    """The price of an underlying and its futures, with their quote lease: for what has no options, or needs none."""

    def __init__(self, config: RunConfig, calendar: Calendar, book: InstrumentBook, underlying: str) -> None:
        self.underlying, self.spot = underlying, book.spot(underlying)
        super().__init__(config, f"console {underlying}:"[:48], session_ends(calendar), book)
        self._futures = _live_futures(book, underlying, self.now)
        self._prices: dict[str, float] = {}
        self._rows: tuple[dict[str, Any], dict[str, Any]] | None = None

    def take_update(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Take the quotes that came; return no lines of a chain, and its head."""
        self.renew({self.spot.id, *(future.id for future in self._futures)})
        news = list(self.quotes(0))
        self._prices.update((quote.instrument, quote.ltp) for quote in news if quote.ltp > 0.0)
        if self._rows is None or news:
            self._rows = {}, {"": self._head()}
        return self._rows

    def _head(self) -> ChainHead:
        return _blank_head(
            self.underlying,
            spot_instrument=self.spot.id,
            spot=self._prices.get(self.spot.id),
            market_ms=self.now // 1_000_000,
            futures=_future_rows(self._futures, self._prices),
        )


def _live_futures(book: InstrumentBook, underlying: str, now: int) -> list[Instrument]:
    """The nearest futures that have not expired."""
    live = book.live_expiries(underlying, InstrumentKind.FUT, now)[:FUTURES]
    listed = (book.future(underlying, n) for n in range(len(book.expiries(underlying, InstrumentKind.FUT))))
    return [future for future in listed if future.expiry in live]


def _future_rows(futures: list[Instrument], prices: dict[str, float]) -> list[ChainFuture]:
    return [
        ChainFuture(instrument=one.id, expiry=one.expiry, lot=one.lot_size, ltp=prices.get(one.id)) for one in futures
    ]


class LiveChain(QuoteLease):
    """One chain with its quote lease. `interest_base`, from which changes of open interest count, outlives it."""

    def __init__(
        self, config: RunConfig, calendar: Calendar, book: InstrumentBook, name: str, interest_base: InterestBase
    ) -> None:
        self.underlying, _, self.expiry = name.partition(":")
        options, spot = book.options(self.underlying, self.expiry), book.spot(self.underlying)
        self._spot = spot.id
        if not options:
            raise NoSuchContract(f"options of {self.underlying} that expire on {self.expiry}: none is listed any more")
        super().__init__(config, f"console {name}"[:48], session_ends(calendar), book)
        self._lots = {option.id: option.lot_size for option in options}
        self._expiries = book.live_expiries(self.underlying, InstrumentKind.CE, self.now)
        settles = self.ends(options[0].exchange, self.expiry)
        self._chain = OptionChain(self.underlying, self.expiry, options, spot.id, settles, RATE)
        self._futures = _live_futures(book, self.underlying, self.now)
        self._future_prices: dict[str, float] = {}
        self._interest = interest_base
        self._since: list[int] = []
        self._rows: tuple[dict[str, Any], dict[str, Any]] | None = None

    def take_update(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Apply the quotes that came since the last call; return the rows of the chain and of its head."""
        futures = {future.id for future in self._futures}
        self.renew({*self._chain.instruments(self._chain.spot_price(), AROUND), *futures})
        news = []
        for quote in self.quotes(0):
            if quote.instrument in futures:
                self._future_prices[quote.instrument] = quote.ltp
            news.append(self._chain.apply(quote) or quote.instrument in futures)
        if self._rows is None or any(news):
            self._rows = self._figured()
        return self._rows

    def _figured(self) -> tuple[dict[str, Any], dict[str, Any]]:
        view = self._chain.view(self.now, AROUND)
        self._since.clear()
        lines = {
            f"{row.strike:g}": ChainLine(
                strike=row.strike, at_money=row.strike == view.atm, call=self._cell(row.call), put=self._cell(row.put)
            )
            for row in view.rows
        }
        return lines, {"": self._head(view)}

    def _cell(self, side: ChainSide | None) -> ChainCell | None:
        if side is None:
            return None
        interest, change = side.open_interest, None
        if interest is not None:
            change, since_ns = self._interest.change_of(side.instrument, interest, self.now)
            self._since.append(since_ns)
        return ChainCell(
            instrument=side.instrument,
            lot=self._lots.get(side.instrument, 0),
            ltp=side.ltp,
            bid=side.bid,
            ask=side.ask,
            volume=side.volume,
            open_interest=interest,
            open_interest_change=change,
            iv=_rounded(side.iv, 5),
            delta=_rounded(side.delta, 4),
            gamma=_rounded(side.gamma, 6),
            theta=_rounded(side.theta, 2),
            vega=_rounded(side.vega, 2),
        )

    def _head(self, view: ChainView) -> ChainHead:
        money = next((row for row in view.rows if row.strike == view.atm), None)
        sides = [side for side in (money.call, money.put) if side is not None] if money is not None else []
        prices = [side.price for side in sides if side.price is not None]
        ivs = [side.iv for side in sides if side.iv is not None]
        shown = [side for row in view.rows for side in (row.call, row.put) if side is not None]
        return ChainHead(
            underlying=view.underlying,
            expiry=view.expiry,
            expiries=self._expiries,
            spot_instrument=self._spot,
            spot=view.spot,
            forward=_rounded(view.forward, 2),
            days=round(view.years * 365, 2),
            put_call_ratio=_rounded(view.pcr_open_interest, 3),
            put_call_ratio_volume=_rounded(view.pcr_volume, 3),
            max_pain=view.max_pain,
            straddle=_rounded(sum(prices), 2) if len(prices) == 2 else None,
            interest_since_ms=min(self._since) // 1_000_000 if self._since else None,
            interest_latest_ms=max(self._since) // 1_000_000 if self._since else None,
            atm_iv=_rounded(sum(ivs) / len(ivs), 5) if ivs else None,
            missing=sum(side.ltp is None for side in shown),
            market_ms=view.at_ns // 1_000_000,
            futures=_future_rows(self._futures, self._future_prices),
        )


def _rounded(value: float | None, digits: int) -> float | None:
    """A figure as fine as it is shown, so that a cell changes only when its text does."""
    return None if value is None or value != value else round(value, digits)


def _blank_head(underlying: str, **known: Any) -> ChainHead:
    blank: dict[str, Any] = dict.fromkeys(ChainHead.__struct_fields__)
    blank |= {"underlying": underlying, "expiry": "", "expiries": [], "spot_instrument": "", "futures": []}
    return ChainHead(**{**blank, "days": 0.0, "missing": 0, "problem": "", **known})


def _no_chain(name: str, problem: str) -> ChainHead:
    """The head of a chain that cannot be shown, with the reason."""
    underlying, _, expiry = name.partition(":")
    return _blank_head(underlying, expiry=expiry, problem=problem)


class ChainSubscriptions:
    """Option chains that viewers watch, and underlyings (`SBIN:`, without an expiry), each leased once.

    `instruments` are the day's, read when they are needed.

    A chain that fails says why in its head, and is tried again after two seconds; the others go on.
    """

    def __init__(self, config: RunConfig, calendar: Calendar) -> None:
        self._config, self._calendar = config, calendar
        self._file = InstrumentFile(config.state, session_ends(calendar))
        self._known: InstrumentBook | None = None
        self._chains: dict[str, LiveChain | LiveUnderlying] = {}
        self._again_ns: dict[str, int] = {}
        """Machine time from which a chain that failed is tried again."""
        self._interest = InterestBase(store_path(config.state).with_suffix(".interest.json"), calendar)
        self._thread = ThreadPoolExecutor(1, "console.chains")
        black76.disable_numba()

    @property
    def count(self) -> int:
        """Number of leased chains."""
        return len(self._chains)

    def serve(
        self, book: TopicBook, wanted: Callable[[], frozenset[str]], changed: Callable[[list[str]], None]
    ) -> None:
        """Put the rows of `wanted` chains (UNDERLYING:EXPIRY) into `book`, and call `changed` with the topics."""
        self._book, self._wanted, self._changed = book, wanted, changed

    def instruments(self) -> InstrumentBook:
        """Return the day's instruments; none before the feed has written them."""
        if self._known is None or self._file.has_changed():
            self._known = self._file.book()
        return self._known

    async def problem(self, name: str) -> str:
        """Return why a chain cannot be watched; empty if it can."""
        underlying, _, expiry = name.partition(":")
        book = await asyncio.get_running_loop().run_in_executor(None, self.instruments)
        expiries = book.expiries(underlying, InstrumentKind.CE)
        if not expiry:
            try:
                book.spot(underlying)
            except NoSuchContract as error:
                return str(error)
        if not expiry or expiry in expiries:
            return ""
        if not expiries:
            return f"expected an underlying with options today, found {underlying[:20]!r}"
        return f"{underlying}: expected one of {', '.join(expiries[:8])}; found {expiry[:20]!r}"

    async def run(self) -> None:
        """Keep the chains until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            wanted = self._wanted()
            if not wanted and not self._chains:
                await asyncio.sleep(IDLE_S)
                continue
            try:
                tables = await loop.run_in_executor(self._thread, self._turn, wanted)
            except (OpsTimedOut, OSError):  # the gateway is silent, for all chains
                await asyncio.sleep(RETRY_S)
                continue
            changed = [topic for topic, rows in tables.items() if self._book.put(topic, rows)]
            if changed:
                self._changed(changed)
            due = max(due + TURN_S, loop.time() + 0.01)
            await asyncio.sleep(due - loop.time())

    def _turn(self, wanted: frozenset[str]) -> dict[str, Any]:
        for name in (self._chains.keys() | self._again_ns.keys()) - wanted:
            self._end(name)
        tables: dict[str, Any] = {}
        for name in wanted:
            if machine_now() >= self._again_ns.get(name, 0):
                tables[f"chain:{name}"], tables[f"chainhead:{name}"] = self._rows(name)
        return tables

    def _rows(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The rows of a chain and of its head; of one that fails, no rows and the reason."""
        try:
            if name not in self._chains:
                self._begin(name)
            self._again_ns.pop(name, None)
            rows = self._chains[name].take_update()
            self._interest.save(self._chains[name].now)
            return rows
        except (OpsTimedOut, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one chain, the others and the pages go on
            self._give_back(name)
            self._again_ns[name] = machine_now() + RETRY_NS
            if isinstance(error, OpsRefused | NoSuchContract):
                return {}, {"": _no_chain(name, str(error))}
            get_logger("console").error("chain.failed", chain=name, exc_info=error)
            return {}, {"": _no_chain(name, "a defect in the console; see `mytrading logs console`")}

    def _begin(self, name: str) -> None:
        underlying, _, expiry = name.partition(":")
        self._chains[name] = (
            LiveChain(self._config, self._calendar, self.instruments(), name, self._interest)
            if expiry
            else LiveUnderlying(self._config, self._calendar, self.instruments(), underlying)
        )

    def _end(self, name: str) -> None:
        self._give_back(name)
        self._again_ns.pop(name, None)
        for topic in (f"chain:{name}", f"chainhead:{name}"):
            self._book.drop(topic)

    def _give_back(self, name: str) -> None:
        """End a chain's lease; one that cannot be given back ends by itself."""
        if (chain := self._chains.pop(name, None)) is not None:
            self._interest.save(chain.now, at_once=True)
            with suppress(OpsTimedOut, OpsRefused, OSError):
                chain.__exit__(None, None, None)

    def stop(self) -> None:
        """End the thread; leases end by themselves."""
        self._thread.shutdown(wait=False, cancel_futures=True)
