"""NSE data: bhavcopies and holidays."""
