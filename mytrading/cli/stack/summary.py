"""Lines that `up` and `status` print: recovery of each account, faulted strategies, active alerts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_KINDS = (
    ("adopted", "adopted"),
    ("ended", "ended while away"),
    ("corrected", "corrected"),
    ("unmanaged", "unmanaged"),
    ("expired", "expired"),
    ("unresolved", "of unknown fate"),
)


def recovery_lines(rows: list[dict[str, Any]]) -> list[str]:
    """One line for each account, and one for each difference in it."""
    lines = []
    for row in rows:
        if not row["done"]:
            lines.append(f"recovery of {row['account']}: its books are being compared, entries wait")
            continue
        counts = f"{row.get('orders', 0)} live orders and {row.get('positions', 0)} positions journaled"
        foreign = f", {row['foreign']} orders of others" if row.get("foreign") else ""
        agree = "" if any(row.get(name) for name, _ in _KINDS) else "; the books agree"
        lines.append(f"recovery of {row['account']}: {counts}{foreign}{agree}")
        lines += [f"  {words}: {text}" for name, words in _KINDS for text in row.get(name, ())]
    return lines


def troubles(strategies: Sequence[dict[str, Any]], alerts: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each, in the words of the gateway's rows; empty when all is well."""
    faulted = [row for row in strategies if row["state"] == "FAULTED"]
    return [
        *(f"strategy {row['name']} is faulted and does nothing: {row['problem']}" for row in faulted),
        *(
            f"alert {row['code']} {row['subject']}: {row['message']}"
            for row in alerts
            if row["code"] != "STRATEGY_FAULTED" or row["subject"] not in {fault["name"] for fault in faulted}
        ),
    ]
