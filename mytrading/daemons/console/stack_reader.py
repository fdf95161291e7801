"""Reads the gateway for all viewers together: only what somebody watches, four times a second, one query at a time.

One thread asks, so the gateway has one reader however many pages are open, and none while no page is (but for a point
of the profit curve each five seconds).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from mytrading.core.calendar import Calendar
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.time import format_ist, ist_date
from mytrading.daemons.console import views
from mytrading.daemons.console.exposure import exposure_rows
from mytrading.daemons.console.log_tail import LogTail
from mytrading.daemons.console.profit_curve import ProfitCurve
from mytrading.daemons.console.structure_greeks import GreekLeg, NetGreeks, net_greeks
from mytrading.daemons.console.topics import TopicBook
from mytrading.messages import ops
from mytrading.messages.console_rows import ListRow, ProfitPoint
from mytrading.messages.instruments import InstrumentKind
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.host.clock import MarketClock, machine_now
from mytrading.runtime.streams.ops_client import Ops, OpsRefused, OpsTimedOut

POLL_S = 0.25
PATIENCE_S = 1.0
"""Seconds for which an answer of the gateway is awaited; then the page is grey, and the query is repeated."""
PROFIT_NS = 5_000_000_000
CURVE_FILE = "profit-curve.bin"
MOST_ENDED = 500
"""Rows of a list that have ended which pages hold, beside all that have not; older ones are asked for."""
_NEEDS_RISK = frozenset({"limits", "stops", "structures"})
_NEEDS_ORDERS = frozenset({"orders", "needs"})
LISTS_NS = 5_000_000_000
"""Lists that no journaled row has changed are asked for again after so long."""
LISTS: dict[str, Callable[[Any], views.Table]] = {
    "orders": views.order_rows,
    "trades": views.trade_rows,
    "signals": views.signal_rows,
}
"""Lists of which pages hold the first page, each with what makes rows of its replies."""


class _KnownList(NamedTuple):
    """Rows of a list and how much of it they are, the mark of the gateway's books at which they were read, and when."""

    mark: str
    asked_ns: int
    rows: views.Table
    extent: ListRow


class StackReader:
    """The newest picture of the stack in `book`. `changed` is called in the event loop with the topics that have."""

    def __init__(
        self,
        config: RunConfig,
        clock: MarketClock,
        calendar: Calendar,
        instruments: Callable[[], InstrumentBook],
        changed: Callable[[list[str]], None],
    ) -> None:
        self.book = TopicBook()
        self.problem = "the stack was not queried yet"
        """Reason for which the gateway does not answer; empty if it does."""
        self.answered_ns = 0
        """Machine time of its newest answer."""
        self.asked = 0
        """Rounds of queries so far."""
        self._config, self._clock, self._calendar = config, clock, calendar
        self._instruments = instruments
        self._changed = changed
        self._thread = ThreadPoolExecutor(1, "console.reader")
        self._ops: Ops | None = None
        self._curve = ProfitCurve(config.state / CURVE_FILE)
        self._profit_ns = 0
        self._expiring: tuple[str, list[str]] = ("", [])
        self._lists: dict[str, _KnownList] = {}
        self._log = LogTail(Path(config.log_dir) / "main.log")

    async def run(self, wanted: Callable[[], frozenset[str]]) -> None:
        """Read what is `wanted` until cancelled."""
        while True:
            await asyncio.sleep(POLL_S)
            topics = wanted()
            if topics or machine_now() - self._profit_ns > PROFIT_NS:
                await self.refresh(topics)

    async def refresh(self, topics: Iterable[str]) -> None:
        """Read these topics now."""
        wanted = frozenset(topics)
        tables = await asyncio.get_running_loop().run_in_executor(self._thread, self._read, wanted)
        changed = [topic for topic, rows in tables.items() if self.book.put(topic, rows)]
        if changed:
            self._changed(changed)

    def stop(self) -> None:
        """End the thread, once what it asks is answered."""
        self._thread.submit(self._hang_up)
        self._thread.submit(self._log.close)
        self._thread.shutdown(wait=True)

    def _hang_up(self) -> None:
        self._lists.clear()
        if self._ops is not None:
            self._ops.close()
            self._ops = None

    def _read(self, topics: frozenset[str]) -> Mapping[str, views.Table]:
        """The rows of topics; only the log, with `problem` set, where the gateway does not answer."""
        self.asked += 1
        log: dict[str, views.Table] = {"log": self._log.rows()} if "log" in topics else {}
        try:
            self._ops = self._ops or Ops(self._config, PATIENCE_S)
            tables = self._tables(topics, self._ops.ask)
        except (OpsTimedOut, OpsRefused, OSError) as error:
            self.problem = str(error)
            self._hang_up()
            return log
        self.problem, self.answered_ns = "", machine_now()
        return {**tables, **log}

    def _tables(self, topics: frozenset[str], ask: Callable[[Any], Any]) -> dict[str, views.Table]:
        status, summary = ask(ops.StatusQuery()), ask(ops.SummaryQuery())
        risk = ask(ops.RiskQuery()) if topics & _NEEDS_RISK else {}
        now, mark = machine_now(), str(status["books_mark"])

        def listed(topic: str) -> views.Table:
            """The rows of a list that only grows by journaled changes: asked for again once there were any."""
            known = self._lists.get(topic)
            if known is None or known.mark != mark or now - known.asked_ns > LISTS_NS:
                page = ask(ops.ListQuery(name=topic, limit=MOST_ENDED))  # type: ignore[arg-type]
                known = _KnownList(mark, now, LISTS[topic](page["rows"]), views.list_row(topic, page))
                self._lists[topic] = known
            return known.rows

        orders = listed("orders") if topics & _NEEDS_ORDERS else {}
        self._add_point(summary)
        made: dict[str, Callable[[], views.Table]] = {
            "stack": lambda: views.stack_rows(status, summary, self._config.system_name, self._session()),
            "accounts": lambda: views.account_rows(status, summary),
            "strategies": lambda: views.strategy_rows(summary["strategies"], summary["positions"], self._lot_of),
            "positions": lambda: views.position_rows(ask(ops.PositionsQuery(all=True)), ist_date(self._clock.now())),
            "alerts": lambda: views.alert_rows(summary["alerts"]),
            "halts": lambda: views.halt_rows(status),
            "processes": lambda: views.process_rows(status),
            "orders": lambda: orders,
            "trades": lambda: listed("trades"),
            "signals": lambda: listed("signals"),
            "limits": lambda: views.limit_rows(risk),
            "exposure": lambda: self._exposure(summary),
            "stops": lambda: views.stop_rows(risk),
            "structures": lambda: views.structure_rows(risk, lambda legs: self._greeks(legs, summary)),
            "needs": lambda: views.need_rows(
                views.alert_rows(summary["alerts"]),
                views.strategy_rows(summary["strategies"]),
                views.position_rows(summary["positions"]),
                orders,
                listed("signals"),
            ),
            "profit": self._curve.rows,
        }
        tables = {topic: made[topic]() for topic in topics if topic in made}
        if "lists" in topics:
            tables["lists"] = {name: known.extent for name, known in self._lists.items()}
        return tables

    def _lot_of(self, instrument: str) -> int:
        contract = self._instruments().get(instrument)
        return contract.lot_size if contract is not None else 0

    def _greeks(self, legs: list[GreekLeg], summary: Mapping[str, Any]) -> NetGreeks | None:
        return net_greeks(legs, self._instruments(), _watched(summary), self._clock.now())

    def _exposure(self, summary: Mapping[str, Any]) -> views.Table:
        prices = _watched(summary) | {row["instrument"]: row.get("ltp") for row in summary["positions"]}
        return dict(exposure_rows(summary["positions"], self._instruments(), prices, self._clock.now()))

    def _add_point(self, summary: Mapping[str, Any]) -> None:
        now = machine_now()
        if now - self._profit_ns < PROFIT_NS:
            return
        self._profit_ns = now
        pnl, at_ms = summary["pnl"], int(summary["market_ns"]) // views.MS
        self._curve.add(ProfitPoint(at_ms=at_ms, realised=pnl["realised"], unrealised=pnl["unrealised"]))

    def _session(self) -> tuple[str, str, list[str]]:
        """State and text of the derivatives' session, and the underlyings whose options expire today."""
        now, exchange = self._clock.now(), "NFO"
        if not self._calendar.has_exchange(exchange):
            exchange = self._calendar.exchanges[0]
        today = self._calendar.session(exchange, ist_date(now))
        if today is not None and today.open_ns <= now < today.close_ns:
            return "open", f"closes {format_ist(today.close_ns, '%H:%M')}", self._expiring_on(now)
        opens = self._calendar.next_open(exchange, now)
        return "closed", f"opens {format_ist(opens, '%a %d %b %H:%M')}", self._expiring_on(now)

    def _expiring_on(self, now: int) -> list[str]:
        day = ist_date(now).isoformat()
        if self._expiring[0] != day:
            book = self._instruments()
            names = {one.underlying for one in book if one.kind is InstrumentKind.CE and one.expiry == day}
            if len(book):
                self._expiring = (day, sorted(names))
            return sorted(names)
        return self._expiring[1]


def _watched(summary: Mapping[str, Any]) -> dict[str, float | None]:
    """The last price of everything that a strategy watches."""
    return {name: price for row in summary["strategies"] for name, price in row["prices"].items()}
