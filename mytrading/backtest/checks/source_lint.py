"""Habits in the text of a strategy's file: clocks, chance, files, state outside of the instance, NaN compared.

Runs can agree by luck; these lines cannot. A line is only named where the habit is wrong in any strategy.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from mytrading.backtest.checks.observer import CheckOutcome, code_line

NAME = "source"
_CLOCK = "use self.now_ns, self.today or self.time_of_day: market time is the same in a backtest and a restart"
_CHANCE = "decide by the bars alone, or draw from a generator with a fixed seed that is made in initialize"
_OUTSIDE = "let everything come through bars, indicators and parameters: what is outside is not there in every run"
_STATE = "make it in initialize as self.name, or keep it in self.memory: a process that restarts begins without it"
_PRIVATE = "use self.bars(n) and self.get_indicator_value: private data holds bars that are not complete yet"
_ORDER = "sort it: the order of a set differs from process to process"
_NAN = "a comparison with NaN is never true: use value != value, or math.isnan(value)"
_CALLS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("time.time", "time.time_ns", "time.monotonic", "time.perf_counter", "time.localtime", "time.gmtime",
      "time.strftime", "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today",
      "datetime.date.today"), "reads the computer's clock", _CLOCK),
    (("random.", "numpy.random.", "secrets.", "uuid.uuid1", "uuid.uuid4", "os.urandom"), "decides by chance", _CHANCE),
    (("open", "io.open", "os.open", "os.popen", "os.system", "os.listdir", "os.scandir", "os.stat", "os.getpid",
      "os.getenv", "os.path.getsize", "os.path.getmtime", "pathlib.Path.open", "gzip.", "bz2.", "lzma.", "zipfile.",
      "tarfile.", "mmap.", "shelve.", "dbm.", "numpy.load", "numpy.loadtxt", "numpy.genfromtxt", "numpy.fromfile",
      "numpy.memmap", "pandas.", "polars.", "duckdb.", "sqlite3.", "requests.", "httpx.", "urllib.", "socket.",
      "subprocess.", "csv.", "json.load", "tomllib.load", "pickle.load"), "reads what is not the market's", _OUTSIDE),
    (("gc.", "inspect.", "sys._getframe", "ctypes."), "looks into the machinery", _PRIVATE),
    (("__import__", "importlib."), "imports what the text does not show", "write `import NAME` at the top of the file"),
    (("hash", "id"), "depends on the process", _ORDER),
)  # fmt: skip
_SEEDED = ("random.Random", "numpy.random.default_rng", "numpy.random.Generator", "numpy.random.PCG64")
_FILE_METHODS = ("read_text", "read_bytes", "read_csv", "read_parquet", "write_text", "write_bytes")
_FILES = "reads or writes a file"
_CLOCK_WORDS = ("now", "today")
_COLUMNS = ("open", "high", "low", "close", "volume", "start_ns")
_MAKERS = ("list", "dict", "set", "collections.deque", "collections.defaultdict", "collections.Counter")
_CHANGES = ("append", "add", "update", "extend", "pop", "popleft", "appendleft", "clear", "remove", "insert",
            "setdefault", "discard")  # fmt: skip


def check_source(file: Path | None) -> CheckOutcome:
    """Check the strategy's source for use of clocks, random numbers, files and the like; skipped without a file."""
    found = CheckOutcome(NAME, "does its text keep to bars, parameters and the instance?")
    if file is None:
        found.skipped = "it has no file of its own"
        return found
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = _Names(tree)
    seen: set[tuple[int, str]] = set()
    for node in ast.walk(tree):
        for what, cure in _habits(node, names):
            line = getattr(node, "lineno", 0)
            if (line, what) not in seen:
                seen.add((line, what))
                found.add(what, code_line(str(file), line), cure)
    found.findings.sort(key=lambda one: int(one.where.rpartition(":")[2]))
    return found


class _Names:
    """Names of a file by meaning: imports, and containers of the module and of its classes."""

    def __init__(self, tree: ast.Module) -> None:
        self.imports: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    head = alias.name if alias.asname else alias.name.partition(".")[0]
                    self.imports[alias.asname or head] = head
            elif isinstance(node, ast.ImportFrom):
                self.imports |= {item.asname or item.name: f"{node.module}.{item.name}" for item in node.names}
        self.shared = set(_containers(tree.body, self))
        self.classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
        self.of_class = {
            name for node in tree.body if isinstance(node, ast.ClassDef) for name in _containers(node.body, self)
        }
        self.own = {
            target.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign | ast.AnnAssign)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self"
        }

    def dotted(self, node: ast.AST) -> str:
        """`numpy.random.rand` of np.random.rand; empty of what is no plain name."""
        if isinstance(node, ast.Name):
            return self.imports.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            before = self.dotted(node.value)
            return f"{before}.{node.attr}" if before else ""
        return ""


def _containers(body: list[ast.stmt], names: _Names) -> Iterator[str]:
    for node in body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        made = isinstance(node.value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)
        made = made or (isinstance(node.value, ast.Call) and names.dotted(node.value.func) in _MAKERS)
        if made:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def _habits(node: ast.AST, names: _Names) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Call):
        yield from _call(node, names)
    elif isinstance(node, ast.Compare):
        if any(_is_nan(item, names) for item in (node.left, *node.comparators)):
            yield "compares with NaN", _NAN
    elif isinstance(node, ast.Global):
        yield f"changes the module's {', '.join(node.names)}", _STATE
    elif isinstance(node, ast.Attribute | ast.Name):
        yield from _read(node, names)
    elif isinstance(node, ast.ExceptHandler):
        wide = node.type is None or names.dotted(node.type) in ("Exception", "BaseException")
        if wide and all(isinstance(item, ast.Pass | ast.Continue | ast.Return) for item in node.body):
            yield "hides every error", "let it fail: the host stops a strategy that raises and says where"
    elif isinstance(node, ast.For | ast.comprehension) and _is_set(node.iter, names):
        yield "goes through a set in its own order", _ORDER
    if isinstance(node, ast.Assign | ast.AugAssign | ast.Delete):
        yield from _assigned(node, names)


def _call(node: ast.Call, names: _Names) -> Iterator[tuple[str, str]]:
    called = names.dotted(node.func)
    for known, what, cure in _CALLS:
        seeded = called in _SEEDED and bool(node.args or node.keywords)
        if not seeded and any(called == one or (one.endswith(".") and called.startswith(one)) for one in known):
            yield f"{what}: {called}()", cure
    attribute = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if attribute in _FILE_METHODS:
        yield f"{_FILES}: {attribute}()", _OUTSIDE
    if called == "numpy.datetime64" and any(getattr(item, "value", None) in _CLOCK_WORDS for item in node.args[:1]):
        yield "reads the computer's clock: numpy.datetime64()", _CLOCK
    if attribute in _CHANGES and isinstance(node.func, ast.Attribute):
        yield from _changed(node.func.value, names)
    back = [*node.args[1:2], *(item.value for item in node.keywords if item.arg == "back")]
    if attribute == "get_indicator_value" and any(_is_negative(item) for item in back):
        yield "reads an indicator at a bar that is not complete yet (back below 0)", _PRIVATE
    if called in ("list", "tuple", "next", "iter", "enumerate") and node.args and _is_set(node.args[0], names):
        yield "takes a set in its own order", _ORDER


def _is_negative(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant)


def _read(node: ast.Attribute | ast.Name, names: _Names) -> Iterator[tuple[str, str]]:
    if names.dotted(node) == "os.environ":
        yield "reads what is not the market's: os.environ", _OUTSIDE
    if isinstance(node, ast.Name):
        return
    if node.attr == "_workspace":
        yield "reads the private data of its host (self._workspace)", _PRIVATE
    if node.attr == "base" and isinstance(node.value, ast.Attribute) and node.value.attr in _COLUMNS:
        yield "looks behind a column (.base)", _PRIVATE


def _assigned(node: ast.Assign | ast.AugAssign | ast.Delete, names: _Names) -> Iterator[tuple[str, str]]:
    targets = [node.target] if isinstance(node, ast.AugAssign) else node.targets
    for target in targets:
        if isinstance(target, ast.Subscript):
            yield from _changed(target.value, names)
        if isinstance(target, ast.Attribute) and _is_class(target.value, names):
            yield f"changes its class ({target.attr})", _STATE


def _changed(container: ast.expr, names: _Names) -> Iterator[tuple[str, str]]:
    """A container is changed: wrong if it is the module's or the class's."""
    if isinstance(container, ast.Name) and container.id in names.shared:
        yield f"changes the module's {container.id}", _STATE
    if isinstance(container, ast.Attribute) and container.attr in names.of_class:
        is_self = isinstance(container.value, ast.Name) and container.value.id == "self"
        if (is_self and container.attr not in names.own) or _is_class(container.value, names):
            yield f"changes {container.attr}, which all instances of the class share", _STATE


def _is_class(node: ast.expr, names: _Names) -> bool:
    if isinstance(node, ast.Call):
        return names.dotted(node.func) == "type"
    if isinstance(node, ast.Attribute):
        return node.attr == "__class__"
    return isinstance(node, ast.Name) and node.id in names.classes


def _is_nan(node: ast.expr, names: _Names) -> bool:
    if isinstance(node, ast.Call) and names.dotted(node.func) == "float" and node.args:
        given = node.args[0]
        return isinstance(given, ast.Constant) and str(given.value).lower() == "nan"
    return names.dotted(node) in ("math.nan", "numpy.nan")


def _is_set(node: ast.expr, names: _Names) -> bool:
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    return isinstance(node, ast.Call) and names.dotted(node.func) in ("set", "frozenset")
