"""The web console's TypeScript is that of its structs and of the schema of files of legs."""

from __future__ import annotations

from tests.kit.console_types import FILE, KEYS_FILE, leg_keys, typescript


def test_generated_types_are_those_of_the_structs() -> None:
    assert FILE.read_text(encoding="utf-8") == typescript(), "run `python -m tests.kit.console_types`"


def test_generated_keys_are_those_of_the_schema_of_legs() -> None:
    assert KEYS_FILE.read_text(encoding="utf-8") == leg_keys(), "run `python -m tests.kit.console_types`"
