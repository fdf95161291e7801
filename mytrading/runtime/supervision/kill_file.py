"""The file KILL in the state directory: a kill switch that risk and the router read several times a second.

Its first word is halt, reduce or flatten, the rest is the reason; a file with other content halts. A file in the folder
above counts for the state directories of all profiles in it, if this user or root owns it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from mytrading.core.time import MINUTE
from mytrading.messages.control import KILL, FlattenRequested, TradingState
from mytrading.messages.enums import TradingLevel
from mytrading.messages.text import read_head
from mytrading.runtime.host.run_info import user_name

NAME = "KILL"
FLATTEN = "flatten"
WORDS = ("halt", "reduce", FLATTEN)
_MOSTS = {"reduce": 0, "halt": 1, FLATTEN: 2}
DEADLINE_NS = MINUTE
_MOST = 4096


class Kill(NamedTuple):
    """A parsed file: `word` is one of `WORDS`; who wrote it, when (wall clock) and why."""

    word: str
    by: str
    why: str
    written_ns: int
    name: str = NAME

    @property
    def level(self) -> TradingLevel:
        """The trading level while the file exists: reduce, else halt (also while flattening)."""
        return TradingLevel.REDUCE if self.word == "reduce" else TradingLevel.HALT

    def trading_state(self, now: int) -> TradingState:
        """Return the trading state that the file demands, as a message of account `KILL`; `now` is market ns."""
        text = f"the file {self.name} says {self.word}" + (f": {self.why}" if self.why else "")
        return TradingState(level=self.level, generation=self.written_ns, reason=text, at_ns=now, account=KILL,
                            by=self.by)  # fmt: skip

    def flatten_request(self, account: str, now: int, machine_ns: int) -> FlattenRequested:
        """Return the request to flatten an account, with one id for each writing of the file; `now` is market ns, and
        the deadline counts from `machine_ns`."""
        return FlattenRequested(
            id=f"kill-{self.written_ns}-{account}",
            account=account,
            at_ns=now,
            deadline_machine_ns=machine_ns + DEADLINE_NS,
            reason=self.trading_state(now).reason,
            by=self.by,
        )


class KillFile:
    """The file of a state directory, and the one above. `read` costs two calls to the system while there is none."""

    def __init__(self, state: Path) -> None:
        self.path = state / NAME
        self._own = _Place(self.path, NAME)
        self.above = _Place(state.parent / NAME, str(state.parent / NAME), (os.getuid(), 0))
        self._reported: Kill | None = None

    def level_change(self, known: TradingState | None, now: int) -> TradingState | None:
        """Return the trading state to apply if the file appeared, changed or went since `known`, the state applied
        last; else None. `now` is market ns."""
        kill, generation = self.read(), known.generation + 1 if known is not None else 0
        if kill is None:
            self._reported = None
            if known is None or known.level is TradingLevel.NORMAL:
                return None
            over = "the file is gone"
            return TradingState(level=TradingLevel.NORMAL, generation=generation, reason=over, at_ns=now, account=KILL)
        state = kill.trading_state(now)
        again = known is not None and (known.level, known.reason) == (state.level, state.reason)
        if again and known is not None and (self._reported == kill or known.generation == kill.written_ns):
            return None
        self._reported = kill
        return replace(state, generation=max(kill.written_ns, generation))

    def read(self) -> Kill | None:
        """Return the stricter kill of this state folder's file and that of the folder above; None if neither exists."""
        own, above = self._own.read(), self.above.read()
        if own is None or above is None:
            return own or above
        return max(own, above, key=lambda kill: _MOSTS[kill.word])

    def write(self, word: str, why: str) -> None:
        """Write the kill file with a word of `WORDS` and a reason, in one step."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self.path.with_name(f".{NAME}.{os.getpid()}")
        temporary.write_text(f"{word} {why}".strip() + "\n", encoding="utf-8")
        temporary.replace(self.path)

    def remove(self) -> bool:
        """Delete the kill file of this state directory; false if there was none."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        return True


class _Place:
    """A place of a kill file; with `owners` (user ids) a file of someone else does not count."""

    def __init__(self, path: Path, name: str, owners: tuple[int, ...] = ()) -> None:
        self._path = path
        self._name = name
        self._owners = owners
        self._stamp: tuple[int, int, int] | None = None
        self._known: Kill | None = None

    def read(self) -> Kill | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._stamp = self._known = None
            return None
        except OSError as error:
            return None if self._owners else Kill("halt", "", f"{self._path} cannot be looked at ({error})", 0)
        if self._owners and found.st_uid not in self._owners:
            return None
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        if self._known is None or stamp != self._stamp:
            self._stamp, self._known = stamp, _read(self._path, found)._replace(name=self._name)
        return self._known


def _read(path: Path, found: os.stat_result) -> Kill:
    by, at = user_name(found.st_uid), found.st_mtime_ns
    try:
        text = read_head(path, _MOST).decode("utf-8", "replace")
    except OSError as error:
        return Kill("halt", by, f"it cannot be read ({error})", at)
    first, _, rest = " ".join(text.split()).partition(" ")
    word = first.lower().rstrip(":")
    if word in WORDS:
        return Kill(word, by, rest, at)
    unknown = f"{first!r} is none of {', '.join(WORDS)}" if first else ""
    return Kill("halt", by, unknown, at)
