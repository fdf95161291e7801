"""Routes of the feed monitor: sources, counts and connections of the feed, and each of its subscriptions."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
from litestar import get
from litestar.datastructures import State

from mytrading.daemons.console.actions_api import query_gateway
from mytrading.daemons.console.log_tail import log_line, wall_ms_of
from mytrading.daemons.console.refusals import ApiRefused
from mytrading.messages import console_api as api
from mytrading.messages import ops
from mytrading.runtime.observability import audit
from mytrading.runtime.observability.log_lines import last_lines, parse_log_line

ANSWER_S, ASK_S = 3.0, 0.1
"""Seconds for which the feed's report is awaited, and between two queries for it."""
MOST_FAILOVERS = 100


@get("/api/feed", sync_to_thread=True)
def show_feed(state: State) -> api.FeedMonitor:
    """Return the connections of the feed: the serving one, those standing by, their figures and their history."""
    status = query_gateway(state, ops.StatusQuery())
    row: dict[str, Any] = next((one for one in status["daemons"] if one["daemon"] == "feed"), {})
    figures: dict[str, float] = dict(row.get("figures") or {})
    names = [source.id for source in state.config.quote_accounts]
    rank = int(figures.get("source", 0))
    current = names[rank] if rank < len(names) else ""
    lines = last_lines(Path(state.config.log_dir) / "main.log")
    entries = [(entry, line) for line in lines if '"feed.' in line and (entry := parse_log_line(line))]
    feed_lines = [log_line(entry, line) for entry, line in entries if str(entry.get("event", "")).startswith("feed.")]
    return api.FeedMonitor(
        current=current,
        standby=[name for name in names if name != current],
        well=int(figures.get("sources_well", 0)),
        silent_s=figures.get("source_age_s"),
        subscribed=int(figures.get("subscribed", 0)),
        ticked=int(figures.get("ticked", 0)),
        fresh=int(figures.get("fresh", 0)),
        expected=int(figures.get("expected", 0)),
        quotes=int(figures.get("quotes_in", 0)),
        bars=int(figures.get("bars", 0)),
        switches=int(figures.get("source_switches", 0)),
        reconnects=int(figures.get("reconnects", 0)),
        figures=figures,
        failovers=_failovers(state.config.state),
        history=feed_lines[-100:],
    )


def _failovers(folder: Path) -> list[api.FeedSwitch]:
    """The last changes of source, the newest first: from the audit log, since the log of a day rotates."""
    rows = [parse_log_line(line) for line in last_lines(folder / audit.FILE) if '"feed.' in line]
    found = [
        api.FeedSwitch(
            wall_ms=wall_ms_of(str(row.get("time"))),
            kind=str(row["action"]).removeprefix("feed."),
            previous=str(row.get("previous", "")),
            to=str(row.get("subject", "")),
            reason=str(row.get("reason", "")),
        )
        for row in rows
        if str(row.get("action", "")).startswith("feed.")
    ]
    return found[: -MOST_FAILOVERS - 1 : -1]


@get("/api/feed/subscriptions", sync_to_thread=True)
def show_subscriptions(state: State) -> api.FeedSubscriptions:
    """Return what the feed subscribes at this moment, who wants it, and how old its last price is."""
    until, since = time.monotonic() + ANSWER_S, 0
    while True:
        found = query_gateway(state, ops.FeedQuery())
        since, report = since or found["now_machine_ns"], found["report"]
        if report is not None and report["at_machine_ns"] >= since:
            return msgspec.convert(report, api.FeedSubscriptions)
        if time.monotonic() > until:
            raise ApiRefused("STACK_SILENT", "the feed does not answer; see `mytrading status`", "", 2)
        time.sleep(ASK_S)


ROUTES = [show_feed, show_subscriptions]
