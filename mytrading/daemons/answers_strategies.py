"""The gateway's verbs about strategies: the list, and the own books of one of them over all accounts.

Used by `Answers`. The one rule: a strategy's figures are sums of its rows, which are there to be added up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mytrading.core.control import ControlMachine
from mytrading.core.order import PROVEN
from mytrading.core.spelling import nearest, plain
from mytrading.core.view import StackView
from mytrading.daemons.usage import UsageError, whole
from mytrading.messages.control import StrategySwitch
from mytrading.messages.orders import Order, Position
from mytrading.messages.runconfig import RunConfig, StrategyRun


class StrategyVerbs:
    """A part of `Answers`."""

    _config: RunConfig
    _view: StackView
    _control: ControlMachine

    if TYPE_CHECKING:

        def _position(self, position: Position) -> dict[str, Any]:
            """A position as `positions` shows it, by `Answers`."""

    def _verb_strategies(self, _: dict[str, str]) -> Any:
        return [self._strategy_row(run.name, run) for run in self._config.strategies]

    def _verb_strategy(self, arguments: dict[str, str]) -> Any:
        """Orders, round trips, positions and sums of `strategy`; it need not run any more."""
        name, limit = arguments.get("strategy", ""), whole("limit", arguments.get("limit", "200"))
        known = self._known_strategies()
        if name not in known:
            raise UsageError(
                f"expected a strategy that runs or has traded ({', '.join(known) or 'none'}); found {name!r}"
                + (f"; did you mean {near}?" if name and (near := nearest(name, known)) else "")
            )
        orders = sorted(
            (order for order in self._view.orders.values() if order.strategy == name), key=lambda row: row.created_ns
        )
        held = [row for row in self._view.positions.values() if row.strategy == name]
        trades = [msgspec.to_builtins(trade) for trade in self._view.trades if trade.strategy == name]
        shown = [self._position(row) for row in held]
        return {
            **self._strategy_row(name, self._config.strategy(name)),
            "accounts": self._accounts_of(name, held, orders),
            "positions": shown,
            "orders": [_order_row(order) for order in _newest(orders, limit)],
            "live": [_order_row(order) for order in orders if order.state not in PROVEN and not order.purpose.reduces],
            "trades": _newest(trades, limit),
        } | {"open": sum(1 for row in held if row.quantity or row.quantity_seen)}

    def _own_name(self, word: str) -> str:
        """The strategy that is meant whatever the case, `_`, `-` and blanks; the word itself if none or several are."""
        known = self._known_strategies()
        like = [name for name in known if plain(name) == plain(word)]
        return like[0] if word not in known and len(like) == 1 else word

    def _known_strategies(self) -> list[str]:
        names = [run.name for run in self._config.strategies]
        names += [row.strategy for row in self._view.positions.values()]
        names += [order.strategy for order in self._view.orders.values()]
        return list(dict.fromkeys(name for name in names if name))

    def _strategy_row(self, name: str, run: StrategyRun | None) -> dict[str, Any]:
        started, fault = self._view.strategies.get(name), self._view.faults.get(name)
        switch = self._control.switches.get(name)
        mine = [position for position in self._view.positions.values() if position.strategy == name]
        gone = run is None or (fault is not None and fault.gone)
        state = "GONE" if gone else "FAULTED" if fault else "RUNNING" if started else "LOADING"
        return {
            "name": name,
            "kind": "legs" if run is not None and run.plan is not None else "code",
            "state": state,
            "problem": f"{fault.where}: {fault.error}" if fault else "",
            "enabled": run is not None and (switch.enabled if switch else True),
            "switched": _switched(switch) if switch else None,
            "watches": list(run.symbols) if run is not None else [],
            "parameters": started.parameters if started else run.parameters if run is not None else {},
            "realised": round(sum(position.realised for position in mine), 2),
            "unrealised": round(sum(self._view.unrealised_of(position) or 0.0 for position in mine), 2),
            "positions": sum(1 for position in mine if position.quantity),
        }

    def _switched_off(self) -> list[dict[str, Any]]:
        """Strategies that run and may not enter, with who said so, when and why."""
        off = [switch for switch in self._control.switches.values() if not switch.enabled]
        return [
            {"strategy": row.strategy, **_switched(row)}
            for row in off
            if self._config.strategy(row.strategy) is not None
        ]

    def _accounts_of(self, name: str, held: list[Position], orders: list[Order]) -> list[dict[str, Any]]:
        """What each account adds to the sums."""
        run = self._config.strategy(name)
        names = [*(run.accounts if run is not None else ()), *(row.account for row in held)]
        names += [order.account for order in orders]
        return [self._account_row(account, held, orders) for account in dict.fromkeys(names)]

    def _account_row(self, account: str, held: list[Position], orders: list[Order]) -> dict[str, Any]:
        mine = [row for row in held if row.account == account]
        return {
            "account": account,
            "positions": sum(1 for row in mine if row.quantity),
            "units": sum(abs(row.quantity) for row in mine),
            "orders": sum(1 for order in orders if order.account == account),
            "realised": round(sum(row.realised for row in mine), 2),
            "unrealised": round(sum(self._view.unrealised_of(row) or 0.0 for row in mine), 2),
        }


def _switched(row: StrategySwitch) -> dict[str, Any]:
    return {"enabled": row.enabled, "reason": row.reason, "by": row.by, "at_ns": row.at_ns}


def _order_row(order: Order) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.to_builtins(order)
    return {**body, "filled": order.filled, "average_price": order.average_price, "message": order.message}


def _newest(rows: list[Any], limit: int) -> list[Any]:
    return rows[-limit:] if limit else rows
