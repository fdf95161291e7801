"""Use of the limits that rules hold entries against: the figures of the rules themselves, only what is used."""

from __future__ import annotations

import msgspec

from mytrading.core.risk.entries.entry_limits import entry_limits
from mytrading.core.risk.snapshot import risk_snapshot
from mytrading.messages.commands import SignalDenied
from mytrading.messages.control import EntryLimitUse
from mytrading.messages.enums import Product
from mytrading.messages.orders import Position, PositionChanged
from mytrading.messages.signals import Leg
from tests.kit.risk_bench import CALL, LIMITS, NEAR, PUT, RiskBench


def hold_of_another(bench: RiskBench, instrument: str, units: int) -> None:
    """A position of another strategy: the signals of the bench's own do not close it."""
    held = Position(
        account="main", instrument=instrument, product=Product.MIS, strategy="T", run="r", quantity=units,
        quantity_seen=units, average_price=100.0, opened_ns=bench.now, updated_ns=bench.now,
    )  # fmt: skip
    bench.give(
        PositionChanged(position=held, client_order_id="t", fill_quantity=units, fill_price=100.0, at_ns=bench.now)
    )


def rows(bench: RiskBench) -> dict[tuple[str, str], EntryLimitUse]:
    found = entry_limits(bench.machine.state, bench.machine.margins, bench.now)
    return {(row.code, row.name): row for row in found}


def test_nothing_is_listed_of_which_nothing_is_used() -> None:
    assert rows(RiskBench()) == {}


def test_figures_are_those_of_the_denial_that_follows() -> None:
    bench = RiskBench(msgspec.structs.replace(LIMITS, max_positions_per_symbol=2))
    for instrument, units in ((CALL, 65), (PUT, 65)):
        bench.quote(instrument)
        hold_of_another(bench, instrument, units)
    found = rows(bench)
    use = found["MAX_POSITIONS_PER_SYMBOL", "NIFTY"]
    assert (use.value, use.most, use.used, use.denies, use.account) == (2, 2, 1.0, True, "main")
    total = found["MAX_TOTAL_POSITIONS", "main"]
    assert (total.value, total.most, total.denies) == (2, 50, False)
    size = found["MAX_POSITION_SIZE", CALL]
    assert (size.value, size.most, size.scope) == (65 * 100.05, 100_000, "instrument"), "a long option at its ask"
    bench.quote(NEAR)
    (denied,) = [row for row in bench.intent("w", Leg(instrument=NEAR, lots=1)) if isinstance(row, SignalDenied)]
    assert (denied.code, denied.value, denied.limit) == ("MAX_POSITIONS_PER_SYMBOL", use.value, use.most)


def test_limit_that_is_switched_off_has_no_row_and_entries_count_once_they_are_limited() -> None:
    bench = RiskBench()
    bench.quote(CALL)
    assert bench.intent("w", Leg(instrument=CALL, lots=1))
    found = rows(bench)
    assert ("ENTRIES_PER_SESSION", "S") not in found
    assert found["ENTRIES_PER_MINUTE", "S"].value == 1 and found["ACTIVE_ORDERS", "main"].value == 1
    bench.machine.environment.limits = msgspec.structs.replace(LIMITS, max_entries_per_session=1)
    assert rows(bench)["ENTRIES_PER_SESSION", "S"].denies
    assert risk_snapshot(bench.machine, bench.now).entry_limits == tuple(rows(bench).values())
