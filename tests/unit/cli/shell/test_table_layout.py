"""Tables: aligned and whole in a pipe, readable in 80 columns of a terminal."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from typing import Any

import pytest

from mytrading.cli.shell.output import print_rows

POSITIONS = ("strategy", "instrument", "product", "quantity", "average_price", "ltp", "unrealised", "realised", "stop",
             "stop_covers", "stop_state", "confidence", "age")  # fmt: skip
ROWS: list[dict[str, Any]] = [
    {"strategy": "SMA_Crossover", "instrument": "NFO:NIFTY30DEC2526000CE", "product": "NRML", "quantity": -150,
     "average_price": 101.25, "ltp": 99.0, "unrealised": 337.5, "realised": -1234567.5, "stop": None, "stop_covers": 0,
     "stop_state": "none", "confidence": "CONFIRMED", "age": "12 min"},
    {"strategy": "(unmanaged)", "instrument": "NSE:SBIN", "product": "MIS", "quantity": 5, "confidence": "STALE"},
]  # fmt: skip
ALERT = {
    "at_ns": 1795406969415886980, "severity": "CRITICAL", "code": "ENTRY_LEFT", "count": 12,
    "message": "an entry of SMA_Crossover rests at the broker [bold] although no intent wants it: cancel it by hand",
}  # fmt: skip
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    """A screen."""

    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, Any]], columns: tuple[str, ...], width: int) -> str:
    screen = Terminal()
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", screen)
    print_rows(rows, columns, False, "none")
    return screen.getvalue()


def test_table_in_a_pipe_is_one_plain_line_a_row_with_numbers_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(ROWS, POSITIONS, False, "none")
    header, first, second = capsys.readouterr().out.splitlines()
    assert "\x1b" not in first and len(first) > 120
    end = header.index("quantity") + len("quantity")
    assert (first[:end].split()[-1], second[:end].split()[-1]) == ("-150", "5")
    assert first[end] == second[end] == " "


def test_table_that_fits_a_terminal_has_a_bold_header_and_a_line_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, ROWS, POSITIONS[:5], 80)
    assert "\x1b[1m" in text.splitlines()[0]
    header, first, _ = (COLOUR.sub("", line).rstrip() for line in text.splitlines())
    assert header.endswith("average_price") and first.endswith("101.25") and len(first) == len(header)


def test_positions_are_whole_in_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [COLOUR.sub("", line) for line in shown(monkeypatch, ROWS, POSITIONS, 80).splitlines()]
    assert max(map(len, lines)) <= 80
    words = " ".join(lines).split()
    assert {*POSITIONS} <= {*words}
    assert {"NFO:NIFTY30DEC2526000CE", "-1,234,567.50", "337.50", "CONFIRMED"} <= {*words}
    assert len(lines) % (len(ROWS) + 1) == 0, "as many lines a row as the header has"


def test_sentence_is_folded_between_words_and_never_read_as_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    for width in (80, 60):
        text = shown(monkeypatch, [ALERT], ("at_ns", "severity", "code", "message", "count"), width)
        lines = [COLOUR.sub("", line).rstrip() for line in text.splitlines()]
        assert max(map(len, lines)) <= width
        assert "[bold]" in text and "2026-11-23 09:39:29" in text
        assert not any(line.split()[-1:] == ["alth"] for line in lines)


def test_sentences_of_several_columns_stand_below_their_row_with_their_titles(monkeypatch: pytest.MonkeyPatch) -> None:
    long = "a value of so many words that it has to be broken between two of them, and then again"
    rows = [
        {"name": f"system.{'x' * 40}", "value": "paper", "origin": "default"},
        {"name": "system.mode", "value": "", "origin": "the profile that was chosen on the command line"},
        {"name": "system.text", "value": long, "origin": "default"},
    ]
    lines = [COLOUR.sub("", line).rstrip() for line in shown(monkeypatch, rows, tuple(rows[0]), 80).splitlines()]
    assert lines[:3] == ["name", rows[0]["name"], "    value: paper  origin: default"]
    assert lines[3:5] == ["system.mode", "    origin: the profile that was chosen on the command line"]
    assert lines[5] == "system.text" and lines[6].startswith("    value: a value of so many")
    assert max(map(len, lines)) <= 80 and lines[-1].endswith("origin: default")


def test_columns_of_truth_values_and_times_are_no_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([{"enabled": True, "at_ns": 0, "n": 1}], ("enabled", "at_ns", "n"), False, "none")
    assert capsys.readouterr().out.splitlines()[1].startswith("True     1970")


@pytest.mark.slow
def test_help_loads_no_rich() -> None:
    code = "import sys; import mytrading.cli.app; sys.exit(any(name.startswith('rich') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
