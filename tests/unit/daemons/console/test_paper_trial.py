"""A trial on paper money from the page: refused, failed, and the users of its console. A real one: tests/console."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mytrading.daemons.console.user_store import UserStore, store_path
from tests.kit.console_browser import PASSWORD, ConsoleOfTest
from tests.kit.waiting import eventually


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleOfTest]:
    made = ConsoleOfTest(tmp_path_factory.mktemp("console"))
    made.add_user("vera", "viewer")
    yield made
    made.stop()


def test_trial_that_cannot_start_says_why_and_its_console_knows_the_same_users(console: ConsoleOfTest) -> None:
    page = console.browser("asha")
    assert page.get("/api/paper").json()["state"] == "none"
    begun = page.post("/api/paper", strategy="No_Such_Strategy").json()
    assert begun["state"] in ("starting", "failed")

    def failed() -> dict[str, Any] | None:
        found: dict[str, Any] = page.get("/api/paper").json()
        return found if found["state"] == "failed" else None

    assert "No_Such_Strategy" in eventually(failed, 30)["error"]
    state = console.server.trial.state
    assert not state.exists() and state.parent.parent == console.config.state.parent
    kept = UserStore(store_path(state), state, 60_000, 60_000)
    user = kept.user("asha")
    assert user == console.server.store.user("asha") and kept.sessions() == []
    kept.close()


@pytest.mark.parametrize("name", ["--help", "../x", "a b", ""])
def test_what_is_no_name_of_a_strategy_starts_nothing(console: ConsoleOfTest, name: str) -> None:
    refused = console.browser("asha").post("/api/paper", strategy=name).json()
    assert (refused["code"], refused["field"]) == ("BAD_REQUEST", "strategy")


def test_viewer_starts_none(console: ConsoleOfTest) -> None:
    page = console.browser()
    assert page.log_in("vera", PASSWORD).status_code == 200
    assert page.post("/api/paper", strategy="SMA_Crossover").json()["code"] == "ROLE"
