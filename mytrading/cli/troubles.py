"""What a person must hear of a stack that is ready or ends: strategies that cannot run, and alerts that stand.

Used by the foreground of `up`. The one rule: a strategy that does nothing is named, so that nobody takes it for a quiet
market.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


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
