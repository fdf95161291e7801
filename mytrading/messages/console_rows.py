"""Rows of the web console: one struct for a row of each topic, as its viewers get it.

Every field is always there, so that a screen can tell "not known" (None, shown as –) from zero. Prices and money are
rupees, quantities signed units where they are positions. `…_ms` is market time in ms since 1970 UTC, `…_wall_ms` wall
time: a replayed or faster market has another time than the wall.
"""

from __future__ import annotations

from typing import Any

import msgspec


class StackRow(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `stack`, one row with the key "": mode, trading level, market session, profit of the day."""

    profile: str
    mode: str
    """simulator, paper, dry_run or live: shown in colour and word everywhere."""
    system: str
    quotes_of: str
    speed: float
    level: str
    """normal, reduce or halt."""
    level_reason: str
    level_by: str
    level_ms: int | None
    entries_closed: str
    """Reason that no entry is admitted although trading is at normal; empty if entries are."""
    kill: str
    """Text of the file KILL, empty if there is none."""
    ready: bool
    wrong_mode: str
    limits_reached: list[str]
    limits_off: list[str]
    """Settings of limits that are switched off."""
    session: str
    """open or closed: the exchange's session now."""
    session_text: str
    """Such as "closes 15:30" or "opens Tue 24 Nov 09:15"."""
    expiry_today: list[str]
    """Underlyings whose options expire today."""
    feed_age_s: float | None
    """Seconds since the feed's last heartbeat; None if there was none."""
    fresh: int
    expected: int
    """Of `expected` instruments, `fresh` have a fresh price."""
    realised: float
    unrealised: float
    quotes: int
    bars: int
    signals: int
    orders_placed: int
    orders_filled: int
    orders_rejected: int
    orders_unknown: int
    denied: int
    round_trips: int
    quote_to_order_p50_ms: float | None
    quote_to_order_p99_ms: float | None


class AccountRow(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `accounts`, by account: funds, profit, status and the age of what is shown."""

    account: str
    role: str
    broker: str
    product: str
    host: str
    status: str
    books: str
    """CONFIRMED, STALE or DISPUTED."""
    right_mode: bool | None
    stream_up: bool | None
    message: str
    level: str
    """normal, reduce or halt, of this account alone."""
    available: float | None
    used_margin: float | None
    collateral: float | None
    realised: float | None
    unrealised: float | None
    broker_realised: float | None
    broker_unrealised: float | None
    difference: float | None
    not_comparable: str
    funds_wall_ms: int | None
    """Wall time at which the funds were read; None if never."""
    books_wall_ms: int | None
    positions: int
    calls_used: int | None
    calls_limit: int | None
    calls_waiting: int | None


class RefusedRow(msgspec.Struct, frozen=True, kw_only=True):
    """The newest denial of the day of a strategy whose signals are refused; no entry followed it."""

    rule: str
    """The first rule in plain words, with its figures: positions per symbol 5 of 5."""
    code: str
    message: str
    """Reasons of all rules that denied it."""
    account: str
    """Empty where all accounts are meant."""
    instrument: str
    since_ms: int | None
    last_ms: int | None
    in_a_row: int
    signals: int
    """Signals of the day that wanted an entry."""


class StrategyRow(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `strategies`, by name."""

    name: str
    kind: str
    """code, legs or webhook."""
    state: str
    """RUNNING, LOADING, FAULTED, GONE, or CLOSING: a webhook that was removed, until it holds nothing."""
    enabled: bool
    problem: str
    waits: str
    held: str
    """What keeps all its entries back though its own are on: entries are halted; empty if some may pass."""
    refused: RefusedRow | None
    """The denial of its newest signals; None once one was entered."""
    closes_ms: int | None
    """Market time at which the clock closes what it holds (square-off); None if it holds nothing."""
    square_off: str
    """Its own time of day at which it is closed (HH:MM), whether it holds something or not; empty without one."""
    prices: dict[str, float | None]
    watches: list[str]
    parameters: dict[str, Any]
    realised: float
    unrealised: float
    positions: int
    lots: float | None
    """Lots of all its open positions, bought and sold; None while a lot size is not known."""
    switched_by: str
    switched_reason: str
    switched_ms: int | None


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `orders`, by `id` (ours)."""

    id: str
    version: str
    """Changes with each change of the order: an action names the one it was decided on."""
    account: str
    strategy: str
    instrument: str
    product: str
    purpose: str
    """entry, stop, target, exit, unwind or roll."""
    side: str
    quantity: int
    filled: int
    order_type: str
    state: str
    live: bool
    unknown: bool
    """Of unknown fate: an operator may resolve it."""
    price: float
    trigger_price: float
    average_price: float | None
    broker_order_id: str
    cause: str
    reason: str
    message: str
    pending: str
    """cancel or modify, while one is on its way; else empty."""
    waits: str
    """Of a pending modify: what it is to and waits for; else empty."""
    created_ms: int | None
    updated_ms: int | None
    parent: str
    slices: int


class PositionRow(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `positions`, by `id`: open ones, and those closed today. `managed` False: units at the broker that no
    strategy owns."""

    id: str
    version: str
    account: str
    strategy: str
    run: str
    instrument: str
    product: str
    managed: bool
    quantity: int
    quantity_seen: int
    average_price: float | None
    ltp: float | None
    unrealised: float | None
    realised: float
    stop: float | None
    stop_wanted: float | None
    """The trigger that an operator requested for it and that does not rest at the broker yet; None without one."""
    stop_state: str
    """resting, triggered, partial, missing, closing, engine, hedge or none."""
    stop_distance: float | None
    """Rupees from the last price to the stop, negative once the price is beyond it; None without one."""
    target: float | None
    confidence: str
    since_ms: int | None
    covers: dict[str, int]
    """Sold legs, with units, that a close of this position would leave without cover: it needs `force`."""
    bare: int
    """Units of a sold leg that have lost the cover they had."""
    expires_today: bool = False
    """Its contract expires on the present day of the market."""


class ClosedTradeRow(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `trades`, by `id`: a round trip from flat to flat."""

    id: str
    account: str
    strategy: str
    run: str
    instrument: str
    product: str
    side: str
    quantity: int
    entry_price: float
    exit_price: float
    realised: float
    opened_ms: int | None
    closed_ms: int | None


class SignalAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of a signal in one account."""

    account: str
    result: str
    orders: int
    filled: int
    reason: str


class SignalLeg(msgspec.Struct, frozen=True, kw_only=True):
    """A leg of a signal: the target in lots."""

    instrument: str
    lots: int


class SignalRow(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `signals`, by `id`, refused ones included."""

    id: str
    strategy: str
    watch: str
    action: str
    result: str
    reason: str
    price: float | None
    denied: list[str]
    """Rules that refused it, each with its numbers."""
    accounts: list[SignalAccount]
    legs: list[SignalLeg]
    created_ms: int | None


class ListRow(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `lists`, by `name`: how much there is of orders, trades or signals, whose topics hold the first page."""

    name: str
    total: int
    """Rows that the gateway keeps, slices not counted."""
    forgotten: int
    """Rows of before those, which stand in the journals alone."""
    older: str
    """Where the next page begins; empty: the topic holds all."""
    days: list[str]
    """Days of its rows, the newest first."""
    won: int
    """Of trades: those with a profit."""
    realised: float
    """Of trades: their profit in rupees."""
    refused: int
    """Of signals: those that a rule denied."""


class AlertRow(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `alerts`, by `id`: active ones."""

    id: str
    code: str
    severity: str
    """info, warning or critical."""
    subject: str
    message: str
    daemon: str
    count: int
    first_ms: int | None
    last_ms: int | None
    seen_by: str
    """Operator who has acknowledged it since it was raised or grew worse, or empty."""
    seen_ms: int | None


class LimitRow(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `limits`, by `id`: a risk limit with what is used of it, of a day or of a rule that judges entries."""

    id: str
    kind: str
    rule: str
    """Its kind in plain words."""
    unit: str
    """rupees, share, r or count."""
    scope: str
    """account, strategy, underlying or instrument."""
    name: str
    account: str
    """Empty where the scope is an account, or all of a strategy's."""
    now: float | None
    most: float
    left: float | None
    used: float
    """Share of the limit: 0.8 is 80 %."""
    action: str
    """What follows at the limit; deny: no further entry there."""
    reached: str


class ExposureRow(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `exposure`, by `id`: what an account holds in one underlying, all strategies and unmanaged units together.

    Rupees; None where a price that it needs is missing."""

    id: str
    account: str
    underlying: str
    contracts: int
    long_value: float | None
    """Of bought units at their last prices."""
    short_value: float | None
    """Of sold units at their last prices, positive."""
    spot: float | None
    notional: float | None
    """All units, bought and sold alike, at the price of the underlying."""
    delta: float | None
    """In units of the underlying."""
    delta_value: float | None
    """The delta at the price of the underlying: what a futures position of the same direction is worth."""
    theta: float | None
    """Of a day."""
    vega: float | None
    """Of a point of volatility."""


class StopRow(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `stops`, by `id`: a position and its stop."""

    id: str
    account: str
    strategy: str
    instrument: str
    product: str
    quantity: int
    average_price: float
    ltp: float | None
    unrealised: float | None
    stop: float | None
    holder: str
    """broker, engine or none."""
    distance: float | None
    distance_share: float | None
    """Distance as a share of the last price."""
    at_risk: float | None


class StructureLeg(msgspec.Struct, frozen=True, kw_only=True):
    """A leg of a structure, with the prices at which its own rules close it."""

    account: str
    instrument: str
    product: str
    quantity: int
    average_price: float
    ltp: float | None
    profit: float | None
    stop_loss: float | None
    take_profit: float | None
    trailing: float | None


class StructureRow(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `structures`, by `id`: a run of a strategy, its legs and what ends it."""

    id: str
    strategy: str
    run: str
    profit: float | None
    realised: float
    max_loss: float | None
    max_profit: float | None
    peak: float | None
    trailing_stop: float | None
    trail_from: float | None
    """Rupees of profit above which its stop begins to trail; None where it trails from the entry, or not at all."""
    supertrend: str
    leaving: str
    opened_ms: int | None
    closes_ms: int | None
    delta: float | None
    """Of all legs together in units of the underlying; None while a price is missing."""
    gamma: float | None
    theta: float | None
    """Rupees a day."""
    vega: float | None
    """Rupees a point of volatility."""
    legs: list[StructureLeg]


class HaltRow(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `halts`, by `id`: whatever holds entries back, or closes positions now."""

    id: str
    kind: str
    """level, kill, flatten, instrument, entries, strategy or account."""
    subject: str
    account: str
    """Account that a resume of it names; empty for all, or where a strategy is named."""
    strategy: str
    level: str
    reason: str
    by: str
    at_ms: int | None
    cure: str
    """Remedy, for the operator."""


class NeedRow(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `needs`, by `id`: what waits for a person."""

    id: str
    kind: str
    """alert, unknown_order, unmanaged, disputed, unprotected, bare_leg, broken_basket or fault."""
    severity: str
    subject: str
    text: str
    reference: str
    """Id of the order, position, alert, signal or strategy, by `kind`."""
    since_ms: int | None


class ProcessRow(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `processes`, by `name`."""

    name: str
    state: str
    ready: bool
    pid: int
    restarts: int
    lag_ms: float
    queue_depth: int
    handled: int
    handler_p50_us: float
    handler_p99_us: float
    rss_mb: float
    cpu_s: float
    dropped: int
    bad_frames: int
    age_s: float | None
    notes: list[str]
    figures: dict[str, float]


class LogRow(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `log`, by `id`: the last lines of the log of all processes, as they come."""

    id: str
    wall_ms: int | None
    process: str
    level: str
    event: str
    text: str


class ProfitPoint(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `profit`, by its time: the day's profit in rupees, a point each five seconds."""

    at_ms: int
    realised: float
    unrealised: float


class ChainCell(msgspec.Struct, frozen=True, kw_only=True):
    """A call or a put of a chain. Volatility is a fraction a year; greeks are of one unit, theta of a day."""

    instrument: str
    lot: int
    ltp: float | None
    bid: float | None
    ask: float | None
    volume: int | None
    open_interest: int | None
    open_interest_change: int | None
    iv: float | None
    delta: float | None
    gamma: float | None
    theta: float | None
    vega: float | None


class ChainLine(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `chain:UNDERLYING:EXPIRY`, by the strike as text."""

    strike: float
    at_money: bool
    call: ChainCell | None
    put: ChainCell | None


class ChainFuture(msgspec.Struct, frozen=True, kw_only=True):
    """A future on the underlying of a chain."""

    instrument: str
    expiry: str
    lot: int
    ltp: float | None


class ChainHead(msgspec.Struct, frozen=True, kw_only=True):
    """Topic `chainhead:UNDERLYING:EXPIRY`, one row with the key "". Without an expiry: of spot and futures."""

    underlying: str
    expiry: str
    expiries: list[str]
    spot_instrument: str
    """The index or share itself."""
    spot: float | None
    forward: float | None
    days: float
    put_call_ratio: float | None
    """Of open interest."""
    put_call_ratio_volume: float | None
    max_pain: float | None
    straddle: float | None
    """Price of call and put at the money."""
    atm_iv: float | None
    interest_since_ms: int | None
    """Changes of open interest count from here: the last figure after the day before closed, else the first today."""
    interest_latest_ms: int | None
    """The same of the strike that came into view last, which nobody had looked at before."""
    missing: int
    """Contracts without a quote."""
    market_ms: int | None
    futures: list[ChainFuture]
    """The nearest two, those that a file of legs calls nearest and next; none where none is listed."""
    problem: str = ""
    """Why the chain cannot be shown; empty if it can."""


TOPICS: dict[str, type[msgspec.Struct]] = {
    "stack": StackRow,
    "accounts": AccountRow,
    "strategies": StrategyRow,
    "orders": OrderRow,
    "positions": PositionRow,
    "trades": ClosedTradeRow,
    "signals": SignalRow,
    "lists": ListRow,
    "alerts": AlertRow,
    "limits": LimitRow,
    "exposure": ExposureRow,
    "stops": StopRow,
    "structures": StructureRow,
    "halts": HaltRow,
    "needs": NeedRow,
    "processes": ProcessRow,
    "profit": ProfitPoint,
    "log": LogRow,
}
"""The topics without arguments, each with its rows."""
CHAIN_TOPICS: dict[str, type[msgspec.Struct]] = {"chain": ChainLine, "chainhead": ChainHead}
"""Topics of one chain: the name is followed by `:UNDERLYING:EXPIRY`."""
