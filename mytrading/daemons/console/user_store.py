"""Users, sessions and the audit of the web console: one SQLite file beside the state folders, its owner's alone.

It outlives a simulated stack that starts afresh. A session is a random token in its browser's cookie, and only the
token's digest here: who reads the file cannot log in with it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from mytrading.messages.console_api import AuditEntry, RoleName, UserEntry
from mytrading.messages.run_config import RunConfig

ROLES: tuple[RoleName, ...] = ("viewer", "trader", "admin")
"""Each may do what those before it may."""
CODE_S = 900
"""Seconds for which the code of the first user counts."""
SEEN_EVERY_MS = 20_000
MOST_AUDITED, MOST_OF_NOBODY = 200_000, 20_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    name TEXT PRIMARY KEY COLLATE NOCASE, role TEXT NOT NULL, password TEXT NOT NULL, totp TEXT NOT NULL DEFAULT '',
    totp_new TEXT NOT NULL DEFAULT '', totp_step INTEGER NOT NULL DEFAULT 0, disabled INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL, login_ms INTEGER);
CREATE TABLE IF NOT EXISTS sessions (
    digest TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    created_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL, confirmed_ms INTEGER NOT NULL, ip TEXT NOT NULL,
    agent TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS audit (
    id INTEGER PRIMARY KEY, wall_ms INTEGER NOT NULL, user TEXT NOT NULL, ip TEXT NOT NULL, action TEXT NOT NULL,
    target TEXT NOT NULL, result TEXT NOT NULL, details TEXT NOT NULL, request_id TEXT NOT NULL);
"""
_USER = "SELECT name, role, password, totp, totp_new, totp_step, disabled, created_ms, login_ms FROM users"
_SESSION = """SELECT s.digest, s.id, u.name, u.role, u.totp <> '', s.created_ms, s.seen_ms, s.confirmed_ms, s.ip,
    s.agent FROM sessions s JOIN users u ON u.name = s.name AND NOT u.disabled"""


class ConsoleUser(NamedTuple):
    """A user as stored. `totp` is the secret of the second factor, empty without one; `totp_new` one not confirmed."""

    name: str
    role: RoleName
    password: str
    totp: str
    totp_new: str
    totp_step: int
    disabled: bool
    created_ms: int
    login_ms: int | None


class ConsoleSession(NamedTuple):
    """A session. `confirmed_ms` is when the password was last given, wall time."""

    digest: str
    id: str
    name: str
    role: RoleName
    totp: bool
    created_ms: int
    seen_ms: int
    confirmed_ms: int
    ip: str
    agent: str


def wall_ms() -> int:
    """Return wall time in ms."""
    return time.time_ns() // 1_000_000


def digest_of(token: str) -> str:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def store_path(state: Path) -> Path:
    """Return the file of a stack's users, beside its `state` folder."""
    return state.parent / "console" / f"{state.name}.sqlite3"


def code_path(config: RunConfig) -> Path:
    """Return the file of the code by which the first user is made."""
    return store_path(config.state).with_suffix(".code")


def new_code(config: RunConfig) -> str:
    """Make and return a new code for the first user, which counts for `CODE_S` seconds and ends an earlier one."""
    code = "-".join(secrets.token_hex(2) for _ in range(4))
    path = code_path(config)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(f"{digest_of(code)} {wall_ms() + 1000 * CODE_S}\n")
    fresh.replace(path)
    return code


def has_users(config: RunConfig) -> bool:
    """Return true if a stack's console has a user; creates nothing."""
    if not (path := store_path(config.state)).exists():
        return False
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as found:
        try:
            return bool(found.execute("SELECT 1 FROM users LIMIT 1").fetchone())
        except sqlite3.Error:
            return False


class _NoAdminLeft(Exception):
    """A change that would leave the console without an enabled administrator."""


class UserStore:
    """The file, open; safe from several threads. Idle and absolute lives of sessions are in ms."""

    def __init__(self, path: Path, code: Path, idle_ms: float, life_ms: float) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._code = code
        self._idle_ms, self.life_ms = idle_ms, life_ms
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=5.0)
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;" + _SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """A transaction that sees and excludes all others."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    # users

    def copy_users(self, path: Path) -> None:
        """Give a file of another console the users of this one, in place of its own; their sessions end."""
        other = UserStore(path, path, self._idle_ms, self.life_ms)
        try:
            with self._lock:
                rows = self._rows(_USER)
            with other._change() as change:
                change.execute("DELETE FROM users")
                change.executemany(f"INSERT INTO users VALUES ({', '.join('?' * 9)})", rows)
        finally:
            other.close()

    def has_users(self) -> bool:
        """Return true once a user was made."""
        return bool(self._rows("SELECT 1 FROM users LIMIT 1"))

    def user(self, name: str) -> ConsoleUser | None:
        """Return the user of this name, whatever its case; None if there is none."""
        found = self._rows(f"{_USER} WHERE name = ?", name)
        return ConsoleUser(*found[0]) if found else None

    def users(self) -> list[UserEntry]:
        """Return all users by name."""
        return [_entry(ConsoleUser(*row)) for row in self._rows(f"{_USER} ORDER BY name")]

    def add_first(self, code: str, name: str, password: str) -> bool:
        """Add the first user, an administrator, by the shell's code; false if there is one or the code is wrong."""
        with self._change() as db:
            if db.execute("SELECT 1 FROM users LIMIT 1").fetchone() or not self._is_code(code):
                return False
            _insert(db, name, "admin", password)
            self._code.unlink(missing_ok=True)
            return True

    def _is_code(self, code: str) -> bool:
        try:
            stored, _, until = self._code.read_text(encoding="ascii").partition(" ")
            return hmac.compare_digest(stored, digest_of(code.strip().lower())) and int(until) > wall_ms()
        except (OSError, ValueError):
            return False

    def add(self, name: str, role: RoleName, password: str) -> bool:
        """Add a user with the hash of a password; false if the name is taken."""
        try:
            with self._change() as db:
                _insert(db, name, role, password)
        except sqlite3.IntegrityError:
            return False
        return True

    def change(self, name: str, **columns: Any) -> None:
        """Set columns of a user. A change of role or password, or a ban, ends its sessions elsewhere (`end_all`)."""
        with self._change() as db:
            self._set(db, name, columns)

    @staticmethod
    def _set(db: sqlite3.Connection, name: str, columns: dict[str, Any]) -> None:
        names = ", ".join(f"{column} = ?" for column in columns)
        db.execute(f"UPDATE users SET {names} WHERE name = ?", (*columns.values(), name))

    def change_keeping_admin(self, name: str, **columns: Any) -> bool:
        """Set columns of a user; false, and nothing is set, if no enabled administrator would be left."""
        with self._lock, suppress(_NoAdminLeft):
            with self._change() as db:
                self._set(db, name, columns)
                if not db.execute("SELECT 1 FROM users WHERE role = 'admin' AND NOT disabled").fetchone():
                    raise _NoAdminLeft
            return True
        return False

    def reset_user(self, name: str, password: str) -> bool:
        """Let a user in again by the hash of a new password: enabled, without a second factor, all sessions ended.

        False if there is no such user.
        """
        with self._change() as db:
            self._set(db, name, {"password": password, "totp": "", "totp_new": "", "disabled": 0})
            db.execute("DELETE FROM sessions WHERE name = ? COLLATE NOCASE", (name,))
            return bool(db.execute("SELECT 1 FROM users WHERE name = ?", (name,)).fetchone())

    def take_totp_step(self, name: str, step: int) -> bool:
        """Mark an authenticator's code as used; false if it was, in another request at the same time."""
        with self._change() as db:
            done = db.execute("UPDATE users SET totp_step = ? WHERE name = ? AND totp_step < ?", (step, name, step))
            return done.rowcount == 1

    # sessions

    def begin_session(self, name: str, ip: str, agent: str) -> str:
        """Begin a session of a user; returns its token, new at each login."""
        token, now = secrets.token_urlsafe(32), wall_ms()
        with self._change() as db:
            db.execute("DELETE FROM sessions WHERE created_ms < ? OR seen_ms < ?", self._ended(now))
            db.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (digest_of(token), secrets.token_hex(8), name, now, now, now, ip, agent[:200]),
            )
            db.execute("UPDATE users SET login_ms = ? WHERE name = ?", (now, name))
        return token

    def _ended(self, now: int) -> tuple[float, float]:
        return now - self.life_ms, now - self._idle_ms

    def session(self, token_digest: str) -> ConsoleSession | None:
        """Return the session of a token's digest; None if it ended, was revoked, or its user is disabled."""
        made, seen = self._ended(wall_ms())
        rows = self._rows(f"{_SESSION} WHERE s.digest = ? AND s.created_ms >= ? AND s.seen_ms >= ?",
                          token_digest, made, seen)  # fmt: skip
        return ConsoleSession(*rows[0]) if rows else None

    def touch_session(self, session: ConsoleSession) -> None:
        """Note that a person uses a session."""
        now = wall_ms()
        if now - session.seen_ms > SEEN_EVERY_MS:
            with self._change() as db:
                db.execute("UPDATE sessions SET seen_ms = ? WHERE digest = ?", (now, session.digest))

    def confirm_session(self, token_digest: str) -> None:
        """Note that the password was given again just now."""
        with self._change() as db:
            db.execute("UPDATE sessions SET confirmed_ms = ? WHERE digest = ?", (wall_ms(), token_digest))

    def sessions(self, name: str = "") -> list[ConsoleSession]:
        """Return the sessions of a user, or of all, the newest first."""
        made, seen = self._ended(wall_ms())
        rows = self._rows(f"{_SESSION} WHERE s.created_ms >= ? AND s.seen_ms >= ? AND (? = '' OR u.name = ?)"
                          " ORDER BY s.created_ms DESC", made, seen, name, name)  # fmt: skip
        return [ConsoleSession(*row) for row in rows]

    def end_sessions(self, *digests: str) -> None:
        """End sessions."""
        with self._change() as db:
            db.executemany("DELETE FROM sessions WHERE digest = ?", [(one,) for one in digests])

    # audit

    def audit(
        self, user: str, ip: str, action: str, target: str, result: str, details: str = "", request_id: str = ""
    ) -> int:
        """Write a row of the audit; returns its id."""
        values = (wall_ms(), user, ip, action, target[:200], result, details[:2000], request_id)
        with self._change() as db:
            made = (
                db.execute(
                    "INSERT INTO audit (wall_ms, user, ip, action, target, result, details, request_id)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    values,
                ).lastrowid
                or 0
            )
            if made % 1000 == 0:  # whoever floods the console with requests crowds out no row of a user
                for whose, most in (("<>", MOST_AUDITED), ("=", MOST_OF_NOBODY)):
                    oldest = f"SELECT id FROM audit WHERE user {whose} '' ORDER BY id DESC LIMIT 1 OFFSET {most}"
                    db.execute(f"DELETE FROM audit WHERE user {whose} '' AND id <= ({oldest})")
        return made

    def complete_audit_row(self, row: int, result: str, details: str) -> None:
        """Say in a row of the audit what became of the action."""
        with self._change() as db:
            db.execute("UPDATE audit SET result = ?, details = ? WHERE id = ?", (result, details[:2000], row))

    def audit_rows(self, user: str, action: str, result: str, before: int, limit: int) -> list[AuditEntry]:
        """Return rows of the audit, the newest first, filtered by what is not empty; `before` an id, 0 for all."""
        rows = self._rows(
            "SELECT id, wall_ms, user, ip, action, target, result, details, request_id FROM audit WHERE"
            " (? = '' OR user = ?) AND (? = '' OR action = ?) AND (? = '' OR result = ?) AND (? = 0 OR id < ?)"
            " ORDER BY id DESC LIMIT ?",
            user, user, action, action, result, result, before, before, limit,
        )  # fmt: skip
        names = AuditEntry.__struct_fields__
        return [AuditEntry(**dict(zip(names, row, strict=True))) for row in rows]


def _insert(db: sqlite3.Connection, name: str, role: RoleName, password: str) -> None:
    values = (name, role, password, wall_ms())
    db.execute("INSERT INTO users (name, role, password, created_ms) VALUES (?, ?, ?, ?)", values)


def _entry(user: ConsoleUser) -> UserEntry:
    return UserEntry(
        name=user.name,
        role=user.role,
        totp=bool(user.totp),
        disabled=bool(user.disabled),
        created_wall_ms=user.created_ms,
        last_login_wall_ms=user.login_ms,
    )
