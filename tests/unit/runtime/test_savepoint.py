"""Savepoints: taken up where they fit wholly, else refused and the whole journal read; kept beside the daemon."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mytrading.cli.journal.kept import differing
from mytrading.core.oms import OmsLimits
from mytrading.daemons.router_savepoint import parts
from mytrading.daemons.router_setup import FiledOrders, MarketHours, OrderRows, bound_of
from mytrading.messages.codec import encode_body
from mytrading.messages.commands import WithdrawEntries
from mytrading.messages.enums import OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.orders import Order, OrderChanged
from mytrading.messages.records import FileTaken, JournalRebuilt, RunStarted
from mytrading.messages.runconfig import RunConfig
from mytrading.messages.streams import SCHEMA_VERSION
from mytrading.runtime import savepoint as savepoints
from mytrading.runtime import savepoint_keeper
from mytrading.runtime.clock import MarketClock
from mytrading.runtime.journal import INPUT, OUTPUT, RECORD, Cursor, Entry, Journal, JournalReader, Row
from mytrading.runtime.machine import MachineDaemon
from mytrading.runtime.recovering import RECOVERING, ist_day
from mytrading.runtime.savepoint import SavepointUnfit, fingerprint, pack, take_up
from mytrading.runtime.savepoint_keeper import Keeper, keep, rows_since

RUN = RunStarted(
    daemon="router", pid=1, version="1", schema=SCHEMA_VERSION, config_hash="c", machine_ns=1, market_ns=1, speed=1.0
)
HOURS = "[exchanges]\n"
WITHDRAWN = encode_body(WithdrawEntries(id="w", account="paper", instrument="NSE:S1", strategy="S", cause="c"))


def order(number: int, state: OrderState = OrderState.FILLED) -> OrderChanged:
    level = Order(
        client_order_id=f"o{number}", account="paper", instrument=f"NSE:S{number % 7}", product=Product.MIS,
        strategy="S", run="r", cause=f"c{number}", purpose=Purpose.ENTRY, side=Side.BUY, quantity=5,
        order_type=OrderType.MARKET, state=state, created_ns=number, updated_ns=number, broker_order_id=f"b{number}",
    )  # fmt: skip
    return OrderChanged(event=state.value.lower(), order=level, machine_ns=number)


class Router(MachineDaemon):
    """The harness around the order machine, without a broker."""

    def __init__(self, config: RunConfig) -> None:
        self.hours = MarketHours(config, keep=False)
        self.orders = FiledOrders(OmsLimits(), self.hours)
        super().__init__("router", config, self.orders)
        self.rows = OrderRows()

    def bound(self) -> savepoints.Bound:
        return bound_of(self.config, self.hours)

    def decode(self, row: Row) -> Any:
        return self.rows.decode(row)


@pytest.fixture
def journal(config: RunConfig) -> Iterator[Journal]:
    """A router's journal of a hundred rows."""
    day = ist_day(MarketClock.load(config.clock_path).now())
    found = Journal(config.journal_dir("router"), "router", day, 0)
    taken = FileTaken(name="calendar.toml", text=HOURS, at_ns=1)
    records = [Entry(RECORD, "records", encode_body(row)) for row in (RUN, taken)]
    found.append([*records, Entry(INPUT, "commands", WITHDRAWN, "risk", 1, 3, b"12345678"), *orders(1, 98)], 1, 1)
    yield found
    found.close()


def orders(begin: int, end: int) -> list[Entry]:
    return [Entry(OUTPUT, "orders", encode_body(order(number))) for number in range(begin, end)]


def kept(config: RunConfig) -> str:
    return keep(config, "router", lambda: parts(config), lambda: True)


def started(config: RunConfig) -> Router:
    """A start up to where it would begin to decide."""
    daemon = Router(config)
    daemon._open_journal()
    return daemon


def ended(daemon: Router) -> Router:
    daemon.journal.close()
    daemon.context.destroy(linger=0)
    return daemon


def from_all_rows(config: RunConfig) -> Router:
    savepoints.path_of(config, "router").unlink(missing_ok=True)
    return ended(started(config))


def assert_started_alike(config: RunConfig, begun: Router) -> None:
    """A start that read all rows knows the same."""
    whole = from_all_rows(config)
    assert fingerprint(begun.orders) == fingerprint(whole.orders)
    assert (begun._cursors, begun._files) == (whole._cursors, whole._files)
    assert begun.journal.written("orders") == whole.journal.written("orders")


def test_start_reads_only_what_stands_behind_the_savepoint(config: RunConfig, journal: Journal) -> None:
    assert kept(config) == "row 100"
    journal.append([*orders(99, 103), Entry(OUTPUT, "orders", encode_body(order(5, OrderState.CANCELLED)))], 1, 1)
    journal.close()
    begun = ended(started(config))
    assert begun._learnt == 5
    assert len(begun.orders.orders()) == 101
    assert_started_alike(config, begun)


def test_savepoint_is_kept_on_from_the_one_before(config: RunConfig, journal: Journal) -> None:
    kept(config)
    journal.append(orders(200, 250), 1, 1)
    edited = FileTaken(name="calendar.toml", text="", at_ns=1)
    read = Entry(INPUT, "commands", WITHDRAWN, "risk", 1, 4, b"87654321")
    journal.append([Entry(RECORD, "records", encode_body(edited)), read], 1, 1)
    assert kept(config) == "row 152"
    journal.close()
    begun = ended(started(config))
    assert begun._learnt == 0
    assert begun._files == {"calendar.toml": ""}
    assert begun._cursors == {("risk", "commands"): Cursor(1, 4, b"87654321")}
    assert_started_alike(config, begun)


def test_savepoint_of_other_rows_is_refused_and_removed(config: RunConfig, journal: Journal) -> None:
    kept(config)
    journal.close()
    with sqlite3.connect(journal.path) as db:
        db.execute("DELETE FROM rows WHERE seq > 60")
    again = Journal(config.journal_dir("router"), "router", journal.day, 0)
    again.append(orders(300, 340), 1, 1)
    again.close()
    begun = ended(started(config))
    assert begun._learnt == 100
    assert not savepoints.path_of(config, "router").exists()
    assert_started_alike(config, begun)


@pytest.mark.parametrize("at", [0, 10, 30, 60, -1])
def test_savepoint_with_a_changed_byte_is_none(config: RunConfig, journal: Journal, at: int) -> None:
    kept(config)
    journal.close()
    path = savepoints.path_of(config, "router")
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    assert savepoints.read(path) is None
    assert ended(started(config))._learnt == 100


def test_savepoint_cut_short_is_none(config: RunConfig, journal: Journal) -> None:
    kept(config)
    path = savepoints.path_of(config, "router")
    data = path.read_bytes()
    for length in (0, 7, 20, 47, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        assert savepoints.read(path) is None


def test_savepoint_that_others_may_write_is_none(config: RunConfig, journal: Journal) -> None:
    kept(config)
    path = savepoints.path_of(config, "router")
    path.chmod(0o620)
    assert savepoints.read(path) is None


def test_savepoint_of_another_configuration_code_or_calendar_is_not_taken_up(
    config: RunConfig, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(config)
    day, hours = journal.day, MarketHours(config, keep=False)
    bound = bound_of(config, hours)
    assert savepoints.fitting(config, "router", bound, day) is not None
    assert savepoints.fitting(config, "router", bound, "2026-01-01") is None
    other = msgspec.structs.replace(config, config_hash="other")
    assert savepoints.fitting(config, "router", bound_of(other, hours), day) is None
    assert savepoints.fitting(config, "router", bound._replace(parts=("edited",)), day) is None
    monkeypatch.setattr(savepoints, "code_digest", lambda: "edited")
    assert savepoints.fitting(config, "router", bound, day) is None


def test_journal_that_lost_rows_is_not_kept(config: RunConfig, journal: Journal) -> None:
    rebuilt = JournalRebuilt(problem="x", aside="", kept={}, at_ns=1)
    journal.append([Entry(RECORD, "records", encode_body(rebuilt))], 1, 1)
    assert kept(config) == "nothing to keep"


def test_what_a_killed_keeper_left_half_written_is_removed_by_the_next(config: RunConfig, journal: Journal) -> None:
    kept(config)
    path = savepoints.path_of(config, "router")
    (path.parent / f".{path.name}.1").write_bytes(b"half")
    kept(config)
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_keeper_that_is_told_to_stop_leaves_the_one_before(config: RunConfig, journal: Journal) -> None:
    kept(config)
    before = savepoints.path_of(config, "router").read_bytes()
    journal.append(orders(200, 250), 1, 1)
    assert keep(config, "router", lambda: parts(config), lambda: False) == "nothing to keep"
    assert savepoints.path_of(config, "router").read_bytes() == before


def test_state_of_what_is_not_ours_is_neither_kept_nor_taken_up(config: RunConfig) -> None:
    machine = parts(config).machine
    machine._state.put(machine._state.flags, "x", Path("/tmp"))
    with pytest.raises(SavepointUnfit, match=r"pathlib"):
        pack(machine)
    fresh = parts(config).machine
    before = fingerprint(fresh)
    with pytest.raises(SavepointUnfit):
        take_up(fresh, b"nothing of the kind")
    assert fingerprint(fresh) == before


def test_state_that_was_taken_up_is_written_in_the_same_bytes(config: RunConfig) -> None:
    """A row leaves out what is the default itself: a copy of 0.0 was written out, and `verify` found another row."""
    router, other = Router(config), Router(config)
    for number in range(3):
        router.orders.apply(order(number))
    take_up(other.orders, pack(router.orders))
    levels = [[encode_body(each) for each in one.orders.orders()] for one in (router, other)]
    assert levels[0] == levels[1]
    assert all(b"price" not in level for level in levels[0])
    router.context.destroy(linger=0)
    other.context.destroy(linger=0)


def test_default_is_looked_up_once_however_many_orders_have_it(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes longer than all else of an order: a start would read for seconds what others have to wait for."""
    machine, asked, look = parts(config).machine, [], savepoints._Unpickler._default
    for number in range(20):
        machine.apply(order(number))
    packed = pack(machine)

    def counted(self: Any, *names: str) -> Any:
        asked.append(names)
        return look(self, *names)

    monkeypatch.setattr(savepoints._Unpickler, "_default", counted)
    take_up(parts(config).machine, packed)
    assert len(asked) == len(set(asked)) > 5


def test_fingerprint_tells_values_order_and_what_is_shared_apart(config: RunConfig) -> None:
    def of(*numbers: int) -> str:
        machine = parts(config).machine
        for number in numbers:
            machine.apply(order(number))
        return fingerprint(machine)

    assert of(1, 2) == of(1, 2)
    assert len({of(1, 2), of(2, 1), of(1), of(1, 3)}) == 4


def test_savepoint_is_due_after_so_many_rows(
    config: RunConfig, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    monkeypatch.setattr(Keeper, "_start", lambda _, name: begun.append(name))
    monkeypatch.setattr(savepoint_keeper, "ROWS", 101)
    assert Keeper(config).look(0) == ""
    monkeypatch.setattr(savepoint_keeper, "ROWS", 100)
    assert (Keeper(config).look(0), begun) == ("router", ["router"])
    kept(config)
    assert rows_since(config, "router") == 0
    journal.append(orders(200, 230), 1, 1)
    assert rows_since(config, "router") == 30


def test_start_says_how_far_it_is(config: RunConfig, journal: Journal) -> None:
    journal.append(orders(200, 350), 1, 1)
    journal.close()
    daemon = Router(config)
    said: list[str] = []
    daemon.still_here = lambda: said.append(daemon.notes[RECOVERING])  # type: ignore[method-assign]
    daemon._open_journal()
    assert said == ["100 of 250 rows read", "200 of 250 rows read"]
    assert RECOVERING not in daemon.notes
    ended(daemon)


def test_reader_whose_cursor_was_compared_reads_on_from_there(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "router", "2026-11-23")
    rows = journal.append(orders(0, 50), 1, 1)
    reader = JournalReader(tmp_path, "orders")
    assert reader.matches(Cursor(1, 40, rows[39].hash))
    assert reader._mark is not None
    assert reader._mark.seq == 40
    assert [row.stream_seq for row in reader.read(40)] == list(range(41, 51))
    assert [row.stream_seq for row in reader.read(38, 2)] == [39, 40]
    reader.close()
    journal.close()


def test_verify_finds_a_savepoint_that_is_not_what_the_rows_teach(config: RunConfig, journal: Journal) -> None:
    kept(config)
    assert differing(config) == {}
    path = savepoints.path_of(config, "router")
    savepoint = savepoints.read(path)
    assert savepoint is not None
    machine = parts(config).machine
    take_up(machine, savepoint.state)
    machine.apply(order(5, OrderState.CANCELLED))
    savepoints.write(path, msgspec.structs.replace(savepoint, state=pack(machine)))
    assert list(differing(config)) == [journal.path]
    assert "what was kept at row 100" in differing(config)[journal.path]
