"""The pre-trade rules: one pure function each, in order, all of them evaluated for every entry.

A rule looks at one `Case` and answers with the reason of its denial, numbers included, or with nothing. Exits never
come here.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

import msgspec

from mytrading.core.risk.pretrade.context import Denial, PreTradeContext, Rule
from mytrading.core.risk.pretrade.enabled import ENABLED
from mytrading.core.risk.pretrade.rules_daily_limits import DAY
from mytrading.core.risk.pretrade.rules_exposure import OWNER, SIZES
from mytrading.core.risk.pretrade.rules_margin import MARGIN
from mytrading.core.risk.pretrade.rules_order import ORDER
from mytrading.core.risk.pretrade.rules_price import PRICES
from mytrading.core.risk.pretrade.rules_session import HOURS, STANDING
from mytrading.core.risk.pretrade.rules_strategy import TIMES
from mytrading.messages.commands import FORMER_CODES

RULES: tuple[Rule, ...] = (
    *STANDING, *ENABLED, *ORDER, *PRICES, *HOURS, *TIMES, *SIZES, *MARGIN, *OWNER, *DAY,
)  # fmt: skip
_ALWAYS = tuple((rule.code, rule.check) for rule in RULES if not rule.field)
_ASKED = tuple(rule for rule in RULES if rule.field)
_FIELDS = attrgetter(*(rule.field for rule in _ASKED))
_DEFAULTS = {
    field.name: field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    for field in msgspec.structs.fields(PreTradeContext)
    if not field.required
}
_SILENT = tuple(_DEFAULTS[rule.field] for rule in _ASKED)
_RANK = {rule.code: place for place, rule in enumerate(RULES)}
LOTS_PER_LEG = Rule(
    "LOTS_PER_LEG", "A leg of more lots than one may have.", "config/risk.toml, STRATEGY_<NAME>_MAX_LOTS", lambda _: ""
)
BASKET_BROKEN = Rule(
    "BASKET_BROKEN", "A leg of a signal could not be had after others were ordered.", "orphan_legs",
    lambda _: "",
)  # fmt: skip


def judge(
    case: PreTradeContext, always: tuple[tuple[str, Callable[[PreTradeContext], str]], ...] = _ALWAYS
) -> tuple[Denial, ...]:
    """All denials of a case, in the order of the table; empty if it is admitted. Budget: 20 µs.

    Most reasons of others (halts, doubts, counts, limits) are absent together: one comparison of all of their fields
    with what they are by default tells that, and which of them are there otherwise.
    """
    found = [Denial(code, text) for code, check in always if (text := check(case))]
    values = _FIELDS(case)
    if values != _SILENT:
        spoken = (rule for rule, value, silent in zip(_ASKED, values, _SILENT, strict=True) if value != silent)
        found += [Denial(rule.code, text) for rule in spoken if (text := rule.check(case))]
        found.sort(key=_rank)
    return tuple(found)


def judge_given(case: PreTradeContext) -> tuple[Denial, ...]:
    """The denials of those rules alone whose field was given to the case and is not as it is by default."""
    return judge(case, always=())


def _rank(denial: Denial) -> int:
    """Its place in the table; what is no rule of it comes last."""
    return _RANK.get(denial.code, len(_RANK))


def with_denial(found: tuple[Denial, ...], denial: Denial) -> tuple[Denial, ...]:
    """Denials of a case with one that was found before the rules, in its place of the table."""
    others = [one for one in found if one.code != denial.code]
    return tuple(sorted([*others, denial], key=_rank))


def denials_page() -> str:
    """The text of `docs/denials.md`, made from the table."""
    told = (*RULES, LOTS_PER_LEG, BASKET_BROKEN)
    rows = [f"| {_code_cell(rule.code)} | {rule.when} | {_setting_cell(rule.settings)} |" for rule in told]
    return "\n".join([*_PAGE_HEAD, *rows, ""])


def _code_cell(code: str) -> str:
    return f"`{code}`" + (f", formerly `{FORMER_CODES[code]}`" if code in FORMER_CODES else "")


def _setting_cell(settings: str) -> str:
    return ", ".join(f"`{name.strip()}`" for name in settings.split(",")) if settings else ""


_PAGE_HEAD = (
    "# Denials",
    "",
    "Made from the table in `mytrading/core/risk/pretrade/rule_table.py`; a test holds the two together.",
    "",
    "Risk judges every entry by all of these rules, in this order. A denied signal carries the code of the first rule",
    "that spoke and the reasons of all of them, with their numbers and further codes. `config/risk.toml` and the",
    "settings named stand in [configuration.md](configuration.md), the limits of the day in [limits.md](limits.md).",
    "",
    "Exits are never judged. What keeps them sane is done by the router when they are sent: they only reduce, never",
    "beyond what is owned and not being closed already, in whole lots, in slices below the freeze quantity, at prices",
    "on the tick and inside the band. A signal that is denied still closes what it no longer wants. A rule of your own",
    "([limits.md](limits.md)) is asked in the engine, before these, and can only deny as well.",
    "",
    "| Code | Denied when | Settings |",
    "|---|---|---|",
)
