"""The market data daemon: sources, subscriptions, bars and history."""
