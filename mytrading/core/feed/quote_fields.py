"""The quote of an instrument, put together field by field from its LTP, Quote and Depth frames.

Brokers fill the same field of two kinds of frames with different things: the last trade or the middle of the book, the
day's volume or the quantity of one trade, or nothing. `FeedRules` says which frame has what. The feed and the replay
of tapes assemble each frame here, have the price judged, and commit with `believe`. Invariant: a frame that is not
believed changes no field, and no frame without a last price of its own makes an instrument look fresh.

All ages are machine ns, from the frame that brought the field to the one that lacks it.
"""

from __future__ import annotations

from mytrading.core.calendar import Calendar
from mytrading.core.time import DAY, IST_OFFSET, SECOND
from mytrading.messages.brokers import FeedRules, FrameKind
from mytrading.messages.market import Quote

LTP, QUOTE, DEPTH = 1, 2, 3
"""Kinds of frames by extent, as on the wire."""
BOOK_NS = 2 * SECOND
"""A book is the market's for so long beside frames without one, and so long a Quote's price stands before a Depth's
that differs where it is not known which is a trade's: what is sent together comes within it, and a market moves on."""
KIND_NS = 10 * SECOND
"""After so long a kind of frame no longer comes, and the volume is taken from a lesser one. Servers that froze for 10 s
were seen, and then no kind comes."""
FIGURE_NS = 60 * SECOND
"""Volume and open interest older than this are not known: REST would have brought newer ones."""
RESTART_NS = 10 * SECOND
RESTART_FRAMES = 3
"""A volume counter that fell in session has restarted after so many frames in a row over so long a time."""
SAME, STAMPED, CHANGED = 0, 1, 2
"""What a frame says that is new: nothing; a later trade time; last price, volume, bid or ask."""

_EXTENTS = {FrameKind.LTP: LTP, FrameKind.QUOTE: QUOTE, FrameKind.DEPTH: DEPTH}
_NEVER, _ALONE, _ALWAYS = 0, 1, 2
"""When the last price of a kind of frame counts: `_ALONE` where no Quote frame of the last seconds says another."""


class InstrumentQuote:
    """One instrument's fields, and what the last assembled frame makes of them.

    `quote` is that frame with the fields it lacks, None before the first price. If it is not `priced`, price and stamps
    are those of the last priced frame. `is_empty`: it should have had a price, and has neither that nor a book.
    `recounts`: its volume is not comparable with that before; reset by whoever builds bars.
    """

    __slots__ = (
        "_book", "_book_kind", "_counted", "_counted_kind", "_frame", "_interest", "_is_whole", "_kind", "_last",
        "_low_ns", "_lows", "_price_kind", "_quoted_ns", "_said", "_shown", "_stamp_ns", "_takes_book",
        "_takes_volume", "_until_ns", "_volume", "is_empty", "news", "priced", "quote", "recounts",
    )  # fmt: skip

    def __init__(self, until_ns: int, shown: Quote | None = None, stamp_ns: int = 0, *, recounts: bool = False) -> None:
        self._until_ns = until_ns
        """Market time at which the session ends whose fields these are."""
        self._shown, self._stamp_ns = shown, stamp_ns
        """Newest believed quote, of any session, and the latest trade time: by them a frame is old or new."""
        self._last: Quote | None = None
        """Newest believed quote of this session."""
        self._book: Quote | None = None
        self._counted: Quote | None = None
        self._interest: Quote | None = None
        """Frames that brought bid and ask, volume and open interest."""
        self._price_kind = self._book_kind = self._counted_kind = 0
        """Kinds of the last priced frame and of those frames."""
        self._volume = self._lows = self._low_ns = 0
        self._quoted_ns = -BOOK_NS
        self._said: int | None = None
        """The volume of the last frame that had one, whatever it counts."""
        self._frame: Quote | None = None
        self._kind = 0
        self._is_whole = self._takes_book = self._takes_volume = False
        self.quote: Quote | None = None
        self.news = SAME
        self.priced = self.is_empty = False
        self.recounts = recounts

    def believe(self) -> None:
        """Commit the fields of the assembled frame. Budget: 200 ns."""
        if self._is_whole:
            quote = self.quote
            self._last = self._shown = self._book = self._counted = self._interest = quote
            self._volume = quote.volume or 0  # type: ignore[union-attr]
            self._price_kind, self._lows = self._book_kind, 0
            return
        frame = self._frame
        if frame is None:
            return
        if self._takes_book:
            self._book, self._book_kind = frame, self._kind
        if self._takes_volume:
            self._counted, self._counted_kind = frame, self._kind
            self._volume, self._lows = frame.volume or 0, 0
        if frame.open_interest is not None:
            self._interest = frame
        if frame.volume is not None:
            self._said = frame.volume
        if self.priced:
            self._price_kind = self._kind
        if self.quote is not None:
            self._last = self._shown = self.quote


class QuoteFields:
    """The fields of all instruments of one source, under the rules of its broker. Budget of `assemble`: 1 µs for a
    frame that has every field itself, 2 µs for any other."""

    __slots__ = (
        "_calendar", "_closes", "_found", "_has_volume", "_rules", "_trust", "_volume_kind", "republishes",
    )  # fmt: skip

    def __init__(self, calendar: Calendar, rules: FeedRules | None = None) -> None:
        self._calendar = calendar
        self._found: dict[str, InstrumentQuote] = {}
        self._rules: FeedRules | None = None
        self.follow(rules or FeedRules())

    def follow(self, rules: FeedRules) -> None:
        """Apply a broker's rules from now on. What was learnt under others is forgotten, but not what is old news."""
        if rules == self._rules:
            return
        self._rules = rules
        priced = {_EXTENTS[kind] for kind in rules.price_frames}
        open_trust = (_NEVER, _ALWAYS, _ALWAYS, _ALONE)
        self._trust = tuple(_ALWAYS if kind in priced else _NEVER for kind in range(4)) if priced else open_trust
        self._volume_kind = _EXTENTS[rules.volume_frame] if rules.volume_frame is not None else 0
        self._has_volume = rules.has_volume
        self._closes = tuple(kind not in {_EXTENTS[one] for one in rules.not_previous_close} for kind in range(4))
        self.republishes = rules.republishes
        """True if frames that say nothing new are no sign of an instrument's life."""
        for name, found in self._found.items():
            self._found[name] = InstrumentQuote(found._until_ns, found._shown, found._stamp_ns, recounts=True)

    def clear(self) -> None:
        """Forget all instruments, on a new connection; where old values are sent again, not what is old news."""
        if not self.republishes:
            self._found.clear()
            return
        for name, found in self._found.items():
            self._found[name] = InstrumentQuote(found._until_ns, found._shown, found._stamp_ns)

    def drop(self, instrument: str) -> None:
        """Forget an unsubscribed instrument."""
        self._found.pop(instrument, None)

    def assemble(self, frame: Quote, kind: int) -> InstrumentQuote:
        """Put together the quote of a frame of this kind; `believe` of the result commits it.

        A lesser frame that says what a fuller one with a price of its own has just said is its echo, not a second tick.
        """
        found = self._found.get(frame.instrument)
        if found is None or frame.market_ns >= found._until_ns:
            found = self._begin(frame, found)
        trust, volume, last = self._trust[kind], frame.volume, found._last
        priced = frame.ltp > 0.0 and trust != _NEVER and (trust == _ALWAYS or self._stands_alone(found, frame))
        if priced and volume == 0 and kind == self._volume_kind and self._is_copy(found, frame):
            priced = False
        found.priced = priced
        if priced and kind == QUOTE:
            found._quoted_ns = frame.received_ns
        if (
            priced
            and kind == found._book_kind == found._counted_kind
            and volume
            and volume >= found._volume
            and (frame.bid is not None or frame.ask is not None)
            and frame.open is not None
            and frame.previous_close is not None
            and self._closes[kind]
            and (frame.open_interest is not None or last is None or last.open_interest is None)
        ):
            found._is_whole, found.is_empty, found.quote = True, False, frame
            shown = found._shown  # most frames bring units or a price: the rest is asked for where neither did
            found.news = (
                CHANGED
                if shown is None or volume != shown.volume or frame.ltp != shown.ltp
                else self._news(found, frame, frame)
            )
            return found
        quote = found.quote = self._merge(found, frame, kind)
        news = found.news = SAME if quote is None else self._news(found, frame, quote)
        if (
            news != CHANGED
            and kind < found._price_kind
            and last is not None
            and frame.received_ns - last.received_ns < BOOK_NS
        ):
            found.quote, found.news, found.priced = None, SAME, False
        return found

    @staticmethod
    def _news(found: InstrumentQuote, frame: Quote, quote: Quote) -> int:
        """Return what a quote says that is new: CHANGED; STAMPED if its frame's trade time is later than any before,
        as kinds of frames round it differently; or SAME. A field that the frame lacks says nothing, though it may have
        grown too old to be known."""
        shown = found._shown
        if shown is None or quote.ltp != shown.ltp:
            return CHANGED
        if frame.volume is not None:  # what does not count the day's volume says that something traded
            said, known = (frame.volume, found._said) if quote.volume is None else (quote.volume, shown.volume)
            if said != known:
                return CHANGED
        has_book = frame.bid is not None or frame.ask is not None or found._kind == DEPTH
        if has_book and (quote.bid != shown.bid or quote.ask != shown.ask):
            return CHANGED
        stamp = frame.exchange_ns
        if stamp is None or stamp <= found._stamp_ns:
            return SAME
        found._stamp_ns = stamp
        return STAMPED

    def _begin(self, frame: Quote, former: InstrumentQuote | None) -> InstrumentQuote:
        """Begin a session's fields: at the first frame, at the exchange's open, and at midnight in India. Before the
        open servers send what was left of the day before, the volume counter of that day too."""
        instrument, now, calendar = frame.instrument, frame.market_ns, self._calendar
        exchange = instrument.partition(":")[0]
        until_ns = ((now + IST_OFFSET) // DAY + 1) * DAY - IST_OFFSET
        if calendar.has_exchange(exchange):
            session = calendar.session(exchange, calendar.trading_day(now))
            if session is not None and now < session.open_ns:
                until_ns = session.open_ns
        shown, stamp_ns = (former._shown, former._stamp_ns) if former is not None else (None, 0)
        found = self._found[instrument] = InstrumentQuote(until_ns, shown, stamp_ns)
        return found

    @staticmethod
    def _is_copy(found: InstrumentQuote, frame: Quote) -> bool:
        """True if a frame that should count the day's volume counts none after another has, and repeats the last price:
        some adapters send a frame without a price of its own under the name of a fuller one too."""
        last = found._last
        return found._volume > 0 and last is not None and frame.ltp == last.ltp

    @staticmethod
    def _stands_alone(found: InstrumentQuote, frame: Quote) -> bool:
        """True if no Quote frame of the last seconds contradicts the last price of a Depth frame."""
        last = found._last
        return frame.received_ns - found._quoted_ns >= BOOK_NS or (last is not None and frame.ltp == last.ltp)

    def _merge(self, found: InstrumentQuote, frame: Quote, kind: int) -> Quote | None:
        """Fill in what a frame lacks from those before it; None if no price of the session is known."""
        found._is_whole, found._frame, found._kind = False, frame, kind
        book, volume = self._book_of(found, frame, kind), self._volume_of(found, frame, kind)
        no_price = not frame.ltp > 0.0
        found.is_empty = no_price and frame.bid is None and frame.ask is None and self._trust[kind] != _NEVER
        last, opened, high, low = found._last, frame.open, frame.high, frame.low
        close = frame.previous_close if self._closes[kind] else None
        if last is None:
            if not found.priced:
                return None
        else:
            opened = last.open if opened is None else opened
            high = last.high if high is None else high
            low = last.low if low is None else low
            close = last.previous_close if close is None else close
        stamps = frame if found.priced or last is None else last
        bid = ask = bid_quantity = ask_quantity = None
        if book is not None:
            bid, ask, bid_quantity, ask_quantity = book.bid, book.ask, book.bid_quantity, book.ask_quantity
        return Quote(
            frame.instrument, stamps.market_ns, stamps.received_ns, stamps.ltp, bid, ask, bid_quantity, ask_quantity,
            volume, self._interest_of(found, frame), opened, high, low, close, stamps.exchange_ns,
        )  # fmt: skip

    @staticmethod
    def _book_of(found: InstrumentQuote, frame: Quote, kind: int) -> Quote | None:
        """Return the frame that bid and ask are taken from, both from the one: the fullest with a book, the newest."""
        book = found._book
        if book is not None and frame.received_ns - book.received_ns >= BOOK_NS:
            book = None
        has_book = frame.bid is not None or frame.ask is not None
        found._takes_book = has_book and (book is None or kind >= found._book_kind)
        return frame if found._takes_book else book

    def _volume_of(self, found: InstrumentQuote, frame: Quote, kind: int) -> int | None:
        """Return the day's volume by the one kind of frame that counts it, None if that has not come for long."""
        volume, now, counted = frame.volume, frame.received_ns, found._counted
        if not self._has_volume:
            found._takes_volume = False
            return None
        if self._volume_kind:
            counts = kind == self._volume_kind
        else:
            counts = counted is None or kind >= found._counted_kind or now - counted.received_ns >= KIND_NS
        found._takes_volume = False
        if counts and volume:
            falls = volume < found._volume
            if counted is None or not falls or (kind != found._counted_kind or self._has_restarted(found, now)):
                found._takes_volume = True
                # What a fuller frame counts may differ from what a lesser one did by as much as the day's volume.
                found.recounts |= counted is not None and (falls or kind > found._counted_kind)
                return volume
        if counted is not None:
            return found._volume if now - counted.received_ns < FIGURE_NS else None
        return volume if counts else None

    @staticmethod
    def _has_restarted(found: InstrumentQuote, now_ns: int) -> bool:
        """Count a frame whose volume is below that known: an old one, unless nothing else comes any more."""
        if not found._lows:
            found._low_ns = now_ns
        found._lows += 1
        return found._lows >= RESTART_FRAMES and now_ns - found._low_ns >= RESTART_NS

    @staticmethod
    def _interest_of(found: InstrumentQuote, frame: Quote) -> int | None:
        if frame.open_interest is not None:
            return frame.open_interest
        known = found._interest
        return known.open_interest if known is not None and frame.received_ns - known.received_ns < FIGURE_NS else None
