"""Plain round trips on the quick way: bought at the open after the signal, sold at the open after the next.

Of most signals no rule of risk can say anything and no order can go wrong: what comes of them stands in the bars.
Whatever is not plain goes to the machines, which are first brought to where they would stand; and no trip is walked
this way before the machines themselves have made one that came out exactly as this module says.
"""

from __future__ import annotations

from typing import Any

from mytrading.backtest.data.feeds import Feed
from mytrading.backtest.engine.fast_path_conditions import FastPathTerms, OpenHours, hours_of
from mytrading.backtest.engine.ledger import Fill, Ledger, Trade
from mytrading.backtest.engine.loop import PROGRESS_EVERY, Loop, Progress
from mytrading.backtest.engine.machines import Machines
from mytrading.backtest.engine.venue import BacktestVenue
from mytrading.core.time import day_number
from mytrading.messages.enums import Side
from mytrading.strategies.signals import NO_HINTS, StrategySignal
from mytrading.strategies.views import FLAT, PositionView

_NOWHERE = -float("inf")
_WAYS = {"BUY": 1, "SELL": -1, "EXIT": -1, "HOLD": 0}
_DEAR = 3.0
"""Entries are quick while the capital would pay for three of them: the venue then refuses none for want of cash."""


class Trips:
    """The walk of one run through its bars. `quick` counts the round trips that needed no machine."""

    def __init__(
        self,
        terms: FastPathTerms,
        loop: Loop,
        feed: Feed,
        machines: Machines,
        venue: BacktestVenue,
        ledger: Ledger,
        progress: Progress,
    ) -> None:
        self._terms = terms
        self._loop = loop
        self._feed = feed
        self._machines = machines
        self._venue = venue
        self._ledger = ledger
        self._progress = progress
        self._workspace = feed.host.workspace
        self._name, self._strategy = feed.columns.instrument, feed.host.run.name
        self._hours: OpenHours = hours_of(feed.columns, terms)
        self._fill: Fill | None = None
        self._cash = 0.0
        self._gross = 0.0
        self._counted = 0
        self._over = False
        self.quick = 0

    def walk(self) -> None:
        """Run all bars, making plain round trips directly where possible and leaving the rest to the full machines."""
        loop, feed, count = self._loop, self._feed, len(self._feed.columns)
        at = loop.walk(feed, 0, count, rests=self._is_proven)
        while at < count:
            at = self._walk(at)
            at = loop.walk(feed, at, count, rests=self._is_at_rest)

    # quick

    def _walk(self, first: int) -> int:
        """Plain trips from row `first` on, flat before it; the row from which on the machines walk."""
        try:
            return self._walk_plainly(first)
        finally:
            self._workspace.slots.clear()

    def _walk_plainly(self, first: int) -> int:
        feed, host, workspace, hours = self._feed, self._feed.host, self._workspace, self._hours
        name, series, warm, data, on_data = self._name, feed.series, feed.warm, workspace.data, host.strategy.on_data
        self._count_gross()
        row, begin, last_row, way, level, signal, wakes = first, first, hours.never, 0, _NOWHERE, None, False
        for bars in feed.walked(first):
            all_warm = warm.find(0, row) < 0
            for after, bar, values in bars:
                if wakes:
                    if way > 0:
                        level, last_row = self._terms.level(float(feed.columns.table[3, begin])), hours.last_row(row)
                    if way >= 0 and (bar.low <= level or row >= last_row):
                        self._hand_over(begin, row, signal)
                        return row
                    if way > 0:
                        self._enter(bar.start_ns, bar.open)
                        wakes = level > _NOWHERE or last_row < hours.never
                    elif way < 0:
                        self._leave(bar.start_ns, bar.open)
                        level, last_row, signal, wakes = _NOWHERE, hours.never, None, False
                    way = 0
                series.cursor = row = after
                workspace.newest = values
                if all_warm or warm[row - 1]:
                    workspace.now = bar.end_ns
                    data[name] = bar
                    try:
                        result = on_data(bar)
                    except (Exception, SystemExit) as error:  # noqa: BLE001  (author code may raise anything)
                        self._hand_over(row - 1 if signal is None else begin, row, signal)
                        host.record_exception(error)
                        self._loop.signal(feed, bar, [], bar.end_ns)
                        return row
                    if result is not None:
                        way = self._way(result, signal is not None)
                        if way and not (self._is_plain(result, bar.close) and hours.plain[row - 1]):
                            self._hand_over(row - 1 if signal is None else begin, row, signal)
                            feed.quiet_ns = bar.start_ns
                            self._loop.signal(feed, bar, host.drafts_of(result), bar.end_ns)
                            return row
                        if way > 0:
                            begin, signal = row - 1, result
                        wakes = wakes or way != 0
            if not row & PROGRESS_EVERY:
                self._progress(row)
        return row

    def _way(self, result: Any, holding: bool) -> int:
        """1 where a result asks to enter, −1 where to leave, 0 where it changes nothing.

        1 also of what is no signal or none that can be met, and where there is memory: the engine looks at it then.
        """
        if (
            type(result) is not StrategySignal
            or result.instrument != self._name
            or result.legs
            or self._workspace.memory
        ):
            return 1
        if type(result.confidence) is not float or not 0.0 <= result.confidence <= 1.0:
            return 1
        way = _WAYS.get(result.action)
        if way is None:
            return 1
        return 0 if way == (1 if holding else -1) else way

    def _is_plain(self, signal: Any, close: float) -> bool:
        """True of a signal whose order, if any, is at the market, without a stop of its own, and can be paid."""
        if (
            type(signal) is not StrategySignal
            or signal.legs
            or signal.otherwise
            or signal.stop_price
            or signal.instrument != self._name
        ):
            return False
        if signal.hints != NO_HINTS or signal.action not in _WAYS or self._workspace.memory:
            return False
        if type(signal.confidence) is not float or not 0.0 <= signal.confidence <= 1.0:
            return False
        terms = self._terms
        if signal.action == "BUY" and _DEAR * terms.units * close > terms.capital + min(0.0, self._gross):
            self._over = True
            return False
        return signal.action != "BUY" or terms.has_room(close)

    def _enter(self, start: int, opens: float) -> None:
        units = self._terms.units
        price = self._price(opens, Side.BUY)
        self._ledger.record_fill(start, self._name, self._strategy, self._terms.product, units, price)
        self._fill = self._ledger.fills[-1]
        self._workspace.positions[self._name] = PositionView(units, price * units / units, 1)
        self._workspace.last_fill_ns = start

    def _leave(self, start: int, opens: float) -> None:
        assert self._fill is not None
        units = self._terms.units
        price = self._price(opens, Side.SELL)
        self._ledger.record_fill(start, self._name, self._strategy, self._terms.product, -units, price)
        trade = self._trade(self._fill, start, price)
        self._ledger.record_trade(trade)
        self._cash += trade.gross
        self._count_gross()
        self._workspace.positions[self._name] = FLAT
        self._workspace.last_fill_ns = start
        self.quick += 1

    def _count_gross(self) -> None:
        """What all trips until now came to, those of the machines too: the capital is theirs as well."""
        trades = self._ledger.trades
        self._gross += sum(trade.gross for trade in trades[self._counted :])
        self._counted = len(trades)

    def _price(self, opens: float, side: Side) -> float:
        """What a whole fill at an open is booked at: the venue tells its value, the order machine divides again."""
        units = self._terms.units
        average = units * self._venue.set_price(self._name, opens).opposite(side) / units
        return average * units / units

    def _trade(self, entry: Fill, exit_ns: int, price: float) -> Trade:
        units = self._terms.units
        paid, got = entry.price * units, price * units
        name, strategy = self._name, self._strategy
        return Trade(
            entry.at_ns, exit_ns, name, strategy, "BUY", units, paid / units, got / units, got - paid, 0.0
        )  # fmt: skip

    # to the machines and back

    def _hand_over(self, begin: int, row: int, signal: StrategySignal | None) -> None:
        """Bring the machines to the end of the bar before `row`, from the bar at whose close `signal` was made.

        Trips that ended before are over: of them only the cash counts. Fills in the ledger are not sent again.
        """
        loop, feed, machines, columns = self._loop, self._feed, self._machines, self._feed.columns
        self._venue.add_profit(self._cash)
        self._cash = 0.0
        self._workspace.positions[self._name] = FLAT
        first = self._hours.first_row(begin)
        if first and day_number(int(columns.start_ns[first])) != loop.day:
            feed.last, feed.last_ns = (
                float(columns.table[3, first - 1]),
                int(columns.start_ns[first - 1]) + columns.span_ns,
            )
            loop.pass_clock(int(columns.start_ns[first]))
        signalled_ns = int(columns.start_ns[begin]) + columns.span_ns
        on_row, machines.on_row = machines.on_row, _ignore
        memory, self._workspace.memory = self._workspace.memory, {}
        try:
            loop.walk(feed, begin, row, script=lambda bar: signal if bar.end_ns == signalled_ns else None)
        finally:
            machines.on_row, self._workspace.memory = on_row, memory

    def _is_at_rest(self) -> bool:
        """True where nothing that the machines know can have a say in the trips to come."""
        if (
            self._over
            or self._workspace.memory
            or not self._workspace.positions.get(self._name, FLAT).is_flat
            or self._feed.host.fault is not None
        ):
            return False
        return self._loop.is_inert and self._machines.are_idle(self._strategy, self._name)

    def _is_proven(self) -> bool:
        """True once the machines have made a trip that came out as it would have here."""
        fills, trades = self._ledger.fills, self._ledger.trades
        if not trades or not self._is_at_rest():
            return False
        bought, sold = fills[-2:]
        wanted = self._trade(bought, sold.at_ns, sold.price)._replace(costs=bought.cost + sold.cost)
        good = all(self._is_ours(fill, side) for fill, side in ((bought, Side.BUY), (sold, Side.SELL)))
        return good and trades[-1] == wanted

    def _is_ours(self, fill: Fill, side: Side) -> bool:
        start = self._feed.columns.start_ns
        row = int(start.searchsorted(fill.at_ns))
        if row >= len(start) or int(start[row]) != fill.at_ns or fill.units != side.sign * self._terms.units:
            return False
        return fill.price == self._price(float(self._feed.columns.table[0, row]), side)


def _ignore(_row: Any) -> None:
    """Take no notice of a row."""
