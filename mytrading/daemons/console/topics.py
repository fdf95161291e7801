"""Topics of the live socket: the rows of each, its versions, and the changes from any of them to the newest.

A viewer keeps the state that it was sent last, and is brought from there to the newest in one message, so what a slow
one costs is bounded by the rows themselves. Viewers at the same state share the encoded message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mytrading.messages.console_api import LiveDelta, LiveSnapshot

_encode = msgspec.json.encode


class TopicState:
    """The rows of a topic by key at one version. Never changed; deltas that led here are kept while it is newest."""

    def __init__(self, topic: str, version: int, rows: Mapping[str, msgspec.Struct]) -> None:
        self.topic = topic
        self.version = version
        self.rows = rows
        self._snapshot = ""
        self._deltas: dict[int, str] = {}

    def snapshot(self) -> str:
        """Return the encoded message with all rows."""
        if not self._snapshot:
            whole = LiveSnapshot(topic=self.topic, version=self.version, rows=dict(self.rows))
            self._snapshot = _encode(whole).decode()
        return self._snapshot

    def delta(self, before: TopicState) -> str:
        """Return the encoded message that leads from an earlier state here."""
        if before.version not in self._deltas:
            cells, gone = changes(before.rows, self.rows)
            made = LiveDelta(topic=self.topic, previous=before.version, version=self.version, set=cells, gone=gone)
            self._deltas[before.version] = _encode(made).decode()
        return self._deltas[before.version]


def changes(
    before: Mapping[str, msgspec.Struct], after: Mapping[str, msgspec.Struct]
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return changed cells by row key, all cells of a new row, and the keys of the rows that are gone."""
    cells: dict[str, dict[str, Any]] = {}
    for key, row in after.items():
        old = before.get(key)
        if old is row:
            continue
        names = row.__struct_fields__
        if old is None:
            cells[key] = {name: getattr(row, name) for name in names}
        elif changed := {name: value for name in names if (value := getattr(row, name)) != getattr(old, name)}:
            cells[key] = changed
    return cells, [key for key in before if key not in after]


class TopicBook:
    """The newest state of every topic that was made so far. Versions count from the start of the process."""

    def __init__(self) -> None:
        self._states: dict[str, TopicState] = {}
        self._dropped: dict[str, int] = {}
        """Last version of a forgotten topic, after which it goes on: a page that slept may still hold that state."""

    def put(self, topic: str, rows: Mapping[str, msgspec.Struct]) -> bool:
        """Take the rows of a topic; true if they differ from those before. Equal rows keep their identity."""
        old = self._states.get(topic)
        if old is None:
            self._states[topic] = TopicState(topic, self._dropped.pop(topic, 0) + 1, dict(rows))
            return True
        kept = {key: known if (known := old.rows.get(key)) == row else row for key, row in rows.items()}
        if len(kept) == len(old.rows) and all(old.rows.get(key) is row for key, row in kept.items()):
            return False
        self._states[topic] = TopicState(topic, old.version + 1, kept)
        return True

    def get(self, topic: str) -> TopicState | None:
        """Return the newest state, None if the topic was never filled."""
        return self._states.get(topic)

    def drop(self, topic: str) -> None:
        """Forget the rows of a topic that nobody watches; its versions go on."""
        if (known := self._states.pop(topic, None)) is not None:
            self._dropped[topic] = known.version
