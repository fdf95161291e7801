"""A day of a stack against a backtest of the very quotes it saw: what differs, and why."""
