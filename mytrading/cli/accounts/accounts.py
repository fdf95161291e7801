"""The accounts behind `mytrading account`: their file, their keys, their servers, and what is open on them.

Nothing is written before the server knew the key, and every change is audited. What cannot be found out about an
account counts as open on it, never as flat.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from dotenv.parser import parse_stream
from pydantic import ValidationError

from mytrading.adapters.openalgo import endpoints
from mytrading.adapters.openalgo.rest import book_parsers
from mytrading.adapters.openalgo.rest.client import BadServerUrl, Deadline, OpenAlgoClient, TransportFailed
from mytrading.adapters.openalgo.rest.errors import OpenAlgoError, ReadFailed
from mytrading.cli.shell.failures import ERROR, USAGE, fail
from mytrading.config import accounts as account_file
from mytrading.config import key_vault
from mytrading.config.accounts import AccountConfig
from mytrading.config.problems import ConfigurationError, hint, name_key
from mytrading.config.sections import OpenAlgoSettings
from mytrading.config.sources import read_env_file
from mytrading.messages.journal_rows import DayOpened
from mytrading.messages.orders import PositionAdjusted, PositionChanged
from mytrading.messages.run_config import RUN_FILE, AccountRole, RunConfig, RunConfigError, decode_run_config
from mytrading.runtime.host.paths import project_home, started_states, state_base, state_dir
from mytrading.runtime.journal.reader import JournalTail
from mytrading.runtime.observability import audit
from mytrading.runtime.supervision import control

STORES = ("file", "keyring")
KEY = "OPENALGO_API_KEY"


class PingResult(NamedTuple):
    """A server's answer to a ping: `problem` is empty if it knows the key and has a session at `broker`."""

    problem: str
    broker: str = ""
    message: str = ""
    mode: str = ""
    ms: float = 0.0


class EditCheck(NamedTuple):
    """An account as it was when its server was pinged, and the answer, if it had to be."""

    account: AccountConfig
    pong: PingResult | None


@dataclass
class AccountBook:
    """The accounts of the project in `home`; each change is written before it is printed."""

    home: Path
    accounts: tuple[AccountConfig, ...]

    @classmethod
    def open(cls) -> AccountBook:
        """Read the accounts of the current project; `ConfigurationError` if their file is not in order."""
        home = project_home()
        return cls(home, account_file.load_accounts(home))

    @classmethod
    @contextmanager
    def open_locked(cls) -> Iterator[AccountBook]:
        """Read the accounts and lock their file until the `with` block ends; never hold it during a prompt."""
        home = project_home()
        with account_file.accounts_lock(home):
            yield cls(home, account_file.load_accounts(home))

    def find(self, name: str) -> AccountConfig:
        """Return the account of this name; ends the command with a usage error if there is none."""
        known = {account.id: account for account in self.accounts}
        if name not in known:
            fail(USAGE, f"no account {name!r}{hint(name, list(known)) or '; `mytrading account list` shows them'}")
        return known[name]

    def rows(self) -> list[dict[str, str]]:
        """Return every account as a dict of text by field, without its key."""
        return [_row(account) for account in self.accounts]

    def notes(self) -> list[str]:
        """Return warnings: a running stack keeps its old accounts, or OPENALGO_API_KEY overrides them all."""
        notes = [
            f"the {profile} stack keeps what it was started with; `mytrading down`, then `up` takes a change up"
            for profile in sorted({one for account in self.accounts for one in running_profiles_of(account.id)})
        ]
        written = read_env_file(self.home / ".env", []).get(KEY)
        if self.accounts and written is not None and written.raw:
            used = "so a stack uses that account alone; remove the line to use these accounts"
            notes.append(f"{written.where} is set, {used}")
        return notes

    def check_new(self, name: str, given: Mapping[str, str], key_store: str) -> None:
        """End the command unless `given` (values by option, "" if left out) can make the account `name`."""
        if any(account.id == name for account in self.accounts):
            fail(USAGE, f"account {name} is there already; `mytrading account edit {name}` changes it")
        if key_store not in STORES:
            fail(USAGE, f"--key-store: expected file or keyring, found {key_store!r}")
        self._new(name, given)

    def ping_new(self, name: str, given: Mapping[str, str], api_key: str) -> PingResult:
        """Return the server's answer to a new account's key; ends the command if it refuses the key.
        Call it before locking, since a server may take seconds to answer. `given` is as for `check_new`."""
        return self._pinged(self._new(name, given), api_key, "add")

    def add(
        self, name: str, given: Mapping[str, str], api_key: str, key_store: str, pong: PingResult
    ) -> dict[str, Any]:
        """Save a new account whose server answered `pong`, its key encrypted; returns its row.
        `key_store` (file or keyring) is where the encryption key goes if the project has none yet."""
        planned, environ = self._new(name, given), key_vault.key_environment(self.home)
        vault = (
            key_vault.open_vault(environ)
            if self.accounts
            else key_vault.Vault(key_vault.find_key(environ) or key_vault.make_key(environ, key_store))
        )
        broker = _broker(given["broker"], pong.broker)
        account = planned.model_copy(update={"broker": broker, "key": vault.seal(api_key)})
        self._keep((*self.accounts, account), account)
        return self._done("add", account.id)

    def ping_edited(self, name: str, given: Mapping[str, str], api_key: str) -> EditCheck:
        """Return the account, and its server's answer if `given` has another host or a broker, or a key."""
        old = self.find(name)
        planned = self._edited(old, given)
        if not (api_key or planned.host != old.host or given["broker"]):
            return EditCheck(old, None)
        key = api_key or key_vault.open_vault(key_vault.key_environment(self.home)).open(old.key, name)
        return EditCheck(old, self._pinged(planned, key, "edit"))

    def edit(self, name: str, given: Mapping[str, str], api_key: str, tried: EditCheck) -> dict[str, Any]:
        """Save `given` values and key (unless "") of an account; returns its row with `changed`, the names.
        Ends the command if the account changed since `tried`, what `ping_edited` returned."""
        old = self.find(name)
        if old != tried.account:
            fail(ERROR, f"account {name} was changed by another command meanwhile; nothing is changed, run it again")
        planned = self._edited(old, given)
        if tried.pong is not None:
            planned = planned.model_copy(update={"broker": _broker(given["broker"], tried.pong.broker)})
        sealed = key_vault.open_vault(key_vault.key_environment(self.home)).seal(api_key) if api_key else old.key
        account = planned.model_copy(update={"key": sealed})
        self._keep(tuple(account if one.id == name else one for one in self.accounts), account)
        changed = sorted({key for key, value in given.items() if value} | ({"key"} if api_key else set()))
        return self._done("edit", name, changed=changed)

    def _edited(self, old: AccountConfig, given: Mapping[str, str]) -> AccountConfig:
        name = old.id
        if given["role"] and given["role"] != "primary" and old.role is AccountRole.PRIMARY:
            fail(USAGE, f"{name} is the primary account: make another one it first, `mytrading account set-primary`")
        merged = {key: value or str(getattr(old, key)) for key, value in given.items()}
        if given["host"] and not given["ws_url"] and old.ws_url == account_file.ws_url_of(old.host):
            merged["ws_url"] = ""
        return self._new(name, merged).model_copy(update={"broker": old.broker})

    def remove(self, name: str, force: bool) -> dict[str, Any]:
        """Delete an account, the primary's place going to another; returns what was done, by name.
        Ends the command if a stack uses it, it holds positions or cannot be checked, unless `force`."""
        account = self.find(name)
        reasons = self._reasons_to_keep(account)
        if reasons and not force:
            audit.record(_audited(), "account.remove", name, "refused", reasons=reasons)
            fail(ERROR, f"account {name} stays: {'; '.join(reasons)}; close it first, or --force")
        self.accounts = account_file.without_account(self.accounts, name)
        account_file.write_accounts(self.home, self.accounts)
        primary = next((one.id for one in self.accounts if one.role is AccountRole.PRIMARY), "")
        promoted = account.role is AccountRole.PRIMARY and bool(primary)
        forced = force and bool(reasons)
        audit.record(_audited(), "account.remove", name, "done", forced=forced, reasons=reasons, primary=primary)
        return {"removed": name, "forced": forced, "primary": primary, "promoted": promoted, "open": reasons}

    def set_primary(self, name: str) -> dict[str, Any]:
        """Make an account the primary, the former primary a backup; returns the account's row."""
        self._keep(self.accounts, self.find(name).model_copy(update={"role": AccountRole.PRIMARY}))
        return self._done("set-primary", name)

    def rotate_key(self) -> dict[str, Any]:
        """Encrypt every API key under a new key; returns how many, and where the key is stored.
        If interrupted at any point, the file can still be decrypted."""
        material = key_vault.find_key(key_vault.key_environment(self.home))
        if material is None or not self.accounts:
            fail(USAGE, "no account is kept yet, so there is no key to rotate; `mytrading account add` makes one")
        both = key_vault.rotated_keys(material)
        vault = key_vault.Vault(both)
        sealed = (vault.reseal(account.key, account.id) for account in self.accounts)
        renewed = tuple(one.model_copy(update={"key": key}) for one, key in zip(self.accounts, sealed, strict=True))
        key_vault.store_keys(both)
        account_file.write_accounts(self.home, renewed)
        key_vault.store_keys(type(both)(both.source, both.keys[:1]))
        audit.record(_audited(), "account.rotate-key", "all", "done", accounts=len(renewed), key=both.source)
        return {"accounts": len(renewed), "key": both.source}

    def ping_accounts(self, name: str) -> list[dict[str, Any]]:
        """Ping one account's server (all if `name` is ""); a row for each, with `ok`, broker, mode and ms."""
        chosen = (self.find(name),) if name else self.accounts
        if not chosen:
            return []
        vault = key_vault.open_vault(key_vault.key_environment(self.home))
        rows = []
        for account in chosen:
            pong = ping_server(account.host, vault.open(account.key, account.id))
            rows.append({
                "id": account.id, "ok": not pong.problem, "broker": pong.broker or account.broker,
                "message": pong.problem or pong.message, "mode": pong.mode, "ms": pong.ms,
            })  # fmt: skip
        return rows

    def _new(self, name: str, given: Mapping[str, str]) -> AccountConfig:
        first = "backup" if any(account.role is AccountRole.PRIMARY for account in self.accounts) else "primary"
        host = given["host"].rstrip("/")
        values = {"id": name, "host": host, "ws_url": given["ws_url"] or account_file.ws_url_of(host), "key": "-"}
        values |= {"role": given["role"] or first, "product": given["product"].upper() or "MIS"}
        try:
            return AccountConfig.model_validate(values)
        except ValidationError as error:
            known = ((_EXPECTED[str(detail["loc"][0])], detail["input"]) for detail in error.errors())
            fail(USAGE, "; ".join(f"{option}: expected {what}, found {found!r}" for (option, what), found in known))

    def _pinged(self, planned: AccountConfig, api_key: str, action: str) -> PingResult:
        pong = ping_server(planned.host, api_key)
        if pong.problem:
            audit.record(_audited(), f"account.{action}", planned.id, "refused", problem=pong.problem)
            fail(ERROR, f"{planned.host} did not accept account {planned.id}, nothing is kept: {pong.problem}")
        return pong

    def _keep(self, accounts: tuple[AccountConfig, ...], changed: AccountConfig) -> None:
        """Write; an account that is to be the primary is the only one."""
        if changed.role is AccountRole.PRIMARY:
            accounts = account_file.with_primary(accounts, changed.id)
        self.accounts = accounts
        account_file.write_accounts(self.home, accounts)

    def _done(self, action: str, name: str, **details: Any) -> dict[str, Any]:
        row = _row(self.find(name))
        audit.record(_audited(), f"account.{action}", name, "done", **details, role=row["role"], broker=row["broker"])
        return row

    def _reasons_to_keep(self, account: AccountConfig) -> list[str]:
        """Return why an account should stay; a broker that does not answer is a reason too."""
        reasons = [f"the {profile} stack runs and uses it" for profile in running_profiles_of(account.id)]
        reasons += journaled_position_lines(account.id)
        try:
            api_key = key_vault.open_vault(key_vault.key_environment(self.home)).open(account.key, account.id)
        except ConfigurationError as error:
            return [*reasons, f"the broker's positions cannot be read: {error}"]
        return reasons + broker_position_lines(account.host, api_key)


def audit_rows() -> list[dict[str, Any]]:
    """Return every row of all profiles' audit logs, oldest first, with `profile` and `details` (its other fields)."""
    known, found = ("time", "user", "action", "subject", "result"), []
    for folder in sorted(state_base().glob("*")):
        for row in audit.rows(folder):
            more = (f"{name} {value}" for name, value in row.items() if name not in known and value not in ("", []))
            found.append({**row, "profile": folder.name, "details": ", ".join(more)})
    return sorted(found, key=lambda row: str(row.get("time", "")))


def _row(account: AccountConfig) -> dict[str, str]:
    return {name: str(value) for name, value in account if name != "key"}


def _broker(given: str, reported: str) -> str:
    """The broker's name as the server reports it; one given by hand must not contradict it."""
    if not given or name_key(given) == name_key(reported):
        return reported
    try:
        name = account_file.canonical_broker_name(given)
    except ValueError as error:
        fail(USAGE, f"--broker: {error}")
    if reported and name_key(reported) != name_key(name):
        fail(ERROR, f"--broker: the server is logged in at {reported}, found {given}; leave the option out")
    return reported or name


_EXPECTED = {
    "id": ("NAME", "up to 32 letters, digits, - and _"),
    "host": ("--host", "http://host:port or https://host"),
    "ws_url": ("--ws-url", "ws://host:port or wss://host"),
    "role": ("--role", "primary, backup or trading"),
    "product": ("--product", "MIS, NRML or CNC"),
}


def _audited() -> Path:
    return state_dir("default")


# the server, and what is open on an account
def ping_server(host: str, api_key: str) -> PingResult:
    """Return a server's answer to this API key, within five seconds a call; `problem` says what failed."""
    began = time.monotonic_ns()
    try:
        client = OpenAlgoClient(host, api_key, time.monotonic_ns)
    except BadServerUrl as error:
        return PingResult(str(error))
    try:
        pong = endpoints.ping(client)
        took = (time.monotonic_ns() - began) / 1e6
        try:
            mode = endpoints.analyzer(client).mode
        except (TransportFailed, OpenAlgoError):
            mode = "unknown"
        return PingResult("", pong.broker, pong.message, mode, round(took, 1))
    except (TransportFailed, OpenAlgoError) as error:
        return PingResult(str(error), ms=round((time.monotonic_ns() - began) / 1e6, 1))
    finally:
        client.close()


def running_profiles_of(account: str) -> list[str]:
    """Return the profiles of running stacks that use this account."""
    return [config.profile for config in _started(account) if control.running_pids(config)]


def _started(account: str) -> Iterator[RunConfig]:
    """Runs, current or last, of stacks at a server that use this account."""
    for folder in started_states():
        with suppress(RunConfigError):
            config = decode_run_config(folder / RUN_FILE)
            used = {config.venue.account, *(one.id for one in (*config.quote_accounts, *config.accounts))}
            if account in used and not config.simulator.embedded:
                yield config


def journaled_position_lines(account: str) -> list[str]:
    """Return the account's open positions by our own journals, a line of text each, running or not."""
    lines = []
    for config in _started(account):
        held: dict[tuple[str, str, str], int] = {}

        def fold(_row: object, message: Any, held: dict[tuple[str, str, str], int] = held) -> None:
            moved = message.levels if isinstance(message, PositionChanged | PositionAdjusted) else ()
            for position in message.positions if isinstance(message, DayOpened) else moved:
                if position.account == account:
                    key = (position.instrument, position.product.value, position.strategy)
                    held[key] = position.quantity or position.quantity_seen

        tail = JournalTail(config.journal_dir("router"), "orders", fold, carried=True)
        tail.start(0)
        tail.close()
        rows = ((*key, units) for key, units in sorted(held.items()) if units)
        lines += [f"{owner} holds {units} {name} {kind}" for name, kind, owner, units in rows]
    return lines


def broker_position_lines(host: str, api_key: str) -> list[str]:
    """Return the account's open positions by the broker, a line of text each, or one on why they cannot be read."""
    try:
        client = OpenAlgoClient(host, api_key, time.monotonic_ns)
        book = book_parsers.parse_positions(client.call("positionbook", {}, Deadline.BOOK))
        client.close()
    except (BadServerUrl, TransportFailed, ReadFailed) as error:
        return [f"the broker's positions cannot be read: {error}"]
    if book.rows is None:
        return [f"the broker's positions cannot be read: {'; '.join(book.problems) or 'no rows'}"]
    unread = [row.instrument or "an unknown instrument" for row in book.unread_rows]
    return [f"a row of {name} in the broker's positions cannot be read" for name in unread] + [
        f"the broker shows {row.quantity} {row.instrument} {row.product or ''}".rstrip()
        for row in book.rows
        if row.quantity
    ]


# the account of the environment
class EnvironmentAccount(NamedTuple):
    """API key, REST address and WebSocket address (empty: the host's own)."""

    key: str
    host: str
    ws_url: str


def environment_account(home: Path) -> EnvironmentAccount:
    """Return the account named by OPENALGO_… variables, else by `.env`; ends the command if neither has a key."""
    values = {name: str(value.raw) for name, value in read_env_file(home / ".env", []).items()}
    found = {**values, **{name: text.strip() for name, text in os.environ.items() if text.strip()}}
    if not found.get(KEY):
        fail(USAGE, f"--from-env: expected {KEY} in {home / '.env'} or the environment, found none; leave it out")
    ws = [found.get(f"OPENALGO_WS_{part}", "") for part in ("HOST", "PORT")]
    usual = OpenAlgoSettings()
    ws_url = f"ws://{ws[0] or usual.ws_host}:{ws[1] or usual.ws_port}" if any(ws) else ""
    return EnvironmentAccount(found[KEY], found.get("OPENALGO_API_HOST") or usual.host, ws_url)


def remove_environment_key(home: Path) -> str:
    """Delete the API key's line from `.env` and make the file private to its owner; returns a note."""
    path = home / ".env"
    left = f"; {KEY} is still set in the environment: unset it" if os.environ.get(KEY, "").strip() else ""
    if not path.exists():
        return f"nothing was taken out of .env, there is none{left}"
    parts = list(parse_stream(io.StringIO(path.read_text(encoding="utf-8"))))
    key_vault.write_private(path, "".join(part.original.string for part in parts if part.key != KEY))
    return f"{KEY} is taken out of .env{left}"
