"""Files of legs: what they make, and what is said of every mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mytrading.config.leg_plan import schema
from mytrading.config.loading import load_settings
from mytrading.config.problems import ConfigurationError
from mytrading.config.run_config import build_run_config
from mytrading.core.options.leg_grammar import parse_conditions, parse_stop
from mytrading.messages.enums import OrderType, Product
from mytrading.messages.leg_plan import DayKind, LegKind, LegRule, LegStop, StopKind
from mytrading.messages.run_config import decode_run_config, write_run_config
from tests.kit.leg_project import FILE, leg_project
from tests.kit.project import ROOT


def problems(folder: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(leg_project(folder, text), environ={})
    return str(caught.value)


def test_file_of_legs_becomes_a_run_with_its_plan_and_survives_the_run_file(tmp_path: Path) -> None:
    settings = load_settings(leg_project(tmp_path), "paper", environ={"ENABLED_STRATEGIES": "condor"})
    config = build_run_config(settings, tmp_path / "state", tmp_path / "run", tmp_path / "logs")
    write_run_config(tmp_path / "run.msgpack", config)
    (run,) = decode_run_config(tmp_path / "run.msgpack").strategies
    assert (run.name, run.file, run.product) == ("Condor", "config/strategies/condor.toml", Product.MIS)
    assert run.symbols == ("NSE_INDEX:NIFTY", "NSE_INDEX:BANKNIFTY", "NSE:SBIN")
    assert run.plan is not None
    assert (run.plan.entry_time, run.plan.exit_time, run.plan.days) == (33_600, 54_600, DayKind.NON_EXPIRY)
    assert (run.rules.exit_time, run.rules.square_off_time) == (54_600, 0), "risk closes by it too"
    assert run.plan.legs[1] == LegRule(
        lots=-2, strike="DELTA 0.3", right="CE", expiry="next_monthly", watch="NSE_INDEX:NIFTY",
        stop=LegStop(kind=StopKind.PERCENT, value=30), target=LegStop(kind=StopKind.POINTS, value=20),
    )  # fmt: skip
    assert run.plan.legs[0] == LegRule(lots=2, strike="OTM 5", right="CE", watch="NSE_INDEX:NIFTY")
    assert [(leg.kind, leg.lots) for leg in run.plan.legs[2:]] == [(LegKind.FUTURE, -1), (LegKind.EQUITY, 500)]
    assert (run,) == config.strategies, "all four legs come back as they went"
    assert [side.right.word or side.right.number for side in run.plan.when] == ["SMA", 70.0]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('action = "SELL"\nstrike', 'action = "SEL"\nstrike', "16: legs[2].action = 'SEL': expected BUY, SELL; did"),
        ('"otm 5"', '"OTM"', "condor.toml:11: legs[1].strike: expected ATM, ITM n"),
        ('lots = 2\n\n', 'lots = 0\n\n', "condor.toml:13: legs[1].lots = 0: expected greater than or equal to 1"),
        ('lots = 2\n\n', 'lot = 2\n\n', "condor.toml:13: legs[1].lot: no such key; did you mean lots?"),
        ('exit_time =', 'exit_tme =', "condor.toml:5: exit_tme: no such key; did you mean exit_time?"),
        ('15:10:00', '"09:00"', "exit_time: expected a time after entry_time 09:20:00, found 09:00:00"),
        ('"09:20"', '"9.20"', "condor.toml:4: entry_time: expected a time of day in India"),
        ('"non-expiry"', '"expiries"', "6: days = 'expiries': expected any, expiry, non_expiry; did you mean expiry?"),
        ('SMA(20)', 'SMAA(20)', "RSI(14) < 70': no indicator 'SMAA'; did you mean SMA?"),
        ('RSI(14) < 70', 'RSI(14) over 70', "expected 'always', or comparisons"),
        ('"30%"', '"30 rupees"', "condor.toml:21: legs[2].stop: expected '30%'"),
        ('"next monthly"', '"nxt"', "19: legs[2].expiry = 'nxt': expected nearest, next, monthly, next_monthly"),
        ('product = "MIS"', 'direction = "long"', "condor.toml:3: direction: a file of [[legs]] has none"),
        ('product = "MIS"', 'product = "NRM"', "product"),
        ('"BANKNIFTY"', '"BANKNFTY"', "did you mean BANKNIFTY?"),
        ('name = "Condor"', 'name = "SMA_Crossover"', "sma_crossover.py has a strategy SMA_Crossover already"),
        ('right = "ce"\n', '', "condor.toml:9: legs[1]: right: expected CE or PE for an option"),
        ('lots = 2\n\n[[legs]]\naction = "SELL"\nstrike = "DELTA 0.3"\nright = "CE"\nexpiry = "next monthly"\n',
         'lots = 2\ntarget = "9%"\n\n[[legs]]\naction = "SELL"\nright = "CE"\n',
         "legs[1]: stop, target: expected none for the hedge of legs[2]; closing it would leave that bare"),
        ('stop = "30%"', 'order_type = "LIMIT"', "legs[2]: limit: expected 'price 150', '5%' or '3 points' for"),
        ('stop = "30%"', 'limit = "2%"', "legs[2]: limit: expected 'price 150'"),
        ('quantity = 500', 'lots = 5', "legs[4]: quantity: expected shares for an equity leg"),
        ('entry_time = "09:20"\n', '', "entry_time is missing: Time of the daily entry"),
    ],
)  # fmt: skip
def test_mistake_is_reported_with_line_key_value_and_what_may_stand_there(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in FILE
    assert said in problems(tmp_path, FILE.replace(old, new, 1))


@pytest.mark.parametrize(
    ("words", "limit"),
    [("price 150", LegStop(kind=StopKind.PRICE, value=150)), ("5%", LegStop(kind=StopKind.PERCENT, value=5))],
)
def test_limit_of_a_leg_survives_the_run_file(tmp_path: Path, words: str, limit: LegStop) -> None:
    text = FILE.replace('stop = "30%"', f'order_type = "limit"\nlimit = "{words}"')
    settings = load_settings(leg_project(tmp_path, text), "paper", environ={"ENABLED_STRATEGIES": "condor"})
    write_run_config(
        tmp_path / "run.msgpack", build_run_config(settings, tmp_path / "state", tmp_path / "run", tmp_path / "logs")
    )
    (run,) = decode_run_config(tmp_path / "run.msgpack").strategies
    assert run.plan is not None
    assert [(leg.order_type, leg.limit) for leg in run.plan.legs[:2]] == [
        (OrderType.MARKET, LegStop()), (OrderType.LIMIT, limit)]  # fmt: skip


@pytest.mark.parametrize(("word", "taken"), [("otm 0", "OTM 1"), ("OTM 25", "OTM 20"), ("ITM 21", "ITM 20")])
def test_offset_of_a_strike_is_brought_into_one_to_twenty_and_said(tmp_path: Path, word: str, taken: str) -> None:
    settings = load_settings(
        leg_project(tmp_path, FILE.replace("otm 5", word)), environ={"ENABLED_STRATEGIES": "condor"}
    )
    plan = settings.plan_of("Condor")
    assert plan is not None and plan.legs[0].strike == taken
    file = "config/strategies/condor.toml:11"
    assert f"{file}: legs[1].strike = {word!r} is taken as {taken!r}: offsets are 1 to 20" in settings.warnings


def test_offsets_within_one_to_twenty_are_passed_over_in_silence(tmp_path: Path) -> None:
    settings = load_settings(leg_project(tmp_path), environ={"ENABLED_STRATEGIES": "condor"})
    assert not [said for said in settings.warnings if "condor.toml" in said]


def test_more_than_twenty_legs_are_refused(tmp_path: Path) -> None:
    leg = '\n[[legs]]\naction = "BUY"\nstrike = "ATM"\nright = "CE"\n'
    assert "at most 20" in problems(tmp_path, FILE.split("[[legs]]")[0] + leg * 21)


def test_parameters_of_an_indicator_may_be_named_or_in_order() -> None:
    by_order = parse_conditions("MACD.macd(12, 26) above 0")[0].left
    by_name = parse_conditions("macd.macd(fastperiod=12, slowperiod = 26) > 0")[0].left
    assert by_order == by_name
    with pytest.raises(ValueError, match="RSI has no parameter 'length=3'"):
        parse_conditions("RSI(length=3) above 50")


def test_stop_words() -> None:
    assert parse_stop("price 150.5") == LegStop(kind=StopKind.PRICE, value=150.5)
    assert parse_stop("20 points") == LegStop(kind=StopKind.POINTS, value=20)
    assert parse_stop("") == LegStop()


def test_schema_in_docs_is_the_one_that_is_checked_by() -> None:
    assert json.loads((ROOT / "docs" / "legs.schema.json").read_text()) == schema()
