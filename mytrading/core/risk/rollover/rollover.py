"""Futures that near their expiry move to the next contract: the same side and quantity, one leg after the other.

A roll is a row, `Rolled`, so a restart goes on where it was; its orders have ids derived from it, so none is sent
twice. While it is under way the intent behind the position rests, unless that wants something else: then the roll is
given up, and the intent decides. The leg that goes second is ordered only once the broker shows the first one done,
whatever failed or was restarted in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

from msgspec.structs import replace

from mytrading.core.calendar import Calendar
from mytrading.core.ids import client_order_id, content_id
from mytrading.core.risk.entries.entry_planner import EntryPlanner
from mytrading.core.risk.limits.limits import Limits
from mytrading.core.risk.pretrade.context import Denial
from mytrading.core.risk.pretrade.readiness import not_ready
from mytrading.core.risk.state.alert_rows import alert_once, risk_alert
from mytrading.core.risk.state.close_commands import close, goal_id, signed_units, withdraw
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
"""Market time in which the first quotes of the next contract, just asked for, are on their way."""
PATIENCE_NS = 120 * SECOND
"""Market time from the moment at which rolls begin in which a server or book that is not ready yet is no news."""
_ON_ITS_WAY = frozenset({"NO_QUOTE", "STALE_QUOTE", "STOP_LEVEL"})
LEVEL, LIMIT, READINESS, POSITION = BLOCKER_KINDS = ("level", "limit", "readiness", "position")
NEEDED = frozenset(
    {
        "NOT_READY", "WRONG_MODE", "HALTED", "REDUCING", "DISK_LOW", "INSTRUMENT_HALTED", "POSITION_IN_DOUBT",
        "UNKNOWN_INSTRUMENT", "INSTRUMENTS_REFUSED", "WHOLE_LOTS", "FREEZE", "NO_QUOTE", "STALE_QUOTE", "STOP_LEVEL",
        "MARKET_CLOSED", "OPPOSED", "IMPLAUSIBLE_QUOTE", "PRICE_COLLAR", "PRICE_BAND", "MARGIN_UNKNOWN",
        "INSUFFICIENT_MARGIN", "RESERVED",
    }
)  # fmt: skip
"""Rules that hold for a roll too: it is no new risk, so limits of sizes, counts and times do not."""


def days_left(calendar: Calendar, exchange: str, today: date, expiry: str, most: int) -> int:
    """Trading days after `today` up to and with the expiry; `most` + 1 where there are more than `most`."""
    last, count = date.fromisoformat(expiry), 0
    while today < last and count <= most:
        today = calendar.next_trading_day(exchange, today)
        count += today <= last
    return count


class RollBlocker(NamedTuple):
    """What keeps a roll from beginning: its kind, and why. One that `passes` by itself is reported once it lasts."""

    kind: str
    why: str
    passes: bool = False


class Rollover:
    """Asks the state, changes nothing."""

    def __init__(self, state: RiskState, entries: EntryPlanner, limits: Limits) -> None:
        self._state, self._environment = state, state.environment
        self._entries, self._limits = entries, limits

    def holds(self, intent: Intent) -> bool:
        """True while a roll moves what this intent still wants."""
        if not self._state.rolls:
            return False
        key = (intent.signal.strategy, intent.signal.watch)
        return any((roll.strategy, roll.watch) == key and not self._unwanted(roll) for roll in self._under_way())

    def wanted(self) -> set[str]:
        """Contracts that are rolled to, whose quotes are needed."""
        return {roll.far for roll in self._under_way()}

    def on_time(self, now: int) -> list[Any]:
        """Rolls that begin now, and the next step of those under way."""
        rows = [row for roll in list(self._under_way()) for row in self._go_on(roll, now)]
        return [*rows, *(row for position in self._state.open_positions() for row in self._begin(position, now))]

    def _under_way(self) -> Iterator[Rolled]:
        return (roll for roll in self._state.rolls.values() if roll.phase == "begun")

    # beginning

    def ahead(self, intent: Intent, account: str, now: int) -> list[Any]:
        """Rows by which an intent for a contract that would be rolled at once goes to the next one from the start."""
        rule, of = self._rule(intent.signal.strategy), intent.signal.product_of
        if rule is None or account in intent.spent:
            return []
        legs = (leg for leg in intent.in_account(account).legs if of(leg) is not Product.MIS)
        rows = (self._ahead(intent, leg, account, rule, now) for leg in legs)
        return [row for row in rows if row is not None]

    def _ahead(self, intent: Intent, leg: Leg, account: str, rule: RollRule, now: int) -> Rolled | None:
        near, signal, calendar = (
            self._environment.instruments.get(leg.instrument),
            intent.signal,
            self._environment.calendar,
        )
        if near is None or near.kind is not InstrumentKind.FUT or near.exchange not in calendar.exchanges:
            return None
        held = self._state.units_of(signal.strategy, signal.watch, near.id, account)
        if held or self._state.coming_units(signal.strategy, near.id, account):
            return None
        left = days_left(calendar, near.exchange, calendar.trading_day(now), near.expiry, rule.days)
        far = self._next(near) if left <= rule.days else None
        if far is None:
            return None
        return Rolled(
            cause=content_id("ahead", account, signal.strategy, near.id, self._environment.today(now)),
            account=account,
            strategy=signal.strategy,
            product=signal.product_of(leg),
            near=near.id,
            far=far.id,
            quantity=0,
            watch=signal.watch,
            phase="done",
            at_ns=now,
        )

    def _begin(self, position: Position, now: int) -> list[Any]:
        near, rule = self._environment.instruments.get(position.instrument), self._rule(position.strategy)
        if near is None or rule is None or not self._is_due(position, near, rule, now):
            return []
        key = position.owner
        before = self._state.rolls.get(key)
        if before is not None and self._environment.today(before.at_ns) == self._environment.today(now):
            return []
        if blocker := self._blocker(position):
            return [] if self._is_early(blocker, near.exchange, now) else self._report_blocker(position, blocker, now)
        far = self._next(near)
        cause = content_id("roll", *key, position.opened_ns, self._environment.today(now))
        roll = Rolled(
            cause=cause,
            goal=goal_id(position, cause),
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
        if near.kind is not InstrumentKind.FUT or position.product is Product.MIS or not position.quantity:
            return False
        if position.owner in self._state.closing or position.strategy in self._state.leaving:
            return False
        if not self._environment.is_open(near.exchange, now) or now < self._first_ns(near.exchange, now):
            return False
        calendar = self._environment.calendar
        return days_left(calendar, near.exchange, calendar.trading_day(now), near.expiry, rule.days) <= rule.days

    def _first_ns(self, exchange: str, now: int) -> int:
        """Market time from which rolls begin today."""
        session = self._environment.calendar.session(exchange, self._environment.calendar.trading_day(now))
        return session.open_ns + self._environment.limits.avoid_first_minutes * MINUTE if session is not None else 0

    def _is_early(self, blocker: RollBlocker, exchange: str, now: int) -> bool:
        """True while what passes by itself is no news: risk has just started, or the session."""
        young = self._state.machine_ns < self._environment.patient_until
        return blocker.passes and (young or now < self._first_ns(exchange, now) + PATIENCE_NS)

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
        """What keeps a due roll from beginning; what an operator or the next day must end comes before what passes."""
        level, why = self._state.level(position.account)
        if level is not TradingLevel.NORMAL:
            return RollBlocker(LEVEL, f"trading is at {level}{f', {why}' if why else ''}; resume to let it begin")
        if limit := self._limited(position.account, position.strategy):
            return RollBlocker(LIMIT, limit)
        if unready := not_ready(self._state, position.account):
            return RollBlocker(READINESS, f"not ready: {unready}; it begins as soon as that is well", passes=True)
        doubt, coming = "", self._state.coming_units(position.strategy, position.instrument, position.account)
        if position.confidence is not Confidence.CONFIRMED:
            doubt = f"the position is {position.confidence}"
        elif position.quantity != position.quantity_seen:
            doubt = f"{position.quantity} units are booked and {position.quantity_seen} were seen"
        elif coming:
            doubt = f"an order may still bring {coming} units"
        return RollBlocker(POSITION, f"{doubt}; it begins as soon as that is settled", passes=True) if doubt else None

    def _limited(self, account: str, strategy: str) -> str:
        """Which limit of the day was reached, empty if none: what is brought again after it would be new risk."""
        return "; ".join(self._limits.reached(account, strategy).values())

    def _is_alerted(self, position: Position, today: str) -> bool:
        """True while a roll is kept from beginning by what was alerted today."""
        if all(_blocker_name(position, kind, today) not in self._state.levels for kind in BLOCKER_KINDS):
            return False
        found = self._blocker(position)
        return found is not None and _blocker_name(position, found.kind, today) in self._state.levels

    # going on

    def _go_on(self, roll: Rolled, now: int) -> list[Any]:
        """The next step; none while the last one is on its way."""
        near = self._state.positions.get(roll.near_owner)
        held = signed_units(near) if near is not None else 0
        ours = roll.goal in self._state.issued
        if why := self._ended(roll, ours=ours, held=held):
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
        if self._state.coming_units(roll.strategy, roll.far, roll.account):
            return []
        there = self._held(roll.far_owner)
        if there != roll.base + roll.quantity:
            return self._order(roll, now)
        return self._close(roll, near) if held else [replace(roll, phase="done", note="", at_ns=now)]

    def _order(self, roll: Rolled, now: int) -> list[Any]:
        tries = self._tries(roll)
        if tries >= TRIES:
            back = self._take_back(roll, now) if roll.first == "far" else []
            return [*back, *self._give_up(roll, f"{TRIES} orders for {roll.far} ended unfilled{self._gone(roll)}", now)]
        signal = self._signal(roll, now)
        found = self._entries.for_roll(signal, roll.account, NEEDED, now)
        if isinstance(found, tuple):
            return self._note(roll, found, now)
        name = client_order_id(roll.account, roll.cause, Purpose.ROLL, roll.far, 0, tries)
        return [replace(row, id=name, run=roll.run) if isinstance(row, PlaceEntry) else row for row in found]

    def _gone(self, roll: Rolled) -> str:
        """What an operator must know where the near leg went first: what was held is not, or not all of it."""
        there = self._held(roll.far_owner) - roll.base
        if self._held(roll.near_owner):
            return ""
        return f"; {roll.near} is closed, and {there} of {roll.quantity} units are held of {roll.far}"

    def _signal(self, roll: Rolled, now: int) -> Signal:
        """What the roll intents for, so that the far leg is judged, valued and guarded as an entry is."""
        lots = (roll.base + roll.quantity) // self._environment.lot_of(roll.far)
        return Signal(
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

    def _close(self, roll: Rolled, near: Position | None) -> list[Any]:
        if near is None:
            return []
        rows = close(self._state, near, roll.cause, f"roll over to {roll.far}", 0)
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
        rows = withdraw(self._state, live, cause)
        if far is not None and signed_units(far) and not roll.base:
            rows += close(self._state, far, cause, "roll over given up", 0)
        return rows

    def _ended(self, roll: Rolled, *, ours: bool, held: int) -> str:
        """Why a roll under way is given up; after a limit one whose near leg already follows the far one goes on."""
        if roll.strategy in self._state.leaving or (roll.near_owner in self._state.closing and not ours and held):
            return f"{roll.near} is being closed"
        return "" if roll.first == "far" and ours else self._limited(roll.account, roll.strategy)

    def _unwanted(self, roll: Rolled) -> bool:
        intent = self._state.intents.get((roll.strategy, roll.watch))
        if intent is None or intent.signal.keeps:
            return False
        return intent.target(roll.far, roll.account) * roll.quantity <= 0

    def _tries(self, roll: Rolled) -> int:
        count = 0
        while client_order_id(roll.account, roll.cause, Purpose.ROLL, roll.far, 0, count) in self._state.issued:
            count += 1
        return count

    def _held(self, owner: OwnerKey) -> int:
        position = self._state.positions.get(owner)
        return position.quantity if position is not None else 0

    # telling

    def alert_subjects(self, now: int) -> set[str]:
        """Subjects of which an alert is to stand: rolls that wait, were given up today, or may not begin."""
        today = self._environment.today(now)
        rolls = self._state.rolls.values()
        told = {
            subject_of(roll)
            for roll in rolls
            if (roll.phase == "begun" and roll.note)
            or (roll.phase == "given_up" and self._environment.today(roll.at_ns) == today)
        }
        return told | {_subject(one) for one in self._state.open_positions() if self._is_alerted(one, today)}

    def _report_blocker(self, position: Position, blocker: RollBlocker, now: int) -> list[Any]:
        """An alert once a day for each position and kind."""
        name = _blocker_name(position, blocker.kind, self._environment.today(now))
        text = f"the roll over of {position.instrument} in {position.account} is due and does not begin: {blocker.why}"
        alert = risk_alert(CODE, Severity.WARNING, _subject(position), text, now)
        return alert_once(self._state, name, float(position.quantity), alert)

    def _note(self, roll: Rolled, denied: tuple[Denial, ...], now: int) -> list[Any]:
        """A roll that is denied waits; each reason is told once."""
        early = now - roll.at_ns < QUOTE_PATIENCE_NS and all(denial.code in _ON_ITS_WAY for denial in denied)
        if roll.note == denied[0].code or early:
            return []
        gone = self._gone(roll)
        severity = Severity.CRITICAL if gone else Severity.WARNING
        why = "; ".join(denial.message for denial in denied)
        text = f"the roll over from {roll.near} to {roll.far} waits: {why}{gone}"
        return [replace(roll, note=denied[0].code, at_ns=now), risk_alert(CODE, severity, subject_of(roll), text, now)]

    def _give_up(self, roll: Rolled, why: str, now: int, quiet: bool = False) -> list[Any]:
        ended = replace(roll, phase="given_up", note=why, at_ns=now)
        if quiet:
            return [ended]
        text = (
            f"the roll over from {roll.near} to {roll.far or 'the next contract'} in {roll.account} was given up: {why}"
        )
        return [ended, risk_alert(CODE, Severity.CRITICAL, subject_of(roll), text, now)]


def subject_of(roll: Rolled) -> str:
    """What alerts of a roll are about."""
    return f"{roll.strategy}/{roll.account}/{roll.near}"


def _subject(position: Position) -> str:
    return f"{position.strategy}/{position.account}/{position.instrument}"


def _blocker_name(position: Position, kind: str, day: str) -> str:
    """The level that remembers that a blocker of this kind was alerted on a day."""
    return f"roll_due {kind} {position.strategy}/{position.account}/{position.instrument} {position.opened_ns}:{day}"
