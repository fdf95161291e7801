"""The page of a report: heading, cards, notes and sections, rendered by one template into one self-contained file.

Text is escaped by the template; only charts are HTML already. Pages open without a network, on screens large and
small, light and dark.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup
from plotly.offline import get_plotlyjs


class Cell(NamedTuple):
    """A value on a page; `tone` is good, bad or empty and colours it."""

    text: str
    tone: str = ""


class PageTable(NamedTuple):
    """Rows under a head. The first column and those of `words` (from 0) hold text, the others numbers."""

    head: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    words: Collection[int] = ()


class PageSection(NamedTuple):
    """Blocks under a title: tables, charts (`Markup` of `charts.embed`) and notes (plain text)."""

    title: str
    blocks: Sequence[PageTable | Markup | str]


class Page(NamedTuple):
    """All that a report shows. `verdict` is one line in its own colour; cards are a name and a value each."""

    title: str
    sections: Sequence[PageSection]
    heading: str = ""
    subtitle: str = ""
    verdict: Cell | None = None
    cards: Sequence[tuple[str, Cell]] = ()
    notes: Sequence[str] = ()


def signed_cell(value: float, text: str) -> Cell:
    """Return a table cell with this text, coloured as good (value 0 or more) or bad."""
    return Cell(text, "good" if value >= 0 else "bad")


def render_page(page: Page) -> str:
    """Render a report page to a self-contained HTML file's text."""
    return _template().render(page=page, plotly=Markup(get_plotlyjs()))


def write_page(text: str, path: Path) -> None:
    """Write a page's HTML to a file whole or not at all; raises `OSError`, and the old file stays."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("mytrading", "reports"), autoescape=True, undefined=StrictUndefined, auto_reload=False
    )
    environment.filters["cell"] = lambda value: value if isinstance(value, Cell) else Cell(value)
    return environment.get_template("page.html.j2")
