"""Several runs as one object, as a table for an operator, and as files.

Figures are added up or spread over all runs, never averaged away.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lab.chaos.figures import spread

Body = dict[str, Any]

_SPREADS = ("recovery_s", "recovery_burst_s", "recovery_disturbed_s", "fill_to_stop_s", "fill_to_stop_disturbed_s")
_ADDED = ("kills", "faults", "orders", "of_slices", "limits_reached", "flattens", "ghosts", "calls_gathered")


def summed(reports: list[Body]) -> Body:
    """Return runs as one report: counts added up, times spread over all of them; a single run as it is."""
    good = all(_good(body) for body in reports)
    if len(reports) == 1:
        return {"good": good, **reports[0]}
    zero: Counter[str] = Counter()
    for body in reports:
        zero.update(body["must_be_zero"])
    total: Body = {"good": good, "seed": [body["seed"] for body in reports], "must_be_zero": dict(zero)}
    total["failed"] = [body["seed"] for body in reports if not _good(body)]
    total["minutes"] = round(sum(body["minutes"] for body in reports), 2)
    for name in _ADDED:
        total[name] = sum(body.get(name, 0) for body in reports)
    for name in ("acts", "faults_by_kind", "filled", "requests"):
        total[name] = _added(body.get(name, {}) for body in reports)
    ended = _added(body["unknowns"]["ended"] for body in reports)
    total["unknowns"] = {"count": sum(body["unknowns"]["count"] for body in reports), "ended": ended}
    for name in _SPREADS:
        total[name] = _together(reports, name)
    total["protection_in_doubt_s"] = round(sum(body["protection_in_doubt_s"] for body in reports), 1)
    total["problems"] = [line for body in reports for line in body["problems"]]
    return total


def _good(body: Body) -> bool:
    return not any(body["must_be_zero"].values()) and not body["problems"]


def _added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items()))


def _together(reports: list[Body], name: str) -> dict[str, float]:
    """The spread of the times of all runs."""
    return spread([float(word) for body in reports for word in body.get("samples", {}).get(name, "").split()])


_COLUMNS = ("seed", "personality", "stop", "windows", "minutes", "kills", "faults", "orders", "unknown", "ghosts",
            "recovery p50 / p99", "fill to stop p50 / p99", "commit", "not zero")  # fmt: skip


def table(reports: list[Body]) -> str:
    """The runs as a Markdown table."""
    lines = [f"| {' | '.join(_COLUMNS)} |", f"|{'---|' * len(_COLUMNS)}"]
    for body in reports:
        wrong = [f"{name} {value:g}" for name, value in body["must_be_zero"].items() if value]
        cells = (
            body["seed"], body["personality"], body.get("stop", "broker"),
            "real" if body["real_windows"] else "short", f"{body['minutes']:g}", body["kills"], body["faults"],
            body["orders"], body["unknowns"]["count"], body["ghosts"], _seconds(body["recovery_s"]),
            _seconds(body["fill_to_stop_s"]), body.get("commit", ""),
            ", ".join([*wrong, *body["problems"][:1]]).replace("|", "/") or "nothing",
        )  # fmt: skip
        lines.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    return "\n".join(lines)


def _seconds(spread: dict[str, float]) -> str:
    return f"{spread['p50']:.2f} / {spread['p99']:.2f} s" if "p99" in spread else "none"


def write_report(body: Body, folder: Path) -> None:
    """Add a run's JSON file to a folder of reports, and bring its page up to date."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**body, "kept": ""}, indent=2) + "\n"
    _replace(folder / f"{_name(body)}.json", text)
    write_page(folder)


def _name(body: Body) -> str:
    """A run of another commit is another run."""
    return "-".join(str(part) for part in (body["personality"], body["seed"], body.get("commit", "")) if part)


def write_page(folder: Path) -> list[Body]:
    """Write the page of a folder of reports: totals, a line for each run; returns the reports, by seed."""
    known = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")]
    known.sort(key=lambda body: (body["seed"], body["personality"]))
    if known:
        _replace(folder / "README.md", _page(known))
    return known


def _replace(path: Path, text: str) -> None:
    """Write in one step: several commands may write into one folder."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _page(reports: list[Body]) -> str:
    total = summed(reports)
    failed = [body for body in reports if not _good(body)]
    zeros = ", ".join(f"`{name}` {value:g}" for name, value in total["must_be_zero"].items())
    lines = [
        "# Runs of `mytrading chaos`",
        "",
        "Written by `mytrading chaos --report` and `--summary`; [chaos.md](../chaos.md) says what the figures mean.",
        "",
        f"{len(reports)} runs, {total['minutes'] / 60:.2f} hours broken, {total['kills']} kills, "
        f"{total['faults']} faults, {total['orders']} broker orders, "
        f"{total['unknowns']['count']} of unknown fate, {total['ghosts']} ghosts.",
        "",
        f"What must be zero, added up: {zeros}.",
        "",
        f"Runs that failed: {', '.join(str(body['seed']) for body in failed) or 'none'}.",
        "",
        "Over all runs, p50 / p99: "
        + "; ".join(f"`{name}` {_seconds(total[name])}" for name in _SPREADS if name in total)
        + ".",
        "",
        f"How unknown fates ended: {_counts(total['unknowns']['ended'])}.",
        "",
        f"Filled: {_counts(total['filled'])}. Done to the stack: {_counts(total['acts'])}.",
        "",
        f"Faults by kind: {_counts(total['faults_by_kind'])}.",
        "",
        table(reports),
    ]
    return "\n".join(lines) + "\n"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"
