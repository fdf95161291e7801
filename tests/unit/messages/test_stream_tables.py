"""docs/streams.md agrees with the structs and with the bytes of a frame, and its example needs nothing of ours."""

from __future__ import annotations

import ast
import re
import struct
import sys

from mytrading.messages.codec import encode_frame
from mytrading.messages.streams import SCHEMA_VERSION, STREAMS, Pattern
from tests.kit.project import ROOT
from tests.kit.stream_tables import DOCUMENT, SHOWN, updated

EXAMPLE = ROOT / "docs" / "examples" / "watch_stack.py"


def test_tables_of_the_streams_are_those_of_the_structs() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == updated(text), "run: python -m tests.kit.stream_tables"


def test_every_stream_that_others_can_read_has_its_tables() -> None:
    readable = {row.name for row in STREAMS.values() if row.pattern is Pattern.FAN_OUT}
    assert readable | {"signals"} == set(SHOWN)


def test_header_table_reads_a_real_frame() -> None:
    frame = encode_frame("NSE:SBIN", 7, 8, b"12345678", 9, b"body")
    rows = re.findall(r"^\| (\d+) \| (\d+) \| `(\w+)` \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    start = frame.index(b"\0") + 1
    found = {name: frame[start + int(at) : start + int(at) + int(size)] for at, size, name in rows}
    assert found.pop("hash") == b"12345678"
    values = {name: int.from_bytes(raw, "little") for name, raw in found.items()}
    assert values == {"version": SCHEMA_VERSION, "epoch": 7, "sequence": 8, "sent_ns": 9}
    assert frame[start + sum(int(size) for _, size, _ in rows) :] == b"body"


def test_example_imports_pyzmq_and_msgpack_alone_and_knows_the_layout() -> None:
    tree = ast.parse(EXAMPLE.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in names if name not in sys.stdlib_module_names} == {"zmq", "msgpack"}
    values = {node.targets[0].id: node.value for node in tree.body if isinstance(node, ast.Assign)}  # type: ignore[attr-defined]
    assert ast.literal_eval(values["LAYOUT"]) == SCHEMA_VERSION
    layout = ast.literal_eval(values["HEADER"].args[0])  # type: ignore[attr-defined]
    assert struct.calcsize(layout) == len(encode_frame("", 0, 0, bytes(8), 0, b"")) - 1
