"""A share whose price a test sets on a stack, and how limits record their actions."""

from __future__ import annotations

from typing import Any

from tests.kit.stack import Stack

RECORDED = {"alert": "alert_only", "no_entries": "no_entries", "close_legs": "close_all", "flatten": "flatten",
            "halt": "halt"}  # fmt: skip


def push(stack: Stack, **fields: Any) -> None:
    """Make a quote of the share the market."""
    stack.sim("market", symbol="INFY", exchange="NSE", **fields)
