"""Mappings from options and CSV files, addresses, and the texts that are pasted at a sender."""

from __future__ import annotations

import json
import re
from datetime import date, time
from pathlib import Path

import pytest
from msgspec.structs import replace

from mytrading.cli.shell.failures import Failure
from mytrading.cli.webhooks import files
from mytrading.cli.webhooks.command import SCHEMA_FILE
from mytrading.cli.webhooks.texts import address_flags, alert_texts
from mytrading.core.time import to_ns
from mytrading.core.webhooks.authentication import digest_of
from mytrading.core.webhooks.decision_table import wanted_units
from mytrading.core.webhooks.definition import WebhookGuards, mapping_problems
from mytrading.core.webhooks.senders import decode_fields, read_alert
from mytrading.messages.enums import Product
from mytrading.messages.webhooks import Sender
from tests.kit.project import ROOT
from tests.kit.webhooks import webhook

PLACES = {
    "{{ticker}}": "SBIN",
    "{{strategy.order.action}}": "buy",
    "{{strategy.position_size}}": "100.0",
    "{{strategy.order.id}}": "Long",
    "{{timenow}}": "2026-01-07T04:30:01Z",
}
"""Values of TradingView's placeholders."""


def test_option_maps_a_symbol() -> None:
    found = files.parse_mapping("reliance=nse:reliance,mis,5")
    assert (found.symbol, found.instrument, found.product) == ("reliance", "NSE:RELIANCE", Product.MIS)
    assert (found.quantity, found.lots) == (5, 0)
    lots = files.parse_mapping("NIFTY1!=NFO:NIFTY27JAN26FUT,NRML,2L")
    assert (lots.quantity, lots.lots) == (0, 2)


def test_option_maps_a_symbol_to_the_legs_of_a_template() -> None:
    found = files.parse_mapping("NIFTY=NSE_INDEX:NIFTY strangle,NRML,1L")
    assert (found.instrument, found.trade, found.lots) == ("NSE_INDEX:NIFTY", "", 1)
    assert found.legs == (
        "BUY OTM 8 CE nearest",
        "BUY OTM 8 PE nearest",
        "SELL OTM 3 CE nearest",
        "SELL OTM 3 PE nearest",
    )
    covered = files.parse_mapping("NIFTY=NSE_INDEX:NIFTY covered-call,NRML,1L")
    assert covered.legs == ("BUY FUTURE monthly", "SELL OTM 3 CE monthly")
    assert not list(mapping_problems(covered, intraday=False))
    with pytest.raises(ValueError, match="iron-condor has DELTA"):
        files.parse_mapping("NIFTY=NSE_INDEX:NIFTY iron-condor,NRML,1L")


@pytest.mark.parametrize("text", ["", "SBIN", "SBIN=NSE:SBIN", "SBIN=NSE:SBIN,MIS", "=NSE:SBIN,MIS,1", "A=B:C,MIS,1,2"])
def test_option_that_maps_nothing_says_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected SENDER=EXCHANGE:SYMBOL,PRODUCT,QUANTITY"):
        files.parse_mapping(text)


@pytest.mark.parametrize(
    ("part", "expected"), [("FOO,1", "MIS, NRML or CNC"), ("MIS,0", "quantity"), ("MIS,-1", "quantity")]
)
def test_option_with_a_faulty_part_names_it(part: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        files.parse_mapping(f"SBIN=NSE:SBIN,{part}")


def test_hundred_rows_are_read_each_by_itself() -> None:
    lines = ["Symbol,Exchange,Quantity,Product", *(f" s{number} ,nse,{number + 1},mis" for number in range(100)), ""]
    found = files.read_rows("\n".join(lines), (), intraday=True)
    assert [row.problem for row in found] == [""] * 100
    assert [row.mapping.quantity for row in found if row.mapping is not None] == list(range(1, 101))
    assert found[0].mapping is not None
    assert (found[0].line, found[0].mapping.symbol, found[0].mapping.instrument) == (2, "S0", "NSE:S0")


ROWS = (
    "SBIN,NSE,5,MIS",
    "INFY,NSE,0,MIS",
    "TCS,NSE,-5,MIS",
    "LT,NSE,5,FOO",
    "ITC,NSE",
    "sbin,BSE,5,MIS",
    "",
    "KNOWN,NSE,5,MIS",
    "ONGC,NSE,5,NRML",
    "A1,NSE_INDEX,5,MIS",
    "NTPC,NSE,5,CNC,NTPC2",
    "X,NFO,2L,NRML,NIFTY27JAN26FUT",
)
FAULTS = {
    2: "quantity",
    3: "quantity",
    4: "MIS, NRML or CNC",
    5: "4 or 5 columns",
    6: "line 1 already",
    8: "the webhook already",
    9: "expected MIS or CNC",
    10: "index",
}


def test_each_faulty_row_has_its_problem_and_its_line() -> None:
    text = "\n".join(ROWS)
    found = {row.line: row for row in files.read_rows(text, ["known"], intraday=True)}
    assert [line for line, row in found.items() if row.mapping is not None] == [1, 11, 12]
    for line, expected in FAULTS.items():
        assert expected in found[line].problem, line
    assert found[11].mapping is not None
    assert found[11].mapping.instrument == "NSE:NTPC2"
    assert found[12].mapping is not None
    assert found[12].mapping.lots == 2


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8701/x", "senders on the internet cannot reach it"),
        ("http://alerts.example.in/x", "not https"),
        ("https://alerts.example.in:8701/x", "ports 80 and 443"),
        ("https://alerts.example.in/x", ""),
    ],
)
def test_address_that_a_sender_cannot_use_is_flagged(url: str, expected: str) -> None:
    assert expected in " ".join(address_flags(url))
    assert bool(address_flags(url)) == bool(expected)


@pytest.mark.parametrize("mode", ["LONG", "SHORT", "BOTH"])
@pytest.mark.parametrize("guarded", [False, True])
def test_generated_text_is_read_by_its_own_webhook(mode: str, guarded: bool) -> None:
    guards = WebhookGuards(secret_digest=digest_of("hunter2") if guarded else "")
    for sender in (Sender.TRADINGVIEW, Sender.GENERIC):
        made = webhook(sender=sender.value, mode=mode)
        texts = alert_texts(replace(made, file=replace(made.file, guards=guards)), "https://x/y", "hunter2")
        for text in texts.values():
            body = text.rpartition("-d '")[2].rstrip("'")
            for place, value in PLACES.items():
                body = body.replace(place, value)
            assert "{{" not in body
            fields = decode_fields(sender, body.encode())
            assert read_alert(sender, fields).intents
            assert fields.get("secret") == ("hunter2" if guarded else None)
            assert json.loads(body)


def run_afl(afl: str, name: str, time: str) -> dict[str, object]:
    """The body that generated AFL posts at the signal `name`, as AmiBroker would put it together."""
    call = re.search(rf'LastValue\( {name} \) \) SendAlert\( "(\w+)", "(\S*)" \)', afl)
    assert call is not None, afl
    known = {"Name()": "SBIN", "action": call[1], "time": time, "size": call[2]}
    body = ""
    for condition, right in re.findall(r"(if\( size != \"\" \) )?body = (.*?);", afl, re.DOTALL):
        if not condition or call[2]:
            for text, word in re.findall(r'"((?:[^"\\]|\\.)*)"|([\w()]+)', right):
                body += "" if word == "body" else known[word] if word else text.replace('\\"', '"')
    found = json.loads(body + "}")
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("mode", "signals"),
    [
        ("LONG", {"Buy": 50, "Sell": 0}),
        ("SHORT", {"Short": -50, "Cover": 0}),
        ("BOTH", {"Buy": 50, "Sell": 0, "Short": -50, "Cover": 0}),
    ],
)
@pytest.mark.parametrize("guarded", [False, True])
def test_generated_afl_has_an_alert_for_each_signal_of_the_mode(
    mode: str, signals: dict[str, int], guarded: bool
) -> None:
    made = webhook(sender="amibroker", mode=mode)
    guards = WebhookGuards(secret_digest=digest_of("hunter2") if guarded else "")
    afl = alert_texts(replace(made, file=replace(made.file, guards=guards)), "https://x/y", "hunter2")["AFL"]
    assert len(re.findall(r"SendAlert\( \"", afl)) == len(signals)
    for name, units in signals.items():
        body = json.dumps(run_afl(afl, name, "07-01-2026 10:00:00")).encode()
        fields = decode_fields(Sender.AMIBROKER, body)
        (intent,) = read_alert(Sender.AMIBROKER, fields).intents
        assert wanted_units(Sender.AMIBROKER, made.mode, intent, 50) == units
        assert fields.get("secret") == ("hunter2" if guarded else None)


@pytest.mark.parametrize("sender", ["tradingview", "generic"])
def test_size_of_a_text_is_that_of_the_mapping(sender: str) -> None:
    lots = '[[symbols]]\nsymbol = "N"\ninstrument = "NFO:NIFTY27JAN26FUT"\nlots = 2\nproduct = "NRML"\n'
    for symbols, size in (("", "50"), (lots, '"UNITS"')):
        texts = alert_texts(webhook(sender=sender, mode="BOTH", symbols=symbols), "https://x/y")
        assert f'"position_size": {size}' in list(texts.values())[-1]


def test_schema_in_the_documents_is_that_of_the_files() -> None:
    assert json.loads((ROOT / SCHEMA_FILE).read_text(encoding="utf-8")) == files.schema()


def test_texts_hold_no_placeholder_of_ours_and_the_afl_its_address() -> None:
    afl = alert_texts(webhook(sender="amibroker"), "https://x/y")["AFL"]
    assert 'InternetPostRequest( "https://x/y", body + "}" )' in afl
    assert afl.count("{") == afl.count("}")
    assert "StaticVarGetText" in afl
    assert "\\r" not in afl
    assert "BUY" in alert_texts(webhook(sender="chartink"), "https://x/y")["Name of the alert"]


MUHURAT = to_ns(date(2026, 11, 8), time(12, 0))


def test_webhook_is_locked_and_rotated_on_the_day_of_a_special_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "calendar.toml").write_bytes((ROOT / "config" / "calendar.toml").read_bytes())
    monkeypatch.setattr("mytrading.cli.shell.target.market_now", lambda _profile: MUHURAT)
    made = webhook(start="09:20", end="15:00", square_off="15:10")
    files.save_webhook(tmp_path, "alerts", made.file)
    assert files.rewrite_webhook_file(tmp_path, "alerts", lambda file: replace(file, locked=True)).file.locked
    fresh = files.rewrite_webhook_file(tmp_path, "alerts", lambda file: files.with_new_token(file, "fresh", 0.0, 0))
    assert fresh.file.token.digest == digest_of("fresh")


def test_file_is_private_and_one_that_would_be_faulty_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "calendar.toml").write_bytes((ROOT / "config" / "calendar.toml").read_bytes())
    made = webhook()
    files.save_webhook(tmp_path, "alerts", made.file)
    path = files.webhook_path(tmp_path, "alerts")
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    for faulty in (replace(made.file, mode="UP"), replace(made.file, start="03:00", end="04:00")):
        with pytest.raises(Failure):
            files.save_webhook(tmp_path, "alerts", faulty)
    assert path.read_bytes() == before
    assert files.webhook_names(tmp_path) == ["alerts"]
    with pytest.raises(Failure, match="did you mean alerts"):
        files.load_webhook(tmp_path, "alert")
