"""Backtests of contracts that the data is of: futures and sold options need margin, and have it from the capital."""

from __future__ import annotations

import pytest

from mytrading.backtest.run import RunResult, run
from tests.kit.backtest_specs import Cross, Script, bars, bars_of, begin_of, flat, spec_of

FUTURE, CALL = "NFO:NIFTY28MAR24FUT", "NFO:NIFTY14MAR2422000CE"


def result_of(instrument: str, plan: str, capital: float) -> RunResult:
    columns = bars(flat(200.0, 10), instrument=instrument)
    return run(spec_of(Script, columns, parameters={"plan": plan}, capital=capital))


@pytest.mark.parametrize(("instrument", "plan"), [(FUTURE, "1 BUY, 4 EXIT"), (CALL, "1 SELL, 4 EXIT")])
def test_contract_is_traded_where_the_capital_pays_for_its_margin(instrument: str, plan: str) -> None:
    found = result_of(instrument, plan, 1_000_000.0)
    assert found.ledger.counts == {}
    (trade,) = found.ledger.trades
    assert (trade.instrument, trade.quantity) == (instrument, 50), "a lot of that day"


@pytest.mark.parametrize(("instrument", "plan"), [(FUTURE, "1 BUY"), (CALL, "1 SELL")])
def test_contract_is_denied_where_it_does_not(instrument: str, plan: str) -> None:
    found = result_of(instrument, plan, 1_000.0)
    assert set(found.ledger.counts) == {"INSUFFICIENT_MARGIN"}
    assert not found.ledger.fills


def test_margin_is_free_again_after_each_trade() -> None:
    columns = begin_of(bars_of("wild", FUTURE), 500)
    found = run(spec_of(Cross, columns, capital=400_000.0))
    assert len(found.ledger.trades) > 10
    assert found.ledger.counts["INSUFFICIENT_MARGIN"] == 0


def test_calling_every_machine_at_every_bar_leads_to_the_same_trades() -> None:
    columns = begin_of(bars_of("wild", FUTURE), 500)
    quick, plain = (run(spec_of(Cross, columns, plain=plain)).ledger for plain in (False, True))
    assert quick.trade_hash() == plain.trade_hash()
    assert quick.fills
