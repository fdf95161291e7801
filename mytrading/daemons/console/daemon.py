"""The console daemon: pages for operators over HTTP, in a thread; a loop that only beats.

gateway ─► StackReader (one reader, four times a second, what somebody watches) ─► LiveHub ─► every open page
market  ─► ChainSubscriptions (leased quotes of chains that somebody looks at) ───┘
POST of a page ─► typed command to the gateway, with who gave it ─► journal

It decides nothing and nothing waits for it: killed, attacked or without a port, it costs the stack nothing.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress

from mytrading.daemons.console.server import ConsoleServer, NotPrivate
from mytrading.messages.enums import Severity
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.daemon.daemon import Daemon
from mytrading.runtime.daemon.live_files import EditedFiles
from mytrading.runtime.daemon.market_tables import MarketTables
from mytrading.runtime.host.http_thread import PortTaken
from mytrading.runtime.streams.endpoints import console_endpoint_file

NO_PORT = "CONSOLE_PORT_TAKEN"
NO_TLS = "CONSOLE_NOT_PRIVATE"
NO_PROXIES = "CONSOLE_PROXIES_UNSET"
ADDRESS = "console"
BIND_S = 5.0
WATCH_S = 1.0
NICENESS = 5


class Console(Daemon):
    """The process of the web console."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__("console", config)
        self._tables = MarketTables(config)
        self._calendar = self._tables.calendar
        self._server = ConsoleServer(config, self.clock, self._calendar)

    def setup(self) -> None:
        """Open the port; without it, try again every few seconds."""
        os.nice(NICENESS)
        self._listen()
        self.every(BIND_S, lambda _: self._listen())
        self.every(WATCH_S, lambda _: self._watch())
        edits = EditedFiles(self.alerts, self.log)
        self._tables.follow_calendar(edits)
        self.every(WATCH_S, lambda _: edits.poll())

    def _listen(self) -> None:
        """Open the port unless it is open. A taken one is an alert, and tried again: nothing else waits for it."""
        server = self._server
        if server.port:
            return
        try:
            server.listen()
        except (PortTaken, NotPrivate) as error:
            code, other = (NO_TLS, NO_PORT) if isinstance(error, NotPrivate) else (NO_PORT, NO_TLS)
            self.alerts.clear(other, ADDRESS)
            self.alerts.raise_(code, Severity.WARNING, ADDRESS, str(error))
            return
        for code in (NO_PORT, NO_TLS):
            self.alerts.clear(code, ADDRESS)
        if self.config.console.public_url and not self.config.console.proxies:
            text = (
                "CONSOLE_PUBLIC_URL is set and CONSOLE_PROXIES is not: limits and the audit take all who come through"
                " the proxy for one address; name the proxy's there"
            )
            self.alerts.raise_(NO_PROXIES, Severity.WARNING, ADDRESS, text)
        place = {"port": server.port, "url": server.url, "public": self.config.console.public_url}
        console_endpoint_file(self.config).write_text(json.dumps(place), encoding="utf-8")
        self.log.info("console.listening", port=server.port, build=server.build)
        self.report_readiness()

    def _watch(self) -> None:
        if self._server.port and not self._server.is_alive:
            self.log.critical("http.ended", next_step="the process ends, supervisor starts it again")
            self.stop(1)

    def ready(self) -> bool:
        """True while the port is open."""
        return self._server.is_alive

    def figures(self) -> dict[str, float]:
        """Return the port, how many pages are open, rounds of queries to the gateway, and leased chains."""
        server = self._server
        return {
            "port": server.port,
            "viewers": len(server.hub.viewers),
            "rounds": server.reader.asked,
            "chains": server.chains.count,
        }

    def teardown(self) -> None:
        """Close the port, the sockets of all pages, and the users' file."""
        with suppress(OSError):
            console_endpoint_file(self.config).unlink(missing_ok=True)
        self._server.stop()
