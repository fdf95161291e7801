"""A savepoint: what a machine has learnt from its journal up to one row, so that a start need not read a whole day.

Written by `runtime/savepoint_keeper`, a process beside the daemon that applies the same rows; read by
`runtime/recovering` at a start. It is bound to the row it stands behind by that row's hash, and to all that a state may
depend on besides rows: code, schema, configuration, files, contracts. The one rule: at any doubt there is no savepoint,
and the whole journal is read.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import zlib
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple, Protocol

import msgspec

from mytrading import __version__
from mytrading.messages.control import Alert
from mytrading.messages.records import Doubted
from mytrading.messages.runconfig import RunConfig
from mytrading.messages.streams import SCHEMA_VERSION
from mytrading.runtime.journal_format import Cursor, Known

FOLDER = "savepoints"
"""In the state folder, a file for each daemon."""
_MAGIC = b"MTSAVE01"
_DIGEST = 32
_PIECE = 1 << 18
_AT = 8
"""A file begins with `_MAGIC`, the row's number in so many bytes, and the digest of that and of all behind it."""
_OURS = ("mytrading.core.", "mytrading.messages.")
_DEFAULT = "default "
_PLAIN = frozenset(
    (
        ("builtins", "set"),
        ("builtins", "frozenset"),
        ("builtins", "getattr"),
        ("builtins", "bytearray"),
        ("collections", "deque"),
        ("collections", "defaultdict"),
        ("collections", "OrderedDict"),
        ("collections", "Counter"),
        ("datetime", "date"),
        ("datetime", "time"),
        ("msgspec._utils", "rebuild"),
    )
)
"""What a state may be made of besides our own classes."""


class Learner(Protocol):
    """A machine whose state can be kept: its attributes, but for what it is given anew at each start."""

    def given(self) -> dict[str, Any]:
        """What is not its state, by name: the configuration's objects that parts of it refer to."""


class Savepoint(msgspec.Struct, frozen=True, kw_only=True):
    """What was learnt up to row `seq` of the journal of `day`, whose hash is `hash`.

    `written` is the last sequence of each stream that the journal's writer wrote, `cursors` how far it had read others,
    `alerts`, `doubts` and `files` what the harness keeps of it, `wrote` who wrote the last run of it.
    """

    bound: str
    daemon: str
    day: str
    seq: int
    hash: bytes
    written: dict[str, int]
    cursors: list[tuple[str, str, Cursor]]
    alerts: list[Alert]
    doubts: list[Doubted]
    files: dict[str, str]
    wrote: str
    state: bytes

    @property
    def known(self) -> Known:
        """The place in the journal that it stands for."""
        return Known(self.seq, self.hash, self.written)


class SavepointUnfit(Exception):
    """A state that cannot be kept or taken up; the whole journal is read instead."""


class Bound(NamedTuple):
    """All that a state follows from besides the rows: texts of files, digests of contracts, switches."""

    config: RunConfig
    parts: tuple[str | bytes, ...]

    def digest(self) -> str:
        """Equal only where the same rows lead to the same state."""
        found = hashlib.blake2b(digest_size=16)
        known = (__version__, str(SCHEMA_VERSION), self.config.config_hash, code_digest(), *self.parts)
        for part in known:
            data = part.encode() if isinstance(part, str) else part
            found.update(len(data).to_bytes(8, "little") + data)
        return found.hexdigest()


@cache
def code_digest() -> str:
    """Of the sources that decide what a row teaches: the same version may be edited in its place."""
    package = Path(__file__).resolve().parents[1]
    found = hashlib.blake2b(digest_size=16)
    for name in ("core", "messages", "runtime", "daemons", "adapters"):
        for path in sorted((package / name).rglob("*.py")):
            found.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


def path_of(config: RunConfig, daemon: str) -> Path:
    """Where the savepoint of a daemon is."""
    return config.state / FOLDER / f"{daemon}.bin"


def write(path: Path, savepoint: Savepoint) -> None:
    """Put it in the place of the one before, in one step; raises `OSError`."""
    body = savepoint.seq.to_bytes(_AT, "little"), msgspec.msgpack.encode(savepoint)
    data = _MAGIC + body[0] + hashlib.blake2b(b"".join(body), digest_size=_DIGEST).digest() + body[1]
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for left in path.parent.glob(f".{path.name}.*"):  # of one that was killed while it wrote
        left.unlink(missing_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            for begin in range(0, len(data), _PIECE):
                file.write(data[begin : begin + _PIECE])
                os.fdatasync(file.fileno())  # a little at a time: an order's row may wait for the same disk
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def reached(path: Path) -> int:
    """The row that a file says it stands for, 0 if there is none: a hint for when the next is due, nothing more."""
    with suppress(OSError), path.open("rb") as file:
        head = file.read(len(_MAGIC) + _AT)
        if head.startswith(_MAGIC) and len(head) == len(_MAGIC) + _AT:
            return int.from_bytes(head[len(_MAGIC) :], "little")
    return 0


def read(path: Path) -> Savepoint | None:
    """What the file holds; None if there is none, or if it is not wholly what was written, by us and for us alone."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.getuid() or status.st_mode & 0o022:
                return None
            data = file.read()
    except OSError:
        return None
    start = len(_MAGIC)
    at, told = data[start : start + _AT], data[start + _AT : start + _AT + _DIGEST]
    body = data[start + _AT + _DIGEST :]
    if not data.startswith(_MAGIC) or hashlib.blake2b(at + body, digest_size=_DIGEST).digest() != told:
        return None
    try:
        return msgspec.msgpack.decode(body, type=Savepoint)
    except msgspec.MsgspecError:
        return None


def drop(config: RunConfig, daemon: str) -> None:
    """One that does not fit is in the way of the next."""
    with suppress(OSError):
        path_of(config, daemon).unlink(missing_ok=True)


def fitting(config: RunConfig, daemon: str, bound: Bound, day: str) -> Savepoint | None:
    """The savepoint of a daemon, if it is of this day and of all that `bound` says."""
    found = read(path_of(config, daemon))
    if found is None or (found.daemon, found.day, found.bound) != (daemon, day, bound.digest()):
        return None
    return found


def pack(machine: Learner) -> bytes:
    """The state of a machine; raises `SavepointUnfit` for one that is not made of plain things and our own classes."""
    names = {**_names_of_defaults(), **{id(thing): name for name, thing in machine.given().items()}}
    target = io.BytesIO()
    try:
        _Pickler(target, names).dump(vars(machine))
        packed = target.getvalue()
        _Unpickler(io.BytesIO(packed), machine.given()).load()  # what cannot be taken up is not kept
    except (pickle.PickleError, AttributeError, TypeError, RecursionError, ValueError, EOFError) as error:
        raise SavepointUnfit(f"{type(machine).__name__}: {error}") from error
    return zlib.compress(packed, 1)


def take_up(machine: Learner, packed: bytes) -> None:
    """Give a new machine a state that was packed; raises `SavepointUnfit` with nothing changed."""
    try:
        state = _Unpickler(io.BytesIO(zlib.decompress(packed)), machine.given()).load()
    except Exception as error:  # whatever a pickle raises: the journal says the same, and takes longer
        raise SavepointUnfit(f"{type(machine).__name__}: {error}") from error
    if not isinstance(state, dict) or state.keys() != vars(machine).keys():
        raise SavepointUnfit(f"{type(machine).__name__}: it has other attributes now")
    vars(machine).update(state)


@cache
def _names_of_defaults() -> dict[int, str]:
    """Where each object is that a field of ours has by default: rows leave out that very object, and no copy of it."""
    found: dict[int, str] = {}
    classes = [msgspec.Struct]
    for owner in classes:
        classes += owner.__subclasses__()
        if not owner.__module__.startswith(_OURS):
            continue
        for field in msgspec.structs.fields(owner):
            if isinstance(field.default, (float, str, bytes)) and field.default not in ("", b""):
                found[id(field.default)] = f"{_DEFAULT}{owner.__module__} {owner.__name__} {field.name}"
    return found


class _Pickler(pickle.Pickler):
    def __init__(self, target: io.BytesIO, names: dict[int, str]) -> None:
        super().__init__(target, protocol=5)
        self._names = names

    def persistent_id(self, obj: Any) -> str | None:
        return self._names.get(id(obj))


class _Unpickler(pickle.Unpickler):
    def __init__(self, source: io.BytesIO, given: dict[str, Any]) -> None:
        super().__init__(source)
        self._known = dict(given)

    def persistent_load(self, pid: Any) -> Any:
        if pid not in self._known and pid.startswith(_DEFAULT):  # each order has a dozen of them
            self._known[pid] = self._default(*pid.split(" ")[1:])
        return self._known[pid]

    def _default(self, module: str, owner: str, name: str) -> Any:
        fields = msgspec.structs.fields(self.find_class(module, owner))
        return next(field.default for field in fields if field.name == name)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _PLAIN or (module.startswith(_OURS) and "." not in name):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"a state has no {module}.{name}")


# what a state is, for comparisons


def fingerprint(machine: Learner) -> str:
    """Equal for equal states, whatever the way to them: of values, the order of dicts, and what is shared."""
    found = hashlib.blake2b(digest_size=16)
    for piece in _pieces(vars(machine), {id(thing): name for name, thing in machine.given().items()}, {}):
        found.update(piece.encode() + b"\0")
    return found.hexdigest()


def _pieces(thing: Any, names: dict[int, str], seen: dict[int, tuple[int, Any]]) -> Iterable[str]:
    """A state as a row of words; what was met before, and can change, is told by when."""
    if id(thing) in names:
        yield f"given {names[id(thing)]}"
        return
    if thing is None or isinstance(thing, (str, bytes, int, float, type)):
        yield f"{type(thing).__name__} {thing!r}"
        return
    if isinstance(thing, FunctionType):
        yield f"{thing.__module__}.{thing.__qualname__}"
        return
    if isinstance(thing, (set, frozenset)):
        yield f"{type(thing).__name__} {len(thing)}"
        yield from sorted("|".join(_pieces(one, names, {})) for one in thing)
        return
    if not isinstance(thing, (tuple, msgspec.Struct)):
        if id(thing) in seen:
            yield f"again {seen[id(thing)][0]}"
            return
        seen[id(thing)] = (len(seen), thing)
    yield type(thing).__qualname__
    for part in _parts(thing):
        yield from _pieces(part, names, seen)
    yield "end"


def _parts(thing: Any) -> Iterable[Any]:
    if isinstance(thing, dict):
        parts = [part for pair in thing.items() for part in pair]
        slots = [getattr(thing, name) for name in getattr(thing, "__slots__", ())]
        return [*parts, *slots, *getattr(thing, "__dict__", {}).values()]
    if isinstance(thing, msgspec.Struct):
        return [getattr(thing, name) for name in thing.__struct_fields__]
    if hasattr(thing, "__self__"):
        return [thing.__self__, thing.__name__]
    if hasattr(thing, "__iter__") and not hasattr(thing, "__dict__"):
        return list(thing)
    reduced = thing.__reduce_ex__(4)
    return [part for part in reduced[1:3] if part is not None]
