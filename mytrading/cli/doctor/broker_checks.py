"""Doctor on the broker behind a server: what the table of brokers says of it, and what a killed trial of it left."""

from __future__ import annotations

from collections.abc import Sequence

from mytrading.adapters.openalgo import endpoints
from mytrading.adapters.openalgo.rest.client import TransportFailed
from mytrading.adapters.openalgo.rest.errors import OpenAlgoError
from mytrading.cli.doctor.checks import CheckContext, Finding, cure_for, failed, ok, warning
from mytrading.cli.shell.failures import Failure
from mytrading.core.orders.broker_gate import engine_stops_text, entry_refusal
from mytrading.core.text.broker_facts import STANDINGS, data_notes
from mytrading.messages.brokers import Standing, find_broker
from mytrading.messages.run_config import AccountRun
from mytrading.runtime.supervision.instance_lock import AlreadyRunning

_LOOK = "look at the broker's order and position book"


def check_broker(context: CheckContext) -> Finding:
    """Name the limits of the account's broker: its standing in the table of brokers, and what differs there; of a
    source of market data also what differs in prices and history, in analyze mode too."""
    config = context.config
    try:
        broker = endpoints.ping(context.client).broker or "unnamed"
    except (OpenAlgoError, TransportFailed) as error:
        cure = cure_for(error, "log in to the broker on the OpenAlgo page")
        return failed(f"the server does not name it: {error}", cure)
    data = data_notes(find_broker(config.brokers, broker)) if context.gives_quotes else []
    if not config.brokers_count:
        return ok(_with(f"{broker}; orders do not reach it, so its limits do not count", data))
    rules, account = config.broker_rules(broker), config.venue.account
    if refusal := entry_refusal(account, rules, config.accepted_brokers):
        return failed(_with(refusal, data), f"`mytrading brokers {rules.name}` says more")
    if engine := engine_stops_text(account, rules):
        return warning(_with(engine, data), f"`mytrading brokers {rules.name}` says more")
    if rules.standing is Standing.UNLISTED:
        text = f"{broker} is not in the table of brokers: what its books show is believed with the greatest caution"
        return warning(text, "`mytrading brokers check` tries it, and its report helps everybody")
    limits = rules.notes if rules.standing is Standing.LIMITS else ()
    return ok(_with(f"{rules.name}, {STANDINGS[rules.standing]}", [*limits, *data], ": "))


def _with(text: str, notes: Sequence[str], between: str = ". ") -> str:
    return f"{text}{between}{' '.join(notes)}" if notes else text


def check_left_orders(context: CheckContext) -> Finding:
    """End what a killed `mytrading brokers check` left at the account's server, if it left anything."""
    from mytrading.cli.brokers.check import end_left_orders

    try:
        problems = end_left_orders(context.config, _account(context))
    except AlreadyRunning as error:
        text = f"a check of the broker was killed, and a stack trades the account now: {error}"
        return warning(text, "`mytrading down`, then `mytrading doctor` ends what it left")
    except Failure as error:
        return failed(f"a check of the broker was killed: {error}", "start the server, then `mytrading doctor`")
    if problems is None:
        return ok("none of a check of the broker")
    if problems:
        return failed("; ".join(problems), _LOOK)
    return ok("what a killed check of the broker left is taken back")


def _account(context: CheckContext) -> AccountRun:
    """The account that is checked, with the server in the venue's place."""
    venue = context.config.venue
    return AccountRun(id=venue.account, rest_url=venue.rest_url, ws_url=venue.ws_url, api_key=venue.api_key)
