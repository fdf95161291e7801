"""Backtests and searches called from Python, with pandas frames."""
