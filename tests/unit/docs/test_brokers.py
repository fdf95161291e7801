"""docs/brokers.md is the table of brokers in words, and has the result of the last conformance run."""

from __future__ import annotations

import json
from pathlib import Path

from tests.kit.broker_page import DOCUMENT, page

NAMES = [
    "aliceblue", "angel", "arrow", "compositedge", "definedge", "deltaexchange", "dhan", "dhan_sandbox", "firstock",
    "fivepaisa", "fivepaisaxts", "flattrade", "fyers", "groww", "hdfcsecurities", "hdfcsky", "ibulls", "iifl",
    "iiflcapital", "indmoney", "jainamxts", "kotak", "motilal", "mstock", "nubra", "paytm", "pocketful", "rmoney",
    "samco", "shoonya", "tradejini", "tradesmart", "upstox", "wisdom", "zebu", "zerodha",
]  # fmt: skip
"""OpenAlgo's folders of brokers, as read in its repository on 25 November 2026."""


def test_page_is_that_of_the_table() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == page(), "python -m tests.kit.broker_page"


def test_page_names_each_of_the_36_brokers_once_in_each_part() -> None:
    text = page().partition("## Conformance")[0]
    assert len(NAMES) == 36 and "sandbox |" not in text.replace("dhan_sandbox |", "")
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    assert [name for name in rows if name not in ("broker", "*any other*")] == 2 * NAMES, "orders, prices"
    assert [line.removeprefix("### ") for line in text.splitlines() if line.startswith("### ")] == NAMES


def test_page_says_that_conformance_was_not_run_or_shows_what_came_out(tmp_path: Path) -> None:
    path = tmp_path / "brokers-conformance.json"
    assert page(path).rstrip().endswith("Not run yet.")
    cases = {"entry": "passed", "carried night": "left out: no fact of it", "refused": "failed"}
    path.write_text(json.dumps({
        "format": 1, "kinds": {"bare": "bare over 10 s without an alert", "doubled": "doubled"},
        "listed_only": ["deltaexchange"],
        "brokers": {"dhan": {"good": False, "counts": {"bare": 2, "doubled": 0}, "not_known": [], "cases": cases}},
    }))  # fmt: skip
    shown = page(path).partition("## Conformance")[2]
    assert "Not run yet" not in shown
    assert "| dhan | 1 | 1 | 1 | bare over 10 s without an alert: 2 |" in shown
    assert "Listed, not conformed: deltaexchange." in shown
