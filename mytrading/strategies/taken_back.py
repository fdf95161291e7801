"""Entries that a person cancelled before anything of them was filled.

Used by the engine's machine; strategies of legs enter nothing more that day. The one rule: a request and the end
that it led to may be heard in either order, and a change of prices that a person asked for is no cancel.
"""

from __future__ import annotations

from mytrading.core.order import TERMINAL
from mytrading.messages.control import CancelRequested
from mytrading.messages.orders import Order


class TakenBack:
    """Learns from requests and orders."""

    def __init__(self) -> None:
        self._cancels: set[str] = set()
        self._ended: dict[str, tuple[str, int]] = {}
        self._at: dict[str, int] = {}

    def asked(self, request: CancelRequested) -> str:
        """A person asked for a cancel; the strategy whose entry it ended, empty if none (yet)."""
        self._cancels.add(request.id)
        return self._note(request.id)

    def order_changed(self, order: Order) -> str:
        """An order moved; the strategy whose entry a person's cancel ended, empty if this is no such end."""
        if not order.request or order.purpose.reduces or order.state not in TERMINAL or order.filled:
            return ""
        self._ended[order.request] = order.strategy, order.updated_ns
        return self._note(order.request)

    def last(self, strategy: str) -> int:
        """Market time at which an entry of a strategy was last taken back, 0 if never."""
        return self._at.get(strategy, 0)

    def _note(self, request: str) -> str:
        if request not in self._cancels or request not in self._ended:
            return ""
        strategy, at_ns = self._ended[request]
        self._at[strategy] = max(at_ns, self.last(strategy))
        return strategy
