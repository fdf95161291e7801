"""State of an order machine, as bytes to compare: for tests that decide twice, or replay a journal."""

from __future__ import annotations

import msgspec

from mytrading.core.oms import OrderMachine
from mytrading.core.oms.state.state import TABLES


def state_digest(machine: OrderMachine) -> bytes:
    """All tables of the state, equal for equal knowledge whatever the way to it; machine time is not part of it."""
    state = machine.state
    levels = {name: [(key, _plain(value)) for key, value in getattr(state, name).sorted_items()] for name in TABLES}
    return msgspec.msgpack.encode(levels)


def _plain(value: object) -> object:
    """Equal sets may give their names in different orders."""
    return sorted(value) if isinstance(value, frozenset) else value
