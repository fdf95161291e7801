"""The gateway's verb for screens that need quotes of more than is traded: they look, again and again, while they show.

Used by `Answers`. The one rule: looking never trades; it only asks the feed for quotes, and ends by itself.
"""

from __future__ import annotations

from typing import Any

from mytrading.core.feed.lookers import LEASE_NS, MOST, Lookers
from mytrading.daemons.usage import UsageError
from mytrading.runtime.clock import machine_now


class LookVerbs:
    """Part of `Answers`, which holds `lookers`."""

    lookers: Lookers

    def _verb_look(self, arguments: dict[str, str]) -> Any:
        who = arguments.get("who", "")
        names = [name for name in arguments.get("instruments", "").split(",") if name]
        if not who:
            raise UsageError("expected who looks (who=…), found nothing")
        if len(names) > MOST:
            raise UsageError(f"expected at most {MOST} instruments to look at, found {len(names)}; show fewer strikes")
        self.lookers.look(who, names, machine_now())
        return {"instruments": len(names), "lease_s": LEASE_NS // 1_000_000_000}
