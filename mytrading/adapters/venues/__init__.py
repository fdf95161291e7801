"""Venues that take orders: OpenAlgo and dry run."""
