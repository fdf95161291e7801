"""Searches over a strategy's parameters: the space, the trials, who runs them, and what they are worth."""
