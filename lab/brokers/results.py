"""Results of conformance: one for each case of each broker, a table for people, and a file for the documents."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

PASSED, FAILED, LEFT_OUT = "passed", "failed", "left out"
KINDS = {
    "closed": "closed without a reason",
    "bare": "bare over 10 s without an alert",
    "doubled": "doubled",
    "ledger": "ledger is not the venue's",
    "late": "exit not within 5 s",
    "unplayed": "the story could not go on",
}
"""Counts that have to be zero."""


class CaseResult(NamedTuple):
    """The outcome of a case at a broker: `word` is passed, failed or left out; `lines` say what was seen."""

    broker: str
    case: str
    word: str
    counts: Mapping[str, int] = {}
    lines: Sequence[str] = ()
    seconds: float = 0.0


class BrokerResult(NamedTuple):
    """All cases of a broker, and the folder with its logs."""

    broker: str
    cases: Sequence[CaseResult]
    folder: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """Findings of each kind over all cases."""
        total = Counter(dict.fromkeys(KINDS, 0))
        for one in self.cases:
            total.update(one.counts)
        return dict(total)

    def number(self, word: str) -> int:
        """Cases with this outcome."""
        return sum(one.word == word for one in self.cases)

    @property
    def is_good(self) -> bool:
        """True if no case failed."""
        return not self.number(FAILED)


def body_of(results: Iterable[BrokerResult], listed: Sequence[str]) -> dict[str, Any]:
    """Return the results as JSON values, without times and folders: the same outcomes give the same file."""
    brokers = {
        one.broker: {
            "good": one.is_good,
            "counts": one.counts,
            "cases": {case.case: _shown(case) for case in one.cases},
        }
        for one in sorted(results, key=lambda one: one.broker)
    }
    return {"format": 1, "kinds": KINDS, "listed_only": sorted(listed), "brokers": brokers}


def _shown(case: CaseResult) -> str:
    return f"{LEFT_OUT}: {case.lines[0]}" if case.word == LEFT_OUT else case.word


def write_results(path: Path, body: Mapping[str, Any]) -> None:
    """Write the file that `docs/brokers.md` is made from."""
    path.write_text(json.dumps(body, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def table(results: Sequence[BrokerResult], listed: Sequence[str]) -> str:
    """Return a line for each broker and, below, what each failure saw."""
    heads = ("broker", "passed", "failed", "left out", *KINDS)
    rows = [
        (one.broker, one.number(PASSED), one.number(FAILED), one.number(LEFT_OUT), *one.counts.values())
        for one in sorted(results, key=lambda one: one.broker)
    ]
    widths = [max(len(str(row[at])) for row in (heads, *rows)) for at in range(len(heads))]
    lines = [
        "  ".join(str(value).ljust(width) for value, width in zip(row, widths, strict=True)) for row in (heads, *rows)
    ]
    lines += [f"listed, not conformed: {', '.join(listed)}"] if listed else []
    return "\n".join([*lines, *_failures(results)])


def _failures(results: Iterable[BrokerResult]) -> Iterable[str]:
    for one in results:
        if one.is_good:
            continue
        yield f"\n{one.broker}"
        for case in one.cases:
            if case.word == FAILED:
                yield f"  {case.case}"
                yield from (f"    {line}" for line in case.lines)
