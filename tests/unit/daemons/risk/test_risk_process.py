"""Risk's process around its machine: files that it reads again, and limits that it warns of before they are reached."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date, time
from pathlib import Path

import msgspec
import pytest

from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.time import DAY, SECOND, iso_day, to_ns
from mytrading.daemons.risk.daemon import RiskManager
from mytrading.messages.codec import Frame, Header, encode_body
from mytrading.messages.commands import CloseGoal, RiskLevels
from mytrading.messages.control import (
    KILL,
    Alert,
    LimitUse,
    OrderTrial,
    OrderTrialResult,
    StepDone,
    TradingState,
    WantInstruments,
)
from mytrading.messages.enums import (
    Action,
    LimitAction,
    LimitKind,
    OrderState,
    OrderType,
    Product,
    Purpose,
    Severity,
    Side,
    TradingLevel,
)
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.journal_rows import DayOpened, FileTaken, LevelMoved
from mytrading.messages.market import MarketStep, Quote
from mytrading.messages.orders import Order, OrderChanged, Position, PositionChanged, Protection, ProtectionChanged
from mytrading.messages.reports import Funds
from mytrading.messages.run_config import StrategyRun, VenueKind
from mytrading.messages.signals import Signal
from mytrading.messages.streams import STEP_TOPIC, TRIAL_TOPIC
from mytrading.runtime.daemon.live_files import CODE
from mytrading.runtime.host.clock import ClockFile, ClockSegment, machine_now, write_clock_file
from mytrading.runtime.journal.journal import INPUT, OUTPUT, Entry, Journal
from tests.kit.margin_tables import TODAY
from tests.kit.project import ROOT
from tests.kit.run_configs import run_config
from tests.kit.webhooks import webhook_text

NOON = to_ns(date(2026, 11, 23), time(12, 0))


@pytest.fixture
def risk(tmp_path: Path) -> Iterator[RiskManager]:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    made = RiskManager(msgspec.structs.replace(run_config(tmp_path), home=str(tmp_path)))
    made.setup()
    yield made
    made.teardown()
    made.context.destroy(linger=0)


@pytest.mark.parametrize(
    ("kind", "speed", "seconds"),
    [(VenueKind.OPENALGO, 1.0, 120), (VenueKind.OPENALGO, 0.0, 0), (VenueKind.DRY_RUN, 1.0, 0)],
)
def test_funds_age_where_a_server_tells_them_and_machine_time_counts(
    tmp_path: Path, kind: VenueKind, speed: float, seconds: int
) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    config = run_config(tmp_path)
    venue = msgspec.structs.replace(config.venue, kind=kind)
    write_clock_file(config.clock_path, ClockFile(segments=(ClockSegment(machine_now(), NOON, speed),)))
    made = RiskManager(msgspec.structs.replace(config, home=str(tmp_path), venue=venue))
    assert made.risk.environment.funds_stale == seconds * 1_000_000_000
    made.context.destroy(linger=0)


def edit(risk: RiskManager, file: str, before: str, after: str) -> None:
    """Write the file anew, and look at edited files."""
    path = risk.config.calendar_path.with_name(file)
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")
    risk.edits.poll()


def test_edited_margin_and_grade_count_in_the_running_process_and_a_broken_edit_does_not(risk: RiskManager) -> None:
    edit(risk, "risk.toml", "sold = { expiry = 205000, other = 250000 }", "sold = { expiry = 205000, other = 260000 }")
    figures = risk.risk.environment.tables.figures_of("NIFTY", TODAY)
    assert figures is not None and figures.sold.other == 260_000
    edit(risk, "risk.toml", "B = 0.65", "B = 0.5")
    assert risk.risk.environment.tables.margin_share_of("B").share == 0.5
    edit(risk, "risk.toml", "B = 0.5", "B = 1.5")
    assert risk.risk.environment.tables.margin_share_of("B").share == 0.5
    assert [(alert.code, alert.subject) for alert in risk.alerts.active] == [(CODE, "risk.toml")]


def test_trial_order_gets_quotes_for_a_while_and_an_answer(risk: RiskManager, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[WantInstruments | OrderTrialResult] = []
    monkeypatch.setattr(risk.status, "send", lambda _topic, message: sent.append(message))
    share = Instrument(id="NSE:SBIN", exchange="NSE", symbol="SBIN", kind=InstrumentKind.EQ, underlying="SBIN")
    risk.risk.set_contracts(InstrumentBook([share]))
    strategy = risk.config.strategies[0].name
    trial = OrderTrial(
        id="t", account=risk.config.venue.account, strategy=strategy, instrument=share.id, lots=1,
        asked_machine_ns=machine_now(),
    )  # fmt: skip
    header = Header(1, 1, 1, b"", 0)

    def ask(asked: OrderTrial) -> None:
        risk._on_trial(Frame(TRIAL_TOPIC, header, asked, b""))

    ask(trial)
    (wants,) = sent
    assert isinstance(wants, WantInstruments) and share.id in wants.instruments and share.id not in wants.held
    ask(msgspec.structs.replace(trial, asked_machine_ns=machine_now() - 5 * SECOND))
    answer = sent[-1]
    assert isinstance(answer, OrderTrialResult)
    assert "NO_QUOTE" in {rule.code for rule in answer.rules if rule.denial}
    typo = msgspec.structs.replace(trial, instrument="NSE:NOSUCH", asked_machine_ns=machine_now())
    ask(typo)
    assert isinstance(sent[-1], OrderTrialResult), "answered at once: there is nothing to wait for"
    risk._send_wants(0)
    assert isinstance(sent[-1], WantInstruments) and "NSE:NOSUCH" not in sent[-1].instruments
    ask(msgspec.structs.replace(typo, contract=msgspec.structs.replace(share, id="NSE:NOSUCH", symbol="NOSUCH")))
    assert isinstance(sent[-1], WantInstruments) and "NSE:NOSUCH" in sent[-1].instruments
    monkeypatch.setattr(risk.risk, "try_order", lambda *_: 1 // 0)
    ask(msgspec.structs.replace(trial, asked_machine_ns=0))
    assert isinstance(sent[-1], OrderTrialResult) and "defect" in sent[-1].problem
    assert risk.risk.wanted_instruments() == ()
    monkeypatch.setattr("mytrading.daemons.risk.daemon.machine_now", lambda: machine_now() + 60 * SECOND)
    risk._send_wants(0)
    assert isinstance(sent[-1], WantInstruments) and share.id not in sent[-1].instruments


def test_feed_learns_each_second_what_is_held(risk: RiskManager, monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[WantInstruments] = []
    monkeypatch.setattr(risk.status, "send", lambda _topic, message: reported.append(message))
    held = Position(account="main", instrument="NSE:SBIN", product=Product.CNC, strategy="S", run="r", quantity=5)
    for units in (5, 0):
        now = msgspec.structs.replace(held, quantity=units)
        moved = PositionChanged(position=now, client_order_id="c", fill_quantity=1, fill_price=1.0, at_ns=0)
        risk.risk.apply(moved)
        risk._send_wants(0)
    assert [message.held for message in reported] == [("NSE:SBIN",), ()]


def test_removed_webhook_is_squared_off_by_its_file_until_it_was_flat_at_two_looks(risk: RiskManager) -> None:
    path = risk.config.webhooks_dir / "alerts.toml"
    path.parent.mkdir()
    path.write_text(webhook_text(square_off="15:10"))
    risk._take_webhooks()
    path.unlink()
    held = Position(account="main", instrument="NSE:SBIN", product=Product.MIS, strategy="alerts", run="r", quantity=5)
    for units in (5, 0):
        moved = msgspec.structs.replace(held, quantity=units)
        risk.risk.apply(PositionChanged(position=moved, client_order_id="c", fill_quantity=1, fill_price=1.0, at_ns=0))
        for _ in range(2):
            risk._take_webhooks()
            assert list(risk._webhooks.closing) == ["alerts"]
            assert risk.risk.environment.strategies["alerts"].square_off == "15:10"
            risk.drop_deleted_webhooks()
    risk._take_webhooks()
    assert risk._webhooks.closing == {}


def test_edited_session_counts_for_the_entries_that_risk_admits(risk: RiskManager) -> None:
    late = to_ns(date(2026, 11, 23), time(15, 20))
    calendar = risk.risk.environment.calendar
    assert calendar.is_open("NFO", late)
    edit(risk, "calendar.toml", "close = 15:40:00", "close = 15:10:00")
    assert not calendar.is_open("NFO", late)


def test_what_counts_of_the_files_is_in_the_journal_once_and_after_each_edit(risk: RiskManager) -> None:
    edit(risk, "risk.toml", "B = 0.65", "B = 0.5")
    edit(risk, "risk.toml", "B = 0.5", "B = 1.5")
    text = risk.config.calendar_path.with_name("risk.toml").read_text(encoding="utf-8")
    risk.note_file("risk.toml", text.replace("B = 1.5", "B = 0.5"))
    rows = [risk.decode(row) for row in risk.journal.rows() if row.stream == "records"]
    taken = [row for row in rows if isinstance(row, FileTaken)]
    assert [row.name for row in taken] == ["calendar.toml", "risk.toml", "risk.toml"]
    assert ["B = 0.5\n" in row.text for row in taken] == [False, False, True]


def test_limit_that_is_nearly_used_up_is_reported_once_and_again_only_after_it_has_eased(risk: RiskManager) -> None:
    def use(share: float, reached: str = "") -> list[str]:
        risk._limits = (
            LimitUse(
                kind=LimitKind.DAILY_LOSS, scope="account", name="main", most=1.0, action=LimitAction.NO_ENTRIES,
                used=share, reached=reached,
            ),
        )  # fmt: skip
        risk._update_alerts()
        return [f"{alert.code}: {alert.message[:3]}" for alert in risk.alerts.active]

    reported = ["LIMIT_NEAR: 80%"]
    assert use(0.79) == []
    assert use(0.8) == use(0.95) == use(0.75) == use(0.8) == reported, "it swings about the line"
    assert use(0.69) == []
    assert use(0.9) == ["LIMIT_NEAR: 90%"]
    assert use(1.0, "reached") == [], "the limit's own alert says it now"


def test_failed_stop_is_no_alert_any_more_once_what_it_guarded_is_flat(risk: RiskManager) -> None:
    guard = Protection(
        id="p", account="main", instrument="NSE:SBIN", product=Product.MIS, strategy="S", run="r", cause="c",
        side=Side.SELL, trigger=784.0, limit=776.0,
    )  # fmt: skip
    risk.risk.apply(ProtectionChanged(protection=guard, at_ns=1))
    risk.alerts.raise_("STOP_FAILED", Severity.CRITICAL, "p", "it is being closed")
    risk._update_alerts()
    assert [alert.code for alert in risk.alerts.active] == ["STOP_FAILED"]
    risk.risk.apply(ProtectionChanged(protection=msgspec.structs.replace(guard, state="done"), at_ns=2))
    risk._update_alerts()
    assert risk.alerts.active == ()


def test_alert_of_the_file_kill_follows_from_the_level_that_counts_also_after_a_start(risk: RiskManager) -> None:
    halted = TradingState(level=TradingLevel.HALT, generation=1, reason="the file KILL says halt", at_ns=1,
                          account=KILL, by="kim")  # fmt: skip
    risk.risk.apply(halted)
    risk._update_alerts()
    (alert,) = risk.alerts.active
    assert (alert.code, alert.subject, alert.count) == ("KILL_FILE", str(risk.config.state / "KILL"), 1)
    assert alert.message.startswith("the file KILL says halt (by kim): no entries")
    risk._update_alerts()
    assert [alert.count for alert in risk.alerts.active] == [1]
    risk.risk.apply(msgspec.structs.replace(halted, level=TradingLevel.NORMAL, generation=2))
    risk._update_alerts()
    assert risk.alerts.active == ()


def test_alert_of_a_rule_of_a_run_ends_with_its_day(risk: RiskManager) -> None:
    for day_ns, left in ((risk.clock.now(), ["STRATEGY_RISK"]), (risk.clock.now() - 86_400 * SECOND, [])):
        spoke = Alert(code="STRATEGY_RISK", severity=Severity.WARNING, subject="S", message="", daemon="risk",
                      first_ns=day_ns, last_ns=day_ns)  # fmt: skip
        risk.alerts.restore(spoke)
        risk._update_alerts()
        assert [alert.code for alert in risk.alerts.active] == left


def test_call_whose_cover_was_stopped_out_while_risk_was_down_is_bought_back_after_its_start(tmp_path: Path) -> None:
    """Rows that the router wrote meanwhile are learnt from its journal, and no decision is made row by row."""
    future, call = "NFO:NIFTY24NOV26FUT", "NFO:NIFTY24NOV2626000CE"
    legs = [
        Instrument(id=name, exchange="NFO", symbol=name[4:], kind=kind, underlying="NIFTY", expiry="2026-11-24",
                   strike=26000.0, lot_size=65)
        for name, kind in ((future, InstrumentKind.FUT), (call, InstrumentKind.CE))
    ]  # fmt: skip

    def held(name: str, units: int, order: str, fill: int) -> PositionChanged:
        position = Position(
            account="main", instrument=name, product=Product.NRML, strategy="S", run="r", quantity=units,
            quantity_seen=units, average_price=100.0, opened_ns=NOON - 60 if units else 0, updated_ns=NOON - 60,
        )  # fmt: skip
        return PositionChanged(position=position, client_order_id=order, fill_quantity=fill, fill_price=1.0, at_ns=1)

    stop = Order(
        client_order_id="stop", account="main", instrument=future, product=Product.NRML, strategy="S", run="r",
        cause="c", purpose=Purpose.STOP, side=Side.SELL, quantity=65, order_type=OrderType.SL,
        state=OrderState.FILLED, created_ns=1, updated_ns=1, filled=65,
    )  # fmt: skip
    rows = (held(future, 65, "a", 65), held(call, -65, "b", -65),
            OrderChanged(event="filled", order=stop, machine_ns=1), held(future, 0, "stop", -65))  # fmt: skip
    shutil.copytree(ROOT / "config", tmp_path / "config")
    config = run_config(tmp_path)
    write_clock_file(config.clock_path, ClockFile(segments=(ClockSegment(machine_now(), NOON, 1.0),)))
    journal = Journal(config.journal_dir("router"), "router", "2026-11-23")
    journal.append([Entry(OUTPUT, "orders", encode_body(row)) for row in rows], NOON, 1)
    journal.close()
    risk = RiskManager(msgspec.structs.replace(config, home=str(tmp_path)))
    risk.setup()
    risk.risk.set_contracts(InstrumentBook(legs))
    risk._decide_on_time(machine_now())
    goals = [row for row in map(risk.decode, risk.journal.rows()) if isinstance(row, CloseGoal)]
    assert [(goal.instrument, "fired at the broker" in goal.reason) for goal in goals] == [(call, True)]
    risk.teardown()
    risk.context.destroy(linger=0)


def test_first_funds_since_the_start_have_what_waited_for_them_decided_at_once(risk: RiskManager) -> None:
    def decided(rupees: float) -> bool:
        risk._decided_ns = 0
        funds = Funds(account="main", available=rupees, used=0.0, machine_ns=machine_now())
        risk.receive("account", Frame("main", Header(1, 1, 1, b"", 0), funds, b""))
        return risk._decided_ns > 0

    assert [decided(1e6), decided(2e6)] == [True, False]


def test_signal_in_lock_step_waits_for_the_quotes_of_its_step_and_for_the_engine(tmp_path: Path) -> None:
    """A signal that overtook the quote of its contract was priced, and its stop set, by the price before."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    config = run_config(tmp_path)
    write_clock_file(config.clock_path, ClockFile(segments=(ClockSegment(machine_now(), NOON, 0.0),)))
    risk = RiskManager(msgspec.structs.replace(config, home=str(tmp_path)))
    risk.setup()
    engine = Journal(config.journal_dir("engine"), "engine", "2026-11-23")
    header = Header(1, 1, 1, b"", 0)

    def market(*messages: Quote | MarketStep) -> None:
        for message in messages:
            topic = message.instrument if isinstance(message, Quote) else STEP_TOPIC
            risk._on_market(Frame(topic, header, message, b""))

    def engine_has_read(step: int, signals: int) -> None:
        done = StepDone(daemon="engine", pid=1, sent={"signals": signals}, seen={"feed/market": step})
        risk._on_engine_step(Frame("step/engine", header, done, b""))

    def known() -> tuple[list[float], list[str]]:
        state = risk.risk.state
        return [quote.ltp for quote in state.quotes.values()], [one.signal.id for one in state.intents.values()]

    market(MarketStep(1, NOON), MarketStep(2, NOON))
    engine_has_read(2, 0)
    risk.clock.step_to(NOON + SECOND)
    market(quote := Quote(instrument="NSE:SBIN", ltp=800.0, market_ns=NOON + SECOND, received_ns=1))
    signal = Signal(id="s", strategy="S", watch="NSE:SBIN", action=Action.BUY, created_ns=NOON + SECOND,
                    expires_ns=NOON + 60 * SECOND, expires_machine_ns=0)  # fmt: skip
    engine.append([Entry(OUTPUT, "signals", encode_body(signal))], NOON + SECOND, 1)
    risk.follower.catch_up()
    assert known() == ([], [])
    market(msgspec.structs.replace(quote, ltp=801.0), MarketStep(3, NOON + SECOND))
    assert known() == ([801.0], [])
    engine_has_read(3, 1)
    assert known() == ([801.0], ["s"])
    engine.close()
    risk.teardown()
    risk.context.destroy(linger=0)


def test_lost_journal_finds_levels_in_the_routers_and_a_halt_of_yesterday_in_the_gateways(
    risk: RiskManager,
) -> None:
    now = risk.clock.now()
    today, before = iso_day(now), iso_day(now - DAY)
    peak, base = "limit peak account paper", "limit base paper"
    old = RiskLevels(day=before, levels={base: 1.0}, following={base: 990_000.0, peak: 1_000_000.0}, at_ns=now - DAY)
    alert = Alert(
        code="DRAWDOWN", severity=Severity.CRITICAL, subject="strategy S", message="", daemon="risk",
        first_ns=now - DAY, last_ns=now,
    )  # fmt: skip
    for daemon, stream, row in (("router", "commands", old), ("gateway", "status", alert)):
        journal = Journal(risk.config.journal_dir(daemon), daemon, before)
        journal.append([Entry(INPUT, stream, encode_body(row), "risk", 1, 1, b"hash5678", now, 1)], now, 1)
        journal.close()
    (opened,) = risk.opening_rows_of_rebuild([DayOpened(day=today)])
    assert opened.levels == {base: 990_000.0, peak: 1_000_000.0}
    run = StrategyRun(
        name="S", file="s.py", symbols=("NSE:SBIN",), long=None, short=None, max_drawdown=0.02,
        limit_action=LimitAction.HALT,
    )  # fmt: skip
    risk.risk.update_strategies([run])
    risk.record([opened])
    rows = risk.rows_after_rebuild(())
    halts = [one.name for one in rows if isinstance(one, LevelMoved) and one.name.startswith("limit halt")]
    assert halts == ["limit halt DRAWDOWN strategy S"]
