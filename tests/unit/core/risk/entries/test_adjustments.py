"""Changes of a position of legs: judged as a whole, hedges before sales, closes before hedges go, nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from mytrading.core.accounting.margin_tables import BrokerMargin
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.risk.state.intent import Intent
from mytrading.messages.commands import CloseGoal, PlaceEntry, SignalDenied, WithdrawEntries
from mytrading.messages.control import Alert, TradingState
from mytrading.messages.enums import Action, OrderState, OrderType, Product, Purpose, Severity, Side, TradingLevel
from mytrading.messages.instruments import InstrumentKind
from mytrading.messages.journal_rows import IntentSized
from mytrading.messages.market import Quote
from mytrading.messages.orders import Goal, GoalChanged, OrderChanged, Position, PositionChanged, TimerFired
from mytrading.messages.reports import AccountHealth, Funds, MarginAnswer, MarginRequest
from mytrading.messages.run_config import OrphanLegs
from mytrading.messages.signals import Leg, LegChange, Signal
from tests.kit.margin_tables import TABLES
from tests.kit.order_samples import order_of
from tests.kit.risk_basket_bench import ROOMY
from tests.kit.risk_bench import CALL, NEAR, PUT, SECOND, WATCH, RiskBench, option

MID, WING = "NFO:NIFTY24MAR2622900CE", "NFO:NIFTY24MAR2623200CE"
"""A sold call nearer to its hedge `CALL` than `NEAR`, and a hedge further out."""
LOT = 65
HELD: dict[str, int] = {CALL: LOT, NEAR: -LOT, PUT: -LOT}
PATIENCE = 3 * SECOND
"""Machine time that a risk which has just started waits for reports."""
PRICES = {CALL: 100.0, NEAR: 200.0, PUT: 120.0, MID: 150.0, WING: 40.0}


class Legs(RiskBench):
    """A strategy that holds a hedged call and a bare put, both sold, as its last signal wanted.

    `work` does what router and broker do: entries fill and goals end, except those that `refuses` names.
    """

    def __init__(self, accounts: tuple[str, ...] = ("main",), orphans: OrphanLegs = OrphanLegs.UNWIND) -> None:
        super().__init__(ROOMY)
        environment = self.machine.environment
        extra = (option(MID, InstrumentKind.CE, 22900), option(WING, InstrumentKind.CE, 23200))
        self.machine.set_contracts(InstrumentBook([*environment.instruments, *extra]))
        environment.strategies["S"] = replace(
            environment.strategies["S"], accounts=accounts, orphan_legs=orphans, orphan_tries=1
        )
        self.accounts, self.refuses, self.slow = accounts, set[str](), set[str]()
        self.units: dict[tuple[str, str], int] = {}
        self.done: set[str] = set()
        self.sent: list[tuple[str, str, int]] = []
        """Commands in order, each once: what, instrument, signed units."""
        self.fund(1e9)

    def fund(self, rupees: float) -> None:
        for account in self.accounts:
            self.machine.apply(
                AccountHealth(account=account, connected=True, right_mode=True, stream_up=True, books_agree=True)
            )
            self.machine.apply(Funds(account=account, available=rupees, used=0.0, machine_ns=self.machine_ns))

    def opened(self, held: dict[str, int] = HELD) -> Legs:
        for name, price in PRICES.items():
            self.quote(name, price)
        legs = tuple(Leg(instrument=name, lots=units // LOT) for name, units in held.items())
        self.intent("a", *legs, action=Action.SELL)
        self.work()
        assert self.settled
        assert {name: units for (account, name), units in self.units.items() if account == "main"} == held
        self.sent.clear()
        return self

    @property
    def present_intent(self) -> Intent:
        return self.machine.state.intents["S", WATCH]

    @property
    def settled(self) -> bool:
        return self.present_intent.settled

    def holds(self, account: str = "main") -> dict[str, int]:
        return {name: units for (where, name), units in self.units.items() if where == account and units}

    def change(
        self, name: str, *changes: tuple[str, str], legs: dict[str, int] | None = None, same: bool = True
    ) -> Any:
        """An adjustment as the engine signals it: (closes, opens) each, "" for neither."""
        whole = legs if legs is not None else self._whole(changes)
        signal = Signal(
            id=name, strategy="S", watch=WATCH, action=Action.SELL, created_ns=self.now,
            legs=tuple(Leg(instrument=leg, lots=lots) for leg, lots in whole.items()),
            expires_ns=self.now + 60 * SECOND, expires_machine_ns=self.machine_ns + 2 * SECOND,
            changes=tuple(LegChange(closes=out, opens=into, same_size=same and bool(out)) for out, into in changes),
        )  # fmt: skip
        return self.give(signal)

    def _whole(self, changes: tuple[tuple[str, str], ...]) -> dict[str, int]:
        lots = {name: units // LOT for name, units in self.holds().items()}
        for out, into in changes:
            before = lots.pop(out, 0)
            if into:
                lots[into] = before or 1
        return lots

    # router and broker

    def waiting(self) -> list[Any]:
        rows = (row for row in self.rows if isinstance(row, PlaceEntry | CloseGoal) and row.id not in self.done)
        return [row for row in rows if row.instrument not in self.slow]

    def work(self, steps: int = 100) -> None:
        for _ in range(steps):
            if not (todo := self.waiting()):
                return
            self.carry_out(todo[0])

    def carry_out(self, row: Any) -> None:
        self.done.add(row.id)
        if isinstance(row, CloseGoal):
            self._close(row)
        elif row.instrument in self.refuses:
            self.sent.append(("refused", row.instrument, row.quantity * row.side.sign))
            self.order_moved(row, OrderState.REJECTED)
        else:
            units = row.quantity * row.side.sign
            self.sent.append(("enter", row.instrument, units))
            self.order_moved(row, OrderState.FILLED, row.quantity)
            self.hold_units(row.account, row.instrument, units, row.id, units)

    def _close(self, row: CloseGoal) -> None:
        units = self.units.get((row.account, row.instrument), 0)
        self.sent.append(("close", row.instrument, -units))
        goal = Goal(
            id=row.id, account=row.account, instrument=row.instrument, product=row.product, strategy="S", run=row.run,
            cause=row.cause, reason=row.reason, purpose=Purpose.EXIT,
        )  # fmt: skip
        self.give(GoalChanged(goal=goal, at_ns=self.now))
        self.hold_units(row.account, row.instrument, 0, f"x{row.id}", -units)
        self.give(GoalChanged(goal=replace(goal, state="done"), at_ns=self.now))

    def order_moved(self, row: PlaceEntry, state: OrderState, filled: int = 0) -> tuple[Any, ...]:
        order = order_of(
            client_order_id=row.id, account=row.account, instrument=row.instrument, product=row.product, strategy="S",
            run=row.run, cause=row.cause, purpose=Purpose.ENTRY, side=row.side, quantity=row.quantity,
            order_type=OrderType.MARKET, state=state, created_ns=self.now, updated_ns=self.now, filled=filled,
        )  # fmt: skip
        return self.give(OrderChanged(event=state.value.lower(), order=order, machine_ns=self.machine_ns))

    def hold_units(self, account: str, name: str, units: int, order: str, fill: int) -> tuple[Any, ...]:
        known = self.machine.state.positions.get(_key(account, name))
        opened = known.opened_ns if known is not None and known.quantity else self.now
        self.units[account, name] = units
        position = Position(
            account=account, instrument=name, product=Product.MIS, strategy="S", run="r", quantity=units,
            quantity_seen=units, average_price=PRICES[name], opened_ns=opened, updated_ns=self.now,
        )  # fmt: skip
        return self.give(
            PositionChanged(
                position=position,
                client_order_id=order,
                fill_quantity=fill,
                fill_price=PRICES[name],
                at_ns=self.now,
            )
        )

    def stopped_out(self, name: str, account: str = "main") -> tuple[Any, ...]:
        """The broker's stop of a sold leg filled."""
        units = -self.units[account, name]
        order = order_of(
            client_order_id=f"s-{name}", account=account, instrument=name, product=Product.MIS, strategy="S", run="r",
            cause="s", purpose=Purpose.STOP, side=Side.BUY, quantity=units, order_type=OrderType.SL,
            state=OrderState.FILLED, created_ns=self.now, updated_ns=self.now, filled=units,
        )  # fmt: skip
        self.now += SECOND
        self.give(OrderChanged(event="filled", order=order, machine_ns=self.machine_ns))
        return self.hold_units(account, name, 0, order.client_order_id, units)

    def killed(self, missing: str = "") -> None:
        """Risk is killed and learns its journal anew; what others report, but `missing`, is here at once."""
        other = Legs(self.accounts, OrphanLegs.UNWIND)
        other.machine.environment.strategies.update(self.machine.environment.strategies)
        state = other.machine.state
        for table in (state.margin.funds, state.health, state.beats):
            table.clear()
        for row in self.rows:
            other.machine.apply(row)
        self.machine = other.machine
        self.machine.environment.patient_until = self.machine_ns + PATIENCE
        self.report(missing)

    def report(self, missing: str = "") -> None:
        """Daemons, books, funds and quotes are reported, all but `missing`."""
        self.beat()
        self.fund(1e9)
        state = self.machine.state
        tables: dict[str, dict[str, Any]] = {
            "beats": state.beats, "books": state.health, "funds": state.margin.funds, "quotes": state.quotes
        }  # fmt: skip
        for name, price in PRICES.items():
            self.machine.apply(Quote(name, self.now, self.machine_ns, price, price - 0.05, price + 0.05))
        if missing:
            tables[missing].clear()

    def clock(self) -> tuple[Any, ...]:
        return self.give(TimerFired(name="risk", machine_ns=self.machine_ns))


def _key(account: str, name: str) -> Any:
    return Position(account=account, instrument=name, product=Product.MIS, strategy="S", run="r").owner


def of(kind: type, rows: Any) -> list[Any]:
    return [row for row in rows if isinstance(row, kind)]


def codes(rows: Any) -> list[str]:
    return [row.code for row in of(SignalDenied, rows)]


def test_sold_leg_is_bought_back_before_the_one_in_its_place_is_sold() -> None:
    bench = Legs().opened()
    rows = bench.change("b", (NEAR, MID))
    assert [(row.lots, row.account) for row in of(IntentSized, rows)] == [({CALL: 1, PUT: -1, MID: -1}, "main")]
    assert [row.instrument for row in of(CloseGoal, rows)] == [NEAR]
    assert of(PlaceEntry, rows) == [], "what is sold next waits until the old leg is flat"
    bench.work()
    assert bench.sent == [("close", NEAR, LOT), ("enter", MID, -LOT)]
    assert bench.holds() == {CALL: LOT, PUT: -LOT, MID: -LOT}
    assert bench.settled


def test_new_hedge_is_held_before_anything_is_closed_and_the_old_hedge_goes_last() -> None:
    bench = Legs().opened()
    bench.change("b", (NEAR, MID), (CALL, WING))
    bench.work()
    assert bench.sent == [
        ("enter", WING, LOT), ("close", NEAR, LOT), ("close", CALL, -LOT), ("enter", MID, -LOT)
    ]  # fmt: skip
    assert bench.holds() == {PUT: -LOT, MID: -LOT, WING: LOT}
    assert bench.settled


def test_hedge_is_replaced_while_its_sold_leg_stays() -> None:
    bench = Legs().opened()
    bench.change("b", (CALL, WING))
    bench.work()
    assert bench.sent == [("enter", WING, LOT), ("close", CALL, -LOT)]
    assert bench.settled


def test_leg_is_closed_and_the_others_stay() -> None:
    bench = Legs().opened()
    bench.change("b", (PUT, ""))
    bench.work()
    assert bench.sent == [("close", PUT, LOT)]
    assert bench.holds() == {CALL: LOT, NEAR: -LOT}
    assert bench.settled


def test_spread_is_closed_with_its_sold_leg_first() -> None:
    bench = Legs().opened()
    bench.change("b", (CALL, ""), (NEAR, ""))
    bench.work()
    assert bench.sent == [("close", NEAR, LOT), ("close", CALL, -LOT)]


def test_spread_is_added_with_its_hedge_first() -> None:
    bench = Legs().opened({PUT: -LOT})
    bench.change("b", ("", MID), ("", WING), legs={PUT: -1, MID: -1, WING: 1})
    bench.work()
    assert bench.sent == [("enter", WING, LOT), ("enter", MID, -LOT)]
    assert bench.settled


def test_lots_of_a_leg_of_the_same_size_are_those_held_and_others_as_signalled() -> None:
    bench = Legs().opened({CALL: 2 * LOT, NEAR: -2 * LOT})
    bench.change("b", (NEAR, MID), legs={CALL: 2, MID: -1})
    bench.work()
    assert bench.holds() == {CALL: 2 * LOT, MID: -2 * LOT}
    bench.change("c", (MID, NEAR), legs={CALL: 2, NEAR: -1}, same=False)
    bench.work()
    assert bench.holds() == {CALL: 2 * LOT, NEAR: -LOT}


def test_hedge_of_a_sold_leg_that_stays_is_not_closed() -> None:
    bench = Legs().opened()
    rows = bench.change("b", (CALL, ""))
    (denial,) = of(SignalDenied, rows)
    assert (denial.code, denial.account) == ("ADJUSTMENT_BARES", "main")
    assert f"{NEAR} is sold and would lose the cover of {CALL}" in denial.message
    bench.work()
    assert (bench.sent, bench.holds(), bench.settled) == ([], HELD, True)
    bench.change("c", (PUT, ""))
    bench.work()
    assert bench.sent == [("close", PUT, LOT)], "a denied change is no obstacle to the next"


@pytest.mark.parametrize(("state", "code"), [("gone", "ADJUSTMENT_BARES"), ("being closed", "ADJUSTMENT_WAITS")])
def test_leg_is_not_sold_beside_cover_that_is_lost_by_then(state: str, code: str) -> None:
    """The engine saw the cover held; its stop comes before the new leg is judged."""
    bench = Legs().opened({CALL: LOT, PUT: -LOT})
    if state == "gone":
        bench.hold_units("main", CALL, 0, "x", -LOT)
    else:
        goal = Goal(
            id="x", account="main", instrument=CALL, product=Product.MIS, strategy="S", run="r", cause="x",
            reason="stop: 80 is at or beyond 81", purpose=Purpose.EXIT,
        )  # fmt: skip
        bench.give(GoalChanged(goal=goal, at_ns=bench.now))
    rows = bench.change("b", ("", NEAR), legs={CALL: 1, PUT: -1, NEAR: -1})
    (denial,) = of(SignalDenied, rows)
    assert denial.code == code
    if state == "gone":
        assert f"{NEAR} would be sold without the bought leg" in denial.message
    bench.work()
    assert NEAR not in bench.holds()


def test_change_that_the_margin_does_not_allow_closes_nothing() -> None:
    bench = Legs().opened()
    bench.fund(1_000.0)
    rows = bench.change("b", (CALL, WING), (NEAR, MID), legs={MID: -3, WING: 1, PUT: -1}, same=False)
    assert set(codes(rows)) == {"INSUFFICIENT_MARGIN"}
    bench.work()
    assert (bench.sent, bench.holds(), bench.settled) == ([], HELD, True)


def test_leg_in_the_place_of_one_that_needs_as_much_needs_no_margin_of_its_own() -> None:
    bench = Legs().opened({PUT: -LOT})
    bench.fund(1_000.0)
    bench.change("b", (PUT, MID))
    bench.work()
    assert bench.sent == [("close", PUT, LOT), ("enter", MID, -LOT)]


@pytest.mark.parametrize(
    ("rule", "before", "after", "admitted"),
    [
        (BrokerMargin.LARGER, 100_000.0, 110_000.0, True), (BrokerMargin.LARGER, 100_000.0, 400_000.0, False),
        (BrokerMargin.REPLACES, 100_000.0, 110_000.0, True), (BrokerMargin.LARGER, 100_000.0, None, True),
    ],
)  # fmt: skip
def test_broker_is_asked_for_the_legs_before_and_after_and_the_difference_counts(
    rule: BrokerMargin, before: float, after: float | None, admitted: bool
) -> None:
    bench = Legs().opened({PUT: -LOT})
    environment = bench.machine.environment
    environment.tables, environment.asks_broker = msgspec.structs.replace(TABLES, broker_margin=rule), True
    bench.fund(400_000.0)
    bench.change("b", (PUT, MID))
    bench.work()
    asked = of(MarginRequest, bench.rows)
    assert [[(line.instrument, line.quantity) for line in row.lines] for row in asked] == [[(PUT, LOT)], [(MID, LOT)]]
    assert (bench.sent, of(SignalDenied, bench.rows)) == ([], []), "nothing moves before the answers"
    for question, total in zip(asked, (before, after), strict=True):
        bench.give(MarginAnswer(id=question.id, account="main", machine_ns=bench.machine_ns, total=total))
    bench.work()
    assert bench.sent == ([("close", PUT, LOT), ("enter", MID, -LOT)] if admitted else [])
    assert [row.code for row in of(SignalDenied, bench.rows)] == ([] if admitted else ["INSUFFICIENT_MARGIN"])
    assert len(of(MarginRequest, bench.rows)) == 2


@pytest.mark.parametrize("shared", [False, True])
def test_place_of_a_closed_leg_is_free_unless_another_strategy_holds_the_contract_too(shared: bool) -> None:
    bench = Legs().opened({PUT: -LOT})
    bench.machine.environment.limits = replace(ROOMY, max_positions_per_symbol=1)
    if shared:
        other = replace(bench.machine.state.positions[_key("main", PUT)], strategy="T")
        bench.give(
            PositionChanged(position=other, client_order_id="", fill_quantity=0, fill_price=0.0, at_ns=bench.now)
        )
    bench.change("b", (PUT, MID))
    assert codes(bench.rows) == (["MAX_POSITIONS_PER_SYMBOL"] if shared else [])


def test_hedge_that_cannot_be_had_leaves_all_as_it_was() -> None:
    bench = Legs().opened()
    bench.refuses = {WING}
    bench.change("b", (NEAR, MID), (CALL, WING))
    bench.work()
    assert bench.sent == [("refused", WING, LOT)]
    assert (bench.holds(), bench.settled) == (HELD, True)
    (alert,) = (row for row in of(Alert, bench.rows) if row.code == "ADJUSTMENT_BROKEN")
    assert alert.severity is Severity.CRITICAL
    assert f"hedge {WING} could not be had" in alert.message
    assert "what was held stays" in alert.message


def test_part_of_a_hedge_is_closed_again_when_the_rest_cannot_be_had() -> None:
    bench = Legs().opened({CALL: 2 * LOT, NEAR: -2 * LOT})
    bench.change("b", (CALL, WING))
    (entry,) = bench.waiting()
    bench.done.add(entry.id)
    bench.order_moved(entry, OrderState.CANCELLED, LOT)
    bench.hold_units("main", WING, LOT, entry.id, LOT)
    bench.work()
    assert bench.sent == [("close", WING, -LOT)]
    assert (bench.holds(), bench.settled) == ({CALL: 2 * LOT, NEAR: -2 * LOT}, True)


def test_leg_that_cannot_be_sold_leaves_the_rest_and_closes_what_was_bought_for_it() -> None:
    bench = Legs().opened()
    bench.refuses = {MID}
    bench.change("b", (NEAR, MID), (CALL, WING))
    bench.work()
    assert bench.sent[-2:] == [("refused", MID, -LOT), ("close", WING, -LOT)]
    assert (bench.holds(), bench.settled) == ({PUT: -LOT}, True)
    (alert,) = (row for row in of(Alert, bench.rows) if row.code == "ADJUSTMENT_BROKEN")
    assert f"{NEAR}, {CALL} is closed" in alert.message


def test_hedge_that_stays_because_it_covers_another_leg_is_named() -> None:
    bench = Legs().opened({PUT: -LOT, NEAR: -LOT})
    bench.refuses = {MID}
    bench.change("b", ("", WING), ("", MID))
    bench.work()
    assert bench.holds() == {PUT: -LOT, NEAR: -LOT, WING: LOT}
    (alert,) = (row for row in of(Alert, bench.rows) if row.code == "ADJUSTMENT_BROKEN")
    assert f"what was held stays, {WING} was bought and stays, since it covers what is sold" in alert.message


def test_position_of_one_leg_that_is_replaced_stays_in_its_run() -> None:
    """The position is flat in between: the limits and the trailing stop of the run go on with what it has realised."""
    bench = Legs().opened({PUT: -LOT})
    books = bench.machine.runs.books
    assert books.runs["S"].id == "r"
    bench.change("b", (PUT, MID))
    bench.work(1)
    assert bench.holds() == {}
    entry = of(PlaceEntry, bench.rows)[-1]
    assert (entry.instrument, entry.run, books.runs["S"].id) == (MID, "r", "r")
    bench.work()
    assert (bench.settled, [leg.instrument for leg in books.runs["S"].legs.values()]) == (True, [MID])
    bench.refuses = {NEAR}
    bench.change("c", (MID, NEAR))
    bench.work()
    assert bench.machine.state.run_of("S") == "", "the change failed, and nothing is held: the run is over"


def test_refused_sale_is_tried_again_where_the_strategy_says_so() -> None:
    bench = Legs(orphans=OrphanLegs.RETRY).opened()
    bench.refuses = {MID}
    bench.change("b", (NEAR, MID))
    bench.work(2)
    bench.refuses = set()
    bench.work()
    assert bench.sent == [("close", NEAR, LOT), ("refused", MID, -LOT), ("enter", MID, -LOT)]
    assert bench.settled


def test_change_that_comes_before_the_last_was_carried_out_is_denied() -> None:
    bench = Legs().opened()
    bench.slow = {NEAR}
    bench.change("b", (NEAR, MID))
    rows = bench.change("c", (PUT, ""), legs={CALL: 1, NEAR: -1})
    (denial,) = of(SignalDenied, rows)
    assert (denial.signal, denial.code) == ("c", "ADJUSTMENT_WAITS")
    assert "the last adjustment is not carried out yet" in denial.message
    bench.slow = set()
    bench.work()
    assert bench.holds() == {CALL: LOT, PUT: -LOT, MID: -LOT}


def test_same_change_twice_is_carried_out_once() -> None:
    bench = Legs().opened()
    bench.slow = {NEAR}
    bench.change("b", (NEAR, MID))
    signal = of(Signal, bench.rows)[-1]
    assert of(PlaceEntry | CloseGoal, bench.give(signal)) == []  # type: ignore[arg-type]
    bench.slow = set()
    bench.work()
    assert of(PlaceEntry | CloseGoal, bench.give(signal)) == []  # type: ignore[arg-type]
    assert bench.sent == [("close", NEAR, LOT), ("enter", MID, -LOT)]


def test_exit_in_the_middle_closes_all_that_is_held_then() -> None:
    bench = Legs().opened()
    bench.slow = {NEAR}
    bench.change("b", (NEAR, MID), (CALL, WING))
    bench.work()
    bench.intent("c", action=Action.EXIT)
    bench.slow = set()
    bench.work()
    assert bench.holds() == {}
    assert [what for what, _, _ in bench.sent] == ["enter", "close", "close", "close", "close"]
    places = [name for what, name, _ in bench.sent if what == "close"]
    assert places.index(NEAR) < min(places.index(CALL), places.index(WING)), "a hedge goes after what it covers"


def test_kept_leg_that_is_stopped_out_meanwhile_does_not_come_back() -> None:
    bench = Legs().opened()
    bench.slow = {NEAR}
    bench.change("b", (NEAR, MID))
    bench.stopped_out(PUT)
    bench.slow = set()
    bench.work()
    assert bench.holds() == {CALL: LOT, MID: -LOT}
    assert bench.settled
    assert bench.pass_time(5) == ()


def test_hedge_alone_after_the_stop_of_a_leg_that_was_changed_is_unwound_as_ever() -> None:
    bench = Legs().opened({CALL: LOT, NEAR: -LOT})
    bench.change("b", (NEAR, MID))
    bench.work()
    bench.sent.clear()
    bench.stopped_out(MID)
    bench.work()
    assert bench.sent == [("close", CALL, -LOT)]


def test_hedge_alone_after_the_stop_of_a_leg_that_was_kept_is_unwound_as_ever() -> None:
    bench = Legs().opened()
    bench.change("b", (PUT, ""))
    bench.work()
    bench.sent.clear()
    bench.stopped_out(NEAR)
    bench.work()
    assert bench.sent == [("close", CALL, -LOT)]


def test_leg_stopped_out_before_the_change_arrives_is_not_replaced() -> None:
    bench = Legs().opened()
    bench.stopped_out(NEAR)
    rows = bench.change("b", (NEAR, MID), legs={CALL: 1, PUT: -1, MID: -1})
    assert codes(rows) == ["ADJUSTMENT_WAITS"]
    bench.work()
    assert bench.holds() == {CALL: LOT, PUT: -LOT}


def test_each_account_changes_what_it_holds() -> None:
    bench = Legs(("main", "second")).opened()
    bench.stopped_out(NEAR, "second")
    bench.sent.clear()
    bench.change("b", (NEAR, MID))
    bench.work()
    assert bench.sent == [("close", NEAR, LOT), ("enter", MID, -LOT)]
    assert bench.holds("main") == {CALL: LOT, PUT: -LOT, MID: -LOT}
    assert bench.holds("second") == {CALL: LOT, PUT: -LOT}


def test_change_that_is_not_begun_in_time_is_denied_and_changes_nothing() -> None:
    bench = Legs().opened()
    bench.now += 3600 * SECOND
    bench.machine_ns += 3600 * SECOND
    bench.beat()
    bench.change("b", (NEAR, MID))
    bench.pass_time(70)
    bench.work()
    assert (bench.sent, bench.holds()) == ([], HELD)
    assert "EXPIRED" in {code for row in of(SignalDenied, bench.rows) for code in row.codes}


def test_sale_that_is_too_late_is_given_up_with_an_alert() -> None:
    bench = Legs().opened()
    bench.slow = {NEAR}
    bench.change("b", (NEAR, MID))
    bench.pass_time(200)
    for name, price in PRICES.items():
        bench.quote(name, price)
    bench.slow = set()
    bench.work()
    assert bench.sent == [("close", NEAR, LOT)]
    assert [row.code for row in of(Alert, bench.rows) if row.code == "ADJUSTMENT_BROKEN"] == ["ADJUSTMENT_BROKEN"]
    assert bench.settled


def test_change_under_way_is_carried_into_the_next_day() -> None:
    bench = Legs().opened()
    bench.slow = {NEAR}
    bench.change("b", (NEAR, MID), (CALL, WING))
    bench.work()
    opening = bench.machine.snapshot("2026-03-18")
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(opening), type=type(opening))
    assert again == opening
    before = bench.present_intent
    bench.machine.apply(again)
    after = bench.present_intent
    assert (after.before, after.sized, after.settled) == (before.before, before.sized, before.settled)
    bench.fund(1e9)
    bench.slow = set()
    bench.work()
    assert bench.holds() == {PUT: -LOT, MID: -LOT, WING: LOT}


CHANGES: dict[str, Callable[[Legs], Any]] = {
    "roll": lambda bench: bench.change("b", (NEAR, MID)),
    "roll of a spread": lambda bench: bench.change("b", (NEAR, MID), (CALL, WING)),
    "hedge": lambda bench: bench.change("b", (CALL, WING)),
    "close of a spread": lambda bench: bench.change("b", (CALL, ""), (NEAR, "")),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("refused", [set(), {MID}, {WING}], ids=["all fill", "sale refused", "hedge refused"])
def test_kill_of_risk_at_any_point_neither_doubles_nor_loses_a_step(name: str, refused: set[str]) -> None:
    def outcome(kill_after: int) -> tuple[list[Any], dict[str, int], bool, int]:
        bench = Legs().opened()
        bench.refuses = refused
        CHANGES[name](bench)
        for step in range(40):
            if step == kill_after:
                bench.killed()
                for instrument, price in PRICES.items():
                    bench.quote(instrument, price)
                bench.pass_time(1)
            if not (todo := bench.waiting()):
                break
            bench.carry_out(todo[0])
        bench.pass_time(1)
        commands = [row.id for row in of(PlaceEntry, bench.rows) + of(CloseGoal, bench.rows)]
        assert len(commands) == len(set(commands)), "a command was made twice"
        assert not of(WithdrawEntries, bench.rows)
        return bench.sent, bench.holds(), bench.settled, len(bench.sent)

    undisturbed = outcome(99)
    assert undisturbed[2], "it ends"
    for point in range(undisturbed[3] + 1):
        assert outcome(point) == undisturbed, f"killed before step {point}"


def before_the_sale(later_s: float = 0.0) -> Legs:
    """A change of legs of which all is done but the sale of the new call, some seconds after its signal."""
    bench = Legs().opened()
    bench.slow = {CALL}
    bench.change("b", (NEAR, MID), (CALL, WING))
    bench.work()
    bench.now += int(later_s * SECOND)
    bench.machine_ns += int(later_s * SECOND)
    bench.slow = set()
    return bench


def verdicts(bench: Legs) -> list[str]:
    return [row.code for row in of(SignalDenied, bench.rows) + of(Alert, bench.rows)]


@pytest.mark.parametrize("missing", ["funds", "beats", "books", "quotes"])
@pytest.mark.parametrize("later_s", [0, 65], ids=["signal in time", "signal expired"])
def test_sale_of_a_change_waits_for_what_was_not_reported_since_the_start_of_risk(missing: str, later_s: float) -> None:
    bench = before_the_sale(later_s)
    bench.killed(missing)
    bench.work()
    bench.clock()
    assert (bench.sent[-1], verdicts(bench)) == (("close", CALL, -LOT), [])
    bench.machine_ns += 2 * SECOND
    bench.killed(missing)
    bench.machine_ns += PATIENCE - SECOND
    bench.clock()
    assert (bench.waiting(), verdicts(bench)) == ([], []), "a second start is as patient"
    bench.report()
    bench.clock()
    bench.work()
    assert bench.sent[-1] == ("enter", MID, -LOT)
    assert (bench.holds(), bench.settled, verdicts(bench)) == ({PUT: -LOT, MID: -LOT, WING: LOT}, True, [])


@pytest.mark.parametrize(
    ("missing", "code"), [("funds", "MARGIN_UNKNOWN"), ("books", "NOT_READY"), ("quotes", "NO_QUOTE")]
)
def test_change_is_broken_with_its_alert_when_nobody_has_reported_in_time(missing: str, code: str) -> None:
    bench = before_the_sale(65)
    bench.killed(missing)
    bench.work()
    bench.machine_ns += PATIENCE
    bench.clock()
    assert [code, "ADJUSTMENT_BROKEN", "ADJUSTMENT_BROKEN"] == verdicts(bench)
    bench.work()
    assert (bench.holds(), bench.settled) == ({PUT: -LOT}, True)


def test_what_denies_for_good_breaks_a_change_also_while_reports_are_awaited() -> None:
    bench = before_the_sale()
    bench.killed("funds")
    bench.give(TradingState(level=TradingLevel.HALT, generation=1, reason="by hand", at_ns=bench.now))
    bench.work()
    assert verdicts(bench)[0] == "HALTED"
    assert "ADJUSTMENT_BROKEN" in verdicts(bench)


def test_change_in_lock_step_waits_for_the_funds_however_long_a_busy_machine_takes() -> None:
    bench = before_the_sale()
    bench.killed("funds")
    bench.machine.environment.lock_step = True
    bench.work()
    bench.machine_ns += 20 * PATIENCE
    bench.beat()
    bench.clock()
    assert (bench.sent[-1], verdicts(bench)) == (("close", CALL, -LOT), [])
    bench.report()
    bench.clock()
    bench.work()
    assert (bench.holds(), verdicts(bench)) == ({PUT: -LOT, MID: -LOT, WING: LOT}, [])


def test_sold_leg_of_a_basket_waits_for_the_funds_after_a_start_and_a_new_basket_does_not() -> None:
    bench = Legs()
    for name, price in PRICES.items():
        bench.quote(name, price)
    legs = (Leg(instrument=CALL, lots=1), Leg(instrument=NEAR, lots=-1))
    bench.intent("a", *legs, action=Action.SELL)
    bench.killed("funds")
    bench.work()
    assert (bench.sent, verdicts(bench)) == ([("enter", CALL, LOT)], [])
    bench.report()
    bench.clock()
    bench.work()
    assert (bench.sent[1:], bench.settled) == ([("enter", NEAR, -LOT)], True)
    other = Legs()
    other.killed("funds")
    assert codes(other.intent("n", *legs, action=Action.SELL)) == ["MARGIN_UNKNOWN"]


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("refused", [set(), {MID}, {WING}], ids=["all fill", "sale refused", "hedge refused"])
def test_sold_call_is_never_without_a_bought_one(name: str, refused: set[str]) -> None:
    bench = Legs().opened()
    bench.refuses = refused
    CHANGES[name](bench)
    while todo := bench.waiting():
        held = bench.holds()
        calls = {each: held.get(each, 0) for each in (CALL, NEAR, MID, WING)}
        assert sum(calls.values()) >= 0, f"bare: {calls}"
        bench.carry_out(todo[0])
    held = bench.holds()
    assert sum(held.get(each, 0) for each in (CALL, NEAR, MID, WING)) >= 0
