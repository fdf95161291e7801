"""Text of servers on a terminal: it may be coloured, and do nothing else."""

from __future__ import annotations

import io
import sys

import pytest

from mytrading.cli.shell.output import PlainText, raw_terminal, strip_control_sequences
from mytrading.messages.text import plain, shortened, shown

TITLE, CLIPBOARD = "\x1b]0;owned\x07", "\x1b]52;c;ZXZpbA==\x1b\\"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("plain ₹ text\n\tas it is", "plain ₹ text\n\tas it is"),
        (f"a{TITLE}b{CLIPBOARD}c", "abc"),
        ("a\x9d0;title\x9cb\x9b2Jc", "abc"),
        ("\x1b[2J\x1b[Hgone\x1b[1A", "gone"),
        ("one\rtwo\x08\x00\x7f\x85", "onetwo"),
        ("a\x1bPq-sixel\x1b\\b", "ab"),
        ("never ends \x1b]52;c;AAAA", "never ends "),
        ("half \x1b", "half "),
        ("\ud800x", "x"),
    ],
)
def test_text_keeps_what_can_be_read_and_nothing_that_acts(text: str, left: str) -> None:
    assert plain(text) == left


def test_printed_text_may_be_coloured_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    strip_control_sequences()
    print(f"\x1b[31mred\x1b[0m{TITLE}\x1b[2J{CLIPBOARD}")
    assert terminal.getvalue() == "\x1b[31mred\x1b[0m\n"
    assert raw_terminal(sys.stdout) is terminal
    strip_control_sequences()
    assert isinstance(sys.stdout, PlainText) and sys.stdout.stream is terminal, "guarded once"


def test_output_into_a_file_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(sys, "stdout", file)
    strip_control_sequences()
    print(TITLE, end="")
    assert file.getvalue() == TITLE


def test_short_text_ends_within_its_bytes_and_says_that_it_was_cut() -> None:
    assert shortened("as it is") == "as it is"
    cut = shortened("₹" * 5000)
    assert cut.endswith("…") and len(cut.encode()) <= 4096


def test_number_that_has_no_text_is_shown_as_one() -> None:
    assert shown(10**5000) == "a int beyond any bound"
    assert shown("x" * 500, 5) == "xxxxx"
