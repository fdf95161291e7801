"""Margins from the page: by the formula and the tables that size orders; and the books of brokers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.instruments.book import InstrumentBook
from mytrading.messages.instruments import InstrumentKind
from tests.kit.console_browser import ConsoleOfTest
from tests.kit.risk_bench import CALL, NEAR, option

FUTURE = replace(option("NFO:NIFTY27AUG26FUT", InstrumentKind.CE), kind=InstrumentKind.FUT, strike=0.0)
BOOK = InstrumentBook([option(CALL, InstrumentKind.CE), option(NEAR, InstrumentKind.CE, 22800), FUTURE])


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleOfTest]:
    made = ConsoleOfTest(tmp_path_factory.mktemp("console"))
    yield made
    made.stop()


def test_margin_pays_for_the_lots_of_the_formula(console: ConsoleOfTest) -> None:
    page = console.browser("asha")
    found = page.get("/api/margin/lots", params={"margin": 1_000_000, "grade": "A"}).json()
    assert found["lots"] == int(1_000_000 * found["share"] // found["margin_per_lot"]) > 0
    assert page.get("/api/margin/lots", params={"margin": 1}).json()["lots"] == 0
    assert page.get("/api/margin/lots", params={"margin": 1, "grade": "Z"}).status_code in (404, 409)


def test_legs_need_less_where_one_hedges_another(console: ConsoleOfTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.server.chains, "instruments", lambda: BOOK)
    page = console.browser("asha")
    sold, bought = (
        {"instrument": CALL, "units": -65, "price": 150.0},
        {"instrument": NEAR, "units": 65, "price": 300.0},
    )

    def margin(*legs: dict[str, object]) -> dict[str, Any]:
        found: dict[str, Any] = page.post("/api/structure/margin", legs=legs, spot=23_000.0).json()
        return found

    alone, hedged = margin(sold), margin(sold, bought)
    assert alone["margin"] == alone["separate"] > 0
    assert hedged["margin"] < hedged["separate"] and hedged["margin"] < alone["margin"]
    assert hedged["separate"] == alone["separate"] + 65 * 300.0
    assert hedged["after"] == [alone["margin"], hedged["margin"]]
    future = {"instrument": FUTURE.id, "units": -65, "price": 23_050.0}
    naked = margin(future)
    assert naked["margin"] == naked["separate"] > 65 * 23_050.0 / 20
    assert margin(future, sold)["separate"] == pytest.approx(naked["margin"] + alone["margin"])
    assert margin({**sold, "spot": 30_000.0}, {**bought, "spot": 30_000.0})["margin"] > hedged["margin"]
    elsewhere = margin({**sold, "product": "MIS"}, bought)
    assert elsewhere["margin"] > hedged["margin"], "a hedge of another product is none"
    refused = page.post("/api/structure/margin", legs=[{**sold, "instrument": "NFO:GONE"}], spot=1.0).json()
    assert (refused["code"], refused["field"]) == ("BAD_REQUEST", "legs[1].instrument")


def test_tables_are_those_of_today_and_their_lots_those_of_the_calculator(console: ConsoleOfTest) -> None:
    page = console.browser("asha")
    found = page.get("/api/margin/tables").json()
    rows = {row["underlying"]: row for row in found["requirements"]}
    assert set(rows) == {"NIFTY", "BANKNIFTY", "SENSEX"}
    for name, row in rows.items():
        one = page.get("/api/margin/lots", params={"margin": 1_000_000, "instrument": name}).json()
        assert (row["lot"], row["freeze"], row["most_lots"]) == (one["lot_size"], one["freeze"], one["max_lots"]), name
        assert row["sold"] * row["lot"] / row["units"] == pytest.approx(one["margin_per_lot"])
    assert (rows["NIFTY"]["sold_expiry"], rows["NIFTY"]["units"]) == (205_000, 65)
    assert rows["NIFTY"]["lot_source"] == "config/instruments.toml"
    assert (found["shares"]["A"], found["shares"]["balanced"], found["most_lots_per_leg"]) == (0.95, 0.65, 100)


def test_book_that_brokers_do_not_have_is_refused(console: ConsoleOfTest) -> None:
    assert console.browser("asha").get("/api/books/--help").json()["code"] == "NOT_FOUND"
