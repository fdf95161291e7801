"""Broker stops: stop-limit orders cover what is sighted of a position until it is flat, or an exit takes over."""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.ids import client_order_id, content_id
from mytrading.core.oms.evidence import held_bounds, missing_units, net_evidence, net_positions, other_copies
from mytrading.core.oms.evidence.judge import ENDS, OPEN
from mytrading.core.oms.exits import claimed_units, exit_goals, odd_lots
from mytrading.core.oms.placing import dispatch, entries, modify, slices
from mytrading.core.oms.state.alert_codes import EventAlert, StateAlert
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.oms.state.settings import backoff
from mytrading.core.oms.state.state import State
from mytrading.core.orders.slicing import Sizes, closing_slice_quantities
from mytrading.core.orders.state_machine import (
    LIVE,
    RESTING,
    SENT,
    TRIGGERED,
    UNRESOLVED,
    is_untriggered_stop,
    with_cancel,
)
from mytrading.core.time import ist_date
from mytrading.messages.enums import BrokerStatus, OrderState, OrderType, Product, Purpose, Severity, Side
from mytrading.messages.keys import NetKey
from mytrading.messages.order_evidence import NO_CANCEL, OrderTerms, PendingEnd
from mytrading.messages.orders import TRIGGER_CROSSED, Order, Position, Protection, StopMove
from mytrading.messages.reports import BooksRead, BrokerOrder, BrokerTrades

_FAILED = frozenset((OrderState.REJECTED, OrderState.CANCELLED, OrderState.EXPIRED, OrderState.GHOST))
_SHARES = ("NSE:", "BSE:")
_OURS = "withdrawn"
"""Prefix of the message of a stop that ended because we withdrew it."""


def start_protection(oms: OrderDecision, order: Order, sighted: int = 0) -> None:
    """Start the stop protection of a position when an entry with a stop plan fills; later entries join it.

    `sighted`: units that one source has just reported, not in the position yet. An older protection of the other side,
    or of a position closed since, does not prevent a new one while its stop is being cancelled.
    """
    if order.purpose is not Purpose.ENTRY or not order.plan.stop_trigger or not order.filled_seen:
        return
    known = oms.state.protections.get(order.owner)
    # an entry from before the journal was rebuilt may have a stop at the broker that nobody here knows
    level = Protection(
        id=content_id("protection", order.client_order_id, order.filled_seen), account=order.account,
        instrument=order.instrument, product=order.product, strategy=order.strategy, run=order.run,
        cause=order.client_order_id, side=Side.SELL if order.side is Side.BUY else Side.BUY,
        trigger=order.plan.stop_trigger, limit=order.plan.stop_limit,
        waits_machine_ns=max(oms.machine, 1) if order.created_ns <= (oms.state.rebuilt.get("market_ns") or -1) else 0,
    )  # fmt: skip
    if known is not None and known.state != "done":
        position = oms.position(order)
        adds = (position.quantity_seen + sighted * order.side.sign) * known.side.sign <= 0
        if known.id == level.id or (adds and not (sighted and is_flat(position))):
            return
    oms.change_protection(level)


def is_flat(position: Position) -> bool:
    """True if a position has no units, neither confirmed ones nor ones that only one source reported."""
    return position.quantity == position.quantity_seen == 0


def cancel_if_unneeded(oms: OrderDecision, order: Order) -> None:
    """Cancel an order believed ended but found live at the broker, unless a protection or goal needs it.

    Nobody needs an entry: whoever wanted it was told of its end, and has entered anew, or must not any more."""
    if order.evidence.cancel.wanted:
        return
    if not order.purpose.reduces:
        needed = False
    elif order.purpose is Purpose.STOP:
        level = oms.state.protections.get(order.owner)
        needed = level is not None and level.state != "done"
    else:
        current = (goal.order for goal in entries.open_exit_goals(oms, order.net, order.strategy))
        needed = any(name in (order.client_order_id, order.links.parent) for name in current)
    if not needed:
        entries.cancel_order(oms, order, f"{_OURS}: it was taken for ended, and nothing needs it any more")


def advance_protections(oms: OrderDecision) -> None:
    """Place, change or cancel stop orders until those of each protected position cover its units."""
    for level in oms.state.open_protections():
        _advance(oms, level)


def _advance(oms: OrderDecision, level: Protection) -> None:
    if level.awaits_units_machine_ns and oms.machine - level.awaits_units_machine_ns >= oms.limits.exit_patience:
        level = _end_wait(oms, level)
    position, stops = oms.position(level), live_stops(oms, level)
    level = claimed_units.settle_claim(oms, level, stops)
    _withdraw(oms, live_stops(oms, level, stray=True), "it guarded the other side")
    seen, sure = position.quantity_seen, position.quantity
    flat, released = seen == sure == 0, level.state == "released"
    # a stop is withdrawn for the units of an exit that is under way or could be sent at once, and for no others
    leaving = exit_goals.leaving_units(oms, level.net, level.strategy) if oms.state.open_goals else 0
    if released or flat or seen * level.side.sign > 0:
        # stops that are left of a released protection end with the position, or when an exit needs the quantity
        if not released or flat or leaving:
            _withdraw(oms, stops, "nothing is left to guard")
        if flat and not live_stops(oms, level) and not _entries_out(oms, level):
            oms.change_protection(level, state="done")
        return
    if oms.state.is_absent(level.account):
        return  # nothing is placed or taken away there: what rests at the broker guards on
    units = odd_lots.placeable_units(oms, level, abs(seen)) if oms.state.odd_lots else abs(seen)
    if leaving >= units:
        if leaving:
            _withdraw(oms, stops, "an exit takes over")
            return
    elif leaving:
        _cover(oms, level, stops, wanted=0, most=units - leaving)
        stops = live_stops(oms, level)
    if not oms.is_trading(level.instrument) or oms.is_venue_square_off(level):
        # nothing is placed: what ends then is no failure, and the open begins again
        last = oms.state.orders.get(level.order)
        if level.failures or level.triggered_machine_ns or (last is not None and _failed(last)):
            level = oms.change_protection(level, order="", failures=0, triggered_machine_ns=0)
        if level.awaits_price_machine_ns:
            oms.change_protection(level, awaits_price_machine_ns=0)
        return
    if _awaits_operator_or_price(oms, level, position):
        return
    if level.state == "handed":
        if entries.is_closing(oms, level.net, level.strategy):
            return  # the exit waits for the books: what stops there are stay, and none is placed beside it
        level = oms.change_protection(level, state="open", failures=0, triggered_machine_ns=0)
    level = _watch(oms, _end_move(oms, level, stops), stops)
    if level.state == "open":
        wanted = level.moving or level
        for stop in stops:  # one that has triggered is left alone
            waits = stop.state in (OrderState.INITIALIZED, OrderState.ACCEPTED) and not stop.evidence.end
            if waits and not stop.filled_seen:
                quantity = modify.wanted_terms(stop).quantity
                modify.request_terms(oms, stop, OrderTerms(wanted.limit, wanted.trigger, quantity))
        most = max(abs(seen), abs(sure)) if not leaving else units - leaving
        shown = max(0, units - leaving - held_bounds.unguardable_units(oms, position))
        wanted_units = exit_goals.guardable_units(oms, level, shown)
        _cover(oms, level, live_stops(oms, level), wanted=wanted_units, most=most)


def _awaits_operator_or_price(oms: OrderDecision, level: Protection, position: Position) -> bool:
    """True while nothing is done for the stop of carried shares: a corporate action may have happened, or the first
    price of the day, which would tell, has not come yet. What rests stays; an exit takes it away as ever."""
    if position.product is not Product.CNC or ist_date(position.opened_ns) >= ist_date(oms.now):
        return False
    if level.owner in oms.state.held_stops:
        return True
    patience = oms.limits.first_price_patience
    if not patience or level.owner in oms.state.first_priced or not level.instrument.startswith(_SHARES):
        return False
    if not level.awaits_price_machine_ns:
        level = oms.change_protection(level, awaits_price_machine_ns=max(oms.machine, 1))
    return oms.machine - level.awaits_price_machine_ns < patience


def request_move(oms: OrderDecision, level: Protection, move: StopMove) -> None:
    """Take an operator's prices as those that a position's stops are to get; earlier ones not sent end."""
    level = oms.change_protection(level, moving=move)
    for stop in live_stops(oms, level):
        terms = replace(modify.current_terms(stop), quantity=modify.wanted_terms(stop).quantity)
        modify.request_terms(oms, modify.without_wait(oms, stop), terms)
    _end_move(oms, level, live_stops(oms, level))


def _end_move(oms: OrderDecision, level: Protection, stops: list[Order]) -> Protection:
    """Take the prices that an operator requested as those in force, once every stop rests at them."""
    move = level.moving
    if move is None or not all(_rests_at(stop, move) for stop in stops):
        return level
    if not stops and (move.trigger, move.limit) != (level.trigger, level.limit):
        return level  # the next stop is placed there
    return oms.change_protection(level, trigger=move.trigger, limit=move.limit, moving=None)


def _rests_at(stop: Order, move: StopMove) -> bool:
    there = modify.matches_stop_move(modify.current_terms(stop), move)
    return there and stop.state in RESTING and not modify.is_modify_pending(stop)


def is_end_unasked(oms: OrderDecision, order: Order, read: BooksRead) -> bool:
    """True if an end of a stop that a read shows is nobody's wish, and no answer from before proves it.

    The end of a session, and what nothing is to guard any more, needs no such proof; nor does a stop that no book ever
    showed live, where the order stream reports its end too: it was refused late.
    """
    cancel, level = order.evidence.cancel, oms.state.protections.get(order.owner)
    end, rested = order.evidence.end, order.evidence.rested
    if not rested and not cancel.proof and isinstance(end, PendingEnd) and end.by_stream:
        return False
    if level is None or level.state != "open" or oms.is_of_earlier_day(order):
        return False  # nothing guards by it, or it ended with its day
    if not oms.is_trading(order.instrument) or oms.is_venue_square_off(order):
        return False
    if not cancel.proof:
        return not cancel.wanted and not cancel.calls
    return not cancel.answered_machine_ns or read.began_machine_ns <= cancel.answered_machine_ns


def on_unasked_end(oms: OrderDecision, order: Order, row: BrokerOrder) -> None:
    """Cancel a stop by its id that the book shows ended and nobody wanted to end: the next follows what is proven.

    Within `unasked_window` of one that such a cancel did take away an operator is alerted, and nothing is sent: a
    broker that shows live stops as ended would have them placed for ever.
    """
    level = oms.state.protections.get(order.owner)
    if level is None or order.state not in RESTING or order.evidence.cancel.wanted:
        return
    what = f"the stop of {level.strategy} in {level.instrument} is {row.status} in the order book, and nobody here"
    what = f"{what} cancelled it"
    again = level.unasked_machine_ns and oms.machine - level.unasked_machine_ns < oms.limits.unasked_window
    if again:
        cure = "it is the second within minutes, so none is placed in its place; look at the broker"
        _doubt(oms, level, order, f"{what}; {cure}, and close the position if nothing guards it")
        return
    oms.change(order, "withdrawing", evidence=with_cancel(order.evidence, wanted=True, proof=True))
    oms.change_protection(level, awaits_units_machine_ns=max(oms.machine, 1))
    if order.evidence.rested:
        text = f"{what}; it is cancelled by its id, and another follows once the books show the units"
        oms.alert(StateAlert.STOP_SHOWN_ENDED, Severity.WARNING, order.client_order_id, text)


def on_proof_accepted(oms: OrderDecision, order: Order) -> None:
    """Note that the broker took a cancel of a stop that it showed as ended: it had been live."""
    level = oms.state.protections.get(order.owner)
    if level is not None and order.evidence.rested:
        oms.change_protection(level, unasked_machine_ns=max(oms.machine, 1))


def _doubt(oms: OrderDecision, level: Protection, order: Order, text: str) -> Protection:
    if level.doubted == order.client_order_id:
        return level
    oms.alert(StateAlert.STOP_SHOWN_ENDED, Severity.CRITICAL, order.client_order_id, text)
    return oms.change_protection(level, doubted=order.client_order_id)


def compare_with_book(
    oms: OrderDecision, order: Order, row: BrokerOrder, trades: BrokerTrades | None, read: BooksRead
) -> tuple[Order, BrokerOrder]:
    """Return a stop and its row as they are to be judged. Shown live it has rested, and what was to prove its end is
    over unless a cancel may still take effect. Of one that is COMPLETE in the order book alone the position book
    decides: it has ended without a fill where that shows the units, and nothing is known before it was read."""
    if row.status in OPEN and order.state in RESTING:
        return _shown_live(oms, order), row
    traded = trades is not None and (trades.quantity > 0 or not oms.broker(order.account).trades_count_fills)
    traded = traded or net_evidence.may_have_traded(oms, order, read)
    told = traded or read.trades is None or order.evidence.fills.stream >= order.quantity
    if row.status is not BrokerStatus.COMPLETE or told or order.state is OrderState.FILLED:
        return order, row
    if read.positions is None:
        oms.request_read(order.account, "stop complete", positions=True)
        return order, replace(row, status=BrokerStatus.OTHER, filled=order.filled_seen, average_price=None)
    if order.net in oms.state.delivered or not shows_units(oms, order.net, read):
        return order, row  # the position book need not list delivered shares: it does not tell whether they are there
    return order, replace(row, status=BrokerStatus.CANCELLED, filled=order.filled, average_price=None)


def _shown_live(oms: OrderDecision, order: Order) -> Order:
    cancel, evidence = order.evidence.cancel, order.evidence
    if cancel.proof and not cancel.out and (cancel.refused or not cancel.calls):
        evidence = replace(evidence, cancel=NO_CANCEL, rested=True)
    level = oms.state.protections.get(order.owner)
    if level is not None and (evidence is not order.evidence or level.doubted == order.client_order_id):
        oms.change_protection(level, awaits_units_machine_ns=0, doubted="")
    if not evidence.rested:
        evidence = replace(evidence, rested=True)
        odd_lots.on_resting(oms, order)
    return order if evidence is order.evidence else oms.change(order, "observed", evidence=evidence)


def shows_units(oms: OrderDecision, key: NetKey, read: BooksRead) -> bool:
    """True if the position book of a read shows all units that the ledger has of a key."""
    if not missing_units.tells_net(oms, key, read):
        return False
    ours = net_positions.ledger_net(oms.state, key)
    shown = net_positions.net_with_unlisted(oms, key, net_positions.broker_net(key, read))
    return shown * (1 if ours > 0 else -1) >= abs(ours)


def on_books(oms: OrderDecision, read: BooksRead) -> None:
    """Let the stop follow that waits for its position: a read begun after the answer on the one before shows both."""
    for level in oms.state.open_protections():
        if level.account != read.account or not level.awaits_units_machine_ns or read.orders is None:
            continue
        last = [order.evidence.cancel.answered_machine_ns for order in slices.orders_by_id(oms, level.order)]
        since = max(level.awaits_units_machine_ns, *last, 0)
        if read.began_machine_ns > since and not _being_proven(oms, level) and shows_units(oms, level.net, read):
            oms.change_protection(level, awaits_units_machine_ns=0)


def _being_proven(oms: OrderDecision, level: Protection) -> list[Order]:
    return [stop for stop in live_stops(oms, level) if stop.evidence.cancel.proof]


def _end_wait(oms: OrderDecision, level: Protection) -> Protection:
    """After `exit_patience` without an answer or without the units: alert, and use the one replacement of a protection.

    Without one, or where the books differ on the units, it goes on waiting. So it does where the newest position book
    lacks units, whoever took them: the stop ends then, so that the position can be corrected, and none follows.
    """
    unproven, differs = _being_proven(oms, level), oms.state.mismatches.get(level.net)
    fewer = differs is not None and not differs.contradicted and oms.broker(level.account).positions_whole
    if fewer or any(not isinstance(stop.evidence.end, PendingEnd) for stop in unproven):
        return level
    name = unproven[0].client_order_id if unproven else level.order
    last = oms.state.orders.get(name)
    what = f"the stop of {level.strategy} in {level.instrument} is shown ended, and no answer of the broker proves it"
    if last is None or level.doubted == name:
        return level
    if level.net in oms.state.short:
        for stop in unproven:
            _give_up(oms, stop)
        return level
    if level.ghosts:
        cure = "none is placed in its place again; look at the broker, risk closes at its level"
        return _doubt(oms, level, last, f"{what}; {cure}")
    for stop in unproven:
        _give_up(oms, stop)
    text = f"{what}; one further stop is placed; look at the broker for two"
    oms.alert(EventAlert.STOP_REPLACED, Severity.CRITICAL, name, text)
    ghosts = {"ghosts": 1, "ghost_machine_ns": level.ghost_machine_ns or oms.machine}
    return oms.change_protection(level, awaits_units_machine_ns=0, **ghosts)


def _give_up(oms: OrderDecision, stop: Order) -> None:
    """End a stop as the order book shows it, though no answer proves that."""
    if isinstance(end := stop.evidence.end, PendingEnd):
        evidence = with_cancel(replace(stop.evidence, end=None), wanted=False)
        oms.change(stop, "given_up", state=ENDS[end.status], evidence=evidence)


def stops_differ_from_positions(state: State) -> bool:
    """True if the resting stops of some protected position do not add up to its units."""
    for owner in state.guarding:
        position = state.positions.get(owner)
        own = (order for order in state.open_orders(owner.net) if order.strategy == owner.strategy)
        resting = sum(order.quantity - order.filled_seen for order in own if is_untriggered_stop(order))
        if resting != (abs(position.quantity_seen) if position is not None else 0):
            return True
    return False


def live_stops(oms: OrderDecision, level: Protection, *, stray: bool = False) -> list[Order]:
    """The owner's live stops of this protection's side, oldest first; the `stray` ones are of the other side."""
    mine = (order for order in oms.open_orders(level.net) if order.strategy == level.strategy)
    stops = (order for order in mine if order.purpose is Purpose.STOP and order.state in LIVE)
    found = [order for order in stops if (order.side is not level.side) == stray]
    return sorted(found, key=lambda order: (order.created_ns, order.call.began_machine_ns, order.client_order_id))


def _entries_out(oms: OrderDecision, level: Protection) -> bool:
    """True while an entry that left may add to what was guarded: a fill that was withdrawn may be reported again."""
    mine = (order for order in oms.open_orders(level.net) if order.strategy == level.strategy)
    sent = (order for order in mine if not order.purpose.reduces and order.state in SENT)
    return any(order.side is not level.side for order in sent)


def _withdraw(oms: OrderDecision, stops: list[Order], reason: str) -> None:
    for order in stops:
        entries.cancel_order(oms, order, f"{_OURS}: {reason}")


def _watch(oms: OrderDecision, level: Protection, stops: list[Order]) -> Protection:
    """Hand over to an exit where a stop has triggered and does not fill, or where none can be kept at the broker."""
    if level.failures >= oms.limits.stop_failures:
        return _hand_over(oms, level, f"{level.failures} stops did not stay at the broker")
    moving = any(order.state in TRIGGERED and order.filled_seen < order.quantity for order in stops)
    if moving and not level.triggered_machine_ns:
        return oms.change_protection(level, triggered_machine_ns=oms.machine)
    if not moving and level.triggered_machine_ns:
        return oms.change_protection(level, triggered_machine_ns=0)
    if moving and oms.machine - level.triggered_machine_ns >= oms.limits.exit_patience:
        return _hand_over(oms, level, "its stop has triggered and does not fill")
    return level


def _hand_over(oms: OrderDecision, level: Protection, why: str, said: str = "") -> Protection:
    """Have the position closed by an exit; units whose claim can be taken back are given back instead. `said`: the
    words of the broker on the stop, for who claimed them."""
    level = claimed_units.fail_claim(oms, level, live_stops(oms, level), why + said)
    if level.state == "done":
        return level
    what = f"{level.strategy} in {level.instrument}: {why}; it is being closed"
    oms.alert(StateAlert.STOP_FAILED, Severity.CRITICAL, level.id, what)
    handed = oms.change_protection(level, state="handed")
    exit_goals.start_goal(oms, content_id("unguarded", level.id, level.attempts, oms.machine), level, level.cause, why)
    units = odd_lots.placeable_units(oms, level, abs(oms.position(level).quantity_seen))
    if exit_goals.leaving_units(oms, level.net, level.strategy) >= units:
        _withdraw(oms, live_stops(oms, level), "an exit takes over")
    return handed


def _cover(oms: OrderDecision, level: Protection, stops: list[Order], *, wanted: int, most: int) -> None:
    """Add a stop for uncovered units, or shrink the newest; `wanted` is sighted, `most` counts unproven exits too."""
    covering = [order for order in stops if not order.evidence.cancel.wanted]
    covered = sum(modify.wanted_terms(order).quantity - order.filled_seen for order in covering)
    if covered > most:
        _shrink(oms, covering[-1], covered - most)
    elif covered < wanted and len(covering) == len(stops) and not _waits(oms, level):
        _extend(oms, level, stops, missing=wanted - covered, wanted=wanted)


def _waits(oms: OrderDecision, level: Protection) -> bool:
    if level.awaits_units_machine_ns or net_positions.stop_waits_for_books(oms, level):
        return True
    return any(_stops_beyond(oms, level, product) for product in Product if product is not level.product)


def _stops_beyond(oms: OrderDecision, level: Protection, product: Product) -> bool:
    """True while stops under another product are for more than is held there: its units were converted to this one."""
    if not oms.open_orders(level.net._replace(product=product)):
        return False
    other = replace(level, product=product)
    guarded = sum(order.quantity - order.filled_seen for order in live_stops(oms, other))
    return guarded > abs(oms.position(other).quantity_seen)


def uncovered_units(oms: OrderDecision, level: Protection) -> int:
    """Return the units of a protected position, unconfirmed fills included, that no live stop covers."""
    covered = sum(order.quantity - order.filled_seen for order in live_stops(oms, level))
    return abs(oms.position(level).quantity_seen) - covered


def _extend(oms: OrderDecision, level: Protection, stops: list[Order], *, missing: int, wanted: int) -> None:
    """Cover more units: in an unsent stop, else by another; of many the smallest ends, and one for both follows."""
    sizes = oms.state.sizes.get(level.instrument) or Sizes()
    unsent = [stop for stop in stops if stop.state is OrderState.INITIALIZED and not stop.links.parent]
    room = _room(oms, level, missing)
    if unsent and room and sizes.fits(larger := unsent[-1].quantity + room):
        modify.request_terms(oms, unsent[-1], replace(modify.wanted_terms(unsent[-1]), quantity=larger))
    elif len(stops) < oms.limits.stops_most + len(closing_slice_quantities(wanted, sizes)) - 1:
        _place(oms, level, missing)
    elif room and (
        calm := [s for s in stops if _rests(oms, s) and not s.filled_seen and not modify.is_modify_pending(s)]
    ):
        smallest = min(calm, key=lambda stop: stop.quantity)
        entries.cancel_order(oms, smallest, f"{_OURS}: joined with another, there were {len(stops)} stops")


def _room(oms: OrderDecision, level: Protection, units: int) -> int:
    """For how many of `units` a stop may be added beside orders that this journal does not know."""
    return other_copies.room_for_stop(oms, level, units, ended=other_copies.has_ended_unasked(oms, level))


def _rests(oms: OrderDecision, stop: Order) -> bool:
    return stop.state is OrderState.ACCEPTED and not stop.evidence.end and not modify.is_modify_in_doubt(oms, stop)


def _shrink(oms: OrderDecision, stop: Order, excess: int) -> None:
    """Take so many units off a stop: by a change where its broker makes one, else it ends and a smaller one follows."""
    left = modify.wanted_terms(stop).quantity - excess
    if stop.state in UNRESOLVED or stop.state is OrderState.SUBMITTED or modify.is_modify_pending(stop):
        return
    terms = replace(modify.wanted_terms(stop), quantity=left)
    changeable = modify.can_modify_now(oms, stop) and not modify.was_refused(stop, terms)
    if _rests(oms, stop) and left > stop.filled_seen and changeable:
        modify.request_terms(oms, stop, terms)
    else:
        entries.cancel_order(oms, stop, f"{_OURS}: more was guarded than is held")


def _place(oms: OrderDecision, level: Protection, quantity: int) -> None:
    # a stop of an earlier day ended with that
    ended = (order for order in slices.orders_by_id(oms, level.order) if not oms.is_of_earlier_day(order))
    failed = [order for order in ended if _failed(order)]
    if level.moving is not None and (refused := [order for order in failed if _is_refused_move(order, level.moving)]):
        level = oms.change_protection(modify.refuse_move(oms, level, refused[-1], refused[-1].message), order="")
        failed = []  # at the prices before it rested: such a stop follows at once
    failures = level.failures
    if failed:
        if crossed := [order for order in failed if order.message.startswith(TRIGGER_CROSSED)]:
            _hand_over(oms, level, "the price had passed its stop before it could be placed", _words(crossed))
            return
        last = max(max(order.call.ended_machine_ns, order.evidence.seen_machine_ns) for order in failed)
        if oms.machine < last + backoff(oms.limits.exit_retry_first, oms.limits.slow, failures + 1):
            return
        failures += 1
    if failures >= oms.limits.stop_failures:
        level, why = oms.change_protection(level, failures=failures), f"{failures} stops did not stay at the broker"
        _hand_over(oms, level, why, _words(failed))
        return
    if not (quantity := _room(oms, level, quantity)):
        return
    attempt = next_unused_attempt(oms, level)
    order = build_stop_order(oms, level, quantity, attempt)
    if dispatch.closable_quantity(oms, order, order.net) < quantity:
        return
    oms.change_protection(level, attempts=attempt, failures=failures, order=order.client_order_id)
    slices.create_closing_orders(oms, order, quantity)


def _words(ended: list[Order]) -> str:
    """The broker's words on the last of these orders, in brackets; empty without any."""
    said = ended[-1].message.removeprefix(TRIGGER_CROSSED) if ended else ""
    return f" ({said})" if said else ""


def _is_refused_move(order: Order, move: StopMove) -> bool:
    return order.state is not OrderState.GHOST and modify.matches_stop_move(modify.wanted_terms(order), move)


def _failed(order: Order) -> bool:
    """True if a stop ended that nobody here wanted to end."""
    cancel = order.evidence.cancel
    ours = (cancel.calls > 0 and not cancel.proof) or order.message.startswith(_OURS)
    return order.state in _FAILED and not ours and order.filled < order.quantity


def next_unused_attempt(oms: OrderDecision, level: Protection) -> int:
    """Return the next attempt number of a protection whose order id is not used by any order."""
    attempt = level.attempts + 1
    while oms.state.is_known_id(_name(level, attempt)):
        attempt += 1
    return attempt


def _name(level: Protection, attempt: int) -> str:
    return client_order_id(level.account, level.id, Purpose.STOP, level.instrument, 0, attempt)


def build_stop_order(oms: OrderDecision, level: Protection, quantity: int, attempt: int) -> Order:
    """Build the stop order of a protection's attempt with this number; nothing is emitted."""
    wanted = level.moving or level
    return Order(
        client_order_id=_name(level, attempt), account=level.account, instrument=level.instrument,
        product=level.product, strategy=level.strategy, run=level.run, cause=level.cause, purpose=Purpose.STOP,
        side=level.side, quantity=quantity, order_type=OrderType.SL, state=OrderState.INITIALIZED, created_ns=oms.now,
        updated_ns=oms.now, price=wanted.limit, trigger_price=wanted.trigger,
    )  # fmt: skip
