"""Builders for strategy tests: runs, bars, an instrument book, and a machine that is live at once."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import Any

from mytrading.core.engine.machine import EngineMachine
from mytrading.core.engine.strategy_host import Fault
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.time import MINUTE
from mytrading.messages.enums import OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.market import Bar
from mytrading.messages.orders import OrderChanged, Position, PositionChanged
from mytrading.messages.run_config import Direction, StrategyRun, TradeKind, TradeRule
from mytrading.messages.signals import Signal
from mytrading.strategies import BaseStrategy
from tests.kit.order_samples import order_of

NIFTY = "NSE_INDEX:NIFTY"
SBIN = "NSE:SBIN"
OPEN = 1_764_560_700_000_000_000
"""2025-12-01 09:15 IST."""

RIGHTS = (InstrumentKind.CE, InstrumentKind.PE)
SAME_LONG = TradeRule(kind=TradeKind.SAME, side=Side.BUY)
SAME_SHORT = TradeRule(kind=TradeKind.SAME, side=Side.SELL)
BUY_CALL = TradeRule(kind=TradeKind.OPTION, side=Side.BUY, strike="ATM", right="CE")
BUY_PUT = TradeRule(kind=TradeKind.OPTION, side=Side.BUY, strike="ATM", right="PE")


def make_run(name: str = "Sample", **changes: Any) -> StrategyRun:
    fields: dict[str, Any] = {"symbols": (SBIN,), "long": SAME_LONG, "short": SAME_SHORT, "direction": Direction.BOTH}
    return StrategyRun(name=name, **{"file": f"{name}.py", **fields, **changes})


def make_bar(k: int, close: float, instrument: str = SBIN, timeframe: str = "1m", **changes: Any) -> Bar:
    """The k-th minute of the session; `received_ns` runs with market time."""
    span = MINUTE * int(timeframe[:-1])
    start = OPEN + k * span
    fields = {"open": close, "high": close + 1, "low": close - 1, "volume": 100 + k, "received_ns": start + span}
    return Bar(instrument, timeframe, start, start + span, close=close, **{**fields, **changes})


def make_bars(closes: Iterable[float], instrument: str = SBIN, first: int = 0) -> list[Bar]:
    return [make_bar(first + k, close, instrument) for k, close in enumerate(closes)]


def random_walk(n: int, seed: int = 7, price: float = 500.0) -> list[float]:
    rng = random.Random(seed)
    closes = []
    for k in range(n):
        price += rng.gauss(0, 1) + math.sin(k / 9) * 0.8
        closes.append(round(price * 20) / 20)
    return closes


def make_book() -> InstrumentBook:
    """NIFTY with a future and two option expiries of 50-point strikes, and SBIN."""
    items = [
        Instrument(id=NIFTY, exchange="NSE_INDEX", symbol="NIFTY", kind=InstrumentKind.INDEX, underlying="NIFTY"),
        Instrument(id=SBIN, exchange="NSE", symbol="SBIN", kind=InstrumentKind.EQ, underlying="SBIN"),
        _listed("NIFTY30DEC25FUT", InstrumentKind.FUT, "2025-12-30"),
    ]
    for code, expiry in (("02DEC25", "2025-12-02"), ("30DEC25", "2025-12-30")):
        for strike in range(25_800, 26_250, 50):
            items += [_listed(f"NIFTY{code}{strike}{right}", right, expiry, float(strike)) for right in RIGHTS]
    return InstrumentBook(items)


def _listed(symbol: str, kind: InstrumentKind, expiry: str, strike: float = 0.0) -> Instrument:
    return Instrument(
        id=f"NFO:{symbol}", exchange="NFO", symbol=symbol, kind=kind, underlying="NIFTY", expiry=expiry, strike=strike,
        lot_size=75,
    )  # fmt: skip


def make_machine(
    strategies: dict[str, type[BaseStrategy] | Fault] | type[BaseStrategy],
    *runs: StrategyRun,
    history: Iterable[Bar] = (),
    **options: Any,
) -> EngineMachine:
    if isinstance(strategies, type):
        runs = runs or (make_run(),)
        strategies = {run.name: strategies for run in runs}
    machine = EngineMachine(runs or [make_run(name) for name in strategies], strategies, make_book(), **options)
    machine.open(list(history))
    return machine


def step(machine: EngineMachine, message: Any, now: int | None = None) -> tuple[Any, ...]:
    """Decide on an input, as the harness does, and return the rows."""
    at = now if now is not None else getattr(message, "end_ns", OPEN)
    machine.apply(message)
    rows = machine.decide(message, at)
    for row in rows:
        machine.apply(row)
    return rows


def drive(machine: EngineMachine, bars: Iterable[Bar], fills: bool = True) -> list[tuple[Bar, Signal]]:
    """Run bars through a machine; with `fills` every signal becomes the position it names before the next bar."""
    signals = []
    held: dict[tuple[str, str], int] = {}
    for bar in bars:
        for row in step(machine, bar):
            if isinstance(row, Signal):
                signals.append((bar, row))
                if fills:
                    _fill(machine, row, held)
    return signals


def _fill(machine: EngineMachine, signal: Signal, held: dict[tuple[str, str], int]) -> None:
    targets = {leg.instrument: leg.lots for leg in signal.legs}
    mine = {instrument for strategy, instrument in held if strategy == signal.strategy}
    for instrument in mine | set(targets):
        lots = targets.get(instrument, 0)
        step(machine, moved(signal.strategy, instrument, lots))
        held[signal.strategy, instrument] = lots


def moved(strategy: str, instrument: str, quantity: int, fill: int = 1, **changes: Any) -> PositionChanged:
    position = Position(
        account="main", instrument=instrument, product=Product.MIS, strategy=strategy, run="r1", quantity=quantity,
        quantity_seen=quantity, average_price=100.0, **changes,
    )  # fmt: skip
    return PositionChanged(position=position, client_order_id="c", fill_quantity=fill, fill_price=100.0, at_ns=OPEN)


def order_event(
    signal: Signal, state: OrderState, filled: int = 0, purpose: Purpose = Purpose.ENTRY, account: str = "main"
) -> OrderChanged:
    name = "o" + signal.id + account.removeprefix("main")
    order = order_of(
        client_order_id=name, account=account, instrument=SBIN, product=Product.MIS, strategy=signal.strategy,
        run="r1", cause=signal.id, purpose=purpose, side=Side.BUY, quantity=1, order_type=OrderType.MARKET, state=state,
        created_ns=OPEN, updated_ns=OPEN, filled=filled, filled_seen=filled,
    )  # fmt: skip
    return OrderChanged(event=state.value.lower(), order=order, machine_ns=0)


UP, DOWN, OUT, NOTHING = 110.0, 90.0, 100.0, 95.0


class Level(BaseStrategy):
    """Signals by the close: above 105 long, below 92 short, at 100 flat."""

    def on_data(self, data):
        if data.close > 105:
            return self.create_signal("BUY")
        if data.close < 92:
            return self.create_signal("SELL")
        return self.create_signal("EXIT") if data.close == 100 else None
