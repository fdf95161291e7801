"""Commands about the brokers behind OpenAlgo: what is known of them, and a trial of one at its own server."""
