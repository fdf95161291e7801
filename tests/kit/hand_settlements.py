"""A bench with a position of the day before whose books are empty, and requests that settle it by hand.

Used by the tests of the order machine's settlements and of the journal that holds them.
"""

from __future__ import annotations

from typing import Any

from mytrading.core.time import SECOND
from mytrading.messages.control import TradingState
from mytrading.messages.enums import Product, TradingLevel
from mytrading.messages.orders import PositionAdjusted, RequestAnswered
from tests.kit.fake_broker import ACCOUNT, OrderBench

SHARE, LOT = "NSE:A", "NFO:A"
TOMORROW, LATER = "1970-01-02", "1970-01-03"
"""The bench's second and third day."""
DAY = 86_400 * SECOND
PLAN: dict[str, Any] = {"stop_trigger": 90.0, "stop_limit": 87.0}


def carried(
    instrument: str = LOT, product: Product = Product.NRML, *, guarded: bool = True, **fields: Any
) -> OrderBench:
    """A position of 50 at 100 that was opened the day before, with a stop at 90; the broker's books are empty now."""
    bench = OrderBench()
    bench.check_purity = True
    bench.hold("e1", 50, instrument=instrument, product=product, **(PLAN if guarded else {}), **fields)
    if guarded:
        bench.accept()
    bench.read()
    bench.tick(10 * SECOND)
    bench.time += DAY
    bench.open_day(TOMORROW)
    bench.calls.clear()
    bench.broker.orders.clear()
    bench.broker.net.clear()
    bench.rows.clear()
    bench.session_open = False
    return bench


def ask(bench: OrderBench, kind: type[Any], name: str = "r1", **fields: Any) -> RequestAnswered | None:
    """Request something, and read the books as often as the router asks for it; the answer to it."""
    bench.time += SECOND // 5
    bench.step(kind(id=name, account=ACCOUNT, at_ns=bench.now, **fields))
    for _ in range(4):
        if (found := answer(bench, name)) is not None:
            return found
        bench.tick(SECOND // 5)  # two reads within the gap that a correction by itself needs
        bench.read()
    return answer(bench, name)


def answer(bench: OrderBench, name: str) -> RequestAnswered | None:
    found = [row for row in bench.rows if isinstance(row, RequestAnswered) and row.id == name]
    return found[-1] if found else None


def held(bench: OrderBench, instrument: str = LOT, product: Product = Product.NRML) -> tuple[int, float]:
    found = bench.machine.position(ACCOUNT, instrument, product, "s1")
    return (found.quantity, found.average_price) if found is not None else (0, 0.0)


def moves(bench: OrderBench) -> list[tuple[str, int]]:
    return [(row.cause, row.quantity) for row in bench.rows if isinstance(row, PositionAdjusted)]


def halt(bench: OrderBench) -> None:
    bench.step(TradingState(level=TradingLevel.HALT, generation=1, reason="rebuild", at_ns=bench.now, account=ACCOUNT))
