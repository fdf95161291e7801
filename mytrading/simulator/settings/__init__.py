"""Settings of the simulator: options, broker profiles, personality."""
