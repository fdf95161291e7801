"""Streams `control` (requests of operators) and `status` (levels that daemons repeat, read for screens and checks)."""

from __future__ import annotations

import msgspec

from mytrading.messages.enums import DaemonState, LimitAction, LimitKind, OrderType, Product, Severity, TradingLevel
from mytrading.messages.instruments import Instrument
from mytrading.messages.settlements import AdjustRequested, RebuildRequested, SettleRequested

KILL = "KILL file"
"""In place of an account: the level that the file KILL of the state directory asks for. No account is called so."""
FLATTEN = "flatten-"
"""The beginning of ids of flattens that an operator asked for; the rest is the id of the command and the account."""


class TradingState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="trading_state"):
    """Trading level of one account or (empty) of all, valid until the next generation, as set `by` somebody."""

    level: TradingLevel
    generation: int
    reason: str
    at_ns: int
    account: str = ""
    by: str = ""


class StrategySwitch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="strategy_switch"):
    """Entries of one strategy are allowed or not, as set `by` somebody; its exits always are."""

    strategy: str
    enabled: bool
    generation: int
    at_ns: int
    reason: str = ""
    by: str = ""


class WithdrawRequested(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="withdraw_requested"):
    """Cancel resting entries (`down`, `halt`); an empty account means all.

    `down` names the run that it stops by `RunStarted.run_ns`: that run enters nothing any more. 0: entries go on.
    """

    id: str
    reason: str
    at_ns: int
    account: str = ""
    by: str = ""
    stops_run_ns: int = 0


class ModeCleared(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="mode_cleared"):
    """An account marked WRONG_MODE is in order again, says an operator."""

    account: str
    at_ns: int
    by: str = ""


class HistoryAccepted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="history_accepted"):
    """An operator accepts the holes in past bars of an instrument for one `day` (ISO): entries are not denied for
    them."""

    instrument: str
    day: str
    at_ns: int
    reason: str = ""
    by: str = ""


class DayConfirmed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="day_confirmed"):
    """An operator says that `exchanges` trade on a `day` (ISO) of a year without listed holidays: its entries go."""

    exchanges: tuple[str, ...]
    day: str
    at_ns: int
    reason: str = ""
    by: str = ""


class ProbeRequested(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="probe_requested"):
    """The paper order of `mytrading doctor`, at a paper venue only: a limit buy far from the market, or its end."""

    id: str
    account: str
    instrument: str
    at_ns: int
    product: Product = Product.MIS
    quantity: int = 0
    price: float = 0.0
    withdraw: bool = False
    by: str = ""


class CancelRequested(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="cancel_requested"):
    """Cancel an order; a stop or an exit only with `force` and a reason. `by` is the operator, here and below."""

    id: str
    order: str
    at_ns: int
    reason: str = ""
    force: bool = False
    by: str = ""


class ModifyRequested(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="modify_requested"):
    """Change price, trigger (rupees) or units of an order; a field that is 0 stays as it is. A stop is loosened only
    with `force` and a reason."""

    id: str
    order: str
    at_ns: int
    price: float = 0.0
    trigger_price: float = 0.0
    quantity: int = 0
    reason: str = ""
    by: str = ""
    force: bool = False


class ResolveRequested(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="resolve_requested"):
    """End an order of unknown fate: it is `broker_order_id`, or was never placed. `force` overrules evidence."""

    id: str
    order: str
    at_ns: int
    broker_order_id: str = ""
    force: bool = False
    reason: str = ""
    by: str = ""


class ClaimRequested(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="claim_requested"):
    """Give unmanaged units to a strategy; quantity 0 is all of them, price 0 the broker's average.

    With a `stop` (trigger, rupees) they are guarded by a stop-limit order with `stop_limit` as its price.
    `lot` and `freeze` (units) are today's of the instrument; 0 where the writer does not know them. `to_close` says
    that they are claimed only to be closed. `preview`: only the plan is asked for; `plan` is the mark of the plan that
    the author saw, empty for any.
    """

    id: str
    account: str
    instrument: str
    product: Product
    strategy: str
    at_ns: int
    quantity: int = 0
    price: float = 0.0
    stop: float = 0.0
    stop_limit: float = 0.0
    reason: str = ""
    lot: int = 0
    freeze: int = 0
    to_close: bool = False
    by: str = ""
    preview: bool = False
    plan: str = ""


class FlattenRequested(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="flatten_requested"):
    """Bring an account to flat by a machine time; strategy, instrument and product narrow it, empty is all.

    `sizes` holds today's lot and freeze quantity (units) of what was held, by instrument. `force`: an operator took it
    upon themselves that sold legs lose the cover of what is closed.
    """

    id: str
    account: str
    at_ns: int
    deadline_machine_ns: int
    reason: str
    strategy: str = ""
    instrument: str = ""
    product: Product | None = None
    by: str = ""
    sizes: dict[str, tuple[int, int]] = {}
    force: bool = False


ControlMessage = (
    TradingState | StrategySwitch | WithdrawRequested | ModeCleared | ProbeRequested | ResolveRequested
    | ClaimRequested | FlattenRequested | CancelRequested | ModifyRequested | HistoryAccepted
    | SettleRequested | AdjustRequested | RebuildRequested | DayConfirmed
)  # fmt: skip


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="heartbeat"):
    """Once a second from every daemon. `written` and `cursors` are stream sequences, by stream name."""

    daemon: str
    pid: int
    state: DaemonState
    ready: bool
    machine_ns: int
    market_ns: int
    started_machine_ns: int
    lag_ms: float = 0.0
    queue_depth: int = 0
    handled: int = 0
    handler_p50_us: float = 0.0
    handler_p99_us: float = 0.0
    rss_mb: float = 0.0
    cpu_s: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    bad_frames: int = 0
    dropped: int = 0
    written: dict[str, int] = {}
    cursors: dict[str, int] = {}
    figures: dict[str, float] = {}
    notes: tuple[str, ...] = ()


class ClockTick(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="tick"):
    """Market time, from the feed, every 100 ms of machine time; `segments` counts those of the clock file."""

    market_ns: int
    machine_ns: int
    segments: int


class Alert(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="alert"):
    """Alert to operators; one per (code, subject) until it clears, with a count of repeats."""

    code: str
    severity: Severity
    subject: str
    message: str
    daemon: str
    first_ns: int
    last_ns: int
    count: int = 1
    cleared: bool = False


class WantInstruments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="want_instruments"):
    """Instruments a daemon needs quotes of, a level each second. Of `bars` it needs bars and `bar_days` of history."""

    daemon: str
    instruments: tuple[str, ...]
    bars: tuple[str, ...] = ()
    bar_days: int = 0
    held: tuple[str, ...] = ()


class BarsLacking(msgspec.Struct, frozen=True, kw_only=True):
    """Past minutes of an instrument that history should have and has not: `gaps` (start, end) in market ns, 30 minutes
    and longer, judged from `since_ns` on."""

    instrument: str
    since_ns: int
    gaps: tuple[tuple[int, int], ...]


class BarGaps(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="bars_lacking"):
    """Instruments of which the feed has not all bars: a level, sent with each heartbeat of it and when it changes.

    Of those `behind` no bar comes until the missing ones are there; of those with `holes` later bars came already.
    `lacking` are holes in the days before and today, which matter to strategies that look back over them.
    """

    daemon: str
    behind: tuple[str, ...] = ()
    holes: tuple[str, ...] = ()
    lacking: tuple[BarsLacking, ...] = ()


class EntriesClosed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="entries_closed"):
    """Instruments whose price the feed does not believe, or has not: a level, sent with each heartbeat of it and when
    it changes. `reasons` says of each why, as a clause with the instrument before it: `its frames say 9.5e+06, …`.
    """

    daemon: str
    reasons: dict[str, str] = {}


class DayTraded(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="day_traded"):
    """Exchanges of which a price of `day` (ISO) was seen traded, in a year without listed holidays: a level, sent with
    each heartbeat of the feed and when it changes. `exchanges` names for each the instrument that shows it."""

    daemon: str
    day: str
    exchanges: dict[str, str] = {}


class CallBudget(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="call_budget"):
    """The router's use of its order calls of an account: a level, repeated each second.

    `used` of `limit` calls count in the present second, `out` are on their way. `waiting` counts orders by what they
    wait to be (entry, stop, exit, …, cancel), the oldest for `oldest_wait_s` seconds of machine time. `refused` are
    answers of 429 since the router began; until `paused_s` from now nothing is sent because of one. `kept` are calls
    that legs of baskets under way still need, by strategy, `kept_for_stops` those that stops of
    entries which left lately may need: entries leave both.
    """

    account: str
    limit: int
    used: int = 0
    out: int = 0
    waiting: dict[str, int] = {}
    oldest_wait_s: float = 0.0
    refused: int = 0
    paused_s: float = 0.0
    kept: dict[str, int] = {}
    kept_for_stops: int = 0


class StepDone(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="step_done"):
    """In lock-step: how far a daemon has come. A level, sent whenever it changes and repeated each second.

    `waits` says why the market must not go on as far as this daemon goes, empty if it may. `mark` is the newest mark
    it has from the simulator itself. `sent` counts what it has sent, by stream, `seen` what it has worked through, by
    `writer/stream`: nothing is under way where the two agree.
    """

    daemon: str
    pid: int
    mark: int = 0
    waits: str = ""
    sent: dict[str, int] = {}
    seen: dict[str, int] = {}


class LimitUse(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One limit; `most`, `value` and `left` are rupees, fractions or R by its kind, `used` a share of `most`.

    `value` is None while not known. `reached` says why it ended entries, empty while it has not.
    """

    kind: LimitKind
    scope: str
    name: str
    most: float
    action: LimitAction
    value: float | None = None
    used: float = 0.0
    left: float | None = None
    reached: str = ""


class EntryLimitUse(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Use of a limit that a pre-trade rule holds entries against, by the rule's `code`: a count, or rupees.

    `scope` is account, strategy, underlying or instrument, `name` which one, `account` where that is not the scope
    itself (empty: over all). `used` is the share of `most`; `denies` that the rule denies further entries there now.
    """

    code: str
    scope: str
    name: str
    most: float
    value: float
    used: float
    account: str = ""
    denies: bool = False


class Money(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Rupees of the day of an account or a strategy; of an account also equity and its peak, None while not known."""

    scope: str
    name: str
    profit: float
    equity: float | None = None
    peak: float | None = None


class HeldStop(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A position and its stop; the last price may move `distance` rupees against it, which would cost `at_risk`."""

    account: str
    instrument: str
    product: str
    strategy: str
    quantity: int
    average_price: float
    ltp: float | None = None
    unrealised: float | None = None
    stop: float | None = None
    holder: str = "none"
    distance: float | None = None
    at_risk: float | None = None


class LegUse(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A position of a run and the prices at which its own rules close it, None where it has none."""

    account: str
    instrument: str
    product: str
    quantity: int
    average_price: float
    ltp: float | None = None
    profit: float | None = None
    stop_loss: float | None = None
    take_profit: float | None = None
    trailing: float | None = None
    cost: float | None = None


class RunUse(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run of a strategy and what ends it: rupees of its profit, and when it is closed by the clock.

    `profit` is None while a leg has no fresh price; `peak` and `trailing_stop` until its stop trails, which it does
    once the profit exceeds `trail_from`, None where it trails from the entry or not at all. `closes_ns` is the market
    time at which closing begins, 0 if the clock closes nothing of it; `leaving` the rule that closes it now.
    """

    strategy: str
    run: str
    opened_ns: int
    profit: float | None = None
    realised: float = 0.0
    max_loss: float | None = None
    max_profit: float | None = None
    peak: float | None = None
    trailing_stop: float | None = None
    supertrend: str = ""
    closes_ns: int = 0
    leaving: str = ""
    legs: tuple[LegUse, ...] = ()
    trail_from: float | None = None


class RiskPicture(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="risk_picture"):
    """The state of risk at one moment: limits, money, stops, runs; counts of admitted entries and denied signals.

    `limits` are those of a day, `entry_limits` those of pre-trade rules of which something is used.

    `closed` is why no entry of the traded account is admitted, trading hours left out, empty while some may be.
    """

    at_ns: int
    machine_ns: int
    limits: tuple[LimitUse, ...] = ()
    money: tuple[Money, ...] = ()
    stops: tuple[HeldStop, ...] = ()
    entries: int = 0
    denied: int = 0
    waits: str = ""
    runs: tuple[RunUse, ...] = ()
    closed: str = ""
    entry_limits: tuple[EntryLimitUse, ...] = ()


class OrderTrial(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="order_trial"):
    """An order of `lots` (signed) that a screen asks risk about: it is judged as an entry of `strategy`, never placed.

    Prices are rupees, 0 for none; `product` None is that of the strategy. `asked_machine_ns` is when it was first
    asked: repeated until it is answered, it waits a moment for a quote of an instrument that nobody watches yet.
    `contract` is the server's, of an instrument that is not among the stack's own; None of one that is.
    """

    id: str
    account: str
    strategy: str
    instrument: str
    lots: int
    asked_machine_ns: int
    order_type: OrderType = OrderType.MARKET
    limit_price: float = 0.0
    trigger_price: float = 0.0
    stop_price: float = 0.0
    product: Product | None = None
    contract: Instrument | None = None


class RuleVerdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Result of one pre-trade rule: why it denies, empty if it does not. A rule of numbers gives what it compares:
    `value` with `limit`, both None for other rules. `unknown`: why it could not be judged, empty if it was."""

    code: str
    when: str
    denial: str = ""
    value: float | None = None
    limit: float | None = None
    unknown: str = ""


class OrderTrialResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="order_trial_result"):
    """Risk's judgement of an order at this moment. `problem`: why it cannot be judged, empty with the rules.

    `exits`: it only reduces what is held, and exits are never judged. Rupees: `price` and `value` of the order, its
    `margin` alone, `margin_needed` with the buffer, `margin_free` of the account (None: unknown), `at_risk` down to its
    stop. `units` are signed, `held` those of the strategy there before.
    """

    id: str
    at_ns: int
    problem: str = ""
    exits: bool = False
    rules: tuple[RuleVerdict, ...] = ()
    units: int = 0
    held: int = 0
    price: float = 0.0
    value: float = 0.0
    margin: float = 0.0
    margin_needed: float = 0.0
    margin_free: float | None = None
    stop: float = 0.0
    stop_limit: float = 0.0
    stop_holder: str = "none"
    at_risk: float | None = None


class FeedReportAsked(msgspec.Struct, frozen=True, kw_only=True, tag="feed_report_asked"):
    """A screen looks at the feed, which answers with a `FeedReport`. `asked_machine_ns` is when, machine time."""

    asked_machine_ns: int


class FeedSource(msgspec.Struct, frozen=True, kw_only=True):
    """A connection to a source of market data: the `active` one serves, the others stand by.

    `condition` is well, doubtful or sick, `age_s` the seconds since its last quote, `connections` how often it was
    connected since the start. `problem`: why it has no connection or gives no quotes, empty while it does. `broker` is
    OpenAlgo's name of the broker behind its server, empty until that has named one; `listed`: the table of brokers has
    it, so that its frames and its history are read by what is known of them.
    """

    name: str
    active: bool
    connected: bool
    condition: str
    age_s: float
    subscribed: int
    ticked: int
    connections: int
    problem: str
    broker: str = ""
    listed: bool = False


class FeedSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """An instrument that the feed subscribes at the active source.

    `wanted_by`: daemons, "watched" (settings, strategies, webhooks), "position" and "order"; empty while it is about to
    be dropped. `state` is live, waiting (not acknowledged yet) or refused, with the server's `problem`. `mode` is LTP,
    Quote or Depth. `ticks` are the frames since it was subscribed, `age_s` the seconds since its last price, None
    before the first.
    """

    instrument: str
    wanted_by: tuple[str, ...]
    state: str
    mode: str
    ticks: int
    age_s: float | None
    problem: str


class FeedReport(msgspec.Struct, frozen=True, kw_only=True, tag="feed_report"):
    """Sources and subscriptions of the feed at a moment (machine time), by rank and in the order of subscribing."""

    at_machine_ns: int
    sources: tuple[FeedSource, ...]
    subscriptions: tuple[FeedSubscription, ...]


StatusMessage = (
    Heartbeat | ClockTick | Alert | WantInstruments | BarGaps | EntriesClosed | CallBudget | StepDone | RiskPicture
    | OrderTrial | OrderTrialResult | FeedReportAsked | FeedReport | DayTraded
)  # fmt: skip
