"""Limits with a memory: the loss of a day, the fall below peak equity, R of a day, per account and per strategy.

Each limit has an action, carried out once and recorded as a risk event; what it ended stays ended until the next
session, a halt until an operator resumes. A limit that was reached is journaled before anything follows from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from mytrading.core.ids import content_id
from mytrading.core.risk.pnl.day_pnl import ACCOUNT, STRATEGY, Scope
from mytrading.core.risk.pnl.equity_memory import BASE, FIRED, HALT, MARKS, PEAK, TIMES, LimitKey, level_name
from mytrading.core.risk.state.decision_rows import close_positions, risk_alert, withdraw_entries
from mytrading.core.risk.state.environment import RiskEnvironment
from mytrading.core.risk.state.state import RiskState
from mytrading.core.text.money import rupees
from mytrading.core.time import SECOND
from mytrading.messages.control import KILL, FlattenRequested, StrategySwitch, TradingState
from mytrading.messages.enums import LimitAction, LimitKind, Severity, TradingLevel
from mytrading.messages.journal_rows import LevelMoved
from mytrading.messages.orders import Order, Position
from mytrading.messages.risk_events import RiskAction, RiskEventRecorded, RiskKind
from mytrading.messages.run_config import StrategyRun

JOURNAL_EVERY_NS = SECOND
"""Market time between rows of a rising peak."""
MARK_EVERY_NS = 60 * SECOND
PATIENCE_NS = 60 * SECOND
"""Market time in which what covers a sold leg waits for that to be flat."""
FLATTEN_NS = 60 * SECOND
_CENT = 1e-6
PLAUSIBLE = 0.1
"""The share of a limit that one quote may move at once and be believed; more needs a second quote."""
PROFIT_UNKNOWN = "PROFIT_UNKNOWN"
"""The code of a denial, and of the alert, where a sum is no number."""
_KINDS = _LOSS, _DRAWDOWN, _STOP_R, _TARGET_R = (
    LimitKind.DAILY_LOSS, LimitKind.DRAWDOWN, LimitKind.DAILY_STOP_R, LimitKind.DAILY_TARGET_R
)  # fmt: skip
_IN_R = (_STOP_R, _TARGET_R)
_SETTINGS = {_LOSS: "MAX_DAILY_LOSS", _DRAWDOWN: "MAX_DRAWDOWN"}
_CONSEQUENCES = {
    LimitAction.ALERT: (RiskAction.ALERT_ONLY, "nothing follows but this alert"),
    LimitAction.NO_ENTRIES: (RiskAction.NO_ENTRIES, "no more entries today"),
    LimitAction.CLOSE_LEGS: (RiskAction.CLOSE_ALL, "its positions are closed, no more entries today"),
    LimitAction.FLATTEN: (RiskAction.FLATTEN, "it is made flat, no more entries today"),
    LimitAction.HALT: (RiskAction.HALT, "trading is halted until `mytrading resume`"),
}


class Limit(NamedTuple):
    """One limit: rupees, a fraction, or R, as its kind has it; above 0."""

    kind: LimitKind
    scope: Scope
    most: float
    action: LimitAction

    @property
    def key(self) -> LimitKey:
        """Kind and scope: the key of this limit in the tables of `EquityMemory`."""
        return (self.kind, *self.scope)

    @property
    def setting(self) -> str:
        """Name of the setting that configures this limit."""
        return _SETTINGS.get(self.kind, self.kind.value)

    @property
    def scope_name(self) -> str:
        """The limited account or strategy, as alerts name it."""
        return " ".join(self.scope)

    def format(self, value: float) -> str:
        """Format a value of this limit in its unit: rupees, percent or R."""
        if self.kind is _LOSS:
            return rupees(value)
        return f"{value:.2%}" if self.kind is _DRAWDOWN else f"{value:+.2f} R"


class Limits:
    """Reads the state, changes nothing. Budget of a quote: 10 µs for five strategies in one account."""

    def __init__(self, state: RiskState) -> None:
        environment = state.environment
        self._state, self._environment = state, environment
        self._money = state.memory.money
        self._money.r_value = environment.limits.r_value
        self._by_scope: dict[Scope, tuple[Limit, ...]] = {}
        for account in environment.accounts():
            self._by_scope[ACCOUNT, account] = _of_account(environment, account)
        self.update_strategies(environment.strategies.values())

    def update_strategies(self, runs: Iterable[StrategyRun]) -> None:
        """Set the limits of strategies by their run configurations."""
        for run in runs:
            most = (run.max_daily_loss, run.max_drawdown, run.daily_stop_r, run.daily_target_r)
            self._by_scope[STRATEGY, run.name] = tuple(
                Limit(kind, (STRATEGY, run.name), figure, run.limit_action)
                for kind, figure in zip(_KINDS, most, strict=True)
                if figure
            )
        self._money.counts_r = any(limit.kind in _IN_R for limit in self.all_limits)

    @property
    def all_limits(self) -> Iterator[Limit]:
        """Every limit that is set."""
        return (limit for limits in self._by_scope.values() for limit in limits)

    def _limits(self, scope: Scope) -> tuple[Limit, ...]:
        """The limits of a scope; an account that is not configured has those of any account, a strategy none."""
        found = self._by_scope.get(scope)
        if found is None:
            found = _of_account(self._environment, scope[1]) if scope[0] == ACCOUNT else ()
            self._by_scope[scope] = found
        return found

    def current_value(self, limit: Limit) -> float | None:
        """Return the value compared with a limit: rupees or R of the day, or drawdown fraction; None while unknown."""
        memory = self._state.memory
        if limit.kind is _DRAWDOWN:
            return memory.drawdown(limit.scope, () if limit.scope[0] == ACCOUNT else self._accounts(limit))
        return memory.money.profit(limit.scope) if limit.kind is _LOSS else memory.money.profit_in_r(limit.scope)

    def is_reached(self, limit: Limit) -> bool:
        """True if a limit is exceeded now, or was recorded as reached earlier today."""
        return self._is_known(limit) or self._is_beyond(limit)

    def _is_known(self, limit: Limit) -> bool:
        memory = self._state.memory
        return limit.key in memory.fired or limit.key in memory.halts

    def _is_beyond(self, limit: Limit) -> bool:
        if limit.kind is _LOSS:
            return self._money.profit(limit.scope) <= -limit.most + _CENT
        value = self.current_value(limit)
        if value is None:
            return False
        return value <= -limit.most + _CENT if limit.kind is _STOP_R else value >= limit.most - _CENT

    def entry_blocks(self, account: str, strategy: str) -> dict[str, str]:
        """By limit code, the text of each reached limit that blocks entries of a strategy in an account."""
        found: dict[str, str] = {}
        recorded = bool(self._state.memory.fired or self._state.memory.halts)
        for scope in ((ACCOUNT, account), (STRATEGY, strategy)):
            if (total := self._money.sums.get(scope)) is not None and not math.isfinite(total.rupees):
                found.setdefault(PROFIT_UNKNOWN, self.unknown_profit_text(scope))
            for limit in self._limits(scope):
                if limit.action is LimitAction.ALERT:
                    continue
                if self._is_beyond(limit) or (recorded and self._is_known(limit)):
                    found.setdefault(limit.kind.value, self.reached_text(limit))
        return found

    def scopes_of_unknown_profit(self) -> tuple[Scope, ...]:
        """Accounts and strategies whose profit of the day is not a finite number."""
        return tuple(scope for scope in self._money.scopes() if not math.isfinite(self._money.profit(scope)))

    def unknown_profit_text(self, scope: Scope) -> str:
        """Return the denial text of a scope whose profit of the day is not a finite number."""
        value = self._money.profit(scope)
        return f"the profit of {' '.join(scope)} adds up to {value}, which no limit can be held against: no entries"

    def is_confirmed(self, limit: Limit, now: int) -> bool:
        """True if a limit is reached even without the part of its value that only the newest quotes, possibly wrong,
        show, or if that part is too small to matter; False while the value is unknown."""
        doubt = self._money.unconfirmed(limit.scope, now, gains=limit.kind is _TARGET_R, in_r=limit.kind in _IN_R)
        value = self.current_value(limit)
        if value is None:
            return False
        if limit.kind is _DRAWDOWN:
            doubt /= self._state.memory.drawdown_base(limit.scope, self._accounts(limit)) or math.inf
        if doubt <= PLAUSIBLE * limit.most:
            return True
        signed = -value if limit.kind in (_LOSS, _STOP_R) else value
        return signed - doubt >= limit.most - _CENT

    def reached_text(self, limit: Limit) -> str:
        """Return the alert text of a reached limit: value, bound and consequence."""
        value, memory = self.current_value(limit) or 0.0, self._state.memory
        then, most = limit.format(memory.fired.get(limit.key, (value, 0))[0]), limit.most
        stands, bound = limit.format(value), limit.format(-most if limit.kind is _STOP_R else most)
        before = f", after {then}" if then != stands else ""
        resumed = limit.action is LimitAction.HALT and limit.key in memory.fired and limit.key not in memory.halts
        follows = "the halt was resumed, but no more entries today" if resumed else _CONSEQUENCES[limit.action][1]
        return f"{limit.scope_name} stands at {stands}{before}, {limit.setting} is {bound}: {follows}"

    def on_quote(self, instrument: str, now: int) -> list[Any]:
        """Return the breach rows of limits that the new price of a held instrument makes reached; [] if none."""
        memory, reached = self._state.memory, self._look(self._money.scopes_of(instrument), now)
        return [*memory.carried_rows(now), *reached] if memory.awaits_carried else reached

    def on_position(self, message: Any, now: int) -> list[Any]:
        """Return breach rows of limits that a changed position makes reached, and rows continuing begun flattens."""
        position: Position | None = getattr(message, "position", None)
        if position is None:
            return []
        memory = self._state.memory
        carried = memory.carried_rows(now) if memory.awaits_carried else []
        touched = [(ACCOUNT, position.account), (STRATEGY, position.strategy)]
        return [*carried, *self._look(touched, now), *self._go_on(now)]

    def on_time(self, now: int) -> list[Any]:
        """Return rows due by the clock: starting equity, breaches, new peaks, closing prices, unfinished flattens."""
        reached = self._look(self._money.scopes(), now)
        return [*self._bases(now), *reached, *self._peaks(now), *self._marks(now), *self._go_on(now)]

    def on_control(self, message: TradingState | StrategySwitch, now: int) -> list[Any]:
        """Return rows that lift halts if `message` resumes trading, else []; drawdown then counts from equity now."""
        if isinstance(message, StrategySwitch):
            return self._lift([(STRATEGY, message.strategy)], now) if message.enabled else []
        if message.level is not TradingLevel.NORMAL or message.account == KILL:
            return []
        halted = {(line[1], line[2]) for line in self._state.memory.halts}
        return self._lift([s for s in sorted(halted) if not message.account or s == (ACCOUNT, message.account)], now)

    def _lift(self, halted: Iterable[Scope], now: int) -> list[Any]:
        memory = self._state.memory
        rows: list[Any] = []
        for scope in halted:
            lines = [line for line in memory.halts if (line[1], line[2]) == scope]
            rows += [LevelMoved(name=level_name(HALT, *line), value=0.0, at_ns=now) for line in lines]
            if any(line[0] is _DRAWDOWN for line in lines):
                fallen: LimitKey = (_DRAWDOWN, *scope)
                moved = {level_name(PEAK, *scope): memory.tracked_value(scope) or 0.0, level_name(FIRED, *fallen): 0.0,
                         level_name(TIMES, *fallen): memory.times.get(fallen, 0) + 1.0}  # fmt: skip
                rows += [LevelMoved(name=name, value=value, at_ns=now) for name, value in moved.items()]
        return rows

    def _look(self, touched: Iterable[Scope], now: int) -> list[Any]:
        """Rows for limits that are reached: by no single quote, and by none while a leg waits for its first one.

        Every quote of what is held comes here: a loss, which most limits are, is looked at on the spot.
        """
        rows: list[Any] = []
        known, sums = self._by_scope, self._money.sums
        for scope in touched:
            limits = known.get(scope)
            profit = total.rupees if (total := sums.get(scope)) is not None else 0.0
            for limit in self._limits(scope) if limits is None else limits:
                beyond = profit <= _CENT - limit.most if limit.kind is _LOSS else self._is_beyond(limit)
                new = beyond and not self._is_known(limit) and self._money.is_priced(scope, now)
                if new and self.is_confirmed(limit, now):
                    rows += self.breach_rows(limit, now)
        return rows

    def breach_rows(self, limit: Limit, now: int) -> list[Any]:
        """Return the rows that record a limit as reached (level, event, alert) and carry out its action."""
        value = self.current_value(limit) or 0.0
        cause, text = self._cause(limit, now), self.reached_text(limit)
        strategy = limit.scope[1] if limit.scope[0] == STRATEGY else ""
        event = RiskEventRecorded(
            id=cause,
            strategy=strategy,
            run=self._state.run_of(strategy) if strategy else "",
            kind=RiskKind(limit.kind.value.lower()),
            action=_CONSEQUENCES[limit.action][0],
            at_ns=now,
            threshold=limit.most,
            value=value,
            accounts=tuple(self._accounts(limit)),
            instruments=tuple(sorted({position.instrument for position in self._held(limit)})),
            cause=cause,
        )
        rows: list[Any] = [
            LevelMoved(name=level_name(FIRED, *limit.key), value=value or -limit.most, at_ns=now),
            event,
            risk_alert(limit.kind.value, Severity.CRITICAL, limit.scope_name, text, now),
        ]
        if limit.action is LimitAction.HALT:
            rows.append(LevelMoved(name=level_name(HALT, *limit.key), value=1.0, at_ns=now))
        if limit.action is LimitAction.FLATTEN:
            deadline = self._state.machine_ns + FLATTEN_NS
            rows += [
                FlattenRequested(
                    id=f"{cause}-{account}", account=account, at_ns=now, deadline_machine_ns=deadline, reason=text,
                    strategy=strategy, by="risk",
                )
                for account in self._accounts(limit)
            ]  # fmt: skip
        return [*rows, *self._follow(limit, now, now)]

    def halt_rows(self, limits: Iterable[Limit], now: int) -> list[LevelMoved]:
        """Return rows that halt again by these limits, of whatever day, those whose action is a halt."""
        known = self._state.memory.halts
        halting = (limit for limit in limits if limit.action is LimitAction.HALT and limit.key not in known)
        return [LevelMoved(name=level_name(HALT, *limit.key), value=1.0, at_ns=now) for limit in halting]

    def _go_on(self, now: int) -> list[Any]:
        """Limits reached today are carried out: late fills are closed too, and nothing waits to be entered."""
        rows: list[Any] = []
        for line, (_, at_ns) in list(self._state.memory.fired.items()):
            limit = next((one for one in self._limits((line[1], line[2])) if one.key == line), None)
            if limit is not None:
                rows += self._follow(limit, at_ns, now)
        return rows

    def _follow(self, limit: Limit, at_ns: int, now: int) -> list[Any]:
        if limit.action is LimitAction.ALERT:
            return []
        cause = self._cause(limit, now)
        entries = [order for order in self._state.all_live_entries() if self._covers(limit, order)]
        rows = withdraw_entries(self._state, entries, cause)
        if limit.action not in (LimitAction.CLOSE_LEGS, LimitAction.FLATTEN):
            return rows
        held = self._held(limit)
        if limit.action is LimitAction.FLATTEN:
            held = [position for position in held if position.opened_ns > at_ns or now - at_ns > PATIENCE_NS]
        reason = f"{limit.setting} of {limit.scope_name}"
        return [*rows, *close_positions(self._state, held, cause, reason, 0, patient=now - at_ns < PATIENCE_NS)]

    def _held(self, limit: Limit) -> list[Position]:
        return [position for position in self._state.open_positions() if self._covers(limit, position)]

    def _covers(self, limit: Limit, thing: Order | Position) -> bool:
        return limit.scope[1] == (thing.account if limit.scope[0] == ACCOUNT else thing.strategy)

    def _accounts(self, limit: Limit) -> tuple[str, ...]:
        return (limit.scope[1],) if limit.scope[0] == ACCOUNT else self._environment.accounts_of(limit.scope[1])

    def _cause(self, limit: Limit, now: int) -> str:
        again = self._state.memory.times.get(limit.key, 0)
        return content_id("limit", *limit.key, self._environment.today(now), *((again,) if again else ()))

    def _bases(self, now: int) -> list[LevelMoved]:
        """Equity of an account as its broker first reported it; from then on our own ledger counts."""
        memory, funds = self._state.memory, self._state.memory.funds
        return [
            LevelMoved(name=level_name(BASE, account), value=worth - memory.money.profit((ACCOUNT, account)), at_ns=now)
            for account, worth in funds.items()
            if account not in memory.bases and memory.money.is_priced((ACCOUNT, account), now)
        ]

    def _peaks(self, now: int) -> list[LevelMoved]:
        memory, rows = self._state.memory, []
        for scope, peak in memory.peaks.items():
            known, at_ns = memory.journaled.get(scope, (0.0, 0))
            counts = any(limit.kind is _DRAWDOWN for limit in self._limits(scope))
            if counts and peak - known > 0.01 and not 0 <= now - at_ns < JOURNAL_EVERY_NS:
                rows.append(LevelMoved(name=level_name(PEAK, *scope), value=peak, at_ns=now))
        return rows

    def _marks(self, now: int) -> list[LevelMoved]:
        """Return each minute's closing prices of open positions, so that a restart and the next day know them."""
        memory = self._state.memory
        if 0 <= now - memory.marked_ns < MARK_EVERY_NS:
            return []
        known = memory.money.marks
        moved = [mark for mark in memory.money.closing_prices(quoted=True) if known.get(mark[:2]) != mark[2]]
        return [LevelMoved(name=level_name(MARKS[long], name), value=price, at_ns=now) for name, long, price in moved]


def _of_account(environment: RiskEnvironment, account: str) -> tuple[Limit, ...]:
    limits, scope = environment.limits, (ACCOUNT, account)
    found = (
        Limit(_LOSS, scope, limits.max_daily_loss, limits.max_daily_loss_action),
        Limit(_DRAWDOWN, scope, limits.max_drawdown, limits.max_drawdown_action),
        Limit(_STOP_R, scope, limits.daily_stop_r, limits.daily_r_action),
        Limit(_TARGET_R, scope, limits.daily_target_r, limits.daily_r_action),
    )
    return tuple(limit for limit in found if limit.most or limit.kind not in _IN_R)
