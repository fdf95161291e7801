"""What a check says: findings, each with what is wrong, where, and what to do.

Made by every check of this package, shown by `mytrading check`. A finding with `must` fails the command, and whatever
was not judged says why.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class CheckFinding:
    """`where` is `folder/file.py:line` when it is known; without `must` it is advice."""

    check: str
    what: str
    where: str = ""
    cure: str = ""
    must: bool = True


@dataclass
class CheckOutcome:
    """One check: its findings, its figures by name, and why it was not judged (empty if it was)."""

    check: str
    asks: str
    findings: list[CheckFinding] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    skipped: str = ""

    @property
    def holds(self) -> bool:
        """True unless something that must hold does not."""
        return not any(finding.must for finding in self.findings)

    def find(self, what: str, where: str = "", cure: str = "", must: bool = True) -> None:
        """Add a finding."""
        self.findings.append(CheckFinding(self.check, what, where, cure, must))

    def body(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "check": self.check,
            "asks": self.asks,
            "holds": self.holds,
            "skipped": self.skipped,
            "findings": [vars(finding) for finding in self.findings],
            "figures": self.figures,
        }
