"""`mytrading doctor` without a running stack, against a real simulator: each fault is named with its cause and cure."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from mytrading.cli.main import run as main
from mytrading.config.accounts import AccountConfig, write_accounts
from mytrading.config.key_vault import key_environment, open_vault
from mytrading.core.time import IST
from mytrading.messages.run_config import AccountRole
from tests.kit.project import ROOT, copy_project
from tests.kit.simulator_process import API_KEY, RunningSimulator, start_simulator

HERE = ("disk", "calendar", "ports", "permissions")
Doctor = Callable[..., tuple[int, dict[str, dict[str, str]]]]


@pytest.fixture
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    """A server of the test's own: the calls of all tests in one second are more than a server takes."""
    now = f"{datetime.now(IST).date()} 10:00"  # doctor asks for the day before today, whatever day that is
    with start_simulator(tmp_path_factory.mktemp("simulator"), start=now, every_day=True) as running:
        yield running


@pytest.fixture
def environment(simulator: RunningSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in {
        "MYTRADING_HOME": str(ROOT),
        "MYTRADING_STATE_DIR": str(tmp_path / "state"),
        "MYTRADING_LOG_DIR": str(tmp_path / "logs"),
        "MYTRADING_MIN_FREE_BYTES": "1",
        "OPENALGO_API_HOST": simulator.rest,
        "OPENALGO_WS_PORT": simulator.ws.rpartition(":")[2],
        "OPENALGO_API_KEY": API_KEY,
        "ENABLED_SYMBOLS": "NIFTY",
    }.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def doctor(environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    def command(*arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
        with pytest.raises(SystemExit) as ended:
            main(["doctor", "--json", *arguments])
        body: dict[str, Any] = json.loads(capsys.readouterr().out)
        return int(ended.value.code or 0), {row["check"]: row for row in body["findings"]}

    return command


def assert_failed(found: tuple[int, dict[str, dict[str, str]]], check: str, cause: str, cure: str) -> None:
    code, rows = found
    row = rows[check]
    assert (code, row["verdict"]) == (1, "failed"), row
    assert cause in row["found"] and cure in row["cure"], row


def test_healthy_server_passes_and_the_paper_order_waits_for_the_session(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mytrading.cli.doctor.checks.CheckContext.is_open", lambda *_: False)
    code, rows = doctor()
    assert code == 0, json.dumps(rows, indent=1)
    untested = {"paper order", "egress address"}
    assert {name for name, row in rows.items() if row["verdict"] not in ("ok", "warning")} == untested
    assert set(rows) == {
        "server", "key", "broker session", "mode", "clock skew", "WebSocket", "order stream", "instruments", "history",
        "sampled bars", "funds", "margin", "disk", "calendar", "ports", "permissions", "broker", "left orders",
        *untested,
    }  # fmt: skip
    assert "NFO is closed" in rows["paper order"]["found"]
    assert "in order" in rows["instruments"]["found"]
    assert re.fullmatch(r"₹[\d,]+\.\d\d for \d+ NFO:NIFTY\w+CE", rows["margin"]["found"]), rows["margin"]


def test_paper_order_without_a_stack_is_placed_and_cancelled_by_doctor_itself(
    doctor: Doctor, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mytrading.cli.doctor.checks.CheckContext.is_open", lambda *_: True)
    code, rows = doctor()
    assert (code, rows["paper order"]["verdict"]) == (0, "ok"), rows["paper order"]
    assert "and cancelled, by doctor itself since no stack runs" in rows["paper order"]["found"]
    assert trials(simulator) == ["cancelled"]


def trials(simulator: RunningSimulator) -> list[str]:
    """Status of each trial order at the server."""
    rows = simulator.call("orderbook")[1]["data"]["orders"]
    return [row["order_status"] for row in rows if row["strategy"].startswith("doctor-")]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"kind": "reject", "reason": "margin exceeds the limit"}, "was not taken: margin exceeds the limit"),
        ({"kind": "place_500_but_placed"}, "was UNKNOWN and is cancelled: HTTP 500"),
        ({"kind": "place_no_id", "placed": True}, "was UNKNOWN and is cancelled: success without an order id"),
    ],
)
def test_paper_order_that_goes_wrong_fails_and_leaves_nothing(
    doctor: Doctor, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any], said: str
) -> None:
    monkeypatch.setattr("mytrading.cli.doctor.checks.CheckContext.is_open", lambda *_: True)
    simulator.call("/sim/fault", count=1, **fault)
    assert_failed(doctor(), "paper order", said, "server")
    assert set(trials(simulator)) <= {"cancelled"}


def test_margin_that_the_server_does_not_tell_is_a_failure(doctor: Doctor, simulator: RunningSimulator) -> None:
    simulator.call("/sim/fault", kind="rate_limited", route="margin", count=1)
    assert_failed(doctor(), "margin", "per", "server's log")


def test_quick_doctor_asks_for_no_data(doctor: Doctor) -> None:
    code, rows = doctor("--quick")
    assert (code, list(rows)) == (
        0,
        [*HERE, "server", "clock skew", "key", "broker session", "broker", "left orders", "mode"],
    )


def test_wrong_key_is_named_and_nothing_behind_it_is_asked(doctor: Doctor, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OPENALGO_API_KEY", "not-" + API_KEY)
    found = doctor()
    assert_failed(found, "key", "Invalid openalgo apikey", "API Key page")
    assert {found[1][name]["verdict"] for name in ("broker session", "mode", "funds", "instruments")} == {"not tested"}
    assert found[1]["broker session"]["found"] == "key has to pass first"


def test_server_that_is_down_is_named_with_its_address(doctor: Doctor, environment: pytest.MonkeyPatch) -> None:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment.setenv("OPENALGO_API_HOST", f"http://127.0.0.1:{port}")
    found = doctor()
    assert_failed(found, "server", f"cannot connect to 127.0.0.1:{port}", "start the OpenAlgo server")
    assert found[1]["key"]["verdict"] == "not tested"


def test_full_disk_is_named_with_the_line(doctor: Doctor, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MYTRADING_MIN_FREE_BYTES", str(1 << 60))
    assert_failed(doctor("--quick"), "disk", "entries halt below 1073741824.0", "MYTRADING_STATE_DIR")


def test_server_in_the_other_mode_is_named_and_left_so(doctor: Doctor, simulator: RunningSimulator) -> None:
    simulator.call("analyzer/toggle", mode=False)
    found = doctor("--quick")
    _, body = simulator.call("analyzer")
    assert_failed(found, "mode", "live mode, analyze was expected", "doctor changes neither")
    assert body["data"]["mode"] == "live"


def test_broker_session_that_ended_is_named_with_the_login(doctor: Doctor, simulator: RunningSimulator) -> None:
    simulator.call("/sim/fault", kind="session_lost", count=-1)
    code, rows = doctor("--quick")
    (broken,) = (row for row in rows.values() if row["verdict"] == "failed")
    assert (code, "log in to the broker" in broken["cure"]) == (1, True), broken


@pytest.mark.parametrize(
    ("route", "check", "found"),
    [
        ("quotes", "broker session", "the server takes no more calls for now: "),
        ("", "key", "the server says: "),
        ("funds", "funds", ""),
        ("history", "history", ""),
    ],
)
def test_server_that_takes_no_more_calls_is_named_so_and_nobody_is_sent_to_log_in(
    doctor: Doctor, simulator: RunningSimulator, route: str, check: str, found: str
) -> None:
    simulator.call("/sim/fault", kind="rate_limited", route=route, count=-1)
    rows = doctor()[1]
    assert rows[check]["verdict"] == "failed"
    assert rows[check]["found"].startswith(found) and "per 1 second" in rows[check]["found"]
    assert rows[check]["cure"] == "run `mytrading doctor` again: the server took no more calls for now"


def test_key_that_a_search_still_admits_is_right(doctor: Doctor, simulator: RunningSimulator) -> None:
    pings_of_server_and_key = 2
    simulator.call("/sim/fault", kind="session_lost", count=pings_of_server_and_key)
    assert doctor("--quick")[1]["key"]["found"] == "the server knows it"


def test_mute_market_socket_is_a_failure_in_session(
    doctor: Doctor, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mytrading.cli.doctor.probes.TICK_S", 1.0)
    monkeypatch.setattr("mytrading.cli.doctor.checks.CheckContext.is_open", lambda *_: True)
    simulator.call("/sim/fault", kind="ws_mute", count=-1)
    found = doctor()
    assert_failed(found, "WebSocket", "gave nothing within 1 s", "log in to the broker")


def test_tick_is_awaited_in_session(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mytrading.cli.doctor.checks.CheckContext.is_open", lambda *_: True)
    assert "ticked at" in doctor()[1]["WebSocket"]["found"]


def test_port_in_use_is_named(doctor: Doctor, environment: pytest.MonkeyPatch) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environment.setenv("MYTRADING_TRANSPORT", "tcp")
        environment.setenv("MYTRADING_TRANSPORT_INSECURE", "yes")
        environment.setenv("ZMQ_MARKET_DATA_PORT", str(port))
        assert_failed(doctor("--quick"), "ports", f"market {port}", "ZMQ_BASE_PORT")


def test_state_folder_that_others_can_read_is_a_warning(doctor: Doctor, tmp_path: Path) -> None:
    state = tmp_path / "state" / "default"
    state.mkdir(mode=0o755, parents=True)
    row = doctor("--quick")[1]["permissions"]
    assert (row["verdict"], row["cure"]) == ("warning", f"chmod 700 {state}")


class _Address(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"203.0.113.9\n")

    def log_message(self, *_: Any) -> None:
        """Requests are not printed."""


def test_egress_address_is_compared_with_the_registered_ones(doctor: Doctor, environment: pytest.MonkeyPatch) -> None:
    server = HTTPServer(("127.0.0.1", 0), _Address)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment.setenv("EGRESS_CHECK_URL", f"http://127.0.0.1:{server.server_port}/")
    environment.setenv("BROKER_REGISTERED_IPS", "203.0.113.7")
    try:
        assert_failed(doctor(), "egress address", "would come from 203.0.113.9", "register it")
        environment.setenv("BROKER_REGISTERED_IPS", "203.0.113.7, 203.0.113.9")
        code, rows = doctor()
    finally:
        server.shutdown()
        server.server_close()
    assert (code, rows["egress address"]["found"]) == (0, "203.0.113.9 is registered")


def test_settings_that_cannot_start_are_the_only_finding(doctor: Doctor, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OPENALGO_TIMEOUT", "soon")
    code, rows = doctor()
    assert (code, list(rows)) == (1, ["configuration"])
    assert "OPENALGO_TIMEOUT" in rows["configuration"]["found"]
    assert "config check" in rows["configuration"]["cure"]


@pytest.fixture
def accounts(environment: pytest.MonkeyPatch, simulator: RunningSimulator, tmp_path: Path) -> Callable[..., None]:
    """Writes a file of accounts into a project of its own: `main`, and further ones as role and key."""
    home = tmp_path / "home"
    copy_project(home)
    environment.setenv("MYTRADING_HOME", str(home))
    environment.setenv("MYTRADING_KEY", Fernet.generate_key().decode())
    for name in ("KEY", "HOST"):
        environment.delenv(f"OPENALGO_API_{name}")

    def write(**further: tuple[AccountRole, str]) -> None:
        vault = open_vault(key_environment(home))
        rows = {"main": (AccountRole.PRIMARY, API_KEY), **further}
        write_accounts(
            home,
            [
                AccountConfig(id=name, host=simulator.rest, ws_url=simulator.ws, role=role, key=vault.seal(key))
                for name, (role, key) in rows.items()
            ],
        )

    return write


def test_further_accounts_are_each_asked_for_server_key_mode_and_funds(
    accounts: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    accounts(second=(AccountRole.TRADING, API_KEY), spare=(AccountRole.BACKUP, API_KEY))
    with pytest.raises(SystemExit):
        main(["doctor"])
    machine, second, spare = capsys.readouterr().out.split("\n\naccount ")
    assert "paper order" in machine and "egress address" in machine
    assert second.startswith("second, trading, http://127.0.0.1:")
    assert [line.split()[:2] for line in second.splitlines()[1:]] == [
        ["verdict", "check"], ["ok", "server"], ["ok", "key"], ["ok", "broker"], ["ok", "left"], ["ok", "mode"],
        ["ok", "funds"],
    ]  # fmt: skip
    assert "spare, backup" in spare and "it takes no orders" in spare


def test_files_with_keys_that_others_can_read_are_warnings(
    doctor: Doctor, accounts: Callable[..., None], environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    accounts()
    home = tmp_path / "home"
    key = tmp_path / "key"
    environment.setenv("MYTRADING_KEY_FILE", str(key))
    key.write_text(Fernet.generate_key().decode())
    (home / ".env").write_text("MAX_TOTAL_POSITIONS=3\n")
    for path in (key, home / ".env"):
        path.chmod(0o600)
    assert doctor("--quick")[1]["permissions"]["verdict"] == "ok"
    for path in (home / ".env", home / "config" / "accounts.toml", key):
        path.chmod(0o640)
        row = doctor("--quick")[1]["permissions"]
        assert (row["verdict"], row["cure"]) == ("warning", f"chmod 600 {path}")
        path.chmod(0o600)


def test_trading_account_with_a_wrong_key_fails_by_name_and_a_backup_is_one_to_look_at(
    accounts: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    accounts(second=(AccountRole.TRADING, "not-the-key"), spare=(AccountRole.BACKUP, "neither"))
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--quick"])
    said = capsys.readouterr()
    assert ended.value.code == 1
    assert "checks failed: key of second\n" in said.err
    assert "mytrading account edit second --new-key" in said.out
    spare = said.out.partition("account spare")[2]
    assert ["look", "key"] in [line.split()[:2] for line in spare.splitlines()] and "key has to pass first" in spare
