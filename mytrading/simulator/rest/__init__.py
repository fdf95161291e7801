"""REST routes of the simulated OpenAlgo server."""
