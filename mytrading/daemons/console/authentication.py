"""Authentication of viewers: the session behind a request or a socket, its role, and the request's allowed origin.

Litestar's own session middleware takes any id from a cookie and writes sessions back after their end; this one knows
only tokens that it made, and a session that has ended stays so.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any, NamedTuple

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.middleware import AbstractAuthenticationMiddleware
from litestar.middleware.authentication import AuthenticationResult

from mytrading.daemons.console.refusals import ApiRefused
from mytrading.daemons.console.user_store import ROLES, ConsoleSession, UserStore, digest_of, wall_ms
from mytrading.messages.console_api import RoleName

CSRF_HEADER = "x-csrf-token"
CONFIRMED_MS = 10 * 60 * 1000
"""So long after the password was given, actions that need it again are allowed."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Viewer(NamedTuple):
    """Viewer behind a request: the session, None if nobody is logged in, the address, and the cookie as sent."""

    session: ConsoleSession | None
    ip: str
    token: str

    @property
    def name(self) -> str:
        """The user's name; empty if nobody is logged in."""
        return self.session.name if self.session is not None else ""

    @property
    def operator(self) -> str:
        """Return the name of the operator as journals have it."""
        return f"console:{self.name}"

    @property
    def required_session(self) -> ConsoleSession:
        """The session; raises `ApiRefused` if there is none."""
        if self.session is None:
            raise ApiRefused("LOGIN_NEEDED", "expected a session; log in")
        return self.session

    @property
    def confirmed_s(self) -> int:
        """Seconds for which actions that need the password again are allowed."""
        left = 0 if self.session is None else self.session.confirmed_ms + CONFIRMED_MS - wall_ms()
        return max(left // 1000, 0)


def csrf_token_of(token: str) -> str:
    """Return the CSRF token that belongs to a cookie's `token`: every POST of the page must carry it.

    The page learns it from a GET, which a page of another origin cannot read.
    """
    return hmac.new(b"csrf", token.encode(), hashlib.sha256).hexdigest()


def new_token() -> str:
    """Return a cookie for a page that nobody is logged in on."""
    return secrets.token_urlsafe(32)


def includes_role(role: RoleName, needed: RoleName) -> bool:
    """Return true if a role includes another."""
    return ROLES.index(role) >= ROLES.index(needed)


class Authentication(AbstractAuthenticationMiddleware):
    """Takes the session of the cookie, and refuses what its role, its origin or a missing token does not allow.

    A route's `opt` says what it needs: `open` (no session), `role`, `confirmed` (the password given lately). `action`
    is the name in the audit, otherwise its address below /api/actions/.
    """

    async def authenticate_request(self, connection: ASGIConnection[Any, Any, Any, Any]) -> AuthenticationResult:
        """Return the viewer of a request; raises `ApiRefused`."""
        state = connection.app.state
        store: UserStore = state.store
        scope: Any = connection.scope
        token = connection.cookies.get(state.cookie, "")
        session = store.session(digest_of(token)) if token else None
        viewer = Viewer(session, scope["state"]["ip"], token)
        needs = connection.route_handler.opt
        is_socket = scope["type"] == "websocket"
        method: str = scope.get("method", "GET")
        try:
            if is_socket or method not in SAFE:
                _check_origin(connection, state.door.origins, is_socket)
            if not needs.get("open"):
                role: RoleName = needs.get("role", "viewer")
                if not includes_role(viewer.required_session.role, role):
                    text = f"expected the role {role}, found {viewer.required_session.role}; ask an administrator"
                    raise ApiRefused("ROLE", text)
            if not is_socket and method not in SAFE:
                _check_csrf(connection, token)
            if needs.get("confirmed"):
                check_confirmed(viewer)
        except ApiRefused as error:
            if not is_socket and method not in SAFE:
                store.audit(viewer.name, viewer.ip, action_of(scope), "", "refused", error.error)
                scope["state"]["audited"] = True
            raise
        if session is not None and method not in SAFE:
            store.touch_session(session)
        return AuthenticationResult(user=viewer, auth=session)


def check_confirmed(viewer: Viewer) -> None:
    """Raise `ApiRefused` unless the viewer gave the password lately: the page asks for it, and sends the same again."""
    if not viewer.confirmed_s:
        raise ApiRefused("CONFIRM_NEEDED", "expected the password again: this action needs it")


def audit(
    request: Request[Viewer, Any, State],
    action: str,
    target: str,
    result: str,
    details: str = "",
    request_id: str = "",
    user: str = "",
) -> int:
    """Write a row of the audit about a request, of its viewer unless `user` is another; returns the row's id."""
    who, store = request.user, request.app.state.store
    request.scope["state"]["audited"] = True
    row: int = store.audit(user or who.name, who.ip, action, target, result, details, request_id)
    return row


def leave_out_of_audit(request: Request[Viewer, Any, State]) -> None:
    """Have no row of the audit written about a request that changes nothing, also where it is refused."""
    request.scope["state"]["audited"] = True


def audit_refusal(request: Request[Viewer, Any, State], why: str) -> None:
    """Write a row of the audit about an action that was refused before it came to one of its own."""
    scope = request.scope
    if (
        scope["type"] == ScopeType.HTTP
        and request.method not in SAFE
        and "user" in scope
        and "audited" not in scope["state"]
    ):
        audit(request, action_of(scope), "", "refused", why)


def action_of(scope: Any) -> str:
    """The action that a request asks for, as its route names it: the audit has it under this name, done or refused."""
    handler, path = scope.get("route_handler"), str(scope["path"])
    return str((handler.opt.get("action") if handler is not None else None) or path.removeprefix("/api/actions/"))


def _check_origin(connection: ASGIConnection[Any, Any, Any, Any], origins: frozenset[str], is_socket: bool) -> None:
    """A page of another origin may neither act nor open a socket. A program without a browser sends no Origin; it
    carries the token of the cookie's page like any other."""
    origin = connection.headers.get("origin")
    site = connection.headers.get("sec-fetch-site", "same-origin")
    if (origin is None and not is_socket and site in ("same-origin", "none")) or origin in origins:
        return
    raise ApiRefused("ORIGIN", "expected a request of this console's own pages; open it by the address that it prints")


def _check_csrf(connection: ASGIConnection[Any, Any, Any, Any], token: str) -> None:
    found = connection.headers.get(CSRF_HEADER, "")
    if not token or not hmac.compare_digest(found.encode(), csrf_token_of(token).encode()):
        raise ApiRefused("CSRF", "expected the header X-CSRF-Token as GET /api/session names it; load the page again")
