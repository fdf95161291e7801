"""A risk machine that asks for margins, and is answered."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.state.environment import RiskEnvironment
from mytrading.messages.commands import CloseGoal, PlaceEntry, SignalDenied
from mytrading.messages.enums import Action, OrderState, OrderType, Product, Purpose
from mytrading.messages.orders import OrderChanged, Position, PositionChanged
from mytrading.messages.reports import AccountHealth, Funds
from mytrading.messages.run_config import Direction, RateLimits, SizingRule, StopPlan, StrategyRun
from mytrading.messages.signals import Leg
from tests.kit.margin_tables import TABLES
from tests.kit.order_samples import order_of
from tests.kit.risk_bench import CALL, LIMITS, PUT, SECOND, SHARE, WATCH, RiskBench, codes

FUTURE = "NFO:NIFTY30MAR26FUT"
LOT = 65
NONE_OF_IT = replace(LIMITS, max_position_size=1e9, max_order_size=1e9, max_daily_loss=1e9)
SHORT_CALL, SHORT_PUT = Leg(instrument=CALL, lots=-1), Leg(instrument=PUT, lots=-1)


class MarginBench(RiskBench):
    """A bench with the shipped figures, one strategy in some accounts, and funds as their broker reports them."""

    def __init__(self, sizing: SizingRule | None = None, accounts: tuple[str, ...] = ("main",)) -> None:
        super().__init__(NONE_OF_IT)
        run = StrategyRun(
            name="S", file="s.py", symbols=(WATCH,), long=None, short=None, direction=Direction.BOTH,
            accounts=accounts, sizing=sizing or SizingRule(), stop=StopPlan.NONE,
        )  # fmt: skip
        limits, rates, _, _, calendar, book, square_off = self.parts
        self.machine = RiskMachine(RiskEnvironment(limits, rates, (run,), "main", calendar, book, square_off))
        self.machine.environment.tables = TABLES
        self.accounts = accounts
        self.beat()
        for instrument in (CALL, PUT, FUTURE):
            self.quote(instrument)

    def beat(self) -> None:
        super().beat()
        for account in getattr(self, "accounts", ()):
            health = AccountHealth(account=account, connected=True, right_mode=True, stream_up=True, books_agree=True)
            self.machine.apply(health)

    def fund(self, available: float, account: str = "main", collateral: float = 0.0) -> None:
        self.machine.apply(
            Funds(
                account=account, available=available, used=0.0, collateral=collateral, machine_ns=self.machine_ns,
                began_machine_ns=self.machine_ns,
            )
        )  # fmt: skip

    def sell(self, name: str, *legs: Leg) -> tuple[Any, ...]:
        return self.intent(name, *(legs or (SHORT_CALL,)), action=Action.SELL, product=Product.NRML)

    def reject(self, entry: PlaceEntry, message: str) -> tuple[Any, ...]:
        order = order_of(
            client_order_id=entry.id, account=entry.account, instrument=entry.instrument, product=entry.product,
            strategy="S", run=entry.run, cause=entry.cause, purpose=Purpose.ENTRY, side=entry.side,
            quantity=entry.quantity, order_type=OrderType.MARKET, state=OrderState.REJECTED, created_ns=self.now,
            updated_ns=self.now, message=message,
        )  # fmt: skip
        return self.give(OrderChanged(event="rejected", order=order, machine_ns=self.machine_ns))

    def fill_in(self, entry: PlaceEntry) -> None:
        order = order_of(
            client_order_id=entry.id, account=entry.account, instrument=entry.instrument, product=entry.product,
            strategy="S", run=entry.run, cause=entry.cause, purpose=Purpose.ENTRY, side=entry.side,
            quantity=entry.quantity, order_type=OrderType.MARKET, state=OrderState.FILLED, created_ns=self.now,
            updated_ns=self.now, filled=entry.quantity,
        )  # fmt: skip
        self.give(OrderChanged(event="filled", order=order, machine_ns=self.machine_ns))
        units = entry.quantity * entry.side.sign
        position = Position(
            account=entry.account, instrument=entry.instrument, product=entry.product, strategy="S", run=entry.run,
            quantity=units, quantity_seen=units, average_price=100.0, opened_ns=self.now, updated_ns=self.now,
        )  # fmt: skip
        self.give(
            PositionChanged(
                position=position, client_order_id=entry.id, fill_quantity=units, fill_price=100.0, at_ns=self.now
            )
        )


def entries(rows: tuple[Any, ...]) -> list[PlaceEntry]:
    return [row for row in rows if isinstance(row, PlaceEntry)]


def sized(bench: MarginBench, *legs: Leg) -> dict[str, int]:
    return {entry.instrument: entry.quantity * entry.side.sign for entry in entries(bench.sell("a", *legs))}


class CountingBench(MarginBench):
    """A bench with limits that count, and ample funds in all of its accounts."""

    def __init__(
        self,
        accounts: tuple[str, ...] = ("main",),
        cooldown: float = 0.0,
        rates: RateLimits | None = None,
        **limits: Any,
    ) -> None:
        super().__init__(accounts=accounts)
        _, given, _, _, calendar, book, square_off = self.parts
        run = replace(self.machine.environment.strategies["S"], signal_cooldown=cooldown)
        self.machine = RiskMachine(
            RiskEnvironment(replace(NONE_OF_IT, **limits), rates or given, (run,), "main", calendar, book, square_off)
        )
        self.machine.environment.tables = TABLES
        self.move(0)
        for account in accounts:
            self.fund(10_000_000, account)

    def move(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)
        self.machine_ns += round(seconds * SECOND)
        self.beat()
        for instrument in (CALL, PUT, FUTURE, SHARE):
            self.quote(instrument, 800.0 if instrument == SHARE else 100.0)

    def ask(self, name: str, *legs: Leg) -> list[PlaceEntry]:
        product = Product.MIS if any(leg.instrument == SHARE for leg in legs) else Product.NRML
        return entries(self.intent(name, *legs, action=Action.SELL, product=product))

    def fill_all(self, found: list[PlaceEntry]) -> list[PlaceEntry]:
        """Fill these, two seconds later; the entries that follow."""
        self.move(2)
        before = len(self.rows)
        for entry in found:
            self.fill_in(entry)
        return entries(tuple(self.rows[before:]))

    def denials(self) -> list[str]:
        return codes(tuple(row for row in self.rows if isinstance(row, SignalDenied)))

    def closes(self) -> list[CloseGoal]:
        return [row for row in self.rows if isinstance(row, CloseGoal)]
