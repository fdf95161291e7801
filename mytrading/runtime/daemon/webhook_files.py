"""The webhooks that count now: the files of `config/webhooks`, read again when one of them changes.

Each daemon that deals with strategies follows the folder by itself, so that a webhook is added, edited and removed
while the stack runs. A file that cannot be read is an alert; what it said before holds as long as the process runs.

What a file said last is kept in the state folder, for positions alone: their stops, limits and square-off hold over a
restart although the file is faulty or gone by then. The copy has neither token nor guards, so no address comes back
that was rotated or removed. Risk deletes the copy of a file that is gone once nothing is held any more.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from mytrading.core.text.spelling import name_key
from mytrading.core.webhooks.definition import (
    WebhookDefinition,
    WebhookFileError,
    WebhookGuards,
    WebhookToken,
    read_webhook,
    write_webhook,
)
from mytrading.messages.enums import Severity
from mytrading.messages.run_config import RunConfig, StrategyRun, TradeRule
from mytrading.messages.text import read_text
from mytrading.runtime.daemon.live_files import CODE, Stamp, accepted_folder, keep_text, stamp_of
from mytrading.runtime.observability.alerts import Alerts

POLL_S = 0.5
_NO_TOKEN = WebhookToken(digest="0" * 64)
"""Of no token: nobody knows a text with this digest."""


class WebhookFolder:
    """Follows the folder of webhooks. `webhooks` are the accepted files by name, in the order of names.

    Without `alerts` an unreadable file is passed over in silence: one daemon that complains is enough.
    """

    def __init__(self, config: RunConfig, log: Any, alerts: Alerts | None = None) -> None:
        self.webhooks: dict[str, WebhookDefinition] = {}
        self.closing: dict[str, WebhookDefinition] = {}
        """Webhooks whose files are gone and whose positions may not be: they receive nothing (see `forget`)."""
        self.runs: tuple[StrategyRun, ...] = ()
        """The webhooks as strategies, also those that are closing."""
        self._folder = config.webhooks_dir
        self._kept = accepted_folder(config.state) / "webhooks"
        self._taken = {name_key(run.name) for run in config.strategies}
        self._alerts = alerts
        self._log = log
        self._stamps: dict[str, Stamp] = {}
        self._left: dict[str, Stamp] = {}
        self._problems: set[str] = set()

    @property
    def trades(self) -> tuple[TradeRule, ...]:
        """The rules by which webhooks choose contracts, each with its underlying."""
        return tuple(dict.fromkeys(rule for one in self._all for rules in one.trades.values() for rule in rules))

    @property
    def instruments(self) -> tuple[str, ...]:
        """Every instrument that a webhook trades."""
        return tuple(dict.fromkeys(name for webhook in self._all for name in webhook.instruments))

    @property
    def _all(self) -> tuple[WebhookDefinition, ...]:
        return (*self.webhooks.values(), *self.closing.values())

    def poll(self) -> bool:
        """Read changed files; true if another set of webhooks counts than before. A look at two folders without."""
        stamps = {path.stem: stamp_of(path) for path in webhook_paths(self._folder)}
        left = {path.stem: stamp_of(path) for path in webhook_paths(self._kept) if path.stem not in stamps}
        if (stamps, left) == (self._stamps, self._left):
            return False
        changed = [name for name, stamp in stamps.items() if self._stamps.get(name) != stamp]
        gone = [name for name in self._stamps if name not in stamps]
        self._stamps, self._left = stamps, left
        before = (self.webhooks, self.closing)
        self.webhooks = {name: webhook for name, webhook in self.webhooks.items() if name in stamps}
        for name in gone:
            self._clear(name)
        for name in changed:
            self._read(name)
        self.webhooks = dict(sorted(self.webhooks.items()))
        self.closing = {}
        for name in left:
            if (kept := self._kept_copy(name)) is not None and name_key(name) not in self._taken:
                self.closing[name] = kept
        self.runs = tuple(webhook.strategy_run() for webhook in self._all)
        return (self.webhooks, self.closing) != before

    def forget(self, name: str) -> None:
        """Delete what is kept of a webhook that is closing: nothing is held or on its way any more."""
        (self._kept / f"{name}.toml").unlink(missing_ok=True)

    def _read(self, name: str) -> None:
        path = self._folder / f"{name}.toml"
        try:
            text = read_text(path)
            made = self._judged(read_webhook(name, text))
        except (OSError, ValueError) as error:
            self._refuse(name, str(error))
            return
        keep_text(self._kept, path.name, write_webhook(replace(made.file, token=_NO_TOKEN, guards=WebhookGuards())))
        self.webhooks[name] = made
        self._clear(name)
        self._log.info("webhook.taken", webhook=name, instruments=list(made.instruments), locked=made.file.locked)

    def _judged(self, webhook: WebhookDefinition) -> WebhookDefinition:
        key = name_key(webhook.name)
        others = [name for name in self.webhooks if name != webhook.name and name_key(name) == key]
        if key in self._taken or others:
            raise WebhookFileError((f"{webhook.name}: a strategy has this name; give the webhook's file another",))
        return webhook

    def _refuse(self, name: str, problem: str) -> None:
        holds = "what it said before holds" if name in self.webhooks else "it receives nothing"
        if name not in self.webhooks and (kept := self._kept_copy(name)) is not None:
            with suppress(WebhookFileError):
                self.webhooks[name] = self._judged(kept)
                holds = "it receives nothing; its positions are guarded as before"
        self._problems.add(name)
        self._log.warning("webhook.refused", webhook=name, problem=problem, next_step=holds)
        if self._alerts is not None:
            subject = f"webhooks/{name}.toml"
            self._alerts.raise_(CODE, Severity.WARNING, subject, f"{subject} cannot be read, {holds}: {problem}")

    def _kept_copy(self, name: str) -> WebhookDefinition | None:
        """Return the file's last valid content, without its token; None if that is not known."""
        with suppress(OSError, ValueError):
            return read_webhook(name, read_text(self._kept / f"{name}.toml"))
        return None

    def _clear(self, name: str) -> None:
        if name in self._problems and self._alerts is not None:
            self._alerts.clear(CODE, f"webhooks/{name}.toml", by_operator=True)
        self._problems.discard(name)


def webhook_paths(folder: Path) -> list[Path]:
    """Return the files of webhooks in a folder, by name; [] if there is no such folder."""
    return sorted(path for path in folder.glob("*.toml") if not path.name.startswith("."))
