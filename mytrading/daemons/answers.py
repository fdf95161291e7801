"""The gateway's answers to the command line, one method a verb, as plain lists and dicts for JSON.

The one rule: a verb that orders something journals it through `order` before it answers.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, Protocol

import msgspec

from mytrading.core.confidence import least, of_account
from mytrading.core.control import ControlMachine
from mytrading.core.feed.lookers import Lookers
from mytrading.core.order import LIVE
from mytrading.core.parents import grouped
from mytrading.core.risk import stops as risk_stops
from mytrading.core.risk.readiness import NEEDED
from mytrading.core.spelling import nearest
from mytrading.core.view import StackView
from mytrading.core.wish_results import results_of, together, words_of
from mytrading.daemons.answers_look import LookVerbs
from mytrading.daemons.answers_money import checked_profits
from mytrading.daemons.answers_orders import OrderVerbs
from mytrading.daemons.answers_person import PersonVerbs
from mytrading.daemons.answers_risk import RiskVerbs
from mytrading.daemons.answers_strategies import StrategyVerbs
from mytrading.daemons.usage import UsageError, number, whole
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.commands import SignalDenied, SignalExpired
from mytrading.messages.control import Heartbeat, OpsRequest
from mytrading.messages.enums import Confidence, TradingLevel
from mytrading.messages.orders import Order, Position
from mytrading.messages.runconfig import RunConfig, ServerMode, VenueKind
from mytrading.messages.signals import Signal, WishDenied
from mytrading.messages.streams import ALL
from mytrading.runtime.clock import MarketClock, machine_now
from mytrading.runtime.metrics import read_snapshots

__all__ = ["Answers", "UsageError"]

LATE_S = 5.0
RESUME = "`mytrading resume`"


class _Totals(Protocol):
    restarts: dict[str, int]

    def get(self, daemon: str, name: str) -> float: ...


def _ready(beat: Heartbeat | None) -> bool:
    """True if a daemon says so, and said it just now."""
    return beat is not None and beat.ready and machine_now() - beat.machine_ns <= LATE_S * 1e9


class Answers(OrderVerbs, PersonVerbs, LookVerbs, RiskVerbs, StrategyVerbs):
    """Reads the view, writes through `order`."""

    def __init__(
        self,
        config: RunConfig,
        view: StackView,
        control: ControlMachine,
        clock: MarketClock,
        totals: _Totals,
        order: Callable[[tuple[msgspec.Struct, ...]], None],
    ) -> None:
        self._config, self._view, self._control = config, view, control
        self._clock, self._totals, self._order = clock, totals, order
        self.lookers = Lookers()
        self._verbs: dict[str, Callable[[dict[str, str]], Any]] = {
            name[6:]: getattr(self, name) for name in dir(self) if name.startswith("_verb_")
        }

    def answer(self, request: OpsRequest) -> Any:
        """The body of the reply; raises `UsageError`."""
        verb = self._verbs.get(request.verb)
        if verb is None:
            close = get_close_matches(request.verb, self._verbs, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise UsageError(f"expected one of {', '.join(sorted(self._verbs))}; found {request.verb!r}{hint}")
        self._clock.refresh()
        given = request.arguments
        return verb({**given, "strategy": self._own_name(given["strategy"])} if given.get("strategy") else given)

    # questions

    def _verb_status(self, _: dict[str, str]) -> Any:
        trading = self._control.current()
        return {
            "profile": self._config.profile,
            "mode": self._config.mode.value,
            "quotes_of": self._config.source.id if self._config.source is not None else "",
            "market_ns": self._clock.now(),
            "speed": self._clock.speed,
            "state_dir": str(self._config.state),
            "trading": {
                "level": trading.level.value,
                "reason": trading.reason,
                "by": trading.by,
                "at_ns": trading.at_ns,
            },
            "held_back": self._levels(),
            "flattens": self._flattens(),
            "kill": self._kill(),
            "switched_off": self._switched_off(),
            "limits_reached": self._limits_reached(),
            "daemons": [self._daemon(self._view.beats.get(name), name) for name in ALL],
            "accounts": self._accounts_shown(),
            "budgets": [msgspec.structs.asdict(row) for _, row in sorted(self._view.budgets.items())],
            "profit": checked_profits(self._view, machine_now()),
            "levels": [msgspec.to_builtins(level) for level in self._control.trading.values()],
            "recovery": [msgspec.to_builtins(row) for row in self._view.recoveries.values()],
            "halted": [msgspec.to_builtins(row) for row in self._view.halted.values() if row.halted],
            "stopped": [msgspec.to_builtins(row) for row in self._view.stopped.values() if row.stopped],
            "ready": not self._wrong_mode() and all(_ready(self._view.beats.get(name)) for name in ALL),
            "wrong_mode": self._wrong_mode(),
            "entries_closed": self._entries_closed(),
        }

    def _entries_closed(self) -> str:
        """Why nothing is entered in the traded account although trading is at normal, and the cure; empty if it is."""
        account = self._config.venue.account
        if wrong := self._wrong_mode():
            return wrong if RESUME in wrong else f"{wrong}; {RESUME} when the server is in order"
        if (kill := self._kill()) is not None:
            return f"the file KILL says {kill['word']}"
        if held := next((row for row in self._levels() if row["account"] == account), None):
            return f"{account} is at {held['level']}; {RESUME} ends it"
        health = self._view.health.get(account)
        if health is not None and not health.healthy:
            return f"{account}: {health.message or 'its books are not read yet'}; see `mytrading alerts`"
        for level in self._view.recoveries.values():
            if level.account == account and not level.done:
                return f"the books of {account} are being compared with the journal"
        if lacking := [name for name in (*NEEDED, "risk") if not _ready(self._view.beats.get(name))]:
            return f"{', '.join(lacking)} not ready"
        stopped = self._view.stopped.get((account, ""))
        if stopped is not None and stopped.stopped:
            return f"{stopped.reason}; {RESUME} ends it"
        return self._view.risk.closed if self._view.risk is not None else ""

    def _wrong_mode(self) -> str:
        """What is said of the traded account's server in the wrong mode, until a person clears it; empty if nothing."""
        alert = self._control.alerts.get(("router", "WRONG_MODE", self._config.venue.account))
        return "" if alert is None or alert.cleared else alert.message

    def _accounts_shown(self) -> list[dict[str, Any]]:
        """Each account with what it is for, and its health once the reconciler has said something of it."""
        source = self._config.source
        apart = [("orders", self._config.served[0]), ("quotes", source)] if source is not None else []
        rows: dict[str, dict[str, Any]] = {
            account.id: {
                "account": account.id,
                "role": role,
                "broker": account.broker,
                "product": account.product.value,
                "host": account.rest_url,
                "ws_url": account.ws_url,
            }
            for role, account in (*apart, *((one.role.value, one) for one in self._config.accounts))
        }
        for health in self._view.health.values():
            row = rows.setdefault(health.account, {"broker": ""})
            sure = of_account(health, machine_now()).value
            told = {"status": health.status, "broker": health.broker or row["broker"], "books": sure}
            row.update({**msgspec.to_builtins(health), **told})
            row["message"] = health.message or health.funds_unread
        return list(rows.values())

    def _daemon(self, beat: Heartbeat | None, name: str) -> dict[str, Any]:
        if beat is None:
            return {"daemon": name, "state": "ABSENT", "ready": False, "restarts": self._totals.restarts.get(name, 0)}
        age = (machine_now() - beat.machine_ns) / 1e9
        body: dict[str, Any] = msgspec.to_builtins(beat)
        return {
            **body,
            "state": "SILENT" if age > LATE_S else beat.state.value,
            "ready": _ready(beat),
            "age_s": round(age, 2),
            "lag_ms": beat.lag_ms,
            "notes": list(beat.notes),
            "figures": dict(beat.figures),
            "handled": beat.handled,
            "queue_depth": beat.queue_depth,
            "bad_frames": beat.bad_frames,
            "dropped": beat.dropped,
            "restarts": self._totals.restarts.get(name, 0),
        }

    def _verb_orders(self, arguments: dict[str, str]) -> Any:
        rows = grouped(sorted(self._view.orders.values(), key=lambda order: order.created_ns))
        if arguments.get("live") == "true":
            rows = [row for row in rows if any(order.state in LIVE for order in row[1] or row[:1])]
        return [
            {**_order(parent), **({"slices": [_order(part) for part in slices]} if slices else {})}
            for parent, slices in _last(rows, arguments)
        ]

    def _verb_positions(self, arguments: dict[str, str]) -> Any:
        everything = arguments.get("all") == "true"
        positions = self._view.positions.values() if everything else self._view.open_positions()
        rows = [self._position(position) for position in positions]
        return rows + [self._unmanaged(row) for row in self._view.unmanaged.values() if row.quantity]

    def _unmanaged(self, row: UnmanagedChanged) -> dict[str, Any]:
        key = (row.account, row.instrument, row.product.value)
        disputed = Confidence.DISPUTED if key in self._view.mismatches else Confidence.CONFIRMED
        return {
            "account": row.account,
            "instrument": row.instrument,
            "product": row.product.value,
            "strategy": UNMANAGED,
            "quantity": row.quantity,
            "average_price": row.average_price or None,
            "confidence": least([disputed, of_account(self._view.health.get(row.account), machine_now())]).value,
            "since_ns": row.since_ns or row.at_ns,
            "age_s": round((self._clock.now() - (row.since_ns or row.at_ns)) / 1e9),
        }

    def _position(self, position: Position) -> dict[str, Any]:
        quote = self._view.quotes.get(position.instrument)
        health = self._view.health.get(position.account)
        unrealised = self._view.unrealised_of(position)
        body: dict[str, Any] = msgspec.to_builtins(position)
        return {
            **body,
            "quantity": position.quantity,
            "average_price": round(position.average_price, 4),
            "realised": round(position.realised, 2),
            "ltp": quote.ltp if quote else None,
            "unrealised": None if unrealised is None else round(unrealised, 2),
            "since_ns": position.opened_ns,
            "age_s": round((self._clock.now() - position.opened_ns) / 1e9) if position.opened_ns else None,
            "confidence": least([position.confidence, of_account(health, machine_now())]).value,
            **self._stop(position),
        }

    def _stop(self, position: Position) -> dict[str, Any]:
        """The stop of a position; the level that risk holds itself comes with its heartbeat, in state `engine`.

        What needs no stop, since all of it hedges something sold, is in state `hedge`.
        """
        shown = self._view.stop_of(position)
        beat = self._view.beats.get("risk")
        if beat is None or shown["stop"] is not None or shown["stop_state"] == "closing":
            return shown
        key = risk_stops.key_of(position)
        if held := beat.figures.get(risk_stops.name_of(key)):
            return {**shown, "stop": held, "stop_state": "engine"}
        return {**shown, "stop_state": "hedge"} if beat.figures.get(risk_stops.hedge_of(key)) else shown

    def _verb_trades(self, arguments: dict[str, str]) -> Any:
        return [msgspec.to_builtins(trade) for trade in _last(list(self._view.trades), arguments)]

    def _verb_signals(self, arguments: dict[str, str]) -> Any:
        denied: dict[str, list[SignalDenied | SignalExpired]] = {}
        for denial in self._view.denials:
            denied.setdefault(denial.signal, []).append(denial)
        rows: list[Signal | WishDenied] = [*self._view.signals, *self._view.held_back]
        rows.sort(key=_since)
        orders: dict[str, list[Order]] = {}
        for order in self._view.orders.values():
            orders.setdefault(order.cause, []).append(order)
        return [
            _held_back(row)
            if isinstance(row, WishDenied)
            else self._signal(row, orders.get(row.id, []), denied.get(row.id, []))
            for row in _last(rows, arguments)
        ]

    def _signal(
        self, signal: Signal, orders: list[Order], denials: list[SignalDenied | SignalExpired]
    ) -> dict[str, Any]:
        """A wish with what it came to, in all its accounts and in each."""
        run = self._config.strategy(signal.strategy)
        accounts = run.accounts if run is not None and run.accounts else (signal.account,)
        results = results_of(signal, orders, denials, [name for name in accounts if name])
        return {
            **msgspec.to_builtins(signal),
            "denied": [words_of(denial) for denial in denials],
            "result": together(results),
            "accounts": [row._asdict() for row in results],
        }

    def _verb_alerts(self, arguments: dict[str, str]) -> Any:
        alerts = self._control.shown()
        if arguments.get("all") != "true":
            alerts = [alert for alert in alerts if not alert.cleared]
        return [msgspec.to_builtins(alert) for alert in _last(alerts, arguments)]

    def _verb_summary(self, _: dict[str, str]) -> Any:
        totals, view = self._totals, self._view
        return {
            "mode": self._config.mode.value,
            "market_ns": self._clock.now(),
            "daemons": {
                name: {
                    "state": row["state"],
                    "restarts": row["restarts"],
                    "rss_mb": row.get("rss_mb", 0.0),
                    "cpu_s": round(totals.get(name, "cpu_s"), 2),
                }
                for name in ALL
                for row in [self._daemon(view.beats.get(name), name)]
            },
            "quotes": int(totals.get("feed", "quotes_in")),
            "bars": int(totals.get("feed", "bars")),
            "signals": view.counts["signals"],
            "orders": view.order_counts(),
            "round_trips": view.counts["round_trips"],
            "positions": self._verb_positions({}),
            "pnl": {"realised": round(view.realised(), 2), "unrealised": round(view.unrealised(), 2)},
            "latency_ms": {"quote_to_order": self._latency()},
            "strategies": self._verb_strategies({}),
            "alerts": self._verb_alerts({}),
        }

    def _latency(self) -> dict[str, float | None]:
        for snapshot in read_snapshots(self._config.metrics_dir):
            for operation in snapshot.operations:
                if operation.name == "router.quote_to_order":
                    figures = operation.figures()
                    return {"p50": round(figures["p50"], 3), "p99": round(figures["p99"], 3)}
        return {"p50": None, "p99": None}

    # orders of a person

    def _verb_halt(self, arguments: dict[str, str]) -> Any:
        level = TradingLevel.REDUCE if arguments.get("level") == "reduce" else TradingLevel.HALT
        account = self._account(arguments)
        rows = self._control.level(
            level,
            arguments.get("reason") or f"{_BY_HAND[level]} by hand",
            self._clock.now(),
            account,
            arguments.get("by", ""),
        )
        self._order(rows)
        return msgspec.to_builtins(rows[0])

    def _verb_resume(self, arguments: dict[str, str]) -> Any:
        now = self._clock.now()
        reason, account = arguments.get("reason") or "resumed by hand", self._account(arguments)
        rows = self._control.resume(reason, now, account, arguments.get("by", ""))
        names = [account] if account else self._accounts()
        cleared = [row for name in names for row in self._control.clear_mode(name, now)]
        self._order((*rows, *cleared))
        return {**msgspec.to_builtins(rows[0]), "kill": self._kill()}

    def _verb_withdraw(self, arguments: dict[str, str]) -> Any:
        rows = self._control.withdraw(arguments.get("reason") or "withdrawn by hand", self._clock.now())
        self._order(rows)
        return {**msgspec.to_builtins(rows[0]), "entries": self._resting_entries()}

    def _verb_probe(self, arguments: dict[str, str]) -> Any:
        """A trial order (instrument, quantity, price), or its end (no quantity); `id` names it."""
        venue = self._config.venue
        if venue.expected_mode is not ServerMode.ANALYZE or venue.kind is not VenueKind.OPENALGO:
            raise UsageError("probe: expected a paper venue, found a live or dry one; trial orders are paper only")
        name, instrument = arguments.get("id", ""), arguments.get("instrument", "")
        if not (name and instrument):
            raise UsageError(f"probe: expected id, instrument, quantity and price; found {', '.join(arguments)}")
        quantity, price = whole("quantity", arguments.get("quantity", "0")), number(arguments, "price")
        now = self._clock.now()
        rows = self._control.probe(name, venue.account, instrument, now, quantity, price)
        self._order(rows)
        return msgspec.to_builtins(rows[0])

    def _verb_resting(self, _: dict[str, str]) -> Any:
        return {"entries": self._resting_entries(), "stops": [_order(order) for order in self._view.stop_orders()]}

    def _resting_entries(self) -> list[dict[str, Any]]:
        return [
            _order(order) for order in self._view.orders.values() if order.state in LIVE and not order.purpose.reduces
        ]

    def _verb_switch(self, arguments: dict[str, str]) -> Any:
        name = arguments.get("strategy", "")
        if self._config.strategy(name) is None:
            known = [run.name for run in self._config.strategies]
            meant = f"; did you mean {near}?" if name and (near := nearest(name, known)) else ""
            raise UsageError(f"expected a strategy that runs ({', '.join(known) or 'none'}); found {name!r}{meant}")
        enabled = arguments.get("enabled") != "false"
        reason = arguments.get("reason") or f"switched {'on' if enabled else 'off'} by hand"
        rows = self._control.switch(name, enabled, self._clock.now(), reason, arguments.get("by", ""))
        self._order(rows)
        return msgspec.to_builtins(rows[0])


_BY_HAND = {TradingLevel.HALT: "halted", TradingLevel.REDUCE: "reduced"}
UNMANAGED = "(unmanaged)"


def _order(order: Order) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.to_builtins(order)
    return {**body, "filled": order.filled, "average_price": order.average_price, "message": order.message}


def _held_back(row: WishDenied) -> dict[str, Any]:
    """A wish that a rule of the user kept back, or that came too late, as it stands among the signals."""
    return {
        "id": row.signal,
        "strategy": row.strategy,
        "watch": row.watch,
        "action": row.action.value,
        "created_ns": row.at_ns,
        "denied": [f"RULE {row.rule}: {row.message}" if row.rule else f"LATE: {row.message}"],
        "result": "denied",
        "accounts": [],
    }


def _since(row: Signal | WishDenied) -> int:
    return row.at_ns if isinstance(row, WishDenied) else row.created_ns


def _last(rows: list[Any], arguments: dict[str, str]) -> list[Any]:
    limit = whole("limit", arguments.get("limit", "200"))
    return rows[-limit:] if limit else rows
