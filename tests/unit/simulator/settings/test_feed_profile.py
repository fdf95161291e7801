"""Profiles of brokers' market data: made from the facts, and never from the program's own table of brokers."""

from __future__ import annotations

import re
import subprocess
import sys

from mytrading.simulator.settings.broker_profile import broker_profiles
from mytrading.simulator.settings.feed_profile import SocketForm, feed_profile, feed_profiles
from tests.kit.feed_profiles import PROFILES, profiles_text, read_facts, read_lines
from tests.kit.project import ROOT


def test_file_of_profiles_is_the_one_that_the_facts_make() -> None:
    assert PROFILES.read_text(encoding="utf-8") == profiles_text(), "run python -m tests.kit.feed_profiles"


def test_every_broker_of_the_books_has_a_profile_of_its_market_data() -> None:
    assert feed_profiles().keys() == broker_profiles().keys() == read_facts().keys()


def test_every_line_says_how_and_where_it_was_seen_and_whose_row_it_is() -> None:
    lines = list(read_lines())
    assert {line.seen for line in lines} == {"ran", "read"}
    assert {line.row for line in lines} == {"frames", "history", "parser", "F1", *(f"F{n}" for n in range(2, 15))}
    source = re.compile(r"broker/(\w+)/(?:streaming|api/data\.py)@[0-9a-f]{8}")
    assert [line for line in lines if not (found := source.fullmatch(line.source)) or found[1] != line.broker] == []


def test_generator_reads_nothing_that_the_program_believes_about_brokers() -> None:
    """The import of the generator brings in no module of the program's table, and its text names no such file."""
    code = "import sys, tests.kit.feed_profiles; print([m for m in sys.modules if m.endswith('brokers')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert "brokers.toml" not in (ROOT / "tests" / "kit" / "feed_profiles.py").read_text(encoding="utf-8")


def test_deviations_are_those_of_the_brokers_that_were_seen_with_them() -> None:
    """By the survey of the market data of OpenAlgo's adapters at 60156bc5, written down here a second time."""

    def having(what: str, *, kind: str = "") -> set[str]:
        def value(form: SocketForm) -> object:
            return getattr(getattr(form, kind) if kind else form, what)

        usual = value(SocketForm())
        return {name for name, one in feed_profiles().items() if value(one.socket) != usual}

    noren = {"flattrade", "shoonya", "tradesmart", "zebu"}
    xts = {"compositedge", "fivepaisaxts", "ibulls", "iifl", "jainamxts", "wisdom"}
    prices = {"fyers", "pocketful", "deltaexchange", "fivepaisa", "groww", "kotak", "aliceblue", "definedge", *noren}
    assert having("price", kind="depth") == prices
    assert having("price", kind="index") == {*xts, "deltaexchange"}
    assert having("volume", kind="depth") == {"aliceblue", "fivepaisa", "fyers", "kotak", "motilal", "upstox"}
    assert having("keeps_side") == {"aliceblue", "indmoney", "kotak"}
    assert having("repeat_seconds") == {"motilal"}
    assert having("token") == {"dhan_sandbox", "fivepaisa", "mstock", "paytm", "samco"}
    assert having("scaled") == {"angel", "zerodha"}
    assert having("refuses") == {"indmoney", "nubra"}
    histories = {name: one.history for name, one in feed_profiles().items()}
    assert {name for name, one in histories.items() if one.bars} == {"kotak", "motilal", "paytm", "pocketful"}
    assert {name for name, one in histories.items() if one.days_early} == {"firstock", "mstock", "nubra"}
    assert {name for name, one in histories.items() if one.minutes_late} == {"mstock"}
    late = {"dhan", "flattrade", "zebu", "tradesmart", "iiflcapital"}
    assert {name for name, one in histories.items() if one.late_abroad} == late
    assert {name for name, one in histories.items() if one.ends_floored} == {*xts, "rmoney"}


def test_questions_without_a_fact_are_named() -> None:
    assert "history: stamps of minutes" in feed_profiles()["hdfcsecurities"].silent
    assert feed_profiles()["zerodha"].silent == ()


def test_profile_is_found_by_another_name_of_its_broker() -> None:
    assert feed_profile("5paisa") is feed_profiles()["fivepaisa"]
    assert feed_profile("nobody") is None
