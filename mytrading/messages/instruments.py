"""Instruments that can be watched and traded, with the lot, tick and freeze quantity of the day."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class InstrumentKind(StrEnum):
    """INDEX can be watched only; EQ is a share or fund; CE and PE are calls and puts."""

    INDEX = "INDEX"
    EQ = "EQ"
    FUT = "FUT"
    CE = "CE"
    PE = "PE"

    is_option: bool
    """True for calls and puts."""
    is_derivative: bool
    """True for what expires: futures and options."""


for _kind in InstrumentKind:  # once: every rule asks
    _kind.is_option = _kind in (InstrumentKind.CE, InstrumentKind.PE)
    _kind.is_derivative = _kind.is_option or _kind is InstrumentKind.FUT


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """One contract. `id` is `EXCHANGE:SYMBOL`, `expiry` an ISO date or empty, `freeze_qty` 0 where none is known."""

    id: str
    exchange: str
    symbol: str
    kind: InstrumentKind
    underlying: str
    expiry: str = ""
    strike: float = 0.0
    lot_size: int = 1
    tick_size: float = 0.05
    freeze_qty: int = 0
    token: str = ""
    name: str = ""


class InstrumentRefusal(msgspec.Struct, frozen=True):
    """Reason that no position may be opened today in contracts of `subject` (an underlying, or empty for all).

    `contracts_only`: the share of that name may be traded. `rules`: only options whose expiry is chosen by one of these
    rules are meant (`nearest` …). `key` is what an operator may accept, such as "lot 75, table 65"; empty for what
    cannot be accepted.
    """

    subject: str
    reason: str
    contracts_only: bool = False
    rules: tuple[str, ...] = ()
    key: str = ""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The master contract of a day: the instruments that are watched and traded.

    `day` (ISO) and `fetched_ns` (market time) are those of the last fetch. Instruments of a refused subject are of
    `good_day`, when they were last in order, so that positions can still be closed. `kept` are contracts of an earlier
    day whose rows were left out today or are missing: found by id for what is held, neither chosen nor entered.
    `unchecked` names underlyings that our table of contracts lacks, `accepted` says what an operator has accepted.
    """

    day: str
    fetched_ns: int
    instruments: tuple[Instrument, ...] = ()
    refusals: tuple[InstrumentRefusal, ...] = ()
    notes: tuple[str, ...] = ()
    good_day: str = ""
    kept: tuple[Instrument, ...] = ()
    unchecked: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
