"""Risk events: which rule fired and what followed, append-only rows of risk's journal for `mytrading risk events`."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class RiskKind(StrEnum):
    """Rule of a run or a limit; of a position: stop or target held by risk, a missing stop, the stop at the broker."""

    MAX_LOSS = "max_loss"
    MAX_PROFIT = "max_profit"
    TRAILING_STOP = "trailing_stop"
    LEG_STOP_LOSS = "leg_stop_loss"
    LEG_TAKE_PROFIT = "leg_take_profit"
    LEG_TRAILING = "leg_trailing"
    STOPS_TO_COST = "stops_to_cost"
    LEG_AT_COST = "leg_at_cost"
    SUPERTREND = "supertrend"
    EXIT_TIME = "exit_time"
    SQUARE_OFF = "square_off"
    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"
    DAILY_STOP_R = "daily_stop_r"
    DAILY_TARGET_R = "daily_target_r"
    STOP = "stop"
    TARGET = "target"
    BARE = "bare"
    BROKER_STOP = "broker_stop"


class RiskAction(StrEnum):
    """Action taken; a limit of the day also ends entries, has the router flatten the account, or halts trading."""

    CLOSE_ALL = "close_all"
    CLOSE_LEG = "close_leg"
    MOVE_STOPS = "move_stops"
    ALERT_ONLY = "alert_only"
    NO_ENTRIES = "no_entries"
    FLATTEN = "flatten"
    HALT = "halt"


class RiskEventRecorded(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="risk_event"):
    """A rule spoke, once for a run (or a leg's trip in it), or the exit orders that it led to.

    `threshold` and `value` are rupees of the run, a price of the leg, or seconds of the day in India, as the rule has
    it; `leg` names the position of a leg's rule (account, instrument, product, when it was opened), `cause` that of
    its exit goals. A second row has the first one's id in `follows`, and only `exit_orders` (ours) to add.
    """

    id: str
    strategy: str
    run: str
    kind: RiskKind
    action: RiskAction
    at_ns: int
    threshold: float = 0.0
    value: float = 0.0
    accounts: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    leg: str = ""
    cause: str = ""
    note: str = ""
    exit_orders: tuple[str, ...] = ()
    follows: str = ""
