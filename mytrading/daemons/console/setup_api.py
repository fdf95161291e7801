"""Routes that change what a stack is set up with, accounts and webhooks, and the margin calculator.

The commands of the shell do the work: they ping servers, encrypt keys and judge files. A key goes to their standard
input, and into no log, audit or answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import msgspec
from litestar import get, post
from litestar.datastructures import State
from litestar.params import FromPath, JSONBody, QueryParameter

from mytrading.daemons.console.accounts_api import ADMIN, CONFIRMED_ADMIN, ConsoleRequest
from mytrading.daemons.console.actions_api import CONFIRMED, query_gateway
from mytrading.daemons.console.refusals import ApiRefused
from mytrading.daemons.console.shell_commands import ask_shell
from mytrading.messages import console_api as api
from mytrading.messages import ops

FAILED, FAULTY = 1, 4
"""Exit codes of commands that print their answer all the same: a server did not answer well, rows are faulty."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,40}")
_FREE = "margin_free:"
Short = Annotated[str, QueryParameter(max_length=64)]
Amount = Annotated[float, QueryParameter(ge=0.0, le=1e12)]


def _named(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ApiRefused("BAD_REQUEST", f"name: expected letters, digits, _ and -, found {name[:40]!r}", "name")
    return name


def _audited(request: ConsoleRequest, state: State, action: str, target: str, do: Callable[[], Any]) -> Any:
    """What `do` returns, with a row of the audit for it, also where it is refused."""
    row = state.store.audit(request.user.name, request.user.ip, action, target, "asked", "")
    try:
        found = do()
    except ApiRefused as error:
        state.store.settle(row, "refused", error.error)
        raise
    state.store.settle(row, "done", "")
    return found


def _accounts(state: State) -> list[api.AccountSetup]:
    return msgspec.convert(ask_shell(state.config, "account", "list", of_stack=False), list[api.AccountSetup])


@get("/api/setup/accounts", opt=ADMIN, sync_to_thread=True)
def show_accounts(state: State) -> list[api.AccountSetup]:
    """The accounts of the project, without their keys; a running stack keeps those that it was started with."""
    return _accounts(state)


@post("/api/setup/accounts/test", opt=ADMIN, sync_to_thread=True, status_code=200)
def ping_accounts(request: ConsoleRequest, state: State) -> list[api.AccountAnswer]:
    """Ask each account's server whether it knows the key."""
    rows = _audited(
        request, state, "account test", "all",
        lambda: ask_shell(state.config, "account", "test", of_stack=False, codes=(FAILED,)),
    )  # fmt: skip
    return msgspec.convert(rows, list[api.AccountAnswer], strict=False)


@post("/api/setup/accounts/rotate-key", opt=CONFIRMED_ADMIN, sync_to_thread=True, status_code=200)
def rotate_key(request: ConsoleRequest, state: State) -> list[api.AccountSetup]:
    """Encrypt all keys under a new one."""
    _audited(
        request, state, "account rotate-key", "all",
        lambda: ask_shell(state.config, "account", "rotate-key", of_stack=False),
    )  # fmt: skip
    return _accounts(state)


@post("/api/setup/accounts/{name:str}", opt=CONFIRMED_ADMIN, sync_to_thread=True, status_code=200)
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
    _audited(
        request, state, f"account {words[1]}", name[:40],
        lambda: ask_shell(state.config, *words, "--", _named(name), of_stack=False, given=f"{data.key.strip()}\n"),
    )  # fmt: skip
    return _accounts(state)


@post("/api/setup/accounts/{name:str}/primary", opt=CONFIRMED_ADMIN, sync_to_thread=True, status_code=200)
def make_primary(request: ConsoleRequest, state: State, name: FromPath[str]) -> list[api.AccountSetup]:
    """Quotes and orders of this account from the next start on; the former primary becomes a backup."""
    _audited(
        request, state, "account set-primary", name[:40],
        lambda: ask_shell(state.config, "account", "set-primary", "--", _named(name), of_stack=False),
    )  # fmt: skip
    return _accounts(state)


@post("/api/webhooks/{name:str}", opt=CONFIRMED, sync_to_thread=True, status_code=200)
def change_webhook(
    request: ConsoleRequest, state: State, name: FromPath[str], data: JSONBody[api.WebhookChange]
) -> api.WebhookChanged:
    """Change a webhook, import mappings, or lock it; a running stack takes it within two seconds."""

    def do() -> api.WebhookChanged:
        own = _named(name)
        if data.locked is not None:
            ask_shell(state.config, "webhook", "lock" if data.locked else "unlock", "--", own, of_stack=False)
            return api.WebhookChanged(changed=True, rows=[])
        words = [f"--{key}={value}" for key, value in (("mode", data.mode), ("window", data.window)) if value]
        words += [f"--square-off={data.square_off}"] if data.square_off else []
        words += ["--preview"] if data.preview else []
        with TemporaryDirectory() as folder:
            if data.csv:
                file = Path(folder) / "mappings.csv"
                file.write_text(data.csv, encoding="utf-8")
                words.append(f"--csv={file}")
            if not words or (data.preview and not data.csv):
                what = "mappings to preview" if data.preview else "something to change"
                raise ApiRefused("BAD_REQUEST", f"expected {what}, found nothing", "csv" if data.preview else "")
            codes = (FAULTY,) if data.csv else ()
            found = ask_shell(state.config, "webhook", "edit", *words, "--", own, of_stack=False, codes=codes)
        faulty = isinstance(found, list)
        rows = msgspec.convert(found, list[api.CsvRow]) if faulty else []
        return api.WebhookChanged(changed=not (faulty or data.preview), rows=rows)

    changed: api.WebhookChanged = _audited(request, state, "webhook edit", name[:40], do)
    return changed


@get("/api/margin", sync_to_thread=True)
def show_margin(state: State) -> list[api.MarginRow]:
    """What each account has free, and why it is not more."""
    status = query_gateway(state, ops.StatusQuery())
    row: dict[str, Any] = next((one for one in status["daemons"] if one["daemon"] == "risk"), {})
    figures: dict[str, float] = dict(row.get("figures") or {})
    names = sorted(name.removeprefix(_FREE) for name in figures if name.startswith(_FREE))
    kinds = ("free", "cash", "reserved", "buffer")
    return [
        api.MarginRow(account=name, **{kind: figures.get(f"margin_{kind}:{name}", 0.0) for kind in kinds})
        for name in names
    ]


@get("/api/margin/lots", sync_to_thread=True)
def show_lots(
    state: State,
    margin: Amount,
    instrument: Short = "NIFTY",
    kind: Short = "sold",
    grade: Short = "balanced",
    premium: Amount = 0.0,
    *,
    expiry: Annotated[bool, QueryParameter()] = False,
) -> api.LotsAnswer:
    """How many lots a margin pays for, by the formula that sizes orders."""
    words = [f"--margin={margin}", f"--instrument={instrument}", f"--type={kind}", f"--grade={grade}"]
    words += [f"--premium={premium}", "--expiry" if expiry else "--no-expiry"]
    return msgspec.convert(ask_shell(state.config, "margin", *words, codes=(FAILED,)), api.LotsAnswer)


ROUTES = [
    show_accounts, ping_accounts, rotate_key, change_account, make_primary, change_webhook, show_margin, show_lots,
]  # fmt: skip
