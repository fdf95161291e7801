"""`mytrading journal` reads the record of every decision from its files; `tail` and `endpoints` are about the streams.

Fan-out streams are subscribed to; messages of a pipe, which has one reader, are read from the writers' journals.
Nothing here binds, sends, or takes from a pipe.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from msgspec import NODEFAULT, Struct, to_builtins
from msgspec.structs import fields
from typer import Argument, Option

from mytrading.cli.shell.failures import ERROR, NOT_RUNNING, TIMED_OUT, USAGE, fail, find_running_stack, find_stack
from mytrading.cli.shell.options import AsJson, Limit, Profile
from mytrading.cli.shell.output import is_reader_gone, print_json, print_note, print_result, print_rows, progress_bar
from mytrading.core.orders.flat_order import complete_flat_order, flat_order
from mytrading.core.time import format_ist
from mytrading.messages.codec import FrameError, StreamDecoder
from mytrading.messages.orders import Order
from mytrading.messages.run_config import RunConfig
from mytrading.messages.streams import ALL, SCHEMA_VERSION, STREAMS, Pattern
from mytrading.operations import journal_verify
from mytrading.runtime.journal.journal import JournalReader
from mytrading.runtime.streams.endpoints import endpoint_of, named_dir, read_webhook_endpoint

if TYPE_CHECKING:
    from mytrading.orchestrator import TradingOrchestrator

app = typer.Typer(help="The record of every decision: verify, show, export.", no_args_is_help=True)
Daemon = Annotated[str, Option("--daemon", "-d", help="Only this daemon's journal.")]


def _check_name(config: RunConfig, daemon: str) -> None:
    """Exit 2 for a name that no process and no journal has."""
    if daemon and daemon not in ALL and not journal_verify.journal_files(config, daemon):
        fail(USAGE, f"no daemon is called {daemon!r}: expected one of {', '.join(ALL)}")


@app.command()
def verify(daemon: Daemon = "", as_json: AsJson = False, profile: Profile = "") -> None:
    """Check that no row was changed, lost or made unreadable, that readers and writers agree, and that the router's
    inputs still lead to its decisions; exit 1 if not."""
    with find_stack(profile) as found:
        _check_name(found.config, daemon)
        with progress_bar("verifying journals", None, as_json):
            findings = journal_verify.verify_journals(found.config, daemon)
    problems = [finding.problem for finding in findings if finding.problem]
    if as_json:
        print_json({"ok": not problems, "files": [finding._asdict() for finding in findings]})
    else:
        rows = [
            {"daemon": finding.daemon, "file": Path(finding.file).name, "rows": finding.rows,
             "decided again": finding.decided_again or None, "result": finding.problem or "in order"}
            for finding in findings
        ]  # fmt: skip
        print_rows(rows, ("daemon", "file", "rows", "decided again", "result"), False, "no journals yet")
    if problems:
        fail(ERROR, f"{len(problems)} journal problem(s)")


@app.command()
def show(
    trace: str = Option("", "--trace", help="All rows that belong to this id (of a signal, an order, …)."),
    daemon: Daemon = "", limit: Limit = 50, as_json: AsJson = False, profile: Profile = "",
) -> None:  # fmt: skip
    """Show journal rows: what a daemon read and what it decided."""
    with find_stack(profile) as found:
        _check_name(found.config, daemon)
        rows = list(journal_verify.decode_journals(found.config, daemon))
    if trace:
        rows = journal_verify.rows_linked_to(rows, trace)
        if not rows:
            where = f"the journal of {daemon}" if daemon else "any journal"
            fail(USAGE, f"no row in {where} has the id {trace!r}; `mytrading orders --json` and `signals --json` "
                 "print ids")  # fmt: skip
    else:
        rows.sort(key=lambda entry: (entry.row.machine_ns, entry.row.seq))
    for entry in rows[-limit:] if limit else rows:
        row, kind = entry.row, journal_verify.KINDS[entry.row.kind]
        if as_json:
            print_json({"daemon": entry.daemon, "seq": row.seq, "epoch": row.epoch, "kind": kind, "stream": row.stream,
                        "stream_seq": row.stream_seq, "source": row.source, "market_ns": row.market_ns,
                        "machine_ns": row.machine_ns, "body": entry.body})  # fmt: skip
        else:
            moment = format_ist(row.market_ns, "%m-%d %H:%M:%S")
            body = " ".join(f"{key}={value}" for key, value in entry.body.items() if key != "type")
            print(f"{moment} {entry.daemon:<10} {row.seq:>6} {kind:<6} {row.stream:<8} "
                  f"{entry.body.get('type', '')} {body}"[:400])  # fmt: skip


@app.command()
def export(
    target: Path = Argument(..., help="The Parquet file to write."),  # noqa: B008
    daemon: Daemon = "", as_json: AsJson = False, profile: Profile = "",
) -> None:  # fmt: skip
    """Write journal rows to a Parquet file, bodies as JSON."""
    with find_stack(profile) as found:
        _check_name(found.config, daemon)
        try:
            with progress_bar("exporting rows", None, as_json):
                count = journal_verify.export_rows(journal_verify.decode_journals(found.config, daemon), target)
        except OSError as error:
            fail(USAGE, f"journal export: expected a file that can be written, found {target}: {error.strerror}")
    print_result({"file": str(target), "rows": count}, as_json, f"{count} rows written to {target}")


_TURN_S = 0.1
_LOOK_S = 1.0
_BACKLOG = 1000
"""Messages kept for this reader; one that prints more slowly than they come loses the rest, and says so."""
_LEAST_TIME = 10**18
"""Nanoseconds: what is larger is a time, what is smaller a duration."""


class Tailed(StrEnum):
    """Streams that `tail` follows."""

    STATUS, ORDERS, SIGNALS, MARKET = "status", "orders", "signals", "market"


class TailedMessage(NamedTuple):
    """A message as it came: under which topic, its place in the writer's stream, and when it was sent (machine ns)."""

    topic: str
    epoch: int
    sequence: int
    sent_ns: int
    message: Any


def tail(
    stream: Tailed = Argument(..., help="status, orders, signals or market."),  # noqa: B008
    topics: list[str] = Argument(None, help="Only these: daemons, or instruments of market."),  # noqa: B008
    count: int = Option(0, "--count", "-n", min=0, help="End after so many messages; exit 5 if --for ends first."),
    seconds: float = Option(0.0, "--for", min=0.0, metavar="SECONDS", help="End after so long."),
    as_json: AsJson = False,
    profile: Profile = "",
) -> None:
    """Print the messages of a running stack as they come, one a line, until Ctrl-C."""
    with find_running_stack(profile) as found:
        _check_topics(stream, topics or ())
        follow = _journaled if stream is Tailed.SIGNALS else _published
        source = follow(found.config, stream, topics or ())
        try:
            with closing(source):
                left = _show(found, source, stream, as_json, count, time.monotonic() + (seconds or float("inf")))
        except KeyboardInterrupt:  # how an operator ends it
            return
    if left:
        fail(TIMED_OUT, f"{count - left} of {count} messages came within {seconds:g} s")


def _check_topics(stream: str, topics: Sequence[str]) -> None:
    """Exit 2 for a topic that never comes; of market any instrument may."""
    known = (*STREAMS[stream].writers, "clock") if stream is Tailed.STATUS else STREAMS[stream].writers
    if stream is not Tailed.MARKET and (unknown := sorted(set(topics) - set(known))):
        fail(USAGE, f"tail {stream}: expected {', '.join(known)}, found {', '.join(unknown)}")


def _show(
    found: TradingOrchestrator, source: Iterator[TailedMessage | None], stream: str, as_json: bool, count: int,
    until: float,
) -> int:  # fmt: skip
    """Print until enough came, time is up or nobody reads; returns how many of `count` are missing."""
    left, look = count, 0.0
    for message in source:
        if message is not None:
            if as_json:
                print_json({"stream": stream, **message._asdict(), "message": message_to_builtins(message.message)})
            else:
                print(format_message(message), flush=True)
            left -= 1
            if not left:
                return 0
        now = time.monotonic()
        if now >= until or (message is None and is_reader_gone(sys.stdout)):
            break
        if message is None and now >= look:
            look = now + _LOOK_S
            if not found.is_running():
                fail(NOT_RUNNING, f"the {found.config.profile} stack was stopped")
    return max(left, 0)


def _published(config: RunConfig, stream: str, topics: Sequence[str]) -> Generator[TailedMessage | None]:
    """Messages of a fan-out stream from now on, None whenever none waits; quotes for screens and marks of lock-step,
    which repeat others, only by topic."""
    from mytrading.runtime.streams.zmq_streams import ZMQSubscriber

    endpoints = sorted({endpoint_of(config, stream, writer) for writer in STREAMS[stream].writers})
    subscriber, missed = ZMQSubscriber(stream, endpoints, topics or ("",), _BACKLOG), 0
    try:
        while True:
            if (frame := subscriber.receive()) is None:
                yield None
                subscriber.socket.poll(int(_TURN_S * 1000))
            elif topics or not (frame.topic.startswith(("shown/", "step/")) or frame.topic == "step"):
                header = frame.header
                yield TailedMessage(frame.topic, header.epoch, header.sequence, header.sent_ns, frame.message)
            if subscriber.gaps > missed:
                lost = f"{subscriber.gaps - missed} messages passed while this reader was busy"
                print_note(f"{lost}; name topics to read fewer")
                missed = subscriber.gaps
    finally:
        subscriber.close()


def _journaled(config: RunConfig, stream: str, writers: Sequence[str]) -> Generator[TailedMessage | None]:
    decoder = StreamDecoder(stream)
    readers = {name: JournalReader(config.journal_dir(name), stream) for name in writers or STREAMS[stream].writers}
    after = {name: reader.last() for name, reader in readers.items()}
    try:
        while True:
            for name, reader in readers.items():
                for row in reader.read(after[name]):
                    after[name] = row.stream_seq
                    with suppress(FrameError):  # the writer itself raises the alert
                        yield TailedMessage(
                            name, row.epoch, row.stream_seq, row.machine_ns, decoder.decode_body(row.body)
                        )
            yield None
            time.sleep(_TURN_S)
    finally:
        for reader in readers.values():
            reader.close()


def message_to_builtins(value: Any) -> Any:
    """Convert a message to JSON-ready values: `type` and every field by name, even if sent as an array."""
    if isinstance(value, Order):
        return complete_flat_order(value)
    if isinstance(value, Struct):
        tag = value.__struct_config__.tag
        own = {name: message_to_builtins(getattr(value, name)) for name in value.__struct_fields__}
        return {"type": tag, **own} if tag is not None else own
    if isinstance(value, tuple | list):
        return [message_to_builtins(item) for item in value]
    if isinstance(value, dict):
        return {key: message_to_builtins(item) for key, item in value.items()}
    return to_builtins(value)


def format_message(tailed: TailedMessage) -> str:
    """Return a message as one line: IST time of day, topic, type, and the fields that differ from their defaults."""
    kind = type(tailed.message).__name__
    moment = f"{format_ist(tailed.sent_ns, '%H:%M:%S')}.{tailed.sent_ns // 1_000_000 % 1000:03}"
    text = f"{moment} {tailed.topic:<12} {kind} {' '.join(_pairs(tailed.message))}"
    return "".join(letter if letter.isprintable() else "?" for letter in text).rstrip()


def _pairs(message: Any) -> Iterator[str]:
    """`name=value` of each field that says something; parts of a message are shown like fields of its own."""
    for field in fields(message):
        value = getattr(message, field.name)
        usual = field.default if field.default is not NODEFAULT else None
        if isinstance(value, Order):
            flat = flat_order(value)
            yield from (f"{name.removesuffix('_ns')}={_text(name, each)}" for name, each in flat.items() if each != "")
        elif isinstance(value, Struct):
            yield from _pairs(value)
        elif value not in (usual, (), {}, ""):
            yield f"{field.name.removesuffix('_ns')}={_text(field.name, value)}"


def _text(name: str, value: Any) -> str:
    if name.endswith("_ns") and isinstance(value, int) and value > _LEAST_TIME:
        return format_ist(value, "%H:%M:%S")
    if isinstance(value, float):
        return f"{value:g}" if abs(value) < 1000 else f"{value:.2f}"
    if isinstance(value, tuple):
        return "[" + "; ".join(" ".join(_pairs(one)) if isinstance(one, Struct) else str(one) for one in value) + "]"
    return str(value)


def endpoints(as_json: AsJson = False, profile: Profile = "") -> None:
    """Print where the streams of a stack are, for programs that read them (docs/streams.md)."""
    with find_stack(profile) as found:
        config, running = found.config, found.is_running()
    rows = [
        {"stream": row.name, "writer": writer, "pattern": row.pattern.value, "delivery": row.delivery.value,
         "endpoint": endpoint_of(config, row.name, writer) if row.pattern is Pattern.FAN_OUT else None,
         "journal": str(config.journal_dir(writer)) if row.is_journaled else None}
        for row in STREAMS.values()
        for writer in row.writers
    ]  # fmt: skip
    body: dict[str, Any] = {
        "profile": config.profile, "running": running, "layout": SCHEMA_VERSION,
        "transport": config.messaging.transport, "named_dir": str(named_dir(config)),
        "runtime_dir": config.runtime_dir, "state_dir": config.state_dir, "log_dir": config.log_dir,
        "webhooks": read_webhook_endpoint(config) if running else None, "streams": rows,
    }  # fmt: skip
    if as_json:
        print_json(body)
        return
    print(f"{body['profile']}: {'runs' if body['running'] else 'does not run'}, layout {body['layout']}")
    places = {name: body[name] for name in ("named_dir", "runtime_dir", "state_dir", "log_dir")}
    if body["webhooks"] is not None:
        places["webhooks"] = body["webhooks"]["url"]
    print_rows([{"name": name, "place": place} for name, place in places.items()], ("name", "place"), False, "")
    print()
    columns = ("stream", "writer", "pattern", "delivery", "endpoint", "journal")
    print_rows(body["streams"], columns, False, "no streams")
