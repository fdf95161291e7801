"""A basket keeps the order calls of all its legs: it begins when there is room for them, and nobody takes them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mytrading.core.oms import OmsLimits
from mytrading.messages.commands import PlaceEntry, WithdrawEntries
from mytrading.messages.enums import Call, Outcome, Product, Purpose
from mytrading.messages.reports import Funds
from mytrading.messages.signals import Leg
from tests.kit.fake_broker import ACCOUNT, SECOND, OrderBench
from tests.kit.margin_tables import TABLES
from tests.kit.risk_bench import CALL, LIMITS, NEAR, RiskBench

LARGE = replace(LIMITS, max_order_size=100_000_000, max_position_size=100_000_000)


@pytest.fixture
def bench() -> OrderBench:
    """Four calls a second."""
    made = OrderBench(OmsLimits(calls_per_second=4))
    made.check_purity = True
    made.read()
    return made


def singles(bench: OrderBench, count: int) -> None:
    """So many entries of another strategy, each in an instrument of its own."""
    for number in range(count):
        name = f"single{len(bench.rows)}-{number}"
        bench.enter(name, instrument=f"NFO:X{name}", strategy="s2", expires_machine_ns=bench.time + 600 * SECOND)


def leg(bench: OrderBench, name: str, to_come: int, cause: str = "basket") -> None:
    bench.enter(
        name,
        instrument=f"NFO:{name}",
        cause=cause,
        basket_calls=to_come,
        expires_ns=bench.now + 60 * SECOND,
        expires_machine_ns=bench.time + 60 * SECOND,
    )


def sent(bench: OrderBench) -> list[str]:
    """Ids of the entries that left since the last look; their calls are answered."""
    calls = [call for call in bench.calls if call.call is Call.PLACE]
    for call in calls:
        bench.accept(call)
    return ["single" if call.order.strategy == "s2" else call.order.client_order_id for call in calls]


def test_first_leg_waits_until_there_is_room_for_all(bench: OrderBench) -> None:
    singles(bench, 2)
    assert sent(bench) == ["single"] * 2
    leg(bench, "hedge", to_come=2)
    assert sent(bench) == [], "two of the three calls are left in this second"
    bench.tick(1_100_000_000)
    assert sent(bench) == ["hedge"]


def test_others_leave_the_calls_of_the_legs_to_come(bench: OrderBench) -> None:
    leg(bench, "hedge", to_come=2)
    singles(bench, 3)
    assert sent(bench) == ["hedge", "single"]
    leg(bench, "short1", to_come=1)
    leg(bench, "short2", to_come=0)
    assert sent(bench) == ["short1", "short2"]
    bench.tick(1_100_000_000)
    assert sent(bench) == ["single", "single"]


def test_legs_that_are_commanded_have_room_before_entries_that_waited_longer(bench: OrderBench) -> None:
    leg(bench, "hedge", to_come=2)
    assert sent(bench) == ["hedge"]
    bench.tick(1_100_000_000)
    singles(bench, 9)
    assert len(sent(bench)) == 2
    bench.tick(1_100_000_000)
    leg(bench, "short1", to_come=1)
    leg(bench, "short2", to_come=0)
    assert {"short1", "short2"} <= set(sent(bench))


def test_basket_larger_than_the_rate_begins_all_the_same_and_stops_nobody(bench: OrderBench) -> None:
    leg(bench, "hedge", to_come=40)
    assert sent(bench) == ["hedge"]
    bench.tick(1_100_000_000)
    singles(bench, 3)
    assert sent(bench) == ["single"]


@pytest.mark.parametrize("end", ["time", "close", "withdraw", "withdraw all", "day"])
def test_calls_are_free_again_when_the_basket_is_over(bench: OrderBench, end: str) -> None:
    leg(bench, "hedge", to_come=3)
    hedge = bench.accept()
    bench.broker.trade(hedge, 50, 1.0)
    bench.report(hedge)
    bench.read()
    bench.tick((91 if end == "time" else 2) * SECOND)
    if end == "close":
        bench.close("g1", instrument="NFO:hedge")
    elif end.startswith("withdraw"):
        name = "s1" if end == "withdraw" else ""
        bench.step(WithdrawEntries(id="w", account=ACCOUNT, strategy=name, instrument="", cause="x"))
    elif end == "day":
        bench.machine.apply(bench.machine.snapshot("2026-11-24"))
        bench.see_mode()
        bench.read()
    for _ in list(bench.calls):
        bench.broker.trade(bench.accept(), 50, 1.0)
    bench.tick(2 * SECOND)
    bench.read()
    singles(bench, 4)
    assert sent(bench) == ["single"] * 4


def test_calls_are_free_again_when_a_leg_is_refused(bench: OrderBench) -> None:
    leg(bench, "hedge", to_come=3)
    bench.end(bench.calls[0], Outcome.REFUSED, message="margin")
    bench.tick(2 * SECOND)
    singles(bench, 4)
    assert sent(bench) == ["single"] * 4


def test_exits_take_what_a_basket_keeps(bench: OrderBench) -> None:
    bench.hold("e1")
    bench.tick(2 * SECOND)
    leg(bench, "hedge", to_come=3)
    singles(bench, 1)
    bench.close("g1")
    assert [call.order.purpose for call in bench.calls if call.order.purpose is Purpose.EXIT] == [Purpose.EXIT]


def test_calls_kept_for_a_basket_are_shown_with_the_budget(bench: OrderBench) -> None:
    for name, to_come, kept in (("hedge", 2, {"s1": 2}), ("short1", 1, {"s1": 1}), ("short2", 0, {})):
        leg(bench, name, to_come)
        assert bench.machine.call_budget(ACCOUNT, bench.time).kept == kept


def test_entry_of_a_single_leg_keeps_nothing(bench: OrderBench) -> None:
    singles(bench, 4)
    assert sent(bench) == ["single"] * 4


# what risk asks for


def entries(rows: object) -> list[PlaceEntry]:
    return [row for row in rows if isinstance(row, PlaceEntry)]  # type: ignore[attr-defined]


def command(lots: int) -> tuple[RiskBench, PlaceEntry]:
    """A hedge and what it covers are wanted; the first command."""
    risk_bench = RiskBench(LARGE)
    risk_bench.machine.environment.tables = TABLES
    risk_bench.machine.apply(Funds(account="main", available=1e9, used=0.0, machine_ns=risk_bench.machine_ns))
    risk_bench.quote(CALL, 1.0)
    risk_bench.quote(NEAR, 1.0)
    signal = (Leg(instrument=CALL, lots=lots), Leg(instrument=NEAR, lots=-lots))
    (hedge,) = entries(risk_bench.intent("a", *signal, product=Product.NRML))
    return risk_bench, hedge


@pytest.mark.parametrize(("lots", "calls"), [(1, 1), (60, 3)])
def test_hedge_is_commanded_with_the_calls_of_what_it_covers(lots: int, calls: int) -> None:
    """Sixty lots are 3,900 units, three slices below the freeze quantity of 1,800."""
    _, hedge = command(lots)
    assert (hedge.instrument, hedge.basket_calls) == (CALL, calls)


def test_last_leg_is_commanded_without_further_calls() -> None:
    risk_bench, hedge = command(1)
    risk_bench.fill(hedge)
    *_, short = entries(risk_bench.rows)
    assert (short.instrument, short.basket_calls) == (NEAR, 0)
