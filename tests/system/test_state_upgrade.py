"""A state of release 9f71261 is upgraded, is shown as that release showed it, and trades on; or it stays as it is.

`tests/data/make_old_state.py` tells what it holds and how it was made. The market stands at 09:44 of a Friday.
"""

from __future__ import annotations

import errno
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from tests.golden.json_commands import missing_keys, paths
from tests.kit.in_process_command import asked
from tests.kit.lockstep_stack import LockStepped
from tests.kit.old_state import KILLED, STOPPED, UNTIL, OldState, moment
from tests.kit.stack import Stack
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

Row = dict[str, Any]
POSITION = ("quantity", "average_price", "realised", "run", "held_stop", "stop", "stop_covers", "stop_state",
            "since_ns", "confidence")  # fmt: skip
RUN = ("run", "opened_ns", "realised", "max_loss", "max_profit", "peak", "trailing_stop", "closes_ns", "leaving")
STOP = ("stop", "holder", "quantity")
SCOPES = ("strategy", "account")
LIMIT = ("most", "action", "value", "used", "left")
EVENT = ("at_ns", "strategy", "run", "kind", "threshold", "value", "action", "instruments", "exit_orders")
LEVEL = ("account", "level", "reason", "by", "at_ns")
SWITCH = ("strategy", "enabled", "reason", "by", "at_ns")
SIGNAL = ("strategy", "watch", "action", "created_ns", "result", "price")
LAST_NS = moment(UNTIL)


class Upgraded:
    """A stack of this tree on the old state, with what the old code showed."""

    def __init__(self, old: OldState, market: LockStepped) -> None:
        self.picture, self.market, self.stack = old.picture, market, market.stack

    def rows(self, command: str) -> tuple[list[Row], list[Row]]:
        """Rows of a table as the old code printed it, and as it is printed now."""
        return self.picture[command], self.stack.ask(*command.split())

    def new(self, command: str, strategy: str) -> list[Row]:
        """Orders or signals of a strategy since the upgrade."""
        rows = self.stack.ask(command, "-n", "0")
        return [row for row in rows if row["strategy"] == strategy and row["created_ns"] > LAST_NS]

    def hold(self, instrument: str, price: float) -> None:
        """Make this the price of an instrument, for good."""
        exchange, symbol = instrument.split(":")
        self.market.sim("market", symbol=symbol, exchange=exchange, ltp=price, hold=True, depth=100_000)


@pytest.fixture(scope="module", params=[STOPPED, KILLED], ids=["stopped", "killed"])
def upgraded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgraded]:
    old = OldState(tmp_path_factory.mktemp("old"), request.param)
    done = old.stack.run("state", "upgrade", "--json")
    assert done.returncode == 0, done.stderr
    with old.started() as market:
        yield Upgraded(old, market)


def verified(stack: Stack) -> None:
    done = stack.run("journal", "verify")
    assert done.returncode == 0, done.stdout + done.stderr


def by(rows: list[Row], names: tuple[str, ...], *keys: str) -> dict[tuple[Any, ...], list[Any]]:
    """These fields of rows, by others."""
    return {tuple(row.get(key) for key in keys): [_near(row.get(name)) for name in names] for row in rows}


def _near(value: Any) -> Any:
    return pytest.approx(value, abs=1e-6) if isinstance(value, float) else value


def test_every_position_keeps_owner_price_stop_and_level(upgraded: Upgraded) -> None:
    was, now = (by(rows, POSITION, "account", "instrument", "product", "strategy")
                for rows in upgraded.rows("positions --all"))  # fmt: skip
    for fields in now.values():  # what covers a sold leg is called a hedge since
        fields[7] = {"hedge": "none"}.get(fields[7], fields[7])
    assert now == was
    assert {"resting", "engine", "none"} <= {fields[7] for fields in was.values()}
    assert len(was) == 13


def test_every_order_is_as_it_was(upgraded: Upgraded) -> None:
    was, now = upgraded.rows("orders -n 0")
    assert [row["client_order_id"] for row in now] == [row["client_order_id"] for row in was]
    for old, new in zip(was, now, strict=True):
        if old["purpose"] == "stop" and old["state"] == "ACCEPTED":  # the first book after the upgrade shows it resting
            assert new["updated_ns"] >= old["updated_ns"]
            old = {**old, "updated_ns": new["updated_ns"]}
        assert {name: new.get(name) for name in old} == old


def test_every_resting_order_rests_at_the_exchange_under_the_same_id(upgraded: Upgraded) -> None:
    ours = {row["broker_order_id"] for row in upgraded.picture["orders -n 0"] if row["state"] == "ACCEPTED"}
    book = upgraded.stack.rest("orderbook")["orders"]
    assert {row["orderid"] for row in book if row["order_status"] in ("open", "trigger pending")} == ours
    assert len(ours) >= 4


def test_every_run_keeps_its_peak_and_trailing_stop(upgraded: Upgraded) -> None:
    was, now = upgraded.rows("risk")
    assert by(now["runs"], RUN, "strategy") == by(was["runs"], RUN, "strategy")
    assert [row["peak"] for row in was["runs"] if row["strategy"] == "Trailer"] != [None]
    was, now = ([row for row in rows["stops"] if row["stop"]] for rows in (was, now))
    assert by(now, STOP, "strategy", "instrument") == by(was, STOP, "strategy", "instrument")


def test_every_limit_of_the_day_is_used_up_as_far_as_it_was(upgraded: Upgraded) -> None:
    was, now = (rows["limits"] for rows in upgraded.rows("risk"))
    now = [row for row in now if row["kind"] in {limit["kind"] for limit in was}]  # not the newer ones
    flat, held = (by([row for row in was if row["scope"] == scope], LIMIT, "kind", "name") for scope in SCOPES)
    assert by([row for row in now if row["scope"] == "strategy"], LIMIT, "kind", "name") == flat
    for row in (row for row in now if row["scope"] == "account"):  # its open profit is that of the newest quotes
        most, action, value, *_ = held[row["kind"], row["name"]]
        assert (row["most"], row["action"]) == (most, action)
        assert row["value"] == pytest.approx(value.expected, rel=0.05)
    reached = {row["name"] for row in was if row["reached"]}
    assert {row["name"] for row in now if row["reached"]} == reached == {"Loser"}


def test_halts_and_switches_stand(upgraded: Upgraded, request: pytest.FixtureRequest) -> None:
    was, now = upgraded.rows("status")
    for name, fields in (("held_back", LEVEL), ("switched_off", SWITCH)):
        assert by(now[name], fields) == by(was[name], fields)
    assert [row["strategy"] for row in was["switched_off"]] == ["Trailer"]
    assert bool(was["held_back"]) == ("stopped" in request.node.callspec.id)


def test_events_trades_and_signals_are_as_they_were(upgraded: Upgraded) -> None:
    was, now = upgraded.rows("risk events -n 0")
    assert by(now, EVENT, "id") == by(was, EVENT, "id")
    was, now = upgraded.rows("trades -n 0")
    assert now == was
    was, now = eventually(lambda: both if _equally_ended(both := upgraded.rows("signals -n 0")) else None, 20)
    assert [row["id"] for row in now] == [row["id"] for row in was]
    assert by(_entries(now), SIGNAL, "id") == by(_entries(was), SIGNAL, "id")


def _entries(signals: list[Row]) -> list[Row]:
    """Without those that only close, which had no result before."""
    return [row for row in signals if row["action"] != "EXIT"]


def _equally_ended(rows: tuple[list[Row], list[Row]]) -> bool:
    """True once as many signals have a result as had one: what a halt denies is denied soon after the start."""
    was, now = (sum(bool(row["result"]) for row in _entries(found)) for found in rows)
    return was == now


def test_alerts_that_stood_stand(upgraded: Upgraded) -> None:
    was, now = (
        {(row["code"], row["subject"]) for row in rows if not row.get("cleared")}
        for rows in upgraded.rows("alerts --all -n 0")
    )
    assert was <= now
    assert ("DAILY_LOSS", "strategy Loser") in was


def test_trading_goes_on(upgraded: Upgraded, request: pytest.FixtureRequest) -> None:
    """Levels are reached, the broker's stops fill, what was used up denies, and a new order fills."""
    stack, picture = upgraded.stack, upgraded.picture
    if "stopped" in request.node.callspec.id:
        stack.ask("resume", "--account", "paper")
    stops = {row["strategy"]: row for row in picture["risk"]["stops"]}
    upgraded.hold(stops["Trailer"]["instrument"], round(stops["Trailer"]["average_price"] * 0.8, 1))
    upgraded.hold(stops["Overnight"]["instrument"], stops["Overnight"]["stop"] - 5)
    for clock, move in (("09:44:30", 0.05), ("09:46:00", 0.105)):  # a share that jumps further is not believed at once
        for name, sign in (("Engineer", -1), ("Targeter", 1)):
            upgraded.hold(stops[name]["instrument"], round(stops[name]["average_price"] * (1 + sign * move), 1))
        upgraded.market.run_to(clock)
    ended = {row["strategy"]: row for row in stack.ask("risk", "events", "-n", "0") if row["at_ns"] >= LAST_NS}
    assert {name: row["kind"] for name, row in ended.items()} == {
        "Engineer": "stop", "Targeter": "target", "Trailer": "trailing_stop", "Overnight": "broker_stop",
    }  # fmt: skip
    (trailer,) = (row for row in picture["risk"]["runs"] if row["strategy"] == "Trailer")
    assert ended["Trailer"]["threshold"] == pytest.approx(trailer["trailing_stop"])
    assert not stack.held().keys() & ended.keys()
    upgraded.market.run_to("09:57:00")
    (entry, stop) = upgraded.new("orders", "Late")
    assert (entry["purpose"], entry["state"], stop["purpose"], stop["state"]) == (
        "entry", "FILLED", "stop", "ACCEPTED",
    )  # fmt: skip
    for name, code in (("Loser", "DAILY_LOSS"), ("Often", "ENTRIES_PER_SESSION")):
        signals = upgraded.new("signals", name)
        assert signals and not upgraded.new("orders", name)
        assert all(code in text for row in signals for text in row["denied"])
    assert not upgraded.new("signals", "Cool"), "its cooldown runs until 10:02"


def test_entry_that_rested_through_a_kill_fills_and_is_guarded(
    upgraded: Upgraded, request: pytest.FixtureRequest
) -> None:
    if "stopped" in request.node.callspec.id:
        pytest.skip("the halt withdrew it")
    (bid,) = (row for row in upgraded.stack.ask("orders", "--live") if row["strategy"] == "Bidder")
    upgraded.hold(bid["instrument"], bid["price"] - 1)
    upgraded.market.run_to("09:59:00")
    orders = [row for row in upgraded.stack.ask("orders", "-n", "0") if row["strategy"] == "Bidder"]
    assert [(row["purpose"], row["state"]) for row in orders] == [("entry", "FILLED"), ("stop", "ACCEPTED")]
    assert orders[1]["trigger_price"] == bid["stop_trigger"]


def test_cooldown_ends_when_it_was_to_end(upgraded: Upgraded) -> None:
    upgraded.market.run_to("10:04:00")
    first, *_ = upgraded.new("signals", "Cool")
    assert first["created_ns"] >= moment("10:02:00")


def test_books_agree_and_journals_verify_after_all(upgraded: Upgraded) -> None:
    stack = upgraded.stack
    tags = [row["strategy"] for row in stack.rest("orderbook")["orders"] if row["strategy"] != "by hand"]
    assert len(tags) == len(set(tags)), "an order was placed twice"
    exchange: dict[str, int] = {}
    for row in stack.rest("positionbook"):
        name = f"{row['exchange']}:{row['symbol']}"
        exchange[name] = exchange.get(name, 0) + int(row["quantity"])
    assert _by_instrument(stack) == {name: units for name, units in exchange.items() if units}
    assert stack.down().returncode == 0
    verified(stack)


def _by_instrument(stack: Stack) -> dict[str, int]:
    net: dict[str, int] = {}
    for row in stack.ask("positions"):
        net[row["instrument"]] = net.get(row["instrument"], 0) + row["quantity"]
    return {name: units for name, units in net.items() if units}


def test_sealed_day_is_closed_as_it_was(upgraded: Upgraded) -> None:
    day = upgraded.stack.ask("day", "close", "--date", "2026-11-19", "--force")
    assert missing_keys("day close", set(paths(day, "day close"))) == []
    assert (day["orders"]["FILLED"], len(day["positions"]), day["problems"]) == (5, 5, [])
    listed = upgraded.stack.ask("instruments", "diff")
    assert missing_keys("instruments diff", set(paths(listed))) == []


# an upgrade that fails


def spoil(path: Path) -> None:
    """Make a row of a journal unreadable."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("UPDATE rows SET body = x'c1' WHERE seq = (SELECT max(seq) - 9 FROM rows)")


@pytest.mark.parametrize("daemon", ["engine", "router"])
def test_upgrade_with_a_damaged_row_says_so_and_changes_no_file(tmp_path: Path, daemon: str) -> None:
    old = OldState(tmp_path, STOPPED)
    spoil(old.state / "journal" / daemon / "2026-11-20.sqlite")
    before = old.files()
    done = old.stack.run("state", "upgrade")
    assert done.returncode == 1
    assert f"{daemon}/2026-11-20" in done.stderr, done.stderr
    assert old.files() == before


@contextmanager
def cut_short(step: int, ending: BaseException) -> Iterator[None]:
    """The command ends like that when a file of a journal is to take its place, at such a one of them."""
    replace, calls = Path.replace, [0]

    def failing(path: Path, target: Path) -> Path:
        calls[0] += "journal" in path.parts and target.suffix == ".journal"
        if calls[0] == step:
            raise ending
        return replace(path, target)

    with patch.object(Path, "replace", failing):
        yield
    assert calls[0] >= step


def upgrade(old: OldState) -> Row:
    done = asked(old.stack.environment, "state", "upgrade", "--json")
    assert done.returncode == 0, done.stderr
    body: Row = json.loads(done.stdout)
    return body


@pytest.mark.parametrize("step", [1, 4, 7])
def test_upgrade_without_room_while_files_take_their_places_leaves_the_old_ones(tmp_path: Path, step: int) -> None:
    old = OldState(tmp_path, KILLED)
    before = old.files()
    with cut_short(step, OSError(errno.ENOSPC, "No space left on device")):
        done = asked(old.stack.environment, "state", "upgrade")
    assert done.returncode == 1
    assert old.files() == before
    assert upgrade(old)["files"] == 8


def test_upgrade_that_died_while_files_took_their_places_is_done_by_the_next_one(tmp_path: Path) -> None:
    old, whole = (OldState(tmp_path / name, KILLED) for name in ("cut", "whole"))
    with cut_short(4, KeyboardInterrupt()):
        assert asked(old.stack.environment, "state", "upgrade").returncode == 130
    first, second = upgrade(old), upgrade(whole)
    assert (first["files"], first["rows"]) == (second["files"], second["rows"])
    assert upgrade(old)["files"] == 0
    names = [{name for name in one.files() if "journal" in name} for one in (old, whole)]
    assert names[0] == names[1]
