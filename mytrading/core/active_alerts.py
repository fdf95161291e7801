"""Alerts that follow from the state of a machine: how one is raised, and what names it.

There are two kinds. A state alert lasts while its cause does: one function per machine, `active_alerts`, says from the
state which are active, and the daemon makes its alerts those (`Alerts.follow`). An event alert reports what happened
once; it is raised where that is found out, and stays until the daemon starts on a later day. Each machine lists the
codes of its state alerts in `STATE_ALERTS`. What all daemons share (disk, journal, edited files, dropped messages,
watchdog) is no machine, nor is the gateway, which decides nothing: each of their checks raises and clears its one alert
itself.
"""

from __future__ import annotations

from typing import NamedTuple

from mytrading.messages.enums import Severity

Subject = tuple[str, str]
"""Code and subject of an alert."""

ENGINE_STOP_BLIND = "ENGINE_STOP_BLIND"
"""A state alert of risk and router: risk holds a stop, and no prices come to it, or risk itself is silent."""


class ActiveAlert(NamedTuple):
    """A state alert to raise; an empty `text` lets an active one stay. `once`: not again while it is active."""

    severity: Severity = Severity.WARNING
    text: str = ""
    once: bool = False


STAYS = ActiveAlert()

ActiveAlerts = dict[Subject, ActiveAlert]
"""State alerts that are active, by code and subject."""
