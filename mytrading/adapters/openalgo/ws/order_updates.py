"""The broker's stream of order updates, as OpenAlgo relays it.

Updates are lost while the socket is down and may come twice; the books are the truth behind them. An update that does
not parse is counted and named, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from mytrading.adapters.openalgo.rest.book_parsers import parse_order
from mytrading.adapters.openalgo.rest.numbers import MOST_COUNT
from mytrading.adapters.openalgo.ws import connection as ws
from mytrading.adapters.openalgo.ws.connection import FeedSocket, SocketFrame, SocketRules
from mytrading.messages.brokers import PLAIN, BrokerRules
from mytrading.messages.codec import UNREADABLE
from mytrading.messages.reports import BrokerOrder, OrderReport
from mytrading.messages.text import shown

MOST_AT_ONCE = 256
"""Events that one `drain` handles: a flood of updates delays heartbeat, reads and other accounts by no more."""
_decoder = msgspec.json.Decoder(dict[str, Any])
# The books stand in for the stream meanwhile, but slower: retries come sooner than for quotes, and never end.
_RULES = SocketRules(first_delay_s=0.2, longest_delay_s=30.0, most_tries=0)


class OrderUpdates:
    """The socket, subscribed to orders; `drain` after `wake` rang. Updates of another mode are only counted.

    `rules` gives the row of the table that holds for the server's broker now: its words in updates.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        account: str,
        expected_mode: str,
        machine_now: Callable[[], int],
        wake: Callable[[], None],
        rules: Callable[[], BrokerRules] = lambda: PLAIN,
    ) -> None:
        socket = self._socket = FeedSocket(url, api_key, machine_now, wake, name="order-stream", rules=_RULES)
        self.start, self.stop, self.drop_if_stalled = socket.start, socket.stop, socket.drop_if_stalled
        self._wake, self._rules = wake, rules
        self._account, self._expected = account, expected_mode
        self._last: dict[str, BrokerOrder] = {}
        self.connected = False
        self.broker = self.problem = ""
        self.malformed = self.other_mode = self.mark = 0
        self.problem_of_last = ""
        """Reason that the last malformed update could not be read."""

    @property
    def brings_updates(self) -> bool:
        """True while fills come by it: connected, and its broker is known to have a stream. Without one the server
        takes the subscription all the same, and nothing comes."""
        return self.connected and self._rules().updates is True

    def drain(self) -> list[OrderReport]:
        """Return queued order updates, oldest first, without repetitions; subscribe after a connect, and update the
        state after a loss. Beyond 256 events the rest stays queued, and `wake` is called."""
        reports: list[OrderReport] = []
        events = self._socket.drain(MOST_AT_ONCE)
        if len(events) == MOST_AT_ONCE:
            self._wake()
        for event in events:
            if isinstance(event, SocketFrame):
                reports += self._report(event)
            elif isinstance(event, ws.Connected):
                self.broker = event.broker
                self.problem = ""
                self._socket.send({"action": "subscribe_orders", "request_id": f"orders-{event.number}"})
            elif isinstance(event, ws.Disconnected):
                self._lost(f"the order stream was lost: {event.reason}")
            elif isinstance(event, ws.SocketRefused):
                self._lost(f"the order stream was refused: {event.code} {event.message}")
        return reports

    def _lost(self, problem: str) -> None:
        self.connected = False
        self.problem = problem
        self._last.clear()

    def _report(self, frame: SocketFrame) -> tuple[OrderReport, ...]:
        """The update in a frame, if it is one for us and says something new."""
        try:
            body = _decoder.decode(frame.data)
            if body.get("type") != "order_update":
                self._answered(body)
                return ()
            if body.get("mode") not in (None, self._expected):
                self.other_mode += 1
                return ()
            order = parse_order(body, self._rules(), update=True)
        except UNREADABLE as error:
            self.malformed += 1
            self.problem_of_last = str(error)
            return ()
        if self._last.get(order.broker_order_id) == order:
            return ()
        self._last[order.broker_order_id] = order
        return (OrderReport(account=self._account, order=order, received_machine_ns=frame.received_ns),)

    def _answered(self, body: dict[str, Any]) -> None:
        """An answer to `subscribe_orders`, or an error, which has no type: the server has dropped its broker feed."""
        if body.get("type") == "step":  # our own exchange in lock-step: all updates so far came before this frame
            mark = body.get("mark")
            if not isinstance(mark, int) or not 0 <= mark <= MOST_COUNT:
                raise ValueError(f"a step with the number {mark!r:.40}")
            self.mark = mark
        elif body.get("type") == "subscribe_orders":
            self.connected = body.get("status") == "success"
        elif body.get("status") == "error":
            self._lost(f"the order stream failed: {shown(body.get('code'))} {shown(body.get('message'), 300)}")
            self._socket.reconnect(self.problem)
