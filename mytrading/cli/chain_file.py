"""`mytrading chain NAME --bhavcopy FILE`: the option chain of a day as the exchange's file has it, at its close.

The one rule: what did not trade has no price, whatever the file says of it.
"""

from __future__ import annotations

import math
import tomllib
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from mytrading.cli.output import USAGE, fail, print_json, say

if TYPE_CHECKING:
    from mytrading.adapters.bhavcopy import Bhavcopy, BhavRow
    from mytrading.core.options.chain import ChainSide, ChainView


def show_file(path: Path, underlying: str, expiry: str, strikes: int, rate: float, price: float, as_json: bool) -> None:
    """Print the chain of a file; ends the command where it cannot be had."""
    import msgspec

    from mytrading.adapters.bhavcopy import BhavcopyError, read_bhavcopy
    from mytrading.cli.chain.screen import print_chain
    from mytrading.core.expiries import NoSuchExpiry
    from mytrading.core.instruments import NoSuchContract

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
    """The chain at the close of a file's day, and from where its underlying's price is if the file does not tell."""
    from mytrading.backtest.option_files import contract_of
    from mytrading.cli.chain.feed import chosen_expiry
    from mytrading.core.calendar import Calendar
    from mytrading.core.contracts import ContractFacts
    from mytrading.core.expiries import session_ends
    from mytrading.core.instruments import InstrumentBook
    from mytrading.core.options.chain import OptionChain
    from mytrading.core.symbology import home_of, instrument_id
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
    from mytrading.backtest.option_files import pairs_of
    from mytrading.core.calibration import forward_by_parity
    from mytrading.messages.instruments import InstrumentKind

    if price:
        return price, ""
    if told := next((row.spot for row in rows if row.spot), 0.0):
        return told, ""
    futures = sorted(
        (row.expiry, row.settle or row.close) for row in rows if row.kind is InstrumentKind.FUT and row.expiry >= day
    )
    if futures:
        expiry, found = futures[0]
        carried = found * math.exp(-rate * max((expiry - day) / timedelta(days=365), 0.0))
        return round(carried, 2), f"the file tells no price of the underlying: {carried:,.2f} is off the nearest future"
    expiry = min((row.expiry for row in rows if row.expiry > day), default=day)
    years = (expiry - day) / timedelta(days=365)
    forward = forward_by_parity(pairs_of(rows, expiry), years, rate, None)
    if math.isnan(forward):
        return 0.0, "the file tells no price of the underlying; give it with --underlying"
    carried = forward * math.exp(-rate * years)
    return round(carried, 2), f"the file tells no price of the underlying: {carried:,.2f} is off puts and calls"


def _config(name: str) -> dict[str, Any]:
    from mytrading.runtime.places import project_home

    path = project_home() / "config" / name
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        fail(USAGE, f"{path}: cannot be read: {error}; restore it from the release")
