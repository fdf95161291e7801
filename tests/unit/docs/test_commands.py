"""Commands and options that documents show are those of the command line: `mytrading …` in prose and in blocks."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from mytrading.cli.app import app
from mytrading.simulator.__main__ import parser
from mytrading.simulator.faults.command import _parser
from tests.kit import command_page
from tests.kit.project import ROOT

FENCED = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`([^`]+)`")
SHOWN = re.compile(r"(?:^|(?<!from)[\s;&|(]|\$ )(?:\.venv/bin/|python -m )?mytrading (?=[\w-])(.*)")
OPTION = re.compile(r"--[\w-]+")
END = re.compile(r"\s+(?:#|[|&;>)]|…).*|\s*`.*|\s{3}.*")
"""End of a command in its line: a comment, a pipe, what a document leaves out, or a column of its own words."""


def documents() -> list[Path]:
    """All that tells somebody what to type."""
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "env_template.txt", ROOT / "supervisord.conf"]
    return [*pages, *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "config").rglob("*.toml"))]


def lines_of_code(text: str) -> Iterator[str]:
    """The lines of fenced blocks, and what stands in backquotes outside of them."""
    for block in FENCED.findall(text):
        yield from block.replace("\\\n", " ").splitlines()
    yield from (" ".join(code.split()) for code in INLINE.findall(FENCED.sub("", text)))


def shown(path: Path) -> list[str]:
    """Return the words after `mytrading` in a document's line."""
    found = (SHOWN.search(line) for line in lines_of_code(path.read_text(encoding="utf-8")))
    return [END.sub("", match[1]) for match in found if match]


@functools.cache
def tree() -> Any:
    """The command line; groups of it have `commands` by name, each command its `params`."""
    return typer.main.get_command(app)


def problem(line: str) -> str:
    """Return the first word of a command that the command line does not know, "" if it knows all."""
    command = tree()
    for word in words_of(line):
        option = word.partition("=")[0]
        if option.startswith("-") and not re.fullmatch(r"-[\d.]+", option):
            if option not in known_options(command):
                return f"{command.name} has no {option}"
        elif (below := getattr(command, "commands", None)) and not word.startswith("["):
            if unknown := [one for one in word.split("|") if one not in below]:
                return f"{command.name} has no command {unknown[0]}"
            command = below[word.split("|")[0]]
    return ""


def words_of(line: str) -> list[str]:
    """The words of a command; brackets around what may be left out are not words."""
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    return [word.strip("[],.:…") if word.startswith("[-") else word.rstrip("],.:…") for word in words]


def known_options(command: Any) -> set[str]:
    """The options of a command, all their spellings. The simulator's and those of its faults are read elsewhere."""
    further = parser().format_help() + _parser().format_help() if command.name == "simulator" else "--help"
    return {*OPTION.findall(further), *(name for one in command.params for name in (*one.opts, *one.secondary_opts))}


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_document_shows_only_commands_and_options_that_exist(document: Path) -> None:
    assert [f"{line}: {found}" for line in shown(document) if (found := problem(line))] == []


def test_what_does_not_exist_is_found() -> None:
    assert problem("orders resolve ID --not-placed") == ""
    assert problem("orders resolve ID --not-there") == "resolve has no --not-there"
    assert problem("order resolve") == "mytrading has no command order"
    assert len(shown(ROOT / "README.md")) > 10


def test_readme_shows_a_command_in_each_row_of_its_table() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Watch and stop")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) > 10
    assert [row for row in rows if not SHOWN.search(row.replace("`", " "))] == []


def test_page_of_commands_is_that_of_the_commands() -> None:
    assert command_page.DOCUMENT.read_text(encoding="utf-8") == command_page.page(), "python -m tests.kit.command_page"


def test_page_of_commands_has_each_command_in_one_chapter() -> None:
    page = command_page.page()
    words = [" ".join(words) for words, _ in command_page.leaves(tree())]
    assert len(words) > 70
    assert [name for name in words if len(re.findall(rf"^### `mytrading {name}[ `]", page, re.MULTILINE)) < 1] == []
