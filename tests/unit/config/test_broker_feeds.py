"""The table of brokers against the recorded facts about frames, REST quotes and history, which do not come from it.

The facts are the file of `tests/data` from which the simulator's profiles are made, too. What a key must be is worked
out here from their values; a value that is in no list fails, so that a new fact is looked at.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

import pytest

from mytrading.config.brokers import load_brokers
from mytrading.core.text.broker_facts import data_notes
from mytrading.messages.brokers import SANDBOX, UNLISTED, FrameKind, StampSource
from tests.kit.feed_profiles import FeedFacts, read_facts
from tests.kit.project import ROOT

ALL = tuple(FrameKind)
LTP, QUOTE, DEPTH = ALL
TABLE = {name: row for name, row in load_brokers().items() if name != SANDBOX}
FACTS = read_facts()
OPEN_MINUTE = 9 * 60 + 15


def _prices(facts: FeedFacts) -> Any:
    if facts.get("quote frame", "last price") == "mark price" or facts.get("frames", "last price") == "random":
        return ()
    depth = facts.get("depth frame", "last price")
    copied = depth.startswith("0 alone")
    return ALL if depth.startswith("of the last trade") and not copied else (LTP, QUOTE)


def _volume(facts: FeedFacts) -> Any:
    if facts.get("depth frame", "volume") == "no key" or facts.get("subscription", "depth"):
        return QUOTE
    quote_lacks = facts.get("quote frame", "last price").startswith("0") or facts.get("ltp frame", "volume, open")
    return DEPTH if quote_lacks else None


def _stamps(facts: FeedFacts) -> StampSource:
    stamp = facts.get("frames", "stamp")
    if "receipt" in stamp:
        return StampSource.RECEIPT
    return StampSource.EXCHANGE if stamp.startswith("exchange") else StampSource.UNKNOWN


def _shifted(facts: FeedFacts) -> Any:
    """Stamps of the end, floored on midnight's grid, are right where the grid has a bar that begins at 09:15."""
    if not facts.get("history", "stamps of longer intervals"):
        return ()
    minutes = [int(word[:-1]) for word in facts.get("history", "intervals").split() if word.endswith("m")]
    found = sorted(length for length in minutes if OPEN_MINUTE % length)
    return (*(f"{length}m" for length in found), *(["1h"] if 60 in found else []))


KEYS: dict[str, Callable[[FeedFacts], Any]] = {
    "feed.price_frames": _prices,
    "feed.volume_frame": _volume,
    "feed.has_volume": lambda facts: facts.get("quote frame", "volume") != "quantity of the last trade",
    "feed.has_depth": lambda facts: not facts.get("subscription", "depth"),
    "feed.not_previous_close": lambda facts: (QUOTE,) if "today" in facts.get("quote frame", "close") else (),
    "feed.rest_previous_close": lambda facts: "today" not in facts.get("rest quote", "prev_close"),
    "feed.bare_tokens": lambda facts: facts.get("routing", "key").startswith("token"),
    "feed.republishes": lambda facts: bool(facts.get("frames", "repeated")),
    "feed.index_prices": lambda facts: not facts.get("index frame", "last price").startswith("0"),
    "feed.has_open_interest": lambda facts: facts.get("frames", "open interest") not in (
        "none", "0", "orders of the last ask level"),
    "feed.stamps": _stamps,
    "feed.multiquote_seconds": lambda _: 1.0,
    "history.available": lambda facts: not facts.get("history", "bars").startswith("none"),
    "history.minutes_late": lambda facts: 30 * facts.get("history", "stamps of minutes").startswith("30 minutes late"),
    "history.today_right": lambda facts: "but for today" in facts.get("history", "stamps of minutes"),
    "history.days_early": lambda facts: int(facts.get("daily history", "date") == "a day early"),
    "history.empty_when_failed": lambda facts: (
        facts.get("history", "answer to a failure") != "500" or bool(facts.get("history", "one chunk fails"))),
    "history.shifted_intervals": _shifted,
}  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_key_of_the_table_is_what_the_facts_say_of_each_broker(key: str) -> None:
    part, name = key.split(".")
    found = {broker: getattr(getattr(row, part), name) for broker, row in TABLE.items()}
    expected = {broker: KEYS[key](facts) for broker, facts in FACTS.items()}
    wrong = {broker: (found.get(broker), value) for broker, value in expected.items() if found.get(broker) != value}
    assert not wrong and set(found) == set(expected)


def test_every_key_of_feed_and_history_is_compared() -> None:
    parts = {"feed": UNLISTED.feed, "history": UNLISTED.history}
    keys = {f"{part}.{name}" for part, rules in parts.items() for name in rules.__struct_fields__ if name != "notes"}
    assert keys == set(KEYS)


def test_sandbox_has_no_rules_of_its_own_for_prices_and_history() -> None:
    row = load_brokers()[SANDBOX]
    assert (row.feed, row.history) == (UNLISTED.feed, UNLISTED.history)


@pytest.mark.parametrize(
    ("broker", "said"),
    [
        ("fyers", "middle of bid and ask"), ("pocketful", "average price of the day"), ("kotak", "It has no history"),
        ("mstock", "30 minutes late"), ("mstock", "a day early"), ("compositedge", "indices have no price"),
        ("samco", "token"), ("motilal", "new stamps"), ("motilal", "bars have no volume"), ("upstox", "close in Quote"),
        ("dhan", "5.5 hours late"), ("indmoney", "Depth is refused"), ("zerodha", "100,000"),
    ],
)  # fmt: skip
def test_what_differs_is_said_in_a_sentence(broker: str, said: str) -> None:
    assert any(said in note and note.endswith(".") for note in data_notes(TABLE[broker]))


def test_no_brokers_name_stands_in_a_comparison_of_the_program() -> None:
    names = {word for row in TABLE.values() for word in (row.name, *row.aliases)}
    quoted = re.compile(rf"""["']({"|".join(map(re.escape, names))})["']""", re.IGNORECASE)
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "mytrading").rglob("*.py")}
    found = []
    for path, text in sources.items():
        if quoted.search(text) and ROOT / "mytrading" / "simulator" not in path.parents:
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Compare | ast.match_case):
                    compared = ast.unparse(node.pattern if isinstance(node, ast.match_case) else node)
                    found += [f"{path.relative_to(ROOT)}: {compared}"] if quoted.search(compared) else []
    assert not found
