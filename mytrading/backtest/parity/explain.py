"""Why a day and its backtest differ: each difference gets one cause, or is left unexplained.

Pure: what both sides did and the day's facts in, differences out. A difference that follows from an earlier one (the
position was another by then) has that one's cause. A cause is named only where a record shows it, so what is left over
is worth a look.
"""

from __future__ import annotations

from collections.abc import Collection

from mytrading.backtest.parity.align import Aligned, OrderPair, SignalPair, align
from mytrading.backtest.parity.facts import Agreement, Cause, DayFacts, ParityDifference, ParityFindings
from mytrading.backtest.parity.fills import fills_agree, judge_fills, judge_terms, same_price, terms_differ
from mytrading.backtest.parity.side import (
    EXPIRED,
    LATE,
    RULE,
    DaySide,
    DenialSeen,
    FillSeen,
    MoveSeen,
    OrderSeen,
    Owner,
    SignalSeen,
)
from mytrading.messages.enums import Purpose

NOTHING = "–"
_BY_PERSON = ("HALTED", "REDUCING", "STRATEGY_DISABLED")
_FOR_WANT_OF_DATA = ("NO_QUOTE", "STALE_QUOTE", "DATA_COVERAGE", "IMPLAUSIBLE_QUOTE", "INSTRUMENTS_REFUSED")
_NOT_THE_VENUES = ("claim", "correction", "conversion", "foreign_fill")


class Explainer:
    """Goes through a day's pairs in the order of time, and sorts them into `differences` and `agreed`."""

    def __init__(self, stack: DaySide, backtest: DaySide, facts: DayFacts, aligned: Aligned | None = None) -> None:
        self._stack = stack
        self._backtest = backtest
        self._facts = facts
        self._pairs = aligned or align(stack, backtest)
        self._found: dict[str, ParityDifference] = {}
        self.differences: list[ParityDifference] = []
        self.agreed: list[Agreement] = []

    def run(self) -> list[ParityDifference]:
        """All differences, in the order of time."""
        pairs: list[SignalPair | OrderPair] = [*self._pairs.signals, *self._pairs.orders]
        for pair in sorted(pairs, key=_place):
            if isinstance(pair, SignalPair):
                self._signal(pair)
            else:
                self._order(pair)
        for side, there in ((self._stack, True), (self._backtest, False)):
            for move in side.adjustments:
                self._adjusted(move, there)
        self.differences.sort(key=lambda one: one.at_ns)
        return self.differences

    # signals

    def _signal(self, pair: SignalPair) -> None:
        one, other = pair
        if one is not None and other is not None:
            same = one.legs == other.legs and same_price(one.price, other.price)
            if same:
                self._agree("signal", one.id, one.at_ns, ("", one.strategy, one.watch), _signal_words(one))
            else:
                self._tell_signal(pair, one, self._other_signal(one, other))
            return
        seen = one or other
        assert seen is not None
        self._tell_signal(pair, seen, self._lone_signal(seen, by_stack=one is not None))

    def _tell_signal(self, pair: SignalPair, seen: SignalSeen, found: ParityFindings) -> None:
        owner = ("", seen.strategy, seen.watch)
        sides = (_signal_words(pair.stack), _signal_words(pair.backtest))
        self._tell("signal", seen.id, found, seen.at_ns, owner, sides)

    def _other_signal(self, one: SignalSeen, other: SignalSeen) -> ParityFindings:
        """The same signal at the same bar, of other legs or at another price."""
        wrong = self._facts.bars.get((one.watch, one.bar_ns), "")
        if wrong:
            return ParityFindings(Cause.DATA, wrong)
        if not same_price(one.price, other.price):
            return ParityFindings(Cause.DATA, f"the price was {one.price:g} there, {other.price:g} here")
        if one.at_ns != other.at_ns:
            return ParityFindings(Cause.LATENCY, "other legs: the price by which they are chosen moved between")
        return ParityFindings(Cause.UNEXPLAINED, "other legs at the same price")

    def _lone_signal(self, seen: SignalSeen, by_stack: bool) -> ParityFindings:
        if seen.person:
            return ParityFindings(Cause.PERSON, "it was sent from outside, by a person or a webhook")
        other = self._backtest if by_stack else self._stack
        bar = seen.watch, seen.action, seen.bar_ns
        denials = [item for item in other.denials if item.strategy == seen.strategy]
        if (
            denial := next((item for item in denials if item.signal == seen.id and item.code == RULE), None)
        ) is not None:
            return ParityFindings(Cause.DENIAL, f"{denial.code}: {denial.message}")
        if (late := next((item for item in denials if item.bar == bar and item.code == LATE), None)) is not None:
            return ParityFindings(Cause.LATENCY, late.message)
        if not by_stack and (found := self._was_kept_from(seen)) is not None:
            return found
        wrong = self._facts.bars.get((seen.watch, seen.bar_ns), "")
        if wrong:
            return ParityFindings(Cause.DATA, wrong)
        follows = self._follows_of_signal(seen)
        if follows is not None:
            return follows
        behind = None if by_stack else self._repeated(seen) or self._lagged(("engine",), seen.at_ns)
        if behind is not None:
            return behind
        fault = next(
            (item for item in other.faults if item.strategy == seen.strategy and item.at_ns <= seen.at_ns), None
        )
        if fault is not None:
            return ParityFindings(Cause.UNEXPLAINED, f"the strategy had faulted on this side alone: {fault.message}")
        return ParityFindings(Cause.UNEXPLAINED, "both sides saw the same bar and held the same")

    def _was_kept_from(self, seen: SignalSeen) -> ParityFindings | None:
        """What kept the stack's engine from making a signal."""
        for act in self._facts.persons:
            if act.signals and act.covers(seen.at_ns, "", seen.strategy):
                return ParityFindings(Cause.PERSON, act.what)
        for away in self._facts.absences:
            if away.daemon == "engine" and away.covers(seen.at_ns):
                return ParityFindings(Cause.PERSON, "the engine was away: it was stopped or restarted")
        return None

    def _lagged(self, daemons: Collection[str], at_ns: int) -> ParityFindings | None:
        """A daemon that read late what lay there at a time."""
        lag = self._facts.lag_of(daemons, at_ns)
        if lag is None:
            return None
        behind = (lag.until_ns - lag.from_ns) / 1e9
        return ParityFindings(
            Cause.LATENCY, f"{lag.daemon} was behind: what came in {behind:.0f} s was read at their end"
        )

    def _repeated(self, seen: SignalSeen) -> ParityFindings | None:
        """The same signal once more, before the stack's time was over in which it still stands."""
        last = self._stack.signalled(seen.strategy, seen.watch, seen.bar_ns)
        if last is None or not _alike(last, seen):
            return None
        stood = seen.at_ns - last.bar_ns
        if last.at_ns - last.bar_ns + self._facts.signal_ns <= stood:
            return None
        return ParityFindings(
            Cause.LATENCY, f"the signal of {stood / 1e9:.0f} s before still stood there, as it came later"
        )

    def _follows_of_signal(self, seen: SignalSeen) -> ParityFindings | None:
        """A signal follows from an earlier difference if something else was held or wanted before its bar."""
        for at_ns in (seen.at_ns, seen.bar_ns):
            if (found := self._follows(seen.strategy, at_ns)) is not None:
                return found
        there = self._stack.signalled(seen.strategy, seen.watch, seen.bar_ns)
        here = self._backtest.signalled(seen.strategy, seen.watch, seen.bar_ns)
        if _alike(there, here):
            return None
        told = (one for one in reversed(self.differences) if one.kind == "signal" and one.at_ns < seen.at_ns)
        before = next((one for one in told if (one.strategy, one.instrument) == (seen.strategy, seen.watch)), None)
        return None if before is None else self._as(before.id)

    # orders

    def _order(self, pair: OrderPair) -> None:
        one, other = pair.stack, pair.backtest
        seen = one or other
        assert seen is not None
        if one is None or other is None:
            found = self._lone_order(seen, by_stack=one is not None)
            self._tell_order(pair, seen, found)
            if pair.has_fill:
                self._tell_fill(pair, seen, ParityFindings(found.cause, "as its order", found.follows or seen.id))
            return
        names = terms_differ(one, other)
        if names:
            found = self._follows_of(seen) or judge_terms(one, other, names, self._facts)
            self._tell_order(pair, one, found)
        else:
            self._agree("order", one.id, one.at_ns, one.owner, _order_words(one))
        self._fill(pair, one, bool(names))

    def _fill(self, pair: OrderPair, order: OrderSeen, other_terms: bool) -> None:
        if not pair.has_fill:
            return
        if fills_agree(pair, self._facts):
            got = pair.stack_fill
            assert got is not None
            self._agree("fill", order.id, got.at_ns, got.owner, _fill_words(got))
            return
        found = judge_fills(pair, self._facts)
        if other_terms:
            found = ParityFindings(self._found[order.id].cause, "as the terms of its order", order.id)
        elif found.cause is Cause.UNEXPLAINED:
            found = self._follows_of(order) or found
        self._tell_fill(pair, order, found)

    def _lone_order(self, order: OrderSeen, by_stack: bool) -> ParityFindings:
        """Why one side ordered and the other did not."""
        if order.cause in self._found:
            return self._as(order.cause)
        other = self._backtest if by_stack else self._stack
        denial = _denial_of(order, other)
        if denial is not None:
            return _denied(denial)
        act = self._act_behind(order, by_stack)
        if act:
            return ParityFindings(Cause.PERSON, act)
        follows = self._follows_of(order)
        if follows is not None:
            return follows
        if not by_stack:
            for away in self._facts.absences:
                if away.covers(order.at_ns):
                    return ParityFindings(Cause.PERSON, f"{away.daemon} was away: it was stopped or restarted")
            if (late := self._lagged(("engine", "risk", "router"), order.at_ns)) is not None:
                return late
        return ParityFindings(Cause.UNEXPLAINED, "the other side neither ordered nor denied it")

    def _act_behind(self, order: OrderSeen, by_stack: bool) -> str:
        """What an operator did that led to an order of the stack, or kept it from one."""
        if by_stack and order.request:
            return "a person asked for it"
        for act in self._facts.persons:
            if act.id and act.id == order.cause:
                return act.what
            kept = not by_stack and act.entries and order.purpose is Purpose.ENTRY
            if kept and act.covers(order.at_ns, order.account, order.strategy):
                return act.what
        return ""

    def _tell_order(self, pair: OrderPair, seen: OrderSeen, found: ParityFindings) -> None:
        sides = (_order_words(pair.stack), _order_words(pair.backtest))
        self._tell("order", seen.id, found, seen.at_ns, seen.owner, sides)

    def _tell_fill(self, pair: OrderPair, order: OrderSeen, found: ParityFindings) -> None:
        fills = [fill for fill in (pair.stack_fill, pair.backtest_fill) if fill is not None]
        at_ns = min(fill.at_ns for fill in fills)
        sides = (_fill_words(pair.stack_fill), _fill_words(pair.backtest_fill))
        self._tell("fill", order.id, found, at_ns, order.owner, sides, _cost(pair))

    # what follows from what

    def _follows_of(self, order: OrderSeen) -> ParityFindings | None:
        """An order that follows from one that differs, or from a position that is another by now.

        What closes a position may go out in the moment in which the other side's position moved; what it gets itself
        in that moment is another matter.
        """
        if order.cause in self._found:
            return self._as(order.cause)
        before = self._follows(order.strategy, order.at_ns)
        if before is not None or order.purpose is Purpose.ENTRY:
            return before
        return self._follows(order.strategy, order.at_ns + 1)

    def _follows(self, strategy: str, before_ns: int) -> ParityFindings | None:
        """The newest difference of a strategy before a time, if it held something else on the two sides by then."""
        if self._stack.held(strategy, before_ns) == self._backtest.held(strategy, before_ns):
            return None
        earlier = [one for one in self.differences if one.strategy == strategy and one.at_ns < before_ns]
        return self._as(earlier[-1].id) if earlier else None

    def _as(self, name: str) -> ParityFindings:
        """The cause of a difference, which others have too."""
        root = self._found[name]
        return ParityFindings(root.cause, f"follows from the {root.kind} before", root.follows or root.id)

    # adjustments

    def _adjusted(self, move: MoveSeen, by_stack: bool) -> None:
        others = self._backtest.adjustments if by_stack else self._stack.adjustments
        if any((other.owner, other.units, other.cause) == (move.owner, move.units, move.cause) for other in others):
            return
        personal = by_stack and move.cause in _NOT_THE_VENUES
        cause = Cause.PERSON if personal else Cause.MODEL
        why = f"{move.cause}: the books of the broker said so" if by_stack else f"{move.cause}: the data ends here"
        words = f"{move.units:+d} at {move.price:g} ({move.cause})"
        sides = (words, NOTHING) if by_stack else (NOTHING, words)
        name = f"{move.cause} {move.owner[2]} {move.at_ns}"
        self._tell("adjustment", name, ParityFindings(cause, why), move.at_ns, move.owner, sides)

    def _agree(self, kind: str, name: str, at_ns: int, owner: Owner, what: str) -> None:
        self.agreed.append(Agreement(kind, name, at_ns, *owner, what))

    def _tell(
        self,
        kind: str,
        name: str,
        found: ParityFindings,
        at_ns: int,
        owner: Owner,
        sides: tuple[str, str],
        cost: float = 0.0,
    ) -> None:
        difference = ParityDifference(kind, name, found.cause, at_ns, *owner, *sides, found.why, found.follows, cost)
        self.differences.append(difference)
        self._found.setdefault(name, difference)


def _place(pair: SignalPair | OrderPair) -> tuple[int, bool]:
    """Time, and signals before what they lead to."""
    one = pair.stack or pair.backtest
    other = pair.backtest or pair.stack
    assert one is not None and other is not None
    return min(one.at_ns, other.at_ns), isinstance(pair, OrderPair)


def _alike(one: SignalSeen | None, other: SignalSeen | None) -> bool:
    """True of two signals for the same thing."""
    return (one and (one.action, one.legs)) == (other and (other.action, other.legs))


def _cost(pair: OrderPair) -> float:
    """Rupees that the stack's fill cost more than the backtest's."""
    there, here = pair.stack_fill, pair.backtest_fill
    if there is None or here is None or there.units != here.units:
        return 0.0
    return round(there.units * (there.price - here.price), 2)


def _denial_of(order: OrderSeen, other: DaySide) -> DenialSeen | None:
    for item in other.denials:
        right = item.signal == order.cause and item.account in ("", order.account)
        if right and item.instrument in ("", order.instrument):
            return item
    return None


def _denied(denial: DenialSeen) -> ParityFindings:
    why = f"{denial.code}: {denial.message}"
    if denial.code == EXPIRED:
        return ParityFindings(Cause.LATENCY, why)
    if denial.code in _BY_PERSON:
        return ParityFindings(Cause.PERSON, why)
    return ParityFindings(Cause.DATA if denial.code in _FOR_WANT_OF_DATA else Cause.DENIAL, why)


def _signal_words(signal: SignalSeen | None) -> str:
    if signal is None:
        return NOTHING
    legs = ", ".join(f"{lots:+d} {name}" for name, lots in signal.legs)
    return f"{signal.action.value} {legs or 'flat'} at {signal.price:g}"


def _order_words(order: OrderSeen | None) -> str:
    if order is None:
        return NOTHING
    prices = "".join(
        f" {word} {price:g}" for word, price in (("trigger", order.trigger_price), ("at", order.price)) if price
    )
    kind, state = order.order_type.value, order.state.value
    return f"{order.purpose.value} {order.side.value} {order.quantity} {kind}{prices} ({state})"


def _fill_words(fill: FillSeen | None) -> str:
    return NOTHING if fill is None else f"{fill.units:+d} at {fill.price:.2f}"
