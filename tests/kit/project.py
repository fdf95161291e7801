"""The project folder, and copies of it that a test may change."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def copy_project(folder: Path) -> Path:
    """Make `folder` a project that a test may change: what is shipped of settings and strategies, and no account."""
    for name in ("config", "strategies"):
        without = shutil.ignore_patterns("accounts.toml", "__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=without, dirs_exist_ok=True)
    shutil.copy(ROOT / "supervisord.conf", folder)
    return folder


def unpack(archive: Path, folder: Path) -> None:
    """Take a tar.gz of ours apart; Python before 3.11.4 knows no filters."""
    with tarfile.open(archive) as opened:
        if hasattr(tarfile, "data_filter"):
            opened.extractall(folder, filter="data")
        else:
            opened.extractall(folder)
