"""What a person should hear of settings that are right: which do not count, and which are unwise.

Used by `config/resolve` once all sources are read. The one rule: a notice stops nothing, and names file and line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mytrading.config.sections import OpenAlgoSettings, ProcessSettings
from mytrading.config.sources import Value

_SERVER = ("openalgo.host", "openalgo.ws_host", "openalgo.ws_port", "openalgo.account")


def of_accounts(values: Mapping[str, Value]) -> Iterator[str]:
    """For a home with accounts.toml. OPENALGO_API_KEY names the one account of a stack; without it the file counts."""
    if key := values.get("openalgo.api_key"):
        yield f"{key.where} is set: the stack uses that account alone, config/accounts.toml not at all"
        return
    for path in _SERVER:
        if value := values.get(path):
            yield f"{value.where} has no effect: the primary account of config/accounts.toml counts"


def of_deadline(values: Mapping[str, Value]) -> Iterator[str]:
    """Servers were seen to freeze for 12 s and to place the order then."""
    value = values.get("openalgo.timeout")
    usual = OpenAlgoSettings().timeout
    try:
        short = value is not None and float(str(value.raw)) < usual
    except ValueError:
        return
    if value is not None and short:
        yield (
            f"{value.where} is below {usual:g} s: an order call that takes longer leaves the fate of its order "
            f"unknown, which blocks entries; use {usual:g} or more"
        )


_JOURNALS = 5
"""Of processes that keep room aside for exits."""


def of_free_space(value: Value | None, process: ProcessSettings) -> Iterator[str]:
    """What journals keep aside is given back only when the disk is full: until then it is no room for entries."""
    kept = _JOURNALS * process.journal_reserve_bytes
    if value is not None and process.min_free_bytes < kept:
        yield (
            f"{value.where} is below the {kept // 1_000_000} MB that the journals keep aside for exits: entries go on "
            "until the disk is full; use ten times as much or more"
        )


class Hidden:
    """What the profile sets over the files: what a file says in vain is told if the profile's value is what counts."""

    def __init__(self, profile: str) -> None:
        self._profile = profile
        self._pairs: list[tuple[Value, Value]] = []

    def note(self, written: Value | None, value: Value) -> None:
        """The profile's `value` takes the place of what a file says, if it says anything else."""
        if written is not None and _plain_text(written.raw) != _plain_text(value.raw):
            self._pairs.append((written, value))

    def told(self, counting: Sequence[Value]) -> Iterator[str]:
        """A line for each file, without what a later source sets again: `counting` are the values that count."""
        files: dict[str, list[str]] = {}
        for written, value in self._pairs:
            if any(value is other for other in counting):
                files.setdefault(written.origin.partition(":")[0], []).append(f"{written.label} ({value.raw})")
        for file, shown in files.items():
            yield (
                f"profile {self._profile} sets these itself, whatever {file} says: {', '.join(shown)}; variables "
                "of the environment beat it"
            )


def _plain_text(raw: object) -> str:
    return ",".join(map(str, raw)) if isinstance(raw, list) else str(raw)
