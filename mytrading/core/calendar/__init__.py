"""When each exchange trades. The calendar's own names come from here; its file, edits and reports have modules."""

from mytrading.core.calendar.file import CalendarError
from mytrading.core.calendar.sessions import IST, Calendar, Session, UnknownExchange, day_number, day_of, to_ns

__all__ = ["IST", "Calendar", "CalendarError", "Session", "UnknownExchange", "day_number", "day_of", "to_ns"]
