"""A rule of one's own: no entries over lunch, and few of them. Switch it on with ENABLED_RULES=quiet_times."""

from mytrading.strategies import Outgoing, SignalRule


class QuietTimes(SignalRule):
    """Denies entries between noon and one, and those after the fifth of a strategy on one day."""

    begins = 12 * 60
    ends = 13 * 60
    most_a_day = 5

    def deny(self, signal: Outgoing) -> str:
        if self.begins <= signal.minutes_of_day < self.ends:
            return f"it is {signal.time:%H:%M}, nothing is entered from 12:00 to 13:00"
        if signal.sent_today >= self.most_a_day:
            return f"{signal.strategy} has wanted {signal.sent_today} times today, {self.most_a_day} are enough"
        return ""
