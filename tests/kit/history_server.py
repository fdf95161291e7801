"""A server of history over HTTP whose stamps, holes and empty answers a test chooses; its bars are made here."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mytrading.core.time import MINUTE, SECOND, ist_date, to_ns

DAY = timedelta(days=1)


def minutes_of(*days: date, begin: str = "09:15", count: int = 375) -> list[int]:
    """True starts (ns) of consecutive minutes of days, from an Indian time on."""
    return [to_ns(day, time.fromisoformat(begin)) + number * MINUTE for day in days for number in range(count)]


@dataclass
class HistoryServer:
    """`minutes` and `days` hold the true bars of instruments; answers date them `late` minutes and `early` days off.
    `lost` days are left out of answers, and an interval in `refused` is answered with HTTP 500."""

    minutes: dict[str, list[int]] = field(default_factory=dict)
    days: dict[str, list[date]] = field(default_factory=dict)
    late: int = 0
    early: int = 0
    lost: set[date] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    broker: str = "anybroker"
    url: str = ""
    asked: list[tuple[str, str, str, str]] = field(default_factory=list)

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return status and body of an answer to a call."""
        if path.endswith("/ping"):
            return 200, {"status": "success", "data": {"message": "pong", "broker": self.broker}}
        name, interval = f"{body['exchange']}:{body['symbol']}", body["interval"]
        first, last = date.fromisoformat(body["start_date"]), date.fromisoformat(body["end_date"])
        self.asked.append((name, interval, body["start_date"], body["end_date"]))
        if interval in self.refused:
            return 500, {"status": "error", "message": f"interval {interval} is not supported"}
        if interval == "D":
            true = [day for day in self.days.get(name, []) if first <= day <= last and day not in self.lost]
            stamps = [int(datetime.combine(day - self.early * DAY, time(), UTC).timestamp()) for day in true]
        else:
            found = (start for start in self.minutes.get(name, []) if first <= ist_date(start) <= last)
            stamps = [start // SECOND + 60 * self.late for start in found if ist_date(start) not in self.lost]
        rows = [
            {"timestamp": at, "open": 100, "high": 101, "low": 99, "close": 100 + number % 7 / 10, "volume": 10}
            for number, at in enumerate(stamps)
        ]
        return 200, {"status": "success", "data": rows}


@contextmanager
def history_server(**choices: Any) -> Iterator[HistoryServer]:
    """Serve until the block ends, on a free port of loopback."""
    server = HistoryServer(**choices)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, reply = server.answer(self.path.rstrip("/"), body)
            sent = json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: Any) -> None:
            """Nothing is logged."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        server.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
