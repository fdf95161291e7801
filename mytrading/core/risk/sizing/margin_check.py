"""Margin for risk: the need of a leg or a basket in an account, the free margin there, and the learnt buffer.

A requirement is the figure of the table or the answer of the broker for the same legs, as `broker_margin` says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from mytrading.core.accounting import margin
from mytrading.core.accounting.margin import MarginLeg, is_margined
from mytrading.core.accounting.margin_tables import BrokerMargin
from mytrading.core.ids import content_id
from mytrading.core.instruments.book import NoSuchContract
from mytrading.core.risk.pretrade.readiness import why_funds_unknown
from mytrading.core.risk.sizing.lots import is_bought_only, side_of
from mytrading.core.risk.state.state import RiskState
from mytrading.messages.enums import OrderState, Product
from mytrading.messages.instruments import Instrument
from mytrading.messages.journal_rows import LevelMoved
from mytrading.messages.orders import OrderChanged
from mytrading.messages.reports import MarginLine, MarginRequest
from mytrading.messages.signals import Signal

BUFFER, REFUSED = "margin_buffer:", "margin_refused:"
"""Prefixes of level names: an account's margin buffer, and that the broker refused its margin today."""
PATIENCE_NS = 1_500_000_000
"""Machine time that an entry waits for the broker's figure."""
MOST_TIMES = 10
"""A figure more than so many times the table's, or less than that part of it, is no margin but a mistake."""
_REFUSAL = re.compile(
    r"insufficient (funds|margin|balance)|margin (shortfall|exceeds)|rms:.*margin|shortage:", re.IGNORECASE
)


class RequiredMargin(NamedTuple):
    """Rupees that legs need, and the same with what is to be kept free."""

    joint: float
    buffered: float


class MarginCheck:
    """Reads the state, changes nothing."""

    def __init__(self, state: RiskState) -> None:
        self._state, self._environment = state, state.environment

    def margin_leg(self, instrument: str, units: int, price: float, product: Product) -> MarginLeg | None:
        """Return units at a price (rupees) as a leg with today's contract; None if the instrument is not listed."""
        found = self._environment.instruments.get(instrument)
        return MarginLeg(found, units, price, product, self._spot(found)) if found is not None else None

    def _spot(self, contract: Instrument) -> float:
        """Rupees of an option's underlying; 0 for other contracts and without a quote."""
        if not contract.kind.is_option:
            return 0.0
        try:
            quote = self._state.quotes.get(self._environment.instruments.spot(contract.underlying).id)
        except NoSuchContract:
            return 0.0
        return quote.ltp if quote is not None else 0.0

    def leg_margin(self, leg: MarginLeg, now: int) -> float:
        """Rupees that a leg needs by itself, without a buffer."""
        return margin.leg_requirement(leg, self._environment.tables, self._environment.calendar.trading_day(now))

    def required_margin(self, legs: Sequence[MarginLeg], signal: Signal, account: str, now: int) -> RequiredMargin:
        """Return the margin that legs need beyond what the strategy already holds, by the table and the broker.

        What is being closed hedges nothing, and what an adjustment closes makes way for what it opens. Only what is
        valued by margin has a buffer: the premium of an option and the price of a share are certain.
        """
        held, day = self._held_legs(signal, account), self._environment.calendar.trading_day(now)
        table = margin.added_margin(legs, held, self._environment.tables, day, signal.closed_instruments)
        if not self.may_ask_broker(legs):
            return RequiredMargin(table, table)
        answer = self._answer(signal, account, legs, table, day)
        needed = table
        if answer is not None:
            replaces = self._environment.tables.broker_margin is BrokerMargin.REPLACES
            needed = answer if replaces else max(table, answer)
        # what uses a share of the margin keeps the rest free; only what refusals taught comes on top
        run = self._environment.strategies.get(signal.strategy)
        fixed = (run is None or run.sizing.by in ("fixed", "risk")) and not any(leg.profile for leg in signal.legs)
        return RequiredMargin(needed, needed * (1 + (self.buffer(account) if fixed else self.learnt_buffer(account))))

    def _held_legs(self, signal: Signal, account: str) -> list[MarginLeg]:
        owned = self._state.positions_for(signal.strategy, signal.watch)
        mine = (p for p in owned if p.account == account and p.owner not in self._state.closing)
        found = (self.margin_leg(p.instrument, p.quantity, p.average_price, p.product) for p in mine)
        return [leg for leg in found if leg is not None]

    def _answer(self, signal: Signal, account: str, legs: Sequence[MarginLeg], table: float, day: date) -> float | None:
        """Return the broker's margin of legs beyond what is held; None without a plausible answer."""
        if not signal.changes:
            return self._plausible(signal, account, legs, table)
        found = []
        for whole in self._wholes(signal, account, legs):
            figure = margin.margin_requirement(whole, self._environment.tables, day).initial
            found.append(self._plausible(signal, account, whole, figure))
        before, after = found
        return max(after - before, 0.0) if before is not None and after is not None else None

    def _plausible(self, signal: Signal, account: str, legs: Sequence[MarginLeg], table: float) -> float | None:
        answer = self._state.margin_answers.get(_question_id(signal.id, account, legs), 0.0)
        return answer if answer and table / MOST_TIMES <= answer <= MOST_TIMES * table else None

    def _wholes(
        self, signal: Signal, account: str, opened: Sequence[MarginLeg]
    ) -> tuple[list[MarginLeg], list[MarginLeg]]:
        """All legs of a position before and after an adjustment that opens these."""
        held = self._held_legs(signal, account)
        return held, [*(leg for leg in held if leg.instrument.id not in signal.closed_instruments), *opened]

    def ask_about_change(self, signal: Signal, account: str, opened: Sequence[MarginLeg]) -> list[Any] | None:
        """Ask for the margin of all legs before and after an adjustment; what is returned is as for `ask_broker`.

        A broker says what legs need by themselves, so that what a change needs is the difference of two answers.
        """
        wholes = self._wholes(signal, account, opened)
        if not all(map(self.may_ask_broker, wholes)):
            return None
        asked = [self.ask_broker(signal.id, account, whole) for whole in wholes]
        return None if all(one is None for one in asked) else [row for one in asked for row in one or ()]

    @staticmethod
    def may_ask_broker(legs: Sequence[MarginLeg]) -> bool:
        """True if the broker may be asked for the margin of these legs: one is a future or a sold option."""
        return any(is_margined(leg.instrument, leg.units) for leg in legs)

    def ask_broker(self, cause: str, account: str, legs: Sequence[MarginLeg]) -> list[Any] | None:
        """Return the margin request to send; [] while its answer is awaited, None if the table alone counts: the broker
        is not asked, or has answered or was silent too long. `cause`: the signal's id."""
        if not self._environment.asks_broker or not self.may_ask_broker(legs):
            return None
        name, machine_ns = _question_id(cause, account, legs), self._state.machine_ns
        if (sent_ns := self._state.margin_requests.get(name)) is not None:
            waits = name not in self._state.margin_answers and machine_ns - sent_ns < PATIENCE_NS
            return [] if waits else None
        lines = tuple(
            MarginLine(
                instrument=leg.instrument.id,
                side=side_of(leg.units),
                quantity=abs(leg.units),
                product=leg.product,
                price=leg.price,
            )
            for leg in legs
        )
        return [MarginRequest(id=name, account=account, lines=lines, machine_ns=machine_ns)]

    def free_margin_for(self, account: str, legs: Sequence[MarginLeg], signal: Signal) -> float | None:
        """Rupees free for legs: cash if they only buy options, else with collateral; None while funds are unknown,
        infinite where the capital is assumed."""
        if self._state.margin.funds.get(account) is None and account in self._environment.assumed_capital:
            return math.inf
        share = 0.0 if is_bought_only(legs) else self._environment.tables.collateral_share
        return self._free(account, share, (signal.strategy, signal.watch))

    def _free(self, account: str, collateral: float, but: tuple[str, str] | None = None) -> float | None:
        if not self.funds_known(account):
            return None
        free = self._state.margin.free(account, collateral)
        if free is None:
            free = self._environment.assumed_capital[account] - self._state.margin.allocated(account)
        return free - self._state.margin_kept_for_baskets(account, but)

    def funds_known(self, account: str) -> bool:
        """True if the account's funds were reported, recently enough."""
        return not why_funds_unknown(self._state, account)

    def cash(self, account: str) -> float | None:
        """Rupees of free cash; None while the account's funds are unknown or too old."""
        return self._free(account, 0.0)

    def available_margin(self, account: str) -> float | None:
        """Rupees of free cash and collateral; None while the account's funds are unknown or too old."""
        return self._free(account, self._environment.tables.collateral_share)

    def used_margin(self, account: str) -> float | None:
        """Rupees of margin in use or reserved; None while the account's funds are unknown or too old."""
        funds = self._state.margin.funds.get(account)
        if funds is None or not self.funds_known(account):
            return None
        return funds.used + self._state.margin.allocated(account) + self._state.margin_kept_for_baskets(account)

    def buffer(self, account: str) -> float:
        """The margin buffer: the fraction of a requirement that must be free beyond it."""
        return self._state.levels.get(f"{BUFFER}{account}", self._environment.tables.buffer.least)

    def learnt_buffer(self, account: str) -> float:
        """The part of the buffer that rejections for lack of margin have added, as a fraction."""
        return max(self.buffer(account) - self._environment.tables.buffer.least, 0.0)

    def figures(self) -> dict[str, float]:
        """Return figures of each account for the heartbeat: margin free, cash and reserved (rupees), and its buffer."""
        found: dict[str, float] = {}
        for account in filter(self.funds_known, self._state.margin.funds):
            reserved = self._state.margin.allocated(account) + self._state.margin_kept_for_baskets(account)
            found[f"margin_free:{account}"] = round(self.available_margin(account) or 0.0, 2)
            found[f"margin_cash:{account}"] = round(self.cash(account) or 0.0, 2)
            found[f"margin_reserved:{account}"] = round(reserved, 2)
            found[f"{BUFFER}{account}"] = self.buffer(account)
        return found

    def rows_raising_buffer(self, message: Any, now: int) -> list[Any]:
        """Return rows that raise an account's margin buffer if `message` is a rejection for lack of margin; else []."""
        if not isinstance(message, OrderChanged) or message.order.state is not OrderState.REJECTED:
            return []
        order = message.order
        ours = (order.links.parent or order.client_order_id) in self._state.issued
        if not ours or not _REFUSAL.search(order.message):
            return []
        raised = margin.buffer_after_refusal(self.buffer(order.account), self._environment.tables.buffer)
        return [
            LevelMoved(name=f"{BUFFER}{order.account}", value=raised, at_ns=now),
            LevelMoved(name=f"{REFUSED}{order.account}", value=1.0, at_ns=now),
        ]

    def carried_levels(self) -> dict[str, float]:
        """Return the buffers that the next day begins with, by level name: smaller after a day without a rejection."""
        rule, levels = self._environment.tables.buffer, self._state.levels
        refused = {name.removeprefix(REFUSED) for name in levels if name.startswith(REFUSED)}
        buffers = {
            name: value if name.removeprefix(BUFFER) in refused else margin.buffer_after_quiet_day(value, rule)
            for name, value in levels.items()
            if name.startswith(BUFFER)
        }
        return {name: value for name, value in buffers.items() if value > rule.least}


def _question_id(cause: str, account: str, legs: Sequence[MarginLeg]) -> str:
    return content_id("margin", cause, account, *(f"{leg.instrument.id}*{leg.units}" for leg in legs))
