"""Options watched by rule: about the last close before the day, the same however often it is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from mytrading.adapters.storage.bar_store import BarReader, BarStore
from mytrading.core.calendar import Calendar
from mytrading.core.engine.contract_selection import select_option_universe
from mytrading.core.instruments.book import InstrumentBook, NoSuchContract
from mytrading.core.options.leg_grammar import parse_option_range
from mytrading.core.time import DAY
from mytrading.daemons.engine.watched_data import OptionUniverse
from mytrading.messages.instruments import InstrumentRefusal
from mytrading.messages.run_config import ExpiryRule, OptionRange
from tests.kit.backtest_specs import calendar
from tests.kit.engine_bench import MINUTE, NIFTY, OPEN, make_bar, make_book, make_run


def test_strikes_either_side_of_the_money_are_watched_calls_and_puts() -> None:
    found = select_option_universe(OptionRange(strikes=1), NIFTY, 26_030.0, make_book(), OPEN)
    assert [name[-7:] for name in found] == ["26000CE", "26050CE", "26100CE", "26000PE", "26050PE", "26100PE"]
    later = select_option_universe(OptionRange(strikes=0, expiry=ExpiryRule.NEXT), NIFTY, 26_030.0, make_book(), OPEN)
    assert later == ("NFO:NIFTY30DEC2526050CE", "NFO:NIFTY30DEC2526050PE")


def test_end_of_the_list_is_what_there_is_and_no_list_is_a_problem() -> None:
    found = select_option_universe(OptionRange(strikes=3), NIFTY, 25_000.0, make_book(), OPEN)
    assert [name[-7:-2] for name in found] == ["25800", "25850", "25900", "25950"] * 2
    with pytest.raises(NoSuchContract):
        select_option_universe(OptionRange(strikes=3), NIFTY, 25_000.0, InstrumentBook(()), OPEN)


def test_day_is_chosen_once_from_the_last_close_before_its_session(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    store.add([make_bar(-DAY // MINUTE + 300, 26_130.0, NIFTY), make_bar(0, 25_000.0, NIFTY)])
    universe, reader = universe_of(calendar()), BarReader(tmp_path)
    now = OPEN + 5 * MINUTE
    assert universe.is_choice_due(now)
    found = universe.choose(make_book(), reader, now)
    assert found is not None
    assert found["Sample"] == (NIFTY, "NFO:NIFTY02DEC2526150CE", "NFO:NIFTY02DEC2526150PE")
    assert not universe.is_choice_due(now)
    assert universe.is_choice_due(now + DAY)
    reader.close()
    store.close()


def test_nothing_is_chosen_without_a_price_and_a_missing_contract_is_said(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    universe, reader = universe_of(calendar()), BarReader(tmp_path)
    assert universe.choose(make_book(), reader, OPEN) is None
    assert universe.problems == {}
    store.add([make_bar(-DAY // MINUTE + 300, 26_130.0, NIFTY)])
    assert universe.choose(InstrumentBook(()), reader, OPEN) is None
    assert "NIFTY" in universe.problems["Sample options"]
    reader.close()
    store.close()


def test_refused_expiry_holds_up_its_own_strategy_alone_and_is_chosen_once_it_is_listed(tmp_path: Path) -> None:
    store = BarStore(tmp_path)
    store.add([make_bar(-DAY // MINUTE + 300, 26_130.0, NIFTY)])
    runs = [
        make_run("Sample", symbols=(NIFTY,), options=OptionRange(strikes=0)),
        make_run("Other", symbols=(NIFTY,), options=OptionRange(strikes=0, expiry=ExpiryRule.MONTHLY)),
    ]
    universe, reader = OptionUniverse(runs, calendar()), BarReader(tmp_path)
    refusal = InstrumentRefusal("NIFTY", "2025-12-02 was expected", contracts_only=True, rules=("nearest",))
    without = InstrumentBook(make_book(), refusals=(refusal,))
    monthly = (NIFTY, "NFO:NIFTY30DEC2526150CE", "NFO:NIFTY30DEC2526150PE")
    assert universe.choose(without, reader, OPEN) == {"Other": monthly}
    assert "was expected" in universe.problems["Sample options"] and universe.is_choice_due(OPEN)
    assert universe.choose(without, reader, OPEN) is None, "the strategies are not opened again for the same"
    nearest = (NIFTY, "NFO:NIFTY02DEC2526150CE", "NFO:NIFTY02DEC2526150PE")
    assert universe.choose(make_book(), reader, OPEN) == {"Other": monthly, "Sample": nearest}
    assert not universe.is_choice_due(OPEN) and universe.problems == {}
    reader.close()
    store.close()


def universe_of(days: Calendar) -> OptionUniverse:
    return OptionUniverse([make_run(symbols=(NIFTY,), options=OptionRange(strikes=0))], days)


@pytest.mark.parametrize("text", ["20", "ATM 99", "ATM x nearest", "ATM 5 someday"])
def test_rule_that_cannot_be_read_says_what_may_be_written(text: str) -> None:
    with pytest.raises(ValueError, match="say 'ATM 20 nearest'"):
        parse_option_range(text)


def test_rule_in_words_and_none() -> None:
    assert parse_option_range("atm 20 next monthly") == OptionRange(strikes=20, expiry=ExpiryRule.NEXT_MONTHLY)
    assert parse_option_range(" ") is None
