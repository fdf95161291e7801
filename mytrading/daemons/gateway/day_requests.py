"""An operator's word that exchanges trade today, in a year whose holidays nobody has listed.

Risk lets entries go by it for that day alone. What the calendar itself answers (a listed year, a weekend, a holiday) is
refused here, so that nobody confirms a day on which nothing waits.
"""

from __future__ import annotations

from mytrading.core.calendar import Calendar
from mytrading.core.time import ist_date
from mytrading.daemons.gateway.request_context import Decided, RequestContext, RequestRefused
from mytrading.messages import ops
from mytrading.messages.control import DayConfirmed


def confirm_day(ctx: RequestContext, request: ops.DayConfirmCommand) -> Decided:
    """Return the row to journal that the exchanges named, and those with the same holidays, trade today;
    `RequestRefused` for an exchange of which the calendar knows the answer."""
    now, calendar = ctx.clock.now(), ctx.tables.calendar
    day = ist_date(now)
    confirmed: dict[str, None] = {}
    for name in request.exchanges:
        exchange = name.upper()
        if why := _known(calendar, exchange, now):
            raise RequestRefused(why)
        same = calendar.sharing_holidays(exchange)
        confirmed.update(dict.fromkeys(one for one in same if calendar.is_provisional(one, day)))
    if not confirmed:
        raise RequestRefused(f"expected the exchanges that trade today, found none; name some of {_all(calendar)}")
    row = DayConfirmed(exchanges=tuple(confirmed), day=day.isoformat(), at_ns=now, reason=request.reason, by=request.by)
    return Decided((row,), ops.DayConfirmTaken(exchanges=row.exchanges, day=row.day))


def _known(calendar: Calendar, exchange: str, now: int) -> str:
    """What the calendar says of today for an exchange; empty if it is provisional."""
    day = ist_date(now)
    if not calendar.has_exchange(exchange):
        return f"expected an exchange of config/calendar.toml ({_all(calendar)}), found {exchange!r}"
    if not calendar.is_provisional(exchange, day):
        return f"config/calendar.toml lists the holidays of {day.year} for {exchange}: its entries wait for no word"
    if calendar.session(exchange, day) is None:
        why = calendar.holiday_name(exchange, day) or "weekend"
        return (
            f"{exchange} has no session on {day} ({why}); if it trades, add it as [[special]] to config/calendar.toml"
        )
    return ""


def _all(calendar: Calendar) -> str:
    return ", ".join(calendar.exchanges)
