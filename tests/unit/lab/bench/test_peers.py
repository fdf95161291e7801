"""Criteria of the benchmarks beside peers, and that a peer which is not installed is reported and ends nothing."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from lab.bench import peers, peers_compiled, show_figure
from lab.bench.chain import CONTRACTS, bare_chain, made_chain
from lab.bench.peer_arrays import PEERS
from lab.bench.results import beside_peer, unmeasured
from mytrading.core.options.black76 import Reason, greeks, implied_volatilities


def test_speed_beside_a_peer_counts_only_with_the_same_results() -> None:
    assert beside_peer("x", 30.0, 10.0, "pairs/s", 3.0, "peer", 5, same=True).met
    assert not beside_peer("x", 29.0, 10.0, "pairs/s", 3.0, "peer", 5, same=True).met
    assert not beside_peer("x", 90.0, 10.0, "pairs/s", 3.0, "peer", 5, same=False).met


@pytest.mark.slow
def test_peer_that_is_not_installed_is_reported_as_not_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert "vectorbt" not in sys.modules
    found = peers_compiled.measure_chain(sys.executable)
    found += peers.measure_event(sys.executable, ["backtrader"], bars=400, rounds=1)
    found += peers.measure_event("/nowhere/python", ["backtesting"], bars=400, rounds=1)
    capsys.readouterr()
    for figure in found:
        show_figure(figure, "a machine", True)
    reported = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["name"] for each in reported] == ["greeks_opengreeks", "backtest_backtrader", "backtest_backtesting"]
    assert {(each["value"], each["met"]) for each in reported} == {(None, False)}
    assert reported[0]["why"] == "not measured: No module named 'opengreeks'"
    assert reported[2]["why"] == "not measured: no /nowhere/python"
    show_figure(found[0], "a machine", False)
    assert "not measured: No module named 'opengreeks'" in capsys.readouterr().out


def test_measured_figure_has_no_reason() -> None:
    assert "why" not in beside_peer("x", 1.0, 1.0, "pairs/s", 1.0, "peer", 1, same=True).as_dict()
    assert unmeasured("x", "s", "≤ 1 s", "no clock").as_dict()["why"] == "not measured: no clock"


def test_unknown_peer_is_refused_with_those_there_are() -> None:
    with pytest.raises(SystemExit, match=r"expected backtesting, .*, polars; found vectorbot"):
        peers.measure_peers(sys.executable, ["vectorbot"])
    assert set(PEERS) == set(peers_compiled.OWN) == set(peers._COMPILED)


def test_sweep_of_a_peer_may_differ_by_ties_alone() -> None:
    own = {"trades": np.array([1000, 2000]), "profits": np.array([-500.0, -1000.0])}
    assert peers_compiled.same_sweep(own, {"trades": np.array([1001, 1999]), "profits": np.array([-500.4, -1000.2])})
    assert not peers_compiled.same_sweep(own, {**own, "trades": np.array([1050, 1950])})
    assert not peers_compiled.same_sweep(own, {**own, "profits": np.array([-505.0, -1000.0])})


def test_chain_of_a_peer_is_held_to_its_own_accuracy() -> None:
    own, outside = np.ones((6, 2)), np.array([True, False])
    for row, column, error, same in (
        (0, 0, 1e-12, True),
        (0, 0, 1e-10, False),
        (0, 1, 1e-9, True),
        (2, 0, 1e-5, False),
    ):
        peer = own.copy()
        peer[row, column] += error
        assert peers_compiled.same_chain(own, peer, outside) is same


def test_sweep_tells_a_peer_what_sessions_do() -> None:
    given = peers_compiled.sweep_given()
    last = int(np.flatnonzero(~given["enters"])[0])
    assert given["start"][last + 1] - given["start"][last] > 3600 * 10**9
    assert given["fills"][last] == given["table"][0][last + 2]
    assert given["fills"][last - 1] == given["table"][0][last]
    assert len(given["fasts"]) == len(given["slows"]) == 1000


def test_plain_loop_finds_what_our_kernels_find_in_every_contract() -> None:
    chain = made_chain()
    forward, years, rate, strikes, calls, premiums = chain
    values, table = np.empty(CONTRACTS), np.empty((CONTRACTS, 5))
    bare_chain(premiums, forward, strikes, years, rate, calls, values, table)
    found, reasons = implied_volatilities(premiums, forward, strikes, years, rate, calls)
    assert strikes.size == CONTRACTS
    assert set(reasons.tolist()) == {Reason.FOUND}
    assert np.abs(values - found).max() < 1e-12
    ours = greeks(forward, strikes, years, found, rate, calls)
    columns = (ours.delta, ours.gamma, ours.theta * 365, ours.vega * 100, ours.rho * 100)
    for place, column in enumerate(columns):
        assert table[:, place] == pytest.approx(column, rel=1e-9), place
