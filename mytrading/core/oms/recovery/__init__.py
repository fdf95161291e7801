"""Start of the router: proof of what was sent, quiescence, expiry of alerts."""
