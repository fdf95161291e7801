"""The simulated market: seeded paths or a replayed file, one volatility surface, quotes and history."""
