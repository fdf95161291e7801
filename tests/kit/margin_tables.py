"""Contracts and margin tables of one day."""

from __future__ import annotations

import tomllib
from datetime import date

from mytrading.core.accounting.margin_tables import RiskTables
from mytrading.messages.instruments import Instrument, InstrumentKind
from tests.kit.project import ROOT

TEXT = (ROOT / "config" / "risk.toml").read_text(encoding="utf-8")
TABLES = RiskTables.from_dict(tomllib.loads(TEXT))
TODAY = date(2026, 11, 23)
EXPIRY, LATER = "2026-11-23", "2026-12-29"


def contract(kind: InstrumentKind, expiry: str = LATER, underlying: str = "NIFTY", strike: float = 26000) -> Instrument:
    symbol = f"{underlying}{expiry}{strike:g}{kind.value}"
    return Instrument(
        id=f"NFO:{symbol}", exchange="NFO", symbol=symbol, kind=kind, underlying=underlying, expiry=expiry,
        strike=strike, lot_size={"NIFTY": 65, "BANKNIFTY": 30, "SENSEX": 20}.get(underlying, 65),
    )  # fmt: skip
