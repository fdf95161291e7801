"""Exit goals: one owner's quantity of one instrument is brought to zero by as many orders as it takes."""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from mytrading.core.ids import client_order_id
from mytrading.core.instruments.symbology import kind_of
from mytrading.core.no_price import contradicts_book
from mytrading.core.oms.evidence import held_bounds, net_positions, other_copies
from mytrading.core.oms.exits import exit_waits, odd_lots
from mytrading.core.oms.placing import dispatch, entries, modify, slices
from mytrading.core.oms.state.alert_codes import EventAlert, StateAlert
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.oms.state.settings import backoff
from mytrading.core.orders.marketable_price import marketable_price
from mytrading.core.orders.price_band import exit_edge, price_band
from mytrading.core.orders.state_machine import LIVE, RESTING, UNRESOLVED, describe_order, unfilled_quantity
from mytrading.messages.commands import CloseGoal, PriceGoal
from mytrading.messages.enums import OrderState, OrderType, Purpose, Severity, Side
from mytrading.messages.keys import NetKey
from mytrading.messages.market import Quote
from mytrading.messages.order_evidence import OrderTerms
from mytrading.messages.orders import (
    MARKET_REFUSED,
    NO_CALL,
    NOT_NOW,
    ExitQuote,
    Goal,
    GoalChanged,
    Order,
    OrderLinks,
    PlacingCall,
    Position,
    Protection,
)
from mytrading.messages.reports import BooksRead

EDGE = 0.05
"""Distance of a LIMIT exit from what its units cost where nothing else gives a price."""
COMMON_TICK = 0.05
"""Rupees: such a price is a multiple of it."""


class _Out(NamedTuple):
    """Live orders of an owner in the goal's key."""

    entries: list[Order]
    exits: list[Order]
    unproven: bool
    """Of what an entry was sighted to fill; an exit is out until its own is proven."""


_NOTHING_OUT = _Out([], [], False)


def on_close_goal(oms: OrderDecision, command: CloseGoal) -> None:
    """Handle an exit command: cancel the owner's entries and open its exit goal, unless its id is known."""
    if oms.state.is_known_id(command.id):
        return
    goal = Goal(
        id=command.id, account=command.account, instrument=command.instrument, product=command.product,
        strategy=command.strategy, run=command.run, cause=command.cause, reason=command.reason,
        purpose=command.purpose if command.purpose.reduces else Purpose.EXIT, trace_ns=command.trace_ns,
        price=command.price, price_step=command.price_step, created_ns=oms.now, opened_machine_ns=oms.machine,
    )  # fmt: skip
    _begin(oms, goal)


def start_goal(
    oms: OrderDecision, goal_id: str, owner: Order | Position | Protection, cause: str, reason: str,
    wary: bool = False, since_machine_ns: int = 0,
) -> None:  # fmt: skip
    """Open a goal that closes the position of `owner`, unless the id was used; `wary`: exits wait for two reads;
    `since_machine_ns`: it was asked for then, if not now."""
    if not oms.state.is_known_id(goal_id):
        goal = Goal(
            id=goal_id, account=owner.account, instrument=owner.instrument, product=owner.product,
            strategy=owner.strategy, run=owner.run, cause=cause, reason=reason, purpose=Purpose.EXIT,
            waits_machine_ns=max(oms.machine, 1) if wary else 0, created_ns=oms.now,
            opened_machine_ns=since_machine_ns or oms.machine,
        )  # fmt: skip
        _begin(oms, goal)


def _begin(oms: OrderDecision, goal: Goal) -> None:
    key = goal.net
    beside = _beside_others(oms, goal, key) if oms.state.open_goals else goal
    if oms.state.guarding and not beside.waits_machine_ns:
        level = oms.state.protections.get(goal.owner)
        if level is not None and level.state != "done" and net_positions.stop_waits_for_books(oms, level):
            # the owner's stop waits for the books, and so does this: what was out of sight may have closed it all
            beside = replace(beside, waits_machine_ns=max(oms.machine, 1), proofs=0)
    if goal.account in oms.state.returned and not beside.waits_machine_ns:
        beside = replace(beside, waits_machine_ns=max(oms.machine, 1), proofs=0)  # what is there may be closed by hand
    if not beside.waits_machine_ns and not beside.proofs and other_copies.wary(oms, beside):
        beside = replace(beside, waits_machine_ns=max(oms.machine, 1), beside_copy=True)
    oms.emit(GoalChanged(goal=beside, at_ns=oms.now))
    for order in oms.open_orders(key):
        if order.strategy == goal.strategy and order.purpose is Purpose.ENTRY and order.state in LIVE:
            entries.cancel_order(oms, order, f"withdrawn: {goal.reason}")


def _beside_others(oms: OrderDecision, goal: Goal, key: NetKey) -> Goal:
    """The goal, which waits for the books like others of its owner, and leaves what foreign orders may close."""
    wary = max(
        (other for other in entries.open_exit_goals(oms, key, goal.strategy) if other.waits_machine_ns or other.proofs),
        key=lambda other: (other.waits_machine_ns > 0, -other.proofs, other.elsewhere),
        default=None,
    )
    if wary is None or goal.waits_machine_ns:
        return goal
    return replace(goal, waits_machine_ns=wary.waits_machine_ns, proofs=wary.proofs, elsewhere=wary.elsewhere)


def advance_goals(oms: OrderDecision) -> None:
    """Send, re-price or finish the exit of every open goal, the oldest goal first."""
    goals = []
    for name in oms.state.open_goals:
        if goal := oms.state.goals.get(name):
            goals.append(goal)  # noqa: PERF401 - no frame of a comprehension on the way of an exit
    if len(goals) > 1:
        goals.sort(key=lambda goal: (goal.created_ns, goal.id))
    for goal in goals:
        _advance(oms, goal)


def _advance(oms: OrderDecision, goal: Goal) -> None:
    position, key = oms.position(goal), goal.net
    out = _out(oms, goal, key)
    if position.quantity == 0 and not out.unproven and not out.entries and not out.exits:
        oms.change_goal(goal, state="done")
        return
    if oms.state.in_run and goal.account not in oms.state.in_run:
        _alert_wait(oms, goal, out)
        return
    if not oms.is_trading(goal.instrument):
        _alert_wait(oms, exit_waits.wait_for_open(oms, goal), out)
        return
    units = abs(position.quantity)
    if oms.state.odd_lots:
        units = odd_lots.placeable_units(oms, goal, units)
    if position.quantity and not units and not out.exits:
        return  # one alert stands for what is no whole lot, and nothing follows for it
    goal = _alert_wait(oms, _priced(oms, exit_waits.begin_session(oms, goal)), out)
    if goal.beside_copy:
        goal = other_copies.end_wait(oms, goal)
    if goal.waits_machine_ns:
        _overdue(oms, goal, out.exits)
        return
    if oms.is_venue_square_off(goal):
        return
    books_lost = oms.state.books_lost(goal.account)
    if out.exits and not books_lost:
        for order in out.exits:
            goal = _hurry(oms, goal, order)
    goal = _overdue(oms, goal, out.exits)
    if books_lost and entries.must_keep_stops(oms, key, goal.strategy):
        return
    if position.quantity == 0 or (out.exits and not _guard_others(out.exits, position)):
        return
    if (
        is_unpriced(oms, goal)
        or _waits_for_entries(oms, goal, out)
        or (goal.order and oms.machine < _not_before(oms, goal))
        or not exit_waits.has_calls(oms, goal)
    ):
        return
    order = build_exit_order(oms, goal, position, units)
    if out is _NOTHING_OUT and goal.purpose is not Purpose.STOP:
        fits = order.quantity - goal.elsewhere - held_bounds.units_held_back(oms, goal, position)
    else:
        fits = dispatch.closable_quantity(oms, order, key)
    if fits <= 0:
        return
    if fits > abs(position.quantity) - held_bounds.unproven_units(oms, position):
        _alert_beyond_book(oms, goal, fits)
    calls = exit_waits.counted(oms, goal)
    oms.change_goal(goal, attempts=goal.attempts + 1, order=order.client_order_id, **calls)
    slices.create_closing_orders(oms, order, fits)


def _alert_beyond_book(oms: OrderDecision, goal: Goal, units: int) -> None:
    what = f"an exit of {units} {goal.instrument} of {goal.strategy} is sent though"
    what = f"{what} {held_bounds.describe_missing(oms, goal)}"
    cure = "it may reverse the position; look at the broker (`UNKNOWN_EXIT=wait` sends none)"
    oms.alert(EventAlert.EXIT_BEYOND_BOOK, Severity.CRITICAL, goal.id, f"{what}; {cure}")


def on_price(oms: OrderDecision, command: PriceGoal) -> None:
    """Take the price of a marketable limit for a goal that waits for one; where risk has none, ask the server. Where
    nothing trades at any price an exit that rests keeps its place."""
    goal = oms.state.goals.get(command.goal)
    if goal is None or goal.state == "done" or not (is_unpriced(oms, goal) or _asks_better(goal)):
        return
    if command.locked and (resting := _resting(oms, goal)) is not None:
        exit_waits.keep_place(oms, goal, resting)
    elif command.price > 0:
        _set_price(oms, goal, command.price)
    elif is_unpriced(oms, goal) and not _is_asked(goal):
        edge, tick = command.edge or goal.edge, command.tick or goal.tick
        _ask(oms, oms.change_goal(goal, edge=edge, tick=tick) if (edge, tick) != (goal.edge, goal.tick) else goal)


def on_exit_quote(oms: OrderDecision, answer: ExitQuote) -> None:
    """Price a goal by the quote that its server was asked for, or without one by the near edge of the band."""
    goal = oms.state.goals.get(answer.goal)
    if goal is None or goal.state == "done" or not is_unpriced(oms, goal):
        return
    if not _is_asked(goal) or goal.asked_machine_ns != answer.asked_machine_ns:
        return  # of an earlier wait
    goal = oms.change_goal(goal, tick=goal.tick or answer.tick) if answer.tick else goal
    position = oms.position(goal)
    side = Side.SELL if position.open_units > 0 else Side.BUY
    price = _rest_price(oms, goal, side, answer)
    if price > 0:
        _set_price(oms, goal, price)
    else:
        _price_at_edge(oms, goal, answer)


def _rest_price(oms: OrderDecision, goal: Goal, side: Side, answer: ExitQuote) -> float:
    """The marketable price by a quote over REST; 0.0 if it holds no price."""
    tick = goal.tick or COMMON_TICK
    quote = Quote(goal.instrument, oms.now, oms.machine, answer.ltp, answer.bid or None, answer.ask or None)
    if contradicts_book(quote, tick):
        quote = replace(quote, ltp=0.0)
    close = answer.previous_close if oms.broker(goal.account).feed.rest_previous_close else None
    band = price_band(kind_of(goal.instrument), quote.ltp, close) if quote.ltp > 0 else None
    return marketable_price(quote, side, tick, band)


def _asks_better(goal: Goal) -> bool:
    """True while a price is looked for at which a MARKET exit that rests would trade."""
    return goal.unpriced_machine_ns > 0 and not goal.price


def _resting(oms: OrderDecision, goal: Goal) -> Order | None:
    """The exit of a goal that rests at the broker and is not being cancelled; None without one."""
    mine = (order for order in oms.open_orders(goal.net) if order.links.goal == goal.id)
    return next((o for o in mine if o.state in RESTING and not o.evidence.cancel.wanted), None)


def _ask(oms: OrderDecision, goal: Goal) -> Goal:
    return oms.change_goal(goal, asked_machine_ns=oms.machine) if oms.limits.asks_quotes else goal


def _is_asked(goal: Goal) -> bool:
    """True if the server was asked for a quote in the present wait for a price."""
    return goal.asked_machine_ns >= goal.unpriced_machine_ns > 0


def _set_price(oms: OrderDecision, goal: Goal, price: float) -> Goal:
    return oms.change_goal(goal, price=price, price_step=0.0, reprices=0, unpriced_machine_ns=0)


def is_unpriced(oms: OrderDecision, goal: Goal) -> bool:
    """True if a goal waits for the price of its next order, which must be LIMIT."""
    return not goal.price and (goal.limit_only or OrderType.MARKET not in oms.broker(goal.account).order_types)


def on_refusal(oms: OrderDecision, order: Order) -> None:
    """Count the refusal of an exit for its goal: after one that names MARKET orders, or the second, only LIMIT follows.

    Slices of one attempt count once; session, rate and hours do not count, as they refuse every type alike."""
    goal = oms.state.goals.get(order.links.goal)
    name = order.links.parent or order.client_order_id
    if goal is None or goal.state == "done" or name == goal.refused:
        return
    refusals = goal.refusals + (not order.message.startswith(NOT_NOW))
    limit_only = goal.limit_only or refusals > 1 or order.message.startswith(MARKET_REFUSED)
    oms.change_goal(
        goal, refusals=refusals, refused=name, refused_price=order.price, refused_machine_ns=oms.machine, shown=None,
        limit_only=limit_only, price=0.0 if limit_only else goal.price,
        unpriced_machine_ns=oms.machine if limit_only else 0,
    )  # fmt: skip


def on_ghost(oms: OrderDecision, order: Order) -> None:
    """After a MARKET exit that was given up as never placed, LIMIT follows where its broker's refusal may look like
    that: it may have been refused for its type."""
    goal, rules = oms.state.goals.get(order.links.goal), oms.broker(order.account)
    if "place" not in rules.refusal_is_success + rules.refusal_unclear or goal is None or goal.state == "done":
        return
    if order.order_type is OrderType.MARKET and not goal.limit_only:
        unpriced = 0 if goal.price else oms.machine
        oms.change_goal(goal, limit_only=True, unpriced_machine_ns=unpriced, refused_machine_ns=oms.machine, shown=None)


def on_books(oms: OrderDecision, read: BooksRead) -> None:
    """Note what the position book shows of goals whose exit was refused before the read began."""
    for goal in oms.state.unfinished_goals():
        if goal.account != read.account or not 0 < goal.refused_machine_ns < read.began_machine_ns:
            continue
        rows = [r for r in read.positions or () if (r.instrument, r.product) == (goal.instrument, goal.product)]
        if rows or (read.positions and oms.broker(goal.account).positions_whole):
            others = (p for p in oms.state.owner_positions(goal.net) if p.strategy != goal.strategy)
            units = net_positions.broker_net(goal.net, read) - sum(position.quantity for position in others)
            held = oms.position(goal).quantity_seen
            shown = min(max(units * (1 if held > 0 else -1), 0), abs(held))
            if shown != goal.shown:
                oms.change_goal(goal, shown=shown)


def guardable_units(oms: OrderDecision, level: Protection, units: int) -> int:
    """Return how many of `units` a new stop may guard: of a goal whose exit was refused what positions showed since,
    once the next exit does not follow at once."""
    for goal in entries.open_exit_goals(oms, level.net, level.strategy) if oms.state.open_goals else ():
        if goal.refused_machine_ns:
            early = oms.machine - goal.refused_machine_ns < oms.limits.stop_return
            units = min(units, 0 if early else goal.shown or 0)
    return units


def leaving_units(oms: OrderDecision, key: NetKey, strategy: str) -> int:
    """Return the units of an owner that exits take away: those of live exits, and those that one could be sent for now
    if only the owner's stops were gone. Its stops are withdrawn for these, and for no others."""
    exits = [o for o in oms.open_orders(key) if o.strategy == strategy and o.purpose.reduces and o.state in LIVE]
    under_way = sum(max(0, o.quantity - o.filled_seen) for o in exits if o.purpose is not Purpose.STOP)
    return under_way + max(
        (sendable_units(oms, goal) for goal in entries.open_exit_goals(oms, key, strategy)), default=0
    )


def sendable_units(oms: OrderDecision, goal: Goal) -> int:
    """Return the units that an exit of a goal takes away, if it could be sent now but for the owner's stops; else 0."""
    position, key = oms.position(goal), goal.net
    if not position.quantity or _obstacle(oms, goal, position):
        return 0
    exits = (o for o in _out(oms, goal, key).exits if o.purpose is not Purpose.STOP and o.state in LIVE)
    left = abs(position.quantity) - sum(unfilled_quantity(order) for order in exits)
    left -= held_bounds.units_held_back(oms, goal, position)
    left = odd_lots.placeable_units(oms, goal, left) if oms.state.odd_lots else left
    return max(0, left) if left > goal.elsewhere else 0  # what orders without owner may close needs no stop beside them


def _obstacle(oms: OrderDecision, goal: Goal, position: Position) -> str:
    """Why no exit of a goal can be sent now, whatever becomes of the owner's stops; empty if one can.

    One after another: the broker's rate limit is none, since an exit goes before any further cancel."""
    state, account = oms.state, goal.account
    if state.is_absent(account):
        return oms.why_absent(account)
    if goal.waits_machine_ns:
        return "two reads of the books are awaited"
    if account in state.wrong_mode:
        return "the server answers in another mode; see `mytrading resume`"
    if oms.limits.mode_first and account not in state.modes:
        return "the mode of the server is not known yet"
    if (state.paused.get(account) or 0) > oms.machine:
        return "the server asked for a pause"
    if oms.is_venue_square_off(goal):
        return "the venue closes MIS positions itself now"
    if not oms.is_trading(goal.instrument):
        if oms.is_unproven(goal.instrument.partition(":")[0]):
            return "no price of today was traded, and nobody has listed the year's holidays; it goes with the first one"
        return "its exchange does not trade now, and it goes with the open"
    if entries.must_keep_stops(oms, goal.net, goal.strategy):
        return f"the books of {account} cannot be read"
    if _waits_for_entries(oms, goal, _out(oms, goal, goal.net)):
        return "an entry of it has not ended yet, or what it filled is not confirmed"
    if is_unpriced(oms, goal):
        return "it must be a LIMIT order, and no price is known"
    if not exit_waits.has_calls(oms, goal):
        return "it has made its calls of this hour (MAX_EXIT_CALLS_PER_HOUR)"
    if position.quantity and held_bounds.units_held_back(oms, goal, position) >= abs(position.quantity):
        return held_bounds.describe_missing(oms, goal)
    if _is_refused_again(oms, goal):
        return "the broker refused it, and nothing else is known that it would take"
    if not position.quantity and position.quantity_seen:
        return f"{abs(position.quantity_seen)} units were reported once and are not confirmed"
    return "" if oms.machine >= _not_before(oms, goal) else "the broker refused the last one, and it is tried again"


def _guard_others(exits: list[Order], position: Position) -> bool:
    """True if the exits that are out are stops of the units that are not confirmed: an exit of the others may go."""
    units = sum(order.quantity - order.filled for order in exits)
    unconfirmed = abs(position.quantity_seen) - abs(position.quantity)
    return units <= unconfirmed and all(order.purpose is Purpose.STOP for order in exits)


def _is_refused_again(oms: OrderDecision, goal: Goal) -> bool:
    """True if the next exit is of the type and price that were refused, and a stop would be taken away for it."""
    if not goal.refused or goal.refused_price != goal.price:
        return False
    stops = (o for o in oms.open_orders(goal.net) if o.purpose is Purpose.STOP and o.strategy == goal.strategy)
    guarded = any(order.state in LIVE for order in stops)
    return guarded and oms.machine - goal.refused_machine_ns < oms.limits.exit_same_again


def _priced(oms: OrderDecision, goal: Goal) -> Goal:
    """The goal, LIMIT from the first where its broker takes no MARKET order. Its server is asked for a quote where no
    price of risk came in time, and it goes at the edge where that brings none."""
    if not goal.limit_only and OrderType.MARKET not in oms.broker(goal.account).order_types:
        goal = oms.change_goal(goal, limit_only=True, unpriced_machine_ns=0 if goal.price else oms.machine)
    if not is_unpriced(oms, goal):
        return goal
    limits = oms.limits
    if _is_asked(goal):
        late = oms.machine - goal.asked_machine_ns >= limits.exit_quote_patience
        return _price_at_edge(oms, goal) if late else goal
    if oms.machine - goal.unpriced_machine_ns < limits.exit_price_patience:
        return goal
    return _ask(oms, goal) if limits.asks_quotes else _price_at_edge(oms, goal)


def _price_at_edge(oms: OrderDecision, goal: Goal, answer: ExitQuote | None = None) -> Goal:
    """The goal at the near edge of the day's band, as risk knows it, else by the last close in a server's answer.

    Where neither is known it goes at the limit of its stop, which lies inside the band; without a stop `EDGE` beyond
    what the units cost."""
    position, level = oms.position(goal), oms.state.protections.get(goal.owner)
    side, tick = Side.SELL if position.open_units > 0 else Side.BUY, goal.tick or COMMON_TICK
    price = goal.edge
    if price <= 0 and answer is not None and oms.broker(goal.account).feed.rest_previous_close:
        close = answer.previous_close
        price = exit_edge(kind_of(goal.instrument), side, close, close, tick) if close > 0 else 0.0
    if price <= 0 and level is not None:
        price = level.limit
    if price <= 0:
        edge = position.average_price * (1 + EDGE * side.sign)
        price = round(round(edge / tick) * tick, 4)
    return _set_price(oms, goal, price) if price > 0 else goal


def _waits_for_entries(oms: OrderDecision, goal: Goal, out: _Out) -> bool:
    """True while entries that will end soon, or their unproven fills, delay an exit; not for ever: what is owned must
    get out."""
    soon = oms.machine - goal.opened_machine_ns < oms.limits.exit_patience
    return soon and (out.unproven or any(order.state is not OrderState.UNKNOWN for order in out.entries))


def _alert_wait(oms: OrderDecision, goal: Goal, out: _Out) -> Goal:
    """Alert once that no exit of a goal has left for `exit_waits`, and why; the alert lasts until one leaves."""
    since = max(goal.opened_machine_ns, *(o.call.ended_machine_ns for o in slices.orders_by_id(oms, goal.order)), 0)
    if any(order.purpose is not Purpose.STOP for order in out.exits):
        return oms.change_goal(goal, obstacle="") if goal.obstacle else goal
    if goal.obstacle or oms.machine - since < oms.limits.exit_waits:
        return goal
    if not (why := _obstacle(oms, goal, oms.position(goal))):
        return goal
    stops = any(order.state in LIVE and not order.evidence.cancel.wanted for order in out.exits)
    kept = "its stop stays meanwhile" if stops else "it has no stop at the broker"
    what = f"exit of {goal.strategy} in {goal.instrument} waits, {kept}: {why}; look at the broker if it lasts"
    oms.alert(StateAlert.EXIT_WAITS, Severity.CRITICAL, goal.id, what)
    return oms.change_goal(goal, obstacle=why)


def _out(oms: OrderDecision, goal: Goal, key: NetKey) -> _Out:
    if not (orders := oms.open_orders(key)):
        return _NOTHING_OUT
    orders = [order for order in orders if order.strategy == goal.strategy]
    return _Out(
        [o for o in orders if not o.purpose.reduces and o.state in LIVE and o.state is not OrderState.INITIALIZED],
        [o for o in orders if o.purpose.reduces and (o.state in LIVE or o.filled_seen > o.filled)],
        any(o.filled_seen > o.filled for o in orders if not o.purpose.reduces),
    )


def _hurry(oms: OrderDecision, goal: Goal, order: Order) -> Goal:
    """Look after an exit that rests too long: one with a price is moved for a better one, a MARKET order is replaced,
    by a LIMIT if a price is known at which it trades. Stops and exits of goals that are done are cancelled."""
    rests = order.state in RESTING and order.filled_seen < order.quantity and not order.evidence.cancel.wanted
    if not rests or not exit_waits.has_calls(oms, goal):
        return goal
    rested = exit_waits.rested_ns(oms, goal, order)
    if order.links.goal != goal.id or order.purpose is Purpose.STOP:
        if rested >= oms.limits.exit_patience and _is_in_the_way(oms, goal, order):
            return _replace_exit(oms, goal, order, "replaced: rested too long for an exit")
        return goal
    if order.order_type is OrderType.MARKET:
        return _hurry_market(oms, goal, order, rested)
    if rested >= oms.limits.exit_patience and modify.did_nothing(order):
        return _replace_exit(oms, goal, order, "replaced: a change of its price did nothing")
    if order.evidence.modify.wanted or order.evidence.modify.not_before_machine_ns > oms.machine:
        return goal
    return _hurry_limit(oms, goal, order, rested) if goal.limit_only else _step_limit(oms, goal, order, rested)


def _is_in_the_way(oms: OrderDecision, goal: Goal, order: Order) -> bool:
    """True of a stop that no protection withdraws, and of another goal's exit that its own does not look after, or that
    has a price where this one has none."""
    if (
        order.purpose is Purpose.STOP
    ):  # its protection withdraws it; one without is of no use, but what could follow it?
        return order.owner not in oms.state.guarding and sendable_units(oms, goal) > 0
    own = oms.state.goals.get(order.links.goal)
    return own is None or own.state == "done" or (order.order_type is OrderType.LIMIT and not goal.price)


def _hurry_market(oms: OrderDecision, goal: Goal, order: Order, rested: int) -> Goal:
    if goal.price and not _is_hurried(oms, goal):
        return _replace_exit(oms, goal, order, "replaced: it rests, and a price is known at which it trades")
    patience = exit_waits.patience_ns(oms, goal)
    if rested < patience:
        unasked = not (goal.price or goal.unpriced_machine_ns)
        asks = unasked and rested >= patience - oms.limits.exit_price_patience
        return oms.change_goal(goal, unpriced_machine_ns=oms.machine) if asks else goal
    goal = oms.change_goal(goal, unpriced_machine_ns=0, kept=goal.kept + 1)
    return _replace_exit(oms, goal, order, "replaced: rested too long for an exit")


def _hurry_limit(oms: OrderDecision, goal: Goal, order: Order, rested: int) -> Goal:
    if not goal.price:
        return goal  # a price is on its way
    if exit_waits.is_better(order, goal.price):
        modify.request_terms(oms, order, OrderTerms(goal.price, 0.0, order.quantity))
        return oms.change_goal(goal, **exit_waits.counted(oms, goal))
    if goal.price != order.price:
        return exit_waits.keep_place(oms, goal, order)
    if rested < exit_waits.patience_ns(oms, goal):
        return goal
    return oms.change_goal(goal, price=0.0, unpriced_machine_ns=oms.machine)


def _step_limit(oms: OrderDecision, goal: Goal, order: Order, rested: int) -> Goal:
    """Move an exit by its step; after the last one MARKET takes its place."""
    if rested < oms.limits.exit_patience:
        return goal
    price = goal.price + goal.price_step * order.side.sign
    if goal.reprices >= oms.limits.exit_reprices or goal.price_step <= 0 or min(price, goal.price) <= 0:
        goal = oms.change_goal(goal, price=0.0, reprices=goal.reprices + 1)
        return _replace_exit(oms, goal, order, "replaced: rested too long for an exit with a price")
    modify.request_terms(oms, order, OrderTerms(round(price, 4), 0.0, order.quantity))
    calls = exit_waits.counted(oms, goal)
    return oms.change_goal(goal, price=round(price, 4), reprices=goal.reprices + 1, **calls)


def _replace_exit(oms: OrderDecision, goal: Goal, order: Order, why: str) -> Goal:
    entries.cancel_order(oms, order, why)
    return oms.change_goal(goal, **exit_waits.counted(oms, goal))


def _not_before(oms: OrderDecision, goal: Goal) -> int:
    ended = (OrderState.REJECTED, OrderState.DENIED, OrderState.RECORDED)
    failed = [order for order in slices.orders_by_id(oms, goal.order) if order.state in ended]
    if not failed or (goal.limit_only and failed[-1].order_type is OrderType.MARKET):
        return 0
    limits = oms.limits
    wait = limits.slow if goal.state == "stuck" else backoff(limits.exit_retry_first, limits.slow, goal.attempts)
    return max(max(order.call.ended_machine_ns, order.evidence.seen_machine_ns) for order in failed) + wait


def _is_hurried(oms: OrderDecision, goal: Goal) -> bool:
    """True if the exit goes as MARKET for all its price, since another goal of the same owner has none."""
    if not goal.price or goal.limit_only:
        return False
    return any(not other.price for other in entries.open_exit_goals(oms, goal.net, goal.strategy))


def build_exit_order(oms: OrderDecision, goal: Goal, position: Position, quantity: int) -> Order:
    """Build the order of a goal's next attempt for `quantity` units of a position; nothing is emitted."""
    attempt = goal.attempts + 1
    price = 0.0 if _is_hurried(oms, goal) else goal.price
    return Order(
        client_order_id=client_order_id(goal.account, goal.id, goal.purpose, goal.instrument, 0, attempt),
        account=goal.account, instrument=goal.instrument, product=goal.product, strategy=goal.strategy,
        run=position.run or goal.run, cause=goal.cause, purpose=goal.purpose,
        side=Side.SELL if position.quantity > 0 else Side.BUY, quantity=quantity,
        order_type=OrderType.LIMIT if price else OrderType.MARKET, price=price, state=OrderState.INITIALIZED,
        created_ns=oms.now, updated_ns=oms.now,
        call=PlacingCall(trace_ns=goal.trace_ns) if attempt == 1 and goal.trace_ns else NO_CALL,
        links=OrderLinks(goal=goal.id),
    )  # fmt: skip


def _overdue(oms: OrderDecision, goal: Goal, out: list[Order]) -> Goal:
    late = oms.machine - goal.opened_machine_ns >= oms.limits.exit_deadline
    if goal.state == "open" and (late or goal.attempts - goal.attempts_before >= oms.limits.exit_attempts):
        why = f"not flat after {goal.attempts} attempts; it is still being tried"
        if goal.elsewhere:
            why = f"orders without owner may close {goal.elsewhere} of it; cancel unwanted ones at the broker"
        elif held_bounds.units_held_back(oms, goal, oms.position(goal)):
            why = f"{held_bounds.describe_missing(oms, goal)}; look at the broker"
        elif entries.must_keep_stops(oms, goal.net, goal.strategy):
            why = f"the books of {goal.account} cannot be read, so its stop stays until they can; look at the broker"
        elif (doubt := next((order for order in out if order.state in UNRESOLVED), None)) is not None:
            cure = f"look at the broker, then `mytrading orders resolve {doubt.client_order_id}`"
            why = f"{describe_order(doubt)}, and no other is sent beside it; {cure}"
        return mark_stuck(oms, goal, why)
    return goal


def mark_stuck(oms: OrderDecision, goal: Goal, what: str) -> Goal:
    """Mark an exit goal stuck and alert once that an operator is needed; returns the goal, still retried slowly."""
    if goal.state == "stuck":
        return goal
    text = f"exit of {goal.strategy} in {goal.instrument}: {what}"
    oms.alert(StateAlert.GOAL_STUCK, Severity.CRITICAL, goal.id, text)
    return oms.change_goal(goal, state="stuck", message=what)
