"""No file of the repository holds a key: not an API key, not a Fernet key, not a token of one."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.kit.project import ROOT

PATTERNS = {
    "an API key": r"(?i)(api_?key|secret|password|auth_?token)[\"']?\s*[:=]\s*[\"']?[0-9a-f]{32,}\b",
    "a Fernet token": r"\bgAAAAA[A-Za-z0-9_-]{60,}={0,2}",
    "a Fernet key": r"[\"'=\s][A-Za-z0-9_-]{43}=[\"'\s]",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
}


def repository() -> list[str]:
    """The files under version control; all that a source archive holds where git is not there."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return done.stdout.split("\n")[:-1]
    folders = ("config", "docs", "mytrading", "strategies", "tests")
    return [str(path.relative_to(ROOT)) for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]


@pytest.mark.slow
@pytest.mark.parametrize("what", PATTERNS)
def test_repository_holds_no_secret(what: str) -> None:
    expression = re.compile(PATTERNS[what])
    found = []
    for name in repository():
        path = ROOT / name
        if path.is_file() and name != "tests/unit/test_secrets.py":
            found += [
                f"{name}: {match[0].strip()[:12]}…" for match in expression.finditer(path.read_text(errors="replace"))
            ]
    assert found == []


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("an API key", "OPENALGO_API_KEY=" + "0123456789abcdef" * 4),
        ("a Fernet token", "key = gAAAAA" + "x" * 94 + "=="),
        ("a Fernet key", "MYTRADING_KEY=" + "A" * 43 + "= "),
        ("a private key", "-----BEGIN RSA PRIVATE KEY-----"),
    ],
)
def test_secret_would_be_found(what: str, text: str) -> None:
    assert re.search(PATTERNS[what], text)
