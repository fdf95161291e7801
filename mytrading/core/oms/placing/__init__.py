"""Placing orders: entries, slices, modification, dispatch of calls."""
