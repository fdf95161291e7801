"""The simulated broker: accounts, books, rate limits, market driver and event log."""
