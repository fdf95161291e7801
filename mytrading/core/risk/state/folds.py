"""What risk learns of the world around its intents: prices, health, modes, levels, switches, halts, exits under way.

A row here says how one thing stands now; none of them ends or settles an intent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from mytrading.core.accounting.pnl import collared
from mytrading.core.risk.books.books import RiskBooks
from mytrading.core.risk.protection import engine_stops, take_profits
from mytrading.core.risk.state.inputs import JournalDoubt
from mytrading.messages.account_events import AccountModeChanged, InstrumentHalted, RecoveryChanged
from mytrading.messages.control import BarsLacking, Heartbeat, ModeCleared, StrategySwitch, TradingState
from mytrading.messages.journal_rows import LevelMoved, RunStarted
from mytrading.messages.market import Quote
from mytrading.messages.orders import GoalChanged, ProtectionChanged, TimerFired
from mytrading.messages.reports import AccountHealth

_NEAR = 0.002
"""The share of a last price within which bid and ask lie in any collar."""
_DISK_LOW = {"disk_low": True, "disk_ok": False}
"""Timers that report the state of the disk."""


def _goal(books: RiskBooks, row: GoalChanged) -> None:
    goal = row.goal
    books.goals[goal.id] = goal
    key = goal.owner
    if goal.state == "done":
        books.closing.discard(key)
        del books.goals[goal.id]
    else:
        books.closing.add(key)


def learn_level(books: RiskBooks, row: LevelMoved) -> None:
    """Keep a level under its name: of a limit, a target, a stop or, by any other name, as it is."""
    if books.memory.learn(row):
        return
    if (owner := take_profits.key_in(row.name)) is not None:
        books.target_levels[owner] = row.value
        if not row.value:
            del books.target_levels[owner]
        return
    owner = engine_stops.key_in(row.name)
    if owner is None:
        books.levels[row.name] = row.value
        return
    there = books.stop_instruments
    if row.value and owner not in books.stop_levels:
        there[owner[1]] = [*there.get(owner[1], ()), owner]
    elif not row.value and owner in books.stop_levels:
        del books.stop_levels[owner]
        there[owner[1]] = [key for key in there[owner[1]] if key != owner]
        if not there[owner[1]]:
            del there[owner[1]]
    if row.value:
        books.stop_levels[owner] = row.value


def _protection(books: RiskBooks, row: ProtectionChanged) -> None:
    level = row.protection
    books.protections[level.owner] = level


def _timer(books: RiskBooks, row: TimerFired) -> None:
    books.machine_ns = max(books.machine_ns, row.machine_ns)
    books.memory.money.recount()
    if row.name in _DISK_LOW:
        books.disk_low = _DISK_LOW[row.name]


def _doubt(books: RiskBooks, row: JournalDoubt) -> None:
    books.doubted = row.active


def _beat(books: RiskBooks, row: Heartbeat) -> None:
    books.beats[row.daemon] = row
    if row.daemon == "feed":
        books.feed_well_ns = row.machine_ns if row.ready else books.feed_well_ns
        books.tally.beat(row)
    books.machine_ns = max(books.machine_ns, row.machine_ns)


def _bars(books: RiskBooks, row: BarsLacking) -> None:
    books.bars = row


def _health(books: RiskBooks, row: AccountHealth) -> None:
    books.health[row.account] = row


def _quote(books: RiskBooks, row: Quote) -> None:
    """A quote takes the place of the one before unless it has no price, or is older.

    What is held is valued by it within a collar of its last price, which the feed has judged.
    """
    name = row.instrument
    known = books.quotes.get(name)
    if not 0.0 < row.ltp < math.inf or (known is not None and row.market_ns < known.market_ns):
        return
    books.quotes[name] = row
    near = row.ltp * _NEAR
    if (row.bid is None or abs(row.bid - row.ltp) <= near) and (row.ask is None or abs(row.ask - row.ltp) <= near):
        valued = row
    else:
        valued = collared(row, books.reach(name, row.ltp))
    books.valued[name] = valued
    if row.received_ns > books.machine_ns:
        books.machine_ns = row.received_ns
    memory = books.memory
    if memory.began < 0:
        memory.notice_day(row.market_ns)
    if memory.money.quote(valued, books.machine_ns) and (touched := memory.money.scopes_of(name)):
        memory.raise_peaks(touched, row.market_ns)


def _started(books: RiskBooks, row: RunStarted) -> None:
    books.memory.begin(row.market_ns)


def _trading(books: RiskBooks, row: TradingState) -> None:
    books.trading[row.account] = row


def _switch(books: RiskBooks, row: StrategySwitch) -> None:
    books.switches[row.strategy] = row


def _recovery(books: RiskBooks, row: RecoveryChanged) -> None:
    if row.done:
        books.recovering.discard(row.account)
    else:
        books.recovering.add(row.account)


def _halt(books: RiskBooks, row: InstrumentHalted) -> None:
    key = row.net
    if row.halted:
        books.halted[key] = row.reason
    else:
        books.halted.pop(key, None)


def _mode(books: RiskBooks, row: AccountModeChanged) -> None:
    if row.wrong_mode:
        books.wrong_mode[row.account] = row.message
    else:
        books.wrong_mode.pop(row.account, None)


def _cleared(books: RiskBooks, row: ModeCleared) -> None:
    books.wrong_mode.pop(row.account, None)


WORLD: dict[type, Callable[[RiskBooks, Any], None]] = {
    GoalChanged: _goal,
    LevelMoved: learn_level,
    TimerFired: _timer,
    Heartbeat: _beat,
    BarsLacking: _bars,
    JournalDoubt: _doubt,
    AccountHealth: _health,
    ProtectionChanged: _protection,
    Quote: _quote,
    RunStarted: _started,
    TradingState: _trading,
    StrategySwitch: _switch,
    InstrumentHalted: _halt,
    RecoveryChanged: _recovery,
    AccountModeChanged: _mode,
    ModeCleared: _cleared,
}
"""Which function learns a row of which kind."""
