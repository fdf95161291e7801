"""An account that holds is renamed or removed: nothing is sent for it, a word ends what it held, and its return is a
morning."""

from __future__ import annotations

from typing import Any

import pytest

from mytrading.core.oms.state.settings import OmsLimits
from mytrading.core.time import SECOND
from mytrading.messages.control import ClaimRequested
from mytrading.messages.enums import Call, OrderState, Outcome, Product, Side
from mytrading.messages.journal_rows import RunStarted
from mytrading.messages.orders import RequestAnswered
from mytrading.messages.reports import ReadRequest
from mytrading.messages.settlements import AdjustRequested, RebuildRequested, SettleRequested
from tests.kit.fake_broker import ACCOUNT, OrderBench
from tests.kit.hand_settlements import DAY, LATER, LOT, PLAN, TOMORROW, answer, held, moves
from tests.kit.state_digest import state_digest

SECOND_ACCOUNT = "second"
OWNER: dict[str, Any] = {"instrument": LOT, "product": Product.NRML, "strategy": "s1"}


def bench_with(units: int = 50, limits: OmsLimits | None = None, **fields: Any) -> OrderBench:
    """A position of today in the one account of the run."""
    bench = OrderBench(limits)
    bench.crash((ACCOUNT,), in_run=(ACCOUNT,))
    bench.hold("e1", units, product=Product.NRML, instrument=LOT, **fields)
    bench.read()
    return bench


def rename(bench: OrderBench) -> None:
    """The next start has an account of another name."""
    rows = bench.crash((SECOND_ACCOUNT,), in_run=(SECOND_ACCOUNT,))
    asked = {row.account for row in rows if isinstance(row, ReadRequest)}
    assert asked <= {SECOND_ACCOUNT}, "a read that cannot come was asked for"
    bench.rows.clear()


def come_back(bench: OrderBench) -> None:
    bench.crash((ACCOUNT,), in_run=(ACCOUNT,))
    bench.rows.clear()
    bench.see_mode()


def pass_time(bench: OrderBench, seconds: int = 30) -> None:
    for _ in range(seconds):
        bench.tick(SECOND)


def settle(bench: OrderBench, name: str = "r1", **fields: Any) -> RequestAnswered:
    """A settlement, answered at once: no read can come."""
    fields = {"reason": "closed at the broker", "by": "asha", **fields}
    bench.step(SettleRequested(id=name, account=ACCOUNT, at_ns=bench.now, **{**OWNER, **fields}))
    found = answer(bench, name)
    assert found is not None, "it waited for a read of an account that nothing reads"
    return found


def placed(bench: OrderBench) -> list[tuple[Side, int]]:
    return [(call.order.side, call.order.quantity) for call in bench.calls if call.call is Call.PLACE]


def sends_after_reads(bench: OrderBench, reads: int) -> list[tuple[Side, int]]:
    for _ in range(reads):
        pass_time(bench, 5)
        bench.read()
    bench.tick(SECOND)
    return placed(bench)


def test_exit_of_an_account_that_is_not_in_the_run_is_not_made_and_says_why() -> None:
    bench = bench_with()
    rename(bench)
    bench.close("c1", product=Product.NRML, instrument=LOT)
    pass_time(bench)
    assert placed(bench) == [] and not bench.machine.state.waiting, "an order was made that nothing can send"
    assert [goal.state for goal in bench.machine.goals()] == ["open"]
    (waits,) = [alert for alert in bench.alerts if alert.code == "EXIT_WAITS"]
    assert f"account {ACCOUNT} is not in this run" in waits.message and "settle" in waits.message
    asked = {row.account for row in bench.rows if isinstance(row, ReadRequest)}
    assert asked == {SECOND_ACCOUNT}, "a read that cannot come was asked for"


def test_exit_that_had_not_left_when_the_account_went_ends_and_its_goal_waits() -> None:
    bench = bench_with(limits=OmsLimits(mode_first=True))
    begun = RunStarted(daemon="router", pid=1, version="1", schema=1, config_hash="", machine_ns=bench.time,
                       market_ns=bench.time, speed=1.0)  # fmt: skip
    bench.journal.append(begun)
    bench.machine.apply(begun)  # the mode of the server is not known before it was asked
    bench.close("c1", product=Product.NRML, instrument=LOT)
    (unsent,) = bench.machine.state.waiting
    rename(bench)
    pass_time(bench, 2)
    assert bench.order(unsent).state is OrderState.CANCELLED
    assert "is not in this run" in bench.order(unsent).message
    assert [goal.state for goal in bench.machine.goals()] == ["open"] and placed(bench) == []


def test_entry_for_an_account_that_is_not_in_the_run_is_denied() -> None:
    bench = bench_with()
    rename(bench)
    bench.enter("e2", 25, product=Product.NRML, instrument=LOT)
    assert bench.order("e2").state is OrderState.DENIED and bench.order("e2").message.startswith("ACCOUNT_ABSENT")


def test_stop_is_neither_placed_nor_taken_away_there() -> None:
    bench = bench_with(**PLAN)
    bench.accept()
    bench.read()
    (stop,) = [order for order in bench.machine.orders() if order.trigger_price]
    rename(bench)
    bench.close("c1", product=Product.NRML, instrument=LOT)
    pass_time(bench)
    assert bench.calls == [] and bench.order(stop.client_order_id).state is OrderState.ACCEPTED
    assert not bench.order(stop.client_order_id).evidence.cancel.wanted


def test_no_stop_is_made_where_none_can_be_sent() -> None:
    bench = bench_with(**PLAN)
    bench.end(bench.calls[0], Outcome.REFUSED, message="margin")
    rename(bench)
    before = len(bench.machine.orders())
    pass_time(bench, 60)
    assert len(bench.machine.orders()) == before, "stops were made and withdrawn one after another"


def test_account_that_is_back_closes_what_its_books_show_after_two_reads() -> None:
    bench = bench_with()
    rename(bench)
    bench.close("c1", product=Product.NRML, instrument=LOT)
    pass_time(bench)
    come_back(bench)
    pass_time(bench, 2)
    assert placed(bench) == [], "what is there may have been closed meanwhile"
    assert sends_after_reads(bench, 3) == [(Side.SELL, 50)]


def test_units_closed_by_hand_while_the_account_was_away_are_not_sold_again() -> None:
    bench = bench_with()
    rename(bench)
    bench.close("c1", product=Product.NRML, instrument=LOT)
    pass_time(bench)
    bench.broker.by_hand(0, LOT, Product.NRML)
    come_back(bench)
    assert sends_after_reads(bench, 30) == []
    assert held(bench)[0] == 0 and [goal.state for goal in bench.machine.goals()] == ["done"]


def test_exit_that_is_wanted_on_the_return_itself_waits_for_the_books_too() -> None:
    bench = bench_with()
    rename(bench)
    bench.broker.by_hand(0, LOT, Product.NRML)
    come_back(bench)
    bench.close("c1", product=Product.NRML, instrument=LOT)
    pass_time(bench, 2)
    assert placed(bench) == [], "it went before the books were compared"
    assert sends_after_reads(bench, 30) == [] and held(bench)[0] == 0


def test_word_settles_units_of_an_absent_account_without_a_read_and_says_so() -> None:
    bench = bench_with()
    rename(bench)
    bench.close("c1", product=Product.NRML, instrument=LOT)
    shown = settle(bench, "p1", preview=True)
    assert shown.ok and shown.plan is not None and held(bench)[0] == 50
    (row,) = shown.plan.rows
    assert (row.broker, row.ledger, row.after) == (None, 50, 0)
    assert "no book was looked at" in shown.plan.steps[0]
    done = settle(bench, plan=shown.plan.mark, price=0.0)
    assert done.ok and held(bench)[0] == 0 and moves(bench) == [("settled", -50)]
    pass_time(bench, 2)
    assert [goal.state for goal in bench.machine.goals()] == ["done"] and not bench.machine.state.guarding
    assert bench.calls == [] and not bench.machine.state.waiting
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_settlement_of_one_id_is_done_once() -> None:
    bench = bench_with()
    rename(bench)
    assert settle(bench).ok
    again = settle(bench)
    assert again.ok and again.message == settle(bench).message and moves(bench) == [("settled", -50)]


def test_exit_that_was_sent_before_the_account_went_keeps_the_settlement_back_for_its_day() -> None:
    bench = bench_with()
    bench.close("c1", product=Product.NRML, instrument=LOT)
    bench.accept()
    rename(bench)
    refused = settle(bench)
    assert not refused.ok and "was sent today and may fill yet" in refused.message and held(bench)[0] == 50
    bench.time += DAY
    bench.open_day(TOMORROW)
    assert bench.machine.state.is_absent(ACCOUNT), "the day forgot which accounts are in the run"
    done = settle(bench, "r2")
    pass_time(bench, 2)
    assert done.ok and held(bench)[0] == 0, "the entries of all accounts stay closed for ever"
    assert {order.state for order in bench.machine.orders() if order.purpose.reduces} == {OrderState.EXPIRED}
    assert [goal.state for goal in bench.machine.goals()] == ["done"]


def test_exit_of_unknown_fate_of_an_earlier_day_ends_with_the_settlement() -> None:
    bench = bench_with()
    bench.close("c1", product=Product.NRML, instrument=LOT)
    bench.end(bench.calls[0], Outcome.UNKNOWN, message="timed out")
    rename(bench)
    bench.time += DAY
    bench.open_day(TOMORROW)
    assert settle(bench).ok and held(bench)[0] == 0
    assert {order.state for order in bench.machine.orders() if order.purpose.reduces} == {OrderState.EXPIRED}


def test_stop_that_rests_is_named_to_be_cancelled_by_hand_and_ends_with_its_day() -> None:
    bench = bench_with(**PLAN)
    bench.accept()
    bench.read()
    rename(bench)
    shown = settle(bench, "p1", preview=True)
    assert shown.plan is not None and any("cancel it there" in step for step in shown.plan.steps)
    assert settle(bench).ok
    pass_time(bench, 2)
    assert bench.calls == [], "a call for an account that is not in the run"
    (stop,) = [order for order in bench.machine.orders() if order.trigger_price]
    assert stop.state is OrderState.ACCEPTED, "nothing says that it has ended"
    bench.time += DAY
    bench.open_day(TOMORROW)
    pass_time(bench, 2)
    assert bench.order(stop.client_order_id).state is OrderState.EXPIRED and not bench.machine.state.guarding


def test_stop_that_was_left_is_cancelled_when_the_account_is_back_the_same_day() -> None:
    bench = bench_with(**PLAN)
    bench.accept()
    bench.read()
    rename(bench)
    assert settle(bench).ok
    pass_time(bench, 2)
    bench.broker.by_hand(0, LOT, Product.NRML)
    come_back(bench)
    pass_time(bench, 2)
    assert [call.call for call in bench.calls] == [Call.CANCEL], "it would open a position"


@pytest.mark.parametrize("days", [0, 1])
def test_units_that_are_there_after_all_are_nobodys_when_the_account_is_back(days: int) -> None:
    bench = bench_with()
    rename(bench)
    assert settle(bench).ok
    if days:
        bench.time += DAY
        bench.open_day(TOMORROW)
        bench.broker.orders.clear()
    come_back(bench)
    assert sends_after_reads(bench, 20) == []
    (row,) = bench.machine.state.unmanaged.values()
    assert (row.instrument, row.quantity) == (LOT, 50) and held(bench)[0] == 0


def test_requests_that_need_the_books_of_an_absent_account_are_refused_at_once() -> None:
    bench = bench_with()
    rename(bench)
    where = {"account": ACCOUNT, "at_ns": bench.now}
    bench.step(AdjustRequested(id="a1", new=2, **where, **OWNER))
    bench.step(RebuildRequested(id="b1", **where))
    bench.step(ClaimRequested(id="c1", quantity=0, price=100.0, stop=0.0, stop_limit=0.0, reason="", **where, **OWNER))
    for name in ("a1", "b1", "c1"):
        found = answer(bench, name)
        assert found is not None and not found.ok and "is not in this run" in found.message
    assert not bench.machine.state.settlements


def test_day_after_day_and_restarts_keep_an_absent_account_absent() -> None:
    bench = bench_with()
    rename(bench)
    for day in (TOMORROW, LATER):
        bench.time += DAY
        bench.open_day(day)
        bench.crash((SECOND_ACCOUNT,), in_run=(SECOND_ACCOUNT,))
        bench.close(f"c{day}", product=Product.NRML, instrument=LOT)
        pass_time(bench)
    assert placed(bench) == [] and held(bench)[0] == 50


@pytest.mark.parametrize("renamed", [True, False])
def test_sale_of_delivered_shares_under_a_new_name_is_not_told_to_be_bought_back(renamed: bool) -> None:
    bench = OrderBench()
    bench.crash((ACCOUNT,), in_run=(ACCOUNT,))
    if renamed:
        bench.hold("e1", 50, product=Product.CNC, instrument="NSE:A")
    rename(bench)
    bench.broker.orders.clear()
    bench.broker.net.clear()
    bench.broker.net["NSE:A", Product.CNC] = -50
    for _ in range(5):
        pass_time(bench, 5)
        bench.read(account=SECOND_ACCOUNT)
    (told,) = [alert for alert in bench.alerts if alert.code == "UNMANAGED_SHORT"]
    assert ("SHORT_DELIVERY" in bench.codes()) is not renamed
    assert ("buy nothing back" in told.message and f"--account {ACCOUNT}" in told.message) is renamed
    assert ("positions close NSE:A --unmanaged" in told.message) is not renamed
