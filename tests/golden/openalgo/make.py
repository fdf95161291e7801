"""Distils recorded answers of an OpenAlgo server into shapes: `python -m tests.golden.openalgo.make FOLDER`.

FOLDER holds the transcripts (one list of requests and responses per file). Used by hand when there are new ones; the
tests read the result only. The one rule: values of answers stay behind, their keys and types are what is held.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SEQUENCES = ("lifecycle", "live-mode", "semi-auto", "broker-session", "ratelimit", "squareoff", "latency", "sdk", "ws-")
"""Files whose answers depend on what went before, or that are no list of requests."""


def shape(value: Any) -> Any:
    """Keys and types of an answer; a list by its first row."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in sorted(value.items())}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "null" if value is None else "text"


def mapped(value: Any) -> Any:
    """A request with the broker's ids replaced, since every server gives its own."""
    if isinstance(value, dict):
        return {key: _id(item) if key == "orderid" else mapped(item) for key, item in value.items()}
    return [mapped(item) for item in value] if isinstance(value, list) else value


def _id(value: Any) -> Any:
    return "<ORDER>" if isinstance(value, str) and value.isdigit() and len(value) > 12 else value


def distil(entry: dict[str, Any]) -> dict[str, Any]:
    """One recorded call: what was asked, and status and shape of the answer."""
    response = entry["response"]
    request = {
        key: mapped(item)
        for key, item in entry["request"].items()
        if key in ("method", "path", "json", "raw", "params")
    }
    body = shape(response["json"]) if "json" in response else "not json"
    return {"name": entry["name"], "request": request, "status": response["status"], "shape": body}


def main(folder: Path) -> None:
    """Write one file per recorded file."""
    for source in sorted(folder.glob("*.json")):
        if source.name.startswith(SEQUENCES):
            continue
        calls = [distil(entry) for entry in json.loads(source.read_text()) if "response" in entry]
        (HERE / source.name).write_text(json.dumps(calls, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
