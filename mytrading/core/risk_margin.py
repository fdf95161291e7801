"""Margin as risk asks for it: what a leg or a basket needs in an account, what is free there, and the learnt buffer.

Used by `core/risk_entries` and `core/risk_sizing`. The one rule: a requirement is what the table says or, if that is
more, what the broker has answered for the same legs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from mytrading.core import margin
from mytrading.core.margin import MarginLeg, by_margin
from mytrading.core.risk_scene import Scene
from mytrading.core.risk_state import RiskState
from mytrading.core.sizing import is_bought_only
from mytrading.messages.enums import OrderState, Product
from mytrading.messages.orders import OrderChanged
from mytrading.messages.records import LevelMoved

BUFFER, REFUSED = "margin_buffer:", "margin_refused:"
"""How the names of the levels begin that hold an account's buffer, and that it was refused today."""
_REFUSAL = re.compile(
    r"insufficient (funds|margin|balance)|margin (shortfall|exceeds)|rms:.*margin|shortage:", re.IGNORECASE
)


class Margins:
    """Asks the state, changes nothing."""

    def __init__(self, state: RiskState, scene: Scene) -> None:
        self._state = state
        self._scene = scene

    def leg(self, instrument: str, units: int, price: float, product: Product) -> MarginLeg | None:
        """A leg with today's contract; None where the instrument is not listed."""
        found = self._scene.instruments.get(instrument)
        return MarginLeg(found, units, price, product) if found is not None else None

    def alone(self, leg: MarginLeg, now: int) -> float:
        """Rupees that a leg needs by itself, without a buffer."""
        return margin.alone(leg, self._scene.tables, self._scene.calendar.trading_day(now))

    def needed(self, legs: Sequence[MarginLeg], strategy: str, watch: str, account: str, now: int) -> float:
        """Rupees that legs need beyond what their owner holds for the same watched instrument, with the buffer.

        Only what is valued by margin has one: the premium of an option and the price of a share are certain.
        """
        held = self.held(strategy, watch, account)
        day = self._scene.calendar.trading_day(now)
        plain = margin.added(legs, held, self._scene.tables, day)
        if not any(by_margin(leg.instrument, leg.units) for leg in legs):
            return plain
        return plain * (1 + self._kept_back(strategy, account))

    def held(self, strategy: str, watch: str, account: str) -> list[MarginLeg]:
        """What a strategy holds in an account for a watched instrument."""
        mine = (p for p in self._state.held(strategy, watch) if p.account == account)
        legs = (self.leg(p.instrument, p.quantity, p.average_price, p.product) for p in mine)
        return [leg for leg in legs if leg is not None]

    def free(self, account: str, legs: Sequence[MarginLeg]) -> float | None:
        """Rupees free for legs: cash for what only buys options, cash and collateral for all else."""
        if is_bought_only(legs):
            return self._state.margin.cash(account)
        return self._state.margin.free(account, self._scene.tables.collateral_share)

    def cash(self, account: str) -> float | None:
        """Rupees of cash that are free."""
        return self._state.margin.cash(account)

    def available(self, account: str) -> float | None:
        """Rupees of cash and collateral that are free."""
        return self._state.margin.free(account, self._scene.tables.collateral_share)

    def buffer(self, account: str) -> float:
        """What is kept free beyond a requirement, as a fraction of it."""
        return self._state.levels.get(f"{BUFFER}{account}", self._scene.tables.buffer.least)

    def _kept_back(self, strategy: str, account: str) -> float:
        """A strategy that uses a share of the margin keeps the rest free; only what refusals taught comes on top."""
        run = self._scene.strategies.get(strategy)
        fixed = run is None or run.sizing.by in ("fixed", "risk")
        return self.buffer(account) if fixed else self.learnt(account)

    def learnt(self, account: str) -> float:
        """What refusals have added to the buffer."""
        return max(self.buffer(account) - self._scene.tables.buffer.least, 0.0)

    def figures(self) -> dict[str, float]:
        """What each account has free, in cash, reserved and kept back, in rupees and for the buffer as a fraction."""
        found: dict[str, float] = {}
        for account in self._state.margin.funds:
            found[f"margin_free:{account}"] = round(self.available(account) or 0.0, 2)
            found[f"margin_cash:{account}"] = round(self.cash(account) or 0.0, 2)
            found[f"margin_reserved:{account}"] = round(self._state.margin.allocated(account), 2)
            found[f"{BUFFER}{account}"] = self.buffer(account)
        return found

    # learning

    def after_refusal(self, message: Any, now: int) -> list[Any]:
        """An order of ours that the broker refused for want of margin raises its account's buffer."""
        if not isinstance(message, OrderChanged) or message.order.state is not OrderState.REJECTED:
            return []
        order = message.order
        if not _REFUSAL.search(order.message) or (order.parent or order.client_order_id) not in self._state.issued:
            return []
        raised = margin.buffer_after_refusal(self.buffer(order.account), self._scene.tables.buffer)
        return [
            LevelMoved(name=f"{BUFFER}{order.account}", value=raised, at_ns=now),
            LevelMoved(name=f"{REFUSED}{order.account}", value=1.0, at_ns=now),
        ]

    def carried(self) -> dict[str, float]:
        """The buffers with which the next day begins."""
        rule, levels = self._scene.tables.buffer, self._state.levels
        refused = {name.removeprefix(REFUSED) for name in levels if name.startswith(REFUSED)}
        buffers = {
            name: value if name.removeprefix(BUFFER) in refused else margin.buffer_after_quiet_day(value, rule)
            for name, value in levels.items()
            if name.startswith(BUFFER)
        }
        return {name: value for name, value in buffers.items() if value > rule.least}
