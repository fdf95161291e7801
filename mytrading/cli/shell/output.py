"""Output of all commands: JSON or a table, notes, progress, plain text for terminals.

`--help` loads this module: nothing but the standard library at its top. Tables are plain aligned lines in pipes and
files, `rich` on terminals, several lines a row on narrow ones.
"""

from __future__ import annotations

import json
import select
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import IO, TYPE_CHECKING, Any, NamedTuple, TextIO

from mytrading.core.time import format_ist
from mytrading.messages.text import plain

if TYPE_CHECKING:
    from rich.console import Console


def print_note(text: str) -> None:
    """Print a line for the operator to stderr; stdout is kept for programs."""
    print(text, file=sys.stderr, flush=True)


def print_notes(notes: Sequence[str]) -> None:
    """Print each note as a `note: …` line to stderr."""
    for note in notes:
        print_note(f"note: {note}")


def daemon_figures(status: dict[str, Any], daemon: str) -> dict[str, float]:
    """Return the heartbeat figures of `daemon` in the gateway's `status` reply; empty if it has none."""
    return next((row.get("figures") or {} for row in status["daemons"] if row["daemon"] == daemon), {})


def margin_figures(status: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return rupees (`free`, `cash`, `reserved`, `buffer`) by account, from risk's figures in the gateway's status."""
    figures, free = daemon_figures(status, "risk"), "margin_free:"
    names = sorted(name.removeprefix(free) for name in figures if name.startswith(free))
    kinds = ("free", "cash", "reserved", "buffer")
    return {name: {kind: figures.get(f"margin_{kind}:{name}", 0.0) for kind in kinds} for name in names}


def is_reader_gone(stream: TextIO) -> bool:
    """True once the reading end of the pipe `stream` is closed; always False for a file or terminal."""
    poll = select.poll()
    poll.register(stream.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


FIRST_SECONDS, LINE_SECONDS = 2.0, 10.0
"""Seconds to the first line of progress on a stderr that is no terminal, and between further ones."""


@contextmanager
def progress_bar(
    what: str, total: int | None, quiet: bool = False, line_seconds: float = LINE_SECONDS
) -> Iterator[Callable[..., None]]:
    """Show progress and time left on stderr: a bar on a terminal (none if `quiet`), else a line after two seconds and
    then every `line_seconds`. `total` is None where it is not known.

    Yields the function that updates it: `completed`, `total`, `advance`, `note`. A shorter command prints nothing.
    """
    if not sys.stderr.isatty():
        with _progress_lines(what, total, line_seconds) as lines:
            yield lines.update
        return
    if quiet:
        yield lambda **_fields: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    figures = (TimeElapsedColumn(),) if total is None else (MofNCompleteColumn(), TimeRemainingColumn())
    columns = (TextColumn(what), BarColumn(), *figures)
    note = TextColumn("{task.fields[note]}")
    with Progress(*columns, note, console=Console(file=raw_terminal(sys.stderr)), transient=True) as shown:
        yield partial(shown.update, shown.add_task(what, total=total, note=""))


class ProgressLine:
    """Progress of a command, as one line: `bars: 12,000 of 48,000 (25%), 1 min 20 s left`. `clock` gives seconds."""

    def __init__(self, what: str, total: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.what, self.total, self.note = what, total, ""
        self.completed = 0
        self._clock = clock
        self._began = clock()
        self._first: tuple[float, int] | None = None

    def update(
        self, completed: int | None = None, total: int | None = None, note: str | None = None, advance: int = 0
    ) -> None:
        """Update the line: None leaves a value as it is, `advance` adds to `completed`."""
        if completed is not None or advance:
            self.completed = completed if completed is not None else self.completed + advance
            self._first = self._first or (self._clock(), self.completed)
        self.total = self.total if total is None else total
        self.note = self.note if note is None else note

    def text(self) -> str:
        """Return the line of now, with the time left by the pace since the first update; work before it is left out."""
        now = self._clock()
        shown = f"{self.what}: {self.completed:,}" if self.completed or self.total else self.what
        if self.total:
            shown += f" of {self.total:,} ({self.completed / self.total:.0%})"
        since, before = self._first or (now, 0)
        if self.total and self.completed > before and now > since:
            left = (self.total - self.completed) * (now - since) / (self.completed - before)
            shown += f", {spell_seconds(left)} left"
        else:
            shown += f", {spell_seconds(now - self._began)} so far"
        return f"{shown}, {self.note}" if self.note else shown


def spell_seconds(seconds: float) -> str:
    """Return a time in words: `45 s`, `1 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@contextmanager
def _progress_lines(what: str, total: int | None, every: float) -> Iterator[ProgressLine]:
    """Print the line every so many seconds until the block ends, also while nothing is updated."""
    line, ended = ProgressLine(what, total), threading.Event()

    def print_lines() -> None:
        pause = min(FIRST_SECONDS, every)
        while not ended.wait(pause):
            print_note(line.text())
            pause = every

    printer = threading.Thread(target=print_lines, name="progress", daemon=True)
    printer.start()
    try:
        yield line
    finally:
        ended.set()
        printer.join()


def print_json(body: Any) -> None:
    """Print `body` as one line of JSON on stdout."""
    print(json.dumps(body, ensure_ascii=False, default=str), flush=True)


def print_result(body: Any, as_json: bool, *lines: str) -> None:
    """Print a command's result: `body` as JSON if `as_json`, else `lines` (nothing without any)."""
    if as_json:
        print_json(body)
    elif lines:
        print(*lines, sep="\n", flush=True)


def print_rows(rows: Sequence[dict[str, Any]], columns: Sequence[str], as_json: bool, nothing: str) -> None:
    """Print a table of the named columns (`nothing` if there are no rows), or all fields as JSON."""
    if as_json:
        print_json(list(rows))
        return
    if not rows:
        print(nothing)
        return
    table = [_column(name, [row.get(name) for row in rows]) for name in columns]
    if not sys.stdout.isatty():
        print("\n".join(aligned_lines(table)))
        return
    from rich.console import Console

    draw_table(table, Console(file=sys.stdout, markup=False, emoji=False, highlight=False))


def _column(name: str, values: list[Any]) -> Column:
    """A column as shown; one that holds numbers alone is aligned to the right."""
    texts = [format_cell(name, value).replace("\n", " ") for value in values]
    there = [value for value in values if value is not None and value != ""]
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in there)
    return Column(name.removesuffix("_ns"), texts, bool(there) and numbers and not name.endswith("_ns"))


def format_cell(column: str, value: Any) -> str:
    """Format a value for a table: IST time for a column `…_ns`, two decimals for a float, – for None or ""."""
    if value is None or value == "":
        return "–"
    if column.endswith("_ns"):
        return format_ist(value)
    if isinstance(value, float):
        return f"{value:,.2f}"
    return ", ".join(map(str, value)) or "–" if isinstance(value, list | tuple) else str(value)


# layout of tables


GAP = 2
LONG = 30
"""Texts wider than this are sentences: they may be broken between words."""
MARGIN = " " * 2 * GAP
"""Before sentences that stand below their row."""
MOST_NARROW = 24
"""A sentence gets at least so many columns beside the others."""


class Column(NamedTuple):
    """A title and the texts below it; numbers are aligned to the right."""

    title: str
    texts: Sequence[str]
    number: bool

    @property
    def width(self) -> int:
        """Characters of the widest text, title included."""
        return max(len(self.title), *map(len, self.texts))

    @property
    def can_wrap(self) -> bool:
        """True if the texts are sentences that may be broken between words."""
        return not self.number and self.width > LONG and any(" " in text for text in self.texts)

    def aligned_texts(self) -> list[str]:
        """Return the title and texts, each padded to the column's width."""
        adjust = str.rjust if self.number else str.ljust
        return [adjust(text, self.width) for text in (self.title, *self.texts)]


def aligned_lines(columns: Sequence[Column], indent: int = 0) -> list[str]:
    """Return a table as text lines, header first, never wrapped; each line begins with `indent` spaces."""
    rows = zip(*(column.aligned_texts() for column in columns), strict=True)
    return [(" " * indent + (" " * GAP).join(row)).rstrip() for row in rows]


def draw_table(columns: Sequence[Column], console: Console) -> None:
    """Print a table to a terminal: one line a row if it fits, else wrapped sentences, else several lines a row."""
    sentences = [column for column in columns if column.can_wrap]
    others = _width([column for column in columns if not column.can_wrap])
    if _width(columns) > console.width and others + len(sentences) * (MOST_NARROW + GAP) > console.width:
        _draw_over_lines(columns, console)
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for column in columns:
        justify, fold = ("right" if column.number else "left"), column.can_wrap
        table.add_column(column.title, justify=justify, no_wrap=not fold, overflow="fold")  # type: ignore[arg-type]
    for row in zip(*(column.texts for column in columns), strict=True):
        table.add_row(*row)
    console.print(table)


def _width(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + GAP * max(len(columns) - 1, 0)


def _draw_over_lines(columns: Sequence[Column], console: Console) -> None:
    """Each row over several lines, aligned below as many lines of header; sentences below the rest, each with its title
    where there are several."""
    from rich.text import Text

    blocks = [aligned_lines(group, GAP * (number > 0)) for number, group in enumerate(_groups(columns, console.width))]
    sentences = [column for column in columns if column.can_wrap]
    for header in (block[0] for block in blocks):
        console.print(Text(header, "bold"), soft_wrap=True)
    if len(sentences) == 1:
        console.print(Text(MARGIN + sentences[0].title, "bold"), soft_wrap=True)
    for number in range(len(columns[0].texts)):
        for block in blocks:
            console.print(Text(block[number + 1]), soft_wrap=True)
        there = [(column.title, column.texts[number]) for column in sentences if column.texts[number] != "–"]
        labelled = len(sentences) > 1
        texts = [f"{title}: {text}" if labelled else text for title, text in there]
        for line in _packed_lines(texts, console.width - len(MARGIN)):
            console.print(Text(MARGIN + line), soft_wrap=True)


def _packed_lines(texts: Sequence[str], width: int) -> list[str]:
    """The texts as lines of at most `width` characters: as many as fit side by side, a longer one broken by itself."""
    lines: list[str] = []
    for text in texts:
        if lines and len(lines[-1]) + GAP + len(text) <= width:
            lines[-1] += " " * GAP + text
        else:
            lines += textwrap.wrap(text, width)
    return lines


def _groups(columns: Sequence[Column], width: int) -> list[list[Column]]:
    """The columns but for sentences, as many to a line as fit; further lines are indented."""
    groups: list[list[Column]] = []
    for column in (column for column in columns if not column.can_wrap):
        if groups and _width([*groups[-1], column]) + GAP * (len(groups) > 1) <= width:
            groups[-1].append(column)
        else:
            groups.append([column])
    return groups


class PlainText:
    """A text stream to a terminal, without control sequences other than colours."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write the text without control sequences other than colours; returns the length of `text`."""
        self.stream.write(plain(text, colours=True))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write each text as `write` does."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def strip_control_sequences() -> None:
    """Wrap stdout and stderr, where terminals, so that printed text keeps colours but no other control codes."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, PlainText) and stream.isatty():
            setattr(sys, name, PlainText(stream))


def raw_terminal(stream: Any) -> Any:
    """Return the terminal that a `PlainText` wraps, else `stream`; text written to it must be free of control codes."""
    return stream.stream if isinstance(stream, PlainText) else stream
