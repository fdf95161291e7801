"""The registry of faults: counts, chance, parameters, and the forms in which faults are wanted."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest

from mytrading.core.time import to_ns
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.simulator.faults.effects import OrderSender, QuoteSender
from mytrading.simulator.faults.registry import (
    FAULTS,
    FOR_GOOD,
    Faults,
    fault_table,
    parse_fault_option,
    parse_fault_setting,
    read_fault_file,
)
from mytrading.simulator.market.day import SimulatedQuote
from mytrading.simulator.settings.options import BadOption, FaultSetting
from mytrading.simulator.venue.venue import BrokerSession
from mytrading.simulator.ws.hub import Altered, Hub
from tests.kit.project import ROOT


def wanted(kind: str, **fields: Any) -> FaultSetting:
    made, errors = parse_fault_setting({"kind": kind, **fields})
    assert made is not None, errors
    return made


def switched(kind: str, **fields: Any) -> Faults:
    faults = Faults()
    faults.set(wanted(kind, **fields))
    return faults


def test_document_holds_the_table_of_the_registry() -> None:
    text = (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")
    section = text.partition("## Faults")[2]
    assert "\n".join(line for line in section.splitlines() if line.startswith("|")) == fault_table()


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_asked_for_somewhere_and_has_usable_defaults(name: str) -> None:
    made = wanted(name)
    assert dict(made.parameters) == dict(FAULTS[name].defaults)
    assert made.count == FAULTS[name].count
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "mytrading" / "simulator").rglob("*.py"))
    assert any(re.search(rf'fire\(\s*"{name}"', source) for source in sources)


def test_same_parameter_has_the_same_type_in_every_fault() -> None:
    types: dict[str, set[type]] = {}
    for fault in FAULTS.values():
        for name, default in fault.defaults.items():
            types.setdefault(name, set()).add(type(default))
    assert [name for name, found in types.items() if len(found) > 1] == []


def test_counted_fault_ends_by_itself_and_one_for_good_does_not() -> None:
    faults = switched("book_500", count=2)
    assert [faults.fire("book_500") is not None for _ in range(3)] == [True, True, False]
    assert faults.names() == {}
    faults.set(wanted("book_500", count=FOR_GOOD))
    assert all(faults.fire("book_500") for _ in range(50))
    faults.set(wanted("book_500", count=0))
    assert faults.fire("book_500") is None


def test_chance_follows_its_seed() -> None:
    def run(seed: int) -> list[bool]:
        faults = switched("book_500", probability=0.3, seed=seed)
        return [faults.fire("book_500") is not None for _ in range(400)]

    first = run(5)
    assert first == run(5) != run(6)
    assert 80 < sum(first) < 160


def test_chance_with_a_count_acts_that_often() -> None:
    faults = switched("book_500", probability=0.5, count=3)
    assert sum(faults.fire("book_500") is not None for _ in range(200)) == 3


def test_restricted_fault_is_not_used_up_elsewhere() -> None:
    faults = switched("place_201", route="cancelorder")
    assert faults.fire("place_201", route="placeorder") is None
    assert faults.fire("place_201", route="cancelorder") is not None


def test_lost_order_holds_its_connection_for_the_seconds_given() -> None:
    for seconds in (0.0, 5.0, 30.0):
        switch = switched("place_lost", seconds=seconds).fire("place_lost")
        assert switch is not None
        assert switch.number("seconds") == seconds
    default = switched("place_lost").fire("place_lost")
    assert default is not None
    assert default.number("seconds") == 0.0


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"kind": "nothing"}, "kind"),
        ({}, "kind"),
        ({"kind": "book_500", "count": -2}, "count"),
        ({"kind": "book_500", "probability": 0}, "probability"),
        ({"kind": "book_500", "probability": 1.5}, "probability"),
        ({"kind": "book_500", "seconds": 1}, "seconds"),
        ({"kind": "book_500", "route": "placeorder"}, "route"),
        ({"kind": "place_lost", "seconds": -1}, "seconds"),
        ({"kind": "place_timeout", "drop": "perhaps"}, "drop"),
        ({"kind": "token_rollover", "at": "25:00"}, "at"),
        ({"kind": "partial_fill", "fraction": 1}, "fraction"),
        ({"kind": "update_delayed", "seconds": "inf"}, "seconds"),
    ],
)
def test_unusable_row_is_refused_by_field(row: dict[str, Any], field: str) -> None:
    made, errors = parse_fault_setting(row)
    assert made is None
    assert list(errors) == [field]


def test_option_toml_and_json_say_the_same(tmp_path: Path) -> None:
    toml, plain, under = (tmp_path / name for name in ("faults.toml", "faults.json", "under.json"))
    row = {"kind": "place_timeout", "drop": True, "count": 2, "seconds": 1.5}
    toml.write_text('[[fault]]\nkind = "place_timeout"\ndrop = true\ncount = 2\nseconds = 1.5\n', encoding="utf-8")
    plain.write_text(json.dumps([row]), encoding="utf-8")
    under.write_text(json.dumps({"fault": [row]}), encoding="utf-8")
    expected = (parse_fault_option("place_timeout:drop=true,count=2,seconds=1.5"),)
    assert read_fault_file(toml) == read_fault_file(plain) == read_fault_file(under) == expected == (wanted(**row),)


@pytest.mark.parametrize("text", ["nothing", "book_500:count", "book_500:count=x", "book_500:=3", "book_500:count=1,"])
def test_unusable_option_names_itself_and_the_next_step(text: str) -> None:
    with pytest.raises(BadOption, match=r"fault .*--list-faults"):
        parse_fault_option(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.toml", "[[fault"),
        ("a.json", "{"),
        ("a.toml", "[[faults]]\nkind = 'book_500'"),
        ("a.json", "[3]"),
        ("a.toml", "[[fault]]\nkind = 'book_500'\nbanana = 1"),
        ("missing.toml", None),
    ],
)
def test_unusable_file_is_named(tmp_path: Path, name: str, text: str | None) -> None:
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(BadOption, match=re.escape(name)):
        read_fault_file(tmp_path / name)


def test_short_forms_of_an_option_are_chance_and_count() -> None:
    assert parse_fault_option("book_500:0.25,seed=3") == wanted("book_500", probability=0.25, seed=3)
    assert parse_fault_option("reject:x2,late=true") == wanted("reject", count=2, late=True)


def test_unknown_name_and_field_are_refused_with_what_there_is() -> None:
    _, errors = parse_fault_setting({"kind": "banana"})
    assert all(name in errors["kind"][0] for name in FAULTS)
    _, errors = parse_fault_setting({"kind": "reject", "banana": 1})
    assert "count, probability, seed, late, reason" in errors["banana"][0]


class Received(Hub):
    """A hub that keeps what it should send."""

    def __init__(self) -> None:
        super().__init__()
        self.reported: list[str] = []

    def publish_order(self, body: Any, altered: Altered | None = None) -> None:
        self.reported.append(body["order_status"] if altered is None else f"torn {body['order_status']}")


def reported(faults: Faults, *statuses: str, until: int) -> list[str]:
    hub = Received()

    async def send() -> None:
        updates = OrderSender(hub, faults)
        for status in statuses:
            updates.send({"order_status": status})
        while len(hub.reported) < until:
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(send(), 5))
    return hub.reported


def test_updates_are_lost_doubled_late_and_overtaken_as_asked() -> None:
    both = ("open", "complete")
    assert reported(Faults(), *both, until=2) == ["open", "complete"]
    assert reported(switched("order_updates_off", status="open"), *both, until=1) == ["complete"]
    assert reported(switched("update_corrupted", status="open"), *both, until=2) == ["torn open", "complete"]
    doubled = switched("update_duplicated", status="complete", times=2)
    assert reported(doubled, *both, until=4) == ["open", "complete", "complete", "complete"]
    late = switched("update_delayed", status="open", seconds=0.01)
    assert reported(late, *both, until=2) == ["complete", "open"]
    assert reported(switched("update_reordered", seconds=60), *both, until=2) == ["complete", "open"]


def test_overtaken_update_that_nothing_follows_still_comes() -> None:
    assert reported(switched("update_reordered", seconds=0.01), "open", until=1) == ["open"]


def quote(ltp: float, at_ns: int, symbol: str = "SBIN") -> SimulatedQuote:
    share = Instrument(id=f"NSE:{symbol}", exchange="NSE", symbol=symbol, kind=InstrumentKind.EQ, underlying=symbol)
    return SimulatedQuote(share, at_ns, ltp, ltp - 0.05, ltp + 0.05, 1, 0, ltp, ltp, ltp, ltp)


def test_stalled_feed_repeats_the_first_quote_until_switched_off() -> None:
    faults = switched("ws_stall")
    feed = QuoteSender(Hub(), faults)
    first = quote(100.0, 1)
    assert feed.with_faults(first) == first == feed.with_faults(quote(101.0, 2))
    faults.set(wanted("ws_stall", restamp=True))
    feed.with_faults(quote(102.0, 3))
    shown = feed.with_faults(quote(103.0, 4))
    assert shown is not None
    assert (shown.ltp, shown.at_ns) == (102.0, 4)
    faults.clear()
    assert feed.with_faults(quote(104.0, 5)) == quote(104.0, 5)


def test_wrong_and_zero_prices_hit_the_instrument_named() -> None:
    feed = QuoteSender(Hub(), switched("price_wrong", instrument="NSE:SBIN", factor=2))
    assert feed.with_faults(quote(50.0, 1, "INFY")) == quote(50.0, 1, "INFY")
    wrong = feed.with_faults(quote(100.0, 2))
    assert wrong is not None
    assert (wrong.ltp, wrong.bid, wrong.ask) == (200.0, 199.9, 200.1)
    assert feed.with_faults(quote(100.0, 3)) == quote(100.0, 3)
    zero = QuoteSender(Hub(), switched("price_zero")).with_faults(quote(100.0, 4))
    assert zero is not None
    assert (zero.ltp, zero.bid, zero.ask) == (0.0, 0.0, 0.0)


class _Hub(Hub):
    """Keeps what was published: prices, altered ones below zero."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[float] = []

    def publish(self, quote: SimulatedQuote, altered: Altered | None = None) -> None:
        self.got.append(quote.ltp if altered is None else -quote.ltp)


@pytest.mark.parametrize(
    ("kind", "count", "sent"),
    [
        ("ws_duplicated", 1, [1.0, 1.0, 2.0, 3.0]),
        ("ws_reordered", 1, [2.0, 1.0, 3.0]),
        ("ws_corrupted", 2, [-1.0, -2.0, 3.0]),
        ("ws_hostile", 2, [-1.0, 1.0, -2.0, 2.0, 3.0]),
    ],
)
def test_quote_frames_come_twice_late_or_torn(kind: str, count: int, sent: list[float]) -> None:
    hub = _Hub()
    frames = QuoteSender(hub, switched(kind, count=count))
    for number in (1, 2, 3):
        frames.send(quote(float(number), number))
    assert hub.got == sent


def test_muted_feed_shows_nothing() -> None:
    assert QuoteSender(Hub(), switched("ws_mute")).with_faults(quote(100.0, 1)) is None


def test_daily_token_ends_each_day_until_login() -> None:
    moment = [to_ns(date(2026, 11, 20), time(10))]
    session = BrokerSession(switched("token_rollover", at="03:00"), lambda: moment[0])
    assert not session.refuses("ping")
    for day in (21, 22):
        moment[0] = to_ns(date(2026, 11, day), time(9))
        assert session.refuses("ping")
        session.login()
        assert not session.refuses("ping")
    moment[0] = to_ns(date(2026, 11, 23), time(2, 59))
    assert not session.refuses("ping")


def test_token_without_a_time_of_day_ends_at_once_until_login() -> None:
    session = BrokerSession(switched("token_rollover"), lambda: 0)
    assert session.refuses("ping")
    assert session.refuses("ping")
    session.login()
    assert not session.refuses("ping")
