"""The live screen: what is said first, and that nothing runs over at several sizes of terminal."""

from __future__ import annotations

import io
from datetime import date, time
from typing import Any

import pytest
from rich.console import Console

from mytrading.cli.stack.live_screen import LiveScreenData, render_screen
from mytrading.core.time import to_ns
from mytrading.messages.streams import ALL

CALL = "NFO:NIFTY23NOV2626100CE"
FOOTER = "q or Ctrl-C stops the stack"
ALERT = "the order stream was lost: Connection timed out; the books are read instead; it is tried again, and again"


def reported(orders: int = 12, ill: bool = False, figures: dict[str, float] | None = None) -> LiveScreenData:
    """A stack that holds one option, with `orders` orders; `ill`: its feed is degraded."""
    daemons: list[dict[str, Any]] = [
        {"daemon": name, "state": "RUNNING", "ready": True, "lag_ms": 0.2, "handler_p99_us": 19_398.7, "rss_mb": 40.1,
         "cpu_s": 1.5, "restarts": 0, "notes": []} for name in ("simulator", *ALL)
    ]  # fmt: skip
    feed = next(row for row in daemons if row["daemon"] == "feed")
    feed["figures"] = {
        "quotes_in": 9.0,
        "bars": 19.0,
        "fresh": 3.0,
        "expected": 4.0,
        "malformed": 0.0,
        **(figures or {}),
    }
    if ill:
        feed.update(state="DEGRADED", ready=False, notes=["socket: refused"])
    status = {"system": "MyTrading", "profile": "paper", "mode": "paper", "market_ns": 0, "speed": 60.0,
              "trading": {"level": "normal", "reason": ""}, "daemons": daemons}  # fmt: skip
    position = {"strategy": "SMA_Crossover", "instrument": CALL, "quantity": 65, "average_price": 31.4, "ltp": 29.05,
                "stop": 22.65, "stop_state": "resting", "unrealised": -156.0}  # fmt: skip
    order = {"created_ns": 0, "updated_ns": 0, "purpose": "entry", "side": "BUY", "quantity": 65, "instrument": CALL,
             "price": 31.4, "state": "CANCELLED"}  # fmt: skip
    signal = {"created_ns": 0, "strategy": "SMA_Crossover", "action": "BUY", "watch": "NSE_INDEX:NIFTY", "reason": "up"}
    alert = {"code": "ORDER_STREAM_DOWN", "subject": "paper", "message": ALERT}
    rows: dict[str, list[dict[str, Any]]] = {
        "positions": [position], "orders": [order] * orders, "signals": [signal] * 9, "alerts": [alert], "trades": [],
    }  # fmt: skip
    strategy = {"name": "SMA_Crossover", "state": "RUNNING", "enabled": True, "realised": 1420.25, "unrealised": -156.0,
                "prices": {"NSE_INDEX:NIFTY": 26081.35}, "waits": "its exit, at 15:12 at the latest"}  # fmt: skip
    summary = {"pnl": {"realised": 1420.25, "unrealised": -156.0}, "orders": {"placed": orders},
               "strategies": [strategy], "latency_ms": {"quote_to_order": {"p50": 17.2, "p99": 1105.0}}}  # fmt: skip
    return LiveScreenData(status, rows, summary, 139.0, f"{FOOTER} · closing")


def at(hour: int, minute: int, second: int = 0) -> int:
    return to_ns(date(2026, 11, 23), time(hour, minute, second))


def drawn(body: LiveScreenData, width: int, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    console.print(render_screen(body, width, height))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("orders", [0, 3, 50])
@pytest.mark.parametrize("width, height", [(60, 12), (60, 20), (80, 24), (100, 30), (140, 45), (200, 50)])
def test_screen_fits_its_terminal_and_ends_with_the_stop_key(width: int, height: int, orders: int) -> None:
    lines = drawn(reported(orders), width, height)
    assert len(lines) <= height
    assert max(len(line) for line in lines) <= width
    assert FOOTER in lines[-1]


@pytest.mark.parametrize("width, height", [(60, 20), (80, 24), (140, 45)])
def test_position_order_and_alert_are_seen_with_their_whole_instrument(width: int, height: int) -> None:
    lines = drawn(reported(), width, height)
    assert sum(CALL in line for line in lines) >= 2
    assert any("ORDER_STREAM_DOWN" in line for line in lines)


def test_positions_that_have_no_room_are_counted() -> None:
    body = reported()
    body.rows["positions"] *= 6
    small, large = ("\n".join(drawn(body, 100, height)) for height in (24, 60))
    assert f"positions 6, {6 - small.count('resting')} more" in small
    assert large.count("resting") == 6 and "more" not in large


def test_halt_is_reported_in_full_on_a_narrow_screen() -> None:
    body = reported()
    body.status["trading"] = {"level": "halt", "reason": "lunch", "by": "asha"}
    lines = drawn(body, 60, 20)
    assert "trading halt (lunch, by asha)" in " ".join(line.strip() for line in lines[:2])
    assert len(lines) <= 20 and FOOTER in lines[-1]


def test_process_that_is_not_well_is_reported_above_everything_but_the_profit() -> None:
    lines = drawn(reported(ill=True), 80, 24)
    (line,) = (number for number, line in enumerate(lines) if "feed DEGRADED: socket: refused" in line)
    assert line < next(number for number, line in enumerate(lines) if "strategy" in line)
    assert any("7 of 8 processes run" in line for line in lines)


def test_processes_have_one_line_while_all_are_well_and_one_each_on_a_large_screen_if_not() -> None:
    well, ill = ("\n".join(drawn(reported(ill=ill), 140, 45)) for ill in (False, True))
    assert "8 of 8 processes run and are ready" in well
    assert not any(f"\n{name} " in well for name in ("simulator", *ALL))
    assert all(f"\n{name} " in ill for name in ("simulator", *ALL))
    assert "p99 ms" in ill and "19.40" in ill, "one unit of latency"
    assert ALERT in ill


@pytest.mark.parametrize("width, height", [(80, 24), (140, 45)])
def test_profit_strategies_prices_and_what_is_waited_for_come_first(width: int, height: int) -> None:
    lines = drawn(reported(), width, height)
    assert "P&L ₹+1,264.25 · realised +1,420.25 · open -156.00" in " ".join(lines[1:3])
    (at,) = (number for number, line in enumerate(lines) if line.startswith("SMA_Crossover"))
    assert at <= 5
    assert "+1,264.25" in lines[at] and "NIFTY 26,081.35" in lines[at] and "its exit, at 15:12" in lines[at]


def test_strategy_that_cannot_enter_says_why_in_place_of_what_it_waits_for() -> None:
    body = reported()
    (row,) = body.summary["strategies"]
    for change, words in (
        ({"enabled": False}, "entries are switched off"),
        ({"state": "LOADING", "waits": ""}, "loading"),
        ({"state": "FAULTED", "problem": "sma.py:12: KeyError"}, "sma.py:12: KeyError"),
    ):
        body.summary["strategies"] = [{**row, **change}]
        assert words in "\n".join(drawn(body, 100, 30))


def test_order_shows_when_it_changed_last_and_the_latest_change_comes_first() -> None:
    body = reported(1)
    entry = {**body.rows["orders"][0], "created_ns": at(10, 37), "updated_ns": at(10, 37, 2), "state": "FILLED"}
    stop = {**entry, "purpose": "stop", "side": "SELL", "state": "ACCEPTED", "updated_ns": at(10, 44, 5)}
    body.rows["orders"] = [stop, entry]
    lines = [line for line in drawn(body, 140, 45) if CALL in line and ("entry" in line or "stop " in line)]
    assert [line.strip("│ ").split()[0] for line in lines if ":0" in line][:2] == ["10:44:05", "10:37:02"]


@pytest.mark.parametrize(
    ("purpose", "reason", "words"),
    [
        ("stop", "", "stop hit"),
        ("exit", "stop: 34.95 is at or beyond 35.00", "stop hit"),
        ("target", "", "target reached"),
        ("exit", "exit_time 15:00 has come", "closed (exit_time 15:00 has come)"),
        ("exit", "", "closed"),
    ],
)
def test_end_of_a_trade_is_an_event_with_its_cause_and_its_loss(purpose: str, reason: str, words: str) -> None:
    body = reported(1)
    owner = {"strategy": "SMA_Crossover", "account": "main", "instrument": CALL, "product": "MIS"}
    body.rows["orders"] = [
        {**body.rows["orders"][0], **owner, "created_ns": at(10, 37), "updated_ns": at(10, 44), "purpose": purpose,
         "state": "FILLED", "reason": reason}
    ]  # fmt: skip
    body.rows["trades"] = [
        {**owner, "side": "BUY", "quantity": 65, "entry_price": 46.85, "exit_price": 34.95, "realised": -773.5,
         "opened_ns": at(10, 37), "closed_ns": at(10, 44)}
    ]  # fmt: skip
    text = "\n".join(drawn(body, 140, 45))
    assert f"10:44:00 SMA_Crossover {words}, ₹-773.50: 65 {CALL} out at 34.95" in text
    assert "1 trade, 0 won" in text


def test_latency_has_one_unit_and_the_speed_of_the_market_beside_it() -> None:
    text = "\n".join(drawn(reported(), 160, 45))
    assert "orders leave 17 ms after their quote, 1 in 100 after 1,105 ms (×60: 1.0 s and 66.3 s of market)" in text
    live = reported()
    live.status["speed"] = 1.0
    assert "of market" not in "\n".join(drawn(live, 160, 45))


def test_feed_tells_coverage_and_of_troubles_those_that_were() -> None:
    text = "\n".join(drawn(reported(figures={"malformed": 2.0, "bar_gaps": 0.0}), 140, 45))
    assert "feed 139 quotes/s · 3 of 4 instruments fresh · 19 bars · malformed 2\n" in text


def test_critical_alert_is_seen_above_the_many_of_another_kind_that_are_newer() -> None:
    body = reported(3)
    cause = {"code": "DAY_NOT_ROLLED", "subject": "risk", "message": "no inodes", "severity": "critical", "first_ns": 1}
    missing = {"code": "ORDER_MISSING", "message": "gone", "severity": "warning", "last_ns": 9}
    body.rows["alerts"] = [cause, *({**missing, "subject": f"o{n}", "first_ns": 2 + n} for n in range(92))]
    text = "\n".join(drawn(body, 140, 45))
    assert "DAY_NOT_ROLLED risk: no inodes" in text and "o0, o1, o2 and 89 more" in text
    assert text.index("DAY_NOT_ROLLED") < text.index("ORDER_MISSING")
