"""The table of brokers, package data: what each broker behind OpenAlgo says and does (`messages/brokers.py`)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import msgspec

from mytrading.messages.brokers import BrokerRules, find_broker

FILE = Path(__file__).with_name("brokers.toml")


@cache
def load_brokers() -> dict[str, BrokerRules]:
    """Return the rows of the table by OpenAlgo's name of the broker; do not change the dict."""
    rows = msgspec.toml.decode(FILE.read_bytes(), type=dict[str, BrokerRules])
    return {name: msgspec.structs.replace(row, name=name) for name, row in sorted(rows.items())}


def accepted_brokers(words: Iterable[str]) -> tuple[str, ...]:
    """Return OpenAlgo's names of the brokers in a setting, which may give aliases; without those that no row has."""
    found = (find_broker(load_brokers(), word).name for word in words)
    return tuple(dict.fromkeys(name for name in found if name))
