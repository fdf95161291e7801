"""Sessions, roles, tokens and limits over real sockets, each against what the stock parts get wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from mytrading.daemons.console.doorkeeper import HEADERS, MOST_API, MOST_AUTH
from mytrading.daemons.console.user_store import code_path, new_code, store_path
from tests.kit.console_browser import PASSWORD, Browser, ConsoleOfTest


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


def test_wrong_passwords_slow_down_a_name_from_any_address(console: ConsoleOfTest) -> None:
    answers = []
    for _ in range(7):
        page = console.browser()
        page.open_page()
        answers.append(page.post("/api/login", name="ghost", password="wrong").json())
    assert answers[0]["code"] == "WRONG_LOGIN"
    assert answers[-1]["code"] == "TOO_MANY"
    assert {row["result"] for row in console.audited(user="", action="login")} >= {"refused"}


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
    assert console.audited(user="tara", action="/api/actions/halt")[0]["result"] == "refused"
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
    assert console.audited(user="vera", result="refused")[0]["action"] == "/api/actions/halt"
    assert page.get("/api/users").status_code == 403
    assert page.get("/api/settings").status_code == 403


def test_password_is_asked_again_for_what_opens_trading(console: ConsoleOfTest) -> None:
    page = console.browser("tara")
    session = console.server.store.sessions("tara")[0]
    with console.server.store._change() as db:
        db.execute("UPDATE sessions SET confirmed_ms = 0 WHERE digest = ?", (session.digest,))
    assert page.post("/api/actions/resume", request_id="again").json()["code"] == "CONFIRM_NEEDED"
    assert page.post("/api/actions/halt", request_id="stop").status_code == 200, "a halt never is"
    assert page.post("/api/confirm", password="wrong").status_code == 401
    assert page.post("/api/confirm", password=PASSWORD).status_code == 200
    assert page.post("/api/actions/resume", request_id="again").status_code == 200


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
    assert console.browser().log_in("totto", totp=code).json()["code"] == "WRONG_LOGIN", "it was used"


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
