"""The pre-trade rules: one pure function each, in order, all of them evaluated for every entry.

Used by risk; the table also makes `docs/denials.md`. A rule looks at one `Case` and answers with the reason of its
denial, numbers included, or with nothing. The one rule: exits never come here.
"""

from __future__ import annotations

from mytrading.core.risk_case import Case, Denial, Rule
from mytrading.core.risk_rules_margin import MARGIN
from mytrading.core.risk_rules_now import HOURS, STANDING
from mytrading.core.risk_rules_order import ORDER
from mytrading.core.risk_rules_owner import OWNER, SIZES
from mytrading.core.risk_rules_times import TIMES

RULES: tuple[Rule, ...] = (*STANDING, *ORDER, *HOURS, *TIMES, *SIZES, *MARGIN, *OWNER)
LOTS_PER_LEG = Rule(
    "LOTS_PER_LEG", "A leg of more lots than one may have.", "config/risk.toml, STRATEGY_<NAME>_MAX_LOTS", lambda _: ""
)
LEG_DENIED = Rule("LEG_DENIED", "Another leg of the same wish is denied, so none is entered.", "", lambda _case: "")


def judge(case: Case) -> tuple[Denial, ...]:
    """All denials of a case, in the order of the table; empty if it is admitted. Budget: 20 µs."""
    return tuple([Denial(rule.code, text) for rule in RULES if (text := rule.check(case))])


def denials_page() -> str:
    """The text of `docs/denials.md`, made from the table."""
    told = (*RULES, LOTS_PER_LEG, LEG_DENIED)
    rows = [f"| `{rule.code}` | {rule.when} | {_setting_cell(rule.settings)} |" for rule in told]
    return "\n".join([*_PAGE_HEAD, *rows, ""])


def _setting_cell(settings: str) -> str:
    return ", ".join(f"`{name.strip()}`" for name in settings.split(",")) if settings else ""


_PAGE_HEAD = (
    "# Denials",
    "",
    "Made from the table in `mytrading/core/risk_rules.py`; a test holds the two together.",
    "",
    "Risk judges every entry by all of these rules, in this order. A denied wish carries the code of the first rule",
    "that spoke and the reasons of all of them, with their numbers. Exits are never judged.",
    "",
    "| Code | Denied when | Settings |",
    "|---|---|---|",
)
