"""The stack whose console the browser tests drive: it trades, holds legs, takes alerts, and meets hostile text."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mytrading.daemons.console.user_store import store_path
from tests.kit.console_viewer import PASSWORD, PageViewer, console_url, logged_in_state
from tests.kit.project import ROOT
from tests.kit.stack import Stack
from tests.kit.stack_project import ALTERNATING, BUSY, HEAD, RICH, WIDE, make_project
from tests.kit.waiting import eventually
from tests.kit.webhook_stack import AlertSender

SBIN = "NSE:SBIN"
HOSTILE = "=HYPERLINK(\"//evil.example\")<img src=x onerror='window.pwned=1'>"
"""Text that a spreadsheet would run, and a careless page too."""
HOOK = "Chart_Alerts"
CONDOR = """name = "Condor"
underlying = "NIFTY"
product = "MIS"
entry_time = "09:18"
entry_minutes = 300
exit_time = "15:10"

[[legs]]
action = "BUY"
strike = "OTM 8"
right = "CE"

[[legs]]
action = "SELL"
strike = "OTM 4"
right = "CE"
stop = "200%"

[[legs]]
action = "BUY"
strike = "OTM 8"
right = "PE"

[[legs]]
action = "SELL"
strike = "OTM 4"
right = "PE"
stop = "200%"

[risk]
max_loss = 500000
max_profit = 500000
"""
SAYING = ALTERNATING.replace("confidence=1.0", f"confidence=1.0, reason={HOSTILE!r}").replace(
    "    def on_data", "    calm_minutes: int = 0\n\n    def on_data"
)
"""The busy strategy, with a reason that somebody else wrote, and a parameter."""


@dataclass(frozen=True)
class ConsoleSite:
    """A running stack, the address of its console, and the cookies of a browser in which `asha` is logged in."""

    stack: Stack
    home: Path
    url: str
    state: Any
    viewer_of: Callable[..., PageViewer]
    """A page in a browser of its own; options are those of `PageViewer`."""

    @property
    def hooks(self) -> AlertSender:
        """Posts to its webhooks."""
        return AlertSender(self.stack)

    def buy_by_hand(self, quantity: int) -> dict[str, Any]:
        """Buy SBIN at the broker's own terminal; return the row of the unmanaged units once it is shown.

        A closing of before is waited for: what it still looks at can be given to nobody.
        """
        eventually(lambda: not self.stack.ask("status")["flattens"], 60)
        fields = {"symbol": "SBIN", "exchange": "NSE", "product": "MIS", "pricetype": "MARKET", "price": "0"}
        done = self.stack.post("placeorder", strategy="by hand", action="BUY", quantity=str(quantity), **fields)
        assert done["status"] == "success", done
        return eventually(
            lambda: [row for row in self.rows(SBIN, "(unmanaged)") if row["quantity"] == quantity], 60
        )[0]  # fmt: skip

    def claim_for_manual(self, quantity: int = 0) -> None:
        """Give so many of the unmanaged SBIN to `manual`; all unless they are counted."""
        counted = ("--quantity", str(quantity)) if quantity else ()
        done = self.stack.run("positions", "claim", SBIN, "--strategy", "manual", "--yes", *counted)
        assert done.returncode == 0, done.stderr
        assert self.rows(SBIN, "manual")

    def orders(self) -> list[dict[str, Any]]:
        """All orders of the day, oldest first."""
        found: list[dict[str, Any]] = self.stack.ask("orders", "--limit", "0")
        return found

    def rows(self, instrument: str, strategy: str) -> list[dict[str, Any]]:
        """Return a strategy's positions in an instrument, as the command line shows them."""
        found = self.stack.ask("positions")
        return [row for row in found if (row["instrument"], row["strategy"]) == (instrument, strategy)]

    def placed(self, instrument: str) -> list[dict[str, Any]]:
        """The exchange's orders of an instrument that are not by hand."""
        exchange, _, symbol = instrument.partition(":")
        rows = self.stack.rest("orderbook")["orders"]
        return [
            row
            for row in rows
            if (row["exchange"], row["symbol"], row["strategy"] != "by hand") == (exchange, symbol, True)
        ]

    def forget_passwords(self) -> None:
        """Make every session one whose password was given long ago: what needs it again asks for it."""
        with closing(sqlite3.connect(store_path(self.stack.state))) as users, users:
            users.execute("UPDATE sessions SET confirmed_ms = 0")

    def confirm(self, viewer: PageViewer) -> None:
        """Give the password of a viewer's user again, without its page."""
        headers = {"X-CSRF-Token": self.api(viewer, "/api/session")["csrf"], "Origin": self.url}
        done = viewer.context.request.post(f"{self.url}/api/confirm", data={"password": PASSWORD}, headers=headers)
        assert done.ok, done.text()

    def api(self, viewer: PageViewer, path: str) -> Any:
        """Return the console's answer to a viewer's browser; a stack that is too busy for it is asked again."""
        done = eventually(lambda: found if (found := viewer.context.request.get(f"{self.url}{path}")).ok else None, 20)
        return done.json()


@contextmanager
def console_site(folder: Path, chromium: Any) -> Iterator[ConsoleSite]:
    """The stack, up and trading, its first user made in a browser."""
    home = folder / "home"
    environment = make_project(
        home, HEAD + SAYING, {"Alternating": BUSY, "Condor": CONDOR}, WIDE,
        **RICH, CONSOLE_ENABLED="true", CONSOLE_PORT="0", CONSOLE_PROXIES="127.0.0.1", WEBHOOK_PORT="0",
        ENABLED_SYMBOLS="NIFTY,BANKNIFTY",
    )  # fmt: skip
    (home / "data").mkdir()
    shutil.copy(ROOT / "tests" / "data" / "index-1m.csv.gz", home / "data")
    with Stack(folder, short_windows=True, **environment) as stack:
        AlertSender(stack).add(HOOK, "--map", "SBIN=NSE:SBIN,MIS,1")
        stack.up("--simulator", "--speed", "20")
        url = console_url(stack)
        state = logged_in_state(chromium, stack)

        def viewer_of(**options: Any) -> PageViewer:
            return PageViewer(chromium, url, **{"state": state, **options})

        yield ConsoleSite(stack, home, url, state, viewer_of)


def bodies_of(requests: list[Any]) -> list[dict[str, Any]]:
    """Return the bodies of a page's POSTs."""
    return [json.loads(request.post_data) for request in requests if request.method == "POST"]
