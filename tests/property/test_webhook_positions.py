"""Positions after any alerts, resends, kills and clock jumps: in the end those that the decision table says of the
last alert that counted.

The machine with its real journal on the disk. A kill takes the process before its rows are synced, so that nothing of
the alert is left, or after, so that its sender has no answer; the next process knows what the journal says. Risk reads
the signals from the journal, and fills come late.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mytrading.core.time import DAY, SECOND
from mytrading.messages.codec import StreamDecoder, encode_body
from mytrading.messages.run_config import Direction
from mytrading.messages.signals import Signal
from mytrading.messages.webhooks import AlertReceived
from mytrading.runtime.daemon.machine_daemon import row_streams
from mytrading.runtime.journal.journal import INPUT, OUTPUT, RECORD, Entry, Journal, JournalReader
from tests.kit.hypothesis_budget import examples
from tests.kit.webhooks import Receiver, at, signals, verdicts, webhook

SYMBOLS = ("SBIN", "INFY")
ROWS = "".join(f'[[symbols]]\nsymbol = "{name}"\ninstrument = "NSE:{name}"\nquantity = 50\n' for name in SYMBOLS)
WINDOW = 5 * SECOND
STREAMS = row_streams("webhooks")
OPENS, CLOSES = at("09:15:00") % DAY, at("15:30:00") % DAY


class Stack(Receiver):
    """`webhooks` with its journal, and in risk's place a reader of it whose orders fill when a test says so."""

    def __init__(self, mode: str, folder: Path) -> None:
        super().__init__(webhook(symbols=ROWS, mode=mode))
        self.folder = folder
        self.journal = Journal(folder, "webhooks", "2026-01-07", 1 << 16)
        self.kill = ""
        """When the process dies while it takes the next alert: "", before or after the sync."""
        self.positions: dict[str, int] = {}
        self.ordered: dict[str, int] = {}
        """Positions that risk wants and that are not filled yet."""
        self._reader, self._read = JournalReader(folder, "signals"), 0
        self.machine.environment.holdings = self

    def units(self, strategy: str, instrument: str) -> int | None:
        return None if instrument in self.ordered else self.positions.get(instrument, 0)

    def stopped_machine_ns(self, strategy: str, instrument: str) -> int:
        return 0

    def send(self, alert: AlertReceived) -> tuple[Any, ...]:
        """Decide on an alert, journal it with what was decided, and answer; () where the process dies before."""
        self.machine.set_machine_time(self.machine_ns)
        self.machine.apply(alert)
        decided = self.machine.decide(alert, self.now)
        self.rows.append(alert)  # counts them: each has an id of its own
        kill, self.kill = self.kill, ""
        if kill != "before":
            rows = ((INPUT, alert), *((OUTPUT if type(row) is Signal else RECORD, row) for row in decided))
            entries = [Entry(kind, STREAMS[type(row)], encode_body(row)) for kind, row in rows]
            self.journal.append(entries, self.now, self.machine_ns, durable=True)
            for row in decided:
                self.machine.apply(row)
        if kill:
            self.restart()
        self.follow()
        return () if kill else decided

    def restart(self) -> None:
        """A process that knows nothing but the journal."""
        self.journal.close()
        self.journal = Journal(self.folder, "webhooks", "2026-01-07", 1 << 16)
        self.machine = self._fresh()
        self.machine.environment.holdings = self
        decoders = {stream: StreamDecoder(stream) for stream in ("internal", "records", "signals")}
        for row in self.journal.rows():
            self.machine.apply(decoders[row.stream].decode_body(row.body))

    def follow(self) -> None:
        """Risk reads the signals that are new in the journal."""
        decoder = StreamDecoder("signals")
        while rows := self._reader.read(self._read):
            for row in rows:
                self._read = row.stream_seq
                signal = decoder.decode_body(row.body)
                self.ordered[signal.watch] = sum(leg.lots for leg in signal.legs)

    def fill(self) -> None:
        """All orders under way are filled."""
        self.positions |= self.ordered
        self.ordered.clear()


def meant(mode: str, action: str, size: int | None) -> int | None:
    """The position of the decision table, in words of its own; None for a refusal."""
    if mode == "BOTH":
        if size is None:
            return None
        return size if size == 0 or (size > 0) == (action == "buy") else None
    enters = action == ("buy" if mode == "LONG" else "sell")
    sign = 1 if mode == "LONG" else -1
    return sign * (abs(size) if size else 50) if enters else 0


ALERT = st.tuples(st.sampled_from(SYMBOLS), st.sampled_from(["buy", "sell"]), st.sampled_from([None, -20, 0, 20]))
STEPS = st.one_of(
    st.tuples(st.just("alert"), ALERT),
    st.tuples(st.just("resend"), st.integers(0, 5)),
    st.tuples(st.just("kill"), st.sampled_from(["before", "after", "now"])),
    st.tuples(st.just("fill"), st.none()),
    st.tuples(st.just("wait"), st.sampled_from([0.1, 4.9, 5.0, 30.0])),
    st.tuples(st.just("jump"), st.sampled_from([-7200, -3600, 3600, 7200])),
)


class Expected:
    """Positions by the decision table, worked out in a test's own words."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.wanted: dict[str, int] = {}
        self._first: dict[str, int] = {}

    def verdicts(self, name: str, symbol: str, action: str, size: int | None, stack: Stack) -> tuple[str, ...]:
        """The verdicts that an alert may have; one that counts is noted as the last."""
        target, last = meant(self.mode, action, size), self.wanted.get(symbol, 0)
        if target is None:
            return ("WRONG_SIDE", "MISSING_FIELD")
        if name in self._first and stack.machine_ns - self._first[name] < WINDOW:
            return ("duplicate",)
        if not OPENS <= stack.now % DAY < CLOSES:
            return ("OUTSIDE_WINDOW",)
        if target * last > 0 and abs(target) < abs(last):
            return ("PARTIAL_EXIT",)
        if stack.kill != "before":  # else nothing of it is on the disk
            self._first[name], self.wanted[symbol] = stack.machine_ns, target
        return ("no_op", "accepted") if target == last else ("accepted",)


@settings(max_examples=examples(150))
@given(st.sampled_from([mode.upper() for mode in Direction]), st.lists(STEPS, max_size=30))
def test_position_held_is_that_of_the_last_alert_that_counted(mode: str, steps: list[tuple[str, Any]]) -> None:
    with TemporaryDirectory() as folder:
        stack, expected = Stack(mode, Path(folder)), Expected(mode)
        sent: list[tuple[str, str, str, int | None]] = []
        for step, value in steps:
            if step == "kill" and value == "now":
                stack.restart()
            elif step == "kill":
                stack.kill = value
            elif step == "fill":
                stack.fill()
            elif step == "wait":
                stack.wait(value)
            elif step == "jump":  # of the market's clock: duplicates go by machine time
                stack.now += value * SECOND
            elif step == "alert" or sent:
                sent.append((f"a{len(sent)}", *value) if step == "alert" else sent[-1 - value % len(sent)])
                name, symbol, action, size = sent[-1]
                sized = f', "position_size": {size}' if size is not None else ""
                may = expected.verdicts(name, symbol, action, size, stack)
                _, rows = stack.post(f'{{"symbol": "{symbol}", "action": "{action}", "id": "{name}"{sized}}}')
                assert not rows or verdicts(rows)[0] in may
                assert len(signals(rows)) == (1 if rows and verdicts(rows) == ["accepted"] else 0)
        stack.fill()
        held = {name.partition(":")[2]: units for name, units in stack.positions.items() if units}
        assert held == {symbol: units for symbol, units in expected.wanted.items() if units}
        decoder = StreamDecoder("signals")
        ids = [decoder.decode_body(row.body).id for row in stack.journal.rows() if row.stream == "signals"]
        assert len(ids) == len(set(ids))
        stack.journal.close()
