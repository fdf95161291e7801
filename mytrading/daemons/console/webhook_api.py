"""Routes of webhooks: what each maps and what was sent to it, its changes, and its end.

The commands of the shell do the work. An address is shown by them alone, once.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import msgspec
from litestar import get, post
from litestar.datastructures import State
from litestar.params import FromPath, JSONBody, QueryParameter

from mytrading.daemons.console.accounts_api import ConsoleRequest
from mytrading.daemons.console.actions_api import CONFIRMED, TRADER
from mytrading.daemons.console.refusals import ApiRefused
from mytrading.daemons.console.setup_api import FAULTY, audited, checked_name
from mytrading.daemons.console.shell_commands import ask_shell
from mytrading.messages import console_api as api

Few = Annotated[int, QueryParameter(ge=1, le=1000)]


@get("/api/webhooks", opt=TRADER, sync_to_thread=True)
def show_webhooks(state: State) -> list[api.WebhookRow]:
    """All webhooks by name, without their addresses."""
    return msgspec.convert(ask_shell(state.config, "webhook", "list", of_stack=False), list[api.WebhookRow])


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


@post("/api/webhooks/{name:str}", opt=CONFIRMED, sync_to_thread=True, status_code=200)
def change_webhook(
    request: ConsoleRequest, state: State, name: FromPath[str], data: JSONBody[api.WebhookChange]
) -> api.WebhookChanged:
    """Change a webhook, import mappings, or lock it; a running stack takes it within two seconds."""

    def do() -> api.WebhookChanged:
        own = checked_name(name)
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

    changed: api.WebhookChanged = audited(request, state, "webhook edit", name[:40], do)
    return changed


@post("/api/webhooks/{name:str}/remove", opt=CONFIRMED, sync_to_thread=True, status_code=200)
def remove_webhook(request: ConsoleRequest, state: State, name: FromPath[str]) -> api.WebhookChanged:
    """Remove a webhook: its address is unknown at once; what it holds keeps its stops and its square-off."""
    audited(
        request, state, "webhook remove", name[:40],
        lambda: ask_shell(state.config, "webhook", "remove", "--yes", "--", checked_name(name), of_stack=False),
    )  # fmt: skip
    return api.WebhookChanged(changed=True, rows=[])


ROUTES = [show_webhooks, show_webhook, show_deliveries, change_webhook, remove_webhook]
