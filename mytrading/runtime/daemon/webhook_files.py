"""The webhooks that count now: the files of `config/webhooks`, read again when one of them changes.

Each daemon that deals with strategies follows the folder by itself, so that a webhook is added, edited and removed
while the stack runs. A file that cannot be read is an alert, and what it said before holds, also over a restart.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mytrading.core.text.spelling import name_key
from mytrading.core.webhooks.definition import WebhookDefinition, WebhookFileError, read_webhook
from mytrading.messages.enums import Severity
from mytrading.messages.run_config import RunConfig, StrategyRun, TradeRule
from mytrading.messages.text import read_text
from mytrading.runtime.daemon.live_files import CODE, accepted_folder, keep_text, stamp_of
from mytrading.runtime.observability.alerts import Alerts

POLL_S = 0.5


class WebhookFolder:
    """Follows the folder. `webhooks` are those that count, by name, in the order of their names.

    Without `alerts` an unreadable file is passed over in silence: one daemon that complains is enough.
    """

    def __init__(self, config: RunConfig, log: Any, alerts: Alerts | None = None) -> None:
        self.webhooks: dict[str, WebhookDefinition] = {}
        self.runs: tuple[StrategyRun, ...] = ()
        """The webhooks as strategies."""
        self._folder = config.webhooks_dir
        self._kept = accepted_folder(config.state) / "webhooks"
        self._taken = {name_key(run.name) for run in config.strategies}
        self._alerts = alerts
        self._log = log
        self._stamps: dict[str, tuple[int, int, int]] = {}
        self._problems: set[str] = set()

    @property
    def trades(self) -> tuple[TradeRule, ...]:
        """What webhooks trade by rule, each with its underlying."""
        webhooks = self.webhooks.values()
        return tuple(dict.fromkeys(rule for one in webhooks for rules in one.trades.values() for rule in rules))

    @property
    def instruments(self) -> tuple[str, ...]:
        """Every instrument that a webhook trades."""
        return tuple(dict.fromkeys(name for webhook in self.webhooks.values() for name in webhook.instruments))

    def poll(self) -> bool:
        """Read changed files; true if another set of webhooks counts than before. One look at the folder without."""
        stamps = {path.stem: stamp_of(path) for path in webhook_paths(self._folder)}
        if stamps == self._stamps:
            return False
        changed = [name for name, stamp in stamps.items() if self._stamps.get(name) != stamp]
        gone = [name for name in self._stamps if name not in stamps]
        self._stamps = stamps
        before = dict(self.webhooks)
        for name in gone:
            self.webhooks.pop(name, None)
            self._clear(name)
        for name in changed:
            self._read(name)
        self.webhooks = dict(sorted(self.webhooks.items()))
        self.runs = tuple(webhook.strategy_run() for webhook in self.webhooks.values())
        return self.webhooks != before

    def _read(self, name: str) -> None:
        path = self._folder / f"{name}.toml"
        try:
            text = read_text(path)
            made = self._judged(read_webhook(name, text))
        except (OSError, ValueError) as error:
            self._refuse(name, str(error))
            return
        keep_text(self._kept, path.name, text)
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
        """What the file said when it was last in order goes on, unless another webhook counts by now."""
        kept = self._kept / f"{name}.toml"
        if name not in self.webhooks and kept.exists():
            try:
                self.webhooks[name] = self._judged(read_webhook(name, read_text(kept)))
            except (OSError, ValueError):
                self.webhooks.pop(name, None)
        self._problems.add(name)
        holds = "what it said before holds" if name in self.webhooks else "it receives nothing"
        self._log.warning("webhook.refused", webhook=name, problem=problem, next_step=holds)
        if self._alerts is not None:
            subject = f"webhooks/{name}.toml"
            self._alerts.raise_(CODE, Severity.WARNING, subject, f"{subject} cannot be read, {holds}: {problem}")

    def _clear(self, name: str) -> None:
        if name in self._problems and self._alerts is not None:
            self._alerts.clear(CODE, f"webhooks/{name}.toml", by_operator=True)
        self._problems.discard(name)


def webhook_paths(folder: Path) -> list[Path]:
    """Return the files of webhooks in a folder, by name; [] if there is no such folder."""
    return sorted(path for path in folder.glob("*.toml") if not path.name.startswith("."))
