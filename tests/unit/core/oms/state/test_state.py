"""Changes of a decision to the machine's tables are taken back whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mytrading.core.oms import OrderMachine
from mytrading.core.oms.state.state import State
from mytrading.messages.control import TradingState
from mytrading.messages.enums import TradingLevel
from mytrading.messages.orders import OrderChanged
from tests.kit.fake_broker import NEVER, SECOND, OrderBench
from tests.kit.state_digest import state_digest

KEYS = st.sampled_from("abcdef")
CHANGES = st.lists(st.tuples(KEYS, st.none() | st.integers(0, 3)), max_size=12)


def changed(state: State, changes: list[tuple[str, int | None]]) -> dict[str, int]:
    """Return a dict after the same changes; None drops a key."""
    model = dict(state.flags)
    for key, value in changes:
        if value is None:
            state.drop(state.flags, key)
            model.pop(key, None)
        else:
            state.put(state.flags, key, value)
            model[key] = value
    return model


@given(CHANGES, CHANGES)
def test_state_reads_like_a_dict_and_takes_back_what_changed_since_it_began(
    below: list[tuple[str, int | None]], above: list[tuple[str, int | None]]
) -> None:
    state = State()
    whole = changed(state, below)
    assert state.flags.sorted_items() == sorted(whole.items())
    state.advance_machine_time(5)
    state.begin_tentative()
    assert dict(state.flags) == changed(state, []) == whole
    model = changed(state, above)
    state.advance_machine_time(9)
    assert (dict(state.flags), state.machine_ns) == (model, 9)
    state.roll_back()
    assert (dict(state.flags), state.machine_ns) == (whole, 5)
    assert changed(state, above) == model, "what was not begun is kept"


def test_decision_cannot_clear_a_table() -> None:
    state = State()
    state.begin_tentative()
    with pytest.raises(TypeError, match="decision"):
        state.clear(state.orders)
    state.roll_back()
    state.clear(state.orders)


def test_decision_that_fails_half_way_leaves_the_machine_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order it had begun would stand in no journal, and be sent by the next one."""

    def broken(*_: object) -> None:
        raise RuntimeError

    bench = OrderBench()
    bench.read()
    before = state_digest(bench.machine)
    with monkeypatch.context() as patch:
        patch.setattr("mytrading.core.oms.placing.dispatch.dispatch_calls", broken)
        with pytest.raises(RuntimeError):
            bench.enter("e1")
    assert bench.machine.state.orders.get("e1") is None
    assert state_digest(bench.machine) == before
    rows = bench.enter("e1")
    assert [row.event for row in rows if isinstance(row, OrderChanged)] == ["submitted"]


def test_strictest_level_counts_whichever_was_learnt_last() -> None:
    for levels in ((TradingLevel.HALT, TradingLevel.REDUCE), (TradingLevel.REDUCE, TradingLevel.HALT)):
        machine = OrderMachine()
        for account, level in zip(("", "main"), levels, strict=True):
            machine.apply(TradingState(account=account, level=level, generation=1, reason="", at_ns=1))
        assert machine.state.trading_level("main") is TradingLevel.HALT
        assert machine.state.trading_level("other") is levels[0]


def test_list_of_open_orders_is_made_anew_once_one_of_them_changed() -> None:
    """Of two entries that wait for each other's side only one may leave in a decision."""
    bench = OrderBench()
    bench.read()
    bench.close("g1")
    bench.enter("e1", expires_ns=NEVER)
    bench.enter("e2", expires_ns=NEVER)
    first = [row.order.client_order_id for row in bench.rows if getattr(row, "event", "") == "submitted"]
    assert first == ["e1"]
    bench.accept()
    bench.tick(SECOND)
    assert [call.order.client_order_id for call in bench.calls] == ["e2"]
