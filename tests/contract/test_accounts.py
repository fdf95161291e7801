"""`mytrading account` against a real simulator: pings first, keeps no plain key, and does not forget what is open."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from mytrading.cli.accounts.accounts import AccountBook
from mytrading.cli.main import run
from mytrading.cli.shell.failures import Failure
from mytrading.messages.codec import encode_body
from mytrading.messages.enums import Product
from mytrading.messages.orders import Position, PositionChanged
from mytrading.messages.run_config import AccountRun, write_run_config
from mytrading.runtime.journal.journal import OUTPUT, Entry, Journal
from tests.kit.feed_process import feed_config
from tests.kit.fork_server import PIPE, start
from tests.kit.project import ROOT
from tests.kit.simulator_process import API_KEY, RunningSimulator, start_simulator
from tests.kit.waiting import PATIENCE, eventually


class Done(NamedTuple):
    """Exit code and output of a command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The last line of its output."""
        return json.loads(self.out.strip().splitlines()[-1])


Account = Callable[..., Done]
NOTHING = dict.fromkeys(("host", "ws_url", "broker", "role", "product"), "")


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with start_simulator(tmp_path_factory.mktemp("simulator")) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own, with no key anywhere yet."""
    found = tmp_path / "home"
    shutil.copytree(ROOT / "config", found / "config", ignore=shutil.ignore_patterns("accounts.toml"))
    shutil.copy(ROOT / "supervisord.conf", found)
    (found / "strategies").mkdir()
    monkeypatch.setenv("MYTRADING_HOME", str(found))
    monkeypatch.setenv("MYTRADING_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("MYTRADING_KEY_FILE", str(tmp_path / "keys" / "key"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.delenv("MYTRADING_KEY", raising=False)
    return found


@pytest.fixture
def account(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Account:
    """Runs `mytrading account …`; `key` goes to its standard input."""

    def call(*arguments: str, key: str = "") -> Done:
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{key}\n"))
        with pytest.raises(SystemExit) as ended:
            run(["account", *arguments])
        said = capsys.readouterr()
        return Done(int(ended.value.code or 0), said.out, said.err)

    return call


def add(account: Account, simulator: RunningSimulator, name: str, *more: str) -> Done:
    given = ("--host", simulator.rest, "--ws-url", simulator.ws, "--key-stdin", "--json")
    return account("add", name, *given, *more, key=API_KEY)


def file_of(home: Path) -> Path:
    return home / "config" / "accounts.toml"


def audited(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "state" / "default" / "audit.jsonl").read_text().splitlines()]


def test_account_is_kept_after_a_ping_with_the_brokers_name(
    account: Account, simulator: RunningSimulator, home: Path
) -> None:
    row = add(account, simulator, "main").json
    assert (row["id"], row["broker"], row["role"], row["host"]) == ("main", "simulator", "primary", simulator.rest)
    assert "key" not in row
    assert account("list", "--json").json == [row]
    (tested,) = account("test", "--json").json
    assert 0 < tested.pop("ms") < 5000
    assert tested == {"id": "main", "ok": True, "broker": "simulator", "message": "pong", "mode": "analyze"}
    assert API_KEY not in file_of(home).read_text()


def test_wrong_key_keeps_nothing_and_names_the_cause(
    account: Account, simulator: RunningSimulator, home: Path, tmp_path: Path
) -> None:
    done = account("add", "main", "--host", simulator.rest, "--key-stdin", key="not-the-key")
    assert done.code == 1
    assert "Invalid openalgo apikey (HTTP 403); log in to the broker" in done.err
    assert "not-the-key" not in done.out + done.err
    assert not file_of(home).exists()
    assert not (tmp_path / "keys").exists()
    assert [(row["action"], row["result"]) for row in audited(tmp_path)] == [("account.add", "refused")]
    (shown,) = account("audit", "--json").json
    assert (shown["profile"], shown["subject"], shown["result"]) == ("default", "main", "refused")
    assert "Invalid openalgo apikey" in account("audit").out


def test_server_that_is_away_keeps_nothing(account: Account, home: Path) -> None:
    done = account("add", "main", "--host", "http://127.0.0.1:9", "--key-stdin", key="k")
    assert done.code == 1
    assert "is the server running?" in done.err
    assert not file_of(home).exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "two words", "--host", "http://x:1"), "NAME: expected up to 32 letters"),
        (("add", "a", "--host", "x:1"), "--host: expected http://host:port"),
        (("add", "a", "--host", "http://x:1", "--role", "boss"), "--role: expected primary, backup or trading"),
        (("add", "a", "--host", "http://x:1", "--key-store", "cloud"), "expected file or keyring"),
        (("add", "a", "--host", "http://x:1"), "--key-stdin"),
        (("edit", "nobody", "--role", "backup"), "no account 'nobody'"),
        (("edit", "nobody"), "nothing to change"),
        (("remove", "nobody"), "no account 'nobody'"),
        (("set-primary", "nobody"), "no account 'nobody'"),
        (("rotate-key",), "no account is kept yet"),
    ],
)
def test_what_cannot_be_done_says_what_was_expected(account: Account, arguments: tuple[str, ...], said: str) -> None:
    done = account(*arguments)
    assert (done.code, said in done.err) == (2, True), done.err


def test_broker_that_the_server_does_not_name_is_refused(account: Account, simulator: RunningSimulator) -> None:
    assert add(account, simulator, "main", "--broker", "zerodah").code == 2
    done = add(account, simulator, "main", "--broker", "Zerodha")
    assert (done.code, "logged in at simulator" in done.err) == (1, True)
    assert add(account, simulator, "main", "--broker", "Simulator").code == 0


def test_one_account_is_primary_whatever_is_done(account: Account, simulator: RunningSimulator) -> None:
    add(account, simulator, "a")
    add(account, simulator, "b")
    add(account, simulator, "c", "--role", "primary")

    def roles() -> dict[str, str]:
        return {row["id"]: row["role"] for row in account("list", "--json").json}

    assert roles() == {"a": "backup", "b": "backup", "c": "primary"}
    assert account("edit", "c", "--role", "trading").code == 2
    account("edit", "b", "--role", "trading")
    account("set-primary", "b")
    assert roles() == {"a": "backup", "b": "primary", "c": "backup"}
    assert account("remove", "b", "--json").json["primary"] == "a"
    assert roles() == {"a": "primary", "c": "backup"}


def test_another_key_is_pinged_before_it_replaces_the_old_one(
    account: Account, simulator: RunningSimulator, home: Path
) -> None:
    add(account, simulator, "main")
    before = file_of(home).read_text()
    assert account("edit", "main", "--key-stdin", key="wrong").code == 1
    assert account("edit", "main", "--host", "http://127.0.0.1:9").code == 1
    assert file_of(home).read_text() == before
    assert account("edit", "main", "--key-stdin", "--product", "nrml", "--json", key=API_KEY).json["product"] == "NRML"
    assert file_of(home).read_text() != before
    assert account("test").code == 0


def test_failing_account_fails_the_test_and_the_others_are_tested_too(
    account: Account, simulator: RunningSimulator, tmp_path: Path
) -> None:
    add(account, simulator, "well")
    with start_simulator(tmp_path) as gone:
        add(account, gone, "ill")
    done = account("test", "--json")
    assert done.code == 1
    assert [(row["id"], row["ok"]) for row in done.json] == [("well", True), ("ill", False)]
    assert "is the server running?" in done.json[1]["message"]
    assert "1 of 2 accounts failed: ill" in done.err


def test_rotated_key_opens_all_and_the_old_one_nothing(
    account: Account, simulator: RunningSimulator, tmp_path: Path
) -> None:
    add(account, simulator, "a")
    add(account, simulator, "b")
    path = tmp_path / "keys" / "key"
    old = path.read_text()
    assert account("rotate-key", "--json").json == {"accounts": 2, "key": str(path)}
    assert account("test").code == 0
    path.write_text(old)
    done = account("test")
    assert (done.code, "account a does not open" in done.err) == (4, True)


def test_lost_key_is_a_matter_of_configuration(account: Account, simulator: RunningSimulator, tmp_path: Path) -> None:
    add(account, simulator, "main")
    (tmp_path / "keys" / "key").unlink()
    assert account("test").code == 4
    assert account("remove", "main").code == 1
    assert account("remove", "main", "--force").code == 0


def test_two_shells_that_add_an_account_at_once_keep_both_under_one_key(
    account: Account, simulator: RunningSimulator, home: Path
) -> None:
    assert simulator.call("/sim/fault", kind="delay_ms", count=-1, route="ping", ms=700)[0] == 200
    program = "import sys; from mytrading.cli.main import run; run(sys.argv[1:])"
    given = ("--host", simulator.rest, "--ws-url", simulator.ws, "--key-stdin")
    shells = [
        start([sys.executable, "-c", program, "account", "add", name, *given], stdin=PIPE) for name in ("one", "two")
    ]
    for shell in shells:
        assert shell.stdin is not None
        shell.stdin.write(f"{API_KEY}\n".encode())
        shell.stdin.close()
    assert [shell.wait(30 * PATIENCE) for shell in shells] == [0, 0]
    simulator.call("/sim/fault", kind="delay_ms", count=0)
    assert sorted(row["id"] for row in account("list", "--json").json) == ["one", "two"]
    assert sorted(row["role"] for row in account("list", "--json").json) == ["backup", "primary"]
    assert all(row["ok"] for row in account("test", "--json").json)


def test_account_whose_server_takes_long_to_answer_keeps_no_other_command_waiting(
    account: Account, simulator: RunningSimulator, home: Path
) -> None:
    add(account, simulator, "well")
    assert simulator.call("/sim/fault", kind="delay_ms", count=1, route="ping", ms=3000)[0] == 200
    program = "import sys; from mytrading.cli.main import run; run(sys.argv[1:])"
    given = ("--host", simulator.rest, "--ws-url", simulator.ws, "--key-stdin")
    slow = start([sys.executable, "-c", program, "account", "add", "slow", *given], stdin=PIPE)
    try:
        assert slow.stdin is not None
        slow.stdin.write(f"{API_KEY}\n".encode())
        slow.stdin.close()
        eventually(lambda: not simulator.get("/sim/state")[1]["data"]["faults"], 20)
        assert account("edit", "well", "--product", "nrml").code == 0
        assert slow.poll() is None, "it waited for the slow one"
    finally:
        simulator.call("/sim/fault", kind="delay_ms", count=0)
        assert slow.wait(30 * PATIENCE) == 0
    assert sorted(row["id"] for row in account("list", "--json").json) == ["slow", "well"]


def test_account_that_another_command_changed_meanwhile_is_not_changed(
    account: Account, simulator: RunningSimulator, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(account, simulator, "main")
    opened = AccountBook.open()
    tried = opened.ping_edited("main", {**NOTHING, "product": "CNC"}, "")
    account("edit", "main", "--product", "nrml")
    with AccountBook.open_locked() as book, pytest.raises(Failure, match="changed by another command meanwhile"):
        book.edit("main", {**NOTHING, "product": "CNC"}, "", tried)
    assert account("list", "--json").json[0]["product"] == "NRML"


def test_key_of_env_moves_into_the_encrypted_file_and_out_of_env(
    account: Account, simulator: RunningSimulator, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENALGO_API_KEY", raising=False)
    env = home / ".env"
    lines = ["# mine", f"OPENALGO_API_HOST={simulator.rest}", "OPENALGO_WS_HOST=127.0.0.1",
             f"OPENALGO_WS_PORT={simulator.ws.rpartition(':')[2]}", "MAX_TOTAL_POSITIONS=3"]  # fmt: skip
    env.write_text("\n".join([*lines[:1], f"OPENALGO_API_KEY='{API_KEY}'  # secret", *lines[1:], ""]))
    row = account("add", "main", "--from-env", "--json")
    assert (row.code, row.json["host"], row.json["ws_url"]) == (0, simulator.rest, simulator.ws), row
    assert "OPENALGO_API_KEY is taken out of .env" in row.err
    assert env.read_text().splitlines() == lines
    assert env.stat().st_mode & 0o077 == 0
    assert API_KEY not in file_of(home).read_text()
    assert account("test").code == 0
    again = account("add", "other", "--from-env")
    assert (again.code, "expected OPENALGO_API_KEY" in again.err) == (2, True)


def test_key_of_env_that_the_server_does_not_know_stays_there(
    account: Account, simulator: RunningSimulator, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENALGO_API_KEY", raising=False)
    text = f"OPENALGO_API_KEY=wrong\nOPENALGO_API_HOST={simulator.rest}\n"
    (home / ".env").write_text(text)
    assert account("add", "main", "--from-env").code == 1
    assert (home / ".env").read_text() == text
    assert not file_of(home).exists()


def test_account_with_quantity_at_the_broker_stays_unless_forced(
    account: Account, simulator: RunningSimulator, tmp_path: Path
) -> None:
    add(account, simulator, "main")
    simulator.place()
    done = account("remove", "main")
    assert (done.code, "the broker shows 10 NSE:SBIN MIS" in done.err) == (1, True)
    assert account("list", "--json").json
    assert account("remove", "main", "--force", "--json").json["forced"]
    assert [(row["action"], row["result"]) for row in audited(tmp_path)][1:] == [
        ("account.remove", "refused"),
        ("account.remove", "done"),
    ]
    simulator.place(action="SELL")


def test_account_with_quantity_in_our_books_stays_when_nothing_runs(
    account: Account, simulator: RunningSimulator, tmp_path: Path
) -> None:
    """The broker shows nothing, but the router's journal does: somebody must look first."""
    add(account, simulator, "main")
    hold(tmp_path, simulator, 75)
    done = account("remove", "main")
    assert (done.code, "S holds 75 NFO:NIFTY24NOV2626000CE NRML" in done.err) == (1, True)
    hold(tmp_path, simulator, 0)
    assert account("remove", "main").code == 0


def hold(tmp_path: Path, simulator: RunningSimulator, units: int) -> None:
    """A stack that ran on this account, and what its router last wrote."""
    config = feed_config(tmp_path / "state" / "default", tmp_path / "run", simulator.rest, simulator.ws, ())
    account = AccountRun(id="main", rest_url=simulator.rest, ws_url=simulator.ws, api_key="")
    config = msgspec.structs.replace(config, accounts=(account,))
    write_run_config(tmp_path / "state" / "default" / "run.msgpack", config)
    position = Position(
        account="main", instrument="NFO:NIFTY24NOV2626000CE", product=Product.NRML, strategy="S", run="r",
        quantity=units,
    )  # fmt: skip
    row = PositionChanged(position=position, client_order_id="c", fill_quantity=units, fill_price=1.0, at_ns=1)
    journal = Journal(config.journal_dir("router"), "router", "2026-11-20")
    journal.append([Entry(OUTPUT, "orders", encode_body(row))], 1, 1)
    journal.close()
