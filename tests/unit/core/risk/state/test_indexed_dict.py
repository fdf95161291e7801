"""Orders and positions by strategy and by instrument: what is asked of a group is what is asked of all."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.state.indexed_dict import IndexedDict
from mytrading.core.risk.state.intent import Intent
from mytrading.messages.enums import Action, Product
from mytrading.messages.orders import Position, PositionChanged
from mytrading.messages.signals import Leg, Signal
from tests.kit.risk_bench import SECOND, RiskBench


class Thing(NamedTuple):
    strategy: str
    instrument: str
    number: int


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["set", "del", "pop", "setdefault"]),
        st.integers(0, 5),
        st.builds(Thing, st.sampled_from("AB"), st.sampled_from("xyz"), st.integers(0, 9)),
    )
)


@given(CHANGES)
def test_groups_after_any_changes_are_what_a_dict_would_hold_in_its_order(
    changes: list[tuple[str, int, Thing]],
) -> None:
    indexed: IndexedDict[int, Thing] = IndexedDict()
    for change, key, thing in changes:
        if change == "set":
            indexed[key] = thing
        elif change == "setdefault":
            assert indexed.setdefault(key, thing) is indexed[key]
        elif change == "pop":
            indexed.pop(key)
        elif key in indexed:
            del indexed[key]
        for name in "AB":
            assert sorted(indexed.of_strategy(name)) == sorted(one for one in indexed.values() if one.strategy == name)
        for name in "xyz":
            expected = sorted(one for one in indexed.values() if one.instrument == name)
            assert sorted(indexed.of_instrument(name)) == expected
    assert list(IndexedDict(indexed.items()).values()) == list(indexed.values())


def test_order_event_beside_many_fulfilled_intents_asks_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = RiskBench()
    for number in range(30):
        name = f"NSE:SHARE{number}"
        position = Position(
            account="main", instrument=name, product=Product.MIS, strategy="S", run="r", quantity=10,
            quantity_seen=10, average_price=100.0, opened_ns=bench.now, updated_ns=bench.now,
        )  # fmt: skip
        bench.give(
            PositionChanged(position=position, client_order_id="x", fill_quantity=10, fill_price=100.0, at_ns=bench.now)
        )
        bench.machine.state.bound["S", name] = name
        bench.give(
            Signal(
                id=f"w{number}", strategy="S", watch=name, action=Action.BUY, product=Product.MIS,
                legs=(Leg(instrument=name, lots=10),), created_ns=bench.now, expires_ns=bench.now + 60 * SECOND,
                expires_machine_ns=bench.machine_ns + 2 * SECOND,
            )
        )  # fmt: skip
    for intent in bench.machine.state.intents.values():
        intent.settled = True
    asked: list[str] = []

    def _advance(_self: RiskMachine, intent: Intent, _now: int) -> tuple[Any, ...]:
        asked.append(intent.signal.id)
        return ()

    monkeypatch.setattr(RiskMachine, "_advance", _advance)
    first = bench.machine.state.positions["main", "NSE:SHARE0", Product.MIS, "S"]
    bench.machine.decide(
        PositionChanged(position=first, client_order_id="x", fill_quantity=0, fill_price=0.0, at_ns=1), bench.now
    )
    assert not asked
