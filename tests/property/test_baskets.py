"""Baskets under random fates of their orders: never short without cover, never half a basket at the end."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mytrading.messages.commands import CloseGoal, PlaceEntry
from mytrading.messages.enums import OrderState
from mytrading.messages.orders import Goal, GoalChanged, TimerFired
from mytrading.messages.run_config import OrphanLegs
from tests.kit.hypothesis_budget import examples
from tests.kit.risk_basket_bench import HEDGE, SOLD, Basket, stopped_out
from tests.kit.risk_bench import CALL, NEAR, SECOND

WANTED = {CALL: 65, NEAR: -65}
KINDS = ["fill", "part", "reject", "cancel", "wait", "kill", "stop"]
FATES = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 9)), max_size=12)


class Venue:
    """Commands with their outcomes, and the positions of each account."""

    def __init__(self, bench: Basket) -> None:
        self.bench = bench
        self.held: dict[tuple[str, str], int] = {}
        self.done: set[str] = set()

    def open_entries(self) -> list[PlaceEntry]:
        return [row for row in self.bench.rows if isinstance(row, PlaceEntry) and row.id not in self.done]

    def end(self, entry: PlaceEntry, state: OrderState, filled: int) -> None:
        self.done.add(entry.id)
        key = (entry.account, entry.instrument)
        self.bench.report_order(entry, state, filled)
        if filled:
            units = filled * entry.side.sign
            self.held[key] = self.held.get(key, 0) + units
            self.bench.held(*key, self.held[key], entry.id, units)

    def close_what_is_wanted(self) -> None:
        """Carry out exit goals until there are none."""
        while goals := [row for row in self.bench.rows if isinstance(row, CloseGoal) and row.id not in self.done]:
            for row in goals:
                self.done.add(row.id)
                units = self.held.pop((row.account, row.instrument), 0)
                self.bench.held(row.account, row.instrument, 0, row.id, -units)
                goal = Goal(
                    id=row.id, account=row.account, instrument=row.instrument, product=row.product,
                    strategy=row.strategy, run=row.run, cause=row.cause, reason=row.reason, purpose=row.purpose,
                    state="done",
                )  # fmt: skip
                self.bench.give(GoalChanged(goal=goal, at_ns=self.bench.now))

    def stop_out(self, pick: int) -> None:
        """The stop of a sold leg fires."""
        sold = [row for row in self.bench.rows if isinstance(row, PlaceEntry) and row.instrument == NEAR]
        newest = {row.account: row for row in sold if self.held.get((row.account, NEAR))}
        sold = list(newest.values())
        if sold:
            entry = sold[pick % len(sold)]
            self.held[entry.account, NEAR] = 0
            stopped_out(self.bench, entry)

    def apply(self, fate: str, pick: int) -> None:
        if fate == "kill":
            now, self.bench = self.bench.now, self.bench.again()
            self.bench.now = now
        if fate == "stop":
            self.stop_out(pick)
            return
        entries = self.open_entries()
        if not entries or fate in ("wait", "kill"):
            self.bench.give(TimerFired(name="risk", machine_ns=self.bench.machine_ns))
            return
        entry = entries[pick % len(entries)]
        if fate == "fill":
            self.end(entry, OrderState.FILLED, entry.quantity)
        elif fate == "part":
            self.end(entry, OrderState.CANCELLED, 1 + pick % entry.quantity)
        else:
            self.end(entry, OrderState.REJECTED if fate == "reject" else OrderState.CANCELLED, 0)


def assert_covered(venue: Venue) -> None:
    """Every order for the sold leg came when its account held the whole hedge."""
    for account in ("main", "second"):
        short = [row for row in venue.bench.rows if isinstance(row, PlaceEntry)
                 and (row.account, row.instrument) == (account, NEAR) and row.id not in venue.done]  # fmt: skip
        assert not short or venue.held.get((account, CALL), 0) == WANTED[CALL]


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(0, 4), FATES, st.sampled_from([OrphanLegs.UNWIND, OrphanLegs.RETRY]))
def test_every_account_ends_with_the_whole_basket_or_with_nothing(
    filled: int, fates: list[tuple[str, int]], orphans: OrphanLegs
) -> None:
    venue = Venue(Basket(("main", "second"), orphans, 1))
    venue.bench.intent("a", HEDGE, SOLD)
    for fate, pick in [*[("fill", 0)] * filled, *fates]:
        venue.apply(fate, pick)
        assert_covered(venue)
        venue.close_what_is_wanted()
    for _ in range(8):
        venue.apply("reject", 0)
        venue.close_what_is_wanted()
    venue.bench.now += 120 * SECOND
    venue.bench.machine_ns += 120 * SECOND
    venue.bench.machine.set_machine_time(venue.bench.machine_ns)
    venue.bench.give(TimerFired(name="risk", machine_ns=venue.bench.machine_ns))
    venue.close_what_is_wanted()
    names = [row.id for row in venue.bench.rows if isinstance(row, PlaceEntry)]
    assert len(names) == len(set(names))
    for account in ("main", "second"):
        holds = {name: units for (of, name), units in venue.held.items() if of == account and units}
        assert holds in ({}, WANTED)
