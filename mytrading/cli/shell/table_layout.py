"""Layout of tables: plain aligned lines in pipes and files, `rich` on terminals, several lines a row on narrow ones."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

GAP = 2
LONG = 30
"""Texts wider than this are sentences: they may be broken between words."""
MOST_NARROW = 24
"""A sentence gets at least so many columns beside the others."""


class Column(NamedTuple):
    """A title and the texts below it; numbers are aligned to the right."""

    title: str
    texts: Sequence[str]
    number: bool

    @property
    def width(self) -> int:
        """The widest text of it."""
        return max(len(self.title), *map(len, self.texts))

    @property
    def sentence(self) -> bool:
        """True if its texts may be broken."""
        return not self.number and self.width > LONG and any(" " in text for text in self.texts)

    def aligned(self, text: str) -> str:
        """A text as wide as the column."""
        return text.rjust(self.width) if self.number else text.ljust(self.width)


def aligned_lines(columns: Sequence[Column], indent: int = 0) -> list[str]:
    """The header and a line for each row, however wide."""
    rows = zip(*([column.aligned(text) for text in (column.title, *column.texts)] for column in columns), strict=True)
    return [(" " * indent + (" " * GAP).join(row)).rstrip() for row in rows]


def draw(columns: Sequence[Column], console: Console) -> None:
    """A table on a terminal: one line a row if it fits, else sentences folded, else several lines a row."""
    sentences = [column for column in columns if column.sentence]
    others = _width([column for column in columns if not column.sentence])
    if _width(columns) > console.width and others + len(sentences) * (MOST_NARROW + GAP) > console.width:
        _draw_over_lines(columns, console)
        return
    console.print(_table(columns))


def _width(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + GAP * max(len(columns) - 1, 0)


def _table(columns: Sequence[Column]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for column in columns:
        justify, fold = ("right" if column.number else "left"), column.sentence
        table.add_column(column.title, justify=justify, no_wrap=not fold, overflow="fold")  # type: ignore[arg-type]
    for row in zip(*(column.texts for column in columns), strict=True):
        table.add_row(*row)
    return table


def _draw_over_lines(columns: Sequence[Column], console: Console) -> None:
    """Each row over several lines, aligned below as many lines of header; sentences below the rest."""
    from rich.text import Text

    blocks = [aligned_lines(group, GAP * (number > 0)) for number, group in enumerate(_groups(columns, console.width))]
    sentences = [column for column in columns if column.sentence]
    for header in (block[0] for block in blocks):
        console.print(Text(header, "bold"), soft_wrap=True)
    if sentences:
        console.print(Text(" " * 2 * GAP + ", ".join(column.title for column in sentences), "bold"), soft_wrap=True)
    margin = " " * 2 * GAP
    for number in range(len(columns[0].texts)):
        for block in blocks:
            console.print(Text(block[number + 1]), soft_wrap=True)
        for text in (column.texts[number] for column in sentences if column.texts[number] != "–"):
            broken = textwrap.fill(text, console.width, initial_indent=margin, subsequent_indent=margin)
            console.print(Text(broken), soft_wrap=True)


def _groups(columns: Sequence[Column], width: int) -> list[list[Column]]:
    """The columns but for sentences, as many to a line as fit; further lines are indented."""
    groups: list[list[Column]] = []
    for column in (column for column in columns if not column.sentence):
        if groups and _width([*groups[-1], column]) + GAP * (len(groups) > 1) <= width:
            groups[-1].append(column)
        else:
            groups.append([column])
    return groups
