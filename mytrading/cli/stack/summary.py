"""What a start found, in lines for a person: printed by `up` and `status`."""

from __future__ import annotations

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
