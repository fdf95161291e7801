"""Files of webhooks: what they say, which are refused with line and key, and the strategy that each one is."""

from datetime import time
from typing import Any

import pytest

from mytrading.core.calendar import Calendar
from mytrading.core.webhooks.definition import (
    WebhookFileError,
    line_of,
    read_senders,
    read_webhook,
    window_problems,
    write_webhook,
)
from mytrading.messages.enums import LimitAction, Product
from mytrading.messages.run_config import Direction
from tests.kit.webhooks import CALENDAR, DAY, webhook, webhook_text

INDEX = 'instrument = "NSE_INDEX:NIFTY"\n'


def problems(symbols: str = "", name: str = "alerts", **keys: Any) -> str:
    with pytest.raises(WebhookFileError) as caught:
        read_webhook(name, webhook_text(symbols, **keys))
    return "\n".join(caught.value.problems)


def test_webhook_is_a_strategy() -> None:
    found = webhook("breakout", mode="SHORT", start="09:20", end="15:00", square_off="15:10", stop_loss_percent=0.7)
    run = found.strategy_run()
    assert (run.name, run.file, run.symbols) == ("breakout", "config/webhooks/breakout.toml", ("NSE:SBIN",))
    assert (run.direction, run.product, run.intraday) == (Direction.SHORT, Product.MIS, True)
    assert (run.square_off, run.stop_loss_pct) == ("15:10", 0.007)
    assert run.long is None
    assert run.is_webhook


def test_file_that_is_written_says_the_same() -> None:
    found = webhook(start="09:20", end="15:00", mode="BOTH", locked=True)
    assert read_webhook("alerts", write_webhook(found.file)) == found


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"start": "15:00", "end": "09:20"}, "alerts.toml:3: end: expected a time after start 15:00"),
        ({"start": "09:20", "end": "09:20"}, "end: expected a time after start"),
        ({"start": "09:20"}, "end: expected start and end together"),
        ({"start": "09:20", "end": "15:00", "square_off": "14:59"}, "alerts.toml:4: square_off: expected end 15:00"),
        ({"start": "9 am", "end": "15:00"}, "start: expected a time such as 09:20, found '9 am'"),
        ({"intraday": False, "square_off": "15:10"}, "square_off: a positional webhook"),
        ({"intraday": False}, "symbols[1].product: expected CNC"),
        ({"mode": "UP"}, "mode: expected LONG, SHORT, BOTH; found 'UP'"),
        ({"action": "sel"}, "did you mean SELL?"),
        (
            {"sender": "metatrader"},
            "alerts.toml:1: sender: expected tradingview, chartink, amibroker, generic; found 'metatrader'",
        ),
        ({"locked": 3}, "alerts.toml:2: locked: expected `bool`, found `int`"),
        ({"stop": "hard"}, "alerts.toml:2: stop: expected broker, engine, none; found 'hard'"),
        ({"duplicate_seconds": 9999}, "duplicate_seconds: expected 0 to 3600"),
        ({"stop_loss_percent": 100}, "stop_loss_percent: expected per cent below 100"),
        ({"windw": "x"}, "alerts.toml:2: windw: no such key"),
        ({"max_daily_loss": float("nan")}, "alerts.toml:2: max_daily_loss: expected a number, found nan"),
        ({"cooling_off_seconds": float("inf")}, "cooling_off_seconds: expected a number, found inf"),
        ({"duplicate_seconds": float("nan")}, "duplicate_seconds: expected 0 to 3600 seconds, found nan"),
    ],
)
def test_faulty_key_is_named(keys: dict[str, Any], expected: str) -> None:
    assert expected in problems(**keys)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ('instrument = "SBIN"\nquantity = 1', "symbols[1].instrument: instrument 'SBIN': expected EXCHANGE:SYMBOL"),
        ('instrument = "NSE_INDEX:NIFTY"\nquantity = 1', "found the index"),
        ('instrument = "NSE:SBIN"', "expected quantity or lots"),
        ('instrument = "NSE:SBIN"\nquantity = 1\nlots = 1', "expected quantity or lots"),
        ('instrument = "NSE:SBIN"\nquantity = -5', "expected quantity or lots"),
        ('instrument = "NSE:SBIN"\nquantity = 5\nproduct = "NRML"', "expected MIS or CNC on NSE"),
        ('instrument = "NFO:X26FEBFUT"\nlots = 5\nproduct = "CNC"', "expected MIS or NRML on NFO"),
        (
            'instrument = "NSE:SBIN"\nquantity = 5\nproduct = "FOO"',
            "alerts.toml:8: symbols[1].product: expected MIS, NRML, CNC; found 'FOO'",
        ),
        ('instrument = "NSE:SBIN"\nquantity = "5"', "alerts.toml:7: symbols[1].quantity: expected `int`, found `str`"),
        (INDEX + 'lots = 1\nproduct = "NRML"\ntrade = "ATM XX"', "symbols[1].trade: expected"),
        (INDEX + 'lots = 1\nproduct = "NRML"\ntrade = "same"', "expected a future or an option"),
        (INDEX + 'quantity = 75\nproduct = "NRML"\ntrade = "ATM CE"', "symbols[1].lots: expected lots"),
        (INDEX + 'lots = 1\nproduct = "CNC"\ntrade = "ATM CE"', "expected MIS or NRML"),
        (INDEX + 'lots = 1\nproduct = "NRML"\nlegs = ["OTM 2 CE"]', "symbols[1].legs: expected BUY or SELL"),
        (INDEX + 'lots = 1\nproduct = "NRML"\nlegs = ["BUY ATM CE", "buy atm ce weekly"]', "each another contract"),
        (INDEX + 'lots = 1\nproduct = "NRML"\ntrade = "ATM CE"\nlegs = ["BUY ATM CE"]', "found both"),
    ],
)
def test_faulty_mapping_is_named(row: str, expected: str) -> None:
    assert expected in problems(f'[[symbols]]\nsymbol = "SBIN"\n{row}\n')


@pytest.mark.parametrize(
    ("sender", "guard", "expected"),
    [
        ("tradingview", f'hmac_key = "{"k" * 40}"', "tradingview cannot sign its alerts; choose --ip or --secret or"),
        ("chartink", f'secret_digest = "{"0" * 64}"', "chartink cannot put a secret in its body; choose --ip, or none"),
        ("chartink", 'certificate = "X"', "chartink cannot present a certificate"),
        ("chartink", 'ips = ["tradingview"]', "expected addresses of chartink, found those of tradingview alone"),
        ("amibroker", f'hmac_key = "{"k" * 40}"', "amibroker cannot sign its alerts; choose --ip or --secret, or none"),
    ],
)
def test_guard_that_its_sender_cannot_meet_is_refused(sender: str, guard: str, expected: str) -> None:
    text = webhook_text(sender=sender) + f"[guards]\n{guard}\n"
    with pytest.raises(WebhookFileError, match=r"alerts.toml:\d+: guards\.") as caught:
        read_webhook("alerts", text)
    assert expected in str(caught.value)
    read_webhook("alerts", text.replace(sender, "generic"))


def test_exchange_before_a_symbol_is_that_of_its_mapping() -> None:
    row = '[[symbols]]\nsymbol = "{}"\ninstrument = "{}"\nquantity = 75\nproduct = "{}"\n'
    rows = row.format("SBIN", "NSE:SBIN", "MIS") + row.format("NIFTY1!", "NFO:NIFTY27JAN26FUT", "NRML")
    found = webhook(symbols=rows + row.format("BSE:TCS", "BSE:TCS", "MIS"))
    for symbol in ("SBIN", "NSE:SBIN", "NSE_DLY:SBIN", "NIFTY1!", "NSE:NIFTY1!", "NFO:NIFTY1!", "BSE:TCS"):
        assert found.mapping(symbol) is not None, symbol
    for symbol in ("BSE:SBIN", "MCX:SBIN", "BSE:NIFTY1!", "TCS", "NSE:TCS", ":SBIN"):
        assert found.mapping(symbol) is None, symbol


def test_limits_of_a_webhook_are_those_of_its_strategy() -> None:
    run = webhook(
        max_daily_loss=500.0, max_drawdown=0.1, max_position_size=9000.0, limit_action="flatten"
    ).strategy_run()
    assert (run.max_daily_loss, run.max_drawdown, run.max_position_size) == (500.0, 0.1, 9000.0)
    assert run.limit_action is LimitAction.FLATTEN
    assert "max_drawdown: expected a fraction below 1" in problems(max_drawdown=5.0)


def test_legs_need_the_mode_long() -> None:
    row = '[[symbols]]\nsymbol = "N"\nlots = 1\nproduct = "NRML"\nlegs = ["SELL ATM CE", "SELL FUTURE"]\n' + INDEX
    assert "symbols[1].legs: expected the mode LONG" in problems(row, mode="BOTH")
    sides = [(rule.side.value, rule.kind.value) for rule in webhook(symbols=row).trades["N"]]
    assert sides == [("SELL", "option"), ("SELL", "future")]


def test_symbol_is_mapped_once_and_an_instrument_has_one_product() -> None:
    row = '[[symbols]]\nsymbol = "{}"\ninstrument = "NSE:SBIN"\nquantity = 5\nproduct = "{}"\n'
    assert "symbols[2].symbol: expected each symbol once" in problems(row.format("A", "MIS") + row.format("a", "MIS"))
    found = problems(row.format("A", "MIS") + row.format("B", "CNC"))
    assert "symbols[2].product: expected MIS as in symbols[1]" in found


def test_line_of_a_key_in_a_table() -> None:
    text = 'a = 1\n[token]\ndigest = "x"\n[[symbols]]\nlots = 1\n[[symbols]]\nlots = 2\n'
    assert [line_of(text, key) for key in ("a", "token.digest", "symbols[2].lots", "gone")] == [1, 3, 7, 1]


def test_name_of_a_webhook_is_plain() -> None:
    assert "expected 2 to 50 letters" in problems(name="<script>")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"start": "09:15", "end": "15:29", "square_off": "15:30"}, []),
        ({"start": "09:14", "end": "15:00"}, ["start"]),
        ({"start": "09:20", "end": "15:31", "square_off": "15:31"}, ["end", "square_off"]),
    ],
)
def test_window_lies_in_the_hours_of_the_exchange(keys: dict[str, str], expected: list[str]) -> None:
    found = window_problems(webhook(**keys), Calendar.from_dict(CALENDAR), DAY)
    assert [problem.partition(":")[0] for problem in found] == expected


def test_window_of_ordinary_hours_is_in_order_on_the_day_of_a_special_session() -> None:
    evening = {"date": DAY, "exchanges": ["NSE"], "open": time(18, 0), "close": time(19, 0), "name": "Muhurat trading"}
    calendar = Calendar.from_dict({**CALENDAR, "special": [evening]})
    assert window_problems(webhook(start="09:20", end="15:00", square_off="15:10"), calendar, DAY) == []
    for late in ({"square_off": "16:00"}, {"square_off": "18:30"}, {"start": "09:00", "end": "15:00"}):
        assert len(window_problems(webhook(**late), calendar, DAY)) == 1, late


def test_addresses_of_senders_are_addresses() -> None:
    assert read_senders({"addresses": {"tradingview": ["52.89.214.238"]}}) == {"tradingview": ("52.89.214.238",)}
    with pytest.raises(ValueError, match="tradingview: expected addresses, found somewhere"):
        read_senders({"addresses": {"tradingview": ["somewhere"]}})


def test_contract_by_rule_names_its_underlying() -> None:
    row = '[[symbols]]\nsymbol = "{}"\ninstrument = "{}"\ntrade = "{}"\nlots = 1\nproduct = "NRML"\n'
    found = webhook(
        symbols=row.format("N", "NSE_INDEX:NIFTY", "otm 2 pe Weekly") + row.format("S", "NSE:SBIN", "future")
    )
    rules = {
        symbol: (rule.kind.value, rule.underlying, rule.strike, rule.right) for symbol, (rule,) in found.trades.items()
    }
    assert rules == {"N": ("option", "NIFTY", "OTM 2", "PE"), "S": ("future", "SBIN", "", "")}
    assert found.strategy_run().symbols == ("NSE_INDEX:NIFTY", "NSE:SBIN")
    alone = webhook(symbols=row.format("N", "NSE_INDEX:NIFTY", "ATM CE")).strategy_run()
    assert alone.long is not None
    assert (alone.long.kind.value, alone.long.underlying) == ("option", "NIFTY")
