"""Who keeps the stream of a token that two instruments share."""

from __future__ import annotations

from mytrading.core.feed.shared_tokens import left_out

SHARE, CURRENCY, THIRD, OTHER = "NSE:RELIANCE", "CDS:USDINR27NOV26FUT", "MCX:GOLD", "NSE:SBIN"
TOKENS = {SHARE: "2885", CURRENCY: "2885", THIRD: "2885", OTHER: "3045"}
ORDER = [SHARE, CURRENCY, OTHER, THIRD]


def test_first_keeps_the_stream_where_none_is_held() -> None:
    assert left_out(ORDER, TOKENS, ()) == {CURRENCY: SHARE, THIRD: SHARE}


def test_held_one_keeps_the_stream_and_of_two_held_ones_the_first() -> None:
    assert left_out(ORDER, TOKENS, {CURRENCY}) == {SHARE: CURRENCY, THIRD: CURRENCY}
    assert left_out(ORDER, TOKENS, {CURRENCY, THIRD}) == {SHARE: CURRENCY, THIRD: CURRENCY}


def test_instruments_without_a_known_token_share_none() -> None:
    assert left_out(ORDER, {SHARE: "", CURRENCY: "", OTHER: "3045"}, ()) == {}
    assert left_out(ORDER, {}, ()) == {}
