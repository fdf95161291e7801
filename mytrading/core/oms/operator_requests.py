"""Requests of operators: cancel or change an order, claim unmanaged units, resolve an unknown fate, place a test order.

A refused request for an order is answered by a row of the order whose message begins with `refused`. A claim moves
units and makes none. A resolution overrules what is likely, never what is certain: an order is bound to no order of
another owner, instrument, side or product.
"""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.accounting import position_ledger
from mytrading.core.ids import content_id
from mytrading.core.oms import settlements
from mytrading.core.oms.evidence import missing_units, net_positions, unowned_units
from mytrading.core.oms.exits import broker_stops, claimed_units, flatten
from mytrading.core.oms.placing import entries, modify
from mytrading.core.oms.reconcile import call_outcomes, order_identity, order_updates, position_corrections
from mytrading.core.oms.state.alert_codes import EventAlert, StateAlert
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders.state_machine import (
    ABSENT,
    LIVE,
    RESTING,
    TRIGGERED,
    UNRESOLVED,
    is_live,
    same_fingerprint,
    with_cancel,
)
from mytrading.core.time import SECOND
from mytrading.messages import control
from mytrading.messages.account_events import ClaimWaits, NetAgreed, UnmanagedChanged
from mytrading.messages.commands import PlaceEntry
from mytrading.messages.enums import OrderState, OrderType, Purpose, Severity, Side
from mytrading.messages.keys import NetKey, OwnerKey
from mytrading.messages.order_evidence import Missing, OrderTerms
from mytrading.messages.orders import ClaimedUnits, Order, Position, Protection, StopMove
from mytrading.messages.reports import BooksRead, BrokerOrder
from mytrading.messages.settlements import PlannedUnits, SettlementPlan

REFUSED = "refused: "
_SAME_PRICE = 1e-6
"""Rupees by which two equal prices may differ after arithmetic."""
_BY_OPERATOR = "withdrawn by the operator"
"""Prefix of the message of an order that an operator cancels."""


def on_cancel(oms: OrderDecision, message: control.CancelRequested) -> None:
    """Cancel the order an operator names, or record the refusal; with a stop its position loses its protection."""
    if (order := _requested(oms, message)) is None:
        return
    silence = MIS_SILENCE if oms.is_venue_square_off(order) else ""
    unsent = order.state is OrderState.INITIALIZED
    if why := ("" if unsent else oms.why_absent(order.account)) or why_not_cancel(
        order, silence, forced=bool(message.force and message.reason)
    ):
        _refuse(oms, order, message.id, why)
        return
    links = replace(order.links, request=message.id)
    if (level := _protection_of(oms, order)) is not None:
        what = f"the stop of {level.strategy} in {level.instrument} is taken away and no other is placed, "
        what += f"at an operator's request: {message.reason}"
        oms.alert(StateAlert.STOP_RELEASED, Severity.CRITICAL, level.id, what)
        oms.change_protection(level, state="released", moving=None)  # until it is flat
    reason = f"{_BY_OPERATOR}: {message.reason or 'no reason given'}"
    entries.cancel_order(oms, oms.change(order, "requested", links=links, message=reason), reason)


def _requested(oms: OrderDecision, message: control.CancelRequested | control.ModifyRequested) -> Order | None:
    if (order := oms.state.orders.get(message.order)) is None:
        what = f"an operator asked for a change of order {message.order}, unknown to the router; nothing was done"
        oms.alert(EventAlert.REQUEST_UNKNOWN, Severity.WARNING, message.order, what)
    return None if order is None or order.links.request == message.id else order


def _refuse(oms: OrderDecision, order: Order, request: str, why: str) -> None:
    """Refuse a request by a row of its order; while an earlier one is under way by an answer beside it alone."""
    known = order.evidence
    under_way = known.cancel.wanted or known.modify.wanted is not None or modify.is_modify_pending(order)
    if under_way or pending_terms(order, _protection_of(oms, order)) is not None:
        oms.answer(request, why, "")
    else:
        links = replace(order.links, request=request)
        oms.change(order, "request_refused", links=links, message=f"{REFUSED}{why}")


def why_not_cancel(order: Order, silence: str, *, forced: bool) -> str:
    """Return why an operator cannot cancel an order; empty if it can be cancelled. `silence`: why nothing is sent for
    it any more that day (empty: it is). Only if `forced` a stop or exit is taken away."""
    if not is_live(order):
        return f"expected a live order, found one that ended {order.state}"
    if silence and order.state is not OrderState.INITIALIZED:
        return f"{silence}, and cancels the orders that are left; this one stays until then, and the books are read"
    return _why_force_is_needed(order) if order.purpose.reduces and not forced else ""


def _why_force_is_needed(order: Order) -> str:
    if order.purpose is Purpose.STOP:
        return "this is the stop of a position, which would be bare; with --force and a reason it is taken away"
    return "an exit is tried until the position is flat, so another would follow; cancel it with --force and a reason"


def _protection_of(oms: OrderDecision, order: Order) -> Protection | None:
    if order.purpose is not Purpose.STOP:
        return None
    level = oms.state.protections.get(order.owner)
    return level if level is not None and level.state == "open" and level.side is order.side else None


def on_modify(oms: OrderDecision, message: control.ModifyRequested) -> None:
    """Request new terms for the order an operator names, or record the refusal.

    A stop's protection moves to the prices once the broker's book shows them; until then it keeps its own.
    A change that is not sent yet is replaced, or withdrawn by a request for the terms that the order has.
    """
    if (order := _requested(oms, message)) is None:
        return
    wanted, level = new_terms(order, message.price, message.trigger_price, message.quantity), _protection_of(oms, order)
    forced = bool(message.force and message.reason)
    why = oms.why_absent(order.account) or why_not_modify(order, wanted, level, forced=forced)
    if why := why or _why_not_now(oms, order, wanted):
        _refuse(oms, order, message.id, why)
        return
    _overtake(oms, order, level)
    links = replace(order.links, request=message.id)
    order = oms.change(modify.without_wait(oms, order), "requested", links=links, message="")
    if level is not None:
        move = StopMove(trigger=wanted.trigger_price, limit=wanted.price, order=order.client_order_id)
        broker_stops.request_move(oms, level, move)
    else:
        modify.request_terms(oms, order, wanted)


def _overtake(oms: OrderDecision, order: Order, level: Protection | None) -> None:
    """Answer the request whose change of this order, or of its position's stops, another one replaces now."""
    name = order.client_order_id if order.evidence.modify.wanted is not None else ""
    if level is not None:
        name = level.moving.order if level.moving is not None else ""
    if (before := oms.state.orders.get(name)) is not None and before.links.request:
        oms.answer(before.links.request, "a later request took its place", "")


def new_terms(order: Order, price: float, trigger: float, quantity: int) -> OrderTerms:
    """Return an order's terms after a change request (0: unchanged); a stop's limit moves along with a new trigger."""
    moved_price = price or order.price
    if trigger and not price and order.order_type is OrderType.SL:
        moved_price = round(order.price + trigger - order.trigger_price, 4)
    return OrderTerms(moved_price, trigger or order.trigger_price, quantity or order.quantity)


def _move_of(level: Protection | None, order: Order) -> StopMove | None:
    """The pending move of a position's stops, if this stop rests or is the one that an operator named for it."""
    move = level.moving if level is not None and level.state in ("open", "handed") else None
    return move if move is not None and (is_live(order) or move.order == order.client_order_id) else None


def pending_terms(order: Order, level: Protection | None) -> OrderTerms | None:
    """Return the terms of an order's pending change, None without one; `level`: its position's protection, of a stop.

    The move of a stop that ended with its session is pending too: the next stop is placed there.
    """
    if order.purpose is Purpose.STOP and (move := _move_of(level, order)) is not None:
        return OrderTerms(move.limit, move.trigger, order.quantity)
    return order.evidence.modify.wanted


def what_loosens(order: Order, wanted: OrderTerms) -> str:
    """Return how these terms protect less than those that an order has; empty if they do not, and for an entry.

    A stop is looser with its trigger further from the price, with less room between trigger and limit, in which it
    fills, or with fewer units; an exit with fewer units or a limit further from the price.
    """
    if not order.purpose.reduces:
        return ""
    now, sign = modify.current_terms(order), order.side.sign
    found: list[str] = []
    if wanted.trigger_price and (wanted.trigger_price - now.trigger_price) * sign > _SAME_PRICE:
        found.append(f"its trigger moves away from the price, from {now.trigger_price:g} to {wanted.trigger_price:g}")
    before, after = ((terms.price - terms.trigger_price) * sign for terms in (now, wanted))
    if wanted.price and after < before - _SAME_PRICE:
        apart = f"trigger and limit are {after:.2f} apart instead of {before:.2f}, in which it fills less surely"
        found.append(apart if now.trigger_price else f"its limit moves from {now.price:g} to {wanted.price:g}")
    if wanted.quantity < now.quantity:
        found.append(f"it is for {wanted.quantity} instead of {now.quantity} units")
    return ", and ".join(found)


def why_not_modify(order: Order, wanted: OrderTerms, level: Protection | None = None, *, forced: bool = True) -> str:
    """Return why an order cannot be changed to these terms, by the order and, of a stop, its protection `level` alone;
    empty if it can. Only if `forced` a stop is loosened."""
    if why := _why_terms_are_refused(order, wanted, level):
        return why
    if not forced and (how := what_loosens(order, wanted)):
        return f"this protects a position, which would be guarded less: {how}; with --force and a reason it is done"
    return ""


def _why_terms_are_refused(order: Order, wanted: OrderTerms, level: Protection | None) -> str:
    pending = pending_terms(order, level)
    if not is_live(order) and pending is None:
        return f"expected a live order, found one that ended {order.state}"
    if order.evidence.cancel.wanted:
        return "it is being cancelled"
    if order.purpose.reduces and order.purpose is not Purpose.STOP:
        return "an exit is tried, and re-priced, until the position is flat"
    if order.purpose is Purpose.STOP and (order.state in TRIGGERED or order.filled_seen):
        return "it has triggered; what it does not fill within seconds is closed at the market"
    if wanted == pending:
        back = modify.describe_change(modify.current_terms(order), wanted)
        return f"it is to get these terms already; ask for {back} to withdraw that"
    if wanted == modify.current_terms(order) and pending is None:
        return "expected another price, trigger or quantity than it has, found none"
    kind = order.order_type
    if wanted.price != order.price and kind not in (OrderType.LIMIT, OrderType.SL):
        return f"a price is for LIMIT and SL orders, this one is {kind}"
    if wanted.trigger_price != order.trigger_price and kind not in (OrderType.SL, OrderType.SL_M):
        return f"a trigger is for SL and SL-M orders, this one is {kind}"
    if kind is OrderType.SL and (wanted.price - wanted.trigger_price) * order.side.sign < 0:
        word = "at or above" if order.side is Side.BUY else "at or below"
        must = f"must be {word} its trigger {wanted.trigger_price:g}"
        return f"a {order.side} stop's price {must}, found {wanted.price:g}"
    if wanted.quantity == order.quantity:
        return ""
    if order.purpose is Purpose.STOP:
        return f"a stop's quantity follows the position: it stays {order.quantity}"
    if wanted.quantity > order.quantity:
        return f"quantity may only be lowered from {order.quantity}, found {wanted.quantity}: risk sized it; enter anew"
    if wanted.quantity <= order.filled_seen:
        found = f"found {wanted.quantity}; cancel the rest"
        return f"quantity must be above the {order.filled_seen} that are filled, {found}"
    return ""


MIS_SILENCE = "nothing is sent for MIS any more today, as the venue closes these positions itself"


def _why_not_now(oms: OrderDecision, order: Order, wanted: OrderTerms) -> str:
    if modify.is_modify_pending(order):
        return "an earlier change of it is not proven yet; try again in half a minute"
    if wanted == modify.current_terms(order):
        return ""  # a change that is not sent yet is withdrawn
    if oms.is_venue_square_off(order):
        return MIS_SILENCE
    if order.purpose is Purpose.STOP:
        return "" if _protection_of(oms, order) is not None else "an exit has taken over from this stop"
    why = entries.denial_reason(oms, order, order.net)  # it may have to be placed anew
    return f"{why}; until then it can only be cancelled" if why else ""


def refuse_overtaken_requests(oms: OrderDecision) -> None:
    """Refuse requests that no call has left for when nothing more is sent for MIS: what rests stays, and guards."""
    for name in sorted(oms.state.waiting):
        order = oms.order(name)
        cancel, requested = order.evidence.cancel, bool(order.links.request) and order.state in RESTING
        if not requested or cancel.calls or not oms.is_venue_square_off(order):
            continue
        if cancel.wanted and order.message.startswith(_BY_OPERATOR):
            _refuse_overtaken(oms, order, why_not_cancel(order, MIS_SILENCE, forced=True))
            level = oms.state.protections.get(order.owner)
            stays = order.purpose is Purpose.STOP and level is not None and level.state == "released"
            if level is not None and stays and broker_stops.uncovered_units(oms, level) <= 0:
                oms.change_protection(level, state="open")
        elif not order.purpose.reduces and (order.evidence.modify.by_replacement or not cancel.wanted):
            _refuse_overtaken(oms, order, MIS_SILENCE)
    for level in oms.state.open_protections():
        if level.moving is not None and oms.is_venue_square_off(level):
            _refuse_overtaken_move(oms, level, level.moving)


def _refuse_overtaken(oms: OrderDecision, order: Order, why: str) -> None:
    """Drop the cancel or change of an order that was not sent, and answer its request."""
    change = modify.reset_modify(order.evidence.modify, by_replacement=False)
    evidence = with_cancel(replace(order.evidence, modify=change), wanted=False)
    oms.change(order, "request_refused", message=f"{REFUSED}{why}", evidence=evidence)
    oms.answer(order.links.request, why, "")


def _refuse_overtaken_move(oms: OrderDecision, level: Protection, move: StopMove) -> None:
    stops = broker_stops.live_stops(oms, level)
    if any(modify.is_modify_pending(stop) or stop.evidence.cancel.calls for stop in stops):
        return  # what was sent is proven by the books
    for stop in stops:
        change = modify.reset_modify(stop.evidence.modify)
        evidence = with_cancel(replace(stop.evidence, modify=change), wanted=False)
        if evidence != stop.evidence:
            oms.change(stop, "modify_dropped", evidence=evidence, message="")
    oms.change_protection(level, moving=None)
    if (asked := oms.state.orders.get(move.order)) is not None:
        _refuse_overtaken(oms, asked, MIS_SILENCE)


def on_claim(oms: OrderDecision, request: control.ClaimRequested) -> None:
    """Take an operator's claim of unmanaged units, or refuse it; of a preview only its plan is answered. It is decided
    by the next read of the books: what a position book shows that stands still may have left already, and a sale of it
    would open a position."""
    if request.id in oms.state.claims or _is_claim_repeated(oms, request):
        return
    if problem := _claim_problem(oms, request):
        oms.answer(request.id, problem, "")
    elif oms.limits.book_first:
        oms.emit(ClaimWaits(request=request, machine_ns=oms.machine, at_ns=oms.now))
        oms.request_read(request.account, "claim", positions=True, at_once=True)
    else:
        _give_to(oms, request)


def settle_claims(oms: OrderDecision, read: BooksRead) -> None:
    """Decide on the claims that a read began after, if positions and trades of their instruments agree in it."""
    for waiting in oms.state.claims.sorted_values() if oms.state.claims else ():
        request = waiting.request
        key = NetKey(request.account, request.instrument, request.product)
        if request.account != read.account or read.began_machine_ns <= waiting.machine_ns:
            continue
        if unowned_units.books_agree(oms, key, read):
            oms.emit(replace(waiting, over=True))
            if problem := _claim_problem(oms, request):
                oms.answer(request.id, problem, "")
            else:
                _give_to(oms, request)
                _note_shown(oms, key, read)


def _note_shown(oms: OrderDecision, key: NetKey, read: BooksRead) -> None:
    """Note that a position book of today lists the units that strategies own of a key: stop and exit may follow."""
    if net_positions.broker_net(key, read) == net_positions.ledger_net(oms.state, key):
        oms.emit(NetAgreed(**key._asdict(), quantity=missing_units.owned_units(oms, key), at_ns=oms.now))


def refuse_late_claims(oms: OrderDecision) -> None:
    """Refuse the claims for which no read came in time that bears out their units."""
    for waiting in oms.state.claims.sorted_values() if oms.state.claims else ():
        request = waiting.request
        if oms.machine - waiting.machine_ns >= oms.limits.claim_patience:
            what = f"no read since shows {request.instrument} {request.product} in {request.account} as today's trades"
            cure = "and carried units explain it; look at the broker, and claim again when `mytrading positions` agrees"
            oms.emit(replace(waiting, over=True))
            oms.answer(request.id, _claim_problem(oms, request) or f"{what} {cure}", "")


def _give_to(oms: OrderDecision, request: control.ClaimRequested) -> None:
    """Give the units of a claim to its strategy, with a stop if one was named, and answer the request: with a first
    stop once it rests, or if it cannot, when the units are given back."""
    key = NetKey(request.account, request.instrument, request.product)
    found = oms.state.unmanaged[key]
    sign = 1 if found.quantity > 0 else -1
    units = sign * (request.quantity or abs(found.quantity))
    if _is_only_planned(oms, found, units, request):
        return
    owner = OwnerKey(*key, request.strategy)
    known = oms.state.positions.get(owner) or Position(**owner._asdict(), run="")
    run = known.run if known.quantity else content_id("run", request.strategy, request.id)
    position = position_ledger.book_fill(known, units, request.price or found.average_price, oms.now, run).position
    position_corrections.record_unmanaged(oms, key, found.quantity - units, found.average_price)
    oms.record_adjustment(replace(position, quantity_seen=known.quantity_seen + units), "claim", units)
    claimed = ClaimedUnits(
        units=units, before=known, average_price=found.average_price, since_ns=found.since_ns or found.at_ns
    )
    if not _guard(oms, position, claimed, request):
        oms.answer(request.id, "", claimed_units.describe_claimed(oms, position))


def _is_claim_repeated(oms: OrderDecision, request: control.ClaimRequested) -> bool:
    waits = any(level.cause == request.id and level.claimed for level in oms.state.protections.values())
    return waits or settlements.is_repeated(oms, request.id)


def _is_only_planned(oms: OrderDecision, found: UnmanagedChanged, units: int, request: control.ClaimRequested) -> bool:
    """Answer a claim that only asks for its plan, or whose plan is not the one that was shown; false of any other."""
    plan = _claim_plan(oms, found, units, request)
    problem = "" if request.preview else settlements.why_moved(request.plan, plan)
    if problem or request.preview:
        oms.answer(request.id, problem, "nothing was done yet", plan)
    return bool(problem) or request.preview


def _claim_plan(
    oms: OrderDecision, found: UnmanagedChanged, units: int, request: control.ClaimRequested
) -> SettlementPlan:
    """What a claim of signed `units` of those that nobody owns does."""
    price, ledger = request.price or found.average_price, net_positions.ledger_net(oms.state, found.net)
    left, stop = abs(found.quantity) - abs(units), ""
    if request.stop:
        at = f"{request.stop:g} (limit {request.stop_limit:g})"
        stop = f"they get a stop at {at}, or are given back if it cannot rest"
    elif request.to_close:
        stop = "then all that it holds of it is closed at the market"
    rest = f"{left} stay without an owner" if left else ""
    steps = (f"{request.strategy} gets {units:+d} of {found.instrument} {found.product} at {price:g}", stop, rest)
    does = f"{abs(units)} of {abs(found.quantity)} without an owner go to {request.strategy}"
    row = PlannedUnits(**found.net._asdict(), broker=None, ledger=ledger, after=ledger, does=does, changes=True)
    # a price or a limit that follows the market is none of what moves a plan
    asked = (request.strategy, request.stop, request.to_close, units, found.quantity)
    mark = content_id(*map(str, (*found.net, *asked)))
    return SettlementPlan(mark=mark, rows=(row,), steps=tuple(step for step in steps if step))


def _claim_problem(oms: OrderDecision, request: control.ClaimRequested) -> str:
    if why := oms.why_absent(request.account):
        return why
    key = NetKey(request.account, request.instrument, request.product)
    known = oms.state.unmanaged.get(key)
    unmanaged = known.quantity if known is not None else 0
    where = f"{key.instrument} {key.product} in {key.account}"
    if not unmanaged:
        return f"nothing of {where} is unmanaged; see `mytrading positions`"
    if request.quantity > abs(unmanaged):
        return f"{abs(unmanaged)} of {where} are unmanaged, expected at most as many, found {request.quantity}"
    if key in oms.state.mismatches or key.account in oms.state.wrong_mode:
        return f"the books of {where} are in dispute; claim when `mytrading positions` says CONFIRMED"
    if not (request.price or (known and known.average_price)):
        return f"the broker does not say what {where} cost: name it with --price"
    if closing := "" if request.to_close else _closing_problem(oms, key, request):
        return closing
    if why := settlements.why_under_way(oms, key):
        return why
    for position in oms.state.owner_positions(key):
        held = position.quantity or position.quantity_seen
        if held * unmanaged < 0:
            return f"OPPOSED: {position.strategy} holds {held} of {key.instrument}, {unmanaged} would oppose it"
    for order in oms.open_orders(key):
        if order.purpose is Purpose.ENTRY and order.state in LIVE and order.side.sign * unmanaged < 0:
            who = request.strategy
            return f"OPPOSED: {order.strategy} has an entry {order.side} out; withdraw it first (for {who})"
    return _stop_problem(oms, key, unmanaged, request) if request.stop else ""


def _closing_problem(oms: OrderDecision, key: NetKey, request: control.ClaimRequested) -> str:
    """The exit that is closing the new owner there: it takes in all that its owner gets meanwhile."""
    goal = next(entries.open_exit_goals(oms, key, request.strategy), None)
    level = oms.state.covering_flatten(OwnerKey(*key, request.strategy))
    if goal is not None:
        found = f"{goal.reason}: exit {goal.id} is {goal.state}"
    elif level is not None:
        proofs = f"{level.proofs} of {flatten.PROOFS} reads prove it"
        found = f"{level.reason}: flatten {level.id} is {level.state}, {proofs}"
    else:
        return ""
    everybody = level is not None and not level.strategy
    return (
        f"{request.strategy} is being closed in {key.instrument} {key.product} of {key.account} ({found}), and what it "
        "is given now would be closed at once; claim again when that has ended (`mytrading orders` and `alerts` show "
        f"what it waits for); while no order is out{'' if everybody else ', name another owner'}, or have it closed: "
        f"`mytrading positions close {key.instrument} --unmanaged`"
    )


def _stop_problem(oms: OrderDecision, key: NetKey, unmanaged: int, request: control.ClaimRequested) -> str:
    if not (rules := oms.broker(key.account)).broker_stops:
        return f"a stop order does not reach {rules.name} as a stop, so it would not be sent: claim without --stop"
    owner = OwnerKey(*key, request.strategy)
    existing, held = oms.state.protections.get(owner), oms.state.positions.get(owner)
    guards = existing is not None and existing.state != "done" and held is not None and not broker_stops.is_flat(held)
    if existing is not None and guards and existing.trigger != request.stop:
        return f"{request.strategy} has its stop at {existing.trigger:g} there, which would guard these too; no --stop"
    beyond = (request.stop - request.stop_limit) * unmanaged
    if not request.stop_limit or beyond < 0:
        side = "below" if unmanaged > 0 else "above"
        return f"expected a stop limit at or {side} the trigger {request.stop:g}, found {request.stop_limit:g}"
    return ""


def _guard(oms: OrderDecision, position: Position, claimed: ClaimedUnits, request: control.ClaimRequested) -> bool:
    """Begin the protection of claimed units; false if they are to have no stop, or share one."""
    existing = oms.state.protections.get(position.owner)
    if existing is not None and existing.state != "done":
        if not broker_stops.is_flat(claimed.before):
            return False
        oms.change_protection(existing, state="done")  # of a trip that is over: only its stop's cancel is still out
    if not request.stop:
        return False
    level = Protection(
        **position.owner._asdict(), id=content_id("protection", request.id), run=position.run, cause=request.id,
        side=Side.SELL if claimed.units > 0 else Side.BUY, trigger=request.stop, limit=request.stop_limit,
        claimed=claimed,
    )  # fmt: skip
    oms.change_protection(level)
    return True


def on_resolve(oms: OrderDecision, request: control.ResolveRequested) -> None:
    """Bind an order of unknown fate to the broker order an operator names, or give it up; answers the request."""
    if (order := oms.state.orders.get(request.order)) is None:
        oms.answer(request.id, f"expected the id of an order of today, found {request.order!r}; see `orders`", "")
    elif order.state not in UNRESOLVED | ABSENT and not _is_missing(oms, order):
        what = "expected an order that is UNKNOWN, PARKED, LOST or GHOST, or one that no order book shows"
        what = f"{what}, found {order.state}: its fate is known"
        oms.answer(request.id, what, "")
    elif request.broker_order_id:
        oms.answer(request.id, *_bind(oms, order, request))
    else:
        oms.answer(request.id, *_give_up(oms, order, request))


def _is_missing(oms: OrderDecision, order: Order) -> bool:
    """True for an accepted order without fills that no book shows, so that ORDER_MISSING or BOOKS_EMPTY was raised."""
    end, emptied = order.evidence.end, oms.state.emptied.get(order.account)
    resting = order.state in (OrderState.ACCEPTED, OrderState.TRIGGERED) and not order.filled_seen
    alerted = isinstance(end, Missing) and end.reads > 1
    return resting and (alerted or (emptied is not None and emptied.alerted))


def _without_id(oms: OrderDecision, order: Order) -> Order:
    """The order as one of unknown fate, if it had an id that no book shows."""
    if not _is_missing(oms, order):
        return order
    return call_outcomes.unbind_broker_order(oms, order, f"no order book shows {order.broker_order_id}")


def _bind(oms: OrderDecision, order: Order, request: control.ResolveRequested) -> tuple[str, str]:
    name = request.broker_order_id
    problem = _binding_problem(oms, order, request)
    row = oms.state.foreign_orders.get((order.account, name))
    if problem or row is None:
        return problem, ""
    order = _without_id(oms, order)
    appeared = order.state in ABSENT
    message = f"bound by the operator{f': {request.reason}' if request.reason else ''}"
    if order_updates.bind_broker_order(oms, order, name, quantity=row.quantity, message=message) is None:
        return f"broker order {name} belongs to another order of ours", ""
    oms.request_read(order.account, "resolved", positions=True)
    ending = "; it was given up before, so what rests of it is cancelled" if appeared else ""
    return "", f"order {order.client_order_id} is broker order {name}{ending}"


def _binding_problem(oms: OrderDecision, order: Order, request: control.ResolveRequested) -> str:
    state, place = oms.state, (order.account, request.broker_order_id)
    owner, row = state.by_broker.get(place), state.foreign_orders.get(place)
    if owner is not None:
        return f"broker order {place[1]} belongs to order {owner}; see `mytrading orders`"
    if row is None:
        return f"expected a broker order that stands in the order book, found no {place[1]}; see `broker orders`"
    product = row.product or order.product
    if not same_fingerprint(order, row.instrument, row.side, order.quantity) or product is not order.product:
        found = f"{row.side} {row.instrument} {product}"
        return f"broker order {place[1]} is {found}, ours is {order.side} {order.instrument} {order.product}"
    if request.force:
        return ""
    if row.quantity != order.quantity:
        return f"broker order {place[1]} is for {row.quantity}, ours for {order.quantity}; --force if it is ours still"
    if (state.foreign.get(place) or 0) <= order.call.began_machine_ns:
        return f"broker order {place[1]} was there before ours was sent; --force if it is ours still"
    return ""


def _give_up(oms: OrderDecision, order: Order, request: control.ResolveRequested) -> tuple[str, str]:
    if order.state is OrderState.GHOST:
        return f"order {order.client_order_id} counts as never placed already", ""
    in_view = candidate_broker_orders(oms, order)
    if in_view and not request.force:
        names = ", ".join(row.broker_order_id for row in in_view)
        return f"broker order {names} may be this one: bind it with --broker-order, or --force if it is not", ""
    order = _without_id(oms, order)
    # What stands there now is not this order: only what is first seen after this moment can be.
    call = replace(order.call, began_machine_ns=oms.machine) if in_view else order.call
    evidence = with_cancel(replace(order.evidence, match=None, flapped=False), wanted=False)
    message = f"never placed, by the word of the operator{f': {request.reason}' if request.reason else ''}"
    oms.change(order, "not_placed", state=OrderState.GHOST, call=call, evidence=evidence, message=message)
    return "", f"order {order.client_order_id} counts as never placed; if it appears in the next minutes it is ours"


def candidate_broker_orders(oms: OrderDecision, order: Order) -> list[BrokerOrder]:
    """Return unclaimed broker orders that may be this order, sorted by id."""
    return [
        row
        for place, row in oms.state.foreign_orders.sorted_items()
        if place[0] == order.account
        and place not in oms.state.by_broker
        and order_identity.may_be_same_order(oms, order, row)
    ]


OWNER = "doctor"
"""The strategy that trial orders are booked under."""
VALID_NS = 10 * SECOND


def on_probe(oms: OrderDecision, message: control.ProbeRequested) -> None:
    """Place or withdraw the trial order of `mytrading doctor`; paper venues only."""
    if not oms.limits.probes:
        return
    if message.withdraw:
        entries.withdraw_entries(oms, lambda order: order.cause == message.id, "withdrawn: the trial is over")
        return
    command = PlaceEntry(
        id=message.id, account=message.account, instrument=message.instrument, product=message.product,
        strategy=OWNER, run=message.id, cause=message.id, side=Side.BUY, quantity=message.quantity,
        order_type=OrderType.LIMIT, price=message.price, reference_price=message.price, expires_ns=oms.now + VALID_NS,
        expires_machine_ns=oms.machine + VALID_NS,
    )  # fmt: skip
    entries.on_place_entry(oms, command)
