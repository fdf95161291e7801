"""The vocabulary: every message that processes exchange or journals keep, as frozen msgspec structs.

Nothing here imports anything else of the project. Times are integer nanoseconds: `*_ns` of the market clock unless the
name says machine. Prices are float rupees, quantities integer units, signed for positions.
"""
