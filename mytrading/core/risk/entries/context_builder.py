"""Gathers what the pre-trade rules may look at, for one leg of an intent or for an account; rules look up nothing."""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.calendar import Session
from mytrading.core.orders.broker_gate import keeps_stops
from mytrading.core.orders.leg_levels import priced_leg
from mytrading.core.risk.limits.limits import Limits
from mytrading.core.risk.pretrade import readiness
from mytrading.core.risk.pretrade.context import PreTradeContext
from mytrading.core.risk.protection.hedges import hedging_units
from mytrading.core.risk.sizing.lots import entry_price, side_of
from mytrading.core.risk.state import orphan_hedges
from mytrading.core.risk.state.intent import Intent
from mytrading.core.risk.state.state import RiskState
from mytrading.core.time import MINUTE
from mytrading.messages.enums import Action
from mytrading.messages.keys import OwnerKey
from mytrading.messages.signals import Leg, Signal

_NO_COVER = (0, 0, False)
_NO_GUARD = (None, 0.0)
NO_LEG = Leg(instrument="", lots=0)
NO_SIGNAL = Signal(id="", strategy="", watch="", action=Action.BUY, created_ns=0, expires_ns=0, expires_machine_ns=0)


class ContextBuilder:
    """Reads the state, changes nothing."""

    def __init__(self, state: RiskState, limits: Limits) -> None:
        self._state = state
        self._environment = state.environment
        self._limits = limits

    def leg_context(self, intent: Intent, leg: Leg, account: str, now: int) -> PreTradeContext:
        """Return the pre-trade context of one leg of an intent in an account, still without its margin."""
        state, environment, signal = self._state, self._environment, intent.signal
        instrument = environment.instruments.get(leg.instrument)
        there, units = self._units(intent, leg, account)
        no_price = leg.instrument in state.unpriced
        quote = None if no_price else state.quotes.get(leg.instrument)
        if quote is not None:
            leg = priced_leg(leg, quote.ltp, instrument.tick_size if instrument is not None else 0.0)
        session, holiday = self._hours(leg, now)
        underlying = instrument.underlying if instrument else ""
        busy, product = state.busy_instruments(account), signal.product_of(leg)
        others = busy - {leg.instrument} - self._vacated(signal, account)
        if state.baskets:  # their legs were judged with places that are theirs
            others |= state.instruments_kept_for_baskets(account, (signal.strategy, signal.watch)) - {leg.instrument}
        stopped_out = self.has_stopped_leg(intent, account)
        sells = leg.lots > 0 and state.has_short_exposure(account, signal.strategy, intent)
        hedges, beyond, covers = self._cover(intent, leg, account, there + units) if sells else _NO_COVER
        owner = OwnerKey(account, leg.instrument, product, signal.strategy)
        guard, guard_level = state.stop_holder_of(owner, units) if there else _NO_GUARD
        losses, loss_ns = state.counters.losses.get((account, signal.strategy), (0, 0))
        begun = self.has_basket_begun(intent, account)
        return replace(
            self.account_context(account, now, signal, leg),
            instrument=instrument,
            strategy=environment.strategies.get(signal.strategy),
            units=units,
            price=entry_price(leg, quote, side_of(units)) if quote else 0.0,
            quote=quote,
            no_price=no_price,
            missing_bars=readiness.missing_bars(state, signal, leg),
            disbelieved=readiness.disbelieved_price(state, signal, leg, begun),
            history_hole=readiness.history_hole(state, signal, now),
            enabled=state.entries_enabled(signal.strategy),
            halted=state.halted.get(owner.net, "") or state.why_stop_held(account, leg.instrument),
            confidence=state.confidence(account, leg.instrument),
            session=session,
            provisional_day=readiness.provisional_day(state, leg.instrument.partition(":")[0], now),
            holiday=holiday,
            square_off_ns=environment.square_off_begins(signal.strategy, leg.instrument, product, now),
            speed=environment.square_off.speed,
            needs_funds=environment.needs_funds,
            funds_unread=readiness.why_funds_unknown(state, account),
            reduces=there != 0 and there * units < 0,
            units_there=abs(state.units_everywhere(account, leg.instrument)),
            adds_position=leg.instrument not in busy,
            positions_symbol=sum([environment.underlying(name) == underlying for name in others]) if others else 0,
            positions_total=len(others),
            entries_per_minute=environment.rates.entries_per_minute,
            entries_last_minute=state.entries_since(signal.strategy, now - MINUTE + 1),
            last_entry_ns=state.last_entry.get((signal.strategy, signal.watch), 0),
            other_watch=state.other_watch(signal.strategy, signal.watch, leg.instrument),
            opposed=state.opposing_strategy(account, leg.instrument, product, signal.strategy, units),
            lost=state.lost_entry_id(account, leg.instrument, product, units),
            spent=account in intent.spent and not stopped_out,
            begun=begun,
            entered=intent.entered,
            stopped_out=stopped_out,
            leaving=state.leaving.get(signal.strategy, ""),
            session_entries=state.entries_since(signal.strategy, session.open_ns) if session else 0,
            losses=losses,
            loss_ns=loss_ns,
            hedging=hedges,
            beyond=beyond,
            covers=covers,
            unseen_stop=readiness.unpriced_stops(state, signal.strategy, now) if state.stop_levels else "",
            guard=guard,
            guard_level=guard_level,
            broker_keeps_stops=keeps_stops(state.broker_of(account)),
        )

    def account_context(self, account: str, now: int, signal: Signal = NO_SIGNAL, leg: Leg = NO_LEG) -> PreTradeContext:
        """Return a context of the account's facts alone; `signal` and `leg` are stored in it, the rest is default."""
        state, environment = self._state, self._environment
        level, level_reason = state.trading_level(account)
        return PreTradeContext(
            signal=signal,
            leg=leg,
            now=now,
            machine_ns=state.wait_machine_ns,
            limits=environment.limits,
            not_ready=readiness.why_not_ready(state, account),
            session_lost=readiness.session_lost(state, account),
            refused=environment.order_refusal(leg.instrument, now),
            wrong_mode=state.wrong_mode.get(account, ""),
            refused_broker=readiness.broker_refusal(state, account),
            absent_account=readiness.absent_account(state),
            stopping=state.is_stopping,
            level=level,
            level_reason=level_reason,
            disk_low=state.disk_low,
            coverage=1.0 if environment.lock_step else state.counters.coverage(state.machine_ns),
            active_orders=state.live_order_count(account),
            cancels_today=state.counters.cancels.get(account, 0),
            reached=self._limits.entry_blocks(account, signal.strategy),
        )

    def _cover(self, intent: Intent, leg: Leg, account: str, units: int) -> tuple[int, int, bool]:
        """Of so many units of a leg: those that hedge sold ones, the others, and whether any covers a sold one."""
        state, signal = self._state, intent.signal
        if signal.changes:  # what it closes is not there to cover anything
            here = intent.for_account(account)
            found = state.match_covers({one.instrument: here.lots(one, account) * state.lot_of(one.instrument)
                                        for one in here.legs})  # fmt: skip
        else:
            found = state.hedge_covers(account, signal.strategy, signal.watch, intent)
        mine = hedging_units(found, leg.instrument)
        return mine, units - mine, any(cover.bought == leg.instrument for cover in found)

    def _units(self, intent: Intent, leg: Leg, account: str) -> tuple[int, int]:
        """Signed units held and coming for the intent's owner, and those that the leg wants beside them."""
        state, signal = self._state, intent.signal
        there = state.units_of(signal.strategy, signal.watch, leg.instrument, account)
        there += state.pending_units(signal.strategy, leg.instrument, account)
        instrument, lots = self._environment.instruments.get(leg.instrument), intent.lots(leg, account)
        return there, lots * instrument.lot_size - there if instrument else lots

    def _hours(self, leg: Leg, now: int) -> tuple[Session | None, str]:
        """The session of the leg's exchange today, or the name of the holiday for which it has none."""
        instrument, calendar = self._environment.instruments.get(leg.instrument), self._environment.calendar
        exchange = instrument.exchange if instrument else leg.instrument.split(":")[0]
        if not calendar.has_exchange(exchange):
            return None, ""
        day = calendar.trading_day(now)
        session = calendar.session(exchange, day)
        return session, "" if session is not None else calendar.holiday_name(exchange, day)

    def _vacated(self, signal: Signal, account: str) -> set[str]:
        """The instruments in which nothing is held in an account once an adjustment has closed its own position."""
        held = self._state.positions.of_instrument
        return {
            name
            for name in signal.closed_instruments
            if not any(p.account == account and p.strategy != signal.strategy and p.open_units for p in held(name))
        }

    def has_basket_begun(self, intent: Intent, account: str) -> bool:
        """True once a leg of a several-leg intent was ordered in an account, or while a sold leg is stopped out."""
        if intent.lost and self.has_stopped_leg(intent, account):
            return True
        if intent.signal.changes:
            return account in intent.sized
        if len(intent.legs) < 2:
            return False
        names, next_entry = (intent.signal.id, *intent.begun_as), self._state.next_entry
        return any(next_entry(account, name, leg.instrument)[0] for name in names for leg in intent.legs)

    def has_stopped_leg(self, intent: Intent, account: str) -> bool:
        """True while an intent's hedges are still held after its sold leg was stopped out."""
        return bool(intent.lost) and any(
            orphan_hedges.stop_out_count(self._state, intent, account, leg.instrument) for leg in intent.legs
        )
