"""Every message that processes exchange or journals keep, as frozen msgspec structs.

Times are integer nanoseconds, `*_ns` of the market clock unless the name says machine; prices are float rupees,
quantities integer units, signed for positions.
"""
