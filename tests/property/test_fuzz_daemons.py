"""Hostile input to daemons, which go on: the feed's socket, the router's answers, the gateway's requests.

The daemons' own code without their processes. `make fuzz CASES=100000` tries that many at each edge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from mytrading.adapters.openalgo.rest.client import HttpReply
from mytrading.adapters.openalgo.rest.order_outcomes import classify_answer
from mytrading.adapters.openalgo.ws.connection import Connected, SocketFrame
from mytrading.daemons.feed.daemon import DataManager
from mytrading.daemons.gateway.daemon import Gateway
from mytrading.daemons.gateway.ops_server import EXIT_USAGE
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.codec import StreamDecoder, encode_body
from mytrading.messages.enums import Call, OrderType, Product
from mytrading.messages.journal_rows import OperatorRequestTaken
from mytrading.messages.ops import VERBS, ErrorReply, OpsReply
from mytrading.messages.run_config import ServerMode
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.journal.journal import read_segment, segments
from tests.kit.fake_broker import ACCOUNT, OrderBench
from tests.kit.feed_process import SBIN, feed_config, runtime_folder
from tests.kit.hostile_input import cases
from tests.kit.server_answers import ANSWERS, CASES, FRAMES, SEED

HELD = "NFO:A"
TYPED = (
    "", "5", "0.05", "-1", "1e300", "1e308", "nan", "inf", "9" * 5000, "\u00b2", "\u0665", "true", "false", "main",
    HELD, "NFO:B", "s1", "o1", "x" * 9000, "\x00\x1b[2J", "1e9", "99999999999", "manual", "MIS", "reduce", ",,,", "1_0",
)  # fmt: skip
"""Hostile texts of a field."""
VALUES = (None, True, False, 0, 5, -1, 1 << 62, 0.05, 1e300, float("nan"), float("inf"), [], ["a", HELD], {}, b"x")
NAMES = ("type", "limt", *dict.fromkeys(name for kind in VERBS.values() for name in kind.__struct_fields__))
MEANT: dict[str, tuple[Any, ...]] = {
    "instrument": (HELD, "NFO:B"), "strategy": ("", "s1", "manual"), "order": ("o1",), "account": ("", "main"),
    "product": (None,), "id": ("a",), "quantity": (5, 0), "price": (99.5,), "limit": (2,), "claimed": (True,),
    "force": (True,), "reason": ("why",), "deadline": (5.0,), "stop": (90.0,), "trigger": (0.0,), "who": ("w",),
    "instruments": ([], [HELD]), "ids": ([], ["flatten-1-main"]), "request": ("cancel-r1",), "enabled": (True, False),
    "by": ("me",), "stop_limit": (0.0,), "broker_order": ("",), "not_placed": (True,),
}  # fmt: skip
"""Fields with which a verb comes to something."""


def request(random: Random, verb: str, number: int) -> dict[str, Any]:
    """A request of this verb: mostly one that makes sense, often with fields that do not."""
    fields = VERBS[verb].__struct_fields__ if verb in VERBS else ()
    made = {name: random.choice(MEANT[name]) for name in fields if name in MEANT}
    if "request_id" in fields:
        made["request_id"] = random.choice((f"r{number}", f"r{number // 2}", "r1", ""))
    if random.random() < 0.6:
        made |= {name: random.choice(TYPED + VALUES) for name in random.sample(NAMES, random.choice((1, 1, 3)))}
    return made | {"type": verb}


@pytest.fixture
def runtime() -> Iterator[Path]:
    with runtime_folder() as folder:
        yield folder


def test_feed_takes_any_frame_of_its_socket(tmp_path: Path, runtime: Path) -> None:
    nowhere = ("http://127.0.0.1:9", "ws://127.0.0.1:9")
    feed = DataManager(feed_config(tmp_path, runtime, *nowhere, (SBIN,), depth_data=True))
    feed.setup()
    connection = feed.connections.active
    connection.socket.stop(0.1)
    for first in range(0, CASES, 100):
        feed.frames.handle(connection, [Connected(first, machine_now(), "zerodha")])
        bodies = cases(FRAMES if first % 500 else FRAMES[:2], SEED + first, min(100, CASES - first))
        feed.frames.handle(connection, [SocketFrame(body, first + number) for number, body in enumerate(bodies)])
        feed._run_later()
        feed._on_second(first)
    feed.teardown()
    feed.context.destroy(linger=0)
    assert feed.intake.quotes > CASES / 50
    assert feed.edge.count == 0, "what cannot be read is known before it is handled"


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
            answer = HttpReply(random.choice((200, 200, 400, 403, 429, 500)), body, 1, 2)
            verdict = classify_answer(call.call, answer, ServerMode.ANALYZE)
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
    random, answered, executed = Random(SEED), 0, 0
    reply = msgspec.msgpack.Decoder(OpsReply)
    verbs = [*VERBS, *VERBS, "", "nothing", "x" * 300]
    for number in range(CASES):
        body = bytearray(encode_body(request(random, random.choice(verbs), number)))
        if random.random() < 0.2:
            body[random.randrange(len(body))] = random.randrange(256)
        found = reply.decode(encode_body(gateway.reply(bytes(body))))
        if isinstance(found, ErrorReply):
            assert found.error and found.code == EXIT_USAGE, found.error
        answered += not isinstance(found, ErrorReply)
        executed = len(gateway.control.requests)
    assert answered > CASES / 20 and executed > CASES / 100
    taken = [row for row in written(gateway) if isinstance(row, OperatorRequestTaken)]
    assert len({row.request_id for row in taken}) == len(taken) == executed, "each id is executed once"


def written(gateway: Gateway) -> list[Any]:
    """Rows that the gateway has journaled for itself."""
    decoder = StreamDecoder("records")
    rows = read_segment(segments(gateway.journal.folder)[-1])
    return [decoder.decode_body(row.body) for row in rows if row.stream == "records"]
