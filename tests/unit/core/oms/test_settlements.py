"""What an operator settles by hand: shown first, done as shown, once, and never beside an order under way."""

from __future__ import annotations

from typing import Any

import pytest

from mytrading.core.oms.settlements import PATIENCE
from mytrading.core.time import SECOND
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.commands import HoldStop
from mytrading.messages.control import ClaimRequested
from mytrading.messages.enums import Call, OrderState, Product, Purpose, TradingLevel
from mytrading.messages.orders import RequestAnswered, TradeClosed
from mytrading.messages.settlements import AdjustRequested, RebuildRequested, SettlementPlan, SettleRequested
from tests.kit.fake_broker import ACCOUNT, OrderBench
from tests.kit.hand_settlements import DAY, LATER, LOT, PLAN, SHARE, TOMORROW, answer, ask, carried, halt, held, moves
from tests.kit.state_digest import state_digest


def settle(bench: OrderBench, name: str = "r1", **fields: Any) -> RequestAnswered:
    owner = {"instrument": LOT, "product": Product.NRML, "strategy": "s1"}
    found = ask(bench, SettleRequested, name, **{**owner, **fields})
    assert found is not None
    return found


def adjust(bench: OrderBench, name: str = "r1", new: int = 2, **fields: Any) -> RequestAnswered:
    owner = {"instrument": SHARE, "product": Product.CNC, "strategy": "s1"}
    found = ask(bench, AdjustRequested, name, **{**owner, "new": new, **fields})
    assert found is not None
    return found


def rebuild(bench: OrderBench, name: str = "r1", **fields: Any) -> RequestAnswered:
    found = ask(bench, RebuildRequested, name, **fields)
    assert found is not None
    return found


def plan_of(found: RequestAnswered) -> SettlementPlan:
    assert found.plan is not None
    return found.plan


def test_carried_units_that_empty_books_prove_nothing_of_are_gone_by_a_word_and_stay_gone() -> None:
    bench = carried()
    for _ in range(3):
        bench.tick(30 * SECOND)
        bench.read()
    assert held(bench) == (50, 100.0), "empty books alone proved them gone"
    done = settle(bench, reason="expired worthless")
    assert done.ok and moves(bench) == [("settled", -50)] and held(bench)[0] == 0
    for _ in range(3):
        bench.tick(30 * SECOND)
        bench.read()
    assert moves(bench) == [("settled", -50)] and not bench.machine.state.mismatches
    assert not any(call.call is Call.PLACE for call in bench.calls)
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_preview_shows_what_the_request_does_and_changes_nothing() -> None:
    bench = carried()
    shown = settle(bench, "p1", preview=True)
    (row,) = plan_of(shown).rows
    assert shown.ok and (row.broker, row.ledger, row.after, row.difference) == (0, 50, 0, -50)
    assert moves(bench) == [] and held(bench) == (50, 100.0)
    done = settle(bench, plan=plan_of(shown).mark)
    assert done.ok and done.plan == shown.plan and held(bench)[0] == 0


def test_request_whose_plan_is_no_longer_the_one_that_was_shown_does_nothing() -> None:
    bench = carried()
    bench.broker.net[LOT, Product.NRML] = 0
    shown = settle(bench, "p1", preview=True, price=110.0)
    moved = settle(bench, plan=plan_of(shown).mark, price=120.0)
    assert not moved.ok and moved.message.startswith("MOVED") and held(bench) == (50, 100.0)


def test_settled_at_a_price_counts_its_profit() -> None:
    bench = carried()
    assert settle(bench, price=112.5).ok
    (trade,) = [row for row in bench.rows if isinstance(row, TradeClosed)]
    assert (trade.quantity, trade.realised) == (50, 50 * 12.5)


def test_units_that_the_broker_still_shows_are_not_settled() -> None:
    bench = carried()
    bench.broker.net[LOT, Product.NRML] = 50
    refused = settle(bench)
    assert not refused.ok and "shows +50 of NFO:A NRML" in refused.message and held(bench) == (50, 100.0)
    assert moves(bench) == []


def test_units_that_stand_under_another_product_are_not_settled() -> None:
    bench = carried()
    bench.broker.net[LOT, Product.MIS] = 50
    refused = settle(bench)
    assert not refused.ok and "under MIS: was it converted?" in refused.message and moves(bench) == []


def test_position_of_today_is_not_settled_by_hand() -> None:
    bench = OrderBench()
    bench.hold("e1", product=Product.NRML)
    bench.broker.net.clear()
    refused = settle(bench)
    assert not refused.ok and "was opened today" in refused.message and held(bench) == (50, 100.0)


def test_settlement_beside_an_order_under_way_is_refused_with_the_order_named() -> None:
    bench = carried()
    bench.session_open = True
    bench.enter("e2", 25, product=Product.NRML, instrument=LOT)
    refused = settle(bench)
    assert not refused.ok and "order e2 is under way" in refused.message and held(bench) == (50, 100.0)


def test_request_that_comes_twice_is_done_once_and_answered_alike() -> None:
    bench = carried()
    first = settle(bench)
    again = settle(bench)
    assert again == first and moves(bench) == [("settled", -50)]
    bench.time += DAY
    bench.open_day(LATER)
    bench.rows.clear()
    late = settle(bench)
    assert not late.ok and "was executed on" in late.message and moves(bench) == []


def test_request_that_no_read_answers_is_refused_before_its_author_stops_waiting() -> None:
    bench = carried()
    bench.step(SettleRequested(id="r1", account=ACCOUNT, instrument=LOT, product=Product.NRML, strategy="s1", at_ns=0))
    bench.tick(PATIENCE - SECOND)
    assert answer(bench, "r1") is None
    bench.tick(SECOND)
    found = answer(bench, "r1")
    assert found is not None and not found.ok and "no read of order, trade and position book" in found.message
    bench.read()
    assert held(bench) == (50, 100.0) and moves(bench) == []


def test_read_that_began_before_the_request_does_not_answer_it() -> None:
    bench = carried(guarded=False)
    bench.read()
    old = bench.broker.books(bench.time)
    bench.tick(SECOND)
    bench.step(SettleRequested(id="r1", account=ACCOUNT, instrument=LOT, product=Product.NRML, strategy="s1", at_ns=0))
    bench.step(old)
    assert answer(bench, "r1") is None and held(bench) == (50, 100.0)
    bench.read()
    assert held(bench)[0] == 0


def rows_of_one_settlement(kind: str) -> tuple[OrderBench, int, tuple[int, float]]:
    """A bench whose journal ends with a settlement, where that began in it, and the position that it led to."""
    bench = carried(SHARE, Product.CNC) if kind == "adjust" else carried()
    if kind == "rebuild":
        bench.broker.net[LOT, Product.NRML] = 20
        halt(bench)
    began = len(bench.journal)
    {"settle": settle, "adjust": adjust, "rebuild": rebuild}[kind](bench)
    product = Product.CNC if kind == "adjust" else Product.NRML
    return bench, began, held(bench, SHARE if kind == "adjust" else LOT, product)


@pytest.mark.parametrize(("kind", "expected"), [("settle", (0, 0.0)), ("adjust", (50, 50.0)), ("rebuild", (20, 100.0))])
def test_router_that_dies_before_the_books_come_goes_on_with_the_request_and_does_it_once(
    kind: str, expected: tuple[int, float]
) -> None:
    bench, began, there = rows_of_one_settlement(kind)
    assert there == expected
    opened = next(
        place for place, row in enumerate(bench.journal[began:], began) if type(row).__name__ == "SettlementOpened"
    )
    bench.journal = bench.journal[: opened + 1]
    bench.machine = bench.replayed()
    assert list(bench.machine.state.settlements) == ["r1"]
    bench.crash()
    bench.rows.clear()
    bench.session_open = False
    wanted = bench.reads_wanted
    for _ in range(3):
        bench.tick(2 * SECOND)
        bench.read()
    assert bench.reads_wanted > wanted
    product = Product.CNC if kind == "adjust" else Product.NRML
    assert held(bench, SHARE if kind == "adjust" else LOT, product) == expected and len(moves(bench)) == 1
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_split_moves_average_stop_and_target_and_awaits_its_units() -> None:
    bench = carried(SHARE, Product.CNC, held_target=120.0)
    shown = adjust(bench, "p1", preview=True)
    assert "average price 100 becomes 50" in plan_of(shown).steps
    assert "stop 90 (limit 87) becomes 45 (limit 43.5)" in plan_of(shown).steps
    assert any("50 units are still to come" in step for step in plan_of(shown).steps)
    assert adjust(bench, plan=plan_of(shown).mark).ok
    position = bench.machine.position(ACCOUNT, SHARE, Product.CNC, "s1")
    assert position is not None and (position.quantity, position.average_price, position.held_target) == (
        50,
        50.0,
        60.0,
    )
    assert (position.trip_quantity, position.trip_value) == (50, 2500.0)
    level = bench.machine.state.protections[position.owner]
    assert (level.trigger, level.limit, level.state) == (45.0, 43.5, "open")


def test_units_that_come_days_after_a_bonus_are_claimed_by_the_same_command_and_no_price_moves_twice() -> None:
    bench = carried(SHARE, Product.CNC)
    assert adjust(bench).ok
    bench.time += DAY
    bench.open_day(LATER)
    nothing = adjust(bench, "r2")
    assert (
        not nothing.ok and "none of the 50 units" in nothing.message and held(bench, SHARE, Product.CNC) == (50, 50.0)
    )
    assert adjust(bench, "r3", units=100).ok
    assert held(bench, SHARE, Product.CNC) == (100, 50.0)
    for _ in range(3):
        bench.tick(30 * SECOND)
        bench.read()
    assert held(bench, SHARE, Product.CNC) == (100, 50.0) and not bench.machine.state.mismatches
    again = adjust(bench, "r4")
    assert not again.ok and "were booked for s1 today" in again.message


def next_day(bench: OrderBench, day: str) -> None:
    """The night: the broker's books begin anew, empty of what was delivered."""
    bench.session_open = False
    bench.time += DAY
    bench.open_day(day)
    bench.broker.orders.clear()
    bench.broker.net.clear()


@pytest.mark.parametrize("nights", [0, 1])
def test_units_that_were_to_come_of_a_position_that_was_closed_are_no_part_of_the_next_one(nights: int) -> None:
    bench = carried(SHARE, Product.CNC)
    assert adjust(bench).ok
    assert settle(bench, "r2", instrument=SHARE, product=Product.CNC, price=51.0).ok
    if nights:
        next_day(bench, LATER)
        assert not bench.machine.state.awaited
    bench.session_open = True
    bench.hold("e5", 30, instrument=SHARE, product=Product.CNC)
    next_day(bench, "1970-01-04")
    shown = adjust(bench, "r3", preview=True)
    assert shown.ok and "average price 100 becomes 50" in plan_of(shown).steps, shown.message


def test_bonus_units_that_the_position_book_shows_without_an_owner_become_the_owners() -> None:
    bench = carried(SHARE, Product.CNC, guarded=False)
    bench.broker.net[SHARE, Product.CNC] = 100
    for _ in range(3):
        bench.tick(30 * SECOND)
        bench.read()
    key = bench.machine.positions()[0].net
    assert bench.machine.state.unmanaged[key].quantity == 50
    assert adjust(bench).ok
    assert held(bench, SHARE, Product.CNC) == (100, 50.0) and key not in bench.machine.state.unmanaged
    assert bench.machine.state.awaited[bench.machine.positions()[0].owner].units == 0


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"units": 101}, "expected 50 to 100 units"),
        ({"units": 49}, "expected 50 to 100 units"),
        ({"new": 1}, "expected a ratio such as 2 or 3/2"),
    ],
)
def test_adjustment_that_no_such_action_explains_is_refused(fields: dict[str, Any], said: str) -> None:
    bench = carried(SHARE, Product.CNC)
    refused = adjust(bench, **fields)
    assert not refused.ok and said in refused.message and held(bench, SHARE, Product.CNC) == (50, 100.0)


def test_ratio_of_one_says_that_the_price_fell_and_ends_the_hold_of_a_stop() -> None:
    bench = carried(SHARE, Product.CNC)
    owner = bench.machine.positions()[0].owner
    bench.step(HoldStop(id="h1", **owner._asdict(), ratio=2.0))
    assert owner in bench.machine.state.held_stops
    done = adjust(bench, new=1, old=1)
    assert done.ok, done.message
    assert owner not in bench.machine.state.held_stops
    assert held(bench, SHARE, Product.CNC) == (50, 100.0)
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_future_is_not_adjusted_but_named() -> None:
    refused = adjust(carried(), instrument=LOT, product=Product.NRML)
    assert not refused.ok and "adjusted by new lots and strikes under new names" in refused.message


def test_rebuilt_ledger_is_what_the_books_show_and_nothing_is_sent() -> None:
    bench = carried()
    bench.broker.net.update({(LOT, Product.NRML): 20, ("NFO:B", Product.MIS): -30})
    shown = rebuild(bench, "p1", preview=True)
    table = [(row.instrument, row.broker, row.ledger, row.difference, row.after) for row in plan_of(shown).rows]
    assert table == [(LOT, 20, 50, -30, 20), ("NFO:B", -30, 0, -30, -30)]
    assert plan_of(shown).rows[0].does == "s1 loses 30 of 50" and held(bench) == (50, 100.0)
    halt(bench)
    done = rebuild(bench, plan=plan_of(shown).mark)
    assert done.ok and "changed: NFO:A NRML, NFO:B MIS" in done.message
    assert held(bench) == (20, 100.0)
    (unmanaged,) = bench.machine.state.unmanaged.values()
    assert (unmanaged.instrument, unmanaged.quantity) == ("NFO:B", -30)
    assert bench.calls == [] and not bench.machine.state.mismatches
    assert bench.machine.state.trading_level(ACCOUNT) is TradingLevel.HALT
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_units_without_owner_that_only_balance_an_owners_are_rebuilt_too() -> None:
    """Fifty owned and a hundred too few without an owner are fifty too few together: that agrees, and is nonsense."""
    bench = carried()
    bench.broker.net[LOT, Product.NRML] = 50
    bench.read()
    key = bench.machine.positions()[0].net
    bench.broker.net[LOT, Product.NRML] = -50
    row = UnmanagedChanged(**key._asdict(), quantity=-100, at_ns=1)
    bench.journal.append(row)
    bench.machine.apply(row)
    halt(bench)
    shown = rebuild(bench, "p1", preview=True)
    assert plan_of(shown).rows[0].does == "s1 loses 50 of 50, -50 without an owner"
    assert rebuild(bench, plan=plan_of(shown).mark).ok
    assert held(bench)[0] == 0 and bench.machine.state.unmanaged[key].quantity == -50


def test_ledger_is_not_rebuilt_from_an_empty_book_that_may_be_a_lost_session() -> None:
    bench = carried()
    halt(bench)
    refused = rebuild(bench)
    assert not refused.ok and "no live funds show that the server has a session" in refused.message
    assert held(bench) == (50, 100.0) and moves(bench) == []
    bench.broker.funds_live = True
    assert rebuild(bench, "r2").ok and held(bench)[0] == 0


def test_ledger_is_not_rebuilt_beside_an_order_under_way() -> None:
    bench = carried()
    bench.session_open = True
    bench.enter("e2", 25, product=Product.NRML, instrument=LOT)
    bench.session_open = False
    assert bench.order("e2").state is not OrderState.DENIED, bench.order("e2").message
    bench.broker.net[LOT, Product.NRML] = 20
    refused = rebuild(bench)
    assert not refused.ok and "is under way" in refused.message
    halt(bench)
    refused = rebuild(bench, "r2")
    assert not refused.ok and "is under way" in refused.message and held(bench) == (50, 100.0)


def test_ledger_is_not_rebuilt_once_entries_were_resumed() -> None:
    bench = carried()
    bench.broker.net[LOT, Product.NRML] = 20
    refused = rebuild(bench)
    assert not refused.ok and "expected them to be halted" in refused.message and held(bench) == (50, 100.0)


def test_stop_that_rests_is_withdrawn_with_the_settled_units_and_does_not_stand_in_the_way() -> None:
    bench = OrderBench()
    bench.hold("e1", product=Product.NRML, **PLAN)
    bench.accept()
    bench.read()
    bench.time += DAY
    bench.open_day(TOMORROW)
    bench.calls.clear()
    bench.broker.net.clear()
    done = settle(bench)
    assert done.ok, done.message
    assert [(call.call, call.order.purpose) for call in bench.calls] == [(Call.CANCEL, Purpose.STOP)]


def unmanaged(bench: OrderBench) -> None:
    bench.read()
    bench.broker.net[LOT, Product.MIS] = 75
    bench.read()
    bench.tick(6 * SECOND)
    bench.read()


def claim(bench: OrderBench, name: str, **fields: Any) -> RequestAnswered:
    key: dict[str, Any] = {"account": ACCOUNT, "instrument": LOT, "product": Product.MIS, "price": 100.0}
    bench.time += SECOND
    bench.step(ClaimRequested(id=name, at_ns=bench.now, strategy="s1", **key, **fields))
    bench.tick(SECOND)
    bench.read()
    found = answer(bench, name)
    assert found is not None
    return found


def test_claim_is_shown_first_done_as_shown_and_once() -> None:
    bench = OrderBench()
    unmanaged(bench)
    shown = claim(bench, "p1", quantity=50, preview=True)
    assert shown.ok and plan_of(shown).steps == ("s1 gets +50 of NFO:A MIS at 100", "25 stay without an owner")
    assert moves(bench) == []
    other = claim(bench, "c1", quantity=25, plan=plan_of(shown).mark)
    assert not other.ok and other.message.startswith("MOVED") and moves(bench) == []
    first = claim(bench, "c2", quantity=50, plan=plan_of(shown).mark)
    assert first.ok and claim(bench, "c2", quantity=50, plan=plan_of(shown).mark) == first
    assert moves(bench) == [("claim", 50)]


def test_claim_with_a_stop_that_comes_twice_before_the_stop_rests_claims_once() -> None:
    bench = OrderBench()
    unmanaged(bench)
    fields: dict[str, Any] = {"quantity": 50, "stop": 90.0, "stop_limit": 87.0}
    key: dict[str, Any] = {
        "account": ACCOUNT,
        "instrument": LOT,
        "product": Product.MIS,
        "price": 100.0,
        "strategy": "s1",
    }
    for _ in range(2):
        bench.step(ClaimRequested(id="c1", at_ns=bench.now, **key, **fields))
        bench.tick(SECOND)
        bench.read()
    assert moves(bench) == [("claim", 50)] and answer(bench, "c1") is None
    bench.accept()
    found = answer(bench, "c1")
    assert found is not None and found.ok


def test_claim_beside_an_order_of_the_key_under_way_is_refused() -> None:
    bench = OrderBench()
    unmanaged(bench)
    bench.enter("e9", 25)
    refused = claim(bench, "c1")
    assert not refused.ok and "order e9 is under way" in refused.message and moves(bench) == []
