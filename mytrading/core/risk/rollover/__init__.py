"""Futures rolled to the next contract."""
