"""Risk as a process: signals in, commands out, and the exits that must happen whoever else is there.

Wiring only: `core/risk` decides. Quotes come for what is held, coming, wished for, or announced by the engine, so that
a wish finds its quote waiting. The one rule: no author code runs here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

from mytrading.adapters.instrument_store import InstrumentFile
from mytrading.core import risk_stops
from mytrading.core.calendar import Calendar
from mytrading.core.contracts import ContractFacts
from mytrading.core.expiries import session_ends
from mytrading.core.instruments import InstrumentBook
from mytrading.core.pnl import profit
from mytrading.core.risk import RiskMachine, square_off_subject
from mytrading.core.risk_state import foundation
from mytrading.core.square_off import SquareOff
from mytrading.core.wants import digest
from mytrading.messages.codec import Frame
from mytrading.messages.commands import CloseGoal, PlaceEntry, SignalDenied, SignalExpired
from mytrading.messages.control import Heartbeat, WantInstruments
from mytrading.messages.enums import Severity
from mytrading.messages.market import MarketStep, Quote
from mytrading.messages.orders import TimerFired
from mytrading.messages.records import RiskOpened
from mytrading.messages.runconfig import RunConfig
from mytrading.messages.signals import Signal
from mytrading.runtime.clock import machine_now
from mytrading.runtime.daemon import main
from mytrading.runtime.lockstep import MarketPlace, Progress
from mytrading.runtime.logging import trade_logger
from mytrading.runtime.machine import MachineDaemon, ist_day
from mytrading.runtime.rebuild import rows_read

LOOK_S = 0.25
KILL_FILE = "KILL"
HEARD = ("feed", "router", "reconciler", "engine")
SETTLE_NS = 3_000_000_000
"""Machine time after a start in which a wish waits for the first word of those whom risk needs."""


class RiskManager(MachineDaemon):
    """The risk process of all accounts of a host."""

    def __init__(self, config: RunConfig) -> None:
        calendar = Calendar.from_dict(tomllib.loads(config.calendar_path.read_text(encoding="utf-8")))
        facts_path = config.calendar_path.with_name("instruments.toml")
        facts = ContractFacts.from_dict(tomllib.loads(facts_path.read_text(encoding="utf-8")))
        self._instruments = InstrumentFile(config.state, session_ends(calendar))
        self.risk = RiskMachine(
            config.risk,
            config.rates,
            config.strategies,
            config.venue.account,
            calendar,
            InstrumentBook(()),
            SquareOff(calendar, facts.square_off),
        )
        self._take_instruments()
        super().__init__("risk", config, self.risk)
        self._trades = trade_logger()
        self._announced: tuple[str, ...] = ()
        self._topics: set[str] = set()
        self._counts = {"entries": 0, "exits": 0, "denied": 0}
        self._place = MarketPlace()
        self._looked_ns = 0
        self._held_up = ""
        self._said: tuple[str, ...] = ()
        self.risk.lock_step = self.lock_step

    def setup(self) -> None:
        """Recover, learn what the router did meanwhile, then judge what was wished."""
        super().setup()
        self.risk.square_off.speed = self.clock.speed
        self.risk.patient_until = machine_now() + SETTLE_NS
        self.subscribe("status", self._on_status, topics=HEARD, writers=HEARD)
        self.subscribe("account", lambda frame: self.risk.apply(frame.message))
        self._market = self.subscribe("market", self._on_market, topics=("",) if self.lock_step else ())
        self.follow("control")
        self.follow("orders", downstream=True)
        self._follow_instruments()
        self.follow("signals")
        self.every(LOOK_S, self._look, "look")
        self.every(1.0, self._each_moment, "wants")

    # in

    def _on_status(self, frame: Frame) -> None:
        message = frame.message
        if isinstance(message, Heartbeat):
            self.risk.apply(message)
        elif isinstance(message, WantInstruments) and message.daemon == "engine":
            self._announced = message.instruments
            self._follow_instruments()

    def step(self, stream: str, message: Any, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """As every daemon does; a wish may follow a list of contracts that is new."""
        if bool(self.quarantined) != self.risk.state.doubted:
            self.risk.apply(TimerFired(name="doubt_on" if self.quarantined else "doubt_off", machine_ns=machine_now()))
        if isinstance(message, Signal):
            self._look_at_instruments()
        return super().step(stream, message, *args, **kwargs)

    def _look_at_instruments(self) -> None:
        if self._instruments.changed():
            self._take_instruments()

    def _take_instruments(self) -> None:
        snapshot = self._instruments.snapshot()
        self.risk.master, self.risk.instruments = snapshot, self._instruments.book_of(snapshot)

    def _on_market(self, frame: Frame) -> None:
        message = frame.message
        if isinstance(message, MarketStep):
            if self._place.take(message):
                self._decide_on_time(machine_now())
                self._each_moment(0)
        elif not self.lock_step or (isinstance(message, Quote) and frame.topic == message.instrument):
            self.step("market", message, source="feed")

    def _look(self, machine_ns: int) -> None:
        self._note_flag("kill", (self.config.state / KILL_FILE).exists(), self.risk.state.killed, machine_ns)
        self._note_flag("disk", self.disk_low(), self.risk.state.disk_low, machine_ns)
        if not self.lock_step or self._looked_ns == self.clock.now():
            self._decide_on_time(machine_ns)

    def _decide_on_time(self, machine_ns: int) -> None:
        """In lock-step after all quotes of the step, never between them."""
        self._looked_ns = self.clock.now()
        self.risk.square_off.speed = self.clock.speed
        self.tick("risk", machine_ns)
        self._settle_alerts()
        self._follow_instruments()

    def _settle_alerts(self) -> None:
        """A position that the books show covered again, or flat, is bare no longer."""
        bare = {found.subject for found in self.risk.state.guard.bare()}
        for alert in self.alerts.standing:
            if alert.code == "POSITION_BARE" and alert.subject not in bare:
                self.alerts.clear(alert.code, alert.subject)
            if alert.code == "SQUARE_OFF_LATE" and alert.subject not in self._held_subjects():
                self.alerts.clear(alert.code, alert.subject)

    def _held_subjects(self) -> set[str]:
        return {square_off_subject(position) for position in self.risk.state.open_positions()}

    def _note_flag(self, name: str, present: bool, known: bool, machine_ns: int) -> None:
        if present == known:
            return
        words = {"kill": ("kill_on", "kill_off"), "disk": ("disk_low", "disk_ok")}[name]
        self.tick(words[0 if present else 1], machine_ns)
        if name == "kill" and present:
            path = self.config.state / KILL_FILE
            self.alerts.raise_("KILL_FILE", Severity.CRITICAL, str(path), "the file KILL halts entries; remove it")
        elif name == "kill":
            self.alerts.clear("KILL_FILE", str(self.config.state / KILL_FILE))

    def _each_moment(self, _machine_ns: int) -> None:
        self._look_at_instruments()
        self._said = self.risk.wanted()
        self.status.send(self.name, WantInstruments(daemon=self.name, instruments=self._said))

    def _follow_instruments(self) -> None:
        """Subscribe to the quotes of what matters now, and of nothing else; in lock-step all are."""
        if self.lock_step:
            return
        wanted = {*self.risk.wanted(), *self._announced}
        for instrument in wanted - self._topics:
            self._market.subscribe(instrument)
        for instrument in self._topics - wanted:
            self._market.unsubscribe(instrument)
        self._topics = wanted

    # out

    def effects(self, rows: Sequence[Any]) -> None:
        """Count and tell what was decided; an alert of the machine stands until the day changes."""
        for row in rows:
            if isinstance(row, PlaceEntry):
                self._counts["entries"] += 1
                self._trades.info("entry.admitted", id=row.id, strategy=row.strategy, instrument=row.instrument,
                                  side=row.side.value, quantity=row.quantity, cause=row.cause)  # fmt: skip
            elif isinstance(row, CloseGoal):
                self._counts["exits"] += 1
                self._trades.info("exit.wanted", id=row.id, strategy=row.strategy, instrument=row.instrument,
                                  reason=row.reason, cause=row.cause)  # fmt: skip
            elif isinstance(row, SignalDenied | SignalExpired):
                self._counts["denied"] += 1
                self._tell_denial(row)
            elif isinstance(row, RiskOpened):
                self.alerts.clear("DAILY_LOSS", self.risk.account)
        if rows:
            self._follow_instruments()

    def _tell_denial(self, row: SignalDenied | SignalExpired) -> None:
        code = row.code if isinstance(row, SignalDenied) else "EXPIRED"
        text = row.message if isinstance(row, SignalDenied) else "the wish was too late"
        self._trades.info("signal.denied", signal=row.signal, strategy=row.strategy, code=code, problem=text)

    # told

    def progress(self) -> Progress:
        """In lock-step: what keeps entries waiting keeps the market; what waited for it is judged before it goes on."""
        waits = self.risk.state.not_ready(self.risk.account)
        if self._held_up and not waits and self._looked_ns == self.clock.now():
            self._decide_on_time(machine_now())
        self._held_up = waits
        if self.risk.wanted() != self._said:
            self._each_moment(0)
        done = super().progress()
        seen = {**done.seen, "feed/market": self._place.seen}
        return Progress(0, waits, {**done.sent, "wants": digest(self._said)}, seen)

    def ready(self) -> bool:
        """True unless a journal is in doubt; what entries wait for is said with their denial."""
        return not self.quarantined

    def figures(self) -> dict[str, float]:
        """Counts since the start, and profit and loss in rupees."""
        money = profit(self.risk.state.positions.values(), self.risk.state.quotes)
        return {
            **{name: float(count) for name, count in self._counts.items()},
            "pnl_realised": round(money.realised, 2),
            "pnl_unrealised": round(money.unrealised, 2),
            "open_wishes": float(sum(1 for _ in self.risk.state.open_wishes())),
            "watching": float(len(self._topics)),
            **{risk_stops.name_of(key): level for key, level in self.risk.state.stop_levels.items()},
        }

    def foundation(self, records: Sequence[Any]) -> tuple[Any, ...]:
        """A lost journal begins with what the router and the gateway carried into the day."""
        return foundation(records)

    def relearned(self, missed: Sequence[Any]) -> tuple[Any, ...]:  # noqa: ARG002
        """What only the lost journal held: that the day's loss limit was reached, and the levels of stops.

        The first stands as an alert in the gateway's journal, the others with the positions that the router told.
        """
        now = self.clock.now()
        day = ist_day(now)
        told = (self.decode(row) for row in rows_read(self.config, "gateway", "status", self.name, day))
        stopped = any(row.code == "DAILY_LOSS" and ist_day(row.first_ns) == day for row in told)
        levels = risk_stops.restore(self.risk.state, now)
        return (*levels, *(self.risk.stop_for_the_day(now) if stopped else ()))

    def snapshot(self, day: str) -> tuple[Any, ...]:
        """Standing wishes and positions, at the head of a new day."""
        return (self.risk.snapshot(day),)


if __name__ == "__main__":
    raise SystemExit(main(RiskManager, "risk"))
