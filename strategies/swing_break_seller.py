"""Sells options whose price breaks below a swing low of the day, with the stop above the highest high since.

Watches many options of one underlying and rests at most one stop-limit entry among the calls and one among the puts.
"""

from dataclasses import dataclass

from mytrading.core.time import SECOND
from mytrading.strategies import Bar, BaseStrategy, EntryView, Signal, StrategyError

NEW_LOW, LOWER_LOW = 1, 3


@dataclass
class Swing:
    """A swing low that may be sold: its price, the high of its bar, and the highest high of the bars after that."""

    low: float
    own_high: float
    highest: float = 0.0
    broken: bool = False


@dataclass(frozen=True)
class Candidate:
    """An entry that could rest now. `points` is the distance from the swing low to the stop, in rupees."""

    instrument: str
    low: float
    stop: float
    points: float
    lots: int
    is_round: bool


class SwingBreakSeller(BaseStrategy):
    """Three filters, then one choice for each side.

    When a swing low forms or moves: its price lies in `min_price` to `max_price`, and at least `min_vwap_premium` above
    the VWAP of its own bar. At every bar: it is not broken, and the stop lies `min_stop_pct` to `max_stop_pct` away. Of
    what is left the one whose stop is nearest to `target_points` is chosen, round strikes and dear options first.
    """

    name = "Swing_Break_Seller"

    min_price: float = 100.0
    max_price: float = 300.0
    min_vwap_premium: float = 0.04
    min_stop_pct: float = 0.02
    max_stop_pct: float = 0.10

    entry_buffer: float = 3.0
    """Rupees between the trigger of an entry, a tick below the swing low, and its limit."""
    stop_above: float = 1.0
    stop_buffer: float = 3.0
    """The stop triggers `stop_above` over the highest high, with its limit `stop_buffer` beyond."""
    reprice_from: float = 1.0
    """An entry is replaced once its trigger or its stop has moved by more than this."""

    r_value: float = 6500.0
    """Rupees lost at the stop of a position; the lots follow from it."""
    target_points: float = 10.0
    max_lots: int = 10
    round_strikes: int = 100

    max_positions: int = 5
    max_per_side: int = 3
    last_entry: str = "15:15"

    def initialize(self) -> None:
        if not 0 < self.min_price < self.max_price:
            raise StrategyError(f"expected 0 < min_price < max_price, found {self.min_price} and {self.max_price}")
        if not 0 < self.min_stop_pct < self.max_stop_pct < 1:
            raise StrategyError("expected 0 < min_stop_pct < max_stop_pct < 1, as shares of the price: 2 % is 0.02")
        self.add_indicator("SWING.event", name="event")
        self.add_indicator("SWING.age", name="age")
        self.add_indicator("VWAP")
        self.day = None
        self.swings: dict[str, Swing] = {}
        self.vwaps: dict[str, float] = {}

    # What every bar tells.

    def on_data(self, data: Bar) -> None:
        if self.day != self.today:
            self.day = self.today
            self.swings.clear()
        event = self.get_indicator_value("event")
        if event in (NEW_LOW, LOWER_LOW):
            self.judge_swing(data, is_new=event == NEW_LOW)
        elif data.instrument in self.swings:
            self.follow_swing(data)
        if not self.position.is_flat:
            self.note_held(data.instrument)
        if self.now_ns <= self.memory.get("held", {}).get(data.instrument, 0):
            self.swings.pop(data.instrument, None)

    def note_held(self, instrument: str) -> None:
        """Swings are not followed while their option is held. Bars do not tell when that was: a restart needs it."""
        today = self.now_ns - 24 * 3600 * SECOND
        held = {name: at for name, at in self.memory.get("held", {}).items() if at > today}
        self.memory["held"] = {**held, instrument: self.now_ns}

    def judge_swing(self, data: Bar, is_new: bool) -> None:
        """A swing low formed or moved: it takes the place of the one before, or is passed over."""
        age = int(self.get_indicator_value("age"))
        bars = self.bars(age + 1)
        low = float(bars.low[0])
        if is_new:
            vwap = self.get_indicator_value("VWAP", back=age)
            self.vwaps[data.instrument] = vwap if vwap == vwap else float(bars.close[0])
        if not self.min_price <= low <= self.max_price:
            self.swings.pop(data.instrument, None)
            return
        vwap = self.vwaps[data.instrument]
        if (low - vwap) / vwap >= self.min_vwap_premium:
            own, *after = bars.high.tolist()
            self.swings[data.instrument] = Swing(low, own, max(after, default=0.0))
        elif data.instrument in self.swings:
            self.follow_swing(data)

    def follow_swing(self, data: Bar) -> None:
        swing = self.swings[data.instrument]
        swing.highest = max(swing.highest, data.high)
        swing.broken = swing.broken or data.low <= swing.low
        if data.low < swing.low:
            del self.swings[data.instrument]

    # What follows once all have told.

    def generate_signals(self) -> list[Signal]:
        if self.time_of_day >= self.last_entry:
            return self.withdrawn(self.entries("CE") | self.entries("PE"), "no more entries today")
        calls = self.decide("CE")
        return calls + self.decide("PE", placed=sum(signal.action == "SELL" for signal in calls))

    def decide(self, right: str, placed: int = 0) -> list[Signal]:
        """Move the resting entry to the new break, or cancel one that is no longer the best and place the best next."""
        best, entries = self.best(right), self.entries(right)
        others = {name: entry for name, entry in entries.items() if best is None or name != best.instrument}
        if others:
            return self.withdrawn(others, "another option is better now" if best else "no option qualifies")
        if best is None or not self.has_room(right, placed):
            return []
        entry = entries.get(best.instrument)
        if entry is not None and not self.has_moved(entry, best):
            return []
        return [self.sell(best)]

    def best(self, right: str) -> Candidate | None:
        found = [made for name in self.swings if self.right_of(name) == right and (made := self.candidate(name))]
        return min(
            found, key=lambda one: (abs(one.points - self.target_points), not one.is_round, -one.low), default=None
        )

    def candidate(self, instrument: str) -> Candidate | None:
        swing, contract = self.swings[instrument], self.contract(instrument)
        stop = round((swing.highest or swing.own_high) + self.stop_above, 2)
        points = round(stop - swing.low, 2)
        if swing.broken or contract is None or not self.position_of(instrument).is_flat:
            return None
        if not self.min_stop_pct <= points / swing.low <= self.max_stop_pct:
            return None
        lots = min(int(self.r_value / (points * contract.lot_size) + 1e-9), self.max_lots)
        is_round = contract.strike % self.round_strikes == 0
        return Candidate(instrument, swing.low, stop, points, lots, is_round) if lots else None

    def sell(self, best: Candidate) -> Signal:
        tick = self.contract(best.instrument).tick_size
        return self.create_signal(
            "SELL",
            instrument=best.instrument,
            trigger_price=best.low - tick,
            buffer=self.entry_buffer,
            stop_price=best.stop,
            stop_buffer=self.stop_buffer,
            lots=best.lots,
            reason=f"break of {best.low:g}, stop {best.points:g} points away, {best.lots} lots",
        )

    def withdrawn(self, entries: dict[str, EntryView], why: str) -> list[Signal]:
        return [self.create_signal("WITHDRAW", instrument=name, reason=why) for name in entries]

    def has_moved(self, entry: EntryView, best: Candidate) -> bool:
        trigger = best.low - self.contract(best.instrument).tick_size
        moved = max(abs(entry.trigger_price - trigger), abs(entry.stop_price - best.stop))
        return round(moved, 2) > self.reprice_from

    def has_room(self, right: str, placed: int) -> bool:
        """The entry of this side counts as none, it is to be placed; `placed` are those the other side just wanted."""
        held = [self.right_of(name) for name in self.instruments if not self.position_of(name).is_flat]
        coming = max(len(self.entries("PE" if right == "CE" else "CE")), placed)
        return len(held) + coming < self.max_positions and held.count(right) < self.max_per_side

    def entries(self, right: str) -> dict[str, EntryView]:
        """The entries of this side that may still fill, by instrument."""
        mine = (name for name in self.instruments if self.right_of(name) == right)
        return {name: entry for name in mine if (entry := self.pending_of(name)) is not None}

    def right_of(self, instrument: str) -> str:
        """CE or PE; empty of what is no option."""
        return instrument[-2:] if instrument[-2:] in ("CE", "PE") else ""
