"""Pages of reports in a real browser, where one is installed: what they show after their scripts have run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mytrading.reports.document import ChartSeries, Report, ReportChart, ReportTable, ReportValue, decode_report

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="needs Chromium (apt-get install chromium)")


def browse(page: Path, profile: Path, *more: str) -> str:
    """The document of a page on the disk, without a network, once its scripts have run and its charts are drawn."""
    return run_chromium(page, profile, *more, "--dump-dom", width=1200, height=30000)


def run_chromium(page: Path, profile: Path, *words: str, width: int, height: int) -> str:
    """What Chromium prints of a page on the disk, without a network, with these options beside its usual ones."""
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={profile}", f"--window-size={width},{height}",
         "--virtual-time-budget=20000", *words, page.resolve().as_uri()],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def report_of(folder: Path, name: str = "report.json") -> Report:
    """The report whose data lies in a folder."""
    return decode_report((folder / name).read_bytes())


def titles(report: Report) -> list[str]:
    return [section.title for section in report.sections]


def charts_of(report: Report, section: str) -> list[ReportChart]:
    return [block for block in blocks_of(report, section) if isinstance(block, ReportChart)]


def tables_of(report: Report, section: str) -> list[ReportTable]:
    return [block for block in blocks_of(report, section) if isinstance(block, ReportTable)]


def blocks_of(report: Report, section: str) -> list[object]:
    return [block for one in report.sections if one.title == section for block in one.blocks]


def series_of(chart: ReportChart, name: str) -> ChartSeries:
    (found,) = [one for one in chart.series if one.name == name]
    return found


def column_of(table: ReportTable, name: str) -> list[object]:
    """The plain values of a table's column."""
    at = [column.name for column in table.columns].index(name)
    return [cell.value if isinstance(cell := row[at], ReportValue) else cell for row in table.rows]
