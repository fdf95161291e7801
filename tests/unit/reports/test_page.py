"""The page of reports and charts: it opens anywhere, whatever names and figures it is given."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from plotly import graph_objects as go

from mytrading.reports.charts import figure_html
from mytrading.reports.page import Cell, Page, PageSection, PageTable, render_page

HOSTILE = "a</script><script>throw 1</script><b>"


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


@pytest.fixture(scope="module")
def seen() -> Seen:
    figure = go.Figure()
    figure.add_scatter(x=[1, 2, 3], y=[1.0, float("nan"), float("inf")], name=HOSTILE)
    figure.add_heatmap(z=[[1.0, None], [float("-inf"), 2.0]], xaxis="x2", yaxis="y2")
    figure.update_layout(title=HOSTILE)
    sections = [PageSection(HOSTILE, [figure_html(figure), HOSTILE, PageTable(("A", HOSTILE), [["1", HOSTILE]])])]
    page = Page(HOSTILE, sections, subtitle=HOSTILE, cards=[(HOSTILE, Cell(HOSTILE))], notes=[HOSTILE])
    return Seen(render_page(page))


def test_page_needs_no_network_and_follows_the_screen(seen: Seen) -> None:
    outside = [value for _, found in seen.tags for key, value in found.items() if key in ("src", "href") and value]
    names = {found.get("name") for tag, found in seen.tags if tag == "meta"}
    assert (outside, "viewport" in names) == ([], True)
    assert "prefers-color-scheme: dark" in seen.scripts[-1]


def test_page_with_hostile_names_and_figures_without_value_has_only_its_own_scripts(seen: Seen) -> None:
    library, drawn, dark = seen.scripts
    assert len(library) > 1_000_000 and "newPlot" in drawn and "relayout" in dark
    assert len([tag for tag, _ in seen.tags if tag == "b"]) == 1, "the value of the card"
    assert re.findall(r"\b(?:NaN|Infinity)\b", drawn) == []


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_scripts_of_the_page_run_in_the_order_that_they_stand_in(seen: Seen, tmp_path: Path) -> None:
    _, drawn, dark = seen.scripts
    around = """
    const charts = {}, told = [];
    globalThis.window = globalThis;
    window.matchMedia = () => ({matches: true});
    globalThis.document = {
      getElementById: id => charts[id] ||= {id},
      querySelectorAll: () => Object.values(charts),
    };
    globalThis.Plotly = {
      newPlot: (id, data, layout) => { document.getElementById(id).layout = layout; told.push(data.length); },
      relayout: (one, change) => told.push(Object.keys(change).filter(key => key.endsWith("gridcolor")).sort().join()),
    };
    """
    script = tmp_path / "page.js"
    script.write_text(f"{around}\n{drawn}\n{dark}\nconsole.log(told.join(' '))", encoding="utf-8")
    done = subprocess.run(["node", str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.split(), done.stderr) == (["2", "xaxis.gridcolor,yaxis.gridcolor"], "")
