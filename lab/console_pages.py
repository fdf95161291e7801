"""Builds the pages of the web console: `python -m lab.console_pages`, which `make console` runs.

Node is the machine's own from 20.19 on, else the pinned wheels of `requirements-console.lock`, installed beside Python.
npm installs what `package-lock.json` pins, runs no script of a package, and keeps its downloads inside `.venv`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "console"
BUNDLE = ROOT / "mytrading" / "daemons" / "console" / "bundle"
LEAST_NODE = (20, 19)


class PagesNotBuilt(Exception):
    """The pages could not be built; the message says what failed and what to do."""


def node_version(node: str) -> tuple[int, int]:
    """Return major and minor version of a node program; (0, 0) if it does not run."""
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0, 0
    found = re.match(r"v(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def find_node(path: str | None = None) -> Path | None:
    """Return the folder of a node from `LEAST_NODE` on that has npm beside it; None if `path` (PATH) has none."""
    for name in (path or os.environ.get("PATH", "")).split(os.pathsep):
        folder = Path(name)
        if (folder / "npm").exists() and node_version(str(folder / "node")) >= LEAST_NODE:
            return folder
    return None


def fetch_node() -> Path:
    """Install the pinned wheels of node; returns the folder of its programs."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    done = subprocess.run([*pip, "-r", str(ROOT / "requirements-console.lock")], check=False)
    folder = Path(sys.executable).parent
    if done.returncode or node_version(str(folder / "node")) < LEAST_NODE:
        least = ".".join(map(str, LEAST_NODE))
        raise PagesNotBuilt(f"no Node from {least} on is here, and its wheel could not be installed; install Node")
    return folder


def run_npm(folder: Path, *words: str) -> None:
    """Run npm in the folder of the pages; raises `PagesNotBuilt` if it fails."""
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(folder), os.environ.get("PATH", "")]),
        "npm_config_cache": str(Path(sys.prefix) / "npm"),
        "npm_config_update_notifier": "false",
    }
    npm = shutil.which("npm", path=str(folder)) or "npm"
    done = subprocess.run([npm, *words], cwd=PAGES, env=environment, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise PagesNotBuilt(f"`npm {' '.join(words)}` failed with code {done.returncode}, as it says above")


def build() -> None:
    """Build the pages into the package; raises `PagesNotBuilt`, also where their types are not the program's."""
    from lab.console_types import drift

    if wrong := drift():
        raise PagesNotBuilt("\n".join(["the pages' types are not those of this program:", *wrong]))
    folder = find_node() or fetch_node()
    run_npm(folder, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    run_npm(folder, "run", "build")
    if not (BUNDLE / "index.html").is_file():
        raise PagesNotBuilt(f"expected {BUNDLE / 'index.html'} after the build; see what vite says above")


def main() -> int:
    """Build; returns the exit code."""
    try:
        build()
    except PagesNotBuilt as error:
        print(f"console: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
