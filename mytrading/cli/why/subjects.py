"""What has no id of its own in the journals: positions, closed trades and alerts, as the console's rows name them.

A position is `ACCOUNT|PRODUCT|INSTRUMENT|STRATEGY`, a closed trade `RUN|…|CLOSED_NS` around one, and an alert
`DAEMON|CODE|SUBJECT`. Each leads to the ids of the orders and signals that it consists of or names.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mytrading.cli.why.journal_entries import ChainEntry, Journals, subject_id
from mytrading.runtime.journal.journal import INPUT

UNMANAGED = "(unmanaged)"
"""Owner of units at the broker that no strategy owns."""
MOST_ALERT_ROWS = 10
_ID = re.compile(r"\b[0-9a-f]{16}\b")


class Roots(NamedTuple):
    """Ids whose chains tell of a subject, and rows of the subject itself that carry no id."""

    ids: set[str]
    rows: list[ChainEntry]


class PositionKey(NamedTuple):
    """Owner of a position: what its id consists of."""

    account: str
    product: str
    instrument: str
    strategy: str


def roots_of_id(source: Journals, wanted: str) -> set[str]:
    """Return the ids of ours that an id stands for: itself, or our orders of a broker's id; empty if none is known."""
    entries = source.entries_mentioning([wanted])
    roots = {subject for entry in entries if (subject := subject_id(entry.body)) == wanted}
    by_broker = {
        str(entry.body["order"]["client_order_id"])
        for entry in entries
        if entry.body.get("type") == "order" and entry.body["order"].get("broker_order_id") == wanted
    }
    return roots or by_broker


def roots_of_subject(source: Journals, wanted: str) -> Roots | None:
    """Return what is known of a position, closed trade or alert; None if `wanted` names none of these."""
    parts = wanted.split("|")
    if len(parts) == 4 and ":" in parts[2]:
        return _position_roots(source, PositionKey(*parts), 0)
    if len(parts) == 6 and parts[5].isdigit():
        return _position_roots(source, PositionKey(*parts[1:5]), int(parts[5]))
    return _alert_roots(source, *wanted.split("|", 2)) if len(parts) >= 3 else None


def _position_roots(source: Journals, key: PositionKey, closed_ns: int) -> Roots:
    """The orders that moved a position since it was last flat, or in the round trip that ended at `closed_ns`."""
    found, before, claim = Roots(set(), []), 0, ""
    entries = [entry for entry in source.entries_mentioning([key.instrument]) if _is_about(entry, key)]
    for entry in sorted(entries, key=lambda one: (one.row.machine_ns, one.place)):
        kind, name = entry.body["type"], subject_id(entry.body)
        if kind == "claim_requested":
            claim = name
            continue
        level = entry.body.get("position", entry.body)
        units = int(level.get("quantity") or level.get("quantity_seen") or 0)
        begins = units * before <= 0 and units != 0
        if begins and before == 0:
            found = Roots(set(), [])
        _add(found, entry, name, claim)
        if closed_ns and before and units * before <= 0 and entry.body["at_ns"] >= closed_ns:
            return found
        if begins and before:  # one fill closed it and opened the other side
            found = Roots(set(), [])
            _add(found, entry, name, claim)
        before = units
    return found


def _add(found: Roots, entry: ChainEntry, order: str, claim: str) -> None:
    """Take the order behind a row of a position; a row without one stands for itself, with the claim that led to it."""
    if order:
        found.ids.add(order)
        return
    found.rows.append(entry)
    if entry.body.get("cause") == "claim" and claim:
        found.ids.add(claim)


def _is_about(entry: ChainEntry, key: PositionKey) -> bool:
    body = entry.body
    kind = body.get("type")
    if kind not in ("position", "position_adjusted", "unmanaged", "claim_requested") or entry.row.kind == INPUT:
        return False
    level = body.get("position", body)
    owner = UNMANAGED if kind == "unmanaged" else level["strategy"]
    return (level["account"], str(level["product"]), level["instrument"], owner) == key


def _alert_roots(source: Journals, daemon: str, code: str, subject: str) -> Roots:
    """The alert as the gateway kept it and what its words name: ids, else a position, else a strategy's last signal."""
    rows = [
        entry
        for entry in source.entries_mentioning([code])
        if entry.daemon == "gateway" and entry.body.get("type") == "alert"
        if (entry.body["daemon"], entry.body["code"], entry.body["subject"]) == (daemon, code, subject)
    ][-MOST_ALERT_ROWS:]
    said = f"{subject} {rows[-1].body['message']}" if rows else subject
    words = set(re.findall(r"[\w:&.-]+", said))
    ids = {name for word in {*_ID.findall(said), *subject.split("/")} if word for name in roots_of_id(source, word)}
    ids = ids or _named_position(source, words)
    return Roots(ids or (_last_signal(source, words, rows[-1]) if rows else set()), rows)


def _named_position(source: Journals, words: set[str]) -> set[str]:
    """The orders of the position whose instrument, strategy and account all are among the words."""
    keys = {
        PositionKey(at["account"], str(at["product"]), at["instrument"], at["strategy"])
        for entry in source.entries_mentioning(word for word in words if ":" in word)
        if entry.body.get("type") == "position" and entry.row.kind != INPUT
        if {(at := entry.body["position"])["instrument"], at["strategy"]} <= words
    }
    exact = {key for key in keys if key.account in words} or keys
    return {name for key in exact for name in _position_roots(source, key, 0).ids}


def _last_signal(source: Journals, words: set[str], alert: ChainEntry) -> set[str]:
    """The newest signal, up to the alert, of a strategy that is among the words."""
    found = [
        entry
        for entry in source.entries_mentioning(words)
        if entry.body.get("type") == "signal" and entry.body["strategy"] in words
        if entry.row.machine_ns <= alert.row.machine_ns
    ]
    return {subject_id(max(found, key=lambda entry: entry.row.machine_ns).body)} if found else set()
