"""The venue squares off in a storm, in orders like ours: everything ends flat, at the broker and in the ledger."""

from __future__ import annotations

import os

import pytest

from mytrading.messages.enums import BrokerStatus, Product, Side
from tests.kit.fake_broker import SECOND, Placed
from tests.kit.oms_storms import SIDES, Storm

SEEDS = range(int(os.environ.get("STORM_FIRST", "9")), int(os.environ.get("STORM_LAST", "12")) + 1)
"""In 11 an order of the venue is like an exit given up before. More: `STORM_FIRST=1 STORM_LAST=80 pytest THIS`."""


class SquareOffStorm(Storm):
    """A storm whose last minute is the venue's: it closes what is held, in one order or in several like ours."""

    def storm_until_close(self, seconds: int) -> None:
        self.bench.squares_off_ns = self.bench.time + (seconds + 20) * SECOND
        self.run(seconds)
        while self.bench.time < self.bench.squares_off_ns:
            self._pass()
        self._close_all()
        self.calm(240)

    def _close_all(self) -> None:
        for placed in list(self.bench.broker.orders.values()):
            self.bench.broker.drop(placed, BrokerStatus.CANCELLED)
        apart = self.rng.random() < 0.7
        for (instrument, product), net in sorted(self.bench.broker.net.items()):
            side = Side.SELL if net > 0 else Side.BUY
            for units in self._parts(abs(net)) if apart else [abs(net)]:
                self._sell(instrument, product, side, units)

    def _parts(self, units: int) -> list[int]:
        parts = []
        while units:
            parts.append(min(units, self.rng.choice((50, 75))))
            units -= parts[-1]
        return parts

    def _sell(self, instrument: str, product: Product, side: Side, units: int) -> None:
        if units:
            name = f"V{len(self.bench.broker.orders) + 1}"
            placed = self.bench.broker.orders[name] = Placed(name, name, instrument, side, units, product)
            self.bench.broker.trade(placed, units, 100.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_square_off_by_the_venue_in_a_storm_leaves_no_position_in_the_ledger(seed: int) -> None:
    storm = SquareOffStorm(seed)
    storm.storm_until_close(90)
    held = {(p.instrument, p.strategy): p.quantity for p in storm.bench.machine.positions() if p.quantity}
    net = {key: units for key, units in storm.bench.broker.net.items() if units}
    assert (held, net) == ({}, {}), "phantoms would be carried over the night, and closed at the open"
    assert {p.instrument for p in storm.bench.machine.positions()} <= set(SIDES), "the storm was another one"
