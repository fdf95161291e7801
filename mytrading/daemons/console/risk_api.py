"""Routes of the page of risk: what the book would make if markets moved, and what an order would do."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Annotated
from uuid import uuid4

import msgspec
from litestar import get, post
from litestar.datastructures import State
from litestar.params import JSONBody, QueryParameter

from mytrading.core.instruments.book import InstrumentBook
from mytrading.daemons.console.actions_api import TRADER, query_gateway
from mytrading.daemons.console.refusals import ApiRefused
from mytrading.daemons.console.scenario import scenario
from mytrading.daemons.console.shell_commands import ask_shell
from mytrading.messages import console_api as api
from mytrading.messages import ops
from mytrading.messages.control import OrderTrialResult
from mytrading.messages.enums import OrderType, Product
from mytrading.messages.instruments import Instrument
from mytrading.runtime.streams.ops_client import OpsRefused, OpsTimedOut

ANSWER_S, ASK_S = 5.0, 0.15
"""Seconds for which risk's answer is awaited, and between two queries for it."""
MS = 1_000_000
Short = Annotated[str, QueryParameter(max_length=64)]


@get("/api/scenario", sync_to_thread=True)
def show_scenario(
    state: State, underlying: Short = "", days: Annotated[float, QueryParameter(ge=0.0, le=365.0)] = 0.0
) -> api.ScenarioTable:
    """Return the profit of the whole book, or of one underlying's positions, if spot and volatility moved."""
    book: InstrumentBook = state.chains.instruments()
    positions = query_gateway(state, ops.PositionsQuery())
    watched = [run["prices"] for run in query_gateway(state, ops.SummaryQuery())["strategies"]]
    known = {name: price for prices in watched for name, price in prices.items() if price}
    known |= {row["instrument"]: row["ltp"] for row in positions if row.get("ltp")}
    try:
        return scenario(state.config, state.calendar, book, positions, known, underlying, days)
    except (OpsRefused, OpsTimedOut) as error:
        raise ApiRefused("STACK_SILENT", str(error), "", 2) from error


@post("/api/risk/trial", opt=TRADER | {"action": "risk trial"}, sync_to_thread=True, status_code=200)
def try_order(state: State, data: JSONBody[api.TrialRequest]) -> api.TrialResult:
    """Return the result of every pre-trade rule for an order that is neither placed nor journaled."""
    query = ops.OrderTrialQuery(
        id=uuid4().hex,
        strategy=data.strategy,
        instrument=data.instrument,
        lots=data.lots,
        account=data.account,
        order_type=OrderType(data.order_type),
        limit_price=data.limit_price,
        trigger_price=data.trigger_price,
        stop_price=data.stop_price,
        product=Product(data.product) if data.product else None,
        contract=_server_contract(state, data.instrument),
    )
    until = time.monotonic() + ANSWER_S
    while (found := query_gateway(state, query).result) is None:
        if time.monotonic() > until:
            raise ApiRefused("STACK_SILENT", "risk does not answer; see `mytrading status`", "", 2)
        time.sleep(ASK_S)
    return _trial_result(found)


def _server_contract(state: State, name: str) -> Instrument | None:
    """What the server lists under the name of an instrument that is not among the stack's own; None if it has none, or
    does not answer."""
    book: InstrumentBook = state.chains.instruments()
    exchange, _, symbol = name.partition(":")
    if name in book or not symbol:
        return None
    words = ("instruments", "search", "--server", f"--exchange={exchange}", "--limit=0", "--", symbol)
    with suppress(ApiRefused):
        found = msgspec.convert(ask_shell(state.config, *words), list[Instrument])
        return next((one for one in found if one.id == name), None)
    return None


def _trial_result(found: OrderTrialResult) -> api.TrialResult:
    if found.problem:
        raise ApiRefused("REFUSED", found.problem, "account")
    numbers = {name: getattr(found, name) for name in api.TrialResult.__struct_fields__ if name != "rules"}
    rules = [api.TrialRule(**msgspec.structs.asdict(rule)) for rule in found.rules]
    return api.TrialResult(rules=rules, **numbers)


@get("/api/risk/events", sync_to_thread=True)
def show_risk_events(
    state: State, strategy: Short = "", limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 200
) -> list[api.RiskEventRow]:
    """Return the acts of automatic rules with their reasons, of running and removed strategies, the newest last."""
    rows = ask_shell(state.config, "risk", "events", f"--strategy={strategy}", f"--limit={limit}")
    return msgspec.convert([{**row, "at_ms": row["at_ns"] // MS} for row in rows], list[api.RiskEventRow])


ROUTES = [show_scenario, try_order, show_risk_events]
