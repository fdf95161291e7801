"""Trading times of exchanges. The calendar's own names come from here; its file, edits and reports have modules."""

from mytrading.core.calendar.calendar_file import CalendarError
from mytrading.core.calendar.sessions import Calendar, Session, UnknownExchange

__all__ = ["Calendar", "CalendarError", "Session", "UnknownExchange"]
