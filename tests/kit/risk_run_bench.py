"""A bench whose strategy has rules of its own and may trade in several accounts."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.state.environment import RiskEnvironment
from mytrading.messages.commands import CloseGoal
from mytrading.messages.enums import OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.exit_rules import StrategyRules
from mytrading.messages.market import Quote
from mytrading.messages.orders import OrderChanged, Position, PositionChanged
from mytrading.messages.risk_events import RiskEventRecorded
from mytrading.messages.run_config import RiskLimits
from tests.kit.order_samples import order_of
from tests.kit.risk_bench import LIMITS, RiskBench

TRAILING_ON = replace(LIMITS, trailing_stop_enabled=True, max_daily_loss=1e9, max_drawdown=0.9)
"""Limits of the day stay out of the way of what is tested."""


APART = 0.1
"""Seconds between quotes that confirm one another."""


class RunBench(RiskBench):
    """As `RiskBench`, for strategy S with these rules; `again` is the bench after a crash, from its journaled rows."""

    def __init__(
        self,
        rules: StrategyRules,
        limits: RiskLimits = TRAILING_ON,
        accounts: tuple[str, ...] = (),
        product: Product = Product.NRML,
        intraday: bool = False,
    ) -> None:
        super().__init__(limits)
        (run,) = self.parts[2]
        run = replace(run, rules=rules, accounts=accounts, intraday=intraday)
        self.parts = (*self.parts[:2], (run,), *self.parts[3:])
        self.product = product
        self.positions: dict[tuple[str, str], Position] = {}
        self._restart()

    def _restart(self) -> None:
        self.machine = RiskMachine(RiskEnvironment(*self.parts))
        self.machine.set_machine_time(self.machine_ns)
        self.beat()

    def again(self, journaled: list[Any]) -> None:
        """Killed: a new machine learns the rows that were in the journal."""
        self._restart()
        for row in journaled:
            self.machine.apply(row)

    def next_day(self) -> None:
        """The day turns: a new machine begins with what is carried over."""
        opened = self.machine.snapshot("2026-03-19")
        self._restart()
        self.machine.apply(opened)

    def take(
        self, instrument: str, quantity: int, price: float, account: str = "main", realised: float = 0.0
    ) -> tuple[Any, ...]:
        """The router tells that a position is this now."""
        before = self.positions.get((account, instrument))
        fresh = before is None or not before.quantity
        position = Position(
            account=account, instrument=instrument, product=self.product, strategy="S", run="r", quantity=quantity,
            quantity_seen=quantity, average_price=price if quantity else 0.0, realised=realised,
            opened_ns=self.now if fresh else before.opened_ns, updated_ns=self.now,
            trip_quantity=abs(quantity), trip_value=abs(quantity) * price,
        )  # fmt: skip
        self.positions[account, instrument] = position
        return self.give(
            PositionChanged(position=position, client_order_id="", fill_quantity=0, fill_price=price, at_ns=self.now)
        )

    def at(self, instrument: str, bid: float, ask: float | None = None, seconds: float = 1.0) -> tuple[Any, ...]:
        """Two quotes that agree, the second some seconds later: bid and ask (the same unless given)."""
        first = self.once(instrument, bid, ask, max(seconds - APART, 0.0))
        return (*first, *self.once(instrument, bid, ask, min(seconds, APART)))

    def once(self, instrument: str, bid: float, ask: float | None = None, seconds: float = 1.0) -> tuple[Any, ...]:
        """One quote alone."""
        self.now += round(seconds * 1e9)
        self.machine_ns += round(seconds * 1e9)
        self.machine.set_machine_time(self.machine_ns)
        high = bid if ask is None else ask
        return self.give(Quote(instrument, self.now, self.machine_ns, (bid + high) / 2, bid, high))

    def exit_order(self, goal: CloseGoal, name: str) -> tuple[Any, ...]:
        """The router tells of an exit order for a goal."""
        order = order_of(
            client_order_id=name, account=goal.account, instrument=goal.instrument, product=goal.product, strategy="S",
            run=goal.run, cause=goal.cause, purpose=Purpose.EXIT, side=Side.SELL, quantity=65, goal=goal.id,
            order_type=OrderType.MARKET, state=OrderState.SUBMITTED, created_ns=self.now, updated_ns=self.now,
        )  # fmt: skip
        return self.give(OrderChanged(event="submitted", order=order, machine_ns=self.machine_ns))


def events(rows: Any) -> list[RiskEventRecorded]:
    return [row for row in rows if isinstance(row, RiskEventRecorded)]


def goals(rows: Any) -> list[CloseGoal]:
    return [row for row in rows if isinstance(row, CloseGoal)]
