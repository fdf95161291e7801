"""The web console in Chromium, timed: `python -m lab.bench.console_browser`, which `make bench-console` runs.

One stack, one page at a time: from a fill in the router's journal to its row in the document, the pace of a chain in
the document, and what the first load takes. Times of the page and of the journal are put on one clock before.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from typing import Any

from lab.bench import describe_machine, show_figure
from lab.bench.console import CONTRACTS, SPEED, ConsoleLab, pace, ways
from lab.bench.results import Figure, below, percentile, unmeasured
from lab.bench.stack import lab
from mytrading.daemons.console.page_files import BUNDLE
from mytrading.messages.codec import StreamDecoder
from mytrading.messages.orders import OrderChanged
from mytrading.messages.run_config import RUN_FILE, decode_run_config
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.journal.journal import OUTPUT, read_segment, segments

FILLS, CHAIN_S, LOADS = 60, 60, 5
MOST_FILL_MS, MOST_LOAD_KB, MOST_LOAD_S = 500.0, 250.0, 1.5
QUIET = ["--no-sandbox", "--disable-component-update", "--disable-background-networking"]
_FILLED = """() => {
  window.filled = {};
  const heads = [...document.querySelectorAll("main thead th")].map((one) => one.textContent.trim());
  const state = heads.findIndex((name) => name.startsWith("State"));
  const look = () => {
    const at = performance.timeOrigin + performance.now();
    for (const row of document.querySelectorAll("tbody tr")) {
      const why = row.querySelector("button[aria-label^='Why ']");
      if (!why || row.children[state].textContent.trim().toLowerCase() !== "filled") continue;
      filled[why.getAttribute("aria-label").slice(4)] ??= at;
    }
  };
  const every = {subtree: true, childList: true, characterData: true};
  new MutationObserver(look).observe(document.querySelector("main"), every);
}"""
_TURNS = """() => {
  window.turns = [];
  const lines = document.querySelector("table.chain tbody");
  new MutationObserver(() => turns.push(performance.now())).observe(lines, {subtree: true, characterData: true});
}"""
_SIZE = """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .reduce((sum, one) => sum + one.encodedBodySize, 0)"""


def measure_in_browser(progress: Callable[[str], None]) -> list[Figure]:
    """The figures of the pages; each unmeasured, with the reason, where no browser or no built page is here."""
    chromium = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return _nothing("playwright is not installed; `make bench-console` installs it")
    if chromium is None:
        return _nothing("no chromium on this machine; apt-get install chromium")
    if not (BUNDLE / "index.html").exists():
        return _nothing("the pages are not built; `make console` builds them")
    with lab(ConsoleLab) as stack, sync_playwright() as tools:
        assert isinstance(stack, ConsoleLab)
        stack.begin(SPEED)
        browser = tools.chromium.launch(executable_path=chromium, args=QUIET)
        name, _, value = stack.cookie.partition("=")

        def opened(place: str) -> Any:
            """A page of a browser without a cache, of the session."""
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            context.add_cookies([{"name": name, "value": value, "url": stack.url}])
            page = context.new_page()
            page.goto(f"{stack.url}/{place}")
            return page

        progress(f"{LOADS} first loads of the dashboard")
        loads = []
        for _ in range(LOADS):
            page = opened("")
            page.get_by_role("heading", name="Dashboard").wait_for()
            seconds = page.evaluate("performance.now()") / 1000
            page.wait_for_load_state("networkidle")
            loads.append((seconds, page.evaluate(_SIZE)))
            page.context.close()
        progress(f"{FILLS} fills on the page of orders")
        page = opened("#/orders")
        page.get_by_role("button", name="Why ").first.wait_for()
        page.evaluate(_FILLED)
        ways(stack, FILLS)
        time.sleep(1.0)
        shown = page.evaluate("filled")
        page.context.close()
        fills = _fills(stack, shown)
        progress(f"a chain that moves ten times a second, {CHAIN_S} s")
        page = opened("#/chain")
        page.locator("table.chain tbody tr.atm").wait_for()
        contracts = 2 * page.locator("table.chain tbody tr").count()
        page.evaluate(_TURNS)
        time.sleep(CHAIN_S)
        turns = [at / 1000 for at in page.evaluate("turns")]
        browser.close()
    seconds, size = (percentile([load[at] for load in loads], 0.5) for at in (0, 1))
    return [
        below("fill_to_page_p99", percentile(fills, 0.99), "ms", MOST_FILL_MS, len(fills)),
        pace("chain_in_page", turns, CHAIN_S, contracts, 0),
        below("first_load_size", size / 1000, "KB", MOST_LOAD_KB, LOADS),
        below("first_load", seconds, "s", MOST_LOAD_S, LOADS),
    ]


def _fills(stack: ConsoleLab, shown: dict[str, float]) -> list[float]:
    """Milliseconds from the journal's row of a fill to its row in the document, of orders by their id.

    `shown` has milliseconds since 1970 at which each order was seen filled; orders never seen so raise.
    """
    config, decoder, found = decode_run_config(stack.state / RUN_FILE), StreamDecoder("orders"), []
    ahead = time.time_ns() - machine_now()
    for path in segments(config.journal_dir("router")):
        for row in read_segment(path):
            if row.kind != OUTPUT or row.stream != "orders":
                continue
            change = decoder.decode_body(row.body)
            if isinstance(change, OrderChanged) and change.event == "filled":
                found.append((change.order.client_order_id, (row.machine_ns + ahead) / 1e6))
    found = found[-FILLS:]
    if len(found) < FILLS:
        raise RuntimeError(f"{len(found)} of {FILLS} fills are in the journal; see `mytrading bench latency`")
    if lost := [order for order, _ in found if order not in shown]:
        raise RuntimeError(f"{len(lost)} of {len(found)} fills never came to the page")
    return [shown[order] - at for order, at in found]


def _nothing(why: str) -> list[Figure]:
    return [
        unmeasured("fill_to_page_p99", "ms", f"< {MOST_FILL_MS:g} ms", why, met=None),
        unmeasured("chain_in_page", "/s", f"≥ 9.5 /s of {CONTRACTS} contracts, none lost", why, met=None),
        unmeasured("first_load_size", "KB", f"< {MOST_LOAD_KB:g} KB", why, met=None),
        unmeasured("first_load", "s", f"< {MOST_LOAD_S:g} s", why, met=None),
    ]


if __name__ == "__main__":
    from lab.unwind_on_signal import unwound_by_signals

    with unwound_by_signals():
        for figure in measure_in_browser(lambda text: print(f"… {text}", file=sys.stderr, flush=True)):
            show_figure(figure, describe_machine(), "--json" in sys.argv)
