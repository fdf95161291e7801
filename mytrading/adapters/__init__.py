"""The outside: OpenAlgo servers, files of bars and contracts, and what NSE publishes."""
