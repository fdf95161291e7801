"""Option chains for `mytrading chain`: from the quotes of a running stack, or from the exchange's file of a day.

In a file a contract without a trade has no price, whatever the file says of it.
"""

from __future__ import annotations

import math
import time
import tomllib
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from mytrading.cli.market.quote_lease import Looking
from mytrading.cli.shell.output import USAGE, fail, print_json, say
from mytrading.core.calendar.expiries import NoSuchExpiry
from mytrading.core.instruments.book import InstrumentBook, NoSuchContract
from mytrading.core.options.chain import ChainSide, ChainView, OptionChain
from mytrading.messages.instruments import InstrumentKind
from mytrading.messages.run_config import ExpiryRule, RunConfig

if TYPE_CHECKING:
    from mytrading.adapters.nse.bhavcopy import Bhavcopy, BhavRow
    from mytrading.core.options.chain import ChainSide, ChainView


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
        """Take in what comes within `seconds`, and lease other strikes where the money has moved."""
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


def show_file(path: Path, underlying: str, expiry: str, strikes: int, rate: float, price: float, as_json: bool) -> None:
    """Print the chain of a file; ends the command where it cannot be had."""
    import msgspec

    from mytrading.adapters.nse.bhavcopy import BhavcopyError, read_bhavcopy
    from mytrading.cli.market.chain_screen import print_chain
    from mytrading.core.calendar.expiries import NoSuchExpiry
    from mytrading.core.instruments.book import NoSuchContract

    try:
        file = read_bhavcopy(path)
        view, said = chain_of(file, underlying, expiry, strikes, rate, price)
    except (BhavcopyError, NoSuchContract, NoSuchExpiry) as error:
        fail(USAGE, str(error))
    if as_json:
        print_json({**msgspec.to_builtins(view), "day": file.day.isoformat(), "note": said})
        return
    print_chain(view, 0)
    if said:
        say(said)


def chain_of(
    file: Bhavcopy, underlying: str, expiry: str, strikes: int, rate: float, price: float
) -> tuple[ChainView, str]:
    """The chain at the close of a file's day, and from where its underlying's price is if the file has none."""
    from mytrading.backtest.options.files import contract_of
    from mytrading.core.calendar import Calendar
    from mytrading.core.calendar.expiries import session_ends
    from mytrading.core.instruments.book import InstrumentBook
    from mytrading.core.instruments.contract_specs import ContractFacts
    from mytrading.core.instruments.symbology import home_of, instrument_id
    from mytrading.core.options.chain import OptionChain
    from mytrading.messages.instruments import InstrumentKind
    from mytrading.messages.market import Quote

    rows = file.of(underlying)
    calendar = Calendar.from_dict(_config("calendar.toml"))
    facts = ContractFacts.from_dict(_config("instruments.toml")).underlyings.get(underlying)
    ends = session_ends(calendar)
    now = ends(file.exchange, file.day.isoformat())
    contracts = [(contract_of(row, file.exchange, file.day, facts), row) for row in rows]
    book = InstrumentBook([contract for contract, _ in contracts], ends)
    chosen = chosen_expiry(book, underlying, expiry, now - 1)
    spot_id = instrument_id(facts.exchange if facts is not None else home_of(underlying), underlying)
    chain = OptionChain(
        underlying, chosen, book.options(underlying, chosen), spot_id, ends(file.exchange, chosen), rate
    )
    spot, said = spot_of(rows, price, rate, file.day)
    if spot:
        chain.apply(Quote(spot_id, now, 0, spot))
    for contract, row in contracts:
        if contract.kind is not InstrumentKind.FUT:
            units = row.contracts * contract.lot_size
            quote = Quote(contract.id, now, 0, row.price, volume=units, open_interest=row.open_interest)
            chain.apply(quote)
    view = chain.view(now, strikes)
    shown = tuple(replace(row, call=_known(row.call), put=_known(row.put)) for row in view.rows)
    return replace(view, rows=shown), said


def _known(side: ChainSide | None) -> ChainSide | None:
    """Without a price of 0, which stands for one that nobody paid."""
    return replace(side, ltp=None) if side is not None and not side.ltp else side


def spot_of(rows: tuple[BhavRow, ...], price: float, rate: float, day: date) -> tuple[float, str]:
    """The underlying's price: as given, of the file, or off the nearest prices; and what to say of it."""
    from mytrading.backtest.options.files import pairs_of
    from mytrading.core.options.surface import forward_by_parity
    from mytrading.messages.instruments import InstrumentKind

    if price:
        return price, ""
    if spot := next((row.spot for row in rows if row.spot), 0.0):
        return spot, ""
    futures = sorted(
        (row.expiry, row.settle or row.close) for row in rows if row.kind is InstrumentKind.FUT and row.expiry >= day
    )
    if futures:
        expiry, found = futures[0]
        carried = found * math.exp(-rate * max((expiry - day) / timedelta(days=365), 0.0))
        return round(carried, 2), f"the file has no price of the underlying: {carried:,.2f} is off the nearest future"
    expiry = min((row.expiry for row in rows if row.expiry > day), default=day)
    years = (expiry - day) / timedelta(days=365)
    forward = forward_by_parity(pairs_of(rows, expiry), years, rate, None)
    if math.isnan(forward):
        return 0.0, "the file has no price of the underlying; give it with --underlying"
    carried = forward * math.exp(-rate * years)
    return round(carried, 2), f"the file has no price of the underlying: {carried:,.2f} is off puts and calls"


def _config(name: str) -> dict[str, Any]:
    from mytrading.runtime.host.paths import project_home

    path = project_home() / "config" / name
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        fail(USAGE, f"{path}: cannot be read: {error}; restore it from the release")
