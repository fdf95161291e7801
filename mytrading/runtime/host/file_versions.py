"""Files of `config/` written by a program: compared with what is there, and what was there before is kept.

A digest says which text a writer has seen, so that nothing is written over what changed meanwhile.
"""

from __future__ import annotations

import time
from difflib import unified_diff
from hashlib import blake2b
from pathlib import Path

VERSIONS = ".versions"
"""The folder beside the files that holds those from before, a folder for each."""


def digest_of_text(text: str) -> str:
    """Return a short digest of a file's text, by which a program says what it saw; empty for no file."""
    return blake2b(text.encode(), digest_size=8).hexdigest() if text else ""


def diff_of(before: str, after: str, file: str) -> list[str]:
    """Return the lines of a unified diff; empty if nothing changes."""
    lines = unified_diff(before.splitlines(), after.splitlines(), f"{file} now", f"{file} then", lineterm="")
    return list(lines)


def versions_of(path: Path) -> list[str]:
    """Return the names of the versions of a file, the newest first."""
    return sorted((one.stem for one in (path.parent / VERSIONS / path.stem).glob("*.toml")), reverse=True)


def version_text(path: Path, version: str) -> str:
    """Return the text of one of `versions_of`; raises `ValueError` if there is none of this name."""
    known = versions_of(path)
    if version not in known:
        raise ValueError(
            f"expected a version of {path.name} ({', '.join(known) or 'there is none'}), found {version!r}"
        )
    return (path.parent / VERSIONS / path.stem / f"{version}.toml").read_text(encoding="utf-8")


def write_version(path: Path, before: str, after: str) -> str:
    """Write a file, and keep what was there; returns the name of that version, empty for a new file."""
    kept = ""
    if before:
        folder = path.parent / VERSIONS / path.stem
        folder.mkdir(parents=True, exist_ok=True)
        kept = time.strftime("%Y%m%dT%H%M%S", time.gmtime()) + f"-{digest_of_text(before)}"
        (folder / f"{kept}.toml").write_text(before, encoding="utf-8")
    write_whole(path, after.encode())
    return kept


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; raises `OSError`, and the previous file stays. One writer at a time."""
    made = path.with_name(f".{path.name}.new")
    made.write_bytes(data)
    made.replace(path)
