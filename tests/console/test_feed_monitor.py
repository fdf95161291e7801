"""The feed monitor of a stack on two servers: the standby takes over, the first one comes back, and it says why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.cli.shell.start import StartOptions, prepare_stack
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.host.clock import ClockFile, read_clock_file, write_clock_file
from tests.kit import fork_server
from tests.kit.console_viewer import PHONE, PageViewer, console_url, logged_in_state
from tests.kit.project import ROOT
from tests.kit.simulator_process import API_KEY, RunningSimulator, start_simulator
from tests.kit.stack import COMMAND, Stack
from tests.kit.stack_project import make_busy_project
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
QUICK = {"FEED_MUTE_SECONDS": "4", "FEED_DOWN_SECONDS": "1", "CONSOLE_ENABLED": "true"}
PLACE = {"CONSOLE_PORT": "0", "CONSOLE_PROXIES": "127.0.0.1"}


class TwoServers:
    """A stack whose quotes come from `main`, with `spare` standing by; servers are killed and started again."""

    def __init__(self, folder: Path, stack: Stack, processes: ExitStack) -> None:
        self.stack = stack
        self._folder, self._processes = folder, processes
        self.running: dict[str, RunningSimulator] = {}
        self.state: Any = None
        """Cookies of a browser in which `asha` is logged in."""

    def start(self, name: str, **ports: int) -> RunningSimulator:
        """Start a server, again in the folder of its books."""
        place = self._folder / name
        place.mkdir(exist_ok=True)
        self.running[name] = self._processes.enter_context(start_simulator(place, **ports))
        return self.running[name]

    def start_again(self, name: str) -> None:
        """Start a killed server at the ports that it had."""
        before = self.running[name]
        rest, ws = (int(re.findall(r":(\d+)", url)[0]) for url in (before.rest, before.ws))
        self.start(name, rest_port=rest, ws_port=ws)

    def clock(self) -> Path:
        """The clock of the first server."""
        return self._folder / "main" / "clock.json"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, chromium: Any) -> Iterator[TwoServers]:
    folder = tmp_path_factory.mktemp("servers")
    environment = {
        **make_busy_project(folder / "home", **QUICK, **PLACE),
        "MYTRADING_KEY_FILE": str(folder / "keys" / "key"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }
    patched = pytest.MonkeyPatch()
    with ExitStack() as processes, Stack(folder, **environment) as stack:
        made = TwoServers(folder, stack, processes)
        for name, value in stack.environment.items():
            patched.setenv(name, value)
        for name, role in (("main", "primary"), ("spare", "backup")):
            server = made.start(name)
            given = ("--host", server.rest, "--ws-url", server.ws, "--role", role, "--key-stdin")
            added = [COMMAND, "account", "add", name, *given]
            fork_server.run(added, env=stack.environment, input=API_KEY, text=True, check=True, cwd=ROOT)

        def same_time(config: RunConfig) -> None:  # that of the server: the wall's may be outside of a session
            segments = read_clock_file(made.clock()).segments
            write_clock_file(config.clock_path, ClockFile(segments=segments, last_seen_machine_ns=0))

        started = prepare_stack(StartOptions())
        quick = replace(started.config.data, failback_seconds=4.0)  # which no setting allows: a minute is the least
        started.config = replace(started.config, data=quick)
        started.start(same_time)
        started.wait_ready(90)
        made.state = logged_in_state(chromium, stack)
        yield made
    patched.undo()


@pytest.fixture
def viewer(servers: TwoServers, chromium: Any) -> PageViewer:
    """A page of the feed monitor."""
    made = PageViewer(chromium, console_url(servers.stack), state=servers.state)
    made.open("/feed", "Feed")
    return made


def failovers(viewer: PageViewer) -> list[str]:
    """The changes of source that the page shows, the newest first."""
    rows = viewer.page.get_by_role("list", name="Changes of source").locator("li").all_inner_texts()
    return [re.sub(r"\s+", " ", row).strip() for row in rows]


def wait_for_failover(viewer: PageViewer, kind: str, number: int) -> str:
    """The newest change of source, once so many are shown."""
    rows = viewer.page.get_by_role("list", name="Changes of source").locator("li")
    rows.nth(number - 1).wait_for(timeout=60_000)
    (newest, *_), count = failovers(viewer), rows.count()
    assert count == number and re.match(rf"\d+ \w{{3}} \d{{4}} \d\d:\d\d:\d\d {kind} ", newest), newest
    return newest


def figure(viewer: PageViewer, name: str) -> str:
    shown = viewer.page.locator(".figures > div").filter(
        has=viewer.page.locator("dt", has_text=re.compile(f"^{name}$"))
    )
    return str(shown.locator("dd").first.inner_text())


def test_standby_takes_over_from_a_server_that_died_and_gives_the_feed_back(
    servers: TwoServers, viewer: PageViewer, chromium: Any
) -> None:
    page = viewer.page
    viewer.row("sources", "main", "in use", "well")
    viewer.row("sources", "spare", "stands by", "well")
    page.get_by_text("None yet: the first source served all the time.").wait_for()
    assert (figure(viewer, "In use"), figure(viewer, "In reserve, by preference")) == ("main", "spare")
    assert viewer.row("subscriptions", "NIFTY", "Alternating", "live")
    eventually(lambda: int(figure(viewer, "Quotes received").replace(",", "")) > 0, 30)

    servers.running["main"].process.kill()
    taken = wait_for_failover(viewer, "takeover", 1)
    assert "main → spare: main has no connection: " in taken
    viewer.row("sources", "spare", "in use", "well")
    lost = viewer.row("sources", "main", "stands by", "not connected")
    assert lost.locator("td").last.inner_text(), "it says why"
    eventually(lambda: figure(viewer, "In use") == "spare", 20)
    assert figure(viewer, "Switches of source") == "1"
    before = int(figure(viewer, "Quotes received").replace(",", ""))
    eventually(lambda: int(figure(viewer, "Quotes received").replace(",", "")) > before, 30)
    phone = PageViewer(chromium, viewer.url, width=PHONE, state=servers.state)
    phone.open("/feed", "Feed")
    phone.row("sources", "spare", "in use")
    assert failovers(phone) == [taken]
    assert phone.too_wide() == [] and phone.serious_findings() == [] and phone.problems == []
    phone.close()
    viewer.open("/alerts", "Alerts")
    viewer.row("alerts", "FEED_ON_BACKUP", "market data come from spare, main has no connection")

    servers.start_again("main")
    viewer.open("/feed", "Feed")
    assert "spare → main: main was well for long enough" in wait_for_failover(viewer, "failback", 2)
    viewer.row("sources", "main", "in use", "well", "2 ×")
    viewer.row("sources", "spare", "stands by", "well")
    assert failovers(viewer)[1] == taken


def test_mute_server_is_left_and_the_history_outlives_the_log_and_the_processes(
    servers: TwoServers, viewer: PageViewer, chromium: Any
) -> None:
    viewer.row("sources", "main", "in use", "well")
    known = len(failovers(viewer))
    servers.running["main"].call("/sim/fault", kind="ws_mute", count=-1)
    taken = wait_for_failover(viewer, "takeover", known + 1)
    assert re.search(r"main → spare: main is mute: no new quote for \d+ s while the market is open$", taken)
    eventually(lambda: "no new quote" in viewer.row("sources", "main", "sick").inner_text(), 30)
    servers.running["main"].call("/sim/fault", kind="clear")
    wait_for_failover(viewer, "failback", known + 2)
    for log in Path(servers.stack.environment["MYTRADING_LOG_DIR"]).glob("*/main.log"):
        log.write_text("", encoding="utf-8")
    killed = servers.stack.kill("feed")
    eventually(lambda: servers.stack.pid("feed") not in (0, killed), 40)
    eventually(lambda: figure(viewer, "Switches of source") == "0", 40)
    assert len(failovers(viewer)) == known + 2 and failovers(viewer)[1] == taken
    assert viewer.problems == []
