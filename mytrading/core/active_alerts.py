"""Alerts that follow from the state of a machine: how one is raised, and what names it."""

from __future__ import annotations

from typing import NamedTuple

from mytrading.messages.enums import Severity

Subject = tuple[str, str]
"""Code and subject of an alert."""


class ActiveAlert(NamedTuple):
    """How an alert is raised; with an empty `text` it only stays if it stands. `once`: not again while it stands."""

    severity: Severity = Severity.WARNING
    text: str = ""
    once: bool = False


STAYS = ActiveAlert()
