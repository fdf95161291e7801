"""The address of webhooks: the public one of the settings, or where the running stack listens.

A webhook's token is shown once, so nothing that is wrong here may keep its address from being printed.
"""

from __future__ import annotations

import time

from mytrading.config.problems import ConfigurationError
from mytrading.messages.run_config import RunConfigError
from mytrading.messages.run_settings import WebhookRules
from mytrading.orchestrator import NotRunning, SeveralRun, TradingOrchestrator
from mytrading.runtime.host.paths import project_home
from mytrading.runtime.streams.endpoints import read_webhook_endpoint


def webhook_address(profile: str, patience_s: float) -> tuple[str, list[str]]:
    """Return the address before the path, and notes. A running stack that has just got its first webhook is given
    `patience_s` seconds to listen."""
    try:
        found = TradingOrchestrator.find(profile or None)
    except NotRunning:
        return _of_settings(profile)
    except (RunConfigError, SeveralRun) as error:
        url, notes = _of_settings(profile)
        return url, [*notes, str(error)]
    if not found.is_running():
        return _of_settings(profile)
    if found.config.webhooks.public_url:
        return found.config.webhooks.public_url.rstrip("/"), []
    deadline = time.monotonic() + patience_s
    while (place := read_webhook_endpoint(found.config)) is None:
        if time.monotonic() > deadline:
            url, notes = _of_settings(profile)
            note = "the running stack does not listen for webhooks yet; see `mytrading logs webhooks`"
            return url, [*notes, note]
        time.sleep(0.05)
    return str(place["url"]), []


def _of_settings(profile: str) -> tuple[str, list[str]]:
    from mytrading.config.loading import load_settings

    rules, notes = WebhookRules(), list[str]()
    try:
        rules = load_settings(project_home(), profile or "default", checked=False).webhooks
    except ConfigurationError as error:
        notes = [f"the settings cannot be read, so the address is that of the default port: {error}"]
    if not rules.public_url and not rules.port:
        notes.append("the port is known once a stack runs (WEBHOOK_PORT=0): `mytrading endpoints` names it")
    return rules.public_url.rstrip("/") or f"http://127.0.0.1:{rules.port}", notes
