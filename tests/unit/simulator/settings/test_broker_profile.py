"""Profiles of brokers: made from the facts, of which the table in the documentation is made too."""

from __future__ import annotations

import re

from mytrading.core.exchange.model import BookOrder, OrderRequest
from mytrading.messages.enums import BrokerStatus, OrderType, Side
from mytrading.simulator.settings.broker_profile import broker_profiles, state_of
from tests.kit.broker_profiles import FACTS, PROFILES, broker_table, profiles_text, read_facts
from tests.kit.project import ROOT


def test_file_of_profiles_is_the_one_that_the_facts_make() -> None:
    assert PROFILES.read_text(encoding="utf-8") == profiles_text(), "run python -m tests.kit.broker_profiles"


def test_document_holds_the_table_that_the_facts_make() -> None:
    text = (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")
    section = text.partition("## Brokers behind a live server")[2].partition("\n## ")[0]
    assert "\n".join(line for line in section.splitlines() if line.startswith("|")) == broker_table()


def test_profiles_are_those_of_all_brokers_of_the_facts() -> None:
    named = {line.partition(",")[0] for path in FACTS for line in path.read_text(encoding="utf-8").splitlines()[1:]}
    assert broker_profiles().keys() == named - {"(all)"}
    assert len(broker_profiles()) == 36


def test_every_fact_bears_the_file_of_openalgo_in_which_it_was_seen() -> None:
    lines = [line for path in FACTS for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    source = re.compile(
        r",(?:(?:broker|services)/[\w/.]+@[0-9a-f]{8}|published row form of the broker|recorded answers)$"
    )
    assert [line for line in lines if not source.search(line)] == []


def test_questions_without_a_fact_are_named() -> None:
    silent = {name: profile.silent for name, profile in broker_profiles().items()}
    assert "change of a stop" in silent["pocketful"]
    assert "change of a stop" not in silent["dhan"]
    assert "position rows" in silent["dhan_sandbox"]
    assert "a position in net and day list at once" in silent["indmoney"]
    assert "words of orders on their way" in silent["nubra"]
    refused = [name for name, facts in read_facts().items() if not facts.refusal("placeorder")]
    assert [name for name in silent if "answer to a refused placeorder" in silent[name]] == refused


def test_state_of_an_order_tells_a_stop_that_waits_from_one_that_has_triggered() -> None:
    request = OrderRequest(instrument="NSE:SBIN", side=Side.SELL, quantity=10, order_type=OrderType.SL, trigger_price=9)
    waiting = {"order_id": "1", "request": request, "day": "2026-11-20", "placed_ns": 1, "updated_ns": 1}
    states = [
        state_of(BookOrder(**waiting, status=status, filled=filled, triggered=triggered))  # type: ignore[arg-type]
        for status, filled, triggered in (
            (BrokerStatus.TRIGGER_PENDING, 0, False),
            (BrokerStatus.OPEN, 0, True),
            (BrokerStatus.OPEN, 4, True),
            (BrokerStatus.COMPLETE, 10, True),
        )
    ]
    assert states == ["waiting", "triggered", "partly", "complete"]
