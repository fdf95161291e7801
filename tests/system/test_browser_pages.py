"""Pages of reports in Chromium: what they show once their scripts have run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mytrading.reports.document import encode_report
from mytrading.reports.page import write_report_files
from tests.kit.in_process_command import asked
from tests.kit.pages import Seen, browse, hostile, needs_chromium, report_of
from tests.kit.project import copy_project

pytestmark = pytest.mark.system


@needs_chromium
def test_browser_shows_the_hostile_report_and_draws_its_charts(tmp_path: Path) -> None:
    page = write_report_files(hostile(), tmp_path / "runs" / "one" / "report.html")
    text = browse(page, tmp_path / "profile")
    seen = Seen(text)
    assert len([tag for tag, found in seen.tags if "js-plotly-plot" in (found.get("class") or "")]) == 2
    assert [found.get("class") for tag, found in seen.tags if tag == "td" and "bad" in (found.get("class") or "")]
    assert "−₹98,76,543.25" in text and "−₹15,00,000" in text and "2024-03-13 09:16:30" in text
    assert "throw 1" not in "".join(seen.scripts[2:])
    assert len([tag for tag, _ in seen.tags if tag == "b"]) == 2, "those of the cards"


@needs_chromium
def test_browser_says_which_script_is_missing_and_still_shows_tables(tmp_path: Path) -> None:
    page = write_report_files(hostile(), tmp_path / "report.html")
    shutil.rmtree(tmp_path / "assets")
    text = browse(page, tmp_path / "profile")
    assert "not drawn, since assets/plotly-" in text
    assert "₹12,34,567.50" in text


@needs_chromium
def test_browser_draws_the_payoff_with_its_sliders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = copy_project(tmp_path / "home")
    monkeypatch.chdir(home)
    environment = {**os.environ, "MYTRADING_HOME": str(home), "MYTRADING_STATE_DIR": str(home / "state")}
    given = ("--spot", "26000", "--iv", "14%", "--date", "2026-01-28")
    for words in (("new", "Mine", "--template", "iron-condor"), ("payoff", "Mine", *given)):
        done = asked(environment, "legs", *words)
        assert done.returncode == 0, done.stderr
    text = browse(home / "runs" / "charts" / "Mine_payoff.html", tmp_path / "profile")
    assert text.count('type="range"') == 3
    assert "Probability of profit" in text and "at expiry" in text and "T+0" in text
    assert "js-plotly-plot" in text
    assert encode_report(report_of(home / "runs" / "charts", "Mine_payoff.json"))
