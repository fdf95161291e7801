"""Streams `control` and `status`, and the questions of the command line to the gateway (`ops`)."""

from __future__ import annotations

import msgspec

from mytrading.messages.enums import DaemonState, Product, Severity, TradingLevel


class TradingState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="trading_state"):
    """How much trading is allowed, for one account or (empty) for all: a level, valid until the next generation."""

    level: TradingLevel
    generation: int
    reason: str
    at_ns: int
    account: str = ""


class StrategySwitch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="strategy_switch"):
    """Entries of one strategy are allowed or not; its exits always are."""

    strategy: str
    enabled: bool
    generation: int
    at_ns: int


class WithdrawRequested(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="withdraw_requested"):
    """Somebody asked that resting entries be cancelled (`down`, `halt`); an empty account means all."""

    id: str
    reason: str
    at_ns: int
    account: str = ""


class ModeCleared(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="mode_cleared"):
    """A person says that an account marked WRONG_MODE is in order again."""

    account: str
    at_ns: int


class ProbeRequested(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="probe_requested"):
    """A trial order of `mytrading doctor`, at a paper venue only: a limit buy far from the market, or its end."""

    id: str
    account: str
    instrument: str
    at_ns: int
    product: Product = Product.MIS
    quantity: int = 0
    price: float = 0.0
    withdraw: bool = False


ControlMessage = TradingState | StrategySwitch | WithdrawRequested | ModeCleared | ProbeRequested


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="heartbeat"):
    """Once a second from every daemon. `written` and `cursors` are stream sequences, by stream name."""

    daemon: str
    pid: int
    state: DaemonState
    ready: bool
    machine_ns: int
    market_ns: int
    started_machine_ns: int
    lag_ms: float = 0.0
    queue_depth: int = 0
    handled: int = 0
    handler_p50_us: float = 0.0
    handler_p99_us: float = 0.0
    rss_mb: float = 0.0
    cpu_s: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    bad_frames: int = 0
    dropped: int = 0
    written: dict[str, int] = {}
    cursors: dict[str, int] = {}
    figures: dict[str, float] = {}
    notes: tuple[str, ...] = ()


class ClockTick(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag="tick"):
    """Market time, from the feed, every 100 ms of machine time; `segments` counts those of the clock file."""

    market_ns: int
    machine_ns: int
    segments: int


class Alert(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="alert"):
    """Something a person should know; one per (code, subject) until it clears, with a count of repeats."""

    code: str
    severity: Severity
    subject: str
    message: str
    daemon: str
    first_ns: int
    last_ns: int
    count: int = 1
    cleared: bool = False


class WantInstruments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="want_instruments"):
    """Which instruments a daemon needs quotes of: a level, repeated each second while it does."""

    daemon: str
    instruments: tuple[str, ...]


class StepDone(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="step_done"):
    """In lock-step: how far a daemon has come. A level, sent whenever it changes and repeated each second.

    `waits` says why the market must not go on as far as this daemon goes, empty if it may. `mark` is the newest mark
    it has from the simulator itself. `sent` counts what it has sent, by stream, `seen` what it has worked through, by
    `writer/stream`: nothing is under way where the two agree.
    """

    daemon: str
    pid: int
    mark: int = 0
    waits: str = ""
    sent: dict[str, int] = {}
    seen: dict[str, int] = {}


StatusMessage = Heartbeat | ClockTick | Alert | WantInstruments | StepDone


class OpsRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="ops"):
    """A question or an order of the command line: a verb and its arguments, all strings as typed."""

    verb: str
    arguments: dict[str, str] = {}


class OpsReply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="reply"):
    """The gateway's answer: `body` is JSON ready for the screen, `error` says what to do when not ok."""

    ok: bool
    body: bytes = b"null"
    error: str = ""
    code: int = 0
