"""The shipped seller of swing breaks against the rules of the system it is written after."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from mytrading.core.engine.machine import EngineMachine
from mytrading.core.instruments.book import InstrumentBook
from mytrading.messages.enums import Action, OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.market import Bar
from mytrading.messages.orders import Order, OrderChanged
from mytrading.messages.run_config import Direction
from mytrading.messages.signals import Leg, Signal
from mytrading.runtime.host.author_files import load_file
from mytrading.strategies import BaseStrategy
from tests.kit.engine_bench import MINUTE, OPEN, SAME_SHORT, make_run, moved, step

(SELLER,) = load_file(Path(__file__).parents[4] / "strategies" / "swing_break_seller.py", BaseStrategy).classes
LOT = 65
CALL, CALL_50, CALL_100, PUT = (f"NFO:NIFTY02DEC25{end}" for end in ("26000CE", "26050CE", "26100CE", "26000PE"))
Row = tuple[float, float, float, float, int]
LOW_150: list[Row] = [
    (100, 100, 100, 100, 1_000_000),
    (160, 161, 159, 160, 1),
    (162, 163, 161, 162, 1),
    (158, 159, 157, 158, 1),
    (155, 156, 154, 155, 1),
    (152, 153, 150, 151, 1),
    (153, 154, 152, 153.5, 1),
    (154.5, 159, 153, 154.8, 1),
]
"""A swing low of 150 at the sixth bar, confirmed by the last one; the highest high since is 159, the VWAP about 100."""


def option(name: str) -> Instrument:
    symbol = name.partition(":")[2]
    return Instrument(
        id=name, exchange="NFO", symbol=symbol, kind=InstrumentKind(symbol[-2:]), underlying="NIFTY",
        expiry="2025-12-02", strike=float(symbol[-7:-2]), lot_size=LOT, tick_size=0.05,
    )  # fmt: skip


def seller(*names: str, **parameters: Any) -> EngineMachine:
    run = make_run(
        "Swing_Break_Seller", symbols=names, long=None, short=SAME_SHORT, direction=Direction.SHORT,
        parameters=parameters,
    )  # fmt: skip
    machine = EngineMachine([run], {run.name: SELLER}, InstrumentBook(option(name) for name in names))
    machine.open([])
    return machine


def bar(k: int, row: Row, name: str) -> Bar:
    start = OPEN + k * MINUTE
    return Bar(name, "1m", start, start + MINUTE, *row[:4], volume=row[4], received_ns=start + MINUTE)


def shifted(rows: Iterable[Row], by: float) -> list[Row]:
    """The same shape at another price; the first bar, which makes the VWAP, stays."""
    first, *rest = rows
    return [first, *((o + by, h + by, low + by, c + by, v) for o, h, low, c, v in rest)]


def feed(machine: EngineMachine, rows: dict[str, list[Row]], first: int = 0) -> list[Signal]:
    """Bars of all instruments minute by minute; every entry rests, every withdrawal is confirmed, at once."""
    found: list[Signal] = []
    for k in range(len(next(iter(rows.values())))):
        for name, given in rows.items():
            for row in step(machine, bar(first + k, given[k], name)):
                if isinstance(row, Signal):
                    found.append(row)
                    answer(machine, row)
    return found


def answer(machine: EngineMachine, signal: Signal) -> None:
    if signal.action is Action.EXIT:
        step(machine, order(RESTING.pop((id(machine), signal.watch)), OrderState.CANCELLED))
        return
    before = RESTING.pop((id(machine), signal.watch), None)
    if before is not None:
        step(machine, order(before, OrderState.CANCELLED))
    RESTING[id(machine), signal.watch] = signal
    step(machine, order(signal, OrderState.ACCEPTED))


RESTING: dict[tuple[int, str], Signal] = {}


def order(signal: Signal, state: OrderState) -> OrderChanged:
    (leg,) = signal.legs
    made = Order(
        client_order_id="o" + signal.id, account="main", instrument=leg.instrument, product=Product.MIS,
        strategy=signal.strategy, run="r1", cause=signal.id, purpose=Purpose.ENTRY, side=Side.SELL,
        quantity=-leg.lots * LOT, order_type=OrderType.SL, state=state, created_ns=OPEN, updated_ns=OPEN,
        price=leg.limit_price, trigger_price=leg.trigger_price,
    )  # fmt: skip
    return OrderChanged(event=state.value.lower(), order=made, machine_ns=0)


def test_swing_of_ten_points_rests_650_units_a_tick_below_it() -> None:
    (signal,) = feed(seller(CALL), {CALL: LOW_150})
    assert signal.action is Action.SELL
    assert signal.legs == (
        Leg(instrument=CALL, lots=-10, order_type=OrderType.SL, trigger_price=149.95, limit_price=146.95,
            stop_price=160.0, stop_buffer=3.0),
    )  # fmt: skip
    assert signal.created_ns == OPEN + 8 * MINUTE
    assert "10 points away, 10 lots" in signal.reason


@pytest.mark.parametrize(("highest", "lots"), [(163.0, 7), (159.0, 10), (155.0, 10), (164.0, 6)])
def test_lots_lose_6500_rupees_at_the_stop_and_are_ten_at_most(highest: float, lots: int) -> None:
    rows = [*LOW_150[:-1], (154.5, highest, 153, 154.8, 1)]
    (signal,) = feed(seller(CALL), {CALL: rows})  # (163+1−150)·65 = 910 a lot, (164+1−150)·65 = 975
    assert signal.legs[0].lots == -lots


@pytest.mark.parametrize("highest", [165.0, 151.0])
def test_stop_of_less_than_2_or_more_than_10_percent_places_nothing(highest: float) -> None:
    rows = [*LOW_150[:6], (153, min(highest, 154), 150.5, 150.8, 1), (150.8, highest, 150.6, min(highest, 154.8), 1)]
    assert feed(seller(CALL), {CALL: rows}) == []


@pytest.mark.parametrize(("by", "signals"), [(-50.0, 1), (-50.05, 0), (150.0, 1), (150.05, 0)])
def test_only_swings_from_100_to_300_are_sold(by: float, signals: int) -> None:
    rows = shifted(LOW_150, by)
    rows[0] = (50, 50, 50, 50, 1_000_000)
    found = feed(seller(CALL, max_stop_pct=0.2, min_stop_pct=0.001), {CALL: rows})
    assert len(found) == signals


@pytest.mark.parametrize(("vwap", "signals"), [(144.2, 1), (144.3, 0)])
def test_swing_must_lie_4_percent_above_the_vwap_of_its_bar(vwap: float, signals: int) -> None:
    """150 is 4.02 % above 144.2, and 3.95 % above 144.3."""
    rows = [(vwap, vwap, vwap, vwap, 100_000_000), *LOW_150[1:]]
    assert len(feed(seller(CALL), {CALL: rows})) == signals


def test_nearest_to_ten_points_then_a_round_strike_then_the_dearer_is_chosen() -> None:
    near, far = LOW_150, [*LOW_150[:-1], (154.5, 157, 153, 154.8, 1)]
    (signal,) = feed(seller(CALL, CALL_50), {CALL: far, CALL_50: near})
    assert signal.watch == CALL_50  # 10 points against 8
    (signal,) = feed(seller(CALL_50, CALL), {CALL_50: shifted(near, 50), CALL: near})
    assert signal.watch == CALL  # both 10 points away: 26000 is round
    (signal,) = feed(seller(CALL, CALL_100), {CALL: near, CALL_100: shifted(near, 50)})
    assert signal.watch == CALL_100  # both round: 200 rupees against 150


def test_one_call_and_one_put_rest_beside_each_other() -> None:
    signals = feed(seller(CALL, CALL_50, PUT), dict.fromkeys((CALL, CALL_50, PUT), LOW_150))
    assert sorted(signal.watch for signal in signals) == [CALL, PUT]


def test_better_option_is_placed_only_when_the_other_entry_is_gone() -> None:
    machine = seller(CALL, CALL_100)
    other = [(154.8, 158, 153, 154, 1), (154, 158, 153, 154, 1)]
    late = [LOW_150[0], *shifted(LOW_150, 50)[1:7], (204.5, 220, 203, 204.8, 1)]
    assert [s.watch for s in feed(machine, {CALL: LOW_150, CALL_100: late})] == [CALL]
    far = [(154.8, 164, 153, 154, 1)] * 2  # the call's stop moves to 15 points
    near = shifted([LOW_150[0], *other], 50)[1:]
    machine.hosts[0].strategy.swings[CALL_100].highest = 209.0  # type: ignore[attr-defined]
    withdrawn, placed = feed(machine, {CALL: far, CALL_100: near}, first=8)
    assert (withdrawn.watch, withdrawn.action, withdrawn.keeps) == (CALL, Action.EXIT, True)
    assert (placed.watch, placed.action) == (CALL_100, Action.SELL)
    assert placed.bar_ns - withdrawn.bar_ns == MINUTE


def test_entry_follows_a_stop_that_moves_by_more_than_a_rupee_and_no_less() -> None:
    machine = seller(CALL)
    feed(machine, {CALL: LOW_150})
    assert feed(machine, {CALL: [(154, 160, 153, 154, 1)]}, first=8) == []
    (signal,) = feed(machine, {CALL: [(154, 160.05, 153, 154, 1)]}, first=9)
    assert (signal.legs[0].stop_price, signal.legs[0].lots) == (161.05, -9)


def test_broken_swing_takes_its_entry_back_and_is_not_sold_again() -> None:
    machine = seller(CALL)
    feed(machine, {CALL: LOW_150})
    (signal,) = feed(machine, {CALL: [(154, 155, 150, 151, 1)]}, first=8)  # touched, not triggered
    assert (signal.action, signal.keeps) == (Action.EXIT, True)
    assert feed(machine, {CALL: [(151, 153, 150.5, 152, 1)]}, first=9) == []


def test_filled_option_is_left_alone_and_its_position_kept() -> None:
    machine = seller(CALL)
    (signal,) = feed(machine, {CALL: LOW_150})
    step(machine, order(signal, OrderState.FILLED))
    step(machine, moved("Swing_Break_Seller", CALL, -650))
    assert feed(machine, {CALL: [(150, 151, 148, 149, 1), (149, 150, 147, 148, 1)]}, first=8) == []


def test_three_of_a_side_and_five_in_all_are_the_most() -> None:
    names = [f"NFO:NIFTY02DEC25{26000 + 50 * n}{right}" for right in ("CE", "PE") for n in range(4)]
    calls, puts = names[:4], names[4:]

    def placed(*held: str) -> set[str]:
        machine = seller(*names)
        for name in held:
            step(machine, moved("Swing_Break_Seller", name, -LOT))
        return {signal.watch[-2:] for signal in feed(machine, dict.fromkeys(names, LOW_150))}

    assert placed(*calls[:2]) == {"CE", "PE"}
    assert placed(*calls[:3]) == {"PE"}
    assert placed(*calls[:2], *puts[:2]) == {"CE"}  # the fifth is a call, and the put would be the sixth
    assert placed(*calls[:3], *puts[:2]) == set()


def test_nothing_is_entered_from_the_last_entry_time_on() -> None:
    machine = seller(CALL, last_entry="09:24")
    (placed,) = feed(machine, {CALL: LOW_150})
    (withdrawn,) = feed(machine, {CALL: [(154, 158, 153, 154, 1)]}, first=8)
    assert (placed.action, withdrawn.keeps) == (Action.SELL, True)


def test_restart_within_the_day_comes_to_the_same_choice() -> None:
    names = (CALL, CALL_50, CALL_100, PUT)
    days = {name: walk(40, seed) for seed, name in enumerate(names)}
    whole = seller(*names, min_vwap_premium=-1.0)
    feed(whole, {name: rows[:30] for name, rows in days.items()})
    again = seller(*names, min_vwap_premium=-1.0)
    again.rebuild()
    again.open([bar(k, days[name][k], name) for k in range(30) for name in names])
    first, second = (machine.hosts[0].strategy for machine in (whole, again))
    assert first.swings == second.swings  # type: ignore[attr-defined]
    assert [first.best(right) for right in ("CE", "PE")] == [second.best(right) for right in ("CE", "PE")]  # type: ignore[attr-defined]


def walk(count: int, seed: int, price: float = 150.0) -> list[Row]:
    rng = random.Random(seed)
    rows: list[Row] = []
    for _ in range(count):
        opens, price = price, max(price + rng.gauss(0, 3), 20)
        high, low = max(opens, price) + rng.random() * 2, min(opens, price) - rng.random() * 2
        rows.append((opens, high, low, price, rng.randint(1, 50)))
    return [(*(round(value * 20) / 20 for value in row[:4]), row[4]) for row in rows]  # type: ignore[misc]


class ByTheWords:
    """The rules once more for one option, kept apart from the strategy: swings and the pool of at most one."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.above: dict[int, int] = {}
        self.below: dict[int, int] = {}
        self.swing: tuple[str, int, float] | None = None
        self.pool: tuple[float, int, bool] | None = None

    def add(self, row: Row) -> None:
        self.rows.append(row)
        before = self.swing
        self._swing(len(self.rows) - 1)
        if self.swing != before and self.swing is not None and self.swing[0] == "low":
            _, at, vwap = self.swing
            low = self.rows[at][2]
            if not 100 <= low <= 300:
                self.pool = None
            elif (low - vwap) / vwap >= 0.04:
                self.pool = (low, at, False)
        if self.pool is not None:
            low, at, broken = self.pool
            self.pool = None if row[2] < low else (low, at, broken or (row[2] <= low and at < len(self.rows) - 1
                                                                       and self.swing == before))  # fmt: skip

    def candidate(self) -> tuple[float, float, int] | None:
        """Swing low, stop, lots."""
        if self.pool is None or self.pool[2]:
            return None
        low, at, _ = self.pool
        stop = max((row[1] for row in self.rows[at + 1 :]), default=self.rows[at][1]) + 1
        points = round(stop - low, 2)
        if not 0.02 <= points / low <= 0.10:
            return None
        return low, round(stop, 2), min(int(round(6500 / (points * LOT), 9)), 10)

    def _up(self, i: int, j: int) -> bool:
        return self.rows[i][1] > self.rows[j][1] and self.rows[i][3] > self.rows[j][3]

    def _dn(self, i: int, j: int) -> bool:
        return self.rows[i][2] < self.rows[j][2] and self.rows[i][3] < self.rows[j][3]

    def _make(self, side: str, begin: int, i: int, vwap: float | None = None) -> None:
        span = range(begin, i + 1)
        at = min(span, key=lambda k: self.rows[k][2]) if side == "low" else max(span, key=lambda k: self.rows[k][1])
        if vwap is None:
            self.above, self.below = {}, {}
            part = self.rows[: at + 1]
            vwap = sum((r[1] + r[2] + r[3]) / 3 * r[4] for r in part) / sum(r[4] for r in part)
        self.swing = (side, at, vwap)

    def _count(self, counts: dict[int, int], j: int) -> bool:
        counts[j] = counts.get(j, 0) + 1
        return counts[j] >= 2

    def _swing(self, i: int) -> None:
        if self.swing is None:
            for j in range(i):
                if self._up(i, j) and self._count(self.above, j):
                    return self._make("low", 0, i)
                if self._dn(i, j) and self._count(self.below, j):
                    return self._make("high", 0, i)
            return None
        side, s, vwap = self.swing
        turns, goes = (self._dn, self._up) if side == "low" else (self._up, self._dn)
        turned, going = (self.below, self.above) if side == "low" else (self.above, self.below)
        for j in range(s + 1, i):
            if turns(i, j) and self._count(turned, j):
                return self._make("high" if side == "low" else "low", s + 1, i)
        for j in range(s + 1, i):
            if goes(i, j) and self._count(going, j):
                span = range(s + 1, i + 1)
                lowest, highest = min(self.rows[k][2] for k in span), max(self.rows[k][1] for k in span)
                further = lowest < self.rows[s][2] if side == "low" else highest > self.rows[s][1]
                if further:
                    return self._make(side, s + 1, i, vwap)
        return None


@pytest.mark.parametrize("seed", range(6))
def test_pool_equals_the_rules_word_by_word_on_random_days(seed: int) -> None:
    machine, words = seller(CALL), ByTheWords()
    (strategy,) = (host.strategy for host in machine.hosts)
    found = 0
    for k, row in enumerate([(100, 100, 100, 100, 20_000), *walk(200, seed)]):
        step(machine, bar(k, row, CALL))
        words.add(row)
        best, wanted = strategy.best("CE"), words.candidate()  # type: ignore[attr-defined]
        assert (best and (best.low, best.stop, best.lots)) == wanted, f"bar {k}"
        found += wanted is not None
    assert found


def test_wrong_parameters_are_refused_with_what_was_expected() -> None:
    machine = seller(CALL, min_price=400)
    assert machine.hosts[0].fault is not None
    assert "expected 0 < min_price < max_price, found 400.0 and 300.0" in machine.hosts[0].fault.error
