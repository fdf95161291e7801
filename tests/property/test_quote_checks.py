"""The plausibility filter can never freeze, and never lets through what is no price."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from mytrading.core.feed.quote_checks import PriceCheck, PriceRules, QuoteVerdict
from mytrading.core.time import SECOND

RULES = PriceRules()
PRICES = st.floats(0.05, 1e6) | st.sampled_from([0.0, -1.0, math.nan, math.inf])
STEPS = st.lists(st.tuples(PRICES, st.integers(1, 20 * SECOND)), min_size=1, max_size=60)


def verdicts(steps: list[tuple[float, int]], option: bool) -> list[tuple[int, float, QuoteVerdict]]:
    check, now, found = PriceCheck(10.0, rules=RULES), 0, []
    for price, pause in steps:
        now += pause
        found.append((now, price, check.judge("NSE:A", price, option, now)))
    return found


@given(STEPS, st.booleans())
def test_filter_lets_nothing_through_that_is_no_positive_number(steps: list[tuple[float, int]], option: bool) -> None:
    for _, price, verdict in verdicts(steps, option):
        assert (verdict is QuoteVerdict.REFUSED) == (not 0.0 < price < math.inf)


@given(STEPS, st.booleans())
def test_filter_never_holds_possible_prices_longer_than_its_bounds(
    steps: list[tuple[float, int]], option: bool
) -> None:
    count, since = 0, 0
    for now, _, verdict in verdicts(steps, option):
        if verdict is QuoteVerdict.GOOD:
            count = 0
        elif verdict is QuoteVerdict.HELD:
            since = since if count else now
            count += 1
            assert count < RULES.most or now - since < RULES.patience_ns


@given(st.floats(1.0, 1e5), st.floats(1.0, 1e5), st.integers(SECOND // 50, 10 * SECOND), st.booleans())
def test_price_that_persists_is_believed_with_the_second_quote_after_the_settling_time(
    before: float, after: float, pause: int, option: bool
) -> None:
    quotes = -(-RULES.settle_ns // pause) + 1
    found = verdicts([(before, 1), *[(after, pause)] * quotes], option)
    assert found[-1][2] is QuoteVerdict.GOOD


@given(st.floats(100.0, 1e5), st.lists(st.floats(1e6, 1e7), min_size=1, max_size=10), st.integers(0, 99_000_000))
def test_burst_of_wrong_ticks_between_two_right_ones_is_never_believed(
    price: float, wrong: list[float], pause: int
) -> None:
    found = verdicts([(price, 1), *((spike, pause) for spike in wrong), (price, 1)], option=False)
    assert [verdict for _, _, verdict in found] == [
        QuoteVerdict.GOOD,
        *[QuoteVerdict.HELD] * len(wrong),
        QuoteVerdict.GOOD,
    ]
