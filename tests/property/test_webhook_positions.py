"""Whatever alerts, resends, restarts and clock jumps come: the position wanted is what the decision table says of the
last alert that counted."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mytrading.messages.run_config import Direction
from tests.kit.webhooks import Receiver, signals, verdicts, webhook

SYMBOLS = ("SBIN", "INFY")
ROWS = "".join(f'[[symbols]]\nsymbol = "{name}"\ninstrument = "NSE:{name}"\nquantity = 50\n' for name in SYMBOLS)
WINDOW = 5

alerts = st.tuples(
    st.just("alert"), st.sampled_from(SYMBOLS), st.sampled_from(["buy", "sell"]), st.sampled_from([None, -20, 0, 20])
)
steps = st.one_of(
    alerts,
    st.tuples(st.just("resend"), st.integers(0, 5)),
    st.tuples(st.just("restart")),
    st.tuples(st.just("wait"), st.sampled_from([0.1, 4.9, 5.0, 30.0])),
    st.tuples(st.just("jump"), st.sampled_from([-3600, 3600])),
)


def meant(mode: str, action: str, size: int | None) -> int | None:
    """The position of the decision table, in words of its own; None for a refusal."""
    if mode == "BOTH":
        if size is None:
            return None
        return size if size == 0 or (size > 0) == (action == "buy") else None
    enters = action == ("buy" if mode == "LONG" else "sell")
    sign = 1 if mode == "LONG" else -1
    return sign * (abs(size) if size else 50) if enters else 0


@given(st.sampled_from([mode.upper() for mode in Direction]), st.lists(steps, max_size=25))
def test_position_wanted_is_that_of_the_last_alert_that_counted(mode: str, sequence: list[tuple[Any, ...]]) -> None:
    receiver = Receiver(webhook(symbols=ROWS, mode=mode))
    wanted: dict[str, int] = {}
    sent: list[tuple[str, str, str, int | None]] = []
    first: dict[str, int] = {}
    number = 0
    for step in sequence:
        if step[0] == "restart":
            receiver.restart()
        elif step[0] == "wait":
            receiver.wait(step[1])
        elif step[0] == "jump":  # of the market's clock: duplicates go by machine time
            receiver.now += step[1] * 1_000_000_000
        elif step[0] == "resend" and not sent:
            continue
        else:
            if step[0] == "alert":
                number += 1
                found = (f"a{number}", *step[1:])
            else:
                found = sent[-1 - step[1] % len(sent)]
            name, symbol, action, size = found
            sized = f', "position_size": {size}' if size is not None else ""
            body = f'{{"symbol": "{symbol}", "action": "{action}", "id": "{name}"{sized}}}'
            _, rows = receiver.post(body)
            sent.append(found)
            target = meant(mode, action, size)
            again = name in first and receiver.machine_ns - first[name] < WINDOW * 1_000_000_000
            if target is None:
                assert verdicts(rows)[0] in ("WRONG_SIDE", "MISSING_FIELD")
            elif again:
                assert verdicts(rows) == ["duplicate"]
            elif verdicts(rows) == ["OUTSIDE_WINDOW"]:  # after a jump of the clock
                continue
            elif 0 < abs(target) < abs(wanted.get(symbol, 0)) and target * wanted[symbol] > 0:
                assert verdicts(rows) == ["PARTIAL_EXIT"]
                assert signals(rows) == []
            else:
                assert verdicts(rows) == ["accepted"]
                first[name] = receiver.machine_ns
                wanted[symbol] = target
                (signal,) = signals(rows)
                assert sum(leg.lots for leg in signal.legs) == target
            if target is None or again:
                assert signals(rows) == []
    last: dict[str, int] = {}
    for row in receiver.rows:
        for signal in signals((row,)):
            last[signal.watch.partition(":")[2]] = sum(leg.lots for leg in signal.legs)
    assert last == wanted
    ids = [signal.id for row in receiver.rows for signal in signals((row,))]
    assert len(ids) == len(set(ids))
