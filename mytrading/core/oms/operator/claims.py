"""Unmanaged units: what the broker holds and nobody here owns, until an operator gives it to a strategy.

A claim moves units from the unmanaged to an owner and never makes any: owned plus unmanaged is the same before and
after.
"""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.accounting import position_ledger
from mytrading.core.ids import content_id
from mytrading.core.oms.exits import broker_stops, flatten
from mytrading.core.oms.placing import entries
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.orders.state_machine import LIVE
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.control import ClaimRequested
from mytrading.messages.enums import Purpose, Side
from mytrading.messages.keys import NetKey, OwnerKey
from mytrading.messages.orders import Position, Protection


def leave_unmanaged(oms: OrderDecision, key: NetKey, quantity: int, average_price: float) -> None:
    """Record that so much (signed) of a key is nobody's, if that is news."""
    known = oms.state.unmanaged.get(key)
    before = known.quantity if known else 0
    if quantity == before:
        return
    same = known is not None and before * quantity > 0
    oms.emit(
        UnmanagedChanged(
            **key._asdict(),
            quantity=quantity,
            at_ns=oms.now,
            since_ns=(known.since_ns or known.at_ns) if same and known else oms.now,
            average_price=average_price,
        )
    )


def on_claim(oms: OrderDecision, request: ClaimRequested) -> None:
    """Give unmanaged units to a strategy, with a stop if one was named, and answer."""
    key = request.net
    found = oms.state.unmanaged.get(key)
    problem = _problem(oms, key, found.quantity if found else 0, request)
    if problem or found is None:
        oms.answer(request.id, problem, "")
        return
    sign = 1 if found.quantity > 0 else -1
    units = sign * (request.quantity or abs(found.quantity))
    position = _give(oms, key, found, units, request)
    _guard(oms, position, units, request)
    left = abs(found.quantity - units)
    oms.answer(request.id, "", f"{request.strategy} owns {position.quantity} of {key.instrument}; {left} unmanaged")


def _give(oms: OrderDecision, key: NetKey, found: UnmanagedChanged, units: int, request: ClaimRequested) -> Position:
    owned = OwnerKey(*key, request.strategy)
    position = oms.state.position(owned) or Position(**owned._asdict(), run="")
    run = position.run if position.quantity else content_id("run", request.strategy, request.id)
    price = request.price or found.average_price
    booked = position_ledger.book(position, units, price, oms.now, run).position
    leave_unmanaged(oms, key, found.quantity - units, found.average_price)
    oms.adjusted(replace(booked, quantity_seen=position.quantity_seen + units), "claim", units)
    return booked


def _problem(oms: OrderDecision, key: NetKey, unmanaged: int, request: ClaimRequested) -> str:
    """Why the units cannot be given; empty if they can."""
    where = f"{key.instrument} {key.product} in {key.account}"
    if not unmanaged:
        return f"nothing of {where} is unmanaged; see `mytrading positions`"
    if request.quantity > abs(unmanaged):
        return f"{abs(unmanaged)} of {where} are unmanaged, expected at most as many, found {request.quantity}"
    if key in oms.state.mismatches or key.account in oms.state.wrong_mode:
        return f"the books of {where} are in dispute; claim when `mytrading positions` says CONFIRMED"
    known = oms.state.unmanaged.get(key)
    if not (request.price or (known and known.average_price)):
        return f"the broker does not say what {where} cost: name it with --price"
    return (
        _closing(oms, key, request)
        or _opposed(oms, key, unmanaged, request.strategy)
        or _stop_problem(oms, key, unmanaged, request)
    )


def _closing(oms: OrderDecision, key: NetKey, request: ClaimRequested) -> str:
    """What is closing the new owner there: it takes in whatever its owner gets until it has ended."""
    if request.to_close:
        return ""
    goal = next(entries.goals_of(oms, key, request.strategy), None)
    level = flatten.standing(oms, OwnerKey(*key, request.strategy))
    if goal is not None:
        found = f"{goal.reason}: exit {goal.id} is {goal.state}"
    elif level is not None:
        found = (
            f"{level.reason}: flatten {level.id} is {level.state}, {level.proofs} of {flatten.PROOFS} reads prove it"
        )
    else:
        return ""
    everybody = level is not None and not level.strategy
    return (
        f"{request.strategy} is being closed in {key.instrument} {key.product} of {key.account} ({found}), and what it "
        "is given now would be closed at once; claim again when that has ended (`mytrading orders` and `alerts` show "
        f"what it waits for){'' if everybody else ', name another owner'}, or have it closed: "
        f"`mytrading positions close {key.instrument} --unmanaged`"
    )


def _opposed(oms: OrderDecision, key: NetKey, unmanaged: int, strategy: str) -> str:
    for position in oms.state.holders(key):
        held = position.quantity or position.quantity_seen
        if held * unmanaged < 0:
            return f"OPPOSED: {position.strategy} holds {held} of {key.instrument}, {unmanaged} would oppose it"
    for order in oms.open_orders(key):
        if order.purpose is Purpose.ENTRY and order.state in LIVE and order.side.sign * unmanaged < 0:
            return f"OPPOSED: {order.strategy} has an entry {order.side} out; withdraw it first (for {strategy})"
    return ""


def _stop_problem(oms: OrderDecision, key: NetKey, unmanaged: int, request: ClaimRequested) -> str:
    owned = OwnerKey(*key, request.strategy)
    standing, held = oms.state.protections.get(owned), oms.state.positions.get(owned)
    stands = standing is not None and standing.state != "done" and held is not None and not broker_stops.is_flat(held)
    if request.stop and standing is not None and stands and standing.trigger != request.stop:
        return f"{request.strategy} has its stop at {standing.trigger:g} there, which would guard these too; no --stop"
    beyond = (request.stop - request.stop_limit) * unmanaged
    if request.stop and (not request.stop_limit or beyond < 0):
        side = "below" if unmanaged > 0 else "above"
        return f"expected a stop limit at or {side} the trigger {request.stop:g}, found {request.stop_limit:g}"
    return ""


def _guard(oms: OrderDecision, position: Position, units: int, request: ClaimRequested) -> None:
    owned = position.owner
    standing = oms.state.protections.get(owned)
    if standing is not None and standing.state != "done":
        if not broker_stops.is_flat(position):
            return
        oms.protection(standing, state="done")  # of a trip that is over: only its stop's cancel is still out
    if not request.stop:
        return
    oms.protection(
        Protection(
            **owned._asdict(),
            id=content_id("protection", request.id),
            run=position.run,
            cause=request.id,
            side=Side.SELL if units > 0 else Side.BUY,
            trigger=request.stop,
            limit=request.stop_limit,
        )
    )
