"""Logging of daemons and the command line: events with fields, JSON lines in files, readable lines on the console.

`logs/<profile>/main.log` holds everything, `trade.log` every event of an order, `performance.log` figures, `error.log`
errors; all processes of a stack share them. An event is a dotted past-tense name with fields:
`log.info("order.accepted", order_id=…, state=…)`. No secret reaches a file: fields named like one are masked, and the
secrets of `configure_logging` are replaced in the finished line.
"""

from __future__ import annotations

import fcntl
import logging as stdlib_logging
import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

import msgspec

from mytrading.core.time import IST
from mytrading.messages.text import plain

if TYPE_CHECKING:
    from mytrading.messages.run_config import RunConfig

_CHECK_SECONDS = 1.0
_DAY = 86_400.0


class SharedLogFile:
    """One file under `logs/`: `NAME.log`, with older parts as `NAME.<date>T<time>.log`."""

    def __init__(self, path: Path, max_bytes: int, retention_days: int, check_seconds: float = _CHECK_SECONDS) -> None:
        self.path = path
        self.lost = 0
        self._max_bytes = max_bytes
        self._check_seconds = check_seconds
        self._retention = retention_days * _DAY
        self._descriptor = -1
        self._inode = -1
        self._next_check = 0.0

    def write(self, line: bytes) -> None:
        """Append one line, its newline included, in a single call."""
        now = time.monotonic()
        if now >= self._next_check:
            self._next_check = now + self._check_seconds
            self._check()
        try:
            os.write(self._descriptor, line)
        except OSError:
            self.lost += 1

    def close(self) -> None:
        """Close the descriptor; a later write opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._inode, self._next_check = -1, -1, 0.0

    def _check(self) -> None:
        """Open the file if it is not open or not the one at the path any more, and rotate it when it is full."""
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._on_disk() != self._inode or self._descriptor < 0:
                self._open()
            if os.fstat(self._descriptor).st_size >= self._max_bytes:
                self._rotate()

    def _on_disk(self) -> int:
        try:
            return self.path.stat().st_ino
        except FileNotFoundError:
            return -1

    def _open(self) -> None:
        self.close()
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._inode = os.fstat(self._descriptor).st_ino

    def _rotate(self) -> None:
        """Give a full file the name of a part, and remove parts beyond the retention."""
        with self._lock():
            if self._on_disk() == self._inode:
                stamp, number = time.strftime("%Y-%m-%dT%H%M%S"), 1
                name = self.path.with_name(f"{self.path.stem}.{stamp}{self.path.suffix}")
                while name.exists():
                    number += 1
                    name = self.path.with_name(f"{self.path.stem}.{stamp}-{number}{self.path.suffix}")
                self.path.rename(name)
                oldest = time.time() - self._retention
                for part in self.path.parent.glob(f"{self.path.stem}.*{self.path.suffix}"):
                    with suppress(FileNotFoundError):
                        if part != self.path and part.stat().st_mtime < oldest:
                            part.unlink()
            self._open()

    @contextmanager
    def _lock(self) -> Iterator[None]:
        descriptor = os.open(self.path.with_name(".rotate.lock"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


_unset = object()
_rich = sys.modules.get("rich", _unset)
# structlog loads rich, if it is installed, for a console that is not used here: 100 ms and 20 MB in every daemon.
sys.modules["rich"] = None  # type: ignore[assignment]
try:
    import structlog
finally:
    del sys.modules["rich"]
    if _rich is not _unset:
        sys.modules["rich"] = _rich  # type: ignore[assignment]

LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}
_MASK = "***"
_SECRET_WORDS = ("api_key", "apikey", "password", "secret", "authorization", "bot_token")
_SECRET_NAMES = frozenset({"key", "token"})
_MAX_LINE = 16_384
_COLOURS = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[1;31m", "debug": "\x1b[2m"}
_FIXED = ("time", "level", "component", "source", "event")

Event = MutableMapping[str, Any]


def level_number(level: str) -> int:
    """Return 10 to 50 for a log level's name in any case; `ValueError` names the allowed ones."""
    if (number := LEVELS.get(level.upper())) is None:
        raise ValueError(f"log level {level!r}: expected one of {', '.join(LEVELS)}")
    return number


_Files = dict[str, SharedLogFile]
"""By name: main, trade, performance, error."""


class _Sink:
    """The last processor: renders an event once for files and once for the console, and masks secrets in both."""

    def __init__(
        self, component: str, threshold: int, files: _Files, console: IO[str] | None, secrets: Iterable[str]
    ) -> None:
        self._component = component
        self._threshold = threshold
        self._files = files
        self._console = console
        # Where nobody looks at the console, the supervisor would be woken for every line that the files hold anyway.
        unseen = bool(files) and console is not None and not console.isatty()
        self._console_threshold = max(threshold, LEVELS["WARNING"]) if unseen else threshold
        self._secrets = [secret for secret in secrets if secret]
        self._encoder = msgspec.json.Encoder(enc_hook=str)

    def __call__(self, _logger: object, method: str, event: Event) -> NoReturn:
        level = "error" if method == "exception" else method
        number = LEVELS.get(level.upper(), LEVELS["INFO"])
        channel = event.pop("channel", "main")
        moment = datetime.fromtimestamp(time.time(), IST)
        head = {
            "time": moment.isoformat(timespec="microseconds"),
            "level": level,
            "component": self._component,
            "event": event.pop("event", ""),
        }
        fields = head | {f"{name}_" if name in head else name: value for name, value in event.items()}
        wanted = {"trade": channel == "trade", "performance": channel == "performance",
                  "main": number >= self._threshold and channel != "performance",
                  "error": number >= LEVELS["ERROR"]}  # fmt: skip
        if files := [file for name, file in self._files.items() if wanted[name]]:
            line = self._json_line(fields)
            for file in files:
                file.write(line)
        if self._console is not None and number >= self._console_threshold and channel != "performance":
            self._print(moment, level, fields)
        raise structlog.DropEvent

    def _json_line(self, fields: Mapping[str, Any]) -> bytes:
        try:
            line = self._encoder.encode(fields)
        except (TypeError, ValueError):
            line = self._encoder.encode({name: ascii(value) for name, value in fields.items()})
        if len(line) > _MAX_LINE:
            kept = {name: fields[name] for name in _FIXED if name in fields}
            line = self._encoder.encode({**kept, "cut": line[: _MAX_LINE // 2].decode(errors="replace")})
        return self._masked(line.decode()).encode() + b"\n"

    def _print(self, moment: datetime, level: str, fields: Mapping[str, Any]) -> None:
        if (console := self._console) is None:
            return
        clock = f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"
        shown = (item for item in fields.items() if item[0] not in _FIXED and item[0] != "exception")
        pairs = [f"{name}={_shown(value)}" for name, value in shown]
        line = " ".join([f"{clock} {level:<8} {fields['component']:<10} {fields['event']}", *pairs])
        trace = f"\n{fields['exception']}" if "exception" in fields else ""
        text = plain(self._masked(line + trace))
        colour = _COLOURS.get(level, "") if console.isatty() else ""
        try:
            console.write(f"{colour}{text}\x1b[0m\n" if colour else f"{text}\n")
            console.flush()
        except (OSError, ValueError):
            self._console = None

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, _MASK)
        return text


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e6 else f"{value:.2f}"
    text = str(value)
    return repr(text) if " " in text or not text else text


def mask_fields(_logger: object, _method: str, event: Event) -> Event:
    """Mask the values of fields named like a secret, in place; a structlog processor."""
    for name in event:
        low = name.lower()
        if low in _SECRET_NAMES or any(word in low for word in _SECRET_WORDS):
            event[name] = _MASK
    return event


def render_exception(_logger: object, _method: str, event: Event) -> Event:
    """Replace the field `exc_info` by the traceback as text, `exception`; a structlog processor."""
    if info := event.pop("exc_info", None):
        error = info if isinstance(info, BaseException) else (info[1] if isinstance(info, tuple) else sys.exc_info()[1])
        if error is not None:
            event["exception"] = "".join(traceback.format_exception(error)).rstrip()
    return event


class _ForwardHandler(stdlib_logging.Handler):
    """Sends warnings of the libraries down the same chain."""

    def emit(self, record: stdlib_logging.LogRecord) -> None:
        level = record.levelname.lower() if record.levelname in LEVELS else "warning"
        log = get_logger(record.name)
        getattr(log, level)("library.logged", message=record.getMessage(), exc_info=record.exc_info)


def configure_logging(
    component: str,
    log_dir: Path | str | None,
    level: str = "INFO",
    console: bool = True,
    *,
    secrets: Iterable[str] = (),
    max_bytes: int = 100_000_000,
    retention_days: int = 30,
    off: Iterable[str] = (),
    stream: IO[str] | None = None,
) -> None:
    """Set up this process's logging; call it once, first, and again to change it.

    `component` is the daemon's name. Without `log_dir` no files are written. `level` bounds console and main log;
    the trade log holds every event of an order whatever the level. `off` names files not to write (trade,
    performance, error). The console is standard error; where that is no terminal and there are files, it gets
    warnings and errors only.
    """
    threshold = level_number(level)
    names = [name for name in ("main", "trade", "performance", "error") if log_dir is not None and name not in off]
    files = {name: SharedLogFile(Path(log_dir or "") / f"{name}.log", max_bytes, retention_days) for name in names}
    sink = _Sink(component, threshold, files, (stream or sys.stderr) if console else None, secrets)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, mask_fields, render_exception, sink],
        wrapper_class=structlog.make_filtering_bound_logger(min(threshold, LEVELS["INFO"])),
        logger_factory=lambda *_: None,
        cache_logger_on_first_use=False,
    )
    stdlib_logging.getLogger().handlers = [_ForwardHandler(level=stdlib_logging.WARNING)]


setup_logging = configure_logging


def configure_for_run(component: str, config: RunConfig) -> None:
    """Set up a daemon's logging as the run's settings say, with its API keys kept out of every line."""
    rules = config.logging
    wanted = {"trade": rules.trade, "performance": rules.performance, "error": rules.error}
    configure_logging(
        component,
        config.log_dir if rules.files else None,
        rules.level,
        rules.console,
        secrets=(config.venue.api_key, *(account.api_key for account in (*config.quote_accounts, *config.accounts))),
        max_bytes=rules.max_file_size,
        retention_days=rules.retention_days,
        off=[name for name, on in wanted.items() if not on],
    )


def get_logger(name: str = "") -> structlog.typing.FilteringBoundLogger:
    """A logger; `name` (a module's or a part's) becomes the field `source`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(**({"source": name} if name else {}))
    return logger


def trade_logger() -> structlog.typing.FilteringBoundLogger:
    """Return the logger for events of orders: `trade_logger().info("order.filled", order_id=…, state=…)`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(channel="trade")
    return logger


def performance_logger() -> structlog.typing.FilteringBoundLogger:
    """Return the logger for measurements, which go to the performance log alone."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(channel="performance")
    return logger
