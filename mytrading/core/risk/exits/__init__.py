"""Exits by price and by time."""
