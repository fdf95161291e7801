"""Routes that change the accounts that a stack is set up with.

The commands of the shell do the work: they ping servers, encrypt keys and judge files. A key goes to their standard
input, and into no log, audit or answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
from litestar import get, post
from litestar.datastructures import State
from litestar.params import FromPath, JSONBody

from mytrading.daemons.console.accounts_api import ADMIN, CONFIRMED_ADMIN, ConsoleRequest
from mytrading.daemons.console.authentication import audit
from mytrading.daemons.console.refusals import ApiRefused
from mytrading.daemons.console.shell_commands import ask_shell
from mytrading.messages import console_api as api

FAILED, FAULTY = 1, 4
"""Exit codes of commands that print their answer all the same: a server did not answer well, rows are faulty."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,40}")


def checked_name(name: str) -> str:
    """Return the name of an account; raises `ApiRefused` for text that can be none."""
    if not _NAME.fullmatch(name):
        raise ApiRefused("BAD_REQUEST", f"name: expected letters, digits, _ and -, found {name[:40]!r}", "name")
    return name


def audited(request: ConsoleRequest, state: State, action: str, target: str, do: Callable[[], Any]) -> Any:
    """Call `do` and return its result, with a row of the audit for it, also where it is refused."""
    row = audit(request, action, target, "asked", "")
    try:
        found = do()
    except ApiRefused as error:
        state.store.complete_audit_row(row, "refused", error.error)
        raise
    state.store.complete_audit_row(row, "done", "")
    return found


def _accounts(state: State) -> list[api.AccountSetup]:
    return msgspec.convert(ask_shell(state.config, "account", "list", of_stack=False), list[api.AccountSetup])


@get("/api/setup/accounts", opt=ADMIN, sync_to_thread=True)
def show_accounts(state: State) -> list[api.AccountSetup]:
    """Return the accounts of the project, without their keys; a running stack keeps those of its start."""
    return _accounts(state)


@post("/api/setup/accounts/test", opt=ADMIN | {"action": "account test"}, sync_to_thread=True, status_code=200)
def ping_accounts(request: ConsoleRequest, state: State) -> list[api.AccountAnswer]:
    """Ask each account's server whether it knows the key."""
    rows = audited(
        request, state, "account test", "all",
        lambda: ask_shell(state.config, "account", "test", of_stack=False, codes=(FAILED,)),
    )  # fmt: skip
    return msgspec.convert(rows, list[api.AccountAnswer], strict=False)


@post(
    "/api/setup/accounts/rotate-key", opt=CONFIRMED_ADMIN | {"action": "account rotate-key"}, sync_to_thread=True,
    status_code=200,
)  # fmt: skip
def rotate_key(request: ConsoleRequest, state: State) -> list[api.AccountSetup]:
    """Encrypt all keys under a new one."""
    audited(
        request, state, "account rotate-key", "all",
        lambda: ask_shell(state.config, "account", "rotate-key", of_stack=False),
    )  # fmt: skip
    return _accounts(state)


@post(
    "/api/setup/accounts/{name:str}", opt=CONFIRMED_ADMIN | {"action": "account edit"}, sync_to_thread=True,
    status_code=200,
)  # fmt: skip
def change_account(
    request: ConsoleRequest, state: State, name: FromPath[str], data: JSONBody[api.AccountChange]
) -> list[api.AccountSetup]:
    """Add an account or change one, once its server knows the key."""
    if len(data.key.split()) > 1:
        raise ApiRefused("BAD_REQUEST", "key: expected an API key without blanks", "key")
    if data.new and not data.key:
        raise ApiRefused("BAD_REQUEST", "key: expected the API key of the server", "key")
    words = ["account", "add" if data.new else "edit", *(["--key-stdin"] if data.key else [])]
    options = ("host", "ws_url", "broker", "role", "product")
    words += [f"--{one.replace('_', '-')}={value}" for one in options if (value := getattr(data, one))]
    audited(
        request, state, f"account {words[1]}", name[:40],
        lambda: ask_shell(
            state.config, *words, "--", checked_name(name), of_stack=False, given=f"{data.key.strip()}\n"
        ),
    )  # fmt: skip
    return _accounts(state)


@post(
    "/api/setup/accounts/{name:str}/primary", opt=CONFIRMED_ADMIN | {"action": "account set-primary"},
    sync_to_thread=True, status_code=200,
)  # fmt: skip
def make_primary(request: ConsoleRequest, state: State, name: FromPath[str]) -> list[api.AccountSetup]:
    """Quotes and orders of this account from the next start on; the former primary becomes a backup."""
    audited(
        request, state, "account set-primary", name[:40],
        lambda: ask_shell(state.config, "account", "set-primary", "--", checked_name(name), of_stack=False),
    )  # fmt: skip
    return _accounts(state)


ROUTES = [show_accounts, ping_accounts, rotate_key, change_account, make_primary]
