"""Waiting for what a request to the stack comes to: an answer of the router, or an account that is flat.

Used by commands of a person. The one rule: a command that gave up waiting says that the request goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mytrading.cli.output import ERROR, TIMED_OUT, fail

if TYPE_CHECKING:
    from mytrading.orchestrator import TradingOrchestrator

ANSWER_S = 15.0
_POLL_S = 0.1
_FLAT_POLL_S = 0.25
_GRACE_S = 3.0


def answered(stack: TradingOrchestrator, request: str) -> str:
    """What the router said of a request; a refusal ends the command, and so does no answer in time."""
    until = time.monotonic() + ANSWER_S
    while not (body := stack.ask("request", id=request))["answered"]:
        if time.monotonic() >= until:
            fail(TIMED_OUT, f"no answer to {request} within {ANSWER_S:g} s; it stands, see `mytrading status`")
        time.sleep(_POLL_S)
    if not body["ok"]:
        fail(ERROR, str(body["message"]))
    return str(body["message"])


def until_flat(
    stack: TradingOrchestrator, ids: list[str], seconds: float, progress: Callable[[str], None]
) -> list[dict[str, Any]]:
    """The flattens of these ids when all are flat, or as they stand a moment after the deadline; news are told."""
    until, told = time.monotonic() + seconds + _GRACE_S, ""
    while True:
        rows: list[dict[str, Any]] = stack.ask("flattens", ids=",".join(ids))
        if all(row["flat"] for row in rows) or time.monotonic() >= until:
            return rows
        if (news := "; ".join(left_of(rows))) != told:
            told = news
            progress(f"not flat yet, {max(until - time.monotonic() - _GRACE_S, 0):.0f} s left: {news}")
        time.sleep(_FLAT_POLL_S)


def left_of(rows: list[dict[str, Any]]) -> list[str]:
    """What keeps the accounts from being flat, in words."""
    return [f"{row['account']}: {left}" if "account" in row else left for row in rows for left in row["left"]]
