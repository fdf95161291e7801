"""`mytrading logs [-f] [NAME]`: the structured log of all processes or of one.

Of a process that ended before it could log its console is shown, of one that could not be started supervisor's reason.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer

from mytrading.cli.shell.failures import USAGE, fail, find_stack
from mytrading.cli.shell.options import LOGS, Profile, log_names
from mytrading.cli.shell.output import print_note
from mytrading.runtime.observability.log_lines import last_lines, parse_log_line

_POLL_S = 0.2
_KNOWN = ("time", "level", "component", "event", "source")


def logs(
    name: str = typer.Argument(
        "", help="A process (feed, supervisord, …) or a log (trade, error, performance).", autocompletion=log_names
    ),
    follow: bool = typer.Option(False, "-f", "--follow", help="Follow new lines."),
    lines: int = typer.Option(50, "-n", "--lines", min=0, help="Number of last lines."),
    as_json: bool = typer.Option(False, "--json", help="Lines of the structured log as they are."),
    profile: Profile = "",
) -> None:
    """Show the log: of all processes, of one, or one kind of lines."""
    with find_stack(profile) as found:
        path, component = _choose(found.config, name)
        failed = _not_started(found.config, component)
    shown = [line for line in last_lines(path) if _of(line, component)]
    console = path.with_name(f"{component}.out")
    if component and not shown and console.exists():
        path, component = console, ""
        shown = last_lines(path)
    if not (shown or failed or follow):
        print_note(f"no lines in {path}" + (f" of {component}" if component else ""))
    for line in [*shown[-lines:], *failed] if lines else []:
        print(line if as_json else format_log_line(line))
    for new in follow_lines(path) if follow else ():
        if new is None:
            time.sleep(_POLL_S)
        elif _of(new, component):
            print(new if as_json else format_log_line(new), flush=True)


def _not_started(config: Any, component: str) -> list[str]:
    """Lines, as those of the structured log, about processes that supervisor could not start."""
    from mytrading.runtime.supervision import control

    known = {"level": "error", "component": "supervisord", "event": "process.not_started"}
    rows = control.start_failures(config).items()
    return [json.dumps({**known, "process": name, "why": why}) for name, why in rows if component in ("", name)]


def _choose(config: Any, name: str) -> tuple[Path, str]:
    """The file to read, and which component's lines of it (empty is all)."""
    from mytrading.runtime.supervision import control

    folder = Path(config.log_dir)
    if name == "supervisord":
        return control.log_path(config), ""
    if name in ("", "main", "trade", "error", "performance"):
        return folder / f"{name or 'main'}.log", ""
    if name not in control.PROGRAMS:
        known = ", ".join((*control.PROGRAMS, *LOGS))
        fail(USAGE, f"logs: expected one of {known}; found {name!r}")
    return folder / "main.log", name


def follow_lines(path: Path) -> Iterator[str | None]:
    """Yield each new line of a log, None while there is none; reopens the file after a rotation. Never ends."""
    position = path.stat().st_size if path.exists() else 0
    inode = path.stat().st_ino if path.exists() else 0
    pending = b""
    while True:
        if path.exists() and ((status := path.stat()).st_ino != inode or status.st_size < position):
            inode, position, pending = status.st_ino, 0, b""
        data = b""
        with suppress(FileNotFoundError), path.open("rb") as file:
            file.seek(position)
            data = file.read()
        position += len(data)
        *complete, pending = (pending + data).split(b"\n")
        for line in complete:
            yield line.decode(errors="replace")
        yield None


def _of(line: str, component: str) -> bool:
    return not component or parse_log_line(line).get("component") == component


def format_log_line(line: str) -> str:
    """Format a line of JSON log as text; any other line is returned unchanged."""
    entry = parse_log_line(line)
    if "event" not in entry:
        return line
    fields = " ".join(f"{key}={value}" for key, value in entry.items() if key not in _KNOWN)
    moment = str(entry.get("time", ""))[11:23]
    return f"{moment} {entry.get('level', ''):<8} {entry.get('component', ''):<10} {entry['event']} {fields}".rstrip()
