"""Lists of contracts that are wrong as servers were seen to be wrong, from a real simulator: what is believed of them.

Expected contracts are read off their own names (NIFTY01DEC2626300CE is a call of 1 December 2026 at 26,300), lots and
ticks are those of the exchange for the day (65 and 0.05, futures 0.1). Each rule is tried in both directions: a wrong
contract believed, and a right list refused.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from datetime import time as clock
from typing import Any

import pytest

from mytrading.adapters.openalgo.endpoints import ServerContract
from mytrading.adapters.openalgo.instruments import EarlierSnapshots, fetch_master, instrument_of
from mytrading.adapters.openalgo.rest.client import Deadline, HttpReply, OpenAlgoClient
from mytrading.core.calendar import Calendar
from mytrading.core.instruments.book import InstrumentBook, NoSuchContract
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.core.instruments.master_contract import Need, refusal_for
from mytrading.core.instruments.table_checks import TableCheck, check_table
from mytrading.core.time import to_ns
from mytrading.messages.instruments import InstrumentKind, Snapshot
from mytrading.messages.run_config import ExpiryRule
from tests.kit.project import ROOT
from tests.kit.simulator_process import RunningSimulator, start_simulator
from tests.kit.waiting import eventually

TODAY, ISO = date(2026, 11, 25), "2026-11-25"
CALENDAR = Calendar.from_dict(tomllib.loads((ROOT / "config/calendar.toml").read_text(encoding="utf-8")))
TEXT = (ROOT / "config/instruments.toml").read_text(encoding="utf-8")
TABLE = TableCheck(ContractFacts.from_dict(tomllib.loads(TEXT)), CALENDAR)
NIFTY = frozenset({"NIFTY"})
NEED = Need(("NSE_INDEX:NIFTY",), NIFTY, NIFTY, NIFTY, ("NSE_INDEX", "NFO"))
SPOT = 26_280.0
CALL = "NFO:NIFTY01DEC2626300CE"
FUTURE = "NFO:NIFTY29DEC26FUT"


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with start_simulator(tmp_path_factory.mktemp("simulator"), start=f"{ISO} 10:00") as running:
        yield running


class PatientClient(OpenAlgoClient):
    """A client that asks again while the server answers 429: the lists of these tests are many a second."""

    def get(self, *call: Any, **fields: Any) -> HttpReply:
        return eventually(lambda: _taken(super(PatientClient, self).get(*call, **fields)))

    def call(self, *call: Any, **fields: Any) -> HttpReply:
        return eventually(lambda: _taken(super(PatientClient, self).call(*call, **fields)))


def _taken(answer: HttpReply) -> HttpReply | None:
    return answer if answer.status != 429 else None


@pytest.fixture(scope="module")
def client(simulator: RunningSimulator) -> OpenAlgoClient:
    return PatientClient(simulator.rest, simulator.api_key, time.monotonic_ns)


@contextmanager
def listed(simulator: RunningSimulator, **wrong: Any) -> Iterator[None]:
    assert simulator.call("/sim/fault", kind="list_wrong", **wrong)[0] == 200
    try:
        yield
    finally:
        simulator.call("/sim/fault", kind="clear")


def fetch(client: OpenAlgoClient, before: Snapshot | None = None, table: TableCheck = TABLE) -> Snapshot:
    return fetch_master(client, NEED, table, TODAY, 1, EarlierSnapshots(before, before))


@pytest.fixture(scope="module")
def sound(client: OpenAlgoClient) -> Snapshot:
    """The list without a fault, as one of the day before: every contract of it lives longer."""
    made = fetch(client)
    assert made.refusals == () and made.kept == () and made.unchecked == ()
    return made


def book(made: Snapshot) -> InstrumentBook:
    return InstrumentBook(made.instruments, kept=made.kept, refusals=made.refusals)


def chosen(made: Snapshot, rule: ExpiryRule = ExpiryRule.NEAREST, right: InstrumentKind = InstrumentKind.CE) -> str:
    """The contract at the money by a rule, as the engine chooses it; "" if the choice is refused."""
    found = book(made)
    try:
        expiry = found.select_expiry(rule, "NIFTY", right, to_ns(TODAY, clock(10)))
    except NoSuchContract:
        return ""
    return found.option("NIFTY", expiry, "ATM", right, SPOT).id


def test_sound_list_gives_the_contract_of_its_name(sound: Snapshot) -> None:
    assert chosen(sound) == CALL
    assert chosen(sound, right=InstrumentKind.PE) == "NFO:NIFTY01DEC2626300PE"
    assert refusal_for(sound, CALL, ISO) == ""


BELIED = [
    ("a put for a call", {"swapped": True}, "it is listed as PE"),
    ("another strike", {"strike": 50.0}, "it is listed with strike"),
    ("a later week as the nearest", {"only": "08DEC26", "expiry": "30-NOV-26"}, "expiry 2026-11-30"),
    ("a day early", {"only": "01DEC26", "expiry": "30-NOV-26"}, "expiry 2026-11-30"),
    ("expired ten years ago", {"only": "01DEC26", "expiry": "01-DEC-16"}, "expiry 2016-12-01"),
    ("ten years off, ISO", {"only": "01DEC26", "expiry": "2016-12-01"}, "expiry 2016-12-01"),
]


@pytest.mark.parametrize(("wrong", "words"), [row[1:] for row in BELIED], ids=[row[0] for row in BELIED])
def test_column_that_contradicts_the_symbol_is_not_believed_and_refuses_its_underlying(
    simulator: RunningSimulator, client: OpenAlgoClient, sound: Snapshot, wrong: dict[str, Any], words: str
) -> None:
    with listed(simulator, **wrong):
        made = fetch(client, sound)
    reason = refusal_for(made, CALL, ISO)
    assert "contradicts its own name" in reason and words in reason, reason
    assert chosen(made) == ("" if wrong.get("only") == "01DEC26" else CALL), "of what is left the wrong week is nearest"
    for name, expiry in ((CALL, "2026-12-01"), ("NFO:NIFTY08DEC2626300CE", "2026-12-08")):
        held = book(made).get(name)  # what was known before, for exits
        assert held is not None and (held.kind.value, held.strike, held.expiry) == ("CE", 26_300.0, expiry)


@pytest.mark.parametrize("text", ["2026-12-01", "01-DEC-2026", "1-Dec-26", "01DEC26", "1 DEC 2026", "", "soon"])
def test_expiry_in_another_form_or_unreadable_is_that_of_the_symbol(text: str) -> None:
    row = ServerContract(CALL[4:], "NFO", expiry=text, strike=26_300.0, lotsize=65, instrumenttype="CE")
    assert instrument_of(row).expiry == "2026-12-01"


@pytest.mark.parametrize(
    ("symbol", "kind", "strike", "found"),
    [
        ("NIFTY01DEC2626300CE", "CE", None, 26_300.0),  # a column left empty contradicts nothing
        ("NIFTY01DEC2626300CE", "OPTIDX", 26_300.0, 26_300.0),
        ("RELIANCE29DEC261262.5CE", "CE", 1_262.5, 1_262.5),
        ("RELIANCE29DEC261262CE", "CE", 1_262.5, 1_262.5),  # decimals cut off in the name
        ("USDINR29DEC2684.13CE", "CE", 84.125, 84.125),  # rounded to two of them
        ("USDINR29DEC2684.25PE", "PE", 84.25, 84.25),
        ("SENSEX03DEC2685200PE", "PE", 85_200.0, 85_200.0),
        ("NIFTY29DEC26FUT", "FUT", -1.0, 0.0),
    ],
)
def test_right_row_is_read_whatever_its_broker_writes_beside_the_symbol(
    symbol: str, kind: str, strike: float | None, found: float
) -> None:
    exchange = "BFO" if symbol.startswith("SENSEX") else "NFO"
    assert (
        instrument_of(ServerContract(symbol, exchange, strike=strike, lotsize=65, instrumenttype=kind)).strike == found
    )


@pytest.mark.parametrize(
    ("symbol", "kind", "strike"),
    [
        ("NIFTY01DEC2626300CE", "CE", 2_630_000.0),
        ("RELIANCE29DEC261262.5CE", "CE", 1_262.0),
        ("RELIANCE29DEC261262CE", "CE", 1_263.5),
        ("NIFTY01DEC2626300CE", "FUT", 0.0),
        ("NIFTY29DEC26FUT", "CE", 26_300.0),
    ],
)
def test_wrong_row_is_refused_by_its_symbol(symbol: str, kind: str, strike: float) -> None:
    with pytest.raises(ValueError, match="contradicts its own name"):
        instrument_of(ServerContract(symbol, "NFO", strike=strike, lotsize=65, instrumenttype=kind))


def test_rows_left_out_of_the_needed_underlying_are_counted_behind_a_thousand_of_others(
    client: OpenAlgoClient, sound: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the list of the simulator: 1,100 rows of another underlying, and 5 of 374 of NIFTY, which are 1.3 %."""
    others = [f'{{"symbol":"ABC01DEC26{strike}CE","exchange":"NFO","strike":"dear"}}' for strike in range(1_100)]
    mine = [f'{{"symbol":"NIFTY01DEC26{strike}CE","exchange":"NFO","strike":"dear"}}' for strike in range(5)]
    whole = client.get

    def get(endpoint: str, query: Mapping[str, str], deadline: Deadline) -> HttpReply:
        answer = whole(endpoint, query, deadline)
        rows = b'"data":[' + ",".join([*others, *mine]).encode() + b","
        return answer._replace(body=answer.body.replace(b'"data":[', rows, 1)) if query["exchange"] == "NFO" else answer

    monkeypatch.setattr(client, "get", get)
    assert "5 of 374 rows cannot be read, the first is NIFTY01DEC260CE" in refusal_for(fetch(client, sound), CALL, ISO)


FIGURES = [
    ({"lot": 75.0}, "lot", "is 75 at the server, 65 in config/instruments.toml", "lot 75, table 65"),
    ({"lot": 5.0}, "lot", "is 5 at the server, 65 in", "lot 5, table 65"),
    ({"tick": 65.0}, "tick", "is 65 at the server, 0.05 in", "tick 65, table 0.05"),
    ({"tick": 5.0}, "tick", "is 5 at the server, 0.05 in", "tick 5, table 0.05"),
]


@pytest.mark.parametrize(("wrong", "what", "words", "key"), FIGURES)
def test_lot_or_tick_that_contradicts_the_table_closes_entries_and_leaves_exits_the_figures_of_before(
    simulator: RunningSimulator, client: OpenAlgoClient, sound: Snapshot, wrong: dict[str, Any], what: str, words: str,
    key: str,
) -> None:  # fmt: skip
    with listed(simulator, **wrong):
        first, later = fetch(client), fetch(client, sound)
    for made in (first, later):  # on a stack's first day, and on any other
        assert words in refusal_for(made, CALL, ISO) and f"the {what} of" in refusal_for(made, FUTURE, ISO)
        assert key in {refusal.key for refusal in made.refusals}
        call, future = book(made).get(CALL), book(made).get(FUTURE)
        assert call is not None and (call.lot_size, call.tick_size) == (65, 0.05)
        assert future is not None and (future.lot_size, future.tick_size) == (65, 0.1)
        assert refusal_for(made, "NSE_INDEX:NIFTY", ISO) == "", "the underlying itself is not meant"


def test_lot_and_tick_swapped_are_both_named_and_both_accepted_alone(
    simulator: RunningSimulator, client: OpenAlgoClient
) -> None:
    leave = {"NIFTY": ("lot 5, table 65", "tick 65, table 0.05")}
    with listed(simulator, lot=5.0, tick=65.0):
        refused, partly = fetch(client), fetch(client, table=TABLE._replace(accepted=leave))
    assert {row.key for row in refused.refusals} == {"lot 5, table 65", "tick 65, table 0.05", "tick 65, table 0.1"}
    assert {row.key for row in partly.refusals} == {"tick 65, table 0.1"}
    assert partly.accepted == ("NIFTY: lot 5, table 65", "NIFTY: tick 65, table 0.05")


def test_accepted_lot_is_believed_until_the_server_or_the_table_says_another(
    simulator: RunningSimulator, client: OpenAlgoClient
) -> None:
    leave = {"NIFTY": ("lot 75, table 65",)}
    other = ContractFacts.from_dict(tomllib.loads(TEXT.replace("value = 65 },\n]", "value = 70 },\n]")))
    with listed(simulator, lot=75.0):
        taken = fetch(client, table=TABLE._replace(accepted=leave))
        edited = fetch(client, table=TableCheck(other, CALENDAR, leave))
    with listed(simulator, lot=25.0):
        moved = fetch(client, table=TABLE._replace(accepted=leave))
    call = book(taken).get(CALL)
    assert taken.refusals == () and call is not None and call.lot_size == 75
    assert {row.key for row in edited.refusals} == {"lot 75, table 70"}
    assert {row.key for row in moved.refusals} == {"lot 25, table 65"}


def test_lot_of_one_counts_contracts_and_cannot_be_accepted(
    simulator: RunningSimulator, client: OpenAlgoClient
) -> None:
    crude = frozenset({"CRUDEOIL"})
    need = Need(("MCX:CRUDEOIL18DEC26FUT",), crude, frozenset(), crude, ("MCX",))
    table = TABLE._replace(accepted={"CRUDEOIL": ("lot 1, table 100", "")})
    with listed(simulator, underlying="CRUDEOIL", lot=1.0):
        made = fetch_master(client, need, table, TODAY, 1, EarlierSnapshots())
    reason = refusal_for(made, "MCX:CRUDEOIL18DEC26FUT", ISO)
    assert "is 1 at the server, 100 in" in reason and "it counts contracts, not units" in reason
    assert {row.key for row in made.refusals} == {""}
    sound = fetch_master(client, need, TABLE, TODAY, 1, EarlierSnapshots())
    assert sound.refusals == () and {item.lot_size for item in sound.instruments} == {100}


def test_missing_weekly_closes_the_choice_by_nearest_and_leaves_the_monthly(
    simulator: RunningSimulator, client: OpenAlgoClient, sound: Snapshot
) -> None:
    monthly = "NFO:NIFTY29DEC2626300CE"
    with listed(simulator, only="01DEC26", missing=True):
        made, first = fetch(client, sound), fetch(client)
    for one in (made, first):
        assert (chosen(one), chosen(one, ExpiryRule.MONTHLY)) == ("", monthly)
        assert refusal_for(one, monthly, ISO) == "" and refusal_for(one, FUTURE, ISO) == ""
    (reason,) = {row.reason for row in made.refusals if row.rules == ("nearest",)}
    assert "2026-12-01 was expected" in reason and "it would be 2026-12-08" in reason
    held = book(made).get(CALL)
    assert held is not None and held.lot_size == 65, "what is held of it can be closed"
    assert "no usable row" in refusal_for(made, CALL, ISO)


def test_both_weeklies_missing_do_not_make_the_monthly_the_nearest(
    simulator: RunningSimulator, client: OpenAlgoClient
) -> None:
    with listed(simulator, only="01DEC26", missing=True):
        one = fetch(client)
        later = [item for item in one.instruments if item.expiry != "2026-12-08"]
    (refusal,) = check_table(later, TABLE, TODAY).refusals
    assert refusal.rules == ("nearest",) and "it would be 2026-12-29" in refusal.reason


def test_missing_weekly_is_accepted_by_its_key(simulator: RunningSimulator, client: OpenAlgoClient) -> None:
    with listed(simulator, only="01DEC26", missing=True):
        keys = tuple(row.key for row in fetch(client).refusals)
        made = fetch(client, table=TABLE._replace(accepted={"NIFTY": keys}))
    assert made.refusals == () and chosen(made) == "NFO:NIFTY08DEC2626300CE" and all(keys)
