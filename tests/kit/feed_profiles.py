"""Facts about the market data of brokers behind OpenAlgo, and the simulator's profiles that are generated from them.

`python -m tests.kit.feed_profiles` writes `feed_profiles.toml` of the simulator from `tests/data/broker-feeds.csv`: one
line is a broker, a place (frame, history, REST quote), a fact, its value, whether it was seen where OpenAlgo's code
`ran` on made messages or was `read` there, the row of the survey (frames, history, or the deviation F1 to F14), and
the file of OpenAlgo with its commit. The program's own table of brokers is never read here: a wrong belief in it would
hide itself. Where no fact answers a question the profile has the usual form, and names the question under `silent`.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tests.kit.broker_profiles import toml_table
from tests.kit.project import ROOT

FACTS = ROOT / "tests" / "data" / "broker-feeds.csv"
PROFILES = ROOT / "mytrading" / "simulator" / "settings" / "feed_profiles.toml"
QUOTE, DEPTH, LTP, INDEX, FRAMES = "quote frame", "depth frame", "ltp frame", "index frame", "frames"
PLACES = {"ltp": LTP, "quote": QUOTE, "depth": DEPTH, "index": INDEX}
_MISSING = "no key"
_KEEPS = "keeps its last price"

Body = dict[str, Any]
Silent = list[str]


class Fact(NamedTuple):
    """A line of the file of facts."""

    broker: str
    place: str
    fact: str
    value: str
    seen: str
    row: str
    source: str


class FeedFacts:
    """The facts of one broker, by place and name."""

    def __init__(self, facts: list[Fact]) -> None:
        self._values = {(one.place, one.fact): one.value for one in facts}
        assert len(self._values) == len(facts), f"a fact about {facts[0].broker} stands twice"

    def get(self, place: str, fact: str) -> str:
        """Return the value of a fact; "" if there is none."""
        return self._values.get((place, fact), "")

    def asked(self, place: str, fact: str, silent: Silent) -> str:
        """Return the value of a fact; without one the question is added to `silent`."""
        if not (value := self.get(place, fact)):
            silent.append(f"{place}: {fact}")
        return value


def read_lines() -> Iterator[Fact]:
    """Yield all lines of the file."""
    with FACTS.open(encoding="utf-8", newline="") as stream:
        yield from (Fact(**row) for row in csv.DictReader(stream))


def read_facts() -> dict[str, FeedFacts]:
    """Return the facts by OpenAlgo's name of the broker."""
    found: dict[str, list[Fact]] = {}
    for fact in read_lines():
        found.setdefault(fact.broker, []).append(fact)
    return {name: FeedFacts(facts) for name, facts in sorted(found.items())}


_PRICES = {
    "": "trade",
    "of the last trade": "trade",
    "of the last trade, nested figures are read": "trade",
    "of the last trade, 0 until one is seen": "seen",
    "of the last trade, no key until one is seen": "known",
    # the touchline is there in all messages but those before it; what the broker leaves out at times is a fault
    "of the last trade, 0 without the touchline": "trade",
    "middle of bid and ask, 0 if a side is empty": "middle",
    "average of the day": "average",
    "0 alone, the last one seen while Quote is held": "quote",
    "0, its figures are nested": "zero",
    "mark price": "mark",
    _MISSING: "none",
}
_VOLUMES = {"": "day", "of the day": "day", _MISSING: "none", "quantity of the last trade": "last", "0": "day"}
_BOOKS = {
    "": "",
    "none": "",
    "given": "plain",
    "given as best_bid_price and best_ask_price": "best",
    "none, then given in a second packet without volume": "second",
}
_INTEREST = {
    "in depth frames": {"depth": "oi"},
    "in depth frames of contracts": {"depth": "oi"},
    "in quote frames": {"quote": "oi"},
    "in quote and depth frames": {"quote": "oi", "depth": "oi"},
    "0 in quote frames": {"quote": "zero", "depth": "oi"},
    "total_oi": {"quote": "total_oi", "depth": "total_oi"},
    "0": {"quote": "zero", "depth": "zero"},
    "orders of the last ask level": {"depth": "oi"},
    "none": {},
    "": {},
}


def _socket(facts: FeedFacts, silent: Silent) -> Body:
    refused = {"depth": ("depth", "index depth"), "depth of an index": ("index depth",)}
    found = {
        **{kind: _frame(facts, kind) for kind in PLACES},
        "recorded": facts.get(FRAMES, "form") == "as a running server sent them",
        "token": _token(facts.asked("routing", "key", silent)),
        "repeat_seconds": 0.5 if facts.get(FRAMES, "repeated").startswith("every 0.5 s") else 0.0,
        "keeps_side": _KEEPS in (facts.get(DEPTH, "emptied side"), facts.get(QUOTE, "emptied side")),
        "empty_level": _empty_level(facts),
        "ltt": _trade_time(facts.get(FRAMES, "time of the last trade")),
        "stamp_in_seconds": facts.get(FRAMES, "stamp").endswith(", s"),
        "texts": facts.get(FRAMES, "numbers").startswith("text or numbers"),
        "without_zeros": facts.get(QUOTE, "values of 0") == "left out",
        "also_quote": {"": "", "with volume 0": "no volume", "as it is": "same"}[facts.get(DEPTH, "sent as Quote too")],
        "sent_as": {"": "", "the mode subscribed first": "first", "every mode subscribed": "all"}[
            facts.get(FRAMES, "sent under")
        ],
        "scaled": {"CDS": 100000.0} if facts.get(FRAMES, "prices of CDS") else {},
        "refuses": [mode for fact, modes in refused.items() if facts.get("subscription", fact) for mode in modes],
        "made_up_book": bool(facts.get(INDEX, "book")),
        "snapshot": facts.get("subscription", "before the session").startswith("a snapshot"),
    }
    for place, fact in ((QUOTE, "bid and ask"), (FRAMES, "open interest"), (FRAMES, "stamp")):
        facts.asked(place, fact, silent)
    return found


def _frame(facts: FeedFacts, kind: str) -> Body:
    place = PLACES[kind]
    quoted = place if kind != "index" else QUOTE  # what holds of quotes holds of an index's, unless a fact differs
    price = facts.get(place, "last price") or (facts.get(QUOTE, "last price") if kind == "index" else "")
    zero, missing = _day_figures(facts, place)
    return {
        "price": _PRICES[price],
        "volume": _VOLUMES[facts.get(place, "volume")],
        "book": _BOOKS[facts.get(place, "bid and ask")],
        "zero": zero,
        "missing": missing,
        "interest": _INTEREST[facts.get(FRAMES, "open interest")].get(kind, ""),
        "closes": "last" if facts.get(quoted, "close") == "last price of today" else "previous",
        "stamp": _stamp(facts, place),
        "bare_packets": bool(facts.get(quoted, "packets of the last price alone")),
    }


def _day_figures(facts: FeedFacts, place: str) -> tuple[list[str], list[str]]:
    """The fields of a frame that are 0, and those that have no key."""
    zero, missing = list[str](), list[str]()
    for fields in ("open, high, low, close", "open, close", "volume, open"):
        value = facts.get(place, fields)
        if value.startswith("0"):
            zero += fields.split(", ")
        elif value == _MISSING:
            missing += fields.split(", ")
    return zero, missing


def _stamp(facts: FeedFacts, place: str) -> str:
    found = facts.get(place, "stamp") or facts.get(FRAMES, "stamp")
    if found.startswith("none in LTP and Quote"):
        return "receipt" if place == DEPTH else "none"
    words = {"receipt": "receipt", "exchange": "exchange", "broker": "exchange", "of the candle of the day": "candle"}
    return words[found.partition(",")[0]] if found else "receipt"


def _token(key: str) -> str:
    return {"token": "all", "token, the last subscriber alone": "last"}.get(key, "")


def _empty_level(facts: FeedFacts) -> str:
    forms = {"no levels": "none", "levels of null": "null", "levels of empty text": "text"}
    return forms.get(facts.get(DEPTH, "emptied side"), "zero")


def _trade_time(form: str) -> str:
    forms = {"receipt, ms": "ms", "ms": "ms", "s": "s", "text, s": "text", "text": "text", "s since 1980": "1980"}
    return forms.get(form, "")


def _history(facts: FeedFacts, silent: Silent) -> Body:
    place, bars = "history", facts.get("history", "bars")
    if bars:
        return {"bars": "none" if bars.startswith("none") else "no stamp", "failed": "empty"}
    minutes = facts.asked(place, "stamps of minutes", silent)
    dated, failed = facts.asked("daily history", "date", silent), facts.asked(place, "answer to a failure", silent)
    return {
        "minutes_late": 30 if minutes.startswith("30 minutes late") else 0,
        "today_right": minutes.endswith("but for today"),
        "late_abroad": 330 if minutes.startswith("5.5 h late") else 0,
        "days_early": 1 if dated.startswith("a day early") else 0,
        "failed": "empty" if failed == "success without bars" else "error",
        "skips_chunk": facts.get(place, "one chunk fails") == "a hole",
        "intervals": facts.asked(place, "intervals", silent).split(),
        "ends_floored": bool(facts.get(place, "stamps of longer intervals")),
        "hours": ["09:15", "15:30"] if facts.get(place, "times of day") else [],
        "skips_flat_days": bool(facts.get("daily history", "days with volume 0 or high equal to low")),
    }


def _rest(facts: FeedFacts, silent: Silent) -> Body:
    one, many = facts.asked("rest quote", "prev_close", silent), facts.get("multiquote", "prev_close")
    closes = "open" if one.startswith("open of today") else "previous"
    return {
        "closes": closes,
        "closes_of_many": "zero" if many == "0" else closes,
        "bare_rows": bool(facts.get("rest quote", "prev_close where rows are made from the last price alone")),
        "depth_without_price": facts.get("rest quote", "last price in depth") == _MISSING,
    }


_PARTS: dict[str, Callable[[FeedFacts, Silent], Body]] = {"socket": _socket, "history": _history, "rest": _rest}


def profile_of(facts: FeedFacts) -> Body:
    """Return the profile of a broker's facts, `silent` included: the questions that no fact answers."""
    silent: Silent = []
    parts = {name: _unusual(part(facts, silent)) for name, part in _PARTS.items()}
    return {"silent": silent, **parts}


_USUAL = {
    "price": "trade", "volume": "day", "closes": "previous", "closes_of_many": "previous", "stamp": "receipt",
    "empty_level": "zero", "failed": "error",
}  # fmt: skip
"""What a reader of the profiles takes where nothing is said."""


def _unusual(body: Body) -> Body:
    found = {name: _unusual(value) if isinstance(value, dict) else value for name, value in body.items()}
    return {name: value for name, value in found.items() if value and _USUAL.get(name) != value}


def profiles_text() -> str:
    """Return the simulator's profiles of all brokers as TOML."""
    lines = ["# Generated from the facts about brokers by `python -m tests.kit.feed_profiles`; not edited by hand."]
    for name, facts in read_facts().items():
        lines += toml_table((name,), profile_of(facts))
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the profiles."""
    PROFILES.write_text(profiles_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
