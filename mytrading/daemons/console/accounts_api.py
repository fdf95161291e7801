"""Routes of sessions and users: the first user, login and logout, passwords, second factors, roles, and the audit."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie, State
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Stream

from mytrading.core.time import SECOND
from mytrading.daemons.console import passwords
from mytrading.daemons.console.authentication import Viewer, audit, csrf_token_of, new_token
from mytrading.daemons.console.refusals import ApiRefused
from mytrading.daemons.console.user_store import ConsoleUser, UserStore, digest_of
from mytrading.messages import console_api as api
from mytrading.runtime.host.clock import machine_now

FREE_TRIES = 5
"""Wrong passwords of one name before the next has to wait, each time twice as long."""
LONGEST_WAIT_S = 900
CSV_PART = 1000
"""Rows of the audit that are read at a time for its file."""
OPEN: dict[str, Any] = {"open": True}
ADMIN: dict[str, Any] = {"role": "admin"}
CONFIRMED_ADMIN: dict[str, Any] = {"role": "admin", "confirmed": True}
FIRST_NAME = "expected a name of 3 to 20 letters, digits, - or _"
ConsoleRequest = Request[Viewer, Any, State]


class FailedLogins:
    """Counts wrong passwords by name, known or not, so that guessing gets slower whatever address it comes from. Those
    given again within a session count by its digest."""

    def __init__(self) -> None:
        self._failed: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def seconds_left(self, name: str) -> int:
        """Return how long a name has to wait before its next try; 0 if it does not."""
        with self._lock:
            count, at_ns = self._failed.get(name.casefold(), (0, 0))
        wait_s = min(2 ** min(count - FREE_TRIES, 10), LONGEST_WAIT_S) if count >= FREE_TRIES else 0
        return max(wait_s - (machine_now() - at_ns) // SECOND, 0)

    def add(self, name: str) -> None:
        """Count a wrong password."""
        with self._lock:
            if len(self._failed) > 10_000:
                self._failed.clear()
            self._failed[name.casefold()] = (self._failed.get(name.casefold(), (0, 0))[0] + 1, machine_now())

    def clear(self, name: str) -> None:
        """Reset the count of a name after a right password."""
        with self._lock:
            self._failed.pop(name.casefold(), None)


def _answer(state: State, token: str, *, new: bool) -> Response[api.SessionInfo]:
    """The session's description; `new`: its cookie goes with it."""
    session = state.store.session(digest_of(token))
    user = None
    if session is not None:
        confirmed_s = Viewer(session, "", token).confirmed_s
        user = api.SessionUser(name=session.name, role=session.role, totp=bool(session.totp), confirmed_s=confirmed_s)
    info = api.SessionInfo(
        user=user,
        csrf=csrf_token_of(token),
        first_user=not state.store.has_users(),
        build=state.build,
        mode=state.config.mode.value,
        profile=state.config.profile,
    )
    cookie = Cookie(
        key=state.cookie, value=token, path="/", httponly=True, samesite="strict", secure=state.tls,
        max_age=int(state.store.life_ms // 1000),
    )  # fmt: skip
    return Response(info, status_code=200, cookies=[cookie] if new else [])


@get("/api/session", opt=OPEN)
async def show_session(request: ConsoleRequest, state: State) -> Response[api.SessionInfo]:
    """Return the session of the viewer, and the token that every POST of the page carries."""
    token = request.user.token
    usable = 20 <= len(token) <= 100 and token.isascii()
    return _answer(state, token if usable else new_token(), new=not usable)


def _begin(request: ConsoleRequest, state: State, name: str) -> Response[api.SessionInfo]:
    """A new session with a token of its own; what the cookie said before counts no more."""
    if request.user.session is not None:
        _end(state, request.user.session.digest)
    token = state.store.begin_session(name, request.user.ip, request.headers.get("user-agent", ""))
    return _answer(state, token, new=True)


def _end(state: State, *digests: str) -> None:
    state.store.end_sessions(*digests)
    state.loop.call_soon_threadsafe(state.hub.end_sessions, *digests)


def _end_all_of(state: State, name: str) -> None:
    _end(state, *(one.digest for one in state.store.sessions(name)))


def _checked(password: str, name: str) -> str:
    """The hash of a new password; raises `ApiRefused` with the rule that it breaks."""
    try:
        passwords.check_password(password, name)
    except passwords.WeakPassword as error:
        raise ApiRefused("WEAK_PASSWORD", f"password: {error}", "password") from error
    return passwords.hash_password(password)


def _check_name(name: str) -> None:
    if not (3 <= len(name) <= 20 and name.isascii() and name.replace("-", "").replace("_", "").isalnum()):
        raise ApiRefused("BAD_REQUEST", FIRST_NAME, "name")


@post("/api/first-user", opt=OPEN | {"action": "first-user"}, sync_to_thread=True, status_code=200)
def make_first_user(
    request: ConsoleRequest, state: State, data: JSONBody[api.FirstUserRequest]
) -> Response[api.SessionInfo]:
    """Make the first user, an administrator, by the code that `mytrading console code` prints."""
    _check_name(data.name)
    if state.store.has_users():
        audit(request, "first-user", data.name, "refused", "a user exists")
        raise ApiRefused("ROLE", "expected no user, found one: an administrator adds further ones")
    hashed = _checked(data.password, data.name)
    if not state.store.add_first(data.code, data.name, hashed):
        audit(request, "first-user", data.name, "refused", "wrong code")
        text = "expected the code that `mytrading console code` prints, less than 15 minutes old"
        raise ApiRefused("WRONG_LOGIN", text, "code")
    audit(request, "first-user", data.name, "done")
    return _begin(request, state, data.name)


@post("/api/login", opt=OPEN | {"action": "login"}, sync_to_thread=True, status_code=200)
def log_in(request: ConsoleRequest, state: State, data: JSONBody[api.LoginRequest]) -> Response[api.SessionInfo]:
    """Begin a session; the answer to an unknown name is that to a wrong password, and takes as long."""
    user = _proven(request, state, "login", data.name, data.password, data.totp)
    audit(request, "login", user.name, "done", user=user.name)
    return _begin(request, state, user.name)


def _proven(
    request: ConsoleRequest, state: State, action: str, name: str, password: str, totp: str, *, either: bool = False
) -> ConsoleUser:
    """The user whose password and code these are; raises `ApiRefused`, and writes the audit.

    `either`: one of them is enough, of a user who gave both at the login. Wrong ones of a session count for it alone:
    who guesses at a name from elsewhere does not keep its user from resuming.
    """
    failed: FailedLogins = state.failed
    guesser = request.user.required_session.digest if either else name
    if seconds := failed.seconds_left(guesser):
        audit(request, action, name, "refused", "too many wrong passwords")
        raise ApiRefused("TOO_MANY", f"too many wrong passwords for this name; wait {seconds} s", "", seconds)
    user: ConsoleUser | None = state.store.user(name)
    by_code = either and not password and user is not None and bool(user.totp)
    right = by_code or passwords.is_password(user.password if user is not None else passwords.NOBODY, password)
    if user is None or user.disabled or not right:
        failed.add(guesser)
        audit(request, action, name, "refused", "wrong name or password")
        if either:
            raise ApiRefused("WRONG_LOGIN", "expected your present password", "password")
        raise ApiRefused("WRONG_LOGIN", "expected the name and password of a user")
    if user.totp and (by_code or not either):
        if not totp:
            audit(request, action, name, "refused", "right password, no code yet")
            raise ApiRefused("TOTP_NEEDED", "expected the code of your authenticator too", "totp")
        step = passwords.code_step(user.totp, totp, user.totp_step)
        if not step or not state.store.take_totp_step(user.name, step):
            failed.add(guesser)
            audit(request, action, name, "refused", "wrong or used code")
            raise ApiRefused("WRONG_LOGIN", "expected the present code of your authenticator, not used before", "totp")
    failed.clear(guesser)
    return user


@post("/api/logout", opt={"role": "viewer", "action": "logout"}, sync_to_thread=True, status_code=204)
def log_out(request: ConsoleRequest, state: State) -> None:
    """End the session and its sockets."""
    _end(state, request.user.required_session.digest)
    audit(request, "logout", request.user.name, "done")


@post("/api/confirm", opt={"role": "viewer", "action": "confirm"}, sync_to_thread=True, status_code=200)
def confirm(request: ConsoleRequest, state: State, data: JSONBody[api.ConfirmRequest]) -> Response[api.SessionInfo]:
    """Confirm a login by password or authenticator code, for actions that ask for it again."""
    _proven(request, state, "confirm", request.user.name, data.password, data.totp, either=True)
    state.store.confirm_session(request.user.required_session.digest)
    audit(request, "confirm", request.user.name, "done")
    return _answer(state, request.user.token, new=False)


@post("/api/password", opt={"role": "viewer", "action": "password"}, sync_to_thread=True, status_code=200)
def change_password(
    request: ConsoleRequest, state: State, data: JSONBody[api.PasswordChange]
) -> Response[api.SessionInfo]:
    """Change one's own password: all sessions of the user end, and this browser gets a new one."""
    name = request.user.name
    _proven(request, state, "password", name, data.password, "", either=True)
    state.store.change(name, password=_checked(data.new_password, name))
    _end_all_of(state, name)
    audit(request, "password", name, "done")
    return _begin(request, state, name)


@post(
    "/api/totp/begin", opt={"role": "viewer", "confirmed": True, "action": "totp"}, sync_to_thread=True, status_code=200
)
def begin_totp(request: ConsoleRequest, state: State) -> api.TotpSecret:
    """Make the secret of a second factor, which is in force once a code of it was given."""
    secret, uri, path, size = passwords.new_totp(request.user.name, f"MyTrading {state.config.profile}")
    state.store.change(request.user.name, totp_new=secret)
    return api.TotpSecret(secret=secret, uri=uri, qr_svg=path, qr_size=size)


@post("/api/totp/confirm", opt={"role": "viewer", "action": "totp"}, sync_to_thread=True, status_code=200)
def confirm_totp(request: ConsoleRequest, state: State, data: JSONBody[api.TotpConfirm]) -> Response[api.SessionInfo]:
    """Put the second factor into force by a code of it."""
    user = state.store.user(request.user.name)
    step = passwords.code_step(user.totp_new, data.totp, 0) if user is not None and user.totp_new else 0
    if not step:
        raise ApiRefused("WRONG_LOGIN", "expected the present code of the new authenticator", "totp")
    state.store.change(request.user.name, totp=user.totp_new, totp_new="", totp_step=step)
    audit(request, "totp", request.user.name, "done", "on")
    return _answer(state, request.user.token, new=False)


@post(
    "/api/totp/remove",
    opt={"role": "viewer", "confirmed": True, "action": "totp"},
    sync_to_thread=True,
    status_code=200,
)
def remove_totp(request: ConsoleRequest, state: State) -> Response[api.SessionInfo]:
    """Remove the user's second factor."""
    state.store.change(request.user.name, totp="", totp_new="")
    audit(request, "totp", request.user.name, "done", "off")
    return _answer(state, request.user.token, new=False)


@get("/api/sessions", opt={"role": "viewer"}, sync_to_thread=True)
def list_sessions(request: ConsoleRequest, state: State) -> list[api.SessionEntry]:
    """List the user's own sessions, for an administrator those of all users."""
    mine = request.user.required_session
    found = state.store.sessions("" if mine.role == "admin" else mine.name)
    return [
        api.SessionEntry(
            id=one.id,
            user=one.name,
            current=one.digest == mine.digest,
            created_wall_ms=one.created_ms,
            seen_wall_ms=one.seen_ms,
            ends_wall_ms=int(one.created_ms + state.store.life_ms),
            ip=one.ip,
            agent=one.agent,
            viewers=state.hub.count_of(one.digest),
        )
        for one in found
    ]


@post(
    "/api/sessions/{session:str}/revoke",
    opt={"role": "viewer", "action": "session revoke"},
    sync_to_thread=True,
    status_code=204,
)
def revoke_session(request: ConsoleRequest, state: State, session: FromPath[str]) -> None:
    """End one of the user's own sessions, for an administrator any."""
    mine = request.user.required_session
    for one in state.store.sessions("" if mine.role == "admin" else mine.name):
        if one.id == session:
            _end(state, one.digest)
            audit(request, "session revoke", one.name, "done", one.ip)
            return
    raise ApiRefused("NOT_FOUND", "expected the id of a session that lives; load the list again")


@get("/api/users", opt=ADMIN, sync_to_thread=True)
def list_users(state: State) -> list[api.UserEntry]:
    """List all users by name."""
    found: list[api.UserEntry] = state.store.users()
    return found


@post("/api/users", opt=CONFIRMED_ADMIN | {"action": "user add"}, sync_to_thread=True, status_code=201)
def add_user(request: ConsoleRequest, state: State, data: JSONBody[api.NewUser]) -> api.UserEntry:
    """Add a user."""
    _check_name(data.name)
    if not state.store.add(data.name, data.role, _checked(data.password, data.name)):
        raise ApiRefused("REFUSED", f"expected a name that is free, found {data.name}", "name")
    audit(request, "user add", data.name, "done", data.role)
    return _entry_of(state, data.name)


@post("/api/users/{name:str}", opt=CONFIRMED_ADMIN | {"action": "user change"}, sync_to_thread=True, status_code=200)
def change_user(
    request: ConsoleRequest, state: State, name: FromPath[str], data: JSONBody[api.UserChange]
) -> api.UserEntry:
    """Change role, password or second factor of a user, or disable it; its sessions end."""
    if (user := state.store.user(name)) is None:
        raise ApiRefused("NOT_FOUND", "expected the name of a user; load the list again")
    columns: dict[str, Any] = {}
    if data.role is not None:
        columns["role"] = data.role
    if data.disabled is not None:
        columns["disabled"] = int(data.disabled)
    if data.password is not None:
        columns["password"] = _checked(data.password, user.name)
    if data.reset_totp:
        columns |= {"totp": "", "totp_new": ""}
    if columns:
        if not state.store.change_keeping_admin(user.name, **columns):
            raise ApiRefused("REFUSED", "expected another administrator to be left; make one first")
        _end_all_of(state, user.name)
    shown = ", ".join(f"{key} {value}" for key, value in columns.items() if key in ("role", "disabled"))
    audit(request, "user change", user.name, "done", shown or ", ".join(columns))
    return _entry_of(state, user.name)


def _entry_of(state: State, name: str) -> api.UserEntry:
    users: list[api.UserEntry] = state.store.users()
    return next(entry for entry in users if entry.name.casefold() == name.casefold())


@get("/api/audit", opt=ADMIN, sync_to_thread=True)
def show_audit(
    state: State,
    user: FromQuery[str] = "",
    action: FromQuery[str] = "",
    result: FromQuery[str] = "",
    before: FromQuery[int] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 200,
) -> list[api.AuditEntry]:
    """List rows of the audit, the newest first."""
    found: list[api.AuditEntry] = state.store.audit_rows(user, action, result, before, limit)
    return found


@get("/api/audit.csv", opt=ADMIN)
async def download_audit(state: State) -> Stream:
    """Send the whole audit as CSV, the newest row first; no cell of it is a formula to a spreadsheet."""
    headers = {"content-disposition": 'attachment; filename="audit.csv"'}
    return Stream(_audit_csv(state.store), media_type="text/csv", headers=headers)


def _audit_csv(store: UserStore) -> Iterator[str]:
    """The audit in parts of a thousand rows, so that none waits in memory."""
    names = api.AuditEntry.__struct_fields__
    rows: list[api.AuditEntry] = []
    text = csv_text([names])
    while True:
        yield text
        if not (rows := store.audit_rows("", "", "", rows[-1].id if rows else 0, CSV_PART)):
            return
        text = csv_text([plain_cell(getattr(row, name)) for name in names] for row in rows)


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Return rows as lines of a CSV file."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def plain_cell(value: object) -> object:
    """Return a value of a CSV file that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


ROUTES = [
    show_session, make_first_user, log_in, log_out, confirm, change_password, begin_totp, confirm_totp, remove_totp,
    list_sessions, revoke_session, list_users, add_user, change_user, show_audit, download_audit,
]  # fmt: skip
