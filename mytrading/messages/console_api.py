"""The web console's own messages: its WebSocket, its REST bodies, and the answers to actions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from mytrading.messages.console_rows import ListRow
from mytrading.messages.control import FeedSource, FeedSubscription
from mytrading.messages.ops import RequestId, Rupees, Seconds, Units

Text = Annotated[str, msgspec.Meta(max_length=500)]
ShortText = Annotated[str, msgspec.Meta(max_length=64)]
Secret = Annotated[str, msgspec.Meta(max_length=1024)]
RoleName = Literal["viewer", "trader", "admin"]


class ApiError(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every answer that is not 2xx. `code` is for programs, `error` says what to do."""

    code: str
    error: str
    field: str = ""
    """Name of the field that is wrong, empty if it is none."""
    retry_after_s: int = 0
    """With 429 and 503: seconds to wait."""


# the WebSocket, /api/live


class LiveHello(msgspec.Struct, frozen=True, kw_only=True, tag="hello"):
    """First message of the server. A page whose bundle has another `build` shows the banner "reload"."""

    build: str
    protocol: int
    user: str
    role: RoleName
    wall_ms: int
    market_ms: int | None
    topics: list[str]
    """Topics that may be watched; of `chain` and `chainhead` with `:UNDERLYING:EXPIRY`."""


class LiveSnapshot(msgspec.Struct, frozen=True, kw_only=True, tag="snapshot"):
    """All rows of a topic by key; what the page had of it is void."""

    topic: str
    version: int
    rows: dict[str, Any]


class LiveDelta(msgspec.Struct, frozen=True, kw_only=True, tag="delta"):
    """Changes since `previous`. `set` holds changed cells by row key (of a new row all of them), `gone` the keys
    of removed rows. A page at another version than `previous` asks `again`."""

    topic: str
    previous: int
    version: int
    set: dict[str, dict[str, Any]]
    gone: list[str]


class LiveBeat(msgspec.Struct, frozen=True, kw_only=True, tag="beat"):
    """Once a second. `stack` False: the gateway does not answer, and all that is shown is old."""

    wall_ms: int
    market_ms: int | None
    speed: float
    stack: bool
    stale_s: float
    """Seconds since the newest answer of the gateway."""
    problem: str
    """Reason that the stack does not answer, empty if it does."""


class LiveRefused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """A message of the page that was not followed."""

    topic: str
    error: str


LiveMessage = LiveHello | LiveSnapshot | LiveDelta | LiveBeat | LiveRefused


class LiveWatch(msgspec.Struct, frozen=True, kw_only=True, tag="watch", forbid_unknown_fields=True):
    """From the page: exactly these topics from now on; none in a hidden tab."""

    topics: Annotated[list[Annotated[str, msgspec.Meta(max_length=80)]], msgspec.Meta(max_length=40)]


class LiveAgain(msgspec.Struct, frozen=True, kw_only=True, tag="again", forbid_unknown_fields=True):
    """From the page: a new snapshot of a topic."""

    topic: Annotated[str, msgspec.Meta(max_length=80)]


class LiveAlive(msgspec.Struct, frozen=True, kw_only=True, tag="alive", forbid_unknown_fields=True):
    """From the page, every 30 s while a person looks at it: keeps its chain leases."""


LiveRequest = LiveWatch | LiveAgain | LiveAlive


# sessions and users


class SessionUser(msgspec.Struct, frozen=True, kw_only=True):
    """User who is logged in. `confirmed_s`: for so many seconds actions that need the password again are allowed."""

    name: str
    role: RoleName
    totp: bool
    confirmed_s: int


class SessionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/session. `csrf` goes into the header X-CSRF-Token of every POST; it is new after each login."""

    user: SessionUser | None
    csrf: str
    first_user: bool
    """No user exists: the page asks for the code of `mytrading console code` and makes the first one."""
    build: str
    mode: str
    profile: str


class LoginRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/login. `totp` only where the user has a second factor: without it the answer is TOTP_NEEDED."""

    name: ShortText
    password: Secret
    totp: Annotated[str, msgspec.Meta(max_length=16)] = ""


class FirstUserRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/first-user: the code of the shell, and the administrator to be."""

    code: ShortText
    name: ShortText
    password: Secret


class PasswordChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/password; all other sessions of the user end."""

    password: Secret
    new_password: Secret


class ConfirmRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/confirm: the password or a code again, for actions answered with CONFIRM_NEEDED."""

    password: Secret = ""
    totp: Annotated[str, msgspec.Meta(max_length=16)] = ""


class TotpSecret(msgspec.Struct, frozen=True, kw_only=True):
    """POST /api/totp/begin: what an authenticator needs; counts once a code of it was confirmed."""

    secret: str
    uri: str
    qr_svg: str
    """Path data of the QR code: the attribute `d` of one `<path>`, in a square of `qr_size`."""
    qr_size: int


class TotpConfirm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/totp/confirm."""

    totp: Annotated[str, msgspec.Meta(max_length=16)]


class SessionEntry(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/sessions: one of them; an admin sees those of all users."""

    id: str
    user: str
    current: bool
    created_wall_ms: int
    seen_wall_ms: int
    ends_wall_ms: int
    ip: str
    agent: str
    viewers: int
    """Open pages of it."""


class UserEntry(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/users."""

    name: str
    role: RoleName
    totp: bool
    disabled: bool
    created_wall_ms: int
    last_login_wall_ms: int | None


class NewUser(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/users."""

    name: ShortText
    password: Secret
    role: RoleName


class UserChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/users/{name}: a field that is None stays as it is. The user's sessions end."""

    role: RoleName | None = None
    disabled: bool | None = None
    password: Secret | None = None
    reset_totp: bool = False


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/audit?user=&action=&result=&limit=&before=: newest first."""

    id: int
    wall_ms: int
    user: str
    ip: str
    action: str
    target: str
    result: str
    """asked, done, refused or failed."""
    details: str
    request_id: str


# actions


class ActionTaken(msgspec.Struct, frozen=True, kw_only=True):
    """A command was journaled: "taken" is neither sent nor done. What it did shows on the topics.

    `follow` are ids for GET /api/actions/{kind}/{id} where there is more to tell.
    """

    request_id: str
    text: str
    follow: list[str]
    by_kill_file: bool = False
    """The gateway did not answer: the file KILL was written instead."""


class HaltAction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/actions/halt and /api/actions/reduce. Without `account` all of them. Role trader."""

    request_id: RequestId
    account: ShortText = ""
    reason: Text = ""


class ResumeAction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/actions/resume. Role trader, confirmed."""

    request_id: RequestId
    account: ShortText = ""
    reason: Text = ""


class FlattenAction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/actions/flatten: halt entries and close positions of all accounts, one, or one strategy. Trader."""

    request_id: RequestId
    account: ShortText = ""
    strategy: ShortText = ""
    deadline_s: Seconds = 60.0
    reason: Text = ""


class KillAction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/actions/kill: write the file KILL, which holds with or without the gateway. Role trader."""

    request_id: RequestId
    reduce: bool = False
    reason: Text = ""


class UnkillAction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/actions/unkill: remove the file KILL. Role trader, confirmed."""

    request_id: RequestId
    reason: Text = ""


class SwitchAction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/actions/switch: entries of one strategy on or off. Role trader; confirmed to switch them on."""

    request_id: RequestId
    strategy: ShortText
    enabled: bool
    reason: Text = ""


class CancelAction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/actions/cancel. `version` is that of the row: refused with MOVED if the order changed since."""

    request_id: RequestId
    order: ShortText
    version: ShortText
    force: bool = False
    reason: Text = ""


class ModifyAction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/actions/modify. What is 0 stays; `quantity` counts filled units too. Terms by which a stop protects
    less are refused without `force` and a reason."""

    request_id: RequestId
    order: ShortText
    version: ShortText
    force: bool = False
    price: Rupees = 0.0
    trigger: Rupees = 0.0
    quantity: Units = 0
    reason: Text = ""


class ResolveAction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/actions/resolve: an order of unknown fate is `broker_order`, or was `not_placed`. Confirmed."""

    request_id: RequestId
    order: ShortText
    version: ShortText
    broker_order: ShortText = ""
    not_placed: bool = False
    force: bool = False
    reason: Text = ""


class ClaimAction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/actions/claim: give unmanaged units to a strategy, or to `manual` to be closed."""

    request_id: RequestId
    position: Annotated[str, msgspec.Meta(max_length=200)]
    version: ShortText
    strategy: ShortText
    quantity: Units = 0
    price: Rupees = 0.0
    stop: Rupees = 0.0
    stop_limit: Rupees = 0.0
    reason: Text = ""


class CloseAction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/actions/close: close what an owner holds of an instrument. What covers sold legs of the owner (`covers`
    of the row) is refused without `force` and a reason."""

    request_id: RequestId
    position: Annotated[str, msgspec.Meta(max_length=200)]
    version: ShortText
    force: bool = False
    deadline_s: Seconds = 60.0
    reason: Text = ""


class CloseRunAction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/actions/close-run: close a run of a strategy, which is all that it holds; its entries stay allowed.
    Refused with MOVED if `run` is over. Role trader."""

    request_id: RequestId
    run: Annotated[str, msgspec.Meta(min_length=6, max_length=64)]
    deadline_s: Seconds = 60.0
    reason: Text = ""


class AcknowledgeAction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/actions/acknowledge: an active alert (the key of its row) was seen. Role trader."""

    request_id: RequestId
    alert: Annotated[str, msgspec.Meta(max_length=400)]
    reason: Text = ""


class FlattenProgress(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/actions/flatten/{id}. `flat`: confirmed twice by the books."""

    id: str
    state: str
    flat: bool
    left: list[str]
    unmanaged: list[str]
    seconds_left: float | None


class OrderActionResult(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/actions/order/{order}/{request}: waiting, scheduled (made when the exchange opens), refused, cancelled,
    modified, replaced, filled or ended."""

    word: str
    text: str


class RouterAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/actions/answer/{request}: the router's answer to a resolve or a claim, once there is one."""

    answered: bool
    ok: bool
    message: str


# pages


class ListPage(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/lists/{orders|trades|signals}: a further page of a list, or one of a day; `rows` as in its topic."""

    rows: list[Any]
    extent: ListRow
    """Of the day and the strategy that were asked for; `older` is where the page after this one begins."""


class WhyStep(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/why/{id}, /api/why?row=ID: a step of the chain behind an order, signal, goal, position, trade or alert.

    Times in ms of machine time.
    """

    at_ms: int
    ms: float
    step_ms: float
    daemon: str
    kind: str
    """quote, signal, command, send, outcome, fill, stop or another word."""
    what: str


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the log by its fields; one without fields is all text."""

    wall_ms: int | None
    process: str
    level: str
    event: str
    text: str


class LogSearch(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/logs?process=&level=&text=&trace=&limit=&before=: lines that fit, the newest last, of `looked_bytes` of
    the log back to `back_to_ms`. `older` is the `before` that goes on; empty if the whole log was looked through."""

    lines: list[LogLine]
    older: str
    back_to_ms: int | None
    looked_bytes: int


class SettingRow(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/settings: a value and where it comes from; secrets are masked."""

    name: str
    value: str
    origin: str


class OperationRow(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/performance: an operation of any process, durations in ms."""

    operation: str
    count: int
    errors: int
    mean: float
    p50: float
    p95: float
    p99: float
    max: float


class CheckRow(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/doctor (trader): a check of machine, server, key, broker session, mode or instruments, and its cure."""

    check: str
    account: str
    verdict: Literal["ok", "warning", "failed", "not tested"]
    found: str
    cure: str


class InstrumentRow(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/instruments?query=&limit=."""

    id: str
    symbol: str
    exchange: str
    kind: str
    underlying: str
    expiry: str
    strike: float | None
    lot: int
    tick: float
    freeze: int


class UnderlyingRow(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/underlyings: an underlying with options, with its live expiries (ISO dates), nearest first."""

    underlying: str
    expiries: list[str]
    lot: int


class CalendarDay(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/calendar?exchange=&days=: a day from today on. Sessions as "09:15–15:30"."""

    day: str
    exchange: str
    sessions: list[str]
    holiday: str


class FeedSwitch(msgspec.Struct, frozen=True, kw_only=True):
    """A change of the serving source, takeover or failback, as the audit log of the state folder keeps it."""

    wall_ms: int | None
    kind: str
    previous: str
    to: str
    reason: str


class FeedMonitor(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/feed: where quotes come from. `figures` are those of the feed's heartbeat, `history` its connections."""

    current: str
    standby: list[str]
    """The other sources, in the order of preference."""
    well: int
    """Sources whose connection is in order."""
    silent_s: float | None
    """Seconds since the current source last sent something."""
    subscribed: int
    ticked: int
    """Subscribed instruments that have sent a quote."""
    fresh: int
    expected: int
    quotes: int
    bars: int
    switches: int
    reconnects: int
    figures: dict[str, float]
    failovers: list[FeedSwitch]
    """Changes of the serving source, also of days and starts before, the newest first."""
    history: list[LogLine]


class FeedSubscriptions(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/feed/subscriptions: what the feed subscribes now, and at which sources."""

    sources: tuple[FeedSource, ...]
    subscriptions: tuple[FeedSubscription, ...]


class WebhookRow(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/webhooks (trader): one of them, without its address. `state` is OPEN, LOCKED or FAULTY."""

    name: str
    sender: str
    mode: str
    symbols: int
    window: str
    square_off: str
    state: str
    problem: str
    token_made_wall_ms: int | None
    """Wall time at which its address was made; None where that is not known."""
    old_token_until_wall_ms: int | None
    """Until then the address before it holds too; None if none does."""


class WebhookMapping(msgspec.Struct, frozen=True, kw_only=True):
    """Mapping of a sender's symbol: `quantity` in units, or `lots`; `trade` is a contract chosen by its price."""

    symbol: str
    instrument: str
    product: str
    quantity: int
    lots: int
    max_quantity: int
    trade: str
    legs: list[str]


class WebhookView(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/webhooks/{name} (trader): its mappings, what it asks for besides its address, and texts by title to
    paste at its sender."""

    name: str
    url: str
    symbols: list[WebhookMapping]
    guards: list[str]
    texts: dict[str, str]


class DeliveryRow(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/webhooks/{name}/deliveries?limit= (trader): a verdict on an alert, the newest last. Hostile text."""

    received: str
    """Market time in India."""
    alert: str
    ip: str
    symbol: str
    verdict: str
    target: int
    code: str
    text: str
    signal: str
    body: str


class ReportEntry(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/reports: a report of a backtest, search or check below `runs`; GET /api/reports/{id} is its content."""

    id: str
    kind: str
    title: str
    made_wall_ms: int


class ScenarioGap(msgspec.Struct, frozen=True, kw_only=True):
    """What is held and left out of a scenario, since it cannot be priced."""

    instrument: str
    units: int
    reason: str


class ScenarioTable(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/scenario?underlying=&days=: profit in rupees of the whole book (`underlying` empty, all move by the same
    share) or of one underlying, `profit[volatility][spot]`.

    `positions` contracts are in it, those of `left_out` are not. `spots`: prices by underlying. `last_known`: no quote
    came of these, so their last known price counts. `underlyings`: all that are held. `at_ms`: when, market time.
    """

    underlying: str
    spots: dict[str, float]
    days: float
    spot_moves: list[float]
    volatility_moves: list[float]
    profit: list[list[float]]
    positions: int
    left_out: list[ScenarioGap]
    last_known: list[str] = []
    underlyings: list[str] = []
    at_ms: int = 0


class TrialRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/risk/trial (trader): what would this order do? `lots` above 0 buy, below it sell; nothing is placed."""

    strategy: ShortText
    instrument: ShortText
    lots: Annotated[int, msgspec.Meta(ge=-100_000, le=100_000)]
    account: ShortText = ""
    order_type: Literal["MARKET", "LIMIT", "SL"] = "MARKET"
    limit_price: Rupees = 0.0
    trigger_price: Rupees = 0.0
    stop_price: Rupees = 0.0
    product: Literal["MIS", "NRML", "CNC", ""] = ""


class TrialRule(msgspec.Struct, frozen=True, kw_only=True):
    """A pre-trade rule and its answer: `denial` is empty if it lets the order pass; numbers where it compares some.
    `unknown`: what it lacks to judge the order, empty if it did."""

    code: str
    when: str
    denial: str
    value: float | None
    limit: float | None
    unknown: str = ""


class TrialResult(msgspec.Struct, frozen=True, kw_only=True):
    """POST /api/risk/trial: what risk would say now. `exits`: it only reduces what is held, and is never judged."""

    exits: bool
    rules: list[TrialRule]
    units: int
    held: int
    price: float
    value: float
    margin: float
    margin_needed: float
    margin_free: float | None
    stop: float
    stop_limit: float
    stop_holder: str
    at_risk: float | None


class RiskEventRow(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/risk/events?strategy=&limit=: a rule spoke. `threshold` and `value` are rupees of the run, a price of a
    leg, or seconds of the day, by `kind`."""

    id: str
    at_ms: int
    strategy: str
    run: str
    kind: str
    threshold: float
    value: float
    action: str
    accounts: list[str]
    instruments: list[str]
    exit_orders: list[str]
    note: str


class LegFileRow(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/legs: a strategy without code, config/strategies/NAME.toml."""

    name: str
    file: str
    legs: int


class LegFile(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/legs/{name} (trader): `values` are its keys, times as text; `digest` says which text that is."""

    name: str
    file: str
    digest: str
    text: str
    values: dict[str, Any]
    versions: list[str]


class RunningLegs(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/strategies/{name}/legs: keys of the file of a strategy of legs as it `running` has them, and as the file
    has them now. `changed` differ, and take effect from the next start. An empty `file` is not there any more."""

    file: str
    running: dict[str, Any]
    values: dict[str, Any]
    changed: list[str]


class LegDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/legs/{name} (trader): keys of the file, None takes one out; `legs` is the list of them. Or a `version`.

    A leg with `from` changes that one of the file, counted from 1 (None: a new one). `expected` is the digest of the
    file that was seen, empty for a new file; another is refused with MOVED. A new file may be a copy of another, its
    `source`, whose digest `expected` is then. Only with `save` it is written.
    """

    values: dict[str, Any] = {}
    source: ShortText = ""
    version: ShortText = ""
    expected: ShortText = ""
    save: bool = False


class LegProblem(msgspec.Struct, frozen=True, kw_only=True):
    """A mistake of a file: `field` as legs[2].strike, counted from 1, or parameters.period; empty if it is of none."""

    line: int
    field: str
    text: str


class LegDraftResult(msgspec.Struct, frozen=True, kw_only=True):
    """POST /api/legs/{name}: with `problems` nothing was written. `diff` is unified, by line."""

    name: str
    file: str
    saved: bool
    digest: str
    versions: list[str]
    text: str
    diff: list[str]
    problems: list[LegProblem]
    notes: list[str]
    guards: list[str]
    changes: list[str]


class ParameterFile(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/strategies/{name}/parameters (trader): what the file of a strategy of code says, and which text it is.

    Empty `file` and `digest`: it has no file yet. What the file leaves out has the default of the class.
    """

    file: str
    digest: str
    values: dict[str, Any]
    versions: list[str]


class ParameterDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/strategies/{name}/parameters (trader): values by name, None takes one out of the file. Or a `version`.

    `expected` is the digest of the file that was seen; another is refused with MOVED. Only with `save` it is written,
    and counts from the next start of the stack on.
    """

    values: dict[Annotated[str, msgspec.Meta(max_length=64)], str | int | float | bool | None] = {}
    version: ShortText = ""
    expected: ShortText = ""
    save: bool = False


class ParameterDraftResult(msgspec.Struct, frozen=True, kw_only=True):
    """POST /api/strategies/{name}/parameters: with `problems` nothing was written. `diff` is unified, by line; `notes`
    say what the profile of this stack sets whatever the file says."""

    file: str
    saved: bool
    digest: str
    versions: list[str]
    diff: list[str]
    problems: list[LegProblem]
    notes: list[str]


class ResearchRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/research (trader): a run over history; `parity` compares the stack's day `first` (empty: the newest)
    with a backtest of the quotes that it saw, and takes no data. `parameters` are K=V, of searches also K=LOW:HIGH:STEP
    or K=A,B.

    `data` is `store`, `openalgo`, or files below the project's folder; empty texts and zeros stand for defaults.
    """

    request_id: RequestId
    kind: Literal["backtest", "optimize", "walk-forward", "check", "parity"]
    strategy: ShortText
    data: Annotated[list[Annotated[str, msgspec.Meta(max_length=200)]], msgspec.Meta(min_length=1, max_length=20)]
    first: ShortText = ""
    last: ShortText = ""
    instrument: ShortText = ""
    timeframe: ShortText = ""
    options: Annotated[list[Annotated[str, msgspec.Meta(max_length=200)]], msgspec.Meta(max_length=10)] = []
    volatility: ShortText = ""
    capital: Rupees = 0.0
    lots: Units = 0
    parameters: Annotated[list[Annotated[str, msgspec.Meta(max_length=100)]], msgspec.Meta(max_length=40)] = []
    objective: ShortText = ""
    method: Literal["", "grid", "random", "tpe", "nsga"] = ""
    trials: Units = 0
    train_days: Units = 0
    test_days: Units = 0
    workers: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1


class ResearchJob(msgspec.Struct, kw_only=True):
    """GET /api/research: a run that waits, runs, or ended (done, failed, cancelled, interrupted), with its progress.

    `report` is its id below the reports, there once `has_report`. `share` is None while it is not known. `request` is
    what was asked: with another id it is queued again. An interrupted one was under way when the console ended.
    """

    id: str
    kind: str
    strategy: str
    asked: str
    by: str
    state: str
    asked_wall_ms: int
    report: str
    request: ResearchRequest
    began_wall_ms: int | None = None
    ended_wall_ms: int | None = None
    share: float | None = None
    progress: str = ""
    error: str = ""
    has_report: bool = False


class PaperTrialStart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/paper (trader): run this strategy on paper money, beside this stack."""

    strategy: ShortText


class PaperTrialState(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/paper: none, starting, running, stopping or failed; `address` is that of its own console."""

    state: str
    strategy: str
    address: str
    error: str


class AccountSetup(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/setup/accounts (admin): an account of config/accounts.toml, without its key."""

    id: str
    role: str
    broker: str
    host: str
    ws_url: str
    product: str


class AccountAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """POST /api/setup/accounts/test (admin): how a server answered its account's key, in `ms`."""

    id: str
    ok: bool
    broker: str
    message: str
    mode: str
    ms: float


class AccountChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/setup/accounts/{name} (admin, confirmed): a `new` account, or what is not empty of one that is there.

    The server must know the key before anything is kept. The key is written and never told again.
    """

    new: bool = False
    host: Text = ""
    ws_url: Text = ""
    broker: ShortText = ""
    role: Literal["", "primary", "backup", "trading"] = ""
    product: Literal["", "MIS", "NRML", "CNC"] = ""
    key: Secret = ""


Mappings = Annotated[list[Annotated[str, msgspec.Meta(max_length=200)]], msgspec.Meta(max_length=200)]
"""SENDER=EXCHANGE:SYMBOL,PRODUCT,QUANTITY each, as option `--map` of `mytrading webhook`."""


class WebhookChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/webhooks/{name} (trader, confirmed): fields that are not empty change. `csv` holds further
    mappings, symbol, exchange, quantity, product[, instrument symbol] by line; all of them are taken or none.
    `maps` are added, or replace those of their symbols, and symbols in `unmap` are mapped no more. `locked`
    refuses alerts."""

    mode: Literal["", "LONG", "SHORT", "BOTH"] = ""
    window: ShortText = ""
    square_off: ShortText = ""
    csv: Annotated[str, msgspec.Meta(max_length=50_000)] = ""
    preview: bool = False
    locked: bool | None = None
    maps: Mappings = []
    unmap: Annotated[list[ShortText], msgspec.Meta(max_length=200)] = []


class NewWebhook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/webhooks/{name}/add (trader, confirmed): a webhook with at least one mapping in `maps` or `csv`.
    `secret` and `signed` ask for further proofs, each made here; `positional`: no window, no square-off."""

    sender: Literal["tradingview", "chartink", "amibroker", "generic"]
    maps: Mappings = []
    csv: Annotated[str, msgspec.Meta(max_length=50_000)] = ""
    mode: Literal["", "LONG", "SHORT", "BOTH"] = ""
    window: ShortText = ""
    square_off: ShortText = ""
    positional: bool = False
    secret: bool = False
    signed: bool = False
    ips: Annotated[list[ShortText], msgspec.Meta(max_length=20)] = []
    certificate: ShortText = ""


class NewAddress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/webhooks/{name}/rotate (trader, confirmed): the old address holds for `overlap_minutes` more."""

    overlap_minutes: Annotated[float, msgspec.Meta(ge=0.0, le=1440.0)] = 0.0


class WebhookAddress(msgspec.Struct, frozen=True, kw_only=True):
    """POST /api/webhooks/{name}/add or /rotate: the address with its token, shown this once; of a new webhook also its
    `secret` and `hmac_key`, empty if it asks for none. With `rows` lines are faulty, and nothing was made."""

    name: str
    url: str
    secret: str = ""
    hmac_key: str = ""
    notes: list[str] = []
    rows: list[CsvRow] = []


class CsvRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line of imported mappings; `problem` is "in order" for one that can be taken."""

    line: int
    row: str
    problem: str


class WebhookChanged(msgspec.Struct, frozen=True, kw_only=True):
    """POST /api/webhooks/{name}: `rows` only of a preview, or where lines are faulty and nothing was taken."""

    changed: bool
    rows: list[CsvRow]


class MarginRow(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/margin: rupees of an account as risk counts them: free is cash less what is reserved and kept back."""

    account: str
    free: float
    cash: float
    reserved: float
    buffer: float


class RequirementRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a lot of an underlying needs, in rupees, by the table that holds from `since` (ISO date) on: on the day of
    expiry and on others. They are for a lot of `units`, 0 for any. `lot`, `freeze` (largest order, units) and
    `most_lots` are those of today by `lot_source`, None where nothing tells them, and then it says why."""

    underlying: str
    since: str
    sold: float
    sold_expiry: float
    both_sold: float
    both_sold_expiry: float
    future: float
    future_expiry: float
    bought: float
    units: int
    lot: int | None
    freeze: int | None
    most_lots: int | None
    lot_source: str


class MarginTables(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/margin/tables: config/risk.toml as it counts on `day`. `shares` of free margin by profile and grade."""

    day: str
    requirements: list[RequirementRow]
    shares: dict[str, float]
    most_lots_per_leg: int


class LotsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/margin/lots?margin=&instrument=&kind=&grade=&expiry=&premium=: lots that a margin pays for, and why."""

    instrument: str
    type: str
    grade: str
    share: float
    margin_per_lot: float
    lots: int
    quantity: int
    used: float
    left: float
    lot_size: int
    freeze: int
    max_lots: int
    orders: list[int]
    why: str


class MarginOfLeg(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Signed units (above 0 bought) of an instrument at a price in rupees; `spot` is that of its underlying, `product`
    that of this leg. 0 and empty: those of the request."""

    instrument: ShortText
    units: Annotated[int, msgspec.Meta(ge=-10_000_000, le=10_000_000)]
    price: Rupees
    spot: Rupees = 0.0
    product: Literal["", "MIS", "NRML", "CNC"] = ""


class StructureMarginRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/structure/margin: legs held together, their underlying at `spot`."""

    legs: Annotated[list[MarginOfLeg], msgspec.Meta(max_length=20)]
    spot: Rupees
    product: Literal["MIS", "NRML"] = "NRML"


class StructureMargin(msgspec.Struct, frozen=True, kw_only=True):
    """POST /api/structure/margin: rupees for all of them, hedges counted, and the sum of each by itself; `after` is
    what the legs up to each need together, in the order in which they were given."""

    margin: float
    separate: float
    after: list[float]


class BrokerBook(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/books/{book}, orders, trades, positions, holdings or funds: of an account, field by field. Where it
    could not be read `problem` says why, and rows are those of `age_s` seconds ago. Hostile text."""

    account: str
    rows: list[dict[str, Any]]
    age_s: float
    problem: str


class ConfigFile(msgspec.Struct, frozen=True, kw_only=True):
    """GET /api/config/{name} (admin), `calendar` or `risk`: config/NAME.toml, which a running stack follows."""

    name: str
    text: str
    digest: str
    versions: list[str]


class ConfigDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """POST /api/config/{name} (admin, confirmed): another text, or a `version` of before; written only with `save`.

    `expected` is the digest of the text that was seen; another is refused with MOVED.
    """

    text: Annotated[str, msgspec.Meta(max_length=60_000)] = ""
    version: ShortText = ""
    expected: ShortText
    save: bool = False


class ConfigDraftResult(msgspec.Struct, frozen=True, kw_only=True):
    """POST /api/config/{name}: with a `problem` nothing was written. `diff` is unified, by line."""

    saved: bool
    problem: str
    diff: list[str]
    digest: str
    versions: list[str]


REST_TYPES: tuple[type[msgspec.Struct], ...] = (
    ListPage,
    ApiError,
    SessionInfo,
    LoginRequest,
    FirstUserRequest,
    PasswordChange,
    ConfirmRequest,
    TotpSecret,
    TotpConfirm,
    SessionEntry,
    UserEntry,
    NewUser,
    UserChange,
    AuditEntry,
    ActionTaken,
    HaltAction,
    ResumeAction,
    FlattenAction,
    KillAction,
    UnkillAction,
    SwitchAction,
    CancelAction,
    ModifyAction,
    ResolveAction,
    ClaimAction,
    CloseAction,
    CloseRunAction,
    AcknowledgeAction,
    FlattenProgress,
    OrderActionResult,
    RouterAnswer,
    WhyStep,
    LogLine,
    LogSearch,
    SettingRow,
    InstrumentRow,
    UnderlyingRow,
    CalendarDay,
    FeedMonitor,
    FeedSource,
    FeedSubscription,
    FeedSubscriptions,
    WebhookRow,
    WebhookMapping,
    WebhookView,
    OperationRow,
    CheckRow,
    DeliveryRow,
    ReportEntry,
    ScenarioGap,
    ScenarioTable,
    TrialRequest,
    TrialRule,
    TrialResult,
    RiskEventRow,
    LegFileRow,
    LegFile,
    RunningLegs,
    LegDraft,
    LegDraftResult,
    ParameterFile,
    ParameterDraft,
    ParameterDraftResult,
    ResearchRequest,
    ResearchJob,
    PaperTrialStart,
    PaperTrialState,
    AccountSetup,
    AccountAnswer,
    AccountChange,
    WebhookChange,
    NewWebhook,
    NewAddress,
    WebhookAddress,
    WebhookChanged,
    MarginRow,
    RequirementRow,
    MarginTables,
    LotsAnswer,
    MarginOfLeg,
    StructureMarginRequest,
    StructureMargin,
    BrokerBook,
    ConfigFile,
    ConfigDraft,
    ConfigDraftResult,
)
"""Bodies of REST requests and answers, as the page's types are made from them."""
