"""A strategy run on paper money from the page: a stack of its own with a console of its own, ended from the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from mytrading.runtime.supervision.control import supervisor_pid
from tests.kit.console_browser import Browser, ConsoleOfTest
from tests.kit.leg_project import leg_project
from tests.kit.waiting import eventually

LEGS = 'name = "Straddle"\nunderlying = "NIFTY"\nentry_time = "09:16"\nexit_time = "15:10"\n' + "".join(
    f'\n[[legs]]\naction = "SELL"\nstrike = "ATM"\nright = "{right}"\nstop = "40%"\n' for right in ("CE", "PE")
)


def test_trial_trades_beside_the_stack_and_is_gone_when_it_is_ended(tmp_path: Path) -> None:
    home = leg_project(tmp_path / "home", LEGS)
    console = ConsoleOfTest(tmp_path / "console", home=home)
    page = console.browser("asha")

    def trial(*states: str) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            answer = page.get("/api/paper")
            if answer.status_code == 429:  # asked for long on a busy machine
                return None
            now: dict[str, Any] = answer.json()
            assert now["state"] != "failed", now
            return now if now["state"] in states and (now["address"] or now["state"] == "none") else None

        return eventually(found, 90)

    page.post("/api/paper", strategy="Straddle")
    try:
        running = trial("running")
        assert running["strategy"] == "Straddle"
        assert running["address"] != console.server.url and httpx.get(f"{running['address']}/livez").json()["alive"]
        there = Browser(running["address"])
        assert there.log_in("asha").status_code == 200
        assert list(there.get("/api/strategies").json()["rows"]) == ["Straddle"]
        assert there.open_page()["mode"] == "paper"
        assert page.post("/api/paper/stop").status_code == 200
        trial("none")
        assert supervisor_pid(console.server.trial.state) == 0
    finally:
        if supervisor_pid(console.server.trial.state):
            eventually(lambda: page.post("/api/paper/stop").status_code == 200, 90)
            eventually(lambda: not supervisor_pid(console.server.trial.state), 90)
        console.stop()
