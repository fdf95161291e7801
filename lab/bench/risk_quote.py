"""One quote through risk's machine while much is held: the way that every quote of every held instrument takes.

50 open positions of 20 strategies with every price rule on, 5 of them in the instrument of the quote. The machine is
the daemon's own; the journal and the sockets beside it are measured elsewhere.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable
from pathlib import Path

from lab.bench.results import Figure, below, percentile
from mytrading.core.calendar import Calendar
from mytrading.core.calendar.square_off import SquareOff
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.state.environment import RiskEnvironment
from mytrading.messages.enums import Product
from mytrading.messages.exit_rules import LevelRule, StrategyRules, TrailRule
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.journal_rows import LevelMoved
from mytrading.messages.market import Quote
from mytrading.messages.orders import Position, PositionChanged
from mytrading.messages.run_config import RateLimits, RiskLimits, StrategyRun
from mytrading.runtime.host.paths import project_home

STRATEGIES, POSITIONS, SHARED = 20, 50, 5
NOW = 1_773_811_800_000_000_000  # Wednesday 2026-03-18, 11:00 in India
COUNT = 20_000
_LIMITS = RiskLimits(
    max_position_size=1e9, max_order_size=1e9, min_order_size=0, max_positions_per_symbol=50, max_total_positions=500,
    max_daily_loss=1e9, max_drawdown=0.5, default_stop_loss=0.02, default_stop_loss_options=0.3,
    trailing_stop_enabled=True, trailing_stop_distance=0.01, avoid_first_minutes=0, avoid_last_minutes=0,
    stale_quote_seconds=60, signal_validity_seconds=60,
)  # fmt: skip
_RULES = StrategyRules(
    max_loss=1e9, max_profit=1e9, trailing=TrailRule(value=90), leg_stop_loss=LevelRule(value=90),
    leg_take_profit=LevelRule(value=900), leg_trailing=LevelRule(value=90),
)  # fmt: skip


def measure_risk_quote(progress: Callable[[str], None]) -> list[Figure]:
    """Microseconds to learn a quote and decide on it, the median of many."""
    progress(f"a quote through risk, {POSITIONS} positions of {STRATEGIES} strategies, {COUNT} quotes")
    machine = loaded_machine(project_home())
    values = []
    for number in range(COUNT):
        now = NOW + number * 10_000_000
        quote = Quote("NSE:SHARED", now, now, 1000.0 + number % 50 / 10, 999.95, 1000.05)
        began = time.perf_counter_ns()
        machine.set_machine_time(now)
        machine.apply(quote)
        rows = machine.decide(quote, now)
        values.append((time.perf_counter_ns() - began) / 1e3)
        for row in rows:
            assert isinstance(row, LevelMoved), f"a rule spoke: {row}"
            machine.apply(row)
        if number % 500 == 0:
            _refresh(machine, now)
    return [below("risk_quote", percentile(values, 0.5), "us", 30.0, COUNT)]


def loaded_machine(home: Path) -> RiskMachine:
    """Risk's machine with all that is held, each position with a fresh quote and a stop of its own."""
    calendar = Calendar.from_dict(tomllib.loads((home / "config" / "calendar.toml").read_text(encoding="utf-8")))
    names = ["NSE:SHARED", *(f"NSE:S{n}" for n in range(POSITIONS - SHARED))]
    book = InstrumentBook(
        Instrument(id=name, exchange="NSE", symbol=name[4:], kind=InstrumentKind.EQ, underlying=name[4:])
        for name in names
    )
    strategies = [
        StrategyRun(name=f"S{n}", file="s.py", symbols=("NSE:SHARED",), long=None, short=None, rules=_RULES)
        for n in range(STRATEGIES)
    ]
    machine = RiskMachine(
        RiskEnvironment(_LIMITS, RateLimits(), strategies, "main", calendar, book, SquareOff(calendar, {}))
    )
    for number in range(POSITIONS):
        name = names[0] if number < SHARED else names[number - SHARED + 1]
        _hold(machine, name, f"S{number % STRATEGIES}")
    _refresh(machine, NOW)
    return machine


def _hold(machine: RiskMachine, instrument: str, strategy: str) -> None:
    position = Position(
        account="main", instrument=instrument, product=Product.NRML, strategy=strategy, run=f"run{strategy}",
        quantity=10, quantity_seen=10, average_price=990.0, opened_ns=NOW, updated_ns=NOW, trip_quantity=10,
        trip_value=9_900.0,
    )  # fmt: skip
    machine.apply(PositionChanged(position=position, client_order_id="", fill_quantity=0, fill_price=990.0, at_ns=NOW))
    machine.apply(LevelMoved(name=f"stop main {instrument} NRML {strategy}", value=500.0, at_ns=NOW))


def _refresh(machine: RiskMachine, now: int) -> None:
    """Quotes of all else that is held."""
    for instrument in {key[1] for key in machine.state.positions} - {"NSE:SHARED"}:
        machine.apply(Quote(instrument, now, now, 1000.0, 999.95, 1000.05))
