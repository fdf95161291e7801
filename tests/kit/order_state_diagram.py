"""Writes the order states and the table of evidence into docs/orders.md: `python -m tests.kit.order_state_diagram`."""

from __future__ import annotations

from mytrading.core.oms.evidence.judge import RULES
from mytrading.core.orders.state_machine import LIVE, TRANSITIONS
from mytrading.messages.enums import OrderState
from tests.kit.project import ROOT

FILE = ROOT / "docs" / "orders.md"
BEGIN, END = "<!-- states: begin -->", "<!-- states: end -->"
DECISIONS, END_DECISIONS = "<!-- decisions: begin -->", "<!-- decisions: end -->"


def picture() -> str:
    """The state table of `mytrading/core/orders/state_machine.py` as a diagram and as a matrix."""
    return f"{BEGIN}\n{_diagram()}\n\n{_matrix()}\n{END}"


def decisions() -> str:
    """The decision table of `mytrading/core/oms/evidence/judge.py`, a table for each case."""
    parts = []
    for case, rules in RULES.items():
        lines = [f"**{case.value.capitalize()}**", ""]
        lines += ["| what holds | what follows |", "|---|---|"]
        lines += [
            f"| {'; '.join(fact.value for fact in rule.facts) or 'anything else'} | {rule.verdict.value} |"
            for rule in rules
        ]
        parts.append("\n".join(lines))
    return "\n\n".join([DECISIONS, *parts, END_DECISIONS])


def _diagram() -> str:
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> INITIALIZED"]
    lines += [f"    {old} --> {new}" for old in OrderState for new in OrderState if new in TRANSITIONS[old]]
    lines += [f"    {state} --> [*]" for state in OrderState if state not in LIVE]
    return "\n".join([*lines, "```"])


def _matrix() -> str:
    """A row for each state an order may be in, a column for each it may go to next."""
    reached = [state for state in OrderState if any(state in moves for moves in TRANSITIONS.values())]
    lines = ["| from \\ to | " + " | ".join(reached) + " |", "|---|" + ":-:|" * len(reached)]
    for old in OrderState:
        marks = " | ".join("●" if new in TRANSITIONS[old] else "" for new in reached)
        lines.append(f"| {old}{'' if old in LIVE else ' (ended)'} | {marks} |")
    return "\n".join(lines)


def written(begin: str = BEGIN, end: str = END) -> str:
    """Return the text between two marks of the document, with the marks."""
    text = FILE.read_text(encoding="utf-8")
    return text[text.index(begin) : text.index(end) + len(end)]


if __name__ == "__main__":
    made = FILE.read_text(encoding="utf-8").replace(written(), picture())
    FILE.write_text(made.replace(written(DECISIONS, END_DECISIONS), decisions()), encoding="utf-8")
