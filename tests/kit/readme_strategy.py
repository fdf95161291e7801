"""README's section on a first strategy, done to the letter: its files written, its variables read."""

from __future__ import annotations

import re
from pathlib import Path

from tests.kit.project import ROOT, copy_project


def follow_readme(home: Path) -> dict[str, str]:
    """Make `home` a project folder with the files of the section; returns what its command sets."""
    copy_project(home)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("## A first strategy")[2].partition("\n## ")[0]
    files = re.findall(r"`((?:strategies|config)/[\w/]+\.(?:py|toml))`[^`]*?:\n\n```\w+\n(.*?)```", section, re.DOTALL)
    for name, content in files:
        (home / name).write_text(content, encoding="utf-8")
    command = re.search(r"^((?:\w+=\S+ )+)make paper$", section, re.MULTILINE)
    assert command is not None
    assert sorted(Path(name).suffix for name, _ in files) == [".py", ".toml"]
    return dict(word.split("=", 1) for word in command[1].split())
