"""The folder of webhooks: what is taken, and what a file that is faulty or gone leaves for its positions."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from mytrading.core.webhooks.authentication import TokenBook
from mytrading.runtime.daemon.live_files import accepted_folder
from mytrading.runtime.daemon.webhook_files import WebhookFolder
from mytrading.runtime.observability.logging import get_logger
from tests.kit.run_configs import run_config
from tests.kit.webhooks import TOKEN, webhook_text

SECRET = '[guards]\nhmac_key = "0123456789abcdef0123456789abcdef"\n'


class Project:
    """A project with one webhook, read by processes that come and go."""

    def __init__(self, folder: Path) -> None:
        self.config = msgspec.structs.replace(run_config(folder), home=str(folder))
        self.file = self.config.webhooks_dir / "alerts.toml"
        self.copy = accepted_folder(self.config.state) / "webhooks" / "alerts.toml"
        self.file.parent.mkdir(parents=True)
        self.file.write_text(webhook_text(square_off="15:10") + SECRET)

    def process(self) -> WebhookFolder:
        """A process that has just started."""
        made = WebhookFolder(self.config, get_logger("test"))
        made.poll()
        return made


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def accepts(folder: WebhookFolder, token: str = TOKEN) -> bool:
    return TokenBook(folder.webhooks.values()).find(token, 0) is not None


def test_webhook_is_taken_and_its_copy_has_no_secrets(project: Project) -> None:
    folder = project.process()
    assert accepts(folder)
    assert folder.instruments == ("NSE:SBIN",)
    (digest,) = {one.file.token.digest for one in folder.webhooks.values()}
    kept = project.copy.read_text()
    assert digest not in kept
    assert "hmac_key" not in kept
    assert folder.poll() is False


def test_faulty_edit_changes_nothing_until_a_restart_which_takes_its_token_away(project: Project) -> None:
    folder = project.process()
    project.file.write_text("mode = 5")
    folder.poll()
    assert accepts(folder)
    fresh = project.process()
    assert [run.square_off for run in fresh.runs] == ["15:10"]
    assert not accepts(fresh)
    assert not accepts(fresh, "")


def test_removed_webhook_receives_nothing_and_guards_its_positions_until_it_is_forgotten(project: Project) -> None:
    folder = project.process()
    project.file.unlink()
    assert folder.poll() is True
    for one in (folder, project.process()):
        assert (list(one.webhooks), list(one.closing)) == ([], ["alerts"])
        assert [(run.name, run.square_off) for run in one.runs] == [("alerts", "15:10")]
        assert one.instruments == ("NSE:SBIN",)
        assert not accepts(one)
    folder.forget("alerts")
    assert folder.poll() is True
    assert not project.copy.exists()
    for one in (folder, project.process()):
        assert (one.webhooks, one.closing, one.runs) == ({}, {}, ())


def test_webhook_that_is_added_again_is_not_closing_any_more(project: Project) -> None:
    text = project.file.read_text()
    folder = project.process()
    project.file.unlink()
    folder.poll()
    project.file.write_text(text)
    folder.poll()
    assert (list(folder.webhooks), folder.closing) == (["alerts"], {})
    assert accepts(folder)
