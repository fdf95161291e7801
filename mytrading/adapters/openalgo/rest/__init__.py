"""OpenAlgo over HTTP: client, errors, book parsers, orders."""
