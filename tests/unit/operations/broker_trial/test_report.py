"""The report of a trial: what differs from the table, and nothing that a stranger must not see."""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.messages.brokers import BrokerRules, Standing, StopMoving
from mytrading.messages.enums import OrderType, Product
from mytrading.operations.broker_trial.report import make_report, masked, report_lines, without_secrets
from mytrading.operations.broker_trial.trial import Observed, OrderPrices

RULES = BrokerRules(name="b", standing=Standing.LIMITS, waiting_stop=("open",), stop_move=StopMoving.REPLACE,
                    stop_type_kept=True, since="v1")  # fmt: skip
ROW = {"orderid": "250001", "symbol": "YESBANK", "pricetype": "SL", "product": "MIS", "order_status": "trigger pending",
       "clientcode": "AB1234", "rejection_reason": "RMS: client AB1234 has no 23.5"}  # fmt: skip


def seen(**fields: object) -> Observed:
    prices = OrderPrices(23.0, 22.9)
    made = Observed(name="stop", order_type=OrderType.SL, first=prices, then=prices, answers={"place": "ACCEPTED"},
                    rows={"placed": ROW}, words=["trigger pending"], meanings=["trigger pending"])  # fmt: skip
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def test_word_and_change_that_are_not_those_of_the_table_differ() -> None:
    report = make_report("b", RULES, "NSE:YESBANK", "2026-11-25 10:00", [seen(changed=True)], None, [])
    found = {one.what: one.agrees for one in report.compared}
    assert found["the word of a waiting stop"] is False and found["the stop: a change moves it"] is False
    assert found["the type of a waiting stop"] is True
    assert sum("DIFFERS" in line for line in report_lines(report)) == 2


def test_name_that_the_table_translates_is_no_difference() -> None:
    rules = replace(RULES, order_type_names={"STOPLOSS": OrderType.SL}, products={"I": Product.MIS})
    row = {**ROW, "pricetype": "STOPLOSS", "product": "I"}
    report = make_report("b", rules, "NSE:YESBANK", "2026-11-25 10:00", [seen(rows={"placed": row})], None, [])
    found = {one.what: one.agrees for one in report.compared}
    assert found["the type of a waiting stop"] is True and found["the stop: product of its row"] is True
    other = make_report("b", RULES, "NSE:YESBANK", "2026-11-25 10:00", [seen(rows={"placed": row})], None, [])
    found = {one.what: one.agrees for one in other.compared}
    assert found["the type of a waiting stop"] is False and found["the stop: product of its row"] is False


def test_what_the_table_does_not_tell_is_new_and_no_difference() -> None:
    report = make_report("c", BrokerRules(), "NSE:YESBANK", "2026-11-25 10:00", [seen(changed=True)], None, [])
    found = {one.what: one.agrees for one in report.compared}
    assert found["the word of a waiting stop"] is None and found["the stop: a change moves it"] is None
    assert not report.listed and not any("DIFFERS" in line for line in report_lines(report))


def test_ids_and_unknown_fields_are_left_out() -> None:
    shown = without_secrets(ROW)
    assert (shown["orderid"], shown["clientcode"]) == ("<str>", "<str>")
    assert shown["order_status"] == "trigger pending" and shown["symbol"] == "YESBANK"
    assert "AB1234" not in shown["rejection_reason"] and "23.5" in shown["rejection_reason"]
    assert masked("order 2511250001 of AB1234 is not in lots of 75") == "order … of … is not in lots of 75"
