"""The web console: what an operator sees and does, in a browser, over the gateway."""
