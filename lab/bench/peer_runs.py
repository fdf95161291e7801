"""SMA 20/50, or Donchian 30 both ways with a stop, in another backtester: run by path in the peers' environment.

Nothing of ours is installed there.

`python peer_runs.py NAME BARS.npz` prints one JSON object: processor seconds of the run, bars, round trips, net profit
where it is known, version. This file imports nothing but the standard library before it knows its peer.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any

RATE = 0.0003
"""Of the value of each fill."""
CASH = 1_000_000.0
TARGET, TRAIL = 6.0, 2.0
"""Rupees of the rules of a run: its target, and how far its stop trails, which begins at as much profit."""
SHORT = 5
"""A short run has so many times fewer bars than the long one that it is taken from."""


def _frame(bars: Any, names: tuple[str, ...]) -> Any:
    pandas = importlib.import_module("pandas")
    index = pandas.to_datetime(bars["start"], utc=True)
    return pandas.DataFrame(dict(zip(names, bars["table"], strict=True)), index=index)


def backtesting(bars: Any) -> tuple[float, int, float]:
    """backtesting.py: indicators as arrays, fills at the next open."""
    library = importlib.import_module("backtesting")
    frame = _frame(bars, ("Open", "High", "Low", "Close", "Volume")).tz_localize(None)

    def average(period: int) -> Any:
        return frame["Close"].rolling(period).mean()

    class Crossing(library.Strategy):  # type: ignore[misc, name-defined]
        def init(self) -> None:
            self.fast = self.I(average, 20)
            self.slow = self.I(average, 50)

        def next(self) -> None:
            if self.fast[-1] > self.slow[-1] and not self.position:
                self.buy(size=1)
            elif self.fast[-1] < self.slow[-1] and self.position:
                self.position.close()

    test = library.Backtest(frame, Crossing, cash=CASH, commission=RATE, trade_on_close=False, finalize_trades=False)
    started = time.process_time()
    stats = test.run()
    seconds = time.process_time() - started
    trades = stats["_trades"]
    return seconds, len(trades), float(trades["PnL"].sum())


def backtesting_long_short(bars: Any, *, ruled: bool = False) -> tuple[float, int, float]:
    """backtesting.py: Donchian 30 from arrays, reversing, with a stop of 0.2 % of the close before the entry.

    No entry from the square-off of a day on, which closes what is held. Where `ruled` a profit of `TARGET` rupees ends
    a trade, and its stop follows the best price of a bar at `TRAIL` rupees once that is better than this.
    """
    library = importlib.import_module("backtesting")
    frame = _frame(bars, ("Open", "High", "Low", "Close", "Volume")).tz_localize(None)

    class Donchian(library.Strategy):  # type: ignore[misc, name-defined]
        def init(self) -> None:
            self.upper = self.I(lambda: frame["High"].rolling(30).max().shift(1))
            self.lower = self.I(lambda: frame["Low"].rolling(30).min().shift(1))

        def next(self) -> None:
            row, close = len(self.data) - 1, self.data.Close[-1]
            if over[row]:
                if leaves[row]:
                    self.position.close()
            elif close > self.upper[-1] and not self.position.is_long:
                self.position.close()
                self.buy(size=1, sl=close * 0.998, tp=close + TARGET if ruled else None)
            elif close < self.lower[-1] and not self.position.is_short:
                self.position.close()
                self.sell(size=1, sl=close * 1.002, tp=close - TARGET if ruled else None)

    class Trailing(Donchian):
        def next(self) -> None:
            for trade in self.trades:
                if trade.is_long:
                    best = self.data.High[-1]
                    if best > trade.entry_price + TRAIL and best - TRAIL > trade.sl:
                        trade.sl = best - TRAIL
                else:
                    best = self.data.Low[-1]
                    if best < trade.entry_price - TRAIL and best + TRAIL < trade.sl:
                        trade.sl = best + TRAIL
            super().next()

    over, leaves = bars["over"].tobytes(), bars["leaves"].tobytes()
    kind = Trailing if ruled else Donchian
    test = library.Backtest(frame, kind, cash=CASH, commission=RATE, trade_on_close=False, finalize_trades=False)
    started = time.process_time()
    stats = test.run()
    seconds = time.process_time() - started
    trades = stats["_trades"]
    return seconds, len(trades), float(trades["PnL"].sum())


def backtrader(bars: Any) -> tuple[float, int, float]:
    """backtrader with precomputed indicators (`runonce`) and market orders."""
    bt = importlib.import_module("backtrader")
    closed: list[float] = []

    class Crossing(bt.Strategy):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self.fast = bt.indicators.SMA(self.data.close, period=20)
            self.slow = bt.indicators.SMA(self.data.close, period=50)

        def next(self) -> None:
            if self.fast[0] > self.slow[0] and not self.position:
                self.buy(size=1)
            elif self.fast[0] < self.slow[0] and self.position:
                self.close()

        def notify_trade(self, trade: Any) -> None:
            if trade.isclosed:
                closed.append(trade.pnlcomm)

    cerebro = bt.Cerebro(stdstats=False)
    frame = _frame(bars, ("open", "high", "low", "close", "volume")).tz_localize(None)
    cerebro.adddata(bt.feeds.PandasData(dataname=frame))
    cerebro.addstrategy(Crossing)
    cerebro.broker.setcash(CASH)
    cerebro.broker.setcommission(RATE)
    started = time.process_time()
    cerebro.run()
    return time.process_time() - started, len(closed), sum(closed)


def nautilus_trader(bars: Any) -> tuple[float, int, float]:
    """nautilus_trader with a strategy in Python and its own compiled averages; making its bars is not counted."""
    load = importlib.import_module
    engines, model = load("nautilus_trader.backtest.engine"), load("nautilus_trader.model.data")
    config, trading = load("nautilus_trader.config"), load("nautilus_trader.trading.strategy")
    enums, objects = load("nautilus_trader.model.enums"), load("nautilus_trader.model.objects")
    currency = load("nautilus_trader.model.currencies").USD
    instrument = load("nautilus_trader.test_kit.providers").TestInstrumentProvider.equity("SBIN", "XNSE")
    average = load("nautilus_trader.indicators").SimpleMovingAverage
    kind = model.BarType.from_str(f"{instrument.id}-1-MINUTE-LAST-EXTERNAL")

    class Crossing(trading.Strategy):  # type: ignore[misc, name-defined]
        def on_start(self) -> None:
            self.fast, self.slow = average(20), average(50)
            self.register_indicator_for_bars(kind, self.fast)
            self.register_indicator_for_bars(kind, self.slow)
            self.unit = objects.Quantity.from_int(1)
            self.subscribe_bars(kind)

        def on_bar(self, bar: Any) -> None:  # noqa: ARG002
            if not self.slow.initialized:
                return
            flat = self.portfolio.is_flat(instrument.id)
            if self.fast.value > self.slow.value and flat:
                self.submit_order(self.order_factory.market(instrument.id, enums.OrderSide.BUY, self.unit))
            elif self.fast.value < self.slow.value and not flat:
                self.submit_order(self.order_factory.market(instrument.id, enums.OrderSide.SELL, self.unit))

    quiet = config.LoggingConfig(bypass_logging=True)
    engine = engines.BacktestEngine(engines.BacktestEngineConfig(logging=quiet))
    engine.add_venue(
        instrument.id.venue, enums.OmsType.NETTING, enums.AccountType.MARGIN,
        [objects.Money(CASH, currency)], base_currency=currency,
    )  # fmt: skip
    engine.add_instrument(instrument)
    made = []
    for start, row in zip(bars["start"].tolist(), bars["table"].T.tolist(), strict=True):
        prices = map(instrument.make_price, row[:4])
        made.append(model.Bar(kind, *prices, instrument.make_qty(row[4]), start, start))
    engine.add_data(made)
    engine.add_strategy(Crossing())
    started = time.process_time()
    engine.run()
    seconds = time.process_time() - started
    closed = engine.cache.positions_closed() + list(engine.cache.position_snapshots())
    return seconds, len(closed), float("nan")


PEERS: dict[str, Callable[[Any], tuple[float, int, float]]] = {
    "backtesting": backtesting,
    **dict.fromkeys(("backtesting_long_short", "backtesting_bars_view"), backtesting_long_short),
    "backtesting_run_rules": partial(backtesting_long_short, ruled=True),
    "backtrader": backtrader,
    "nautilus_trader": nautilus_trader,
}


def main(name: str, file: str) -> None:
    """Run one peer and print what it did, or that it is not there; of long/short runs what the added bars cost."""
    added = name.startswith("backtesting_")
    library = "backtesting" if added else name
    try:
        importlib.import_module(library)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}))
        return
    numpy = importlib.import_module("numpy")
    bars = numpy.load(file)
    seconds, trades, profit = PEERS[name](bars)
    count = len(bars["start"])
    if added:
        part = {key: bars[key][..., : count // SHORT] for key in bars}
        seconds, count = seconds - PEERS[name](part)[0], count - count // SHORT
    figures = {"peer": name, "version": version(library), "bars": count, "seconds": seconds, "trades": trades}
    print(json.dumps({**figures, "net": None if profit != profit else round(profit, 2)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
