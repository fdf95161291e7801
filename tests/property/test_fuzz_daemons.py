"""Whatever comes to a daemon from outside, it goes on: the feed's socket, the router's answers, the gateway's requests.

The daemons' own code without their processes. `make fuzz CASES=100000` tries that many at each edge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec
import pytest

from mytrading.adapters.openalgo.client import Answer
from mytrading.adapters.openalgo.outcomes import judge
from mytrading.adapters.openalgo.socket import Connected, Frame
from mytrading.daemons.feed import DataManager
from mytrading.daemons.gateway import Gateway
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.codec import encode_body
from mytrading.messages.control import OpsReply
from mytrading.messages.enums import Call, OrderType, Product
from mytrading.messages.runconfig import ServerMode
from mytrading.runtime.clock import machine_now
from tests.fake_broker import ACCOUNT, OrderBench
from tests.feed_support import SBIN, feed_config, runtime_folder
from tests.hostile import cases
from tests.property.test_fuzz_parsers import ANSWERS, CASES, FRAMES, SEED

HELD = "NFO:A"
TYPED = (
    "", "5", "0.05", "-1", "1e300", "1e308", "nan", "inf", "9" * 5000, "\u00b2", "\u0665", "true", "false", "main",
    HELD, "NFO:B", "s1", "o1", "x" * 9000, "\x00\x1b[2J", "1e9", "99999999999", "manual", "MIS", "reduce", ",,,", "1_0",
)  # fmt: skip
"""What may stand in an argument."""
NAMES = (
    "order", "broker_order", "not_placed", "force", "reason", "id", "instrument", "strategy", "quantity", "price",
    "stop", "stop_limit", "to_close", "account", "product", "claimed", "deadline", "ids", "trigger", "request", "kind",
    "who", "instruments", "live", "all", "limit", "level", "by", "enabled",
)  # fmt: skip
MEANT = {
    "instrument": (HELD, "NFO:B"), "strategy": ("", "s1", "manual"), "order": ("o1",), "account": ("", "main"),
    "product": ("",), "id": ("a",), "quantity": ("5", "0"), "price": ("99.5",), "limit": ("2",), "claimed": ("true",),
    "force": ("true",), "reason": ("why",), "deadline": ("5",), "stop": ("90",), "trigger": ("0",),
}  # fmt: skip
"""Arguments with which a verb comes to something."""


@pytest.fixture
def runtime() -> Iterator[Path]:
    with runtime_folder() as folder:
        yield folder


def test_feed_takes_any_frame_of_its_socket(tmp_path: Path, runtime: Path) -> None:
    nowhere = ("http://127.0.0.1:9", "ws://127.0.0.1:9")
    feed = DataManager(feed_config(tmp_path, runtime, *nowhere, (SBIN,), depth_data=True))
    feed.setup()
    line = feed.lines.active
    line.socket.stop(0.1)
    for first in range(0, CASES, 100):
        feed._on_events(line, [Connected(first, machine_now(), "zerodha")])
        bodies = cases(FRAMES if first % 500 else FRAMES[:2], SEED + first, min(100, CASES - first))
        feed._on_events(line, [Frame(body, first + number) for number, body in enumerate(bodies)])
        feed._run_later()
        feed._on_second(first)
    feed.teardown()
    feed.context.destroy(linger=0)
    assert feed.intake.quotes > CASES / 50
    assert feed._edge.count == 0, "what cannot be read is known before it is handled"


def test_router_takes_any_answer_to_any_call() -> None:
    random = Random(SEED)
    ended: Counter[Call] = Counter()
    for body in cases(ANSWERS, SEED, CASES):
        bench = OrderBench()
        bench.read()
        bench.enter("e1", order_type=OrderType.LIMIT, price=99.0, stop_trigger=98.0, stop_limit=97.0)
        kind = random.choice((Call.PLACE, Call.CANCEL, Call.MODIFY))
        if kind is not Call.PLACE:
            bench.accept()
        if kind is Call.CANCEL:
            bench.ask_cancel("e1")
        elif kind is Call.MODIFY:
            bench.ask_modify("e1", price=98.5)
        for call in list(bench.calls):
            answer = Answer(random.choice((200, 200, 400, 403, 429, 500)), body, 1, 2)
            verdict = judge(call.call, answer, ServerMode.ANALYZE)
            bench.end(
                call, verdict.outcome, verdict.broker_order_id, message=verdict.message,
                retry_after_ns=verdict.retry_after_ns,
            )  # fmt: skip
            bench.tick()
            ended[call.call] += 1
        assert encode_body(bench.rows)
    assert min(ended[call] for call in Call) > CASES / 5


@pytest.fixture
def gateway(tmp_path: Path, runtime: Path) -> Iterator[Gateway]:
    made = Gateway(feed_config(tmp_path, runtime, "http://127.0.0.1:9", "ws://127.0.0.1:9", (SBIN,)))
    made.setup()
    bench = OrderBench()
    bench.hold("o1")
    for row in bench.journal:
        made.view.apply(row)
    made.view.apply(UnmanagedChanged(account=ACCOUNT, instrument="NFO:B", product=Product.MIS, quantity=5, at_ns=1))
    yield made
    made.teardown()
    made.context.destroy(linger=0)


def test_gateway_answers_any_request(gateway: Gateway) -> None:
    """A limit of "\u00b2" or of 5000 digits, and a deadline of 1e300 seconds, ended the gateway."""
    random, answered = Random(SEED), 0
    reply = msgspec.msgpack.Decoder(OpsReply)
    verbs = [*gateway._answers._verbs, "", "nothing", "x" * 300]
    for _ in range(CASES):
        given = {name: random.choice(values) for name, values in MEANT.items()} if random.random() < 0.8 else {}
        given |= {name: random.choice(TYPED) for name in random.sample(NAMES, random.choice((0, 1, 1, 3, 6)))}
        body = bytearray(encode_body({"type": "ops", "verb": random.choice(verbs), "arguments": given}))
        if random.random() < 0.2:
            body[random.randrange(len(body))] = random.randrange(256)
        said = reply.decode(msgspec.msgpack.encode(gateway._reply(bytes(body))))
        assert said.ok or said.error
        answered += said.ok
    assert answered > CASES / 50
