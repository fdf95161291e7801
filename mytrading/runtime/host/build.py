"""The build of the running package: what tells apart two builds that call themselves the same version.

Each process writes it into the first row of its run; `state show` and `doctor` show it. It decides nothing.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import mytrading

SHOWN = 12
"""Hex digits of a build."""


@cache
def running_build() -> str:
    """Return the commit of the checkout that holds the package, else `wheel-` and a digest of the installed files;
    empty if neither is known."""
    return commit_of(Path(mytrading.__file__).resolve().parents[1]) or _installed()


def commit_of(folder: Path) -> str:
    """Return the first digits of the commit that a checkout is at; empty if the folder is none.

    Reads files alone, since a machine that trades need not have git. Changes that were not committed are not seen."""
    with suppress(OSError, UnicodeDecodeError):
        place = folder / ".git"
        if place.is_file():  # of a second work tree
            place = folder / place.read_text(encoding="utf-8").partition("gitdir:")[2].strip()
        head = (place / "HEAD").read_text(encoding="utf-8").strip()
        name = head.removeprefix("ref: ")
        return (head if name == head else _commit_named(place, name))[:SHOWN]
    return ""


def _commit_named(place: Path, name: str) -> str:
    """The commit of a branch: in a file of its own, or among the packed ones, which all work trees share."""
    shared = place
    with suppress(OSError):
        shared = place / (place / "commondir").read_text(encoding="utf-8").strip()
    for folder in (place, shared):
        with suppress(OSError):
            return (folder / name).read_text(encoding="utf-8").strip()
    for line in (shared / "packed-refs").read_text(encoding="utf-8").splitlines():
        commit, _, packed = line.partition(" ")
        if packed == name:
            return commit
    return ""


def _installed() -> str:
    with suppress(PackageNotFoundError):
        if record := distribution("mytrading").read_text("RECORD"):  # lists each file with its hash
            return f"wheel-{blake2b(record.encode(), digest_size=SHOWN // 2).hexdigest()}"
    return ""
