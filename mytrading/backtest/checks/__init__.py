"""What can be wrong with a strategy that a backtest alone does not show: `mytrading check`."""
