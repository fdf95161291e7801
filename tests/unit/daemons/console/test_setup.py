"""Accounts and webhooks from the page: by the shell's commands, with keys shown to nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mytrading.core.webhooks.authentication import digest_of
from mytrading.core.webhooks.definition import SymbolMapping, WebhookFile, WebhookToken, read_webhook, write_webhook
from mytrading.messages.enums import Product
from mytrading.messages.webhooks import Sender
from tests.kit.console_browser import ConsoleOfTest
from tests.kit.project import copy_project

KEY = "a-key-that-nobody-may-read"
GOOD, BAD = "TCS,NSE,3,CNC\n", "INFY,NOWHERE,x,MIS\n"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleOfTest]:
    home = tmp_path_factory.mktemp("home")
    copy_project(home)
    file = home / "config" / "webhooks" / "Hook.toml"
    file.parent.mkdir(mode=0o700)
    mapping = SymbolMapping(symbol="SBIN", instrument="NSE:SBIN", product=Product.CNC, quantity=1)
    token = WebhookToken(digest=digest_of("x"))
    file.write_text(write_webhook(WebhookFile(sender=Sender.GENERIC, token=token, symbols=(mapping,), intraday=False)))
    file.chmod(0o600)
    made = ConsoleOfTest(tmp_path_factory.mktemp("console"), home=home)
    made.add_user("tara", "trader")
    yield made
    made.stop()


def hook(console: ConsoleOfTest) -> WebhookFile:
    path = Path(console.config.home) / "config" / "webhooks" / "Hook.toml"
    return read_webhook("Hook", path.read_text(encoding="utf-8")).file


def test_mappings_are_previewed_then_taken_all_or_none(console: ConsoleOfTest) -> None:
    page = console.browser("tara")
    assert page.post("/api/confirm", password="Nifty-lantern!73-otter").status_code == 200
    shown = page.post("/api/webhooks/Hook", csv=GOOD + BAD, preview=True).json()
    assert not shown["changed"] and [row["problem"] == "in order" for row in shown["rows"]] == [True, False]
    assert page.post("/api/webhooks/Hook", preview=True).status_code == 400
    assert not [row for row in console.audited(user="tara") if "webhook" in row["action"]], "it changed nothing"
    refused = page.post("/api/webhooks/Hook", csv=GOOD + BAD).json()
    assert not refused["changed"] and len(hook(console).symbols) == 1
    assert page.post("/api/webhooks/Hook", csv=GOOD).json() == {"changed": True, "rows": []}
    assert [row.symbol for row in hook(console).symbols] == ["SBIN", "TCS"]
    page.post("/api/webhooks/Hook", locked=True)
    assert hook(console).locked
    assert console.audited(action="webhook edit")[0]["result"] == "done"
    view = page.get("/api/webhooks/Hook").json()
    assert [(row["symbol"], row["quantity"]) for row in view["symbols"]] == [("SBIN", 1), ("TCS", 3)]
    assert view["texts"] and view["url"].endswith("/TOKEN")
    assert page.post("/api/webhooks/Hook/remove").json()["changed"]
    assert page.get("/api/webhooks").json() == [] and page.get("/api/webhooks/Hook").status_code in (404, 409)


def test_webhook_is_made_and_its_address_changed_and_each_is_shown_once(console: ConsoleOfTest) -> None:
    page = console.browser("tara")
    asked = {"sender": "generic", "positional": True, "secret": True, "signed": True}
    page.post("/api/confirm", password="Nifty-lantern!73-otter")
    faulty = page.post("/api/webhooks/Desk/add", **asked, csv=GOOD + BAD).json()
    assert not faulty["url"] and [row["problem"] == "" for row in faulty["rows"]] == [False, False]
    assert "SBIN=x" in page.post("/api/webhooks/Desk/add", **asked, maps=["SBIN=x"]).json()["error"]
    file = Path(console.config.home) / "config" / "webhooks" / "Desk.toml"
    assert not file.exists()
    made = page.post("/api/webhooks/Desk/add", **asked, maps=["SBIN=NSE:SBIN,CNC,1"], csv=GOOD).json()
    token, text = made["url"].rpartition("/")[2], file.read_text(encoding="utf-8")
    written = read_webhook("Desk", text).file
    assert (written.token.digest, written.guards.secret_digest) == (digest_of(token), digest_of(made["secret"]))
    assert made["hmac_key"] == written.guards.hmac_key and any("this machine's own" in one for one in made["notes"])
    assert token not in text and made["secret"] not in text and file.stat().st_mode & 0o077 == 0
    again = page.post("/api/webhooks/Desk/add", **asked, maps=["SBIN=NSE:SBIN,CNC,1"])
    assert again.json()["code"] == "REFUSED" and "exists" in again.json()["error"]
    changed = page.post("/api/webhooks/Desk/rotate", overlap_minutes=5).json()
    after = read_webhook("Desk", file.read_text(encoding="utf-8")).file.token
    assert (after.digest, after.previous) == (digest_of(changed["url"].rpartition("/")[2]), digest_of(token))
    row = next(one for one in page.get("/api/webhooks").json() if one["name"] == "Desk")
    assert row["old_token_until_wall_ms"] - row["token_made_wall_ms"] == 300_000
    assert page.post("/api/webhooks/Desk", maps=["SBIN=NSE:SBIN,CNC,2"], unmap=["TCS"]).json()["changed"]
    assert [(one.symbol, one.quantity) for one in read_webhook("Desk", file.read_text()).file.symbols] == [("SBIN", 2)]
    assert "expected a mapped symbol (SBIN)" in page.post("/api/webhooks/Desk", unmap=["TCS"]).json()["error"]
    audited = console.audited(user="tara")
    assert {"webhook add", "webhook rotate"} <= {one["action"] for one in audited}
    assert not any(word in str(audited) for word in (token, made["secret"], made["hmac_key"], changed["url"]))


def test_account_whose_server_does_not_answer_is_not_kept_and_its_key_is_shown_nowhere(
    console: ConsoleOfTest,
) -> None:
    assert console.browser("tara").get("/api/setup/accounts").json()["code"] == "ROLE"
    page = console.browser("asha")
    asked = {"new": True, "host": "http://127.0.0.1:9", "key": KEY}
    page.post("/api/confirm", password="Nifty-lantern!73-otter")
    done = page.post("/api/setup/accounts/second", **asked)
    assert done.json()["code"] == "REFUSED" and KEY not in done.text
    assert page.post("/api/setup/accounts/--help", **asked).json()["field"] == "name"
    assert page.get("/api/setup/accounts").json() == []
    row = console.audited(action="account add")[0]
    assert row["result"] == "refused" and KEY not in str(row)


def test_checks_of_doctor_come_with_the_day_of_the_contracts_and_to_traders_alone(console: ConsoleOfTest) -> None:
    contracts, *others = console.browser("asha").get("/api/doctor").json()
    assert (contracts["check"], contracts["verdict"]) == ("contracts", "warning") and "no day yet" in contracts["found"]
    assert {"disk", "server"} <= {row["check"] for row in others}
    assert all(row["cure"] for row in others if row["verdict"] == "failed")
    console.add_user("dora", "viewer")
    assert console.browser("dora").get("/api/doctor").json()["code"] == "ROLE"
