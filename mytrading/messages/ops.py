"""Requests to the gateway (`ops`) and its replies: one struct per verb, the verb is the tag."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar, get_args

import msgspec

from mytrading.messages.control import (
    OrderTrialResult,
    ProbeRequested,
    StrategySwitch,
    TradingState,
    WithdrawRequested,
)
from mytrading.messages.enums import OrderType, Product, TradingLevel
from mytrading.messages.instruments import Instrument
from mytrading.messages.settlements import SettlementPlan

Reply = TypeVar("Reply")

RequestId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
Limit = Annotated[int, msgspec.Meta(ge=0, le=999_999_999)]
"""At most so many rows, the newest; 0 is all."""
Units = Annotated[int, msgspec.Meta(ge=0, le=999_999_999)]
Shares = Annotated[int, msgspec.Meta(ge=1, le=1000)]
Rupees = Annotated[float, msgspec.Meta(ge=0.0, lt=1e12)]
Seconds = Annotated[float, msgspec.Meta(gt=0.0, lt=86_400.0)]

SHORTEST_ID = 6
"""At least so many characters of an id may stand for it."""
DEADLINE_S = 60.0
MOST_ROWS = 200


class Query(msgspec.Struct, Generic[Reply], frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A question, answered with a `Reply`; `Any` is JSON-ready lists and dicts (`JsonReply`)."""


class Command(
    msgspec.Struct, Generic[Reply], frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """A request of an operator, journaled before its `Reply`; a repetition with its id is answered, not executed.

    Where one acts on an order or a position, `expected` is the `version` that its author saw of it, empty for any.
    """

    request_id: RequestId
    by: Annotated[str, msgspec.Meta(max_length=64)] = ""


class JsonReply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="json"):
    """Tables and pictures for screens: JSON, ready to be printed."""

    body: bytes = b"null"


class ErrorReply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="error"):
    """The request was not executed; `error` says what was expected, found, and what to do. `code` is an exit code."""

    error: str
    code: int = 2


class LevelSet(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="level_set"):
    """The trading level that holds now, and what the file KILL says, if it is there. `overall`: after the resume of one
    account the level of all, which it leaves."""

    trading: TradingState
    kill: dict[str, Any] | None = None
    overall: TradingLevel = TradingLevel.NORMAL


class SwitchSet(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="switch_set"):
    """Entries of a strategy are allowed or not."""

    switch: StrategySwitch


class EntriesWithdrawn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="entries_withdrawn"):
    """Cancels of all resting entries are requested; `entries` are those that rested then."""

    request: WithdrawRequested
    entries: list[dict[str, Any]] = []


class PaperOrderTaken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="paper_order_taken"):
    """The paper order of `doctor`, or its end, is on its way to the router."""

    request: ProbeRequested


class OrderRequestTaken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="order_request_taken"):
    """A cancel, modify or resolve is journaled as `request`; `order` is our id of the order."""

    request: str
    order: str


class ClaimTaken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="claim_taken"):
    """A claim is journaled as `request`, of the units in this account and product. `copy`: the file of the router's
    journal as it was before."""

    request: str
    account: str
    product: Product
    copy: str = ""


class SettlementTaken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="settlement_taken"):
    """A request that settles the ledger is journaled as `request`; `copy` as of a claim."""

    request: str
    account: str
    copy: str = ""


class FlattenTaken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="flatten_taken"):
    """Flattens of these ids are journaled; one of a single position names its owner and account.

    `absent` has a text for each position or live order that none of them can reach: its account is not in this run.
    `beside`: the same of accounts that were not asked for.
    """

    flatten: tuple[str, ...]
    strategy: str = ""
    account: str = ""
    absent: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


class RequestAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="request_answer"):
    """The router's answer to a resolve, a claim or a settlement, once there is one. `plan`: what it does."""

    answered: bool
    ok: bool = False
    message: str = ""
    plan: SettlementPlan | None = None


class OrderRequestResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="order_request_result"):
    """The result of a cancel or modify: `word` is waiting, scheduled (made when the exchange opens), refused,
    cancelled, modified, replaced, filled or ended."""

    word: str
    text: str
    order: str
    request: str
    level: dict[str, Any] = {}


class LeaseGranted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="lease_granted"):
    """So many instruments get quotes for so many seconds."""

    instruments: int
    lease_s: int


class AlertSeen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="alert_seen"):
    """Reply to a command that acknowledges an alert: the acknowledgement is journaled."""

    code: str
    subject: str


class ContractsTaken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="contracts_taken"):
    """Reply to a command that accepts contracts: the keys that were accepted now, and what cannot be accepted."""

    name: str
    keys: tuple[str, ...]
    refused: tuple[str, ...] = ()


class HistoryAcceptTaken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="history_accept_taken"):
    """Reply to a command that accepts holes in history: the acceptance is journaled, for its day."""

    instrument: str
    day: str


class DayConfirmTaken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="day_confirm_taken"):
    """Reply to a command that says which exchanges trade today: it is journaled, for its day."""

    exchanges: tuple[str, ...]
    day: str


class OrderTrialAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="order_trial_answer"):
    """Risk's judgement of a trial order; None: it has not answered yet, or does not run."""

    result: OrderTrialResult | None = None


OpsReply = (
    JsonReply | ErrorReply | LevelSet | SwitchSet | EntriesWithdrawn | PaperOrderTaken | OrderRequestTaken
    | ClaimTaken | FlattenTaken | RequestAnswer | OrderRequestResult | LeaseGranted | OrderTrialAnswer
    | AlertSeen | ContractsTaken | HistoryAcceptTaken | SettlementTaken | DayConfirmTaken
)  # fmt: skip


class StatusQuery(Query[Any], frozen=True, kw_only=True, tag="status"):
    """The whole stack: daemons, accounts, levels, profit."""


class SummaryQuery(Query[Any], frozen=True, kw_only=True, tag="summary"):
    """Sums of this run."""


class OrdersQuery(Query[Any], frozen=True, kw_only=True, tag="orders"):
    """Orders, oldest first, a sliced one with its slices."""

    live: bool = False
    limit: Limit = MOST_ROWS


class PositionsQuery(Query[Any], frozen=True, kw_only=True, tag="positions"):
    """Positions by owner, and unmanaged units; `all` adds flat ones."""

    all: bool = False


class TradesQuery(Query[Any], frozen=True, kw_only=True, tag="trades"):
    """Completed trades."""

    limit: Limit = MOST_ROWS


class SignalsQuery(Query[Any], frozen=True, kw_only=True, tag="signals"):
    """Signals with their results by account."""

    limit: Limit = MOST_ROWS


class ListQuery(Query[Any], frozen=True, kw_only=True, tag="list"):
    """A page of orders, trades or signals: the newest by their last change, and all that have not ended.

    `before`: the page that begins at the `older` of another. `day` (YYYY-MM-DD): rows that began then; empty for all.
    """

    name: Literal["orders", "trades", "signals"]
    before: Annotated[str, msgspec.Meta(max_length=200)] = ""
    day: Annotated[str, msgspec.Meta(max_length=10)] = ""
    strategy: Annotated[str, msgspec.Meta(max_length=64)] = ""
    limit: Limit = MOST_ROWS


class AlertsQuery(Query[Any], frozen=True, kw_only=True, tag="alerts"):
    """All active alerts: one that is cut from a list may be the cause of the others. `all` adds cleared ones, the
    newest of them up to the limit."""

    all: bool = False
    limit: Limit = MOST_ROWS


class RiskQuery(Query[Any], frozen=True, kw_only=True, tag="risk"):
    """Limits, money, engine stops and runs."""


class OrderTrialQuery(Query[OrderTrialAnswer], frozen=True, kw_only=True, tag="order_trial"):
    """Trial of an order by risk's rules. Repeat it with its `id` until it is answered. Nothing is placed or journaled.

    `lots` are signed; without an `account` it is that of the run, without a `product` that of the strategy. `contract`
    is what the server says of an instrument that is not among the stack's own.
    """

    id: RequestId
    strategy: str
    instrument: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    lots: Annotated[int, msgspec.Meta(ge=-100_000, le=100_000)]
    account: str = ""
    order_type: OrderType = OrderType.MARKET
    limit_price: Rupees = 0.0
    trigger_price: Rupees = 0.0
    stop_price: Rupees = 0.0
    product: Product | None = None
    contract: Instrument | None = None


class FeedQuery(Query[Any], frozen=True, kw_only=True, tag="feed"):
    """Sources and subscriptions of the feed: the last `report`, None before the first. Asking makes a newer one, to be
    had a moment later; `at_machine_ns` says of when it is, and `now_machine_ns` what time it is."""


class RestingQuery(Query[Any], frozen=True, kw_only=True, tag="resting"):
    """Live entries, and stops at the broker."""


class StrategiesQuery(Query[Any], frozen=True, kw_only=True, tag="strategies"):
    """The strategies that run."""


class StrategyQuery(Query[Any], frozen=True, kw_only=True, tag="strategy"):
    """Orders, trades and positions of one strategy."""

    strategy: str
    limit: Limit = MOST_ROWS


class FlattensQuery(Query[Any], frozen=True, kw_only=True, tag="flattens"):
    """Progress of these flattens; without ids of all that are not done."""

    ids: tuple[str, ...] = ()


class AnswerQuery(Query[RequestAnswer], frozen=True, kw_only=True, tag="request"):
    """The router's answer to the resolve, claim or settlement of this id."""

    id: str


class OrderRequestQuery(Query[OrderRequestResult], frozen=True, kw_only=True, tag="order_request"):
    """The result of the cancel (else the modify) `request` of an order."""

    order: str
    request: str
    cancel: bool = False


class QuoteLeaseQuery(Query[LeaseGranted], frozen=True, kw_only=True, tag="look"):
    """Quotes of these instruments for the screen `who`, for some seconds; none ends it."""

    who: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    instruments: tuple[str, ...] = ()


class HaltCommand(Command[LevelSet], frozen=True, kw_only=True, tag="halt"):
    """No entries from now on; with `reduce` only what reduces positions."""

    reduce: bool = False
    account: str = ""
    reason: str = ""


class ResumeCommand(Command[LevelSet], frozen=True, kw_only=True, tag="resume"):
    """Trade again, after a halt, a wrong mode or a quarantine."""

    account: str = ""
    reason: str = ""


class SwitchCommand(Command[SwitchSet], frozen=True, kw_only=True, tag="switch"):
    """Entries of one strategy are allowed or not."""

    strategy: str
    enabled: bool
    reason: str = ""


class AcknowledgeCommand(Command[AlertSeen], frozen=True, kw_only=True, tag="alert_acknowledge"):
    """An active alert was seen by somebody; it stays active until its cause ends."""

    daemon: str
    code: str
    subject: str = ""
    reason: str = ""


class AcceptContractsCommand(Command[ContractsTaken], frozen=True, kw_only=True, tag="contracts_accept"):
    """The server is right where its contracts of an underlying contradict our table. `expected`: the keys that the
    author saw, empty for those of now."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    expected: tuple[str, ...] = ()
    reason: str = ""


class HistoryAcceptCommand(Command[HistoryAcceptTaken], frozen=True, kw_only=True, tag="history_accept"):
    """Entries of strategies that look back over holes in an instrument's past bars are allowed, for today."""

    instrument: str
    reason: str = ""


class DayConfirmCommand(Command[DayConfirmTaken], frozen=True, kw_only=True, tag="day_confirm"):
    """Exchanges trade today, though nobody has listed the year's holidays: entries there are allowed, for today."""

    exchanges: tuple[str, ...]
    reason: str = ""


class WithdrawCommand(Command[EntriesWithdrawn], frozen=True, kw_only=True, tag="withdraw"):
    """Cancel all resting entries; `stopping`: the run, which is being stopped, enters nothing any more either."""

    reason: str = ""
    stopping: bool = False


class PaperOrderCommand(Command[PaperOrderTaken], frozen=True, kw_only=True, tag="probe"):
    """Place the paper order `id` of `doctor`; without a quantity, withdraw it."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    instrument: Annotated[str, msgspec.Meta(min_length=1)]
    quantity: Units = 0
    price: Rupees = 0.0


class CancelCommand(Command[OrderRequestTaken], frozen=True, kw_only=True, tag="order_cancel"):
    """Cancel an order (our id or the broker's); a stop or an exit only with `force` and a reason."""

    order: str
    force: bool = False
    reason: str = ""
    expected: str = ""


class ModifyCommand(Command[OrderRequestTaken], frozen=True, kw_only=True, tag="order_modify"):
    """Change an order; a field that is 0 stays as it is. `quantity` counts filled units too. A stop is loosened only
    with `force` and a reason."""

    order: str
    price: Rupees = 0.0
    trigger: Rupees = 0.0
    quantity: Units = 0
    reason: str = ""
    expected: str = ""
    force: bool = False


class ResolveCommand(Command[OrderRequestTaken], frozen=True, kw_only=True, tag="resolve"):
    """End an order of unknown fate: it is `broker_order`, or it was `not_placed`."""

    order: str
    broker_order: str = ""
    not_placed: bool = False
    force: bool = False
    reason: str = ""
    expected: str = ""


class ClaimCommand(Command[ClaimTaken], frozen=True, kw_only=True, tag="claim"):
    """Give unmanaged units to a strategy; quantity 0 is all, price 0 the broker's, a stop limit of 0 is 3 % beyond.

    `preview`: only its plan is asked for; `plan` is the mark of the plan that its author saw, empty for any."""

    instrument: str
    strategy: str
    quantity: Units = 0
    price: Rupees = 0.0
    stop: Rupees = 0.0
    stop_limit: Rupees = 0.0
    account: str = ""
    product: Product | None = None
    to_close: bool = False
    reason: str = ""
    expected: str = ""
    preview: bool = False
    plan: str = ""


class SettleCommand(Command[SettlementTaken], frozen=True, kw_only=True, tag="settle"):
    """What a strategy carried of an instrument is gone, at `price` rupees (0: not known); `preview` and `plan` as of a
    claim."""

    instrument: str
    strategy: str = ""
    account: str = ""
    product: Product | None = None
    price: Rupees = 0.0
    reason: str = ""
    preview: bool = False
    plan: str = ""


class AdjustCommand(Command[SettlementTaken], frozen=True, kw_only=True, tag="adjust"):
    """A corporate action made `new` shares of each `old` ones; `units` is what is held now, 0 for what the books show;
    `preview` and `plan` as of a claim."""

    instrument: str
    new: Shares
    old: Shares = 1
    strategy: str = ""
    account: str = ""
    product: Product | None = None
    units: Units = 0
    reason: str = ""
    preview: bool = False
    plan: str = ""


class RebuildCommand(Command[SettlementTaken], frozen=True, kw_only=True, tag="rebuild_ledger"):
    """Make the ledger of an account (empty: the only one) what the broker's books show, and halt its entries; `preview`
    and `plan` as of a claim."""

    account: str = ""
    reason: str = ""
    preview: bool = False
    plan: str = ""


class CloseCommand(Command[FlattenTaken], frozen=True, kw_only=True, tag="close"):
    """Close what an owner holds of an instrument. `claimed`: it was just claimed, and an exit may have closed it. What
    covers a sold leg of the owner is closed only with `force` and a reason."""

    instrument: str
    strategy: str = ""
    account: str = ""
    product: Product | None = None
    deadline: Seconds = DEADLINE_S
    claimed: bool = False
    reason: str = ""
    expected: str = ""
    force: bool = False


class CloseRunCommand(Command[FlattenTaken], frozen=True, kw_only=True, tag="close_run"):
    """Close a run of a strategy, which is all that it holds, in all accounts; its entries stay allowed. `run` is the
    id, or its beginning; one that is over is refused."""

    run: Annotated[str, msgspec.Meta(min_length=SHORTEST_ID, max_length=64)]
    deadline: Seconds = DEADLINE_S
    reason: str = ""


class FlattenCommand(Command[FlattenTaken], frozen=True, kw_only=True, tag="flatten"):
    """Halt entries and close all positions, of one account or one strategy if named, within `deadline` seconds."""

    account: str = ""
    strategy: str = ""
    deadline: Seconds = DEADLINE_S
    reason: str = ""


OperatorCommand = (
    HaltCommand | ResumeCommand | SwitchCommand | WithdrawCommand | PaperOrderCommand | CancelCommand | ModifyCommand
    | ResolveCommand | ClaimCommand | CloseCommand | CloseRunCommand | FlattenCommand | AcknowledgeCommand
    | AcceptContractsCommand
    | HistoryAcceptCommand | SettleCommand | AdjustCommand | RebuildCommand | DayConfirmCommand
)  # fmt: skip
OpsRequest = (
    StatusQuery | SummaryQuery | OrdersQuery | PositionsQuery | TradesQuery | SignalsQuery | AlertsQuery | RiskQuery
    | RestingQuery | StrategiesQuery | StrategyQuery | FlattensQuery | AnswerQuery | OrderRequestQuery
    | QuoteLeaseQuery | OrderTrialQuery | FeedQuery | ListQuery | OperatorCommand
)  # fmt: skip

VERBS: dict[str, type[msgspec.Struct]] = {str(kind.__struct_config__.tag): kind for kind in get_args(OpsRequest)}
"""The struct of each verb."""


def verb_of(request: msgspec.Struct) -> str:
    """Return the verb of a request to the gateway, such as `halt` (its type's tag)."""
    return str(type(request).__struct_config__.tag)
