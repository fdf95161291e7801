"""Routes of money: free margin, lots that a margin pays for, margin of legs together, and the brokers' own books."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import get, post
from litestar.datastructures import State
from litestar.params import FromPath, JSONBody, QueryParameter

from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.core.accounting.margin import MarginLeg, margin_requirement
from mytrading.core.accounting.margin_tables import MarginFigures, RiskTables
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.core.risk.sizing.size_calculator import Lot, UnknownLot, lot_on
from mytrading.core.time import ist_date
from mytrading.daemons.console.actions_api import query_gateway
from mytrading.daemons.console.refusals import ApiRefused
from mytrading.daemons.console.setup_api import FAILED
from mytrading.daemons.console.shell_commands import ask_shell
from mytrading.messages import console_api as api
from mytrading.messages import ops
from mytrading.messages.enums import Product
from mytrading.runtime.daemon.market_tables import RISK, MarketTables

BOOKS = ("orders", "trades", "positions", "holdings", "funds")
_FREE = "margin_free:"
Short = Annotated[str, QueryParameter(max_length=64)]
Amount = Annotated[float, QueryParameter(ge=0.0, le=1e12)]


@get("/api/margin", sync_to_thread=True)
def show_margin(state: State) -> list[api.MarginRow]:
    """Return the free margin of each account, with its cash, reservations and buffer."""
    status = query_gateway(state, ops.StatusQuery())
    row: dict[str, Any] = next((one for one in status["daemons"] if one["daemon"] == "risk"), {})
    figures: dict[str, float] = dict(row.get("figures") or {})
    names = sorted(name.removeprefix(_FREE) for name in figures if name.startswith(_FREE))
    kinds = ("free", "cash", "reserved", "buffer")
    return [
        api.MarginRow(account=name, **{kind: figures.get(f"margin_{kind}:{name}", 0.0) for kind in kinds})
        for name in names
    ]


@get("/api/margin/tables", sync_to_thread=True)
def show_tables(state: State) -> api.MarginTables:
    """Return what lots need, and the shares of profiles and grades, by the tables of config/risk.toml for today."""
    tables, today = _risk_tables(state), ist_date(state.clock.now())
    listed = InstrumentFile(state.config.state).snapshot()
    facts = _contract_facts(state)

    def lot_today(name: str) -> Lot:
        try:
            return lot_on(name, today, listed.instruments, listed.day, tables, facts, state.calendar)
        except UnknownLot as error:
            return Lot(0, 0, str(error))

    names = dict.fromkeys(name for row in tables.margin for name in row.underlyings)
    found = [(name, figures) for name in names if (figures := tables.figures_of(name, today)) is not None]
    return api.MarginTables(
        day=today.isoformat(),
        requirements=[_requirement(name, figures, lot_today(name)) for name, figures in found],
        shares={name: tables.margin_share_of(name).share for name in (*tables.profiles, *tables.grades)},
        most_lots_per_leg=tables.max_lots_per_leg,
    )


def _requirement(name: str, figures: MarginFigures, lot: Lot) -> api.RequirementRow:
    return api.RequirementRow(
        underlying=name,
        since=figures.since.isoformat(),
        sold=figures.sold.other,
        sold_expiry=figures.sold.expiry,
        both_sold=figures.both_sold.other,
        both_sold_expiry=figures.both_sold.expiry,
        future=figures.future.other,
        future_expiry=figures.future.expiry,
        bought=figures.bought.other,
        units=figures.lots.get(name, 0),
        lot=lot.size or None,
        freeze=lot.freeze or None,
        most_lots=lot.max_lots or None,
        lot_source=lot.source,
    )


def _contract_facts(state: State) -> ContractFacts:
    try:
        return MarketTables(state.config, keep=False).facts
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise ApiRefused("REFUSED", f"config/instruments.toml: {error}") from error


def _risk_tables(state: State) -> RiskTables:
    try:
        return MarketTables(state.config, keep=False).read(RISK, RiskTables.from_dict).made
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise ApiRefused("REFUSED", f"config/risk.toml: {error}") from error


@get("/api/margin/lots", sync_to_thread=True)
def show_lots(
    state: State,
    margin: Amount,
    instrument: Short = "NIFTY",
    kind: Short = "sold",
    grade: Short = "balanced",
    premium: Amount = 0.0,
    *,
    expiry: Annotated[bool, QueryParameter()] = False,
) -> api.LotsAnswer:
    """Return the lots that a margin pays for, by the formula that sizes orders."""
    words = [f"--margin={margin}", f"--instrument={instrument}", f"--type={kind}", f"--grade={grade}"]
    words += [f"--premium={premium}", "--expiry" if expiry else "--no-expiry"]
    return msgspec.convert(ask_shell(state.config, "margin", *words, codes=(FAILED,)), api.LotsAnswer)


@post("/api/structure/margin", opt={"action": "structure margin"}, sync_to_thread=True, status_code=200)
def show_structure_margin(state: State, data: JSONBody[api.StructureMarginRequest]) -> api.StructureMargin:
    """Return the margin of legs together, by the tables of config/risk.toml, and of each alone: the hedge benefit."""
    book: InstrumentBook = state.chains.instruments()
    tables = _risk_tables(state)
    legs = []
    for number, leg in enumerate(data.legs, 1):
        contract = book.get(leg.instrument)
        if contract is None:
            what = f"legs[{number}].instrument: expected an instrument of today, found {leg.instrument!r}"
            raise ApiRefused("BAD_REQUEST", what, f"legs[{number}].instrument")
        product, spot = Product(leg.product or data.product), leg.spot or data.spot
        legs.append(MarginLeg(contract, leg.units, leg.price, product, spot))
    today = ist_date(state.clock.now())
    needed = margin_requirement(legs, tables, today)
    after = [round(margin_requirement(legs[:count], tables, today).initial, 2) for count in range(1, len(legs) + 1)]
    return api.StructureMargin(margin=round(needed.initial, 2), separate=round(needed.gross, 2), after=after)


@get("/api/books/{book:str}", sync_to_thread=True)
def show_broker_book(state: State, book: FromPath[str]) -> list[api.BrokerBook]:
    """A book of every account as its broker has it now; one that cannot be read is named, with rows of before."""
    if book not in BOOKS:
        raise ApiRefused("NOT_FOUND", f"expected one of {', '.join(BOOKS)}; found {book[:40]!r}")
    return msgspec.convert(ask_shell(state.config, "broker", book, codes=(FAILED,)), list[api.BrokerBook])


ROUTES = [show_margin, show_tables, show_lots, show_structure_margin, show_broker_book]
