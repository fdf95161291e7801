"""Frames of writers that are not followed are reported once a minute with their number, not each by itself."""

from __future__ import annotations

from mytrading.runtime.daemon.journal_follower import UNEXPECTED_NS, UnexpectedFrames


def test_frames_of_a_stranger_are_reported_once_a_minute_with_their_number() -> None:
    reported: list[tuple[str, str, int]] = []
    frames = UnexpectedFrames(lambda *what: reported.append(what))
    for at in range(5):
        frames.add("signals", "engine-2", at)
    frames.add("signals", "engine-3", 5)
    assert reported == [("signals", "engine-2", 1), ("signals", "engine-3", 1)]
    frames.add("signals", "engine-2", UNEXPECTED_NS)
    assert reported[2:] == [("signals", "engine-2", 5)]
