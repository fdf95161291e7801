"""How brokers differ from one another behind OpenAlgo, as tables: names of fields, forms of time, changes of orders.

Used by `books` and, for changes, by the router. Add a broker's habit here, never a branch there. The one rule: a
broker's time is told to people and never decides anything: it has no zone, counts whole seconds, and at many brokers
moves with every change of the order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from mytrading.core.order import ModifyRules

NAMES: Mapping[str, tuple[str, ...]] = {
    "pricetype": ("pricetype", "price_type"),  # the sandbox's order status
    "rejection_reason": ("rejection_reason", "reason"),  # Samco, IIFL Capital; 5paisa
}
"""Where a field may stand in a row, the usual name first."""

USUAL_MODIFY_RULES = ModifyRules(most=25)
MODIFY_RULES: Mapping[str, ModifyRules] = {
    "zerodha": ModifyRules(most=25, after_fill=False),  # none after a part has filled, as users tell
}
"""How a broker takes changes of resting orders, where it is known to differ from the usual."""

TIME_FORMS = (
    "%Y-%m-%d %H:%M:%S",  # sandbox, Zerodha
    "%Y-%m-%dT%H:%M:%S",
    "%d-%b-%Y %H:%M:%S",  # Angel
    "%d-%m-%Y %H:%M:%S",  # XTS brokers
    "%d/%m/%Y %H:%M:%S",
    "%H:%M:%S %d-%m-%Y",  # Firstock, Shoonya
    "%d-%b-%Y %I:%M:%S %p",
    "%Y%m%d%H%M%S",
)
"""Times without a zone are those of India."""

_INDIA = timezone(timedelta(hours=5, minutes=30))
_EPOCHS = ((1e18, 1), (1e15, 1_000), (1e12, 1_000_000), (1e9, 1_000_000_000))


def modify_rules(broker: str) -> ModifyRules:
    """The rules of a broker by OpenAlgo's name for it; the usual ones where nothing else is known."""
    return MODIFY_RULES.get(broker.lower(), USUAL_MODIFY_RULES)


def values(row: Mapping[str, Any], name: str) -> Iterator[Any]:
    """What a row has for a field, under any of its names, the usual one first."""
    for key in NAMES.get(name, (name,)):
        if key in row and row[key] is not None and row[key] != "":
            yield row[key]


def value(row: Mapping[str, Any], name: str) -> Any:
    """The first of `values`, or None."""
    return next(values(row, name), None)


def time_ns(given: Any) -> int:
    """A broker's time in ns UTC: a text in one of `TIME_FORMS`, or a count since 1970; 0 if it cannot be read."""
    if isinstance(given, bool) or given is None:
        return 0
    text = f"{given!s:.40}".strip()
    with suppress(ValueError):
        if counted := _since_1970(float(text)):
            return counted
    plain = text.split(".")[0].removesuffix("Z")
    zone = UTC if text.endswith("Z") else _INDIA
    for form in TIME_FORMS:
        with suppress(ValueError, OverflowError):
            return int(datetime.strptime(plain, form).replace(tzinfo=zone).timestamp()) * 1_000_000_000
    with suppress(ValueError, OverflowError):
        found = datetime.fromisoformat(text)
        return int((found if found.tzinfo else found.replace(tzinfo=_INDIA)).timestamp()) * 1_000_000_000
    return 0


def _since_1970(count: float) -> int:
    """Seconds, milliseconds, microseconds or nanoseconds, told apart by their size; other numbers are no time."""
    unit = next((unit for least, unit in _EPOCHS if least <= count < least * 10), 0)
    return int(count) * unit
