"""Routes of reports: those of backtests, searches and checks below `runs`, and the chart of a strategy as it trades."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import msgspec
from litestar import MediaType, Response, get
from litestar.datastructures import State
from litestar.params import FromPath, QueryParameter

from mytrading.daemons.console.refusals import ApiRefused
from mytrading.daemons.console.shell_commands import run_shell
from mytrading.messages import console_api as api
from mytrading.messages.text import plain

RUNS, REPORT = "runs", "report.json"
MOST = 200
"""So many reports are listed, the newest."""
LARGEST = 64_000_000
_DEPTH = 4
Timeframe = Annotated[str, QueryParameter(max_length=4)]
Period = Annotated[int, QueryParameter(ge=0, le=1000)]
Multiplier = Annotated[float, QueryParameter(ge=0, le=100)]


class _ReportHead(msgspec.Struct, frozen=True):
    kind: str
    title: str


@get("/api/reports", sync_to_thread=True)
def show_reports(state: State) -> list[api.ReportEntry]:
    """Reports below the folder `runs`, the newest first."""
    found = _reports(Path(state.config.home) / RUNS)
    newest = sorted(found.items(), key=lambda item: item[1].stat().st_mtime_ns, reverse=True)[:MOST]
    return [entry for name, path in newest if (entry := _entry(name, path)) is not None]


@get("/api/reports/{name:path}", sync_to_thread=True)
def show_report(state: State, name: FromPath[Path]) -> Response[bytes]:
    """Return a whole report. Its name is looked up among those found, so that none leads out of the folder."""
    wanted = str(name).strip("/")
    path = _reports(Path(state.config.home) / RUNS).get(wanted)
    if path is None or path.stat().st_size > LARGEST:
        raise ApiRefused("NOT_FOUND", f"expected a report below {RUNS}, found {plain(wanted)[:100]!r}; reload the list")
    return Response(path.read_bytes(), media_type=MediaType.JSON)


@get("/api/strategies/{name:str}/chart", sync_to_thread=True)
def show_strategy_chart(
    state: State, name: FromPath[str], timeframe: Timeframe = "", period: Period = 0, multiplier: Multiplier = 0.0
) -> Response[bytes]:
    """The chart of a strategy: candles, its indicators, fills and stops, the premium of its legs with Supertrend.
    Without a `timeframe` (1m, 5m, …) bars are its own; without `period` and `multiplier` so is the Supertrend."""
    with TemporaryDirectory() as folder:
        page = Path(folder) / "chart.html"
        trend = (f"--period={period}", f"--multiplier={multiplier}")
        words = ("strategies", "chart", "--out", str(page), f"--timeframe={timeframe}", *trend)
        run_shell(state.config, *words, "--", name[:64])
        written = next(Path(folder).glob("*.json"), None)
        if written is None:
            raise ApiRefused("NOT_FOUND", f"{plain(name)[:64]} has nothing to draw yet")
        return Response(written.read_bytes(), media_type=MediaType.JSON)


def _reports(runs: Path) -> dict[str, Path]:
    """The files by the name of their folder, as seen from `runs`."""
    patterns = ("/".join(["*"] * depth + [REPORT]) for depth in range(1, _DEPTH + 1))
    return {str(path.parent.relative_to(runs)): path for pattern in patterns for path in runs.glob(pattern)}


def _entry(name: str, path: Path) -> api.ReportEntry | None:
    """A row of the list; None if the file is no report (another program's, or one half written)."""
    try:
        head = msgspec.json.decode(path.read_bytes(), type=_ReportHead)
        made = path.stat().st_mtime_ns // 1_000_000
    except (OSError, msgspec.DecodeError):
        return None
    return api.ReportEntry(id=name, kind=plain(head.kind), title=plain(head.title), made_wall_ms=made)


ROUTES = [show_reports, show_report, show_strategy_chart]
