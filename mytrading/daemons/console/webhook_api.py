"""Routes of webhooks: what each maps and what was sent to it, its changes, and its end.

The commands of the shell do the work. An address is in one answer alone, and in no log or audit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import msgspec
from litestar import get, post
from litestar.datastructures import State
from litestar.params import FromPath, JSONBody, QueryParameter

from mytrading.daemons.console.accounts_api import ConsoleRequest
from mytrading.daemons.console.actions_api import CONFIRMED, TRADER
from mytrading.daemons.console.authentication import leave_out_of_audit
from mytrading.daemons.console.refusals import ApiRefused
from mytrading.daemons.console.setup_api import FAULTY, audited, checked_name
from mytrading.daemons.console.shell_commands import ask_shell
from mytrading.daemons.console.views import to_ms
from mytrading.messages import console_api as api

Few = Annotated[int, QueryParameter(ge=1, le=1000)]


@get("/api/webhooks", opt=TRADER, sync_to_thread=True)
def show_webhooks(state: State) -> list[api.WebhookRow]:
    """All webhooks by name, without their addresses."""
    rows = ask_shell(state.config, "webhook", "list", of_stack=False)
    for row in rows:
        row["token_made_wall_ms"] = to_ms(row.pop("token_made_ns"))
        row["old_token_until_wall_ms"] = to_ms(row.pop("old_token_until_ns"))
    return msgspec.convert(rows, list[api.WebhookRow])


@get("/api/webhooks/{name:str}/deliveries", opt=TRADER, sync_to_thread=True)
def show_deliveries(state: State, name: FromPath[str], limit: Few = 100) -> list[api.DeliveryRow]:
    """The last alerts of a webhook with their verdicts."""
    rows = ask_shell(state.config, "webhook", "log", "--limit", str(limit), "--", name[:64])
    return msgspec.convert(rows, list[api.DeliveryRow])


@get("/api/webhooks/{name:str}", opt=TRADER, sync_to_thread=True)
def show_webhook(state: State, name: FromPath[str]) -> api.WebhookView:
    """Return a webhook's mappings, and the texts to paste at its sender, with TOKEN in place of the secret."""
    found = ask_shell(state.config, "webhook", "show", "--", checked_name(name))
    return msgspec.convert(found, api.WebhookView)


@post("/api/webhooks/{name:str}", opt=CONFIRMED | {"action": "webhook edit"}, sync_to_thread=True, status_code=200)
def change_webhook(
    request: ConsoleRequest, state: State, name: FromPath[str], data: JSONBody[api.WebhookChange]
) -> api.WebhookChanged:
    """Change a webhook, import mappings, or lock it; a running stack takes it within two seconds. A preview shows what
    an import would make of each line, changes nothing, and is not audited."""

    def do() -> api.WebhookChanged:
        own = checked_name(name)
        if data.locked is not None:
            ask_shell(state.config, "webhook", "lock" if data.locked else "unlock", "--", own, of_stack=False)
            return api.WebhookChanged(changed=True, rows=[])
        words = [f"--{key}={value}" for key, value in (("mode", data.mode), ("window", data.window)) if value]
        words += [f"--square-off={data.square_off}"] if data.square_off else []
        words += [f"--map={one}" for one in data.maps] + [f"--unmap={one}" for one in data.unmap]
        words += ["--preview"] if data.preview else []
        with _mapping_file(data.csv) as csv_words:
            words += csv_words
            if not words or (data.preview and not data.csv):
                what = "mappings to preview" if data.preview else "something to change"
                raise ApiRefused("BAD_REQUEST", f"expected {what}, found nothing", "csv" if data.preview else "")
            codes = (FAULTY,) if data.csv else ()
            found = ask_shell(state.config, "webhook", "edit", *words, "--", own, of_stack=False, codes=codes)
        faulty = isinstance(found, list)
        rows = msgspec.convert(found, list[api.CsvRow]) if faulty else []
        return api.WebhookChanged(changed=not (faulty or data.preview), rows=rows)

    if data.preview:
        leave_out_of_audit(request)
        return do()
    changed: api.WebhookChanged = audited(request, state, "webhook edit", name[:40], do)
    return changed


@contextmanager
def _mapping_file(text: str) -> Iterator[list[str]]:
    """The option that imports these lines, from a file that goes with the block; none for none."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "mappings.csv"
        if text:
            file.write_text(text, encoding="utf-8")
        yield [f"--csv={file}"] if text else []


@post("/api/webhooks/{name:str}/add", opt=CONFIRMED | {"action": "webhook add"}, sync_to_thread=True, status_code=200)
def add_webhook(
    request: ConsoleRequest, state: State, name: FromPath[str], data: JSONBody[api.NewWebhook]
) -> api.WebhookAddress:
    """Make a webhook; its address, and what else a sender must know, is in this answer alone."""

    def do() -> api.WebhookAddress:
        own = checked_name(name)
        given = {"mode": data.mode, "window": data.window, "square-off": data.square_off,
                 "certificate": data.certificate}  # fmt: skip
        words = [f"--sender={data.sender}", *(f"--{key}={value}" for key, value in given.items() if value)]
        words += [f"--map={one}" for one in data.maps] + [f"--ip={one}" for one in data.ips]
        flags = {"positional": data.positional, "secret": data.secret, "hmac": data.signed}
        words += [f"--{key}" for key, value in flags.items() if value]
        with _mapping_file(data.csv) as csv_words:
            codes = (FAULTY,) if data.csv else ()
            found = ask_shell(state.config, "webhook", "add", *words, *csv_words, "--", own, codes=codes)
        if isinstance(found, list):
            return api.WebhookAddress(name=own, url="", rows=msgspec.convert(found, list[api.CsvRow]))
        return msgspec.convert(found, api.WebhookAddress)

    made: api.WebhookAddress = audited(request, state, "webhook add", name[:40], do)
    return made


@post(
    "/api/webhooks/{name:str}/rotate",
    opt=CONFIRMED | {"action": "webhook rotate"},
    sync_to_thread=True,
    status_code=200,
)
def rotate_webhook(
    request: ConsoleRequest, state: State, name: FromPath[str], data: JSONBody[api.NewAddress]
) -> api.WebhookAddress:
    """Give a webhook another address, which is in this answer alone."""
    found = audited(
        request, state, "webhook rotate", name[:40],
        lambda: ask_shell(
            state.config, "webhook", "rotate", f"--overlap={data.overlap_minutes:g}", "--", checked_name(name)
        ),
    )  # fmt: skip
    return msgspec.convert(found, api.WebhookAddress)


@post(
    "/api/webhooks/{name:str}/remove",
    opt=CONFIRMED | {"action": "webhook remove"},
    sync_to_thread=True,
    status_code=200,
)
def remove_webhook(request: ConsoleRequest, state: State, name: FromPath[str]) -> api.WebhookChanged:
    """Remove a webhook: its address is unknown at once; what it holds keeps its stops and its square-off."""
    audited(
        request, state, "webhook remove", name[:40],
        lambda: ask_shell(state.config, "webhook", "remove", "--yes", "--", checked_name(name), of_stack=False),
    )  # fmt: skip
    return api.WebhookChanged(changed=True, rows=[])


ROUTES = [
    show_webhooks, show_webhook, show_deliveries, add_webhook, change_webhook, rotate_webhook, remove_webhook
]  # fmt: skip
