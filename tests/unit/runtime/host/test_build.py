"""The build of a process, by which two builds of one version are told apart."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mytrading.core.time import SECOND
from mytrading.messages.codec import encode_body
from mytrading.messages.journal_rows import RunStarted
from mytrading.messages.streams import SCHEMA_VERSION
from mytrading.operations.state_backup import state_contents
from mytrading.runtime.host.build import commit_of, running_build
from mytrading.runtime.journal.journal import RECORD, Entry, Journal
from tests.kit.project import ROOT
from tests.kit.run_configs import run_config

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="expected git, to make a checkout")


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    made = tmp_path / "checkout"
    made.mkdir()
    git(made, "init", "-q", "-b", "main")
    git(made, "commit", "-q", "--allow-empty", "-m", "one")
    return made


def test_commit_is_that_of_git_on_a_branch_packed_detached_and_in_a_second_work_tree(checkout: Path) -> None:
    first = git(checkout, "rev-parse", "HEAD")
    assert commit_of(checkout) == first[:12]
    git(checkout, "pack-refs", "--all")
    assert not (checkout / ".git" / "refs" / "heads" / "main").exists()
    assert commit_of(checkout) == first[:12]
    second = checkout.parent / "second"
    git(checkout, "worktree", "add", "-q", "-b", "other", str(second))
    git(second, "commit", "-q", "--allow-empty", "-m", "two")
    assert commit_of(second) == git(second, "rev-parse", "HEAD")[:12] != first[:12]
    assert commit_of(checkout) == first[:12]
    git(second, "checkout", "-q", "--detach", first)
    assert commit_of(second) == first[:12]


def test_folder_without_a_checkout_has_no_commit(tmp_path: Path) -> None:
    assert commit_of(tmp_path) == ""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/gone\n")
    assert commit_of(tmp_path) == ""


def test_process_names_the_commit_of_the_checkout_that_it_runs_from() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("expected a checkout")
    assert running_build() == git(ROOT, "rev-parse", "HEAD")[:12]


def test_state_names_the_build_of_the_newest_run_in_each_file(tmp_path: Path) -> None:
    config = run_config(tmp_path)
    journal = Journal(config.journal_dir("router"), "router", "2026-11-23", 4096)
    for build in ("aaaaaaaaaaaa", "bbbbbbbbbbbb"):
        run = RunStarted(
            daemon="router", pid=1, version="0.2.0", schema=SCHEMA_VERSION, config_hash="", machine_ns=SECOND,
            market_ns=SECOND, speed=1.0, build=build,
        )  # fmt: skip
        journal.append([Entry(RECORD, "records", encode_body(run))], 1, 1)
    journal.close()
    (row,) = [row for row in state_contents(config) if row["name"] == "journal/router"]
    assert (row["version"], row["build"]) == ("0.2.0", "bbbbbbbbbbbb")
