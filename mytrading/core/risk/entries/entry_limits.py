"""Use of the limits that pre-trade rules hold entries against: positions, their sizes, orders, entries, losses, margin.

For screens. Each figure is what the rule itself compares (`pretrade/rule_table`), of the same counts of the state, for
everything that is held or on its way: rules add the order that they judge. Made for a picture of risk twice a second,
on no quote's path.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from mytrading.core.accounting.margin import is_margined
from mytrading.core.risk.entries.context_builder import NO_LEG, NO_SIGNAL
from mytrading.core.risk.pretrade.context import PreTradeContext
from mytrading.core.risk.pretrade.rule_table import figures_of
from mytrading.core.risk.sizing.lots import reference_price, side_of
from mytrading.core.risk.sizing.margin_check import MarginCheck
from mytrading.core.risk.state.state import RiskState
from mytrading.core.time import MINUTE, SECOND, second_of_day
from mytrading.messages.control import EntryLimitUse
from mytrading.messages.enums import Purpose
from mytrading.messages.run_config import StrategyRun

_ACCOUNT, _STRATEGY, _UNDERLYING, _INSTRUMENT = "account", "strategy", "underlying", "instrument"


def entry_limits(state: RiskState, margins: MarginCheck, now: int) -> tuple[EntryLimitUse, ...]:
    """Return a row for each limit and scope of which something is used at market time `now` (ns)."""
    environment = state.environment
    blank = PreTradeContext(
        signal=NO_SIGNAL, leg=NO_LEG, now=now, machine_ns=state.machine_ns, limits=environment.limits
    )
    rows = [row for name in environment.accounts() for row in _of_account(state, margins, blank, name)]
    return (*rows, *_of_strategies(state, blank, now))


def _use(
    case: PreTradeContext, code: str, scope: str, name: str, account: str = "", *, at_limit: bool = True
) -> Iterator[EntryLimitUse]:
    """The row of a rule in a context, if anything is used and the limit is on; `at_limit`: the rule denies there."""
    value, most = figures_of(code, case)
    if not value or value <= 0 or not most:
        return
    used = value / most
    denies = used >= 1 if at_limit else used > 1
    yield EntryLimitUse(
        code=code, scope=scope, name=name, account=account, most=round(most, 2), value=round(value, 2),
        used=round(used, 6), denies=denies,
    )  # fmt: skip


def _of_account(
    state: RiskState, margins: MarginCheck, blank: PreTradeContext, account: str
) -> Iterator[EntryLimitUse]:
    case = replace(
        blank,
        positions_total=len(taken := state.taken_instruments(account)),
        active_orders=state.live_order_count(account),
        cancels_today=state.counters.cancels.get(account, 0),
    )
    for code in ("MAX_TOTAL_POSITIONS", "ACTIVE_ORDERS", "CANCELS_PER_DAY"):
        yield from _use(case, code, _ACCOUNT, account)
    names: dict[str, int] = {}
    for instrument in taken:
        underlying = state.environment.underlying(instrument)
        names[underlying] = names.get(underlying, 0) + 1
    for underlying, count in sorted(names.items()):
        case = replace(blank, positions_symbol=count)
        yield from _use(case, "MAX_POSITIONS_PER_SYMBOL", _UNDERLYING, underlying, account)
    for instrument in sorted(state.busy_instruments(account)):
        case = _position_case(state, margins, blank, account, instrument)
        yield from _use(case, "MAX_POSITION_SIZE", _INSTRUMENT, instrument, account, at_limit=False)
    yield from _margin(margins, blank, account)


def _position_case(
    state: RiskState, margins: MarginCheck, blank: PreTradeContext, account: str, instrument: str
) -> PreTradeContext:
    """The context of a position as if all its units were ordered now, by the owner with the lowest limit of its own."""
    held = [row for row in state.positions.of_instrument(instrument) if row.account == account and row.open_units]
    orders = [row for row in state.orders.of_instrument(instrument) if row.account == account]
    coming = [row for row in orders if row.purpose is Purpose.ENTRY]
    units, quote = state.units_everywhere(account, instrument), state.quotes.get(instrument)
    if not units or quote is None:
        return blank
    contract, price = state.environment.instruments.get(instrument), reference_price(quote, side_of(units))
    margin = 0.0
    if contract is not None and is_margined(contract, units):
        leg = margins.margin_leg(instrument, units, price, (held[0] if held else coming[0]).product)
        margin = margins.leg_margin(leg, blank.now) if leg is not None else 0.0
    owners = {row.strategy for row in held} | {row.strategy for row in coming}
    runs = [run for name in owners if (run := state.environment.strategies.get(name)) is not None]
    limited = [run for run in runs if run.max_position_size > 0]
    run = min(limited, key=lambda one: one.max_position_size, default=None)
    return replace(blank, instrument=contract, strategy=run, units=units, price=price, margin=margin)


def _margin(margins: MarginCheck, blank: PreTradeContext, account: str) -> Iterator[EntryLimitUse]:
    """What is not free of the margin that an account has, as entries are sized by it."""
    used, free = margins.used_margin(account), margins.available_margin(account)
    if used is not None and free is not None:
        case = replace(blank, margin_needed=used, margin_free=used + free)
        yield from _use(case, "INSUFFICIENT_MARGIN", _ACCOUNT, account, at_limit=False)


def _of_strategies(state: RiskState, blank: PreTradeContext, now: int) -> Iterator[EntryLimitUse]:
    midnight = now - second_of_day(now) * SECOND
    for run in state.environment.strategies.values():
        yield from _of_strategy(state, blank, run, now, midnight)
    for (account, strategy), (losses, loss_ns) in sorted(state.counters.losses.items()):
        pause = blank.limits.loss_pause_minutes * MINUTE
        for row in _use(replace(blank, losses=losses), "LOSS_PAUSE", _STRATEGY, strategy, account):
            yield replace(row, denies=row.denies and now < loss_ns + pause)


def _of_strategy(
    state: RiskState, blank: PreTradeContext, run: StrategyRun, now: int, midnight: int
) -> Iterator[EntryLimitUse]:
    case = replace(
        blank,
        entries_per_minute=state.environment.rates.entries_per_minute,
        entries_last_minute=state.entries_since(run.name, now - MINUTE + 1),
        session_entries=state.entries_since(run.name, midnight),
    )
    for code in ("ENTRIES_PER_MINUTE", "ENTRIES_PER_SESSION"):
        yield from _use(case, code, _STRATEGY, run.name)
