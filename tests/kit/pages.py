"""Pages of reports in a real browser, where one is installed: what they show after their scripts have run."""

from __future__ import annotations

import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mytrading.reports.document import (
    VERSION,
    ChartPanel,
    ChartSeries,
    Report,
    ReportCard,
    ReportChart,
    ReportNote,
    ReportSection,
    ReportTable,
    ReportValue,
    TableColumn,
    decode_report,
)

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="needs Chromium (apt-get install chromium)")


def browse(page: Path, profile: Path, *more: str) -> str:
    """The document of a page on the disk, without a network, once its scripts have run and its charts are drawn."""
    return run_chromium(page, profile, *more, "--dump-dom", width=1200, height=30000)


def run_chromium(page: Path, profile: Path, *words: str, width: int, height: int) -> str:
    """Return Chromium's output for a page on the disk, without a network, with these options beside its usual ones."""
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


HOSTILE = "a</script><script>throw 1</script><b>"
NINE = 1_710_301_500_000
"""09:15 on 13 March 2024 in India, ms UTC."""


class Seen(HTMLParser):
    """Start tags with their attributes, and the text of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script":
            self.scripts[-1] += data


def hostile() -> Report:
    """A report whose names are markup and whose figures are no numbers."""
    times = [NINE + 60_000 * minute for minute in range(3)]
    curve = ChartSeries(name=HOSTILE, draw="line", x=times, y=[1e5, float("nan"), float("inf")])
    chart = ReportChart(title=HOSTILE, series=[curve], panels=[ChartPanel(HOSTILE, "rupees")])
    grid = ChartSeries(name="net", draw="heat", x=["1", "2"], y=["a", "b"], cells=[[1.0, None], [-3.0, 2.0]])
    heat = ReportChart(x="category", series=[grid], diverging=True)
    table = ReportTable(
        (TableColumn(HOSTILE), TableColumn("Net", "rupees", signed=True), TableColumn("At", "time")),
        [[HOSTILE, 1_234_567.5, NINE], ["plain", -9_876_543.25, NINE + 90_000], ["none", None, None]],
    )
    return Report(
        version=VERSION, kind="test", title=HOSTILE, subtitle=HOSTILE, notes=[HOSTILE],
        cards=[ReportCard(HOSTILE, ReportValue(HOSTILE)), ReportCard("Net", ReportValue(-1_500_000.0, "rupees", 0))],
        sections=[ReportSection(HOSTILE, [chart, heat, table, ReportNote(HOSTILE)])],
    )  # fmt: skip
