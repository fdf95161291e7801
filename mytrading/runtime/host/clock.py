"""The two clocks: market time for sessions, bars and expiries, and machine time for time-outs.

All processes read one clock file. Market time is a list of segments: at this machine time it was that market time, and
from there it runs at this speed; at speed 0 it stands where `step_to` put it last. Machine time is a monotonic count
that all processes of one boot share. Machines in `core` never read a clock; `now` reaches them as an argument.
"""

from __future__ import annotations

import mmap
import os
import stat
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

import msgspec

from mytrading.core.time import SECOND
from mytrading.messages.run_config import RUN_FILE, RunConfig
from mytrading.runtime.host.run_info import user_name


class ClockSegment(msgspec.Struct, frozen=True, array_like=True):
    """From machine time `machine_ns` on, market time runs from `market_ns` at `speed` market seconds a second."""

    machine_ns: int
    market_ns: int
    speed: float


class ClockFile(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `clock.json`: the segments so far, and when the market was last seen running (for a resume)."""

    segments: tuple[ClockSegment, ...] = ()
    last_seen_machine_ns: int = 0


_decoder = msgspec.json.Decoder(ClockFile)


@cache
def _boot_offset() -> int:
    """Wall time minus monotonic time, measured once a boot by whichever process asks first, kept for all others.

    Measured again in each process it would differ by what the wall clock was corrected in between.
    """
    anchor = anchor_dir() / f"boot-{boot_id()}"
    if not anchor.exists():
        mine = anchor.with_name(f".{anchor.name}.{os.getpid()}")
        mine.write_text(str(time.time_ns() - time.monotonic_ns()), encoding="ascii")
        with suppress(FileExistsError):
            os.link(mine, anchor)
        mine.unlink()
    return int(anchor.read_text(encoding="ascii"))


def machine_now() -> int:
    """Machine time in ns: monotonic, never stepped, the same in all processes of a boot, and growing across boots."""
    return _boot_offset() + time.monotonic_ns()


def run_written_wall_ns(config: RunConfig) -> int:
    """Return the wall clock's ns at which `up` wrote the run file, which identifies the run; 0 if it is gone."""
    with suppress(OSError):
        return (config.state / RUN_FILE).stat().st_mtime_ns
    return 0


def run_started_machine_ns(config: RunConfig) -> int:
    """Machine time at which the run file was written; 0 if it is gone."""
    written = run_written_wall_ns(config)
    return machine_now() - (time.time_ns() - written) if written else 0


def anchor_dir() -> Path:
    """Return, and make, the user's own 0700 folder of what must not outlive the boot: clock anchor and sockets."""
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"mytrading-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()  # a link that somebody else made would lead where he likes
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        found = "a link" if stat.S_ISLNK(status.st_mode) else f"one of {user_name(status.st_uid)}"
        raise PermissionError(
            f"{folder}: expected a folder that only you can enter, found {found} with mode "
            f"{stat.S_IMODE(status.st_mode):o}; remove it, or set XDG_RUNTIME_DIR to a folder of your own"
        )
    return folder


def boot_id() -> str:
    """Return the identifier of this boot of the machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return str(round((time.time() - time.monotonic()) / 60))


def _shared_hand(clock_path: Path, segment: ClockSegment) -> memoryview:
    """Market time in lock-step: eight bytes that all processes share, so that a step is there before its messages.

    The initial value is that of the segment; whoever comes first makes the file.
    """
    path = clock_path.with_name(f"{clock_path.stem}-{segment.machine_ns}.step")
    if not path.exists():
        for old in set(path.parent.glob(f"{clock_path.stem}-*.step")) - {path}:
            old.unlink(missing_ok=True)
        mine = path.with_name(f".{path.name}.{os.getpid()}")
        mine.write_bytes(segment.market_ns.to_bytes(8, sys.byteorder))
        with suppress(FileExistsError):
            os.link(mine, path)
        mine.unlink()
    with path.open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), 8)).cast("q")


class MarketClock:
    """Market time from the segments of a clock file; without a path, the wall clock.

    `now()` costs under a microsecond. A jump (the close of a generated day to the next open) is a new segment,
    written by whoever drives the market; everybody else calls `refresh()` when the count has changed.
    """

    def __init__(self, segments: tuple[ClockSegment, ...] = (), path: Path | None = None) -> None:
        self._path = path
        self._read_at = 0
        self._segments = segments
        self._last = segments[-1] if segments else None
        self._hand: memoryview | None = None

    @classmethod
    def load(cls, path: Path) -> MarketClock:
        """The clock in file `path`; a missing file is the wall clock, a damaged one raises `ValueError`."""
        clock = cls((), path)
        clock.refresh()
        return clock

    @property
    def segments(self) -> tuple[ClockSegment, ...]:
        """All segments of the clock (a start, and the speed from there), oldest first; empty for the wall clock."""
        return self._segments

    @property
    def speed(self) -> float:
        """Market seconds per machine second, 1.0 for the wall clock, 0.0 in lock-step."""
        return self._last.speed if self._last else 1.0

    @property
    def lock_step(self) -> bool:
        """True if market time changes only when whoever drives the market calls `step_to`."""
        return self._last is not None and not self._last.speed

    def now(self) -> int:
        """Market time now, ns UTC."""
        return self.market_ns_at(machine_now()) if self._last else time.time_ns()

    def market_and_machine_now(self) -> tuple[int, int]:
        """Return (market time, machine time) now, read at one instant where the market runs at speed 1."""
        machine_ns = _boot_offset() + time.monotonic_ns()
        if (last := self._last) is None:
            return time.time_ns(), machine_ns
        if last.speed == 1.0 and machine_ns >= last.machine_ns:
            return last.market_ns + machine_ns - last.machine_ns, machine_ns
        return self.market_ns_at(machine_ns), machine_ns

    def market_ns_at(self, machine_ns: int) -> int:
        """Market time (ns UTC) at a machine time (monotonic ns), by the clock file's present segment (speed, anchor).

        Without a clock file market time is the wall clock: converted by the present difference of wall and monotonic
        clock, it is off by any change of the wall clock, or sleep of the machine, between that moment and now.
        """
        if (last := self._last) is None:
            return machine_ns + time.time_ns() - machine_now()
        if not last.speed:
            return int(self._hand[0]) if self._hand is not None else last.market_ns
        machine_ns = max(machine_ns, last.machine_ns)  # a segment that begins later: until then the market stands
        if last.speed == 1.0:
            return last.market_ns + machine_ns - last.machine_ns
        return last.market_ns + int((machine_ns - last.machine_ns) * last.speed)

    def machine_seconds_of(self, market_ns: int) -> float:
        """Return how many machine seconds a span of `market_ns` ns lasts at the present speed; 0 in lock-step."""
        return market_ns / SECOND / self.speed if self.speed else 0.0

    def refresh(self) -> bool:
        """Read the clock file again if it was written since; True if the segments changed."""
        if self._path is None:
            return False
        try:
            written = self._path.stat().st_mtime_ns
        except FileNotFoundError:
            return False
        if written == self._read_at:
            return False
        segments = read_clock_file(self._path).segments
        self._read_at = written
        changed = segments != self._segments
        self._take(segments)
        return changed

    def _take(self, segments: tuple[ClockSegment, ...]) -> None:
        last = segments[-1] if segments else None
        if last != self._last:
            self._hand = _shared_hand(self._path, last) if last and not last.speed and self._path is not None else None
        self._segments, self._last = segments, last

    def step_to(self, market_ns: int) -> None:
        """In lock-step, set market time (ns UTC), at once for every process that has this clock file."""
        assert self._hand is not None, "only a clock with a file, at speed 0, goes step by step"
        self._hand[0] = market_ns

    @property
    def starts_at_machine_ns(self) -> int:
        """The machine time (ns) at which the newest segment begins; 0 for the wall clock.

        It lies ahead while the market waits to start."""
        return self._last.machine_ns if self._last else 0

    def set_start(self, machine_ns: int) -> None:
        """Set the machine time at which a stopped market starts to run; written to the clock file first."""
        assert self._last is not None
        self._add(self._segments[:-1], ClockSegment(machine_ns, self._last.market_ns, self._last.speed))

    def append_segment(self, market_ns: int, speed: float) -> None:
        """Set market time to `market_ns` and its speed from now on; written to the clock file first."""
        self._add(self._segments, ClockSegment(machine_now(), market_ns, speed))

    def _add(self, before: tuple[ClockSegment, ...], last: ClockSegment) -> None:
        if self._path is not None:
            write_clock_file(self._path, ClockFile(segments=(*before, last), last_seen_machine_ns=last.machine_ns))
        self._take((*before, last))

    def mark_seen(self) -> None:
        """Record in the file that the market still runs, so that a later start resumes where it stopped.

        A full disk keeps no market from running.
        """
        if self._path is not None:
            with suppress(OSError):
                write_clock_file(self._path, ClockFile(segments=self._segments, last_seen_machine_ns=machine_now()))

    def resume_point(self) -> int | None:
        """The market time (ns UTC) at which the market was last seen running; None if it never ran."""
        if self._path is None or not self._path.exists():
            return None
        content = read_clock_file(self._path)
        return self.market_ns_at(content.last_seen_machine_ns) if content.segments else None


def read_clock_file(path: Path) -> ClockFile:
    """The content of a clock file; `ValueError` says what is wrong with it and what to do."""
    try:
        return _decoder.decode(path.read_bytes())
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"{path}: expected a market clock, found: {error}; `--fresh` makes a new one") from error


def write_clock_file(path: Path, content: ClockFile) -> None:
    """Replace the clock file in one step, so that no reader ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(msgspec.json.encode(content))
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
