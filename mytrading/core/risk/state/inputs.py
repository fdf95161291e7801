"""The messages that enter risk: a journaled input is decided on and written; an observed level is applied alone.

A level replaces the one known before, and its sender repeats it after a restart. `RiskState` changes by these alone,
through `RiskMachine.apply`. `RiskEnvironment` is no state but what the rules are given: settings of the run, and
reference data that the daemon replaces whole (contracts, margin tables, calendar, speed of the clock). Its files are
journaled as `FileTaken`, at the start and after each edit; the contracts of a day have files of their own.
"""

from __future__ import annotations

from typing import NamedTuple, get_args

from mytrading.messages.control import (
    Alert,
    BarGaps,
    CallBudget,
    ClockTick,
    ControlMessage,
    DayTraded,
    EntriesClosed,
    FeedReport,
    FeedReportAsked,
    Heartbeat,
    OrderTrial,
    OrderTrialResult,
    RiskPicture,
    StepDone,
    WantInstruments,
)
from mytrading.messages.market import Bar, Depth, MarketStep, Quote
from mytrading.messages.orders import OrderMessage, TimerFired
from mytrading.messages.reports import AccountHealth, BrokerHeld, Funds, MarginAnswer
from mytrading.messages.signals import SignalMessage


class JournalDoubt(NamedTuple):
    """Quarantine of a journal that risk reads, or its end."""

    active: bool


JournaledInput = (
    SignalMessage | OrderMessage | ControlMessage | Quote | Bar | Depth | MarginAnswer | TimerFired | DayTraded
)  # fmt: skip
ObservedLevel = Heartbeat | BarGaps | EntriesClosed | Funds | AccountHealth | BrokerHeld | JournalDoubt
OtherMessage = (
    MarketStep | ClockTick | Alert | WantInstruments | CallBudget | StepDone | RiskPicture | OrderTrial
    | OrderTrialResult | FeedReport | FeedReportAsked
)  # fmt: skip
"""Messages of the streams that risk reads which change nothing in it: wiring, or meant for others."""


JOURNALED: frozenset[type] = frozenset(get_args(JournaledInput))
OBSERVED: frozenset[type] = frozenset(get_args(ObservedLevel))
OTHER: frozenset[type] = frozenset(get_args(OtherMessage))
