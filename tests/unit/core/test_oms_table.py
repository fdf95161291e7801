"""A layer over a table reads like a dict with the same changes, and leaves the table as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mytrading.core.oms.table import Layer, Table

KEYS = st.sampled_from("abcdef")
CHANGES = st.lists(st.tuples(KEYS, st.none() | st.integers(0, 3)), max_size=12)


def changed(table: Table[str, int], changes: list[tuple[str, int | None]]) -> dict[str, int]:
    """What a dict would be after the same changes; None drops a key."""
    model = dict(table.items())
    for key, value in changes:
        if value is None:
            table.drop(key)
            model.pop(key, None)
        else:
            table.set(key, value)
            model[key] = value
    return model


@given(CHANGES, CHANGES)
def test_layer_reads_like_a_dict_and_leaves_the_table_alone(
    below: list[tuple[str, int | None]], above: list[tuple[str, int | None]]
) -> None:
    table: Table[str, int] = Table()
    whole = changed(table, below)
    layer = Layer(table)
    model = changed(layer, above)
    for mapping, wanted in ((table, whole), (layer, model)):
        assert dict(mapping.items()) == wanted
        assert mapping.sorted_items() == sorted(wanted.items())
        assert (bool(mapping), len(mapping)) == (bool(wanted), len(wanted))
        assert sorted(mapping) == sorted(mapping.keys()) == sorted(wanted)
        assert sorted(mapping.values()) == sorted(wanted.values())
        for key in "abcdef":
            assert (key in mapping, mapping.get(key), mapping.get(key, 9)) == (
                key in wanted, wanted.get(key), wanted.get(key, 9)
            )  # fmt: skip
        assert all(mapping[key] == value for key, value in wanted.items())


def test_layer_says_what_it_does_not_have_and_what_it_cannot() -> None:
    layer = Layer(Table({"a": 1}))
    layer.drop("a")
    with pytest.raises(KeyError, match="a"):
        layer["a"]
    with pytest.raises(TypeError, match="table beneath"):
        layer.clear()
