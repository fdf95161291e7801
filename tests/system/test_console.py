"""The web console of a whole stack: what it shows, who acts through it, and that its end costs nothing."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.kit.console_browser import PASSWORD, Browser
from tests.kit.project import ROOT
from tests.kit.stack import PROCESSES, Stack
from tests.kit.waiting import eventually

pytestmark = pytest.mark.system
OTHERS = [name for name in PROCESSES if name not in ("console", "webhooks")]


@pytest.fixture(scope="module")
def other_program() -> Iterator[socket.socket]:
    """Socket of another program on the port that is set."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        yield holder


@pytest.fixture(scope="module")
def taken(other_program: socket.socket) -> int:
    """A port that another program has."""
    return int(other_program.getsockname()[1])


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, taken: int) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("console")
    with Stack(folder, CONSOLE_ENABLED="true", CONSOLE_PORT=str(taken)) as made:
        made.up("--simulator", "--speed", "20")
        yield made


def address(stack: Stack) -> dict[str, Any]:
    found: dict[str, Any] = stack.ask("console", "url")
    return found


@pytest.fixture(scope="module")
def page(stack: Stack) -> Browser:
    """The first user's browser."""
    made = Browser(address(stack)["url"])
    made.open_page()
    code = stack.ask("console", "code")["code"]
    assert made.post("/api/first-user", code=code, name="asha", password=PASSWORD).status_code == 200
    made.open_page()
    return made


def test_taken_port_is_the_next_free_one_and_nothing_is_shown_without_a_session(stack: Stack, taken: int) -> None:
    place = address(stack)
    assert place["listening"] and taken < place["port"] < taken + 50
    stranger = Browser(place["url"])
    assert stranger.get("/livez").json() == {"alive": True}
    assert stranger.get("/api/positions").status_code == 401
    assert stranger.get("/").status_code in (200, 503)


def test_page_sees_orders_as_they_come_and_the_cause_of_each(stack: Stack, page: Browser) -> None:
    with page.live() as live:
        live.send(type="watch", topics=["orders", "positions", "stack"])
        live.receive("beat")
        eventually(lambda: (live.receive("beat"), live.rows.get("orders"))[1], 60)
        key = next(key for key, row in live.rows["orders"].items() if row["purpose"] == "entry")
        assert live.rows["stack"][""]["mode"] == "paper"
    steps = page.get(f"/api/why/{key}").json()
    assert {"quote", "signal", "command", "send"} <= {step["kind"] for step in steps}


def test_action_is_given_once_under_the_users_name(stack: Stack, page: Browser) -> None:
    for _ in range(2):
        done = page.post("/api/actions/halt", request_id="halt-of-test", reason="look")
        assert done.status_code == 200, done.text
    trading = stack.ask("status")["trading"]
    assert (trading["level"], trading["by"]) == ("halt", "console:asha")
    again = page.post("/api/actions/halt", request_id="halt-of-test", reason="another")
    assert again.json()["code"] == "REFUSED", "an id stands for one request"
    assert page.post("/api/actions/resume", request_id="resume-of-test").status_code == 200
    rows = page.get("/api/audit?user=asha").json()
    assert [(row["action"], row["result"]) for row in rows[:4]] == [
        ("resume", "done"), ("halt", "refused"), ("halt", "done"), ("halt", "done"),
    ]  # fmt: skip


def test_books_are_shown_as_the_broker_has_them(stack: Stack, page: Browser) -> None:
    (funds,) = page.get("/api/books/funds").json()
    assert not funds["problem"] and funds["rows"] and funds["account"] in page.get("/api/accounts").json()["rows"]


def test_what_an_order_would_do_is_answered_by_risk_and_leaves_no_trace(stack: Stack, page: Browser) -> None:
    found = page.get("/api/orders").json()["rows"].values()
    entry = next(row for row in found if row["purpose"] == "entry")
    names = {row["id"] for row in found}
    done = page.post("/api/risk/trial", strategy=entry["strategy"], instrument=entry["instrument"], lots=100_000)
    assert done.status_code == 200, done.text
    denials = {rule["code"]: rule["denial"] for rule in done.json()["rules"] if rule["denial"]}
    assert {"MAX_ORDER_SIZE", "MAX_POSITION_SIZE"} <= denials.keys() and done.json()["price"] > 0
    later = page.get("/api/orders").json()["rows"].values()
    assert not [row for row in later if row["id"] not in names and row["quantity"] >= 100_000]
    assert not [row for row in page.get("/api/signals").json()["rows"] if "trial" in row]


def test_order_that_changed_since_it_was_shown_is_not_touched(stack: Stack, page: Browser) -> None:
    stops = eventually(
        lambda: [
            row for row in page.get("/api/orders").json().get("rows", {}).values()
            if row["live"] and row["purpose"] == "stop"
        ],
        60,
    )  # fmt: skip
    done = page.post(
        "/api/actions/cancel", request_id="old", order=stops[0]["id"], version="000000000000", force=True, reason="test"
    )
    assert (done.status_code, done.json()["code"]) == (409, "MOVED")


def reached(page: Browser) -> httpx.Response | None:
    """An answer of the console at the page's address; None while it does not serve."""
    try:
        return page.get("/api/stack")
    except httpx.TransportError:
        return None


def test_killed_console_comes_back_at_its_address_and_no_other_process_notices(
    stack: Stack, page: Browser, other_program: socket.socket
) -> None:
    before = {name: stack.pid(name) for name in OTHERS}
    other_program.close()  # the port that is set is free now: the pages would not find the console there
    with page.live() as live:
        live.receive("hello")
        killed = stack.kill("console")
        eventually(lambda: stack.pid("console") not in (0, killed), 30)
    assert {name: stack.pid(name) for name in OTHERS} == before
    answer = eventually(lambda: reached(page), 20)
    assert answer.status_code == 200, "the session outlives the process"
    with page.live() as live:
        live.receive("hello")
    assert address(stack)["url"] == page.url


def test_halt_works_by_the_file_kill_while_the_gateway_hangs(stack: Stack, page: Browser) -> None:
    stack.kill("gateway", signal.SIGSTOP)  # the watchdog kills it after five seconds, and it starts again
    done = page.post("/api/actions/halt", request_id="hanging", reason="gateway hangs").json()
    assert done["by_kill_file"] is True
    kill = eventually(lambda: stack.ask("status")["kill"], 60)
    assert kill["word"] == "halt" and "console:asha" in kill["why"]
    assert page.post("/api/actions/unkill", request_id="unkill").status_code == 200


def test_lost_password_is_set_in_the_shell_and_ends_what_was_open(stack: Stack, page: Browser) -> None:
    def reset(name: str, given: str) -> subprocess.CompletedProcess[str]:
        words = [*stack.command, "console", "password", name, "--stdin", "--json"]
        return subprocess.run(
            words, env=stack.environment, cwd=ROOT, input=f"{given}\n", capture_output=True, text=True
        )

    assert page.get("/api/positions").status_code == 200
    assert "expected at least 8 characters" in reset("asha", "short").stderr
    assert "expected the name of a user (asha), found nobody" in reset("nobody", f"New-{PASSWORD}").stderr
    assert page.get("/api/positions").status_code == 200, "what was refused changed nothing"
    assert reset("Asha", f"New-{PASSWORD}").returncode == 0
    assert page.get("/api/positions").status_code == 401
    assert page.log_in("asha").status_code == 401
    assert page.log_in("asha", f"New-{PASSWORD}").status_code == 200
