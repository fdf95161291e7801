"""The closed sets of words that messages use. The values stand on the wire and in journals: never rename one."""

from __future__ import annotations

from enum import StrEnum


class Side(StrEnum):
    """The side of an order."""

    BUY = "BUY"
    SELL = "SELL"

    def __init__(self, word: str) -> None:
        self.sign = 1 if word == "BUY" else -1
        """+1 for a buy, −1 for a sell."""

    @property
    def opposite(self) -> Side:
        """The other side: SELL of BUY, BUY of SELL."""
        return Side.SELL if self is Side.BUY else Side.BUY


class Action(StrEnum):
    """Position that a strategy wants."""

    BUY = "BUY"
    SELL = "SELL"
    EXIT = "EXIT"


class Product(StrEnum):
    """MIS is intraday, NRML carries derivatives, CNC is delivery of shares."""

    MIS = "MIS"
    NRML = "NRML"
    CNC = "CNC"


class OrderType(StrEnum):
    """SL is stop-limit, SL-M is stop-market (refused by NSE on index options)."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    SL = "SL"
    SL_M = "SL-M"


class Purpose(StrEnum):
    """The purpose of an order; it decides priority, the clamp and what an unknown fate means."""

    ENTRY = "entry"
    STOP = "stop"
    TARGET = "target"
    EXIT = "exit"
    UNWIND = "unwind"
    ROLL = "roll"

    def __init__(self, word: str) -> None:
        self.reduces = word not in ("entry", "roll")
        """True if an order of this purpose may only reduce a position."""


class OrderState(StrEnum):
    """The life of an order as we know it; `core/orders/state_machine.py` holds the table of legal moves."""

    INITIALIZED = "INITIALIZED"
    SUBMITTED = "SUBMITTED"
    ACCEPTED = "ACCEPTED"
    TRIGGERED = "TRIGGERED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    DENIED = "DENIED"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    RECORDED = "RECORDED"
    """The end of an order of a dry run: it was written down and never sent."""
    UNKNOWN = "UNKNOWN"
    PARKED = "PARKED"
    LOST = "LOST"
    GHOST = "GHOST"


class BrokerStatus(StrEnum):
    """Status of an order in an order book, in our words; an unknown one is OTHER and counts as live."""

    OPEN = "open"
    TRIGGER_PENDING = "trigger pending"
    TRIGGERED = "triggered"
    """A stop that has triggered and has not filled, where a broker has a word for that alone."""
    COMPLETE = "complete"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    OTHER = "other"

    @property
    def is_final(self) -> bool:
        """True if the order is final at the broker: no fill or change can follow."""
        return self in (BrokerStatus.COMPLETE, BrokerStatus.CANCELLED, BrokerStatus.REJECTED, BrokerStatus.EXPIRED)


class Outcome(StrEnum):
    """The outcome of a call that changes something at the broker; UNKNOWN unless it is certain."""

    NOT_SENT = "NOT_SENT"
    RATE_LIMITED = "RATE_LIMITED"
    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    PARKED = "PARKED"
    WRONG_MODE = "WRONG_MODE"
    RECORDED = "RECORDED"
    """A dry run wrote it down and sent nothing."""
    UNKNOWN = "UNKNOWN"


class Call(StrEnum):
    """The calls that change something at the broker."""

    PLACE = "place"
    CANCEL = "cancel"
    MODIFY = "modify"


class Mode(StrEnum):
    """The trading mode of a stack."""

    LIVE = "live"
    PAPER = "paper"
    BACKTEST = "backtest"
    DRY_RUN = "dry_run"


class TradingLevel(StrEnum):
    """normal trades, reduce only closes, halt opens nothing; exits work under all three."""

    NORMAL = "normal"
    REDUCE = "reduce"
    HALT = "halt"


class DaemonState(StrEnum):
    """State of a daemon in its heartbeat."""

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    DEGRADED = "DEGRADED"
    STOPPING = "STOPPING"


class Severity(StrEnum):
    """The urgency of an alert for the operator."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Confidence(StrEnum):
    """The certainty of a position: STALE denies entries, DISPUTED allows only reducing."""

    CONFIRMED = "CONFIRMED"
    STALE = "STALE"
    DISPUTED = "DISPUTED"


class LimitKind(StrEnum):
    """Limits of a day, and of equity below its peak."""

    DAILY_LOSS = "DAILY_LOSS"
    DRAWDOWN = "DRAWDOWN"
    DAILY_STOP_R = "DAILY_STOP_R"
    DAILY_TARGET_R = "DAILY_TARGET_R"


class LimitAction(StrEnum):
    """Action at a reached limit; all but an alert also end the entries of the day.

    `close_legs` closes each position by an exit goal, `flatten` has the router close all and prove it by reads, `halt`
    ends entries until an operator resumes.
    """

    ALERT = "alert"
    NO_ENTRIES = "no_entries"
    CLOSE_LEGS = "close_legs"
    FLATTEN = "flatten"
    HALT = "halt"
