"""ChartInk's names and stocks; the bodies of all senders as they publish them."""

import pytest

from mytrading.core.webhooks.refusals import AlertRefused
from mytrading.core.webhooks.senders import decode_fields, find_keyword, read_alert
from mytrading.messages.webhooks import AlertAction, Sender
from tests.kit.project import ROOT

BODIES = ROOT / "tests" / "data" / "webhooks"


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("BUY breakouts", "BUY"),
        ("my sell scan", "SELL"),
        ("Short: gap down", "SHORT"),
        ("cover-now", "COVER"),
        ("buy_signals", "BUY"),
        ("BUYBACK SELL", "SELL"),
        ("short short", "SHORT"),
    ],
)
def test_one_keyword_as_a_whole_word_decides(name: str, word: str) -> None:
    assert find_keyword(name, "") == AlertAction(word)
    assert find_keyword("", name) == AlertAction(word)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("short term breakouts", "NO_KEYWORD"),
        ("Short-Term momentum", "NO_KEYWORD"),
        ("RECOVERY scan", "NO_KEYWORD"),
        ("BUYBACK", "NO_KEYWORD"),
        ("", "NO_KEYWORD"),
        ("SHORT SELL", "AMBIGUOUS_KEYWORD"),
        ("short cover", "AMBIGUOUS_KEYWORD"),
        ("buy or sell", "AMBIGUOUS_KEYWORD"),
    ],
)
def test_name_without_one_keyword_is_refused(name: str, code: str) -> None:
    with pytest.raises(AlertRefused) as caught:
        find_keyword(name, name)
    assert caught.value.refusal.code == code


def test_alert_name_counts_before_scan_name() -> None:
    assert find_keyword("SELL them", "BUY them") is AlertAction.SELL
    assert find_keyword("them", "BUY them") is AlertAction.BUY


def test_stocks_are_trimmed_and_each_counts_once() -> None:
    body = b'{"stocks": " sbin, INFY,,SBIN ", "scan_name": "BUY", "triggered_at": "2:34 pm"}'
    found = read_alert(Sender.CHARTINK, decode_fields(Sender.CHARTINK, body))
    assert [intent.symbol for intent in found.intents] == ["SBIN", "INFY"]
    assert found.bar_time == "2:34 pm"


@pytest.mark.parametrize("stocks", ['""', '" , "'])
def test_alert_without_a_stock_is_refused(stocks: str) -> None:
    with pytest.raises(AlertRefused) as caught:
        read_alert(
            Sender.CHARTINK, decode_fields(Sender.CHARTINK, f'{{"stocks": {stocks}, "scan_name": "BUY"}}'.encode())
        )
    assert caught.value.refusal.code == "NO_STOCKS"


def test_fixed_action_overrides_names() -> None:
    fields = decode_fields(Sender.CHARTINK, b'{"stocks": "SBIN", "scan_name": "short cover"}')
    assert read_alert(Sender.CHARTINK, fields, AlertAction.BUY).intents[0].action is AlertAction.BUY


@pytest.mark.parametrize("path", sorted(BODIES.glob("*.txt")), ids=lambda path: path.stem)
def test_published_body_is_read(path) -> None:  # type: ignore[no-untyped-def]
    sender = Sender(path.stem.partition("_")[0])
    found = read_alert(sender, decode_fields(sender, path.read_bytes()))
    assert found.intents
    assert all(intent.symbol and intent.action for intent in found.intents)


def test_there_is_a_published_body_of_each_sender() -> None:
    assert {path.stem.partition("_")[0] for path in BODIES.glob("*.txt")} == set(Sender)
