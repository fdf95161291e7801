"""Sessions, roles, tokens and limits over real sockets, each against what the stock parts get wrong."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pyotp
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from mytrading.daemons.console import user_store
from mytrading.daemons.console.accounts_api import FREE_TRIES
from mytrading.daemons.console.doorkeeper import HEADERS, MOST_API, MOST_AUTH
from mytrading.daemons.console.server import ConsoleServer, NotPrivate, check_address
from mytrading.daemons.console.user_store import ROLES, code_path, new_code, store_path
from mytrading.messages.run_config import ConsoleRules
from mytrading.runtime.host.clock import MarketClock
from tests.kit.console_browser import PASSWORD, Browser, ConsoleOfTest
from tests.kit.waiting import eventually


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleOfTest]:
    made = ConsoleOfTest(tmp_path_factory.mktemp("console"))
    made.add_user("vera", "viewer")
    made.add_user("tara", "trader")
    yield made
    made.stop()


def test_first_user_needs_the_code_of_the_shell_and_comes_once(tmp_path: Path) -> None:
    made = ConsoleOfTest(tmp_path, bare=True)
    try:
        page = made.browser()
        assert page.open_page()["first_user"] is True
        assert (
            page.post("/api/first-user", code="0000-0000-0000-0000", name="asha", password=PASSWORD).status_code == 401
        )
        code, answers = new_code(made.config), []
        pages = [made.browser() for _ in range(2)]
        for one in pages:
            one.open_page()

        def register(one: Browser, name: str) -> None:
            answers.append(one.post("/api/first-user", code=code, name=name, password=PASSWORD).status_code)

        both = [threading.Thread(target=register, args=(one, f"asha{i}")) for i, one in enumerate(pages)]
        for one in both:
            one.start()
        for one in both:
            one.join()
        assert answers.count(200) == 1, answers
        assert len(made.server.store.users()) == 1
        assert page.open_page()["first_user"] is False
        assert (
            page.post("/api/first-user", code=new_code(made.config), name="eve", password=PASSWORD).status_code == 403
        )
        assert store_path(made.config.state).stat().st_mode & 0o777 == 0o600
        assert code_path(made.config).stat().st_mode & 0o777 == 0o600
    finally:
        made.stop()


def test_login_takes_no_session_that_the_browser_brought(console: ConsoleOfTest) -> None:
    page = console.browser()
    page.http.cookies.set(console.cookie, "x" * 43, domain="127.0.0.1")
    before = page.open_page()["csrf"]
    assert page.log_in("vera").status_code == 200
    (token,) = page.http.cookies.values()
    assert token != "x" * 43 and page.csrf != before


def test_logout_ends_the_session_and_its_socket_whatever_was_under_way(console: ConsoleOfTest) -> None:
    page = console.browser("vera")
    cookies = dict(page.http.cookies)
    with page.live() as live:
        live.receive("hello")
        assert page.post("/api/logout").status_code == 204
        with pytest.raises(ConnectionClosed) as ended:
            while True:
                live.socket.recv(timeout=10)
        assert ended.value.rcvd is not None and ended.value.rcvd.code == 4401
    again = console.browser()
    again.http.cookies.update(cookies)
    assert again.get("/api/stack").status_code == 401


def test_answer_that_was_under_way_at_the_logout_brings_the_session_not_back(console: ConsoleOfTest) -> None:
    page = console.browser("vera")
    cookies = dict(page.http.cookies)
    console.gateway.silent.set()
    try:
        slow: list[httpx.Response] = []
        under_way = threading.Thread(target=lambda: slow.append(page.get("/api/orders")))
        asked = console.server.reader.asked
        under_way.start()
        eventually(lambda: console.server.reader.asked > asked, 10)
        again = console.browser()
        again.http.cookies.update(cookies)
        again.csrf = page.csrf
        assert again.post("/api/logout").status_code == 204
        under_way.join()
    finally:
        console.gateway.silent.clear()
    assert slow[0].status_code == 503, "it began before the end, and was answered after it"
    late = console.browser()
    late.http.cookies.update(cookies | dict(slow[0].cookies))
    assert late.get("/api/stack").status_code == 401


def test_each_limit_counts_for_itself(console: ConsoleOfTest) -> None:
    page = console.browser()
    page.open_page()
    for _ in range(MOST_AUTH):
        assert page.post("/api/login", name="nobody", password="x").status_code in (401, 429)
    refused = page.post("/api/login", name="vera", password=PASSWORD)
    assert (
        refused.status_code == 429 and refused.json()["code"] == "TOO_MANY" and int(refused.headers["retry-after"]) > 0
    )
    assert page.get("/livez").status_code == 200
    codes = [page.get("/api/session").status_code for _ in range(MOST_API)]
    assert codes[:-1] == [200] * (MOST_API - 1), "the logins have not used up those of the API"
    assert page.get("/api/session").status_code == 429
    assert console.browser().get("/api/session").status_code == 200, "another address has its own"


@pytest.mark.parametrize("path", ["/api/login/", "//api/login", "/api//login", "/api/%2Flogin"])
def test_no_spelling_of_an_address_leads_around_its_limit(console: ConsoleOfTest, path: str) -> None:
    """The router takes several for the plain one, whose requests alone were counted and named in the audit."""
    page, before = console.browser(), console.audited(action="login")
    page.open_page()
    address, headers = httpx.URL(page.origin).copy_with(raw_path=path.encode()), {"origin": page.origin}
    done = page.http.post(address, json={"name": "vera", "password": "x"}, headers=headers)
    assert (done.status_code, done.json()["code"]) == (404, "NOT_FOUND")
    assert console.audited(action="login") == before


def test_files_that_hold_limits_are_saved_with_the_password_alone_and_checked_without(console: ConsoleOfTest) -> None:
    page = console.browser("tara")
    with console.server.store._change() as db:
        db.execute("UPDATE sessions SET confirmed_ms = 0")
    for path in ("/api/legs/condor", "/api/strategies/SMA_Crossover/parameters"):
        saved = page.post(path, save=True)
        assert saved.json()["code"] == "CONFIRM_NEEDED", saved.text
        assert page.post(path, save=False).json().get("code") != "CONFIRM_NEEDED"
    refused = {row["action"] for row in console.audited(user="tara", result="refused") if "password" in row["details"]}
    assert refused == {"legs save", "strategies save"}


def test_requests_of_nobody_crowd_no_row_of_a_user_out_of_the_audit(
    console: ConsoleOfTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = console.server.store
    monkeypatch.setattr(user_store, "MOST_OF_NOBODY", 50)
    monkeypatch.setattr(user_store, "MOST_AUDITED", 100)
    kept = store.audit("tara", "", "halt", "", "done")
    for _ in range(2000):
        store.audit("", "", "login", "", "refused")
    assert kept in [row.id for row in store.audit_rows("tara", "", "", 0, 10)]
    assert 50 <= len([row for row in store.audit_rows("", "login", "", 0, 5000) if not row.user]) < 1050


def test_halt_is_taken_from_an_address_that_has_asked_as_much_as_it_may(console: ConsoleOfTest) -> None:
    page = console.browser("tara")
    while page.get("/api/session").status_code != 429:
        pass
    for action in ("halt", "reduce", "flatten", "kill"):
        assert page.post(f"/api/actions/{action}", request_id=f"busy-{action}").status_code == 200, action
    stopped = page.post("/api/actions/switch", request_id="busy-switch", strategy="x", enabled=False)
    assert stopped.status_code != 429, "the halt of one strategy"
    assert page.post("/api/actions/resume", request_id="busy-resume").status_code == 429


def test_wrong_passwords_slow_down_a_name_from_any_address(console: ConsoleOfTest) -> None:
    answers = []
    for _ in range(7):
        page = console.browser()
        page.open_page()
        answers.append(page.post("/api/login", name="ghost", password="wrong").json())
    assert answers[0]["code"] == "WRONG_LOGIN"
    assert answers[-1]["code"] == "TOO_MANY"
    assert {row["result"] for row in console.audited(user="", action="login")} >= {"refused"}


def test_wrong_passwords_in_a_change_of_password_slow_down_too(console: ConsoleOfTest) -> None:
    console.add_user("wally", "viewer")
    page = console.browser("wally")
    for _ in range(FREE_TRIES):
        done = page.post("/api/password", password="wrong", new_password=PASSWORD)
        assert (done.json()["code"], done.json()["field"]) == ("WRONG_LOGIN", "password")
    assert page.post("/api/password", password=PASSWORD, new_password=PASSWORD).json()["code"] == "TOO_MANY"


def test_wrong_logins_from_elsewhere_do_not_keep_a_user_from_confirming(console: ConsoleOfTest) -> None:
    console.add_user("wanda", "trader")
    page = console.browser("wanda")
    for _ in range(FREE_TRIES):
        assert console.browser().log_in("wanda", "wrong").status_code == 401
    assert console.browser().log_in("wanda").json()["code"] == "TOO_MANY"
    assert page.post("/api/confirm", password=PASSWORD).status_code == 200
    for _ in range(FREE_TRIES):
        assert page.post("/api/confirm", password="wrong").status_code == 401
    assert page.post("/api/confirm", password=PASSWORD).json()["code"] == "TOO_MANY", "guessing in a session slows down"


def test_two_changes_at_once_leave_an_administrator(console: ConsoleOfTest) -> None:
    store = console.server.store
    console.add_user("second", "admin")
    store.change("asha", disabled=1)
    try:
        assert not store.change_keeping_admin("second", role="viewer")
        assert (found := store.user("second")) is not None and found.role == "admin"
        store.change("asha", disabled=0)
        assert store.change_keeping_admin("second", role="viewer")
    finally:
        store.change("asha", disabled=0)


@pytest.mark.parametrize(
    ("origin", "csrf", "code"), [("", "", "CSRF"), ("http://evil.example", "own", "ORIGIN"), ("null", "own", "ORIGIN")]
)
def test_post_of_a_foreign_page_or_without_its_token_is_refused(
    console: ConsoleOfTest, origin: str, csrf: str, code: str
) -> None:
    page = console.browser("tara")
    headers = {"x-csrf-token": page.csrf if csrf else "", "origin": origin or page.url}
    done = page.http.post("/api/actions/halt", json={"request_id": "foreign"}, headers=headers)
    assert (done.status_code, done.json()["code"]) == (403, code)
    assert console.audited(user="tara", action="halt")[0]["result"] == "refused"
    assert not any(getattr(row, "request_id", "") == "foreign" for row in console.gateway.rows)


def test_socket_of_a_foreign_page_or_without_a_session_is_refused(console: ConsoleOfTest) -> None:
    page = console.browser("vera")
    with pytest.raises(InvalidStatus), page.live(origin="http://evil.example"):
        pass
    with pytest.raises(InvalidStatus), console.browser().live():
        pass


def test_viewer_may_look_and_not_act_and_its_try_is_audited(console: ConsoleOfTest) -> None:
    page = console.browser("vera")
    assert page.get("/api/stack").status_code == 200
    done = page.post("/api/actions/halt", request_id="by-vera")
    assert (done.status_code, done.json()["code"]) == (403, "ROLE")
    assert console.audited(user="vera", result="refused")[0]["action"] == "halt"
    assert page.get("/api/users").status_code == 403
    assert page.get("/api/settings").status_code == 403


OWN = {"/api/login", "/api/first-user", "/api/logout", "/api/confirm", "/api/password", "/api/totp/begin",
       "/api/totp/confirm", "/api/totp/remove", "/api/sessions/{session}/revoke"}  # fmt: skip
"""Routes that every user has for the own session and password."""
CALCULATED = {"/api/structure/margin"}
"""Routes that change nothing and are posted for the length of the request; every user may call them."""
OF_ADMINISTRATORS = ("/api/users", "/api/setup/", "/api/config/")
STEP_UP = ("/api/actions/resume", "/api/actions/unkill", "/api/actions/resolve", "/api/webhooks/", *OF_ADMINISTRATORS)
"""Routes that need the password again; trying whether a server answers does not."""


def test_every_command_asks_for_its_role_and_some_for_the_password_and_each_refusal_is_audited(
    console: ConsoleOfTest,
) -> None:
    assert console.browser().get("/api/schema").json()["code"] == "LOGIN_NEEDED"
    paths = console.browser("vera").get("/api/schema").json()["paths"]
    commands = [path for path, methods in paths.items() if "post" in methods and path not in OWN | CALCULATED]
    assert len(commands) >= 25
    console.add_user("tessa", "trader")
    refusals = Counter[str]()
    with_old_password = {name: console.browser(name) for name in ("vera", "tessa", "asha")}
    with console.server.store._change() as db:
        db.execute("UPDATE sessions SET confirmed_ms = 0")
    for number, path in enumerate(commands):
        needed = "admin" if path.startswith(OF_ADMINISTRATORS) else "trader"
        for name, role in (("vera", "viewer"), ("tessa", "trader"), ("asha", "admin")):
            page = with_old_password[name]
            headers = {"x-csrf-token": page.csrf, "origin": page.origin, "x-forwarded-for": f"198.51.100.{number}"}
            done = page.http.post(path.replace("{", "").replace("}", ""), json={"no such": 1}, headers=headers)
            step_up = path.startswith(STEP_UP) and not path.endswith("/test")
            expected = "ROLE" if ROLES.index(role) < ROLES.index(needed) else "CONFIRM_NEEDED" if step_up else ""
            assert not expected or done.json()["code"] == expected, (path, name, done.text)
            assert (done.status_code == 403) == bool(expected), (path, name, done.text)
            refusals[name] += bool(expected)
    for name, count in refusals.items():
        rows = console.server.store.audit_rows(name, "", "refused", 0, 500)
        assert count > 5 and len(rows) >= count, name
        assert not [row.action for row in rows if row.action.startswith("/")], "refused and done have one name"


@pytest.mark.parametrize(
    ("path", "action", "body"),
    [
        ("/api/actions/halt", "halt", {"request_id": "no such id!"}),
        ("/api/actions/close", "close", {"request_id": "close-1", "position": "none", "version": "1"}),
        ("/api/users", "user add", {"name": "weakling", "password": "weak", "role": "viewer"}),
        ("/api/users/asha", "user change", {"disabled": True}),
        ("/api/config/risk", "config", {"text": "", "expected": "another", "save": True}),
        ("/api/paper", "paper trial", {"strategy": "../x"}),
    ],
)
def test_action_that_is_refused_for_what_it_says_is_audited_once(
    console: ConsoleOfTest, path: str, action: str, body: dict[str, Any]
) -> None:
    page = console.browser("asha")
    before = len(console.server.store.audit_rows("", "", "", 0, 10_000))
    done = page.post(path, **body)
    assert done.status_code in (400, 409)
    rows = console.server.store.audit_rows("", "", "", 0, 10_000)
    assert len(rows) == before + 1
    assert (rows[0].user, rows[0].ip, rows[0].action, rows[0].result) == ("asha", page.ip, action, "refused")
    assert rows[0].details == done.json()["error"]


def test_password_is_asked_again_for_what_opens_trading(console: ConsoleOfTest) -> None:
    page = console.browser("tara")
    session = console.server.store.sessions("tara")[0]
    with console.server.store._change() as db:
        db.execute("UPDATE sessions SET confirmed_ms = 0 WHERE digest = ?", (session.digest,))
    assert page.post("/api/actions/resume", request_id="again").json()["code"] == "CONFIRM_NEEDED"
    switch = {"request_id": "switch", "strategy": "x"}
    enabled = page.post("/api/actions/switch", enabled=True, **switch).json()
    assert enabled["code"] == "CONFIRM_NEEDED", "nor does a strategy begin again without it"
    assert console.audited(user="tara", result="refused")[0]["details"] == enabled["error"]
    assert page.post("/api/actions/halt", request_id="stop").status_code == 200, "a halt never is"
    assert page.post("/api/actions/switch", enabled=False, **switch).json()["code"] == "REFUSED", (
        "nor a pause: there is no x"
    )
    assert page.post("/api/confirm", password="wrong").status_code == 401
    assert page.post("/api/confirm", password=PASSWORD).status_code == 200
    assert page.post("/api/actions/resume", request_id="again").status_code == 200
    assert page.post("/api/actions/switch", enabled=True, **switch).json()["code"] == "REFUSED", "not for the password"


def test_change_of_role_ends_the_sessions_and_the_last_administrator_stays(console: ConsoleOfTest) -> None:
    console.add_user("temp", "trader")
    page, admin = console.browser("temp"), console.browser("asha")
    assert admin.post("/api/users/temp", role="viewer").status_code == 200
    assert page.get("/api/stack").status_code == 401
    assert admin.post("/api/users/asha", disabled=True).json()["code"] == "REFUSED"
    assert admin.post("/api/users/temp", disabled=True).status_code == 200
    assert console.browser().log_in("temp").status_code == 401


def test_second_factor_is_needed_once_confirmed_and_no_code_counts_twice(console: ConsoleOfTest) -> None:
    console.add_user("totto", "viewer")
    page = console.browser("totto")
    secret = page.post("/api/totp/begin").json()["secret"]
    code = pyotp.TOTP(secret).now()
    assert page.post("/api/totp/confirm", totp=code).json()["user"]["totp"] is True
    assert console.browser().log_in("totto").json()["code"] == "TOTP_NEEDED"
    admin = console.browser("asha")
    tried = next(row for row in admin.get("/api/audit?action=login").json() if row["target"] == "totto")
    assert (tried["result"], tried["details"]) == ("refused", "right password, no code yet"), "somebody has it"
    assert console.browser().log_in("totto", totp=code).json()["code"] == "WRONG_LOGIN", "it was used"
    assert page.post("/api/confirm", totp=code).json()["code"] == "WRONG_LOGIN", "it was used"
    next_code = pyotp.TOTP(secret).at(time.time() + 30)
    assert page.post("/api/confirm", totp=next_code).status_code == 200, "as the page asks: a code or the password"
    assert page.post("/api/confirm", password=PASSWORD).status_code == 200
    assert page.post("/api/confirm", password="wrong", totp="").json()["code"] == "WRONG_LOGIN"


def test_every_answer_carries_the_policy_and_is_not_stored(console: ConsoleOfTest) -> None:
    page = console.browser("vera")
    for path in ("/", "/livez", "/api/session", "/api/stack", "/api/nothing", "/no/such/path", "/api/schema", "/x"):
        found = page.get(path)
        assert {name: found.headers.get(name) for name in HEADERS} == HEADERS, path
        assert found.headers["cache-control"] == "no-store", path
    assert "unsafe" not in HEADERS["content-security-policy"]


def test_other_host_is_not_served(console: ConsoleOfTest) -> None:
    """A page of another site whose name leads here (DNS rebinding) reads nothing."""
    assert console.browser().http.get("/api/session", headers={"host": "evil.example"}).status_code == 421


def test_revoked_session_ends(console: ConsoleOfTest) -> None:
    page, other = console.browser("tara"), console.browser("tara")
    theirs = next(row for row in page.get("/api/sessions").json() if not row["current"])
    assert page.post(f"/api/sessions/{theirs['id']}/revoke").status_code == 204
    left = [one.get("/api/stack").status_code for one in (page, other)]
    assert left == [200, 401] or left == [200, 200], left
    assert theirs["id"] not in {row["id"] for row in page.get("/api/sessions").json()}


def test_address_that_others_reach_needs_a_proxy_with_a_certificate(console: ConsoleOfTest, tmp_path: Path) -> None:
    def listening(**rules: Any) -> ConsoleServer:
        state = msgspec.structs.replace(console.config, console=ConsoleRules(port=0, **rules), state_dir=str(tmp_path))
        made = ConsoleServer(state, MarketClock.load(state.clock_path), console.server.chains._calendar, tmp_path)
        try:
            made.listen()
        finally:
            made.stop()
        return made

    for host in ("0.0.0.0", "::", "192.0.2.7"):
        for address in ("", "http://console.example.in"):
            with pytest.raises(NotPrivate, match="CONSOLE_PUBLIC_URL"):
                check_address(ConsoleRules(host=host, public_url=address))
    with pytest.raises(NotPrivate, match="CONSOLE_PUBLIC_URL"):
        listening(host="0.0.0.0")
    assert listening(host="0.0.0.0", public_url="https://console.example.in").port
    assert listening(host="127.0.0.1").port


def test_console_loads_no_library_for_models_that_it_does_not_have(console: ConsoleOfTest) -> None:
    names = {type(plugin).__module__ for plugin in console.server._door._inner.plugins}  # type: ignore[attr-defined]
    assert names and not [name for name in names if "pydantic" in name or "attrs" in name]
