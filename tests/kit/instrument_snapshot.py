"""A small instrument master."""

from __future__ import annotations

import tomllib
from datetime import date
from typing import Any

from mytrading.core.calendar import Calendar
from mytrading.core.instruments.contract_specs import ContractFacts, list_instruments
from mytrading.messages.instruments import Instrument, InstrumentKind, Snapshot
from tests.kit.project import ROOT

FACTS = ContractFacts.from_dict(tomllib.loads((ROOT / "config/instruments.toml").read_text(encoding="utf-8")))
CALENDAR = Calendar.from_dict(tomllib.loads((ROOT / "config/calendar.toml").read_text(encoding="utf-8")))
ODD = Instrument(id="NSE:B&B", exchange="NSE", symbol="B&B", kind=InstrumentKind.EQ, underlying="B&B", token="20,\"31",
                 name="BEN & BOB")  # fmt: skip


def snapshot(day: str, **fields: Any) -> Snapshot:
    rows = list_instruments(FACTS, CALENDAR, date(2026, 11, 20), {"NIFTY": 26_010.0})
    return Snapshot(**{"day": day, "fetched_ns": 1, "instruments": (*rows, ODD), "good_day": day, **fields})
