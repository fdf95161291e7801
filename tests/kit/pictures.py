"""The pictures of docs/pictures: reports, charts, the live screen and the web console as Chromium shows them.

`python -m tests.kit.pictures` (`make pictures`) makes them from the shipped sample; chart, live screen and console are
of stacks on paper money, which it starts and stops. Words after it name single ones.
"""

from __future__ import annotations

import io
import re
import struct
import subprocess
import sys
import tempfile
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from rich.console import Console

from mytrading.cli.stack.live_screen import FOOTER, read_screen_data, render_screen
from mytrading.orchestrator import TradingOrchestrator
from mytrading.reports.document import Block, Report, ReportSection
from mytrading.reports.page import write_report_files
from tests.kit.console_viewer import PageViewer, console_url, launched_chromium, logged_in_state, why_no_pages
from tests.kit.pages import CHROMIUM, report_of, run_chromium
from tests.kit.project import ROOT
from tests.kit.readme_strategy import follow_readme
from tests.kit.stack import Stack
from tests.kit.stack_project import RICH
from tests.kit.waiting import eventually

FOLDER = ROOT / "docs" / "pictures"
SAMPLE = ROOT / "tests" / "data" / "index-1m.csv.gz"
WIDTH = 1100
MOST_BYTES = 150_000
PNG = b"\x89PNG\r\n\x1a\n"
_DATA = f"NIFTY={SAMPLE}"
_HEIGHT = "<script>addEventListener('load', () => setTimeout(() => document.body.dataset.height = Math.ceil(" \
    "document.querySelector('#page, pre').getBoundingClientRect().bottom), 3000))</script>"  # fmt: skip


class Studio:
    """A project folder of its own, with README's strategy and a condor, and what is made of them."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        follow_readme(self.home)
        self.stack = Stack(folder, MYTRADING_HOME=str(self.home), ENABLED_STRATEGIES="SMA_Crossover")
        self.run("legs", "new", "Morning_Condor", "--template", "iron-condor")

    def run(self, *words: str) -> None:
        """Run a command of the program in the project folder to its end."""
        done = subprocess.run(
            [*self.stack.command, *words], env=self.stack.environment, cwd=self.home, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"mytrading {' '.join(words)}: exit {done.returncode}: {done.stderr or done.stdout}")

    def report(self, *words: str) -> Report:
        """Run a command that writes a report, and return what the report holds."""
        folder = self.home / "runs" / re.sub(r"\W+", "-", "-".join(words[:2]))
        if not (folder / "report.json").exists():
            self.run(*words, "--report", str(folder))
        return report_of(folder)

    def shoot(self, name: str, page: Path) -> None:
        """Write the picture of a page, as high as what is on it."""
        text = page.read_text(encoding="utf-8").replace("</body>", f"{_HEIGHT}</body>")
        page.write_text(text.replace("padding: 24px", "padding: 8px 24px"), encoding="utf-8")
        profile, out = page.parent / "profile", FOLDER / f"{name}.png"
        height = re.search(r'data-height="(\d+)"', run_chromium(page, profile, "--dump-dom", width=WIDTH, height=4000))
        assert height is not None, f"{page}: Chromium did not say how high it is"
        run_chromium(page, profile, "--hide-scrollbars", f"--screenshot={out}", width=WIDTH, height=int(height[1]) + 12)
        print(f"{out.relative_to(ROOT)}: {out.stat().st_size:,} bytes")

    def draw(self, name: str, report: Report, *, head: bool = False) -> None:
        """Write the picture of a report; without `head` only of its sections."""
        shown = report if head else replace(report, subtitle="", cards=(), verdict=None)
        page = write_report_files(replace(shown, notes=()), self.home / "runs" / "pictures" / f"{name}.html")
        self.shoot(name, page)


def only(report: Report, *titles: str, blocks: Collection[int] = (0,)) -> Report:
    """Return a report with some of its sections, and of each the blocks at these places."""

    def chosen(section: ReportSection) -> list[Block]:
        return [block for at, block in enumerate(section.blocks) if at in blocks]

    found = {section.title: section for section in report.sections}
    return replace(report, sections=[replace(found[one], blocks=chosen(found[one])) for one in titles])


def backtest(studio: Studio) -> None:
    """The head of a backtest's report and its equity."""
    studio.draw("backtest", only(of_breakout(studio), "Equity and drawdown"), head=True)


def trades(studio: Studio) -> None:
    """Candles with indicators and fills."""
    studio.draw("trades", only(studio.report("backtest", "SMA_Crossover", "-d", _DATA), "Trades on price"))


def of_breakout(studio: Studio) -> Report:
    """README's strategy on the sample, with modelled calls."""
    return studio.report("backtest", "Breakout", "-d", _DATA, "--options", "model")


def condor(studio: Studio) -> None:
    """Greeks and payoff of an option strategy."""
    report = studio.report("backtest", "Morning_Condor", "-d", _DATA, "--iv", "14%", "--capital", "300000")
    shown = only(report, "Greeks while held", "Payoff at entry", blocks=(0, 1))
    studio.draw("condor", shown)


def optimise(studio: Studio) -> None:
    """The head of a search's report and its heat map."""
    words = ("-d", _DATA, "-p", "fast_period=4:16:2", "-p", "slow_period=18:42:4", "--objective", "net")
    report = studio.report("optimize", "SMA_Crossover", *words)
    studio.draw("optimise", only(report, "What the best is worth", "Parameters"))


def payoff(studio: Studio) -> None:
    """The payoff page."""
    studio.run("legs", "payoff", "Morning_Condor", "--spot", "26000", "--iv", "14%", "--date", "2026-03-18")
    report = report_of(studio.home / "runs" / "charts", "Morning_Condor_payoff.json")
    studio.draw("payoff", only(report, "Payoff"), head=True)


@contextmanager
def trading(studio: Studio) -> Iterator[TradingOrchestrator]:
    """A stack on paper money that has traded and holds something."""
    with studio.stack as stack:
        stack.up("--simulator")
        eventually(lambda: len(stack.ask("trades")) > 1 and any(row["quantity"] for row in stack.ask("positions")), 120)
        yield TradingOrchestrator(stack.config)


def live(studio: Studio) -> None:
    """Chart of what a strategy holds, and the live screen."""
    with trading(studio) as stack:
        screen = read_screen_data(stack, FOOTER, lambda _status: 140.0)
        held = next(row["instrument"] for row in screen.rows["positions"] if row["quantity"])
        studio.run("chart", held, "--out", "runs/pictures/chart.html")
    console = Console(file=io.StringIO(), record=True, width=112, height=32)
    console.print(render_screen(screen, 112, 30))
    drawn = re.sub(r"@font-face \{.*?\}", "", console.export_svg(title="mytrading up"), flags=re.DOTALL)
    (FOLDER / "screen.svg").write_text(drawn, encoding="utf-8")
    studio.shoot("chart", studio.home / "runs" / "pictures" / "chart.html")


CONSOLE = (
    ("console", "/", "1440x900", "light"), ("console-dark", "/positions", "1440x760", "dark"),
    ("console-chain", "/chain", "1440x900", "light"), ("console-builder", "/builder", "1440x900", "light"),
    ("console-risk", "/risk", "1440x900", "dark"), ("console-phone", "/", "360x780", "light"),
    ("console-phone-halt", "halt", "360x780", "dark"),
)  # fmt: skip
"""Name, address, size and colours of the pictures of the web console."""


_PIXELS = """async png => {
  const found = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
  const drawn = new OffscreenCanvas(found.width, found.height).getContext("2d");
  drawn.drawImage(found, 0, 0);
  const bytes = drawn.getImageData(0, 0, found.width, found.height).data;
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return [found.width, found.height, btoa(text)];
}"""


def with_palette(png: bytes, chromium: Any) -> bytes:
    """The picture in its 256 commonest colours, others as the nearest of them: a third of the bytes."""
    page = chromium.new_page()
    width, height, data = page.evaluate(_PIXELS, b64encode(png).decode())
    page.close()
    pixels = np.frombuffer(b64decode(data), np.uint8).reshape(-1, 4)[:, :3].astype(np.int32)
    colours, place, counts = np.unique(pixels, axis=0, return_inverse=True, return_counts=True)
    kept = colours[np.argsort(counts)[::-1][:256]]
    nearest = np.array([((kept - colour) ** 2).sum(1).argmin() for colour in colours], np.uint8)
    lines = np.zeros((height, width + 1), np.uint8)  # each begins with its filter, none
    lines[:, 1:] = nearest[place.reshape(-1)].reshape(height, width)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    palette = kept.astype(np.uint8).tobytes()
    return (
        PNG
        + chunk(b"IHDR", head)
        + chunk(b"PLTE", palette)
        + chunk(b"IDAT", zlib.compress(lines.tobytes(), 9))
        + chunk(b"IEND", b"")
    )


def console(studio: Studio) -> None:
    """Pages of the web console while strategies trade, on a screen and a phone."""
    if why := why_no_pages():
        raise SystemExit(f"pictures: {why}")
    folder = studio.home.parent / "console"
    settings = {**RICH, "MAX_ORDER_SIZE": "500000", "MAX_POSITION_SIZE": "2000000", "CONSOLE_PORT": "0"}
    names = "SMA_Crossover,Supertrend_Trend,Morning_Condor"
    with launched_chromium() as chromium, Stack(
        folder, MYTRADING_HOME=str(studio.home), ENABLED_STRATEGIES=names, CONSOLE_ENABLED="true", **settings
    ) as stack:  # fmt: skip
        stack.up("--simulator")
        state, url = logged_in_state(chromium, stack), console_url(stack)
        eventually(lambda: len(stack.ask("trades")) > 3 and any(row["quantity"] for row in stack.ask("positions")), 240)
        for name, path, size, colours in CONSOLE:
            width, height = map(int, size.split("x"))
            viewer = PageViewer(chromium, url, width=width, state=state, color_scheme=colours)
            viewer.page.set_viewport_size({"width": width, "height": height})
            viewer.open("/" if path == "halt" else path)
            if path == "halt":
                viewer.button("HALT", exact=True).click()
                viewer.dialog("Emergency")
            eventually(lambda viewer=viewer: not viewer.page.get_by_text(re.compile("^(Waiting|Asking)")).count(), 30)  # type: ignore[misc]
            if path == "/builder":  # the margin is asked for when the legs have stood still for a moment
                viewer.page.locator("dt:text('Margin together') + dd", has_text=re.compile("[0-9]")).wait_for()
            viewer.page.wait_for_load_state("networkidle")
            out = FOLDER / f"{name}.png"
            out.write_bytes(with_palette(viewer.page.screenshot(), chromium))
            print(f"{out.relative_to(ROOT)}: {out.stat().st_size:,} bytes")
            viewer.close()


PICTURES: dict[str, Callable[[Studio], None]] = {
    "backtest": backtest, "trades": trades, "condor": condor, "optimise": optimise, "payoff": payoff, "live": live,
    "console": console,
}  # fmt: skip


def main(names: Collection[str]) -> None:
    """Make the pictures of these names, or all."""
    if not CHROMIUM:
        raise SystemExit("pictures: expected Chromium on the path, found none (apt-get install chromium)")
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(Path(folder))
        for name in names or PICTURES:
            PICTURES[name](studio)


if __name__ == "__main__":
    main(sys.argv[1:])
