"""A journal reads back as one unbroken chain, in whatever order it is appended to, reopened, rolled and cut off."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mytrading.messages.codec import NO_HASH
from mytrading.runtime.journal.journal import (
    EPOCH_GAP,
    INPUT,
    OUTPUT,
    Cursor,
    Entry,
    Journal,
    JournalReader,
    read_segment,
    segments,
)
from tests.kit.hypothesis_budget import examples

bodies = st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=5)
steps = st.lists(
    st.tuples(st.sampled_from(["append", "durable", "reopen", "kill", "roll"]), bodies), min_size=1, max_size=12
)


@settings(max_examples=examples(40), deadline=None)
@given(steps)
def test_journal_reads_back_in_order_over_reopens_and_days(plan: list[tuple[str, list[bytes]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        journal, written, day = Journal(path, "w", "2026-01-01"), [], 1
        for action, batch in plan:
            if action == "reopen":
                journal.close()
                journal = Journal(path, "w", "2026-01-01")
            elif action == "kill":
                journal = Journal(path, "w", "2026-01-01")  # nothing of the old one was closed
            elif action == "roll":
                day += 1
                journal.roll(f"2026-01-{day:02d}", {})
            else:
                journal.append([Entry(OUTPUT, "signals", body) for body in batch], 0, 0, durable=action == "durable")
                written += batch
            reader = JournalReader(path, "signals")
            assert reader.last() == len(written)
            assert [row.body for file in segments(path) for row in read_segment(file)] == written
        journal.close()
        reader, read = JournalReader(path, "signals"), []
        while rows := reader.read(len(read), limit=3):
            assert [row.stream_seq for row in rows] == list(range(len(read) + 1, len(read) + len(rows) + 1))
            read += [row.body for row in rows]
        assert read == written


@settings(max_examples=examples(8), deadline=None)
@given(st.lists(bodies, min_size=2, max_size=8), st.data())
def test_lost_tail_is_seen_by_the_reader_and_never_renumbered(batches: list[list[bytes]], data: st.DataObject) -> None:
    """A power cut takes the newest rows; the reader that had them finds the hash gone and the new ones above."""
    cut = data.draw(st.integers(min_value=1, max_value=len(batches) - 1))
    with tempfile.TemporaryDirectory() as folder:
        home, reader_home = Path(folder, "writer"), Path(folder, "reader")
        writer, follower = Journal(home, "w", "2026-01-01"), Journal(reader_home, "r", "2026-01-01")
        cursor = Cursor()
        for index, batch in enumerate(batches):
            if index == cut:
                shutil.copytree(home, Path(folder, "kept"), dirs_exist_ok=True)
            for row in writer.append([Entry(OUTPUT, "signals", body) for body in batch], 0, 0):
                entry = Entry(INPUT, "signals", row.body, "w", row.epoch, row.stream_seq, row.hash)
                follower.append([entry], 0, 0)
                cursor = Cursor(row.epoch, row.stream_seq, row.hash)
        writer.close()
        survivor = Journal(Path(folder, "kept"), "w", "2026-01-01")
        survivor.begin_epoch({"signals": cursor.seq})
        fresh = survivor.append([Entry(OUTPUT, "signals", b"after the loss")], 0, 0)[0]
        reader = JournalReader(Path(folder, "kept"), "signals")
        assert not reader.matches(cursor)
        assert fresh.stream_seq == cursor.seq + EPOCH_GAP + 1
        assert fresh.epoch == 2
        assert fresh.hash not in (cursor.hash, NO_HASH)
        assert [row.body for row in reader.read(cursor.seq)] == [b"after the loss"]
        assert len(segments(Path(folder, "kept"))) == 1
        survivor.close()
        follower.close()
