"""The raw tape: what goes in comes out, and neither a crash, a full disk nor the cap disturbs the feed."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from mytrading.adapters.storage.tape import TapeWriter, read_tape

FRAMES = [(100 + i, 200 + i, b'{"ltp": %d}' % i) for i in range(20)]


def record(writer: TapeWriter, day: str, frames: list[tuple[int, int, bytes]] = FRAMES) -> None:
    writer.roll(day)
    for frame in frames:
        writer.append(*frame)


def test_tape_read_back_gives_every_frame_with_both_times(tmp_path: Path) -> None:
    writer = TapeWriter(tmp_path / "tape", 1 << 20)
    record(writer, "2026-11-20")
    writer.close()
    assert [tuple(frame) for frame in read_tape(tmp_path / "tape" / "2026-11-20.tape")] == FRAMES
    assert (writer.frames, writer.lost) == (20, 0)


def test_tape_of_a_new_day_is_a_new_file_and_a_restart_appends(tmp_path: Path) -> None:
    writer = TapeWriter(tmp_path, 1 << 20)
    record(writer, "2026-11-19")
    record(writer, "2026-11-20")
    writer.close()
    again = TapeWriter(tmp_path, 1 << 20)
    record(again, "2026-11-20")
    again.close()
    assert len(list(read_tape(tmp_path / "2026-11-19.tape"))) == 20
    assert len(list(read_tape(tmp_path / "2026-11-20.tape"))) == 40


@pytest.mark.parametrize("cut", [1, 10, 30])
def test_record_cut_by_a_crash_is_dropped_and_the_tape_goes_on(tmp_path: Path, cut: int) -> None:
    writer = TapeWriter(tmp_path, 1 << 20)
    record(writer, "2026-11-20")
    writer.close()
    path = tmp_path / "2026-11-20.tape"
    path.write_bytes(path.read_bytes()[:-cut])
    assert len(list(read_tape(path))) == 19
    again = TapeWriter(tmp_path, 1 << 20)
    record(again, "2026-11-20", FRAMES[:3])
    again.close()
    assert [frame.data for frame in read_tape(path)][18:] == [row[2] for row in (FRAMES[18], *FRAMES[:3])]


def test_damaged_record_ends_the_reading(tmp_path: Path) -> None:
    writer = TapeWriter(tmp_path, 1 << 20)
    record(writer, "2026-11-20")
    writer.close()
    path = tmp_path / "2026-11-20.tape"
    data = bytearray(path.read_bytes())
    data[-2] ^= 0xFF
    path.write_bytes(bytes(data))
    assert len(list(read_tape(path))) == 19


def test_file_that_is_no_tape_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "notes.tape"
    path.write_text("hello")
    with pytest.raises(ValueError, match="expected a tape"):
        list(read_tape(path))


def test_cap_deletes_the_oldest_day_first_and_never_the_present_one(tmp_path: Path) -> None:
    frames = [(i, i, bytes(1000)) for i in range(10)]
    writer = TapeWriter(tmp_path, 40_000)
    for day in ("2026-11-17", "2026-11-18", "2026-11-19", "2026-11-20"):
        record(writer, day, frames)
    writer.close()
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["2026-11-19", "2026-11-20"]
    assert writer.lost == 0


def test_day_that_reaches_the_cap_is_recorded_no_further(tmp_path: Path) -> None:
    writer = TapeWriter(tmp_path, 5_000)
    record(writer, "2026-11-20", [(i, i, bytes(1000)) for i in range(10)])
    writer.close()
    assert (writer.frames, writer.lost) == (4, 6)
    assert len(list(read_tape(tmp_path / "2026-11-20.tape"))) == 4


def test_folder_that_cannot_be_written_loses_frames_but_raises_nothing(tmp_path: Path) -> None:
    (tmp_path / "tape").write_text("a file where the folder should be")
    writer = TapeWriter(tmp_path / "tape", 1 << 20)
    record(writer, "2026-11-20")
    writer.flush()
    writer.close()
    assert writer.lost == 20


def test_disk_that_takes_no_more_loses_frames_but_raises_nothing(tmp_path: Path) -> None:
    writer = TapeWriter(tmp_path, 1 << 30)
    writer.roll("2026-11-20")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64_000, before[1]))
    try:
        for number in range(10):
            writer.append(number, number, bytes(100_000))
        writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert writer.lost > 0
    assert all(frame.data == bytes(100_000) for frame in read_tape(tmp_path / "2026-11-20.tape"))
