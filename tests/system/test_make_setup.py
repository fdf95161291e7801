"""`make setup` on a machine without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.project import ROOT

pytestmark = pytest.mark.system


def test_setup_says_what_it_fetches_and_names_a_missing_network_in_a_folder_with_blanks(tmp_path: Path) -> None:
    """Guards against minutes of silence, and a missing network reported as a package without versions."""
    folder = tmp_path / "a folder, so called"
    folder.mkdir()
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    (folder / "a python").symlink_to(Path(sys.executable).resolve())
    nowhere = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")} | nowhere
    ran = subprocess.run(
        ["make", "setup", f"PYTHON={folder}/a python"],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode != 0
    assert "packages of requirements.lock" in ran.stdout and "MB to download" in ran.stdout and "minutes" in ran.stdout
    assert "setup: no network: pip cannot reach its package index" in ran.stderr
    assert not (folder / ".venv" / ".installed").exists()
