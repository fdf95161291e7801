"""Templates of `mytrading legs new`: well-known option strategies as files of legs, to be copied and changed."""

from __future__ import annotations

from typing import NamedTuple


class Template(NamedTuple):
    """`legs` are (action, what, strike, right, expiry); `what` is option or future."""

    about: str
    legs: tuple[tuple[str, str, str, str, str], ...]
    product: str = "MIS"


def _option(action: str, strike: str, right: str, expiry: str = "nearest") -> tuple[str, str, str, str, str]:
    return action, "option", strike, right, expiry


TEMPLATES: dict[str, Template] = {
    "short-straddle": Template(
        "Sells the call and the put at the money: earns while the market stands still, loss without a bound.",
        (_option("SELL", "ATM", "CE"), _option("SELL", "ATM", "PE"))),
    "strangle": Template(
        "Sells a call and a put out of the money, each covered by one further out that is bought first.",
        (_option("BUY", "OTM 8", "CE"), _option("BUY", "OTM 8", "PE"), _option("SELL", "OTM 3", "CE"),
         _option("SELL", "OTM 3", "PE"))),
    "iron-condor": Template(
        "A sold strangle by delta inside a bought one: the most it can lose is known.",
        (_option("BUY", "OTM 10", "CE"), _option("BUY", "OTM 10", "PE"), _option("SELL", "DELTA 0.25", "CE"),
         _option("SELL", "DELTA 0.25", "PE"))),
    "bull-call-spread": Template(
        "Buys the call at the money and sells one above: a rise, with a known loss.",
        (_option("BUY", "ATM", "CE"), _option("SELL", "OTM 3", "CE"))),
    "bear-put-spread": Template(
        "Buys the put at the money and sells one below: a fall, with a known loss.",
        (_option("BUY", "ATM", "PE"), _option("SELL", "OTM 3", "PE"))),
    "calendar": Template(
        "Sells the near call at the money and buys the same strike rule of the next expiry: time passes faster there.",
        (_option("BUY", "ATM", "CE", "next"), _option("SELL", "ATM", "CE", "nearest"))),
    "covered-call": Template(
        "Buys the future and sells a call above it. Of shares: kind equity, quantity, product CNC, call NRML.",
        (("BUY", "future", "", "", "monthly"), _option("SELL", "OTM 3", "CE", "monthly"))),
}  # fmt: skip


def text_of(name: str, template: Template, underlying: str) -> str:
    """The file that a template makes of a strategy."""
    legs = "\n".join(_leg(*leg) for leg in template.legs)
    return f"""#:schema ../../docs/legs.schema.json
# {template.about}
# Runs once ENABLED_STRATEGIES names it; `mytrading legs check {name}`, `mytrading legs show {name}`.
# Instead of lots a leg may say profile = "Balanced": a share of each account's free margin (config/risk.toml).
# A leg may name a product of its own: product = "NRML".
name = "{name}"
underlying = "{underlying}"
product = "{template.product}"

entry_time = "09:20"
entry_minutes = 15
exit_time = "15:10"
days = "any"
when = "always"
{legs}"""


def _leg(action: str, what: str, strike: str, right: str, expiry: str) -> str:
    rows = [f'action = "{action}"', f'expiry = "{expiry}"', "lots = 1"]
    rows += [f'strike = "{strike}"', f'right = "{right}"'] if what == "option" else [f'kind = "{what}"']
    return "\n[[legs]]\n" + "\n".join(rows) + "\n"
