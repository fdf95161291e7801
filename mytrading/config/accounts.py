"""The accounts of `config/accounts.toml`, one of them primary: read, checked, and written under `accounts_lock`."""

from __future__ import annotations

import fcntl
import json
import os
import time
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mytrading.config.brokers import load_brokers
from mytrading.config.key_vault import write_private
from mytrading.config.problems import ConfigurationError, hint, name_key
from mytrading.config.sources import TOO_DEEP
from mytrading.messages.brokers import SANDBOX
from mytrading.messages.enums import Product
from mytrading.messages.run_config import AccountRole
from mytrading.messages.text import read_text

FILE = Path("config") / "accounts.toml"
WS_PORT = 8765
WAIT_S = 60.0
"""A command that changes accounts calls their servers first, which may take so long when one of them is slow."""
_PAUSE_S = 0.05

BROKERS = tuple(name for name in load_brokers() if name != SANDBOX)
"""OpenAlgo's names of brokers, which may be given by hand; whatever a server's ping reports is accepted."""

_SPELLINGS = {name_key(word): name for name in BROKERS for word in (name, *load_brokers()[name].aliases)}
"""OpenAlgo's name by each spelling of it or of an alias, without what `name_key` leaves out."""

_HEAD = """\
# Accounts at OpenAlgo servers, written by `mytrading account add|edit|remove|set-primary|rotate-key`, which keep
# nothing else that stands here. Each `key` is an API key encrypted with Fernet; docs/accounts.md says where the key
# to them is. role: primary (quotes and orders; exactly one), backup (takes the feed over), trading (orders only).
"""


class AccountConfig(BaseModel):
    """One account; `key` is the encrypted API key, `product` what its orders are unless a strategy says otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")
    host: str = Field(pattern=r"^https?://[^/\s]+(/[^\s]*)?$")
    ws_url: str = Field(pattern=r"^wss?://[^/\s]+(/[^\s]*)?$")
    broker: str = ""
    role: AccountRole = AccountRole.BACKUP
    product: Product = Product.MIS
    key: str = Field(min_length=1, repr=False)


def ws_url_of(host: str) -> str:
    """Return the default address of the WebSocket proxy of the server at URL `host`: its host, port 8765."""
    parts = urlsplit(host)
    return f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.hostname or ''}:{WS_PORT}"


def canonical_broker_name(word: str) -> str:
    """Return OpenAlgo's name of a broker in any spelling; `ValueError` suggests the nearest known name."""
    name = _SPELLINGS.get(name_key(word))
    if name is None:
        raise ValueError(f"expected a broker's name, found {word!r}{hint(word, BROKERS) or '; leave it out'}")
    return name


def read_accounts(home: Path, problems: list[str]) -> tuple[AccountConfig, ...]:
    """Read the accounts of the project in `home`, in the file's order; empty if there is no file.
    Mistakes are appended to `problems` and their accounts left out."""
    path = home / FILE
    if not path.exists():
        return ()
    try:
        tables = tomllib.loads(read_text(path))
    except (ValueError, OSError) as error:
        problems.append(f"{FILE}: expected TOML, found: {error}")
        return ()
    except RecursionError:
        problems.append(f"{FILE}: {TOO_DEEP}")
        return ()
    problems += [
        f"{FILE}: no such key {name!r}; expected [accounts.NAME] tables" for name in tables.keys() - {"accounts"}
    ]
    read = [_account(name, table, problems) for name, table in tables.get("accounts", {}).items()]
    found = tuple(account for account in read if account is not None)
    if not problems:
        problems += _primary_problems(found)
    return found


def load_accounts(home: Path) -> tuple[AccountConfig, ...]:
    """Read the project's accounts (empty if there is no file); `ConfigurationError` lists every problem."""
    problems: list[str] = []
    accounts = read_accounts(home, problems)
    if problems:
        raise ConfigurationError(*problems)
    return accounts


def _account(name: str, table: Any, problems: list[str]) -> AccountConfig | None:
    if not isinstance(table, dict):
        problems.append(f"{FILE}: accounts.{name}: expected a table [accounts.{name}], found {type(table).__name__}")
        return None
    try:
        return AccountConfig.model_validate({**table, "id": name})
    except ValidationError as error:
        for detail in error.errors(include_input=False):
            key = str(detail["loc"][0]) if detail["loc"] else ""
            near = hint(key, AccountConfig.model_fields) if detail["type"] == "extra_forbidden" else ""
            problems.append(f"{FILE}: accounts.{name}.{key}: {detail['msg'].replace('Input should', 'should')}{near}")
        return None


def _primary_problems(accounts: Sequence[AccountConfig]) -> list[str]:
    primary = [account.id for account in accounts if account.role is AccountRole.PRIMARY]
    if not accounts or len(primary) == 1:
        return []
    found = ", ".join(primary) or "none"
    return [f'{FILE}: expected exactly one account with role = "primary", found {found}; mytrading account set-primary']


def with_primary(accounts: Iterable[AccountConfig], name: str) -> tuple[AccountConfig, ...]:
    """Return the accounts with the one called `name` as primary, the former primary as backup."""
    before = {AccountRole.PRIMARY: AccountRole.BACKUP}
    return tuple(
        account.model_copy(
            update={"role": AccountRole.PRIMARY if account.id == name else before.get(account.role, account.role)}
        )
        for account in accounts
    )


def without_account(accounts: Iterable[AccountConfig], name: str) -> tuple[AccountConfig, ...]:
    """Return the accounts without the one called `name`; if it was primary, a backup (else any) becomes primary."""
    left = tuple(account for account in accounts if account.id != name)
    if not left or any(account.role is AccountRole.PRIMARY for account in left):
        return left
    heir = next((account for account in left if account.role is AccountRole.BACKUP), left[0])
    return with_primary(left, heir.id)


@contextmanager
def accounts_lock(home: Path, wait_s: float = WAIT_S) -> Iterator[None]:
    """Lock the accounts file for the `with` block; `ConfigurationError` if it is not free within `wait_s` seconds."""
    (home / FILE).parent.mkdir(exist_ok=True)
    folder = os.open((home / FILE).parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    text = f"another `mytrading account` command has been changing it for {wait_s:g} s; end that one"
                    raise ConfigurationError(f"{FILE}: {text}") from None
            time.sleep(_PAUSE_S)
        yield
    finally:
        os.close(folder)


def write_accounts(home: Path, accounts: Sequence[AccountConfig]) -> None:
    """Replace the accounts file atomically; `ConfigurationError` unless exactly one account of any is primary."""
    if problems := _primary_problems(accounts):
        raise ConfigurationError(*problems)
    write_private(home / FILE, render_accounts(accounts))


def render_accounts(accounts: Iterable[AccountConfig]) -> str:
    """Return the text of `accounts.toml` for these accounts."""
    parts = [_HEAD]
    for account in accounts:
        rows = [(name, value) for name, value in account if name != "id"]
        parts.append(
            f"\n[accounts.{account.id}]\n" + "".join(f"{name} = {json.dumps(str(value))}\n" for name, value in rows)
        )
    return "".join(parts)
