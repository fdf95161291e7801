"""What is to stay below settings of the operator: how late quotes arrive, how long order calls take, rejections.

An alert stands until the cool-down has passed without another excess, so that what comes and goes is told once.
"""

from __future__ import annotations

from collections import deque

from mytrading.core.time import MILLISECOND, SECOND
from mytrading.messages.enums import OrderState
from mytrading.messages.orders import Order
from mytrading.messages.run_config import AlertRules

QUOTES_IN_A_ROW = 10
"""One late quote is a hiccup."""
QUOTE_LATENCY, ORDER_LATENCY, ORDERS_REJECTED = "QUOTE_LATENCY", "ORDER_LATENCY", "ORDERS_REJECTED"
CODES = frozenset({QUOTE_LATENCY, ORDER_LATENCY, ORDERS_REJECTED})
REMEMBERED = 2000

Subject = tuple[str, str]
"""An alert's code and subject."""


class LatencyAlerts:
    """Machine times in ns throughout. A limit of 0 watches nothing. `quote` costs less than a microsecond."""

    def __init__(self, rules: AlertRules) -> None:
        self._rules = rules
        self._quote_ns = round(rules.quote_latency_ms * MILLISECOND)
        self._late_quotes = 0
        self._until: dict[Subject, int] = {}
        self._text: dict[Subject, str] = {}
        self._rejected: dict[str, deque[int]] = {}
        self._seen: dict[str, None] = {}

    def quote(self, received_ns: int, machine_ns: int) -> None:
        """A quote that was read from the socket then is judged by risk now."""
        if not self._quote_ns or machine_ns - received_ns <= self._quote_ns:
            self._late_quotes = 0
            return
        self._late_quotes += 1
        if self._late_quotes >= QUOTES_IN_A_ROW:
            late = (machine_ns - received_ns) / MILLISECOND
            self._stand(
                (QUOTE_LATENCY, "quotes"),
                f"quotes reach risk {late:,.1f} ms after they were read, {self._late_quotes} in a row; "
                f"MAX_QUOTE_LATENCY is {self._rules.quote_latency_ms:g} ms; see `mytrading perf`, and what else runs",
                machine_ns,
            )

    def order(self, order: Order, machine_ns: int) -> None:
        """An order moved: its placing call ended, or the broker refused it."""
        took, most = (
            order.call.ended_machine_ns - order.call.began_machine_ns,
            self._rules.order_latency_ms * MILLISECOND,
        )
        if order.call.ended_machine_ns and 0 < most < took and self._is_new(f"call {order.client_order_id}"):
            self._stand(
                (ORDER_LATENCY, order.account),
                f"an order call of {order.account} took {took / MILLISECOND:.0f} ms ({order.instrument}); "
                f"MAX_ORDER_LATENCY is {self._rules.order_latency_ms:g} ms; see the server, and `mytrading perf`",
                machine_ns,
            )
        if order.state is OrderState.REJECTED and self._is_new(f"no {order.client_order_id}"):
            self._refused(order, machine_ns)

    def _refused(self, order: Order, machine_ns: int) -> None:
        rules = self._rules
        times = self._rejected.setdefault(order.account, deque())
        times.append(machine_ns)
        while times and machine_ns - times[0] > rules.rejection_minutes * 60 * SECOND:
            times.popleft()
        if rules.rejections and len(times) >= rules.rejections:
            self._stand(
                (ORDERS_REJECTED, order.account),
                f"the broker refused {len(times)} orders of {order.account} within {rules.rejection_minutes:g} min, "
                f"the last one: {order.message or 'no reason given'}; ALERT_REJECTIONS is {rules.rejections}; "
                "see `mytrading orders`",
                machine_ns,
            )

    def _is_new(self, name: str) -> bool:
        if name in self._seen:
            return False
        self._seen[name] = None
        while len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return True

    def _stand(self, subject: Subject, text: str, machine_ns: int) -> None:
        self._until[subject] = machine_ns + round(self._rules.cooldown_seconds * SECOND)
        self._text[subject] = text

    def standing(self, machine_ns: int) -> dict[Subject, str]:
        """What is alarmed now, in words."""
        return {subject: self._text[subject] for subject, until in self._until.items() if machine_ns < until}
