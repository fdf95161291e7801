"""Instruments: contracts, lots, symbols and the master contract."""
