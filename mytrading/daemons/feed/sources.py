"""Connections to market data sources: one is active, the others stand by.

A standby connection subscribes a few liquid instruments in LTP mode, which proves that its broker feed lives; the
active one subscribes everything. Only quotes of the active connection reach the bus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from mytrading.adapters.openalgo.ws.connection import Disconnected, FeedSocket, SocketRefused
from mytrading.adapters.openalgo.ws.market_frames import FeedMode, feed_mode
from mytrading.adapters.openalgo.ws.subscriptions import Subscriptions
from mytrading.core.calendar import Calendar
from mytrading.core.feed.quote_fields import InstrumentQuote, QuoteFields
from mytrading.core.feed.source_failover import ChoiceRules, Condition, Pulse, SourceChoice, Switch
from mytrading.core.feed.staleness import OPTION_PATIENCE, InstrumentTraits, instrument_traits
from mytrading.core.time import SECOND
from mytrading.messages.brokers import UNLISTED, UNNAMED, BrokerRules, find_broker
from mytrading.messages.market import Quote
from mytrading.messages.run_config import AccountRun, DataRules
from mytrading.runtime.host.clock import machine_now

CONNECTION_ALERTS = ("FEED_DOWN", "FEED_GIVEN_UP", "FEED_REFUSED", "FEED_ERROR")
PATIENCE_NS = 15 * SECOND
"""Machine time after a connection for which acknowledgements and history are awaited."""
PROBES = 3
PING_DOWN_NS = 10 * SECOND
"""Machine time for which a report of failing pings counts; it is repeated every second."""
SERVER_ERRORS = 3
Brokers = Mapping[str, BrokerRules]
"""The table of brokers, by OpenAlgo's name."""


class SourceConnection:
    """The connection to one source, its subscriptions and its pulse."""

    def __init__(
        self, rank: int, source: AccountRun, rules: DataRules, calendar: Calendar, wake: Callable[[], None],
        brokers: Brokers,
    ) -> None:  # fmt: skip
        self.rank = rank
        self.source = source
        self.subject = "feed" if rank == 0 else f"feed {source.id}"
        self.subscriptions = Subscriptions(rules.max_subscriptions, rules.batch_size, rules.depth_data)
        self.pulse = Pulse(int(rules.mute_seconds * SECOND), int(rules.down_seconds * SECOND), machine_now())
        self.socket = FeedSocket(source.ws_url, source.api_key, machine_now, wake, f"feed-socket-{rank}")
        self.taken_ns = 0
        """Machine time of receipt of the last handled frame."""
        self.problems: dict[str, str] = {}
        """Texts of its present alerts, by code."""
        self.lost_by = self.mute_note = ""
        """Reason that the source has no connection and gives no quotes; empty while it does."""
        self.active_since_ns = 0
        """Machine time from which its patience with acknowledgements and history counts."""
        self.broker = ""
        """OpenAlgo's name of the broker behind its server, in lower case; empty until the server has named one."""
        self._brokers, self._pinged = brokers, False
        self._down_until = self._errors = 0
        self.fields = QuoteFields(calendar)
        self._rules = UNLISTED

    @property
    def rules(self) -> BrokerRules:
        """What its broker's frames, REST quotes and history mean, in analyze mode too."""
        return self._rules

    @rules.setter
    def rules(self, rules: BrokerRules) -> None:
        self._rules = rules
        self.fields.follow(rules.feed)
        self.subscriptions.set_has_depth(rules.feed.has_depth)

    def condition(self, machine_ns: int) -> Condition:
        """Return whether the source is well, doubtful or sick, for failover; one that answers no ping is sick."""
        if self.is_down(machine_ns):
            return Condition.SICK
        if self.pulse.is_well(machine_ns):
            return Condition.WELL
        return Condition.SICK if self.pulse.is_sick(machine_ns) else Condition.DOUBTFUL

    def set_ping_down(self, ping_down: bool, machine_ns: int) -> None:
        """Record the reconciler's report, repeated each second, whether pings of this source's account fail."""
        self._down_until = machine_ns + PING_DOWN_NS if ping_down else 0

    def set_broker(self, name: str, *, pinged: bool) -> bool:
        """Record which broker the server named, in the answer to a ping or to the socket's authentication; True if that
        is another one than before. Once a ping has named one, the socket's word no longer counts."""
        name = name.strip().lower()
        if name in ("", UNNAMED) or (self._pinged and not pinged):
            return False
        self._pinged = self._pinged or pinged
        if name == self.broker:
            return False
        self.broker, self.rules = name, find_broker(self._brokers, name)
        return True

    def is_down(self, machine_ns: int) -> bool:
        """True if the reconciler reported in the last ten seconds that the source's server answers no ping."""
        return machine_ns < self._down_until

    def ailment(self, machine_ns: int) -> str:
        """Return why the source counts as sick, as words after its name: "answers no ping"."""
        if self.is_down(machine_ns):
            return "answers no ping"
        if not self.pulse.is_connected:
            return f"has no connection: {self.lost_by or 'none was made yet'}"
        return f"is mute: no new quote for {self.pulse.age(machine_ns) / SECOND:.0f} s while the market is open"

    def caught_up(self, machine_ns: int) -> int:
        """Return the machine time up to which received frames are handled: now, unless frames wait."""
        return machine_ns if self.socket.events.empty() else min(machine_ns, self.taken_ns)

    def serves(self, instrument: str) -> bool:
        """True if the server has accepted the subscription of an instrument."""
        return self.subscriptions.is_accepted(instrument)

    def on_frame(self, frame: Quote, kind: int, machine_ns: int) -> InstrumentQuote | None:
        """Put together the quote of a frame, which is a sign of life of the source unless it says what was known, as
        without a broker; None for an instrument that is not subscribed."""
        if not self.subscriptions.accept_frame(frame.instrument):
            return None
        found = self.fields.assemble(frame, kind)
        if found.news:
            self.pulse.record_quote(machine_ns)
        return found

    def on_connected(self, machine_ns: int) -> None:
        """Reset subscriptions, errors and alerts for a new connection, and send its first subscription request."""
        self._errors = 0
        self.lost_by = ""
        for code in CONNECTION_ALERTS:
            self.problems.pop(code, None)
        self.fields.clear()
        self.subscriptions.reset()
        self.pulse.record_connect(machine_ns)
        self.send_request(machine_ns)

    def send_request(self, machine_ns: int) -> None:
        """Send the next due subscription request, if connected."""
        if self.pulse.is_connected and (request := self.subscriptions.take_next_request(machine_ns)) is not None:
            self.socket.send(request)

    def on_request_accepted(self) -> None:
        """Reset the count of server errors and end their alert, after the server accepted a request."""
        self._errors = 0
        self.problems.pop("FEED_ERROR", None)

    def on_error_frame(self, text: str, machine_ns: int) -> None:
        """Record an error frame as an alert; after three in a row reconnect, as a new broker login requires."""
        self.problems["FEED_ERROR"] = text
        self.subscriptions.retry_unanswered(machine_ns)
        self._errors += 1
        if self._errors >= SERVER_ERRORS:
            self._errors = 0
            self.socket.reconnect(text)

    def on_lost(self, event: Disconnected | SocketRefused) -> None:
        """Record why the connection was lost or refused, as an alert too; one dropped on purpose is no problem."""
        self.pulse.record_loss()
        name, url = self.source.id, self.source.ws_url
        if isinstance(event, SocketRefused):
            self.lost_by = f"{event.code}: {event.message}"
            text = f"{self.lost_by}; check the API key of {name}, and that its server is logged in"
            self.problems["FEED_REFUSED"] = f"{text} (OPENALGO_API_KEY)" if self.rank == 0 else text
        elif event.failures:
            self.lost_by = event.reason
            next_step = f"next attempt in {event.retry_s:.1f} s; is the server running at {url}?"
            self.problems["FEED_DOWN"] = f"no market data of {name}: {event.reason}; {next_step}"
            if event.gave_up:
                tried = (
                    f"{event.failures} attempts in a row failed, it is tried every {event.retry_s:.0f} s from now on"
                )
                self.problems["FEED_GIVEN_UP"] = f"no market data of {name}: {tried}; start {url}"

    def reconnect_mute(self, age_ns: int) -> None:
        """Reconnect a source that gave no new quote of any instrument for `age_ns`, and set the alert FEED_MUTE."""
        self.mute_note = f"no new quote of any instrument for {age_ns / SECOND:.0f} s while the market is open"
        text = f"{self.source.id}: {self.mute_note}; it gets a new connection: is the broker logged in?"
        self.problems["FEED_MUTE"] = text
        self.socket.reconnect(self.mute_note)

    def clear_mute(self) -> None:
        """Clear the mute alert and note: the source delivers quotes again."""
        self.mute_note = ""
        self.problems.pop("FEED_MUTE", None)

    def why_not_serving(
        self, watched: Sequence[str], has_history: Callable[[Iterable[str]], bool], machine_ns: int
    ) -> str:
        """Return what the source lacks to serve the `watched` instruments, as text; "" if nothing.

        `has_history(names)`: True if all have it. An instrument that the server does not list, or whose history never
        comes, has an alert of its own and does not keep others from trading.
        """
        if not self.pulse.is_connected:
            return "a connection"
        if self.pulse.is_mute(machine_ns):
            return "quotes of a mute server"
        # An acknowledgement may be lost; a quote shows that it was sent.
        missing = [name for name in watched if not (self.serves(name) or self.subscriptions.has_ticked(name))]
        if missing and len(missing) == len(watched):
            return f"the server to acknowledge {_names(watched)}"
        if machine_ns - self.active_since_ns > PATIENCE_NS:
            return ""
        refused = self.subscriptions.refused if missing else {}
        if pending := [name for name in missing if name not in refused]:
            return f"the server to acknowledge {_names(pending)}"
        if has_history([name for name in watched if name not in missing]):
            return ""
        return f"history of {_names([name for name in watched if not has_history((name,))])}"


def _names(instruments: Sequence[str]) -> str:
    more = f" and {len(instruments) - 3} more" if len(instruments) > 3 else ""
    return ", ".join(instruments[:3]) + more


class SourceConnections:
    """All connections by rank, and the active one."""

    def __init__(
        self, sources: tuple[AccountRun, ...], rules: DataRules, calendar: Calendar, wake: Callable[[], None],
        brokers: Brokers = {},  # noqa: B006
    ) -> None:  # fmt: skip
        self.all = [
            SourceConnection(rank, source, rules, calendar, wake, brokers) for rank, source in enumerate(sources)
        ]
        """By rank."""
        self._choice = SourceChoice(len(sources), ChoiceRules(failback_ns=int(rules.failback_seconds * SECOND)))
        self.active = self.all[self._choice.active]
        """Changed by `update_conditions` alone."""
        self._calendar = calendar
        self._mode = feed_mode(rules.mode) or FeedMode.QUOTE
        self.backup_reason = ""
        """Reason that a standby serves; empty while the primary does."""
        self._wanted: dict[str, InstrumentTraits] = {}
        self._left_out: Mapping[str, str] = {}
        self.changes = 0
        """Grows with each change of what is wanted."""
        self._probes: list[str] = []

    def figures(self, machine_ns: int) -> dict[str, float]:
        """Return numbers for the heartbeat: the active source's rank, subscriptions, silence (s), switches, …"""
        connection = self.active
        return {
            "subscribed": float(connection.subscriptions.accepted_count),
            "ticked": float(connection.subscriptions.ticked_count),
            "source": float(connection.rank),
            "source_age_s": round(connection.pulse.age(machine_ns) / SECOND, 1),
            "source_switches": float(self._choice.switches),
            "sources_listed": float(sum(other.rules is not UNLISTED for other in self.all)),
            "sources_well": float(sum(other.condition(machine_ns) is Condition.WELL for other in self.all)),
            "reconnects": float(sum(max(0, other.socket.connections - 1) for other in self.all)),
        }

    def of_account(self, account: str) -> SourceConnection | None:
        """Return the connection to the server of an account; None if that is no source."""
        return next((connection for connection in self.all if connection.source.id == account), None)

    def subscribe(self, instrument: str) -> bool:
        """Subscribe an instrument at the active source, maybe at others as a probe; False if the limit is reached."""
        if not self.active.subscriptions.subscribe(instrument, self._mode):
            return False
        self._wanted[instrument] = instrument_traits(instrument)
        self.changes += 1
        self._choose_probes()
        return True

    @property
    def wanted(self) -> list[str]:
        """Return what is to be subscribed, in the order in which it was wanted."""
        return list(self._wanted)

    def leave_out(self, names: Mapping[str, str]) -> None:
        """Keep `names` out of the active source's subscriptions from now on, and take others back in. `names` maps each
        to the instrument that shares its token, which is subscribed anew: the broker may have routed it to the other.
        """
        subscriptions, before, self._left_out = self.active.subscriptions, self._left_out, names
        for name, keeper in names.items():
            if name in subscriptions:
                subscriptions.unsubscribe(name)
                subscriptions.unsubscribe(keeper)
        keepers = (*names.values(), *(name for name in before if name not in names))
        for name in keepers:
            if name in self._wanted and name not in subscriptions:
                subscriptions.subscribe(name, self._mode)

    def drop(self, instrument: str) -> None:
        """Unsubscribe an instrument at all sources."""
        self._wanted.pop(instrument, None)
        self.changes += 1
        for connection in self.all:
            connection.subscriptions.unsubscribe(instrument)
            connection.fields.drop(instrument)
        if instrument in self._probes:
            self._probes.remove(instrument)
            self._choose_probes()

    def _choose_probes(self) -> None:
        if len(self.all) == 1 or len(self._probes) == PROBES:
            return
        liquid = [name for name, traits in self._wanted.items() if not traits.is_option]
        old, probes = self._probes, (liquid or list(self._wanted))[:PROBES]
        self._probes = probes
        for connection in self.all:
            if connection is self.active:
                continue
            for name in old:
                if name not in probes:
                    connection.subscriptions.unsubscribe(name)
            for name in probes:
                connection.subscriptions.subscribe(name, FeedMode.LTP)

    def update_conditions(self, market_ns: int, machine_ns: int) -> Switch | None:
        """Update the sources' conditions; if due, make another one `active` and return the switch, else None."""
        open_now = {
            name: self._calendar.is_open(name, market_ns) for name in {f.exchange for f in self._wanted.values()}
        }
        for connection in self.all:
            connection.pulse.expect(self._patience(connection, open_now), machine_ns)
        switch = self._choice.choose([connection.condition(machine_ns) for connection in self.all], machine_ns)
        if switch is not None:
            self.active = self.all[switch.to]
            self._hand_over(self.all[switch.previous], self.active)
        return switch

    def _patience(self, connection: SourceConnection, open_now: dict[str, bool]) -> int:
        """Factor of patience with its silence: 0 while no subscribed instrument is in session."""
        patience = 0
        for name in connection.subscriptions:
            if (traits := self._wanted.get(name)) is not None and open_now[traits.exchange]:
                if not traits.is_option:
                    return 1
                patience = OPTION_PATIENCE
        return patience

    def _hand_over(self, previous: SourceConnection, to: SourceConnection) -> None:
        for name in list(previous.subscriptions):
            if name in self._probes:
                previous.subscriptions.subscribe(name, FeedMode.LTP)
            else:
                previous.subscriptions.unsubscribe(name)
        for name in self._wanted:
            if name not in self._left_out:
                to.subscriptions.subscribe(name, self._mode)
