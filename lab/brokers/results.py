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
    "price": "bar with a wrong price",
    "volume": "bar with a wrong volume",
    "deaf": "instrument deaf or feed not ready",
    "frozen": "fresh while frozen",
    "history": "history that is not the market's",
    "refused": "entry refused without a reason",
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
    """All cases of a broker; `not_known` are the questions that no fact answers, where the usual form was played."""

    broker: str
    cases: Sequence[CaseResult]
    not_known: Sequence[str] = ()

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
            "not_known": list(one.not_known),
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
    heads = ("broker", "passed", "failed", "left out", "not known", *KINDS)
    rows = [
        (one.broker, *map(one.number, (PASSED, FAILED, LEFT_OUT)), len(one.not_known), *one.counts.values())
        for one in sorted(results, key=lambda one: one.broker)
    ]
    widths = [max(len(str(row[at])) for row in (heads, *rows)) for at in range(len(heads))]
    lines = [
        "  ".join(str(value).ljust(width) for value, width in zip(row, widths, strict=True)) for row in (heads, *rows)
    ]
    lines += [f"listed, not conformed: {', '.join(listed)}"] if listed else []
    return "\n".join([*lines, *_failures(results)])


def fragment(body: Mapping[str, Any]) -> str:
    """Return the table of a body of results in Markdown, for the page of brokers."""
    heads = ("broker", *(f"{word} cases" for word in (PASSED, FAILED, LEFT_OUT)), "findings")
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for name, row in body["brokers"].items():
        words = [shown.partition(":")[0] for shown in row["cases"].values()]
        seen = [f"{KINDS[kind]}: {count}" for kind, count in row["counts"].items() if count]
        numbers = (str(words.count(word)) for word in (PASSED, FAILED, LEFT_OUT))
        lines.append(f"| {' | '.join((name, *numbers, '; '.join(seen) or 'none'))} |")
    lines.append(f"\nListed, not conformed: {', '.join(body['listed_only'])}.")
    return "\n".join(lines)


def _failures(results: Iterable[BrokerResult]) -> Iterable[str]:
    for one in results:
        if one.is_good:
            continue
        yield f"\n{one.broker}"
        for case in one.cases:
            if case.word == FAILED:
                yield f"  {case.case}"
                yield from (f"    {line}" for line in case.lines)
