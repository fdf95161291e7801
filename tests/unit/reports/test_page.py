"""The page of reports and charts: it opens from a disk without a network, whatever names and figures it is given."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from mytrading.reports.document import (
    VERSION,
    ChartLine,
    ChartSeries,
    Report,
    ReportChart,
    ReportSection,
    ReportValue,
    decode_report,
    encode_report,
)
from mytrading.reports.page import render_report, write_report_files
from tests.kit.page_script import in_node, needs_node
from tests.kit.pages import HOSTILE, NINE, Seen, hostile


def test_report_is_the_same_after_being_written_and_read() -> None:
    data = encode_report(hostile())
    again = decode_report(data)
    assert encode_report(again) == data
    assert (again.title, again.cards[1].value) == (HOSTILE, ReportValue(-1_500_000.0, "rupees", 0))


def test_report_of_a_newer_version_is_refused_with_both_versions() -> None:
    newer = encode_report(msgspec.structs.replace(hostile(), version=VERSION + 1))
    with pytest.raises(msgspec.ValidationError, match=f"version {VERSION} or before, found {VERSION + 1}"):
        decode_report(newer)


def test_page_has_the_report_and_nothing_from_outside() -> None:
    seen = Seen(render_report(hostile(), "assets/plotly.min.js"))
    outside = [value for _, found in seen.tags for key, value in found.items() if key in ("src", "href") and value]
    names = {found.get("name") for tag, found in seen.tags if tag == "meta"}
    data, chart_script, drawing = seen.scripts
    assert (outside, chart_script.strip(), "viewport" in names) == (["assets/plotly.min.js"], "", True)
    assert json.loads(data) == json.loads(encode_report(hostile()))
    assert "showReport" in drawing
    assert re.findall(r"\b(?:NaN|Infinity)\b", data) == []


@pytest.mark.parametrize(
    ("page", "script"),
    [("report.html", "assets"), ("runs/one/report.html", "runs/assets"), ("runs/charts/a/NIFTY.html", "runs/assets")],
)
def test_pages_below_runs_share_one_script_and_others_have_it_beside_them(
    tmp_path: Path, page: str, script: str
) -> None:
    path = write_report_files(hostile(), tmp_path / page)
    (library,) = (tmp_path / script).iterdir()
    assert library.stat().st_size > 1_000_000
    (address,) = re.findall(r'<script src="([^"]+)"', path.read_text(encoding="utf-8"))
    assert (path.parent / address).resolve() == library.resolve()
    assert path.stat().st_size < 60_000
    assert decode_report(path.with_suffix(".json").read_bytes()).title == HOSTILE


def test_second_report_of_a_folder_writes_no_second_script(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    write_report_files(hostile(), runs / "a" / "report.html")
    (library,) = (runs / "assets").iterdir()
    before = library.stat().st_mtime_ns
    write_report_files(hostile(), runs / "b" / "report.html")
    assert [path.stat().st_mtime_ns for path in (runs / "assets").iterdir()] == [before]


@needs_node
@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1_234_567.5, "rupees", "₹12,34,567.50"),
        (-123_456_789.0, "rupees", "−₹12,34,56,789.00"),
        (-0.001, "rupees", "₹0.00"),
        (26_081.35, "price", "26,081.35"),
        (100_000, "integer", "1,00,000"),
        (-0.0268, "percent", "−2.68%"),
        (NINE, "time", "2024-03-13 09:15"),
        (NINE + 5_000, "time", "2024-03-13 09:15:05"),
        (NINE, "date", "2024-03-13"),
        (93_784, "duration", "1 d 2 h"),
        (3_900, "duration", "1 h 5 min"),
        (None, "rupees", "–"),
        ("not yet", "time", "not yet"),
    ],
)
def test_value_is_written_as_people_in_india_read_it(value: object, unit: str, text: str) -> None:
    assert in_node(f"r.written({json.dumps(value)}, {json.dumps(unit)})") == text


@needs_node
@pytest.mark.parametrize(
    ("most", "scale"),
    [(99_999, [1, "₹"]), (-1_005_000, [1e5, "₹ lakh"]), (25_000_000, [1e7, "₹ crore"])],
)
def test_axis_of_rupees_is_in_lakh_or_crore_where_figures_are_large(most: float, scale: list[object]) -> None:
    found = in_node(f'r.scaleOf("rupees", [0, null, {most}])')
    assert [found["by"], found["name"]] == scale


@needs_node
def test_rows_are_sorted_by_value_with_empty_ones_last_either_way() -> None:
    rows = [[10, "b"], [None, "c"], [-3, "a"], [{"value": 2.5, "unit": "percent"}, "d"]]
    for way, order in ((1, "adbc"), (-1, "bdac")):
        assert "".join(row[1] for row in in_node(f"r.sortedRows({json.dumps(rows)}, 0, {way})")) == order


@needs_node
@pytest.mark.parametrize(("diverging", "reverse"), [(True, False), (False, False), (False, True)])
def test_heat_map_paints_no_loss_green(diverging: bool, reverse: bool) -> None:
    grid = {"name": "net", "draw": "heat", "x": ["1"], "y": ["a"], "cells": [[-4.0, -2.0, None]]}
    chart = {"type": "chart", "x": "category", "diverging": diverging, "reverse": reverse, "series": [grid]}
    (trace,) = in_node(f"r.figureOf({json.dumps(chart)}, r.LIGHT).data")
    green, red = in_node("[r.LIGHT.gain, r.LIGHT.loss]")
    colours = dict(trace["colorscale"])
    if diverging:
        assert (trace["zmin"], trace["zmax"], colours[0], colours[1]) == (-4.0, 4.0, red, green)
    else:
        assert (colours[0] == green) is reverse


@needs_node
def test_panels_share_the_axis_and_times_are_those_of_india() -> None:
    panels = [{"unit": "rupees", "share": 3}, {"unit": "percent"}]
    chart = {"type": "chart", "panels": panels, "first": [NINE, NINE + 60_000],
             "closed_hours": [15.5, 9.25], "closed_weekends": True, "closed_days": ["2024-03-25"], "ranges": True,
             "lines": [{"axis": "y", "value": 200_000, "text": "stop"}],
             "series": [{"name": "equity", "draw": "line", "x": [NINE], "y": [250_000]},
                        {"name": "drawdown", "draw": "area", "x": [NINE], "y": [-0.02], "panel": 1}]}  # fmt: skip
    figure = in_node(f"r.figureOf({json.dumps(chart)}, r.LIGHT)")
    equity, drawdown = figure["data"]
    assert (equity["x"], equity["y"], equity["customdata"]) == (["2024-03-13T09:15:00.000"], [2.5], ["₹2,50,000.00"])
    assert (drawdown["yaxis"], drawdown["y"], drawdown["customdata"]) == ("y2", [-2], ["−2.00%"])
    layout = figure["layout"]
    *nights, holiday = layout["xaxis"]["rangebreaks"]
    assert nights == [{"bounds": [15.5, 9.25], "pattern": "hour"}, {"bounds": ["sat", "mon"]}]
    assert holiday == {"values": ["2024-03-25 09:15:00"], "dvalue": 22_500_000}, "overlapping breaks misplace the rest"
    assert layout["xaxis"]["range"] == ["2024-03-13T09:15:00.000", "2024-03-13T09:16:00.000"]
    assert [one["label"] for one in layout["xaxis"]["rangeselector"]["buttons"]] == ["1D", "1W", "1M", "3M", "all"]
    assert (layout["yaxis"]["title"]["text"], layout["shapes"][0]["y0"]) == ("₹ lakh", 2)
    assert layout["yaxis2"]["domain"][1] < layout["yaxis"]["domain"][0]


def test_lines_and_marks_keep_their_place_in_the_data() -> None:
    chart = ReportChart(series=[ChartSeries(name="a", draw="marks", x=[1], y=[2.0], shape="up", hollow=True)],
                        lines=[ChartLine("x", 5, "entry")])  # fmt: skip
    found = json.loads(encode_report(Report(version=1, kind="t", title="t", sections=[ReportSection("s", [chart])])))
    (block,) = found["sections"][0]["blocks"]
    assert block["type"] == "chart"
    assert block["series"] == [{"name": "a", "draw": "marks", "x": [1], "y": [2.0], "shape": "up", "hollow": True}]
    assert block["lines"] == [{"axis": "x", "value": 5, "text": "entry"}]
