"""Profit and loss of the day, and the peaks of equity."""
