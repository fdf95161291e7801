"""Several runs as one object, as a table for a person, and as files for docs/chaos.

Used by `run_chaos`. The one rule: figures are added up or the worst is taken, never averaged away.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

Body = dict[str, Any]

_WORST = ("recovery_s", "recovery_disturbed_s", "fill_to_stop_s", "fill_to_stop_disturbed_s")


def summed(reports: list[Body]) -> Body:
    """All runs as one: what is counted added up, of times the worst percentiles; one run as it is."""
    good = all(not any(body["must_be_zero"].values()) and not body["problems"] for body in reports)
    if len(reports) == 1:
        return {"good": good, **reports[0]}
    zero: Counter[str] = Counter()
    for body in reports:
        zero.update(body["must_be_zero"])
    total: Body = {"good": good, "seed": [body["seed"] for body in reports], "must_be_zero": dict(zero)}
    total["minutes"] = round(sum(body["minutes"] for body in reports), 2)
    for name in ("kills", "faults", "orders", "ghosts"):
        total[name] = sum(body[name] for body in reports)
    ended: Counter[str] = Counter()
    for body in reports:
        ended.update(body["unknowns"]["ended"])
    total["unknowns"] = {"count": sum(body["unknowns"]["count"] for body in reports), "ended": dict(ended)}
    for name in _WORST:
        total[name] = _worst([body[name] for body in reports])
    total["protection_in_doubt_s"] = round(sum(body["protection_in_doubt_s"] for body in reports), 1)
    total["problems"] = [line for body in reports for line in body["problems"]]
    return total


def _worst(spreads: list[dict[str, float]]) -> dict[str, float]:
    found = {"count": sum(spread["count"] for spread in spreads)}
    for name in ("p50", "p99", "max"):
        values = [spread[name] for spread in spreads if name in spread]
        if values:
            found[name] = max(values)
    return found


_COLUMNS = ("seed", "personality", "minutes", "kills", "faults", "orders", "unknown", "ghosts", "recovery p99",
            "fill to stop p99", "not zero")  # fmt: skip


def table(reports: list[Body]) -> str:
    """The runs as a Markdown table."""
    lines = [f"| {' | '.join(_COLUMNS)} |", f"|{'---|' * len(_COLUMNS)}"]
    for body in reports:
        wrong = [f"{name} {value:g}" for name, value in body["must_be_zero"].items() if value]
        cells = (
            body["seed"], body["personality"], f"{body['minutes']:g}", body["kills"], body["faults"], body["orders"],
            body["unknowns"]["count"], body["ghosts"], _seconds(body["recovery_s"]), _seconds(body["fill_to_stop_s"]),
            ", ".join([*wrong, *body["problems"][:1]]) or "nothing",
        )  # fmt: skip
        lines.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    return "\n".join(lines)


def _seconds(spread: dict[str, float]) -> str:
    return f"{spread['p99']:.2f} s" if "p99" in spread else "none"


def write_reports(reports: list[Body], folder: Path) -> None:
    """A JSON file for each run, and the table of all of them that are there."""
    folder.mkdir(parents=True, exist_ok=True)
    for body in reports:
        name = f"{body['personality']}-{body['seed']}.json"
        (folder / name).write_text(json.dumps({**body, "kept": ""}, indent=2) + "\n", encoding="utf-8")
    known = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    (folder / "README.md").write_text(f"# Runs of `mytrading chaos`\n\n{table(known)}\n", encoding="utf-8")
