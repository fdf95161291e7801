"""`mytrading margin` and `mytrading size`: what accounts have free, and the sums by which risk sizes a signal.

The calculators read files alone and work while no stack runs; only the list of accounts asks the stack.
"""

from __future__ import annotations

from datetime import date
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from mytrading.cli.shell.failures import ERROR, USAGE, exit_on_errors, fail, find_stack, project_folder
from mytrading.cli.shell.options import AsJson, Profile
from mytrading.cli.shell.output import margin_figures, print_result, print_rows
from mytrading.core.time import ist_date

if TYPE_CHECKING:
    from mytrading.core.accounting.margin_tables import RiskTables
    from mytrading.core.risk.sizing.size_calculator import Lot

TYPES = {"sold": "sold", "sell": "sold", "both": "both_sold", "straddle": "both_sold", "both_sold": "both_sold",
         "future": "future", "futures": "future", "buy": "bought", "bought": "bought"}  # fmt: skip
Day = Annotated[str, Option("--day", metavar="DATE", help="Day of margins and lot sizes; default: the market's day.")]


def margin(
    amount: float | None = Option(
        None, "--margin", "-m", min=0.0, help="Margin in rupees; default: the free margin of each account."
    ),
    instrument: str = Option("", "--instrument", "-i", help="An underlying (NIFTY), or a contract (EXCHANGE:SYMBOL)."),
    kind: str = Option("sold", "--type", "-t", help="sold, both (a call and a put), future or buy."),
    grade: str = Option("balanced", "--grade", "-g", help="A profile or grade of config/risk.toml."),
    expiry: bool = Option(False, "--expiry/--no-expiry", help="Whether the contract expires that day."),
    premium: float = Option(0.0, "--premium", min=0.0, help="Price of a bought option."),
    day: Day = "", as_json: AsJson = False, profile: Profile = "",
) -> None:  # fmt: skip
    """Show how many lots a margin pays for, by the formula that sizes orders. Exit 1 if not for one."""
    if amount is None:
        return _free_margins(as_json, profile)
    instrument = instrument.upper() or "NIFTY"
    with exit_on_errors():
        _judge_numbers(margin=amount, premium=premium)
        tables, when, lot = _figures(instrument, day, profile)
        from mytrading.core.accounting.margin_tables import TradeType
        from mytrading.core.risk.sizing.size_calculator import lots_for_margin

        try:
            trade = TradeType(TYPES.get(kind.lower(), kind))
        except ValueError:
            fail(USAGE, f"--type: expected sold, both, future or buy, found {kind!r}")
        try:
            found = lots_for_margin(amount, instrument, trade, grade, expiry, lot, premium, tables, when)
        except ValueError as error:
            fail(USAGE, f"--grade: {error}")
    body = {
        "instrument": instrument, "type": trade.value, "grade": grade, "share": found.share,
        "expiry": expiry, "day": when.isoformat(), "margin": amount, "margin_per_lot": found.margin_per_lot,
        "lots": found.lots, "quantity": found.lots * lot.size, "used": found.used, "left": found.left,
        "lot_size": lot.size, "freeze": lot.freeze, "max_lots": lot.max_lots, "source": lot.source,
        "orders": _orders(found.lots * lot.size, lot), "why": found.why,
    }  # fmt: skip
    return _show(body, as_json, lot, f"{found.lots} lots, {found.lots * lot.size} units: {found.why}")


def _free_margins(as_json: bool, profile: str) -> None:
    """Print what each account has free, reserved and kept back, as risk counts it now."""
    with find_stack(profile) as found:
        table = [{"account": name, **funds} for name, funds in margin_figures(found.status()).items()]
    columns = ("account", "free", "cash", "reserved", "buffer")
    print_rows(table, columns, as_json, "the funds of no account are known now; see `mytrading status`")


def size(
    instrument: str = Argument("NIFTY", help="An underlying (NIFTY), or a contract (EXCHANGE:SYMBOL)."),
    lots: int = Option(0, "--lots", "-l", min=0, help="Number of lots."),
    risk: float = Option(0.0, "--risk", "-r", min=0, help="Loss at the stop in rupees, such as 6500."),
    entry: float = Option(0.0, "--entry", min=0, help="Price of the entry."),
    stop: float = Option(0.0, "--stop", min=0, help="Price of the stop."),
    max_lots: int = Option(0, "--max-lots", min=0, help="Largest number of lots; default: max_lots_per_leg."),
    confidence: float = Option(1.0, "--confidence", min=0, max=1, help="Confidence of the signal; scales the lots."),
    share: list[str] = Option([], "--share", help="ACCOUNT=FREE: split lots by free margin."),  # noqa: B008
    day: Day = "", as_json: AsJson = False, profile: Profile = "",
) -> None:  # fmt: skip
    """Show the orders for a number of lots, or for rupees at risk between entry and stop. Exit 1 if not one lot."""
    if bool(lots) == bool(risk):
        fail(USAGE, "expected --lots, or --risk with --entry and --stop; `mytrading size NIFTY --risk 6500 --entry 120 "
                    "--stop 110`")  # fmt: skip
    with exit_on_errors():
        _judge_numbers(risk=risk, entry=entry, stop=stop)
        tables, when, lot = _figures(instrument, day, profile)
        most = min(max_lots or tables.max_lots_per_leg, tables.max_lots_per_leg)
        found, why = _counted(lots, risk, abs(entry - stop) if entry and stop else 0.0, lot, most)
        if confidence != 1.0:
            from mytrading.core.risk.sizing.lots import scale_by_confidence

            found, why = scale_by_confidence(found, confidence), f"{why}; × confidence {confidence:g}"
        spread = _shared(found, share)
    units = found * lot.size
    body = {"instrument": instrument, "day": when.isoformat(), "lots": found, "quantity": units, "lot_size": lot.size,
            "freeze": lot.freeze, "max_lots": lot.max_lots, "source": lot.source, "orders": _orders(units, lot),
            "accounts": spread, "why": why}  # fmt: skip
    parts = (f"  {account}: {part} lots, {part * lot.size} units" for account, part in spread.items())
    _show(body, as_json, lot, f"{found} lots, {units} units: {why}", *parts)


def _show(body: dict[str, Any], as_json: bool, lot: Lot, *lines: str) -> None:
    """Print a result and its lot; exit 1 if it is not one lot."""
    limit = f", at most {lot.max_lots} lots an order" if lot.max_lots else ""
    lines = (*lines, f"lot size {lot.size}{limit} ({lot.source})")
    if len(orders := body["orders"]) > 1:
        lines = (*lines, f"sent as {len(orders)} orders: {', '.join(map(str, orders))} units")
    print_result(body, as_json, *lines)
    if not body["lots"]:
        raise typer.Exit(ERROR)


def _judge_numbers(**values: float) -> None:
    for name, value in values.items():
        if not isfinite(value):
            fail(USAGE, f"--{name}: expected rupees, found {value}")


def _counted(lots: int, risk: float, distance: float, lot: Lot, most: int) -> tuple[int, str]:
    if lots > most:
        fail(USAGE, f"--lots: expected at most {most} a leg (max_lots_per_leg in config/risk.toml), found {lots}")
    if lots:
        return lots, "as given"
    from mytrading.core.risk.sizing.lots import lots_at_risk

    if not distance:
        fail(USAGE, "--risk: expected --entry and --stop, at different prices")
    found = lots_at_risk(risk, distance, lot.size, most)
    return found, f"{risk:,.2f} / ({distance:g} × {lot.size}) = {risk / (distance * lot.size):.2f}, at most {most}"


def _shared(lots: int, shares: list[str]) -> dict[str, int]:
    from mytrading.core.risk.sizing.lots import split_lots

    weights = {}
    for word in shares:
        name, _, number = word.partition("=")
        try:
            weights[name] = float(number)
        except ValueError:
            weights[name] = -1.0
        if not (name and isfinite(weights[name]) and weights[name] >= 0):
            fail(USAGE, f"--share: expected ACCOUNT=RUPEES, found {word!r}")
    return split_lots(lots, weights) if weights else {}


def _orders(units: int, lot: Lot) -> list[int]:
    """Units of each order, as the router slices them."""
    from mytrading.core.orders.slicing import Unsliceable, slice_quantities

    try:
        return list(slice_quantities(units, lot.sizes)) if units else []
    except Unsliceable:
        return []


def _figures(name: str, day: str, profile: str) -> tuple[RiskTables, date, Lot]:
    """The figures of config/risk.toml, the day they are for, and the lot of the instrument on it."""
    from mytrading.adapters.storage.instrument_store import NOTHING, InstrumentFile
    from mytrading.cli.shell.target import (
        load_calendar,
        load_contract_facts,
        load_risk_tables,
        market_now,
        started_config,
    )
    from mytrading.core.risk.sizing.size_calculator import UnknownLot, lot_on
    from mytrading.orchestrator import NotRunning

    home = project_folder()
    tables = load_risk_tables(home)
    try:
        when = date.fromisoformat(day) if day else ist_date(market_now(profile))
    except ValueError:
        fail(USAGE, f"--day: expected a date like 2026-11-23, found {day!r}")
    try:
        listed = InstrumentFile(started_config(profile).state).of_day(when.isoformat()) or NOTHING
    except NotRunning:
        listed = NOTHING
    try:
        facts, calendar = load_contract_facts(home), load_calendar(home)
        return tables, when, lot_on(name.upper(), when, listed.instruments, listed.day, tables, facts, calendar)
    except UnknownLot as error:
        fail(USAGE, str(error))
