"""Trial of an order: one typed in, judged by every pre-trade rule as an entry of a strategy, not placed.

Reads the state and changes nothing. Each rule answers, those of numbers with what they compare, and those that lack a
price or the contract with what they lack.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from msgspec.structs import replace

from mytrading.core.orders.slicing import UNKNOWN_FREEZE
from mytrading.core.risk.entries.entry_planner import EntryPlanner
from mytrading.core.risk.pretrade.context import PreTradeContext, Rule
from mytrading.core.risk.pretrade.rule_table import LOTS_PER_LEG, figures_of, judge_rules
from mytrading.core.risk.pretrade.stop_plan import StopLevels, plan_stop, stop_holder
from mytrading.core.risk.state.intent import Intent
from mytrading.core.risk.state.state import RiskState
from mytrading.core.time import SECOND
from mytrading.messages.control import OrderTrial, OrderTrialResult, RuleVerdict
from mytrading.messages.enums import Action, Product
from mytrading.messages.instruments import Instrument
from mytrading.messages.run_config import StopPlan
from mytrading.messages.signals import Leg, Signal

VALID_NS = 60 * SECOND
_OF_PRICE = frozenset({
    "STALE_QUOTE", "STOP_LEVEL", "IMPLAUSIBLE_QUOTE", "PRICE_COLLAR", "PRICE_BAND", "MAX_ORDER_SIZE", "MIN_ORDER_SIZE",
    "MAX_POSITION_SIZE", "MARGIN_UNKNOWN", "INSUFFICIENT_MARGIN",
})  # fmt: skip
"""Rules that judge by the price: without one they deny nothing, which says nothing."""
_OF_CONTRACT = frozenset({
    "INDEX_NOT_TRADABLE", "EXCHANGE_DISABLED", "TYPE_DISABLED", "PRODUCT_NOT_ALLOWED", "WHOLE_LOTS", "FREEZE", "TICK",
    "MAX_POSITIONS_PER_SYMBOL", "LOTS_PER_LEG", *_OF_PRICE,
})  # fmt: skip
"""Rules that judge by what the contract is."""


def try_order(state: RiskState, planner: EntryPlanner, trial: OrderTrial, now: int) -> OrderTrialResult:
    """Return what risk would say to an order at market time `now` (ns)."""
    contract = trial.contract
    if contract is None or contract.id != trial.instrument or contract.id in state.environment.instruments:
        return _judge(state, planner, trial, now)
    with _listed_for_once(state, contract):
        found = _judge(state, planner, trial, now)
    denial = (
        f"{contract.id} is listed by the server, but is not among the contracts of this stack, so a signal of it is "
        "denied; name it in a strategy, a webhook or ENABLED_SYMBOLS. The other rules judge what the server says"
    )
    rules = (replace(rule, denial=denial) if rule.code == "UNKNOWN_INSTRUMENT" else rule for rule in found.rules)
    return replace(found, rules=tuple(rules))


@contextmanager
def _listed_for_once(state: RiskState, contract: Instrument) -> Iterator[None]:
    """The environment with one more contract, meanwhile."""
    listed = state.environment.instruments
    state.environment.instruments = listed.with_contract(contract)
    try:
        yield
    finally:
        state.environment.instruments = listed


def _judge(state: RiskState, planner: EntryPlanner, trial: OrderTrial, now: int) -> OrderTrialResult:
    environment, strategy, account = state.environment, trial.strategy, trial.account
    if account not in (served := environment.accounts_of(strategy)):
        text = f"{strategy} does not trade in {account}; expected one of {', '.join(served)}"
        return OrderTrialResult(id=trial.id, at_ns=now, problem=text)
    run, instrument = environment.strategies.get(strategy), environment.instruments.get(trial.instrument)
    watch = state.bound.get((strategy, trial.instrument)) or (run.symbols[0] if run is not None and run.symbols else "")
    held = state.units_of(strategy, watch, trial.instrument, account)
    there = held + state.pending_units(strategy, trial.instrument, account)
    lot = instrument.lot_size if instrument is not None else 1
    if held * trial.lots < 0 and abs(trial.lots) * lot <= abs(held):
        return OrderTrialResult(id=trial.id, at_ns=now, exits=True, held=held, units=trial.lots * lot)
    leg = Leg(
        instrument=trial.instrument,
        lots=trial.lots + int(there / lot),  # a leg says what is to be held, the order what is to come
        order_type=trial.order_type,
        limit_price=trial.limit_price,
        trigger_price=trial.trigger_price,
        stop_price=trial.stop_price,
    )
    signal = Signal(
        id=f"trial-{trial.id}",
        strategy=strategy,
        watch=watch,
        action=Action.BUY if trial.lots > 0 else Action.SELL,
        created_ns=now,
        expires_ns=now + VALID_NS,
        expires_machine_ns=state.wait_machine_ns + VALID_NS,
        account=account,
        product=trial.product or (run.product if run is not None else Product.MIS),
        legs=(leg,),
    )
    return _result(trial, planner.trial_context(Intent(signal=signal), leg, account, now), held, _most_lots(state, leg))


def _most_lots(state: RiskState, leg: Leg) -> int:
    """The most lots of a leg; 0 for what is no derivative, which has no such limit."""
    instrument = state.environment.instruments.get(leg.instrument)
    derivative = instrument is None or instrument.kind.is_derivative
    return state.environment.tables.max_lots_per_leg if derivative else 0


def _result(trial: OrderTrial, case: PreTradeContext, held: int, most_lots: int) -> OrderTrialResult:
    stop, holder = plan_stop(case), stop_holder(case)
    levels = stop if isinstance(stop, StopLevels) else StopLevels(0.0, 0.0)
    at_risk = abs(case.price - levels.trigger) * abs(case.units) if levels.trigger else None
    lacks = _what_is_lacking(case)
    lots = abs(case.leg.lots)
    too_many = f"{lots} lots of {trial.instrument}: at most {most_lots} a leg" if 0 < most_lots < lots else ""
    per_leg = RuleVerdict(
        code=LOTS_PER_LEG.code,
        when=LOTS_PER_LEG.when,
        denial=too_many,
        value=lots if most_lots else None,
        limit=most_lots or None,
        unknown=lacks.get(LOTS_PER_LEG.code, ""),
    )
    return OrderTrialResult(
        id=trial.id,
        at_ns=case.now,
        rules=(*(_verdict(rule, denial, case, lacks) for rule, denial in judge_rules(case)), per_leg),
        units=case.units,
        held=held,
        price=case.price,
        value=round(case.value_of(case.units), 2),
        margin=round(case.margin, 2),
        margin_needed=round(case.margin_needed, 2),
        margin_free=case.margin_free,
        stop=levels.trigger,
        stop_limit=levels.limit if holder is StopPlan.BROKER else 0.0,
        stop_holder=holder.value if levels.trigger else "none",
        at_risk=round(at_risk, 2) if at_risk is not None else None,
    )


def _what_is_lacking(case: PreTradeContext) -> dict[str, str]:
    """Return by code what rules lack to judge a case."""
    name, lacks = case.leg.instrument, dict[str, str]()
    if case.price <= 0:
        session = case.session
        shut = session is None or not session.open_ns <= case.now < session.close_ns
        why = "no quote of it has come" if case.quote is None else "its quote holds no price"
        text = f"no price of {name}: {why}{', its exchange is closed' if shut else ''}"
        lacks |= dict.fromkeys(_OF_PRICE, text)
    elif case.margin_free is None:
        lacks["INSUFFICIENT_MARGIN"] = f"what is free of margin is not known: {case.funds_unread}"
    if case.instrument is None:
        lacks |= dict.fromkeys(_OF_CONTRACT, f"{name} is not a listed contract: its kind, lot and tick are not known")
    elif case.instrument.kind.is_derivative and case.instrument.freeze_qty <= UNKNOWN_FREEZE:
        lacks["FREEZE"] = f"the freeze quantity of {name} is not known"
    return lacks


def _verdict(rule: Rule, denial: str, case: PreTradeContext, lacks: dict[str, str]) -> RuleVerdict:
    """A rule that denies has judged; of one that lacks something its silence is no pass, and its figures none."""
    value, limit = figures_of(rule.code, case)
    unknown = "" if denial else lacks.get(rule.code, "")
    value = None if unknown else value
    return RuleVerdict(code=rule.code, when=rule.when, denial=denial, value=value, limit=limit, unknown=unknown)
