"""Alerts that follow from the state of risk, by code and subject, and from latencies above settings of the operator.

One with a text is raised from the state; one without was raised by a journaled row, and only lasts or ends here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from mytrading.core.active_alerts import ENGINE_STOP_BLIND, STAYS, ActiveAlert, Subject
from mytrading.core.orders.broker_gate import engine_stops_text, entry_refusal
from mytrading.core.risk.exits import corporate_actions
from mytrading.core.risk.exits.passed_stops import MAY_HAVE_TRIGGERED, STOP_FAILED, unsure_stops
from mytrading.core.risk.exits.position_alerts import LATE, MISSED, UNBOUND, square_off_subject, unbound_subject
from mytrading.core.risk.limits.limits import PROFIT_UNKNOWN
from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.pretrade.readiness import absent_holdings, provisional_day
from mytrading.core.risk.protection.stop_coverage import STOP_UNCERTAIN, STOP_UNCOVERED
from mytrading.core.risk.rollover.rollover import CODE as ROLL_OVER
from mytrading.core.risk.runs.run_events import STRATEGY_RISK
from mytrading.core.risk.state.lost_covers import bare_leg_subject, bare_leg_text, bare_legs
from mytrading.core.risk.state.state import RiskState
from mytrading.core.time import MILLISECOND, SECOND, ist_date
from mytrading.messages.control import KILL, Alert, LimitUse
from mytrading.messages.enums import LimitKind, OrderState, Severity, TradingLevel
from mytrading.messages.orders import Order
from mytrading.messages.run_config import AlertRules

QUOTES_IN_A_ROW = 10
"""One late quote is a hiccup."""
QUOTE_LATENCY, ORDER_LATENCY, ORDERS_REJECTED = "QUOTE_LATENCY", "ORDER_LATENCY", "ORDERS_REJECTED"
REMEMBERED = 2000
LIMIT_NEAR, KILL_FILE = "LIMIT_NEAR", "KILL_FILE"
COVER_LOST = "COVER_LOST"
"""A sold leg stands without the bought leg that covered it."""
BROKER_REFUSED, STOPS_IN_ENGINE = "BROKER_REFUSED", "STOPS_IN_ENGINE"
"""The account's broker gets no entries, or (by its nature, or accepted by the operator) none of the stops."""
ACCOUNT_ABSENT = "ACCOUNT_ABSENT"
"""An account that this run does not have holds something of ours: no stop of it is placed, no exit can go."""
DAY_PROVISIONAL = "DAY_PROVISIONAL"
"""The alert that entries wait for an operator's word, in a year whose holidays nobody has listed."""
NO_PRICE = "NO_PRICE"
"""What is held has no price that could be one, and its book says none either."""
NO_PRICE_NS = 10 * SECOND
"""Machine time without a price after which `NO_PRICE` is raised."""
NEAR = 0.8
"""Share of a limit from which on it counts as nearly used up."""
EASED = 0.1
"""By how much of the limit its use must fall below `NEAR` to end the alert."""
STATE_ALERTS = frozenset({
    STOP_UNCOVERED, STOP_UNCERTAIN, STOP_FAILED, ROLL_OVER, PROFIT_UNKNOWN, ENGINE_STOP_BLIND, LIMIT_NEAR, UNBOUND,
    LATE, MISSED, COVER_LOST, QUOTE_LATENCY, ORDER_LATENCY, ORDERS_REJECTED, KILL_FILE, STRATEGY_RISK,
    corporate_actions.CODE, corporate_actions.CONTRACT_CODE,
    MAY_HAVE_TRIGGERED, BROKER_REFUSED, STOPS_IN_ENGINE, NO_PRICE, ACCOUNT_ABSENT, DAY_PROVISIONAL,
    *(kind.value for kind in LimitKind),
})  # fmt: skip
"""Codes of the alerts that last exactly as long as they are among the active ones."""
BY_OPERATOR = frozenset({KILL_FILE})
"""Codes of the alerts that an operator ends."""


def active_alerts(
    risk: RiskMachine, latency: LatencyAlerts, limits: tuple[LimitUse, ...], raised: Iterable[Alert], kill_file: str,
    now: int, machine_ns: int,
) -> dict[Subject, ActiveAlert]:  # fmt: skip
    """Return the active alerts at market time `now` by subject: with a text, or `STAYS` for one that goes on if a
    decision raised it. `limits`: their use as last published; `raised`: alerts that are active until now; `kill_file`:
    path of the file KILL. The alert of a run's rule lasts for its day."""
    state = risk.state
    active = dict.fromkeys(((STOP_UNCOVERED, found.subject) for found in state.guard.uncovered_positions()), STAYS)
    active |= dict.fromkeys(((STOP_UNCERTAIN, found.subject) for found in state.guard.doubted_positions()), STAYS)
    active |= {(STOP_FAILED, one.id): STAYS for one in state.protections.values() if one.state != "done"}
    active |= {(ROLL_OVER, subject): STAYS for subject in risk.rollover.alert_subjects(now)}
    for position in state.open_positions():
        active |= {(code, square_off_subject(position)): STAYS for code in (LATE, MISSED)}
    for position in state.open_positions():
        if position.owner in state.corporate:
            active[corporate_actions.CODE, corporate_actions.alert_subject(position)] = STAYS
        active[corporate_actions.CONTRACT_CODE, corporate_actions.alert_subject(position)] = STAYS
    for position in state.unbound_positions():
        active[UNBOUND, unbound_subject(position)] = STAYS
    for limit in risk.limits.all_limits:
        if risk.limits.is_reached(limit):
            active[limit.kind.value, limit.scope_name] = STAYS
    for scope in risk.limits.scopes_of_unknown_profit():
        active[PROFIT_UNKNOWN, " ".join(scope)] = ActiveAlert(Severity.CRITICAL, risk.limits.unknown_profit_text(scope))
    for strategy, why in risk.unpriced_stops(now).items():
        text = f"{why}; entries of {strategy} are denied, see `mytrading status`"
        active[ENGINE_STOP_BLIND, strategy] = ActiveAlert(Severity.CRITICAL, text)
    for order, text in unsure_stops(state, now).items():
        active[MAY_HAVE_TRIGGERED, order] = ActiveAlert(Severity.CRITICAL, text, once=True)
    for leg in bare_legs(state):
        active[COVER_LOST, bare_leg_subject(leg)] = ActiveAlert(Severity.CRITICAL, bare_leg_text(leg))
    active |= _of_brokers(state) | _of_prices(state, now) | _of_days(state, now)
    kill, today = state.trading.get(KILL), ist_date(now)
    if kill is not None and kill.level is not TradingLevel.NORMAL:
        text = f"{kill.reason} (by {kill.by}): no entries until it is removed, `mytrading kill --remove`"
        active[KILL_FILE, kill_file] = ActiveAlert(Severity.CRITICAL, text)
    ruled = (alert for alert in raised if alert.code == STRATEGY_RISK and ist_date(alert.last_ns) == today)
    active |= {(alert.code, alert.subject): STAYS for alert in ruled}
    for key, text in latency.active_texts(machine_ns).items():
        active[key] = ActiveAlert(Severity.WARNING, text)
    return active | near_limits(limits)


def _of_brokers(state: RiskState) -> dict[Subject, ActiveAlert]:
    """Return the alerts of accounts whose broker gets no entries, or none of their stops."""
    environment, found = state.environment, {}
    for account in environment.accounts():
        rules = state.broker_of(account)
        if refusal := entry_refusal(account, rules, environment.accepted_brokers):
            found[BROKER_REFUSED, account] = ActiveAlert(Severity.CRITICAL, refusal)
        elif text := engine_stops_text(account, rules):
            found[STOPS_IN_ENGINE, account] = ActiveAlert(Severity.WARNING, text)
    for account, held in absent_holdings(state).items():
        text = (
            f"account {account} is not in this run and holds {held}: nothing guards it here, no account enters "
            "anything; name the account again and start, or close it at the broker and `mytrading positions settle`"
        )
        found[ACCOUNT_ABSENT, account] = ActiveAlert(Severity.CRITICAL, text)
    return found


def _of_days(state: RiskState, now: int) -> dict[Subject, ActiveAlert]:
    """Return a warning for each exchange in session that a strategy watches and whose entries wait for a word."""
    environment = state.environment
    watched = sorted({symbol.partition(":")[0] for run in environment.strategies.values() for symbol in run.symbols})
    found = {}
    for exchange in watched:
        why = provisional_day(state, exchange, now) if environment.is_open(exchange, now) else ""
        if why:
            text = f"{why}: entries wait; if it trades, `mytrading calendar confirm {exchange}` lets them go today"
            found[DAY_PROVISIONAL, exchange] = ActiveAlert(Severity.WARNING, text)
    return found


def _of_prices(state: RiskState, now: int) -> dict[Subject, ActiveAlert]:
    """Return an alert for each held instrument that has been without a price for long, naming the runs that hold it."""
    found = {}
    for name, since in state.unpriced.items():
        runs = sorted({position.strategy for position in state.open_positions() if position.instrument == name})
        late = since and state.machine_ns - since >= NO_PRICE_NS
        if runs and late and state.environment.is_open(name.partition(":")[0], now):
            text = (
                f"the last price of {name} cannot be one beside its bid and ask, and no middle of these stands in: the "
                f"limits of {', '.join(runs)} rest until a price comes; stops at the broker and exits go on, look at "
                "the broker's terminal"
            )
            found[NO_PRICE, name] = ActiveAlert(Severity.CRITICAL, text)
    return found


def near_limits(limits: tuple[LimitUse, ...]) -> dict[Subject, ActiveAlert]:
    """Return warnings of limits used by `NEAR` or more; one raised before stays until the use has fallen by `EASED`."""
    active = {}
    for limit in limits:
        subject = f"{limit.kind.value} {limit.scope} {limit.name}"
        if limit.reached:
            continue
        if limit.used >= NEAR and limit.kind is not LimitKind.DAILY_TARGET_R:
            text = f"{limit.used:.0%} of the limit are used up; see `mytrading risk`"
            active[LIMIT_NEAR, subject] = ActiveAlert(Severity.WARNING, text, once=True)
        elif limit.used >= NEAR - EASED:
            active[LIMIT_NEAR, subject] = STAYS
    return active


class LatencyAlerts:
    """Alerts of late quotes, slow order calls and rejections; machine times in ns.

    An alert lasts for a cool-down after the last excess. A limit of 0 watches nothing. Budget of a quote: 1 µs.
    """

    def __init__(self, rules: AlertRules) -> None:
        self._rules = rules
        self._quote_ns = round(rules.quote_latency_ms * MILLISECOND)
        self._late_quotes = 0
        self._until: dict[Subject, int] = {}
        self._text: dict[Subject, str] = {}
        self._rejected: dict[str, deque[int]] = {}
        self._seen: dict[str, None] = {}
        self._received_ns = -1

    def record_quote(self, received_ns: int, machine_ns: int) -> None:
        """Record a quote's delay, socket (`received_ns`) to risk (`machine_ns`); several late in a row raise alerts.

        One that was not received later than the last says nothing: its book is new, and its stamps are its price's.
        """
        if received_ns <= self._received_ns:
            return
        self._received_ns = received_ns
        if not self._quote_ns or machine_ns - received_ns <= self._quote_ns:
            self._late_quotes = 0
            return
        self._late_quotes += 1
        if self._late_quotes >= QUOTES_IN_A_ROW:
            late = (machine_ns - received_ns) / MILLISECOND
            self._raise(
                (QUOTE_LATENCY, "quotes"),
                f"quotes reach risk {late:,.1f} ms after they were read, {self._late_quotes} in a row; "
                f"MAX_QUOTE_LATENCY is {self._rules.quote_latency_ms:g} ms; see `mytrading perf`, and what else runs",
                machine_ns,
            )

    def record_order(self, order: Order, machine_ns: int) -> None:
        """Raise an alert if the order's placing call was slow, or the broker rejects many; counts each order once."""
        most = self._rules.order_latency_ms * MILLISECOND
        took = order.call.ended_machine_ns - order.call.began_machine_ns
        if order.call.ended_machine_ns and 0 < most < took and self._is_new(f"call {order.client_order_id}"):
            self._raise(
                (ORDER_LATENCY, order.account),
                f"an order call of {order.account} took {took / MILLISECOND:.0f} ms ({order.instrument}); "
                f"MAX_ORDER_LATENCY is {self._rules.order_latency_ms:g} ms; see the server, and `mytrading perf`",
                machine_ns,
            )
        if order.state is OrderState.REJECTED and self._is_new(f"no {order.client_order_id}"):
            self._rejection(order, machine_ns)

    def _rejection(self, order: Order, machine_ns: int) -> None:
        rules = self._rules
        times = self._rejected.setdefault(order.account, deque())
        times.append(machine_ns)
        while times and machine_ns - times[0] > rules.rejection_minutes * 60 * SECOND:
            times.popleft()
        if rules.rejections and len(times) >= rules.rejections:
            self._raise(
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

    def _raise(self, subject: Subject, text: str, machine_ns: int) -> None:
        self._until[subject] = machine_ns + round(self._rules.cooldown_seconds * SECOND)
        self._text[subject] = text

    def active_texts(self, machine_ns: int) -> dict[Subject, str]:
        """Return the texts of the active latency and rejection alerts, by subject (alert code, name)."""
        return {subject: self._text[subject] for subject, until in self._until.items() if machine_ns < until}
