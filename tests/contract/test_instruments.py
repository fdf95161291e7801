"""The day's contracts from a real simulator: freeze and prices by calls of their own, a search where the list fails."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date

import msgspec
import pytest

from mytrading.adapters.openalgo.instruments import (
    ContractLookup,
    EarlierSnapshots,
    fetch_freeze,
    fetch_instruments,
    fetch_master,
    fetch_prices,
    search_instruments,
)
from mytrading.adapters.openalgo.rest.client import Deadline, HttpReply, OpenAlgoClient
from mytrading.adapters.openalgo.rest.errors import ReadFailed, SymbolNotFound
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.core.instruments.master_contract import Need
from mytrading.core.instruments.table_checks import TableCheck
from mytrading.messages.instruments import InstrumentKind
from tests.kit.project import ROOT
from tests.kit.simulator_process import RunningSimulator, start_simulator

TODAY = date(2026, 11, 20)
NIFTY = frozenset({"NIFTY"})
NEED = Need(("NSE_INDEX:NIFTY", "NSE_INDEX:NOSUCH"), NIFTY, NIFTY, NIFTY, ("NSE_INDEX", "NFO"))
FACTS = ContractFacts.from_dict(tomllib.loads((ROOT / "config/instruments.toml").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with start_simulator(tmp_path_factory.mktemp("simulator")) as running:
        yield running


@pytest.fixture
def client(simulator: RunningSimulator) -> OpenAlgoClient:
    return OpenAlgoClient(simulator.rest, simulator.api_key, time.monotonic_ns)


def test_freeze_and_price_come_by_calls_of_their_own(client: OpenAlgoClient) -> None:
    listed = fetch_instruments(client, "NFO", TODAY).instruments
    assert {item.freeze_qty for item in listed} == {0}
    assert fetch_freeze(client, listed)["NIFTY"] == 1800
    index = fetch_instruments(client, "NSE_INDEX", TODAY, lambda item: item.symbol == "NIFTY").instruments
    assert 20_000 < fetch_prices(client, index)["NIFTY"] < 32_000
    assert fetch_prices(client, [msgspec.structs.replace(item, symbol="NOSUCH") for item in index]) == {}


def test_search_finds_the_contracts_that_the_list_would_have_given(client: OpenAlgoClient) -> None:
    listed = fetch_instruments(client, "NFO", TODAY, lambda item: item.underlying == "NIFTY").instruments
    searched = search_instruments(client, "NFO", NEED, TODAY).instruments
    nearest = {kind: sorted({item.expiry for item in listed if item.kind is kind})[:3] for kind in InstrumentKind}
    assert {item.id for item in searched} == {item.id for item in listed if item.expiry in nearest[item.kind]}
    assert {item.freeze_qty for item in searched} == {1800}
    assert [item.id for item in search_instruments(client, "NSE_INDEX", NEED, TODAY).instruments] == ["NSE_INDEX:NIFTY"]


def broken(client: OpenAlgoClient, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of NFO answers with this status."""
    sound = client.get

    def get(endpoint: str, query: Mapping[str, str], deadline: Deadline) -> HttpReply:
        answer = sound(endpoint, query, deadline)
        return answer._replace(status=status, body=b"oops") if query["exchange"] == "NFO" else answer

    monkeypatch.setattr(client, "get", get)


def test_list_that_fails_is_replaced_by_a_search_and_the_snapshot_says_so(
    client: OpenAlgoClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(client, 500, monkeypatch)
    need = NEED._replace(watched=NEED.watched[:1])
    made = fetch_master(client, need, TableCheck(FACTS), TODAY, 1, EarlierSnapshots())
    assert made.refusals == () and len(made.instruments) > 100
    assert "NFO was searched, its list failed" in made.notes[0]


def test_list_that_is_refused_is_not_searched_for(client: OpenAlgoClient, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(client, 403, monkeypatch)
    with pytest.raises(ReadFailed):
        fetch_master(client, NEED, TableCheck(FACTS), TODAY, 1, EarlierSnapshots())


def test_second_lookup_of_a_contract_makes_no_call_and_gives_the_same_token(
    client: OpenAlgoClient, simulator: RunningSimulator
) -> None:
    def asked() -> int:
        return int(simulator.get("/sim/state")[1]["data"]["requests"].get("symbol 200", 0))

    lookup = ContractLookup(client)
    before = asked()
    first = lookup.find("NSE:SBIN")
    assert (first.kind, bool(first.token)) == (InstrumentKind.EQ, True)
    assert lookup.find("NSE:SBIN").token == first.token
    assert asked() == before + 1
    assert "NSE:INFY" in {item.id for item in lookup.search("INFOSYS")}
    lookup.find("NSE:INFY")
    assert asked() == before + 1
    with pytest.raises(SymbolNotFound):
        lookup.find("NSE:NOSUCH")
