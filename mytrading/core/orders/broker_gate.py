"""Whether entries may go to an account's broker, and who may hold its stops: by its row of the table of brokers.

Risk and the router both ask here, so that they say the same. Exits ask nobody: they are never refused.
"""

from __future__ import annotations

from collections.abc import Collection

from mytrading.messages.brokers import BrokerRules, Standing


def entry_refusal(account: str, rules: BrokerRules, accepted: Collection[str]) -> str:
    """Return why an account's broker gets no entries; empty if it does. `accepted`: the brokers, by OpenAlgo's name,
    that the operator takes as they are (ACCEPTED_BROKERS)."""
    if rules.standing is not Standing.REFUSED or rules.name in accepted:
        return ""
    return (
        f"account {account} is at {rules.name}, where entries are refused: {finding(rules)}; exits go on. Trade at "
        f"another broker, or accept it with ACCEPTED_BROKERS={rules.name}: then the engine holds the stops"
    )


def finding(rules: BrokerRules) -> str:
    """Return why a broker is refused, with the date of the finding where the table gives one."""
    found = f" (found on {rules.found})" if rules.found else ""
    return f"{rules.reason.rstrip('.') or 'its stops or books cannot be relied on'}{found}"


def keeps_stops(rules: BrokerRules) -> bool:
    """True if stops may rest at this broker; where it is false risk holds them."""
    return rules.broker_stops and rules.standing is not Standing.REFUSED


def engine_stops_text(account: str, rules: BrokerRules) -> str:
    """Return what an operator must know of an account whose stops risk holds for its broker's sake; else empty."""
    if keeps_stops(rules):
        return ""
    why = finding(rules) if rules.standing is Standing.REFUSED else "a stop order does not reach it as a stop"
    return (
        f"the engine holds all stops of account {account}, because of its broker {rules.name}: {why}. They end when "
        "the stack stops or its quotes fail: nothing rests at the broker"
    )
