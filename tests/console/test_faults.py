"""Pages while something behind them fails: they say so, act once, never on what has changed, and recover."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.core.time import SECOND
from mytrading.daemons.console.live import SILENT_NS
from mytrading.daemons.console.page_files import BUNDLE, read_build
from mytrading.messages.console_rows import ProfitPoint
from mytrading.runtime.host.clock import MarketClock, machine_now
from tests.kit.console_browser import ConsoleOfTest
from tests.kit.console_stack import SBIN, ConsoleSite, bodies_of
from tests.kit.console_viewer import PageViewer
from tests.kit.instrument_snapshot import snapshot
from tests.kit.stack import PROCESSES
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(420)]
OTHERS = [name for name in PROCESSES if name not in ("console", "webhooks")]
OLD = re.compile("Old data")


def posts_of(viewer: PageViewer) -> list[Any]:
    """Actions that the page sends from now on."""
    sent: list[Any] = []
    viewer.page.on("request", lambda request: sent.append(request) if "/api/actions/" in request.url else None)
    return sent


def grey(viewer: PageViewer) -> Any:
    """The banner of old data; it is waited for."""
    banner = viewer.page.get_by_role("alert").filter(has_text=OLD)
    banner.wait_for()
    return banner


class Interposed:
    """Between a page and its socket: what is dropped of it, and what is changed."""

    def __init__(self, viewer: PageViewer) -> None:
        self.dropped: set[str] = set()
        """Types of messages that do not arrive."""
        self.sockets = self.mute = 0
        """How many were opened, and how many of them, the oldest, are open and carry nothing any more."""
        self.asked: list[dict[str, Any]] = []
        self.seen: list[dict[str, Any]] = []
        self._page = viewer.page
        self._page.route_web_socket("**/api/live", self._serve)

    def until(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait for a condition of what was seen; messages pass only while the browser is asked for something."""
        eventually(lambda: (self._page.wait_for_timeout(20), condition())[1], seconds)

    def _serve(self, socket: Any) -> None:
        server = socket.connect_to_server()
        self.sockets += 1
        number = self.sockets

        def to_page(text: str) -> None:
            message = json.loads(text)
            self.seen.append(message)
            names = {message["type"], f"{message['type']} {message.get('topic', '')}"}
            if number > self.mute and not names & self.dropped:
                socket.send(text)

        def to_server(text: str) -> None:
            self.asked.append(json.loads(text))
            server.send(text)

        server.on_message(to_page)
        socket.on_message(to_server)


def test_killed_console_greys_the_page_which_goes_on_by_itself(site: ConsoleSite, viewer: PageViewer) -> None:
    before = {name: site.stack.pid(name) for name in OTHERS}
    killed = site.stack.kill("console")
    grey(viewer)
    assert viewer.page.locator(".stale main").count() == 1
    eventually(lambda: site.stack.pid("console") not in (0, killed), 40)
    grey_is_gone = viewer.page.get_by_role("alert").filter(has_text=OLD)
    grey_is_gone.wait_for(state="detached", timeout=60_000)
    assert {name: site.stack.pid(name) for name in OTHERS} == before
    assert viewer.page.get_by_role("heading", name="Dashboard").is_visible(), "the session outlives the process"


def test_halt_works_while_the_gateway_hangs_and_nothing_else_may_be_pressed(
    site: ConsoleSite, viewer: PageViewer
) -> None:
    page = viewer.page
    site.stack.kill("gateway", signal.SIGSTOP)  # the watchdog kills it after five seconds, and it starts again
    page.keyboard.press("Alt+Shift+H")
    dialog = viewer.dialog("Emergency")
    dialog.get_by_label("Reason").fill("the gateway hangs")
    dialog.get_by_role("button", name="Halt everything").click()
    viewer.said("the file KILL says halt")
    viewer.press("HALT", exact=True)
    dialog = viewer.dialog("Emergency")
    dialog.get_by_role("button", name="Flatten", exact=True).click()
    assert dialog.locator("footer button[type=submit]").is_enabled(), "emergencies are never switched off"
    page.keyboard.press("Escape")
    grey(viewer).wait_for(state="detached", timeout=90_000)
    viewer.button("KILL", exact=True).click()
    dialog = viewer.dialog("Emergency")
    assert "the gateway hangs" in dialog.inner_text()
    dialog.get_by_role("button", name="Remove the kill file").click()
    viewer.confirm()
    viewer.button("KILL", exact=True).wait_for(state="detached")
    assert site.stack.ask("status")["kill"] is None


def test_mute_feed_is_seen_in_the_head_and_named_as_an_alert(site: ConsoleSite, viewer: PageViewer) -> None:
    feed = viewer.page.locator(".fact", has_text="feed")
    site.stack.sim("fault", kind="ws_mute", count=-1)
    try:
        feed.locator(".warn").first.wait_for(timeout=60_000)
        viewer.open("/alerts", "Alerts")
        viewer.table("alerts").locator("tbody tr", has_text="feed").first.wait_for(timeout=60_000)
    finally:
        site.stack.sim("fault", kind="clear")
    feed.locator(".warn").first.wait_for(state="detached", timeout=90_000)
    assert not viewer.page.get_by_role("alert").filter(has_text=OLD).count(), "the console itself is well"


def test_missed_delta_is_asked_for_again_and_silence_greys_the_page(site: ConsoleSite) -> None:
    viewer = site.viewer_of()
    wire = Interposed(viewer)
    viewer.open("/orders", "Orders")
    viewer.row("orders", "Alternating")
    wire.dropped = {"delta orders"}
    held_back = len(wire.seen)
    wire.until(lambda: any(one.get("topic") == "orders" for one in wire.seen[held_back:]))
    wire.dropped = set()
    wire.until(lambda: {"type": "again", "topic": "orders"} in wire.asked)
    wire.until(lambda: sum(one["type"] == "snapshot" and one["topic"] == "orders" for one in wire.seen) >= 2)
    newest = str(site.orders()[-1]["client_order_id"])
    eventually(lambda: viewer.button(f"Why {newest}").count() == 1, 20)
    wire.dropped = {"beat", "delta", "snapshot"}
    grey(viewer)
    wire.dropped = set()
    grey_is_gone = viewer.page.get_by_role("alert").filter(has_text=OLD)
    grey_is_gone.wait_for(state="detached")
    assert viewer.problems == []
    viewer.close()


def test_page_of_a_connection_that_went_mute_connects_anew(site: ConsoleSite) -> None:
    """A phone that changes its network keeps a socket on which nothing comes: its page stayed grey for minutes."""
    viewer = site.viewer_of()
    wire = Interposed(viewer)
    viewer.open("/orders", "Orders")
    viewer.row("orders", "Alternating")
    wire.mute = wire.sockets
    banner = grey(viewer)
    wire.until(lambda: wire.sockets > wire.mute and not banner.count())
    newest = str(site.orders()[-1]["client_order_id"])
    wire.until(lambda: viewer.button(f"Why {newest}").count() == 1)
    assert viewer.problems == []
    viewer.close()


def test_page_that_slept_shows_what_is_and_not_what_was(site: ConsoleSite) -> None:
    viewer = site.viewer_of()
    viewer.open("/orders", "Orders")
    viewer.row("orders", "Alternating")
    lid = viewer.context.new_cdp_session(viewer.page)
    lid.send("Page.setWebLifecycleState", {"state": "frozen"})
    known = len(site.orders())
    eventually(lambda: len(site.orders()) > known + 2, 60)
    lid.send("Page.setWebLifecycleState", {"state": "active"})
    newest = str(site.orders()[-1]["client_order_id"])
    eventually(lambda: viewer.button(f"Why {newest}").count() == 1, 60)
    assert viewer.problems == []
    viewer.close()


def test_hidden_page_watches_nothing_and_a_shown_one_has_a_new_snapshot(site: ConsoleSite) -> None:
    viewer = site.viewer_of()
    wire = Interposed(viewer)
    viewer.page.add_init_script("Object.defineProperty(document, 'hidden', {get: () => Boolean(window.closed_lid)})")
    viewer.open("/orders", "Orders")
    viewer.row("orders", "Alternating")
    turn = "hidden => {window.closed_lid = hidden; document.dispatchEvent(new Event('visibilitychange'))}"
    viewer.page.evaluate(turn, True)
    wire.until(lambda: wire.asked[-1] == {"type": "watch", "topics": []})
    snapshots = sum(one["type"] == "snapshot" for one in wire.seen)
    viewer.page.evaluate(turn, False)
    wire.until(lambda: sum(one["type"] == "snapshot" for one in wire.seen) > snapshots)
    assert "orders" in wire.asked[-1]["topics"] and viewer.problems == []
    viewer.close()


def test_double_click_is_one_action(site: ConsoleSite, viewer: PageViewer) -> None:
    sent = posts_of(viewer)
    viewer.open("/strategies", "Strategies")
    viewer.row("strategies", "Condor").get_by_role("button", name="Pause").click()
    viewer.dialog("Pause Condor").get_by_role("button", name="Stop its entries").dblclick()
    viewer.said("entries of Condor are off")
    assert len({body["request_id"] for body in bodies_of(sent)}) == 1
    viewer.row("strategies", "Condor").get_by_role("button", name="Enable").click()
    viewer.dialog("Enable Condor").get_by_role("button", name="Allow its entries").click()
    viewer.confirm()
    viewer.said("entries of Condor are on")


def test_lost_answer_is_asked_for_with_the_same_id_and_the_position_is_closed_once(
    site: ConsoleSite, viewer: PageViewer
) -> None:
    site.buy_by_hand(9)
    site.claim_for_manual()
    sent = posts_of(viewer)
    viewer.page.route("**/api/actions/close", lambda route: (route.fetch(), route.abort()))
    viewer.open("/positions", "Positions")
    viewer.press_in_row("Close", "positions", "SBIN", "manual", "+9")
    dialog = viewer.dialog("Close the position")
    dialog.get_by_role("button", name=re.compile("^Close 9 units")).click()
    dialog.get_by_role("alert").filter(has_text="did not answer").wait_for()
    viewer.page.unroute("**/api/actions/close")
    dialog.get_by_role("button", name=re.compile("same request again")).click()
    viewer.said("closing of NSE:SBIN of manual is taken")
    assert len({body["request_id"] for body in bodies_of(sent)}) == 1 and len(sent) == 2
    eventually(lambda: SBIN not in site.stack.broker_net(), 60)
    sold = [row for row in site.placed(SBIN) if (row["action"], int(row["quantity"])) == ("SELL", 9)]
    assert [row["order_status"] for row in sold] == ["complete"]


def test_position_that_changed_under_the_pointer_is_left_alone(site: ConsoleSite) -> None:
    site.buy_by_hand(8)
    site.claim_for_manual(5)
    seeing, blind = site.viewer_of(), site.viewer_of()
    wire = Interposed(blind)
    dialogs = []
    for viewer in (seeing, blind):
        viewer.open("/positions", "Positions")
        viewer.press_in_row("Close", "positions", "SBIN", "manual", "+5")
        dialogs.append(viewer.dialog("Close the position"))
    wire.dropped = {"delta positions", "snapshot positions"}
    site.claim_for_manual(3)
    dialogs[0].get_by_text("The position changed: now +8 units.").wait_for()
    assert dialogs[0].get_by_role("button", name=re.compile("^Close 5 units")).is_disabled()
    dialogs[1].get_by_role("button", name=re.compile("^Close 5 units")).click()
    dialogs[1].get_by_role("alert").wait_for()
    assert site.rows(SBIN, "manual")[0]["quantity"] == 8, "the server refuses what the page could not see"
    dialogs[0].get_by_role("button", name="Take the new state").click()
    dialogs[0].get_by_role("button", name=re.compile("^Close 8 units")).click()
    seeing.said("closing of NSE:SBIN of manual is taken")
    eventually(lambda: SBIN not in site.stack.broker_net(), 60)
    for viewer in (seeing, blind):
        assert viewer.problems == []
        viewer.close()


def test_two_browsers_see_each_others_actions_and_a_logout_ends_all_pages_of_its_session(
    site: ConsoleSite, viewer: PageViewer
) -> None:
    other = site.viewer_of(state=None)
    other.log_in()
    twin = site.viewer_of(state=other.context.storage_state())
    twin.open("/orders", "Orders")
    other.press("HALT", exact=True)
    other.dialog("Emergency").get_by_role("button", name="Halt everything").click()
    for one in (viewer, twin):
        one.button("HALTED").wait_for()
    site.stack.ask("resume")
    for one in (viewer, twin, other):
        one.button("HALTED").wait_for(state="detached")
    other.page.get_by_label("Menu of asha").click()
    other.press("Log out")
    for one in (other, twin):
        one.button("Log in").wait_for()
        assert one.problems == []
        one.close()
    assert viewer.page.get_by_role("heading", name="Dashboard").is_visible()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleOfTest]:
    """A console with its pages, without a stack."""
    made = ConsoleOfTest(tmp_path_factory.mktemp("alone"), bundle=BUNDLE)
    yield made
    made.stop()


def test_page_first_shown_while_the_console_is_gone_comes_with_it(alone: ConsoleOfTest, chromium: Any) -> None:
    viewer = PageViewer(chromium, alone.server.url)
    viewer.log_in()
    viewer.page.locator("header .fact", has_text="P&L today").wait_for()
    viewer.page.evaluate("window.loadedOnce = true")

    def look() -> None:
        grey(viewer)
        viewer.page.get_by_role("link", name="Instruments").click()
        viewer.page.get_by_role("status").filter(has_text="This page is shown once the console answers").wait_for()

    alone.restart(BUNDLE, meanwhile=look)
    viewer.page.get_by_role("heading", name="Instruments").wait_for()
    assert viewer.page.evaluate("window.loadedOnce") and viewer.problems == []
    viewer.close()


def test_page_that_sleeps_for_five_minutes_loses_the_lease_of_its_chain_and_has_it_again_when_it_wakes(
    alone: ConsoleOfTest, chromium: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    InstrumentFile(alone.config.state).write(snapshot("2026-11-20"))
    hub, leases = alone.server.hub, alone.gateway.server.context.leases
    viewer = PageViewer(chromium, alone.server.url)
    viewer.log_in()
    viewer.open("/chain", "Option chain")
    spot = viewer.page.locator(".figures dt", has_text="NIFTY spot")
    spot.wait_for()

    def leased() -> list[str]:
        leases.wanted(machine_now())
        return [who for who in leases._leases if who.startswith("console NIFTY:")]

    eventually(leased, 20)
    lid = viewer.context.new_cdp_session(viewer.page)
    lid.send("Page.setWebLifecycleState", {"state": "frozen"})
    (page,) = hub.viewers
    monkeypatch.setattr(hub, "now", lambda: page.last_request_ns + SILENT_NS - 1)
    assert hub.wanted_chains() and leased(), "not yet"
    monkeypatch.setattr(hub, "now", lambda: machine_now() + SILENT_NS)
    eventually(lambda: not leased(), 20)
    assert hub.viewers == {page}, "its socket is open, and has the other topics"
    eventually(lambda: machine_now() - page.last_request_ns > 5 * SECOND, 20)
    assert not leased(), "it has said nothing since"
    lid.send("Page.setWebLifecycleState", {"state": "active"})
    eventually(leased, 15)
    assert spot.is_visible() and viewer.problems == []
    viewer.close()


def test_page_whose_script_was_lost_on_the_way_is_loaded_again_with_the_whole(
    alone: ConsoleOfTest, chromium: Any
) -> None:
    viewer = PageViewer(chromium, alone.server.url)
    viewer.log_in()
    lost: list[str] = []
    loads: list[Any] = []
    viewer.page.on("domcontentloaded", lambda page: loads.append(page))

    def lose(route: Any) -> None:
        """Browsers differ: some ask again for what they did not get, others once the whole page is loaded again."""
        if loads:
            route.continue_()
            return
        lost.append(route.request.url)
        route.abort()

    viewer.page.route("**/assets/calendar-*.js", lose)
    viewer.page.get_by_role("link", name="Calendar").click()
    viewer.page.get_by_role("heading", name="Calendar").wait_for()
    assert lost and len(loads) == 1 and viewer.problems == []
    viewer.page.evaluate("sessionStorage.clear()")
    held: list[Any] = []
    viewer.page.route("**/assets/users-*.js", lambda route: route.abort() if held else held.append(route))
    with viewer.page.expect_request("**/assets/users-*.js"):
        viewer.page.get_by_role("link", name="Users").click()
    viewer.press("HALT", exact=True)
    held[0].abort()
    viewer.page.get_by_role("alert").filter(has_text="could not be loaded").wait_for()
    assert viewer.dialog("Emergency").is_visible(), "nothing is loaded under a person who is halting"
    assert viewer.problems == []
    viewer.close()


def test_chart_whose_script_was_lost_says_so_and_the_page_around_it_works(tmp_path: Path, chromium: Any) -> None:
    console = ConsoleOfTest(tmp_path, bundle=BUNDLE)
    try:
        now_ms = MarketClock.load(console.config.clock_path).now() // 1_000_000
        for at_ms in (now_ms - 2, now_ms - 1):
            console.server.reader._curve.add(ProfitPoint(at_ms=at_ms, realised=1.0, unrealised=0.0))
        viewer = PageViewer(chromium, console.server.url)
        viewer.page.route("**/assets/curve-*.js", lambda route: route.abort())
        viewer.log_in()
        viewer.page.get_by_role("alert").filter(has_text="could not be loaded").wait_for()
        viewer.page.unroute("**/assets/curve-*.js")
        assert viewer.page.get_by_text("Orders placed").is_visible()
        viewer.press("Load the page again")
        viewer.page.locator(".uplot").first.wait_for()
        assert viewer.problems == []
        viewer.close()
    finally:
        console.stop()


def upgraded(folder: Path) -> Path:
    """The pages once more, as another build: its mark and the names of its files are others."""
    shutil.copytree(BUNDLE, folder)
    assets = list(folder.glob("assets/*"))
    for path in [folder / "index.html", folder / "build.json", *assets]:
        text = path.read_text(encoding="utf-8").replace(read_build(BUNDLE), "upgraded-build")
        for asset in assets:
            text = text.replace(asset.name, f"upgraded-{asset.name}")
        path.write_text(text, encoding="utf-8")
    for asset in assets:
        asset.rename(asset.with_name(f"upgraded-{asset.name}"))
    return folder


def test_page_of_before_an_upgrade_says_so_and_is_of_the_new_build_once_loaded_again(
    tmp_path: Path, alone: ConsoleOfTest, chromium: Any
) -> None:
    viewer = PageViewer(chromium, alone.server.url)
    viewer.log_in()
    alone.restart(upgraded(tmp_path / "bundle"))
    banner = viewer.page.get_by_role("alert").filter(has_text="The console was updated")
    banner.wait_for()
    banner.get_by_role("button", name="Reload").click()
    viewer.page.get_by_role("heading", name="Dashboard").wait_for()
    viewer.open("/me", "My account")
    assert "upgraded-build" in viewer.page.locator("main").inner_text()
    assert not banner.count() and viewer.problems == []
    viewer.close()
