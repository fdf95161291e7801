"""Writes `router-5c3df920.xz`: the router's day file as release 5c3df920 wrote it. Run once, in that release's tree:
`PYTHONPATH=. python THIS_FILE TARGET`.

On the evening before, s1 bought 50 NFO:A, guarded by a stop, and s2 50 NFO:B; the call of s2's exit did not reach the
server, and a stranger traded. On the day the exit was sent, and its call timed out.
"""

from __future__ import annotations

import lzma
import sys
import tempfile
from pathlib import Path

from mytrading.messages.codec import encode_body
from mytrading.messages.enums import Call, Outcome, Product
from mytrading.messages.streams import unions
from mytrading.runtime.journal.format import OUTPUT, Entry
from mytrading.runtime.journal.journal import Journal
from tests.kit.fake_broker import SECOND, OrderBench

DUSK = 18 * 3600 * SECOND
"""23:30 in India on 1970-01-01."""


def history() -> OrderBench:
    bench = OrderBench()
    bench.time = DUSK
    bench.see_mode()
    bench.hold("e1", product=Product.NRML, stop_trigger=90.0, stop_limit=87.0)
    bench.accept()
    bench.hold("e2", instrument="NFO:B", strategy="s2", product=Product.NRML)
    bench.broker.by_hand(5, "NFO:C", Product.NRML)
    bench.read()
    bench.close("g2", instrument="NFO:B", strategy="s2", product=Product.NRML)
    bench.end(bench.calls[0], Outcome.NOT_SENT)
    bench.calls.clear()
    bench.open_day("1970-01-02")
    bench.broker.orders.clear()
    bench.time += 10 * 3600 * SECOND
    bench.tick(SECOND)
    (call,) = [one for one in bench.calls if one.call is Call.PLACE and one.order.instrument == "NFO:B"]
    bench.tick(4 * SECOND)
    bench.end(call, Outcome.UNKNOWN, message="timed out")
    return bench


def main(target: Path) -> None:
    found = unions()
    names = {kind: name for name, union in found.items() for kind in (getattr(union, "__args__", None) or (union,))}
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder), "router", "1970-01-02", reserve_bytes=0)
        for row in history().journal:
            journal.append([Entry(OUTPUT, names[type(row)], encode_body(row))], 1, 1)
        journal.close()
        (path,) = (path for path in Path(folder).rglob("*") if path.is_file() and "1970-01-02" in path.name)
        target.write_bytes(lzma.compress(path.read_bytes()))
        print(path.name, path.stat().st_size, target.stat().st_size)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
