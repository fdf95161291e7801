"""When the next step of the market may come: counts at both ends of every stream, and nobody who waits."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mytrading.messages.control import StepDone
from mytrading.messages.market import MarketStep
from mytrading.runtime.daemon.lockstep import MarketPlace
from mytrading.simulator.venue.driver import CHANNELS, DAEMONS, MARKED, first_unfinished

MARK = 5


def at_rest() -> dict[str, StepDone]:
    """Daemons that have dealt with everything: three messages on each stream."""
    return {
        name: StepDone(
            daemon=name,
            pid=1,
            mark=MARK if name in MARKED else 0,
            sent={stream: 3 for writer, stream, _ in CHANNELS if writer == name},
            seen={f"{writer}/{stream}": 3 for writer, stream, reader in CHANNELS if reader == name},
        )
        for name in DAEMONS
    }


def test_step_is_over_when_both_ends_of_every_stream_agree() -> None:
    assert first_unfinished(at_rest(), MARK) == ""


@pytest.mark.parametrize("name", DAEMONS)
def test_step_waits_for_a_daemon_that_was_not_heard(name: str) -> None:
    done = {other: said for other, said in at_rest().items() if other != name}
    assert first_unfinished(done, MARK) == f"{name}: no report yet"


@pytest.mark.parametrize("name", MARKED)
def test_step_waits_for_what_the_exchange_sent_after_the_last_mark(name: str) -> None:
    done = at_rest()
    assert first_unfinished(done, MARK + 1) == "feed: what the exchange sent"
    others = {other: replace(said, mark=MARK + 1) for other, said in done.items() if other != name}
    assert first_unfinished({**others, name: done[name]}, MARK + 1) == f"{name}: what the exchange sent"


@pytest.mark.parametrize(("writer", "stream", "reader"), CHANNELS)
def test_step_waits_for_a_message_that_was_sent_and_not_dealt_with(writer: str, stream: str, reader: str) -> None:
    done = at_rest()
    done[reader] = replace(done[reader], seen={**done[reader].seen, f"{writer}/{stream}": 2})
    assert first_unfinished(done, MARK) == f"{reader}: {stream} of {writer}"


def test_step_waits_for_whom_something_keeps() -> None:
    done = at_rest()
    done["router"] = replace(done["router"], waits="the answer of a call")
    assert first_unfinished(done, MARK) == "router: the answer of a call"


def test_reader_has_the_market_after_two_step_messages_in_a_row() -> None:
    place = MarketPlace()
    assert [place.record(MarketStep(n, 0)) for n in (7, 8, 10, 11)] == [False, True, False, True]
    assert place.seen == 11
