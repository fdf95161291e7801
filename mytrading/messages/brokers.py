"""What a broker behind OpenAlgo says and does: one row of the table of brokers (`config/brokers.toml`).

OpenAlgo brings the answers of its brokers into one form, but not into one meaning. The router, the reconciler and the
parsers of books read the row of an account's broker; no broker's name stands in code. The defaults of `BrokerRules`
are the cautious value of each property: of a broker that is not listed, and where the facts leave a property open.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from mytrading.messages.enums import BrokerStatus, OrderType, Product

SANDBOX = "sandbox"
"""The row of OpenAlgo's own sandbox, which holds in analyze mode whichever broker the server names."""


UNNAMED = "unnamed"
"""What stands for the broker of a server whose ping names none: a broker of no row."""


class Standing(StrEnum):
    """Whether live entries may be sent to a broker."""

    READY = "ready"
    LIMITS = "limits"
    """Ready, with promises that are kept in another way or not at all, as `notes` say."""
    REFUSED = "refused"
    """Its server cannot keep a stop, or its books cannot be believed: entries need the operator's explicit consent."""
    UNLISTED = "unlisted"


class TradeQuantity(StrEnum):
    """What the quantity of a trade row counts."""

    FILL = "fill"
    ORDER = "order"
    """The order's whole quantity on each row: a row proves that something filled, never how much."""
    NOTHING = "nothing"
    """The trade book lists orders, refused ones too: a row proves nothing, and none is read."""
    UNKNOWN = "unknown"
    """Not known, so believed no more than `ORDER`."""


class TradeOrderId(StrEnum):
    """Whose id a trade row names its order by."""

    ORDER = "order"
    EXCHANGE = "exchange"
    """The exchange's: no row names the id of the order book."""
    UNKNOWN = "unknown"


class PositionScope(StrEnum):
    """What the position book holds."""

    NET = "net"
    DAY = "day"
    """Of today's trades alone: carried units are in no row."""
    PARTIAL = "partial"
    """Joined from several queries, of which a failed one is left out without a word."""
    UNKNOWN = "unknown"
    """Not known, so believed no more than `PARTIAL`."""


class StopMoving(StrEnum):
    """How the level of a stop at the broker is moved."""

    CHANGE = "change"
    REPLACE = "replace"
    """A change call leaves trigger or limit as it was: the order is cancelled, and another placed once it has ended."""
    UNKNOWN = "unknown"
    """A change is tried, and proven by the order book only, as everywhere."""


class MarketForm(StrEnum):
    """What a MARKET order is when it reaches the broker."""

    MARKET = "market"
    LIMIT = "limit"
    """A LIMIT at a protected price, if a quote is had, and it may rest."""
    IOC = "ioc"
    """What does not fill at once is cancelled."""
    UNKNOWN = "unknown"


class FrameKind(StrEnum):
    """The extent of a market-data frame, by what it holds."""

    LTP = "ltp"
    QUOTE = "quote"
    DEPTH = "depth"


class StampSource(StrEnum):
    """Whose clock the `timestamp` of a frame is."""

    RECEIPT = "receipt"
    """Of OpenAlgo's server, when it received the broker's message."""
    EXCHANGE = "exchange"
    UNKNOWN = "unknown"


class FeedRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What the frames and REST quotes of a broker mean. These hold for the broker that the ping of a source names, in
    analyze mode too, since the sandbox of OpenAlgo has the prices of the broker."""

    price_frames: tuple[FrameKind, ...] = ()
    """Frames whose last price is that of a trade; empty: not known, so any, and of two that differ Quote's."""
    volume_frame: FrameKind | None = None
    """The frame that carries the day's volume; None: not known, so the fullest that has one."""
    has_volume: bool = True
    """False: the volume of frames does not count what traded in the day, and counts as not given."""
    has_depth: bool = True
    """False: Depth is refused, and Quote frames carry bid and ask."""
    not_previous_close: tuple[FrameKind, ...] = ()
    """Frames whose `close` is not the close of the previous trading day."""
    rest_previous_close: bool = True
    """False: `prev_close` of a REST quote is something else."""
    bare_tokens: bool = False
    """True if messages find their instrument by the token alone, without its exchange."""
    republishes: bool = False
    """True if the same values are sent again with new stamps while nothing comes from the broker."""
    index_prices: bool = True
    """False: frames of indices carry no price, so that it is asked for over REST."""
    multiquote_seconds: float = 1.0
    """Seconds between two `multiquotes` calls that the broker's own limit allows."""
    has_open_interest: bool = True
    """False: frames have no open interest, or a wrong one, which counts as not given."""
    stamps: StampSource = StampSource.UNKNOWN
    notes: tuple[str, ...] = ()
    """What differs besides, each a sentence for an operator."""


class HistoryRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What the history of a broker means."""

    available: bool = True
    """False: each answer is an empty success."""
    minutes_late: int = 0
    """Minutes by which stamps of minute bars are late on every server where whole past days show that shift. 0 also
    where the shift depends on the server's zone."""
    today_right: bool = False
    """True if the stamps of today's minute bars are right all the same."""
    days_early: int = 0
    """Days by which each date of daily bars is early on every server."""
    empty_when_failed: bool = True
    """True if a failed read may be answered with success and no bars."""
    shifted_intervals: tuple[str, ...] = ()
    """Intervals, in OpenAlgo's words, whose bars begin at other minutes than the session's: they are built from 1m."""
    notes: tuple[str, ...] = ()
    """What differs besides, each a sentence for an operator."""


class BrokerRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One broker, by OpenAlgo's own name for it. Words are in lower case, one blank between their parts."""

    name: str = ""
    aliases: tuple[str, ...] = ()
    """Other spellings that an operator may give."""
    standing: Standing = Standing.UNLISTED
    notes: tuple[str, ...] = ()
    """What differs at this broker, each a sentence for an operator."""
    reason: str = ""
    """Of a refused broker: why, in a sentence."""
    found: str = ""
    """ISO date of the finding behind `standing`."""
    since: str = ""
    """Version of OpenAlgo whose code was looked at."""
    book_words: Mapping[str, BrokerStatus] = {}
    """Status words of the order book that mean something else here than in the common table, or are its own."""
    update_words: Mapping[str, BrokerStatus] = {}
    """The same of order updates."""
    triggered_book: tuple[str, ...] = ()
    """Words that the order book gives to stops that have triggered, and to no other order."""
    triggered_updates: tuple[str, ...] = ()
    """The same of order updates."""
    waiting_stop: tuple[str, ...] = ()
    """Words that the order book gives to a stop that waits for its trigger; empty: not known. Nothing follows from one
    that other orders bear too."""
    waiting_stop_updates: tuple[str, ...] = ()
    """The same of order updates."""
    stop_type_kept: bool = False
    """True if the row of a stop that waits names the type SL, so that another type says that it has triggered."""
    live_ends: tuple[BrokerStatus, ...] = (
        BrokerStatus.COMPLETE, BrokerStatus.CANCELLED, BrokerStatus.REJECTED, BrokerStatus.EXPIRED,
    )  # fmt: skip
    """Ends that the order book may show of an order that lives."""
    updates: bool | None = None
    """False: it has no stream of order updates behind OpenAlgo; None: not known."""
    trade_quantity: TradeQuantity = TradeQuantity.UNKNOWN
    trade_order_id: TradeOrderId = TradeOrderId.UNKNOWN
    trade_prices: bool = True
    """False: the prices of trade rows are wrong, and count as not given (0)."""
    no_ids: tuple[str, ...] = ()
    """Words that stand in place of an order id, so that several orders bear one."""
    products: Mapping[str, Product] = {}
    """Names of products in its rows that OpenAlgo leaves as the broker's own; in upper case, as all names of rows."""
    derivative_products: Mapping[Product, Product] = {}
    """The product under which the books show an F&O order of another one: {NRML: MIS} where NRML comes back as MIS."""
    products_in_derivatives: Mapping[str, Product] = {}
    """The names among `products` that mean something else in rows of futures and options."""
    update_products: bool = False
    """True if an order update names the product that the order was placed under."""
    order_type_names: Mapping[str, OrderType] = {}
    """Names of order types in its rows that are not OpenAlgo's."""
    exchanges: Mapping[str, str] = {}
    """Names of exchanges in its rows that are not OpenAlgo's."""
    share_suffixes: tuple[str, ...] = ()
    """Ends of the symbols of shares that the master contract lacks: RELIANCE-EQ is RELIANCE, NSE:TCS-EQ names its
    exchange too."""
    orders_joined: bool = True
    """True if the order book may be joined from several queries, of which a failed one is left out without a word."""
    positions: PositionScope = PositionScope.UNKNOWN
    carried_average: bool = False
    """True if the average price of units carried overnight is that of their purchase."""
    stop_move: StopMoving = StopMoving.UNKNOWN
    modifies_most: int = 25
    """Change calls for one order that the broker takes."""
    modify_after_fill: bool = True
    """False: an order of which something has filled takes no change."""
    order_types: tuple[OrderType, ...] = (OrderType.MARKET, OrderType.LIMIT, OrderType.SL)
    """Types that reach the broker as what they are, or as a protected form of it."""
    market_form: MarketForm = MarketForm.UNKNOWN
    broker_stops: bool = True
    """False: an SL order does not reach the broker as a stop."""
    refusal_is_success: tuple[str, ...] = ("place", "cancel", "modify")
    """Calls whose refusal by the broker may be answered with success."""
    refusal_unclear: tuple[str, ...] = ("place", "cancel", "modify")
    """Calls whose refusal may be answered with HTTP 500, as a call of unknown fate is."""
    empty_when_failed: tuple[str, ...] = ("orders", "trades", "positions")
    """Books of which a failed read may be answered with success and no rows."""
    zero_funds_when_failed: bool = True
    """True if a failed read of the funds may be answered with zeros."""
    feed: FeedRules = FeedRules()
    """What its frames and REST quotes mean."""
    history: HistoryRules = HistoryRules()
    """What its history means."""

    @property
    def trades_count_fills(self) -> bool:
        """True if the rows of the trade book add up to what has filled, and name the order by the order book's id."""
        return self.trade_quantity is TradeQuantity.FILL and self.trade_order_id is TradeOrderId.ORDER

    @property
    def positions_whole(self) -> bool:
        """True if a position book that is not empty holds all units of the account in each of its rows' products."""
        return self.positions is PositionScope.NET


UNLISTED = BrokerRules()
"""The cautious row, of a broker that the table does not list and of one that is not known yet."""

PLAIN = BrokerRules(
    name=SANDBOX, standing=Standing.READY, waiting_stop=("trigger pending",), waiting_stop_updates=("trigger pending",),
    stop_type_kept=True, live_ends=(), updates=True, trade_quantity=TradeQuantity.FILL,
    trade_order_id=TradeOrderId.ORDER, update_products=True, orders_joined=False, positions=PositionScope.NET,
    carried_average=True, stop_move=StopMoving.CHANGE, order_types=tuple(OrderType), market_form=MarketForm.MARKET,
    refusal_is_success=(), refusal_unclear=(), empty_when_failed=(), zero_funds_when_failed=False,
)  # fmt: skip
"""A broker whose books say what they seem to say: the order machine's default where no table is given."""


def find_broker(brokers: Mapping[str, BrokerRules], name: str) -> BrokerRules:
    """Return the row of a broker by OpenAlgo's name or an alias of it, in any case; `UNLISTED` if there is none."""
    plain = name.strip().lower()
    if (row := brokers.get(plain)) is not None:
        return row
    return next((row for row in brokers.values() if plain in row.aliases), UNLISTED)
