"""Futures that near their expiry move to the next contract: the same side and quantity, one leg after the other.

A roll is a row, so a restart goes on where it was; its orders have ids derived from it. While it is under way the
intent behind the position rests, unless that wants something else: then the roll is given up. The second leg is
ordered only once the broker shows the first one done.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import count
from typing import Any, NamedTuple

from msgspec.structs import replace

from mytrading.core.calendar import Calendar
from mytrading.core.ids import client_order_id, content_id
from mytrading.core.risk.entries.entry_planner import EntryPlanner
from mytrading.core.risk.limits.limits import Limits
from mytrading.core.risk.pretrade.context import Denial
from mytrading.core.risk.pretrade.readiness import why_not_ready
from mytrading.core.risk.state.decision_rows import alert_once, close_position, goal_id, risk_alert, withdraw_entries
from mytrading.core.risk.state.intent import Intent
from mytrading.core.risk.state.state import RiskState
from mytrading.core.time import MINUTE, SECOND
from mytrading.messages.commands import PlaceEntry
from mytrading.messages.enums import Action, Confidence, Product, Purpose, Severity, TradingLevel
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.journal_rows import Rolled
from mytrading.messages.keys import OwnerKey
from mytrading.messages.orders import Position
from mytrading.messages.run_config import RollRule
from mytrading.messages.signals import Leg, Signal

CODE = "ROLL_OVER"
TRIES = 5
ORDER_NS = 30 * SECOND
QUOTE_PATIENCE_NS = 120 * SECOND
"""Market time in which the first quotes of the next contract, just requested, are on their way."""
PATIENCE_NS = 120 * SECOND
"""Market time from the moment at which rolls begin in which a server or book that is not ready yet is not reported."""
_ON_ITS_WAY = frozenset({"NO_QUOTE", "STALE_QUOTE", "STOP_LEVEL"})
NEEDED = frozenset(
    {
        "NOT_READY", "WRONG_MODE", "STOPPING", "HALTED", "REDUCING", "DISK_LOW", "INSTRUMENT_HALTED",
        "POSITION_IN_DOUBT", "UNKNOWN_INSTRUMENT", "INSTRUMENTS_REFUSED", "WHOLE_LOTS", "FREEZE", "NO_QUOTE",
        "STALE_QUOTE", "STOP_LEVEL", "MARKET_CLOSED", "OPPOSED", "IMPLAUSIBLE_QUOTE", "PRICE_COLLAR", "PRICE_BAND",
        "MARGIN_UNKNOWN", "INSUFFICIENT_MARGIN", "RESERVED",
    }
)  # fmt: skip
"""Rules that hold for a roll too: it is no new risk, so limits of sizes, counts and times do not."""


def trading_days_left(calendar: Calendar, exchange: str, today: date, expiry: str, most: int) -> int:
    """Trading days after `today` up to and with the expiry; `most` + 1 where there are more than `most`."""
    last, count = date.fromisoformat(expiry), 0
    while today < last and count <= most:
        today = calendar.next_trading_day(exchange, today)
        count += today <= last
    return count


class RollBlocker(NamedTuple):
    """Obstacle to a roll: its kind (level, limit, readiness or position), and why.

    One that `passes` by itself is reported once it lasts.
    """

    kind: str
    why: str
    passes: bool = False


class Rollover:
    """Reads the state, changes nothing."""

    def __init__(self, state: RiskState, entries: EntryPlanner, limits: Limits) -> None:
        self._state, self._environment = state, state.environment
        self._entries, self._limits = entries, limits

    def is_rolling(self, intent: Intent) -> bool:
        """True while positions of this intent's strategy and watched instrument roll to the next contract."""
        key = (intent.signal.strategy, intent.signal.watch)
        return any((roll.strategy, roll.watch) == key and not self._unwanted(roll) for roll in self._under_way())

    def wanted_contracts(self) -> set[str]:
        """Return the contracts that unfinished rolls move into, whose quotes are needed."""
        return {roll.far for roll in self._under_way()}

    def on_time(self, now: int) -> list[Any]:
        """Return rows that advance unfinished rolls and begin those that are due; called as the clock advances."""
        rows = [row for roll in list(self._under_way()) for row in self._go_on(roll, now)]
        return [*rows, *(row for position in self._state.open_positions() for row in self._begin(position, now))]

    def _under_way(self) -> Iterator[Rolled]:
        return (roll for roll in self._state.rolls.values() if roll.phase == "begun")

    def redirect_to_next_contract(self, intent: Intent, account: str, now: int) -> list[Any]:
        """Return rows moving an intent's legs to the next contract where theirs is due to be rolled; [] if none is."""
        signal, rule = intent.signal, self._rule(intent.signal.strategy)
        if rule is None or account in intent.spent:
            return []
        rows: list[Any] = []
        for leg in intent.for_account(account).legs:
            near, product = self._environment.instruments.get(leg.instrument), signal.product_of(leg)
            if near is None or product is Product.MIS or not self._is_near(near, rule, now):
                continue
            held = self._state.units_of(signal.strategy, signal.watch, near.id, account)
            if held or self._state.pending_units(signal.strategy, near.id, account):
                continue
            if (far := self._next(near)) is not None:
                rows.append(
                    Rolled(
                        cause=content_id("ahead", account, signal.strategy, near.id, self._environment.today(now)),
                        account=account,
                        strategy=signal.strategy,
                        product=product,
                        near=near.id,
                        far=far.id,
                        quantity=0,
                        watch=signal.watch,
                        phase="done",
                        at_ns=now,
                    )
                )
        return rows

    def _is_near(self, near: Instrument, rule: RollRule, now: int) -> bool:
        """True of a future that expires within the days of the rule."""
        calendar = self._environment.calendar
        if near.kind is not InstrumentKind.FUT or near.exchange not in calendar.exchanges:
            return False
        left = trading_days_left(calendar, near.exchange, calendar.trading_day(now), near.expiry, rule.days)
        return left <= rule.days

    def _begin(self, position: Position, now: int) -> list[Any]:
        near, rule = self._environment.instruments.get(position.instrument), self._rule(position.strategy)
        if near is None or rule is None or not self._is_due(position, near, rule, now):
            return []
        key = position.owner
        before = self._state.rolls.get(key)
        if before is not None and self._environment.today(before.at_ns) == self._environment.today(now):
            return []
        if blocker := self._blocker(position):
            young = self._state.machine_ns < self._environment.patient_until
            if blocker.passes and (young or now < self._first_ns(near.exchange, now) + PATIENCE_NS):
                return []
            name = _blocker_name(position, blocker.kind, self._environment.today(now))
            what = f"the roll over of {near.id} in {position.account} is due and does not begin: {blocker.why}"
            alert = risk_alert(CODE, Severity.WARNING, _subject(position), what, now)
            return alert_once(self._state, name, float(position.quantity), alert)
        far = self._next(near)
        cause = content_id("roll", *key, position.opened_ns, self._environment.today(now))
        roll = Rolled(
            cause=cause,
            goal=goal_id(key, position.opened_ns, cause),
            account=position.account,
            strategy=position.strategy,
            product=position.product,
            near=near.id,
            far=far.id if far is not None else "",
            quantity=position.quantity,
            base=self._held(position.owner._replace(instrument=far.id)) if far is not None else 0,
            watch=self._state.watch_of(position),
            run=position.run,
            first=rule.first,
            at_ns=now,
        )
        if far is None or far.lot_size <= 0 or position.quantity % far.lot_size:
            why = "no later contract is listed" if far is None else f"{position.quantity} units are no whole lots there"
            return self._give_up(roll, why, now)
        return [roll]

    def _is_due(self, position: Position, near: Instrument, rule: RollRule, now: int) -> bool:
        """True of an overnight position near its expiry that nothing closes, in session past its first minutes."""
        if position.product is Product.MIS or not position.quantity:
            return False
        if position.owner in self._state.closing or position.strategy in self._state.leaving:
            return False
        begun = self._environment.is_open(near.exchange, now) and now >= self._first_ns(near.exchange, now)
        return begun and self._is_near(near, rule, now)

    def _first_ns(self, exchange: str, now: int) -> int:
        """Market time from which rolls begin today."""
        session = self._environment.calendar.session(exchange, self._environment.calendar.trading_day(now))
        return session.open_ns + self._environment.limits.avoid_first_minutes * MINUTE if session is not None else 0

    def _rule(self, strategy: str) -> RollRule | None:
        run = self._environment.strategies.get(strategy)
        return run.roll if run is not None and run.roll.days else None

    def _next(self, near: Instrument) -> Instrument | None:
        later = (
            item
            for item in self._environment.instruments
            if item.kind is InstrumentKind.FUT and item.underlying == near.underlying and item.expiry > near.expiry
            and item.exchange == near.exchange
        )  # fmt: skip
        return min(later, key=lambda item: item.expiry, default=None)

    def _blocker(self, position: Position) -> RollBlocker | None:
        """Obstacle to a due roll; one that an operator or the next day must end comes before one that passes."""
        level, why = self._state.trading_level(position.account)
        if level is not TradingLevel.NORMAL:
            return RollBlocker("level", f"trading is at {level}{f', {why}' if why else ''}; resume to let it begin")
        if limit := self._limited(position.account, position.strategy):
            return RollBlocker("limit", limit)
        if unready := why_not_ready(self._state, position.account):
            return RollBlocker("readiness", f"not ready: {unready}; it begins as soon as that is well", passes=True)
        doubt, coming = "", self._state.pending_units(position.strategy, position.instrument, position.account)
        if position.confidence is not Confidence.CONFIRMED:
            doubt = f"the position is {position.confidence}"
        elif position.quantity != position.quantity_seen:
            doubt = f"{position.quantity} units are booked and {position.quantity_seen} were seen"
        elif coming:
            doubt = f"an order may still bring {coming} units"
        return RollBlocker("position", f"{doubt}; it begins as soon as that is settled", passes=True) if doubt else None

    def _limited(self, account: str, strategy: str) -> str:
        """The limits of the day that were reached, empty if none: what is brought again after one is new risk."""
        return "; ".join(self._limits.entry_blocks(account, strategy).values())

    def _go_on(self, roll: Rolled, now: int) -> list[Any]:
        """The next step; none while the last one is on its way."""
        near = self._state.positions.get(roll.near_owner)
        held = near.open_units if near is not None else 0
        ours = roll.goal in self._state.issued
        if roll.strategy in self._state.leaving or (roll.near_owner in self._state.closing and not ours and held):
            why = f"{roll.near} is being closed"
        else:  # after a limit a roll whose near leg already follows the far one goes on
            why = "" if roll.first == "far" and ours else self._limited(roll.account, roll.strategy)
        if why:
            return [*self._take_back(roll, now), *self._give_up(roll, why, now)]
        if self._unwanted(roll):
            return self._give_up(roll, "the signal behind it wants something else", now, quiet=True)
        if not held and not ours:
            return [*self._take_back(roll, now), *self._give_up(roll, f"{roll.near} was closed by something else", now)]
        if roll.first == "far" and held and ours:
            return []
        if roll.first == "near" and held:
            return self._close(roll, near)
        return self._far(roll, near, held, now)

    def _far(self, roll: Rolled, near: Position | None, held: int, now: int) -> list[Any]:
        """The next contract is bought or sold until it is all there; then the near one goes, or the roll is done."""
        if not held and roll.first == "far":
            return [replace(roll, phase="done", note="", at_ns=now)]
        if self._state.pending_units(roll.strategy, roll.far, roll.account):
            return []
        if self._held(roll.far_owner) != roll.base + roll.quantity:
            return self._order(roll, now)
        return self._close(roll, near) if held else [replace(roll, phase="done", note="", at_ns=now)]

    def _order(self, roll: Rolled, now: int) -> list[Any]:
        names = (client_order_id(roll.account, roll.cause, Purpose.ROLL, roll.far, 0, number) for number in count())
        tries, name = next((n, name) for n, name in enumerate(names) if name not in self._state.issued)
        if tries >= TRIES:
            back = self._take_back(roll, now) if roll.first == "far" else []
            return [*back, *self._give_up(roll, f"{TRIES} orders for {roll.far} ended unfilled{self._gone(roll)}", now)]
        # the far leg is judged, valued and guarded as the entry of a signal is
        lots = (roll.base + roll.quantity) // self._environment.lot_of(roll.far)
        signal = Signal(
            id=roll.cause,
            strategy=roll.strategy,
            watch=roll.watch,
            action=Action.BUY if lots > 0 else Action.SELL,
            created_ns=now,
            expires_ns=now + ORDER_NS,
            expires_machine_ns=self._state.machine_ns + ORDER_NS,
            account=roll.account,
            product=roll.product,
            legs=(Leg(instrument=roll.far, lots=lots),),
            reason=f"roll over from {roll.near}",
        )
        found = self._entries.plan_roll_entry(signal, roll.account, NEEDED, now)
        if isinstance(found, tuple):
            return self._wait(roll, found, now)
        return [replace(row, id=name, run=roll.run) if isinstance(row, PlaceEntry) else row for row in found]

    def _gone(self, roll: Rolled) -> str:
        """Alert text where the near leg went first: the position is gone, or a part of it."""
        if self._held(roll.near_owner):
            return ""
        there = self._held(roll.far_owner) - roll.base
        return f"; {roll.near} is closed, and {there} of {roll.quantity} units are held of {roll.far}"

    def _close(self, roll: Rolled, near: Position | None) -> list[Any]:
        if near is None:
            return []
        rows = close_position(self._state, near, roll.cause, f"roll over to {roll.far}", 0)
        return [replace(row, purpose=Purpose.ROLL) for row in rows]

    def _take_back(self, roll: Rolled, now: int) -> list[Any]:
        """Far units that the roll has brought are closed again, and what is on its way is withdrawn."""
        live = (
            order
            for order in self._state.all_live_entries()
            if (order.account, order.instrument, order.strategy) == (roll.account, roll.far, roll.strategy)
        )
        far = self._state.positions.get(roll.far_owner)
        cause = content_id("roll_back", roll.cause, self._environment.today(now))
        rows = withdraw_entries(self._state, live, cause)
        if far is not None and far.open_units and not roll.base:
            rows += close_position(self._state, far, cause, "roll over given up", 0)
        return rows

    def _unwanted(self, roll: Rolled) -> bool:
        intent = self._state.intents.get((roll.strategy, roll.watch))
        if intent is None or intent.signal.keeps:
            return False
        return intent.target_lots(roll.far, roll.account) * roll.quantity <= 0

    def _held(self, owner: OwnerKey) -> int:
        position = self._state.positions.get(owner)
        return position.quantity if position is not None else 0

    def alert_subjects(self, now: int) -> set[str]:
        """Alert subjects of rolls that wait, were given up today, or may not begin: their alerts stay active."""
        today, levels = self._environment.today(now), self._state.levels
        found = {
            _subject(roll)
            for roll in self._state.rolls.values()
            if (roll.phase == "begun" and roll.note)
            or (roll.phase == "given_up" and self._environment.today(roll.at_ns) == today)
        }
        due = [name for name in levels if name.startswith("roll_due ")]
        for position in self._state.open_positions() if due else ():
            blocker = self._blocker(position) if any(_subject(position) in name for name in due) else None
            if blocker is not None and _blocker_name(position, blocker.kind, today) in levels:
                found.add(_subject(position))
        return found

    def _wait(self, roll: Rolled, denied: tuple[Denial, ...], now: int) -> list[Any]:
        """A roll that is denied waits, with an alert once for each reason."""
        early = now - roll.at_ns < QUOTE_PATIENCE_NS and all(denial.code in _ON_ITS_WAY for denial in denied)
        if roll.note == denied[0].code or early:
            return []
        severity = Severity.CRITICAL if (gone := self._gone(roll)) else Severity.WARNING
        why = "; ".join(denial.message for denial in denied)
        text = f"the roll over from {roll.near} to {roll.far} waits: {why}{gone}"
        return [replace(roll, note=denied[0].code, at_ns=now), risk_alert(CODE, severity, _subject(roll), text, now)]

    def _give_up(self, roll: Rolled, why: str, now: int, quiet: bool = False) -> list[Any]:
        ended = replace(roll, phase="given_up", note=why, at_ns=now)
        if quiet:
            return [ended]
        far = roll.far or "the next contract"
        text = f"the roll over from {roll.near} to {far} in {roll.account} was given up: {why}"
        return [ended, risk_alert(CODE, Severity.CRITICAL, _subject(roll), text, now)]


def _subject(of: Rolled | Position) -> str:
    return f"{of.strategy}/{of.account}/{of.near if isinstance(of, Rolled) else of.instrument}"


def _blocker_name(position: Position, kind: str, day: str) -> str:
    """The level that remembers that a blocker of this kind was alerted on a day."""
    return f"roll_due {kind} {_subject(position)} {position.opened_ns}:{day}"
