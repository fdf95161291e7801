"""The profit curve of the day: whole after a restart, of one day, and never a reason to fail."""

from __future__ import annotations

from pathlib import Path

from mytrading.core.time import DAY
from mytrading.daemons.console.profit_curve import MOST_POINTS, MS, ProfitCurve
from mytrading.messages.console_rows import ProfitPoint


def point(at_ms: int) -> ProfitPoint:
    return ProfitPoint(at_ms=at_ms, realised=at_ms / 4, unrealised=-1.25)


def test_restarted_console_has_the_points_of_before_and_another_day_begins_anew(tmp_path: Path) -> None:
    file = tmp_path / "state" / "curve.bin"
    before = ProfitCurve(file)
    for at_ms in (5000, 10_000):
        before.add(point(at_ms))
    file.write_bytes(file.read_bytes() + b"torn")
    after = ProfitCurve(file)
    assert after.rows() == {"5000": point(5000), "10000": point(10_000)}
    after.add(point(15_000))
    assert [*ProfitCurve(file).rows()] == ["5000", "10000", "15000"]
    after.add(point(DAY // MS))
    assert [*after.rows()] == [*ProfitCurve(file).rows()] == [str(DAY // MS)]


def test_long_day_is_thinned_and_keeps_its_morning(tmp_path: Path) -> None:
    curve = ProfitCurve(tmp_path / "curve.bin")
    for number in range(MOST_POINTS + 2):
        curve.add(point(number * 1000))
    for shown in (curve.rows(), ProfitCurve(tmp_path / "curve.bin").rows()):
        assert len(shown) < MOST_POINTS and {"0", str((MOST_POINTS + 1) * 1000)} <= shown.keys()


def test_disk_that_takes_nothing_costs_only_the_file(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    curve = ProfitCurve(tmp_path / "taken" / "curve.bin")
    curve.add(point(1))
    assert [*curve.rows()] == ["1"]
