"""Effects of time alone: reads asked for again, calls without an answer, recovery after a stop, the turn of a day.

Recovery never repeats a call; an order whose call was out, or may have been, when the process died is of unknown fate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from mytrading.core.oms import operator_requests, settlements
from mytrading.core.oms.evidence import held_bounds, net_evidence
from mytrading.core.oms.placing import entries, modify
from mytrading.core.oms.reconcile import call_outcomes, expiries, order_updates, startup
from mytrading.core.oms.state.alert_codes import StateAlert
from mytrading.core.oms.state.broker_ids import KEPT_DAYS, known_before
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.oms.state.state import State, needs_read_or_call
from mytrading.core.orders.state_machine import ABSENT, RESTING, TERMINAL, UNRESOLVED, is_live, is_of_day, with_cancel
from mytrading.messages.account_events import NetAgreed
from mytrading.messages.enums import OrderState, Product, Severity
from mytrading.messages.journal_rows import DayOpened
from mytrading.messages.keys import OwnerKey
from mytrading.messages.order_evidence import Ambiguous, Candidate, Disputed
from mytrading.messages.orders import Order, TimerFired


def is_idle(state: State) -> bool:
    """True if no timer can lead to a decision: no timed work, no stop guarding a position, and no MIS position."""
    return not (has_timed_work(state) or state.guarding or any(key.product is Product.MIS for key in state.owners))


def has_timed_work(state: State) -> bool:
    """True if something waits for time to pass, such as an unanswered call; guarding stops do not count."""
    tables = (
        state.waiting, state.restless, state.open_goals, state.mismatches, state.open_flattens, state.stopped,
        state.claims, state.settlements,
    )  # fmt: skip
    return any(tables) or bool(_recovering(state))


def _recovering(state: State) -> list[str]:
    return [account for account, level in state.recovering.items() if not level.done]


def _held_back(oms: OrderDecision) -> list[str]:
    """Accounts with an exit or stop that waits for the books, of which they lack units or told nothing today or, after
    a lost journal, for orders without owner."""
    state = oms.state
    goals = [
        goal
        for goal in state.unfinished_goals()
        if goal.waits_machine_ns or goal.elsewhere or goal.net in state.short or state.books_lost(goal.account)
        or (not goal.awaits_open and held_bounds.is_untold(oms, goal.net))
    ]  # fmt: skip
    guards = state.open_protections()
    levels = [
        level for level in guards if level.waits_machine_ns or (level.awaits_units_machine_ns and not level.doubted)
    ]
    return [waiting.account for waiting in (*goals, *levels)]


def on_timer(oms: OrderDecision, _fired: TimerFired) -> None:
    """Handle a timer: end what has expired, give up calls without an answer, request the reads that orders wait for."""
    entries.lift_churn_stops(oms)
    operator_requests.refuse_overtaken_requests(oms)
    settlements.expire(oms)
    operator_requests.refuse_late_claims(oms)
    due: dict[str, tuple[int, bool]] = {}
    """By account, how often to read, and whether positions too."""
    for name in sorted(oms.state.restless):
        order = oms.order(name)
        if order.plan.rests_until_ns and oms.now >= order.plan.rests_until_ns and not order.evidence.cancel.wanted:
            entries.cancel_order(oms, order, "withdrawn: its validity is over")
            order = oms.order(name)
        if order.state is OrderState.SUBMITTED:
            if oms.machine - order.call.began_machine_ns >= oms.limits.call_patience:
                call_outcomes.mark_unknown(oms, order, oms.machine, "the call never answered")
        elif order.state is not OrderState.INITIALIZED and needs_read_or_call(order):
            _want(due, order, oms)
    for key in sorted(oms.state.mismatches):
        every = due.get(key.account, (oms.limits.mismatch_gap, True))[0]
        due[key.account] = (min(every, oms.limits.mismatch_gap), True)
    for account in oms.state.open_flattens.sorted_values():
        if not oms.is_cancel_unanswered(account):
            due[account] = (oms.limits.chase_reads, True)
    settling = [level.request.account for level in oms.state.settlements.values()]
    claimed = [row.request.account for row in oms.state.claims.sorted_values()]
    for account in (*_recovering(oms.state), *_held_back(oms), *settling, *claimed):
        due[account] = (oms.limits.chase_reads, True)
    for key in oms.state.owners:
        if oms.is_venue_square_off(key):  # what the venue closes by the clock
            every = due.get(key.account, (oms.limits.mismatch_gap, True))[0]
            due[key.account] = (min(every, oms.limits.mismatch_gap), True)
    for account, (every, positions) in sorted(due.items()):
        if account in oms.state.wrong_mode:
            continue  # its books are another world's until an operator clears it; the schedule sees the mode
        asked = oms.state.reads.get(account)
        if not asked or oms.machine - asked[-1] >= every:
            oms.request_read(account, "again", positions=positions)


def _want(due: dict[str, tuple[int, bool]], order: Order, oms: OrderDecision) -> None:
    """Note how soon an order needs a read: what was learnt of it since the last one was asked for needs one at once."""
    limits = oms.limits
    if order.filled_seen == order.filled and oms.is_cancel_unanswered(order.account, order.client_order_id):
        return
    evidence, unresolved, reduces = order.evidence, order.state in UNRESOLVED, order.purpose.reduces
    slow = unresolved and not reduces and not isinstance(evidence.match, Candidate | Ambiguous)
    every, positions = due.get(order.account, (limits.slow, False))
    wanted = limits.entry_reads if slow else limits.chase_reads
    asked = oms.state.reads.get(order.account)
    if (evidence.end or order.filled_seen > order.filled) and asked and evidence.seen_machine_ns > asked[-1]:
        wanted = limits.read_spacing
    doubted = isinstance(evidence.end, Disputed) and order.state in RESTING
    doubted = doubted or net_evidence.needs_positions(oms, order)
    due[order.account] = (min(every, wanted), positions or (unresolved and reduces) or doubted)


def recover_orders(
    oms: OrderDecision, served: Iterable[str], never_began: Callable[[str, int], bool], in_run: Iterable[str] = ()
) -> None:
    """Recover after a journal replay: orders whose call had no answer become UNKNOWN, entries of `served` accounts
    wait. `never_began(order id, attempt)`: true if that placing call certainly did not leave. `in_run`: all accounts
    that orders may go to."""
    accounts = set(served)
    startup.begin_recovery(oms, sorted(accounts))
    startup.note_accounts(oms, in_run, accounts)
    settlements.resume(oms)
    accounts.update(level.request.account for level in oms.state.settlements.values())
    expiries.drop_expired_contracts(oms)
    for name in sorted({*oms.state.restless.keys(), *(name for _, name, _ in oms.state.calling)}):
        order = oms.order(name)
        accounts.add(order.account)
        if order.state is OrderState.SUBMITTED and never_began(name, order.call.attempt):
            call, why = replace(order.call, ended_machine_ns=oms.machine), "the router stopped before its call began"
            call_outcomes.requeue_unsent_call(oms, order, call, why, why)
            continue
        if order.state is OrderState.SUBMITTED:
            call_outcomes.mark_unknown(oms, order, oms.machine, "the router stopped while the call was out")
            continue
        if order.evidence.cancel.out:
            order = oms.change(order, "cancel_unanswered", evidence=with_cancel(order.evidence, out=False))
        if order.evidence.modify.out:
            modify.record_unanswered_modify(oms, order)
    accounts.update(oms.state.resting.keys())
    accounts.update(oms.state.books.keys())
    for account in sorted(accounts):
        oms.request_read(account, "recovered", positions=True)


def expire_day(oms: OrderDecision, day: str) -> None:
    """End unsent entries, and those of unknown fate, of days before `day` (ISO date), before it is opened.

    Their reservations are freed. An exit or stop of unknown fate goes on into the day, whose books show its end: ended
    here it would be sent again unseen. Orders of `day` itself, made before it was opened, are not touched.
    """
    expiries.drop_expired_contracts(oms)
    settlements.end_all(oms, "the day turned")
    for level in oms.state.open_protections():
        # a night without a read proves nothing of a stop that waits for one, nor that what it would guard is there
        if level.waits_machine_ns or (oms.limits.book_first and oms.position(level).quantity):
            oms.change_protection(level, waits_machine_ns=max(oms.machine, 1))
    for name in sorted(oms.state.restless):
        order = oms.order(name)
        if order.state in TERMINAL and order.filled_seen > order.filled and not is_of_day(order, day):
            order_updates.settle_unconfirmed_old_fill(oms, order)
    for name in sorted({*oms.state.waiting.keys(), *oms.state.seeking.keys()}):
        order = oms.order(name)
        if is_of_day(order, day):
            continue
        if order.state is OrderState.INITIALIZED and not order.purpose.reduces:
            oms.end_unsent(order, OrderState.EXPIRED, "expired", "EXPIRED: the session is over")
        elif order.state in UNRESOLVED and not order.purpose.reduces:
            oms.change(order, "expired", state=OrderState.EXPIRED, message="its fate was unknown to the end")
            what = f"fate of {order.side} {order.quantity} {order.instrument} was unknown to the end of the session"
            what = f"{what}; look at the broker"
            oms.alert(StateAlert.ORDER_UNRESOLVED, Severity.CRITICAL, order.client_order_id, what)
        elif order.state in ABSENT:
            oms.change(order, "released", state=OrderState.EXPIRED, message=order.message)


def build_day_opened(state: State, day: str) -> DayOpened:
    """Return the opening journal row of a day: all carried over, ended orders of that day and those whose move waits
    for the next stop, realised profit at zero."""
    dated = {**state.used, **dict.fromkeys((*state.orders, *state.parts, *state.goals, *state.answered), day)}
    days = sorted(set(dated.values()))[-KEPT_DAYS:]
    held = (position for position in state.positions.sorted_values() if position.quantity or position.quantity_seen)
    moved = {level.moving.order for level in state.open_protections() if level.moving is not None}
    kept = (
        order
        for order in state.orders.sorted_values()
        if is_live(order) or is_of_day(order, day) or order.client_order_id in moved
    )
    return DayOpened(
        day=day,
        orders=tuple(_asked_anew(order) for order in kept),
        positions=tuple(replace(position, realised=0.0, bought=0, sold=0) for position in held),
        protections=tuple(state.open_protections()),
        goals=tuple(replace(goal, awaits_open=True) for goal in state.goals.sorted_values() if goal.state != "done"),
        unmanaged=tuple(replace(row, carried=0) for row in state.unmanaged.sorted_values()),
        halted=tuple(state.halted.sorted_values()),
        wrong_mode=tuple(state.wrong_mode.sorted_values()),
        flattens=tuple(level for level in state.flattens.sorted_values() if level.state != "done"),
        mismatches=tuple(replace(row, read="", empty_reads=0) for row in state.mismatches.sorted_values()),
        trading=tuple(state.trading.sorted_values()),
        switches=tuple(state.switches.sorted_values()), stopped=tuple(state.stopped.sorted_values()),
        used_ids=tuple(sorted(f"{earlier} {name}" for name, earlier in dated.items() if earlier in days)),
        sizes={name: (sizes.lot, sizes.freeze) for name, sizes in state.sizes.sorted_items()},
        calls=dict(state.sent.sorted_items()), brokers=dict(state.brokers.sorted_items()),
        agreed=tuple(NetAgreed(**key._asdict(), quantity=units, at_ns=0) for key, units in state.agreed.sorted_items()),
        names=tuple(state.names.sorted_values()), broker_ids=known_before(state, day),
        awaited=tuple(
            level
            for owner, level in state.awaited.sorted_items()
            if level.units and (position := state.positions.get(owner)) is not None and position.quantity
        ),
        held_stops=tuple(h for owner, h in state.held_stops.sorted_items() if _is_held(state, owner)),
        odd_lots=tuple(state.odd_lots.sorted_values()), accounts=tuple(sorted(state.in_run)),
    )  # fmt: skip


def _asked_anew(order: Order) -> Order:
    """The order; whether it lives is asked on the new day, where its order book does not list it."""
    evidence = order.evidence
    if not evidence.asked_machine_ns and not evidence.live_machine_ns:
        return order
    return replace(order, evidence=replace(evidence, asked_machine_ns=0, live_machine_ns=0))


def _is_held(state: State, owner: OwnerKey) -> bool:
    position = state.positions.get(owner)
    return position is not None and position.open_units != 0


def describe_unsettled(state: State) -> str:
    """Describe the first unsettled order (resting is settled), exit (waiting for the open is settled: in lock-step that
    comes only once the market goes on) or book difference; empty if there is none."""
    for name in (*sorted(state.restless), *sorted(state.waiting)):
        order = state.orders[name]
        if what := _unsettled_order(order) or ("waits for its call" if name in state.waiting else ""):
            return f"{order.purpose} {order.side} {order.quantity} {order.instrument} {what}"
    for goal in state.unfinished_goals():
        if goal.awaits_open or state.is_absent(goal.account):
            continue
        exit_order = state.orders.get(goal.order)
        if exit_order is None or exit_order.state not in RESTING or exit_order.evidence.cancel.wanted:
            return f"an exit of {goal.strategy} in {goal.instrument} is not done"
    for key in sorted(state.mismatches):
        return f"the books differ in {key.instrument}"
    return ""


def _unsettled_order(order: Order) -> str:
    if order.state is OrderState.SUBMITTED:
        return "has no answer"
    if order.state is OrderState.UNKNOWN and not isinstance(order.evidence.match, Ambiguous):
        return "is of unknown fate"
    if order.filled_seen > order.filled:
        return "was sighted to fill"
    if (order.evidence.cancel.wanted and is_live(order)) or order.evidence.end:
        return "is being cancelled"
    return ""
