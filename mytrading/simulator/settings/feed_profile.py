"""What the market data of each broker behind a live OpenAlgo server is: its frames, its history, its REST quotes.

The profiles are package data, `feed_profiles.toml`, which is generated from recorded facts and not edited. They are no
part of what the program believes about brokers, and must never be made from that. `silent` names the questions that no
fact answers; there the profile has the usual form. Used by the frames of the socket, the history and the REST quotes.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

import msgspec

from mytrading.simulator.settings.broker_profile import ALIASES


class _FeedPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a profile."""


class FrameForm(_FeedPart, frozen=True, kw_only=True):
    """Frames of one kind. `price`: trade, seen (0 until a trade is seen), "known" (no key until then), middle (of bid
    and ask, 0 if a side is empty), average (of the day), quote (that of Quote frames while they are subscribed, else
    0), mark, zero or none (no key). `volume`: day, last (trade's quantity), zero or none (no key).

    `book` of a frame without levels: "" (neither bid nor ask), plain, best (as best_bid_price and best_ask_price), or
    second (in a second packet, which has no volume). `zero` fields are 0, `missing` ones have no key. `closes`:
    previous, or last (the last price). `stamp`: receipt, exchange, candle (the day's), none. `bare_packets`: every
    other quote is one of the last price alone.
    """

    price: str = "trade"
    volume: str = "day"
    book: str = ""
    zero: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    interest: str = ""
    closes: str = "previous"
    stamp: str = "receipt"
    bare_packets: bool = False


class SocketForm(_FeedPart, frozen=True, kw_only=True):
    """The socket of a broker: `ltp`, `quote`, `depth` frames, and quotes of an `index`.

    `recorded`: frames are those that a running server sent, as `served_frame` builds them. `token`: how a message
    finds its subscriptions: "" by exchange and token, all (of the token, whatever the exchange) or last (of them the
    latest alone). `repeat_seconds`: what was sent last is sent again so often, with a new stamp. `keeps_side`: an
    emptied side keeps its last price. `empty_level`: zero, none (the list is empty), null, text. `ltt`: ms, s, text,
    1980 or "" (no key). `also_quote`: a Depth frame goes out as Quote too: "" no, same, or "no volume". `sent_as`: ""
    the frame's own mode, first (mode that was subscribed), all (modes subscribed). `scaled`: exchanges whose prices are
    so many times too high. `refuses`: modes, `index depth` among them, whose subscription is refused. `made_up_book`:
    Depth of an index has levels that nobody offers. `snapshot`: a subscription before the session is answered with the
    last price of the day before.
    """

    ltp: FrameForm = FrameForm()
    quote: FrameForm = FrameForm()
    depth: FrameForm = FrameForm()
    index: FrameForm = FrameForm()
    recorded: bool = False
    token: str = ""
    repeat_seconds: float = 0.0
    keeps_side: bool = False
    empty_level: str = "zero"
    ltt: str = ""
    stamp_in_seconds: bool = False
    texts: bool = False
    without_zeros: bool = False
    also_quote: str = ""
    sent_as: str = ""
    scaled: dict[str, float] = {}
    refuses: tuple[str, ...] = ()
    made_up_book: bool = False
    snapshot: bool = False


class HistoryForm(_FeedPart, frozen=True, kw_only=True):
    """History: `bars` is "", none (always an empty success) or no stamp (one row without one).

    `minutes_late` and `days_early` move the stamps of minute and daily bars, `today_right` leaves today's; with
    `late_abroad` minute bars are so many minutes late where the server's zone is not India. `failed`: error or empty
    (success without bars); `skips_chunk`: a failed chunk of a range is left out. `intervals` are those it has. With
    `ends_floored` a bar bears its end, floored to its interval. `hours`: first and last time of day of its minutes.
    `skips_flat_days`: no daily bar without volume, or with high equal to low.
    """

    bars: str = ""
    minutes_late: int = 0
    today_right: bool = False
    late_abroad: int = 0
    days_early: int = 0
    failed: str = "error"
    skips_chunk: bool = False
    intervals: tuple[str, ...] = ()
    ends_floored: bool = False
    hours: tuple[str, ...] = ()
    skips_flat_days: bool = False


class RestForm(_FeedPart, frozen=True, kw_only=True):
    """REST quotes. `closes` and `closes_of_many` say what `prev_close` of `quotes` and `multiquotes` is: previous, open
    (of today, else the last price) or zero; with `bare_rows` a row made from the last price alone has 0."""

    closes: str = "previous"
    closes_of_many: str = "previous"
    bare_rows: bool = False
    depth_without_price: bool = False


class FeedProfile(_FeedPart, frozen=True, kw_only=True):
    """The market data of one broker by OpenAlgo's own name; `silent` are the questions that no fact answers."""

    name: str
    socket: SocketForm = SocketForm()
    history: HistoryForm = HistoryForm()
    rest: RestForm = RestForm()
    silent: tuple[str, ...] = ()


@cache
def feed_profiles() -> Mapping[str, FeedProfile]:
    """Return the profiles of all brokers by OpenAlgo's own names."""
    text = (files("mytrading.simulator.settings") / "feed_profiles.toml").read_text(encoding="utf-8")
    rows = ({"name": name, **body} for name, body in tomllib.loads(text).items())
    return MappingProxyType({row["name"]: msgspec.convert(row, FeedProfile) for row in rows})


def feed_profile(name: str) -> FeedProfile | None:
    """Return a broker's profile by OpenAlgo's name of it or another known one; None for an unknown name."""
    return feed_profiles().get(ALIASES.get(name, name))
