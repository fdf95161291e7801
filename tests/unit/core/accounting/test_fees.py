"""Charges by segment and day, worked out by hand."""

from __future__ import annotations

from datetime import date, time

import pytest

from mytrading.core.accounting.fees import FeeSchedule
from mytrading.core.time import to_ns
from mytrading.messages.enums import Product
from mytrading.messages.instruments import Instrument, InstrumentKind
from tests.kit.backtest_specs import fees


def listed(kind: InstrumentKind, exchange: str = "NSE") -> Instrument:
    return Instrument(id=f"{exchange}:X", exchange=exchange, symbol="X", kind=kind, underlying="X")


def at(year: int, month: int, day: int) -> int:
    return to_ns(date(year, month, day), time(10, 0))


def test_sold_shares_within_the_day_pay_stt_and_no_stamp_duty() -> None:
    found = fees().fill_charges(listed(InstrumentKind.EQ), Product.MIS, -100, 1000.0, at(2025, 1, 6))
    assert found.brokerage == 20.0
    assert found.stt == pytest.approx(25.0)
    assert found.exchange == pytest.approx(2.97 + 0.10), "with the contribution to NSE's investor protection fund"
    assert found.sebi == pytest.approx(0.1)
    assert found.gst == pytest.approx(0.18 * (20.0 + 3.07 + 0.1))
    assert found.stamp == 0.0
    assert found.total == pytest.approx(sum(found))


def test_bought_shares_for_delivery_pay_stt_and_stamp_duty_and_no_brokerage() -> None:
    found = fees().fill_charges(listed(InstrumentKind.EQ), Product.CNC, 100, 1000.0, at(2025, 1, 6))
    assert (found.brokerage, found.stt, found.stamp) == (0.0, pytest.approx(100.0), pytest.approx(15.0))


@pytest.mark.parametrize(
    ("day", "rate"),
    [((2022, 6, 1), 0.0005), ((2023, 6, 1), 0.000625), ((2024, 9, 30), 0.000625), ((2024, 10, 1), 0.001),
     ((2026, 4, 1), 0.0015)],
)  # fmt: skip
def test_stt_on_sold_premium_is_that_of_the_day(day: tuple[int, int, int], rate: float) -> None:
    found = fees().fill_charges(listed(InstrumentKind.CE, "NFO"), Product.NRML, -75, 200.0, at(*day))
    assert found.stt == pytest.approx(75 * 200.0 * rate)
    assert found.brokerage == 20.0


@pytest.mark.parametrize(
    ("kind", "exchange", "rate"),
    [
        (InstrumentKind.EQ, "NSE", 0.0000307), (InstrumentKind.FUT, "NFO", 0.0000183),
        (InstrumentKind.CE, "NFO", 0.0003553), (InstrumentKind.EQ, "BSE", 0.0000375),
        (InstrumentKind.FUT, "BFO", 0.0), (InstrumentKind.PE, "BFO", 0.000325),
    ],
)  # fmt: skip
def test_exchange_charges_of_2026_are_those_that_brokers_publish(
    kind: InstrumentKind, exchange: str, rate: float
) -> None:
    found = fees().fill_charges(listed(kind, exchange), Product.MIS, -100, 1000.0, at(2026, 6, 1))
    assert found.exchange == pytest.approx(100_000 * rate)


@pytest.mark.parametrize(
    ("day", "rate"),
    [((2011, 6, 1), 0.103), ((2015, 5, 29), 0.1236), ((2015, 6, 1), 0.14), ((2016, 1, 4), 0.145),
     ((2017, 6, 30), 0.15), ((2017, 7, 3), 0.18)],
)  # fmt: skip
def test_service_tax_and_gst_are_those_of_the_day(day: tuple[int, int, int], rate: float) -> None:
    found = fees().fill_charges(listed(InstrumentKind.EQ), Product.MIS, 100, 1000.0, at(*day))
    assert found.gst == pytest.approx(rate * (found.brokerage + found.exchange + found.sebi))


def test_small_order_pays_a_share_and_not_the_flat_brokerage() -> None:
    found = fees().fill_charges(listed(InstrumentKind.EQ), Product.MIS, 1, 1000.0, at(2025, 1, 6))
    assert found.brokerage == pytest.approx(0.3)


def test_index_that_stands_in_for_its_future_costs_like_one() -> None:
    index = listed(InstrumentKind.EQ, "NSE_INDEX")
    found = fees().fill_charges(index, Product.MIS, -75, 24000.0, at(2025, 1, 6), as_future=True)
    assert found.stt == pytest.approx(75 * 24000.0 * 0.0002)


def test_bought_option_that_ends_in_the_money_pays_on_what_it_is_worth() -> None:
    assert fees().exercise_stt(10_000.0, at(2025, 1, 6)) == pytest.approx(12.5)
    assert fees().exercise_stt(-5.0, at(2025, 1, 6)) == 0.0


def test_file_without_a_segment_says_which() -> None:
    with pytest.raises(ValueError, match=r"expected \[segments.equity_delivery\]"):
        FeeSchedule.from_dict({"segments": {}})


def test_file_with_an_unknown_key_names_it() -> None:
    with pytest.raises(ValueError, match=r"config/fees\.toml"):
        FeeSchedule.from_dict({"segments": {}, "taxes": 1})
