"""Carried shares whose price is a simple fraction of our last close: a split or a bonus overnight, or a crash.

In India the price falls on the ex-date, and bonus units come up to two days later: the price decides, whatever units
are shown. Nobody here guesses which it is. The stop is held, nothing is closed by a level, the day's loss counts the
price times the ratio, and an operator is told at once: he adjusts the position, or closes it.
"""

from __future__ import annotations

from typing import Any

from mytrading.core.ids import content_id
from mytrading.core.risk.state.decision_rows import risk_alert
from mytrading.core.risk.state.state import RiskState
from mytrading.core.time import day_number, day_start
from mytrading.messages.commands import HoldStop
from mytrading.messages.enums import Product, Severity
from mytrading.messages.journal_rows import LevelMoved
from mytrading.messages.level_names import corporate_action_name
from mytrading.messages.market import Quote
from mytrading.messages.orders import Position

CODE = "CORPORATE_ACTION"
"""A carried share may have been split, or have got a bonus; over when an operator has adjusted it, or it is flat."""
CONTRACT_CODE = "CONTRACT_ADJUSTED"
"""A carried future's price is such a fraction; the exchange gives adjusted contracts new lots, strikes and names."""
RATIOS = (1.5, 2.0, 3.0, 5.0, 10.0)
"""New shares for an old one."""
NEAR = 0.1
"""The share of a ratio by which the quotient of two prices may differ from it."""
_SHARES, _FUTURE = ("NSE:", "BSE:"), "FUT"


def suspected_ratio(close: float, quote: Quote) -> float:
    """Return the ratio by which the last price, or the previous close, lies below our last `close`; 0.0 if by none."""
    for price in (quote.previous_close, quote.ltp):
        if price is None or price <= 0 or close <= 0:
            continue
        for ratio in RATIOS:
            if abs(close / price / ratio - 1) <= NEAR:
                return ratio
    return 0.0


def on_quote(state: RiskState, instrument: str, now: int) -> list[Any]:
    """Return the rows that judge what an instrument's first quote of the day says of each position carried in it.
    Every quote of what is held comes here. Budget: 1 µs with five positions of today."""
    if not instrument.startswith(_SHARES) and not instrument.endswith(_FUTURE):
        return []
    quote = state.quotes.get(instrument)
    if quote is None or day_number(quote.market_ns) != state.memory.began:
        return []
    rows: list[Any] = []
    midnight = day_start(quote.market_ns)
    for position in state.positions.of_instrument(instrument):
        carried = position.opened_ns < midnight and position.open_units
        if carried and position.owner not in state.first_priced:
            rows += _judge(state, position, quote, now)
    return rows


def _judge(state: RiskState, position: Position, quote: Quote, now: int) -> list[Any]:
    share, key = instrument_is_share(position), position.owner
    if not (share or position.instrument.endswith(_FUTURE)):
        return []
    name = content_id("first_price", *key, state.memory.began)
    if waits := state.corporate.get(key):  # told again each day: the router may have lost it
        return [HoldStop(id=name, **key._asdict(), ratio=waits)]
    close = state.memory.money.marks.get((position.instrument, position.open_units > 0), 0.0)
    ratio = suspected_ratio(close, quote)
    rows: list[Any] = [HoldStop(id=name, **key._asdict(), ratio=ratio if share else 0.0)]
    if ratio and share:
        rows.append(LevelMoved(name=corporate_action_name(key), value=ratio, at_ns=now))
    if ratio:
        code, text = (CODE, _text) if share else (CONTRACT_CODE, _contract_text)
        what = text(position, close, quote, ratio)
        rows.append(risk_alert(code, Severity.CRITICAL, alert_subject(position), what, now))
    return rows


def instrument_is_share(position: Position) -> bool:
    """True of delivered shares, the only units that a corporate action changes under the same name."""
    return position.product is Product.CNC and position.instrument.startswith(_SHARES)


def alert_subject(position: Position) -> str:
    """Return the alert subject of a position: strategy, instrument, account."""
    return f"{position.strategy} {position.instrument} {position.account}"


def _text(position: Position, close: float, quote: Quote, ratio: float) -> str:
    name = position.instrument
    before = f", previous close {quote.previous_close:g}" if quote.previous_close else ""
    return (
        f"{name} stands at {quote.ltp:g}{before}, our last close was {close:g}: about 1/{ratio:g} of it. A split or a "
        f"bonus may have happened, or the price fell. The stop of {position.strategy} is not placed, no level closes "
        f"its {position.open_units} units, the day's loss counts the price times {ratio:g}, nothing is entered: look "
        f"at the exchange's notices. A split or bonus: `mytrading positions adjust {name} --ratio {ratio:g}`; a fall: "
        f"nothing guards it, `mytrading positions adjust {name} --ratio 1` places the stop, or close it with "
        f"`mytrading positions close {name}`"
    )


def _contract_text(position: Position, close: float, quote: Quote, ratio: float) -> str:
    return (
        f"{position.instrument} stands at {quote.ltp:g}, our last close was {close:g}: about 1/{ratio:g} of it. The "
        "exchange may have adjusted the contract (lot, name): nothing is guessed, its stop and limits count as before; "
        "look at the broker, then settle the old contract and claim the new one"
    )
