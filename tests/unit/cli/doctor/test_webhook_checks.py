"""The check of webhooks: what is wrong with their files, who may read them, and who can reach their address."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from mytrading.cli.doctor.checks import CheckContext, Finding
from mytrading.cli.doctor.webhook_checks import check_webhooks
from mytrading.messages.run_config import WebhookRules
from mytrading.orchestrator import TradingOrchestrator
from tests.kit.project import ROOT
from tests.kit.run_configs import run_config
from tests.kit.webhooks import webhook_text


class Project:
    """A project with at most one webhook."""

    def __init__(self, folder: Path) -> None:
        self.config = replace(run_config(folder), home=str(folder))
        self.file = self.config.webhooks_dir / "alerts.toml"
        self.file.parent.mkdir(parents=True)
        self.config.calendar_path.write_bytes((ROOT / "config" / "calendar.toml").read_bytes())

    def check(self, text: str, mode: int = 0o600, public_url: str = "https://alerts.example.in") -> Finding:
        """Return doctor's finding on a webhook with this file."""
        self.file.write_text(text)
        self.file.chmod(mode)
        rules = WebhookRules(port=8701, public_url=public_url)
        return check_webhooks(CheckContext(TradingOrchestrator(replace(self.config, webhooks=rules))))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_webhook_in_order_is_shown_with_its_address(project: Project) -> None:
    found = project.check(webhook_text(start="09:20", end="15:00"))
    assert (found.verdict.value, found.found) == ("ok", "1 in order, at https://alerts.example.in")


@pytest.mark.parametrize(
    ("text", "mode", "url", "state", "said"),
    [
        ("sender = 1", 0o600, "https://a.in", "failed", "alerts.toml:1"),
        (webhook_text(start="03:00", end="04:00"), 0o600, "https://a.in", "failed", "start: expected a time while NSE"),
        (webhook_text(), 0o644, "https://a.in", "warning", "others may read"),
        (webhook_text(), 0o600, "", "warning", "senders on the internet cannot reach it"),
        (webhook_text(), 0o600, "http://a.in", "warning", "not https"),
    ],
)
def test_what_is_wrong_is_found(project: Project, text: str, mode: int, url: str, state: str, said: str) -> None:
    found = project.check(text, mode, url)
    assert found.verdict.value == state
    assert said in found.found
    assert found.cure
