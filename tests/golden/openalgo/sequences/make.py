"""Distils recorded sequences of an OpenAlgo server: `python -m tests.golden.openalgo.sequences.make FOLDER`.

FOLDER holds the transcripts whose answers hang on a switch, a clock or a rate of the server, and those of its
WebSocket. Used by hand when there are new ones; the tests read the result only. Rule: values of answers stay
behind but for words that a client must know: statuses, codes, modes, and what a limit is called.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.golden.openalgo.make import Names, distil, shape

HERE = Path(__file__).parent
WORDS = ("status", "code", "type")
KINDS = {"NSE": "share", "NSE_INDEX": "index", "NFO": "contract"}
MODES = {1: "LTP", 2: "Quote", 3: "Depth"}

Entry = dict[str, Any]


def calls(entries: list[Entry]) -> list[Entry]:
    """The requests of a REST file with status and shape of their answers, and the frames noted between them."""
    names = Names([entry for entry in entries if "request" in entry])
    found = [distil(entry, names) if "request" in entry else {} for entry in entries]
    frames = [{"name": entry["name"], "frame": reported(entry["frame"])} for entry in entries if "frame" in entry]
    return [call for call in found if call] + frames


def reported(frame: Entry) -> Entry:
    """A frame's words, and the shape of all of it."""
    return {**{word: frame[word] for word in WORDS if word in frame}, "shape": shape(frame)}


def bursts(entries: list[Entry]) -> list[Entry]:
    """Bursts of requests: how many were let through, and the answers to the others."""
    return [
        {
            "path": entry["path"],
            "requests": entry["requests"],
            "codes": entry["codes"],
            "refusal": entry["first_429"]["json"],
        }
        for entry in entries
        if "first_429" in entry
    ]


def square_off(entries: list[Entry]) -> Entry:
    """The calls around the hour of the square-off, and the states of the resting orders before and after it."""
    states = [entry["orders"] for entry in entries if entry.get("name") == "change"]
    return {"calls": calls(entries), "before": states[0], "after": states[-1]}


def conversation(entries: list[Entry]) -> Iterator[Entry]:
    """Frames sent over a WebSocket, each with the next answer."""
    answers = [entry for entry in entries if entry["dir"] in ("send", "recv") and not _unasked(entry)]
    for asked, answer in pairwise(answers):
        if asked["dir"] == "send" and answer["dir"] == "recv":
            message = asked["json"] if "json" in asked else asked.get("text", "")
            yield {"send": message, "answer": reported(answer["json"])}


def _unasked(entry: Entry) -> bool:
    body = entry.get("json")
    return isinstance(body, dict) and body.get("type") in ("market_data", "order_update")


def quotes(entries: list[Entry]) -> dict[str, Any]:
    """The shape of market data by kind of instrument and mode, beside a subscription in Depth or not."""
    found: dict[str, Any] = {}
    held: set[str] = set()
    for entry in entries:
        body = entry.get("json")
        if not isinstance(body, dict):
            continue
        if entry["dir"] == "send":
            held = _held(held, body)
        elif body.get("type") == "market_data":
            kind, full = KINDS[body["exchange"]], "open_interest" in body["data"] or "ltt" not in body["data"]
            beside = " beside Depth" if full and body["mode"] != 3 and "Depth" in held else ""
            found.setdefault(f"{kind} {MODES[body['mode']]}{beside}", shape(body))
    return found


def _held(held: set[str], message: Entry) -> set[str]:
    if message.get("action") == "subscribe":
        return held | {str(message.get("mode"))}
    return set() if str(message.get("action", "")).startswith("unsubscribe") else held


def updates(entries: list[Entry]) -> dict[str, Any]:
    """The shape of order updates by state."""
    bodies = [entry["json"] for entry in entries if isinstance(entry.get("json"), dict) and entry["dir"] == "recv"]
    return {body["order_status"]: shape(body) for body in bodies if body.get("type") == "order_update"}


MAKERS: dict[str, tuple[str, Callable[[list[Entry]], Any]]] = {
    "session": ("broker-session-revoked", calls),
    "semi-auto": ("semi-auto-order-mode", calls),
    "rates": ("ratelimit", bursts),
    "live": ("live-mode-zerodha", calls),
    "square-off": ("squareoff-1515", square_off),
    "ws-forms": ("ws-request-forms-and-errors", lambda entries: list(conversation(entries))),
    "ws-docs-form": ("ws-docs-form-instruments", lambda entries: list(conversation(entries))),
    "ws-quotes": ("ws-auth-subscribe-modes", quotes),
    "ws-updates": ("ws-order-updates", updates),
    "ws-updates-live": ("ws-order-updates-live", updates),
}


def main(folder: Path) -> None:
    """Write one file per recorded sequence."""
    for name, (source, maker) in MAKERS.items():
        entries = json.loads((folder / f"{source}.json").read_text())
        (HERE / f"{name}.json").write_text(json.dumps(maker(entries), indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
