"""Writes the picture of the order states into docs/orders.md: `python -m tests.state_picture`."""

from __future__ import annotations

from mytrading.core.order import LIVE, TRANSITIONS
from mytrading.messages.enums import OrderState
from tests.support import ROOT

FILE = ROOT / "docs" / "orders.md"
BEGIN, END = "<!-- states: begin -->", "<!-- states: end -->"


def picture() -> str:
    """The state table of `mytrading/core/order.py` as a diagram and as a matrix."""
    return f"{BEGIN}\n{_diagram()}\n\n{_matrix()}\n{END}"


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


def written() -> str:
    """The picture as it stands in the document."""
    text = FILE.read_text(encoding="utf-8")
    return text[text.index(BEGIN) : text.index(END) + len(END)]


if __name__ == "__main__":
    FILE.write_text(FILE.read_text(encoding="utf-8").replace(written(), picture()), encoding="utf-8")
