"""Distils recorded answers of an OpenAlgo server into shapes: `python -m tests.golden.openalgo.make FOLDER`.

FOLDER holds the transcripts (one list of requests and responses per file). Used by hand when there are new ones; the
tests read the result only. Rule: values of answers stay behind, their keys and types are what is held.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SEQUENCES = ("live-mode", "semi-auto", "broker-session", "ratelimit", "squareoff", "latency", "sdk", "ws-")
"""Files whose answers depend on a clock or on switches of the server, or that are no list of requests."""
PRICE = re.compile(r"price .*?(?:to|->) (\d+(?:\.\d+)?)")
"""How a recorded note says that the price of SBIN was set."""


def shape(value: Any) -> Any:
    """Keys and types of an answer; a list by the different rows it has."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in sorted(value.items())}
    if isinstance(value, list):
        return list({json.dumps(row): row for row in map(shape, value)}.values())
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "null" if value is None else "text"


class Names:
    """Stands in for the ids of one recorded file, since every server gives its own.

    An order that a call of this file placed becomes `<ORDER name of the call>`, one from before `<COMPLETE>` if it was
    that, else `<RESTING n>`, and the n-th trigger set `<TRIGGER n>`; ids that the server did not know stay as they are.
    """

    def __init__(self, calls: list[dict[str, Any]]) -> None:
        self._names: dict[str, str] = {}
        for call in (call for call in calls if "response" in call):
            body, answer = call["request"].get("json") or {}, call["response"].get("json") or {}
            if isinstance(order_id := body.get("orderid") if isinstance(body, dict) else None, str):
                self._order(order_id, call["name"])
            if isinstance(answer, dict) and isinstance(placed := answer.get("orderid"), str):
                self._names.setdefault(placed, f"<ORDER {call['name']}>")
            if isinstance(answer, dict) and isinstance(trigger_id := answer.get("trigger_id"), str):
                count = sum(name.startswith("<TRIGGER") for name in self._names.values())
                self._names.setdefault(trigger_id, f"<TRIGGER {count + 1}>")

    def _order(self, order_id: str, name: str) -> None:
        if not order_id.isdigit() or len(order_id) <= 12 or name.startswith("unknown"):
            return
        count = sum(known.startswith("<RESTING") for known in self._names.values())
        complete = name.startswith(("completed", "MARKET"))
        self._names.setdefault(order_id, "<COMPLETE>" if complete else f"<RESTING {count + 1}>")

    def mapped(self, value: Any) -> Any:
        """A request with the ids replaced."""
        if isinstance(value, dict):
            return {key: self.mapped(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.mapped(item) for item in value]
        return self._names.get(value, value) if isinstance(value, str) else value


def distil(entry: dict[str, Any], names: Names) -> dict[str, Any]:
    """One recorded call: what was asked, and status and shape of the answer; or the price that was set."""
    if "response" not in entry:
        found = PRICE.search(entry["name"])
        return {"name": entry["name"], "price": float(found[1])} if found else {}
    response = entry["response"]
    request = {
        key: names.mapped(item)
        for key, item in entry["request"].items()
        if key in ("method", "path", "json", "raw", "params")
    }
    if "raw" in request:
        request["content_type"] = entry["request"]["headers"].get("Content-Type", "")
    body = shape(response["json"]) if response.get("json") is not None else "not json"
    return {"name": entry["name"], "request": request, "status": response["status"], "shape": body}


def main(folder: Path) -> None:
    """Write one file per recorded file."""
    for source in sorted(folder.glob("*.json")):
        if source.name.startswith(SEQUENCES):
            continue
        entries = json.loads(source.read_text())
        names = Names(entries)
        calls = [call for entry in entries if (call := distil(entry, names))]
        (HERE / source.name).write_text(json.dumps(calls, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
