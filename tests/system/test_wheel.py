"""The wheel holds the pages of the web console, or is not built; and the pages' own tests, which need Node."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lab.console_pages import PAGES, find_node
from tests.kit.project import ROOT

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
BUNDLE = Path("mytrading") / "daemons" / "console" / "bundle"
SERVES = """
from mytrading.daemons.console.page_files import BUNDLE, PageFiles, read_build
import mytrading
print(mytrading.__file__, read_build(BUNDLE), PageFiles(BUNDLE).answer("index.html", "").content.decode())
"""


def build_wheel(tree: Path, into: Path) -> subprocess.CompletedProcess[str]:
    """Build the wheel of a copy of the repository with the packages that are here, as nothing may be fetched."""
    words = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "--quiet", "-w", str(into), str(tree)]
    return subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, text=True, check=False, cwd=into)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The files of the repository that a wheel is made of, without pages."""
    copy = tmp_path / "a tree"
    skipped = shutil.ignore_patterns("__pycache__", "bundle")
    shutil.copytree(ROOT / "mytrading", copy / "mytrading", ignore=skipped)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    return copy


def test_wheel_is_refused_without_pages_and_serves_them_where_it_is_installed(tree: Path, tmp_path: Path) -> None:
    refused = build_wheel(tree, tmp_path)
    assert refused.returncode != 0 and "build them with `make console` in a checkout" in refused.stderr
    (tree / BUNDLE / "assets").mkdir(parents=True)
    (tree / BUNDLE / "index.html").write_text('<div id="root"></div><script type="module" src="/assets/a.js"></script>')
    (tree / BUNDLE / "assets" / "a.js").write_text("")
    built = build_wheel(tree, tmp_path)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    place = tmp_path / "site"
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(place)
    done = subprocess.run(
        [sys.executable, "-c", SERVES], capture_output=True, text=True, check=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(place)},
    )  # fmt: skip
    assert done.stdout.startswith(str(place)) and '<div id="root">' in done.stdout


def test_the_pages_own_tests_pass() -> None:
    node = find_node(os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)]))
    if node is None or not (PAGES / "node_modules").is_dir():
        pytest.skip("the pages were not built here: `make console` installs what their tests need")
    done = subprocess.run(
        [str(node / "npm"), "test"], cwd=PAGES, capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": os.pathsep.join([str(node), os.environ.get("PATH", "")])},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
