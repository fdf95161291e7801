"""Instruments from an OpenAlgo server: master contract, lookup."""
