"""The machine of `webhooks`: alerts in, verdicts and signals out. Its state is folded from the rows of its journal.

Windows for duplicates and the count of requests go by machine time; trading hours by market time. Of a webhook and
symbol only the order of arrival counts: each signal replaces the one before it, so a later exit ends a waiting entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, NamedTuple, Protocol

from mytrading.core.calendar import Calendar
from mytrading.core.engine.contract_selection import contract_of
from mytrading.core.ids import content_id
from mytrading.core.instruments.book import InstrumentBook, NoSuchContract
from mytrading.core.instruments.symbology import split_id
from mytrading.core.request_counter import RequestCounter
from mytrading.core.time import DAY, SECOND, day_start, hhmm, ist_date, second_of_day
from mytrading.core.webhooks.authentication import SIGNATURE_SECONDS
from mytrading.core.webhooks.decision_table import wanted_units
from mytrading.core.webhooks.definition import SymbolMapping, WebhookDefinition
from mytrading.core.webhooks.refusals import refusal
from mytrading.messages.control import StrategySwitch
from mytrading.messages.enums import Action, Mode, Product
from mytrading.messages.run_config import TradeRule
from mytrading.messages.signals import Leg, Signal
from mytrading.messages.webhooks import (
    AlertIntent,
    AlertJudged,
    AlertReceived,
    AlertRefusal,
    AlertRemembered,
    AlertVerdict,
    Sender,
    WebhooksOpened,
)

LIMITED = "RATE_LIMITED"
"""Code of a request over that; the first of each minute is journaled, and none of them counts."""
REMEMBERED_NS = 7 * DAY
"""Nanoseconds for which an alert can be queried."""
MOST_REMEMBERED = 20_000
"""Alerts whose status pages are kept, beside those so young that their signatures count. No decision depends on others:
what still counts of them is in the first row of a day by itself."""
FLOOR_NS = 2 * SECOND
"""Machine time that a signal has at least, however fast the market's clock runs."""
PRICE_NS = 60 * SECOND
"""Machine time for which a price may choose a contract."""
_LONGEST_WINDOW_NS = 3600 * SECOND
_SIGNATURE_NS = SIGNATURE_SECONDS * SECOND


class PositionSource(Protocol):
    """Open positions of strategies as the stream `orders` shows them; used only to recognise a no-op."""

    def units(self, strategy: str, instrument: str) -> int | None:
        """Return the signed units held in all accounts, None while something of it is on its way or not known."""

    def stopped_machine_ns(self, strategy: str, instrument: str) -> int:
        """Return the machine time at which a stop last closed something of it, or of any instrument if that is "";
        0 if none did."""

    def emptied_machine_ns(self, strategy: str, instrument: str) -> int:
        """Return the machine time at which nothing of it was held for the last time; 0 if that was not seen."""


class WebhookEnvironment:
    """Inputs of decisions besides the state: the webhooks, calendar, contracts, and facts of the run."""

    def __init__(self, calendar: Calendar, mode: Mode, accounts: Iterable[str], validity_seconds: float) -> None:
        self.calendar = calendar
        self.mode = mode
        self.accounts = frozenset(accounts)
        """Accounts with an API key, to which orders may go."""
        self.validity_ns = round(validity_seconds * SECOND)
        self.instruments = InstrumentBook(())
        self.webhooks: dict[str, WebhookDefinition] = {}
        self.prices: dict[str, tuple[float, int]] = {}
        """Last price of instruments by which contracts are chosen, and when it came (machine ns)."""
        self.holdings: PositionSource = _Nothing()
        self.chosen: dict[tuple[str, str], tuple[str, ...]] = {}
        """Contracts that alerts of the past were given for a watched instrument, where alerts are judged again."""


class _Nothing:
    """Before anything is known of positions nothing is a no-op."""

    def units(self, strategy: str, instrument: str) -> int | None:  # noqa: ARG002
        return None

    def stopped_machine_ns(self, strategy: str, instrument: str) -> int:  # noqa: ARG002
        return 0

    def emptied_machine_ns(self, strategy: str, instrument: str) -> int:  # noqa: ARG002
        return 0


class _MappedSymbol(NamedTuple):
    """Position that an alert is about: a webhook, and one of its mappings."""

    webhook: WebhookDefinition
    mapping: SymbolMapping

    @property
    def key(self) -> tuple[str, str]:
        """Webhook and watched instrument, for which there is one position at a time."""
        return self.webhook.name, self.mapping.instrument

    @property
    def accounts(self) -> int:
        """In how many accounts the position is held."""
        return max(len(self.webhook.file.accounts), 1)


class _Wanted(NamedTuple):
    """A position that is wanted: signed units of a contract. `watch` is what chose the contract, "" for itself.

    Of a mapping with legs, `legs` are to be opened together, `contract` is that of the first, `units` the lots of each.
    """

    contract: str
    units: int = 0
    lot: int = 1
    watch: str = ""
    legs: tuple[Leg, ...] = ()


class _Known(NamedTuple):
    """The first alert with a key: its id and when it came (machine ns)."""

    alert: str
    received_ns: int


class WebhookMachine:
    """Decides on alerts, one after the other."""

    def __init__(self, environment: WebhookEnvironment) -> None:
        self.environment = environment
        self.alerts: dict[str, AlertRemembered] = {}
        """Alerts of the last days by their status name, the oldest first."""
        self.switched_off: set[str] = set()
        """Strategies whose entries an operator has switched off."""
        self.last: dict[str, int] = {}
        """Market time of the last alert of each webhook."""
        self._keys: dict[tuple[str, str], AlertJudged] = {}
        self._signatures: dict[tuple[str, str], _Known] = {}
        """The first alert with each signature, for as long as its time stamp could count; the oldest first."""
        self.requests = RequestCounter()
        """By webhook and address."""
        self._wanted: dict[tuple[str, str], AlertJudged] = {}
        self._wanted_before: dict[tuple[str, str], AlertJudged] = {}
        """By position the last signal that wanted another one than the newest."""
        self._by_id: dict[str, str] = {}
        self._machine_ns = 0

    def set_machine_time(self, machine_ns: int) -> None:
        """Advance the machine time (ns) of what is applied and decided next; an earlier one has no effect."""
        self._machine_ns = max(self._machine_ns, machine_ns)

    def apply(self, row: Any) -> None:
        """Update the state by an alert or by a verdict; other rows change nothing."""
        kind = type(row)
        if kind is AlertReceived:
            self._receive(row)
        elif kind is AlertJudged:
            self._judged(row)
        elif kind is StrategySwitch:
            (self.switched_off.discard if row.enabled else self.switched_off.add)(row.strategy)
        elif kind is WebhooksOpened:
            self._reopen(row)

    def decide(self, message: Any, now: int) -> tuple[Any, ...]:
        """Return the verdicts on an alert already applied, and its signals, at market time `now`."""
        return self._decide(message, now) if type(message) is AlertReceived else ()

    def alert(self, status: str) -> AlertRemembered | None:
        """Return the alert that has this status name; None if there is none, or it is too old."""
        found = self.alerts.get(status)
        return None if found is None or self._machine_ns - found.received_ns > REMEMBERED_NS else found

    def status_of_alert(self, alert: str) -> str:
        """Return the status name of an alert by its id, "" if it is not known any more."""
        return self._by_id.get(alert, "")

    def snapshot(self, day: str) -> WebhooksOpened:
        """Return the first row of the journal of `day` (ISO date).

        It carries alerts whose status can still be read, and of older ones the verdicts that decide later alerts: the
        last target position, and the keys that identify duplicates.
        """
        kept = [one for one in self.alerts.values() if self._machine_ns - one.received_ns <= REMEMBERED_NS]
        known = {alert.id for alert in kept}
        since = self._machine_ns - _LONGEST_WINDOW_NS
        keys = (row for row in self._keys.values() if row.received_ns > since)
        counts = [*self._wanted_before.values(), *self._wanted.values(), *keys]
        return WebhooksOpened(
            day=day,
            alerts=tuple(kept),
            switched_off=tuple(sorted(self.switched_off)),
            last=dict(self.last),
            standing=tuple(dict.fromkeys(row for row in counts if row.alert not in known)),
        )

    def silent(self, now: int) -> dict[str, int]:
        """Return the trading days without an alert of each webhook that is silent for longer than its file allows,
        while one of its exchanges is open; a webhook that never had one is not among them."""
        found, calendar = {}, self.environment.calendar
        for name, webhook in self.environment.webhooks.items():
            exchanges = {one for each in webhook.instruments if calendar.has_exchange(one := split_id(each)[0])}
            if not webhook.file.silence_days or not any(calendar.is_open(one, now) for one in exchanges):
                continue
            days = self._trading_days(exchanges, self.last.get(name, now), now)
            if days >= webhook.file.silence_days:
                found[name] = days
        return found

    def _trading_days(self, exchanges: Iterable[str], since: int, now: int) -> int:
        """Whole trading days of any of these exchanges from market time `since` to `now`."""
        calendar, day, days = self.environment.calendar, ist_date(since), 0
        while (day := day + timedelta(days=1)) <= ist_date(now):
            days += any(calendar.is_trading_day(one, day) for one in exchanges)
        return max(days - (second_of_day(now) < second_of_day(since)), 0)

    # the state

    def _receive(self, row: AlertReceived) -> None:
        self.set_machine_time(row.received_ns)
        if row.refusal is None or row.refusal.code != LIMITED:
            self.requests.count((row.webhook, row.ip), row.received_ns)
        self._remember(
            AlertRemembered(
                id=row.id,
                status=row.status,
                webhook=row.webhook,
                received_ns=row.received_ns,
                at_ns=0,
                verdicts=(),
                signature=row.signature,
            )
        )

    def _remember(self, alert: AlertRemembered) -> None:
        self.alerts[alert.status] = alert
        young = self._machine_ns - _SIGNATURE_NS
        if alert.signature:
            self._signatures.setdefault((alert.webhook, alert.signature), _Known(alert.id, alert.received_ns))
            while self._signatures and next(iter(self._signatures.values())).received_ns < young:
                del self._signatures[next(iter(self._signatures))]
        self._by_id[alert.id] = alert.status
        while len(self.alerts) > MOST_REMEMBERED and (old := next(iter(self.alerts.values()))).received_ns < young:
            del self.alerts[old.status]
            self._by_id.pop(old.id, None)

    def _judged(self, row: AlertJudged) -> None:
        if (status := self._by_id.get(row.alert)) is not None:
            known = self.alerts[status]
            self.alerts[status] = AlertRemembered(
                id=known.id,
                status=status,
                webhook=known.webhook,
                received_ns=known.received_ns,
                at_ns=row.at_ns,
                verdicts=(*known.verdicts, row),
                signature=known.signature,
            )
        self._stand(row)

    def _stand(self, row: AlertJudged) -> None:
        """Note what later alerts are compared with."""
        self.last[row.webhook] = max(row.at_ns, self.last.get(row.webhook, 0))
        if row.key and row.verdict in (AlertVerdict.ACCEPTED, AlertVerdict.NO_OP):
            self._keys[row.webhook, row.key] = row
            if len(self._keys) > MOST_REMEMBERED:
                old = self._machine_ns - _LONGEST_WINDOW_NS
                self._keys = {key: known for key, known in self._keys.items() if known.received_ns > old}
        if row.signal:
            place = _place_of(row)
            if (before := self._wanted.get(place)) is not None and before.target != row.target:
                self._wanted_before[place] = before
            self._wanted[place] = row

    def _reopen(self, row: WebhooksOpened) -> None:
        self.switched_off = set(row.switched_off)
        self.last = dict(row.last)
        for judged in row.standing:
            self._stand(judged)
        for alert in row.alerts:
            self._remember(alert)
            for judged in alert.verdicts:
                self.set_machine_time(judged.received_ns)
                self._stand(judged)

    # decisions

    def _decide(self, alert: AlertReceived, now: int) -> tuple[Any, ...]:
        webhook = self.environment.webhooks.get(alert.webhook)
        if webhook is None:
            gone = refusal("WEBHOOK_LOCKED", "the webhook was removed while the alert was on its way")
            return (self._verdict(alert, now, refused=gone),)
        if alert.refusal is not None:
            return (self._verdict(alert, now, refused=alert.refusal),)
        if repeats := self._repeats_signature(alert, now):
            return repeats
        if stop := self._whole_refusal(webhook):
            return (self._verdict(alert, now, refused=stop),)
        rows: list[Any] = []
        for number, intent in enumerate(alert.intents):
            rows += self._decide_on(webhook, alert, intent, number, now)
        return tuple(rows)

    def _repeats_signature(self, alert: AlertReceived, now: int) -> tuple[AlertJudged, ...]:
        """The verdicts on an alert whose signature came before: a duplicate if that one was taken. () for a new one."""
        known = self._signatures.get((alert.webhook, alert.signature))
        if known is None or known.alert == alert.id:
            return ()
        first = self.alerts.get(self._by_id.get(known.alert, ""))
        taken = {row.symbol for row in first.verdicts if row.refusal is None} if first is not None else set()
        again = refusal(
            "STALE_SIGNATURE", "expected a signature of its own: this one came before; sign with a new time"
        )
        return tuple(
            self._verdict(alert, now, intent.symbol, first=known.alert)
            if intent.symbol in taken
            else self._verdict(alert, now, intent.symbol, refused=again)
            for intent in alert.intents
        )

    def _whole_refusal(self, webhook: WebhookDefinition) -> AlertRefusal | None:
        """Return the refusal of all alerts of this webhook now; None if they count."""
        file, environment = webhook.file, self.environment
        if file.locked:
            return refusal(
                "WEBHOOK_LOCKED", f"the webhook is locked; `mytrading webhook unlock {webhook.name}` ends it"
            )
        if environment.mode is Mode.LIVE and not file.live:
            return refusal("LIVE_NOT_ALLOWED", f"config/webhooks/{webhook.name}.toml does not allow live orders (live)")
        if missing := [name for name in file.accounts if name not in environment.accounts]:
            return refusal("NO_CREDENTIALS", f"no API key of account {', '.join(missing)} is in this run")
        if not environment.accounts:
            return refusal("NO_CREDENTIALS", "no account of this run takes orders")
        return None

    def _decide_on(
        self, webhook: WebhookDefinition, alert: AlertReceived, intent: AlertIntent, number: int, now: int
    ) -> list[Any]:
        mapping = webhook.mapping(intent.symbol)
        if mapping is None:
            known = ", ".join(sorted(webhook.symbols)[:8])
            text = f"expected a symbol that the webhook maps ({known})"
            return [self._verdict(alert, now, intent.symbol, refused=refusal("UNMAPPED_SYMBOL", text, intent.symbol))]
        place = _MappedSymbol(webhook, mapping)
        found = self._position_wanted(place, intent, alert, now)
        if isinstance(found, AlertRefusal):
            return [self._verdict(alert, now, intent.symbol, _Wanted(mapping.instrument), refused=found)]
        key = self._key(webhook, alert, intent)
        first = self._first_with(webhook, key, alert)
        if first and not self._is_new(webhook, found, alert, key):
            return [self._verdict(alert, now, intent.symbol, found, first=first, key=key)]
        stop = self._time_refusal(place, found, alert, now) or self._partial_exit(place, found)
        if stop is not None:
            return [self._verdict(alert, now, intent.symbol, found, refused=stop)]
        if self._is_there(place, found):
            return [self._verdict(alert, now, intent.symbol, found, verdict=AlertVerdict.NO_OP, key=key)]
        signal = self._signal(place, alert, number, found, now)
        accepted = AlertVerdict.ACCEPTED
        return [
            self._verdict(alert, now, intent.symbol, found, verdict=accepted, key=key, signal=signal.id),
            signal,
        ]

    def _position_wanted(
        self, place: _MappedSymbol, intent: AlertIntent, alert: AlertReceived, now: int
    ) -> _Wanted | AlertRefusal:
        """The contract and the position in it, or why the alert means none."""
        webhook, mapping = place
        sender, mode, name = webhook.file.sender, webhook.mode, mapping.instrument
        if rules := webhook.rules(mapping):
            meant = wanted_units(sender, mode, intent, mapping.lots)
            if isinstance(meant, AlertRefusal):
                return meant
            last = self._wanted.get(place.key)
            if not meant:
                return _Wanted(last.instrument if last is not None else name, watch=name)
            if (open_ := self._still_open(place)) and mapping.legs and last is not None:
                return _Wanted(open_, last.target, watch=name)
            chosen = open_ or self._choose(place, rules, alert, now)
            if isinstance(chosen, AlertRefusal):
                return chosen
            if mapping.legs:
                legs = tuple(
                    Leg(instrument=contract, lots=rule.side.sign * mapping.lots)
                    for contract, rule in zip(chosen, rules, strict=True)
                )
                return _Wanted(chosen[0], mapping.lots, watch=name, legs=legs)
            name = open_ or chosen[0]
        if (listed := self.environment.instruments.get(name)) is None:
            return refusal("UNKNOWN_INSTRUMENT", f"{name} is not among today's contracts; correct the mapping")
        lot = listed.lot_size
        wanted = wanted_units(sender, mode, intent, mapping.quantity or mapping.lots * lot, mapping.max_quantity)
        if isinstance(wanted, AlertRefusal):
            return wanted
        if wanted % lot:
            return refusal("NOT_WHOLE_LOTS", f"expected a multiple of {lot}, the lot of {name}", wanted)
        return _Wanted(name, wanted, lot, mapping.instrument if rules else "")

    def _still_open(self, place: _MappedSymbol) -> str:
        """The contract (of legs the first) of the last position that was wanted, while it is held or on its way; ""
        for none. What a rule chose stays chosen so long."""
        last = self._wanted.get(place.key)
        if last is None or not last.target:
            return ""
        return last.instrument if self.environment.holdings.units(place.webhook.name, last.instrument) != 0 else ""

    def _choose(
        self, place: _MappedSymbol, rules: tuple[TradeRule, ...], alert: AlertReceived, now: int
    ) -> tuple[str, ...] | AlertRefusal:
        """The contracts that rules select by the last price, one each."""
        watch, environment = place.mapping.instrument, self.environment
        if (before := environment.chosen.get((alert.id, watch))) is not None and len(before) == len(rules):
            return before
        price, at_ns = environment.prices.get(watch, (0.0, 0))
        if not price or alert.received_ns - at_ns > PRICE_NS:
            return refusal("NO_PRICE", f"no price of {watch} came lately, by which contracts are chosen")
        try:
            found = tuple(contract_of(rule, watch, price, environment.instruments, now) for rule in rules)
        except NoSuchContract as error:
            return refusal("UNKNOWN_INSTRUMENT", f"by the price of {watch}: {error}")
        if unlisted := [name for name in found if environment.instruments.get(name) is None]:
            return refusal("UNKNOWN_INSTRUMENT", f"{unlisted[0]} is not among today's contracts")
        if len(set(found)) < len(found):
            return refusal("UNKNOWN_INSTRUMENT", f"two legs choose the same contract of {', '.join(found)}")
        return found

    def _verdict(
        self,
        alert: AlertReceived,
        now: int,
        symbol: str = "",
        wanted: _Wanted | None = None,
        *,
        refused: AlertRefusal | None = None,
        first: str = "",
        verdict: AlertVerdict | None = None,
        key: str = "",
        signal: str = "",
    ) -> AlertJudged:
        found = verdict or (AlertVerdict.REFUSED if refused is not None else AlertVerdict.DUPLICATE)
        position = wanted or _Wanted("")
        return AlertJudged(
            alert=alert.id,
            webhook=alert.webhook,
            verdict=found,
            at_ns=now,
            received_ns=alert.received_ns,
            symbol=symbol,
            instrument=position.contract,
            target=position.units,
            signal=signal,
            first=first,
            key=key,
            refusal=refused,
            watch=position.watch,
        )

    def _key(self, webhook: WebhookDefinition, alert: AlertReceived, intent: AlertIntent) -> str:
        """Return the key that two equal alerts share: the sender's id, TradingView's body, or else the meaning."""
        if alert.sender_id:
            return content_id("id", alert.sender_id, intent.symbol)
        if webhook.file.sender is Sender.TRADINGVIEW:
            return content_id("body", alert.body_hash, intent.symbol)
        size, quantity = intent.position_size, intent.quantity
        return content_id("meaning", intent.symbol, intent.action, str(size), str(quantity), alert.bar_time)

    def _first_with(self, webhook: WebhookDefinition, key: str, alert: AlertReceived) -> str:
        """The id of the alert that this one repeats, "" for none. One alert never repeats itself. Machine time is not
        always later after a boot."""
        known = self._keys.get((webhook.name, key))
        if known is None or known.alert == alert.id:
            return ""
        return known.alert if abs(alert.received_ns - known.received_ns) < webhook.duplicate_ns else ""

    def _is_new(self, webhook: WebhookDefinition, wanted: _Wanted, alert: AlertReceived, key: str) -> bool:
        """True if an alert whose key came before is one to carry out; never where its sender's own id says that it is
        the same. An exit is: to close twice is harmless, to stay in is not. An entry without a time is once another
        alert of its symbol was taken since."""
        if alert.sender_id:
            return False
        if not wanted.units:
            return True
        if alert.bar_time:
            return False
        first, place = self._keys[webhook.name, key], (webhook.name, wanted.watch or wanted.contract)
        return any(
            _place_of(row) == place and row.key != key and row.received_ns >= first.received_ns
            for row in self._keys.values()
        )

    def _time_refusal(
        self, place: _MappedSymbol, wanted: _Wanted, alert: AlertReceived, now: int
    ) -> AlertRefusal | None:
        """Return the refusal by time, None if there is none: entries need an open exchange and the window, exits of
        intraday positions an open exchange. An exit of what stays over night waits for the next open, as a strategy's
        own does: its sender tells it once."""
        webhook = place.webhook
        exchange, _ = split_id(wanted.contract)
        calendar = self.environment.calendar
        stays = not wanted.units and place.mapping.product is not Product.MIS
        if not calendar.has_exchange(exchange) or not (stays or calendar.is_open(exchange, now)):
            return refusal("OUTSIDE_WINDOW", f"{exchange} is closed now")
        if not wanted.units:
            return None
        if webhook.name in self.switched_off:
            return refusal(
                "STRATEGY_INACTIVE", f"entries are off; `mytrading strategies enable {webhook.name}` ends it"
            )
        at = now - day_start(now)
        last = webhook.end or webhook.square_off
        if at < webhook.start * SECOND or (last and at >= last * SECOND):
            since = f"from {hhmm(webhook.start)} " if webhook.start else ""
            until = f"before {hhmm(last)}" if last else ""
            return refusal("OUTSIDE_WINDOW", f"expected an entry {since}{until}".strip(), hhmm(at // SECOND))
        stopped = self.environment.holdings.stopped_machine_ns(webhook.name, "" if wanted.watch else wanted.contract)
        cooling = round(webhook.file.cooling_off_seconds * SECOND)
        if stopped and alert.received_ns - stopped < cooling:
            left = -(-(stopped + cooling - alert.received_ns) // SECOND)
            return refusal("COOLING_OFF", f"a stop closed {wanted.contract}; entries wait for {left} s", None, left)
        return None

    def _partial_exit(self, place: _MappedSymbol, wanted: _Wanted) -> AlertRefusal | None:
        """Return the refusal of a smaller position of the same side, None for others: risk reduces to nothing alone."""
        last = self._wanted.get(place.key)
        if place.mapping.legs:  # of which a size never counts
            return None
        held = self.environment.holdings.units(place.webhook.name, wanted.contract)
        if held is None:
            held = last.target if last is not None else 0
        else:
            held //= place.accounts
        if wanted.units * held <= 0 or abs(wanted.units) >= abs(held):
            return None
        text = f"expected 0, or a position of at least {abs(held)}: it is reduced to nothing alone"
        return refusal("PARTIAL_EXIT", text, wanted.units)

    def _is_there(self, place: _MappedSymbol, wanted: _Wanted) -> bool:
        """True if the position is as wanted and the last signal wanted nothing else."""
        last = self._wanted.get(place.key)
        if last is None and place.webhook.rules(place.mapping):
            return False  # which contract was chosen before is not known: risk knows what there is to close
        if (last.target if last is not None else 0) != wanted.units:
            return False
        if place.mapping.legs and wanted.units:
            return not wanted.legs  # none were chosen: those of the last signal still count
        held = self.environment.holdings.units(place.webhook.name, wanted.contract)
        return held == wanted.units * place.accounts and not self._is_leaving(place, wanted)

    def _is_leaving(self, place: _MappedSymbol, wanted: _Wanted) -> bool:
        """True if a signal before the last one was to close what is held, and it was not seen closed since."""
        before = self._wanted_before.get(place.key)
        if before is None or before.target * wanted.units > 0:
            return False
        emptied = self.environment.holdings.emptied_machine_ns(place.webhook.name, wanted.contract)
        return wanted.units != 0 and emptied < before.received_ns

    def _signal(self, place: _MappedSymbol, alert: AlertReceived, number: int, wanted: _Wanted, now: int) -> Signal:
        name, units = place.webhook.name, wanted.units
        action = Action.BUY if units > 0 else Action.SELL if units < 0 else Action.EXIT
        return Signal(
            id=content_id("webhook", name, alert.id, number),
            strategy=name,
            watch=place.mapping.instrument,
            action=action,
            created_ns=now,
            expires_ns=now + self.environment.validity_ns,
            expires_machine_ns=alert.received_ns + FLOOR_NS,
            product=place.mapping.product,
            legs=wanted.legs or ((Leg(instrument=wanted.contract, lots=units // wanted.lot),) if units else ()),
            reason=f"alert {alert.id}",
            bar_ns=now,
            trace_ns=alert.received_ns,
            rearmed=bool(units),
        )


def _place_of(row: AlertJudged) -> tuple[str, str]:
    """Webhook and watched instrument of a verdict, as `_MappedSymbol.key`."""
    return row.webhook, row.watch or row.instrument
