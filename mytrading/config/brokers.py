"""The table of brokers, package data: what each broker behind OpenAlgo says and does (`messages/brokers.py`)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec

from mytrading.messages.brokers import BrokerRules

FILE = Path(__file__).with_name("brokers.toml")


@cache
def load_brokers() -> dict[str, BrokerRules]:
    """Return the rows of the table by OpenAlgo's name of the broker; do not change the dict."""
    rows = msgspec.toml.decode(FILE.read_bytes(), type=dict[str, BrokerRules])
    return {name: msgspec.structs.replace(row, name=name) for name, row in sorted(rows.items())}
