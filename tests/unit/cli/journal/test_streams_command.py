"""Messages as `tail` prints them, and topics that it refuses."""

from __future__ import annotations

import json

import pytest

from mytrading.cli.journal.command import Tailed, TailedMessage, _check_topics, format_message, message_to_builtins
from mytrading.cli.main import run
from mytrading.cli.shell.failures import Failure
from mytrading.messages.codec import encode_body
from mytrading.messages.control import Alert
from mytrading.messages.enums import Action, Severity
from mytrading.messages.market import Depth, DepthLevel, Quote
from mytrading.messages.signals import Leg, Signal
from mytrading.messages.streams import STREAMS

SENT = 1_800_000_000_123_000_000
"""15 January 2027, 13:30:00.123 in India."""


def said(message: object, topic: str = "risk") -> TailedMessage:
    return TailedMessage(topic, 1, 2, SENT, message)


def test_line_has_time_topic_kind_and_only_fields_that_say_something() -> None:
    quote = Quote("NSE:SBIN", SENT, SENT, 812.4, bid=812.35)
    assert format_message(said(quote, "NSE:SBIN")) == (
        "13:30:00.123 NSE:SBIN     Quote instrument=NSE:SBIN market=13:30:00 received=13:30:00 ltp=812.4 bid=812.35"
    )


def test_line_shows_legs_inside_and_stays_one_line_whatever_a_server_wrote() -> None:
    legs = (Leg(instrument="NFO:A", lots=1), Leg(instrument="NFO:B", lots=-1, stop_price=12.0))
    signal = Signal(
        id="s",
        strategy="X",
        watch="NSE:A",
        action=Action.BUY,
        created_ns=1,
        expires_ns=2,
        expires_machine_ns=3,
        legs=legs,
    )
    assert "legs=[instrument=NFO:A lots=1; instrument=NFO:B lots=-1 stop_price=12]" in format_message(
        said(signal, "engine")
    )
    alert = Alert(
        code="FEED_ERROR", severity=Severity.WARNING, subject="main", daemon="feed", first_ns=1, last_ns=2,
        message="one\ntwo\x1b]0;title\x07",
    )  # fmt: skip
    line = format_message(said(alert))
    assert line.isprintable() and "message=one?two?]0;title?" in line


def test_message_that_goes_as_an_array_has_its_fields_by_name() -> None:
    depth = Depth("NSE:SBIN", 1, 2, bids=(DepthLevel(812.0, 5),))
    assert message_to_builtins(depth) == {
        "type": "d", "instrument": "NSE:SBIN", "market_ns": 1, "received_ns": 2,
        "bids": [{"price": 812.0, "quantity": 5, "orders": 0}], "asks": [],
    }  # fmt: skip
    assert json.loads(json.dumps(message_to_builtins(depth))) == message_to_builtins(depth)
    assert encode_body(depth)[0] >> 4 == 0x9


@pytest.mark.parametrize(
    ("stream", "topic"), [(Tailed.STATUS, "ruter"), (Tailed.ORDERS, "X"), (Tailed.SIGNALS, "risk")]
)
def test_topic_that_never_comes_is_refused_with_those_that_do(stream: Tailed, topic: str) -> None:
    with pytest.raises(Failure, match=f"tail {stream}: expected .*, found {topic}"):
        _check_topics(stream, (topic,))


def test_topics_of_daemons_the_clock_and_any_instrument_are_taken() -> None:
    taken = {
        Tailed.STATUS: (*STREAMS["status"].writers, "clock"),
        Tailed.SIGNALS: STREAMS["signals"].writers,
        Tailed.MARKET: ("NSE:WHATEVER", "depth/NSE:WHATEVER"),
    }
    assert [_check_topics(stream, topics) for stream, topics in taken.items()] == [None, None, None]


@pytest.mark.parametrize("command", ["tail status", "endpoints"])
def test_streams_of_no_stack_exit_3(command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("MYTRADING_STATE_DIR", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        run(command.split())
    assert ended.value.code == 3
