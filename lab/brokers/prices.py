"""The chapter of prices: an hour of market at twenty times the speed, at a broker's own frames and history.

Nothing is held: shares, an index and two options move as the simulator's market does. Their books are uneven, and one
share and the call run on Depth frames. One share is mute for a while, and at the end one entry is asked for.
`price_judge` holds what the stack made of it against what the exchange showed.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import date, datetime, time
from functools import cache
from pathlib import Path
from typing import Any

from lab.brokers.cases import Case
from lab.brokers.price_judge import (
    Look,
    PriceEvidence,
    PriceVerdict,
    Sent,
    Span,
    Trial,
    Watched,
    facts_of,
    judge_prices,
)
from lab.brokers.stage import HOUR, KEY, SEED, START, UNITS, Stage
from lab.brokers.uneven_books import is_on_depth
from mytrading.adapters.storage.bar_store import BarReader
from mytrading.core.time import DAY, MINUTE, SECOND, ist_date, to_ns
from mytrading.messages.instruments import Instrument
from mytrading.messages.market import Bar
from mytrading.runtime.host.clock import machine_now
from mytrading.simulator.main import build
from mytrading.simulator.market.history import Row
from mytrading.simulator.settings.feed_profile import feed_profile
from mytrading.simulator.settings.options import SimulatorOptions

SPEED = 20.0
INDEX = "NSE_INDEX:NIFTY"
SHARES = ("NSE:RELIANCE", "NSE:SBIN", "NSE:INFY")
MUTED, ENTERED = "NSE:SBIN", "NSE:INFY"
UNDERLYING, OPTIONS = "NIFTY", ("CE", "PE")
_BEFORE_S, _MUTE_S, _HOUR_S = 60.0, 30.0, 180.0
"""Machine seconds from the beginning to the mute, of the mute, and of all."""
_ASK_S = 3.0
_MARKET = threading.Lock()
"""One thread at a time computes true minutes, which are kept."""
_START_NS = to_ns((_start := datetime.fromisoformat(START)).date(), _start.time())


def watched_at(stage: Stage) -> list[str]:
    """The instruments of the chapter: index, shares, two options at the money, and the share that has the index's
    token, which another instrument gets the prices of where messages are found by the token alone."""
    code = stage.ask_server("expiry", symbol=UNDERLYING, exchange="NFO", instrumenttype="options")["data"][0]
    asked = {"underlying": UNDERLYING, "exchange": "NSE_INDEX", "expiry_date": code.replace("-", ""), "offset": "ATM"}
    options = [stage.ask_server("optionsymbol", **asked, option_type=kind)["symbol"] for kind in OPTIONS]
    token = stage.sent(INDEX)["token"]
    rivals = [f"NSE:{row['symbol']}" for row in stage.listed("NSE") if row["token"] == token]
    return list(dict.fromkeys((INDEX, *SHARES, *(f"NFO:{name}" for name in options), *rivals)))


def hour_of_prices(stage: Stage, share: str) -> None:
    """An hour of market data, what the stack makes of it, and one entry at its end."""
    stage.findings = play_prices(stage)._asdict()
    enter_at_the_end(stage, share)


PRICES = Case("an hour of prices at twenty times the speed", hour_of_prices, lambda _: "")
"""The chapter's case."""


def play_prices(stage: Stage) -> PriceVerdict:
    """Play the hour at a stage that watches `watched_at`, and judge it."""
    stage.until(lambda: _feed_is_ready(stage), 60.0, "the feed ready")
    live_ns, began = stage.market_ns // MINUTE * MINUTE + 2 * MINUTE, machine_now()
    trials: list[Trial] = []
    with Looks(stage) as looks:
        _wait_until(stage, began, _BEFORE_S)
        trials += _ask_risk(stage, _tradable(stage))
        muted, mute = _mute(stage, trials)
        _wait_until(stage, began, _HOUR_S)
        live = Span(live_ns, stage.market_ns // MINUTE * MINUTE)
        trials += _ask_risk(stage, _tradable(stage))
        late = round(_feed_beat(stage).get("figures", {}).get("late_quotes", 0.0))
    watched = [_watched(stage, name, muted if name == MUTED else None) for name in stage.watched]
    profile = feed_profile(stage.broker)
    assert profile is not None
    facts = facts_of(profile, refuses=not stage.enters)
    return judge_prices(PriceEvidence(facts, watched, live, mute, looks.seen, trials, stage.alerts_since(began), late))


def enter_at_the_end(stage: Stage, share: str) -> None:
    """Ask for the one entry by an alert: it is filled and guarded, or, at a refused broker, never there."""
    if not stage.enters:
        stage.alert("buy", share.partition(":")[2])
        stage.wait_held(share, 0, 5.0, stop=False)
        return
    stage.enter(share)
    stage.await_entry(lambda: stage.venue.net(share) == UNITS, 15.0, f"{UNITS} of {share} held", share)
    stage.until(lambda: stage.covered(share) == UNITS, 10.0, f"a stop for {UNITS} of {share}", share)


def _feed_is_ready(stage: Stage) -> bool:
    return bool(_feed_beat(stage).get("ready"))


def _feed_beat(stage: Stage) -> dict[str, Any]:
    """The feed's last heartbeat, empty before the first."""
    rows = stage.status().get("daemons", [])
    return next((row for row in rows if row["daemon"] == "feed"), {})


def _tradable(stage: Stage) -> list[str]:
    return [name for name in stage.watched if name != INDEX]


def _wait_until(stage: Stage, began: int, seconds: float) -> None:
    end = began + round(seconds * SECOND)
    stage.until(lambda: machine_now() >= end, seconds + 10.0, "time to pass")


def _ask_risk(stage: Stage, names: Sequence[str]) -> list[Trial]:
    """What risk says of a lot of each; the two options are not in a run's own unit, so a lot is one."""
    found = []
    for name in names:
        result = stage.trial("Idle", name)
        denials = {rule.code: rule.denial for rule in result.rules if rule.denial}
        if result.problem:
            denials["PROBLEM"] = result.problem
        found.append(Trial(machine_now(), name, denials))
    return found


def _mute(stage: Stage, trials: list[Trial]) -> tuple[Span, Span]:
    """Send nothing of a share for a while, and ask risk about it meanwhile: the market and the machine time of that."""
    begin_ns, began = stage.market_ns, machine_now()
    with stage.fault("ws_mute", instrument=MUTED):
        muted = machine_now()
        while machine_now() < began + round(_MUTE_S * SECOND):
            trials += _ask_risk(stage, [MUTED])
            _wait_until(stage, machine_now(), _ASK_S)
        ended = machine_now()
    return Span(begin_ns, stage.market_ns), Span(muted, ended)


class Looks:
    """Looks at the feed each machine second, in a thread of its own, while the block runs."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.seen: list[Look] = []
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="looks", daemon=True)

    def __enter__(self) -> Looks:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join(10.0)

    def _run(self) -> None:
        while not self._ends.wait(1.0):
            report = self._stage.feed_report()
            if report is not None and (not self.seen or report["at_machine_ns"] != self.seen[-1].at_ns):
                self.seen.append(look_of(report, ready=_feed_is_ready(self._stage)))


def look_of(report: dict[str, Any], *, ready: bool) -> Look:
    """A report of the feed as a look at it."""
    rows = report["subscriptions"]
    return Look(
        report["at_machine_ns"],
        ready,
        {row["instrument"]: row["age_s"] for row in rows},
        {row["instrument"]: row["problem"] for row in rows if row["problem"]},
        {row["instrument"]: row["mode"] for row in rows},
    )


def _watched(stage: Stage, name: str, muted: Span | None) -> Watched:
    found = stage.sent(name)
    sent = [Sent(int(at), float(ltp), int(volume)) for at, ltp, volume in found["quotes"]]
    tokens = [stage.sent(other)["token"] for other in stage.watched if other != name]
    reader = BarReader(stage.config.bars_dir)
    try:
        bars = reader.bars(name)
    finally:
        reader.close()
    with _MARKET:
        market = _true_market(stage.project_config)
        past = to_ns(market.past_day(name), time())
        history = market.minutes(name, ist_date(min([bar.start_ns for bar in bars[:1]] + [past])))
        tick = market.tick(name)
    return Watched(
        name, tick, sent, history, bars, Span(past, past + DAY), name == INDEX, muted, found["token"] in tokens,
        is_on_depth(name),
    )  # fmt: skip


class TrueMarket:
    """The market's own minutes of past and present days, computed from the seed, as no broker tells them."""

    def __init__(self, config: Path) -> None:
        self._venue, driver = build(SimulatorOptions(api_key=KEY, seed=SEED, start=START, config_dir=config))
        driver.begin()

    def minutes(self, name: str, since: date) -> dict[int, Bar]:
        """The minutes of an instrument by their start, from a day up to three hours after the start."""
        end_ns = _START_NS + 3 * HOUR
        rows = self._venue.history.rows(self._instrument(name), 1, since, ist_date(end_ns), end_ns)
        return {bar.start_ns: bar for bar in (_bar(name, row) for row in rows)}

    def tick(self, name: str) -> float:
        """The tick of an instrument in rupees."""
        return self._instrument(name).tick_size

    def past_day(self, name: str) -> date:
        """The last trading day before the start."""
        return self._venue.world.calendar.previous_trading_day(name.partition(":")[0], ist_date(_START_NS))

    def _instrument(self, name: str) -> Instrument:
        found = self._venue.instrument(name)
        assert found is not None
        return found


def _bar(name: str, row: Row) -> Bar:
    start_ns = int(row["timestamp"]) * SECOND
    opened, high, low, closed = (float(row[word]) for word in ("open", "high", "low", "close"))
    return Bar(name, "1m", start_ns, start_ns + MINUTE, opened, high, low, closed, int(row["volume"]))


@cache
def _true_market(config: Path) -> TrueMarket:
    return TrueMarket(config)
