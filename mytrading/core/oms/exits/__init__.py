"""Exits: goals, flatten, broker stops, retries."""
