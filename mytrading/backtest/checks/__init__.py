"""Faults of a strategy that a backtest alone does not show: `mytrading check`."""
