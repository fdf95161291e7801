"""Alerts over HTTP: how long an answer and the way to the order take, and whether a load loses any.

The ways of an alert and of a quote are measured in turns in one stack, both to the arrival of the order request.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec

from lab.bench.results import Figure, against_limit, below, percentile
from lab.bench.stack import TURN_S, Lab, lab
from mytrading.core.webhooks.authentication import digest_of
from mytrading.core.webhooks.definition import SymbolMapping, WebhookFile, WebhookToken, write_webhook
from mytrading.messages.run_config import RUN_FILE, StopPlan, decode_run_config
from mytrading.messages.webhooks import Sender
from mytrading.operations.journal_verify import decode_journals
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.streams.endpoints import read_webhook_endpoint

WAYS, WARM_UP = 40, 4
ANSWERS_A_SECOND, ANSWERS_S, ANSWERING = 20, 20, 20
LOAD_A_SECOND, LOAD_S, LOADED = 100, 60, 100
_SYMBOLS = ("SBIN", "INFY", "TCS", "ITC", "WIPRO")
"""The first is the one whose quotes are pushed, so that its price is never old."""
_TRADED = _SYMBOLS[1:]
"""Symbols of the webhooks 1 to 4, which trade beside the quotes."""
_FLAT = [number for number in range(len(_SYMBOLS), ANSWERING) if number % len(_SYMBOLS)]
"""Webhooks of the same shares that hold nothing."""


class HookLab(Lab):
    """A laboratory with webhooks, each on a share; their tokens are their names."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (self.home / "config" / "webhooks").mkdir(mode=0o700, exist_ok=True)
        self.environment["WEBHOOK_PORT"] = "0"

    def add(self, count: int) -> None:
        """Write so many webhooks: `w0`, `w1`, …"""
        for number in range(count):
            symbol = _SYMBOLS[number % len(_SYMBOLS)]
            made = WebhookFile(
                sender=Sender.GENERIC,
                token=WebhookToken(digest=digest_of(f"w{number}")),
                duplicate_seconds=0.0,
                stop=StopPlan.NONE,
                symbols=(SymbolMapping(symbol=symbol, instrument=f"NSE:{symbol}", quantity=10),),
            )
            path = self.home / "config" / "webhooks" / f"w{number}.toml"
            path.write_text(write_webhook(made))
            path.chmod(0o600)

    def price_of(self, symbol: str) -> float:
        """A share's price before anything is pushed."""
        return float(self.rest("POST", "/api/v1/quotes", symbol=symbol, exchange="NSE")["ltp"])

    @property
    def port(self) -> int:
        """Wait until the process listens; return its port, RuntimeError after 20 s."""
        deadline = time.monotonic() + 20
        while (place := read_webhook_endpoint(decode_run_config(self.state / RUN_FILE))) is None:
            if time.monotonic() > deadline:
                raise RuntimeError("the process webhooks does not listen")
            time.sleep(0.05)
        return int(place["port"])


class SentAlert(NamedTuple):
    """An alert that was sent: the status of its answer (0: none), milliseconds until then, and its id there."""

    status: int
    took_ms: float
    alert: str = ""

    @property
    def is_taken(self) -> bool:
        """True if the answer says that it was."""
        return self.status in (200, 202)


def send(port: int, number: int, action: str) -> SentAlert:
    """Send an alert to a webhook, and wait for the answer."""
    symbol = _SYMBOLS[number % len(_SYMBOLS)]
    body = json.dumps({"symbol": symbol, "action": action, "id": time.monotonic_ns()})
    began = time.perf_counter_ns()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", f"/strategy/webhook/w{number}", body)
        found = connection.getresponse()
        text = found.read()
    took = (time.perf_counter_ns() - began) / 1e6
    return SentAlert(found.status, took, json.loads(text).get("id", ""))


def send_steadily(port: int, webhooks: int, a_second: int, seconds: int) -> list[SentAlert]:
    """Send so many alerts a second, over all webhooks in turn, each on time whatever the others wait for."""
    found: list[SentAlert] = []

    def one(number: int) -> None:
        try:
            found.append(send(port, number % webhooks, "buy" if number // webhooks % 2 == 0 else "sell"))
        except (OSError, http.client.HTTPException):
            found.append(SentAlert(0, 0.0))

    threads, began = [], time.monotonic()
    for number in range(a_second * seconds):
        time.sleep(max(0.0, began + number / a_second - time.monotonic()))
        thread = threading.Thread(target=one, args=(number,))
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join()
    return found


def measure_webhook_answers(progress: Callable[[str], None]) -> list[Figure]:
    """Milliseconds from before the connection of an alert to its answer, p50 and p99."""
    progress(f"{ANSWERS_A_SECOND} alerts a second over {ANSWERING} webhooks, {ANSWERS_S} s")
    with lab(HookLab) as stack:
        assert isinstance(stack, HookLab)
        stack.add(ANSWERING)
        stack.run("up", "--detach", "--simulator", "--speed", "1")
        port = stack.port
        send_steadily(port, ANSWERING, ANSWERS_A_SECOND, 2)
        found = send_steadily(port, ANSWERING, ANSWERS_A_SECOND, ANSWERS_S)
    times = [one.took_ms for one in found if one.is_taken]
    return [
        below("webhook_answer_p50", percentile(times, 0.5), "ms", 20.0, len(times)),
        below("webhook_answer_p99", percentile(times, 0.99), "ms", 50.0, len(times)),
    ]


def measure_webhook_to_order(progress: Callable[[str], None]) -> list[Figure]:
    """From an alert to the order request at the exchange, one at a time, beside a quote's way in the same stack."""
    progress(f"an alert and a quote in turns, {WAYS} orders each, {WAYS * 2 * TURN_S:.0f} s")
    alerts: list[float] = []
    quotes: list[float] = []
    with lab(HookLab) as stack:
        assert isinstance(stack, HookLab)
        stack.add(1)
        stack.run("up", "--detach", "--simulator", "--speed", "1")
        port = stack.port
        send(port, 0, "sell")
        stack.rest("POST", "/sim/pause", paused=True)
        time.sleep(1.0)
        price, action = 800.0, "buy"
        for _ in range(3 * WAYS):
            known = len(stack.rest("GET", "/sim/orders"))
            began = machine_now()
            send(port, 0, action)
            action = "sell" if action == "buy" else "buy"
            time.sleep(TURN_S)
            orders = stack.rest("GET", "/sim/orders")
            if len(orders) > known:
                alerts.append((int(orders[known]["received_ns"]) - began) / 1e6)
                known = len(orders)
            price = 800.0 if price > 800.0 else 800.05
            stack.show(price)
            time.sleep(TURN_S)
            sent = stack.rest("GET", "/sim/state")["published_ns"]
            orders = stack.rest("GET", "/sim/orders")
            if len(orders) > known:
                quotes.append((int(orders[known]["received_ns"]) - sent) / 1e6)
            if min(len(alerts), len(quotes)) >= WAYS + WARM_UP:
                break
    kept, limit = alerts[WARM_UP:], quotes[WARM_UP:]
    return [against_limit("webhook_to_order_p50", percentile(kept, 0.5), percentile(limit, 0.5), 5.0, len(kept))]


def measure_quote_beside_webhooks(progress: Callable[[str], None]) -> list[Figure]:
    """A quote's way to its order while alerts come, beside the same without alerts, in turns in one stack."""
    progress(f"quotes without and beside {ANSWERS_A_SECOND} alerts a second, {WAYS} orders each")
    ways: dict[bool, list[float]] = {False: [], True: []}
    sent, ordered = Counter[int](), 0
    with lab(HookLab) as stack:
        assert isinstance(stack, HookLab)
        stack.add(ANSWERING)
        stack.run("up", "--detach", "--simulator", "--speed", "1")
        port = stack.port
        prices = {symbol: stack.price_of(symbol) for symbol in _TRADED}
        stack.rest("POST", "/sim/pause", paused=True)
        time.sleep(1.0)
        price = 800.0
        for turn in range(8):
            beside = turn % 2 == 1
            alerts = threading.Thread(target=_send_beside, args=(port, WAYS // 4 * 3 * TURN_S, sent))
            if beside:
                alerts.start()
            for _ in range(WAYS // 4):
                for symbol, last in prices.items():  # a price that is too old would deny the alerts' entries
                    stack.rest("POST", "/sim/market", symbol=symbol, exchange="NSE", ltp=last)
                price = 800.0 if price > 800.0 else 800.05
                known = len(stack.rest("GET", "/sim/orders"))
                stack.show(price)
                time.sleep(2 * TURN_S)
                published = stack.rest("GET", "/sim/state")["published_ns"]
                fresh = stack.rest("GET", "/sim/orders")[known:]
                mine = [int(row["received_ns"]) for row in fresh if row["symbol"] == _SYMBOLS[0]]
                ways[beside] += [(mine[0] - published) / 1e6] if mine else []
            if beside:
                alerts.join()
        ordered = sum(row["symbol"] != _SYMBOLS[0] for row in stack.rest("GET", "/sim/orders"))
    if ordered < sent[202] // 2:
        raise RuntimeError(f"{sent[202]} alerts were accepted and led to {ordered} orders")
    value, limit = percentile(ways[True], 0.5), percentile(ways[False], 0.5)
    made = against_limit("quote_to_order_beside_webhooks", value, limit, 1.1, min(map(len, ways.values())))
    why = f"{sent.total()} alerts, {sent[202]} accepted, {sent[200]} no-ops, {ordered} orders of theirs"
    return [msgspec.structs.replace(made, why=why)]


def _send_beside(port: int, seconds: float, sent: Counter[int]) -> None:
    """Alerts on shares that the quotes do not trade, one in five an entry or an exit: the exchange allows ten orders a
    second. The others want to close what is not held, and are no-ops behind the same checks."""
    began = time.monotonic()
    for number in range(round(seconds * ANSWERS_A_SECOND)):
        turn, others = divmod(number, 5)
        if others:
            found = send(port, _FLAT[number % len(_FLAT)], "sell")
        else:
            found = send(port, 1 + turn % len(_TRADED), "buy" if turn // len(_TRADED) % 2 == 0 else "sell")
        sent[found.status] += 1
        time.sleep(max(0.0, began + (number + 1) / ANSWERS_A_SECOND - time.monotonic()))


def measure_webhook_load(progress: Callable[[str], None]) -> list[Figure]:
    """Accepted alerts whose verdict is missing in the journal, or there twice; and alerts that were not taken."""
    progress(f"{LOAD_A_SECOND} alerts a second over {LOADED} webhooks, {LOAD_S} s")
    with lab(HookLab) as stack:
        assert isinstance(stack, HookLab)
        stack.add(LOADED)
        stack.run("up", "--detach", "--simulator", "--speed", "1")
        found = send_steadily(stack.port, LOADED, LOAD_A_SECOND, LOAD_S)
        config = decode_run_config(stack.state / RUN_FILE)
        rows = [row.body for row in decode_journals(config, "webhooks")]
    judged = Counter(row["alert"] for row in rows if row.get("type") == "alert_judged")
    taken = [one for one in found if one.is_taken]
    lost, doubled = sum(not judged[one.alert] for one in taken), sum(judged[one.alert] > 1 for one in taken)
    others = len(found) - len(taken)
    times = [one.took_ms for one in taken]
    made = below("webhook_load", float(lost + doubled + others), "alerts", 0.5, len(found))
    why = f"{len(taken)} taken, {len(judged)} journaled, {lost} lost, {doubled} twice, {others} answered otherwise"
    return [
        msgspec.structs.replace(made, goal="0 lost, doubled or not taken", why=why),
        below("webhook_load_p99", percentile(times, 0.99), "ms", 1000.0, len(times)),
    ]
