"""Order trials: judged as the same entry of a strategy is, with numbers, and without any trace."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from mytrading.core.risk.pretrade.rule_table import RULES
from mytrading.messages.commands import PlaceEntry, SignalDenied
from mytrading.messages.control import OrderTrial, OrderTrialResult, TradingState
from mytrading.messages.enums import OrderType, TradingLevel
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.signals import Leg
from tests.kit.risk_bench import CALL, PUT, RiskBench
from tests.kit.risk_margin_bench import LOT, MarginBench


def trial(bench: RiskBench, lots: int, instrument: str = CALL, **fields: Any) -> OrderTrialResult:
    asked = OrderTrial(
        id="t", account="main", strategy="S", instrument=instrument, lots=lots, asked_machine_ns=0, **fields
    )
    before = msgspec.msgpack.encode(bench.machine.snapshot("2026-03-18"))
    found = bench.machine.try_order(asked, bench.now)
    assert msgspec.msgpack.encode(bench.machine.snapshot("2026-03-18")) == before, "a trial changed something"
    return found


def denied(found: OrderTrialResult) -> dict[str, str]:
    return {rule.code: rule.denial for rule in found.rules if rule.denial}


def test_every_rule_answers_and_the_entry_of_a_strategy_is_as_the_trial_said() -> None:
    bench = RiskBench()
    bench.quote()
    found = trial(bench, 1)
    assert [rule.code for rule in found.rules] == [*(rule.code for rule in RULES), "LOTS_PER_LEG"]
    assert denied(found) == {}
    (entry,) = bench.intent("a", Leg(instrument=CALL, lots=1))
    assert isinstance(entry, PlaceEntry)
    assert (found.units, found.price) == (entry.quantity, entry.reference_price)
    assert (found.stop, found.stop_limit, found.stop_holder) == (entry.stop_trigger, entry.stop_limit, "broker")
    assert found.at_risk == pytest.approx((found.price - found.stop) * LOT)
    size = next(rule for rule in found.rules if rule.code == "MAX_ORDER_SIZE")
    assert (size.value, size.limit) == (pytest.approx(found.price * LOT), 50_000)


@pytest.mark.parametrize(("lots", "halted", "price"), [(1, True, 0.0), (8, False, 0.0), (-2, False, 100.03)])
def test_denials_are_those_of_the_same_entry(lots: int, *, halted: bool, price: float) -> None:
    bench = MarginBench()
    bench.fund(1_000.0)
    if halted:
        bench.give(TradingState(level=TradingLevel.HALT, generation=1, reason="by hand", at_ns=1))
    terms: dict[str, Any] = {"order_type": OrderType.LIMIT, "limit_price": price} if price else {}
    found = denied(trial(bench, lots, **terms))
    (row,) = bench.intent("a", Leg(instrument=CALL, lots=lots, **terms))
    assert isinstance(row, SignalDenied)
    assert tuple(found) == row.codes
    assert "; ".join(found.values()) == row.message


def test_lots_are_those_of_the_order_whatever_is_held_and_what_only_reduces_is_no_entry() -> None:
    bench = RiskBench()
    bench.quote()
    (entry,) = bench.intent("a", Leg(instrument=CALL, lots=1))
    bench.fill(entry)
    more = trial(bench, 2)
    assert (more.units, more.held, more.exits) == (2 * LOT, LOT, False)
    position = next(rule for rule in more.rules if rule.code == "MAX_POSITION_SIZE")
    assert position.value == pytest.approx(3 * LOT * more.price)
    less = trial(bench, -1)
    assert (less.exits, less.rules) == (True, ())


INFY = Instrument(id="NSE:INFY", exchange="NSE", symbol="INFY", kind=InstrumentKind.EQ, underlying="INFY")


NO_FUNDS = "what is free of margin is not known: the broker has not reported its funds"


def unknown(found: OrderTrialResult) -> dict[str, str]:
    return {rule.code: rule.unknown for rule in found.rules if rule.unknown}


def test_share_that_only_the_server_lists_is_denied_as_its_signal_is_and_judged_by_its_numbers() -> None:
    bench = RiskBench()
    bench.quote(INFY.id, 1500.0)
    found = trial(bench, 10, INFY.id, contract=INFY)
    (row,) = bench.intent("a", Leg(instrument=INFY.id, lots=10))
    assert isinstance(row, SignalDenied)
    assert "UNKNOWN_INSTRUMENT" in row.codes
    assert set(denied(found)) == {"UNKNOWN_INSTRUMENT"}
    assert "not among the contracts of this stack" in denied(found)["UNKNOWN_INSTRUMENT"]
    assert (found.units, found.value, unknown(found)) == (
        10,
        pytest.approx(15_000.5),
        {"INSUFFICIENT_MARGIN": NO_FUNDS},
    )
    assert INFY.id not in bench.machine.environment.instruments
    assert "MAX_ORDER_SIZE" in denied(trial(bench, 100, INFY.id, contract=INFY))
    listed = trial(bench, 1, contract=replace(INFY, id=CALL))  # the stack's own contract counts
    assert (listed.units, "UNKNOWN_INSTRUMENT" in denied(listed)) == (LOT, False)


def test_rules_that_lack_a_price_or_a_contract_say_so_and_show_no_figures() -> None:
    bench = RiskBench()
    unquoted = trial(bench, 1, PUT)
    assert set(denied(unquoted)) == {"NO_QUOTE"}
    assert set(unknown(unquoted)) >= {"MAX_ORDER_SIZE", "STALE_QUOTE", "STOP_LEVEL", "INSUFFICIENT_MARGIN"}
    assert unknown(unquoted)["MAX_ORDER_SIZE"] == f"no price of {PUT}: no quote of it has come"
    assert all(rule.value is None for rule in unquoted.rules if rule.unknown)
    nowhere = trial(bench, 1, "NFO:NOSUCH")
    assert "UNKNOWN_INSTRUMENT" in denied(nowhere)
    assert "not a listed contract" in unknown(nowhere)["WHOLE_LOTS"]


def test_account_that_the_strategy_does_not_trade_in_is_refused() -> None:
    bench = RiskBench()
    asked = OrderTrial(id="t", account="other", strategy="S", instrument=CALL, lots=1, asked_machine_ns=0)
    assert "main" in bench.machine.try_order(asked, bench.now).problem
