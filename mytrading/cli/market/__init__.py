"""The command chain: an option chain, live on the terminal."""
