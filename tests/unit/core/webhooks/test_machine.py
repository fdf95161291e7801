"""The machine: duplicates, windows, no-ops, restarts, the count of requests, and what a signal says."""

from datetime import date, time
from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.calendar import Calendar
from mytrading.core.request_counter import MOST_A_MINUTE, RequestCounter
from mytrading.core.time import SECOND
from mytrading.core.webhooks.refusals import refusal
from mytrading.messages.control import StrategySwitch
from mytrading.messages.enums import Action, Mode, Product
from tests.kit.webhooks import CALENDAR, Receiver, at, signals, targets, verdicts, webhook

BUY = '{"symbol": "SBIN", "action": "buy"}'
SELL = '{"symbol": "SBIN", "action": "sell"}'
SCAN = '{"stocks": "SBIN,INFY,WIPRO", "scan_name": "BUY them", "triggered_at": "2:34 pm"}'
THREE = "".join(
    f'[[symbols]]\nsymbol = "{name}"\ninstrument = "NSE:{name}"\nquantity = 5\n' for name in ("SBIN", "INFY", "TCS")
)


class Held:
    """Positions that a test sets, in units by instrument."""

    def __init__(self, **units: int) -> None:
        self.held = {f"NSE:{name}": count for name, count in units.items()}
        self.stopped = 0
        self.emptied = 0

    def units(self, strategy: str, instrument: str) -> int | None:
        return self.held.get(instrument, 0)

    def stopped_machine_ns(self, strategy: str, instrument: str) -> int:
        return self.stopped

    def emptied_machine_ns(self, strategy: str, instrument: str) -> int:
        return self.emptied


def test_accepted_alert_is_a_target_of_its_strategy() -> None:
    receiver = Receiver()
    alert, rows = receiver.post(BUY)
    (signal,) = signals(rows)
    assert (signal.strategy, signal.watch, signal.action) == ("alerts", "NSE:SBIN", Action.BUY)
    assert [(leg.instrument, leg.lots) for leg in signal.legs] == [("NSE:SBIN", 50)]
    assert (signal.product, signal.created_ns) == (Product.MIS, receiver.now)
    assert (signal.expires_ns, signal.expires_machine_ns) == (
        receiver.now + 60 * SECOND,
        alert.received_ns + 2 * SECOND,
    )
    assert verdicts(rows) == ["accepted"]


def test_exit_is_the_target_nothing() -> None:
    receiver = Receiver()
    receiver.post(BUY)
    _, rows = receiver.post(SELL)
    (signal,) = signals(rows)
    assert (signal.action, signal.legs) == (Action.EXIT, ())


def test_lots_of_a_contract_are_counted_from_its_size() -> None:
    row = '[[symbols]]\nsymbol = "NIFTY1!"\ninstrument = "NFO:NIFTY27JAN26FUT"\nlots = 2\n'
    receiver = Receiver(webhook(symbols=row, mode="BOTH"))
    body = '{{"symbol": "nifty1!", "action": "buy", "position_size": {}}}'
    _, rows = receiver.post(body.format(150))
    assert targets(rows) == [150]
    assert [leg.lots for leg in signals(rows)[0].legs] == [2]
    assert verdicts(receiver.post(body.format(100))[1]) == ["NOT_WHOLE_LOTS"]


@pytest.mark.parametrize(("sender", "window"), [("tradingview", 30), ("generic", 5), ("amibroker", 5)])
def test_same_alert_within_the_window_is_one(sender: str, window: int) -> None:
    receiver = Receiver(webhook(sender=sender))
    first, rows = receiver.post(BUY)
    receiver.wait(window - 1e-9)
    _, again = receiver.post(BUY)
    assert verdicts(again) == ["duplicate"]
    assert again[0].first == first.id
    assert signals(again) == []
    receiver.wait(1e-9)
    _, third = receiver.post(BUY)
    assert verdicts(third) == ["accepted"]
    assert signals(third)[0].id != signals(rows)[0].id


def test_duplicate_is_known_after_a_restart() -> None:
    receiver = Receiver()
    first, _ = receiver.post(BUY)
    receiver.restart()
    receiver.wait(1)
    _, rows = receiver.post(BUY)
    assert verdicts(rows) == ["duplicate"]
    assert rows[0].first == first.id


def test_id_of_the_sender_tells_alerts_apart() -> None:
    receiver = Receiver(webhook(sender="tradingview", duplicate_seconds=60))
    body = '{{"symbol": "SBIN", "action": "buy", "id": "{}", "note": "{}"}}'
    assert verdicts(receiver.post(body.format("a", 1))[1]) == ["accepted"]
    assert verdicts(receiver.post(body.format("a", 2))[1]) == ["duplicate"]
    assert verdicts(receiver.post(body.format("b", 1))[1]) == ["accepted"]


def test_bar_time_tells_alerts_without_an_id_apart() -> None:
    receiver = Receiver()
    body = '{{"symbol": "SBIN", "action": "buy", "time": "{}"}}'
    found = [verdicts(receiver.post(body.format(bar))[1])[0] for bar in ("10:00", "10:00", "10:01")]
    assert found == ["accepted", "duplicate", "accepted"]


def test_signature_counts_once_over_a_restart_and_a_new_day() -> None:
    receiver = Receiver(webhook(duplicate_seconds=0))
    alert, _ = receiver.post(BUY)
    signed = replace(alert, id="1", status="s1", signature="abc")
    assert verdicts(receiver.send(signed)) == ["accepted"]

    def again(number: int) -> list[str]:
        return verdicts(
            receiver.send(replace(signed, id=f"{number}", status=f"s{number}", received_ns=receiver.machine_ns))
        )

    receiver.wait(599)
    assert again(2) == ["duplicate"]
    receiver.restart()
    assert again(3) == ["duplicate"]
    receiver.rows = [receiver.machine.snapshot("2026-01-08")]
    receiver.restart()
    assert again(4) == ["duplicate"]


def test_signature_of_a_refused_alert_counts_no_second_time() -> None:
    receiver = Receiver(webhook(locked=True))
    alert, _ = receiver.post(BUY)
    signed = replace(alert, id="1", status="s1", signature="abc")
    assert verdicts(receiver.send(signed)) == ["WEBHOOK_LOCKED"]
    receiver.machine.environment.webhooks = {"alerts": webhook()}
    assert verdicts(receiver.send(replace(signed, id="2", status="s2"))) == ["STALE_SIGNATURE"]


def sized(action: str, size: int) -> str:
    """An alert as many send it: a size, and neither time nor id."""
    return f'{{"symbol": "SBIN", "action": "{action}", "position_size": {size}}}'


@pytest.mark.parametrize("sender", ["tradingview", "generic"])
@pytest.mark.parametrize("between", [sized("buy", 20), sized("sell", -20), sized("buy", 10)])
def test_exit_of_the_same_words_is_carried_out_again_while_something_is_held(sender: str, between: str) -> None:
    """Buy, exit, enter, exit within the window of duplicates: the second exit has the words of the first."""
    receiver = Receiver(webhook(sender=sender, mode="BOTH", duplicate_seconds=60))
    receiver.machine.environment.holdings = held = Held()
    for body, units in ((sized("buy", 10), 10), (sized("sell", 0), 0), (between, 20)):
        assert verdicts(receiver.post(body)[1]) == ["accepted"]
        held.held["NSE:SBIN"] = units
        receiver.wait(3)
    (signal,) = signals(receiver.post(sized("sell", 0))[1])
    assert signal.action is Action.EXIT
    receiver.restart()
    receiver.wait(3)
    assert signals(receiver.post(sized("sell", 0))[1]), "also while the exit is on its way"
    held.held["NSE:SBIN"] = 0
    receiver.wait(3)
    assert not signals(receiver.post(sized("sell", 0))[1]), "and never once all is flat"


@pytest.mark.parametrize("between", ["sell", "other words", "nothing"])
def test_entry_of_the_same_words_is_a_duplicate_while_no_other_alert_came_between(between: str) -> None:
    receiver = Receiver(webhook(mode="BOTH", duplicate_seconds=60, symbols=THREE))
    receiver.machine.environment.holdings = held = Held()
    assert verdicts(receiver.post(sized("buy", 10))[1]) == ["accepted"]
    receiver.wait(2)
    receiver.post(sized("buy", 10).replace("SBIN", "INFY"))  # another symbol's alert says nothing of this one
    if between == "sell":
        receiver.post(sized("sell", 0))
        receiver.restart()
    elif between == "other words":
        receiver.post(sized("sell", -5))
    held.held["NSE:SBIN"] = 0
    receiver.wait(2)
    expected = ["duplicate"] if between == "nothing" else ["accepted"]
    assert verdicts(receiver.post(sized("buy", 10))[1]) == expected


@pytest.mark.parametrize("own", ['"id": "7"', '"time": "2026-01-07T10:00:03"'])
def test_entry_with_an_id_or_a_time_that_comes_late_is_a_duplicate_whatever_came_between(own: str) -> None:
    receiver = Receiver(webhook(mode="BOTH", duplicate_seconds=60))
    entry = sized("buy", 10).replace("}", f", {own}}}")
    assert verdicts(receiver.post(entry)[1]) == ["accepted"]
    receiver.wait(2)
    assert verdicts(receiver.post(sized("sell", 0))[1]) == ["accepted"]
    receiver.wait(2)
    assert verdicts(receiver.post(entry)[1]) == ["duplicate"]


def test_what_is_held_is_not_there_while_an_exit_of_it_is_not_done() -> None:
    """The entry behind an exit was denied; the next one of the same size is not "nothing to do"."""
    receiver = Receiver(webhook(mode="BOTH", duplicate_seconds=0))
    receiver.machine.environment.holdings = held = Held(SBIN=10)
    held.emptied = receiver.machine_ns - SECOND
    for body in (sized("buy", 10), sized("sell", 0), sized("buy", 10)):
        receiver.wait(5)
        assert verdicts(receiver.post(body)[1]) == ["accepted"]
    receiver.wait(5)
    assert verdicts(receiver.post(sized("buy", 10))[1]) == ["accepted"]
    receiver.rows = [receiver.machine.snapshot("2026-01-08")]
    receiver.restart()
    receiver.wait(5)
    assert verdicts(receiver.post(sized("buy", 10))[1]) == ["accepted"]
    held.emptied = receiver.machine_ns
    receiver.wait(5)
    assert verdicts(receiver.post(sized("buy", 10))[1]) == ["no_op"]


@pytest.mark.parametrize(
    ("product", "exit_", "entry"),
    [("CNC", "accepted", "OUTSIDE_WINDOW"), ("MIS", "OUTSIDE_WINDOW", "OUTSIDE_WINDOW")],
)
@pytest.mark.parametrize(
    "moment", [at("15:31:00"), at("11:00:00", date(2026, 1, 10)), at("11:00:00", date(2026, 1, 26))]
)
def test_exit_of_what_stays_over_night_is_taken_while_the_exchange_is_closed(
    product: str, exit_: str, entry: str, moment: int
) -> None:
    row = f'[[symbols]]\nsymbol = "SBIN"\ninstrument = "NSE:SBIN"\nquantity = 10\nproduct = "{product}"\n'
    receiver = Receiver(webhook(symbols=row, intraday=product == "MIS"))
    receiver.machine.environment.holdings = Held(SBIN=10)
    assert verdicts(receiver.post(BUY)[1]) == ["accepted"]
    receiver.now = moment
    rows = receiver.post(SELL)[1]
    assert verdicts(rows) == [exit_]
    assert [signal.action for signal in signals(rows)] == ([Action.EXIT] if exit_ == "accepted" else [])
    receiver.wait(60)
    assert verdicts(receiver.post(BUY)[1]) == [entry]


def test_refused_alert_may_be_sent_again() -> None:
    receiver = Receiver()
    receiver.now = at("15:30:00")
    assert verdicts(receiver.post(BUY)[1]) == ["OUTSIDE_WINDOW"]
    receiver.now = at("10:00:00")
    assert verdicts(receiver.post(BUY)[1]) == ["accepted"]


NANO = 1 / SECOND


@pytest.mark.parametrize(
    ("clock", "before", "buy", "sell"),
    [
        ("09:15:00", NANO, "OUTSIDE_WINDOW", "OUTSIDE_WINDOW"),
        ("09:15:00", 0, "OUTSIDE_WINDOW", "accepted"),
        ("09:20:00", 1e-6, "OUTSIDE_WINDOW", "accepted"),
        ("09:20:00", 0, "accepted", "accepted"),
        ("15:00:00", 1e-6, "accepted", "accepted"),
        ("15:00:00", 0, "OUTSIDE_WINDOW", "accepted"),
        ("15:10:00", 0, "OUTSIDE_WINDOW", "accepted"),
        ("15:30:00", NANO, "OUTSIDE_WINDOW", "accepted"),
        ("15:30:00", 0, "OUTSIDE_WINDOW", "OUTSIDE_WINDOW"),
    ],
)
def test_entries_have_a_half_open_window_and_exits_the_hours(clock: str, before: float, buy: str, sell: str) -> None:
    receiver = Receiver(webhook(start="09:20", end="15:00", square_off="15:10"))
    receiver.now = at(clock) - round(before * SECOND)
    assert verdicts(receiver.post(BUY)[1]) == [buy]
    assert verdicts(receiver.post(SELL)[1]) == [sell]


@pytest.mark.parametrize("day", [date(2026, 1, 10), date(2026, 1, 26)])
def test_nothing_is_taken_on_a_weekend_or_a_holiday(day: date) -> None:
    receiver = Receiver()
    receiver.now = at("10:00:00", day)
    assert [verdicts(receiver.post(body)[1]) for body in (BUY, SELL)] == [["OUTSIDE_WINDOW"]] * 2


def test_special_session_of_a_holiday_is_traded_in_its_own_hours() -> None:
    muhurat = {
        "date": date(2026, 1, 26),
        "exchanges": ["NSE"],
        "open": time(18, 15),
        "close": time(19, 15),
        "name": "M",
    }
    for keys, expected in (({}, "accepted"), ({"start": "09:20", "end": "15:00"}, "OUTSIDE_WINDOW")):
        receiver = Receiver(webhook(**keys))
        receiver.machine.environment.calendar = Calendar.from_dict(CALENDAR | {"special": [muhurat]})
        receiver.now = at("18:14:59", date(2026, 1, 26))
        assert verdicts(receiver.post(BUY)[1]) == ["OUTSIDE_WINDOW"]
        receiver.wait(6)
        assert verdicts(receiver.post(BUY)[1]) == [expected]


def test_contract_that_has_expired_is_not_traded() -> None:
    row = '[[symbols]]\nsymbol = "N"\ninstrument = "NFO:NIFTY30DEC25FUT"\nlots = 1\nproduct = "NRML"\n'
    assert verdicts(Receiver(webhook(symbols=row)).post('{"symbol": "N", "action": "buy"}')[1]) == [
        "UNKNOWN_INSTRUMENT"
    ]


def test_positional_webhook_has_no_window() -> None:
    row = '[[symbols]]\nsymbol = "SBIN"\ninstrument = "NSE:SBIN"\nquantity = 5\nproduct = "CNC"\n'
    receiver = Receiver(webhook(symbols=row, intraday=False))
    receiver.now = at("15:29:59")
    assert verdicts(receiver.post(BUY)[1]) == ["accepted"]
    assert not receiver.webhooks[0].strategy_run().intraday


def test_stocks_of_a_scan_have_a_verdict_each() -> None:
    receiver = Receiver(webhook(sender="chartink", mode="BOTH", symbols=THREE))
    _, rows = receiver.post(SCAN)
    assert verdicts(rows) == ["accepted", "accepted", "UNMAPPED_SYMBOL"]
    assert [signal.watch for signal in signals(rows)] == ["NSE:SBIN", "NSE:INFY"]
    assert len({signal.id for signal in signals(rows)}) == 2
    _, again = receiver.post(SCAN)
    assert verdicts(again) == ["duplicate", "duplicate", "UNMAPPED_SYMBOL"]


def test_what_is_there_already_is_no_order() -> None:
    receiver = Receiver()
    receiver.machine.environment.holdings = held = Held()
    assert verdicts(receiver.post(SELL)[1]) == ["no_op"]
    receiver.post(BUY)
    receiver.wait(60)
    assert verdicts(receiver.post(BUY)[1]) == ["accepted"]
    receiver.wait(60)
    held.held["NSE:SBIN"] = 50
    assert verdicts(receiver.post(BUY)[1]) == ["no_op"]
    assert verdicts(receiver.post(SELL)[1]) == ["accepted"]


def test_exit_behind_an_entry_under_way_is_sent() -> None:
    receiver = Receiver()
    receiver.machine.environment.holdings = Held()
    receiver.post(BUY)
    assert [signal.action for signal in signals(receiver.post(SELL)[1])] == [Action.EXIT]


def test_entries_wait_after_a_stop() -> None:
    receiver = Receiver(webhook(cooling_off_seconds=30))
    receiver.machine.environment.holdings = held = Held()
    held.stopped = receiver.machine_ns
    receiver.wait(29)
    assert verdicts(receiver.post(BUY)[1]) == ["COOLING_OFF"]
    receiver.wait(1)
    assert verdicts(receiver.post(BUY)[1]) == ["accepted"]


def off(enabled: bool) -> StrategySwitch:
    return StrategySwitch(strategy="alerts", enabled=enabled, generation=1, at_ns=0)


def test_switched_off_strategy_takes_exits_alone() -> None:
    receiver = Receiver()
    receiver.machine.apply(off(False))
    assert [verdicts(receiver.post(body)[1])[0] for body in (BUY, SELL)] == ["STRATEGY_INACTIVE", "accepted"]
    receiver.machine.apply(off(True))
    assert verdicts(receiver.post(BUY)[1]) == ["accepted"]


@pytest.mark.parametrize(
    ("mode", "keys", "expected"),
    [
        (Mode.PAPER, {"locked": True}, "WEBHOOK_LOCKED"),
        (Mode.LIVE, {}, "LIVE_NOT_ALLOWED"),
        (Mode.LIVE, {"live": True}, "accepted"),
        (Mode.PAPER, {"accounts": ["second"]}, "NO_CREDENTIALS"),
    ],
)
def test_whole_webhook_may_be_refused(mode: Mode, keys: dict[str, Any], expected: str) -> None:
    assert verdicts(Receiver(webhook(**keys), mode=mode).post(BUY)[1]) == [expected]


def test_symbol_is_found_with_its_exchange_before_it() -> None:
    receiver = Receiver()
    found = [
        verdicts(receiver.post(f'{{"symbol": "{name}", "action": "buy"}}')[1])[0] for name in ("NSE:sbin", "NSE:INFY")
    ]
    assert found == ["accepted", "UNMAPPED_SYMBOL"]


def test_instrument_that_is_not_listed_is_refused() -> None:
    row = '[[symbols]]\nsymbol = "SBIN"\ninstrument = "NSE:GONE"\nquantity = 5\n'
    assert verdicts(Receiver(webhook(symbols=row)).post(BUY)[1]) == ["UNKNOWN_INSTRUMENT"]


def test_unreadable_alert_is_journaled_with_its_code() -> None:
    alert, rows = Receiver().post("{")
    assert verdicts(rows) == ["BAD_JSON"]
    assert alert.refusal is not None


def test_hundred_and_first_request_in_a_minute_must_wait() -> None:
    counter, start = RequestCounter(), 5 * SECOND
    for number in range(MOST_A_MINUTE):
        assert counter.count_if_allowed("a", start + number * SECOND // 10) == 0
    assert counter.count_if_allowed("a", start + 10 * SECOND) == 50
    assert counter.count_if_allowed("b", start + 10 * SECOND) == 0
    assert counter.count_if_allowed("a", start + 60 * SECOND - 1) == 1
    assert counter.count_if_allowed("a", start + 60 * SECOND) == 0
    assert counter.count_if_allowed("a", start + 60 * SECOND) == 1


def test_requests_are_counted_by_webhook_and_address_over_a_restart() -> None:
    receiver = Receiver()
    for _ in range(MOST_A_MINUTE):
        receiver.post(BUY)
    receiver.restart()
    left = receiver.machine.requests.seconds_left
    assert left(("alerts", "10.0.0.1"), receiver.machine_ns) == 60
    assert left(("alerts", "10.0.0.2"), receiver.machine_ns) == 0


def test_new_day_begins_with_the_alerts_of_the_week() -> None:
    receiver = Receiver()
    alert, _ = receiver.post(BUY)
    opened = receiver.machine.snapshot("2026-01-08")
    receiver.rows = [opened]
    receiver.restart()
    receiver.machine.set_machine_time(receiver.machine_ns)
    found = receiver.machine.alert(alert.status)
    assert found is not None
    assert [row.verdict.value for row in found.verdicts] == ["accepted"]
    receiver.wait(1)
    assert verdicts(receiver.post(BUY)[1]) == ["duplicate"]
    receiver.machine.set_machine_time(receiver.machine_ns + 8 * 86_400 * SECOND)
    assert receiver.machine.alert(alert.status) is None


def test_webhook_that_fires_daily_and_is_silent_raises_an_alert_while_its_exchange_is_open() -> None:
    receiver = Receiver(webhook(silence_days=2))
    assert receiver.machine.silent(receiver.now) == {}
    receiver.post(BUY)
    opened = receiver.machine.snapshot("2026-01-08")
    receiver.rows = [opened]
    receiver.restart()
    assert receiver.machine.silent(at("10:00:00", date(2026, 1, 8))) == {}
    assert receiver.machine.silent(at("09:59:59", date(2026, 1, 9))) == {}
    assert receiver.machine.silent(at("10:00:00", date(2026, 1, 9))) == {"alerts": 2}
    assert receiver.machine.silent(at("16:00:00", date(2026, 1, 9))) == {}


def test_days_on_which_nothing_trades_are_no_silence() -> None:
    receiver = Receiver(webhook(silence_days=2))
    receiver.now = at("10:00:00", date(2026, 1, 23))  # a Friday before a holiday on Monday
    receiver.post(BUY)
    assert receiver.machine.silent(at("15:00:00", date(2026, 1, 27))) == {}
    assert receiver.machine.silent(at("09:59:59", date(2026, 1, 28))) == {}
    assert receiver.machine.silent(at("10:00:00", date(2026, 1, 28))) == {"alerts": 2}


def test_smaller_position_of_the_same_side_is_refused() -> None:
    receiver = Receiver(webhook(mode="BOTH"))
    body = '{{"symbol": "SBIN", "action": "{}", "position_size": {}, "id": "{}"}}'
    assert verdicts(receiver.post(body.format("buy", 100, 1))[1]) == ["accepted"]
    assert verdicts(receiver.post(body.format("buy", 50, 2))[1]) == ["PARTIAL_EXIT"]
    receiver.machine.environment.holdings = held = Held(SBIN=100)
    assert verdicts(receiver.post(body.format("buy", 99, 3))[1]) == ["PARTIAL_EXIT"]
    assert verdicts(receiver.post(body.format("buy", 150, 4))[1]) == ["accepted"]
    held.held["NSE:SBIN"] = 0  # a stop closed it
    assert verdicts(receiver.post(body.format("buy", 50, 5))[1]) == ["accepted"]
    held.held["NSE:SBIN"] = -100
    assert verdicts(receiver.post(body.format("sell", -20, 6))[1]) == ["PARTIAL_EXIT"]
    assert verdicts(receiver.post(body.format("buy", 20, 7))[1]) == ["accepted"]
    assert verdicts(receiver.post(body.format("buy", 0, 8))[1]) == ["accepted"]


CALL = (
    '[[symbols]]\nsymbol = "NIFTY"\ninstrument = "NSE_INDEX:NIFTY"\n'
    'trade = "ATM CE weekly"\nlots = 2\nproduct = "NRML"\n'
)


def test_contract_is_chosen_by_the_price_and_stays_while_it_is_held() -> None:
    receiver = Receiver(webhook(symbols=CALL))
    environment = receiver.machine.environment
    environment.holdings = held = Held()
    body = '{{"symbol": "NIFTY", "action": "{}", "id": "{}"}}'
    assert verdicts(receiver.post(body.format("buy", 1))[1]) == ["NO_PRICE"]
    environment.prices["NSE_INDEX:NIFTY"] = 26010.0, receiver.machine_ns
    _, rows = receiver.post(body.format("buy", 2))
    (signal,) = signals(rows)
    assert (signal.watch, signal.product) == ("NSE_INDEX:NIFTY", Product.NRML)
    assert [(leg.instrument, leg.lots) for leg in signal.legs] == [("NFO:NIFTY13JAN2626000CE", 2)]
    assert (rows[0].instrument, rows[0].watch, rows[0].target) == ("NFO:NIFTY13JAN2626000CE", "NSE_INDEX:NIFTY", 150)
    environment.prices["NSE_INDEX:NIFTY"] = 26090.0, receiver.machine_ns
    held.held["NFO:NIFTY13JAN2626000CE"] = 150
    receiver.restart()
    receiver.machine.environment.prices = environment.prices
    assert verdicts(receiver.post(body.format("buy", 3))[1]) == ["no_op"]
    (exit_,) = signals(receiver.post(body.format("sell", 4))[1])
    assert (exit_.action, exit_.watch, exit_.legs) == (Action.EXIT, "NSE_INDEX:NIFTY", ())
    held.held.clear()
    (again,) = signals(receiver.post(body.format("buy", 5))[1])
    assert [leg.instrument for leg in again.legs] == ["NFO:NIFTY13JAN2626100CE"]
    receiver.wait(61)
    held.held.clear()
    receiver.post(body.format("sell", 6))
    assert verdicts(receiver.post(body.format("buy", 7))[1]) == ["NO_PRICE"]


def test_what_counts_of_forgotten_alerts_is_known_on_a_new_day(monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = Receiver(webhook(symbols=CALL, duplicate_seconds=3600))
    body = '{{"symbol": "NIFTY", "action": "buy", "id": "{}"}}'
    receiver.machine.environment.prices["NSE_INDEX:NIFTY"] = 26010.0, receiver.machine_ns
    first, _ = receiver.post(body.format(1))
    call = "NFO:NIFTY13JAN2626000CE"
    monkeypatch.setattr("mytrading.core.webhooks.machine.MOST_REMEMBERED", 1)
    for _ in range(3):
        receiver.wait(700)
        receiver.post("{")
    assert receiver.machine.alert(first.status) is None
    for _ in range(2):  # carried from day to day
        receiver.rows = [receiver.machine.snapshot("2026-01-08")]
        receiver.restart()
    receiver.machine.environment.holdings = held = Held()
    held.held[call] = 150
    assert verdicts(receiver.post(body.format(1))[1]) == ["duplicate"]
    _, rows = receiver.post(body.format(2))
    assert (verdicts(rows), rows[0].instrument) == (["no_op"], call)
    receiver.machine.set_machine_time(receiver.machine_ns + 8 * 86_400 * SECOND)
    (standing,) = receiver.machine.snapshot("2026-01-16").standing
    assert (standing.alert, standing.target) == (first.id, 150)


def test_alert_whose_signature_may_come_again_is_remembered_however_many_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mytrading.core.webhooks.machine.MOST_REMEMBERED", 1)
    receiver = Receiver(webhook(duplicate_seconds=0))
    alert, _ = receiver.post(BUY)
    signed = replace(alert, id="1", status="s1", signature="abc")
    receiver.send(signed)
    for _ in range(5):
        receiver.post("{")
    receiver.rows = [receiver.machine.snapshot("2026-01-08")]
    receiver.restart()
    assert verdicts(receiver.send(replace(signed, id="2", status="s2"))) == ["duplicate"]


def test_alert_after_a_boot_with_an_earlier_clock_is_none_of_before() -> None:
    receiver = Receiver()
    receiver.post(BUY)
    receiver.machine_ns -= 3600 * SECOND
    assert verdicts(receiver.post(BUY)[1]) == ["accepted"]
    receiver.wait(1)
    assert verdicts(receiver.post(BUY)[1]) == ["duplicate"]


def test_exit_goes_out_where_the_contract_chosen_before_is_forgotten() -> None:
    """A lost journal: nothing tells here which strike was bought, and risk holds it."""
    receiver = Receiver(webhook(symbols=CALL))
    receiver.machine.environment.holdings = held = Held()
    held.held["NFO:NIFTY13JAN2626000CE"] = 150
    exchanges = CALENDAR["exchanges"] | {"NSE_INDEX": {"like": "NSE"}}
    receiver.machine.environment.calendar = Calendar.from_dict(CALENDAR | {"exchanges": exchanges})
    (exit_,) = signals(receiver.post('{"symbol": "NIFTY", "action": "sell", "id": "1"}')[1])
    assert (exit_.action, exit_.watch, exit_.legs) == (Action.EXIT, "NSE_INDEX:NIFTY", ())


SPREAD = (
    '[[symbols]]\nsymbol = "NIFTY"\ninstrument = "NSE_INDEX:NIFTY"\nlots = 2\nproduct = "NRML"\n'
    'legs = ["BUY OTM 2 CE weekly", "SELL ATM CE weekly"]\n'
)


def test_legs_are_opened_together_once_and_closed_together() -> None:
    receiver = Receiver(webhook(symbols=SPREAD))
    receiver.machine.environment.holdings = held = Held()
    prices = receiver.machine.environment.prices
    prices["NSE_INDEX:NIFTY"] = 26010.0, receiver.machine_ns
    body = '{{"symbol": "NIFTY", "action": "{}", "position_size": {}, "id": "{}"}}'
    _, rows = receiver.post(body.format("buy", 75, 1))
    (signal,) = signals(rows)
    assert (signal.action, signal.watch) == (Action.BUY, "NSE_INDEX:NIFTY")
    bought, sold = "NFO:NIFTY13JAN2626100CE", "NFO:NIFTY13JAN2626000CE"
    assert [(leg.instrument, leg.lots) for leg in signal.legs] == [(bought, 2), (sold, -2)]
    assert (rows[0].instrument, rows[0].watch, rows[0].target) == (bought, "NSE_INDEX:NIFTY", 2)
    held.held |= {bought: 150, sold: -150}
    prices["NSE_INDEX:NIFTY"] = 26090.0, receiver.machine_ns
    receiver.restart()
    receiver.machine.environment.prices = prices
    assert verdicts(receiver.post(body.format("buy", 150, 2))[1]) == ["no_op"]
    (exit_,) = signals(receiver.post(body.format("sell", 0, 3))[1])
    assert (exit_.action, exit_.watch, exit_.legs) == (Action.EXIT, "NSE_INDEX:NIFTY", ())
    held.held.clear()
    assert verdicts(receiver.post(body.format("sell", 0, 4))[1]) == ["no_op"]
    prices["NSE_INDEX:NIFTY"] = 26010.0, receiver.machine_ns
    held.stopped = receiver.machine_ns
    assert verdicts(receiver.post(body.format("buy", 75, 5))[1]) == ["COOLING_OFF"]
    held.stopped = 0
    prices["NSE_INDEX:NIFTY"] = 26090.0, receiver.machine_ns
    assert verdicts(receiver.post(body.format("buy", 75, 6))[1]) == ["UNKNOWN_INSTRUMENT"]


def test_requests_over_the_limit_are_refused_in_the_journal_and_count_no_more() -> None:
    receiver = Receiver()
    alert, _ = receiver.post(BUY)
    limited = replace(alert, id="x", status="y", refusal=refusal("RATE_LIMITED", "expected fewer"))
    for _ in range(200):
        receiver.send(limited)
    assert receiver.machine.requests.seconds_left(("alerts", "10.0.0.1"), receiver.machine_ns) == 0
    assert verdicts(receiver.rows[-1:]) == ["RATE_LIMITED"]
