"""Option chains of pages: one lease for all that look at one, given back when nobody does, and none stops another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.core.feed.instrument_demand import LEASE_NS
from mytrading.daemons.console.chain_subscriptions import LiveChain
from mytrading.daemons.console.live import SILENT_NS
from mytrading.messages.instruments import Instrument, InstrumentKind, Snapshot
from mytrading.runtime.host.clock import machine_now
from tests.kit.console_browser import ConsoleOfTest, LiveSocket
from tests.kit.instrument_snapshot import snapshot
from tests.kit.waiting import eventually

LISTED = snapshot("2026-11-20")
NEAR, NEXT = sorted({one.expiry for one in LISTED.instruments if one.kind is InstrumentKind.CE})[:2]
ORPHAN = Instrument(
    id="NFO:GONE26NOV100CE", exchange="NFO", symbol="GONE26NOV100CE", kind=InstrumentKind.CE, underlying="GONE",
    expiry=NEAR, strike=100.0,
)  # fmt: skip
"""An option without its underlying."""
NIFTY, LATER, GONE = f"NIFTY:{NEAR}", f"NIFTY:{NEXT}", f"GONE:{NEAR}"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleOfTest]:
    made = ConsoleOfTest(tmp_path_factory.mktemp("console"))
    rows = (*LISTED.instruments, ORPHAN)
    InstrumentFile(made.config.state).write(Snapshot(day="2026-11-20", fetched_ns=1, instruments=rows))
    yield made
    made.stop()


def leased(console: ConsoleOfTest, after_ns: int = 0) -> list[str]:
    """Chains of this console whose quotes are leased at the gateway, after some more time."""
    leases = console.gateway.server.context.leases
    leases.wanted(machine_now() + after_ns)
    return sorted(who.partition(" ")[2].rpartition("-")[0] for who in leases._leases)


def looked_at(live: LiveSocket, *chains: str) -> None:
    live.send(type="watch", topics=[f"{kind}:{chain}" for chain in chains for kind in ("chain", "chainhead")])
    while not all(f"chainhead:{chain}" in live.rows for chain in chains):
        live.receive("snapshot")


def test_two_pages_of_a_chain_hold_one_lease_and_the_last_to_close_gives_it_back(console: ConsoleOfTest) -> None:
    page = console.browser("asha")
    with page.live() as first:
        looked_at(first, NIFTY)
        with page.live() as second:
            looked_at(second, NIFTY)
            assert leased(console) == [NIFTY] and console.server.chains.count == 1
        eventually(lambda: len(console.server.hub.viewers) == 1)
        looked_at(first, NIFTY, LATER)
        assert leased(console) == sorted([NIFTY, LATER]), "the other page has closed"
    eventually(lambda: not leased(console))


def test_underlying_without_an_expiry_is_leased_with_its_futures_and_an_unknown_one_refused(
    console: ConsoleOfTest,
) -> None:
    with console.browser("asha").live() as live:
        live.send(type="watch", topics=["chain:NOBODY:", "chainhead:NIFTY:"])
        assert "no index or share of that name is listed" in live.receive("refused")["error"]
        while "chainhead:NIFTY:" not in live.rows:
            live.receive("snapshot")
        head = live.rows["chainhead:NIFTY:"][""]
        assert (head["spot_instrument"], head["problem"], head["atm_iv"]) == ("NSE_INDEX:NIFTY", "", None)
        assert [one["instrument"][:9] for one in head["futures"]] == ["NFO:NIFTY", "NFO:NIFTY"]
        assert leased(console) == ["NIFTY:"]
    eventually(lambda: not leased(console))


def test_page_that_says_nothing_for_five_minutes_gives_its_chain_back_until_it_does(
    console: ConsoleOfTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = console.server.hub
    with console.browser("asha").live() as live:
        looked_at(live, NIFTY)
        monkeypatch.setattr(hub, "now", lambda: machine_now() + SILENT_NS - LEASE_NS)
        assert hub.wanted_chains() == {NIFTY}, "not yet"
        monkeypatch.setattr(hub, "now", lambda: machine_now() + SILENT_NS)
        eventually(lambda: not leased(console))
        live.send(type="alive")
        eventually(lambda: leased(console) == [NIFTY])


def test_lease_of_a_killed_console_ends_by_itself(console: ConsoleOfTest, monkeypatch: pytest.MonkeyPatch) -> None:
    with console.browser("asha").live() as live:
        looked_at(live, NIFTY)
        monkeypatch.setattr(LiveChain, "__exit__", lambda *_: None)  # a killed process gives nothing back
        console.restart(console.config.state / "no bundle")
        assert leased(console) == [NIFTY] and not leased(console, after_ns=LEASE_NS)


def test_chain_that_cannot_be_had_says_why_and_the_others_go_on(
    console: ConsoleOfTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with console.browser("asha").live() as live:
        looked_at(live, GONE, NIFTY)
        gone, there = (live.rows[f"chainhead:{chain}"][""] for chain in (GONE, NIFTY))
        assert "no index or share of that name is listed" in gone["problem"] and live.rows[f"chain:{GONE}"] == {}
        assert there["problem"] == "" and leased(console) == [NIFTY]
        whole = LiveChain.take_update

        def broken(chain: LiveChain) -> object:
            if chain.expiry == NEXT:
                raise ZeroDivisionError
            return whole(chain)

        monkeypatch.setattr(LiveChain, "take_update", broken)
        looked_at(live, LATER, NIFTY)
        assert "defect" in live.rows[f"chainhead:{LATER}"][""]["problem"]
        assert leased(console) == [NIFTY] and console.server.is_alive
