"""No message changes its layout by accident: what was written yesterday must decode today, to the same values."""

from __future__ import annotations

import json

import msgspec
import pytest

from mytrading.messages.codec import encode_body
from mytrading.messages.control import StrategySwitch
from mytrading.messages.streams import unions
from tests.golden.make import FILE, example, kinds

SWITCH_OF_BEFORE = (
    "85a474797065af73747261746567795f737769746368a87374726174656779a474657874a7656e61626c6564c3"
    "aa67656e65726174696f6e07a561745f6e7307"
)
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


def test_switch_that_was_journaled_without_who_and_why_still_reads() -> None:
    message = msgspec.msgpack.decode(bytes.fromhex(SWITCH_OF_BEFORE), type=unions()["control"])
    assert message == StrategySwitch(strategy="text", enabled=True, generation=7, at_ns=7, reason="", by="")
    assert encode_body(message).hex() == SWITCH_OF_BEFORE
