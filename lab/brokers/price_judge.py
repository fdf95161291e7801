"""The six counts of prices that have to be zero, each from what the exchange showed before the broker's adapter.

A bar has a wrong price or a wrong volume; an instrument is deaf; one is fresh while nothing of it comes; history is not
the market's and was not refused by name; an entry is refused without a rule that may. `play_prices` gathers the
evidence. Market times are ns UTC, prices rupees.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from lab.brokers.record import AlertSpan
from mytrading.core.time import MINUTE, SECOND, format_ist
from mytrading.messages.market import Bar
from mytrading.simulator.settings.feed_profile import FeedProfile

SETTLED_NS = 3 * MINUTE
"""Bars of so late a time may still wait for history."""
STALE_NS = 10 * SECOND
"""Machine time after which an instrument of which nothing comes must have aged, and be refused as stale."""
LOOKED_NS = 3 * SECOND
"""Machine time by which a look at the feed may lag behind it."""
OWN_CLOCK_NS = 10 * SECOND
"""Market time by which a frame without a usable stamp may be read late: half a machine second at twenty times the
speed, which a machine with a queue of processes takes."""
ASKED_NS = 60 * SECOND
"""Market time between two prices that are asked for once a machine second, and as long again for the answer."""
DEAF_ALERTS = frozenset({
    "QUOTES_DROPPED", "COVERAGE_LOW", "FEED_MUTE", "QUOTES_STALE", "QUOTES_NOT_READ", "WATCH_REFUSED", "PRICES_APART",
    "TOKEN_SHARED", "INSTRUMENTS_REFUSED", "INSTRUMENTS_MISSING", "BARS_NOT_STORED",
})  # fmt: skip
HISTORY_ALERTS = frozenset({"HISTORY_MISSING", "HISTORY_INCOMPLETE", "HISTORY_HOLE", "HISTORY_NONE"})
NO_HISTORY = frozenset({"HISTORY_HOLE", "BARS_MISSING"})
STALE = frozenset({"STALE_QUOTE", "NO_QUOTE"})


class Facts(NamedTuple):
    """What the simulator's profile says of the broker's prices, never the program's table.

    `slack_ns`: market time by which the edges of bars may be off. `has_volume`: frames count the day's volume.
    `index_prices`: those of an index have a price. `repeats`: old values are sent again, so that a quote which says the
    same as the one before is none. `unreadable`: history is answered by what is none. `refuses`: entries
    at the broker are refused as such. `has_depth`: a subscription of Depth is taken.
    """

    slack_ns: int = 0
    has_volume: bool = True
    index_prices: bool = True
    has_history: bool = True
    minutes_late: int = 0
    bare_tokens: bool = False
    refuses: bool = False
    repeats: bool = False
    unreadable: bool = False
    has_depth: bool = True


def facts_of(profile: FeedProfile, *, refuses: bool) -> Facts:
    """The facts of a broker's profile."""
    socket, forms = profile.socket, (profile.socket.quote, profile.socket.depth, profile.socket.index)
    stamped = not socket.stamp_in_seconds and all(form.stamp in ("receipt", "exchange") for form in forms)
    return Facts(
        slack_ns=0 if stamped else OWN_CLOCK_NS,
        has_volume="day" in (socket.quote.volume, socket.depth.volume),
        index_prices=socket.index.price != "zero",
        has_history=not profile.history.bars,
        minutes_late=profile.history.minutes_late,
        bare_tokens=bool(socket.token),
        refuses=refuses,
        repeats=bool(socket.repeat_seconds),
        unreadable=profile.history.bars == "no stamp",
        has_depth="depth" not in socket.refuses,
    )


class Sent(NamedTuple):
    """A true quote: market time, last price, and volume of the day."""

    at_ns: int
    ltp: float
    volume: int


class Span(NamedTuple):
    """From one time to another."""

    begin_ns: int
    end_ns: int


class Watched(NamedTuple):
    """An instrument: what the exchange showed, its true minutes of history by start, and the bars of the store.

    `past` are those of the last trading day, `muted` the market time in which nothing of it was sent. `shares_token`:
    another watched instrument has its token. `on_depth`: its quotes had no offers until Depth was asked for.
    """

    instrument: str
    tick: float
    sent: Sequence[Sent]
    history: Mapping[int, Bar]
    bars: Sequence[Bar]
    past: Span
    is_index: bool = False
    muted: Span | None = None
    shares_token: bool = False
    on_depth: bool = False


class Look(NamedTuple):
    """The feed at a moment of machine time: age in seconds of each subscription (None: no price yet), problems, and the
    kind of frame that each has."""

    at_ns: int
    ready: bool
    ages: Mapping[str, float | None]
    problems: Mapping[str, str]
    modes: Mapping[str, str] = {}


class Trial(NamedTuple):
    """The codes of the rules that refuse an entry, at a moment of machine time."""

    at_ns: int
    instrument: str
    denials: Mapping[str, str]


class PriceEvidence(NamedTuple):
    """All that the prices of a broker are judged by. `live` is the market time in which the stack was ready, `mute` the
    machine time in which nothing of the muted instrument was sent. `late_quotes` are those that the feed counted as too
    late for their bar: the machine was slow, and at twenty times the speed all the more."""

    facts: Facts
    watched: Sequence[Watched]
    live: Span
    mute: Span
    looks: Sequence[Look]
    trials: Sequence[Trial]
    alerts: Sequence[AlertSpan]
    late_quotes: int = 0


class PriceVerdict(NamedTuple):
    """A line for each finding."""

    price: list[str]
    volume: list[str]
    deaf: list[str]
    frozen: list[str]
    history: list[str]
    refused: list[str]

    @property
    def counts(self) -> dict[str, int]:
        """The number of findings of each kind."""
        return {name: len(lines) for name, lines in self._asdict().items()}

    @property
    def lines(self) -> list[str]:
        """All findings."""
        return [line for lines in self for line in lines]


def judge_prices(seen: PriceEvidence) -> PriceVerdict:
    """Return what is wrong with the prices of a broker."""
    price: list[str] = []
    volume: list[str] = []
    facts = seen.facts._replace(slack_ns=OWN_CLOCK_NS) if seen.late_quotes else seen.facts
    for one in seen.watched:
        for bar in _live_bars(one, seen.live):
            price += _price_findings(one, bar, facts)
            volume += _volume_findings(one, bar, facts)
    return PriceVerdict(price, volume, _deaf(seen), _frozen(seen), _history(seen), _refused(seen))


def _live_bars(one: Watched, live: Span) -> Iterator[Bar]:
    """The bars of the time in which the stack was ready."""
    return (bar for bar in one.bars if live.begin_ns <= bar.start_ns and bar.end_ns <= live.end_ns)


def _shown(one: Watched, *, surely: bool) -> list[Sent]:
    """The quotes that were surely sent, or that may have been: the simulator records those of a mute too, and when a
    mute began and ended is known to a moment of the machine, as what was recorded before it may not have left."""
    if one.muted is None:
        return list(one.sent)
    moment = -OWN_CLOCK_NS if surely else OWN_CLOCK_NS
    begin_ns, end_ns = one.muted.begin_ns + moment, one.muted.end_ns - moment
    return [quote for quote in one.sent if not begin_ns <= quote.at_ns < end_ns]


def _beside_mute(one: Watched, bar: Bar) -> tuple[list[float], list[float]]:
    """The prices by which a bar may close before a mute, and open behind it."""
    if one.muted is None or not _is_touched(one, bar):
        return [], []
    edges = (one.muted.begin_ns, one.muted.end_ns)
    closes, opens = ([q.ltp for q in _between(one.sent, at - OWN_CLOCK_NS, at + OWN_CLOCK_NS)] for at in edges)
    return closes, opens


def _between(quotes: Sequence[Sent], begin_ns: int, end_ns: int) -> Sequence[Sent]:
    times = [quote.at_ns for quote in quotes]
    return quotes[bisect_left(times, begin_ns) : bisect_left(times, end_ns)]


def _slack(one: Watched, facts: Facts, bar: Bar) -> int:
    """Market time by which the edges of a bar may be off: a mute begins and ends between two ticks."""
    if one.is_index and not facts.index_prices:
        return ASKED_NS
    return max(facts.slack_ns, OWN_CLOCK_NS if _is_touched(one, bar) else 0)


def _is_touched(one: Watched, bar: Bar) -> bool:
    """True of a bar in which a mute lies, and of the first one behind it: its volume begins before the mute."""
    muted = one.muted
    return muted is not None and muted.begin_ns < bar.end_ns and bar.start_ns < muted.end_ns + OWN_CLOCK_NS


def _price_findings(one: Watched, bar: Bar, facts: Facts) -> list[str]:
    """How the prices of a live bar differ from what was sent; of one from history, from the true minute."""
    if not bar.ticks:
        return _history_findings(one, bar, one.history.get(bar.start_ns), at_volume=False)
    quotes, slack = _shown(one, surely=False), _slack(one, facts, bar)
    near = _between(quotes, bar.start_ns - slack, bar.end_ns + slack)
    if not near:
        return [f"{_at(one, bar)}: a bar at {bar.close:g} although nothing was sent"]
    inner = _between(_shown(one, surely=True), bar.start_ns + slack, bar.end_ns - slack)
    prices = [quote.ltp for quote in near]
    tick = one.tick * 1.001
    last, first = _beside_mute(one, bar)
    opens = _edge(quotes, bar.start_ns, slack, first=True) + first
    closes = _edge(quotes, bar.end_ns, slack, first=False) + last
    if facts.repeats:
        opens += _edge(_news(quotes), bar.start_ns, slack, first=True)
        inner = _news(inner)[1:]
    found = []
    if not any(abs(bar.open - price) <= tick for price in opens):
        found.append(f"open {bar.open:g}, sent {_range(opens)}")
    if not any(abs(bar.close - price) <= tick for price in closes):
        found.append(f"close {bar.close:g}, sent {_range(closes)}")
    sampled = one.is_index and not facts.index_prices
    highest, lowest = (max(q.ltp for q in inner), min(q.ltp for q in inner)) if inner and not sampled else (0.0, 1e18)
    if not highest - tick <= bar.high <= max(prices) + tick:
        found.append(f"high {bar.high:g}, sent {max(prices):g}")
    if not min(prices) - tick <= bar.low <= lowest + tick:
        found.append(f"low {bar.low:g}, sent {min(prices):g}")
    return [f"{_at(one, bar)}: {'; '.join(found)}"] if found else []


def _news(quotes: Sequence[Sent]) -> list[Sent]:
    """The first quote, and those of another price than the one before."""
    return [quote for place, quote in enumerate(quotes) if not place or quote.ltp != quotes[place - 1].ltp]


def _edge(quotes: Sequence[Sent], at_ns: int, slack: int, *, first: bool) -> list[float]:
    """The last prices that may be the first after, or the last before, an edge that is off by up to `slack`."""
    near = [quote.ltp for quote in _between(quotes, at_ns - slack, at_ns + slack)] if slack else []
    times = [quote.at_ns for quote in quotes]
    place = bisect_left(times, at_ns + (slack if first else -slack)) - (0 if first else 1)
    return near + ([quotes[place].ltp] if 0 <= place < len(quotes) else [])


def _volume_findings(one: Watched, bar: Bar, facts: Facts) -> list[str]:
    """How the volume of a live bar differs from the growth of the day's counter."""
    if one.is_index or not bar.ticks:
        return []
    if not facts.has_volume:
        return [f"{_at(one, bar)}: volume {bar.volume}, which no frame says"] if bar.volume else []
    sure, quotes, slack = _shown(one, surely=True), _shown(one, surely=False), _slack(one, facts, bar)
    begin_ns = _volume_begin(one, bar)
    most = _counter(quotes, bar.end_ns + slack) - _counter(sure, begin_ns - slack)
    least = max(_counter(sure, bar.end_ns - slack) - _counter(quotes, begin_ns + slack), 0)
    if least <= bar.volume <= most:
        return []
    return [f"{_at(one, bar)}: volume {bar.volume}, traded {least if least == most else f'{least} to {most}'}"]


def _volume_begin(one: Watched, bar: Bar) -> int:
    """The time from which the volume of a bar counts: its start, but behind a mute the end of the bar before."""
    if one.muted is None or not _is_touched(one, bar):
        return bar.start_ns
    before = [other.end_ns for other in one.bars if other.ticks and other.end_ns <= bar.start_ns]
    return max(before, default=min(bar.start_ns, one.muted.begin_ns))


def _counter(quotes: Sequence[Sent], at_ns: int) -> int:
    """The day's volume at the last quote before a time."""
    place = bisect_left([quote.at_ns for quote in quotes], at_ns) - 1
    return quotes[max(place, 0)].volume if quotes else 0


def _deaf(seen: PriceEvidence) -> list[str]:
    """Alerts of quotes that do not come, a feed that was not ready, subscriptions without a price, missing minutes."""
    losers = _losers(seen)
    found = [
        f"{one.code} {one.subject}: {one.text}" for one in seen.alerts
        if one.code in DEAF_ALERTS and one.subject not in losers
    ]  # fmt: skip
    if unready := sum(not look.ready for look in seen.looks):
        found.append(f"the feed was not ready at {unready} of {len(seen.looks)} looks")
    if not seen.looks:
        found.append("the feed was never looked at")
    last = seen.looks[-1] if seen.looks else None
    for one in seen.watched:
        if last is not None and one.instrument not in losers and last.ages.get(one.instrument) is None:
            found.append(f"{one.instrument}: no price: {last.problems.get(one.instrument) or 'not subscribed'}")
        if last is not None and one.instrument not in losers and _lacks_depth(one, last, seen.facts):
            found.append(f"{one.instrument}: not on Depth frames, although its quotes had no offers")
        if missing := _missing(one, seen) if one.instrument not in losers else []:
            shown = ", ".join(format_ist(at, "%H:%M") for at in missing[:5])
            found.append(f"{one.instrument}: no bar of {len(missing)} minutes in which it was sent: {shown}")
    return found


def _lacks_depth(one: Watched, last: Look, facts: Facts) -> bool:
    return one.on_depth and facts.has_depth and last.modes.get(one.instrument) != "Depth"


def _missing(one: Watched, seen: PriceEvidence) -> list[int]:
    """The starts of minutes in which quotes were sent that have no bar."""
    there = {bar.start_ns for bar in one.bars}
    slack = max(seen.facts.slack_ns, SECOND)
    sent = {
        quote.at_ns // MINUTE * MINUTE for quote in _shown(one, surely=True)
        if slack <= quote.at_ns % MINUTE < MINUTE - slack
    }  # fmt: skip
    end = seen.live.end_ns - SETTLED_NS
    touched = one.muted if one.muted is not None else Span(0, 0)
    return sorted(
        at for at in sent - there
        if seen.live.begin_ns <= at < end and not (touched.begin_ns - MINUTE < at < touched.end_ns)
    )  # fmt: skip


def _losers(seen: PriceEvidence) -> set[str]:
    """Instruments that another one of their token may keep from a stream, said by name."""
    return {one.instrument for one in seen.watched if one.shares_token} if seen.facts.bare_tokens else set()


def _frozen(seen: PriceEvidence) -> list[str]:
    """The muted instrument, where it does not age, or may be entered."""
    found = []
    for one in (one for one in seen.watched if one.muted is not None):
        looks = [look for look in seen.looks if seen.mute.begin_ns + STALE_NS <= look.at_ns < seen.mute.end_ns]
        young = [
            look for look in looks
            if (age := look.ages.get(one.instrument)) is not None
            and age * SECOND + LOOKED_NS < look.at_ns - seen.mute.begin_ns
        ]  # fmt: skip
        if not looks:
            found.append(f"{one.instrument}: the feed was not looked at while nothing of it was sent")
        if young:
            age, since = young[-1].ages[one.instrument], (young[-1].at_ns - seen.mute.begin_ns) / SECOND
            found.append(f"{one.instrument}: {age} s old {since:.0f} s after the last quote of it was sent")
        trials = [
            trial for trial in seen.trials
            if trial.instrument == one.instrument and seen.mute.begin_ns + STALE_NS <= trial.at_ns < seen.mute.end_ns
        ]  # fmt: skip
        if not trials:
            found.append(f"{one.instrument}: risk was not asked while nothing of it was sent")
        found += [
            f"{one.instrument}: risk would enter it {(trial.at_ns - seen.mute.begin_ns) / SECOND:.0f} s after its last "
            f"quote was sent: {', '.join(trial.denials) or 'no rule denies'}"
            for trial in trials if not STALE & trial.denials.keys()
        ]  # fmt: skip
    return found


def _history(seen: PriceEvidence) -> list[str]:
    """Stored past minutes that are not the market's, and missing ones of the last trading day that nothing names."""
    found = []
    for one in seen.watched:
        past = [bar for bar in one.bars if bar.start_ns < seen.live.begin_ns and not bar.ticks]
        wrong = [line for bar in past for line in _history_findings(one, bar, one.history.get(bar.start_ns))]
        found += wrong[:3] + ([f"{one.instrument}: {len(wrong) - 3} more of these"] if len(wrong) > 3 else [])
        there = {bar.start_ns for bar in one.bars}
        days = [one.past]
        if one.instrument not in _losers(seen):
            days.append(Span(one.past.end_ns, seen.live.begin_ns))
        true = [at for at in one.history if any(day.begin_ns <= at < day.end_ns for day in days)]
        missing = [at for at in true if at not in there]
        if missing and not _is_named(seen, one):
            first = format_ist(min(missing), "%d %b %H:%M")
            found.append(
                f"{one.instrument}: {len(missing)} of {len(true)} past minutes missing from {first} on, unnamed"
            )
    return found


def _history_findings(one: Watched, bar: Bar, true: Bar | None, *, at_volume: bool = True) -> list[str]:
    if true is None:
        return [f"{_at(one, bar)}: a bar of history at {bar.close:g}, which the market has not"]
    pairs = zip((bar.open, bar.high, bar.low, bar.close), (true.open, true.high, true.low, true.close), strict=True)
    if all(abs(one_price - other) <= one.tick * 1.001 for one_price, other in pairs) and (
        not at_volume or bar.volume == true.volume
    ):
        return []
    said, was = (f"{b.open:g} {b.high:g} {b.low:g} {b.close:g} volume {b.volume}" for b in (bar, true))
    return [f"{_at(one, bar)}: history says {said}, the market was {was}"]


def _is_named(seen: PriceEvidence, one: Watched) -> bool:
    """True if the stack says what is missing: that there is none, or the minutes by which it is shifted."""
    end_ns = max((look.at_ns for look in seen.looks), default=0) - LOOKED_NS
    told = [alert for alert in seen.alerts if alert.code in HISTORY_ALERTS and alert.last_ns >= end_ns]
    if seen.facts.unreadable:
        return any(alert.code == "HISTORY_MISSING" and alert.subject == one.instrument for alert in told)
    if not seen.facts.has_history:
        return any(alert.code == "HISTORY_NONE" for alert in told)
    shifted = f"history is {seen.facts.minutes_late} minutes late"
    return bool(seen.facts.minutes_late) and any(
        alert.subject == one.instrument and shifted in alert.text for alert in told
    )


def _refused(seen: PriceEvidence) -> list[str]:
    """Entries that a rule refuses which has no reason to at this broker, or in this instrument."""
    found = []
    by_name = {one.instrument: one for one in seen.watched}
    for trial in seen.trials:
        one = by_name[trial.instrument]
        is_mute = one.muted is not None and seen.mute.begin_ns <= trial.at_ns < seen.mute.end_ns + LOOKED_NS
        odd = trial.denials.keys() - _allowed(seen.facts, one, is_mute=is_mute)
        found += [f"{one.instrument}: {code}: {trial.denials[code]}" for code in sorted(odd)]
    return list(dict.fromkeys(found))


def _allowed(facts: Facts, one: Watched, *, is_mute: bool) -> frozenset[str]:
    return frozenset().union(
        STALE if is_mute else (),
        ("PRICE_DISBELIEVED", "BARS_MISSING", *STALE) if facts.bare_tokens and one.shares_token else (),
        () if facts.has_history else NO_HISTORY,
        ("BROKER_REFUSED",) if facts.refuses else (),
    )


def _at(one: Watched, bar: Bar) -> str:
    return f"{one.instrument} {format_ist(bar.start_ns, '%d %b %H:%M')}"


def _range(prices: Iterable[float]) -> str:
    found = sorted(set(prices))
    return f"{found[0]:g}" if len(found) == 1 else f"{found[0]:g} to {found[-1]:g}" if found else "nothing"
