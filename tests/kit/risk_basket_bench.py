"""A basket of a sold leg and its hedge, from intent to exit."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from mytrading.messages.commands import CloseGoal, PlaceEntry
from mytrading.messages.control import Alert
from mytrading.messages.enums import OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.orders import (
    OrderChanged,
    Position,
    PositionChanged,
)
from mytrading.messages.reports import AccountHealth, Funds
from mytrading.messages.run_config import OrphanLegs
from mytrading.messages.signals import Leg
from tests.kit.order_samples import order_of
from tests.kit.risk_bench import CALL, LIMITS, NEAR, SECOND, WATCH, RiskBench

ROOMY = replace(LIMITS, max_position_size=10_000_000, max_order_size=10_000_000)
HEDGE, SOLD = Leg(instrument=CALL, lots=1), Leg(instrument=NEAR, lots=-1)


class Basket(RiskBench):
    """A bench whose strategy trades a hedge and a sold call, in one account or two."""

    def __init__(self, accounts: tuple[str, ...] = (), orphans: OrphanLegs = OrphanLegs.UNWIND, tries: int = 2) -> None:
        super().__init__(ROOMY)
        self.machine.environment.strategies["S"] = replace(
            self.machine.environment.strategies["S"], accounts=accounts, orphan_legs=orphans, orphan_tries=tries
        )
        for account in accounts:
            self.machine.apply(
                AccountHealth(account=account, connected=True, right_mode=True, stream_up=True, books_agree=True)
            )
        self._fund()
        self.quote()
        self.quote(NEAR, 200.0)

    def _fund(self) -> None:
        for account in dict.fromkeys(("main", *self.machine.environment.strategies["S"].accounts)):
            self.machine.apply(Funds(account=account, available=1e9, used=0.0, machine_ns=self.machine_ns))

    def again(self) -> Basket:
        """A machine that was killed: it learns its rows anew."""
        other = Basket()
        other.machine.environment.strategies.update(self.machine.environment.strategies)
        for account in ("main", *self.machine.environment.strategies["S"].accounts):
            other.machine.apply(
                AccountHealth(account=account, connected=True, right_mode=True, stream_up=True, books_agree=True)
            )
        other._fund()
        for row in self.rows:
            other.machine.apply(row)
        other.rows = list(self.rows)
        return other

    def report_order(self, entry: PlaceEntry, state: OrderState, filled: int = 0) -> tuple[Any, ...]:
        order = order_of(
            client_order_id=entry.id, account=entry.account, instrument=entry.instrument, product=entry.product,
            strategy="S", run=entry.run, cause=entry.cause, purpose=Purpose.ENTRY, side=entry.side,
            quantity=entry.quantity, order_type=entry.order_type, state=state, created_ns=self.now,
            updated_ns=self.now, filled=filled,
        )  # fmt: skip
        return self.give(OrderChanged(event=state.value.lower(), order=order, machine_ns=self.machine_ns))

    def held(self, account: str, instrument: str, quantity: int, entry: str = "", units: int = 0) -> tuple[Any, ...]:
        level = next((row.held_stop for row in self.rows if isinstance(row, PlaceEntry) and row.id == entry), 0.0)
        position = Position(
            account=account, instrument=instrument, product=Product.MIS, strategy="S", run="r", quantity=quantity,
            quantity_seen=quantity, average_price=100.0, opened_ns=self.now, updated_ns=self.now,
            held_stop=level,
        )  # fmt: skip
        return self.give(
            PositionChanged(
                position=position, client_order_id=entry, fill_quantity=units, fill_price=100.0, at_ns=self.now
            )
        )

    def filled(self, entry: PlaceEntry) -> tuple[Any, ...]:
        units = entry.quantity * entry.side.sign
        return (
            *self.report_order(entry, OrderState.FILLED, entry.quantity),
            *self.held(entry.account, entry.instrument, units, entry.id, units),
        )


def entries(rows: tuple[Any, ...]) -> list[PlaceEntry]:
    return [row for row in rows if isinstance(row, PlaceEntry)]


def stopped_out(bench: Basket, sold: PlaceEntry, purpose: Purpose = Purpose.STOP, cause: str = "") -> tuple[Any, ...]:
    """The sold leg is bought back by an order of this purpose and cause, at the broker's doing or the router's."""
    order = order_of(
        client_order_id=f"x-{sold.id}", account=sold.account, instrument=sold.instrument, product=sold.product,
        strategy="S", run=sold.run, cause=cause or sold.id, purpose=purpose, side=Side.BUY, quantity=sold.quantity,
        order_type=OrderType.SL, state=OrderState.FILLED, created_ns=bench.now, updated_ns=bench.now,
        filled=sold.quantity,
    )  # fmt: skip
    bench.now += SECOND
    rows = bench.give(OrderChanged(event="filled", order=order, machine_ns=bench.machine_ns))
    return (*rows, *bench.held(sold.account, sold.instrument, 0, order.client_order_id, sold.quantity))


def complete(bench: Basket) -> PlaceEntry:
    """Hedge and sold leg are held; the sold leg's entry."""
    (hedge,) = entries(bench.intent("a", HEDGE, SOLD))
    (sold,) = entries(bench.filled(hedge))
    bench.filled(sold)
    assert bench.machine.state.intents["S", WATCH].settled
    return sold


def closed(rows: Any) -> list[str]:
    return [row.instrument for row in rows if isinstance(row, CloseGoal)]


def alarms(rows: Any) -> list[str]:
    return [row.code for row in rows if isinstance(row, Alert)]
