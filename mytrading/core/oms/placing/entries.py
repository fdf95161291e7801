"""Entries before they are sent: admitted once, withdrawn on request, and denied by a record that says why."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mytrading.core.oms.placing import slices
from mytrading.core.oms.state.alert_codes import StateAlert
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders import state_machine
from mytrading.core.orders.broker_gate import entry_refusal
from mytrading.core.orders.slicing import Unsliceable
from mytrading.core.time import SECOND
from mytrading.messages.account_events import AccountModeChanged, EntriesStopped, EntryChurned, InstrumentHalted
from mytrading.messages.commands import PlaceEntry, WithdrawEntries
from mytrading.messages.control import KILL, ModeCleared, StrategySwitch, TradingState, WithdrawRequested
from mytrading.messages.enums import BrokerStatus, OrderState, OrderType, Purpose, Severity, TradingLevel
from mytrading.messages.keys import NetKey
from mytrading.messages.orders import Goal, Order, OrderChanged

Wanted = Callable[[Order], bool]


def on_place_entry(oms: OrderDecision, command: PlaceEntry) -> None:
    """Create the order of an entry command, or its slices, as INITIALIZED (DENIED if invalid), unless it exists."""
    if oms.state.is_known_id(command.id):
        return
    order, what = state_machine.order_from_command(command, oms.now), ""
    if command.purpose is not Purpose.ENTRY or command.quantity <= 0:
        what = f"expected an entry of at least 1 unit, found {command.purpose} of {command.quantity}"
    elif not (what := _missing_price(command)):
        try:
            slices.create_entry_orders(oms, order)
        except Unsliceable as error:
            what = str(error)
    if what:
        oms.emit(OrderChanged(event="initialized", order=order, machine_ns=oms.machine))
        oms.end_unsent(order, OrderState.DENIED, "denied", f"INVALID: {what}")


def _missing_price(command: PlaceEntry) -> str:
    if command.order_type in (OrderType.LIMIT, OrderType.SL) and command.price <= 0:
        return f"expected a price above 0 for {command.order_type.value}, found {command.price:g}"
    if command.order_type in (OrderType.SL, OrderType.SL_M) and command.trigger_price <= 0:
        return f"expected a trigger above 0 for {command.order_type.value}, found {command.trigger_price:g}"
    return ""


def expire_if_late(oms: OrderDecision, order: Order) -> bool:
    """End an unsent entry that has expired by both market and machine clock; True if it ended."""
    if order.plan.expires_ns >= oms.now or order.plan.expires_machine_ns >= oms.machine:
        return False
    twins = (other for other in oms.open_orders(order.net) if other.state in state_machine.UNRESOLVED)
    doubt = next((other for other in twins if other.side is order.side), None)
    why = f", kept waiting by {doubt.client_order_id} of unknown fate; {resolve_advice(doubt)}" if doubt else ""
    oms.end_unsent(order, OrderState.EXPIRED, "expired", f"EXPIRED: still unsent when its time was over{why}")
    return True


def denial_reason(oms: OrderDecision, order: Order, key: NetKey) -> str:
    """Return why an entry must be denied (`CODE: text`); empty if it may be sent now or soon."""
    state = oms.state
    stopped, run = state.flags.get("stopped_run"), state.flags.get("run")
    if stopped and run in (None, stopped):
        return "STOPPING: `mytrading down` stops the stack, which enters nothing any more; `mytrading up` starts it"
    if "disk_low" in state.flags:
        return "DISK_LOW: the disk is full and what is left of it is kept for exits; free space"
    level = state.trading_level(order.account)
    if level is not TradingLevel.NORMAL:
        why = state.trading_level_reason(order.account)
        return f"HALTED: trading level is {level}{why}, entries need normal; resume to allow them"
    switch = state.switches.get(order.strategy)
    if switch is not None and not switch.enabled:
        return f"SWITCHED_OFF: strategy {order.strategy} is switched off; enable it to allow entries"
    closing = state.covering_flatten(order.owner) if state.open_flattens else None
    if closing is not None:  # it would be closed as soon as it is filled
        return f"CLOSING: {order.strategy} is being closed ({closing.reason}); signal again when it is flat"
    if order.account in state.wrong_mode:
        return f"WRONG_MODE: account {order.account} answered in another mode; clear it when it is in order"
    if (halted := state.halted.get(key)) is not None:
        return f"INSTRUMENT_HALTED: {halted.reason}; resume to allow entries"
    for instrument in (order.instrument, "") if state.stopped else ():
        stop = state.stopped.get((order.account, instrument))
        if stop is not None and (not stop.until_ns or oms.now < stop.until_ns):
            return f"{stop.code or 'CHURN'}: {stop.reason}; resume to allow entries"
    if refused := _broker_refusal(oms, order.account):
        return refused
    placed, whole = state.placed.get(order.account) or 0, oms.limits.orders_day
    if placed >= whole - (kept := min(oms.limits.orders_kept, whole // 2)):
        return (
            f"ORDERS_PER_DAY: {placed} orders of {order.account} were placed today, and the last {kept} of "
            f"MAX_ORDERS_PER_DAY {whole} are for stops and exits; entries go on tomorrow"
        )
    others = oms.open_orders(key)
    if opposed := _opposed(oms, order, key, others):
        return opposed
    for other in others:
        if other.state is OrderState.LOST and other.side is order.side:
            return f"RESERVED: order {other.client_order_id} is lost and may still appear; {resolve_advice(other)}"
    return ""


def _broker_refusal(oms: OrderDecision, account: str) -> str:
    """The last line of defence where risk's view of the account's broker is older than the router's."""
    if oms.limits.brokers and not oms.state.brokers.get(account):
        return f"BROKER_UNKNOWN: the server of {account} has not named its broker yet; signal again"
    text = entry_refusal(account, oms.broker(account), oms.limits.accepted_brokers)
    return f"BROKER_REFUSED: {text}" if text else ""


def _opposed(oms: OrderDecision, order: Order, key: NetKey, others: list[Order]) -> str:
    for position in oms.state.owner_positions(key):
        held = position.quantity or position.quantity_seen
        if held * order.side.sign >= 0:
            continue
        if position.strategy != order.strategy:
            return f"OPPOSED: {position.strategy} holds {held} of {order.instrument}, {order.side} would oppose it"
        if not is_closing(oms, key, order.strategy):
            return f"REVERSES: {order.strategy} holds {held} of {order.instrument}; close it first"
    for other in others:
        if other.purpose is Purpose.ENTRY and other.side is not order.side and other.state in state_machine.LIVE:
            if other.strategy == order.strategy and is_closing(oms, key, order.strategy):
                continue
            return f"OPPOSED: {other.strategy} has an entry {other.side} out, {order.side} would oppose it"
    return ""


def resolve_advice(order: Order) -> str:
    """Return the text that tells an operator how to resolve an order of unknown fate."""
    return f"look at the broker, then `mytrading orders resolve {order.client_order_id} --not-placed`"


def is_closing(oms: OrderDecision, key: NetKey, strategy: str) -> bool:
    """True while this strategy has an open exit goal for a key (account, instrument, product): entries there wait."""
    return next(open_exit_goals(oms, key, strategy), None) is not None


def must_keep_stops(oms: OrderDecision, key: NetKey, strategy: str) -> bool:
    """True if a strategy's stops must not be cancelled for an exit: unreadable books cannot prove the cancel."""
    if not oms.state.books_lost(key.account):
        return False
    stops = (order for order in oms.open_orders(key) if order.purpose is Purpose.STOP and order.strategy == strategy)
    return any(order.state in state_machine.SENT and not order.evidence.cancel.wanted for order in stops)


def open_exit_goals(oms: OrderDecision, key: NetKey, strategy: str) -> Iterator[Goal]:
    """Iterate over a strategy's open exit goals for a net key; the caller must not emit rows meanwhile."""
    state = oms.state
    for name, account in state.open_goals.items():
        goal = state.goals.get(name) if account == key.account else None
        if goal is not None and goal.strategy == strategy and goal.net == key:
            yield goal


def withdraw_entries(oms: OrderDecision, wanted: Wanted, reason: str) -> None:
    """Cancel all live entries for which `wanted(order)` is true, unsent and resting ones."""
    for name in sorted(name for names in oms.state.open_by_key.values() for name in names):
        order = oms.order(name)
        ending = order.evidence.cancel.wanted and not order.evidence.modify.by_replacement
        if order.purpose is Purpose.ENTRY and state_machine.is_live(order) and not ending and wanted(order):
            cancel_order(oms, order, reason)


def cancel_order(oms: OrderDecision, order: Order, reason: str) -> None:
    """Cancel a live order: an unsent one ends at once, for any other a cancel call is due."""
    if order.state is OrderState.INITIALIZED:
        oms.end_unsent(order, OrderState.CANCELLED, "withdrawn", reason)
    elif not order.evidence.cancel.wanted or order.evidence.modify.by_replacement:
        evidence = state_machine.with_cancel(order.evidence, wanted=True)
        if evidence.modify.by_replacement:
            evidence = state_machine.with_modify(evidence, by_replacement=False)
        oms.change(order, "withdrawing", evidence=evidence, message=reason)


def is_end_untrue(oms: OrderDecision, order: Order, status: BrokerStatus) -> bool:
    """True if an exit or stop that is shown rejected may live: its broker says so of a refused change or cancel too.

    A stop shown ended before its first cancel was not rejected by that, but perhaps by a change that none shows done.
    """
    if status is not BrokerStatus.REJECTED or status not in oms.broker(order.account).live_ends:
        return False
    cancel, change = order.evidence.cancel, order.evidence.modify
    if order.purpose is Purpose.STOP and cancel.proof:
        return cancel.refused and (change.refused is not None or change.unproven or change.out)
    return order.purpose.reduces and (cancel.refused or (change.calls > 0 and order.purpose is not Purpose.STOP))


def on_withdraw(oms: OrderDecision, message: WithdrawEntries | WithdrawRequested) -> None:
    """Cancel the entries that match account, strategy and instrument of the message; an empty field matches all."""
    reason = message.cause if isinstance(message, WithdrawEntries) else message.reason
    asked = ((name, getattr(message, name, "")) for name in ("account", "strategy", "instrument"))
    wanted = [(name, value) for name, value in asked if value]
    matches: Wanted = lambda order: all(getattr(order, name) == value for name, value in wanted)  # noqa: E731
    withdraw_entries(oms, matches, f"withdrawn: {reason}")


def on_trading_level(oms: OrderDecision, message: TradingState) -> None:
    """Apply a trading level: HALT and REDUCE cancel all entries, NORMAL lifts halts of instruments and churn stops."""
    if message.level is TradingLevel.NORMAL:
        for key in sorted(oms.state.halted):
            if message.account in ("", key.account):
                oms.emit(InstrumentHalted(**key._asdict(), halted=False, reason=message.reason, at_ns=oms.now))
        lift_churn_stops(oms, message.account, resumed=True)
        return
    where, reason = message.account, f"withdrawn: trading level is {message.level}"
    withdraw_entries(oms, lambda order: where in ("", KILL, order.account), reason)


def on_strategy_switch(oms: OrderDecision, message: StrategySwitch) -> None:
    """Cancel all entries of a strategy that was switched off."""
    if not message.enabled:
        withdraw_entries(oms, lambda order: order.strategy == message.strategy, "withdrawn: strategy is switched off")


def on_mode_cleared(oms: OrderDecision, message: ModeCleared) -> None:
    """Lift the stop of an account whose server was in the wrong mode, and request a read of its books."""
    account, why = message.account, "cleared by an operator"
    if account in oms.state.wrong_mode:
        oms.emit(AccountModeChanged(account=account, wrong_mode=False, message=why, at_ns=oms.now))
    oms.request_read(account, "mode cleared", positions=True)


def count_churn(oms: OrderDecision, order: Order) -> None:
    """Emit a churn row if an entry follows a cancel in its instrument soon; too many stop entries there for a while."""
    limits = oms.limits
    gone = oms.state.withdrawn.get((order.account, order.instrument))
    first = order.purpose is Purpose.ENTRY and order.call.attempt <= 1 and order.links.slice <= 1
    if gone is None or not first or order.links.replaces or oms.now - gone > limits.churn_within:
        return
    oms.emit(EntryChurned(account=order.account, instrument=order.instrument, at_ns=oms.now))
    marks = [mark for mark in oms.state.churned.get(order.account) or () if mark[1] > oms.now - limits.churn_window]
    if len(marks) >= limits.churn_account:
        _stop_churn(oms, order.account, "", len(marks), 0)
    if sum(instrument == order.instrument for instrument, _ in marks) >= limits.churn_instrument:
        _stop_churn(oms, order.account, order.instrument, limits.churn_instrument, oms.now + limits.churn_window)


def _stop_churn(oms: OrderDecision, account: str, instrument: str, times: int, until_ns: int) -> None:
    if (account, instrument) in oms.state.stopped:
        return
    limits = oms.limits
    what = f"{times} entries of {instrument or 'the account'} were placed within {limits.churn_within // SECOND} s of"
    what = f"{what} cancelling one, in {limits.churn_window // SECOND} s"
    stopped = EntriesStopped(
        account=account, instrument=instrument, stopped=True, reason=what, at_ns=oms.now, until_ns=until_ns
    )
    oms.emit(stopped)
    code, severity, ends = StateAlert.CHURN_PAUSED, Severity.CRITICAL, "until you resume"
    if instrument:
        code, severity, ends = StateAlert.CHURN_BLOCKED, Severity.WARNING, "for as long again, or until you resume"
    oms.alert(code, severity, churn_alert_subject(stopped), f"{what}: no entries there {ends}")


def churn_alert_subject(row: EntriesStopped) -> str:
    """Return the alert subject of an account or instrument whose entries the churn guard stopped."""
    return f"{row.account} {row.instrument}".rstrip()


def stop_at_other_broker(oms: OrderDecision, account: str, before: str, broker: str) -> None:
    """Stop the entries of an account whose server names another broker than before, until an operator resumes them.

    Orders and positions in our books are those of `before`: exits and cancels go on, as the books of the server say.
    """
    what = f"the server of {account} names its broker {broker}, and named {before} before"
    code, at = StateAlert.BROKER_CHANGED, oms.now
    row = EntriesStopped(account=account, instrument="", stopped=True, reason=what, at_ns=at, code=code)
    oms.emit(row)
    cure = "log the server in to the broker of this account, or, if the change is meant and nothing is held at"
    oms.alert(code, Severity.CRITICAL, churn_alert_subject(row), f"{what}: no entries, exits go on; {cure} {before}, "
              f"`mytrading resume --account {account}`")  # fmt: skip


def lift_churn_stops(oms: OrderDecision, account: str = "", *, resumed: bool = False) -> None:
    """Lift stops of entries: expired ones, or all (of an account) if an operator resumed."""
    for (of, instrument), row in oms.state.stopped.sorted_items():
        if (bool(row.until_ns) and oms.now >= row.until_ns) or (resumed and account in ("", of)):
            why, at = "resumed" if resumed else "its time is over", oms.now
            oms.emit(EntriesStopped(account=of, instrument=instrument, stopped=False, reason=why, at_ns=at))
