"""The web console's TypeScript types are those of its structs."""

from __future__ import annotations

from tests.kit.console_types import FILE, typescript


def test_generated_types_are_those_of_the_structs() -> None:
    assert FILE.read_text(encoding="utf-8") == typescript(), "run `python -m tests.kit.console_types`"
