"""Copies of a journal's newest day file, made before an operator overrules what it says.

A copy is read like the file of a process that was killed at that moment: it ends at its last whole frame. The writer
goes on meanwhile, and never waits.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from mytrading.runtime.journal.format import SUFFIX, segments

FOLDER = "copies"
KEPT = 20
"""The newest copies that are kept of each journal."""


def copy_newest_file(folder: Path, name: str) -> Path | None:
    """Copy the newest day file of the journal in `folder`, named by its day and `name`; None if there is none. Raises
    `OSError` if it cannot be written."""
    if not (files := segments(folder)):
        return None
    kept = folder / FOLDER
    kept.mkdir(mode=0o700, exist_ok=True)
    path = kept / f"{files[-1].stem}-{name}{SUFFIX}"
    part = path.with_name(f".{path.name}.part")
    try:
        shutil.copyfile(files[-1], part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    for old in sorted(kept.glob(f"*{SUFFIX}"), key=lambda file: file.stat().st_mtime_ns)[:-KEPT]:
        old.unlink(missing_ok=True)
    return path
