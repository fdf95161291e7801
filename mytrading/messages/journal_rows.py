"""Rows that only journals hold: the start of a run, the turn of a day, doubts, levels that must survive."""

from __future__ import annotations

import msgspec

from mytrading.messages.account_events import (
    AccountModeChanged,
    EntriesStopped,
    InstrumentHalted,
    MismatchSeen,
    NetAgreed,
    OddUnitsRefused,
    ProductNamed,
    UnmanagedChanged,
)
from mytrading.messages.commands import HoldStop
from mytrading.messages.control import Alert, StrategySwitch, TradingState
from mytrading.messages.enums import Product, Severity
from mytrading.messages.keys import OwnerKey
from mytrading.messages.market import Bar
from mytrading.messages.orders import Flatten, Goal, Order, Position, Protection
from mytrading.messages.risk_events import RiskEventRecorded
from mytrading.messages.settlements import UnitsAwaited
from mytrading.messages.signals import Leg, Signal
from mytrading.messages.webhooks import AlertJudged, WebhooksOpened


class RunStarted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="run_started"):
    """First row of a run: which code, schema and configuration wrote what follows, and at what clock.

    `run_ns` is the same in all processes from `up` to `down`: the wall clock's ns at which the run file was written.
    `build` is the commit of a checkout or the digest of an installed package; empty if unknown, or of older versions.
    """

    daemon: str
    pid: int
    version: str
    schema: int
    config_hash: str
    machine_ns: int
    market_ns: int
    speed: float
    run_ns: int = 0
    build: str = ""


class DayOpened(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="day_opened"):
    """First row of a day's journal of the router: the state carried over from the day before.

    `sizes` has lot and freeze quantity by instrument, `calls` when the last calls of each account ended (machine ns),
    `brokers` the broker that each account's server named last, `agreed` what its books last showed of our positions,
    `names` its names of our products, `awaited` units that are to come of corporate actions, `held_stops` stops that
    wait for an operator's word on one, `odd_lots` what of our positions is no whole lot and was refused, and `accounts`
    those that orders may go to (empty: all).
    `broker_ids` are ids of broker orders, anybody's, that were known before a day, by that day and account with a space
    between.
    """

    day: str
    orders: tuple[Order, ...] = ()
    positions: tuple[Position, ...] = ()
    goals: tuple[Goal, ...] = ()
    unmanaged: tuple[UnmanagedChanged, ...] = ()
    halted: tuple[InstrumentHalted, ...] = ()
    wrong_mode: tuple[AccountModeChanged, ...] = ()
    mismatches: tuple[MismatchSeen, ...] = ()
    trading: tuple[TradingState, ...] = ()
    switches: tuple[StrategySwitch, ...] = ()
    used_ids: tuple[str, ...] = ()
    protections: tuple[Protection, ...] = ()
    sizes: dict[str, tuple[int, int]] = {}
    calls: dict[str, tuple[int, ...]] = {}
    stopped: tuple[EntriesStopped, ...] = ()
    flattens: tuple[Flatten, ...] = ()
    brokers: dict[str, str] = {}
    agreed: tuple[NetAgreed, ...] = ()
    names: tuple[ProductNamed, ...] = ()
    broker_ids: dict[str, tuple[str, ...]] = {}
    awaited: tuple[UnitsAwaited, ...] = ()
    held_stops: tuple[HoldStop, ...] = ()
    odd_lots: tuple[OddUnitsRefused, ...] = ()
    accounts: tuple[str, ...] = ()


class LevelMoved(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="level_moved"):
    """A number learnt from prices that must survive a restart (a peak, a stop, a trend), by name."""

    name: str
    value: float
    at_ns: int


class FundsRecorded(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="funds_recorded"):
    """Funds of an account in rupees, as the broker reported them to risk: a row each time that they changed.

    A record for comparisons and inquiries: a restart learns no funds from it, because an old figure frees no margin.
    """

    account: str
    available: float
    used: float
    collateral: float
    at_ns: int


class StrategyMemory(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="strategy_memory"):
    """Memory of a strategy for a restart, as JSON: whole, after each change."""

    strategy: str
    text: str
    at_ns: int


class IntentSized(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="intent_sized"):
    """Signed lots of each leg (by instrument) that a signal gets in an account, and how they came about, in words."""

    signal: str
    account: str
    lots: dict[str, int]
    why: str
    at_ns: int


class Rolled(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="rolled"):
    """A future that moves to the next contract: `quantity` (signed units) of `near` to `far`, which held `base` before.

    `first` says which leg goes first, `phase` is begun, done or given_up, `note` what keeps it waiting or ended it,
    `goal` is the id of the goal that closes the near leg. Without a quantity nothing was held: entries go to `far`.
    """

    cause: str
    account: str
    strategy: str
    product: Product
    near: str
    far: str
    quantity: int
    at_ns: int
    base: int = 0
    watch: str = ""
    run: str = ""
    first: str = "far"
    phase: str = "begun"
    note: str = ""
    goal: str = ""

    @property
    def near_owner(self) -> OwnerKey:
        """The key of the strategy's position in the contract that the roll leaves."""
        return OwnerKey(self.account, self.near, self.product, self.strategy)

    @property
    def far_owner(self) -> OwnerKey:
        """The key of the strategy's position in the contract that the roll enters."""
        return OwnerKey(self.account, self.far, self.product, self.strategy)


class OperatorRequestTaken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="operator_request_taken"):
    """An operator's command, journaled with the rows it led to: `digest` of its content, its answer (msgpack)."""

    request_id: str
    verb: str
    digest: str
    reply: bytes
    at_ns: int
    by: str = ""


class AlertAcknowledged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="alert_acknowledged"):
    """Acknowledgement of the alert that began at `first_ns`, at this severity; it stays active until its cause ends."""

    daemon: str
    code: str
    subject: str
    first_ns: int
    severity: Severity
    at_ns: int
    by: str = ""
    reason: str = ""


class ContractsAccepted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="contracts_accepted"):
    """An operator's leave for what contradicts our table of contracts in an underlying: all `keys` that hold for it."""

    name: str
    keys: tuple[str, ...]
    at_ns: int
    by: str = ""
    reason: str = ""


class ControlOpened(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="control_opened"):
    """First row of a day's journal of the gateway."""

    day: str
    trading: tuple[TradingState, ...] = ()
    switches: tuple[StrategySwitch, ...] = ()
    alerts: tuple[Alert, ...] = ()
    requests: tuple[OperatorRequestTaken, ...] = ()
    """Requests of the day before."""
    acknowledged: tuple[AlertAcknowledged, ...] = ()
    """Acknowledgements of active alerts."""
    contracts: tuple[ContractsAccepted, ...] = ()
    """What was accepted of the server's contracts, of any day."""


class LostCover(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A bought leg that was closed, in part or whole, while its owner was short. `units` are what the owner held
    before, signed, by instrument, without what was sold and is flat since."""

    account: str
    instrument: str
    product: str
    strategy: str
    units: dict[str, int]
    at_ns: int


class RiskOpened(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="risk_opened"):
    """First row of a day's journal of risk: intents, their results, and the reports of the router.

    `sizes` holds lot and freeze quantity by instrument, `goals` the exits that are open, for a router whose own journal
    is lost. `covers` is of journals from before hedges had levels of their own, `entered` when by market time each
    strategy last entered for a watched instrument. `events` are those whose positions are held still, with the goals
    and flattens (by id) that came of each cause, and the exit orders reported. `uncovered` holds positions that a
    stop closed, as they were before, with what of what was sold beside them is still to be bought back. `before` has,
    by signal and account, the legs that are wanted where an adjustment was not admitted, or was taken back.
    `lost_covers` are bought legs that were closed while something was sold beside them.
    """

    day: str
    intents: tuple[Signal, ...] = ()
    settled: tuple[str, ...] = ()
    spent: tuple[tuple[str, str], ...] = ()
    bound: tuple[tuple[str, str, str], ...] = ()
    issued: tuple[str, ...] = ()
    positions: tuple[Position, ...] = ()
    orders: tuple[Order, ...] = ()
    closing: tuple[tuple[str, str, str, str], ...] = ()
    runs: dict[str, str] = {}
    levels: dict[str, float] = {}
    trading: tuple[TradingState, ...] = ()
    switches: tuple[StrategySwitch, ...] = ()
    halted: tuple[InstrumentHalted, ...] = ()
    wrong_mode: tuple[AccountModeChanged, ...] = ()
    booked: dict[str, int] = {}
    protections: tuple[Protection, ...] = ()
    ended: tuple[tuple[str, str], ...] = ()
    given_up: tuple[tuple[str, str], ...] = ()
    claimed: tuple[tuple[str, str, str, str], ...] = ()
    lost: tuple[tuple[str, str, str, int], ...] = ()
    sized: tuple[IntentSized, ...] = ()
    rolls: tuple[Rolled, ...] = ()
    bars: tuple[Bar, ...] = ()
    sizes: dict[str, tuple[int, int]] = {}
    goals: tuple[Goal, ...] = ()
    covers: tuple[tuple[str, str], ...] = ()
    entered: tuple[tuple[str, str, int], ...] = ()
    events: tuple[RiskEventRecorded, ...] = ()
    event_goals: dict[str, str] = {}
    event_flattens: dict[str, str] = {}
    event_orders: tuple[str, ...] = ()
    uncovered: tuple[tuple[Position, tuple[str, ...]], ...] = ()
    before: tuple[tuple[str, str, tuple[Leg, ...]], ...] = ()
    lost_covers: tuple[LostCover, ...] = ()


class DaySealed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="day_sealed"):
    """Last row of a day's journal: nothing follows but the file of `next_day`, whose chain goes on from this row."""

    day: str
    next_day: str
    at_ns: int


class Doubted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="doubted"):
    """A quarantined journal, our own or an upstream's; `cleared` once an operator resumed. `code` is its alert."""

    whom: str
    code: str
    problem: str
    at_ns: int
    cleared: bool = False


class JournalRebuilt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="journal_rebuilt"):
    """Rows of this journal were lost: `kept` is the last sequence of each written stream, `aside` the damaged file."""

    problem: str
    at_ns: int
    aside: str = ""
    kept: dict[str, int] = {}


class JournalRelearned(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="journal_relearned"):
    """The end of a rebuilding: `copies` rows of ours came from their readers, `read` rows from those we read."""

    copies: int
    read: int
    at_ns: int
    machine_ns: int = 0


class FileTaken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="file_taken"):
    """Text of a file of `config/` that counts from here on: at a start, after an edit, on a new day."""

    name: str
    text: str
    at_ns: int


RecordMessage = (
    RunStarted | DayOpened | ControlOpened | RiskOpened | LevelMoved | IntentSized | Rolled | DaySealed | Doubted
    | JournalRebuilt | JournalRelearned | RiskEventRecorded | StrategyMemory | FileTaken | OperatorRequestTaken
    | FundsRecorded | AlertJudged | WebhooksOpened | AlertAcknowledged | ContractsAccepted | OddUnitsRefused
)  # fmt: skip
