"""The margin tables of `config/risk.toml`: figures per lot by date, shares of value, profiles and grades.

The expiry column of a figure counts for contracts that expire on the day it is wanted for, and for no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum

import msgspec

from mytrading.core.text.spelling import convert_parsed_file
from mytrading.messages.instruments import Instrument, InstrumentKind

FIXED, BY_RISK = "fixed", "risk"
"""Ways of sizing that need no share of margin: the lots as they are, and rupees at risk over the stop's distance."""
LASTING_GRADES = ("A", "B", "C")


class TradeType(StrEnum):
    """Kind of a lot, by margin: a sold call or put, both together, a future, a bought option. Values name columns."""

    SOLD = "sold"
    BOTH_SOLD = "both_sold"
    FUTURE = "future"
    BOUGHT = "bought"


class Figure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rupees per lot: of contracts that expire today, and of all others."""

    expiry: float
    other: float

    def rupees(self, expires: bool) -> float:
        """Return the rupees per lot; `expires` if the contract expires today."""
        return self.expiry if expires else self.other


class MarginFigures(msgspec.Struct, frozen=True, kw_only=True, rename={"since": "from"}, forbid_unknown_fields=True):
    """The figures of some underlyings from a date on.

    `lots` names the units of a lot that the rupees are for, by underlying: a contract of another lot is charged in
    proportion, one that is not named as it is. `exposure` is the share of the value of sold options that is charged
    beyond the most that they can lose with the options that hedge them.
    """

    since: date
    underlyings: tuple[str, ...]
    sold: Figure
    both_sold: Figure
    future: Figure
    bought: Figure
    exposure: Figure = Figure(expiry=0.04, other=0.02)
    lots: dict[str, int] = {}

    def figure(self, kind: TradeType) -> Figure:
        """Return the rupees per lot of a trade type, on expiry day and on other days."""
        columns: Figure = getattr(self, kind.value)
        return columns


class LotSize(msgspec.Struct, frozen=True, kw_only=True, rename={"since": "from"}, forbid_unknown_fields=True):
    """Units of a lot and of the largest order of an underlying, on the days from `since` to `until`."""

    underlying: str
    since: date
    until: date
    lot: int
    freeze: int

    @property
    def max_lots(self) -> int:
        """Largest order in lots by the exchange's freeze quantity; at least 1."""
        return max(self.freeze // self.lot, 1)


class ValueShares(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Margin as a share of value: of contracts that no figure names, and of shares; `exposure` of hedged options."""

    future: float = 0.20
    sold: float = 0.20
    equity_intraday: float = 0.20
    equity_delivery: float = 1.0
    exposure: float = 0.05


class BufferRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Margin kept free beyond a requirement, as fractions of it."""

    least: float = 0.10
    most: float = 0.20
    step: float = 0.02


class Source(StrEnum):
    """Base of a share: cash and collateral (for sellers), or cash alone; `fitting` is by the intent."""

    FITTING = "fitting"
    AVAILABLE = "available"
    CASH = "cash"


class BrokerMargin(StrEnum):
    """The use of a broker's own figure for legs beside the table's: the larger of both, or the broker's alone."""

    LARGER = "larger"
    REPLACES = "replaces"


class Share(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The share of an account's free margin that is used, and the kind of margin."""

    share: float
    source: Source = Source.FITTING


class RiskTables(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of `config/risk.toml`."""

    margin: tuple[MarginFigures, ...] = ()
    shares: ValueShares = ValueShares()
    buffer: BufferRule = BufferRule()
    profiles: dict[str, float | Share] = {}
    grades: dict[str, float | Share] = {}
    lots: tuple[LotSize, ...] = ()
    max_lots_per_leg: int = 100
    collateral_share: float = 1.0
    broker_margin: BrokerMargin = BrokerMargin.LARGER

    @classmethod
    def from_dict(cls, parsed: Mapping[str, object], source: str = "config/risk.toml") -> RiskTables:
        """Build the tables from a parsed TOML file; `ValueError` names `source`, key and what was expected."""
        tables = convert_parsed_file(parsed, cls, source)
        if problems := list(_problems(tables)):
            raise ValueError("\n".join(f"{source}: {problem}" for problem in problems))
        return tables

    def figures_of(self, underlying: str, day: date) -> MarginFigures | None:
        """Return an underlying's margin figures for `day` (its earliest if `day` is before); None if it has none."""
        mine = sorted((row for row in self.margin if underlying in row.underlyings), key=lambda row: row.since)
        return next((row for row in reversed(mine) if row.since <= day), mine[0] if mine else None)

    def lot_size_of(self, underlying: str, day: date) -> LotSize | None:
        """Return an underlying's lot size and freeze quantity valid on `day`; None if the table does not have them."""
        mine = (row for row in self.lots if row.underlying == underlying)
        return next((row for row in mine if row.since <= day <= row.until), None)

    def margin_share_of(self, sizing: str) -> Share:
        """Return the fraction of free margin that a sizing profile or grade uses; `ValueError` if it is unknown."""
        word = sizing_key(sizing)
        found = self.profiles.get(word, self.grades.get(word.upper()))
        if found is None:
            known = ", ".join((FIXED, BY_RISK, *self.profiles, *self.grades))
            raise ValueError(f"sizing {sizing!r}: expected one of {known}; add a grade to config/risk.toml")
        return found if isinstance(found, Share) else Share(found)


def sizing_key(sizing: str) -> str:
    """Return a sizing profile or grade in the form used as key: `Balanced` as `balanced`, `grade_B` as `b`."""
    return sizing.strip().lower().removeprefix("grade_")


def trade_type(instrument: Instrument, sold: bool) -> TradeType | None:
    """Return the kind of trade whose margin an instrument needs, sold or bought; None for shares and indices."""
    if instrument.kind is InstrumentKind.FUT:
        return TradeType.FUTURE
    if not instrument.kind.is_option:
        return None
    return TradeType.SOLD if sold else TradeType.BOUGHT


def _problems(tables: RiskTables) -> list[str]:
    shares = {
        **{f"profiles.{name}": value for name, value in tables.profiles.items()},
        **{f"grades.{name}": value for name, value in tables.grades.items()},
    }
    plain = {key: value.share if isinstance(value, Share) else value for key, value in shares.items()}
    found = [f"{key} = {value:g}: expected more than 0 and at most 1" for key, value in plain.items()
             if not 0 < value <= 1]  # fmt: skip
    found += [
        f"grades.{name} is missing: grades A, B and C stay" for name in LASTING_GRADES if name not in tables.grades
    ]
    found += [f"grades.{name}: expected capitals, say {name.upper()}" for name in tables.grades if name != name.upper()]
    found += [f"profiles.{name}: expected small letters" for name in tables.profiles if name != name.lower()]
    found += _figure_problems(tables)
    buffer = tables.buffer
    if not 0 <= buffer.least <= buffer.most < 1 or buffer.step <= 0:
        found.append(
            f"buffer = {buffer.least:g} to {buffer.most:g} by {buffer.step:g}: expected 0 ≤ least ≤ most < 1, step > 0"
        )
    if tables.max_lots_per_leg < 1:
        found.append(f"max_lots_per_leg = {tables.max_lots_per_leg}: expected at least 1")
    if not 0 <= tables.collateral_share <= 1:
        found.append(f"collateral_share = {tables.collateral_share:g}: expected 0 to 1")
    return found


def _figure_problems(tables: RiskTables) -> list[str]:
    found = []
    for row in tables.margin:
        for kind in TradeType:
            figure = row.figure(kind)
            if min(figure.expiry, figure.other) <= 0:
                found.append(f"margin of {', '.join(row.underlyings)}, {kind.value}: expected rupees above 0")
        if not (0 < row.exposure.expiry < 1 and 0 < row.exposure.other < 1):
            found.append(f"margin of {', '.join(row.underlyings)}, exposure: expected shares above 0 and below 1")
        found += [
            f"margin of {', '.join(row.underlyings)}, lots.{name} = {lot}: expected units of 1 or more, of one of them"
            for name, lot in row.lots.items()
            if lot < 1 or name not in row.underlyings
        ]
    shares = {name: getattr(tables.shares, name) for name in ValueShares.__struct_fields__}
    found += [f"shares.{name} = {value:g}: expected more than 0" for name, value in shares.items() if value <= 0]
    return found + [
        f"lots of {lots.underlying} from {lots.since}: expected a lot of 1 to 1000, a freeze quantity from the "
        f"lot to 50000 and until not before from; found {lots.lot}, {lots.freeze}, {lots.until}"
        for lots in tables.lots
        if not 1 <= lots.lot <= 1000 or not lots.lot <= lots.freeze <= 50_000 or lots.until < lots.since
    ]
