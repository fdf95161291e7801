"""Assumptions of a backtest: the fill model and the market's hours, lots and fees."""
