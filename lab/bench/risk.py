"""Cost of risk's own work: one signal through all pre-trade rules, one quote through the limits of open positions.

Nothing is warmed up that would be cold in a running stack; the value is the median of many rounds.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable
from datetime import time as clock
from pathlib import Path

from msgspec.structs import replace

from lab.bench.results import Figure, below, percentile
from mytrading.config.loading import load_settings
from mytrading.core.calendar import Calendar, Session
from mytrading.core.calendar.square_off import SquareOff
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.pretrade.context import PreTradeContext
from mytrading.core.risk.pretrade.rule_table import find_denials
from mytrading.core.risk.state.environment import RiskEnvironment
from mytrading.messages.enums import Action, Product
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.market import Quote
from mytrading.messages.orders import Position, PositionChanged
from mytrading.messages.run_config import RateLimits, RiskLimits, StrategyRun
from mytrading.messages.signals import Leg, Signal
from mytrading.runtime.host.paths import project_home

ROUNDS, BATCH = 400, 25
NOW = 1_773_811_800_000_000_000
"""A Wednesday of March 2026, eleven o'clock in India."""
HOUR = 3600 * 10**9
POSITIONS, STRATEGIES, IN_ONE = 50, 20, 5


def measure_risk(progress: Callable[[str], None]) -> list[Figure]:
    """One signal through all rules, and one quote through the limits with 50 positions of 20 strategies held."""
    progress("pre-trade rules, and limits on a quote")
    case = _case()
    assert find_denials(case) == (), "the signal that is measured must be admitted"
    rules = _median(lambda _: find_denials(case))
    risk, quotes = _held()
    limits = _median(lambda n: risk.limits.on_quote(_learnt(risk, quotes[n % len(quotes)]), NOW))
    return [
        below("risk_rules", rules, "us", 20.0, ROUNDS * BATCH),
        below("risk_limits_quote", limits, "us", 30.0, ROUNDS * BATCH),
    ]


def _median(work: Callable[[int], object]) -> float:
    """Microseconds of one call: the median over batches."""
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter_ns()
        for number in range(BATCH):
            work(number)
        took.append((time.perf_counter_ns() - began) / BATCH / 1000)
    return percentile(took, 0.5)


def _limits() -> RiskLimits:
    found = load_settings(project_home(), "paper", {}).risk
    kinds = ("EQ", "FUT", "CE", "PE")
    return replace(found, enabled_exchanges=("NSE", "NFO"), enabled_kinds=kinds, enabled_timeframes=("1m",))


def _option(number: int = 0) -> Instrument:
    symbol = f"NIFTY24MAR26{23000 + 50 * number}CE"
    return Instrument(
        id=f"NFO:{symbol}",
        exchange="NFO",
        symbol=symbol,
        kind=InstrumentKind.CE,
        underlying="NIFTY",
        expiry="2026-03-24",
        strike=23000.0 + 50 * number,
        lot_size=65,
        freeze_qty=1800,
    )


def _case() -> PreTradeContext:
    option = _option()
    leg = Leg(instrument=option.id, lots=1)
    signal = Signal(
        id="s", strategy="S", watch="NSE_INDEX:NIFTY", action=Action.BUY, legs=(leg,), created_ns=NOW,
        expires_ns=NOW + HOUR, expires_machine_ns=HOUR,
    )  # fmt: skip
    return PreTradeContext(
        signal=signal,
        leg=leg,
        now=NOW,
        machine_ns=0,
        limits=_limits(),
        instrument=option,
        strategy=StrategyRun(name="S", file="", symbols=("NSE_INDEX:NIFTY",), long=None, short=None),
        units=65,
        price=100.0,
        quote=Quote(option.id, NOW, 0, 100.0, 99.95, 100.05, previous_close=98.0),
        session=Session(NOW - HOUR, NOW + 4 * HOUR, NOW + 4 * HOUR),
        square_off_ns=NOW + 3 * HOUR,
    )


def _learnt(risk: RiskMachine, quote: Quote) -> str:
    risk.apply(quote)
    return quote.instrument


def _held() -> tuple[RiskMachine, list[Quote]]:
    """A machine that holds, and quotes of one instrument in which five strategies have positions."""
    folder = Path(project_home()) / "config"
    calendar = Calendar.from_dict(tomllib.loads((folder / "calendar.toml").read_text(encoding="utf-8")))
    options = [_option(number) for number in range(POSITIONS // IN_ONE)]
    runs = [
        StrategyRun(name=f"S{n}", file="", symbols=("NSE_INDEX:NIFTY",), long=None, short=None, max_daily_loss=1e9)
        for n in range(STRATEGIES)
    ]
    square_off = SquareOff(calendar, {"NFO": clock(15, 15)})
    risk = RiskMachine(
        RiskEnvironment(_limits(), RateLimits(), runs, "main", calendar, InstrumentBook(options), square_off)
    )
    for number in range(POSITIONS):
        position = Position(
            account="main",
            instrument=options[number // IN_ONE].id,
            product=Product.MIS,
            strategy=f"S{number % STRATEGIES}",
            run="r",
            quantity=65,
            quantity_seen=65,
            average_price=100.0,
            opened_ns=NOW,
            updated_ns=NOW,
        )
        risk.apply(
            PositionChanged(position=position, client_order_id="", fill_quantity=65, fill_price=100.0, at_ns=NOW)
        )
    quotes = [Quote(options[0].id, NOW + n, 0, 100 + n / 100, 100 + n / 100, 100 + n / 100) for n in range(BATCH)]
    return risk, quotes
