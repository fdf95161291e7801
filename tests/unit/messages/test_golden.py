"""No message changes its layout by accident: what was written yesterday must decode today, to the same values."""

from __future__ import annotations

import json

import msgspec
import pytest

from mytrading.messages.codec import encode_body
from mytrading.messages.streams import unions
from tests.golden.make import FILE, example, kinds

GOLDEN = json.loads(FILE.read_text(encoding="utf-8"))
HINT = "if the change is meant: append fields last with a default, raise SCHEMA_VERSION if not, and make it anew"


def test_every_message_has_a_golden_entry() -> None:
    assert sorted(GOLDEN) == sorted(kinds()), HINT


@pytest.mark.parametrize("name", sorted(kinds()))
def test_golden_bytes_decode_to_the_same_message(name: str) -> None:
    old, kind = bytes.fromhex(GOLDEN[name]["hex"]), kinds()[name]
    message = msgspec.msgpack.decode(old, type=unions()[name.split(".")[0]])
    assert type(message) is kind
    known = set(GOLDEN[name]["fields"])
    whole = example(kind)
    assert {field: getattr(message, field) for field in known} == {field: getattr(whole, field) for field in known}, (
        HINT
    )


@pytest.mark.parametrize("name", sorted(kinds()))
def test_layout_is_that_of_the_golden_file(name: str) -> None:
    kind, entry = kinds()[name], GOLDEN[name]
    assert list(kind.__struct_fields__)[: len(entry["fields"])] == entry["fields"], HINT
    if len(kind.__struct_fields__) == len(entry["fields"]):
        assert encode_body(example(kind)).hex() == entry["hex"], HINT
