"""The pre-trade rules, in order, all of them evaluated for every entry; exits never come here.

A rule is a pure function of a `PreTradeContext`: the reason of its denial, numbers included, or an empty string.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

import msgspec

from mytrading.core.risk.pretrade.context import Denial, PreTradeContext, Rule
from mytrading.core.risk.pretrade.rules_account import ACCOUNT
from mytrading.core.risk.pretrade.rules_order import ORDER
from mytrading.core.risk.pretrade.rules_session import READINESS, SESSION
from mytrading.core.time import SECOND
from mytrading.messages.commands import ADJUSTMENT_BROKEN, FORMER_CODES

RULES: tuple[Rule, ...] = (*READINESS, *ORDER, *SESSION, *ACCOUNT)
_ALWAYS = tuple((rule.code, rule.check) for rule in RULES if not rule.field)
OF_THE_MOMENT = tuple((rule.code, rule.check) for rule in SESSION if not rule.field)
"""Codes and checks of the rules that look at nothing but the time and the strategy's own times."""
_GATED = tuple(rule for rule in RULES if rule.field)
_FIELDS = attrgetter(*(rule.field for rule in _GATED))
_DEFAULTS = {
    field.name: field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    for field in msgspec.structs.fields(PreTradeContext)
    if not field.required
}
_AT_DEFAULT = tuple(_DEFAULTS[rule.field] for rule in _GATED)
_RANK = {rule.code: place for place, rule in enumerate(RULES)}
Figures = tuple[float | None, float | None]
_FIGURES: dict[str, Callable[[PreTradeContext], Figures]] = {
    "DATA_COVERAGE": lambda case: (case.coverage, case.limits.min_data_coverage),
    "STALE_QUOTE": lambda case: (
        round((case.now - case.quote.market_ns) / SECOND, 1) if case.quote is not None else None,
        case.limits.stale_quote_seconds,
    ),
    "MAX_ORDER_SIZE": lambda case: (case.value_of(case.units), case.limits.max_order_size),
    "MIN_ORDER_SIZE": lambda case: (case.value_of(case.units), case.limits.min_order_size),
    "MAX_POSITION_SIZE": lambda case: (
        case.value_of(case.units_there + abs(case.units)),
        min(own, case.limits.max_position_size)
        if case.strategy is not None and (own := case.strategy.max_position_size) > 0
        else case.limits.max_position_size,
    ),
    "MAX_POSITIONS_PER_SYMBOL": lambda case: (case.positions_symbol, case.limits.max_positions_per_symbol),
    "MAX_TOTAL_POSITIONS": lambda case: (case.positions_total, case.limits.max_total_positions),
    "ENTRIES_PER_MINUTE": lambda case: (case.entries_last_minute, case.entries_per_minute),
    "ENTRIES_PER_SESSION": lambda case: (case.session_entries, case.limits.max_entries_per_session),
    "INSUFFICIENT_MARGIN": lambda case: (case.margin_needed, case.margin_free),
    "ACTIVE_ORDERS": lambda case: (case.active_orders, case.limits.max_active_orders),
    "CANCELS_PER_DAY": lambda case: (case.cancels_today, case.limits.max_cancels_per_day),
    "LOSS_PAUSE": lambda case: (case.losses, case.limits.max_consecutive_losses),
}
"""What the rules of numbers compare: value and limit. A limit of 0 stands for none, where the rule says so."""
_NO_FIGURES: Figures = (None, None)
LOTS_PER_LEG = Rule(
    "LOTS_PER_LEG", "A leg of more lots than one may have.", "config/risk.toml, STRATEGY_<NAME>_MAX_LOTS", lambda _: ""
)
BASKET_BROKEN = Rule(
    "BASKET_BROKEN", "A leg of a signal could not be had after others were ordered.", "orphan_legs",
    lambda _: "",
)  # fmt: skip
_NAMES = {"INSUFFICIENT_MARGIN": "margin", "MAX_TOTAL_POSITIONS": "open positions", "LOSS_PAUSE": "losses in a row"}
"""Plain words of codes that are none themselves."""

ADJUSTMENTS = (
    Rule("ADJUSTMENT_WAITS", "A change of legs came before the last signal was carried out, or while a leg is closed.",
         "", lambda _: ""),
    Rule("ADJUSTMENT_BARES", "A change of legs would leave, or sell, a leg without the bought one that covers it.", "",
         lambda _: ""),
    Rule(ADJUSTMENT_BROKEN, "A started change of legs failed; it is undone as far as possible.",
         "orphan_tries", lambda _: ""),
)  # fmt: skip


def find_denials(
    case: PreTradeContext, always: tuple[tuple[str, Callable[[PreTradeContext], str]], ...] = _ALWAYS
) -> tuple[Denial, ...]:
    """Return all denials of a context in rule table order; empty if it passes; `always`: (code, check) pairs always
    evaluated. Rules with a `field` are evaluated only where that field of the context is not at its default."""
    found = [Denial(code, text, *figures_of(code, case)) for code, check in always if (text := check(case))]
    values = _FIELDS(case)
    if values != _AT_DEFAULT:
        gated = (rule for rule, value, default in zip(_GATED, values, _AT_DEFAULT, strict=True) if value != default)
        found += [Denial(rule.code, text, *figures_of(rule.code, case)) for rule in gated if (text := rule.check(case))]
        found.sort(key=_rank)
    return tuple(found)


def find_gated_denials(case: PreTradeContext) -> tuple[Denial, ...]:
    """Return only the denials of rules with a `field`, evaluated where that is not at its default in the context."""
    return find_denials(case, always=())


def judge_rules(case: PreTradeContext) -> list[tuple[Rule, str]]:
    """Return every rule in order with its reason of a denial, empty where it lets the context pass."""
    return [
        (rule, "" if rule.field and getattr(case, rule.field) == _DEFAULTS[rule.field] else rule.check(case))
        for rule in RULES
    ]


def figures_of(code: str, case: PreTradeContext) -> Figures:
    """Return what a rule compares in a context, value and limit; (None, None) for a rule of no numbers."""
    return _FIGURES[code](case) if code in _FIGURES else _NO_FIGURES


def rule_name(code: str) -> str:
    """Return a code in plain words: `positions per symbol` of MAX_POSITIONS_PER_SYMBOL."""
    return _NAMES.get(code) or code.removeprefix("MAX_").replace("_", " ").lower()


def _rank(denial: Denial) -> int:
    return _RANK.get(denial.code, len(_RANK))


def with_denial(found: tuple[Denial, ...], denial: Denial) -> tuple[Denial, ...]:
    """Return `found` with `denial` inserted, in place of one with its code, in the order of the rule table."""
    return tuple(sorted([*(one for one in found if one.code != denial.code), denial], key=_rank))


def denials_page() -> str:
    """Return the text of `docs/denials.md`, made from the rule table."""
    rows = []
    for rule in (*RULES, LOTS_PER_LEG, BASKET_BROKEN, *ADJUSTMENTS):
        former = f", formerly `{FORMER_CODES[rule.code]}`" if rule.code in FORMER_CODES else ""
        settings = ", ".join(f"`{name.strip()}`" for name in rule.settings.split(",") if name)
        rows.append(f"| `{rule.code}`{former} | {rule.when} | {settings} |")
    return "\n".join([*_PAGE_HEAD, *rows, ""])


_PAGE_HEAD = (
    "# Denials",
    "",
    "Made from the table in `mytrading/core/risk/pretrade/rule_table.py`; a test holds the two together.",
    "",
    "Risk judges every entry by all of these rules, in this order. A denied signal carries the code of the first rule",
    "that spoke and the reasons of all of them, with their numbers and further codes. `config/risk.toml` and the",
    "settings named stand in [configuration.md](configuration.md), the limits of the day in [limits.md](limits.md).",
    "",
    "A strategy whose newest signals were denied says so in `mytrading strategies`, `status` and the console: the",
    "first rule in plain words with its figures, since when, and how many in a row; until a signal of it is entered.",
    "",
    "Exits are never judged. The router checks them when they are sent: they only reduce, never",
    "beyond what is owned and not being closed already, in whole lots, in slices below the freeze quantity, at prices",
    "on the tick and inside the band. A signal that is denied still closes what it no longer wants. A rule of your own",
    "([limits.md](limits.md)) is asked in the engine, before these, and can only deny as well.",
    "",
    "| Code | Denied when | Settings |",
    "|---|---|---|",
)
