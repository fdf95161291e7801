"""The layers hold, nothing imports in circles, no daemon loads what it does not need, and tests mirror the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from mytrading.messages.streams import ALL, STREAMS
from tests.kit.project import ROOT

PACKAGE = ROOT / "mytrading"

STORES = {"adapters.storage"}
ALLOWED = {
    "messages": {"messages"},
    "core": {"messages", "core"},
    "core.engine": {"messages", "core", "strategies"},
    "strategies": {"messages", "core", "strategies"},
    "runtime": {"messages", "core", "runtime", *STORES},
    "adapters": {"messages", "core", "adapters"},
    "config": {"messages", "core", "config"},
    "utils": {"runtime"},
    "daemons": {"messages", "core", "strategies", "runtime", "adapters", "daemons"},
    "simulator": {"messages", "core", "runtime", "simulator", *STORES},
    "backtest": {"messages", "core", "strategies", "runtime", "adapters", "config", "reports", "backtest"},
    "reports": {"core", "reports"},
    "operations": {"messages", "core", "runtime", "adapters", "daemons", "operations"},
}
"""What each package of ours may import of ours. All other packages may import everything but `lab`."""

PURE = {"core", "strategies"}
IMPURE = {"time", "os", "zmq", "logging", "structlog", "pandas", "pydantic", "sqlite3", "socket", "threading", "random"}
HEAVY = (
    "pandas",
    "duckdb",
    "openalgo",
    "pydantic",
    "numba",
    "rich",
    "typer",
    "aiohttp",
    "httpx",
    "cryptography",
    "keyring",
)
NEED_NUMPY = {"engine"}
"""Daemons that count with columns; in each other one numpy would be 12 MB for nothing."""


@cache
def modules() -> list[tuple[str, Path]]:
    """The modules of the package by name."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found.append((".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return found


class Module(NamedTuple):
    """Facts of a module for these tests: its imports, classes, subscriptions and statements."""

    imports: frozenset[str]
    at_the_top: frozenset[str]
    hard: frozenset[str]
    """Imported when it runs, inside functions too; not what only a type checker reads."""
    classes: frozenset[str]
    reads: frozenset[str]
    length: int


@cache
def look(path: Path) -> Module:
    """Read a module once; the tree, which is large, is not kept."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports: set[str] = set()
    hard: set[str] = set()
    classes: set[str] = set()
    reads: set[str] = set()
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    while waiting:
        node, soft = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            found = names_of(node)
            imports |= found
            hard |= set() if soft else found
            continue
        if isinstance(node, ast.ClassDef):
            classes.add(node.name)
        elif isinstance(node, ast.Call):
            reads |= stream_of(node)
        elif isinstance(node, ast.If):
            soft = soft or "TYPE_CHECKING" in ast.dump(node.test)
        waiting += [(inner, soft) for inner in ast.iter_child_nodes(node)]
    at_the_top = {
        name for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom) for name in names_of(node)
    }
    return Module(
        frozenset(imports), frozenset(at_the_top), frozenset(hard), frozenset(classes), frozenset(reads), len(tree.body)
    )


def names_of(node: ast.Import | ast.ImportFrom) -> set[str]:
    """The modules that a statement imports, and what may be modules of them."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    return {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)} if node.module else set()


def stream_of(node: ast.Call) -> set[str]:
    """The stream that a call reads."""
    if (
        isinstance(node.func, ast.Attribute)
        and node.func.attr in ("subscribe", "pull", "follow")
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and node.args[0].value in STREAMS
    ):
        return {str(node.args[0].value)}
    return set()


def layer_of(module: str) -> str:
    """The row of the table that a module falls under: the longest that its name begins with."""
    inside = module.removeprefix("mytrading.")
    return max((row for row in ALLOWED if f"{inside}.".startswith(f"{row}.")), key=len, default="")


def package_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_package_imports_only_layers_below(package: str) -> None:
    wrong = []
    for name, path in modules():
        if layer_of(name) != package:
            continue
        for found in look(path).imports:
            if not found.startswith("mytrading.") or found == "mytrading.__version__":
                continue
            inside = found.removeprefix("mytrading.")
            if not any(inside == allowed or inside.startswith(f"{allowed}.") for allowed in ALLOWED[package]):
                wrong.append(f"{name} imports {found}")
    assert wrong == []


@pytest.mark.parametrize("package", sorted(PURE))
def test_pure_package_touches_no_clock_file_or_socket(package: str) -> None:
    wrong = [
        f"{name} imports {found}"
        for name, path in modules()
        if package_of(name) == package
        for found in look(path).imports
        if found.split(".")[0] in IMPURE
    ]
    assert wrong == []


def test_daemons_do_not_import_each_other() -> None:
    wrong = []
    for name, path in modules():
        parts = name.split(".")
        if package_of(name) != "daemons" or len(parts) < 3:
            continue
        for found in look(path).imports:
            other = found.removeprefix("mytrading.daemons.").split(".")[0]
            if found.startswith("mytrading.daemons.") and other in ALL and other != parts[2]:
                wrong.append(f"{name} imports {found}")
    assert wrong == []


def test_package_imports_nothing_of_the_lab() -> None:
    wrong = [name for name, path in modules() for found in look(path).imports if found.split(".")[0] == "lab"]
    assert wrong == []


def folder_imports() -> dict[str, dict[str, str]]:
    """For each folder the other folders that its modules import, each with one module that does."""
    homes = {name: name if path.name == "__init__.py" else name.rpartition(".")[0] for name, path in modules()}
    packages = {name for name, path in modules() if path.name == "__init__.py"}
    graph: dict[str, dict[str, str]] = {home: {} for home in homes.values()}
    for name, path in modules():
        for found in look(path).hard:
            parent = found in packages and name.startswith(f"{found}.")  # is loaded anyway, and leads nowhere
            if found in homes and not parent and homes[found] != homes[name]:
                graph[homes[name]].setdefault(homes[found], f"{name} imports {found}")
    return graph


def cycles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Groups of nodes that reach each other: Tarjan's strongly connected components of more than one."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in graph:
        if node not in index:
            visit(node)
    return found


def test_no_folder_imports_in_a_circle() -> None:
    """At every depth: `core/oms/exits` may need `core/oms/placing`, or the other way, but not both."""
    graph = folder_imports()
    wrong = [
        [why for folder in group for other, why in graph[folder].items() if other in group] for group in cycles(graph)
    ]
    assert wrong == []


def test_circle_of_folders_is_found() -> None:
    assert cycles({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]}) == [["a", "b", "c"]]
    assert cycles({"a": ["b", "c"], "b": ["c"], "c": []}) == []


def test_no_class_name_stands_for_two_things() -> None:
    places: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for name in look(path).classes:
            places.setdefault(name, []).append(str(path.relative_to(PACKAGE)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_module_imports_in_a_circle() -> None:
    names = {name for name, _ in modules()}
    graph = {name: {found for found in look(path).at_the_top if found in names} for name, path in modules()}
    for name, found in graph.items():  # `from package import module` needs the module; the package is there already
        found -= {parent for parent in found if name.startswith(f"{parent}.")}
    done: set[str] = set()
    trail: list[str] = []
    circles: list[str] = []

    def visit(name: str) -> None:
        if name in trail:
            circles.append(" → ".join([*trail[trail.index(name) :], name]))
        if name in trail or name in done:
            return
        trail.append(name)
        for found in sorted(graph[name] - {name}):
            visit(found)
        trail.pop()
        done.add(name)

    for name in sorted(graph):
        visit(name)
    assert circles == []


MIRRORS = {
    "unit": {"": PACKAGE, "lab": ROOT / "lab", "docs": ROOT / "docs", "kit": ROOT / "tests" / "kit"},
    "backtest": {"": PACKAGE / "backtest"},
}
"""Layers of tests whose folders are those of the code, each with the place of its first folder; "": of all others."""


def code_folder(test: Path) -> Path:
    """The folder of the code that a test file of a mirroring layer stands for."""
    layer, *folders = test.relative_to(ROOT / "tests").parent.parts
    places = MIRRORS[layer]
    if folders and folders[0] in places:
        return places[folders[0]].joinpath(*folders[1:])
    return places[""].joinpath(*folders)


@pytest.mark.parametrize("layer", sorted(MIRRORS))
def test_tests_lie_in_the_folder_of_the_code_that_they_test(layer: str) -> None:
    files = sorted((ROOT / "tests" / layer).rglob("test_*.py"))
    assert len(files) > 10
    assert [str(file.relative_to(ROOT)) for file in files if not code_folder(file).is_dir()] == []


def test_no_test_file_imports_another() -> None:
    """Helpers of several files lie in `tests/kit`."""
    files = [
        file
        for file in (ROOT / "tests").rglob("test_*.py")
        if file != Path(__file__) and re.search(r"(from|import)\s+tests\b(?!\.kit\b)", file.read_text(encoding="utf-8"))
    ]
    found = {
        f"{file.relative_to(ROOT)} imports {name}"
        for file in files
        for name in look(file).imports
        if name.startswith("tests.") and name.rpartition(".")[2].startswith("test_")
    }
    assert sorted(found) == []


def test_folders_without_unit_tests_are_those_of_the_table_that_says_where_theirs_are() -> None:
    """A package with modules has tests of its own name below `tests/unit`, or a row in docs/testing.md."""
    tested = {code_folder(file) for file in (ROOT / "tests" / "unit").rglob("test_*.py")}
    bare = {"__init__.py", "__main__.py"}
    homes = {path.parent for _, path in modules() if path.name not in bare or look(path).length > 3}
    text = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(mytrading/[\w/]+)` \| .*`tests/", text, re.MULTILINE)
    assert sorted(str(home.relative_to(ROOT)) for home in homes - tested) == rows


@pytest.mark.parametrize("daemon", ALL)
def test_daemon_loads_nothing_heavy(daemon: str) -> None:
    heavy = HEAVY if daemon in NEED_NUMPY else (*HEAVY, "numpy")
    script = f"import sys, mytrading.daemons.{daemon}.daemon; print([n for n in {heavy!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("daemon", ALL)
def test_daemon_reads_the_streams_of_the_table(daemon: str) -> None:
    """Streams that a daemon subscribes to, pulls or follows are those that the table says it reads."""
    calls = {name for _, path in modules() if path.parent == PACKAGE / "daemons" / daemon for name in look(path).reads}
    table = {name for name, stream in STREAMS.items() if daemon in stream.readers}
    assert calls == table
