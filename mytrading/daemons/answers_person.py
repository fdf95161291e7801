"""The gateway's verbs about what a person does to orders and positions: resolve, claim, close, flatten, and their end.

Used by `Answers`. The one rule: what cannot be meant (an unknown id, name or instrument) is refused here, before it is
journaled; whether it may be done the router judges, and says so in a row of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

import msgspec

from mytrading.adapters.instrument_store import InstrumentFile
from mytrading.core.control import ControlMachine
from mytrading.core.order import TERMINAL, in_words
from mytrading.core.slicing import Sizes
from mytrading.core.view import StackView
from mytrading.daemons.usage import UsageError, number
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.control import ClaimRequested, FlattenRequested, ResolveRequested
from mytrading.messages.enums import Product, TradingLevel
from mytrading.messages.orders import Flatten, Order, Position
from mytrading.messages.runconfig import RunConfig
from mytrading.runtime.clock import MarketClock, machine_now

MANUAL = "manual"
"""The owner of what a person claims only to close it."""
DEADLINE_S = 60.0
MOST_DEADLINE_S = 86_400.0


class PersonVerbs:
    """A part of `Answers`."""

    _config: RunConfig
    _view: StackView
    _control: ControlMachine
    _clock: MarketClock
    _order: Callable[[tuple[msgspec.Struct, ...]], None]

    # one order

    def _verb_resolve(self, arguments: dict[str, str]) -> Any:
        """End `order`, of unknown fate: it is `broker_order`, or with `not_placed` it never was."""
        order, broker = self._order_named(arguments.get("order", "")), arguments.get("broker_order", "")
        if bool(broker) == (arguments.get("not_placed") == "true"):
            raise UsageError("expected either --broker-order ID or --not-placed")
        message = ResolveRequested(
            id=f"resolve-{machine_now()}",
            order=order.client_order_id,
            at_ns=self._clock.now(),
            broker_order_id=broker,
            force=arguments.get("force") == "true",
            reason=arguments.get("reason", ""),
        )
        self._order((message,))
        return {"request": message.id, "order": order.client_order_id}

    def _order_named(self, name: str) -> Order:
        orders = self._view.orders
        if name in orders:
            return orders[name]
        known = [order for order in orders.values() if name and order.broker_order_id == name]
        begun = [order for key, order in orders.items() if len(name) >= 6 and key.startswith(name)]
        if len(known or begun) == 1:
            return (known or begun)[0]
        close = get_close_matches(name, orders, 1)
        hint = f"did you mean {close[0]}?" if close else "`mytrading orders` shows them"
        raise UsageError(f"expected the id of an order, found {name!r}; {hint}")

    def _verb_request(self, arguments: dict[str, str]) -> Any:
        """What became of a request (`id`) to the router."""
        answer = self._view.answers.get(arguments.get("id", ""))
        if answer is None:
            return {"answered": False}
        return {"answered": True, "ok": answer.ok, "message": answer.message}

    # unmanaged units

    def _verb_claim(self, arguments: dict[str, str]) -> Any:
        """Give unmanaged units of `instrument` to `strategy`."""
        found = self._unmanaged_named(arguments)
        strategy = arguments.get("strategy", "")
        if strategy != MANUAL and self._config.strategy(strategy) is None:
            known = ", ".join([*(run.name for run in self._config.strategies), MANUAL])
            raise UsageError(f"expected a strategy that runs ({known}); found {strategy!r}")
        sizes = self._sizes((found.instrument,)).get(found.instrument, Sizes(0, 0))
        message = ClaimRequested(
            id=f"claim-{machine_now()}",
            account=found.account,
            instrument=found.instrument,
            product=found.product,
            strategy=strategy,
            at_ns=self._clock.now(),
            quantity=int(number(arguments, "quantity")),
            price=number(arguments, "price") or self._fallback_price(found, strategy),
            stop=number(arguments, "stop"),
            stop_limit=number(arguments, "stop_limit"),
            reason=arguments.get("reason", ""),
            lot=sizes.lot,
            freeze=sizes.freeze,
            to_close=arguments.get("to_close") == "true",
        )
        self._order((message,))
        return {"request": message.id, "account": found.account, "product": found.product.value}

    def _fallback_price(self, found: UnmanagedChanged, strategy: str) -> float:
        """What is claimed only to be closed may be booked at the last price: no limit goes by it."""
        quote = self._view.quotes.get(found.instrument)
        return quote.ltp if strategy == MANUAL and quote is not None and not found.average_price else 0.0

    def _unmanaged_named(self, arguments: dict[str, str]) -> UnmanagedChanged:
        name, account, product = (arguments.get(key, "") for key in ("instrument", "account", "product"))
        rows = [row for row in self._view.unmanaged.values() if row.quantity]
        fits = [
            row
            for row in rows
            if row.instrument == name and account in ("", row.account) and product in ("", row.product)
        ]
        if len(fits) == 1:
            return fits[0]
        if fits:
            places = ", ".join(f"{row.account} {row.product}" for row in fits)
            raise UsageError(f"{name} is unmanaged in several places ({places}): add --account or --product")
        held = ", ".join(sorted(row.instrument for row in rows)) or "nothing"
        raise UsageError(f"expected an instrument with unmanaged units ({held}), found {name!r}")

    # flat

    def _verb_close(self, arguments: dict[str, str]) -> Any:
        """Close what an owner holds of `instrument`; `strategy` names the owner if there are several.

        What was just `claimed` to be closed may be gone already, by an exit that was under way.
        """
        held = self._held_named(arguments)
        reason = arguments.get("reason") or "closed by hand"
        row = self._flatten_row(arguments, held.account, reason, held.strategy, held.instrument, held.product)
        self._order((row,))
        return {"flatten": [row.id], "strategy": held.strategy, "account": held.account}

    def _held_named(self, arguments: dict[str, str]) -> Position:
        keys = ("instrument", "account", "product", "strategy")
        name, account, product, strategy = (arguments.get(key, "") for key in keys)
        held = self._view.open_positions()
        among = self._view.positions.values() if arguments.get("claimed") == "true" else held
        fits = [
            position
            for position in among
            if position.instrument == name
            and account in ("", position.account)
            and product in ("", position.product)
            and strategy in ("", position.strategy)
        ]
        if len(fits) == 1:
            return fits[0]
        if fits:
            owners = ", ".join(f"{p.strategy} {p.account} {p.product}" for p in fits)
            raise UsageError(f"several hold {name} ({owners}): add --strategy, --account or --product")
        names = ", ".join(sorted({p.instrument for p in held})) or "nothing"
        more = "; its unmanaged units need --unmanaged" if self._is_unmanaged(name) else ""
        raise UsageError(f"expected an instrument that is held ({names}), found {name!r}{more}")

    def _is_unmanaged(self, instrument: str) -> bool:
        return any(row.quantity and row.instrument == instrument for row in self._view.unmanaged.values())

    def _verb_flatten(self, arguments: dict[str, str]) -> Any:
        """Halt entries and bring every account, or `account`, or what `strategy` holds, to flat by a deadline."""
        strategy = arguments.get("strategy", "")
        owners = {run.name for run in self._config.strategies} | {p.strategy for p in self._view.open_positions()}
        if strategy and strategy not in owners:
            raise UsageError(f"expected an owner ({', '.join(sorted(owners)) or 'none'}), found {strategy!r}")
        account = self._account(arguments)
        reason, now = arguments.get("reason") or "flatten by hand", self._clock.now()
        halts: tuple[msgspec.Struct, ...] = (
            self._control.switch(strategy, False, now, reason, arguments.get("by", ""))
            if strategy
            else self._control.level(TradingLevel.HALT, reason, now, account, arguments.get("by", ""))
        )
        names = [account] if account else self._accounts()
        rows = tuple(self._flatten_row(arguments, name, reason, strategy) for name in names)
        self._order((*halts, *rows))
        return {"flatten": [row.id for row in rows]}

    def _flatten_row(
        self,
        arguments: dict[str, str],
        account: str,
        reason: str,
        strategy: str = "",
        instrument: str = "",
        product: Product | None = None,
    ) -> FlattenRequested:
        seconds = number(arguments, "deadline", MOST_DEADLINE_S) or DEADLINE_S
        held = sorted({found.instrument for found in self._view.open_positions() if found.account == account})
        return FlattenRequested(
            id=f"flatten-{machine_now()}-{account}",
            account=account,
            at_ns=self._clock.now(),
            deadline_machine_ns=machine_now() + int(seconds * 1e9),
            reason=reason,
            strategy=strategy,
            instrument=instrument,
            product=product,
            by=arguments.get("by", ""),
            sizes={name: (sizes.lot, sizes.freeze) for name, sizes in self._sizes(held).items()},
        )

    def _sizes(self, names: Iterable[str]) -> dict[str, Sizes]:
        """Today's lot and freeze quantity of these instruments, as far as they are listed: exits are sliced by them."""
        book = InstrumentFile(self._config.state).book()
        found = {name: book.get(name) for name in names}
        return {name: Sizes(each.lot_size, each.freeze_qty) for name, each in found.items() if each is not None}

    def _accounts(self) -> list[str]:
        return [account.id for account in self._config.served]

    def _account(self, arguments: dict[str, str]) -> str:
        name, served = arguments.get("account", ""), self._accounts()
        if name and name not in served:
            raise UsageError(f"expected an account that is served ({', '.join(served)}), found {name!r}")
        return name

    def _verb_flattens(self, arguments: dict[str, str]) -> Any:
        """How far the flattens of these `ids` (by comma; all that are not done if empty) are, and what is left."""
        ids = [name for name in arguments.get("ids", "").split(",") if name]
        wanted = ids or [name for name, level in self._view.flattens.items() if level.state != "done"]
        return [self._flatten_shown(name) for name in wanted]

    def _flatten_shown(self, name: str) -> dict[str, Any]:
        level = self._view.flattens.get(name)
        if level is None:
            return {"id": name, "state": "sent", "flat": False, "left": ["the router has not taken it up yet"]}
        done = level.state == "done"
        waits = [] if level.read_machine_ns or done else ["a read of the books is awaited; stops stay meanwhile"]
        return {
            **msgspec.to_builtins(level),
            "state": level.state,
            "flat": done,
            "left": [] if done else [*waits, *self._left(level)] or [f"{level.proofs} of 2 reads show it flat"],
            "unmanaged": self._beside(level),
            "seconds_left": round((level.deadline_machine_ns - machine_now()) / 1e9, 1),
        }

    def _left(self, level: Flatten) -> list[str]:
        held = [
            f"{p.strategy} holds {p.quantity or p.quantity_seen} of {p.instrument}"
            for p in self._view.open_positions()
            if _in(level, p)
        ]
        orders = [in_words(o) for o in self._view.orders.values() if o.state not in TERMINAL and _in(level, o)]
        return held + orders

    def _beside(self, level: Flatten) -> list[str]:
        """Unmanaged units of the account: left as they are, and told."""
        return [
            f"{row.quantity} of {row.instrument} {row.product}"
            for row in self._view.unmanaged.values()
            if row.quantity and row.account == level.account and level.instrument in ("", row.instrument)
        ]


def _in(level: Flatten, thing: Order | Position) -> bool:
    if thing.account != level.account or level.instrument not in ("", thing.instrument):
        return False
    return level.strategy in ("", thing.strategy) and level.product in (None, thing.product)
