"""Refused entries of strategies: the newest denial of the day, since when, and how many signals in a row.

Folded by the read model of the gateway, for screens. Journals of the engine, of risk and of the router are read one
after the other at a start: nothing here depends on the order in which their rows come, only on their market times.
"""

from __future__ import annotations

from typing import NamedTuple

from mytrading.core.risk.pretrade.rule_table import rule_name
from mytrading.core.text.money import rupees
from mytrading.core.time import day_number
from mytrading.messages.commands import SignalDenied, SignalExpired
from mytrading.messages.enums import Action, Purpose
from mytrading.messages.orders import Order
from mytrading.messages.signals import Signal, SignalVetoed

IN_RUPEES = frozenset({"MAX_ORDER_SIZE", "MIN_ORDER_SIZE", "MAX_POSITION_SIZE", "INSUFFICIENT_MARGIN"})
_COUNTED = frozenset({
    "MAX_POSITIONS_PER_SYMBOL", "MAX_TOTAL_POSITIONS", "ENTRIES_PER_MINUTE", "ENTRIES_PER_SESSION", "ACTIVE_ORDERS",
    "CANCELS_PER_DAY", "LOSS_PAUSE",
})  # fmt: skip
_Denied = SignalDenied | SignalExpired | SignalVetoed
_Place = tuple[str, str]
"""A strategy and an account; an empty account stands for all of them."""


class Refusal(NamedTuple):
    """The newest denial of a strategy: its first rule in plain words, with figures where it has any, and all reasons.

    No entry followed since `since_ns`: `in_a_row` of the day's `signals` were refused, the last at `last_ns`. An empty
    `account` means all.
    """

    code: str
    rule: str
    message: str
    value: float | None
    limit: float | None
    account: str
    instrument: str
    since_ns: int
    last_ns: int
    in_a_row: int
    signals: int


def refusal_text(code: str, value: float | None, limit: float | None) -> str:
    """Return the rule of a denial in plain words, with its figures where it compares any: `positions per symbol 5 of
    5`."""
    name = rule_name(code)
    if value is None or limit is None or code not in _COUNTED | IN_RUPEES:
        return name
    if code in _COUNTED:
        return f"{name} {value:g} of {limit:g}"
    return f"{name} {rupees(value)} of {rupees(limit)}"


class _Streak:
    """Denials in one place since the last entry there: by signal when it was denied first, and the newest of all."""

    def __init__(self) -> None:
        self.accepted_ns = 0
        self.entered: set[str] = set()
        """Signals with an entry order. A later denial of the rest of such a signal does not count as a refusal."""
        self.denied: dict[str, int] = {}
        self.newest: _Denied | None = None

    def deny(self, row: _Denied) -> None:
        if row.at_ns <= self.accepted_ns or row.signal in self.entered:
            return
        self.denied[row.signal] = min(row.at_ns, self.denied.get(row.signal, row.at_ns))
        if self.newest is None or row.at_ns >= self.newest.at_ns:
            self.newest = row

    def accept(self, signal: str, at_ns: int) -> None:
        self.entered.add(signal)
        self.accepted_ns = max(self.accepted_ns, at_ns)
        self.denied = {signal: since for signal, since in self.denied.items() if since > self.accepted_ns}
        if not self.denied:
            self.newest = None


class RefusalBook:
    """Of each strategy the signals of a day that wanted an entry, and what was refused since the last one entered."""

    def __init__(self) -> None:
        self._streaks: dict[_Place, _Streak] = {}
        self._signals: dict[str, int] = {}
        self._day = 0

    def count_signal(self, row: Signal | SignalVetoed) -> None:
        """Count a signal that wants an entry."""
        at_ns = row.at_ns if isinstance(row, SignalVetoed) else row.created_ns
        if row.action is not Action.EXIT and self._is_today(at_ns):
            self._signals[row.strategy] = self._signals.get(row.strategy, 0) + 1

    def deny(self, row: _Denied) -> None:
        """Take a denial of a signal, or of a part of one."""
        if self._is_today(row.at_ns):
            self._streaks.setdefault((row.strategy, getattr(row, "account", "")), _Streak()).deny(row)

    def accept(self, order: Order) -> None:
        """Take an entry order: what was refused before it counts no more in its account."""
        if order.purpose is Purpose.ENTRY and self._is_today(order.created_ns):
            for account in ("", order.account):
                self._streaks.setdefault((order.strategy, account), _Streak()).accept(order.cause, order.created_ns)

    def _is_today(self, at_ns: int) -> bool:
        """False of an earlier day than the newest; a new one begins without refusals."""
        day = day_number(at_ns)
        if day > self._day:
            self._streaks, self._signals, self._day = {}, {}, day
        return day == self._day

    def newest(self, strategy: str, now: int) -> Refusal | None:
        """Return the newest denial of a strategy on the day of market time `now` (ns) that no entry followed."""
        if day_number(now) > self._day:
            return None
        mine = [one for (name, _), one in self._streaks.items() if name == strategy and one.newest is not None]
        streak = max(mine, key=lambda one: one.newest.at_ns if one.newest is not None else 0, default=None)
        if streak is None or (row := streak.newest) is None:
            return None
        in_a_row = len(streak.denied)
        signals = max(self._signals.get(strategy, 0), in_a_row)
        return _refusal(row, min(streak.denied.values()), in_a_row, signals)


def _refusal(row: _Denied, since_ns: int, in_a_row: int, signals: int) -> Refusal:
    value = limit = None
    account = instrument = ""
    if isinstance(row, SignalDenied):
        code, message, account, instrument = row.code, row.message, row.account, row.instrument
        value, limit = row.value, row.limit
        rule = refusal_text(code, value, limit)
    elif isinstance(row, SignalVetoed):
        code, message = row.code or ("RULE" if row.rule else "LATE"), row.message
        rule = f"rule {row.rule}" if row.rule else rule_name(code)
    else:
        code, rule, message = "EXPIRED", rule_name("EXPIRED"), "the signal was too late"
    return Refusal(code, rule, message, value, limit, account, instrument, since_ns, row.at_ns, in_a_row, signals)
