"""Entries: what one account still lacks of a wish, judged by every rule, ordered or denied.

Used by `core/risk`. The legs of an account go together as `core/baskets` says: hedges first, and when one cannot be
had the others are taken back or left, as the strategy's `orphan_legs` wants it. The one rule: each attempt at a leg
has an id of its own, derived from the wish, so that it is ordered once whatever is repeated, late or restarted.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec.structs import replace

from mytrading.core import leg_targets
from mytrading.core.baskets import LegStanding, Move, next_move
from mytrading.core.identity import content_id
from mytrading.core.order import UNRESOLVED, in_words
from mytrading.core.risk import orphans as risk_orphans
from mytrading.core.risk import stops as risk_stops
from mytrading.core.risk.books import MACHINE_FLOOR_NS, NOTHING_WAITS
from mytrading.core.risk.case import Case, Denial, expired, stale
from mytrading.core.risk.cases import Cases
from mytrading.core.risk.closing import BROKEN, Closing
from mytrading.core.risk.limits import Limits
from mytrading.core.risk.margin import Margins
from mytrading.core.risk.readiness import funds_unread, not_ready
from mytrading.core.risk.rules.table import judge, judge_given, with_denial
from mytrading.core.risk.scene import Scene
from mytrading.core.risk.sizing import SHORT_OF_MARGIN, Sized, Sizer
from mytrading.core.risk.state import RiskState
from mytrading.core.risk.times import SECOND
from mytrading.core.risk.together import together
from mytrading.core.risk.wish import Wish
from mytrading.core.sizing import side_of
from mytrading.core.slicing import Unsliceable, slices
from mytrading.core.stop_plan import Levels, stop_of, who_holds
from mytrading.messages.commands import PlaceEntry, SignalDenied, SignalExpired
from mytrading.messages.control import Alert
from mytrading.messages.enums import OrderType, Severity
from mytrading.messages.runconfig import OrphanLegs, StopPlan
from mytrading.messages.signals import Leg, Signal

BASKET_NS = 30 * SECOND
"""How long after its wish has expired a basket that began may still order its other legs, in both times."""


class _Kept(NamedTuple):
    """What stays reserved for the legs of a basket that are still to come: rupees, their instruments, and calls, these
    also for those beside."""

    margin: float = 0.0
    calls: int = 0
    legs: tuple[str, ...] = ()


_NOTHING = _Kept()


class Entries:
    """Asks the state, changes nothing."""

    def __init__(self, state: RiskState, scene: Scene, closing: Closing, margins: Margins, limits: Limits) -> None:
        self._state = state
        self._scene = scene
        self._closing = closing
        self._margins = margins
        self._cases = Cases(state, scene, limits)
        self._sizer = Sizer(state, scene, margins)

    @property
    def machine_ns(self) -> int:
        """Machine time as the cases have it."""
        return self._cases.machine_ns

    def enter(self, wish: Wish, account: str, now: int) -> list[Any]:
        """What follows for one account: entries, or a denial that says why there are none."""
        wish = wish.in_account(account)
        run = self._scene.strategies.get(wish.signal.strategy)
        orphans, tries = (run.orphan_legs, run.orphan_tries) if run is not None else (OrphanLegs.UNWIND, 0)
        legs = self._standings(wish, account)
        move = next_move(legs, orphans, tries, late=len(legs) > 1 and self.is_basket_late(wish.signal, now))
        if move.broken:
            return self._break(wish, account, move.broken, now, unwind=move.unwind)
        for name in move.enter:
            if self._must_wait(name, account, wish, now):
                return []
        if not move.enter and (kept := self._kept_waiting(wish, account, now)) is not None:
            return [self._denied(wish, wish.legs[0].instrument, account, (kept,), now)]
        sized = self._sizer.size(wish, account, now) if move.enter else Sized()
        if sized.denial is not None:
            return self._unsized(wish, account, sized.denial, now)
        if sized.row is not None:
            wish = replace(wish, sized={**wish.sized, account: sized.row.lots})
            legs = self._standings(wish, account)
            move = next_move(legs, orphans, tries, late=self.is_basket_late(wish.signal, now))
            return self._enter(wish, account, now, (legs, move), [sized.row])
        return self._enter(wish, account, now, (legs, move), [])

    def _enter(
        self, wish: Wish, account: str, now: int, plan: tuple[tuple[LegStanding, ...], Move], rows: list[Any]
    ) -> list[Any]:
        """Order what may be ordered now, after `rows`; every leg that is still wanted is judged."""
        legs, move = plan
        if len(legs) == 1 and move.enter and not wish.lost:
            return self._enter_alone(wish, account, now, rows)
        wanted = {leg.instrument for leg in legs if leg.open}
        begun = self._cases.begun(wish, account)
        cases = [
            (leg, self._cases.case(wish, leg, account, now))
            for leg in wish.legs
            if leg.instrument in wanted and (not begun or leg.instrument in move.enter)
        ]
        cases = self._with_margin([(leg, case) for leg, case in cases if case.units], wish, account, now)
        denied = [(leg, found) for leg, case in together(cases) if (found := judge(case))]
        if denied:
            return self._deny(wish, account, denied, now, begun=begun)
        if not begun and (asking := self._question(cases, wish, account)) is not None:
            return self._sizer.shared_rows(wish, rows) + asking
        chosen = [(leg, case) for leg, case in cases if leg.instrument in move.enter]
        if not chosen:
            return []
        margin = self._kept(wish, account, cases, chosen, begun=begun)
        calls = {one.instrument: self._calls(one) for one in legs if one.open}
        later = tuple(sorted(calls.keys() - {leg.instrument for leg, _ in chosen}))
        for leg, case in chosen:
            if calls.pop(leg.instrument, None) is not None:  # None: a leg before it has named the instrument
                rows += self._entry(wish, leg, account, case, _Kept(margin, sum(calls.values()), later))
        return rows

    def _enter_alone(self, wish: Wish, account: str, now: int, rows: list[Any]) -> list[Any]:
        """Order the leg of a wish that has one, after `rows`: nothing stays reserved for others."""
        leg = wish.legs[0]
        case = self._cases.case(wish, leg, account, now)
        if not case.units:
            return []
        cases = self._with_margin([(leg, case)], wish, account, now)
        case = cases[0][1]
        if found := judge(case):
            return self._deny(wish, account, [(leg, found)], now, begun=False)
        if (asking := self._question(cases, wish, account)) is not None:
            return self._sizer.shared_rows(wish, rows) + asking
        return rows + self._entry(wish, leg, account, case, _NOTHING)

    def _with_margin(self, cases: list[tuple[Leg, Case]], wish: Wish, account: str, now: int) -> list[tuple[Leg, Case]]:
        """The cases with what they need of their account's margin, alone and together, and what is free there."""
        margins = self._margins
        legs, alone = [], []
        for leg, case in cases:
            made = margins.leg(leg.instrument, case.units, case.price, case.product)
            alone.append(margins.alone(made, now) if made is not None else 0.0)
            if made is not None:
                legs.append(made)
        if not legs:
            return cases
        need = margins.needed(legs, wish.signal, account, now)
        free = margins.free(account, legs, wish.signal)
        share = need.joint / (sum(alone) or 1.0)
        found = []
        for (leg, case), own in zip(cases, alone, strict=True):
            found.append((leg, replace(
                case, margin=own, reserves=own * share, margin_needed=need.buffered, margin_free=free,
                may_ask=need.may_ask,
            )))  # fmt: skip
        return found

    def _kept(
        self,
        wish: Wish,
        account: str,
        cases: list[tuple[Leg, Case]],
        chosen: list[tuple[Leg, Case]],
        *,
        begun: bool,
    ) -> float:
        """Rupees that stay reserved for the legs still to come, once those chosen are ordered."""
        signal = wish.signal
        before = self._state.baskets.get((signal.strategy, signal.watch, account), NOTHING_WAITS).margin
        whole = before if begun else sum(case.reserves for _, case in cases)
        return round(max(whole - sum(case.reserves for _, case in chosen), 0.0), 2)

    def _calls(self, leg: LegStanding) -> int:
        """Order calls that a leg still needs: one, or one for each slice."""
        missing, sizes = abs(leg.target - leg.held - leg.coming), self._scene.sizes(leg.instrument)
        try:
            return len(slices(missing, sizes)) if missing else 0
        except Unsliceable:
            return 1

    def _question(self, cases: list[tuple[Leg, Case]], wish: Wish, account: str) -> list[Any] | None:
        """A question to the broker what the legs need, nothing while it may answer; None once that is over."""
        signal = wish.signal
        if not cases or not cases[0][1].may_ask:
            return None
        made = (self._margins.leg(leg.instrument, case.units, case.price, case.product) for leg, case in cases)
        legs = [leg for leg in made if leg is not None]
        if (question := self._margins.question(signal.id, account, legs)) is not None:
            return [question]
        return [] if self._margins.is_asking(signal.id, account, legs) else None

    def for_roll(self, signal: Signal, account: str, rules: frozenset[str], now: int) -> list[Any] | tuple[Denial, ...]:
        """The entry of a wish of one leg that some rules alone may deny, or why they do."""
        wish, leg = Wish(signal=signal), signal.legs[0]
        ((_, case),) = self._with_margin([(leg, self._cases.case(wish, leg, account, now))], wish, account, now)
        denied = tuple(denial for denial in judge(case) if denial.code in rules)
        return denied or self._entry(wish, leg, account, case, _Kept())

    def _standings(self, wish: Wish, account: str) -> tuple[LegStanding, ...]:
        if len(wish.legs) == 1:
            return (self._standing(wish, wish.legs[0], account),)
        return tuple(self._standing(wish, leg, account) for leg in wish.legs)

    def _standing(self, wish: Wish, leg: Leg, account: str) -> LegStanding:
        state, signal = self._state, wish.signal
        coming = state.coming_units(signal.strategy, leg.instrument, account)
        attempts = state.attempts(account, signal.id, leg.instrument)
        failed = attempts - bool(attempts and coming)
        stopped = risk_orphans.losses(state, wish, account, leg.instrument) if wish.lost else 0
        return LegStanding(
            leg.instrument,
            wish.lots(leg, account) * self._scene.lot_of(leg.instrument),
            state.units_of(signal.strategy, signal.watch, leg.instrument, account),
            coming,
            max(attempts, stopped),
            max(failed, stopped),
            stopped=stopped > 0,
        )

    def _kept_waiting(self, wish: Wish, account: str, now: int) -> Denial | None:
        """Why a wish of one leg that is over was not judged: an entry of an earlier one kept it waiting to the end."""
        signal = wish.signal
        if len(wish.legs) != 1 or not expired(signal, now, self.machine_ns):
            return None
        order = self._state.doubted_entry(signal.strategy, wish.legs[0].instrument, account)
        if order is None or order.cause == signal.id:
            return None
        what = f"{in_words(order)} and kept it waiting until it was too late"
        if order.state in UNRESOLVED:
            cure = f"look at the broker, then `mytrading orders resolve {order.client_order_id}`"
            return Denial("RESERVED", f"{what}; {cure}, with --not-placed if it is not there")
        return Denial("EXPIRED", f"{what}; it counts again when it is repeated")

    def kept_by(self, why: str, wish: Wish, account: str, now: int) -> list[Any]:
        """Nothing while a wish in time waits for the end of a doubt; then that it was too late for it, and why.

        A basket that began waits on: it is ordered or broken once the doubt is over.
        """
        if not wish.legs or self.has_begun(wish, account) or not expired(wish.signal, now, self.machine_ns):
            return []
        what = f"{why}: that kept it waiting until it was too late; it counts again when it is repeated"
        return [self._denied(wish, wish.legs[0].instrument, account, (Denial("EXPIRED", what),), now)]

    def closed(self, account: str, now: int) -> str:
        """Why every entry of an account is denied now but for trading hours, by the first rule; empty if none is."""
        if found := judge_given(self._cases.of_account(account, now)):
            return found[0].message
        scene = self._scene
        unread = funds_unread(self._state, account, scene.funds_stale) if scene.needs_funds else ""
        return f"account {account}: {unread}" if unread else ""

    def has_begun(self, wish: Wish, account: str) -> bool:
        """True once a leg of several was ordered in an account."""
        return self._cases.begun(wish.in_account(account), account)

    def is_basket_late(self, signal: Signal, now: int) -> bool:
        """True once a basket that began may order nothing more."""
        return now > signal.expires_ns + BASKET_NS and self.machine_ns > signal.expires_machine_ns + BASKET_NS

    def _must_wait(self, instrument: str, account: str, wish: Wish, now: int) -> bool:
        """True while a wish is in time but has no fresh quote yet, or an entry of an older wish is being withdrawn.

        The quote was asked for, so it is on its way; so are, on the turn of a day, the day's instruments, and after a
        start the account's funds. What is refused today waits for nothing.
        """
        signal = wish.signal
        scene = self._scene
        if scene.instruments.get(instrument) is None or expired(signal, now, self.machine_ns):
            return False
        patient = self._scene.lock_step or self._state.machine_ns < self._scene.patient_until
        if patient and not_ready(self._state, account):
            return True
        if self._scene.master is not None and self._scene.master.day != self._scene.today(now):
            return True
        if self._scene.refusal(instrument, now):
            return False
        if self._state.is_withdrawing(signal.strategy, instrument):
            return True
        if self._sizer.waits(wish, account, now) or (scene.needs_funds and not self._margins.is_told(account)):
            return True
        quote = self._state.quotes.get(instrument)
        return quote is None or stale(quote, now, self.machine_ns, self._scene.limits.stale_quote_seconds)

    def _entry(self, wish: Wish, leg: Leg, account: str, case: Case, kept: _Kept) -> list[Any]:
        signal, holder, stop = wish.signal, who_holds(case), stop_of(case)
        levels = stop if isinstance(stop, Levels) else Levels(0.0, 0.0)
        at_broker = levels if holder is StopPlan.BROKER else Levels(0.0, 0.0)
        sizes = self._scene.sizes(leg.instrument)
        grace = BASKET_NS if case.begun else 0
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
            expires_machine_ns=self._floor(signal, grace),
            reference_price=case.price,
            trace_ns=signal.trace_ns,
            lot=sizes.lot,
            freeze=sizes.freeze,
            margin=round(case.reserves, 2),
            basket_margin=kept.margin,
            basket_calls=kept.calls,
            basket_legs=kept.legs,
            stop_trigger=at_broker.trigger,
            stop_limit=at_broker.limit,
            order_type=leg.order_type,
            price=leg.limit_price if rests else 0.0,
            trigger_price=leg.trigger_price if leg.order_type is OrderType.SL else 0.0,
            rests_until_ns=case.now + round(leg.valid_seconds * 1e9) if rests and leg.valid_seconds else 0,
        )  # fmt: skip
        level = levels.trigger if holder is StopPlan.ENGINE else 0.0
        if level:
            entry = replace(entry, held_stop=level)
        if leg.target_price and not case.is_hedge:
            entry = replace(entry, held_target=leg.target_price)
        target = leg_targets.hold(self._state, entry, case.now)
        armed = 0.0 if case.is_hedge else level
        return [entry, *target, *risk_stops.hold(self._state, entry, armed, case.now)]

    def _floor(self, signal: Signal, grace: int) -> int:
        """Machine time that an entry lives at least; none in lock-step."""
        if self._scene.lock_step:
            return 0
        return max(signal.expires_machine_ns + grace, self._state.machine_ns + MACHINE_FLOOR_NS)

    # refusals

    def _unsized(self, wish: Wish, account: str, denial: Denial, now: int) -> list[Any]:
        """No lots can be had: said in its place beside what all other rules say, of the least that could be had."""
        least = self._sizer.least(wish, account) if denial.code == SHORT_OF_MARGIN else wish
        cases = [(leg, self._cases.case(least, leg, account, now)) for leg in wish.legs]
        cases = self._with_margin([(leg, case) for leg, case in cases if case.units], least, account, now)
        rows: list[Any] = [
            self._denied(wish, leg.instrument, account, with_denial(judge(case), denial), now) for leg, case in cases
        ]
        return rows or [self._denied(wish, wish.legs[0].instrument, account, (denial,), now)]

    def _deny(
        self, wish: Wish, account: str, denied: list[tuple[Leg, tuple[Denial, ...]]], now: int, *, begun: bool
    ) -> list[Any]:
        """A denial for each leg; in a basket that began, one leg that is denied breaks it."""
        rows: list[Any] = [self._denied(wish, leg.instrument, account, found, now) for leg, found in denied]
        if not begun:
            return rows
        leg, found = denied[0]
        return [
            *rows,
            *self._break(wish, account, f"{leg.instrument} was denied: {found[0].message}", now, unwind=True),
        ]

    def _break(self, wish: Wish, account: str, why: str, now: int, *, unwind: bool) -> list[Any]:
        """Give an account's basket up: what is on its way is withdrawn, what is held closed if so wanted.

        What is filled after this, late, is closed as well: the wish has no room for it any more.
        """
        state, signal = self._state, wish.signal
        run = self._scene.strategies.get(signal.strategy)
        unwinds = unwind and (run is None or run.orphan_legs is not OrphanLegs.REPORT)
        live = (o for o in state.live_entries(signal.strategy, signal.watch) if o.account == account)
        held = (p for p in state.held(signal.strategy, signal.watch) if p.account == account and unwinds)
        denial = self._denied(wish, wish.legs[0].instrument, account, (Denial(BROKEN, why),), now)
        return [
            *self._closing.withdraw(live, signal.id),
            *self._closing.close_all(held, signal.id, why, signal.trace_ns),
            replace(denial, unwinds=unwinds),
            _alarm(signal, account, f"{signal.strategy} in {account}: {why}", now),
        ]

    def _denied(self, wish: Wish, instrument: str, account: str, denials: tuple[Denial, ...], now: int) -> SignalDenied:
        return SignalDenied(
            signal=wish.signal.id,
            strategy=wish.signal.strategy,
            code=denials[0].code,
            message="; ".join(denial.message for denial in denials),
            codes=tuple(denial.code for denial in denials),
            at_ns=now,
            instrument=instrument,
            account=account,
        )

    def left_out(self, wish: Wish, account: str, now: int) -> SignalDenied:
        """The wish is over in an account in which something was being closed all the while."""
        why = Denial("EXPIRED", "what is being closed first kept it waiting until it was too late")
        return self._denied(wish, wish.legs[0].instrument, account, (why,), now)

    def too_late(self, wish: Wish, now: int) -> SignalExpired:
        """The wish is over and was not judged."""
        signal = wish.signal
        return SignalExpired(signal=signal.id, strategy=signal.strategy, at_ns=now, expired_ns=signal.expires_ns)


def _alarm(signal: Signal, account: str, what: str, now: int) -> Alert:
    return Alert(
        code=BROKEN,
        severity=Severity.CRITICAL,
        subject=f"{signal.id}/{account}",
        message=what,
        daemon="risk",
        first_ns=now,
        last_ns=now,
    )
