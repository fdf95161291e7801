"""For which watched instrument a position is held, where no intent of ours says so: after a lost journal, or a claim.

A position of which that is not known is no intent's to close; its stop, the clock and an operator are what is left to
it, until an intent wants just that.
"""

from __future__ import annotations

from typing import Any

from mytrading.core.instruments.symbology import ParsedSymbol, parse_symbol, split_id
from mytrading.core.risk.books.books import UNKNOWN_WATCH, RiskBooks
from mytrading.messages.control import Alert
from mytrading.messages.enums import Severity
from mytrading.messages.instruments import InstrumentKind
from mytrading.messages.journal_rows import LevelMoved
from mytrading.messages.orders import Position
from mytrading.messages.run_config import StrategyRun, TradeKind, TradeRule

CODE = "POSITION_UNBOUND"


def watch_for(run: StrategyRun | None, instrument: str) -> str | None:
    """The one watched instrument whose trade rules lead to this one; `UNKNOWN_WATCH` if that is none or several.

    None where it makes no difference: a strategy that watches one instrument, or none that is known.
    """
    if run is None or len(run.symbols) < 2:
        return None
    rules = [rule for rule in (run.long, run.short) if rule is not None]
    found = {symbol for symbol in run.symbols for rule in rules if _leads_to(rule, symbol, instrument)}
    if run.plan is not None:
        found |= {name for name in run.symbols if _parsed(name).underlying == _parsed(instrument).underlying}
    return found.pop() if len(found) == 1 else UNKNOWN_WATCH


def _leads_to(rule: TradeRule, symbol: str, instrument: str) -> bool:
    if rule.kind is TradeKind.SAME:
        return symbol == instrument
    kind = _parsed(instrument).kind
    fits = kind is InstrumentKind.FUT if rule.kind is TradeKind.FUTURE else kind.is_option
    return fits and _parsed(instrument).underlying == (rule.underlying or _parsed(symbol).underlying)


def _parsed(instrument: str) -> ParsedSymbol:
    exchange, symbol = split_id(instrument)
    return parse_symbol(symbol, exchange)


def subject_of(position: Position) -> str:
    """How an alert names such a position."""
    return f"{position.strategy} {position.instrument} {position.account}"


def unbound(books: RiskBooks) -> list[Position]:
    """Open positions of which it is not known for what they are held."""
    return [p for p in books.open_positions() if books.bound.get((p.strategy, p.instrument)) == UNKNOWN_WATCH]


def alarms(books: RiskBooks, today: str, now: int) -> list[Any]:
    """Rows that tell an operator of each of them, once a day for each time that it was opened."""
    rows: list[Any] = []
    for position in unbound(books):
        subject = subject_of(position)
        name = f"unbound {subject} {position.opened_ns}:{today}"
        if name in books.levels:
            continue
        held = f"{position.strategy} holds {position.quantity or position.quantity_seen} of {position.instrument}"
        text = (
            f"{held} in {position.account}, and it is not known for which watched instrument: a signal that wants just "
            "that takes it up, no other closes it; its stop stands. Close it with `mytrading positions close` if it is "
            "not wanted"
        )
        alert = Alert(
            code=CODE,
            severity=Severity.WARNING,
            subject=subject,
            message=text,
            daemon="risk",
            first_ns=now,
            last_ns=now,
        )
        rows += [LevelMoved(name=name, value=1.0, at_ns=now), alert]
    return rows
