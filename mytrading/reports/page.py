"""The page of a report: a small HTML file that holds the report as JSON and draws from it alone.

What draws charts is written once into a folder of pages (`assets`), since it is 5 MB. Pages open from a disk without a
network, on screens large and small, light and dark.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from mytrading.reports.document import Report, encode_report

RUNS = "runs"
"""The folder of a project that reports are written to; all below it share one script for charts."""
_ASSETS = "assets"


def write_report_files(report: Report, page: Path, data_name: str = "") -> Path:
    """Write a report's page and, beside it, its data (`data_name`; default: as the page, with .json); return the page.
    Folders are created. Each file is written whole or not at all; raises `OSError`, and old files stay."""
    page.parent.mkdir(parents=True, exist_ok=True)
    script = write_chart_script(page.parent)
    write_whole(page.with_name(data_name or f"{page.stem}.json"), encode_report(report))
    write_whole(page, render_report(report, script).encode())
    return page


def render_report(report: Report, chart_script: str) -> str:
    """Render a report to the text of its HTML page; `chart_script` is the address of the script that draws charts."""
    data = encode_report(report).decode().replace("<", "\\u003c")
    style, drawing = (Markup(_packaged(name)) for name in ("report.css", "report.js"))
    return _template().render(
        title=report.title, data=Markup(data), style=style, drawing=drawing, chart_script=chart_script
    )


def write_chart_script(folder: Path) -> str:
    """Write the script that draws charts where pages of `folder` share it; return its address as seen from there.

    That is `assets` in the nearest folder above called `runs`, else in `folder` itself.
    """
    from plotly.offline import get_plotlyjs, get_plotlyjs_version

    here = folder.resolve()
    depth = next((depth for depth, one in enumerate((here, *here.parents)) if one.name == RUNS), 0)
    name = f"plotly-{get_plotlyjs_version()}.min.js"
    path = (here, *here.parents)[depth] / _ASSETS / name
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        write_whole(path, get_plotlyjs().encode())
    return f"{'../' * depth}{_ASSETS}/{name}"


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; raises `OSError`, and the old file stays."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _packaged(name: str) -> str:
    return (files("mytrading.reports") / name).read_text(encoding="utf-8")


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("mytrading", "reports"), autoescape=True, undefined=StrictUndefined, auto_reload=False
    )
    return environment.get_template("page.html.j2")
