"""Entries that an intent lacks in an account: judged by every rule, then ordered or denied.

Legs go together as `core/risk/entries/baskets` says. Each attempt at a leg has an id of its own, derived from the
intent, so that it is ordered once whatever is repeated, late or restarted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from msgspec.structs import replace

from mytrading.core.accounting.margin_tables import BrokerMargin
from mytrading.core.ids import content_id
from mytrading.core.orders.slicing import Unsliceable, slice_quantities
from mytrading.core.orders.state_machine import UNRESOLVED, describe_order
from mytrading.core.risk.entries.baskets import BasketMove, LegStatus, count_earlier_legs, next_basket_move
from mytrading.core.risk.entries.context_builder import ContextBuilder
from mytrading.core.risk.exits.price_levels import fix_levels
from mytrading.core.risk.limits.limits import Limits
from mytrading.core.risk.pretrade.context import Denial, PreTradeContext, is_expired
from mytrading.core.risk.pretrade.readiness import awaits_first_report, why_funds_unknown, why_not_ready
from mytrading.core.risk.pretrade.rule_table import find_denials, find_gated_denials, with_denial
from mytrading.core.risk.pretrade.stop_plan import StopLevels, plan_stop, stop_holder
from mytrading.core.risk.sizing.lots import side_of
from mytrading.core.risk.sizing.margin_check import MarginCheck, RequiredMargin
from mytrading.core.risk.sizing.sizer import SHORT_OF_MARGIN, Sizer, SizingResult
from mytrading.core.risk.state import orphan_hedges
from mytrading.core.risk.state.decision_rows import close_positions, risk_alert, withdraw_entries
from mytrading.core.risk.state.intent import Intent
from mytrading.core.risk.state.state import MACHINE_FLOOR_NS, BasketReserve, RiskState, is_stale
from mytrading.core.time import SECOND
from mytrading.messages.commands import ADJUSTMENT_BROKEN, BASKET_BROKEN, PlaceEntry, SignalDenied
from mytrading.messages.enums import OrderType, Severity
from mytrading.messages.journal_rows import IntentSized
from mytrading.messages.orders import Position
from mytrading.messages.run_config import OrphanLegs, StopPlan
from mytrading.messages.signals import Leg, Signal

BASKET_NS = 30 * SECOND
"""Time after its intent's expiry in which a basket that began may still order its other legs, by both clocks."""


class _Reserve(NamedTuple):
    """Reserve for the legs of a basket that are still to come: rupees, their instruments, and calls, these
    also for those beside."""

    margin: float = 0.0
    calls: int = 0
    legs: tuple[str, ...] = ()


class EntryPlanner:
    """Reads the state, changes nothing."""

    def __init__(self, state: RiskState, margins: MarginCheck, limits: Limits) -> None:
        self._state, self._environment = state, state.environment
        self._margins = margins
        self._cases = ContextBuilder(state, limits)
        self._sizer = Sizer(state, margins)

    def plan_entries(self, intent: Intent, account: str, now: int) -> list[Any]:
        """Return the rows that enter an intent in one account, or that size, deny or end it; [] if it must wait."""
        intent = intent.for_account(account)
        run = self._environment.strategies.get(intent.signal.strategy)
        orphans, tries = (run.orphan_legs, run.orphan_tries) if run is not None else (OrphanLegs.UNWIND, 0)
        legs = self._leg_statuses(intent, account)
        adjusts = bool(intent.signal.changes)
        late = (len(legs) > 1 or adjusts) and self.is_basket_late(intent.signal, now)
        move = next_basket_move(legs, orphans, tries, late=late, adjusts=adjusts)
        if move.broken:
            return self._break(intent, account, move.broken, now, unwind=move.unwind)
        judged = move.enter
        if judged and not self._cases.has_basket_begun(
            intent, account
        ):  # every leg is judged before the first goes out
            judged = tuple(leg.instrument for leg in legs if leg.is_orderable)
        for name in judged:
            if self._must_wait(name, account, intent, now):
                return []
        if not move.enter and (overtaken := self._overtaken(intent, account, now)) is not None:
            return [self._denied(intent, intent.legs[0].instrument, account, (overtaken,), now)]
        sized = self._sizer.size_legs(intent, account, now) if move.enter else SizingResult()
        if sized.denial is not None:
            return self._deny_unsized(intent, account, sized.denial, now)
        rows: list[Any] = []
        if sized.row is not None:
            rows.append(sized.row)
            intent = replace(intent, sized={**intent.sized, account: sized.row.lots})
            legs = self._leg_statuses(intent, account)
            move = next_basket_move(legs, orphans, tries, late=self.is_basket_late(intent.signal, now))
        return self._enter(intent, account, now, (legs, move), rows)

    def plan_adjustment(self, intent: Intent, account: str, now: int) -> list[Any]:
        """Return the row that admits an adjustment in an account, with all lots that are to be held there, or its
        denial, or questions to the broker; [] while it must wait. Nothing is ordered or closed before the whole has
        passed every rule."""
        signal, state, margins = intent.signal, self._state, self._margins
        lots = self._adjusted_lots(intent, account)
        if isinstance(lots, Denial):
            return [self._denied(intent, signal.changes[0].closes or signal.changes[0].opens, account, (lots,), now)]
        before = state.units_held(account, signal.strategy)
        after = {name: size for name, size in before.items() if name not in signal.closed_instruments}
        after |= {name: count * state.lot_of(name) for name, count in lots.items() if name in signal.opened_instruments}
        if bare := sorted(state.sold_legs_left_bare(before, after)):
            closed = ", ".join(sorted(signal.closed_instruments))
            what = f"{', '.join(bare)} is sold and would lose the cover of {closed}; close it too, or replace the cover"
            return [self._denied(intent, bare[0], account, (Denial("ADJUSTMENT_BARES", what),), now)]
        if bare := sorted(self._opened_bare(signal, after)):
            what = (
                f"{', '.join(bare)} would be sold without the bought leg that is to cover it, which is gone or being "
                f"closed in {account}; signal again with a cover"
            )
            return [self._denied(intent, bare[0], account, (Denial("ADJUSTMENT_BARES", what),), now)]
        admitted = IntentSized(signal=signal.id, account=account, lots=lots, why="as held and changed", at_ns=now)
        planned = replace(intent, sized={**intent.sized, account: lots}).for_account(account)
        opened = [leg for leg in planned.legs if leg.instrument in signal.opened_instruments]
        if not opened:
            return [admitted]
        if any(self._must_wait(leg.instrument, account, planned, now) for leg in opened):
            return []
        cases = [replace(self._cases.leg_context(planned, leg, account, now), begun=False) for leg in opened]
        cases = self._with_margin(cases, planned, account, now, admitted=False)
        denied = [(case.leg, found) for case in count_earlier_legs(cases) if (found := find_denials(case))]
        most = self._environment.tables.max_lots_per_leg
        denied += [
            (leg, (Denial("LOTS_PER_LEG", f"{abs(leg.lots)} lots of {leg.instrument}: at most {most} a leg"),))
            for leg in opened
            if abs(leg.lots) > most and self._is_contract(leg.instrument)
        ]
        made = (margins.margin_leg(case.leg.instrument, case.units, case.price, case.product) for case in cases)
        question = margins.ask_about_change(signal, account, [leg for leg in made if leg is not None])
        if question is not None and (not denied or self._is_for_the_broker([one for _, why in denied for one in why])):
            return question
        return [self._denied(intent, leg.instrument, account, reasons, now) for leg, reasons in denied] or [admitted]

    def _opened_bare(self, signal: Signal, after: dict[str, int]) -> set[str]:
        """The sold legs an adjustment opens that would lack cover it counts on: bought legs that it leaves as they are,
        and that are gone or being closed in the account. `after`: signed units held there after it, by name."""
        state = self._state
        lost = {
            leg.instrument: leg.lots * state.lot_of(leg.instrument)
            for leg in signal.legs
            if leg.lots > 0 and leg.instrument not in after and leg.instrument not in signal.opened_instruments
        }
        return state.sold_legs_left_bare({**after, **lost}, after) & signal.opened_instruments if lost else set()

    def _is_contract(self, name: str) -> bool:
        found = self._environment.instruments.get(name)
        return found is None or found.kind.is_derivative

    def _adjusted_lots(self, intent: Intent, account: str) -> dict[str, int] | Denial:
        """The lots of all legs in an account after an adjustment. A leg that replaces one which is not held there any
        more is not opened."""
        signal = intent.signal
        held = {leg.instrument: leg.lots for leg in intent.for_account(account).legs}
        held = {
            name: lots
            for name, lots in held.items()
            if self._state.units_of(signal.strategy, signal.watch, name, account)
        }
        wanted = {leg.instrument: leg.lots for leg in signal.legs}
        lots, applies = {name: count for name, count in held.items() if name not in signal.closed_instruments}, False
        for change in signal.changes:
            if change.closes and change.closes not in held:
                continue
            applies = True
            if change.opens:
                count = wanted[change.opens]
                same = abs(held[change.closes]) if change.same_size else abs(count)
                lots[change.opens] = same if count > 0 else -same
        if not applies:
            return Denial(
                "ADJUSTMENT_WAITS", f"{', '.join(sorted(signal.closed_instruments))} is not held any more in {account}"
            )
        return lots

    def _enter(
        self, intent: Intent, account: str, now: int, plan: tuple[tuple[LegStatus, ...], BasketMove], rows: list[Any]
    ) -> list[Any]:
        """Order what may be ordered now, after `rows`; every leg that is still wanted is judged."""
        legs, move = plan
        wanted = {leg.instrument for leg in legs if leg.is_orderable}
        begun, margins = self._cases.has_basket_begun(intent, account), self._margins
        cases, denied = self._judged(intent, account, now, wanted.intersection(move.enter) if begun else wanted)
        reasons = [one for _, found in denied for one in found]
        if begun and reasons and all(awaits_first_report(self._state, account, one.code) for one in reasons):
            return []  # risk has just started: that breaks nothing which is under way
        question: list[Any] | None = None
        if not begun and cases and self._environment.asks_broker:
            made = (margins.margin_leg(case.leg.instrument, case.units, case.price, case.product) for case in cases)
            question = margins.ask_broker(intent.signal.id, account, [leg for leg in made if leg is not None])
        if denied and (question is None or not self._is_for_the_broker(reasons)):
            rows = [self._denied(intent, leg.instrument, account, found, now) for leg, found in denied]
            if begun:  # one leg that is denied breaks the basket
                why = f"{rows[0].instrument} was denied: {denied[0][1][0].message}"
                rows += self._break(intent, account, why, now, unwind=True)
            return rows
        if question is not None:
            return self._sizer.rows_fixing_shared_lots(intent, rows) + question
        chosen = [case for case in cases if case.leg.instrument in move.enter]
        if not chosen:
            return []
        signal = intent.signal
        before = self._state.baskets.get((signal.strategy, signal.watch, account), BasketReserve()).margin
        whole = before if begun else sum(case.reserves for case in cases)
        margin = round(max(whole - sum(case.reserves for case in chosen), 0.0), 2)
        calls = {one.instrument: self._calls(one) for one in legs if one.is_orderable}
        later = tuple(sorted(calls.keys() - {case.leg.instrument for case in chosen}))
        for case in chosen:
            if calls.pop(case.leg.instrument, None) is not None:  # None: a leg before it has named the instrument
                rows += self._entry(intent, account, case, _Reserve(margin, sum(calls.values()), later))
        return rows

    def admitted_legs(self, intent: Intent, account: str, now: int) -> list[PreTradeContext] | None:
        """Return the contexts of all legs of an intent of which nothing was ordered; None unless every rule admits all
        of them as they are, now, and the broker is not asked for their margin."""
        if any(self._must_wait(leg.instrument, account, intent, now) for leg in intent.legs):
            return None
        if self._environment.asks_broker or any(self._sizer.size_legs(intent, account, now)):
            return None
        cases, denied = self._judged(intent, account, now, {leg.instrument for leg in intent.legs})
        return None if denied else cases

    def trial_context(self, intent: Intent, leg: Leg, account: str, now: int) -> PreTradeContext:
        """Return the context, margin included, of a leg of an intent that nobody gave: an order that is only judged."""
        case = self._cases.leg_context(intent, leg, account, now)
        return self._with_margin([case], intent, account, now)[0] if case.units else case

    def _judged(
        self, intent: Intent, account: str, now: int, wanted: set[str]
    ) -> tuple[list[PreTradeContext], list[tuple[Leg, tuple[Denial, ...]]]]:
        """The contexts of the wanted legs, and what denies any of them."""
        cases = [self._cases.leg_context(intent, leg, account, now) for leg in intent.legs if leg.instrument in wanted]
        cases = self._with_margin([case for case in cases if case.units], intent, account, now)
        return cases, [(case.leg, found) for case in count_earlier_legs(cases) if (found := find_denials(case))]

    def _is_for_the_broker(self, denials: Iterable[Denial]) -> bool:
        """True if only the table's margin denies legs, and the broker's figure would replace it."""
        return self._replaces_table and {denial.code for denial in denials} == {SHORT_OF_MARGIN}

    @property
    def _replaces_table(self) -> bool:
        """True if the broker's plausible answer counts in place of the table's figure."""
        return self._environment.tables.broker_margin is BrokerMargin.REPLACES

    def _with_margin(
        self, cases: list[PreTradeContext], intent: Intent, account: str, now: int, *, admitted: bool = True
    ) -> list[PreTradeContext]:
        """The cases with what they need of their account's margin, alone and together, and what is free there.

        An adjustment that was `admitted` needs no more: the whole was judged then, and reports of funds lag behind.
        """
        margins = self._margins
        legs, alone = [], []
        for case in cases:
            made = margins.margin_leg(case.leg.instrument, case.units, case.price, case.product)
            alone.append(margins.leg_margin(made, now) if made is not None else 0.0)
            if made is not None:
                legs.append(made)
        if not legs:
            return cases
        need = margins.required_margin(legs, intent.signal, account, now)
        if self._replaces_table and self._cases.has_basket_begun(intent, account):
            # the broker was asked for the whole basket: its later legs need what is left of that answer
            kept = self._state.baskets.get((intent.signal.strategy, intent.signal.watch, account), BasketReserve())
            if kept.margin:
                need = RequiredMargin(min(need.joint, kept.margin), min(need.buffered, kept.margin))
        if intent.signal.changes and admitted:
            need = RequiredMargin(need.joint, 0.0)
        free = margins.free_margin_for(account, legs, intent.signal)
        share = need.joint / (sum(alone) or 1.0)
        return [
            replace(case, margin=own, reserves=own * share, margin_needed=need.buffered, margin_free=free)
            for case, own in zip(cases, alone, strict=True)
        ]

    def _calls(self, leg: LegStatus) -> int:
        """Order calls that a leg still needs: one, or one for each slice."""
        missing, sizes = abs(leg.target - leg.held - leg.coming), self._environment.order_sizes(leg.instrument)
        try:
            return len(slice_quantities(missing, sizes)) if missing else 0
        except Unsliceable:
            return 1

    def plan_roll_entry(
        self, signal: Signal, account: str, rules: frozenset[str], now: int
    ) -> list[Any] | tuple[Denial, ...]:
        """Return the entry rows of a rollover's one-leg signal, or its denials; `rules`: only these codes can deny."""
        intent = Intent(signal=signal)
        (case,) = self._with_margin(
            [self._cases.leg_context(intent, signal.legs[0], account, now)], intent, account, now
        )
        denied = tuple(denial for denial in find_denials(case) if denial.code in rules)
        return denied or self._entry(intent, account, case, _Reserve())

    def _leg_statuses(self, intent: Intent, account: str) -> tuple[LegStatus, ...]:
        state, signal, found = self._state, intent.signal, []
        for leg in intent.legs:
            coming = state.pending_units(signal.strategy, leg.instrument, account)
            attempts, _ = state.next_entry(account, signal.id, leg.instrument)
            failed = attempts - bool(attempts and coming)
            stopped = orphan_hedges.stop_out_count(state, intent, account, leg.instrument) if intent.lost else 0
            held = state.units_of(signal.strategy, signal.watch, leg.instrument, account)
            wants = stopped or intent.orders_leg(leg, account)  # what an adjustment keeps is never ordered again
            found.append(
                LegStatus(
                    leg.instrument,
                    intent.lots(leg, account) * state.lot_of(leg.instrument) if wants else held,
                    held,
                    coming,
                    max(attempts, stopped),
                    max(failed, stopped),
                    stopped=stopped > 0,
                )
            )
        return tuple(found)

    def _must_wait(self, instrument: str, account: str, intent: Intent, now: int) -> bool:
        """True while an intent in time has no fresh quote, contracts or funds, or an older entry is being withdrawn."""
        signal, state, environment = intent.signal, self._state, self._environment
        if environment.instruments.get(instrument) is None or is_expired(signal, now, self._state.wait_machine_ns):
            return False
        patient = environment.lock_step or state.machine_ns < environment.patient_until
        if patient and why_not_ready(state, account):
            return True
        if environment.master is not None and environment.master.day != environment.today(now):
            return True
        if environment.order_refusal(instrument, now):
            return False
        if state.is_withdrawing(signal.strategy, instrument):
            return True
        if self._sizer.must_wait_for_funds(intent, account, now) or (
            environment.needs_funds and why_funds_unknown(state, account)
        ):
            return True
        quote = state.quotes.get(instrument)
        return (
            quote is None
            or instrument in state.unpriced
            or is_stale(quote, now, self._state.wait_machine_ns, environment.limits.stale_quote_seconds)
        )

    def _overtaken(self, intent: Intent, account: str, now: int) -> Denial | None:
        """Return why an intent of one leg that is over was not judged: an entry of an earlier one kept it waiting."""
        signal = intent.signal
        if len(intent.legs) != 1 or not is_expired(signal, now, self._state.wait_machine_ns):
            return None
        order = self._state.unresolved_entry(signal.strategy, intent.legs[0].instrument, account)
        if order is None or order.cause == signal.id:
            return None
        what = f"{describe_order(order)} and kept it waiting until it was too late"
        if order.state in UNRESOLVED:
            cure = f"look at the broker, then `mytrading orders resolve {order.client_order_id}`"
            return Denial("RESERVED", f"{what}; {cure}, with --not-placed if it is not there")
        return Denial("EXPIRED", f"{what}; it counts again when it is repeated")

    def deny_if_expired(self, why: str, intent: Intent, account: str, now: int) -> list[Any]:
        """Return a denial EXPIRED, with `why` the intent waited, if it expired before its first order; else []."""
        if not intent.legs or self.has_basket_begun(intent, account) or not self.is_expired(intent.signal, now):
            return []
        what = f"{why}: that kept it waiting until it was too late; it counts again when it is repeated"
        return [self._denied(intent, intent.legs[0].instrument, account, (Denial("EXPIRED", what),), now)]

    def is_expired(self, signal: Signal, now: int) -> bool:
        """True once a signal's expiry has passed by both market time (`now`) and machine time."""
        return is_expired(signal, now, self._state.wait_machine_ns)

    def is_basket_late(self, signal: Signal, now: int) -> bool:
        """True once a begun basket may order no further leg: some time (`BASKET_NS`) after its signal expired."""
        machine_ns = self._state.wait_machine_ns
        return now > signal.expires_ns + BASKET_NS and machine_ns > signal.expires_machine_ns + BASKET_NS

    def has_basket_begun(self, intent: Intent, account: str) -> bool:
        """True once a leg of a several-leg intent was ordered in an account, or while a sold leg is stopped out."""
        return self._cases.has_basket_begun(intent.for_account(account), account)

    def why_entries_blocked(self, account: str, now: int) -> str:
        """Return the first rule's reason why an account may enter nothing now, trading hours aside; else empty."""
        if found := find_gated_denials(self._cases.account_context(account, now)):
            return found[0].message
        unread = why_funds_unknown(self._state, account) if self._environment.needs_funds else ""
        return f"account {account}: {unread}" if unread else ""

    def _entry(self, intent: Intent, account: str, case: PreTradeContext, reserve: _Reserve) -> list[Any]:
        signal, leg, holder, stop = intent.signal, case.leg, stop_holder(case), plan_stop(case)
        levels = stop if isinstance(stop, StopLevels) else StopLevels(0.0, 0.0)
        at_broker = levels if holder is StopPlan.BROKER else StopLevels(0.0, 0.0)
        held_stop = levels.trigger if holder is StopPlan.ENGINE else 0.0
        sizes = self._environment.order_sizes(leg.instrument)
        grace = BASKET_NS if case.begun else 0
        floor = max(signal.expires_machine_ns + grace, self._state.machine_ns + MACHINE_FLOOR_NS)
        rests = leg.order_type is not OrderType.MARKET
        entry = PlaceEntry(
            id=self._state.next_entry(account, signal.id, leg.instrument)[1],
            account=account,
            instrument=leg.instrument,
            product=case.product,
            strategy=signal.strategy,
            run=self._state.run_of(signal.strategy) or content_id("run", signal.strategy, signal.id),
            cause=signal.id,
            side=side_of(case.units),
            quantity=abs(case.units),
            expires_ns=signal.expires_ns + grace,
            expires_machine_ns=0 if self._environment.lock_step else floor,
            reference_price=case.price,
            trace_ns=signal.trace_ns,
            lot=sizes.lot,
            freeze=sizes.freeze,
            margin=round(case.reserves, 2),
            basket_margin=reserve.margin,
            basket_calls=reserve.calls,
            basket_legs=reserve.legs,
            stop_trigger=at_broker.trigger,
            stop_limit=at_broker.limit,
            held_stop=held_stop,
            held_target=0.0 if case.is_hedge else leg.target_price,
            order_type=leg.order_type,
            price=leg.limit_price if rests else 0.0,
            trigger_price=leg.trigger_price if leg.order_type is OrderType.SL else 0.0,
            rests_until_ns=case.now + round(leg.valid_seconds * 1e9) if rests and leg.valid_seconds else 0,
        )
        return [entry, *fix_levels(self._state, entry, 0.0 if case.is_hedge else held_stop, case.now)]

    def _deny_unsized(self, intent: Intent, account: str, denial: Denial, now: int) -> list[Any]:
        """No lots can be had: denied beside what all other rules deny of the least that could be had."""
        least = self._sizer.with_smallest_lots(intent, account) if denial.code == SHORT_OF_MARGIN else intent
        cases = [self._cases.leg_context(least, leg, account, now) for leg in intent.legs]
        cases = self._with_margin([case for case in cases if case.units], least, account, now)
        rows: list[Any] = [
            self._denied(intent, case.leg.instrument, account, with_denial(find_denials(case), denial), now)
            for case in cases
        ]
        return rows or [self._denied(intent, intent.legs[0].instrument, account, (denial,), now)]

    def _break(self, intent: Intent, account: str, why: str, now: int, *, unwind: bool) -> list[Any]:
        """Give an account's basket up: withdraw what is on its way and, if so wanted, close what is held or fills."""
        state, signal = self._state, intent.signal
        if signal.changes and not any(where == account for where, _, _ in intent.lost):
            return self._break_adjustment(intent, account, why, now)
        run = self._environment.strategies.get(signal.strategy)
        unwinds = unwind and (run is None or run.orphan_legs is not OrphanLegs.REPORT)
        live = [o for o in state.live_entries(signal.strategy, signal.watch) if o.account == account]
        held = [p for p in state.positions_for(signal.strategy, signal.watch) if p.account == account]
        denial = self._denied(intent, intent.legs[0].instrument, account, (Denial(BASKET_BROKEN, why),), now)
        # where no leg is at the broker nothing is left half done
        severity = Severity.CRITICAL if live or any(p.open_units for p in held) else Severity.WARNING
        text = f"{signal.strategy} in {account}: {why}"
        return [
            *withdraw_entries(state, live, signal.id),
            *close_positions(state, held if unwinds else (), signal.id, why, signal.trace_ns),
            replace(denial, unwinds=unwinds),
            risk_alert(BASKET_BROKEN, severity, f"{signal.id}/{account}", text, now),
        ]

    def _break_adjustment(self, intent: Intent, account: str, why: str, now: int) -> list[Any]:
        """Take an adjustment back in an account: withdraw what is on its way, close what it opened unless that covers a
        sold leg, and say what became of the position."""
        state, signal = self._state, intent.signal
        live = (o for o in state.live_entries(signal.strategy, signal.watch) if o.account == account)
        mine = [p for p in state.positions.of_strategy(signal.strategy) if p.account == account]
        gone = {p.instrument for p in mine if p.owner in state.closing or not p.open_units} & signal.closed_instruments
        units, opened, kept = state.units_held(account, signal.strategy), list[Position](), list[str]()
        for position in mine:
            name = position.instrument
            if name in signal.opened_instruments and position.open_units:
                if state.sold_legs_needing(units, name):
                    kept.append(name)
                    continue
                units.pop(name, None)
                opened.append(position)
        left = f"{', '.join(sorted(gone))} is closed" if gone else "what was held stays"
        left += f", {', '.join(kept)} was bought and stays, since it covers what is sold" if kept else ""
        text = f"{signal.strategy} in {account}: the change of legs was not carried out: {why}; {left}, with its stops"
        denial = self._denied(
            intent,
            intent.signal.entry_legs[0].instrument if signal.opened_instruments else "",
            account,
            (Denial(ADJUSTMENT_BROKEN, why),),
            now,
        )
        return [
            *withdraw_entries(state, live, signal.id),
            *close_positions(state, opened, signal.id, why, signal.trace_ns),
            replace(denial, unwinds=True),
            risk_alert(ADJUSTMENT_BROKEN, Severity.CRITICAL, f"{signal.id}/{account}", text, now),
        ]

    def lacks_cover(self, intent: Intent, account: str) -> bool:
        """True while bought legs that an adjustment opens are still to come and anything is sold: nothing is closed
        before they are held."""
        if account in intent.ended:
            return False
        legs = self._leg_statuses(intent.for_account(account), account)
        coming = any(leg.target > 0 and not leg.is_complete for leg in legs)
        return coming and self._state.has_short_exposure(account, intent.signal.strategy, intent)

    def _denied(
        self, intent: Intent, instrument: str, account: str, denials: tuple[Denial, ...], now: int
    ) -> SignalDenied:
        return SignalDenied(
            signal=intent.signal.id,
            strategy=intent.signal.strategy,
            code=denials[0].code,
            message="; ".join(denial.message for denial in denials),
            codes=tuple(denial.code for denial in denials),
            at_ns=now,
            instrument=instrument,
            account=account,
            value=denials[0].value,
            limit=denials[0].limit,
        )

    def deny_account_as_expired(self, intent: Intent, account: str, now: int) -> SignalDenied:
        """Return the denial EXPIRED of an intent that waited too long for a closing position of the account."""
        why = Denial("EXPIRED", "what is being closed first kept it waiting until it was too late")
        return self._denied(intent, intent.legs[0].instrument, account, (why,), now)
