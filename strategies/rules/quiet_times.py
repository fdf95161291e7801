"""A rule of one's own: no entries over lunch, and few of them. Switch it on with ENABLED_RULES=quiet_times."""

from mytrading.strategies import Outgoing, WishRule


class QuietTimes(WishRule):
    """Denies entries between noon and one, and those after the fifth of a strategy on one day."""

    begins = 12 * 60
    ends = 13 * 60
    most_a_day = 5

    def deny(self, wish: Outgoing) -> str:
        if self.begins <= wish.minutes_of_day < self.ends:
            return f"it is {wish.time:%H:%M}, nothing is entered from 12:00 to 13:00"
        if wish.sent_today >= self.most_a_day:
            return f"{wish.strategy} has wished {wish.sent_today} times today, {self.most_a_day} are enough"
        return ""
