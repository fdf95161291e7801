"""Commands that settle the ledger, typed in full: the real gateway's server and the real order machine answer them.

Only sockets and processes are left out. Each read of the books happens when the command asks for its answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from mytrading.cli.shell.failures import Failure
from mytrading.cli.state import command as state_command
from mytrading.cli.trading import books
from mytrading.core.gateway.control_machine import ControlMachine
from mytrading.core.time import SECOND
from mytrading.messages import ops
from mytrading.messages.control import ClaimRequested, TradingState
from mytrading.messages.enums import Product, TradingLevel
from mytrading.messages.journal_rows import OperatorRequestTaken
from mytrading.messages.settlements import AdjustRequested, RebuildRequested, SettleRequested
from mytrading.runtime.journal.journal import Journal
from mytrading.runtime.streams.ops_client import OpsRefused
from tests.kit.fake_broker import ACCOUNT, OrderBench
from tests.kit.gateway_queries import ops_server
from tests.kit.hand_settlements import LOT, SHARE, TOMORROW, carried, held, moves
from tests.kit.run_configs import trading_config

REASON = ("--reason", "expired worthless")


class Desk:
    """A stack in one process: the gateway's server over the view of a bench's rows."""

    def __init__(self, folder: Path, bench: OrderBench) -> None:
        config = trading_config(folder)
        venue = msgspec.structs.replace(config.venue, account=ACCOUNT)
        self.config = msgspec.structs.replace(config, venue=venue)
        self.bench, self.control, self.taken = bench, ControlMachine(), list[OperatorRequestTaken]()
        self.asked: list[Any] = []
        self.server = ops_server(self.config, control=self.control, record=self._record)
        self._shown = 0
        for row in bench.journal:
            self.server.context.view.apply(row)
        self.journal = Journal(self.config.journal_dir("router"), "router", TOMORROW)

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _record(self, rows: tuple[Any, ...]) -> None:
        for row in rows:
            self.control.apply(row)
            if isinstance(row, OperatorRequestTaken):
                self.taken.append(row)
            elif isinstance(row, ClaimRequested | SettleRequested | AdjustRequested | RebuildRequested | TradingState):
                self.bench.step(row)

    def ask(self, request: Any) -> Any:
        self.asked.append(request)
        if isinstance(request, ops.AnswerQuery):
            self.bench.tick(SECOND // 5)
            self.bench.read()
        if isinstance(request, ops.Command):
            request = msgspec.structs.replace(request, by="asha")
        for row in self.bench.rows[self._shown :]:
            self.server.context.view.apply(row)
        self._shown = len(self.bench.rows)
        reply = self.server.reply(msgspec.msgpack.encode(request))
        if isinstance(reply, ops.ErrorReply):
            raise OpsRefused(reply.error)
        return msgspec.json.decode(reply.body) if isinstance(reply, ops.JsonReply) else reply


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    yield opened(tmp_path, monkeypatch, carried())


def opened(folder: Path, monkeypatch: pytest.MonkeyPatch, bench: OrderBench) -> Desk:
    made = Desk(folder, bench)
    for module in (books, state_command):
        monkeypatch.setattr(module, "find_stack", lambda _profile: made)
    return made


def typed(app: typer.Typer, *words: str, answer: str = "") -> Result:
    return CliRunner().invoke(app, words, input=answer)


def positions(*words: str, answer: str = "") -> Result:
    return typed(books.positions_app, *words, answer=answer)


def why(done: Result) -> str:
    assert isinstance(done.exception, Failure), done.output
    return str(done.exception)


def test_settle_shows_its_plan_and_does_nothing_until_a_person_says_yes(desk: Desk) -> None:
    done = positions("settle", LOT, *REASON, answer="n\n")
    assert "s1 loses 50 of 50" in done.stdout and "booked as gone at no known price" in done.stdout
    assert why(done) == "nothing was done" and moves(desk.bench) == []
    assert "nobody answered; repeat it with --yes" in why(positions("settle", LOT, *REASON))
    done = positions("settle", LOT, *REASON, answer="y\n")
    assert "booked as gone" in done.stdout.splitlines()[-1] and held(desk.bench)[0] == 0
    assert moves(desk.bench) == [("settled", -50)]


def test_settle_for_a_script_prints_the_plan_as_json_and_needs_a_yes(desk: Desk) -> None:
    done = positions("settle", LOT, *REASON, "--json")
    body = json.loads(done.stdout)
    (row,) = body["plan"]["rows"]
    assert (row["broker"], row["ledger"], row["difference"], row["after"]) == (0, 50, -50, 0) and body["done"] is False
    assert "repeat it with --yes" in why(done) and moves(desk.bench) == []
    done = positions("settle", LOT, *REASON, "--json", "--yes")
    body = json.loads(done.stdout)
    assert (body["ok"], body["done"], body["plan"]["rows"]) == (True, True, [row]) and held(desk.bench)[0] == 0


def test_settle_is_done_once_for_its_request_id_and_says_the_same_again(desk: Desk) -> None:
    words = ("settle", LOT, *REASON, "--yes", "--request-id", "night-1")
    first = positions(*words)
    again = positions(*words)
    assert again.stdout == first.stdout.splitlines()[-1] + "\n" and moves(desk.bench) == [("settled", -50)]


def test_settle_keeps_the_journal_as_it_was_and_who_did_it_with_which_reason(desk: Desk) -> None:
    before = desk.journal.path.read_bytes()
    assert not list(desk.config.journal_dir("router").glob("copies/*"))
    body = json.loads(positions("settle", LOT, *REASON, "--yes", "--json", "--request-id", "night-1").stdout)
    assert Path(body["copy"]).read_bytes() == before and Path(body["copy"]).name == f"{TOMORROW}-night-1.journal"
    taken = next(row for row in desk.taken if row.request_id == "night-1")
    assert (taken.verb, taken.by) == ("settle", "asha")


def test_settle_needs_a_reason(desk: Desk) -> None:
    done = positions("settle", LOT, "--yes")
    assert "expected a reason" in str(done.exception) and moves(desk.bench) == []


def test_settle_without_room_for_the_copy_does_nothing(desk: Desk) -> None:
    (desk.config.journal_dir("router") / "copies").write_text("in the way")
    done = positions("settle", LOT, *REASON, "--yes")
    assert "the router's journal cannot be copied first" in str(done.exception) and moves(desk.bench) == []


def test_adjust_shows_old_and_new_levels_and_books_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = opened(tmp_path, monkeypatch, carried(SHARE, Product.CNC))
    done = positions("adjust", SHARE, "--ratio", "3/2", "--reason", "bonus 1:2", "--yes")
    assert (
        "average price 100 becomes 66.6667" in done.stdout and "stop 90 (limit 87) becomes 60 (limit 58)" in done.stdout
    )
    assert "25 units are still to come" in done.stdout
    quantity, price = held(desk.bench, SHARE, Product.CNC)
    assert (quantity, round(price, 4)) == (50, 66.6667)
    assert "--ratio: expected" in why(positions("adjust", SHARE, "--ratio", "2:1", "--reason", "x"))


def test_rebuild_prints_broker_ledger_and_difference_halts_entries_and_rebuilds(desk: Desk) -> None:
    desk.bench.broker.net[LOT, Product.NRML] = 20
    command = ("rebuild-ledger", *REASON)
    done = typed(state_command.app, *command, answer="n\n")
    head, line = (row.split() for row in done.stdout.splitlines()[:2])
    assert head[2:6] == ["broker", "ledger", "difference", "after"] and line[2:6] == ["20", "50", "-30", "20"]
    assert desk.bench.machine.state.trading_level(ACCOUNT) is TradingLevel.NORMAL and held(desk.bench)[0] == 50
    done = typed(state_command.app, *command, "--yes")
    assert held(desk.bench) == (20, 100.0) and "entries wait for `mytrading resume`" in done.stdout
    assert desk.bench.machine.state.trading_level(ACCOUNT) is TradingLevel.HALT


def test_claim_is_shown_asked_about_and_keeps_the_keys_of_its_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = OrderBench()
    bench.read()
    bench.broker.net[LOT, Product.MIS] = 75
    for _ in range(2):
        bench.read()
        bench.tick(6 * SECOND)
    desk = opened(tmp_path, monkeypatch, bench)
    words = ("claim", LOT, "--strategy", "manual", "--price", "100")
    done = positions(*words, answer="n\n")
    assert "manual gets +75 of NFO:A MIS at 100" in done.stdout and moves(desk.bench) == []
    body = json.loads(positions(*words, "--yes", "--json", "--request-id", "c1").stdout)
    assert {"request", "account", "product", "ok", "message"} <= body.keys() and body["request"] == "claim-c1"
    assert moves(desk.bench) == [("claim", 75)]
